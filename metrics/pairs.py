"""What a prediction and its reference must share before they may be compared. Nothing is cut or resized to fit."""

from __future__ import annotations

from emobench.errors import UnscoredError
from emobench.types import Sample

_RATE_TOLERANCE = 0.01  # 29.97 against 30 frames a second is one rate; 24 against 25 is not


def require_reference(reference: Sample | None) -> Sample:
    """The reference; raises UnscoredError where the clip has none."""
    if reference is None:
        raise UnscoredError("no reference clip")
    return reference


def same_rate(a: Sample, b: Sample) -> bool:
    """Whether two clips run at one frame rate."""
    return abs(a.fps / b.fps - 1) <= _RATE_TOLERANCE


def require_aligned(prediction: Sample, reference: Sample | None) -> Sample:
    """The reference, where both hold as many frames of one size and rate; else raises UnscoredError."""
    reference = require_reference(reference)
    ours, theirs = prediction.frames.shape, reference.frames.shape
    if ours[0] != theirs[0]:
        raise UnscoredError(f"prediction has {ours[0]} frames, reference {theirs[0]}; nothing is truncated")
    if ours[1:3] != theirs[1:3]:
        size, wanted = f"{ours[2]}×{ours[1]}", f"{theirs[2]}×{theirs[1]}"
        raise UnscoredError(f"prediction is {size} pixels, reference {wanted}; nothing is resized")
    if ours[0] == 0:
        raise UnscoredError("clip has no frames")
    if not same_rate(prediction, reference):
        rates = f"prediction runs at {prediction.fps:.4g} frames a second, reference at {reference.fps:.4g}"
        raise UnscoredError(f"{rates}; nothing is resampled")
    return reference
