"""Are the judges to be believed on rendered faces? Grades them on finished runs and marks what they scored.

A clip's score that a judge gave says in its detail which judge, and whether it was right ("judge", "judge_right"). The
accuracy on the runs that stand for rungs of the scale (MethodSpec.rung) is compared: a judge that is right about
ground truth and wrong about the same expressions rendered does not measure expressions.

The rungs of a run are those of its own request, else those of the same material, protocol and seed whose configuration
agrees with its own. Of several such, the one that today's code made counts; else none is chosen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from emobench import registry
from emobench.errors import InputError, UsageError
from emobench.hashing import code_hash, short
from emobench.store import RunRecord, RunStore, find_runs, load_run
from emobench.types import Result

MOST_LOST = 10.0  # points of accuracy between ground truth and true α
MARK = "judge unreliable"
NEEDED = ("ground_truth", "true_alpha")


def grade_judges(records: Sequence[RunRecord], material: Path) -> list[RunRecord]:
    """The records, their judge report and their results marked on disk, graded by the rungs below `material`."""
    if not any(_judged(record) for record in records):
        return list(records)
    own = [record for record in records if record.run.status == "complete" and _rung(record)]
    rungs = [record for record in _finished(material) if _rung(record)]
    return [_kept(record, own, rungs) if record.run.status == "complete" else record for record in records]


def accuracy(record: RunRecord, metric: str) -> float | None:
    """In how many % of a run's clips the judge behind a metric was right; None where none was judged."""
    right = [
        float(row.detail["judge_right"]) for row in record.scores if row.metric == metric and _has_judge(row.detail)
    ]
    return 100.0 * fmean(right) if right else None


def verdict(scale: Mapping[str, float]) -> str:
    """ "reliable", or why not; "ungraded" where a rung is missing."""
    truth, rendered = (scale.get(rung) for rung in NEEDED)
    if truth is None or rendered is None:
        return f"ungraded: needs the rows {' and '.join(NEEDED)}"
    if truth - rendered > MOST_LOST:
        return f"{MARK}: right in {truth:.0f} % of ground truth, {rendered:.0f} % of true α rendered"
    return "reliable"


def _kept(record: RunRecord, own: Sequence[RunRecord], rungs: Sequence[RunRecord]) -> RunRecord:
    """The record marked, on disk as well, as it stands there once the run directory is ours."""
    marked = _marked(record, own, rungs)
    if marked == record:
        return record
    store = RunStore(record.dir)
    try:
        with store.locked():
            marked = _marked(load_run(record.dir), own, rungs)
            store.write_results(marked.results, marked.stages)
            store.write("run.json", marked.run)
            return load_run(record.dir)
    except UsageError:  # another process works on this run and grades it when it is done; ours is only shown
        return marked


def _marked(record: RunRecord, own: Sequence[RunRecord], rungs: Sequence[RunRecord]) -> RunRecord:
    """The record with the verdicts on its judges."""
    report = {key: value for key, value in record.run.judge_report.items() if ".test_accuracy." not in key}
    results = dict(record.results)
    for metric, judge in _judged(record).items():
        found = _accuracies(record, metric, own, rungs)
        scale = {rung: values[0] for rung, values in found.items() if len(values) == 1}
        several = [rung for rung in NEEDED if len(found.get(rung, ())) > 1]
        said = f"ungraded: several {' and '.join(several)}" if several else verdict(scale)
        report |= {f"{judge}.test_accuracy.{rung}": value for rung, value in scale.items()} | {f"{judge}.verdict": said}
        results[metric] = _with_mark(results[metric], said)
    return replace(record, run=replace(record.run, judge_report=report), results=results)


def _accuracies(
    record: RunRecord, metric: str, own: Iterable[RunRecord], rungs: Iterable[RunRecord]
) -> dict[str, list[float]]:
    """By rung, what each of the record's peers scores with the judge; those of the request, `own`, first."""
    found: dict[str, list[float]] = {}
    for candidates in (own, rungs):
        peers: dict[str, list[tuple[float, RunRecord]]] = {}
        for peer in candidates:
            if _are_peers(peer, record) and metric in peer.results:
                value = accuracy(peer, metric)
                if value is not None and peer.results[metric].signature == record.results[metric].signature:
                    peers.setdefault(_rung(peer), []).append((value, peer))
        found = {rung: _chosen(values) for rung, values in peers.items()} | found
    return found


def _chosen(values: Sequence[tuple[float, RunRecord]]) -> list[float]:
    """Of several runs of one rung those that today's code made, where there are any; else all."""
    current = [value for value, peer in values if _is_current(peer)] if len(values) > 1 else []
    return current or [value for value, _ in values]


def _is_current(record: RunRecord) -> bool:
    """Whether the method's source is still what it was when the run was made."""
    spec = registry.entries("method")[record.run.method].spec
    return record.run.code == short(code_hash(spec.code))


def _with_mark(result: Result, said: str) -> Result:
    """The result with its mark as the first part of its reason, or without an outdated one."""
    other = [part for part in (result.reason or "").split("; ") if part and not part.startswith(MARK)]
    parts = [said, *other] if said.startswith(MARK) else other
    return replace(result, reason="; ".join(parts) or None)


def _judged(record: RunRecord) -> dict[str, str]:
    """Judges by metric."""
    return {
        row.metric: str(row.detail["judge"])
        for row in record.scores
        if _has_judge(row.detail) and row.metric in record.results
    }


def _has_judge(detail: Mapping[str, float | int | str]) -> bool:
    return "judge" in detail and "judge_right" in detail


def _are_peers(rung: RunRecord, record: RunRecord) -> bool:
    """Whether they share material, protocol, seed and every setting that both have, such as the portrait's."""
    a, b = rung.run, record.run
    return (a.split_hash, a.protocol, a.seed) == (b.split_hash, b.protocol, b.seed) and _agree(a.config, b.config)


def _agree(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return all(
        _agree(a[key], b[key]) if isinstance(a[key], Mapping) and isinstance(b[key], Mapping) else a[key] == b[key]
        for key in a.keys() & b.keys()
    )


def _rung(record: RunRecord) -> str:
    entry = registry.entries("method").get(record.run.method)
    return entry.spec.rung if entry and entry.spec else ""


def _finished(material: Path) -> list[RunRecord]:
    found = []
    with contextlib.suppress(InputError):
        for directory in find_runs(material):
            with contextlib.suppress(InputError):
                record = load_run(directory)
                if record.run.status == "complete":
                    found.append(record)
    return found
