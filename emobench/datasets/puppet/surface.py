"""The neutral face as a function: from template coordinates (φ, v) to millimetres; lids, lips and brows as curves.

Axes: x to the subject's left, y up, z forward, origin between the eyes. φ turns about the vertical axis z = −15,
v is the height up to 60 mm and an angle of the dome above. Knows no triangles, hair or motion.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from .identity import Identity
from .motion import smoothstep
from .proportions import Proportions
from .sculpture import Array, ageing, bones, bump, lid_relief, lips, nose, ridge
from .torso import torso

__all__ = ["Array", "Surface", "bump", "template_height"]

AXIS_Z = -15.0
EYE_X, EYE_Y, EYE_Z = 31.0, 0.2, 25.6
EYEBALL_RADIUS, LID_RADIUS, LID_REST_RADIUS = 12.2, 13.15, 13.3
LID_HALF_WIDTH = 14.6
SUPERELLIPSE = 2.0
HEAD_BOTTOM = -118.0  # template height above which everything belongs to the head layer

_WIDTH = PchipInterpolator(
    [-130, -118, -112, -105, -95, -80, -62, -40, -20, 0, 20, 40, 60],
    [32, 34, 37.5, 42.5, 48.5, 54.5, 60.5, 66, 69.5, 71.5, 73, 72.5, 69],
)
_FRONT = PchipInterpolator(
    [-130, -121, -116, -112, -105, -95, -80, -65, -46, -25, -10, 4, 16, 30, 40, 50, 60],
    [33, 36, 39, 42.5, 46.5, 47.5, 46.5, 46.5, 47, 47.5, 48.3, 50.2, 52.3, 52.3, 51, 48.5, 45],
)
_BACK = PchipInterpolator([-130, -90, -60, -20, 20, 60], [58, 62, 70, 82, 88, 82])
_JAW_LINE = PchipInterpolator([0, 0.35, 0.8, 1.25, 1.6, 2.2, np.pi], [-115.5, -113, -101, -78, -55, -60, -75])


def template_height(v: Array) -> tuple[Array, Array]:
    """Height y (mm) of template rows, and the factor by which the dome narrows them."""
    t = np.clip((np.asarray(v, float) - 60) / 60, 0, 1)
    y = np.where(v > 60, 60 + 54 * np.sin(t * np.pi / 2), v)
    narrowing = np.where(v > 60, np.cos(np.minimum(t, 0.999) * np.pi / 2) ** 0.95, 1.0)
    return y, narrowing


class Surface:
    """One identity's neutral surface and feature curves. `side` arguments are +1 for the subject's left (x > 0)."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.mouth_half_width = 25.5 * identity.mouth_width
        self._proportions = Proportions(identity)

    # ---------------------------------------------------------------- feature curves over x (mm)

    def half_width(self, y: Array) -> Array:
        """Half width of the head at height y."""
        who = self.identity
        width = _WIDTH(np.clip(y, -130, 60)) * who.skull_width
        width = width * (1 + (who.temple_width - 1) * smoothstep(5, 35, y))
        width = width * (1 + (who.cheekbone_width - 1) * ridge(y + 16, 22))
        width = width * (1 + (who.jaw_width - 1) * smoothstep(-30, -75, y))
        width = width * (1 + (who.chin_width - 1) * 0.7 * smoothstep(-90, -110, y))
        width = width + 0.5 * who.jaw_angle_mm * ridge(y + 80, 13)
        return np.asarray(width + (3.2 * who.fullness - 2.0 * who.gauntness) * ridge(y + 60, 20))

    def jaw_line(self, phi: Array) -> Array:
        """Template height of the lower edge of the jaw at |φ|."""
        wide = np.abs(phi)
        return np.asarray(_JAW_LINE(wide) - self.identity.jaw_angle_mm * ridge(wide - 1.15, 0.28))

    def eye_centre(self, side: int) -> Array:
        """Centre of an eyeball in the identity's head."""
        return self.place(np.array([EYE_X * side, EYE_Y, EYE_Z]))

    def lid_span(self) -> tuple[float, float]:
        """|x| of the inner and outer corner of the eye."""
        width = LID_HALF_WIDTH * self.identity.eye_width
        return EYE_X - width, EYE_X + width

    def lids(self, x: Array) -> tuple[Array, Array]:
        """Template heights of the upper and lower lid margin at |x|."""
        inner, outer = self.lid_span()
        t = np.clip((np.abs(x) - inner) / (outer - inner), 0, 1)
        base = -1.2 + (2.4 + self.identity.eye_tilt_mm) * t
        open_ = self.identity.eye_height
        upper = base + 6.0 * open_ * np.maximum(np.sin(np.pi * t ** (0.86 + 0.1 * self.identity.epicanthus)), 0) ** 0.80
        lower = base - 4.4 * open_**0.7 * np.maximum(np.sin(np.pi * t**1.15), 0) ** 0.9
        return upper, lower

    def lid_crease(self, x: Array) -> Array:
        """Template height of the upper lid's crease at |x|."""
        return np.asarray(self.lids(x)[0] * 0.82 + self.identity.lid_fold_mm)

    def slit(self, x: Array) -> Array:
        """Template height of the line between the closed lips."""
        x = np.abs(x)
        relative = (x / self.mouth_half_width) ** 2
        bow = 0.5 * np.exp(-(((x - 8) / 5.0) ** 2)) - 0.7 * np.exp(-((x / 4.0) ** 2))
        return np.asarray(bow - 65.0 + (self.identity.mouth_corner_mm + 0.3) * relative)

    def upper_lip(self, x: Array) -> Array:
        """Template height of the upper vermilion border, with Cupid's bow."""
        x = np.abs(x)
        relative = x / self.mouth_half_width
        shape = np.clip(1 - relative**2, 0, 1) ** 0.75
        bow = (1 - 0.20 * np.exp(-((x / 2.8) ** 2))) * (1 - 0.10 * relative)
        return np.asarray(self.slit(x) + self.identity.lips * self.identity.upper_lip * 7.0 * shape * bow)

    def lower_lip(self, x: Array) -> Array:
        """Template height of the lower vermilion border."""
        shape = np.clip(1 - (np.abs(x) / self.mouth_half_width) ** 2.2, 0, 1) ** 0.72
        return np.asarray(self.slit(x) - self.identity.lips * self.identity.lower_lip * 8.4 * shape)

    def brow(self, x: Array) -> Array:
        """Template height of the brow's middle line at |x| of 11 to 50 mm."""
        who, t = self.identity, np.clip((np.abs(x) - 11) / 39, 0, None)
        rise = 4.2 * np.sin(np.clip(t, 0, 1) * np.pi * 0.5 * 1.35) ** 1.3
        arch = who.brow_arch * (rise - 3.6 * np.clip(t - 0.62, 0, 1) / 0.38)
        return np.asarray(17.0 + who.brow_height_mm + arch + who.brow_tilt_mm * (t - 0.4))

    # ---------------------------------------------------------------- the surface

    def phi(self, x: Array, y: Array) -> Array:
        """Template angle of a frontal point below the dome."""
        return np.asarray(np.arcsin(np.clip(x / self.half_width(y), -1, 1)))

    def points(self, phi: Array, v: Array) -> Array:
        """(…, 3) mm in the identity's head of template coordinates; sculpted, lids laid on the eyeballs."""
        return self.place(self.template_points(phi, v))

    def place(self, points: Array) -> Array:
        """(…, 3) mm in the identity's head of points in the template's; see proportions."""
        return self._proportions.place(points)

    def template_points(self, phi: Array, v: Array) -> Array:
        """(…, 3) mm before the features move to their places: here x and y are those of the feature curves."""
        phi, v = np.asarray(phi, float), np.asarray(v, float)
        y, narrowing = template_height(v)
        level = np.clip(y, -130, 60)
        sin, cos = np.sin(phi), np.cos(phi)
        x = self.half_width(y) * narrowing * sin
        front = (_FRONT(level) - self.identity.forehead_slope_mm * smoothstep(20, 60, level) - AXIS_Z) * narrowing
        curve = np.maximum(1 - np.abs(sin) ** SUPERELLIPSE, 0) ** (1 / SUPERELLIPSE)
        z = AXIS_Z + np.where(cos >= 0, front * curve, -_BACK(level) * narrowing * np.abs(cos))
        is_head = smoothstep(-13, 5, y - self.jaw_line(phi))
        neck_x, neck_z = torso(self.identity, y, sin, cos)
        x = x * is_head + neck_x * (1 - is_head)
        z = z * is_head + neck_z * (1 - is_head)
        facing = smoothstep(0.15, 0.55, cos) * is_head
        z = z + facing * self._sculpture(x, y)
        wing = bump(x, y, 14.5 * self.identity.nose_width, -38, 3.0, 4.5)
        x = x + np.sign(x) * facing * 2.0 * wing
        for side in (1, -1):
            z = self._over_eyeball(x, y, z, facing, side)
        z = z + facing * lid_relief(self.identity, x, y, self.lid_crease(x))
        return np.stack([x, y, z], -1)

    def _sculpture(self, x: Array, y: Array) -> Array:
        """Depth added to the front of the face (mm)."""
        who, mouth = self.identity, self.mouth_half_width
        volume = lips(who, x, y, self.slit(x), self.upper_lip(x), self.lower_lip(x), mouth)
        return np.asarray(bones(who, x, y) + ageing(who, x, y, mouth) + nose(who, x, y) + volume)

    def _over_eyeball(self, x: Array, y: Array, z: Array, facing: Array, side: int) -> Array:
        """Lift the skin around an eye onto the ball, blending softly into the socket."""
        centre = np.array([EYE_X * side, EYE_Y, EYE_Z])
        dx, dy = x - centre[0], y - centre[1]
        weight = facing * smoothstep(1.0, 0.0, np.sqrt((dx / 19) ** 2 + (dy / 13.0) ** 2) - 0.12)
        squared = dx**2 + dy**2
        inside = squared < (LID_REST_RADIUS * 0.97) ** 2
        ball = centre[2] + np.sqrt(np.maximum(LID_REST_RADIUS**2 - squared, 0))
        higher = np.maximum(np.where(inside, ball, z), z)
        softer = np.where(inside, 3.0 * np.logaddexp(z / 3.0, ball / 3.0), z)
        lifted = 0.5 * higher + 0.5 * np.minimum(softer, higher + 1.2)
        return np.asarray(z * (1 - weight) + lifted * weight)
