"""Visibility: which triangle each sample sees, with perspective-correct weights; depth from the light; normals.

Single-threaded numba kernels without fastmath: the same input gives the same bytes everywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emobench.types import Camera

from .compiled import jit
from .surface import Array

INSIDE = -1e-6  # barycentric weights below this are outside; a little slack closes the seams
NEAR_MM = 1.0


def to_screen(points: Array, camera: Camera, supersampling: int) -> Array:
    """(n, 3) sample column, sample row and distance of points in camera space."""
    distance = np.maximum(-points[:, 2], NEAR_MM)
    scale = camera.focal_px * supersampling / distance
    u = camera.cx_px * supersampling + points[:, 0] * scale
    v = camera.cy_px * supersampling - points[:, 1] * scale
    return np.stack([u, v, distance], axis=1)


@jit
def rasterise(
    screen: Array, triangles: NDArray[np.int32], nearness: Array, seen: NDArray[np.int32], weights: NDArray[np.float32]
) -> None:
    """Fill `nearness` (1/mm, start at 0), `seen` (triangle or −1) and `weights` (H, W, 2) of the first two corners."""
    height, width = seen.shape
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, x1, y1, x2, y2 = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1], screen[c, 0], screen[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0.0:
            continue
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        if right < left or bottom < top:
            continue
        i0, i1, i2 = 1.0 / screen[a, 2], 1.0 / screen[b, 2], 1.0 / screen[c, 2]
        w1_x, w1_y, w2_x, w2_y = (y2 - y0) / area, (x0 - x2) / area, (y0 - y1) / area, (x1 - x0) / area
        for row in range(top, bottom + 1):
            py = row + 0.5 - y0
            w1_row, w2_row = w1_y * py, w2_y * py
            for column in range(left, right + 1):
                px = column + 0.5 - x0
                w1, w2 = w1_row + w1_x * px, w2_row + w2_x * px
                w0 = 1.0 - w1 - w2
                if w0 < INSIDE or w1 < INSIDE or w2 < INSIDE:
                    continue
                near = w0 * i0 + w1 * i1 + w2 * i2
                if near > nearness[row, column]:
                    nearness[row, column] = near
                    seen[row, column] = t
                    weights[row, column, 0] = w0 * i0 / near
                    weights[row, column, 1] = w1 * i1 / near


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
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0.0:
            continue
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        if right < left or bottom < top:
            continue
        z0, z1, z2 = light[a, 2], light[b, 2], light[c, 2]
        w1_x, w1_y, w2_x, w2_y = (y2 - y0) / area, (x0 - x2) / area, (y0 - y1) / area, (x1 - x0) / area
        for row in range(top, bottom + 1):
            py = row + 0.5 - y0
            w1_row, w2_row = w1_y * py, w2_y * py
            for column in range(left, right + 1):
                px = column + 0.5 - x0
                w1, w2 = w1_row + w1_x * px, w2_row + w2_x * px
                w0 = 1.0 - w1 - w2
                if w0 < 0.0 or w1 < 0.0 or w2 < 0.0:
                    continue
                z = np.float32(w0 * z0 + w1 * z1 + w2 * z2)
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
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2) + 1e-9
        normals[i] /= length
