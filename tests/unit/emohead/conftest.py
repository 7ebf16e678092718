"""A toy language for EmoHead's tests: tones whose loudness opens the jaw, pitch and tag that raise brow or cheek."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from emobench.methods.emohead.config import EmoHeadConfig
from emobench.methods.emohead.fitting import Recording, fit_expression
from emobench.methods.emohead.model import ExpressionModel, Request
from emobench.progress import SilentProgress
from emobench.types import SAMPLE_RATE_HZ, Camera, Context, Floats, HeadPose, Track

FPS = 25.0
NAMES = ("jaw", "lips", "brow", "cheek", "lid")
IS_MOUTH = np.array([True, True, False, False, False])
PITCH_HZ = {"angry": 140.0, "happy": 220.0, "neutral": 170.0}
CAMERA = Camera(focal_px=40.0, cx_px=4.0, cy_px=4.0, width=8, height=8)


def poses(count: int) -> HeadPose:
    rotation = np.tile(np.eye(3, dtype=np.float32), (count, 1, 1))
    return HeadPose(rotation=rotation, translation=np.tile(np.float32([0, 0, -1000]), (count, 1)))


def track_of(alpha: Floats) -> Track:
    count = len(alpha)
    return Track(
        alpha=alpha,
        alpha_names=NAMES,
        is_mouth=IS_MOUTH,
        pose=poses(count),
        camera=CAMERA,
        landmarks=np.zeros((count, 68, 2), np.float32),
        valid=np.ones(count, bool),
        head_box_mm=np.float32([[-90, -130, -120], [90, 120, 60]]),
        source="dataset",
    )


def speak(emotion: str, level: int, subject: str, rng: np.random.Generator, n_frames: int = 40) -> Recording:
    """Syllables as bursts of a harmonic tone; the jaw follows them, the face follows the tag."""
    seconds = np.arange(int(n_frames / FPS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    starts = np.cumsum(rng.uniform(0.18, 0.35, 12))
    loudness = sum(np.exp(-0.5 * ((seconds - start) / 0.05) ** 2) for start in starts)
    loudness = loudness * (seconds > 0.12) * (seconds < seconds[-1] - 0.12)
    phase = 2 * np.pi * PITCH_HZ[emotion] * seconds
    tone = sum(np.sin(k * phase) / k for k in (1, 2, 3, 4))
    audio = 0.2 * loudness * tone + 1e-3 * rng.normal(size=len(seconds))
    frames = np.interp((np.arange(n_frames) + 0.5) / FPS, seconds, loudness)
    strength = level / 3
    alpha = np.stack(
        [
            0.6 * frames + (0.1 if subject == "ann" else 0.0),
            0.3 * (1 - frames),
            0.9 * strength * (emotion == "angry") + 0 * frames,
            0.8 * strength * (emotion == "happy") + 0 * frames,
            0.1 + 0 * frames,
        ],
        axis=1,
    ) + 0.01 * rng.normal(size=(n_frames, len(NAMES)))
    return Recording(
        subject=subject,
        emotion=emotion,
        level=level,
        transcript="da " * len(starts),
        audio=audio.astype(np.float32),
        fps=FPS,
        track=track_of(alpha.astype(np.float32)),
    )


def corpus(seed: int, emotions: tuple[str, ...] = ("angry", "happy", "neutral"), each: int = 4) -> list[Recording]:
    rng = np.random.default_rng(seed)
    return [
        speak(emotion, level, subject, rng, int(rng.integers(30, 50)))
        for emotion in emotions
        for level in ((1,) if emotion == "neutral" else (1, 3))
        for subject in ("ann", "bob")
        for _ in range(each)
    ]


def small_config(**sections: dict[str, object]) -> EmoHeadConfig:
    """Narrow and quick; sections override."""
    base = {
        "audio": {"channels": 16, "blocks": 1},
        "text": {"channels": 8},
        "alignment": {"width": 32, "heads": 2},
        "training": {"steps": 250, "batch_clips": 4},
        "refinement": {"steps": 150, "max_frames": 800},
    }
    return EmoHeadConfig.model_validate({name: base.get(name, {}) | sections.get(name, {}) for name in base})


def fit(recordings: list[Recording], config: EmoHeadConfig, seed: int = 0) -> ExpressionModel:
    return fit_expression(recordings, config, seed=seed, threads=1, progress=SilentProgress())


def ask(recording: Recording, **changes: object) -> Request:
    request = Request(
        audio=recording.audio,
        transcript=recording.transcript,
        emotion=recording.emotion,
        level=float(recording.level),
        subject=recording.subject,
        fps=recording.fps,
        n_frames=len(recording.track.alpha),
    )
    return replace(request, **changes)  # type: ignore[arg-type]


@dataclass
class NoteTaker(SilentProgress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="session")
def trained() -> ExpressionModel:
    return fit(corpus(1), small_config())


@pytest.fixture
def model(trained: ExpressionModel) -> Iterator[ExpressionModel]:
    """The trained model; whatever a test does to its weights is undone."""
    weights = {name: tensor.clone() for name, tensor in trained.network.state_dict().items()}
    planes = trained.hyperplanes
    yield trained
    trained.network.load_state_dict(weights)
    trained.hyperplanes = planes


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(seed=0, device="cpu", threads=1, cache_dir=tmp_path / "cache", progress=NoteTaker())
