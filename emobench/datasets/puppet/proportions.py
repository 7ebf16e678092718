"""Where an identity's features sit: carries the template's face to its own length and spacing.

Everything drawn on the template (action units, paint, wrinkles, landmarks) moves along. Around eyes, mouth and the tip
of the nose the map is a translation, so that lids stay on their eyeballs and lips keep their shape.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from .identity import Identity
from .motion import smoothstep
from .sculpture import Array, bump


class Proportions:
    """The map of one identity."""

    def __init__(self, identity: Identity) -> None:
        self._who = identity
        nose = -identity.nose_length_mm
        mouth = nose - identity.philtrum_mm
        chin, high = mouth - identity.chin_mm, identity.forehead_mm
        low = mouth + 0.15 * (chin - mouth)
        self._rise = PchipInterpolator(
            [-210, -150, -118, -104, -80, -76, -56, -47, -30, -13, 25, 58, 114],
            [0, 0.5 * chin, chin, chin, low, mouth, mouth, nose, nose, 0, 0, 0.8 * high, high],
        )

    def place(self, points: Array) -> Array:
        """(…, 3) mm in the identity's head of points in the template's."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        who, wide = self._who, np.abs(x)
        beside = smoothstep(2, 14, wide) * smoothstep(66, 50, wide) * smoothstep(-34, -15, y) * smoothstep(50, 26, y)
        sideways = who.eye_spacing_mm * beside * smoothstep(-10, 15, z)
        around = smoothstep(1.0, 0.45, np.sqrt(((wide - 31) / 33) ** 2 + ((y + 1) / 26) ** 2)) * smoothstep(-10, 15, z)
        forward = who.mouth_forward_mm * bump(x, y, 0, -63, 24, 15) * smoothstep(-10, 15, z)
        rise = self._rise(np.clip(y, -210, 114))
        return np.stack([x + np.sign(x) * sideways, y + rise, z + forward - who.eye_depth_mm * around], axis=-1)
