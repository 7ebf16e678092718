"""Who the puppets are: eight identities as parameters of skull, features, colours, hair, clothes and voice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

HairStyle = Literal["long", "short", "bun", "fringe", "receding"]
Collar = Literal["crew", "v", "polo"]
Colour = tuple[float, float, float]  # sRGB 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Factors multiply the template's measures; offsets are in mm. Colours are sRGB 0..1."""

    name: str
    seed: int  # of skin and hair noise
    voice: str  # of espeak-ng
    skull_width: float = 1.0
    jaw_width: float = 1.0
    chin: float = 1.0
    cheek: float = 1.0
    nose_length: float = 1.0
    nose_width: float = 1.0
    nose_height: float = 1.0
    lips: float = 1.0
    mouth_width: float = 1.0
    eye_width: float = 1.0
    eye_height: float = 1.0
    eye_tilt_mm: float = 0.0
    brow_height_mm: float = 0.0
    brow_thickness: float = 1.0
    brow_arch: float = 1.0
    brow_ridge: float = 1.0
    skin: Colour = (0.80, 0.58, 0.47)
    lip_colour: Colour = (0.70, 0.34, 0.33)
    hair: Colour = (0.16, 0.09, 0.05)
    iris: Colour = (0.30, 0.20, 0.11)
    hair_style: HairStyle = "short"
    hair_thickness_mm: float = 9.0
    cloth: Colour = (0.25, 0.33, 0.45)
    collar: Collar = "crew"
    stubble: float = 0.0
    freckles: float = 0.0
    femininity: float = 0.0  # neck, shoulders, lashes, lid tint


_ALL = (
    Identity(
        name="amy", seed=11, voice="en-us+f2", femininity=1.0, skull_width=0.955, jaw_width=0.90, chin=0.9,
        nose_width=0.88, nose_height=0.9, nose_length=0.96, lips=1.22, mouth_width=0.97, eye_width=1.05,
        eye_height=1.15, brow_height_mm=1.0, brow_thickness=0.72, brow_arch=1.3, brow_ridge=0.45,
        skin=(0.86, 0.65, 0.55), lip_colour=(0.74, 0.33, 0.34), hair=(0.30, 0.17, 0.08), iris=(0.22, 0.33, 0.42),
        hair_style="long", cloth=(0.55, 0.22, 0.25), collar="v", freckles=0.5,
    ),
    Identity(
        name="ben", seed=12, voice="en-us+m3", jaw_width=1.08, chin=1.12, nose_width=1.05, nose_height=1.06,
        brow_ridge=1.35, brow_thickness=1.2, skin=(0.80, 0.59, 0.48), hair=(0.10, 0.065, 0.045),
        iris=(0.29, 0.19, 0.10), cloth=(0.22, 0.30, 0.42), stubble=0.6, hair_thickness_mm=10.0,
    ),
    Identity(
        name="cora", seed=13, voice="en-us+f3", femininity=0.9, skull_width=0.97, jaw_width=0.93, nose_width=1.2,
        nose_height=0.88, lips=1.5, mouth_width=1.05, eye_width=1.06, eye_height=1.12, brow_thickness=0.9,
        brow_ridge=0.5, skin=(0.42, 0.255, 0.175), lip_colour=(0.40, 0.19, 0.18), hair=(0.035, 0.028, 0.025),
        iris=(0.13, 0.075, 0.04), hair_style="bun", cloth=(0.75, 0.68, 0.50), hair_thickness_mm=8.0,
    ),
    Identity(
        name="dai", seed=14, voice="en-us+m1", skull_width=1.03, nose_width=1.08, nose_height=0.82, nose_length=0.96,
        lips=1.1, eye_width=0.99, eye_height=0.88, eye_tilt_mm=1.6, brow_height_mm=2.0, brow_arch=0.7,
        brow_ridge=0.55, cheek=1.2, skin=(0.78, 0.58, 0.43), hair=(0.03, 0.027, 0.027), iris=(0.12, 0.07, 0.035),
        hair_style="fringe", cloth=(0.16, 0.17, 0.18), collar="polo", hair_thickness_mm=13.0,
    ),
    Identity(
        name="eli", seed=15, voice="en-us+m7", jaw_width=1.03, chin=1.05, cheek=0.7, nose_length=1.06,
        nose_height=1.1, lips=0.82, brow_thickness=0.9, brow_ridge=1.1, eye_height=0.95, skin=(0.82, 0.62, 0.52),
        hair=(0.52, 0.47, 0.42), iris=(0.30, 0.36, 0.33), hair_style="receding", cloth=(0.38, 0.42, 0.36),
        collar="polo", stubble=0.25, hair_thickness_mm=7.0,
    ),
    Identity(
        name="fay", seed=16, voice="en-us+f4", femininity=0.8, skull_width=0.98, jaw_width=1.0, chin=1.0, cheek=1.3,
        nose_width=1.0, nose_height=0.95, nose_length=1.04, lips=0.95, mouth_width=1.03, eye_width=1.0,
        eye_height=1.05, brow_height_mm=0.5, brow_thickness=0.6, brow_arch=1.1, brow_ridge=0.6,
        skin=(0.85, 0.66, 0.58), lip_colour=(0.70, 0.36, 0.37), hair=(0.62, 0.47, 0.27), iris=(0.25, 0.36, 0.26),
        hair_style="fringe", cloth=(0.30, 0.24, 0.42), collar="v", freckles=0.15, hair_thickness_mm=14.0,
    ),
    Identity(
        name="gus", seed=17, voice="en-us+m2", skull_width=1.02, jaw_width=1.05, chin=1.08, nose_width=1.25,
        nose_height=0.92, lips=1.4, mouth_width=1.06, eye_height=1.0, brow_ridge=1.2, brow_thickness=1.1,
        skin=(0.36, 0.22, 0.15), lip_colour=(0.34, 0.18, 0.16), hair=(0.025, 0.022, 0.02), iris=(0.12, 0.07, 0.04),
        hair_style="receding", cloth=(0.70, 0.70, 0.72), collar="crew", stubble=0.9, hair_thickness_mm=4.0,
    ),
    Identity(
        name="hana", seed=18, voice="en-us+f1", femininity=1.0, skull_width=0.98, jaw_width=0.95, chin=0.92, cheek=1.2,
        nose_width=0.98, nose_height=0.8, nose_length=0.92, lips=1.05, mouth_width=0.93, eye_width=1.02,
        eye_height=0.95, eye_tilt_mm=1.4, brow_height_mm=1.6, brow_thickness=0.7, brow_arch=0.8, brow_ridge=0.4,
        skin=(0.85, 0.67, 0.55), lip_colour=(0.76, 0.38, 0.38), hair=(0.05, 0.035, 0.03), iris=(0.14, 0.08, 0.045),
        hair_style="long", cloth=(0.20, 0.36, 0.34), collar="crew", hair_thickness_mm=8.0,
    ),
)  # fmt: skip

IDENTITIES: Mapping[str, Identity] = {identity.name: identity for identity in _ALL}
HELD_OUT = ("eli", "hana")  # never used to tune anything; for reporting
