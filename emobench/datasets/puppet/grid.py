"""Triangles of a rectangular grid of vertices; nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def grid_triangles(rows: int, columns: int, *, closed: bool = False) -> NDArray[np.int64]:
    """(m, 3) indices into rows × columns vertices in row order; `closed` joins the last column to the first."""
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    right = (j + 1) % columns
    a, b = i * columns + j, i * columns + right
    c, d = (i + 1) * columns + j, (i + 1) * columns + right
    first = np.stack([a.ravel(), b.ravel(), c.ravel()], axis=1)
    second = np.stack([b.ravel(), d.ravel(), c.ravel()], axis=1)
    return np.concatenate([first, second])
