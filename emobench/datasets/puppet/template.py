"""Triangulates an identity's skin: contours of lids and lips, rings around them, hexagonal fill, 2-D Delaunay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, cKDTree

from .action_units import Points
from .surface import EYE_X, LID_HALF_WIDTH, Array, Surface, template_height

Indices = NDArray[np.int64]

UNROLL_MM = 72.0  # radius at which φ is laid out flat for the triangulation
BOTTOM, TOP = -300.0, 119.0
LID_COLUMNS, LIP_COLUMNS = 23, 41
LID_RINGS_MM = (0.9, 1.9, 3.1, 4.6, 6.4, 8.5)
LIP_RINGS = (0.3, 0.6, 0.85, 1.0, 1.25, 1.6, 2.1)  # in heights of the vermilion
CORNER_RINGS_MM = (0.9, 2.0, 3.4, 5.0, 7.0)
SLIT_GAP_MM = 1.0  # the slit is opened by this much while meshing
# Hexagonal fill: x range, y range, spacing, and the distance kept from earlier points (mm).
FILLS = (
    ((-21, 21), (-50, 8), 1.7, 1.35),
    ((-60, 60), (-90, 34), 2.7, 2.0),
    ((-112, 112), (-176, 62), 4.2, 3.2),
    ((-np.pi * UNROLL_MM + 3, np.pi * UNROLL_MM - 3), (BOTTOM, TOP), 8.5, 6.0),
)
JITTER_MM = 0.08  # breaks the ties of a regular grid; fixed seed, the same mesh for everyone


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Skin vertices and triangles (counter-clockwise from outside), and the contours that parts attach to."""

    points: Points
    triangles: Indices  # (m, 3)
    lids: dict[tuple[int, int], Indices]  # (side, +1 upper | −1 lower) → vertices from inner to outer corner
    lips: dict[int, Indices]  # +1 upper | −1 lower → vertices of the slit from right to left, corners included

    @property
    def lip_pairs(self) -> Indices:
        """(k, 2) upper and lower vertices of the slit."""
        return np.stack([self.lips[1], self.lips[-1]], axis=1)


def build_template(surface: Surface) -> Template:
    """The skin mesh of one identity."""
    flat, lip, lid = _contours(surface)
    flat = _fill(flat)
    extra = len(flat) - len(lip)
    lip, lid = np.pad(lip, (0, extra)), np.pad(lid, (0, extra))
    triangles = _oriented(flat, _without_holes(surface, flat, Delaunay(flat).simplices, lip))
    points = Points(phi=flat[:, 0] / UNROLL_MM, v=flat[:, 1], lip=lip, lid=lid)
    x = surface.points(points.phi, points.v)[:, 0]
    lips = {1: _sorted(lip > 0, x), -1: _sorted(lip < 0, x)}
    lips[-1] = np.concatenate([lips[1][:1], lips[-1], lips[1][-1:]])
    lids = {}
    for side in (1, -1):
        upper = _sorted((lid > 0) & (x * side > 0), x * side)
        lower = _sorted((lid < 0) & (x * side > 0), x * side)
        lids[side, 1], lids[side, -1] = upper, np.concatenate([upper[:1], lower, upper[-1:]])
    return Template(points=points, triangles=triangles, lids=lids, lips=lips)


def _sorted(mask: NDArray[np.bool_], x: Array) -> Indices:
    chosen = np.flatnonzero(mask)
    return chosen[np.argsort(x[chosen])]


def _cosine_spacing(low: float, high: float, count: int) -> Array:
    """Points denser towards both ends, where lids and lips curve most."""
    return low + (high - low) * (1 - np.cos(np.linspace(0, np.pi, count))) / 2


def _contours(surface: Surface) -> tuple[Array, NDArray[np.int8], NDArray[np.int8]]:
    """Flat coordinates (n, 2) of lid and lip contours and their rings, with lip and lid tags."""
    rows: list[tuple[Array, Array, int, int]] = []  # x, y, lip, lid
    inner, outer = surface.lid_span()
    x = _cosine_spacing(inner, outer, LID_COLUMNS)
    upper, lower = surface.lids(x)
    for side in (1, -1):
        rows += [(side * x, upper, 0, 1), (side * x[1:-1], lower[1:-1], 0, -1)]
        for ring in LID_RINGS_MM:
            wider = side * ((x - EYE_X) * (1 + ring / LID_HALF_WIDTH) + EYE_X)
            rows += [(wider, upper + ring, 0, 0), (wider[1:-1], lower[1:-1] - ring, 0, 0)]
    width = surface.mouth_half_width
    x = _cosine_spacing(-width, width, LIP_COLUMNS)
    gap = _slit_gap(x, width)
    slit = surface.slit(x)
    rows += [(x, slit + gap, 1, 0), (x[1:-1], (slit - gap)[1:-1], -1, 0)]
    x, slit, gap = x[1:-1], slit[1:-1], gap[1:-1]
    for ring in LIP_RINGS:
        wider = x * (1 + 0.04 * ring)
        rows.append((wider, slit + gap + (surface.upper_lip(x) - slit) * ring + 0.25 * ring, 0, 0))
        rows.append((wider, slit - gap - (slit - surface.lower_lip(x)) * ring - 0.25 * ring, 0, 0))
    corner = float(surface.slit(np.array(width)))
    for ring in CORNER_RINGS_MM:
        y = np.linspace(-1, 1, 5) * ring
        bulge = width + np.sqrt(np.maximum(ring**2 - y**2, 0.04))
        rows += [(side * bulge, corner + y, 0, 0) for side in (1, -1)]
    flat = np.concatenate([np.stack([surface.phi(x, y) * UNROLL_MM, y], axis=1) for x, y, _, _ in rows])
    lip = np.concatenate([np.full(len(x), tag, np.int8) for x, _, tag, _ in rows])
    lid = np.concatenate([np.full(len(x), tag, np.int8) for x, _, _, tag in rows])
    return flat, lip, lid


def _slit_gap(x: Array, width: float) -> Array:
    gap = SLIT_GAP_MM * np.clip(1 - (x / width) ** 2, 0, 1) ** 0.5
    return np.where(np.abs(x) >= width * (1 - 1e-9), 0.0, gap)


def _fill(flat: Array) -> Array:
    """Add hexagonal grids where no earlier point is near, and the seam at φ = ±π."""
    rng = np.random.default_rng(5)
    for (x_low, x_high), (y_low, y_high), step, distance in FILLS:
        x, y = np.meshgrid(np.arange(x_low, x_high + 1e-6, step), np.arange(y_low, y_high + 1e-6, step * 0.87))
        x = x + (np.arange(x.shape[0]) % 2)[:, None] * step / 2
        grid = np.stack([x.ravel(), y.ravel()], axis=1)
        grid += rng.normal(0, JITTER_MM, grid.shape)
        nearest, _ = cKDTree(flat).query(grid)
        flat = np.concatenate([flat, grid[nearest > distance]])
    rows = np.arange(BOTTOM, TOP + 0.1, 8.0)
    seam = np.stack([np.full_like(rows, np.pi * UNROLL_MM), rows], axis=1)
    return np.concatenate([flat, seam, seam * [-1, 1]])


def _without_holes(surface: Surface, flat: Array, triangles: NDArray[np.int32], lip: NDArray[np.int8]) -> Indices:
    """Drop triangles that span an eye or the open slit."""
    centre = flat[triangles].mean(axis=1)
    x = surface.half_width(template_height(centre[:, 1])[0]) * np.sin(centre[:, 0] / UNROLL_MM)
    y = centre[:, 1]
    is_front = np.abs(centre[:, 0]) < UNROLL_MM * 1.5
    inner, outer = surface.lid_span()
    upper, lower = surface.lids(x)
    in_eye = (np.abs(x) > inner) & (np.abs(x) < outer) & (y < upper - 1e-3) & (y > lower + 1e-3)
    width = surface.mouth_half_width
    gap = np.clip(1 - (x / width) ** 2, 0, 1) ** 0.5
    in_slit = (np.abs(x) < width) & (np.abs(y - surface.slit(x)) < 1.02 * gap) & (lip[triangles] != 0).all(axis=1)
    return np.asarray(triangles[~(is_front & (in_eye | in_slit))], np.int64)


def _oriented(flat: Array, triangles: Indices) -> Indices:
    """Counter-clockwise in (φ, v), without slivers."""
    a, b, c = (flat[triangles[:, i]] for i in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    triangles = np.where((area < 0)[:, None], triangles[:, ::-1], triangles)
    return np.asarray(triangles[np.abs(area) > 1e-4], np.int64)
