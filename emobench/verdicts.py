"""Rows, tolerances and verdicts of a comparison. Knows no run; of statistics only p and intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from emobench.stats import Level

Verdict = Literal["better", "worse", "equivalent", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How large a difference matters: `absolute` by metric, in its own unit, else `relative` × |a|."""

    relative: float = 0.01
    absolute: Mapping[str, float] = field(default_factory=dict)

    def of(self, metric: str, a: float) -> float:
        return self.absolute.get(metric, self.relative * abs(a))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """One row: `delta` = b − a over the clips that both sides scored; `verdict` is about b.

    `p` is of the two-sided sign-flip test, `p_holm` corrected over the metrics of this comparison. `only_a`
    and `only_b` name the clips that just one side scored. A row with a `reason` and no `delta` or `p` was
    not compared.
    """

    metric: str
    unit: str
    higher_is_better: bool
    a: float | None = None
    b: float | None = None
    delta: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    tolerance: float | None = None
    noise: float = 0.0  # in the metric's unit: by as much equal runs differ; earns no verdict
    verdict: Verdict = "inconclusive"
    n: int = 0
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    seed_std_a: float | None = None  # spread of the value over seeds; None for one seed
    seed_std_b: float | None = None
    reason: str | None = None

    @property
    def is_compared(self) -> bool:
        return self.n > 0 and (self.delta is not None or self.p is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All metrics of two groups of runs, and on what the claim rests."""

    name_a: str
    name_b: str
    dataset: str
    seeds_a: tuple[int, ...]
    seeds_b: tuple[int, ...]
    n_clips: int  # in both plans
    only_a: tuple[str, ...]  # clips of one plan only
    only_b: tuple[str, ...]
    n_subjects: int
    level: Level
    confidence: float
    alpha: float
    metrics: Mapping[str, MetricComparison]

    @property
    def caption(self) -> str:
        """On what the intervals rest, in words that go under every table."""
        if self.level == "subjects":
            basis = f"{self.confidence:.0%} intervals over {self.n_subjects} subjects"
        else:
            basis = (
                f"{self.confidence:.0%} intervals over clips of these subjects (n = {self.n_subjects}); "
                "no claim about new subjects"
            )
        return f"{basis}. p: paired sign-flip permutation test, Holm over metrics."


def judged(row: MetricComparison, p_holm: float | None, alpha: float) -> MetricComparison:
    """Better or worse: significant, beyond tolerance and noise. Equivalent: the whole interval within the tolerance."""
    row = replace(row, p_holm=p_holm)
    is_significant = p_holm is not None and p_holm < alpha
    if row.delta is None or row.tolerance is None:
        return row if is_significant else replace(row, verdict="inconclusive")
    if row.ci_low is not None and row.ci_high is not None:
        within = max(abs(row.ci_low), abs(row.ci_high)) <= row.tolerance
        if within:
            return replace(row, verdict="equivalent")
    if is_significant and abs(row.delta) > max(row.tolerance, row.noise):
        return replace(row, verdict="better" if (row.delta > 0) == row.higher_is_better else "worse")
    return replace(row, verdict="inconclusive")
