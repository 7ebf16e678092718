"""Pictures of one size in labelled rows and columns: the layout of a strip, as a still image or as frames of a film.

Knows pixels and words; nothing of methods, runs or files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emobench.drawing import INK, shortened, style
from emobench.errors import InputError
from emobench.types import Frames, Image

GAP_PX = 4
LEAST_CELL_PX = 128  # smaller pictures are enlarged by a whole factor, so that labels have room
LABEL_SHARE = 0.105  # of a cell's width: height of its letters
DOTS_PER_INCH = 100.0
LETTER_WIDTH = 0.62  # of its height, on average


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Words of a strip: one above every column, one beside every row ("" = none), a title above all."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[str, ...] = ("",)


def strip(pictures: Sequence[Sequence[Image]], labels: Labels) -> Image:
    """(H, W, 3): pictures[row][column] with their labels. Raises InputError where sizes or numbers differ."""
    return next(films([[picture[None] for picture in row] for row in pictures], labels))


def films(clips: Sequence[Sequence[Frames]], labels: Labels) -> Iterator[Image]:
    """The same for clips[row][column] (T, H, W, 3), frame by frame. Raises InputError where sizes or numbers differ."""
    shapes = {clip.shape for row in clips for clip in row}
    if len(shapes) != 1 or len(clips) != len(labels.rows) or any(len(row) != len(labels.columns) for row in clips):
        raise InputError(f"A strip of {len(labels.rows)} × {len(labels.columns)} needs as many pictures of one size.")
    count, height, width, _ = shapes.pop()
    factor = max(1, -(-LEAST_CELL_PX // width))
    layout = _Layout.of(labels, height * factor, width * factor)
    canvas = _draw_labels(labels, layout)
    for index in range(count):
        image = canvas.copy()
        for row, across in enumerate(clips):
            for column, clip in enumerate(across):
                top, left = layout.corner(row, column)
                cell = _enlarged(clip[index], factor)
                image[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
        yield image


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Pixels of a strip."""

    cell_height: int
    cell_width: int
    above: int  # title and column labels
    title: int  # its share of `above`
    beside: int  # row labels
    letters: float  # height of the labels' letters
    rows: int
    columns: int

    @classmethod
    def of(cls, labels: Labels, height: int, width: int) -> _Layout:
        longest = max(len(label) for label in labels.columns)
        letters = max(9.0, min(LABEL_SHARE * width, width / (LETTER_WIDTH * max(longest, 1))))
        widest = max(len(line) for label in labels.rows for line in label.split("\n"))
        title = round(2.2 * letters) if labels.title else 0
        return cls(
            cell_height=height, cell_width=width, title=title, above=title + round(1.9 * letters),
            beside=round((widest + 2) * LETTER_WIDTH * letters) if widest else 0, letters=letters,
            rows=len(labels.rows), columns=len(labels.columns),
        )  # fmt: skip

    def corner(self, row: int, column: int) -> tuple[int, int]:
        return (
            self.above + row * (self.cell_height + GAP_PX),
            self.beside + GAP_PX + column * (self.cell_width + GAP_PX),
        )

    @property
    def size(self) -> tuple[int, int]:
        bottom, right = self.corner(self.rows, self.columns)
        return bottom + bottom % 2, right + right % 2  # even: 4:2:0 video needs it


def _draw_labels(labels: Labels, layout: _Layout) -> Image:
    """The empty strip: white, with its words. Matplotlib draws them, so that every letter is known."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = layout.size
    points = layout.letters * 72 / DOTS_PER_INCH
    with style():
        figure = Figure(figsize=(width / DOTS_PER_INCH, height / DOTS_PER_INCH), dpi=DOTS_PER_INCH, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        write: dict[str, Any] = {"color": INK, "fontsize": points, "va": "center"}
        if labels.title:
            y = 1 - 0.55 * layout.title / height
            figure.text((layout.beside + GAP_PX) / width, y, labels.title, **write, ha="left", weight="bold")
        for column, label in enumerate(labels.columns):
            left = layout.corner(0, column)[1]
            y = 1 - (layout.title + 0.5 * (layout.above - layout.title)) / height
            drawn = figure.text((left + layout.cell_width / 2) / width, y, label, **write, ha="center")
            while len(drawn.get_text()) > 1 and drawn.get_window_extent().width > layout.cell_width:
                drawn.set_text(shortened(label, len(drawn.get_text()) - 1))
        for row, label in enumerate(labels.rows):
            top = layout.corner(row, 0)[0]
            y = 1 - (top + layout.cell_height / 2) / height
            figure.text((layout.beside - layout.letters * LETTER_WIDTH) / width, y, label, **write, ha="right")
        canvas.draw()  # type: ignore[no-untyped-call]
        drawn_pixels: Image = np.asarray(canvas.buffer_rgba())[:height, :width, :3].copy()  # type: ignore[no-untyped-call]
        return drawn_pixels


def _enlarged(picture: Image, factor: int) -> Image:
    if factor == 1:
        return picture
    import cv2

    height, width = picture.shape[:2]
    return np.asarray(cv2.resize(picture, (width * factor, height * factor), interpolation=cv2.INTER_CUBIC), np.uint8)
