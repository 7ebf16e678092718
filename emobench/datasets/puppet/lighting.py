"""The studio's light and backdrop, fixed per subject: directions, colours, the key light's shadow map, the wall."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .identity import Identity
from .surface import Array

SHADOW_TEXELS, SHADOW_FIELD_MM, SHADOW_CENTRE_ROWS = 320, 420.0, -25.0 / 384


class Lights(NamedTuple):
    """Unit directions towards the lights and linear colours; a NamedTuple because numba kernels read it."""

    key_direction: Array  # (3,)
    fill_direction: Array
    rim_direction: Array
    key: Array  # (3,) linear RGB
    fill: Array
    rim: Array
    ambient: Array
    shadow_axes: Array  # (3, 4): studio position → shadow column, row and depth in mm


def _unit(x: float, y: float, z: float) -> Array:
    vector = np.array([x, y, z])
    return np.asarray(vector / np.linalg.norm(vector))


def studio_lights() -> Lights:
    """A key light from the upper left of the picture, a weak fill, a cool rim from behind."""
    key = _unit(-0.45, 0.55, 0.85)
    return Lights(
        key_direction=key, fill_direction=_unit(0.75, 0.15, 0.75), rim_direction=_unit(0.6, 0.5, -0.75),
        key=np.array([1.22, 1.17, 1.10]) * 0.92, fill=np.array([0.34, 0.36, 0.40]), rim=np.array([0.6, 0.62, 0.68]),
        ambient=np.array([0.30, 0.30, 0.32]), shadow_axes=shadow_axes(key),
    )  # fmt: skip


def shadow_axes(key: Array) -> Array:
    """(3, 4) from studio positions (mm) to column, row and depth of the shadow map of a key light's direction."""
    across = np.cross([0.0, 1.0, 0.0], key)
    across /= np.linalg.norm(across)
    up = np.cross(key, across)
    scale = SHADOW_TEXELS / SHADOW_FIELD_MM
    axes = np.zeros((3, 4))
    axes[0, :3], axes[0, 3] = across * scale, SHADOW_TEXELS / 2
    axes[1, :3], axes[1, 3] = -up * scale, SHADOW_TEXELS * (0.5 + SHADOW_CENTRE_ROWS)
    axes[2, :3] = key
    return axes


def backdrop(identity: Identity, size_px: int) -> NDArray[np.float32]:
    """(H, W, 3) linear light of the wall behind a subject: a soft vignette, tinted per subject."""
    steps = (np.arange(size_px) + 0.5) / size_px * 2 - 1
    y, x = np.meshgrid(steps, steps, indexing="ij")
    brightness = 0.30 * (1 - 0.28 * (x**2 + 0.7 * y**2) - 0.10 * x)
    turn = identity.seed * 2.399963  # golden angle: neighbours differ
    tint = 1 + 0.07 * np.cos(turn + np.array([0.0, 2.1, 4.2])) + np.array([-0.03, 0.0, 0.03])
    return np.asarray(brightness[..., None] * tint, np.float32)
