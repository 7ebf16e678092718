"""What is done to a clip before metrics are asked about it: one degradation at rising strengths. Knows no metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from emobench.face.motion import smooth
from emobench.hashing import hash_arrays
from emobench.judges.augment import blur
from emobench.metrics.identity import similarity
from emobench.types import SAMPLE_RATE_HZ, Sample, Track

RIGID = (36, 39, 42, 45, 27, 28, 29, 30, 31, 33, 35)
LOWER_FACE = (*range(3, 14), 31, 33, 35)


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """`apply` gives the prediction for a reference at one of the rising `strengths`."""

    name: str
    unit: str
    strengths: tuple[float, ...]
    apply: Callable[[Sample, float], Sample]


def prediction_of(reference: Sample, **changes: object) -> Sample:
    """The reference as a method would hand it over, changed: no track, its α, a content hash of its own."""
    changed = replace(reference, track=None, **changes)  # type: ignore[arg-type]
    parts = [changed.frames, *([changed.audio] if changed.audio is not None else [])]
    return replace(changed, sha256=hash_arrays(parts))


def clipped(frames: np.ndarray) -> np.ndarray:
    return np.clip(np.round(frames), 0, 255).astype(np.uint8)


def noisy(reference: Sample, sigma: float) -> Sample:
    noise = np.random.default_rng(1).normal(0, sigma, reference.frames.shape)
    return prediction_of(reference, frames=clipped(reference.frames + noise))


def compressed(reference: Sample, quality: float) -> Sample:
    frames = []
    for frame in reference.frames:
        _, packed = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
        frames.append(cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1])
    return prediction_of(reference, frames=np.ascontiguousarray(np.stack(frames)))


def late_rows(values: np.ndarray, count: int) -> np.ndarray:
    """Rows moved `count` later; the first one fills the start."""
    return np.concatenate([np.repeat(values[:1], count, axis=0), values[: len(values) - count]])


def late_video(reference: Sample, frames: float) -> Sample:
    count = int(frames)
    alpha = late_rows(reference.alpha, count) if reference.alpha is not None else None
    return prediction_of(reference, frames=late_rows(reference.frames, count), alpha=alpha)


def late_audio(reference: Sample, frames: float) -> Sample:
    if reference.audio is None:
        return prediction_of(reference)
    count = round(frames * SAMPLE_RATE_HZ / reference.fps)
    silent = np.zeros(count, np.float32)
    return prediction_of(reference, audio=np.concatenate([silent, reference.audio[: len(reference.audio) - count]]))


def flickering(reference: Sample, amount: float) -> Sample:
    signs = np.where(np.arange(len(reference.frames)) % 2, amount, -amount)[:, None, None, None]
    return prediction_of(reference, frames=clipped(reference.frames + signs))


def trembling(reference: Sample, share: float) -> Sample:
    """Every frame shifted by its own random vector of deviation `share` % of the frame's width."""
    height, width = reference.frames.shape[1:3]
    shifts = np.random.default_rng(2).normal(0, share / 100 * width, (len(reference.frames), 2))
    frames = [
        cv2.warpAffine(frame, np.array([[1, 0, x], [0, 1, y]], float), (width, height), borderMode=cv2.BORDER_REPLICATE)
        for frame, (x, y) in zip(reference.frames, shifts, strict=True)
    ]
    return prediction_of(reference, frames=np.stack(frames))


def still(reference: Sample, share: float) -> Sample:
    """The first `share` of the clip shows one frame."""
    return prediction_of(reference, **_held(reference, share))


def _held(reference: Sample, share: float) -> dict[str, object]:
    until = round(share * len(reference.frames))
    keep = np.maximum(np.arange(len(reference.frames)), until) if until < len(reference.frames) else None
    rows = np.zeros(len(reference.frames), int) if keep is None else np.where(keep > until, keep, 0)
    alpha = reference.alpha[rows] if reference.alpha is not None else None
    return {"frames": reference.frames[rows], "alpha": alpha}


def frozen_mouth(reference: Sample, landmarks: np.ndarray, share: float) -> Sample:
    """For the first `share` of the clip the lower face is the first frame's, moved with the head.

    The head is followed by smoothed landmarks, so that the patch does not tremble.
    """
    places = smooth(landmarks[:, list(RIGID)], 2.0).astype(np.float64)
    height, width = reference.frames.shape[1:3]
    frames = reference.frames.copy()
    base = np.zeros((height, width), np.uint8)
    outline = landmarks[0][list(LOWER_FACE)]
    cv2.fillConvexPoly(base, cv2.convexHull(np.round(outline).astype(np.int32)), 255)
    soft = cv2.GaussianBlur(base, (0, 0), max(np.ptp(outline[:, 0]) / 16, 0.8)).astype(np.float32) / 255
    count = round(share * len(frames))
    for index in range(1, count):
        matrix = similarity(places[0] - 0.5, places[index] - 0.5)  # OpenCV's pixel centres lie at integers
        moved = cv2.warpAffine(frames[0], matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.warpAffine(soft, matrix, (width, height))[..., None]
        frames[index] = clipped(mask * moved + (1 - mask) * frames[index])
    alpha = reference.alpha
    if alpha is not None and reference.track is not None and alpha.shape[1]:
        alpha = np.where(reference.track.is_mouth & (np.arange(len(alpha)) < count)[:, None], alpha[:1], alpha)
    return prediction_of(reference, frames=frames, alpha=alpha)


def cut(sample: Sample, count: int) -> Sample:
    """The first `count` frames with their sound, track and α."""
    track: Track | None = sample.track
    if track is not None:
        pose = replace(track.pose, rotation=track.pose.rotation[:count], translation=track.pose.translation[:count])
        track = replace(
            track, alpha=track.alpha[:count], landmarks=track.landmarks[:count], valid=track.valid[:count], pose=pose
        )
    audio = sample.audio[: round(count * SAMPLE_RATE_HZ / sample.fps)] if sample.audio is not None else None
    frames = sample.frames[:count]
    return replace(
        sample, frames=frames, audio=audio, track=track, alpha=track.alpha if track else None,
        sha256=hash_arrays([frames, *([audio] if audio is not None else [])]),
    )  # fmt: skip


DEGRADATIONS = (
    Degradation(
        name="blur", unit="σ, % of the width", strengths=(0.8, 1.6, 3.2),
        apply=lambda r, s: prediction_of(r, frames=blur(r.frames, s / 100 * r.frames.shape[2])),
    ),
    Degradation(name="noise", unit="σ, grey levels", strengths=(4, 12, 36), apply=noisy),
    Degradation(name="jpeg", unit="quality", strengths=(60, 25, 8), apply=compressed),
    Degradation(name="late video", unit="frames", strengths=(1, 3, 8), apply=late_video),
    Degradation(name="late audio", unit="frames", strengths=(2, 5, 10), apply=late_audio),
    Degradation(name="flicker", unit="± grey levels", strengths=(1, 4, 12), apply=flickering),
    Degradation(name="tremble", unit="σ, % of the width", strengths=(0.1, 0.4, 1.2), apply=trembling),
    Degradation(name="still", unit="share of the clip", strengths=(0.33, 0.66, 1.0), apply=still),
)  # fmt: skip
FROZEN_MOUTH = (0.33, 0.66, 1.0)  # shares of the clip; needs landmarks, so it is applied by the measurement
