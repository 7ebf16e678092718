"""Light on shading samples: shadow, diffuse with subsurface wrap, highlights, tone curve. Knows no pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import jit
from .lighting import Lights
from .materials import Kinds, Samples, Surfel
from .parts import Material
from .samples import Attribute
from .surface import Array

OCCLUSION, NX, NY, NZ = int(Attribute.OCCLUSION), *(int(Attribute.NORMAL) + i for i in range(3))
GLOSS, EXPONENT, HAIR, SOFT = int(Surfel.GLOSS), int(Surfel.EXPONENT), int(Surfel.HAIR), int(Surfel.SUBSURFACE)
SKIN, EYE, LOCK = int(Material.SKIN), int(Material.EYE), int(Material.HAIR)
STRAND = int(Attribute.LOCAL)  # direction of a lock of hair
SHADOW_BIAS_MM, EYE_BIAS_MM, PENUMBRA_MM = 4.0, 1.0, 2.5
HAIR_PENUMBRA_MM = 9.0  # locks let light through: the deeper below others, the darker
HAIR_GLOW = 0.28  # share of the key light that reaches shaded hair
GLANCE = 3.0  # how much skin gains in gloss at grazing angles
PAINTED_SHINE = 0.15  # short and underlying hair stands in all directions
HAIR_EDGE = 0.25  # rough strands catch little of the rim light
TONE_STEPS, TONE_LIMIT = 4096, 1.5
INSIDE_MOUTH = np.array([material in (Material.TEETH, Material.TONGUE) for material in Material])


def tone_table() -> NDArray[np.float32]:
    """Display value 0..1 of linear light 0..1.5 in steps of its square root; a filmic shoulder, gamma 2.2."""
    linear = (np.arange(TONE_STEPS) / (TONE_STEPS - 1)) ** 2 * TONE_LIMIT
    return (np.clip(linear / (1 + 0.18 * linear) * 1.1, 0, 1) ** (1 / 2.2)).astype(np.float32)


def displayed(light: NDArray[np.float32], table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Display values 0..1 of linear light of any shape."""
    steps = np.sqrt(np.clip(light, 0, TONE_LIMIT) / TONE_LIMIT) * (len(table) - 1)
    return np.asarray(table[np.rint(steps).astype(np.int64)], np.float32)


def shade(
    samples: Samples, kinds: Kinds, surfels: NDArray[np.float32], hair: Array, lights: Lights,
    shadow: NDArray[np.float32], camera: Array, table: NDArray[np.float32],
) -> NDArray[np.float32]:  # fmt: skip
    """(K, 3) display colours 0..1 of samples whose surfaces are painted."""
    lit = np.empty(len(samples), np.float32)
    _shadowed(samples, kinds, shadow, lights.shadow_axes, lit)
    light = np.empty((len(samples), 3), np.float32)
    _illuminate(samples, kinds, surfels, lit, hair, lights, camera, light)
    return displayed(light, table)


@jit
def _shadowed(
    samples: Samples, kinds: Kinds, shadow: NDArray[np.float32], axes: Array, lit: NDArray[np.float32]
) -> None:
    """Share of the key light that arrives, 0..1: a 4 × 4 tent over the shadow map."""
    rows, columns = shadow.shape
    for k in range(len(kinds)):
        px, py, pz = samples[k, 0], samples[k, 1], samples[k, 2]
        x = axes[0, 0] * px + axes[0, 1] * py + axes[0, 2] * pz + axes[0, 3] - 0.5
        y = axes[1, 0] * px + axes[1, 1] * py + axes[1, 2] * pz + axes[1, 3] - 0.5
        depth = axes[2, 0] * px + axes[2, 1] * py + axes[2, 2] * pz
        depth += EYE_BIAS_MM if kinds[k] == EYE else SHADOW_BIAS_MM
        i, j = int(np.floor(x)), int(np.floor(y))
        fx, fy = x - i, y - j
        total = 0.0
        for dj in range(-1, 3):
            wy = 1 - fy if dj == -1 else (fy if dj == 2 else 1.0)
            for di in range(-1, 3):
                wx = 1 - fx if di == -1 else (fx if di == 2 else 1.0)
                share = 1.0
                if 0 <= i + di < columns and 0 <= j + dj < rows:
                    behind = shadow[j + dj, i + di] - depth
                    if behind > 0:
                        share = max(0.0, 1 - behind / (HAIR_PENUMBRA_MM if kinds[k] == LOCK else PENUMBRA_MM))
                total += wx * wy * share
        total /= 9.0
        if INSIDE_MOUTH[kinds[k]]:
            total = 0.55 + 0.45 * total
        elif kinds[k] == EYE:  # moist and translucent: corners in the lids' shadow stay readable
            total = 0.35 + 0.65 * total
        elif kinds[k] == LOCK:  # light passes between and through hairs
            total = HAIR_GLOW + (1 - HAIR_GLOW) * total
        lit[k] = total


@jit
def _illuminate(
    samples: Samples, kinds: Kinds, surfels: NDArray[np.float32], lit: NDArray[np.float32], hair: Array, lights: Lights,
    camera: Array, light: NDArray[np.float32],
) -> None:  # fmt: skip
    """Linear light (K, 3) that samples send to the camera."""
    key, fill, rim, ambient = lights.key, lights.fill, lights.rim, lights.ambient
    kd, fd, rd = lights.key_direction, lights.fill_direction, lights.rim_direction
    kx, ky, kz, fx, fy, fz, rx, ry, rz = kd[0], kd[1], kd[2], fd[0], fd[1], fd[2], rd[0], rd[1], rd[2]
    wraps = np.array([0.34, 0.16, 0.10])  # light bends furthest into shadow in red
    bleeds = np.array([0.75, 1.0, 1.1])
    for k in range(len(kinds)):
        vx, vy, vz = _unit(camera[0] - samples[k, 0], camera[1] - samples[k, 1], camera[2] - samples[k, 2])
        nx, ny, nz = _unit(samples[k, NX], samples[k, NY], samples[k, NZ])
        if kinds[k] != SKIN and nx * vx + ny * vy + nz * vz < 0:
            nx, ny, nz = -nx, -ny, -nz
        facing = max(0.0, nx * vx + ny * vy + nz * vz)
        open_, reached, soft = samples[k, OCCLUSION], lit[k], surfels[k, SOFT]
        to_key = nx * kx + ny * ky + nz * kz
        to_fill = max(0.0, (nx * fx + ny * fy + nz * fz + 0.3) / 1.3) * (0.4 + 0.6 * open_)
        sky = (0.725 + 0.275 * ny) * open_
        edge = (1 - facing) ** 3 * max(0.0, nx * rx + ny * ry + nz * rz) * 0.5 * open_
        hx, hy, hz = _unit(kx + vx, ky + vy, kz + vz)
        is_hair = surfels[k, HAIR] > 0.5
        glow = 0.0
        if is_hair:
            is_lock = kinds[k] == LOCK
            tx, ty, tz = _strand(samples, k, is_lock, nx, ny, nz)
            lit_side = max(0.0, min(1.0, 1.4 * to_key + 0.3)) * reached * (0.3 + 0.7 * open_)
            lit_side *= surfels[k, EXPONENT] if is_lock else PAINTED_SHINE  # that of hair is its shine
            shine, glow = _strand_lobes(tx * hx + ty * hy + tz * hz, nx * hx + ny * hy + nz * hz, surfels[k, GLOSS])
            shine, glow, edge = shine * lit_side, glow * lit_side, edge * HAIR_EDGE
        else:
            shine = _gleam(max(0.0, nx * hx + ny * hy + nz * hz), surfels[k, GLOSS], surfels[k, EXPONENT], soft, to_key,
                           reached, facing, kinds[k] == EYE)  # fmt: skip
        dull = (0.85 if is_hair else 1.0) * (0.55 + 0.45 * open_) * (open_ if kinds[k] == EYE else 1.0)
        for c in range(3):
            wrap = wraps[c] * soft if soft > 0 else 0.08
            bled = reached
            if soft > 0 and 0.0 < reached < 1.0:  # what bleeds into shadow through skin is red
                bled = reached ** bleeds[c]
            arriving = key[c] * max(0.0, (to_key + wrap) / (1 + wrap)) * bled + fill[c] * to_fill + ambient[c] * sky
            light[k, c] = surfels[k, c] * arriving * dull + shine * key[c] + edge * rim[c]
            if is_hair:
                light[k, c] += glow * key[c] * np.sqrt(surfels[k, c] * hair[c] + 1e-6)


@jit
def _strand(samples: Samples, k: int, is_lock: bool, nx: float, ny: float, nz: float) -> tuple[float, float, float]:
    """Unit direction of the hair at sample k; painted strands run down the skin."""
    tx, ty, tz = -ny * nx, 1 - ny * ny, -ny * nz
    if is_lock:
        tx, ty, tz = float(samples[k, STRAND]), float(samples[k, STRAND + 1]), float(samples[k, STRAND + 2])
    return _unit(tx, ty, tz)


@jit
def _unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = 1 / np.sqrt(x * x + y * y + z * z + 1e-12)
    return x * length, y * length, z * length


@jit
def _strand_lobes(along: float, facing: float, shift: float) -> tuple[float, float]:
    """Highlights of a strand by the cosines of the half vector to its tangent and normal: white, and in its own colour.

    The scales of a hair tilt the first towards the root and the second, which passed through the hair, to the tip.
    """
    first, second = along + (shift - 0.12) * facing, along + (shift + 0.20) * facing
    white = 0.10 * max(0.0, 1 - first * first) ** 36
    return white, 0.75 * max(0.0, 1 - second * second) ** 12


@jit
def _gleam(
    half: float, gloss: float, exponent: float, soft: float, to_key: float, reached: float, facing: float, is_eye: bool
) -> float:
    """Blinn-Phong highlight of skin, teeth and eyes by the cosine to the half vector."""
    if is_eye:
        return float(1.1 * half**exponent * reached + 0.004)
    if gloss <= 0.0:
        return 0.0
    lit_side = max(0.0, min(1.0, to_key * 3)) * reached
    if soft <= 0.0:
        return float(gloss * 0.22 * half**exponent * lit_side)
    # Skin: a fine oily lobe over a broad one, both stronger where it is seen at a glance (Schlick 1994).
    glance = 0.8 + GLANCE * (1 - facing) ** 5
    return float(gloss * (0.13 * half**exponent + 0.075 * half**7) * glance * lit_side)
