"""The judges as feature extractors over located samples (a sample whose track says where the face is)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emobench.errors import UnscoredError
from emobench.types import Floats, Sample

from .crops import cut, face_squares, to_frame
from .material import MEL_PER_SECOND, log_mel, mouth_shape
from .networks import VIDEO_WINDOW, FaceNet, SyncTowers, TagImageNet
from .training import ShapeScale, mouth_windows, sound_windows

BATCH = 128
MAX_OFFSET_FRAMES = 15
MIN_OVERLAP = 5  # windows that must remain at the largest offset
MIN_FRAMES = VIDEO_WINDOW + MIN_OVERLAP


def _landmarks(sample: Sample) -> Floats:
    if sample.track is None:
        raise UnscoredError("no landmarks say where the face is")
    return sample.track.landmarks


def _run(network: FaceNet, crops: NDArray[np.uint8]) -> Floats:
    with torch.inference_mode():
        return np.concatenate([network(torch.from_numpy(batch)).numpy() for batch in _batches(crops)])


def _batches(crops: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [crops[i : i + BATCH] for i in range(0, len(crops), BATCH)]


def _softmax(logits: Floats) -> Floats:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)


class EmotionJudge:
    """probabilities (T, E) float32, classes (E,) str, features (T, 128) float32: what the last layer reads."""

    def __init__(self, network: FaceNet, classes: tuple[str, ...], key: str) -> None:
        self._network, self._classes, self._key = network, classes, key

    def key(self) -> str:
        return f"judge.emotion:{self._key}"

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Raises UnscoredError where no face is located."""
        crops = cut(sample.frames, face_squares(_landmarks(sample)))
        with torch.inference_mode():
            parts = [self._network.describe(torch.from_numpy(c)) for c in _batches(crops)]
            features = torch.cat(parts)
            logits = self._network.head[-1](features)
        return {
            "probabilities": _softmax(logits.numpy()),
            "classes": np.array(self._classes),
            "features": features.numpy(),
        }

    def probabilities(self, crops: NDArray[np.uint8]) -> Floats:
        """(N, 64, 64) → (N, E)."""
        return _softmax(_run(self._network, crops))


class TagImageJudge:
    """similarity (T, E) float32, cosines −1..1 of frames and tags, and classes (E,) str.

    `network` is the trained encoder itself: in a loss, its `similarity` of float crops can be differentiated.
    """

    def __init__(self, network: TagImageNet, classes: tuple[str, ...], key: str) -> None:
        self.network, self.classes, self._key = network, classes, key

    def key(self) -> str:
        return f"judge.tags:{self._key}"

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Raises UnscoredError where no face is located."""
        crops = cut(sample.frames, face_squares(_landmarks(sample)))
        return {"similarity": self.similarity(crops), "classes": np.array(self.classes)}

    def similarity(self, crops: NDArray[np.uint8]) -> Floats:
        """(N, 64, 64) → (N, E)."""
        with torch.inference_mode():
            parts = [self.network.similarity(torch.from_numpy(batch)).numpy() for batch in _batches(crops)]
        return np.concatenate(parts)


class IdentityJudge(TagImageJudge):
    """As TagImageJudge with people for tags, and embeddings (T, 32) float32 of unit length. For losses alone: no
    score is its own."""

    def key(self) -> str:
        return f"judge.identity:{self._key}"

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Raises UnscoredError where no face is located."""
        crops = cut(sample.frames, face_squares(_landmarks(sample)))
        with torch.inference_mode():
            parts = [self.network.embed(torch.from_numpy(batch)).numpy() for batch in _batches(crops)]
        return {"embeddings": np.concatenate(parts), **super().extract(sample)}


class LandmarkJudge:
    """landmarks (T, 68, 2) float32 px of the sample's frames."""

    def __init__(self, network: FaceNet, scale: ShapeScale, key: str) -> None:
        self._network, self._scale, self._key = network, scale, key

    def key(self) -> str:
        return f"judge.landmarks:{self._key}"

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Raises UnscoredError where no face is located."""
        return {"landmarks": self.read(sample.frames, _landmarks(sample))}

    def read(self, frames: NDArray[np.uint8], located: Floats) -> Floats:
        """(T, 68, 2) px read from (T, H, W, 3) or grey frames near the head that `located` (T, 68, 2) shows."""
        squares = face_squares(located)
        shapes = _run(self._network, cut(frames, squares)).reshape(-1, 68, 2)
        return to_frame(self._scale.mean + self._scale.spread * shapes, squares)


class SyncJudge:
    """distances (2m + 1,) float64 over `offsets` −m..m frames, and windows (): mean ‖mouth_t − sound_{t+τ}‖, 0..2.

    The mouth is read by the landmark judge. m is 15, less in clips too short for it; windows lie inside the clip.
    """

    def __init__(self, towers: SyncTowers, landmarks: LandmarkJudge, key: str) -> None:
        self._towers, self._landmark_judge, self._key = towers, landmarks, key

    def key(self) -> str:
        return f"judge.lipsync:{self._key}"

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Raises UnscoredError: no audio, no face located, too short."""
        if sample.audio is None or len(sample.audio) == 0:
            raise UnscoredError("no audio")
        if len(sample.frames) < MIN_FRAMES:
            raise UnscoredError(f"clip of {len(sample.frames)} frames is shorter than {MIN_FRAMES}")
        landmarks = self._landmark_judge.read(sample.frames, _landmarks(sample))
        steps_per_frame = MEL_PER_SECOND / sample.fps
        mel = log_mel(sample.audio, round(len(landmarks) * steps_per_frame))
        return self.compare(mouth_shape(landmarks), mel, steps_per_frame)

    def compare(self, mouth: Floats, mel: Floats, steps_per_frame: float) -> Mapping[str, NDArray[Any]]:
        """The distances of one clip's mouth (T, 20, 2) and sound (M, 40)."""
        windows = mouth_windows(mouth)
        with torch.inference_mode():
            seen = self._towers.embed_mouth(torch.from_numpy(windows.astype(np.float32))).double().numpy()
            sounds = sound_windows(mel, len(windows), steps_per_frame)
            heard = self._towers.embed_sound(torch.from_numpy(sounds.astype(np.float32))).double().numpy()
        reach = min(MAX_OFFSET_FRAMES, len(windows) - MIN_OVERLAP)
        every = np.sqrt(np.maximum(2.0 - 2.0 * seen @ heard.T, 0.0))  # (W, W) unit vectors
        distances = [float(np.diagonal(every, offset).mean()) for offset in range(-reach, reach + 1)]
        return {
            "distances": np.array(distances),
            "offsets": np.arange(-reach, reach + 1),
            "windows": np.array(len(windows)),
        }


