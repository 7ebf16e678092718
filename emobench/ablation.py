"""What each part of a method is worth: its ablation presets against the whole method, over seeds, tested in pairs.

Plans rows from a method's spec and tabulates finished runs; trains and scores nothing itself.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emobench import registry
from emobench.compare import clip_values, compare_groups
from emobench.errors import EmobenchError, UsageError, suggest
from emobench.specs import MethodSpec
from emobench.stats import bootstrap_interval, holm
from emobench.store import RunRecord
from emobench.verdicts import Comparison, MetricComparison, judged

FULL = "full"
ALL_ROWS = "all"
ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One metric of one row: the mean over clips and seeds, with its interval over clips (or subjects)."""

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    seed_std: float | None = None  # None for one seed
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRow:
    """One preset beside the whole method, or why it is not there."""

    name: str
    summary: str
    seeds: tuple[int, ...]
    values: Mapping[str, Value]
    against_full: Mapping[str, MetricComparison]  # a: the whole method, b: this row; empty for the whole method
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricHeading:
    """A column."""

    name: str
    unit: str
    higher_is_better: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationTable:
    """The whole table; the first row is the whole method."""

    method: str
    dataset: str
    n_clips: int
    seeds: tuple[int, ...]
    metrics: tuple[MetricHeading, ...]
    rows: tuple[AblationRow, ...]
    basis: str  # what intervals and tests rest on

    @property
    def caption(self) -> str:
        """What a reader must know of the numbers."""
        tests = sum(row.p is not None for item in self.rows for row in item.against_full.values())
        return (
            f"{self.basis} Differences are the row minus the whole method; p: paired sign-flip permutation test, Holm "
            f"over all {tests} tests of this table; better and worse need p < {ALPHA:g} and a difference beyond 1 %."
        )


def plan_rows(method: str, names: Sequence[str]) -> list[str]:
    """Presets to run: those named, all for "all", the method's ablations for (). Raises UsageError."""
    spec: MethodSpec = registry.find("method", method)
    if "/" in method:
        raise UsageError(f"--method {method}: name the method itself; its presets are the rows.")
    if ALL_ROWS in names:
        return list(spec.presets)
    for name in names:
        if name not in spec.presets:
            hint = suggest("row", name, spec.presets).partition(" See:")[0]
            raise UsageError(f"{hint} Rows of {method}: {', '.join(spec.presets) or 'none'}.")
    chosen = list(dict.fromkeys(names)) or list(spec.ablations)
    if not chosen:
        raise UsageError(f"The method {method!r} names no ablations. Name presets of it with --rows.")
    return chosen


def tabulate(method: str, rows: Sequence[str], records: Sequence[RunRecord], metrics: Sequence[str]) -> AblationTable:
    """The table from finished runs of the method and its presets; `metrics`: () = all that the whole method has.

    Only seeds that a row shares with the whole method count. Raises EmobenchError where that did not finish.
    """
    spec: MethodSpec = registry.find("method", method)
    groups = {name: _finished(records, method, "" if name == FULL else name) for name in (FULL, *rows)}
    full = groups[FULL]
    if not full:
        errors = {record.run.error for record in records if record.run.preset == "" and record.run.error}
        why = "; ".join(sorted(errors)) or "no run"
        raise EmobenchError(f"{method} itself did not finish, so there is nothing to compare with: {why}")
    headings = _headings(full, metrics)
    compared: dict[str, Comparison] = {}
    missing: dict[str, str] = {}
    for name in rows:
        try:
            compared[name] = _against(full, groups[name], [heading.name for heading in headings])
        except UsageError as error:  # pasted frames, say: a row of its own kind, which costs the others nothing
            missing[name] = _why_missing(records, name) if not groups[name] else str(error)
    corrected = _corrected(compared)
    some = next(iter(compared.values()), None)
    return AblationTable(
        method=method,
        dataset=full[0].run.dataset,
        n_clips=len(full[0].plan),
        seeds=tuple(run.run.seed for run in full),
        metrics=headings,
        rows=tuple(
            AblationRow(
                name=name, summary="the whole method" if name == FULL else spec.preset_summaries.get(name, ""),
                seeds=tuple(run.run.seed for run in group), against_full=corrected.get(name, {}),
                values={heading.name: _value(heading.name, group) for heading in headings} if group else {},
                reason=missing.get(name),
            )
            for name, group in groups.items()
        ),
        basis=some.caption.partition(" p:")[0] if some else "",
    )  # fmt: skip


def _against(full: Sequence[RunRecord], group: Sequence[RunRecord], metrics: Sequence[str]) -> Comparison:
    """A row against the whole method on the seeds of both. Raises UsageError where they cannot be compared."""
    both = {run.run.seed for run in full} & {run.run.seed for run in group}
    if not both:
        raise UsageError("It shares no finished seed with the whole method.")
    own, other = ([run for run in runs if run.run.seed in both] for runs in (full, group))
    return compare_groups(own, other, metrics=metrics)


def _finished(records: Sequence[RunRecord], method: str, preset: str) -> list[RunRecord]:
    return [
        record
        for record in records
        if (record.run.method, record.run.preset, record.run.status) == (method, preset, "complete")
    ]


def _why_missing(records: Sequence[RunRecord], preset: str) -> str:
    errors = [record.run.error for record in records if record.run.preset == preset and record.run.error]
    return errors[0] if errors else "no finished run"


def _headings(full: Sequence[RunRecord], metrics: Sequence[str]) -> tuple[MetricHeading, ...]:
    """Metrics in the order asked for; for () those that the whole method has a value of, by name."""
    results = full[0].results
    names = [name for name in metrics if name in results] or [
        name for name, result in sorted(results.items()) if result.value is not None or result.reason == "infinite"
    ]
    return tuple(
        MetricHeading(name=name, unit=results[name].unit, higher_is_better=results[name].higher_is_better)
        for name in names
    )


def _corrected(compared: Mapping[str, Comparison]) -> dict[str, dict[str, MetricComparison]]:
    """Verdicts by Holm's correction over every row and metric of the table, not over one row alone."""
    tests = [(name, row) for name, comparison in compared.items() for row in comparison.metrics.values()]
    corrected: dict[str, dict[str, MetricComparison]] = {name: {} for name in compared}
    for (name, row), p in zip(tests, holm([row.p for _, row in tests]), strict=True):
        corrected[name][row.metric] = judged(row, p, ALPHA)
    return corrected


def _value(metric: str, group: Sequence[RunRecord]) -> Value:
    results = [run.results.get(metric) for run in group]
    if any(result is None or result.value is None for result in results):
        reasons = {result.reason for result in results if result is not None and result.reason}
        return Value(value=None, reason=next(iter(sorted(reasons)), "not measured"))
    per_seed = [result.value for result in results if result is not None and result.value is not None]
    spread = statistics.stdev(per_seed) if len(per_seed) > 1 else None
    mean = statistics.fmean(per_seed)
    values = {clip: value for clip, value in clip_values(metric, group).items() if math.isfinite(value)}
    if len(values) < 2 or not math.isclose(statistics.fmean(values.values()), mean, rel_tol=1e-6, abs_tol=1e-9):
        first = results[0]  # pooled over clips (FID): the interval of one seed, or none
        single = first is not None and len(group) == 1
        return Value(
            value=mean, seed_std=spread,
            ci_low=first.ci_low if single and first else None, ci_high=first.ci_high if single and first else None,
        )  # fmt: skip
    subjects = {row.clip: row.subject for row in group[0].plan}
    low, high = bootstrap_interval(list(values.values()), [subjects[clip] for clip in values], 0)
    return Value(value=mean, ci_low=low, ci_high=high, seed_std=spread)
