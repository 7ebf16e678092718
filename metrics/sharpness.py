"""CPBD: how sharp a video looks by itself. Knows no reference, no face and no network.

CPBD = share of edges whose blur nobody is likely to see: P(w) = 1 − exp(−(w / w_JNB)^3.6) ≤ 63 %, that is w ≤ w_JNB,
w the width of an edge in px along its row, w_JNB = 5 in blocks of contrast up to 50 grey levels and 3 above (Narvekar
and Karam 2011); mean over frames; 0..1, higher is better. Edges are vertical ones by Sobel, one pixel wide; blocks of
64×64 px count where edges fill more than 0.2 % of them; w runs from the last to the next extremum of the row's
brightness (Marziliano et al. 2002). Differs from the paper: Sobel's edges also choose the blocks, where it uses
Canny's. Traps: noise, JPEG blocks and ringing make short edges and raise it: read it beside PSNR, never alone; widths
are px, so a shrunk video is a sharper one; the background counts like the face; the ground truth is not at 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emobench.errors import UnscoredError
from emobench.types import Features, Floats, MetricContext, Sample, Stats

from .flicker import luma
from .signatures import mean_over_clips, signature

VERSION = "1"
BLOCK_PX, EDGE_SHARE = 64, 0.002
LOW_CONTRAST, WIDTH_LOW, WIDTH_HIGH = 50.0, 5, 3  # grey levels; w_JNB in px up to that contrast and above it
SOBEL_CUT = 4.0  # an edge's squared gradient over the frame's mean


def vertical_edges(grey: Floats) -> NDArray[np.bool_]:
    """(H, W) Sobel edges across rows: a local maximum of |g_x| along the row, squared over 4 × the mean of |∇|²."""
    import cv2

    across = np.asarray(cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3, borderType=cv2.BORDER_REPLICATE), np.float32)
    down = np.asarray(cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3, borderType=cv2.BORDER_REPLICATE), np.float32)
    size = np.abs(across)
    edges = np.zeros(grey.shape, bool)
    inner = size[:, 1:-1]
    strong = np.square(inner) > SOBEL_CUT * float((across * across + down * down).mean(dtype=np.float64))
    edges[:, 1:-1] = strong & (inner > size[:, :-2]) & (inner >= size[:, 2:])
    return edges


def edge_widths(grey: Floats, edges: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(E,) widths in px of the edges in C order: steps of one sign that touch the edge's pixel, along its row."""
    steps = np.diff(grey, axis=1)
    rows, columns = np.nonzero(edges)
    rising = grey[rows, columns + 1] > grey[rows, columns - 1]
    widths = np.zeros(len(rows), np.int64)
    for is_rising in (True, False):
        same = steps > 0 if is_rising else steps < 0
        chosen = rising == is_rising
        r, c = rows[chosen], columns[chosen]
        widths[chosen] = _run_before(same)[r, c] + _run_from(same)[r, c]
    return widths


def _run_before(same: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(H, W) how many steps in a row are True just left of each pixel; `same` is (H, W − 1)."""
    position = np.arange(1, same.shape[1] + 1)
    last_break = np.maximum.accumulate(np.where(same, 0, position), axis=1)
    runs = np.zeros((same.shape[0], same.shape[1] + 1), np.int64)
    runs[:, 1:] = position - last_break
    return runs


def _run_from(same: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(H, W) how many steps in a row are True just right of each pixel."""
    return _run_before(same[:, ::-1])[:, ::-1]


def cpbd_frame(grey: Floats) -> float | None:
    """CPBD of one (H, W) image of whole levels 0..255, whose flat parts end an edge; None where no block has edges.

    Raises ValueError below one block.
    """
    height, width = (side // BLOCK_PX * BLOCK_PX for side in grey.shape)
    if not (height and width):
        raise ValueError(f"CPBD needs at least {BLOCK_PX}×{BLOCK_PX} pixels")
    edges = vertical_edges(grey)
    edges[height:], edges[:, width:] = False, False  # what fills no block
    shape = (height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    counts = edges[:height, :width].reshape(shape).sum(axis=(1, 3))
    blocks = grey[:height, :width].reshape(shape)
    contrast = blocks.max(axis=(1, 3)) - blocks.min(axis=(1, 3))
    rows, columns = (index // BLOCK_PX for index in np.nonzero(edges))
    counted = (counts > EDGE_SHARE * BLOCK_PX**2)[rows, columns]
    if not counted.any():
        return None
    noticeable = np.where(contrast[rows, columns] <= LOW_CONTRAST, WIDTH_LOW, WIDTH_HIGH)[counted]
    return float((edge_widths(grey, edges)[counted] <= noticeable).mean())  # P(w) ≤ P(w_JNB) = 63 %


class Cpbd:
    """Mean over frames of the full frame's CPBD; needs no reference."""

    def __init__(self, context: MetricContext) -> None:
        del context

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames are smaller than a block, or none has an edge."""
        if len(prediction.frames) == 0:
            raise UnscoredError("clip has no frames")
        try:
            values = [cpbd_frame(np.round(luma(frame))) for frame in prediction.frames]
        except ValueError as error:
            raise UnscoredError(str(error)) from error
        found = [value for value in values if value is not None]
        if len(found) < len(values):
            raise UnscoredError(f"{len(values) - len(found)} of {len(values)} frames have no edge to measure")
        return Stats(value=float(np.mean(found)), detail={"frames": len(found)})

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def signature(self) -> str:
        variant = f"CPBD w_JNB 5/3, blocks {BLOCK_PX}, vertical Sobel edges, BT.601 luma, mean over frames"
        return signature(variant, version=VERSION)
