"""Hair of one identity: where it grows, how the scalp below it is covered and raised, and the locks that lie on it."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from .hair_groom import GROOMS
from .hair_locks import grow_locks
from .hair_ribbons import ribbons
from .hair_scalp import sample_scalp
from .identity import Identity
from .motion import smoothstep
from .parts import Part
from .surface import Array, Surface
from .view import FIELD_MM

LINE_PHI = (0, 0.35, 0.75, 1.05, 1.25, 1.45, 1.62, 1.8, 2.3, np.pi)
FRONT_HEIGHT = {
    "long": 62.0, "straight": 61.0, "bob": 62.0, "short": 61.0, "coils": 60.0, "fringe": 60.0, "receding": 74.0,
    "fade": 60.0,
}  # fmt: skip
BARE, SHADED = 0.2, 0.6  # cover below which no lock grows, and no stubble stands out
CURLED = ("coils", "fade")  # lies in no direction
CROPPED = ("short", "coils", "receding", "fade", "fringe")
SOFT_MM = 13.0  # from the first single hairs to full cover
SKULL_ONLY = -80.0  # template height below which no skin carries hair
THINNEST_PX = 0.6  # of a lock; what is thinner breaks into dots
FULL_DETAIL_PX, LEAST_DETAIL = 448, 0.28
CROWN = 117.5  # no lock grows at the pole itself, where directions are undefined
LIFT_MM = 26.0  # full thickness is reached this far from the hairline


def above_hairline(identity: Identity, phi: Array, v: Array) -> Array:
    """Template mm above the uneven hairline; negative on bare skin."""
    style = identity.hair_style
    front = FRONT_HEIGHT[style]
    receding = style == "receding"
    nape = (-16.0, -42.0, -54.0) if style in CROPPED else (-34.0, -62.0, -70.0)
    heights = (
        front, front + (6 if receding else 2.5), 85.0 if receding else 60.0, 52.0 if receding else 44.0, 16.0,
        0.0 if identity.femininity else -12.0, -10.0, *nape,
    )  # fmt: skip
    line = PchipInterpolator(LINE_PHI, heights)(np.abs(phi))
    uneven = 1.1 * np.sin(phi * 5 + identity.seed) + 0.6 * np.sin(phi * 13 + 2 * identity.seed)
    return np.asarray(v - line + uneven)


def cover(identity: Identity, phi: Array, v: Array) -> Array:
    """Share of the skin that hair covers, 0..1: falls off softly towards the hairline."""
    above = above_hairline(identity, phi, v)
    full = smoothstep(-2.0, SOFT_MM, above) * (np.asarray(v) > SKULL_ONLY - 10)
    if identity.hair_style == "fade":
        full = full * (0.35 + 0.6 * smoothstep(-25, 62, v)) * (0.55 + 0.45 * smoothstep(4, 26, above))
    if identity.hair_style == "receding":
        full = full * (1 - 0.45 * smoothstep(68, 95, v))
    return np.asarray(full)


def thickness(identity: Identity, phi: Array, v: Array) -> Array:
    """How far the layer under the locks lifts the scalp (mm)."""
    above = above_hairline(identity, phi, v)
    lift = identity.hair_thickness_mm * smoothstep(2, LIFT_MM, above)
    return np.where(np.asarray(v) > SKULL_ONLY, lift, 0.0)


def detail(size_px: int) -> float:
    """Share of the locks that frames of a size show: fewer and wider ones where single ones would only flicker."""
    return float(np.clip(size_px / FULL_DETAIL_PX, LEAST_DETAIL, 1.0))


def shine(identity: Identity, size_px: int) -> float:
    """Highlight of an identity's locks relative to smooth straight hair; weaker where it would only flicker."""
    return float(GROOMS[identity.hair_style].shine * (0.35 + 0.65 * detail(size_px)))


def loose_hair(surface: Surface, size_px: int) -> list[Part]:
    """Hair that is not skin: the locks."""
    groom = GROOMS[surface.identity.hair_style]
    rng = np.random.default_rng(surface.identity.seed)
    scalp = sample_scalp(surface, over_ears=groom.over_ears)
    density = cover(surface.identity, scalp.phi, scalp.v) * (scalp.v > SKULL_ONLY) * (scalp.v < CROWN)
    density[density < (BARE if groom.rows > 3 else SHADED)] = 0.0
    locks = grow_locks(surface, scalp, groom, density, detail(size_px), rng)
    return [ribbons(locks, groom.tip, THINNEST_PX * FIELD_MM / size_px, rng)]
