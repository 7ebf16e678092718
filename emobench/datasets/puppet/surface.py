"""The neutral face as a function: from template coordinates (φ, v) to millimetres; lids, lips and brows as curves.

Axes: x to the subject's left, y up, z forward, origin between the eyes. φ turns about the vertical axis z = −15,
v is the height up to 60 mm and an angle of the dome above. Knows no triangles, hair or motion.
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

AXIS_Z = -15.0
EYE_X, EYE_Y, EYE_Z = 31.0, 0.2, 25.6
EYEBALL_RADIUS, LID_RADIUS, LID_REST_RADIUS = 12.2, 13.15, 13.3
LID_HALF_WIDTH = 14.6
SUPERELLIPSE = 2.15
HEAD_BOTTOM = -118.0  # template height above which everything belongs to the head layer

_WIDTH = PchipInterpolator(
    [-130, -118, -112, -105, -95, -80, -62, -40, -20, 0, 20, 40, 60],
    [36, 38, 41, 45, 51, 57.5, 62.5, 67, 70, 72, 73.5, 72.5, 69.5],
)
_FRONT = PchipInterpolator(
    [-130, -121, -116, -112, -105, -95, -80, -65, -46, -25, -10, 4, 16, 30, 40, 50, 60],
    [33, 36, 39, 42.5, 46, 47, 46, 46, 46.5, 47, 47.5, 49.5, 52.5, 52, 50.3, 47.5, 44],
)
_BACK = PchipInterpolator([-130, -90, -60, -20, 20, 60], [58, 62, 70, 82, 88, 82])
_JAW_LINE = PchipInterpolator([0, 0.35, 0.8, 1.25, 1.6, 2.2, np.pi], [-115.5, -113, -101, -78, -55, -60, -75])
_NECK = PchipInterpolator([-175, -150, -130, -100, -60], [62, 55, 53, 52, 51])
_NOSE_HEIGHT = PchipInterpolator(
    [-80, -47, -45, -42.5, -39.5, -36, -32.5, -29, -21, -15, -7, 0, 7, 14, 40],
    [0, 0, 3.2, 9.5, 16, 21.3, 24, 23.2, 18.8, 15.2, 11.4, 7.2, 3, 0.4, 0],
)
_NOSE_WIDTH = PchipInterpolator(
    [-80, -46, -40, -33, -27, -18, -8, 2, 12, 40], [4.5, 4.2, 5.8, 8.2, 8.8, 7.2, 6.0, 6.6, 9, 9]
)


def bump(x: Array, y: Array, cx: float, cy: float, sx: float, sy: float) -> Array:
    """Gaussian of height 1 at (±cx, cy): symmetric about the midline."""
    return np.asarray(np.exp(-0.5 * ((np.abs(x) - cx) / sx) ** 2 - 0.5 * ((y - cy) / sy) ** 2))


def bumps(x: Array, y: Array, table: Sequence[tuple[float, float, float, float, float]]) -> Array:
    """Sum of amplitude·bump over rows (amplitude, cx, cy, sx, sy)."""
    total = np.zeros(np.broadcast(x, y).shape)
    for amplitude, cx, cy, sx, sy in table:
        total += amplitude * bump(x, y, cx, cy, sx, sy)
    return total


def jaw_line(phi: Array) -> Array:
    """Template height of the lower edge of the jaw at |φ|."""
    return np.asarray(_JAW_LINE(np.abs(phi)))


def template_height(v: Array) -> tuple[Array, Array]:
    """Height y (mm) of template rows, and the factor by which the dome narrows them."""
    t = np.clip((np.asarray(v, float) - 60) / 60, 0, 1)
    y = np.where(v > 60, 60 + 54 * np.sin(t * np.pi / 2), v)
    narrowing = np.where(v > 60, np.cos(np.minimum(t, 0.999) * np.pi / 2) ** 0.85, 1.0)
    return y, narrowing


class Surface:
    """One identity's neutral surface and feature curves. `side` arguments are +1 for the subject's left (x > 0)."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.mouth_half_width = 25.5 * identity.mouth_width

    # ---------------------------------------------------------------- feature curves over x (mm)

    def half_width(self, y: Array) -> Array:
        """Half width of the head at height y."""
        width = _WIDTH(np.clip(y, -130, 60)) * self.identity.skull_width
        return np.asarray(width * (1 + (self.identity.jaw_width - 1) * smoothstep(-30, -75, y)))

    def eye_centre(self, side: int) -> Array:
        """Centre of an eyeball."""
        return np.array([EYE_X * side, EYE_Y, EYE_Z])

    def lid_span(self) -> tuple[float, float]:
        """|x| of the inner and outer corner of the eye."""
        width = LID_HALF_WIDTH * self.identity.eye_width
        return EYE_X - width, EYE_X + width

    def lids(self, x: Array) -> tuple[Array, Array]:
        """Heights of the upper and lower lid margin at |x|."""
        inner, outer = self.lid_span()
        t = np.clip((np.abs(x) - inner) / (outer - inner), 0, 1)
        base = -1.2 + (2.4 + self.identity.eye_tilt_mm) * t
        open_ = self.identity.eye_height
        upper = base + 5.7 * open_ * np.maximum(np.sin(np.pi * t**0.86), 0) ** 0.80
        lower = base - 4.4 * open_ * np.maximum(np.sin(np.pi * t**1.15), 0) ** 0.9
        return upper, lower

    def slit(self, x: Array) -> Array:
        """Height of the line between the closed lips."""
        x = np.abs(x)
        relative = (x / self.mouth_half_width) ** 2
        bow = 0.5 * np.exp(-(((x - 8) / 5.0) ** 2)) - 0.7 * np.exp(-((x / 4.0) ** 2))
        return np.asarray(bow - 65.0 - 0.8 * relative)

    def upper_lip(self, x: Array) -> Array:
        """Height of the upper vermilion border, with Cupid's bow."""
        x = np.abs(x)
        relative = x / self.mouth_half_width
        shape = np.clip(1 - relative**2, 0, 1) ** 0.75
        bow = (1 - 0.20 * np.exp(-((x / 2.8) ** 2))) * (1 - 0.10 * relative)
        return np.asarray(self.slit(x) + self.identity.lips * 7.0 * shape * bow)

    def lower_lip(self, x: Array) -> Array:
        """Height of the lower vermilion border."""
        shape = np.clip(1 - (np.abs(x) / self.mouth_half_width) ** 2.4, 0, 1) ** 0.62
        return np.asarray(self.slit(x) - self.identity.lips * 8.8 * shape)

    def brow(self, x: Array) -> Array:
        """Height of the brow's middle line at |x| of 11 to 50 mm."""
        arch, t = self.identity.brow_arch, np.clip((np.abs(x) - 11) / 39, 0, None)
        rise = 4.2 * np.sin(np.clip(t, 0, 1) * np.pi * 0.5 * 1.35) ** 1.3
        return np.asarray(
            17.0 + self.identity.brow_height_mm + arch * (rise - 3.6 * np.clip(t - 0.62, 0, 1) / 0.38)
        )

    # ---------------------------------------------------------------- the surface

    def phi(self, x: Array, y: Array) -> Array:
        """Template angle of a frontal point below the dome."""
        return np.asarray(np.arcsin(np.clip(x / self.half_width(y), -1, 1)))

    def points(self, phi: Array, v: Array) -> Array:
        """(…, 3) mm of template coordinates; sculpted, lids laid on the eyeballs."""
        phi, v = np.asarray(phi, float), np.asarray(v, float)
        y, narrowing = template_height(v)
        level = np.clip(y, -130, 60)
        sin, cos = np.sin(phi), np.cos(phi)
        x = self.half_width(y) * narrowing * sin
        front = (_FRONT(level) - AXIS_Z) * narrowing
        curve = np.maximum(1 - np.abs(sin) ** SUPERELLIPSE, 0) ** (1 / SUPERELLIPSE)
        z = AXIS_Z + np.where(cos >= 0, front * curve, -_BACK(level) * narrowing * np.abs(cos))
        is_head = smoothstep(-13, 5, y - jaw_line(phi))
        neck_x, neck_z = self._neck(y, sin, cos)
        x = x * is_head + neck_x * (1 - is_head)
        z = z * is_head + neck_z * (1 - is_head)
        facing = smoothstep(0.15, 0.55, cos) * is_head
        z = z + facing * self._sculpture(x, y)
        nose = self.identity
        wing = bump(x, y / nose.nose_length, 14.5 * nose.nose_width, -38, 3.0, 4.5)
        x = x + np.sign(x) * facing * 2.0 * wing
        for side in (1, -1):
            z = self._over_eyeball(x, y, z, facing, side)
        return np.stack([x, y, z], -1)

    def _neck(self, y: Array, sin: Array, cos: Array) -> tuple[Array, Array]:
        """x and z of neck and shoulders."""
        soft = self.identity.femininity
        radius = _NECK(np.clip(y, -175, -60)) * (0.97 - 0.12 * soft)
        flare = smoothstep(-138, -185, y) ** 1.25
        deepen = smoothstep(-128, -215, y)
        width = radius * (1 - flare) + (172 - 14 * soft) * flare
        depth = radius * 0.9 * (1 - deepen) + 80 * deepen
        squared = np.sign(sin) * np.abs(sin) ** (1 - 0.15 * flare)
        centre = AXIS_Z - 14
        x = np.where(y < -120, width * squared, radius * sin)
        z_neck = centre + np.where(cos >= 0, radius * 0.86 * cos, radius * 0.95 * cos)
        z_torso = centre + depth * cos * np.where(cos > 0, 1, 0.9)
        return x, np.where(y < -120, z_torso, z_neck)

    def _sculpture(self, x: Array, y: Array) -> Array:
        """Depth added to the front of the face (mm)."""
        who, mouth = self.identity, self.mouth_half_width
        lips, chin = who.lips**0.6, who.chin
        depth = bumps(x, y, (
            (8.5, 0, -60, 21, 18), (-10.2, 31.5, -1, 14.5, 10.5), (-4.2, 15, 1, 5, 8),  # muzzle, socket, canthus
            (3.4 * who.brow_ridge, 24, 18, 16, 5.5), (1.6 * who.brow_ridge, 0, 16, 12, 7), (1.5, 26, 44, 18, 14),
            (4.6 * who.cheek, 44, -22, 15, 11), (-2.6, 47, -56, 14, 16), (-3.0, 64, 28, 9, 16),  # cheek, hollow, temple
            (-2.2, 25, -12.5, 9, 4), (1.2, 29, -42, 9, 13), (-1.5, 21, -48, 3.5, 8),  # tear trough, nasolabial fold
            (5.0 * chin, 0, -100, 14 * chin, 9.5), (-3.6, 0, -82.5, 15, 4.5),
            (3.0 * lips, 0, -60.2, mouth * 0.55, 3.1), (0.6, 0, -60, 3, 2.6), (4.2 * lips, 0, -70.6, mouth * 0.50, 3.5),
            (-1.6, 0, -65.2, mouth * 0.9, 1.3), (-2.0, mouth + 1.5, -66.3, 3, 4),
            (-1.2, 0, -53.5, 2.2, 4.5), (0.8, 4.6, -54, 1.7, 4.5),  # philtrum and its ridges
        ))  # fmt: skip
        along = y / who.nose_length
        clipped = np.clip(along, -80, 40)
        height = _NOSE_HEIGHT(clipped) * who.nose_height
        width = _NOSE_WIDTH(clipped) * (0.55 + 0.45 * who.nose_width)
        depth += height * np.exp(-0.75 * (np.abs(x) / width) ** 2)
        wide = who.nose_width
        return depth + bumps(x, along, (
            (8.0, 12.8 * wide, -38, 4.0 * (0.4 + 0.6 * wide), 4.2), (2.2, 10.5 * wide, -33, 5, 4),  # alae
            (-5.0, 6.6 * wide, -43.2, 2.9, 1.9), (-1.8, 18.5 * wide, -36.5, 1.8, 5.5),  # nostril, alar crease
        ))  # fmt: skip

    def _over_eyeball(self, x: Array, y: Array, z: Array, facing: Array, side: int) -> Array:
        """Lift the skin around an eye onto the ball, blending softly into the socket."""
        centre = self.eye_centre(side)
        dx, dy = x - centre[0], y - centre[1]
        weight = facing * smoothstep(1.0, 0.0, np.sqrt((dx / 19) ** 2 + (dy / 13.0) ** 2) - 0.12)
        squared = dx**2 + dy**2
        inside = squared < (LID_REST_RADIUS * 0.97) ** 2
        ball = centre[2] + np.sqrt(np.maximum(LID_REST_RADIUS**2 - squared, 0))
        higher = np.maximum(np.where(inside, ball, z), z)
        softer = np.where(inside, 3.0 * np.logaddexp(z / 3.0, ball / 3.0), z)
        lifted = 0.5 * higher + 0.5 * np.minimum(softer, higher + 1.2)
        return np.asarray(z * (1 - weight) + lifted * weight)
