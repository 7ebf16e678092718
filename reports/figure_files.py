"""The figures of a report as files: PNG to look at, PDF for papers. Draws nothing itself."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path

from emobench.cache import writing
from emobench.drawing import new_figure, style
from emobench.store import RunRecord

from . import figures
from .summary import by_dataset, summarise

FIGURE_SUFFIXES = (".png", ".pdf")
COLUMNS = 3


class FigureReport:
    """figures/*.png and *.pdf beside the tables."""

    def write(self, runs: Sequence[RunRecord], destination: Path) -> Path | None:
        """Every figure of the runs; returns the folder, or None where there is nothing to draw."""
        return destination / "figures" if write_figures(runs, destination / "figures") else None


def write_figures(runs: Sequence[RunRecord], destination: Path) -> list[Path]:
    """One figure per topic and dataset, as PNG for looking and PDF for papers."""
    grouped = by_dataset(summarise(runs))
    paths = []
    with style():
        for dataset, rows in grouped.items():
            prefix = "" if len(grouped) == 1 else re.sub(r"[^\w.-]+", "-", f"{dataset}-")
            for topic, group in itertools.groupby(figures.panels(rows), key=lambda panel: panel.topic):
                paths.extend(_save(destination / f"{prefix}{topic}", list(group)))
    return paths


def _save(stem: Path, panels: Sequence[figures.Panel]) -> list[Path]:
    n_columns = min(COLUMNS, len(panels))
    n_rows = math.ceil(len(panels) / n_columns)
    width, height = panels[0].size
    figure = new_figure(width * n_columns, height * n_rows)
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for panel, target in zip(panels, axes, strict=False):
        panel.draw(target)
    for spare in axes[len(panels) :]:
        spare.set_axis_off()
    paths = [stem.with_name(stem.name + suffix) for suffix in FIGURE_SUFFIXES]
    for path in paths:
        with writing(path) as temporary:
            # without its creation date a PDF of equal runs is equal
            metadata = {"CreationDate": None} if path.suffix == ".pdf" else None
            figure.savefig(temporary, dpi=200, facecolor="white", metadata=metadata)
        figure.set_layout_engine("none")  # found once: it does not depend on the format
    return paths
