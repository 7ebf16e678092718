"""Who the puppets are: eight identities as parameters of skull, features, age, colours, hair, clothes and voice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

HairStyle = Literal["long", "straight", "bob", "short", "coils", "fringe", "receding", "fade"]
Collar = Literal["crew", "v", "polo", "shirt", "mock"]
Colour = tuple[float, float, float]  # sRGB 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Factors multiply the template's measures; offsets are in mm; shares run from 0 to 1. Colours are sRGB 0..1."""

    name: str
    seed: int  # of skin and hair noise
    voice: str  # of espeak-ng
    femininity: float = 0.0  # neck, lashes, lid tint, larynx
    age: float = 0.2  # share: lines, folds, bags, jowls
    # Skull and soft tissue
    skull_width: float = 1.0
    temple_width: float = 1.0
    cheekbone_width: float = 1.0
    jaw_width: float = 1.0
    jaw_angle_mm: float = 0.0  # lower and wider corners of the jaw when positive
    chin: float = 1.0  # projection
    chin_width: float = 1.0
    chin_mm: float = 0.0  # longer
    forehead_mm: float = 0.0  # higher
    forehead_slope_mm: float = 0.0  # leaning back at the hairline
    cheek: float = 1.0
    gauntness: float = 0.0
    fullness: float = 0.0  # of lower cheeks and under the chin
    # Nose
    nose_length_mm: float = 0.0
    nose_width: float = 1.0
    nose_height: float = 1.0
    nose_bridge: float = 1.0  # width
    nose_root: float = 1.0  # height between the eyes
    nose_hump_mm: float = 0.0
    nose_tip: float = 1.0  # roundness
    nose_upturn_mm: float = 0.0
    # Mouth
    philtrum_mm: float = 0.0  # longer
    lips: float = 1.0
    upper_lip: float = 1.0
    lower_lip: float = 1.0
    mouth_width: float = 1.0
    mouth_corner_mm: float = 0.0  # raised
    mouth_forward_mm: float = 0.0
    # Eyes and brows
    eye_spacing_mm: float = 0.0  # of each eye, outwards
    eye_depth_mm: float = 0.0  # deeper in the skull
    eye_width: float = 1.0
    eye_height: float = 1.0
    eye_tilt_mm: float = 0.0
    lid_fold_mm: float = 4.4  # height of the upper lid's crease
    lid_hood: float = 0.0  # skin hanging over the crease
    epicanthus: float = 0.0
    brow_height_mm: float = 0.0
    brow_thickness: float = 1.0
    brow_arch: float = 1.0
    brow_tilt_mm: float = 0.0  # outer end up
    brow_gap_mm: float = 0.0  # inner ends apart, each
    brow_density: float = 1.0
    brow_ridge: float = 1.0
    # Build and clothes
    neck_width: float = 1.0
    shoulder_width: float = 1.0
    cloth: Colour = (0.25, 0.33, 0.45)
    collar: Collar = "crew"
    # Colours and marks
    skin: Colour = (0.80, 0.58, 0.47)
    blush: float = 1.0
    lip_colour: Colour = (0.70, 0.34, 0.33)
    iris: Colour = (0.30, 0.20, 0.11)
    ear_size: float = 1.0
    hair: Colour = (0.16, 0.09, 0.05)
    brow_colour: Colour = (0.10, 0.06, 0.04)
    hair_style: HairStyle = "short"
    hair_thickness_mm: float = 3.0  # of the layer under the locks
    stubble: float = 0.0
    beard: float = 0.0
    beard_colour: Colour = (0.10, 0.08, 0.07)
    freckles: float = 0.0
    spots: float = 0.0  # of age
    makeup: float = 0.0


_ALL = (
    Identity(
        name="amy", seed=11, voice="en-us+f2", femininity=1.0, age=0.08, skull_width=0.94, temple_width=0.98,
        cheekbone_width=0.985, jaw_width=0.88, jaw_angle_mm=-3.0, chin=0.9, chin_width=0.82, chin_mm=-2.0,
        forehead_mm=1.0, cheek=1.1, nose_length_mm=-3.5, nose_width=0.74, nose_height=0.86, nose_bridge=0.7,
        nose_tip=1.0, nose_upturn_mm=1.8, philtrum_mm=-2.0, lips=1.22, upper_lip=1.05, mouth_width=0.88,
        mouth_corner_mm=0.9, eye_spacing_mm=1.6, eye_width=0.99, eye_height=1.22, eye_tilt_mm=0.8, lid_fold_mm=4.6,
        brow_height_mm=1.6, brow_thickness=1.15, brow_arch=0.55, brow_density=0.95, brow_ridge=0.3, neck_width=0.92,
        shoulder_width=0.88, ear_size=0.9, skin=(0.88, 0.69, 0.60), blush=1.15, lip_colour=(0.76, 0.42, 0.42),
        hair=(0.30, 0.17, 0.08), brow_colour=(0.34, 0.19, 0.11), iris=(0.26, 0.38, 0.48), hair_style="long",
        cloth=(0.55, 0.22, 0.25), collar="v", freckles=1.0, makeup=0.3,
    ),
    Identity(
        name="ben", seed=12, voice="en-us+m3", age=0.22, skull_width=0.985, temple_width=0.97, cheekbone_width=0.99,
        jaw_width=1.05, jaw_angle_mm=4.0, chin=1.15, chin_width=1.15, chin_mm=5.0, forehead_mm=2.0,
        forehead_slope_mm=3.0, cheek=0.85, gauntness=0.45, nose_length_mm=3.6, nose_width=0.95, nose_height=1.14,
        nose_bridge=1.0, nose_root=1.3, nose_hump_mm=1.8, nose_upturn_mm=-0.8, philtrum_mm=0.8, lips=0.86,
        upper_lip=0.75, mouth_width=1.02, eye_spacing_mm=-2.2, eye_depth_mm=1.8, eye_height=0.94, eye_tilt_mm=-0.3,
        lid_fold_mm=3.4, lid_hood=0.35, brow_height_mm=-0.8, brow_thickness=1.4, brow_arch=0.5, brow_tilt_mm=1.2,
        brow_gap_mm=-1.5, brow_density=1.15, brow_ridge=1.5, neck_width=1.04, shoulder_width=1.03, eye_width=0.95,
        mouth_corner_mm=0.2, ear_size=0.95, skin=(0.78, 0.59, 0.47), lip_colour=(0.68, 0.43, 0.39),
        hair=(0.10, 0.065, 0.045), brow_colour=(0.08, 0.055, 0.04), iris=(0.33, 0.23, 0.13),
        cloth=(0.22, 0.30, 0.42), collar="crew", stubble=0.55, hair_thickness_mm=2.0,
    ),
    Identity(
        name="cora", seed=13, voice="en-us+f3", femininity=0.9, age=0.22, skull_width=0.97, temple_width=1.0,
        cheekbone_width=1.02, jaw_width=0.86, jaw_angle_mm=-1.0, chin=1.0, chin_width=0.86, chin_mm=-0.5,
        forehead_mm=6.0, forehead_slope_mm=-2.0, cheek=1.5, gauntness=0.3, nose_length_mm=-0.5, nose_width=1.3,
        nose_height=0.84, nose_bridge=1.15, nose_root=0.55, nose_tip=1.3, lips=1.5, upper_lip=1.08, mouth_width=1.1,
        mouth_corner_mm=0.5, mouth_forward_mm=2.2, eye_spacing_mm=0.6, eye_depth_mm=-0.8, eye_width=1.0,
        eye_height=1.06, eye_tilt_mm=1.6, lid_fold_mm=4.2, brow_height_mm=1.4, brow_thickness=0.85, brow_arch=1.45,
        brow_ridge=0.35, neck_width=0.93, shoulder_width=0.92, philtrum_mm=-1.0, ear_size=0.9,
        skin=(0.52, 0.345, 0.25), lip_colour=(0.52, 0.25, 0.25), hair=(0.035, 0.028, 0.025),
        brow_colour=(0.03, 0.025, 0.02), iris=(0.15, 0.09, 0.05), hair_style="coils", cloth=(0.75, 0.68, 0.50),
        collar="mock", hair_thickness_mm=6.0, makeup=0.6,
    ),
    Identity(
        name="dai", seed=14, voice="en-us+m1", age=0.03, skull_width=1.02, temple_width=1.0, cheekbone_width=1.05,
        jaw_width=1.02, jaw_angle_mm=0.0, chin=0.85, chin_width=0.95, chin_mm=-2.5, forehead_mm=0.0, cheek=1.1,
        fullness=0.25, nose_length_mm=-1.5, nose_width=1.12, nose_height=0.78, nose_bridge=1.1, nose_root=0.3,
        nose_tip=1.1, nose_upturn_mm=0.6, philtrum_mm=-1.5, lips=0.98, mouth_width=0.92, mouth_forward_mm=1.0,
        eye_spacing_mm=2.2, eye_depth_mm=-2.0, eye_width=0.95, eye_height=0.9, eye_tilt_mm=1.9, lid_fold_mm=2.2,
        lid_hood=0.5, epicanthus=1.0, brow_height_mm=2.6, brow_thickness=1.2, brow_arch=0.1, brow_tilt_mm=1.5,
        brow_gap_mm=1.0, brow_ridge=0.3, neck_width=0.95, shoulder_width=0.96, mouth_corner_mm=0.4, ear_size=0.95,
        skin=(0.83, 0.66, 0.50), blush=0.7, lip_colour=(0.72, 0.46, 0.42), hair=(0.03, 0.027, 0.027),
        brow_colour=(0.04, 0.035, 0.035), iris=(0.13, 0.08, 0.045), hair_style="fringe", cloth=(0.16, 0.17, 0.18),
        collar="polo", hair_thickness_mm=3.0,
    ),
    Identity(
        name="eli", seed=15, voice="en-us+m7", age=1.0, skull_width=0.98, temple_width=0.955, cheekbone_width=1.0,
        jaw_width=0.94, jaw_angle_mm=1.0, chin=1.1, chin_width=0.98, chin_mm=2.0, forehead_mm=3.0,
        forehead_slope_mm=4.0, cheek=1.0, gauntness=0.8, nose_length_mm=5.5, nose_width=1.06, nose_height=1.16,
        nose_bridge=1.05, nose_root=1.2, nose_hump_mm=1.0, nose_tip=1.15, nose_upturn_mm=-2.0, philtrum_mm=3.5,
        lips=0.64, upper_lip=0.7, mouth_width=1.06, mouth_corner_mm=-0.8, eye_spacing_mm=-1.0, eye_depth_mm=2.4,
        eye_height=0.9, eye_tilt_mm=-1.2, lid_fold_mm=3.0, lid_hood=0.9, brow_height_mm=-1.0, brow_thickness=1.35,
        brow_arch=0.6, brow_density=0.9, brow_ridge=1.25, neck_width=0.95, eye_width=0.95, ear_size=1.1,
        skin=(0.85, 0.67, 0.58), blush=1.25, lip_colour=(0.70, 0.47, 0.44), hair=(0.52, 0.47, 0.42),
        brow_colour=(0.45, 0.41, 0.37), iris=(0.34, 0.42, 0.44), hair_style="receding", cloth=(0.38, 0.42, 0.36),
        collar="shirt", stubble=0.15, hair_thickness_mm=1.2, spots=0.8,
    ),
    Identity(
        name="fay", seed=16, voice="en-us+f4", femininity=0.8, age=0.75, skull_width=0.99, temple_width=1.0,
        cheekbone_width=1.01, jaw_width=0.95, jaw_angle_mm=-2.0, chin=0.85, chin_width=0.9, chin_mm=-1.0,
        forehead_mm=-1.0, cheek=1.3, fullness=0.7, nose_length_mm=1.0, nose_width=1.02, nose_height=0.94,
        nose_bridge=1.0, nose_tip=1.25, philtrum_mm=3.2, lips=0.74, upper_lip=0.72, mouth_width=1.12,
        mouth_corner_mm=0.6, eye_spacing_mm=-1.2, eye_depth_mm=0.6, eye_width=0.97, eye_height=1.16,
        eye_tilt_mm=-1.4, lid_fold_mm=3.4, lid_hood=0.75, brow_height_mm=3.0, brow_thickness=0.62, brow_arch=1.8,
        brow_density=0.8, brow_gap_mm=1.5, brow_ridge=0.4, neck_width=0.94, shoulder_width=0.95, ear_size=0.93,
        skin=(0.90, 0.70, 0.63), blush=1.6, lip_colour=(0.72, 0.30, 0.33), hair=(0.62, 0.47, 0.27),
        brow_colour=(0.50, 0.38, 0.26), iris=(0.30, 0.42, 0.31), hair_style="bob", cloth=(0.30, 0.24, 0.42),
        collar="v", freckles=0.1, hair_thickness_mm=3.0, spots=0.25, makeup=0.7,
    ),
    Identity(
        name="gus", seed=17, voice="en-us+m2", age=0.8, skull_width=1.035, temple_width=1.0, cheekbone_width=1.02,
        jaw_width=1.09, jaw_angle_mm=3.0, chin=1.0, chin_width=1.15, chin_mm=-1.0, forehead_mm=1.0,
        forehead_slope_mm=2.0, cheek=1.1, fullness=0.7, nose_length_mm=-0.5, nose_width=1.4, nose_height=0.98,
        nose_bridge=1.3, nose_root=0.85, nose_tip=1.4, philtrum_mm=0.6, lips=1.2, upper_lip=0.9, mouth_width=1.14,
        mouth_forward_mm=1.6, eye_spacing_mm=2.2, eye_depth_mm=0.6, eye_width=0.95, eye_height=0.98,
        eye_tilt_mm=-0.6, lid_fold_mm=3.4, lid_hood=0.5, brow_height_mm=0.6, brow_thickness=1.15, brow_arch=1.0,
        brow_ridge=1.25, neck_width=1.12, shoulder_width=1.06, brow_density=1.1, skin=(0.345, 0.228, 0.172),
        lip_colour=(0.38, 0.22, 0.20), hair=(0.08, 0.077, 0.075), brow_colour=(0.19, 0.165, 0.145),
        iris=(0.13, 0.08, 0.05), hair_style="fade", cloth=(0.70, 0.70, 0.72), collar="shirt", beard=1.0,
        beard_colour=(0.34, 0.312, 0.29), hair_thickness_mm=1.2, spots=0.3,
    ),
    Identity(
        name="hana", seed=18, voice="en-us+f1", femininity=1.0, age=0.1, skull_width=0.975, temple_width=1.0,
        cheekbone_width=1.01, jaw_width=0.88, jaw_angle_mm=-2.0, chin=0.9, chin_width=0.74, chin_mm=-2.5,
        forehead_mm=1.5, cheek=1.1, nose_length_mm=-3.8, nose_width=0.93, nose_height=0.78, nose_bridge=0.95,
        nose_root=0.4, nose_tip=1.0, nose_upturn_mm=1.0, philtrum_mm=-1.8, lips=1.15, mouth_width=0.85,
        mouth_corner_mm=0.7, eye_spacing_mm=-0.4, eye_depth_mm=-1.6, eye_width=0.97, eye_height=1.1, eye_tilt_mm=1.7,
        lid_fold_mm=2.8, lid_hood=0.25, epicanthus=0.8, brow_height_mm=3.8, brow_thickness=0.72, brow_arch=0.8,
        brow_density=0.95, brow_ridge=0.25, neck_width=0.9, shoulder_width=0.88, fullness=0.3, ear_size=0.88,
        skin=(0.88, 0.71, 0.60), lip_colour=(0.78, 0.44, 0.43), hair=(0.05, 0.035, 0.03),
        brow_colour=(0.08, 0.06, 0.05), iris=(0.15, 0.09, 0.05), hair_style="straight", cloth=(0.20, 0.36, 0.34),
        collar="mock", hair_thickness_mm=3.0, makeup=0.3,
    ),
)  # fmt: skip

IDENTITIES: Mapping[str, Identity] = {identity.name: identity for identity in _ALL}
HELD_OUT = ("eli", "hana")  # never used to tune anything; for reporting
