"""Paired comparison of two runs, or of two groups of runs over seeds, aligned by clip.

Works from RunRecords alone; refuses scores whose signatures differ, never scores anything itself and prints nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from emobench import registry
from emobench.errors import UsageError, suggest
from emobench.stats import CONFIDENCE, MIN_CLUSTERS, holm, paired_bootstrap, sign_test
from emobench.store import RunRecord
from emobench.verdicts import Comparison, MetricComparison, Tolerance, Verdict, judged

__all__ = ["Comparison", "MetricComparison", "Tolerance", "clip_values", "compare_groups", "compare_runs"]

DEFAULT_TOLERANCE = Tolerance()


def compare_runs(
    a: RunRecord,
    b: RunRecord,
    *,
    metrics: Sequence[str] | None = None,
    tolerance: Tolerance | float = DEFAULT_TOLERANCE,
    seed: int = 0,
    alpha: float = 0.05,
) -> Comparison:
    """Compare run b with run a, clip by clip; see compare_groups for `tolerance`, `metrics` and errors."""
    return compare_groups([a], [b], metrics=metrics, tolerance=tolerance, seed=seed, alpha=alpha)


def compare_groups(
    a: Sequence[RunRecord],
    b: Sequence[RunRecord],
    *,
    metrics: Sequence[str] | None = None,
    tolerance: Tolerance | float = DEFAULT_TOLERANCE,
    seed: int = 0,
    alpha: float = 0.05,
) -> Comparison:
    """Compare two groups of runs that differ in seed only; a clip's value is its mean over the group's seeds.

    Intervals and tests are over clips (or subjects, from ten on), never over seeds; the spread over seeds is
    reported beside them. A bare number as `tolerance` is a share of a's value. Holm corrects over `metrics`
    (default: all). Raises UsageError for an empty group, an unfinished run, different datasets, protocols or ground
    truths, pasted runs beside unpasted ones, no clip in common or a metric that neither side has.
    """
    dataset = _refuse_incomparable(a, b)
    subjects = {row.clip: row.subject for record in (*a, *b) for row in record.plan}
    clips_a, clips_b = _shared_clips(a), _shared_clips(b)
    shared = clips_a & clips_b
    if not shared:
        raise UsageError("These runs have no clip in common: nothing to compare. Check their test splits.")
    _refuse_other_references((*a, *b), shared)
    if not isinstance(tolerance, Tolerance):
        tolerance = Tolerance(relative=tolerance)
    noises = registry.noises()
    rows = [
        _compare_metric(name, a, b, shared, subjects, tolerance=tolerance, noise=noises.get(name, 0.0), seed=seed)
        for name in _metric_names((*a, *b), metrics)
    ]
    corrected = holm([row.p for row in rows])
    n_subjects = len({subjects[clip] for clip in shared})
    name_a, name_b = _names(a[0], b[0])
    return Comparison(
        name_a=name_a, name_b=name_b, dataset=dataset, n_clips=len(shared), n_subjects=n_subjects,
        seeds_a=tuple(record.run.seed for record in a), seeds_b=tuple(record.run.seed for record in b),
        only_a=tuple(sorted(clips_a - clips_b)), only_b=tuple(sorted(clips_b - clips_a)),
        level="subjects" if n_subjects >= MIN_CLUSTERS else "clips", confidence=CONFIDENCE, alpha=alpha,
        metrics={row.metric: judged(row, p, alpha) for row, p in zip(rows, corrected, strict=True)},
    )  # fmt: skip


def _refuse_incomparable(a: Sequence[RunRecord], b: Sequence[RunRecord]) -> str:
    """The dataset that all runs share. Raises UsageError where they cannot be compared."""
    if not a or not b:
        raise UsageError("Nothing to compare: name at least one run on each side.")
    for record in (*a, *b):
        if record.run.status != "complete":
            raise UsageError(f"The run {record.dir} is {record.run.status}, not complete: run it again first.")
    datasets = {record.run.dataset for record in (*a, *b)}
    if len(datasets) > 1:
        raise UsageError(f"Runs on different datasets cannot be compared: {', '.join(sorted(datasets))}.")
    _refuse_other_conditions((*a, *b))
    return datasets.pop()


def _shared_clips(records: Sequence[RunRecord]) -> set[str]:
    return set.intersection(*({row.clip for row in record.plan} for record in records))


def _metric_names(records: Sequence[RunRecord], wanted: Sequence[str] | None) -> list[str]:
    """The metrics asked for, each once, or all. Raises UsageError on one that no run has."""
    known = sorted({name for record in records for name in record.results})
    names = known if wanted is None else list(dict.fromkeys(wanted))
    for name in names:
        if name not in known:
            raise UsageError(f"{suggest('metric', name, known)} (Neither run has it.)")
    return names


def _refuse_other_conditions(records: Sequence[RunRecord]) -> None:
    """Another protocol is another measurement; a pasted frame is mostly the target's own, whatever its signature."""
    protocols = {record.run.protocol for record in records}
    if len(protocols) > 1:
        raise UsageError(
            f"Runs measured by different protocols cannot be compared: {', '.join(sorted(protocols))}. "
            "Measure both by one: emobench run --protocol NAME."
        )
    if len({record.run.pasted for record in records}) > 1:
        pasted = sorted({record.run.label for record in records if record.run.pasted})
        raise UsageError(
            f"Runs pasted into their targets cannot be compared with others: {', '.join(pasted)}. "
            "Their torso and background are the target's own: run both with paste-back, or both without."
        )


def _refuse_other_references(records: Sequence[RunRecord], clips: set[str]) -> None:
    """Clips of one name from a dataset made in two ways (another size, say) have nothing to do with each other."""
    seen: dict[str, str] = {}
    for row in (row for record in records for row in record.plan if row.clip in clips and row.sha256):
        if seen.setdefault(row.clip, row.sha256) != row.sha256:
            raise UsageError(
                f"Clip {row.clip} has another ground truth or label in one of these runs: nothing to compare. "
                "Run both with one configuration of the dataset."
            )


def _names(a: RunRecord, b: RunRecord) -> tuple[str, str]:
    names = [r.run.label for r in (a, b)]
    if names[0] == names[1]:
        names = [f"{name} {r.run.identity[:6]}" for name, r in zip(names, (a, b), strict=True)]
    return names[0], names[1]


def _compare_metric(
    name: str,
    a: Sequence[RunRecord],
    b: Sequence[RunRecord],
    shared: set[str],
    subjects: Mapping[str, str],
    *,
    tolerance: Tolerance,
    noise: float,
    seed: int,
) -> MetricComparison:
    first = next(record.results[name] for record in (*a, *b) if name in record.results)
    row = MetricComparison(metric=name, unit=first.unit, higher_is_better=first.higher_is_better)
    if refusal := _why_not_compared(name, a, b):
        return replace(row, reason=refusal)
    values_a, values_b = clip_values(name, a), clip_values(name, b)
    row = replace(
        row,
        only_a=tuple(sorted((values_a.keys() - values_b.keys()) & shared)),
        only_b=tuple(sorted((values_b.keys() - values_a.keys()) & shared)),
        seed_std_a=_seed_std(name, a),
        seed_std_b=_seed_std(name, b),
    )
    paired = sorted(values_a.keys() & values_b.keys() & shared)
    if not paired:
        return _pooled(row, a, b)
    side_a, side_b = [values_a[clip] for clip in paired], [values_b[clip] for clip in paired]
    row = replace(row, n=len(paired))
    if not all(math.isfinite(value) for value in (*side_a, *side_b)):
        return _with_infinite(row, side_a, side_b)
    result = paired_bootstrap(side_a, side_b, [subjects[clip] for clip in paired], seed)
    mean_a = statistics.fmean(side_a)
    return replace(
        row, a=mean_a, b=statistics.fmean(side_b), delta=result.delta, ci_low=result.ci_low, ci_high=result.ci_high,
        p=result.p, tolerance=tolerance.of(name, mean_a), noise=noise * abs(mean_a),
        reason=_pooling_note(name, (*a, *b), len(paired)),
    )  # fmt: skip


def _why_not_compared(name: str, a: Sequence[RunRecord], b: Sequence[RunRecord]) -> str:
    """Why a metric of these runs says nothing about their difference; "" where it does."""
    for side, records in (("A", a), ("B", b)):
        without = [record.results.get(name) for record in records]
        if any(result is None or result.n_scored == 0 for result in without):
            reasons = {result.reason for result in without if result is not None and result.reason}
            return f"not measured in {side}" + "".join(f": {reason}" for reason in sorted(reasons)[:1])
    signatures = sorted({record.results[name].signature for record in (*a, *b)})
    return f"refused: signatures differ ({' ≠ '.join(signatures)})" if len(signatures) > 1 else ""


def clip_values(name: str, records: Sequence[RunRecord]) -> dict[str, float]:
    """Mean over seeds per clip, for clips scored in every run of the group; infinite scores are math.inf."""
    per_run = [
        {
            row.clip: math.inf if row.value is None else row.value
            for row in record.scores
            if row.metric == name and (row.value is not None or row.reason == "infinite")
        }
        for record in records
    ]
    clips = set.intersection(*(set(values) for values in per_run))
    return {clip: sum(values[clip] for values in per_run) / len(per_run) for clip in clips}


def _seed_std(name: str, records: Sequence[RunRecord]) -> float | None:
    values = [record.results[name].value for record in records]
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def _pooled(row: MetricComparison, a: Sequence[RunRecord], b: Sequence[RunRecord]) -> MetricComparison:
    """FID and the like: both values and their difference, but nothing to test clip by clip."""
    values = [[record.results[row.metric].value for record in group] for group in (a, b)]
    if any(value is None for group in values for value in group):
        return replace(row, reason="no clip was scored by both sides")
    mean_a, mean_b = (statistics.fmean(v for v in group if v is not None) for group in values)
    reason = "exists only over all clips: nothing to pair"
    return replace(row, a=mean_a, b=mean_b, delta=mean_b - mean_a, reason=reason)


def _with_infinite(row: MetricComparison, a: Sequence[float], b: Sequence[float]) -> MetricComparison:
    """Some clips are infinite (identical frames): a mean difference means nothing, the signs still do."""
    signs = [0.0 if x == y else math.copysign(1.0, y - x) for x, y in zip(a, b, strict=True)]
    counts = [sum(not math.isfinite(value) for value in side) for side in (a, b)]
    reason = f"infinite on {counts[0]} clips of A and {counts[1]} of B: sign test, no difference of means"
    delta = 0.0 if not any(signs) else None
    lean: Verdict = "better" if (sum(signs) > 0) == row.higher_is_better else "worse"
    if delta == 0.0:
        return replace(row, delta=delta, ci_low=0.0, ci_high=0.0, p=1.0, tolerance=0.0, reason=reason)
    return replace(row, p=sign_test(signs), verdict=lean if sum(signs) else "inconclusive", reason=reason)


def _pooling_note(name: str, records: Sequence[RunRecord], n: int) -> str | None:
    """Say so where the table's value is no mean of clips (pooled MSE, frames over seconds)."""
    for record in records:
        result = record.results[name]
        values = [row.value for row in record.scores if row.metric == name and row.value is not None]
        if result.value is None or result.n_scored != n or not values:
            continue
        if not math.isclose(statistics.fmean(values), result.value, rel_tol=1e-6, abs_tol=1e-9):
            return "mean over clips; the run's own value pools them differently"
    return None
