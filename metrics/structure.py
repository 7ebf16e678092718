"""Structural similarity: SSIM of frame, face and mouth, and MS-SSIM. Knows no network and no landmark.

SSIM = mean over windows of (2μxμy + C1)(2σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2)), C1 = (0.01·255)²,
C2 = (0.03·255)², per RGB channel of 8-bit frames; 1 = identical, higher is better (Wang et al. 2004).
MS-SSIM = ssim₅^β₅ · Π_{j<5} cs_j^βj over five scales that halve by 2×2 averages, cs the second factor alone
(Wang, Simoncelli and Bovik 2003). Traps: a Gaussian and a uniform window differ (0.01 and more on faces), as do
population and sample covariance, grey and RGB, and whether windows over a mirrored rim count: all are in the
signature. A crop is scored by windows inside it, so small crops have few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emobench.errors import Inapplicable
from emobench.types import Features, Floats, Sample, Stats

from .faces import region_boxes, region_told
from .located import LocatedMetric
from .pairs import require_aligned
from .signatures import signature

VERSION = "1"
PEAK, MIDDLE = 255.0, 128.0
SSIM_C1, SSIM_C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, fine to coarse

ImagePair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A separable window of 2·radius + 1 taps; `unbiased` scales second moments by n / (n − 1) over its n pixels."""

    name: str
    radius: int
    sigma: float | None  # None: uniform
    unbiased: bool = False

    @property
    def taps(self) -> int:
        return 2 * self.radius + 1

    def kernel(self) -> Floats:
        """(taps, 1) weights that sum to one."""
        import cv2

        if self.sigma is None:
            return np.full((self.taps, 1), 1.0 / self.taps, np.float32)
        return np.asarray(cv2.getGaussianKernel(self.taps, self.sigma, cv2.CV_32F), np.float32)


GAUSSIAN = Window(name="Gaussian window 11 σ1.5, population covariance", radius=5, sigma=1.5)
UNIFORM = Window(name="uniform window 7, sample covariance (scikit-image)", radius=3, sigma=None, unbiased=True)


def similarity(x: Floats, y: Floats, window: Window) -> tuple[float, float]:
    """(SSIM, mean contrast·structure) of two (H, W, 3) float images less mid-grey, over windows inside the frame.

    Moments about mid-grey: variances are unchanged and float32 keeps its digits. Raises ValueError below one window.
    """
    import cv2

    if min(x.shape[:2]) < window.taps:
        raise ValueError(f"SSIM needs at least {window.taps}×{window.taps} pixels")
    kernel, radius = window.kernel(), window.radius

    def blur(image: Floats) -> Floats:
        full = np.asarray(cv2.sepFilter2D(image, cv2.CV_32F, kernel, kernel), np.float32)
        return full[radius:-radius, radius:-radius]

    mean_x, mean_y = blur(x), blur(y)
    variances = blur(x * x + y * y) - mean_x * mean_x - mean_y * mean_y
    covariance = blur(x * y) - mean_x * mean_y
    if window.unbiased:
        scale = np.float32(window.taps**2 / (window.taps**2 - 1))
        variances, covariance = variances * scale, covariance * scale
    mean_x, mean_y = mean_x + MIDDLE, mean_y + MIDDLE
    luminance = (2.0 * mean_x * mean_y + SSIM_C1) / (mean_x * mean_x + mean_y * mean_y + SSIM_C1)
    structure = (2.0 * covariance + SSIM_C2) / (variances + SSIM_C2)
    return float((luminance * structure).mean(dtype=np.float64)), float(structure.mean(dtype=np.float64))


def centred(image: NDArray[np.uint8]) -> Floats:
    """The image as float32 about mid-grey."""
    return image.astype(np.float32) - np.float32(MIDDLE)


def ssim_frame(ours: NDArray[np.uint8], theirs: NDArray[np.uint8], window: Window = GAUSSIAN) -> float:
    """Mean SSIM of two (H, W, 3) uint8 images. Raises ValueError below one window."""
    return similarity(centred(ours), centred(theirs), window)[0]


def ms_ssim_frame(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> float:
    """MS-SSIM of two (H, W, 3) uint8 images; a negative mean of a scale counts as 0. Raises ValueError below 176 px."""
    least = GAUSSIAN.taps * 2 ** (len(BETAS) - 1)
    if min(ours.shape[:2]) < least:
        raise ValueError(f"MS-SSIM of {len(BETAS)} scales needs at least {least}×{least} pixels")
    x, y, value = centred(ours), centred(theirs), 1.0
    for scale, beta in enumerate(BETAS, start=1):
        full, structure = similarity(x, y, GAUSSIAN)
        value *= max(full if scale == len(BETAS) else structure, 0.0) ** beta
        x, y = halved(x), halved(y)
    return value


def halved(image: Floats) -> Floats:
    """(H // 2, W // 2, 3) averages of 2×2 pixels; an odd last row or column is left out."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    cut = image[:height, :width]
    return (cut[::2, ::2] + cut[1::2, ::2] + cut[::2, 1::2] + cut[1::2, 1::2]) * np.float32(0.25)


class Ssim(LocatedMetric):
    """SSIM of the full frame with the Gaussian window; mean over frames."""

    region = ""  # "face" or "mouth" of the reference; "": all of the frame
    variant = GAUSSIAN.name

    def compare(self, ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> float:
        """The value of one pair of frames or crops. Raises ValueError where they are too small."""
        return ssim_frame(ours, theirs)

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frame counts or sizes differ, the region is too small, or no face was found."""
        reference = require_aligned(prediction, reference)
        detail: dict[str, float | int | str] = {"frames": len(prediction.frames)}
        pairs: Iterator[ImagePair] = zip(prediction.frames, reference.frames, strict=True)
        height, width = reference.frames.shape[1:3]
        if self.region:
            boxes = region_boxes(self.region, self._locate(reference, reference, features))
            pairs = ((a[y:v, x:u], b[y:v, x:u]) for (a, b), (x, y, u, v) in zip(pairs, boxes, strict=True))
            width, height = int(boxes[0, 2] - boxes[0, 0]), int(boxes[0, 3] - boxes[0, 1])
            detail |= {"box_source": self._locate.source(reference), "crop_px": width}
        try:
            values = [self.compare(a, b) for a, b in pairs]
        except ValueError as error:
            raise Inapplicable(f"{error}; the {self.region or 'frame'} has {width}×{height}") from error
        return Stats(value=float(np.mean(values)), detail=detail)

    def signature_over(self, stats: Sequence[Stats]) -> str:
        variant = f"{self.variant}, K 0.01/0.03, range 255, windows inside the region, mean over RGB and frames"
        return signature(variant, crop=region_told(self.region, stats), version=VERSION)


class SsimUniform(Ssim):
    """SSIM as scikit-image computes it by default: uniform 7×7 window, sample covariance."""

    variant = UNIFORM.name

    def compare(self, ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> float:
        return ssim_frame(ours, theirs, UNIFORM)


class SsimFace(Ssim):
    """SSIM in the reference's face box, the same box in both clips."""

    region = "face"


class SsimMouth(Ssim):
    """SSIM in the reference's mouth box, the same box in both clips."""

    region = "mouth"


MULTISCALE = f"MS-SSIM 5 scales, 2×2 averages, {GAUSSIAN.name}, negative scale means count as 0"


class MsSsim(Ssim):
    """MS-SSIM of the full frame, five scales; frames below 176 px are unscored, never scored with fewer scales."""

    variant = MULTISCALE

    def compare(self, ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> float:
        return ms_ssim_frame(ours, theirs)


class MsSsimFace(Ssim):
    """MS-SSIM in the reference's face box; boxes below 176 px are unscored."""

    region = "face"
    variant = MULTISCALE

    def compare(self, ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> float:
        return ms_ssim_frame(ours, theirs)
