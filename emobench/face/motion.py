"""Fills gaps and smooths per-frame values and rotations without delay. Knows no tracker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emobench.types import Floats

_TRUNCATE = 4.0  # standard deviations at which the Gaussian is cut


def fill_gaps(values: Floats, valid: NDArray[np.bool_]) -> Floats:
    """(T, …) with invalid frames replaced by linear interpolation in time; ends repeat the nearest valid frame."""
    if valid.all():
        return values.astype(np.float32)
    known = np.flatnonzero(valid)
    flat = values.reshape(len(values), -1)
    moments = np.arange(len(values))
    filled = np.stack([np.interp(moments, known, flat[known, k]) for k in range(flat.shape[1])], axis=1)
    return np.asarray(filled, np.float32).reshape(values.shape)


def gaps_of(valid: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs [start, stop) of invalid frames, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~valid, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def longest_gap(valid: NDArray[np.bool_]) -> int:
    """Frames of the longest run without a face; 0 where there is none."""
    return max((stop - start for start, stop in gaps_of(valid)), default=0)


def smooth(values: Floats, sigma_frames: float) -> Floats:
    """(T, …) after a symmetric Gaussian over time: no delay; the ends are mirrored. sigma 0 changes nothing."""
    if sigma_frames <= 0 or len(values) < 2:
        return values
    radius = max(int(_TRUNCATE * sigma_frames + 0.5), 1)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma_frames) ** 2)
    weights /= weights.sum()
    padded = np.pad(values.astype(np.float64), [(radius, radius)] + [(0, 0)] * (values.ndim - 1), mode="symmetric")
    result = sum(w * padded[k : k + len(values)] for k, w in enumerate(weights))
    return np.asarray(result, np.float32)


def nearest_rotations(matrices: NDArray[np.floating]) -> Floats:
    """(T, 3, 3) proper rotations nearest to (T, 3, 3) matrices in the Frobenius norm (orthogonal Procrustes).

    Averages of neighbouring rotations, projected this way, are their chordal mean: good up to some 90° apart.
    """
    left, _, right = np.linalg.svd(np.asarray(matrices, np.float64))
    sign = np.sign(np.linalg.det(left @ right))
    left = left.copy()
    left[..., :, 2] *= sign[..., None]
    return np.asarray(left @ right, np.float32)
