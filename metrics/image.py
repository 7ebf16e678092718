"""Pixel fidelity: PSNR (full frame, face box, mouth box) and SSIM. Knows nothing of networks.

Both compare 8-bit RGB of decoded frames at native size. Traps: a mean of per-frame dB is not the dB of the pooled
error (it is higher, Jensen); scores of in-memory frames and of lossy files differ; SSIM depends on window and
channel handling, all named in the signature.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emobench.errors import UnscoredError
from emobench.types import Features, MetricContext, Sample, Stats

from .faces import FaceLocator, face_boxes, mouth_boxes
from .pairs import require_aligned
from .signatures import mean_over_clips, signature

VERSION = "1"
PEAK = 255.0
SSIM_RADIUS, SSIM_SIGMA = 5, 1.5  # 11-tap Gaussian, Wang et al. 2004
SSIM_C1, SSIM_C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2


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


class Psnr:
    """10·log10(255²/MSE) per frame, mean of dB; higher is better, identical clips are infinite (value None)."""

    crop = "full frame"

    def __init__(self, context: MetricContext) -> None:
        self._locate = FaceLocator(context)

    def boxes(self, reference: Sample, features: Features) -> NDArray[np.int64] | None:
        """(T, 4) x0 y0 x1 y1 of the region that counts, or None for all of it."""
        return None

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frame counts or sizes differ, or a box is wanted and no face was found."""
        reference = require_aligned(prediction, reference)
        boxes = self.boxes(reference, features)
        pairs = zip(prediction.frames, reference.frames, strict=True)
        if boxes is None:
            return psnr_stats(np.array([squared_error(a, b) for a, b in pairs]), {})
        errors = [
            squared_error(a[y0:y1, x0:x1], b[y0:y1, x0:x1])
            for (a, b), (x0, y0, x1, y1) in zip(pairs, boxes, strict=True)
        ]
        return psnr_stats(np.array(errors), {"box_source": self._locate.source(reference)})

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def signature(self) -> str:
        variant = "mean of per-frame dB, frames of zero error left out and counted, RGB, peak 255"
        return signature(variant, crop=self.crop, version=VERSION)


class PsnrFace(Psnr):
    """PSNR in the reference's face box, the same box in both clips."""

    crop = "face box of reference landmarks"

    def boxes(self, reference: Sample, features: Features) -> NDArray[np.int64]:
        return face_boxes(self._locate(reference, reference, features))


class PsnrMouth(Psnr):
    """PSNR in the reference's mouth box, the same box in both clips."""

    crop = "mouth box of reference landmarks"

    def boxes(self, reference: Sample, features: Features) -> NDArray[np.int64]:
        return mouth_boxes(self._locate(reference, reference, features))


def ssim_frame(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> float:
    """Mean SSIM of two (H, W, 3) uint8 images over windows that lie inside the frame, mean over channels.

    Raises ValueError below 11×11 pixels.
    """
    import cv2

    if min(ours.shape[:2]) <= 2 * SSIM_RADIUS:
        raise ValueError("SSIM needs at least 11×11 pixels")
    kernel = cv2.getGaussianKernel(2 * SSIM_RADIUS + 1, SSIM_SIGMA, cv2.CV_32F)
    # Moments about mid-grey: variances are unchanged and float32 keeps its digits.
    x, y = ours.astype(np.float32) - 128.0, theirs.astype(np.float32) - 128.0

    def blur(image: NDArray[np.float32]) -> NDArray[np.float32]:
        full: NDArray[np.float32] = np.asarray(cv2.sepFilter2D(image, cv2.CV_32F, kernel, kernel), np.float32)
        return full[SSIM_RADIUS:-SSIM_RADIUS, SSIM_RADIUS:-SSIM_RADIUS]

    mean_x, mean_y = blur(x), blur(y)
    variances = blur(x * x + y * y) - mean_x * mean_x - mean_y * mean_y
    covariance = blur(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + 128.0, mean_y + 128.0
    luminance = (2.0 * mean_x * mean_y + SSIM_C1) / (mean_x * mean_x + mean_y * mean_y + SSIM_C1)
    return float((luminance * ((2.0 * covariance + SSIM_C2) / (variances + SSIM_C2))).mean(dtype=np.float64))


class Ssim:
    """Structural similarity, 1 = identical, higher is better; mean over frames."""

    def __init__(self, context: MetricContext) -> None:
        del context

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frame counts or sizes differ, or frames are smaller than the window."""
        reference = require_aligned(prediction, reference)
        try:
            values = [ssim_frame(a, b) for a, b in zip(prediction.frames, reference.frames, strict=True)]
        except ValueError as error:
            raise UnscoredError(str(error)) from error
        return Stats(value=float(np.mean(values)), detail={"frames": len(values)})

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def signature(self) -> str:
        variant = "Gaussian window 11 σ1.5, K 0.01/0.03, range 255, population covariance, mean over RGB and frames"
        return signature(variant, crop="full frame less a 5 px rim", version=VERSION)
