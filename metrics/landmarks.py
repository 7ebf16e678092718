"""Landmark distance (LMD): how far predicted landmarks lie from the reference's, both read by one detector.

LMD = mean over frames and points of ‖(p − p̄) − (q − q̄)‖₂, each frame's chosen points centred on their own mean, in
pixels of the render size (lmd.*), or in % of the reference's distance between the eyes' centres in the same frame
(lmd.*.norm); lower is better, 0 is perfect. Traps: values depend on the detector (named in the signature; two
detectors are never compared); pixels depend on the render size (the .norm variants do not); a mouth that is right but
late costs as much as one that is wrong; other papers divide by the outer eye corners, or score in 128-pixel units.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emobench.errors import Unavailable
from emobench.types import Extractor, Features, Floats, MetricContext, Sample, Stats

from .faces import MEDIAPIPE_WEIGHT, FaceLocator, MediapipeLandmarks, landmarker_used
from .pairs import require_aligned
from .signatures import mean_over_clips, signature

VERSION = "1"
MOUTH, FACE = slice(48, 68), slice(0, 68)
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)
NEAR_SHARE = 0.1  # of the distance between the eyes: within it the judge counts as right, as where it was trained


class LandmarkDetector:
    """The landmarks that metrics read from frames: MediaPipe where its weight is present, else the dataset's judge."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where there is neither."""
        self._locate = FaceLocator(context)
        self._extractor: Extractor
        try:
            self._extractor = MediapipeLandmarks(context.locate_weight(MEDIAPIPE_WEIGHT))
            self.name = "mediapipe"
        except Unavailable as missing:
            if context.judges is None:
                raise Unavailable(f"no landmark detector: {missing}") from missing
            self._extractor = context.judges.landmarks()
            self.name = "judge"
        self.label = f"landmarks={self._extractor.key()}"

    def own_accuracy(self, prediction: Floats, reference: Sample) -> dict[str, float | int | str]:
        """What a clip's detail says of the judge itself: in how much of the mouth it was right about the prediction.

        The share of (T, 68, 2)'s mouth points within NEAR_SHARE of the distance between the eyes from the reference's
        track, which a rendering of the true expression should show. Nothing where MediaPipe is the detector.
        """
        if self.name != "judge" or reference.track is None or not reference.track.valid.any():
            return {}
        valid, truth = reference.track.valid, reference.track.landmarks
        near = NEAR_SHARE * interocular_px(truth[valid])[:, None]
        errors = np.linalg.norm(prediction[valid, MOUTH].astype(np.float64) - truth[valid, MOUTH], axis=2)
        return {"judge": "landmarks", "judge_right": float((errors < near).mean())}

    def __call__(self, sample: Sample, reference: Sample | None, features: Features) -> Floats:
        """(T, 68, 2) px. Raises UnscoredError where a frame has no face."""
        if self.name == "judge":  # it looks where the reference's track says the face is
            sample = self._locate(sample, reference, features)
        return features(self._extractor, sample)["landmarks"]


def interocular_px(landmarks: Floats) -> NDArray[np.float64]:
    """(T,) distance between the eyes' centres."""
    points = landmarks.astype(np.float64)
    between = points[:, LEFT_EYE].mean(axis=1) - points[:, RIGHT_EYE].mean(axis=1)
    return np.asarray(np.linalg.norm(between, axis=1), np.float64)


def landmark_distance(prediction: Floats, reference: Floats) -> NDArray[np.float64]:
    """(T,) mean distance of mean-centred points; both (T, P, 2) px."""
    ours, theirs = prediction.astype(np.float64), reference.astype(np.float64)
    ours = ours - ours.mean(axis=1, keepdims=True)
    theirs = theirs - theirs.mean(axis=1, keepdims=True)
    return np.asarray(np.linalg.norm(ours - theirs, axis=2).mean(axis=1), np.float64)


class _Lmd:
    """Landmark distance over a group of points; lower is better, 0 is perfect."""

    points = FACE
    variant = ""
    is_normalised = False  # in % of the inter-ocular distance rather than px

    def __init__(self, context: MetricContext) -> None:
        self._detect = LandmarkDetector(context)

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size, or a frame has no face."""
        reference = require_aligned(prediction, reference)
        theirs = self._detect(reference, reference, features)
        ours = self._detect(prediction, reference, features)
        per_frame = landmark_distance(ours[:, self.points], theirs[:, self.points])
        relative = per_frame / np.maximum(interocular_px(theirs), 1e-6)
        detail: dict[str, float | int | str] = {
            "pixels": float(per_frame.mean()),
            "interocular_percent": float(100.0 * relative.mean()),
            "frames": len(per_frame),
            "detector": self._detect.name,
            **self._detect.own_accuracy(ours, reference),
        }
        value = detail["interocular_percent" if self.is_normalised else "pixels"]
        return Stats(value=float(value), detail=detail)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def weights_used(self, stats: Sequence[Stats]) -> Sequence[str]:
        return landmarker_used(stats)

    def signature(self) -> str:
        unit = "% of the reference's distance of eye centres per frame" if self.is_normalised else "native px"
        return signature(f"{self.variant}, mean-centred, {unit}", weights=self._detect.label, version=VERSION)


class LmdMouth(_Lmd):
    """M-LMD: the 20 mouth points."""

    points = MOUTH
    variant = "points 48-67"


class LmdFace(_Lmd):
    """F-LMD: all 68 points."""

    points = FACE
    variant = "points 0-67"


class LmdMouthNorm(_Lmd):
    """M-LMD in % of the inter-ocular distance: comparable between render sizes."""

    points = MOUTH
    variant = "points 48-67"
    is_normalised = True


class LmdFaceNorm(_Lmd):
    """F-LMD in % of the inter-ocular distance: comparable between render sizes."""

    points = FACE
    variant = "points 0-67"
    is_normalised = True
