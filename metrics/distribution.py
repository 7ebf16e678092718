"""FID over all frames of a split: the Fréchet distance of Inception features. Knows no file list and no download.

FID = ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½), unbiased covariances; lower is better, 0 for identical sets. It exists only
over many clips. Traps: biased upward for small N (KID, unbiased, stands beside it); frames of one clip are nearly
alike, so N frames are worth less than N images; the feature network and the resize are part of the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emobench.types import Features, Floats, Frames, MetricContext, Sample, Stats

from .inception import FEATURES, load_inception
from .pairs import require_aligned
from .signatures import signature, weight_label

VERSION = "1"
BATCH = 16


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
    """KID: unbiased squared MMD with the kernel (xᵀy/D + 1)³ over all pairs (Bińkowski et al. 2018, eq. 4)."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    n, m, width = len(a), len(b), a.shape[1]
    within_a, within_b, across = ((x @ y.T / width + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))
    mean_a = (within_a.sum() - np.trace(within_a)) / (n * (n - 1))
    mean_b = (within_b.sum() - np.trace(within_b)) / (m * (m - 1))
    return float(mean_a + mean_b - 2.0 * across.mean())


class InceptionFeatures:
    """Extractor: features (T, 2048) float32 of every frame."""

    def __init__(self, path: Path, device: str) -> None:
        self._embed = load_inception(path, device)
        self._device = device
        self.label = weight_label("fid.inception", path)

    def key(self) -> str:
        return f"inception|{self.label}|full frame|bilinear 299 without anti-aliasing|1"

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        return {"features": self._features(sample.frames)}

    def _features(self, frames: Frames) -> Floats:
        parts = []
        with torch.inference_mode():
            for start in range(0, len(frames), BATCH):
                batch = torch.from_numpy(frames[start : start + BATCH]).to(self._device)
                parts.append(self._embed(batch.permute(0, 3, 1, 2).float() / 255.0).cpu().numpy())
        return np.concatenate(parts).astype(np.float32)


class Fid:
    """Fréchet Inception distance over all frames of all clips; each clip only contributes its features."""

    bootstrap_resamples = 0  # one Fréchet distance takes seconds: no interval rather than an hour

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where the Inception weights are not here."""
        self._extractor = InceptionFeatures(context.locate_weight("fid.inception"), context.device)

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size: unequal sets would hide dropped frames."""
        reference = require_aligned(prediction, reference)
        arrays = {
            "prediction": features(self._extractor, prediction)["features"],
            "reference": features(self._extractor, reference)["features"],
        }
        return Stats(value=None, reason="pooled only", arrays=arrays, detail={"frames": len(prediction.frames)})

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        """FID of the pooled frames; None below two frames."""
        ours, theirs = _pooled(stats)
        return frechet_distance(ours, theirs) if len(ours) > 1 else None

    def caveat(self, stats: Sequence[Stats]) -> str:
        """N, the bias warning below 2048 frames, and KID."""
        ours, theirs = _pooled(stats)
        bias = f" < {FEATURES}: biased upward" if len(ours) < FEATURES else ""
        kid = f"; KID {kernel_distance(ours, theirs):.5f} (unbiased)" if len(ours) > 1 else ""
        return f"N = {len(ours)} frames{bias}{kid}"

    def signature(self) -> str:
        return signature(
            "FID, TF-FID Inception pool3 2048-d, all frames, unbiased covariance", weights=self._extractor.label,
            resize="bilinear 299 without anti-aliasing (pytorch-fid)", pool="all frames of all clips", version=VERSION,
        )


def _pooled(stats: Sequence[Stats]) -> tuple[Floats, Floats]:
    if not stats:
        return np.zeros((0, FEATURES), np.float32), np.zeros((0, FEATURES), np.float32)
    ours = np.concatenate([entry.arrays["prediction"] for entry in stats])
    return ours, np.concatenate([entry.arrays["reference"] for entry in stats])


