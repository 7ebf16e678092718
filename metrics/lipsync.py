"""SyncNet lip-sync scores LSE-D and LSE-C on frames in memory. Knows no file and no codec.

d(τ) = mean_t ‖v_t − a_{t+τ}‖, τ = −15..15 frames; LSE-D = min d (lower is better), LSE-C = median d − min d (higher
is better). Traps: ground truth itself scores far from ideal, so read a score beside the ground-truth row; lossy
re-encoding alone shifts it; the released scripts drop tracks shorter than `min_track` frames (100, elsewhere 50),
which empties data sets of short clips: here every clip of at least MIN_FRAMES is scored and its detail says which
of the two conventions would have kept it. Faces are cut by landmarks; the *.s3fd variants find them as released, on
the prediction alone, which costs a network more and leaves clips unscored where S3FD loses the face.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emobench.errors import UnscoredError
from emobench.types import SAMPLE_RATE_HZ, Features, Floats, Image, MetricContext, Sample, Stats

from .batches import BATCH, batches
from .faces import boxes_told, landmarks_of
from .located import LocatedMetric
from .mfcc import mfcc
from .s3fd import FRAME_SCALE, LEAST_CONFIDENCE, S3fdDetector
from .signatures import signature, weight_label
from .syncnet import (
    AUDIO_STEPS_PER_FRAME,
    AUDIO_WINDOW,
    FACE_PX,
    VIDEO_WINDOW,
    SyncTowers,
    load_syncnet,
    offset_distances,
    score_distances,
)

VERSION = "1"
FPS = 25.0
MIN_FRAMES = VIDEO_WINDOW + 1  # as released: the last possible window is not used
MIN_TRACK_CONVENTIONS = (100, 50)
MAX_LENGTH_GAP_FRAMES = 5
CROP_SCALE, PAD_GREY, CROP_PX, MEDIAN_FRAMES = 0.4, 110, FACE_PX, 13
FOREHEAD = 0.2  # a face detector's box reaches above the brows: share of the landmarks' height


def detection_squares(landmarks: Floats) -> NDArray[np.float64]:
    """(T, 3) as `smooth_squares`, of the box that a face detector would give around (T, 68, 2) landmarks."""
    low, high = landmarks.min(axis=1).astype(np.float64), landmarks.max(axis=1).astype(np.float64)
    low[:, 1] -= FOREHEAD * (high[:, 1] - low[:, 1])
    return smooth_squares(low, high)


def smooth_squares(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 3) half side, centre y, centre x in px of boxes (T, 2) to (T, 2), median-filtered over 13 frames."""
    half = (high - low).max(axis=1) / 2
    squares = np.stack([half, (low[:, 1] + high[:, 1]) / 2, (low[:, 0] + high[:, 0]) / 2], axis=1)
    reach = MEDIAN_FRAMES // 2
    padded = np.pad(squares, ((reach, reach), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_FRAMES, axis=0)
    return np.asarray(np.median(windows, axis=-1), np.float64)


def crop_face(frame: NDArray[np.uint8], half: float, y: float, x: float) -> NDArray[np.uint8]:
    """(224, 224, 3) as the released pipeline cuts it: more below the chin, grey 110 outside the frame."""
    import cv2

    pad = int(half * (1 + 2 * CROP_SCALE))
    padded = np.pad(frame, ((pad, pad), (pad, pad), (0, 0)), constant_values=PAD_GREY)
    y, x = y + pad, x + pad
    top, bottom = int(y - half), int(y + half * (1 + 2 * CROP_SCALE))
    left, right = int(x - half * (1 + CROP_SCALE)), int(x + half * (1 + CROP_SCALE))
    cut = padded[max(top, 0) : bottom, max(left, 0) : right]
    if cut.size == 0:
        raise UnscoredError("face lies outside the frame")
    return np.asarray(cv2.resize(cut, (CROP_PX, CROP_PX)), np.uint8)


def face_windows(frames: Iterable[Image], squares: NDArray[np.float64]) -> Iterator[NDArray[np.uint8]]:
    """(3, 5, 224, 224) BGR crops of each five neighbouring frames, a window at a time."""
    held = deque[NDArray[np.uint8]](maxlen=VIDEO_WINDOW)
    for frame, square in zip(frames, squares, strict=True):
        held.append(crop_face(frame, *square)[..., ::-1].transpose(2, 0, 1))
        if len(held) == VIDEO_WINDOW:
            yield np.stack(held, axis=1)


class SyncNetDistances:
    """Extractor: distances (31,) float64 of a sample, and windows () int, face_px () float.

    The sample is a located one, unless there is a detector to find its face.
    """

    def __init__(self, path: Path, device: str, detector: S3fdDetector | None = None) -> None:
        self._towers = SyncTowers(load_syncnet(path), BATCH, device)
        self._detector = detector
        self.label = weight_label("syncnet", path) + (f"+{detector.label}" if detector else "")

    def key(self) -> str:
        return f"syncnet-distances|{self.label}|crop {CROP_SCALE} pad {PAD_GREY} {CROP_PX}px median {MEDIAN_FRAMES}|2"

    def squares(self, sample: Sample) -> NDArray[np.float64]:
        """(T, 3) where the face lies. Raises UnscoredError where none is found."""
        if self._detector is None:
            return detection_squares(landmarks_of(sample))
        boxes = self._detector.follow(sample.frames)
        return smooth_squares(boxes[:, :2], boxes[:, 2:])

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Raises UnscoredError: no audio, other frame rate, too short, lengths that differ."""
        windows = _window_count(sample)
        assert sample.audio is not None  # _window_count has refused silent clips
        squares = self.squares(sample)
        cepstra = mfcc(sample.audio).T.astype(np.float32)  # (13, M)
        steps = (AUDIO_STEPS_PER_FRAME * t for t in range(windows))
        sounds = (cepstra[None, :, s : s + AUDIO_WINDOW] for s in steps)
        heard = [self._towers.embed_audio(torch.from_numpy(b))[:n] for b, n in batches(sounds)]
        faces = itertools.islice(face_windows(sample.frames, squares), windows)
        seen = [self._towers.embed_video(torch.from_numpy(b).float())[:n] for b, n in batches(faces)]
        distances = offset_distances(np.concatenate(seen), np.concatenate(heard))
        return {"distances": distances, "windows": np.array(windows), "face_px": np.array(2 * np.median(squares[:, 0]))}


def _window_count(sample: Sample) -> int:
    """Windows covered by frames and sound alike."""
    if sample.audio is None or len(sample.audio) == 0:
        raise UnscoredError("no audio")
    if abs(sample.fps - FPS) > 0.01:
        raise UnscoredError(f"clip has {sample.fps:g} frames a second; SyncNet knows 25 and nothing is resampled")
    covered = int(len(sample.audio) * FPS / SAMPLE_RATE_HZ)
    count = len(sample.frames)
    if abs(covered - count) > MAX_LENGTH_GAP_FRAMES:
        raise UnscoredError(f"audio covers {covered} frames, video has {count}")
    if min(covered, count) < MIN_FRAMES:
        raise UnscoredError(f"clip of {min(covered, count)} frames is shorter than {MIN_FRAMES}")
    return min(covered, count) - VIDEO_WINDOW


class _SyncNetMetric(LocatedMetric):
    """Shared measuring of LSE-D and LSE-C; which of the two is the value is the subclass's business."""

    field = ""
    box = f"landmark box + {FOREHEAD:.0%} forehead"

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where the SyncNet weights are not here."""
        super().__init__(context)
        self._extractor = SyncNetDistances(context.locate_weight("syncnet"), context.device, self.detector(context))

    def detector(self, context: MetricContext) -> S3fdDetector | None:
        """What finds faces where landmarks do not."""
        del context
        return None

    def place(self, prediction: Sample, reference: Sample | None, features: Features) -> tuple[Sample, str]:
        """The sample with what says where its face is, and the name of that."""
        return self._locate(prediction, reference, features), self._locate.source(reference)

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError: no audio, no face, other frame rate, too short."""
        located, source = self.place(prediction, reference, features)
        found = features(self._extractor, located)
        score = score_distances(found["distances"])
        detail: dict[str, float | int | str] = {
            "lse_d": score.lse_d,
            "lse_c": score.lse_c,
            "offset_frames": score.offset_frames,
            "windows": int(found["windows"]),
            "face_px": float(found["face_px"]),
            "box_source": source,
        }
        for frames in MIN_TRACK_CONVENTIONS:
            detail[f"min_track_{frames}"] = "kept" if len(prediction.frames) >= frames else "would be dropped"
        return Stats(value=float(detail[self.field]), detail=detail)

    def boxes(self, stats: Sequence[Stats]) -> str:
        """What found the faces of these clips."""
        return boxes_told(stats)

    def signature_over(self, stats: Sequence[Stats]) -> str:
        return signature(
            f"SyncNet {self.field}, offsets ±15, zero-padded ends, no min_track, audio of the prediction",
            weights=self._extractor.label,
            crop=f"{self.box}, median 13, scale {CROP_SCALE}, pad {PAD_GREY}; boxes: {self.boxes(stats)}",
            resize=f"bilinear {CROP_PX}",
            version=VERSION,
        )


class LseD(_SyncNetMetric):
    """Distance at the best offset; lower is better."""

    field = "lse_d"


class LseC(_SyncNetMetric):
    """Confidence: median minus minimum distance; higher is better."""

    field = "lse_c"


class _ByS3fd(_SyncNetMetric):
    """With the released pipeline's own face detector on the prediction: it changes the crop, so it has its own name."""

    box = f"S3FD on frames at {FRAME_SCALE:g} of their size, confidence {LEAST_CONFIDENCE:g}"
    _found: S3fdDetector

    def detector(self, context: MetricContext) -> S3fdDetector | None:
        """Raises Unavailable where the S3FD weights are not here."""
        self._found = S3fdDetector(context.locate_weight("s3fd"), context.device)
        return self._found

    def place(self, prediction: Sample, reference: Sample | None, features: Features) -> tuple[Sample, str]:
        return prediction, self.boxes(())

    def boxes(self, stats: Sequence[Stats]) -> str:
        return f"{self._found.label} of prediction"


class LseDByS3fd(_ByS3fd):
    """Distance at the best offset, faces by S3FD; lower is better."""

    field = "lse_d"


class LseCByS3fd(_ByS3fd):
    """Confidence, faces by S3FD; higher is better."""

    field = "lse_c"
