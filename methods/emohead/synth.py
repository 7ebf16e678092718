"""Speech that nobody filmed: EmoHead driven by any sound, tag and strength. Measures no time and writes no file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from emobench.errors import InputError, UsageError
from emobench.types import SAMPLE_RATE_HZ, Camera, Floats, HeadPose, Rendered

from .encoders import LEVELS
from .method import EmoHead
from .model import Request

SWAY_DEGREES = (3.2, 1.8, 1.5)  # yaw, pitch, roll: standard deviations
SWAY_SECONDS = (0.7, 0.6, 0.9)  # time constants
SMOOTHING = np.hanning(7)[1:-1] / np.hanning(7)[1:-1].sum()


def synthesise(
    method: EmoHead, audio: Floats, emotion: str, intensity: float, *, transcript: str | None, rest: HeadPose,
    camera: Camera, fps: float, subject: str | None = None, pose: HeadPose | None = None, seed: int = 0,
) -> Iterator[Rendered]:
    """Frames for the whole sound (N,) at SAMPLE_RATE_HZ.

    intensity 0..1 (more is caricature): the level is LEVELS·intensity, and it multiplies τ.
    rest: one pose of the subject, swayed about when `pose` is None; a shorter `pose` is an error.
    Raises UsageError on an unknown subject or tag, InputError on sound or pose that cannot be used.
    """
    if not 0 <= intensity <= 2:
        raise UsageError(f"Intensity {intensity:g} is out of range: 0 to 1, up to 2 for caricature.")
    subject = subject or next(iter(method.subjects), None)
    if subject not in method.subjects:
        raise UsageError(f"Unknown subject {subject!r}. This checkpoint knows: {', '.join(method.subjects) or 'none'}.")
    n_frames = max(1, int(len(audio) / SAMPLE_RATE_HZ * fps))
    if pose is not None and len(pose) < n_frames:
        raise InputError(f"The pose track has {len(pose)} frames, the sound needs {n_frames} at {fps:g} fps.")
    expression = method.model.predict(
        Request(
            audio=audio, transcript=transcript, emotion=emotion, level=LEVELS * intensity, subject=subject, fps=fps,
            n_frames=n_frames, push=intensity,
        )
    )
    moved = pose or gentle_sway(rest, n_frames, fps, np.random.default_rng(seed))
    cut = HeadPose(rotation=moved.rotation[:n_frames], translation=moved.translation[:n_frames])
    return method.render_alpha(subject, expression.refined, cut, camera)


def gentle_sway(rest: HeadPose, n_frames: int, fps: float, rng: np.random.Generator) -> HeadPose:
    """Smoothed Ornstein–Uhlenbeck yaw, pitch and roll about the first pose of `rest`."""
    pairs = zip(SWAY_DEGREES, SWAY_SECONDS, strict=True)
    yaw, pitch, roll = (_wander(n_frames, fps * tau, np.radians(degrees), rng) for degrees, tau in pairs)
    turned = _about(1, yaw) @ _about(0, pitch) @ _about(2, roll)
    return HeadPose(
        rotation=(rest.rotation[0] @ turned).astype(np.float32),
        translation=np.repeat(rest.translation[:1], n_frames, axis=0),
    )


def _wander(count: int, frames: float, deviation: float, rng: np.random.Generator) -> Floats:
    """(count,) Ornstein–Uhlenbeck path with a time constant of `frames`."""
    keep = np.exp(-1 / frames)
    kicks = rng.normal(size=count + len(SMOOTHING) - 1) * deviation * np.sqrt(1 - keep**2)
    path = np.empty_like(kicks)
    state = rng.normal() * deviation
    for index, kick in enumerate(kicks):
        state = keep * state + kick
        path[index] = state
    return np.convolve(path, SMOOTHING, "valid").astype(np.float32)


def _about(axis: int, angle: Floats) -> Floats:
    """(T,) radians → (T, 3, 3) rotations about x, y or z."""
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    turn = np.tile(np.eye(3, dtype=np.float32), (len(angle), 1, 1))
    turn[:, first, first] = turn[:, second, second] = np.cos(angle)
    turn[:, first, second], turn[:, second, first] = -np.sin(angle), np.sin(angle)
    return turn
