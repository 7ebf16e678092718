"""Flicker: brightness that changes from frame to frame where nothing moves. Knows no face and no network.

flicker = mean over inner frames and static pixels of |e_{t+1} − 2e_t + e_{t−1}|, e = luma of prediction − reference,
grey levels of 0..255; lower is better, 0 is perfect. A pixel is static where the reference's luma stays within 16
levels over the clip. An offset that alternates by ±a scores 4a, independent noise of deviation σ about 1.95σ. Traps:
a constant error costs nothing, however large; the noise of a real recording that a method rightly leaves out is
counted (a few tenths of a level); flicker inside the moving face is not seen; a clip whose camera moves is unscored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emobench.errors import Inapplicable, UnscoredError
from emobench.types import Features, Floats, Frames, MetricContext, Sample, Stats

from .pairs import require_aligned
from .signatures import mean_over_clips, signature

VERSION = "1"
LUMA = (0.299, 0.587, 0.114)  # BT.601
STATIC_RANGE = 16.0
MIN_STATIC_SHARE = 0.05


def luma(frame: NDArray[np.uint8]) -> Floats:
    """(H, W) float32 grey levels of (H, W, 3) RGB."""
    red, green, blue = (frame[..., k].astype(np.float32) * np.float32(w) for k, w in enumerate(LUMA))
    return np.asarray(red + green + blue, np.float32)


def static_pixels(frames: Frames) -> NDArray[np.bool_]:
    """(H, W) True where luma stays within STATIC_RANGE levels over (T, H, W, 3)."""
    low = high = luma(frames[0])
    for frame in frames:
        grey = luma(frame)
        low, high = np.minimum(low, grey), np.maximum(high, grey)
    return np.asarray(high - low <= STATIC_RANGE, np.bool_)


def second_differences(prediction: Frames, reference: Frames, where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(T − 2,) mean |second difference of the error| over the pixels `where` (H, W), grey levels."""
    values, held = [], deque[Floats](maxlen=2)  # three errors at a time, however long the clip is
    for ours, theirs in zip(prediction, reference, strict=True):
        error = luma(ours)[where] - luma(theirs)[where]
        if len(held) == 2:
            values.append(float(np.abs(error - 2.0 * held[1] + held[0]).mean(dtype=np.float64)))
        held.append(error)
    return np.array(values)


class Flicker:
    """Mean absolute second difference of the error over the reference's static pixels."""

    def __init__(self, context: MetricContext) -> None:
        del context

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ, are fewer than 3, or too few pixels stand still."""
        reference = require_aligned(prediction, reference)
        if len(reference.frames) < 3:
            raise UnscoredError(f"{len(reference.frames)} frames have no second difference")
        where = static_pixels(reference.frames)
        share = float(where.mean())
        if share < MIN_STATIC_SHARE:
            least = f"at least {MIN_STATIC_SHARE:.0%} are needed"
            raise Inapplicable(f"{share:.1%} of the reference's pixels stand still, {least}")
        values = second_differences(prediction.frames, reference.frames, where)
        return Stats(value=float(values.mean()), detail={"static_share": share, "worst_frame": float(values.max())})

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def signature(self) -> str:
        variant = "mean |second difference of the luma error|, levels of 0..255"
        return signature(variant, crop=f"pixels static in the reference (range ≤ {STATIC_RANGE:g})", version=VERSION)
