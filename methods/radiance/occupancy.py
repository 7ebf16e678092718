"""Where the head can be: cells of its box inside the hull of the masks, emptied where nothing is ever seen.

Knows masks, densities and compositing weights; no colours and no network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emobench.types import Camera, Floats, HeadPose

from .geometry import Box
from .ray_kernels import count_inside

BoolGrid = NDArray[np.bool_]  # (G, G, G) as z, y, x


def skip_distances(occupied: BoolGrid) -> NDArray[np.uint8]:
    """0 in occupied cells, elsewhere the Chebyshev distance in cells to the nearest occupied one."""
    from scipy.ndimage import distance_transform_cdt

    if not occupied.any():
        return np.full(occupied.shape, 255, np.uint8)
    distances: NDArray[np.uint8] = distance_transform_cdt(~occupied, metric="chessboard").clip(0, 255).astype(np.uint8)
    return distances


def without_islands(occupied: BoolGrid, share: float) -> BoolGrid:
    """Without the groups of touching cells (corners too) smaller than `share` of the largest group: they float."""
    from scipy.ndimage import label

    groups, _ = label(occupied, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(groups.ravel())
    sizes[0] = 0  # the empty cells
    kept: BoolGrid = (sizes >= max(1, share * sizes.max()))[groups]
    return kept


def visual_hull(masks: BoolGrid, pose: HeadPose, camera: Camera, box: Box, grid: int, share: float) -> BoolGrid:
    """Cells of `box` whose centre falls into more than `share` of the (dilated) masks (F, H, W) that show it.

    Not into all of them: a jaw that opens in few frames leaves the outline of the others. Frames that a cell is
    outside of say nothing: hair may be cut off by the image's border.
    """
    hits, seen = np.zeros((2, grid, grid, grid), np.int32)
    lens = np.array([camera.focal_px, camera.cx_px, camera.cy_px], np.float32)
    cell = box.size / np.float32(grid)
    count_inside(box.low, cell, masks, pose.rotation, pose.translation, lens, hits, seen)
    hull: BoolGrid = hits > share * seen
    return hull


def tight_box(hull: BoolGrid, box: Box) -> Box:
    """The part of `box` that holds the hull, one cell wider."""
    bounds = []
    for axis in (2, 1, 0):  # x, y, z
        cells = np.flatnonzero(hull.any(axis=tuple(a for a in range(3) if a != axis)))
        bounds.append((max(0, cells[0] - 1), min(hull.shape[axis], cells[-1] + 2)))
    low, high = np.array(bounds, np.float32).T / hull.shape[0]
    return Box(low=box.low + low * box.size, high=box.low + high * box.size)


@dataclass(slots=True, kw_only=True)
class Occupancy:
    """Occupied cells during training."""

    hull: BoolGrid
    density: Floats  # (G, G, G) decaying maximum of densities
    weight: Floats  # (G, G, G) decaying maximum of compositing weights
    skip: NDArray[np.uint8]  # what rays march through
    hull_skip: NDArray[np.uint8]  # the same of the whole hull

    def observe(self, cells: NDArray[np.int64], densities: Floats, keep: float) -> None:
        """Take in densities at flat cell indices, after the old maxima decayed by `keep`."""
        flat = self.density.reshape(-1)
        flat[cells] = np.maximum(flat[cells] * np.float32(keep), densities)

    def cull(self, least_thickness: float, step: float, least_weight: float, keep: float) -> None:
        """Occupy the hull's cells that are thick enough (σ·step) and seen enough; then let weights decay by `keep`."""
        self.skip = skip_distances(self.hull & (self.density * step > least_thickness) & (self.weight > least_weight))
        self.weight *= np.float32(keep)


def new_occupancy(hull: BoolGrid) -> Occupancy:
    """The whole hull, taken for dense and seen until shown otherwise."""
    distances = skip_distances(hull)
    return Occupancy(
        hull=hull,
        density=np.where(hull, 50, 0).astype(np.float32),
        weight=np.where(hull, 0.1, 0).astype(np.float32),
        skip=distances,
        hull_skip=distances,
    )
