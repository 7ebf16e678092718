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
SKIN, EYE = int(Material.SKIN), int(Material.EYE)
SHADOW_BIAS_MM, EYE_BIAS_MM, PENUMBRA_MM = 4.0, 1.0, 2.5
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
                        share = max(0.0, 1 - behind / PENUMBRA_MM)
                total += wx * wy * share
        total /= 9.0
        lit[k] = 0.55 + 0.45 * total if INSIDE_MOUTH[kinds[k]] else total


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
        vx, vy, vz = camera[0] - samples[k, 0], camera[1] - samples[k, 1], camera[2] - samples[k, 2]
        length = 1 / np.sqrt(vx * vx + vy * vy + vz * vz)
        vx, vy, vz = vx * length, vy * length, vz * length
        nx, ny, nz = samples[k, NX], samples[k, NY], samples[k, NZ]
        length = 1 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-12)
        if kinds[k] != SKIN and nx * vx + ny * vy + nz * vz < 0:
            length = -length
        nx, ny, nz = nx * length, ny * length, nz * length
        facing = max(0.0, nx * vx + ny * vy + nz * vz)
        open_, reached, soft = samples[k, OCCLUSION], lit[k], surfels[k, SOFT]
        to_key = nx * kx + ny * ky + nz * kz
        to_fill = max(0.0, (nx * fx + ny * fy + nz * fz + 0.3) / 1.3) * (0.4 + 0.6 * open_)
        sky = (0.725 + 0.275 * ny) * open_
        edge = (1 - facing) ** 3 * max(0.0, nx * rx + ny * ry + nz * rz) * 0.5 * open_
        hx, hy, hz = kx + vx, ky + vy, kz + vz
        length = 1 / np.sqrt(hx * hx + hy * hy + hz * hz)
        hx, hy, hz = hx * length, hy * length, hz * length
        is_hair = surfels[k, HAIR] > 0.5
        if is_hair:  # Kajiya-Kay: strands run down the surface
            tx, ty, tz = -ny * nx, 1 - ny * ny, -ny * nz
            along = (tx * hx + ty * hy + tz * hz) / np.sqrt(tx * tx + ty * ty + tz * tz + 1e-9)
            shine = 0.16 * max(0.0, 1 - along * along) ** 20 * max(0.0, to_key + 0.2) * reached
        else:
            shine = _gleam(max(0.0, nx * hx + ny * hy + nz * hz), surfels[k, GLOSS], surfels[k, EXPONENT], soft, to_key,
                           reached, kinds[k] == EYE)  # fmt: skip
        if is_hair:
            edge *= HAIR_EDGE
        dull = (0.85 if is_hair else 1.0) * (0.55 + 0.45 * open_) * (open_ if kinds[k] == EYE else 1.0)
        for c in range(3):
            wrap = wraps[c] * soft if soft > 0 else 0.08
            bled = reached
            if soft > 0 and 0.0 < reached < 1.0:  # what bleeds into shadow through skin is red
                bled = reached ** bleeds[c]
            arriving = key[c] * max(0.0, (to_key + wrap) / (1 + wrap)) * bled + fill[c] * to_fill + ambient[c] * sky
            tint = (0.235 - 0.015 * c + 1.5 * hair[c]) if is_hair else key[c]
            light[k, c] = surfels[k, c] * arriving * dull + shine * tint + edge * rim[c]


@jit
def _gleam(
    half: float, gloss: float, exponent: float, soft: float, to_key: float, reached: float, is_eye: bool
) -> float:
    """Blinn-Phong highlight of skin, teeth and eyes by the cosine to the half vector."""
    if is_eye:
        return float(1.1 * half**exponent * reached + 0.004)
    if gloss <= 0.0:
        return 0.0
    broad = 0.05 * half**6 if soft > 0 else 0.0
    return float(gloss * (0.22 * half**exponent + broad) * max(0.0, min(1.0, to_key * 3)) * reached)
