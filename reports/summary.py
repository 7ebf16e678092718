"""Rows and cells that every report shows: runs grouped by method, averaged over seeds, the best one marked.

Knows run records and statistics; no layout, no file format, and no metric's formula.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from emobench import registry
from emobench.hashing import canonical_json, short
from emobench.specs import MetricSpec
from emobench.stats import MIN_CLUSTERS, Level, bootstrap_interval
from emobench.store import RunRecord
from emobench.types import Result

RANKED = ("method", "reference")  # oracles and sanity rows are shown apart and never ranked
ROLE_ORDER = ("method", "reference", "oracle", "sanity")
# Display only: the order in which papers print them. Other families follow in alphabetical order.
FAMILIES = (
    "psnr", "ssim", "ms_ssim", "lpips", "fid", "kid", "fvd", "frechet", "cpbd", "flicker", "lmd", "lvd", "sync",
    "jitter", "aue", "blink_rate", "head_motion", "emotion", "csim", "alpha", "fps", "latency", "memory",
)  # fmt: skip
NOT_RANKED = "not ranked"  # in a signature: values that say something, but not which row is better
INTERVAL_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One metric as a table heading."""

    name: str
    unit: str
    higher_is_better: bool
    digits: int
    signatures: tuple[str, ...]  # more than one: these rows must not be compared

    @property
    def arrow(self) -> str:
        return "↑" if self.higher_is_better else "↓"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One metric of one method: the mean over its seeds, and its interval over clips (or subjects)."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n_scored: int
    n_total: int
    signature: str
    reason: str | None
    seed_values: tuple[float, ...]  # one per run that has a value
    is_best: bool = False

    @property
    def is_complete(self) -> bool:
        return self.n_scored == self.n_total

    @property
    def is_infinite(self) -> bool:
        return self.value is None and self.reason == "infinite"

    @property
    def is_shown(self) -> bool:
        return self.value is not None or self.is_infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRow:
    """All runs of one configured method on one dataset, which differ in seed only."""

    label: str
    method: str
    version: str
    role: str
    dataset: str
    data: str  # the dataset's name, with protocol and split where one name stands for several
    seeds: tuple[int, ...]
    runs: tuple[RunRecord, ...]
    cells: Mapping[str, Cell]

    @property
    def is_ranked(self) -> bool:
        return self.role in RANKED

    @property
    def is_pasted(self) -> bool:
        """Whether torso and background are the targets' own: such rows and others are never ranked together."""
        return any(record.run.pasted for record in self.runs)


def summarise(runs: Sequence[RunRecord]) -> list[MethodRow]:
    """One row per configured method, ranked roles first; the best complete value of each metric is marked."""
    groups = _groups(runs)
    titles = _titles(groups)
    rows = [
        MethodRow(
            label=label,
            method=group[0].run.method,
            version=group[0].run.method_version,
            role=group[0].run.role,
            dataset=group[0].run.dataset,
            data=title,
            seeds=tuple(record.run.seed for record in group),
            runs=tuple(group),
            cells={name: _cell(name, group) for name in _metric_names(group)},
        )
        for label, title, group in zip(_labels(groups, titles), titles, groups, strict=True)
    ]
    rows.sort(key=lambda row: (row.data, _rank(row.role, ROLE_ORDER), row.label))
    noises = registry.noises()
    return [_with_best(row, rows, noises) for row in rows]


def by_dataset(rows: Sequence[MethodRow]) -> dict[str, list[MethodRow]]:
    """Rows by `data`, in order: values on other clips or under another protocol never share a table."""
    grouped: dict[str, list[MethodRow]] = {}
    for row in rows:
        grouped.setdefault(row.data, []).append(row)
    return grouped


def columns(rows: Sequence[MethodRow]) -> list[Column]:
    """The metrics of some rows, in the order of the literature."""
    found: dict[str, list[Result]] = {}
    for row in rows:
        for record in row.runs:
            for name, result in record.results.items():
                found.setdefault(name, []).append(result)
    entries = registry.entries("metric")
    return [
        Column(
            name=name,
            unit=found[name][0].unit,
            higher_is_better=found[name][0].higher_is_better,
            digits=_digits(entries[name].spec if name in entries else None, found[name]),
            signatures=tuple(sorted({r.signature for r in found[name] if r.n_scored})),
        )
        for name in sorted(found, key=lambda name: (_rank(name.partition(".")[0], FAMILIES), name))
    ]


def measured_columns(rows: Sequence[MethodRow]) -> list[Column]:
    """The columns in which at least one row has something to show; the others are listed as missing."""
    return [
        column
        for column in columns(rows)
        if any(column.name in r.cells and r.cells[column.name].is_shown for r in rows)
    ]


def level(rows: Sequence[MethodRow]) -> tuple[Level, int]:
    """What the intervals of these rows are over, and the number of subjects."""
    subjects = {plan.subject for row in rows for record in row.runs for plan in record.plan}
    return ("subjects" if len(subjects) >= MIN_CLUSTERS else "clips"), len(subjects)


def interval_caption(rows: Sequence[MethodRow]) -> str:
    """What the intervals mean, for the caption of every table."""
    kind, n_subjects = level(rows)
    if kind == "subjects":
        return f"95% bootstrap intervals over {n_subjects} subjects"
    return f"95% bootstrap intervals over clips of these subjects (n = {n_subjects}); no claim about new subjects"


def pasted_note(rows: Sequence[MethodRow]) -> str:
    """Why no value is marked as best where pasted rows stand beside others; "" elsewhere."""
    if len({row.is_pasted for row in rows if row.is_ranked}) < 2:
        return ""
    return "Pasted rows show the targets' own torso and background: not comparable with the other rows, no best."


def _groups(runs: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """Runs that differ in seed only; two runs of one seed (another code version, say) are never averaged."""
    groups: dict[tuple[str, ...], list[RunRecord]] = {}
    for record in runs:
        run = record.run
        config = {key: value for key, value in run.config.items() if key != "seed"}
        key = (run.dataset, run.method, run.method_version, run.preset, run.protocol, run.split_hash)
        groups.setdefault((*key, canonical_json([config, list(run.subjects)])), []).append(record)
    out: list[list[RunRecord]] = []
    for group in groups.values():
        unique = {record.run.identity: record for record in group}
        ordered = sorted(unique.values(), key=lambda record: (record.run.seed, record.run.identity))
        if len({record.run.seed for record in ordered}) == len(ordered):
            out.append(ordered)
        else:
            out.extend([record] for record in ordered)
    return out


def _titles(groups: Sequence[Sequence[RunRecord]]) -> list[str]:
    """Names of what each group was measured on: another split or protocol of a dataset is other data."""
    keys = [(g[0].run.dataset, g[0].run.protocol, g[0].run.split_hash) for g in groups]
    ambiguous = {name for name, count in Counter(key[0] for key in set(keys)).items() if count > 1}
    return [
        f"{dataset} · {protocol} · split {short(split, 6)}" if dataset in ambiguous else dataset
        for dataset, protocol, split in keys
    ]


def _labels(groups: Sequence[Sequence[RunRecord]], titles: Sequence[str]) -> list[str]:
    plain = [g[0].run.label for g in groups]
    keys = list(zip(titles, plain, strict=True))
    return [
        f"{name} {group[0].run.identity[:6]}" if keys.count(key) > 1 else name
        for group, name, key in zip(groups, plain, keys, strict=True)
    ]


def _metric_names(group: Sequence[RunRecord]) -> list[str]:
    return sorted({name for record in group for name in record.results})


def _cell(name: str, group: Sequence[RunRecord]) -> Cell:
    """One result as it stands, or the mean over seeds when all seeds measured the same thing."""
    results = [record.results[name] for record in group if name in record.results]
    measured = [result for result in results if result.value is not None]
    first = (measured or results)[0]
    cell = Cell(
        value=first.value,
        ci_low=first.ci_low,
        ci_high=first.ci_high,
        n_scored=sum(result.n_scored for result in results),
        n_total=sum(result.n_total for result in results),
        signature=first.signature,
        reason=first.reason,
        seed_values=tuple(result.value for result in measured if result.value is not None),
    )
    if len(group) == 1:
        return cell
    if len({result.signature for result in measured}) > 1:
        return replace(cell, value=None, ci_low=None, ci_high=None, reason="signatures differ between seeds")
    if len(measured) < len(group):
        reason = f"measured for {len(measured)} of {len(group)} seeds" if measured else first.reason
        return replace(cell, value=None, ci_low=None, ci_high=None, reason=reason)
    value = statistics.fmean(cell.seed_values)
    low, high = _interval_of_seed_means(name, group)
    return replace(cell, value=value, ci_low=low, ci_high=high)


def _interval_of_seed_means(name: str, group: Sequence[RunRecord]) -> tuple[float | None, float | None]:
    """Interval over clips of their means over seeds; none for metrics that are no mean of clips (FID)."""
    per_run = []
    for record in group:
        scored = [row for row in record.scores if row.metric == name and row.value is not None]
        values = {row.clip: row.value for row in scored if row.value is not None}
        total = record.results[name].value
        if not values or total is None:
            return None, None
        if not math.isclose(statistics.fmean(values.values()), total, rel_tol=1e-6, abs_tol=1e-9):
            return None, None
        per_run.append(values)
    subjects = {row.clip: row.subject for record in group for row in record.scores}
    clips = sorted(set.intersection(*(set(values) for values in per_run)))
    if not clips:
        return None, None
    means = [statistics.fmean(values[clip] for values in per_run) for clip in clips]
    interval = bootstrap_interval(means, [subjects[clip] for clip in clips], INTERVAL_SEED)
    return interval.low, interval.high


def _with_best(row: MethodRow, rows: Sequence[MethodRow], noises: Mapping[str, float]) -> MethodRow:
    """Mark the best of at least two different complete values of one signature among ranked rows.

    None where pasted rows stand beside others, nor where the signature says that its values are NOT_RANKED.
    """
    if not row.is_ranked:
        return row
    rivals = [other for other in rows if other.data == row.data and other.is_ranked]
    cells = {}
    for name, cell in row.cells.items():
        field = [(other.cells[name], other.is_pasted) for other in rivals if name in other.cells]
        values = [c.value for c, _ in field if c.value is not None and c.is_complete]
        kinds = {(c.signature, is_pasted) for c, is_pasted in field if c.n_scored}
        comparable = len(set(values)) > 1 and len(kinds) == 1 and NOT_RANKED not in cell.signature
        best = None
        if comparable:
            higher = next(r.results[name].higher_is_better for r in row.runs if name in r.results)
            best = max(values) if higher else min(values)
            if any(0 < abs(value - best) <= noises.get(name, 0.0) * abs(best) for value in values):
                best = None  # the machine's own variation
        cells[name] = replace(cell, is_best=cell.is_complete and best is not None and cell.value == best)
    return replace(row, cells=cells)


def _rank(word: str, order: Sequence[str]) -> int:
    return order.index(word) if word in order else len(order)


def _digits(spec: MetricSpec | None, results: Sequence[Result]) -> int:
    """Decimals to print: the metric's own, else enough for three significant ones."""
    if spec is not None:
        return spec.digits
    largest = max((abs(result.value) for result in results if result.value), default=1.0)
    return max(0, 2 - math.floor(math.log10(largest)))
