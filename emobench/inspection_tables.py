"""A run's facts and its hyperplanes as tables for a terminal of 80 columns. Rounds; computes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from emobench.drawing import shortened
from emobench.inspection import Moved, PlaneReport

GAP = 2
HEADING = 7  # characters of an emotion above a column of the cosine matrix
MEGA = 1e6


def fact_lines(facts: Mapping[str, Any]) -> list[str]:
    """What `emobench inspect RUN` prints."""
    seconds = ", ".join(f"{stage} {value:.1f} s" for stage, value in facts["seconds"].items()) or "not finished"
    made = facts["provenance"].get("hardware", {})
    lines = [
        f"{facts['method']} {facts['version']} on {facts['dataset']}, seed {facts['seed']}: {facts['status']}",
        *([f"error        {facts['error']}"] if facts["error"] else []),
        f"identity     {facts['identity']}, role {facts['role']}, protocol {facts['protocol']}",
        f"subjects     {', '.join(facts['subjects'])}",
        f"clips        {facts['clips']} test clips, {facts['frames']} frames, {facts['rendered']} clips rendered",
        f"metrics      {facts['measured']} of {len(facts['metrics'])} have a value",
        f"time         {seconds}",
    ]
    if made:
        lines.append("hardware     " + ", ".join(f"{value}" for value in made.values() if isinstance(value, str)))
    if facts["passed"]:
        lines.append(f"set          {', '.join(facts['passed'])}")
    for part, size in facts["files"].items():
        lines.append(f"{part:<13}{size['files']} files, {size['bytes'] / MEGA:.1f} MB")
    lines += [f"  {name}, {size / MEGA:.2f} MB" for name, size in facts["checkpoint"].items()]
    return lines


def plane_tables(report: PlaneReport) -> Group:
    """What `emobench inspect RUN --hyperplanes` prints."""
    parts: list[Table | Text] = [
        Text(f"Hyperplanes of {report.label}, seed {report.seed}", style="bold"),
        Text(""), _quality(report), Text(""), _cosines(report), Text(""), _moves(report), Text(""), _captions(report),
    ]  # fmt: skip
    return Group(*parts)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if index else "left", no_wrap=True)
    return table


def _quality(report: PlaneReport) -> Table:
    facts = report.facts
    table = _table("emotion", "accuracy", "margin", "span", "frames", "τ 10 %", "50 %", "90 %", "clips")
    for row, emotion in enumerate(facts.emotions):
        tau = report.tau.get(emotion)
        table.add_row(
            emotion, f"{facts.accuracy[row]:.1%}", f"{facts.margin[row]:.3f}", f"{facts.scale[row]:.2f}",
            f"{int(facts.frames[row])}" if len(facts.frames) else "–",
            *([f"{value:.2f}" for value in tau.quantiles] if tau else ["–"] * 3), str(tau.clips) if tau else "0",
        )  # fmt: skip
    return table


def _cosines(report: PlaneReport) -> Table:
    facts = report.facts
    table = _table("cosine", *(shortened(emotion, HEADING) for emotion in facts.emotions))
    for emotion, row in zip(facts.emotions, facts.cosines(), strict=True):
        table.add_row(emotion, *(signed(float(value)) for value in row))
    return table


def _moves(report: PlaneReport) -> Table:
    table = _table("emotion", "")
    table.columns[1].justify = "left"
    table.add_column("coefficients that w moves most", overflow="fold")
    for emotion in report.facts.emotions:
        raised, lowered = report.moved(emotion)
        table.add_row(emotion, "+", _names(raised))
        table.add_row("", "−", _names(lowered))
    return table


def _names(moved: Sequence[Moved]) -> Text:
    return Text("  ".join(f"{row.name}{'*' * row.is_mouth} {abs(row.by):.2f}" for row in moved) or "none")


def signed(value: float) -> str:
    """Two decimals with a true minus sign; one that rounds to zero has none."""
    return f"{0.0 if abs(value) < 0.005 else value:.2f}".replace("-", "−")


def _captions(report: PlaneReport) -> Text:
    return Text("\n".join(caption_lines(report)), style="dim")


def caption_lines(report: PlaneReport) -> Iterator[str]:
    """What the numbers mean."""
    yield "accuracy: balanced, cross-validated over train clips; chance is 50 %."
    yield "margin: half-width; span: from the others' median to the emotion's, along w."
    yield "frames: train frames of the emotion; τ: over all frames of the test clips."
    yield "Coefficients: share of the unit normal w; * articulates the mouth."
    if all(float(tau.values.max()) == 0 for tau in report.tau.values()):
        yield "τ is 0 throughout: this run does not refine."
