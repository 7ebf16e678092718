"""The train split as judges need it: grey frames, landmarks, mouth shapes and log-mel sound. Knows no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError, UnscoredError
from emobench.face.tracks import load_track
from emobench.media import read_audio, read_video
from emobench.types import SAMPLE_RATE_HZ, Clip, Floats, Frames

from .crops import Squares, eye_centres, face_squares

MOUTH = slice(48, 68)
MEL_BANDS, MEL_PER_SECOND, FFT = 40, 100, 512
MOST_SPOKEN = 120  # more sound than this makes the judge slower to train, not better
HELD_OUT_SHARE = 8  # one filmed clip in eight is kept from training


@dataclass(frozen=True, slots=True, kw_only=True)
class Filmed:
    """Frames of some clips, laid end to end."""

    frames: NDArray[np.uint8]  # (N, H, W) grey
    squares: Squares  # (N, 4)
    landmarks: Floats  # (N, 68, 2) px of the frames
    emotion: NDArray[np.int64]  # (N,) index into `classes`
    clip: NDArray[np.int64]  # (N,) number of the clip
    classes: tuple[str, ...]
    subjects: tuple[str, ...] = ()  # of each clip, by its number


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One clip's mouth and sound."""

    mouth: Floats  # (T, 20, 2) normalised mouth shape, see mouth_shape
    mel: Floats  # (4·T, 40) log-mel steps at 100 Hz where fps is 25
    sentence: str


def grey(frames: Frames) -> NDArray[np.uint8]:
    """(T, H, W) luma of (T, H, W, 3) RGB."""
    return np.stack([np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in frames])


def mouth_shape(landmarks: Floats) -> Floats:
    """(T, 20, 2) mouth points in the frame of the eyes, in inter-ocular distances, less the clip's mean shape.

    Without its mean a shape says how the mouth moves, not whose it is; a still mouth is all zeros.
    """
    right, left = eye_centres(landmarks)
    axis = left - right
    distance = float(np.median(np.linalg.norm(axis, axis=1)))
    if not distance > 1e-3:
        raise UnscoredError("eyes coincide: no face to judge")
    axis = axis / np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-6)
    points = landmarks[:, MOUTH].astype(np.float64) - ((right + left) / 2)[:, None]
    turned = np.stack(
        [
            points[..., 0] * axis[:, None, 0] + points[..., 1] * axis[:, None, 1],
            points[..., 1] * axis[:, None, 0] - points[..., 0] * axis[:, None, 1],
        ],
        axis=2,
    )
    shape = turned / distance
    return np.asarray(shape - shape.mean(axis=0), np.float32)


def _mel_filters() -> NDArray[np.float64]:
    edges = 700.0 * (10.0 ** (np.linspace(0, 2595 * np.log10(1 + 7600 / 700), MEL_BANDS + 2) / 2595) - 1)
    hertz = np.arange(FFT // 2 + 1) * SAMPLE_RATE_HZ / FFT
    rising = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None)


def log_mel(audio: Floats, steps: int) -> Floats:
    """(steps, 40) log power at 100 Hz, windows of 25 ms centred on each 10 ms step, less the clip's own mean."""
    hop, window = SAMPLE_RATE_HZ // MEL_PER_SECOND, 400
    padded = np.zeros((steps - 1) * hop + window, np.float32)
    source = audio[: len(padded) - (window - hop) // 2]
    padded[(window - hop) // 2 :][: len(source)] = source
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop] * np.hanning(window).astype(np.float32)
    spectrum = np.fft.rfft(windows, FFT)
    power = (spectrum.real**2 + spectrum.imag**2) @ _mel_filters().T.astype(np.float32)
    logs = np.log(power + 1e-5)
    return np.asarray(logs - logs.mean(axis=0), np.float32)


def load_filmed(clips: Sequence[Clip]) -> Filmed:
    """All frames of clips that have video and a track. Raises InputError where none has, or sizes differ."""
    filmed = [clip for clip in clips if clip.video is not None and "track" in clip.extras]
    if not filmed:
        raise InputError("no train clip has both pixels and a track")
    classes = tuple(sorted({clip.emotion for clip in filmed}))
    frames, squares, landmarks = [], [], []
    for clip in filmed:
        assert clip.video is not None
        pictures, track = grey(read_video(clip.video).frames), load_track(clip.extras["track"])
        if len(pictures) != len(track.landmarks):
            raise InputError(f"Clip {clip.id} has {len(pictures)} frames but a track of {len(track.landmarks)}.")
        frames.append(pictures[track.valid])
        squares.append(face_squares(track.landmarks)[track.valid])
        landmarks.append(track.landmarks[track.valid])
    if len({pictures.shape[1:] for pictures in frames}) > 1:
        raise InputError("train clips have frames of different sizes")
    counts = [len(pictures) for pictures in frames]
    return Filmed(
        frames=np.concatenate(frames), squares=np.concatenate(squares), landmarks=np.concatenate(landmarks),
        emotion=np.repeat([classes.index(clip.emotion) for clip in filmed], counts),
        clip=np.repeat(np.arange(len(filmed)), counts), classes=classes, subjects=tuple(c.subject for c in filmed),
    )  # fmt: skip


def select(filmed: Filmed, chosen: NDArray[np.bool_]) -> Filmed:
    """The frames where `chosen` (N,) holds."""
    return replace(
        filmed, frames=filmed.frames[chosen], squares=filmed.squares[chosen], landmarks=filmed.landmarks[chosen],
        emotion=filmed.emotion[chosen], clip=filmed.clip[chosen],
    )  # fmt: skip


def relabelled(filmed: Filmed, classes: tuple[str, ...]) -> Filmed:
    """The frames whose emotion is among `classes`, as an index into these."""
    known = np.array([name in classes for name in filmed.classes])
    kept = select(filmed, known[filmed.emotion])
    places = np.array([classes.index(name) if name in classes else -1 for name in filmed.classes])
    return replace(kept, emotion=places[kept.emotion], classes=classes)


def labelled_by_subject(filmed: Filmed) -> Filmed:
    """The same frames whose classes are the people they show."""
    names = tuple(sorted(set(filmed.subjects)))
    numbers = np.array([names.index(name) for name in filmed.subjects], np.int64)
    return replace(filmed, emotion=numbers[filmed.clip], classes=names)


def thinned(filmed: Filmed, most: int) -> Filmed:
    """At most `most` frames, evenly chosen over all."""
    chosen = np.zeros(len(filmed.frames), np.bool_)
    chosen[np.unique(np.linspace(0, len(chosen) - 1, min(most, len(chosen))).round().astype(int))] = True
    return select(filmed, chosen)


def held_out_frames(filmed: Filmed, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(N,) True for whole clips kept from training: one in eight or one, never the last one of an emotion."""
    numbers = rng.permutation(np.unique(filmed.clip))
    most = max(len(numbers) // HELD_OUT_SHARE, 1)
    emotion = {int(n): int(filmed.emotion[filmed.clip == n][0]) for n in numbers}
    left = {e: sum(v == e for v in emotion.values()) for e in set(emotion.values())}
    held: list[int] = []
    for number in numbers.tolist():
        if len(held) < most and left[emotion[number]] > 1:
            held.append(number)
            left[emotion[number]] -= 1
    return np.isin(filmed.clip, held)


def load_spoken(clips: Sequence[Clip], rng: np.random.Generator, most: int = MOST_SPOKEN) -> list[Spoken]:
    """Mouth and sound of at most `most` clips with audio and a track, with pixels or without.

    Raises InputError where there is none.
    """
    heard = [clip for clip in clips if clip.audio is not None and "track" in clip.extras]
    if len(heard) > most:
        heard = [heard[int(index)] for index in np.sort(rng.choice(len(heard), most, replace=False))]
    spoken = []
    for clip in heard:
        assert clip.audio is not None
        track = load_track(clip.extras["track"])
        steps = round(len(track.landmarks) * MEL_PER_SECOND / clip.fps)
        mel = log_mel(read_audio(clip.audio, SAMPLE_RATE_HZ), steps)
        spoken.append(Spoken(mouth=mouth_shape(track.landmarks), mel=mel, sentence=clip.sentence))
    if not spoken:
        raise InputError("no train clip has both sound and a track")
    return spoken
