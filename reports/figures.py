"""Figures of a set of runs, drawn with seaborn: intervals per metric, values per emotion, confusion, seeds.

Draws on axes it is given; knows neither pages nor paths. Nothing here touches matplotlib's global state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from emobench.drawing import FAINT, shortened

from .numbers import number
from .summary import Column, MethodRow, measured_columns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

UNRANKED = "#8f8a80"
WIDTH_INCHES = 3.5
ON_PALE = "#101418"  # not the ink of the page, which turns pale at night
SLANTED: Mapping[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}  # of names below columns
MIDDLE_LUMINANCE = 0.179  # where black and white stand out alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Predicted against true emotion of one method's clips, as counted by one metric's judge."""

    metric: str
    label: str
    counts: pd.DataFrame  # index true, columns predicted


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One drawing: `draw(axes)` fills axes of `size` (width, height) in inches."""

    topic: str  # "metrics", "seeds", "emotions" or "confusion"
    name: str  # what it shows, in words
    size: tuple[float, float]
    draw: Callable[[Axes], None]


def panels(rows: Sequence[MethodRow]) -> list[Panel]:
    """Every panel that these rows have data for, grouped by topic."""
    scores = score_frame(rows)
    several, seeded = seed_columns(rows)
    strip, narrow = ((WIDTH_INCHES, 0.62 + 0.27 * len(some)) for some in (rows, several))
    grid = (5.2, 0.8 + 0.3 * len(rows))
    shown = measured_columns(rows)
    by_emotion = [c for c in shown if c.unit != "fps" and emotion_table(c, rows, scores).shape[1] > 1]
    drawings: list[tuple[str, str, tuple[float, float], Callable[[Axes], None]]] = [
        *(("metrics", c.name, strip, partial(draw_metric, column=c, rows=rows, scores=scores)) for c in shown),
        *(("seeds", c.name, narrow, partial(draw_seeds, column=c, rows=several)) for c in seeded),
        *(("emotions", c.name, grid, partial(draw_emotions, column=c, rows=rows, scores=scores)) for c in by_emotion),
        *(
            ("confusion", f"{c.label} {c.metric}", (3.3, 3.3), partial(draw_confusion, confusion=c))
            for c in confusions(rows)
        ),
    ]
    return [Panel(topic=topic, name=name, size=size, draw=draw) for topic, name, size, draw in drawings]


def score_frame(rows: Sequence[MethodRow]) -> pd.DataFrame:
    """One line per method, clip and metric with a value: columns label, clip, emotion, metric, value (seed mean)."""
    import pandas as pd

    lines = [
        (row.label, score.clip, score.emotion or "", score.metric, score.value)
        for row in rows
        for record in row.runs
        for score in record.scores
        if score.value is not None
    ]
    frame = pd.DataFrame(lines, columns=["label", "clip", "emotion", "metric", "value"])
    keys = ["label", "clip", "emotion", "metric"]
    return frame.groupby(keys, sort=False)["value"].mean().reset_index()


def palette(rows: Sequence[MethodRow]) -> dict[str, str]:
    """A colour per label: ranked methods in hues that hold on light and dark, the others grey."""
    import seaborn as sns
    from matplotlib.colors import to_hex

    ranked = [row.label for row in rows if row.is_ranked]
    hues = HUES if len(ranked) <= len(HUES) else [to_hex(c) for c in sns.color_palette("husl", len(ranked), desat=0.75)]
    return {row.label: UNRANKED for row in rows} | dict(zip(ranked, hues, strict=False))


HUES = ("#1b8a8f", "#d9772b", "#6b6fc4", "#b8456f", "#7a9a2e", "#c29a1c")


def draw_metric(axes: Axes, column: Column, rows: Sequence[MethodRow], scores: pd.DataFrame) -> None:
    """Mean and interval per method over the faint values of its clips."""
    import numpy as np
    import seaborn as sns

    shown = [row for row in rows if column.name in row.cells and row.cells[column.name].is_shown]
    labels = [row.label for row in shown]
    colours = palette(rows)
    own = scores[(scores["metric"] == column.name) & scores["label"].isin(labels)]
    if len(own):
        # seaborn's own jitter draws from numpy's global generator: equal runs would give unequal figures
        jitter = np.random.default_rng(0).uniform(-0.18, 0.18, len(own))
        own = own.assign(y=own["label"].map(labels.index) + jitter)
        sns.scatterplot(
            data=own,
            x="value",
            y="y",
            hue="label",
            palette=colours,
            legend=False,
            s=11,
            alpha=0.3,
            linewidth=0,
            ax=axes,
        )
    for y, row in enumerate(shown):
        cell = row.cells[column.name]
        if cell.value is None:
            axes.text(1, y, "∞", transform=axes.get_yaxis_transform(), ha="right", va="center")
            continue
        if cell.ci_low is not None and cell.ci_high is not None:
            axes.plot([cell.ci_low, cell.ci_high], [y, y], color=colours[row.label], linewidth=2.6, zorder=2)
        axes.plot(cell.value, y, "o", markersize=6, color=colours[row.label], zorder=3)
    axes.set_yticks(range(len(labels)), [shortened(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.margins(x=0.08)
    unit = f" ({column.unit})" if column.unit else ""
    axes.set(xlabel="", ylabel="", title=f"{shortened(column.name)}{shortened(unit, 12)} {column.arrow}")


def draw_emotions(axes: Axes, column: Column, rows: Sequence[MethodRow], scores: pd.DataFrame) -> None:
    """Mean per method and emotion as an annotated heat map; darker is better in both directions."""
    import seaborn as sns

    table = emotion_table(column, rows, scores)
    digits = min(column.digits, 3)
    sns.heatmap(
        table,
        annot=table.map(lambda value: "" if math.isnan(value) else number(value, digits)),
        fmt="",
        cmap="crest" if column.higher_is_better else "crest_r",
        cbar=False,
        linewidths=1.5,
        linecolor="none",
        annot_kws={"fontsize": 8},
        ax=axes,
    )
    _contrast(axes, len(table.columns))
    axes.grid(False)
    axes.tick_params(axis="x", length=0)
    axes.set_yticklabels([shortened(label) for label in table.index], rotation=0)
    axes.set_xticklabels([shortened(label, 12) for label in table.columns], **SLANTED)
    unit = f" ({column.unit})" if column.unit else ""
    axes.set(xlabel="", ylabel="", title=f"{shortened(column.name)}{shortened(unit, 12)} {column.arrow}")


def _contrast(axes: Axes, n_columns: int) -> None:
    """Colour each cell's text black or white, whichever stands out more (WCAG 2.2, relative luminance)."""
    from seaborn.utils import relative_luminance

    faces = axes.collections[0].get_facecolor()
    for text in axes.texts:
        x, y = text.get_position()
        is_pale = relative_luminance(faces[int(y) * n_columns + int(x)]) > MIDDLE_LUMINANCE
        text.set_color(ON_PALE if is_pale else "white")


def emotion_table(column: Column, rows: Sequence[MethodRow], scores: pd.DataFrame) -> pd.DataFrame:
    """Mean value, index label, columns emotion; NaN where no clip of that emotion was scored."""
    own = scores[(scores["metric"] == column.name) & (scores["emotion"] != "")]
    table = own.pivot_table(index="label", columns="emotion", values="value", aggfunc="mean")
    return table.reindex([row.label for row in rows if row.label in table.index]).rename_axis(None)


def draw_confusion(axes: Axes, confusion: Confusion) -> None:
    """Share of each true emotion's clips by predicted emotion, with counts."""
    import seaborn as sns

    counts = confusion.counts
    shares = counts.div(counts.sum(axis=1).replace(0, 1), axis=0)
    sns.heatmap(
        shares,
        mask=counts == 0,
        annot=counts,
        fmt="d",
        cmap="crest",
        vmin=0,
        vmax=1,
        cbar=False,
        square=True,
        annot_kws={"fontsize": 8},
        ax=axes,
    )
    _contrast(axes, counts.shape[1])
    for edge in range(1, max(counts.shape)):
        for line, limit in ((axes.axhline, counts.shape[0]), (axes.axvline, counts.shape[1])):
            if edge < limit:
                line(edge, color=FAINT, linewidth=0.4)
    axes.spines[:].set_visible(True)
    axes.grid(False)
    axes.tick_params(axis="x", length=0)
    axes.set_yticklabels([shortened(label, 12) for label in counts.index], rotation=0)
    axes.set_xticklabels([shortened(label, 12) for label in counts.columns], **SLANTED)
    axes.set(xlabel="predicted", ylabel="asked for", title=shortened(f"{confusion.label} · {confusion.metric}", 40))


def confusions(rows: Sequence[MethodRow]) -> list[Confusion]:
    """Every metric whose scores carry a `predicted` class, per method, over all seeds."""
    import pandas as pd

    found = []
    for column in measured_columns(rows):
        for row in rows:
            pairs = [
                (score.emotion, str(score.detail["predicted"]))
                for record in row.runs
                for score in record.scores
                if score.metric == column.name and "predicted" in score.detail and score.emotion
            ]
            if pairs:
                frame = pd.DataFrame(pairs, columns=["asked for", "predicted"])
                names = sorted({name for pair in pairs for name in pair if name})
                counts = pd.crosstab(frame["asked for"], frame["predicted"])
                counts = counts.reindex(index=sorted(set(frame["asked for"])), columns=names, fill_value=0)
                found.append(Confusion(metric=column.name, label=row.label, counts=counts))
    return found


def draw_seeds(axes: Axes, column: Column, rows: Sequence[MethodRow]) -> None:
    """Every seed's own value, one mark each: the spread that intervals over clips do not show."""
    import seaborn as sns

    shown = [row for row in rows if len(row.cells[column.name].seed_values) > 1] if rows else []
    data: Mapping[str, list[object]] = {
        "value": [value for row in shown for value in row.cells[column.name].seed_values],
        "label": [row.label for row in shown for _ in row.cells[column.name].seed_values],
    }
    sns.stripplot(
        data=data, x="value", y="label", hue="label", palette=palette(rows), legend=False, jitter=False, size=7,
        marker="D", alpha=0.8, ax=axes,
    )  # fmt: skip
    axes.margins(x=0.2)
    axes.set(xlabel="", ylabel="", title=f"{column.name} {column.arrow}")


def seed_columns(rows: Sequence[MethodRow]) -> tuple[list[MethodRow], list[Column]]:
    """Rows with several seeds, and the metrics that each of those seeds measured."""
    several = [row for row in rows if len(row.seeds) > 1]
    return several, [
        column
        for column in measured_columns(several)
        if all(column.name in r.cells and len(r.cells[column.name].seed_values) > 1 for r in several)
    ]
