"""Visibility: which triangle each sample sees and how near it is; depth from the light; normals of vertices.

Single-threaded numba kernels without fastmath: the same input gives the same bytes everywhere. Within a triangle
everything is a linear function of the sample's column and row; what is interpolated for shading is left to `samples`,
which does it once per visible sample instead of once per covered one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emobench.types import Camera

from .compiled import jit
from .surface import Array

INSIDE = -1e-6  # barycentric weights below this are outside; a little slack closes the seams
NEAR_MM = 1.0
NARROW = 6  # columns up to which every sample of a triangle's box is tried; wider ones are cut to each row's span


def to_screen(studio: Array, position: Array, axes: Array, camera: Camera, supersampling: int) -> Array:
    """(n, 3) sample column, sample row and nearness (1/mm) of studio points seen along the axes of a camera."""
    screen = np.empty((len(studio), 3))
    scale, cx, cy = (value * supersampling for value in (camera.focal_px, camera.cx_px, camera.cy_px))
    _project(studio, position, axes, scale, cx, cy, screen)
    return screen


def to_light(studio: Array, axes: Array) -> Array:
    """(n, 3) column, row and depth (mm, larger is closer) of studio points in the shadow map; axes (3, 4)."""
    light = np.empty((len(studio), 3))
    _align(studio, axes, light)
    return light


@jit
def _project(studio: Array, position: Array, axes: Array, scale: float, cx: float, cy: float, screen: Array) -> None:
    for i in range(len(studio)):
        x, y, z = studio[i, 0] - position[0], studio[i, 1] - position[1], studio[i, 2] - position[2]
        nearness = 1.0 / max(-(x * axes[0, 2] + y * axes[1, 2] + z * axes[2, 2]), NEAR_MM)
        screen[i, 0] = cx + (x * axes[0, 0] + y * axes[1, 0] + z * axes[2, 0]) * scale * nearness
        screen[i, 1] = cy - (x * axes[0, 1] + y * axes[1, 1] + z * axes[2, 1]) * scale * nearness
        screen[i, 2] = nearness


@jit
def _align(studio: Array, axes: Array, light: Array) -> None:
    for i in range(len(studio)):
        x, y, z = studio[i, 0], studio[i, 1], studio[i, 2]
        for k in range(3):
            light[i, k] = axes[k, 0] * x + axes[k, 1] * y + axes[k, 2] * z + axes[k, 3]


@jit
def first_and_last(w_row: float, w_x: float, first: int, last: int) -> tuple[int, int]:
    """Columns between which a weight that is w_row at column `first` is not clearly negative; one to spare."""
    if w_x > 0.0:
        first = max(first, first + int(np.floor(min(max(-w_row / w_x, 0.0), last - first + 2.0))) - 1)
    elif w_x < 0.0:
        last = min(last, first + int(np.ceil(min(max(-w_row / w_x, -1.0), last - first + 2.0))) + 1)
    elif w_row < INSIDE:
        last = first - 1
    return first, last


@jit
def rasterise(screen: Array, triangles: NDArray[np.int32], nearness: Array, seen: NDArray[np.int32]) -> None:
    """Fill `nearness` (H, W; 1/mm, starts at 0) and `seen` (H, W; triangle, starts at −1) with the nearest surface."""
    height, width = seen.shape
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, x1, y1, x2, y2 = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1], screen[c, 0], screen[c, 1]
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if right < left or bottom < top or area == 0.0:
            continue
        share = 1.0 / area
        w1_x, w1_y, w2_x, w2_y = (y2 - y0) * share, (x0 - x2) * share, (y0 - y1) * share, (x1 - x0) * share
        near_0 = screen[a, 2]
        near_1, near_2 = screen[b, 2] - near_0, screen[c, 2] - near_0
        is_wide = right - left > NARROW
        for row in range(top, bottom + 1):
            py, px = row + 0.5 - y0, left + 0.5 - x0
            w1_row, w2_row = w1_y * py + w1_x * px, w2_y * py + w2_x * px
            first, last = left, right
            if is_wide:
                low, high = first_and_last(w1_row, w1_x, left, right)
                first, last = max(first, low), min(last, high)
                low, high = first_and_last(w2_row, w2_x, left, right)
                first, last = max(first, low), min(last, high)
                low, high = first_and_last(1.0 - w1_row - w2_row, -w1_x - w2_x, left, right)
                first, last = max(first, low), min(last, high)
            for column in range(first, last + 1):
                w1, w2 = w1_row + w1_x * (column - left), w2_row + w2_x * (column - left)
                if w1 < INSIDE or w2 < INSIDE or 1.0 - w1 - w2 < INSIDE:
                    continue
                near = near_0 + w1 * near_1 + w2 * near_2
                if near > nearness[row, column]:
                    nearness[row, column] = near
                    seen[row, column] = t


@jit
def rasterise_depth(
    light: Array, triangles: NDArray[np.int32], casts: NDArray[np.bool_], depth: NDArray[np.float32]
) -> None:
    """Orthographic depth map from the light (mm, larger is closer; start at −inf); `light` holds column, row, depth."""
    height, width = depth.shape
    for t in range(len(triangles)):
        if not casts[t]:
            continue
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, x1, y1, x2, y2 = light[a, 0], light[a, 1], light[b, 0], light[b, 1], light[c, 0], light[c, 1]
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if right < left or bottom < top or area == 0.0:
            continue
        share = 1.0 / area
        w1_x, w1_y, w2_x, w2_y = (y2 - y0) * share, (x0 - x2) * share, (y0 - y1) * share, (x1 - x0) * share
        z0 = light[a, 2]
        z1, z2 = light[b, 2] - z0, light[c, 2] - z0
        for row in range(top, bottom + 1):
            py = row + 0.5 - y0
            w1_row, w2_row = w1_y * py, w2_y * py
            for column in range(left, right + 1):
                px = column + 0.5 - x0
                w1, w2 = w1_row + w1_x * px, w2_row + w2_x * px
                if w1 < 0.0 or w2 < 0.0 or 1.0 - w1 - w2 < 0.0:
                    continue
                z = np.float32(z0 + w1 * z1 + w2 * z2)
                depth[row, column] = max(depth[row, column], z)


@jit
def vertex_normals(points: Array, triangles: NDArray[np.int32], normals: Array) -> None:
    """Area-weighted unit normals (n, 3) of points (n, 3)."""
    normals[:] = 0.0
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in (a, b, c):
            normals[i, 0] += nx
            normals[i, 1] += ny
            normals[i, 2] += nz
    for i in range(len(normals)):
        length = 1.0 / (np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2) + 1e-9)
        normals[i, 0] *= length
        normals[i, 1] *= length
        normals[i, 2] *= length
