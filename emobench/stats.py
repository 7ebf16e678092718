"""Uncertainty of scores: seeded bootstrap intervals, paired tests and Holm's correction, in pure numpy.

Knows numbers and cluster labels only; nothing of runs, metrics or files. Everything random is seeded.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emobench.types import Stats

CONFIDENCE = 0.95
MIN_CLUSTERS = 10  # fewer subjects than this say nothing about new subjects: clips are resampled instead
EXACT_LIMIT = 12  # up to 2^12 sign patterns are enumerated
RESAMPLES = 2000
PERMUTATIONS = 10_000

Level = Literal["subjects", "clips"]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval; unpacks as (low, high). Both are None with fewer than two units."""

    low: float | None
    high: float | None
    level: Level  # what was resampled
    n_units: int  # how many of them
    confidence: float = CONFIDENCE

    def __iter__(self) -> Iterator[float | None]:
        return iter((self.low, self.high))


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedResult:
    """Mean difference b − a over pairs, its interval, and the two-sided p of the sign-flip test."""

    delta: float
    ci_low: float | None
    ci_high: float | None
    p: float | None  # None where fewer than two units were measured
    n: int  # pairs
    n_units: int
    level: Level


def bootstrap_interval(
    values: Sequence[float],
    clusters: Sequence[str] | None,
    seed: int,
    *,
    n: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Expanded-percentile bootstrap interval of the mean of `values` (one per clip).

    Resamples whole clusters (subjects) where there are at least MIN_CLUSTERS of them, else single values. The
    percentiles are widened for small samples (Hesterberg 2015, The American Statistician 69:371, §5.3): the
    plain percentile interval covers too little below about 30 units.
    """
    array = _finite(values)
    level, codes = resampling_units(len(array), clusters)
    sizes, sums = _unit_sums(array, codes)
    if len(sizes) < 2:
        return Interval(low=None, high=None, level=level, n_units=len(sizes), confidence=confidence)
    means = _resampled_means(sums, sizes, np.random.default_rng(seed), n)
    low, high = _percentiles(means, len(sizes), confidence)
    return Interval(low=low, high=high, level=level, n_units=len(sizes), confidence=confidence)


def bootstrap_metric(
    aggregate: Callable[[Sequence[Stats]], float | None],
    stats: Sequence[Stats],
    clusters: Sequence[str] | None,
    seed: int,
    *,
    n: int = 1000,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Bootstrap interval of any metric through its own `aggregate`, which is called once per resample.

    Resamples on which the metric has no value are left out; with fewer than half left there is no interval.
    """
    level, codes = resampling_units(len(stats), clusters)
    members = [np.flatnonzero(codes == code) for code in range(int(codes.max(initial=-1)) + 1)]
    nothing = Interval(low=None, high=None, level=level, n_units=len(members), confidence=confidence)
    if len(members) < 2:
        return nothing
    rng = np.random.default_rng(seed)
    found = []
    for drawn in rng.integers(len(members), size=(n, len(members))):
        chosen = np.concatenate([members[index] for index in drawn])
        value = aggregate([stats[index] for index in chosen])
        if value is not None and math.isfinite(value):
            found.append(value)
    if len(found) < max(n // 2, 1):
        return nothing
    low, high = _percentiles(np.array(found), len(members), confidence)
    return Interval(low=low, high=high, level=level, n_units=len(members), confidence=confidence)


def paired_bootstrap(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[str] | None,
    seed: int,
    *,
    n: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> PairedResult:
    """Mean of b − a over aligned pairs, its bootstrap interval, and the p of `sign_flip_test`.

    Raises ValueError when the sides differ in length, hold no pair or hold values that are not finite.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values on one side, {len(b)} on the other")
    differences = _finite(b) - _finite(a)
    interval = bootstrap_interval(differences.tolist(), clusters, seed, n=n, confidence=confidence)
    p = sign_flip_test(differences.tolist(), clusters, seed) if interval.n_units > 1 else None
    return PairedResult(
        delta=float(differences.mean()),
        ci_low=interval.low,
        ci_high=interval.high,
        p=p,
        n=len(differences),
        n_units=interval.n_units,
        level=interval.level,
    )


def sign_flip_test(
    differences: Sequence[float],
    clusters: Sequence[str] | None,
    seed: int,
    *,
    n: int = PERMUTATIONS,
) -> float:
    """Two-sided paired permutation test of a zero mean: signs of whole units are flipped (Fisher 1935, §21).

    Exact up to EXACT_LIMIT units; beyond, `n` random ones and p = (hits + 1)/(n + 1) (Phipson & Smyth 2010).
    """
    array = _finite(differences)
    _, codes = resampling_units(len(array), clusters)
    _, sums = _unit_sums(array, codes)
    observed = abs(sums.sum())
    slack = 1e-9 * max(np.abs(sums).sum(), 1e-300)  # ties differ by rounding only
    if len(sums) <= EXACT_LIMIT:
        patterns = 1 - 2 * ((np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))) & 1)
        return float(np.mean(np.abs(patterns @ sums) >= observed - slack))
    signs = np.random.default_rng(seed).integers(0, 2, size=(n, len(sums)), dtype=np.int8) * 2 - 1
    hits = int(np.count_nonzero(np.abs(signs @ sums) >= observed - slack))
    return float((hits + 1) / (n + 1))


def sign_test(differences: Sequence[float]) -> float:
    """Two-sided exact sign test; zeros are left out. The one test that can take infinite differences."""
    positive = sum(d > 0 for d in differences)
    n = positive + sum(d < 0 for d in differences)
    tail = sum(math.comb(n, k) for k in range(min(positive, n - positive) + 1))
    return min(1.0, float(2 * tail) / float(2**n))


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjusted p values (Holm 1979), in the given order; None stays None, uncounted."""
    known = sorted((p, index) for index, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    running = 0.0
    for rank, (p, index) in enumerate(known):
        running = max(running, min(1.0, (len(known) - rank) * p))
        adjusted[index] = running
    return adjusted


def resampling_units(n_values: int, clusters: Sequence[str] | None) -> tuple[Level, NDArray[np.intp]]:
    """What to resample, and each value's unit: subjects from MIN_CLUSTERS of them on, else the values."""
    if clusters is not None:
        if len(clusters) != n_values:
            raise ValueError(f"{n_values} values but {len(clusters)} cluster labels")
        names, codes = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
        if len(names) >= MIN_CLUSTERS:
            return "subjects", codes
    return "clips", np.arange(n_values)


def _finite(values: Sequence[float]) -> Doubles:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError("expected at least one value, all finite: leave unscored clips out first")
    return array


def _unit_sums(values: Doubles, codes: NDArray[np.intp]) -> tuple[Doubles, Doubles]:
    return np.bincount(codes).astype(np.float64), np.bincount(codes, weights=values).astype(np.float64)


def _resampled_means(sums: Doubles, sizes: Doubles, rng: np.random.Generator, n: int) -> Doubles:
    """Means of n resamples of units with replacement, as multinomial counts: (n,)."""
    counts = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=n).astype(np.float64)
    return np.asarray(counts @ sums / (counts @ sizes))


def _percentiles(resampled: Doubles, n_units: int, confidence: float) -> tuple[float, float]:
    tail = expanded_tail(n_units, confidence)
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)


@functools.cache
def expanded_tail(n_units: int, confidence: float) -> float:
    """Tail probability Φ(−√(n/(n−1)) · t_{n−1}) that makes a percentile interval as wide as Student's."""
    t = _student_quantile((1 + confidence) / 2, n_units - 1)
    return NormalDist().cdf(-math.sqrt(n_units / (n_units - 1)) * t)


def _student_quantile(probability: float, degrees: int) -> float:
    """Student's t quantile above the median: with x = √ν·tan θ the density is cos^(ν−1) θ, integrated here."""
    if degrees > 2000:
        return NormalDist().inv_cdf(probability)
    theta = np.linspace(0, math.pi / 2, 100_001)
    area = np.cos(theta) ** (degrees - 1)
    cumulative = np.concatenate([[0.0], np.cumsum((area[1:] + area[:-1]) / 2)])
    angle = np.interp((2 * probability - 1) * cumulative[-1], cumulative, theta)
    return math.sqrt(degrees) * math.tan(float(angle))
