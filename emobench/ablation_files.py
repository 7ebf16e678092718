"""An ablation table as files: CSV and JSON in full precision, Markdown, LaTeX and HTML for readers. Tests nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from emobench.ablation import FULL, AblationRow, AblationTable, MetricHeading, Value
from emobench.ablation_tables import cell_lines, decimals, difference_lines, heading, number, value_lines
from emobench.cache import write_text
from emobench.store import to_json
from emobench.verdicts import MetricComparison

CSV_FIELDS = (
    *("row", "metric", "unit", "higher_is_better", "seeds", "value", "ci_low", "ci_high", "seed_std", "full", "delta"),
    *("delta_low", "delta_high", "p", "p_holm", "verdict", "clips", "reason"),
)
LATEX = str.maketrans({"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "τ": r"$\tau$", "α": r"$\alpha$",
                       "−": r"$-$", "…": r"\dots{}", "<": r"$<$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
                       "₁": r"$_1$", "₂": r"$_2$", "=": r"$=$", "–": "--"})  # fmt: skip
PAGE_STYLE = (
    "body{font:14px/1.45 system-ui,sans-serif;margin:2rem;color:#1d1b18;background:#fff}"
    "table{border-collapse:collapse}th,td{padding:.35rem .8rem;text-align:right;vertical-align:top}"
    "th:first-child,td:first-child{text-align:left}thead th{border-bottom:1px solid #b9b4a9}"
    "small{color:#6b675f}.better{color:#1b6e3c}.worse{color:#a3282f}p,li{max-width:60rem}"
    ".wide{overflow-x:auto}"
)


def write_tables(table: AblationTable, folder: Path) -> list[Path]:
    """ablation.csv, .md, .tex, .html and .json in `folder`."""
    texts = {
        "csv": as_csv(table), "md": as_markdown(table), "tex": as_latex(table), "html": as_html(table),
        "json": to_json(as_json(table)),
    }  # fmt: skip
    paths = [folder / f"ablation.{suffix}" for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths


def as_json(table: AblationTable) -> dict[str, Any]:
    """Everything in full precision."""
    return {
        "method": table.method, "dataset": table.dataset, "n_clips": table.n_clips, "seeds": list(table.seeds),
        "caption": table.caption, "rows": {
            row.name: {
                "summary": row.summary, "reason": row.reason, "seeds": list(row.seeds),
                "metrics": {m: dict(zip(CSV_FIELDS[5:], line[5:], strict=True)) for m, line in _lines(row, table)},
            } for row in table.rows
        },
    }  # fmt: skip


def as_csv(table: AblationTable) -> str:
    """Long form: one line per row and metric, full precision."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for row in table.rows:
        for _, line in _lines(row, table):
            writer.writerow(["" if value is None else value for value in line])
    return stream.getvalue()


def _lines(row: AblationRow, table: AblationTable) -> list[tuple[str, list[Any]]]:
    """(metric, the values of CSV_FIELDS) for every metric."""
    found = []
    for metric in table.metrics:
        value = row.values.get(metric.name, Value(value=None, reason=row.reason))
        test = row.against_full.get(metric.name)
        blank = MetricComparison(metric=metric.name, unit=metric.unit, higher_is_better=metric.higher_is_better)
        one = test or blank
        found.append((metric.name, [
            row.name, metric.name, metric.unit, metric.higher_is_better, " ".join(map(str, row.seeds)), value.value,
            value.ci_low, value.ci_high, value.seed_std, one.a, one.delta, one.ci_low, one.ci_high, one.p, one.p_holm,
            one.verdict if one.is_compared else None, one.n or None, value.reason or one.reason,
        ]))  # fmt: skip
    return found


def as_markdown(table: AblationTable) -> str:
    """One table; the whole method's values, and every row's difference with interval, p and verdict."""
    lines = [
        f"| | {' | '.join(heading(m) + (f', {m.unit}' if m.unit else '') for m in table.metrics)} |",
        "|---|" + "---:|" * len(table.metrics),
    ]
    for row in table.rows:
        cells = ["<br>".join(cell_lines(row, metric)) for metric in table.metrics]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    facts = f"{table.method} on {table.dataset}, {table.n_clips} test clips, seeds {', '.join(map(str, table.seeds))}."
    rows = [f"- {row.name}: {f'not compared: {row.reason}' if row.reason else row.summary}" for row in table.rows]
    return "\n".join([facts, "", *lines, "", table.caption, "", *rows, ""])


def as_latex(table: AblationTable) -> str:
    """A booktabs table: differences over intervals, significant ones in bold."""
    lines = [_latex_row("", [heading(m) for m in table.metrics])]
    if any(metric.unit for metric in table.metrics):
        lines.append(_latex_row("", [f"[{m.unit}]" if m.unit else "" for m in table.metrics]))
    lines.append(r"\midrule")
    for row in table.rows:
        cells = [_latex_cells(row, metric) for metric in table.metrics]
        lines.append(" & ".join([row.name.translate(LATEX), *(first for first, _ in cells)]) + r" \\")
        lines.append(" & ".join(["", *(second for _, second in cells)]) + r" \\")
        if row.name == FULL:
            lines.append(r"\midrule")
    facts = f"Ablations of {table.method} on {table.dataset}, {table.n_clips} test clips."
    caption = f"{facts} {table.caption} Bold: better or worse.".translate(LATEX)
    label = f"tab:ablation-{table.method}-{table.dataset}".replace("_", "-")
    return "\n".join([
        "% needs \\usepackage{booktabs,graphicx}", r"\begin{table*}[t]", r"\centering",
        rf"\caption{{{caption}}}", rf"\label{{{label}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(table.metrics)}}}", r"\toprule", *lines, r"\bottomrule", r"\end{tabular}}",
        r"\end{table*}", "",
    ])  # fmt: skip


def _latex_row(label: str, cells: Sequence[str]) -> str:
    return " & ".join(text.translate(LATEX) for text in (label, *cells)) + r" \\"


def _latex_cells(row: AblationRow, metric: MetricHeading) -> tuple[str, str]:
    if row.name == FULL:
        value, interval = value_lines(row.values.get(metric.name))
        return value.translate(LATEX), rf"{{\scriptsize {interval.translate(LATEX)}}}"
    compared = row.against_full.get(metric.name)
    _, interval, p = difference_lines(compared)
    if compared is None or compared.delta is None:
        return "--", ""
    delta = number(compared.delta, decimals(compared.a), True).translate(LATEX)
    is_shown = compared.verdict in ("better", "worse")
    small = ", ".join(part for part in (interval, p) if part).translate(LATEX)
    return (rf"\textbf{{{delta}}}" if is_shown else delta), rf"{{\scriptsize {small}}}"


def as_html(table: AblationTable) -> str:
    """One self-contained page without scripts."""
    facts = f"{table.n_clips} test clips, seeds {', '.join(map(str, table.seeds))}"
    columns = "".join(f"<th>{escape(heading(m))}<br><small>{escape(m.unit)}</small></th>" for m in table.metrics)
    rows = "\n".join(
        f"<tr><td>{escape(row.name)}</td>{''.join(_html_cell(row, metric) for metric in table.metrics)}</tr>"
        for row in table.rows
    )
    notes = "\n".join(
        f"<li><b>{escape(row.name)}</b>: {escape(f'not compared: {row.reason}' if row.reason else row.summary)}</li>"
        for row in table.rows
    )
    title = escape(f"Ablations of {table.method} on {table.dataset}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{PAGE_STYLE}</style></head>\n<body><h1>{title}</h1><p>{escape(facts)}</p>\n"
        f'<div class="wide"><table><thead><tr><th></th>{columns}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n'
        f"<p>{escape(table.caption)}</p>\n<ul>{notes}</ul></body></html>\n"
    )


def _html_cell(row: AblationRow, metric: MetricHeading) -> str:
    first, *rest = map(escape, cell_lines(row, metric))
    compared = row.against_full.get(metric.name)
    kind = compared.verdict if compared and compared.is_compared else ""
    return f'<td class="{kind}">{first}{"".join(f"<br><small>{line}</small>" for line in rest)}</td>'
