"""What the judges behind some scores are worth, in a line each. Knows the words of a judge report, no judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .summary import MethodRow

VERDICT = ".verdict"
RUNGS = ("ground_truth", "blurred", "true_alpha", "static", "wrong_emotion", "other_sound")


def judge_lines(rows: Sequence[MethodRow]) -> list[str]:
    """Each judge's own accuracy on the scale and its verdict: on its grading clips, and on the run's where measured."""
    report: Mapping[str, Any] = next((r.run.judge_report for w in rows for r in w.runs if r.run.judge_report), {})
    lines = []
    for judge in sorted({key.partition(".accuracy.")[0] for key in report if ".accuracy." in key}):
        parts = [f"{judge} judge: {_scale(report, f'{judge}.accuracy')}"]
        if measured := _scale(report, f"{judge}.test_accuracy"):
            parts.append(f"on these clips: {measured}")
        if said := report.get(f"{judge}{VERDICT}"):
            parts.append(str(said))
        lines.append("; ".join(parts))
    return lines


def _scale(report: Mapping[str, Any], prefix: str) -> str:
    """Accuracies of one set of clips from the best rung down; "" where none was measured."""
    return ", ".join(f"{report[f'{prefix}.{r}']:.0f} % {words(r)}" for r in RUNGS if f"{prefix}.{r}" in report)


def words(rung: str) -> str:
    """The rung as a reader sees it."""
    return rung.replace("_", " ").replace("true alpha", "true α")
