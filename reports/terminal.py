"""Tables on standard output: methods as rows, metrics as columns, split until they fit the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from emobench.store import RunRecord

from .judges import judge_lines
from .literature import Published, published_for
from .missing import missing_lines
from .numbers import DASH, coverage_text, interval_text, value_text
from .summary import (
    Cell,
    Column,
    MethodRow,
    by_dataset,
    columns,
    interval_caption,
    measured_columns,
    pasted_note,
    summarise,
)

GAP = 2
LEAST_LABEL = 12  # columns that a method's name keeps beside the widest metric; longer ones are folded
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # escape codes from files must not reach the terminal


class TerminalReport:
    """Prints; writes no file."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)

    def write(self, runs: Sequence[RunRecord], destination: Path) -> None:
        """Print the tables of `runs`; `destination` is not used."""
        self.console.print(render(summarise(runs), self.console.width))


def render(rows: Sequence[MethodRow], width: int = 80) -> Group:
    """Everything the terminal report shows, laid out for `width` columns."""
    parts: list[Table | Text] = []
    for dataset, own in by_dataset(rows).items():
        parts.append(_heading(dataset, own))
        for group in fit_columns(own, measured_columns(own), width):
            parts.extend((_table(own, group, label_width(own, measured_columns(own), width)), Text("")))
        parts.append(_caption(own))
        parts.extend(
            Text(_clean(line), style="bold red" if "unreliable" in line else "dim") for line in judge_lines(own)
        )
        parts.extend(Text(_clean(line), style="yellow") for line in missing_lines(own))
        for published in published_for(own[0].dataset):
            parts.extend((Text(""), *_published(published, width)))
    return Group(*parts)


def fit_columns(rows: Sequence[MethodRow], wanted: Sequence[Column], width: int) -> list[list[Column]]:
    """Consecutive metrics that fit beside the method names, a list per table; a metric is never cut."""
    free = width - label_width(rows, wanted, width)
    groups: list[list[Column]] = []
    used = width
    for column in wanted:
        needed = _needed(rows, column)
        if used + needed > free:
            groups.append([])
            used = 0
        groups[-1].append(column)
        used += needed
    return groups


def label_width(rows: Sequence[MethodRow], wanted: Sequence[Column], width: int) -> int:
    """How wide method names may be: as they are, but folded where the widest metric would not fit beside them."""
    longest = max((cell_len(_clean(row.label)) for row in rows), default=0)
    widest = max((_needed(rows, column) for column in wanted), default=0)
    return min(longest, max(width - widest, LEAST_LABEL))


def _needed(rows: Sequence[MethodRow], column: Column) -> int:
    """Columns of the terminal that a metric takes, its gap included."""
    cells = [line for row in rows for line in _lines(row.cells.get(column.name), column)]
    return GAP + max(map(cell_len, (*_title(column), *cells)))


def _heading(dataset: str, rows: Sequence[MethodRow]) -> Text:
    run = rows[0].runs[0].run
    seeds = sorted({seed for row in rows for seed in row.seeds})
    clips = len({plan.clip for row in rows for record in row.runs for plan in record.plan})
    facts = f"protocol {run.protocol} · {clips} test clips · seeds {', '.join(map(str, seeds))}"
    return Text.assemble((_clean(dataset), "bold"), f"  {_clean(facts)}\n")


def _table(rows: Sequence[MethodRow], group: Sequence[Column], names: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_edge=False)
    table.add_column("", width=names, overflow="fold")
    for column in group:
        table.add_column(Text("\n".join(_title(column)), justify="right"), justify="right", no_wrap=True)
    was_ranked = True
    for row in rows:
        if was_ranked and not row.is_ranked:
            table.add_section()
            table.add_row(Text("not ranked", style="dim italic"))
        was_ranked = row.is_ranked
        cells = [_cell(row.cells.get(column.name), column) for column in group]
        table.add_row(Text(_clean(row.label), style="" if row.is_ranked else "dim"), *cells)
    return table


def _title(column: Column) -> tuple[str, str]:
    mixed = "‡" if len(column.signatures) > 1 else ""
    return f"{_clean(column.name)}{mixed} {column.arrow}", column.unit


def _lines(cell: Cell | None, column: Column) -> Iterator[str]:
    best = "*" if cell is not None and cell.is_best else ""
    yield f"{value_text(cell, column)}{best}"
    if interval := interval_text(cell, column):
        yield interval
    if cell is not None and cell.n_scored and (coverage := coverage_text(cell)):
        yield coverage


def _cell(cell: Cell | None, column: Column) -> Text:
    first, *rest = _lines(cell, column)
    text = Text(first, style="bold" if cell is not None and cell.is_best else "", justify="right")
    for line in rest:
        text.append(f"\n{line}", style="dim")
    return text


def _caption(rows: Sequence[MethodRow]) -> Text:
    lines = [f"{interval_caption(rows)}. * best complete value."]
    if any(len(row.seeds) > 1 for row in rows):
        lines.append("Several seeds: mean over seeds; the interval is over clips, not over seeds.")
    if any(len(column.signatures) > 1 for column in columns(rows)):
        lines.append("‡ signatures differ between rows: not comparable, no best.")
    if note := pasted_note(rows):
        lines.append(note)
    if any(not cell.is_complete and cell.n_scored for row in rows for cell in row.cells.values()):
        lines.append("n/N: clips scored of clips planned.")
    return Text("\n".join(lines), style="dim")


def _published(published: Published, width: int) -> Iterator[Table | Text]:
    yield Text(f"Published, not measured here: {published.citation} ({published.grade_text})", style="dim")
    names = max((cell_len(method.method) for method in published.rows), default=0)
    for group in _published_groups(published, width - names):
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
        table.add_column("", no_wrap=True)
        for index in group:
            table.add_column(published.columns[index], justify="right", no_wrap=True)
        for method in published.rows:
            values = (method.values[index] for index in group)
            cells = (Text(DASH if value is None else value, style="dim") for value in values)
            table.add_row(Text(method.method, style="dim"), *cells)
        yield table
    yield Text(published.protocol, style="dim italic")


def _published_groups(published: Published, free: int) -> list[list[int]]:
    """Indices of consecutive columns that fit into `free` columns of the terminal beside the methods' names."""
    groups: list[list[int]] = []
    used = free
    for index, name in enumerate(published.columns):
        values = (method.values[index] or DASH for method in published.rows)
        needed = GAP + max(map(cell_len, (name, *values)))
        if used + needed > free or not groups:
            groups.append([])
            used = 0
        groups[-1].append(index)
        used += needed
    return groups


def _clean(text: str) -> str:
    return CONTROL.sub("�", text)
