"""Who says the same words in another emotion, and how one clip's time runs on another's. Knows no network, no files.

A train split in which a person speaks a sentence in several emotions holds what a mismatch needs: the sound of one
clip, and the face that another clip shows at the same words. Time is aligned by dynamic time warping of the sound.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emobench.kernel_storage import can_store_kernels
from emobench.types import Floats

from .examples import Example
from .features import PROSODY

STRIDE = 2  # feature steps an aligned step spans: 20 ms
DETOUR = 0.5  # what a step along one axis alone costs, in mean distances: keeps silences from collapsing
SMOOTHING_STEPS = 9  # of the warped time axis


class Partners:
    """Finds, for a clip, another of the same words by the same person with another tag, and borrows its face."""

    def __init__(self, examples: Sequence[Example], keys: Sequence[Hashable | None]) -> None:
        """`keys` are equal for clips of the same words by the same person; None: the words are not known."""
        self.examples = examples
        self._others: list[list[int]] = []
        groups: dict[Hashable, list[int]] = {}
        for index, key in enumerate(keys):
            if key is not None and examples[index].alpha is not None:
                groups.setdefault(key, []).append(index)
        for index, key in enumerate(keys):
            group = groups.get(key, []) if key is not None else []
            self._others.append([i for i in group if examples[i].tag != examples[index].tag])
        self._warped: dict[tuple[int, int], NDArray[np.float64]] = {}

    def __bool__(self) -> bool:
        """Whether any clip has a partner."""
        return any(self._others)

    def crossed(self, index: int, rng: np.random.Generator) -> Example | None:
        """The sound of clip `index` with tag, level and face of a partner; tags equally likely; None without."""
        others = self._others[index]
        if not others:
            return None
        tags = sorted({self.examples[i].tag for i in others})
        tag = tags[int(rng.integers(len(tags)))]
        fitting = [i for i in others if self.examples[i].tag == tag]
        return self.cross(index, fitting[int(rng.integers(len(fitting)))])

    def cross(self, index: int, partner: int) -> Example:
        """The sound of `index` with tag, level and face of `partner`, whose time is warped onto the sound's."""
        own, other = self.examples[index], self.examples[partner]
        if other.alpha is None or other.valid is None:
            raise ValueError("a partner without α has no face to borrow")
        if (index, partner) not in self._warped:
            self._warped[index, partner] = warp(own, other)
        rows = self._warped[index, partner]
        low = rows.astype(int)
        high = np.minimum(low + 1, len(other) - 1)
        share = (rows - low)[:, None].astype(np.float32)
        return replace(
            own,
            tag=other.tag,
            level=other.level,
            alpha=other.alpha[low] + share * (other.alpha[high] - other.alpha[low]),
            valid=other.valid[low] & other.valid[high],
        )


def warp(own: Example, other: Example) -> NDArray[np.float64]:
    """(T,) where each frame of `own` falls on the frames of `other`, by what is heard: fractional, never falling."""
    there = _align(_timbre(own.features), _timbre(other.features))
    steps = np.interp(own.positions, (np.arange(len(there)) + 0.5) * STRIDE - 0.5, there)
    frames = np.interp(steps, other.positions, np.arange(len(other)))
    return np.clip(frames, 0, len(other) - 1)


def _timbre(features: Floats) -> Floats:
    """(N, F) features → (N / STRIDE, F) bands and energy with the voice's own mean and spread taken out."""
    heard = features[:, : features.shape[1] - len(PROSODY) + 1]
    whole = len(heard) // STRIDE * STRIDE
    means = heard[:whole].reshape(-1, STRIDE, heard.shape[1]).mean(axis=1)
    standard: Floats = ((means - means.mean(axis=0)) / (means.std(axis=0) + 1e-3)).astype(np.float32)
    return standard


def _align(own: Floats, other: Floats) -> NDArray[np.float64]:
    """(A, F), (B, F) → (A,) feature step of `other` for each aligned step of `own`, smoothed."""
    squared = (own**2).sum(1)[:, None] + (other**2).sum(1) - 2 * own @ other.T
    distance = np.sqrt(np.maximum(squared, 0)).astype(np.float64)
    matched = _dynamic_time_warping(distance, DETOUR * float(distance.mean()))
    half = SMOOTHING_STEPS // 2
    padded = np.concatenate([np.full(half, matched[0]), matched, np.full(half, matched[-1])])
    smooth = np.convolve(padded, np.full(SMOOTHING_STEPS, 1 / SMOOTHING_STEPS), "valid")
    return (smooth + 0.5) * STRIDE - 0.5


@njit(cache=can_store_kernels(), nogil=True)  # type: ignore[misc]
def _dynamic_time_warping(distance: NDArray[np.float64], detour: float) -> NDArray[np.float64]:
    """(A, B) distances → (A,) mean matched column of each row on the cheapest path (Sakoe & Chiba 1978)."""
    rows, columns = distance.shape
    cost = np.empty((rows, columns))
    came = np.zeros((rows, columns), np.int8)
    for i in range(rows):
        for j in range(columns):
            best, way = np.inf, 0
            if i == 0 and j == 0:
                best = 0.0
            if i > 0 and j > 0 and cost[i - 1, j - 1] < best:
                best, way = cost[i - 1, j - 1], 0
            if i > 0 and cost[i - 1, j] + detour < best:
                best, way = cost[i - 1, j] + detour, 1
            if j > 0 and cost[i, j - 1] + detour < best:
                best, way = cost[i, j - 1] + detour, 2
            cost[i, j] = best + distance[i, j]
            came[i, j] = way
    sums, counts = np.zeros(rows), np.zeros(rows)
    i, j = rows - 1, columns - 1
    while True:
        sums[i] += j
        counts[i] += 1
        if i == 0 and j == 0:
            return sums / counts
        if came[i, j] != 2:
            i -= 1
            if came[i + 1, j] == 0:
                j -= 1
        else:
            j -= 1
