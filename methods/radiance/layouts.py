"""Shapes of a field's encoding: 3D hash grid, three hash planes, or sines of the position. Knows no values.

Whatever the shape, a field's tables are one flat vector of 2 · entries numbers, and a point becomes `features` numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

PLANES = ((0, 1), (1, 2), (0, 2))  # axes of the planes xy, yz and xz, in the order of their tables and features


@dataclass(frozen=True, slots=True, kw_only=True)
class GridLayout:
    """Shape of a multiresolution hash grid with two features per entry (Müller et al. 2022)."""

    resolutions: tuple[int, ...]  # cells per axis of each level
    offsets: tuple[int, ...]  # first entry of each level; the last number is the count of all entries
    dense: tuple[bool, ...]  # whether a level is small enough to be stored without hashing
    log2_size: int  # entries of a hashed level

    @property
    def entries(self) -> int:
        """Entries of all levels."""
        return self.offsets[-1]

    @property
    def features(self) -> int:
        """Numbers per encoded point."""
        return 2 * len(self.resolutions)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneLayout:
    """Shape of three 2D hash grids over PLANES, whose features are concatenated (ER-NeRF, Li et al. 2023)."""

    resolutions: tuple[int, ...]  # cells per axis of each level, the same in all planes
    offsets: tuple[int, ...]  # first entry of each level within a plane; the last number is the count of one plane
    dense: tuple[bool, ...]
    log2_size: int

    @property
    def entries(self) -> int:
        """Entries of all planes."""
        return len(PLANES) * self.offsets[-1]

    @property
    def features(self) -> int:
        """Numbers per encoded point: plane after plane, two a level."""
        return 2 * len(PLANES) * len(self.resolutions)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencyLayout:
    """The point, and sines and cosines of π·2ᵏ times it (NeRF, Mildenhall et al. 2020, eq. 4); nothing is stored."""

    octaves: int  # k = 0 … octaves − 1

    @property
    def entries(self) -> int:
        """None."""
        return 0

    @property
    def features(self) -> int:
        """Numbers per encoded point."""
        return 3 + 6 * self.octaves


Layout: TypeAlias = GridLayout | PlaneLayout | FrequencyLayout


def grid_layout(levels: int, coarsest: int, finest: int, log2_size: int) -> GridLayout:
    """Levels in geometric progression; a level with at most 2^log2_size corners is dense."""
    resolutions, offsets, dense = _levels(levels, coarsest, finest, log2_size, axes=3)
    return GridLayout(resolutions=resolutions, offsets=offsets, dense=dense, log2_size=log2_size)


def plane_layout(levels: int, coarsest: int, finest: int, log2_size: int) -> PlaneLayout:
    """The same with squares for cubes."""
    resolutions, offsets, dense = _levels(levels, coarsest, finest, log2_size, axes=2)
    return PlaneLayout(resolutions=resolutions, offsets=offsets, dense=dense, log2_size=log2_size)


def _levels(
    levels: int, coarsest: int, finest: int, log2_size: int, axes: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[bool, ...]]:
    growth = (finest / coarsest) ** (1 / max(1, levels - 1))
    resolutions = tuple(round(coarsest * growth**level) for level in range(levels))
    corners = [(resolution + 1) ** axes for resolution in resolutions]
    sizes = [min(count, 1 << log2_size) for count in corners]
    offsets = tuple(int(n) for n in np.cumsum([0, *sizes]))
    return resolutions, offsets, tuple(count <= 1 << log2_size for count in corners)
