"""Light and backdrop of one clip: the studio's, fixed per subject, or varied by a random generator within limits.

Owns the ranges of the variation; the studio itself belongs to `lighting`, the tone curve to `shading`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emobench.types import Light, Scene

from .identity import Identity
from .lighting import Lights, backdrop, shadow_axes, studio_lights
from .shading import displayed, tone_table
from .surface import Array

# Ranges of the variation: degrees, factors of the studio's strengths, linear light.
KEY_AZIMUTH, KEY_ELEVATION = (-60.0, 60.0), (10.0, 55.0)
FILL_AZIMUTH, FILL_ELEVATION = (25.0, 70.0), (-5.0, 25.0)  # on the other side than the key light
RIM_AZIMUTH, RIM_ELEVATION = (120.0, 160.0), (15.0, 50.0)
KEY_STRENGTH, FILL_STRENGTH, RIM_STRENGTH, AMBIENT_STRENGTH = (0.75, 1.15), (0.6, 1.6), (0.2, 1.5), (0.8, 1.3)
WARMTH = np.array([0.10, 0.0, -0.14])  # change of red, green, blue from white to the warmest light
WALL_BRIGHTNESS, WALL_TINT, WALL_SLOPE, WALL_LIMITS = (0.07, 0.42), 0.22, 0.35, (0.015, 0.8)
SHAPES, SHAPE_RADIUS, SHAPE_GAIN = 4, (0.15, 0.7), 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What lights a clip and what stands behind the person."""

    lights: Lights
    wall: NDArray[np.float32]  # (H, W, 3) linear light


def studio_stage(identity: Identity, size_px: int) -> Stage:
    """The fixed light and wall of a subject: one recording session."""
    return Stage(lights=studio_lights(), wall=backdrop(identity, size_px))


def varied_stage(size_px: int, rng: np.random.Generator) -> Stage:
    """Light from other directions, of other colours and strengths, before another wall."""
    base = studio_lights()
    azimuth = rng.uniform(*KEY_AZIMUTH)
    other = -1.0 if azimuth > 0 else 1.0
    key = _direction(azimuth, rng.uniform(*KEY_ELEVATION))
    lights = Lights(
        key_direction=key,
        fill_direction=_direction(other * rng.uniform(*FILL_AZIMUTH), rng.uniform(*FILL_ELEVATION)),
        rim_direction=_direction(other * rng.uniform(*RIM_AZIMUTH), rng.uniform(*RIM_ELEVATION)),
        key=base.key * rng.uniform(*KEY_STRENGTH) * _warm(rng),
        fill=base.fill * rng.uniform(*FILL_STRENGTH) * _warm(rng),
        rim=base.rim * rng.uniform(*RIM_STRENGTH) * _warm(rng),
        ambient=base.ambient * rng.uniform(*AMBIENT_STRENGTH) * _warm(rng),
        shadow_axes=shadow_axes(key),
    )
    return Stage(lights=lights, wall=_varied_wall(size_px, rng))


def scene_of(stage: Stage) -> Scene:
    """What methods and readers of the ground truth are handed: display colours of the wall, lights by name."""
    lights = stage.lights
    named = {
        "key": (lights.key_direction, lights.key), "fill": (lights.fill_direction, lights.fill),
        "rim": (lights.rim_direction, lights.rim),
    }  # fmt: skip
    return Scene(
        lights={
            name: Light(direction=direction.astype(np.float32), colour=colour.astype(np.float32))
            for name, (direction, colour) in named.items()
        },
        ambient=lights.ambient.astype(np.float32),
        backdrop=(255.0 * displayed(stage.wall, tone_table()).astype(np.float64) + 0.5).astype(np.uint8),
    )


def _direction(azimuth_degrees: float, elevation_degrees: float) -> Array:
    """Unit vector towards a light; azimuth 0 is the camera's side, positive to the right of the picture."""
    azimuth, elevation = np.radians(azimuth_degrees), np.radians(elevation_degrees)
    level = np.cos(elevation)
    return np.array([np.sin(azimuth) * level, np.sin(elevation), np.cos(azimuth) * level])


def _warm(rng: np.random.Generator) -> Array:
    return np.asarray(1 + WARMTH * rng.uniform(-1, 1))


def _varied_wall(size_px: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W, 3) linear light: a tinted gradient with a few soft shapes."""
    steps = (np.arange(size_px) + 0.5) / size_px * 2 - 1
    y, x = np.meshgrid(steps, steps, indexing="ij")
    turn, slope = rng.uniform(0, 2 * np.pi), rng.uniform(-WALL_SLOPE, WALL_SLOPE)
    brightness = 1 + slope * (np.cos(turn) * x + np.sin(turn) * y) - 0.2 * (x**2 + 0.7 * y**2)
    wall = rng.uniform(*WALL_BRIGHTNESS) * brightness[..., None] * _tint(rng)
    for _ in range(SHAPES):
        cx, cy, radius = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(*SHAPE_RADIUS)
        soft = np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / radius**2))
        wall *= 1 + rng.uniform(-SHAPE_GAIN, SHAPE_GAIN) * soft[..., None] * _tint(rng)
    low, high = WALL_LIMITS
    return np.asarray(np.clip(wall, low, high), np.float32)


def _tint(rng: np.random.Generator) -> Array:
    return np.asarray(1 + WALL_TINT * np.cos(rng.uniform(0, 2 * np.pi) + np.array([0.0, 2.1, 4.2])))
