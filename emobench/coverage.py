"""Which clips of finished runs lack a score through a fault of their own, in words. Knows no metric.

A clip counts as missing where a metric that is available and applies to it gave no value: its file is corrupt or has
no partner, no face was found, it is too short or of another size. A metric that lacks its weights, or that does not
apply (no emotion tag, a method without timing, a picture too small), is a row with its reason and no fault of a clip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from emobench.scoring import GAP, INFINITE, POOLED_ONLY
from emobench.store import RunRecord, ScoreRow

FEW = 3  # clips and reasons that a line names


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What one run lacks."""

    label: str
    clips: tuple[str, ...]  # that lack a score, in order
    total: int  # clips of the run
    metrics: tuple[str, ...]  # that lack one, in order
    reasons: tuple[tuple[str, int], ...]  # (reason, rows), the most frequent first

    @property
    def line(self) -> str:
        """One line for a reader: how many, which, and why."""
        names = ", ".join(self.clips[:FEW]) + (", …" if len(self.clips) > FEW else "")
        why = "; ".join(f"{reason} ({count})" for reason, count in self.reasons[:FEW])
        return f"{self.label}: {len(self.clips)} of {self.total} clips lack scores ({names}): {why}"


def missing_scores(records: Sequence[RunRecord]) -> list[Missing]:
    """One entry for each run of which a clip lacks a score that it could have had."""
    found = []
    for record in records:
        rows = [row for row in record.scores if is_missing(row)]
        if rows:
            reasons = Counter(row.reason or "no reason given" for row in rows)
            entry = Missing(
                label=record.run.label, clips=tuple(dict.fromkeys(row.clip for row in rows)), total=len(record.plan),
                metrics=tuple(dict.fromkeys(row.metric for row in rows)), reasons=tuple(reasons.most_common()),
            )  # fmt: skip
            found.append(entry)
    return found


def is_missing(row: ScoreRow) -> bool:
    """True where the clip, not the metric, is why there is no value."""
    return row.value is None and row.reason not in (INFINITE, POOLED_ONLY) and GAP not in row.detail
