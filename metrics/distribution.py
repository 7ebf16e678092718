"""FID, KID and the Fréchet distance of judge features, over all frames of a split. Knows no file list, no download.

FID = ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½), unbiased covariances of Inception features (Heusel et al. 2017).
KID = unbiased squared MMD with the kernel (xᵀy/D + 1)³ of the same features (Bińkowski et al. 2018, eq. 4), all
pairs at once: torchmetrics averages 100 random subsets of 1000, which has the same expectation and more variance.
frechet.judge = the first formula on the 128 features of the dataset's own emotion judge: a number of this benchmark,
never to be called FID. Lower is better. They exist only over many clips, so a clip has no value of its own. Traps: FID
is biased upward for small N (below 2048 it cannot even fill its covariance), KID is not and may be negative, about 0
for equal sets; frames of one clip are nearly alike, so N frames are worth less than N images, and both sides hold the
same moments, which lowers KID; the feature network and the resize are part of the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emobench.errors import Unavailable
from emobench.types import Extractor, Features, Floats, Frames, MetricContext, Sample, Stats

from .batches import BATCH, batches
from .faces import FaceLocator, boxes_told, landmarker_used
from .inception import FEATURES, load_inception
from .pairs import require_aligned
from .signatures import signature, weight_label

VERSION = "1"
BLOCK_ROWS = 1024  # of kernel matrices, so that memory is bounded
ENOUGH = 2048  # samples below which a Fréchet distance is warned about


def frechet_distance(ours: Floats, theirs: Floats) -> float:
    """Fréchet distance of two feature sets (N, D) and (M, D), each of at least two rows.

    tr (Σ₁Σ₂)^½ is the sum of singular values of A·Bᵀ with A, B the centred features / √(n − 1): the non-zero
    eigenvalues of AᵀABᵀB are those of (ABᵀ)(ABᵀ)ᵀ. Exact also for singular covariances, where matrix roots are not.
    """
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    a, b = (a - mean_a) / np.sqrt(len(a) - 1), (b - mean_b) / np.sqrt(len(b) - 1)
    traces = np.square(a).sum() + np.square(b).sum()
    return float(max(np.square(mean_a - mean_b).sum() + traces - 2.0 * _cross_trace(a, b), 0.0))


def _cross_trace(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Sum of singular values of a·bᵀ, through D×D triangular factors where there are more rows than columns."""
    if len(a) > a.shape[1]:
        a = np.asarray(np.linalg.qr(a, mode="r"))
    if len(b) > b.shape[1]:
        b = np.asarray(np.linalg.qr(b, mode="r"))
    return float(np.linalg.svd(a @ b.T, compute_uv=False).sum())


def kernel_distance(ours: Floats, theirs: Floats) -> float:
    """KID of two feature sets (N, D) and (M, D), each of at least two rows: all pairs of different rows, float64."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    n, m = len(a), len(b)
    within_a = (_kernel_sum(a, a) - _diagonal_sum(a)) / (n * (n - 1))
    within_b = (_kernel_sum(b, b) - _diagonal_sum(b)) / (m * (m - 1))
    return float(within_a + within_b - 2.0 * _kernel_sum(a, b) / (n * m))


def _kernel_sum(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    blocks = (x[start : start + BLOCK_ROWS] for start in range(0, len(x), BLOCK_ROWS))
    return float(sum(((block @ y.T / x.shape[1] + 1.0) ** 3).sum() for block in blocks))


def _diagonal_sum(x: NDArray[np.float64]) -> float:
    return float(((np.square(x).sum(axis=1) / x.shape[1] + 1.0) ** 3).sum())


class InceptionFeatures:
    """Extractor: features (T, 2048) float32 of every frame."""

    def __init__(self, path: Path, device: str) -> None:
        self._embed = load_inception(path, device, BATCH)
        self.label = weight_label("fid.inception", path)

    def key(self) -> str:
        return f"inception|{self.label}|full frame|bilinear 299 without anti-aliasing|2"

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        return {"features": self._features(sample.frames)}

    def _features(self, frames: Frames) -> Floats:
        parts = []
        for batch, count in batches(frames):
            images = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255.0
            parts.append(self._embed(images).numpy()[:count])
        return np.concatenate(parts).astype(np.float32)


class PooledDistance:
    """What these distances share: each clip contributes its frames' features and has no value of its own."""

    bootstrap_resamples = 0  # clips drawn twice would be pairs of equal frames; and one distance takes seconds
    _extractor: Extractor

    def gather(self, prediction: Sample, reference: Sample, features: Features) -> Stats:
        """The features of both sides, which hold as many frames."""
        arrays = {
            side: features(self._extractor, sample)["features"]
            for side, sample in (("prediction", prediction), ("reference", reference))
        }
        return Stats(value=None, reason="pooled only", arrays=arrays, detail={"frames": len(prediction.frames)})

    def distance(self, ours: Floats, theirs: Floats) -> float:
        """Of two feature sets; Fréchet unless a metric says otherwise."""
        return frechet_distance(ours, theirs)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        """The distance of the pooled frames; None below two frames."""
        ours, theirs = pooled(stats)
        return self.distance(ours, theirs) if len(ours) > 1 else None


class Fid(PooledDistance):
    """Fréchet Inception distance over all frames of all clips; 0 for identical sets."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where the Inception weights are not here."""
        self._extractor = inception = InceptionFeatures(context.locate_weight("fid.inception"), context.device)
        self._weights = inception.label

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size: unequal sets would hide dropped frames."""
        return self.gather(prediction, require_aligned(prediction, reference), features)

    def caveat(self, stats: Sequence[Stats]) -> str:
        """N, frames per clip, the bias warning below 2048 frames, and KID."""
        ours, theirs = pooled(stats)
        kid = f"; KID {kernel_distance(ours, theirs):.5f} (unbiased)" if len(ours) > 1 else ""
        return f"{sample_size(stats, is_biased=True)}{kid}"

    def signature(self) -> str:
        return signature(
            "FID, TF-FID Inception pool3 2048-d, all frames, unbiased covariance",
            weights=self._weights,
            resize="bilinear 299 without anti-aliasing (pytorch-fid)",
            pool="all frames of all clips",
            version=VERSION,
        )


class Kid(PooledDistance):
    """Kernel Inception distance over all frames of all clips, on the features that FID uses."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where the Inception weights are not here."""
        self._extractor = inception = InceptionFeatures(context.locate_weight("fid.inception"), context.device)
        self._weights = inception.label

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size: unequal sets would hide dropped frames."""
        return self.gather(prediction, require_aligned(prediction, reference), features)

    def distance(self, ours: Floats, theirs: Floats) -> float:
        return kernel_distance(ours, theirs)

    def caveat(self, stats: Sequence[Stats]) -> str:
        """N and frames per clip: unbiased, yet noisy where they are few."""
        return sample_size(stats, is_biased=False)

    def signature(self) -> str:
        return signature(
            "KID, kernel (xy/2048 + 1)³, unbiased, all pairs without subsets, TF-FID Inception pool3",
            weights=self._weights,
            resize="bilinear 299 without anti-aliasing (pytorch-fid)",
            pool="all frames of all clips",
            version=VERSION,
        )


class FrechetJudge(PooledDistance):
    """Fréchet distance on what the dataset's emotion judge sees before its last layer; 0 for identical sets."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where no train split is at hand, or the judge cannot be trained on it."""
        if context.judges is None:
            raise Unavailable("the emotion judge needs a dataset's train split; score inside a run of a dataset")
        self._locate = FaceLocator(context)
        self._extractor = context.judges.emotion()

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size, or no face was found."""
        reference = require_aligned(prediction, reference)
        ours, theirs = (self._locate(sample, reference, features) for sample in (prediction, reference))
        stats = self.gather(ours, theirs, features)
        detail = {**stats.detail, "box_source": self._locate.source(reference)}
        return Stats(value=None, reason=stats.reason, arrays=stats.arrays, detail=detail)

    def caveat(self, stats: Sequence[Stats]) -> str:
        """N, frames per clip and the bias warning below 2048 frames."""
        return sample_size(stats, is_biased=True)

    def weights_used(self, stats: Sequence[Stats]) -> Sequence[str]:
        return landmarker_used(stats)

    def signature(self) -> str:
        """With the rule by which faces are found; `signature_over` has what these clips' boxes came from."""
        return self.signature_over(())

    def signature_over(self, stats: Sequence[Stats]) -> str:
        return signature(
            "Fréchet distance of emotion-judge features, 128-d, all frames, unbiased covariance",
            weights=self._extractor.key(),
            crop=f"judge's own; boxes: {boxes_told(stats)}",
            pool="all frames of all clips",
            version=VERSION,
        )


def sample_size(stats: Sequence[Stats], *, is_biased: bool) -> str:
    """How many frames of how many clips, and what that does to the value."""
    counts = [len(entry.arrays["prediction"]) for entry in stats]
    least, most = min(counts, default=0), max(counts, default=0)
    each = f"{least}" if least == most else f"{least}–{most}"
    few = "biased upward" if is_biased else "a noisy estimate"
    bias = f" < {ENOUGH}: {few}" if sum(counts) < ENOUGH else ""
    return f"N = {sum(counts)} frames ({each} a clip){bias}"


def pooled(stats: Sequence[Stats]) -> tuple[Floats, Floats]:
    if not stats:
        return np.zeros((0, FEATURES), np.float32), np.zeros((0, FEATURES), np.float32)
    ours = np.concatenate([entry.arrays["prediction"] for entry in stats])
    return ours, np.concatenate([entry.arrays["reference"] for entry in stats])
