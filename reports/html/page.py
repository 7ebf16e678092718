"""The report as one self-contained page: assembles tables, player data, figures and provenance for the template."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from emobench import __version__, registry
from emobench.cache import write_text
from emobench.drawing import new_figure, style
from emobench.errors import UsageError
from emobench.hashing import short
from emobench.store import RunRecord

from .. import figures
from ..literature import published_for
from ..missing import Missing, missing
from ..numbers import coverage_text, interval_text, value_text
from ..summary import Cell, Column, MethodRow, by_dataset, interval_caption, measured_columns, pasted_note, summarise
from .inline_svg import inline_svg
from .player import player_data, script_json
from .previews import Budget

GROUPS = (  # headings of the page's tables; a family that is in none stands under "Other"
    ("Image", ("psnr", "ssim", "ms_ssim", "lpips", "fid", "kid", "fvd", "frechet", "cpbd", "flicker")),
    ("Lips and motion", ("lmd", "lvd", "sync", "jitter", "aue", "blink_rate", "head_motion")),
    ("Emotion and identity", ("emotion", "csim")),
    ("Parameters and speed", ("alpha", "fps", "latency", "memory")),
    ("Other", ()),
)
FETCH = re.compile(r"emobench [a-z]+ [a-z]+ [\w.-]+")


class HtmlReport:
    """Writes report.html."""

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget or Budget()

    def write(self, runs: Sequence[RunRecord], destination: Path) -> Path:
        """The page into destination/report.html; returns its path. Raises UsageError when there is no run."""
        write_text(destination / "report.html", page(runs, self.budget))
        return destination / "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One table cell as text."""

    value: str
    interval: str
    coverage: str
    tooltip: str
    sort: float | None
    is_best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One inline figure."""

    topic: str
    svg: str


def page(runs: Sequence[RunRecord], budget: Budget) -> str:
    """The whole page as HTML; names no address outside itself, and its policy forbids it to."""
    if not runs:
        raise UsageError("No run to report. Name run directories, or folders that hold some.")
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_resource), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    script = _resource("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    with style():
        sections = [
            _section(index, dataset, rows, budget)
            for index, (dataset, rows) in enumerate(by_dataset(summarise(runs)).items())
        ]
    template = environment.get_template("page.html.j2")
    return template.render(
        sections=sections, style=_resource("page.css"), script=script, script_hash=digest, version=__version__
    )


def _resource(name: str) -> str:
    return (files("emobench.reports.html") / name).read_text(encoding="utf-8")


def _section(index: int, dataset: str, rows: Sequence[MethodRow], budget: Budget) -> dict[str, Any]:
    """Everything the template shows of one dataset."""
    data = player_data(rows, budget)
    run = rows[0].runs[0].run
    return {
        "dataset": dataset,
        "protocol": run.protocol,
        "n_clips": data["n_clips"],
        "n_embedded": data["n_embedded"],
        "subjects": sorted({plan.subject for row in rows for plan in row.runs[0].plan}),
        "seeds": sorted({seed for row in rows for seed in row.seeds}),
        "has_several_seeds": any(len(row.seeds) > 1 for row in rows),
        "has_mixed_signatures": any(len(column.signatures) > 1 for column in measured_columns(rows)),
        "pasted_note": pasted_note(rows),
        "player": script_json(data),
        "tables": list(_tables(rows)),
        "interval_caption": interval_caption(rows),
        "pictures": list(_pictures(f"d{index}", rows)),
        "missing": [(gap, _fetch_command(gap)) for gap in missing(rows)],
        "published": published_for(rows[0].dataset),
        "metrics": _metric_cards(measured_columns(rows)),
        "runs": [_run_card(record) for row in rows for record in row.runs],
        "facts": sorted(run.dataset_facts.items()),
        "judges": sorted(_flat(next((r.run.judge_report for w in rows for r in w.runs if r.run.judge_report), {}))),
    }


def _tables(rows: Sequence[MethodRow]) -> Iterator[dict[str, Any]]:
    """One table per group of metrics; ranked and unranked rows apart."""
    listed = {family for _, families in GROUPS for family in families}
    for title, families in GROUPS:
        group = [
            column
            for column in measured_columns(rows)
            if (family := column.name.partition(".")[0]) in families or (not families and family not in listed)
        ]
        if group:
            entry = partial(_entries, group)
            yield {
                "title": title,
                "columns": group,
                "ranked": [(row, entry(row)) for row in rows if row.is_ranked],
                "unranked": [(row, entry(row)) for row in rows if not row.is_ranked],
            }


def _entries(group: Sequence[Column], row: MethodRow) -> list[Entry]:
    return [_entry(row.cells.get(column.name), column) for column in group]


def _entry(cell: Cell | None, column: Column) -> Entry:
    if cell is None:
        return Entry(value="–", interval="", coverage="", tooltip="not asked for", sort=None, is_best=False)
    lines = [f"signature: {cell.signature}"] if cell.signature else []
    lines.append(f"{cell.n_scored} of {cell.n_total} clips scored")
    if len(cell.seed_values) > 1:
        lines.append("seeds: " + ", ".join(f"{value:.6g}" for value in cell.seed_values))
    if cell.reason:
        lines.append(cell.reason)
    infinite = float("inf") if cell.is_infinite else None
    return Entry(
        value=value_text(cell, column),
        interval=interval_text(cell, column),
        coverage=coverage_text(cell) if cell.n_scored else "",
        tooltip="\n".join(lines),
        sort=cell.value if cell.value is not None else infinite,
        is_best=cell.is_best,
    )


def _pictures(prefix: str, rows: Sequence[MethodRow]) -> Iterator[Picture]:
    """Every figure as inline SVG; `topic` groups them on the page."""
    for number, panel in enumerate(figures.panels(rows)):
        figure = new_figure(*panel.size)
        panel.draw(figure.subplots())
        svg = inline_svg(figure, f"{prefix}-{number}", f"{panel.topic}: {panel.name}")
        yield Picture(topic=panel.topic, svg=svg)


def _fetch_command(gap: Missing) -> str | None:
    """The command that the reason names, so that the page can set it apart."""
    found = FETCH.search(gap.reason)
    return found[0] if found else None


def _metric_cards(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """What each metric is, from its registry entry where it has one."""
    entries = registry.entries("metric")
    cards = []
    for column in columns:
        spec = entries[column.name].spec if column.name in entries else None
        cards.append(
            {
                "column": column,
                "summary": spec.summary if spec else "",
                "citation": spec.citation if spec else "",
            }
        )
    return cards


def _run_card(record: RunRecord) -> dict[str, Any]:
    run = record.run
    return {
        "title": f"{run.label} · seed {run.seed} · {short(run.identity)}",
        "facts": [
            ("method version", run.method_version),
            ("role", run.role),
            ("status", run.status),
            ("identity", run.identity),
            ("split", run.split_hash),
            *((f"config.{name}", value) for name, value in sorted(_flat(run.config))),
            *((f"seconds.{name}", f"{value:.2f}") for name, value in sorted(record.stages.items())),
            *sorted(_flat(record.provenance)),
        ],
    }


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as dotted names, the rest as text."""
    pairs: list[tuple[str, str]] = []
    for name, item in value.items():
        if isinstance(item, Mapping):
            pairs.extend(_flat(item, f"{prefix}{name}."))
        elif isinstance(item, list | tuple):
            pairs.append((f"{prefix}{name}", ", ".join(map(str, item))))
        else:
            pairs.append((f"{prefix}{name}", f"{item:.4g}" if isinstance(item, float) else str(item)))
    return pairs
