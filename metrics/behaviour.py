"""Blinks and head motion: statistics of behaviour that need not happen at the same moment. Knows no pixel.

blink_rate = |B̂/min − B/min|, B blinks of the reference, read from the eye aspect ratio
EAR = (‖p2 − p6‖ + ‖p3 − p5‖) / (2‖p1 − p4‖), mean of both eyes (Soukupová and Čech 2016); a blink is a run of 1 to 12
frames at 25 frames a second (40–480 ms) below 60 % of the clip's 90th percentile. The blinks and the minutes of one
subject are added up first, for clips of three seconds hold one blink or none; the value is the mean over subjects: a
method that blinks too much for one person and too little for another is wrong about both.
head_motion = mean over yaw, pitch and roll of |σ̂ − σ|, σ the standard deviation over the clip in degrees, from a
weak-perspective fit of a rigid mean face to eye corners and nose. Both: lower is better, 0 is perfect. Traps: methods
that are handed the head pose have about the reference's head motion; a statistic does not see when things happen; a
clip that is mostly shut-eyed has no open level.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emobench.errors import Inapplicable, UnscoredError
from emobench.types import Features, Floats, MetricContext, Sample, Stats

from .faces import landmarker_used
from .landmarks import LandmarkDetector
from .pairs import require_aligned
from .signatures import mean_over_clips, signature

VERSION = "1"
BLINK_VERSION = "2"  # 1 added up the blinks of all subjects before it compared them
CLOSED_SHARE, OPEN_PERCENTILE = 0.60, 90
LONGEST_BLINK_SECONDS = 0.5
MIN_SECONDS = 1.0
MIN_EYE_PX = 8.0  # below, the landmarks' noise blinks: 9 and 5 counted where there were 1 and 2, at 5 px
ANGLES = ("yaw", "pitch", "roll")
RIGID = (36, 39, 42, 45, 27, 28, 29, 30, 31, 33, 35)  # eye corners, nose ridge, nose base
# A mean adult face at these points, mm from the nose's root: x to the image's right, y down, z towards the viewer.
# Measured once: MediaPipe's meshes of five filmed speakers, turned to the front, scaled to 88 mm between outer eye
# corners, averaged and made symmetrical; the five deviate by 0.9 mm.
RIGID_MM = (
    (-44.0, 0.9, -23.0), (-16.8, 2.5, -17.8), (16.8, 2.5, -17.8), (44.0, 0.9, -23.0),
    (0.0, 0.0, 0.0), (0.0, 14.8, 9.8), (0.0, 27.3, 21.4), (0.0, 34.9, 23.9),
    (-16.5, 46.2, -3.1), (0.0, 47.9, 5.4), (16.5, 46.2, -3.1),
)  # fmt: skip


def eye_aspect_ratio(landmarks: Floats) -> NDArray[np.float64]:
    """(T,) EAR of (T, 68, 2), mean of both eyes: about 0.3 open, below 0.15 shut."""
    points = landmarks.astype(np.float64)

    def gap(a: int, b: int) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(points[:, a] - points[:, b], axis=1), np.float64)

    ratios = [(gap(e + 1, e + 5) + gap(e + 2, e + 4)) / np.maximum(2.0 * gap(e, e + 3), 1e-6) for e in (36, 42)]
    return np.asarray(np.mean(ratios, axis=0), np.float64)


def count_blinks(ratio: NDArray[np.float64], fps: float) -> int:
    """Runs of frames with shut eyes, no longer than half a second; a run cut off by the clip's end counts."""
    shut = ratio < CLOSED_SHARE * np.percentile(ratio, OPEN_PERCENTILE)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], shut, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return int((lengths <= LONGEST_BLINK_SECONDS * fps).sum())


class BlinkRate:
    """Difference of blinks per minute; over a split, of each subject's blinks over its minutes, mean over subjects."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where no landmark detector is at hand."""
        self._detect = LandmarkDetector(context)

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size, a face is missing, or eyes are too small."""
        reference = require_aligned(prediction, reference)
        minutes = len(reference.frames) / reference.fps / 60.0
        if minutes * 60.0 < MIN_SECONDS:
            raise UnscoredError(f"clip of {60.0 * minutes:.2f} s is too short to count blinks in")
        found = self._detect(reference, reference, features)
        width = float(np.median(np.linalg.norm(found[:, [39, 45]] - found[:, [36, 42]], axis=2)))
        if width < MIN_EYE_PX:
            raise Inapplicable(f"eyes {width:.1f} px wide are too small to see blinks; {MIN_EYE_PX:g} px are needed")
        ours, theirs = (
            count_blinks(eye_aspect_ratio(landmarks), reference.fps)
            for landmarks in (self._detect(prediction, reference, features), found)
        )
        detail: dict[str, float | int | str] = {
            "blinks": ours, "reference_blinks": theirs, "seconds": 60.0 * minutes, "detector": self._detect.name,
            "subject": reference.subject,
        }  # fmt: skip
        return Stats(value=abs(ours - theirs) / minutes, detail=detail)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        """Mean over subjects of |Σ blinks − Σ reference blinks| / Σ minutes; None without clips."""
        totals: dict[str, tuple[float, float]] = {}
        for entry in stats:
            seconds, surplus = totals.get(str(entry.detail["subject"]), (0.0, 0.0))
            extra = int(entry.detail["blinks"]) - int(entry.detail["reference_blinks"])
            totals[str(entry.detail["subject"])] = (seconds + float(entry.detail["seconds"]), surplus + extra)
        rates = [60.0 * abs(surplus) / seconds for seconds, surplus in totals.values()]
        return float(np.mean(rates)) if rates else None

    def caveat(self, stats: Sequence[Stats]) -> str:
        """Both counts: a rate over few seconds means little."""
        ours, theirs, seconds = (
            sum(float(entry.detail[name]) for entry in stats) for name in ("blinks", "reference_blinks", "seconds")
        )
        subjects = len({entry.detail["subject"] for entry in stats})
        whose = f" of {subjects} subjects" if subjects > 1 else ""
        return f"{ours:.0f} blinks against {theirs:.0f} in {seconds:.0f} s{whose}"

    def weights_used(self, stats: Sequence[Stats]) -> Sequence[str]:
        return landmarker_used(stats)

    def signature(self) -> str:
        variant = (
            f"blinks/min, EAR of both eyes < {CLOSED_SHARE} × percentile {OPEN_PERCENTILE}, "
            f"runs up to {LONGEST_BLINK_SECONDS} s"
        )
        pool = "|difference of blinks| over all minutes of a subject, mean over subjects"
        return signature(variant, weights=self._detect.label, pool=pool, version=BLINK_VERSION)


def head_angles(landmarks: Floats) -> NDArray[np.float64]:
    """(T, 3) yaw, pitch and roll in degrees of (T, 68, 2) px; positive: to image right, down, clockwise.

    Weak perspective: the best affine camera of the rigid points, its rows made orthogonal. Raises UnscoredError where
    the points of a frame lie on one line.
    """
    model = np.array(RIGID_MM) - np.mean(RIGID_MM, axis=0)
    points = landmarks[:, list(RIGID)].astype(np.float64)
    points = points - points.mean(axis=1, keepdims=True)
    cameras = np.einsum("tpk,pm->tkm", points, model @ np.linalg.inv(model.T @ model))  # (T, 2, 3)
    left, sizes, right = np.linalg.svd(cameras, full_matrices=False)
    if not (sizes[:, 1] > 1e-3 * sizes[:, 0]).all():
        raise UnscoredError("eyes and nose lie on one line: no head pose to read")
    rows = left @ right  # (T, 2, 3) the nearest orthonormal rows: x and y axes of the camera in head space
    ahead = np.cross(rows[:, 0], rows[:, 1])
    yaw = np.arctan2(rows[:, 0, 2], ahead[:, 2])
    pitch = np.arcsin(np.clip(rows[:, 1, 2], -1.0, 1.0))
    roll = np.arctan2(rows[:, 1, 0], rows[:, 1, 1])
    return np.asarray(np.degrees(np.stack([yaw, pitch, roll], axis=1)), np.float64)


class HeadMotion:
    """Difference of the standard deviations of yaw, pitch and roll, degrees."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where no landmark detector is at hand."""
        self._detect = LandmarkDetector(context)

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size, or a frame has no face."""
        reference = require_aligned(prediction, reference)
        ours, theirs = (
            head_angles(self._detect(sample, reference, features)).std(axis=0) for sample in (prediction, reference)
        )
        detail: dict[str, float | int | str] = {"detector": self._detect.name, "frames": len(reference.frames)}
        for name, our, their in zip(ANGLES, ours, theirs, strict=True):
            detail |= {f"{name}_std": float(our), f"reference_{name}_std": float(their)}
        return Stats(value=float(np.abs(ours - theirs).mean()), detail=detail)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def weights_used(self, stats: Sequence[Stats]) -> Sequence[str]:
        return landmarker_used(stats)

    def signature(self) -> str:
        variant = "mean over yaw, pitch, roll of |difference of standard deviations|, weak perspective of 11 points"
        return signature(variant, weights=self._detect.label, version=VERSION)
