"""The look that every figure shares, whoever draws it. Draws nothing itself and leaves matplotlib's settings alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, FAINT = "#1d1b18", "#b9b4a9"
RC = {
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.4,
    "text.color": INK,
    "text.parse_math": False,  # names come from disk: '$' is a character
    "xtick.color": INK,
    "ytick.color": INK,
    "ytick.major.size": 0,
    "xtick.major.size": 2.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "emobench",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The look of every figure; restores matplotlib's settings."""
    import matplotlib as mpl

    settings: Any = RC
    with mpl.rc_context(settings):
        yield


def shortened(text: str, limit: int = 26) -> str:
    """Names that would push the axes out of their figure, cut with an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def new_figure(width: float, height: float) -> Figure:
    """A figure of that many inches outside pyplot, so that nothing needs closing and no window system is asked for."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
