"""Relief of the neutral face in template millimetres: what bones, fat, lips, nose and years add to its depth.

Depth along z as functions of frontal x, y. Knows no skull outline, no mesh, no motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from .identity import Identity
from .motion import smoothstep

Array = NDArray[np.floating[Any]]

_BRIDGE_HEIGHT = PchipInterpolator(
    [-80, -46, -40, -33, -27, -21, -15, -7, 0, 7, 14, 24], [0, 8, 13, 16, 17.2, 16.8, 14.8, 11.2, 7.4, 3.4, 0.6, 0]
)
_BRIDGE_WIDTH = PchipInterpolator([-80, -46, -36, -27, -18, -8, 2, 12, 40], [5, 6, 8, 7.8, 6.8, 6.0, 6.6, 9, 9])
NOSE_TIP_Y = -33.0
NOSTRIL_X, ALA_X = 6.4, 12.6


def bump(x: Array, y: Array, cx: float, cy: float, sx: float, sy: float) -> Array:
    """Gaussian of height 1 at (±cx, cy): symmetric about the midline."""
    return np.asarray(np.exp(-0.5 * ((np.abs(x) - cx) / sx) ** 2 - 0.5 * ((y - cy) / sy) ** 2))


def bumps(x: Array, y: Array, table: Sequence[tuple[float, float, float, float, float]]) -> Array:
    """Sum of amplitude·bump over rows (amplitude, cx, cy, sx, sy)."""
    total = np.zeros(np.broadcast(x, y).shape)
    for amplitude, cx, cy, sx, sy in table:
        total += amplitude * bump(x, y, cx, cy, sx, sy)
    return total


def ridge(distance: Array, width: float) -> Array:
    """A line of height 1 along distance = 0."""
    return np.asarray(np.exp(-0.5 * (distance / width) ** 2))


def nasolabial_distance(wide: Array, y: Array) -> Array:
    """Signed mm outwards from the fold between nose and corner of the mouth, at |x|."""
    return np.asarray(wide - (17.5 - (y + 38) * 0.58))


def bones(who: Identity, x: Array, y: Array) -> Array:
    """Muzzle, sockets, brow ridge, cheekbones, temples, chin, and the flesh over them (mm)."""
    narrow = 1 - 0.3 * who.epicanthus
    return bumps(x, y, (
        (8.0, 0, -60, 21, 18), (-8.2 * narrow, 31.5, -1, 14, 10.5), (-2.6 * narrow, 15, -1, 5, 7),
        (3.2 * who.brow_ridge, 24, 18, 16, 5.5), (1.5 * who.brow_ridge, 0, 16, 12, 7), (1.5, 26, 44, 18, 14),
        (4.4 * who.cheek, 44, -22, 15, 11), (1.4 * (1 - who.age), 33, -30, 11, 9),
        (-2.4 - 3.4 * who.gauntness + 3.2 * who.fullness, 46, -56, 14, 16), (-2.6 - 2.0 * who.gauntness, 64, 28, 9, 16),
        (-1.6 - 1.4 * who.age, 25, -12.5, 9, 4), (1.2 + 1.6 * who.fullness, 29, -42, 9, 13),
        (5.0 * who.chin, 0, -100, 14 * who.chin_width, 9.5), (-3.4, 0, -82.5, 15, 4.5),
        (1.2 * (who.chin_width - 0.9), 9, -103, 5, 6),
    ))  # fmt: skip


def ageing(who: Identity, x: Array, y: Array, mouth: float) -> Array:
    """Folds, bags and jowls (mm); `mouth` is the half width of the mouth."""
    wide, age = np.abs(x), who.age
    fold = nasolabial_distance(wide, y)
    reach = smoothstep(-35, -43, y) * smoothstep(-78, -60, y)
    depth = reach * ((0.25 + 1.7 * age) * ridge(fold - 6, 4.2) - (0.35 + 1.7 * age) * ridge(fold, 2.0))
    return np.asarray(depth + age * bumps(x, y, (
        (1.5, 31, -13.2, 9, 2.6), (-1.0, 31, -18.5, 11, 2.2), (2.6, 37, -90, 8, 9), (-1.6, 24, -99, 5, 7),
        (-1.4, mouth + 5, -78, 2.4, 8), (-1.0, 9, 15, 3.5, 6),
    )))  # fmt: skip


def lips(who: Identity, x: Array, y: Array, slit: Array, upper: Array, lower: Array, mouth: float) -> Array:
    """Volume of both lips between their borders, philtrum, corners and the slit (mm)."""
    across = np.clip(1 - (x / mouth) ** 2, 0, 1) ** 0.6
    above = (y - slit) / np.maximum(upper - slit, 0.8)
    below = (slit - y) / np.maximum(slit - lower, 0.8)
    fuller_above, fuller_below = (who.lips * who.upper_lip) ** 0.6, (who.lips * who.lower_lip) ** 0.6
    volume = np.where(
        y >= slit, 3.4 * fuller_above * ridge(above - 0.48, 0.52), 4.6 * fuller_below * ridge(below - 0.42, 0.44)
    )
    groove = -1.5 * ridge(y - slit, 1.2) * ridge(x, mouth * 0.8)
    return np.asarray(across * volume + groove + bumps(x, y, (
        (0.7, 0, -61.5, 3, 2.4), (-2.0, mouth + 0.5, -65.2, 2.4, 2.4), (1.0, mouth - 1, -70, 6, 4),
        (1.2, 0, -56.2, 15, 3.0),
        (-1.3, 0, -53.0, 2.3, 4.5), (0.9, 4.7, -53.5, 1.8, 4.5),
    )))  # fmt: skip


def nose(who: Identity, x: Array, y: Array) -> Array:
    """Bridge, tip, wings and nostrils (mm)."""
    wide, broad = np.abs(x), who.nose_width
    tip_y = NOSE_TIP_Y + who.nose_upturn_mm
    height = _BRIDGE_HEIGHT(np.clip(y, -80, 24)) * (1 + (who.nose_root - 1) * ridge(y - 1, 9.0))
    height = height + who.nose_hump_mm * ridge(y + 10, 6.0)
    width = _BRIDGE_WIDTH(np.clip(y, -80, 40)) * who.nose_bridge
    depth = height * np.exp(-0.75 * (wide / width) ** 2)
    tip = 5.2 * (0.45 + 0.55 * who.nose_tip)
    depth = depth + 8.0 * bump(x, y, 0, tip_y, tip, 5.2) + bumps(x, y, (
        (8.4, ALA_X * broad, -38.3, 3.9 * (0.4 + 0.6 * broad), 3.9), (2.4, 10.0 * broad, -33, 5, 4.5),
    ))  # fmt: skip
    # The underside: lowest at the columella, higher at the nostrils, between them and the wings' rims.
    edge = -46.6 + 2.6 * ridge(wide - NOSTRIL_X * broad, 2.4) + 1.9 * smoothstep(8 * broad, 12 * broad, wide)
    rise = 8.5 + 0.6 * who.nose_upturn_mm - 4.0 * smoothstep(6.5 * broad, 12 * broad, wide)
    depth = depth * smoothstep(edge - 1.5, edge - 1.5 + rise, y) * who.nose_height
    return np.asarray(depth + bumps(x, y, (
        (-4.6, NOSTRIL_X * broad, -42.4, 2.3, 1.5), (-1.6, 18.3 * broad, -37.5, 1.8, 4.5),
        (1.0, 0, -44.5, 2.0, 2.5),
    )))  # fmt: skip


def lid_relief(who: Identity, x: Array, y: Array, crease: Array) -> Array:
    """The upper lid's crease (at height `crease`), what hangs over it, and the fold at the inner corner (mm)."""
    wide = np.abs(x)
    span = smoothstep(15, 22, wide) * smoothstep(50, 43, wide)
    depth = -0.7 * (1 - 0.5 * who.epicanthus) * span * ridge(y - crease, 0.9)
    depth = depth + (0.4 + 2.4 * who.lid_hood) * span * ridge(y - crease - 3.4, 2.4)
    return np.asarray(depth + who.epicanthus * 1.8 * bump(x, y, 17.5, 2.6, 3.6, 3.6))
