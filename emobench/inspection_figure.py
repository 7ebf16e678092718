"""Hyperplanes as a picture: what each normal moves, cosines between normals, and τ by emotion. Computes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from emobench.cache import writing
from emobench.drawing import new_figure, style
from emobench.errors import UsageError
from emobench.inspection import PlaneReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf")
# so that equal pictures are equal files
NO_DATE: dict[str, dict[Any, Any]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
COLOUR = "#1b8a8f"
DIVERGING = "vlag"
WIDEST = 60  # coefficients of one row; a tracker with more has their names left out


def require_picture(path: Path) -> None:
    """Raises UsageError where the name says no kind of picture."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: a picture ends in {', '.join(SUFFIXES)}.")


def write_planes(report: PlaneReport, path: Path) -> None:
    """The picture as PNG, SVG or PDF, by its suffix. Raises UsageError on another one."""
    require_picture(path)
    n_emotions, n_names = report.facts.normal.shape
    with style():
        figure = new_figure(max(8.5, 1.6 + 0.22 * n_names), 2.4 + 0.62 * n_emotions)
        parts: Any = figure.subfigures(2, 1, height_ratios=[1, 1.15])  # an array, which its stubs do not say
        above, below = parts
        _draw_normals(above.subplots(), report)
        left, right = below.subplots(1, 2, width_ratios=[1, 1.25])
        _draw_cosines(left, report)
        _draw_tau(right, report)
        figure.suptitle(f"Hyperplanes of {report.label}, seed {report.seed}", x=0.01, ha="left", weight="bold")
        with writing(path) as temporary:
            figure.savefig(temporary, dpi=160, facecolor="white", metadata=NO_DATE.get(path.suffix.lower()))


def _draw_normals(axes: Axes, report: PlaneReport) -> None:
    import seaborn as sns

    facts = report.facts
    reach = float(abs(facts.normal).max())
    names = [f"{name}*" if is_mouth else name for name, is_mouth in zip(facts.alpha_names, facts.is_mouth, strict=True)]
    emotions = [f"{emotion} {share:.0%}" for emotion, share in zip(facts.emotions, facts.accuracy, strict=True)]
    sns.heatmap(
        facts.normal, cmap=DIVERGING, center=0, vmin=-reach, vmax=reach, ax=axes, yticklabels=emotions,
        xticklabels=names if len(names) <= WIDEST else False, cbar_kws={"pad": 0.01, "aspect": 12},
    )  # fmt: skip
    axes.tick_params(axis="x", rotation=90, length=0, labelsize=7)
    axes.tick_params(axis="y", rotation=0)
    axes.grid(False)
    axes.set_title("What one unit along w moves (* articulates the mouth); accuracy beside the emotion")


def _draw_cosines(axes: Axes, report: PlaneReport) -> None:
    import seaborn as sns

    facts = report.facts
    sns.heatmap(
        facts.cosines(), annot=True, fmt=".2f", cmap=DIVERGING, center=0, vmin=-1, vmax=1, cbar=False, square=True,
        annot_kws={"fontsize": 6.5}, ax=axes, yticklabels=facts.emotions, xticklabels=facts.emotions,
    )  # fmt: skip
    axes.set_xticklabels(facts.emotions, rotation=45, ha="right")
    axes.tick_params(axis="both", length=0)
    axes.tick_params(axis="y", rotation=0)
    axes.grid(False)
    axes.set_title("Cosines between the normals")


def _draw_tau(axes: Axes, report: PlaneReport) -> None:
    import pandas as pd
    import seaborn as sns

    rows = [(emotion, float(value)) for emotion, tau in report.tau.items() for value in tau.values]
    frame = pd.DataFrame(rows, columns=["emotion", "τ"])
    sns.boxplot(
        data=frame, x="τ", y="emotion", order=list(report.tau), color=COLOUR, whis=(5, 95), fliersize=0, width=0.6,
        linewidth=0.9, ax=axes,
    )  # fmt: skip
    axes.set_xlim(left=0.0)
    axes.set(ylabel="", title="τ on the test clips (box: quartiles, whiskers: 5–95 %)")
