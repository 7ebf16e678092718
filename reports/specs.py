"""Light registry entries of the built-in reports; imports nothing heavy."""

from __future__ import annotations

from emobench.specs import ReportSpec

TERMINAL = ReportSpec(
    name="terminal",
    version="1",
    summary="tables on the terminal: intervals, coverage, reasons for what is missing",
    factory="emobench.reports.terminal:TerminalReport",
    requires=("rich",),
)
CSV = ReportSpec(
    name="csv",
    version="1",
    summary="table.csv (run × metric, long form) and scores.csv (one row per clip)",
    factory="emobench.reports.csv_files:CsvReport",
    suffix=".csv",
)
LATEX = ReportSpec(
    name="latex",
    version="1",
    summary="table.tex: booktabs table with intervals and a caption that states the protocol",
    factory="emobench.reports.latex:LatexReport",
    suffix=".tex",
)
HTML = ReportSpec(
    name="html",
    version="1",
    summary="report.html: one self-contained page with synchronised clips, tables and figures",
    factory="emobench.reports.html.page:HtmlReport",
    requires=("jinja2", "seaborn", "pandas"),
    suffix=".html",
)
FIGURES = ReportSpec(
    name="figures",
    version="1",
    summary="figures/: bars with intervals, emotions, confusion, seeds, as PNG and PDF",
    factory="emobench.reports.figure_files:FigureReport",
    requires=("seaborn", "pandas"),
    suffix=".png",
)
