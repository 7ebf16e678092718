"""The head as hair feels it: roots on the scalp, and how far any point stands off the skin. Knows no styles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .surface import Array, Surface

COLUMNS, ROWS = 300, 190
V_LOW, V_HIGH = -170.0, 119.4  # template heights of the sampled skin
EAR_CENTRE, EAR_REACH, EAR_STAND_MM = (-16.0, -26.0), (36.0, 26.0), 15.0  # y and z, mm
CROWN_BLEND = 3.0  # mm that sampled normals are trusted at the pole


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Where points meet the skin: height above it in mm (negative inside) and its outward unit normal."""

    height: Array  # (n,)
    normal: Array  # (n, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalp:
    """Densely sampled skin of one identity; use `sample_scalp`."""

    phi: Array  # (n,)
    v: Array
    points: Array  # (n, 3) mm
    normals: Array  # (n, 3) outward
    area: Array  # (n,) mm² that a sample stands for
    tree: cKDTree

    def contact(self, points: Array) -> Contact:
        """Height and normal of the skin nearest to points (n, 3)."""
        _, nearest = self.tree.query(points)
        normal = self.normals[nearest]
        return Contact(height=np.einsum("nc,nc->n", points - self.points[nearest], normal), normal=normal)

    def roots(self, rng: np.random.Generator, density: Array, count: int) -> NDArray[np.int64]:
        """At most `count` samples drawn by density (n,) × area, none close to an earlier one."""
        weight = density * self.area
        candidates = rng.choice(len(weight), size=min(4 * count, int((weight > 0).sum())), replace=False,
                                p=weight / weight.sum())  # fmt: skip
        apart = 0.62 * np.sqrt(weight.sum() / max(count, 1))
        chosen: list[int] = []
        near = cKDTree(self.points[candidates]).query_ball_point(self.points[candidates], apart)
        blocked = np.zeros(len(candidates), bool)
        for index, neighbours in enumerate(near):
            if blocked[index]:
                continue
            chosen.append(index)
            blocked[neighbours] = True
            if len(chosen) == count:
                break
        return np.asarray(candidates[chosen], np.int64)


def sample_scalp(surface: Surface, *, over_ears: bool) -> Scalp:
    """Sample the skin of head and neck about every 2 mm; hair that falls over the ears feels them as bulges."""
    phi_row = (np.arange(COLUMNS) + 0.5) / COLUMNS * 2 * np.pi - np.pi
    v_column = np.linspace(V_HIGH, V_LOW, ROWS)
    phi, v = np.meshgrid(phi_row, v_column)
    points = surface.points(phi, v)
    if over_ears:
        y, z = EAR_CENTRE
        bulge = np.exp(-(((points[..., 1] - y) / EAR_REACH[0]) ** 4) - ((points[..., 2] - z) / EAR_REACH[1]) ** 4)
        points[..., 0] += np.sign(points[..., 0]) * EAR_STAND_MM * bulge
    across = np.roll(points, -1, axis=1) - np.roll(points, 1, axis=1)
    down = np.gradient(points, axis=0)
    normal = np.cross(down, across)
    area = np.linalg.norm(normal, axis=-1) / 2
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-12
    crown = v > V_HIGH - CROWN_BLEND
    normal[crown] = (0.0, 1.0, 0.0)
    flat = points.reshape(-1, 3)
    return Scalp(
        phi=phi.ravel(), v=v.ravel(), points=flat, normals=normal.reshape(-1, 3), area=area.ravel(), tree=cKDTree(flat)
    )
