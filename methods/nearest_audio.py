"""Expression by look-up: the α of train frames whose sound is nearest. Knows arrays of sound and α; renders nothing.

A bank holds every train frame of one subject. It is asked with sound alone, or with sound and tag: then only the
frames of that emotion and its nearest level answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from emobench.errors import InputError
from emobench.types import Floats

from .emohead.config import AudioConfig
from .emohead.features import STEP_HZ, frame_positions, speech_features

SOUND = AudioConfig()
PARTS = 2  # a frame's sound is heard in two halves
ROWS_AT_ONCE = 256  # asked frames whose distances are in memory together


class NearestAudioConfig(BaseModel):
    """How the look-up listens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reach_frames: int = Field(default=3, ge=0, description="frames before and after whose sound counts as well")
    fading_frames: float = Field(default=1.0, gt=0, description="the weight of a neighbour's sound falls as a Gaussian")
    neighbours: int = Field(default=7, ge=1, description="nearest train frames, of whose α the median answers")
    smoothing_frames: int = Field(default=5, ge=1, description="odd length of the Hann window over the answers")
    told_tag: bool = Field(default=True, description="only frames of the asked emotion, at the nearest level, answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One train clip of the bank's subject."""

    audio: Floats  # (N,) mono at SAMPLE_RATE_HZ
    fps: float
    alpha: Floats  # (T, K)
    valid: NDArray[np.bool_]  # (T,)
    emotion: str
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioBank:
    """Every train frame of one subject: what is heard, what the face does."""

    sound: Floats  # (M, PARTS·F) standardised
    alpha: Floats  # (M, K)
    valid: NDArray[np.bool_]  # (M,) frames that may answer
    clip: NDArray[np.int64]  # (M,) ascending
    emotion: NDArray[np.int64]  # (M,) index into `emotions`
    level: NDArray[np.int64]  # (M,)
    mean: Floats  # (PARTS·F,)
    scale: Floats  # (PARTS·F,)
    emotions: tuple[str, ...]

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        """What there is to store, besides `emotions`."""
        names = ("sound", "alpha", "valid", "clip", "emotion", "level", "mean", "scale")
        return {name: getattr(self, name) for name in names}

    def ask(
        self, audio: Floats, fps: float, n_frames: int, emotion: str, level: int, config: NearestAudioConfig
    ) -> Floats:
        """(N,) sound → α (n_frames, K). An emotion without train frames is answered by all frames."""
        wanted = (_frame_sound(audio, fps, n_frames) - self.mean) / self.scale
        asked = _windows(wanted, np.zeros(n_frames, dtype=np.int64), config)
        chosen = np.flatnonzero(self._answering(emotion, level) if config.told_tag else self.valid)
        keys = _windows(self.sound, self.clip, config)[chosen]
        count = min(config.neighbours, len(chosen))
        rows = [
            np.median(self.alpha[chosen[_nearest(asked[first : first + ROWS_AT_ONCE], keys, count)]], axis=1)
            for first in range(0, n_frames, ROWS_AT_ONCE)
        ]
        return _smoothed(np.concatenate(rows), config.smoothing_frames)

    def _answering(self, emotion: str, level: int) -> NDArray[np.bool_]:
        own = self.valid & (self.emotion == (self.emotions.index(emotion) if emotion in self.emotions else -1))
        if not own.any():
            return self.valid
        nearest = min(set(self.level[own].tolist()), key=lambda trained: abs(trained - level))
        answering: NDArray[np.bool_] = own & (self.level == nearest)
        return answering


def make_bank(clips: Sequence[Heard]) -> AudioBank:
    """The bank of one subject's train clips. Raises InputError where no frame was tracked."""
    if not any(clip.valid.any() for clip in clips):
        raise InputError("No train frame of the subject was tracked, so no sound can be looked up.")
    heard = [_frame_sound(clip.audio, clip.fps, len(clip.alpha)) for clip in clips]
    counts = [len(clip.alpha) for clip in clips]
    stacked = np.concatenate(heard)
    mean, scale = stacked.mean(axis=0), np.maximum(stacked.std(axis=0), 1e-3)
    emotions = tuple(sorted({clip.emotion for clip in clips}))
    return AudioBank(
        sound=((stacked - mean) / scale).astype(np.float32),
        alpha=np.concatenate([clip.alpha for clip in clips]).astype(np.float32),
        valid=np.concatenate([clip.valid for clip in clips]),
        clip=np.repeat(np.arange(len(clips)), counts),
        emotion=np.repeat([emotions.index(clip.emotion) for clip in clips], counts),
        level=np.repeat([clip.level for clip in clips], counts),
        mean=mean.astype(np.float32),
        scale=scale.astype(np.float32),
        emotions=emotions,
    )


def _frame_sound(audio: Floats, fps: float, n_frames: int) -> Floats:
    """(n_frames, PARTS·F) log-mel bands and prosody in each half of each frame, raw."""
    steps = speech_features(audio, SOUND)
    half = STEP_HZ / fps / (2 * PARTS)
    centres = frame_positions(n_frames, fps)[:, None] + half * np.array([-1.0, 1.0])
    inside = np.clip(centres, 0, len(steps) - 1)
    low = inside.astype(np.int64)
    high = np.minimum(low + 1, len(steps) - 1)
    share = (inside - low)[..., None].astype(np.float32)
    between: Floats = (steps[low] + share * (steps[high] - steps[low])).reshape(n_frames, -1)
    return between


def _windows(sound: Floats, clip: NDArray[np.int64], config: NearestAudioConfig) -> Floats:
    """(M, D) → (M, (2·reach + 1)·D): each frame with its neighbours in the same clip, the ends repeated."""
    offsets = np.arange(-config.reach_frames, config.reach_frames + 1)
    first, last = np.searchsorted(clip, clip, side="left"), np.searchsorted(clip, clip, side="right") - 1
    rows = np.clip(np.arange(len(clip))[:, None] + offsets, first[:, None], last[:, None])
    weights = np.exp(-0.25 * (offsets / config.fading_frames) ** 2).astype(np.float32)  # squared in the distance
    heard: Floats = (sound[rows] * weights[:, None]).reshape(len(clip), -1)
    return heard


def _nearest(asked: Floats, keys: Floats, count: int) -> NDArray[np.int64]:
    """(T, D), (M, D) → (T, count) rows of the nearest keys, in no order."""
    squared = (keys**2).sum(axis=1) - 2 * asked @ keys.T
    if count == len(keys):
        return np.tile(np.arange(count), (len(asked), 1))
    return np.argpartition(squared, count - 1, axis=1)[:, :count]


def _smoothed(alpha: Floats, length: int) -> Floats:
    """(T, K) averaged over time with a Hann window of odd length; the ends are repeated."""
    if length < 3:
        return alpha.astype(np.float32)
    half = length // 2
    shape = np.hanning(2 * half + 3)[1:-1]
    padded = np.pad(alpha, ((half, half), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(shape), axis=0)  # (T, K, length)
    smooth: Floats = (windows @ (shape / shape.sum())).astype(np.float32)
    return smooth
