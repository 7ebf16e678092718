"""What the judges behind some scores are worth, in a line each. Knows the words of a judge report, no judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .summary import MethodRow

VERDICT = ".verdict"
RUNGS = ("ground_truth", "blurred", "true_alpha", "static", "wrong_emotion", "other_sound")


def judge_lines(rows: Sequence[MethodRow]) -> list[str]:
    """Each judge's own accuracy on the scale and its verdict; on the test clips where a run measured these."""
    report: Mapping[str, Any] = next((r.run.judge_report for w in rows for r in w.runs if r.run.judge_report), {})
    lines = []
    for judge in sorted({key.partition(".accuracy.")[0] for key in report if ".accuracy." in key}):
        values = [
            f"{report.get(f'{judge}.test_accuracy.{rung}', report.get(f'{judge}.accuracy.{rung}')):.0f} % {words(rung)}"
            for rung in RUNGS
            if f"{judge}.test_accuracy.{rung}" in report or f"{judge}.accuracy.{rung}" in report
        ]
        said = report.get(f"{judge}{VERDICT}")
        lines.append(f"{judge} judge: {', '.join(values)}{f'; {said}' if said else ''}")
    return lines


def words(rung: str) -> str:
    """The rung as a reader sees it."""
    return rung.replace("_", " ").replace("true alpha", "true α")
