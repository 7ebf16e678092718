"""Locks become tapered ribbons of opaque triangles, with the tone, tangent and occlusion that shading needs."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from .grid import grid_triangles
from .hair_locks import Locks
from .motion import smoothstep
from .parts import Material, Part
from .surface import Array

ROLL, TWIST = 0.25, 1.0  # rad that locks lie turned about themselves, and turn on towards the tip
NEIGHBOURS = 20
CASTING = 2  # every second lock casts shadow: the others would fall into its shadow
COVERED_MM = 0.6  # a neighbour this much higher covers
REACH_MM = 9.0


def ribbons(locks: Locks, tip: float, least_mm: float, rng: np.random.Generator) -> Part:
    """One part of all locks; two vertices a row, left and right; nowhere narrower than what a frame can show."""
    n, rows, _ = locks.points.shape
    tangent = np.gradient(locks.points, axis=1)
    tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True) + 1e-9
    across = np.cross(tangent, locks.normals)
    share = np.linspace(0, 1, rows)
    roll = rng.normal(0, ROLL, (n, 1, 1)) + rng.normal(0, TWIST, (n, 1, 1)) * share[None, :, None]
    across = across * np.cos(roll) + np.cross(tangent, across) * np.sin(roll)
    across /= np.linalg.norm(across, axis=-1, keepdims=True) + 1e-9
    profile = (0.3 + 0.7 * smoothstep(0, 0.2, share)) * (1 - (1 - tip) * share**2.2)
    width = np.maximum(locks.width[:, None] * np.asarray(profile)[None], least_mm)
    half = 0.5 * width[..., None] * across
    vertices = np.stack([locks.points - half, locks.points + half], axis=2)  # (n, rows, 2, 3)
    one = grid_triangles(rows, 2)
    triangles = (one[None] + np.arange(n)[:, None, None] * rows * 2).reshape(-1, 3)
    casts = np.repeat(np.arange(n) % CASTING == 0, len(one))
    uv = np.empty((n, rows, 2, 2))
    uv[..., 0], uv[..., 1] = np.array([0.0, 1.0]), np.asarray(share)[:, None]
    tone = np.empty((n, rows, 2, 2))
    tone[..., 0], tone[..., 1] = locks.tone[:, None, None], rng.random((n, 1, 1))
    occlusion = np.repeat(_occlusion(locks)[..., None], 2, axis=2)
    return Part(
        vertices=vertices.reshape(-1, 3), triangles=triangles, material=Material.HAIR,
        local=np.zeros((n * rows * 2, 3)), occlusion=occlusion.ravel(), uv=uv.reshape(-1, 2), tone=tone.reshape(-1, 2),
        casts=casts, behind=_row_index(n, rows, -1), ahead=_row_index(n, rows, 1),
    )  # fmt: skip


def _row_index(n: int, rows: int, step: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """(n·rows·2,) vertex a row further along the same edge of the ribbon, clamped to its ends."""
    row = np.clip(np.arange(rows) + step, 0, rows - 1)
    index = np.arange(n)[:, None, None] * rows * 2 + row[:, None] * 2 + np.arange(2)
    return np.asarray(index.ravel(), np.int64)


def _occlusion(locks: Locks) -> Array:
    """(n, rows) light that reaches a lock between its neighbours: what lies under others, and roots, is dark."""
    points, normals = locks.points.reshape(-1, 3), locks.normals.reshape(-1, 3)
    distance, near = cKDTree(points).query(points, k=NEIGHBOURS, distance_upper_bound=REACH_MM)
    padded = np.concatenate([points, points[:1]])
    above = np.einsum("nkc,nc->nk", padded[near] - points[:, None], normals)
    covered = ((above > COVERED_MM) & np.isfinite(distance)).sum(axis=1) / (NEIGHBOURS - 1)
    open_ = (1 - 0.65 * covered).reshape(locks.points.shape[:2])
    share = np.linspace(0, 1, locks.points.shape[1])
    return np.asarray(np.clip(open_ * (0.75 + 0.25 * smoothstep(0, 0.3, share)), 0.15, 1))
