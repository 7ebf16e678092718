"""An ablation table on a terminal of 80 columns, and its numbers in words. Rounds; tests nothing, writes no file."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from emobench.ablation import FULL, AblationRow, AblationTable, MetricHeading, Value
from emobench.comparison_tables import ARROWS, STYLES
from emobench.verdicts import MetricComparison

MARKS = {"better": "better", "worse": "worse", "equivalent": "same", "inconclusive": "?"}
GAP = 2


# ------------------------------------------------------------------ words for numbers


def decimals(value: float | None) -> int:
    """Decimals that show four significant digits of a whole method's value; its differences are shown with as many."""
    return 3 if not value else min(max(3 - math.floor(math.log10(abs(value))), 0), 8)


def number(value: float, digits: int, signed: bool = False) -> str:
    """Fixed decimals with a true minus sign."""
    return f"{value:{'+' if signed else ''}.{digits}f}".replace("-", "−")


def value_lines(value: Value | None) -> tuple[str, str]:
    """(value, interval) of a row's own numbers; a dash where there is none."""
    if value is None or value.value is None:
        return "–", ""
    digits = decimals(value.value)
    if value.ci_low is None or value.ci_high is None:
        return number(value.value, digits), ""
    return number(value.value, digits), f"{number(value.ci_low, digits)}–{number(value.ci_high, digits)}"


def difference_lines(row: MetricComparison | None) -> tuple[str, str, str]:
    """(difference and verdict, interval, p) of a row against the whole method; dashes where nothing was compared."""
    if row is None or not row.is_compared or row.delta is None:
        return "–", "", ""
    interval, digits = "", decimals(row.a)
    if row.ci_low is not None and row.ci_high is not None:
        interval = f"{number(row.ci_low, digits, True)} … {number(row.ci_high, digits, True)}"
    return f"{number(row.delta, digits, True)} {MARKS[row.verdict]}", interval, p_text(row.p_holm)


def p_text(p: float | None) -> str:
    """p as papers print it; nothing where none was measured."""
    return "" if p is None else "p < .001" if p < 0.001 else f"p {p:.3f}".replace("0.", ".", 1)


def heading(metric: MetricHeading) -> str:
    """Name and direction."""
    return f"{metric.name} {ARROWS[metric.higher_is_better]}"


# ------------------------------------------------------------------ terminal


def render(table: AblationTable, width: int = 80) -> Group:
    """Tables of as many metrics as fit beside each other, then what the numbers mean and what each row changes."""
    seeds = ", ".join(map(str, table.seeds))
    parts: list[Table | Text] = [
        Text.assemble((f"Ablations of {table.method} on {table.dataset}", "bold"),
                      f"  {table.n_clips} test clips · seeds {seeds}\n"),
    ]  # fmt: skip
    for group in _fitting(table, width):
        parts.extend((_table(table, group), Text("")))
    parts.append(Text(table.caption, style="dim"))
    parts.append(Text("same: the whole interval within 1 %; ?: neither shown nor ruled out.\n", style="dim"))
    names = max(len(row.name) for row in table.rows)
    for row in table.rows:
        text = f"not compared: {row.reason}" if row.reason else row.summary
        parts.append(Text(f"{row.name:<{names}}  {text}", style="red" if row.reason else "dim"))
    return Group(*parts)


def cell_lines(row: AblationRow, metric: MetricHeading) -> list[str]:
    """What stands in one cell: the whole method's value and interval, or a row's difference, interval and p."""
    if row.name == FULL:
        return [line for line in value_lines(row.values.get(metric.name)) if line]
    return [line for line in difference_lines(row.against_full.get(metric.name)) if line]


def _fitting(table: AblationTable, width: int) -> list[list[MetricHeading]]:
    free = width - max(len(row.name) for row in table.rows)
    groups: list[list[MetricHeading]] = []
    used = free
    for metric in table.metrics:
        lines = [heading(metric), metric.unit, *(line for row in table.rows for line in cell_lines(row, metric))]
        needed = GAP + max(map(len, lines))
        if used + needed > free or not groups:
            groups.append([])
            used = 0
        groups[-1].append(metric)
        used += needed
    return groups


def _table(table: AblationTable, group: Sequence[MetricHeading]) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 0, 0, GAP), show_edge=False)
    shown.add_column("", no_wrap=True)
    for metric in group:
        shown.add_column(Text(f"{heading(metric)}\n{metric.unit}", justify="right"), justify="right", no_wrap=True)
    for row in table.rows:
        shown.add_row(Text(row.name, style="bold" if row.name == FULL else ""), *(_cell(row, m) for m in group))
    return shown


def _cell(row: AblationRow, metric: MetricHeading) -> Text:
    compared = row.against_full.get(metric.name)
    first, *rest = cell_lines(row, metric)
    style = "bold" if row.name == FULL else STYLES[compared.verdict] if compared and compared.is_compared else "dim"
    text = Text(first, style=style, justify="right")
    for line in rest:
        text.append(f"\n{line}", style="dim")
    return text
