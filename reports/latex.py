"""A booktabs table for a paper: value over interval, the best in bold, the protocol in the caption."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emobench.cache import write_text
from emobench.store import RunRecord

from .judges import judge_lines
from .literature import Published, published_for
from .missing import missing_lines
from .numbers import coverage_text, interval_text, value_text
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

ESCAPES = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "−": r"$-$", "…": r"\dots{}",
    "∞": r"$\infty$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "·": r"$\cdot$", "‡": r"$\ddagger$",
    "≠": r"$\neq$", "×": r"$\times$", "α": r"$\alpha$", "σ": r"$\sigma$", "\n": " ",
})  # fmt: skip


class LatexReport:
    """Writes table.tex."""

    def write(self, runs: Sequence[RunRecord], destination: Path) -> Path:
        """One table per dataset into destination/table.tex; returns its path."""
        write_text(destination / "table.tex", latex(summarise(runs)))
        return destination / "table.tex"


def latex(rows: Sequence[MethodRow]) -> str:
    """Needs \\usepackage{booktabs}; one table* per dataset, published numbers in tables of their own."""
    parts = ["% needs \\usepackage{booktabs,graphicx}\n"]
    for dataset, own in by_dataset(rows).items():
        parts.append(_table(dataset, own))
        parts.extend(_published(table) for table in published_for(own[0].dataset))
    return "\n".join(parts)


def escape(text: str) -> str:
    """Text from disk as LaTeX that prints it."""
    return text.translate(ESCAPES)


def _table(dataset: str, rows: Sequence[MethodRow]) -> str:
    wanted = measured_columns(rows)
    lines = [_row("", [f"{c.name}{'‡' * (len(c.signatures) > 1)} {c.arrow}" for c in wanted])]
    if any(column.unit for column in wanted):
        lines.append(_row("", [f"[{column.unit}]" if column.unit else "" for column in wanted]))
    lines.append(r"\midrule")
    was_ranked = True
    for row in rows:
        if was_ranked and not row.is_ranked:
            lines.append(r"\midrule")
        was_ranked = row.is_ranked
        cells = [(row.cells.get(column.name), column) for column in wanted]
        lines.append(" & ".join([escape(row.label), *(_value(*pair) for pair in cells)]) + r" \\")
        if any(interval_text(*pair) for pair in cells):
            lines.append(" & ".join(["", *(_interval(*pair) for pair in cells)]) + r" \\")
    return _float(_caption(dataset, rows), f"tab:emobench-{dataset}", "l" + "r" * len(wanted), lines)


def _value(cell: Cell | None, column: Column) -> str:
    text = escape(value_text(cell, column))
    if cell is not None and cell.is_best:
        text = rf"\textbf{{{text}}}"
    coverage = coverage_text(cell) if cell is not None and cell.n_scored else ""
    return text + (rf"\,{{\tiny {coverage}}}" if coverage else "")


def _interval(cell: Cell | None, column: Column) -> str:
    text = interval_text(cell, column)
    return rf"{{\scriptsize {escape(text)}}}" if text else ""


def _caption(dataset: str, rows: Sequence[MethodRow]) -> str:
    run = rows[0].runs[0].run
    seeds = ", ".join(str(seed) for seed in sorted({seed for row in rows for seed in row.seeds}))
    clips = len({plan.clip for row in rows for record in row.runs for plan in record.plan})
    sentences = [
        f"Dataset {dataset}, protocol {run.protocol}, {clips} test clips, seeds {seeds}.",
        f"Beneath each value: {interval_caption(rows)}.",
        "Bold: best complete value; rows below the second rule (oracles and sanity checks) are not ranked.",
        *(f"{line}." for line in judge_lines(rows) if "unreliable" in line),
        *(f"{line}." for line in missing_lines(rows)),
    ]
    if any(len(column.signatures) > 1 for column in columns(rows)):
        sentences.append("‡: signatures differ between rows, not comparable.")
    if note := pasted_note(rows):
        sentences.append(note)
    return escape(" ".join(sentences))


def _published(table: Published) -> str:
    lines = [_row("", table.columns), r"\midrule"]
    lines.extend(_row(row.method, [value or "–" for value in row.values]) for row in table.rows)
    caption = f"Published on {table.dataset}, not measured here: {table.citation} ({table.grade_text})."
    label = f"tab:published-{table.name}-{table.dataset}"
    return _float(escape(f"{caption} {table.protocol}"), label, "l" + "r" * len(table.columns), lines)


def _row(label: str, cells: Sequence[str]) -> str:
    return " & ".join(escape(text) for text in (label, *cells)) + r" \\"


def _float(caption: str, label: str, layout: str, lines: Sequence[str]) -> str:
    """Wide tables shrink to the text width, small ones keep their size."""
    name = "".join(c if c.isalnum() or c in ":-" else "-" for c in label)
    fit = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    head = [r"\begin{table*}[t]", r"\centering", rf"\caption{{{caption}}}", rf"\label{{{name}}}", fit]
    body = [rf"\begin{{tabular}}{{{layout}}}", r"\toprule", *lines, r"\bottomrule", r"\end{tabular}}"]
    return "\n".join([*head, *body, r"\end{table*}", ""])
