"""What surfaces look like before light: albedo, gloss, hair, subsurface of shading samples; one kernel per material."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .compiled import jit
from .parts import Material
from .samples import Attribute
from .surface import Array
from .texture import GLOSS, HAIR, SLOPE_U, SLOPE_V, SUBSURFACE
from .wrinkles import CREASE, SLOPE_X, SLOPE_Y

Samples = NDArray[np.float32]
Kinds = NDArray[np.int8]

EYE_RADIUS_MM, IRIS_MM, PUPIL_MM = 12.2, 6.1, 2.2
RIM_TINT, RIM_PINK = np.array([0.85, 0.66, 0.66]), np.array([0.035, 0.008, 0.008])
DULL_HAIR = 0.005  # linear light that even black hair scatters
EXPONENT, SHINE = 20.0, 60.0  # highlight of dull skin, and how much sharper gloss makes it

# Plain numbers for the kernels.
NORMAL, UV, FACE, LOCAL = int(Attribute.NORMAL), int(Attribute.UV), int(Attribute.FACE), int(Attribute.LOCAL)
SKIN, EYE, TEETH, SHEET = int(Material.SKIN), int(Material.EYE), int(Material.TEETH), int(Material.HAIR)


class Surfel(IntEnum):
    """Columns of a sample's surface properties."""

    RED = 0
    GREEN = 1
    BLUE = 2
    GLOSS = 3
    EXPONENT = 4
    HAIR = 5
    SUBSURFACE = 6
    COUNT = 7


S_GLOSS, S_EXPONENT, S_HAIR, S_SOFT = int(Surfel.GLOSS), int(Surfel.EXPONENT), int(Surfel.HAIR), int(Surfel.SUBSURFACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Maps and linear colours of one subject in one frame."""

    texture: NDArray[np.float32]  # (H, W, 8)
    wrinkles: NDArray[np.float32]  # (n, n, 3)
    iris: Array  # (3,)
    hair: Array
    hair_shine: float  # of locks, relative to straight hair
    ear: Array
    mouth_opening: float


def paint(samples: Samples, kinds: Kinds, look: Look) -> NDArray[np.float32]:
    """(K, 7) surface properties of samples (K, 15); wrinkles and pores bend the normals in `samples`."""
    surfels = np.zeros((len(samples), Surfel.COUNT), np.float32)
    uniform = np.zeros((len(Material), Surfel.COUNT), np.float32)
    uniform[Material.TONGUE] = (0.60, 0.27, 0.27, 0.35, 30, 0, 0)
    uniform[Material.CAVITY] = (0.10, 0.028, 0.026, 0, EXPONENT, 0, 0)
    uniform[Material.LASH] = (*(look.hair * 0.12), 0, EXPONENT, 0, 0)
    uniform[Material.RIM] = (*(look.ear * RIM_TINT + RIM_PINK), 0.5, 70, 0, 0.6)
    uniform[Material.EAR] = (*look.ear, 0.25, EXPONENT, 0, 1)
    _uniform(kinds, uniform, surfels)
    _skin(samples, kinds, look.texture, surfels)
    _wrinkled(samples, kinds, look.wrinkles, surfels)
    _eye(samples, kinds, look.iris, surfels)
    _teeth(samples, kinds, look.mouth_opening, surfels)
    _hair_locks(samples, kinds, look.hair, look.hair_shine, surfels)
    return surfels


@jit
def ramp(low: float, high: float, value: float) -> float:
    """Smoothstep of a scalar."""
    t = (value - low) / (high - low)
    t = min(max(t, 0.0), 1.0)
    return t * t * (3 - 2 * t)


@jit
def _uniform(kinds: Kinds, uniform: NDArray[np.float32], surfels: NDArray[np.float32]) -> None:
    for k in range(len(kinds)):
        for c in range(surfels.shape[1]):
            surfels[k, c] = uniform[kinds[k], c]


@jit
def _bend(samples: Samples, k: int, across: float, upwards: float) -> None:
    """Tilt the normal of sample k by slopes along the horizontal and vertical tangent."""
    nx, ny, nz = samples[k, NORMAL], samples[k, NORMAL + 1], samples[k, NORMAL + 2]
    length = 1 / np.sqrt(nz * nz + nx * nx + 1e-9)
    tx, tz = nz * length, -nx * length
    bx, by, bz = ny * tz, nz * tx - nx * tz, -ny * tx
    nx, ny, nz = nx - across * tx - upwards * bx, ny - upwards * by, nz - across * tz - upwards * bz
    length = 1 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-12)
    samples[k, NORMAL], samples[k, NORMAL + 1], samples[k, NORMAL + 2] = nx * length, ny * length, nz * length


@jit
def _skin(samples: Samples, kinds: Kinds, texture: NDArray[np.float32], surfels: NDArray[np.float32]) -> None:
    """Textured skin, painted hair and cloth; bilinear, clamped at the border."""
    rows, columns, channels = texture.shape
    texel = np.zeros(channels)
    for k in range(len(kinds)):
        if kinds[k] != SKIN:
            continue
        x = min(max(samples[k, UV] * columns - 0.5, 0.0), columns - 1.001)
        y = min(max(samples[k, UV + 1] * rows - 0.5, 0.0), rows - 1.001)
        i, j = int(x), int(y)
        fx, fy = x - i, y - j
        for c in range(channels):
            top = texture[j, i, c] * (1 - fx) + texture[j, i + 1, c] * fx
            bottom = texture[j + 1, i, c] * (1 - fx) + texture[j + 1, i + 1, c] * fx
            texel[c] = top * (1 - fy) + bottom * fy
        for c in range(3):
            surfels[k, c] = texel[c]
        surfels[k, S_GLOSS] = texel[GLOSS]
        surfels[k, S_EXPONENT] = 18.0 + SHINE * texel[GLOSS]
        surfels[k, S_HAIR] = texel[HAIR]
        surfels[k, S_SOFT] = texel[SUBSURFACE]
        _bend(samples, k, texel[SLOPE_U], texel[SLOPE_V])


@jit
def _wrinkled(samples: Samples, kinds: Kinds, wrinkles: NDArray[np.float32], surfels: NDArray[np.float32]) -> None:
    """Wrinkles darken their creases, least in red, and bend the normal."""
    rows, columns, _ = wrinkles.shape
    for k in range(len(kinds)):
        u, v = samples[k, FACE], samples[k, FACE + 1]
        if kinds[k] != SKIN or u <= 0 or v <= 0:
            continue
        x, y = u * columns - 0.5, v * rows - 0.5
        if x < 0 or y < 0 or x > columns - 1.001 or y > rows - 1.001:
            continue
        i, j = int(x), int(y)
        fx, fy = x - i, y - j
        w00, w01, w10, w11 = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
        crease = (
            w00 * wrinkles[j, i, CREASE] + w01 * wrinkles[j, i + 1, CREASE]
            + w10 * wrinkles[j + 1, i, CREASE] + w11 * wrinkles[j + 1, i + 1, CREASE]
        )  # fmt: skip
        across = (
            w00 * wrinkles[j, i, SLOPE_X] + w01 * wrinkles[j, i + 1, SLOPE_X]
            + w10 * wrinkles[j + 1, i, SLOPE_X] + w11 * wrinkles[j + 1, i + 1, SLOPE_X]
        )  # fmt: skip
        upwards = (
            w00 * wrinkles[j, i, SLOPE_Y] + w01 * wrinkles[j, i + 1, SLOPE_Y]
            + w10 * wrinkles[j + 1, i, SLOPE_Y] + w11 * wrinkles[j + 1, i + 1, SLOPE_Y]
        )  # fmt: skip
        shade = max(0.0, 1 + 0.33 * crease)
        surfels[k, 0] *= 1 - (1 - shade) * 0.8
        surfels[k, 1] *= shade
        surfels[k, 2] *= shade
        if across != 0.0 or upwards != 0.0:
            _bend(samples, k, across, upwards)


@jit
def _eye(samples: Samples, kinds: Kinds, iris: Array, surfels: NDArray[np.float32]) -> None:
    """Sclera, iris with fibres and limbal ring, pupil, by the direction from the eyeball's centre."""
    for k in range(len(kinds)):
        if kinds[k] != EYE:
            continue
        dx, dy, dz = samples[k, LOCAL], samples[k, LOCAL + 1], samples[k, LOCAL + 2]
        length = 1 / np.sqrt(dx * dx + dy * dy + dz * dz)
        dx, dy = dx * length, dy * length
        radius = np.sqrt(dx * dx + dy * dy) * EYE_RADIUS_MM if dz > 0 else EYE_RADIUS_MM
        angle = np.arctan2(dy, dx)
        fibres = 0.5 + 0.5 * np.sin(angle * 37 + 3 * np.sin(angle * 11)) * np.sin(angle * 23 + 1.3)
        bright = 0.72 + 0.45 * fibres * (0.4 + 0.6 * ramp(PUPIL_MM, IRIS_MM, radius))
        bright *= 1.0 + 0.35 * ramp(0.2, -0.9, dy / (0.001 + radius / EYE_RADIUS_MM))  # light pools below
        bright *= 1 - 0.75 * ramp(IRIS_MM - 1.3, IRIS_MM + 0.1, radius)  # limbal ring
        collarette = ramp(IRIS_MM * 0.62, PUPIL_MM, radius) * 0.35
        pupil = 1 - 0.96 * ramp(PUPIL_MM + 0.25, PUPIL_MM - 0.25, radius)
        white = ramp(IRIS_MM - 0.25, IRIS_MM + 0.4, radius)
        veins = ramp(6.5, 11.5, radius) * 0.10
        coloured = (1 - white) * pupil
        white *= 1 - 0.28 * ramp(6.8, 12.0, radius)  # the ball turns away
        surfels[k, 0] = iris[0] * (bright + collarette * 0.25) * coloured + 0.62 * white
        surfels[k, 1] = iris[1] * (bright + collarette * 0.15) * coloured + (0.585 - veins) * white
        surfels[k, 2] = iris[2] * bright * coloured + (0.565 - veins * 1.15) * white
        surfels[k, S_GLOSS] = 1.2
        surfels[k, S_EXPONENT] = 260.0


@jit
def _teeth(samples: Samples, kinds: Kinds, opening: float, surfels: NDArray[np.float32]) -> None:
    """Single teeth of slightly different shade, dark between, with gums; darker to the back and in a narrow mouth."""
    for k in range(len(kinds)):
        if kinds[k] != TEETH:
            continue
        place, height, sideways = samples[k, LOCAL], samples[k, LOCAL + 1], samples[k, LOCAL + 2]
        tooth = np.floor(place)
        f = 2.0 * (place - tooth) - 1.0
        gap = 1.0 - 0.55 * ramp(0.84, 1.0, abs(f)) * ramp(0.0, 0.25, height)
        gum = ramp(0.90, 0.98, height + 0.16 * f * f)
        root = ramp(0.45, 1.0, height)  # warmer towards the gum, greyer at the edge
        own = 1.0 + 0.035 * np.sin(tooth * 12.9)
        dim = (0.55 + 0.45 * opening) / (1.0 + (sideways / 19.0) ** 6) * own
        surfels[k, 0] = (0.80 * gap * (1 - gum) + 0.56 * gum) * dim
        surfels[k, 1] = ((0.77 - 0.04 * root) * gap * (1 - gum) + 0.25 * gum) * dim
        surfels[k, 2] = ((0.70 - 0.12 * root) * gap * (1 - gum) + 0.24 * gum) * dim
        surfels[k, S_GLOSS] = 0.5
        surfels[k, S_EXPONENT] = 60.0


@jit
def _round_lock(samples: Samples, k: int, lean: float) -> None:
    """Lean the normal of sample k to the side of its lock; the strand's direction lies in the local columns."""
    tx, ty, tz = samples[k, LOCAL], samples[k, LOCAL + 1], samples[k, LOCAL + 2]
    nx, ny, nz = samples[k, NORMAL], samples[k, NORMAL + 1], samples[k, NORMAL + 2]
    bx, by, bz = ty * nz - tz * ny, tz * nx - tx * nz, tx * ny - ty * nx
    length = lean / np.sqrt(bx * bx + by * by + bz * bz + 1e-12)
    nx, ny, nz = nx + bx * length, ny + by * length, nz + bz * length
    length = 1 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-12)
    samples[k, NORMAL], samples[k, NORMAL + 1], samples[k, NORMAL + 2] = nx * length, ny * length, nz * length


@jit
def _hair_locks(
    samples: Samples, kinds: Kinds, hair: Array, shine: float, surfels: NDArray[np.float32]
) -> None:
    """Locks: darker at the root, streaked along, each of its own tone; the normal turns around the lock."""
    for k in range(len(kinds)):
        if kinds[k] != SHEET:
            continue
        across, along, own, lock = samples[k, UV], samples[k, UV + 1], samples[k, FACE], samples[k, FACE + 1]
        streak = np.sin(across * 9.0 + lock * 40.0) * np.sin(across * 17.0 + lock * 90.0 + 3.0 * along)
        tone = (0.70 + 0.42 * ramp(0.0, 0.8, along)) * (1.0 + 0.30 * own + 0.16 * streak)
        for c in range(3):
            surfels[k, c] = (hair[c] + DULL_HAIR) * tone
        surfels[k, S_GLOSS] = 0.16 * (lock - 0.5)  # moves its highlight
        _round_lock(samples, k, 1.3 * (across - 0.5))
        surfels[k, S_EXPONENT] = shine
        surfels[k, S_HAIR] = 1.0
