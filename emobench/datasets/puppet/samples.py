"""From visibility to shading samples: which pixels need one and which several, and the attributes at each sample.

A pixel whose n × n visibility samples lie on one smooth surface gets one averaged shading sample; edges, eyes, teeth
and lashes get one per visibility sample. Samples stand in the order of their pixels.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .compiled import jit
from .parts import Material
from .surface import Array

PLAIN = -1  # count of a pixel that gets one averaged sample
SMOOTH = np.array([m in (Material.SKIN, Material.HAIR, Material.EAR) for m in Material])


class Attribute(IntEnum):
    """First columns of the attributes in packed vertices and samples."""

    POSITION = 0
    NORMAL = 3
    UV = 6
    FACE = 8
    LOCAL = 10
    OCCLUSION = 13
    HEIGHT = 14
    COUNT = 15


@jit
def count_samples(
    seen: NDArray[np.int32], nearness: Array, material: NDArray[np.int8], tolerance_mm: float, counts: NDArray[np.int8]
) -> int:
    """Fill counts (H, W) with PLAIN or the number of covered visibility samples; returns how many samples follow."""
    size = counts.shape[0]
    n = seen.shape[0] // size
    total = 0
    for y in range(size):
        for x in range(size):
            first = seen[y * n, x * n]
            low = high = nearness[y * n, x * n]
            plain = first >= 0 and SMOOTH[material[first]]
            covered = 0
            for i in range(n):
                for j in range(n):
                    t = seen[y * n + i, x * n + j]
                    if t >= 0:
                        covered += 1
                    if t < 0 or material[t] != material[first]:
                        plain = False
                    low = min(low, nearness[y * n + i, x * n + j])
                    high = max(high, nearness[y * n + i, x * n + j])
            plain = plain and 1 / low - 1 / high < tolerance_mm
            counts[y, x] = PLAIN if plain else covered
            total += 1 if plain else covered
    return total


@jit
def gather_samples(
    seen: NDArray[np.int32], nearness: Array, screen: Array, triangles: NDArray[np.int32], material: NDArray[np.int8],
    vertices: NDArray[np.float32], counts: NDArray[np.int8], samples: NDArray[np.float32], kinds: NDArray[np.int8],
) -> None:  # fmt: skip
    """Interpolate packed vertices into samples (K, 15) and their materials into kinds (K,).

    Weights are perspective-correct; `screen` (n, 3) is what was rasterised: column, row and nearness of vertices.
    """
    size = counts.shape[0]
    n = seen.shape[0] // size
    columns = samples.shape[1]
    k = 0
    for y in range(size):
        for x in range(size):
            if counts[y, x] == 0:
                continue
            plain = counts[y, x] == PLAIN
            part = 1.0 / (n * n) if plain else 1.0
            if plain:
                samples[k] = 0.0
            for i in range(n):
                for j in range(n):
                    row, column = y * n + i, x * n + j
                    t = seen[row, column]
                    if t < 0:
                        continue
                    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
                    x0, y0 = screen[a, 0], screen[a, 1]
                    x1, y1, x2, y2 = screen[b, 0] - x0, screen[b, 1] - y0, screen[c, 0] - x0, screen[c, 1] - y0
                    px, py = column + 0.5 - x0, row + 0.5 - y0
                    area = 1.0 / (x1 * y2 - x2 * y1)
                    v1, v2 = (px * y2 - py * x2) * area, (py * x1 - px * y1) * area
                    depth = part / nearness[row, column]
                    w1, w2 = np.float32(v1 * screen[b, 2] * depth), np.float32(v2 * screen[c, 2] * depth)
                    w0 = np.float32((1.0 - v1 - v2) * screen[a, 2] * depth)
                    kinds[k] = material[t]
                    if plain:
                        for m in range(columns):
                            samples[k, m] += w0 * vertices[a, m] + w1 * vertices[b, m] + w2 * vertices[c, m]
                    else:
                        for m in range(columns):
                            samples[k, m] = w0 * vertices[a, m] + w1 * vertices[b, m] + w2 * vertices[c, m]
                        k += 1
            if plain:
                k += 1


@jit
def resolve(
    counts: NDArray[np.int8], samples: NDArray[np.float32], rgb: NDArray[np.float32], wall: NDArray[np.float32],
    n_squared: int, head_above: float, frame: NDArray[np.uint8], head_alpha: NDArray[np.uint8],
    torso_alpha: NDArray[np.uint8], head: NDArray[np.uint8], back: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Average display colours (K, 3) into frame, head and back (H, W, 3); head's and torso's coverage (H, W)."""
    size = counts.shape[0]
    height_column = samples.shape[1] - 1
    in_head, in_back = np.zeros(3), np.zeros(3)
    k = 0
    for y in range(size):
        for x in range(size):
            plain = counts[y, x] == PLAIN
            count = 1 if plain else counts[y, x]
            weight = n_squared if plain else 1
            uncovered = n_squared - count * weight
            for c in range(3):
                in_head[c] = 0.0
                in_back[c] = uncovered * wall[y, x, c]
            n_head = 0
            for _ in range(count):
                of_head = samples[k, height_column] > head_above
                n_head += weight if of_head else 0
                for c in range(3):
                    if of_head:
                        in_head[c] += weight * rgb[k, c]
                    else:
                        in_back[c] += weight * rgb[k, c]
                k += 1
            head_alpha[y, x] = int(255.0 * n_head / n_squared + 0.5)
            torso_alpha[y, x] = int(255.0 * count * weight / n_squared + 0.5) - head_alpha[y, x]
            for c in range(3):
                frame[y, x, c] = int(255.0 * (in_head[c] + in_back[c]) / n_squared + 0.5)
                head[y, x, c] = int(255.0 * in_head[c] / max(n_head, 1) + 0.5)
                back[y, x, c] = int(255.0 * in_back[c] / max(n_squared - n_head, 1) + 0.5)


@jit
def nearest_depth(nearness: Array, n: int, depth: NDArray[np.uint16]) -> None:
    """Distance along the optical axis of the nearest of a pixel's n × n samples, in 0.1 mm; 0 where none is covered."""
    for y in range(depth.shape[0]):
        for x in range(depth.shape[1]):
            near = 0.0
            for i in range(n):
                for j in range(n):
                    near = max(near, nearness[y * n + i, x * n + j])
            depth[y, x] = int(min(10.0 / near, 65535.0 - 0.5) + 0.5) if near > 0.0 else 0
