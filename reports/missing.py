"""Why a metric has no value, in words: grouped by reason, never a silent gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .summary import MethodRow, columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One metric that some rows lack, or have for some clips only."""

    metric: str
    labels: tuple[str, ...]  # of the rows concerned
    reason: str
    is_partial: bool  # some clips were scored


def missing(rows: Sequence[MethodRow]) -> list[Missing]:
    """One entry per metric and reason, in the order of the columns."""
    found: dict[tuple[str, str, bool], list[str]] = {}
    for column in columns(rows):
        for row in rows:
            cell = row.cells.get(column.name)
            if cell is None:
                found.setdefault((column.name, "not asked for", False), []).append(row.label)
            elif cell.value is None and not cell.is_infinite:
                found.setdefault((column.name, cell.reason or "no reason given", False), []).append(row.label)
            elif not cell.is_complete:
                found.setdefault((column.name, _clip_reasons(row, column.name), True), []).append(row.label)
    return [
        Missing(metric=metric, labels=tuple(labels), reason=reason, is_partial=partial)
        for (metric, reason, partial), labels in found.items()
    ]


def missing_lines(rows: Sequence[MethodRow]) -> list[str]:
    """Plain sentences; 'all' instead of a list of every row, and one line for metrics with one reason."""
    grouped: dict[tuple[tuple[str, ...], str, bool], list[str]] = {}
    for gap in missing(rows):
        grouped.setdefault((gap.labels, gap.reason, gap.is_partial), []).append(gap.metric)
    lines = []
    for (labels, reason, partial), metrics in grouped.items():
        who = "" if len(labels) == len(rows) else f" ({', '.join(labels)})"
        lines.append(f"{', '.join(metrics)}{who}: {'some clips unscored: ' if partial else ''}{reason}")
    return lines


def _clip_reasons(row: MethodRow, metric: str) -> str:
    """The most frequent reasons of clips without a value, with counts."""
    reasons = Counter(
        score.reason or "no reason given"
        for record in row.runs
        for score in record.scores
        if score.metric == metric and score.value is None and score.reason not in ("infinite", "pooled only")
    )
    if not reasons:
        return "reasons not recorded"
    return "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3))
