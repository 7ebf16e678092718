"""How landmarks move: velocities and jitter of the face. Knows no lip-sync network and no pixel.

LVD = mean over neighbouring frames and mouth points of ‖(p_{t+1} − p_t) − (q_{t+1} − q_t)‖₂, points centred on their
mean in each frame, px per frame; lower is better, 0 is perfect (Zhou et al., MakeItTalk, 2020, un-normalised).
jitter.landmarks = |J(p) − J(q)|, J = mean over inner frames and all 68 points of ‖p_{t+1} − 2p_t + p_{t−1}‖₂ in % of
the clip's median inter-ocular distance; lower is better, 0 where both tremble alike. Traps: LVD is blind to a constant
error of shape and grows with the frame rate's inverse; a still face has the LVD of the reference's own speed and a
jitter difference of the reference's own jitter, so neither flatters it; both contain the detector's noise twice, which
blurred frames change.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emobench.errors import UnscoredError
from emobench.types import Features, Floats, MetricContext, Sample, Stats

from .faces import landmarker_used
from .landmarks import MOUTH, LandmarkDetector, interocular_px
from .pairs import require_aligned
from .signatures import mean_over_clips, signature

VERSION = "1"


def velocity_difference(prediction: Floats, reference: Floats) -> NDArray[np.float64]:
    """(T − 1,) mean distance of the velocities of mean-centred points; both (T, P, 2) px."""
    ours, theirs = prediction.astype(np.float64), reference.astype(np.float64)
    ours = ours - ours.mean(axis=1, keepdims=True)
    theirs = theirs - theirs.mean(axis=1, keepdims=True)
    return np.asarray(np.linalg.norm(np.diff(ours - theirs, axis=0), axis=2).mean(axis=1), np.float64)


def jitter_percent(landmarks: Floats) -> float:
    """Mean second difference of (T, 68, 2) px landmarks in % of the median inter-ocular distance per frame²."""
    second = np.diff(landmarks.astype(np.float64), n=2, axis=0)
    scale = max(float(np.median(interocular_px(landmarks))), 1e-6)
    return float(100.0 * np.linalg.norm(second, axis=2).mean() / scale)


class LvdMouth:
    """Landmark velocity difference of the 20 mouth points, px per frame."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where no landmark detector is at hand."""
        self._detect = LandmarkDetector(context)

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size, are fewer than 2, or one has no face."""
        reference = require_aligned(prediction, reference)
        if len(prediction.frames) < 2:
            raise UnscoredError("one frame has no velocity")
        theirs = self._detect(reference, reference, features)
        ours = self._detect(prediction, reference, features)
        per_step = velocity_difference(ours[:, MOUTH], theirs[:, MOUTH])
        own = velocity_difference(theirs[:, MOUTH], np.zeros_like(theirs[:, MOUTH]))
        detail: dict[str, float | int | str] = {
            "interocular_percent": float(100.0 * per_step.mean() / np.median(interocular_px(theirs))),
            "reference_speed": float(own.mean()),
            "steps": len(per_step),
            "fps": reference.fps,
            "detector": self._detect.name,
        }
        return Stats(value=float(per_step.mean()), detail=detail)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def weights_used(self, stats: Sequence[Stats]) -> Sequence[str]:
        return landmarker_used(stats)

    def signature(self) -> str:
        variant = "velocity difference, points 48-67, mean-centred, native px per frame"
        return signature(variant, weights=self._detect.label, version=VERSION)


class LandmarkJitter:
    """Difference of the trembling of all 68 landmarks, % of the inter-ocular distance per frame²."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where no landmark detector is at hand."""
        self._detect = LandmarkDetector(context)

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size, are fewer than 3, or one has no face."""
        reference = require_aligned(prediction, reference)
        if len(prediction.frames) < 3:
            raise UnscoredError(f"{len(prediction.frames)} frames have no second difference")
        ours = jitter_percent(self._detect(prediction, reference, features))
        theirs = jitter_percent(self._detect(reference, reference, features))
        detail: dict[str, float | int | str] = {
            "prediction": ours, "reference": theirs, "fps": reference.fps, "detector": self._detect.name,
        }  # fmt: skip
        return Stats(value=abs(ours - theirs), detail=detail)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def weights_used(self, stats: Sequence[Stats]) -> Sequence[str]:
        return landmarker_used(stats)

    def signature(self) -> str:
        variant = "|difference of mean second differences|, points 0-67, % of median distance of eye centres per frame²"
        return signature(variant, weights=self._detect.label, version=VERSION)
