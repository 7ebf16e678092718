"""Fréchet video distance (FVD): how far two sets of short clips lie apart in the features of I3D. Knows no face.

FVD = Fréchet distance of I3D's 400 Kinetics logits over consecutive, non-overlapping clips of 16 frames of the full
frame, resized to 224×224 and scaled to −1..1 (Unterthiner et al. 2018); lower is better, 0 for identical sets. It
exists only over many clips. Traps: biased upward for few clips (below 256 clips it cannot fill its covariance, and
papers take 2048); the length of a clip, the crop, the resize and the I3D (TensorFlow hub's, a TorchScript file, this
conversion of DeepMind's) change the value; frames after the last full clip are left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from emobench.errors import UnscoredError
from emobench.types import Features, Floats, MetricContext, Sample, Stats

from .batches import batches
from .distribution import PooledDistance
from .i3d import CLIP_FRAMES, SIDE_PX, load_i3d
from .pairs import require_aligned
from .signatures import signature, weight_label

VERSION = "1"
WEIGHT = "fvd.i3d"
ENOUGH_CLIPS = 256


class I3dFeatures:
    """Extractor: features (T // 16, 400) float32, one row for each 16 frames."""

    def __init__(self, path: Path, device: str) -> None:
        self._network = load_i3d(path, device)
        self._device = device
        self.label = weight_label(WEIGHT, path)

    def key(self) -> str:
        return f"i3d|{self.label}|{CLIP_FRAMES} frames|full frame|bilinear {SIDE_PX} with anti-aliasing|1"

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Raises UnscoredError where the clip is shorter than 16 frames."""
        if len(sample.frames) < CLIP_FRAMES:
            raise UnscoredError(f"clip of {len(sample.frames)} frames is shorter than {CLIP_FRAMES}")
        rows = [self._logits(frames) for frames, count in batches(sample.frames, CLIP_FRAMES) if count == CLIP_FRAMES]
        return {"features": np.stack(rows)}

    def _logits(self, frames: NDArray[np.uint8]) -> Floats:
        images = torch.from_numpy(frames).to(self._device).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        with torch.inference_mode():
            small = functional.interpolate(images, size=(SIDE_PX, SIDE_PX), mode="bilinear", antialias=True)
            found = self._network(small.transpose(0, 1)[None])[0]
        return np.asarray(found.cpu().numpy(), np.float32)


class Fvd(PooledDistance):
    """Fréchet video distance over all clips of 16 frames of the split; 0 for identical sets."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where the I3D weights are not here."""
        self._extractor = i3d = I3dFeatures(context.locate_weight(WEIGHT), context.device)
        self._weights = i3d.label

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size, or are fewer than 16."""
        stats = self.gather(prediction, require_aligned(prediction, reference), features)
        left_out = len(prediction.frames) % CLIP_FRAMES
        detail = {**stats.detail, "clips_of_16": len(prediction.frames) // CLIP_FRAMES, "frames_left_out": left_out}
        return Stats(value=None, reason=stats.reason, arrays=stats.arrays, detail=detail)

    def caveat(self, stats: Sequence[Stats]) -> str:
        """N and the bias warning below 256 clips."""
        count = sum(len(entry.arrays["prediction"]) for entry in stats)
        return f"N = {count} clips of {CLIP_FRAMES} frames" + (
            f" < {ENOUGH_CLIPS}: biased upward" if count < ENOUGH_CLIPS else ""
        )

    def signature(self) -> str:
        return signature(
            f"FVD, I3D Kinetics-400 logits, consecutive clips of {CLIP_FRAMES} frames, unbiased covariance",
            weights=self._weights,
            resize=f"bilinear {SIDE_PX} with anti-aliasing",
            pool=f"all clips of {CLIP_FRAMES} frames of all clips",
            version=VERSION,
        )
