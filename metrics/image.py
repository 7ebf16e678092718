"""Pixel fidelity: PSNR of frame, face and mouth, and PSNR of the pooled error. Knows nothing of networks.

PSNR = 10·log10(255² / MSE) dB over 8-bit RGB of decoded frames at native size; higher is better, identical clips are
infinite (value None, reason "infinite"). Traps: a mean of per-frame dB is not the dB of the pooled error (it is
higher, Jensen; one bad frame of a good clip parts them by many dB), so each is a metric of its own; a blurred image
beats a sharp one that is a pixel off; scores of in-memory frames and of lossy files differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emobench.types import Features, MetricContext, Sample, Stats

from .faces import region_boxes, region_told
from .located import LocatedMetric
from .pairs import require_aligned
from .signatures import signature

VERSION = "1"
PEAK = 255.0


def squared_error(prediction: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
    """Mean squared error of two images of one shape over pixels and channels; integer sums, exact in float64."""
    difference = np.subtract(prediction, reference, dtype=np.float64).ravel()
    return float(np.dot(difference, difference)) / difference.size


def psnr_stats(errors: NDArray[np.float64], detail: dict[str, float | int | str]) -> Stats:
    """Mean of per-frame dB over frames with an error; all frames identical → value None, reason 'infinite'."""
    finite = errors > 0
    detail = {**detail, "frames": len(errors), "identical_frames": int((~finite).sum())}
    if not finite.any():
        return Stats(value=None, reason="infinite", detail=detail)
    decibels = 10.0 * np.log10(PEAK**2 / errors[finite])
    detail["pooled_db"] = float(10.0 * np.log10(PEAK**2 / errors.mean()))
    return Stats(value=float(decibels.mean()), detail=detail)


class Psnr(LocatedMetric):
    """Mean of per-frame dB of the full frame."""

    region = ""  # "face" or "mouth" of the reference; "": all of the frame

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frame counts or sizes differ, or a box is wanted and no face was found."""
        reference = require_aligned(prediction, reference)
        pairs = zip(prediction.frames, reference.frames, strict=True)
        if not self.region:
            return psnr_stats(np.array([squared_error(a, b) for a, b in pairs]), {})
        boxes = region_boxes(self.region, self._locate(reference, reference, features))
        errors = [
            squared_error(a[y0:y1, x0:x1], b[y0:y1, x0:x1])
            for (a, b), (x0, y0, x1, y1) in zip(pairs, boxes, strict=True)
        ]
        detail: dict[str, float | int | str] = {
            "box_source": self._locate.source(reference), "crop_px": int(boxes[0, 2] - boxes[0, 0])
        }
        return psnr_stats(np.array(errors), detail)

    def signature_over(self, stats: Sequence[Stats]) -> str:
        variant = "mean of per-frame dB, frames of zero error left out and counted, RGB, peak 255"
        return signature(variant, crop=region_told(self.region, stats), version=VERSION)


class PsnrFace(Psnr):
    """PSNR in the reference's face box, the same box in both clips."""

    region = "face"


class PsnrMouth(Psnr):
    """PSNR in the reference's mouth box, the same box in both clips."""

    region = "mouth"


class PsnrPooled:
    """dB of the mean squared error over all frames of all clips, each pixel counting once."""

    def __init__(self, context: MetricContext) -> None:
        del context

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frame counts or sizes differ."""
        reference = require_aligned(prediction, reference)
        errors = [squared_error(a, b) for a, b in zip(prediction.frames, reference.frames, strict=True)]
        values = float(prediction.frames.size)
        arrays = {"squared_error": np.array(np.mean(errors) * values), "values": np.array(values)}
        decibels = pooled_db([float(np.mean(errors)) * values], [values])
        reason = "infinite" if decibels is None else None
        return Stats(value=decibels, reason=reason, arrays=arrays, detail={"frames": len(errors)})

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        """dB of the pooled error of these clips, identical ones included; None where all are identical."""
        sums = [float(entry.arrays["squared_error"]) for entry in stats]
        return pooled_db(sums, [float(entry.arrays["values"]) for entry in stats])

    def signature(self) -> str:
        variant = "dB of the error pooled over frames and clips, RGB, peak 255"
        return signature(variant, pool="squared error over all values of all clips", version=VERSION)


def pooled_db(squared_errors: Sequence[float], values: Sequence[float]) -> float | None:
    """10·log10(255² · Σ values / Σ squared errors); None where there is no error."""
    total = sum(squared_errors)
    return float(10.0 * np.log10(PEAK**2 * sum(values) / total)) if total > 0 else None
