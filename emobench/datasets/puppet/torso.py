"""Neck and shoulders of an identity: outline, trapezius, collar bones. Knows nothing above the jaw."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from .identity import Identity
from .motion import smoothstep
from .sculpture import Array, bumps, ridge

NECK_Z, SHOULDERS_Z = -29.0, -40.0  # of their axes
MEET_MM = 4.0  # softness of the crease between neck and shoulders
_NECK = PchipInterpolator([-175, -150, -130, -100, -60], [60, 55, 53, 52, 51])
_FLARE = PchipInterpolator(
    [-240, -205, -190, -178, -168, -158, -150, -143, -136, -128], [126, 122, 112, 94, 71, 47, 30, 17, 7, 0]
)
_CHEST = PchipInterpolator([-240, -215, -190, -175, -165, -155, -145, -135], [80, 70, 54, 38, 24, 11, 3, 0])
_BACK = PchipInterpolator([-240, -190, -165, -150, -135, -128], [70, 64, 54, 42, 26, 0])


def torso(who: Identity, y: Array, sin: Array, cos: Array) -> tuple[Array, Array]:
    """x and z (mm) of neck and shoulders at height y and angle φ given by its sine and cosine."""
    neck, width = _widths(who, y)
    x = outline(who, y, sin)
    low = np.clip(y, -240, -128)
    inside = np.sqrt(np.clip(1 - (x / neck) ** 2, 0, 1))
    beyond = 25 * np.maximum(np.abs(x) / neck - 1, 0)
    across = np.sqrt(np.clip(1 - (x / width) ** 2, 0, 1))
    axis = NECK_Z + (SHOULDERS_Z - NECK_Z) * smoothstep(-128, -150, y)
    chest = _soft_maximum(0.86 * neck * inside + NECK_Z - beyond, axis + _CHEST(np.clip(y, -240, -135)) * across)
    back = _soft_maximum(0.95 * neck * inside - NECK_Z - beyond, -axis + _BACK(low) * across)
    return x, np.where(cos >= 0, chest + _front_relief(who, x, y) * smoothstep(0.0, 0.3, cos), -back)


def outline(who: Identity, y: Array, sin: Array) -> Array:
    """x (mm) of neck and shoulders at height y and the sine of φ."""
    _, width = _widths(who, y)
    return np.asarray(width * np.sign(sin) * np.abs(sin) ** (1 - 0.12 * smoothstep(-140, -185, y)))


def _widths(who: Identity, y: Array) -> tuple[Array, Array]:
    """Half width of the neck alone, and of neck and shoulders (mm)."""
    soft = who.femininity
    neck = _NECK(np.clip(y, -175, -60)) * (0.97 - 0.12 * soft) * who.neck_width
    return neck, neck + _FLARE(np.clip(y, -240, -128)) * (1 - 0.05 * soft) * who.shoulder_width


def _soft_maximum(a: Array, b: Array) -> Array:
    return np.asarray(np.maximum(a, b) + MEET_MM * np.exp(-np.abs(a - b) / MEET_MM) * 0.5)


def _front_relief(who: Identity, x: Array, y: Array) -> Array:
    """Collar bones, the notch between them, the slanting neck muscles, larynx, double chin (mm)."""
    wide = np.abs(x)
    bone = 2.8 * ridge(y + 172 - 0.06 * wide, 3.5) * smoothstep(8, 20, wide) * smoothstep(130, 100, wide)
    muscle = ridge(wide - 9 - (y + 172) * 0.45, 5.0) * smoothstep(-174, -160, y) * smoothstep(-110, -126, y)
    return np.asarray((bone + 2.2 * muscle) * (1 - 0.5 * who.fullness) + bumps(x, y, (
        (-3.0, 46, -158, 18, 7), (-3.0, 0, -170, 7, 6), (3.4 * (1 - who.femininity), 0, -138, 7.5, 9),
        (5.5 * who.fullness + 1.5 * who.age, 0, -123, 26, 9),
    )))  # fmt: skip
