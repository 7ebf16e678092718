"""The trained audio-expression module with its hyperplanes: sound and tag in, α̃, τ and α̂ out. Renders nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from emobench.errors import UsageError, suggest
from emobench.types import Floats

from .config import EmoHeadConfig
from .examples import Example, Scaling, collate, make_example
from .features import STEP_HZ, speech_features
from .hyperplanes import Hyperplanes
from .network import ExpressionNetwork
from .training import torch_threads

CHUNK_FRAMES = 750  # attention costs T²; longer speech is predicted in overlapping chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be expressed. `level` may be fractional; `push` multiplies τ."""

    audio: Floats  # (N,) mono at SAMPLE_RATE_HZ
    transcript: str | None
    emotion: str
    level: float  # MEAD level, 1..3
    subject: str | None  # None or unknown: the mean of all trained subjects
    fps: float
    n_frames: int
    push: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """What the module says, in the tracker's units."""

    spoken: Floats  # (T, K) α̃
    refined: Floats  # (T, K) α̂
    tau: Floats  # (T,) before the hyperplane's scale; 0 where there is no refinement


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What training saw, in the order of the network's embeddings."""

    emotions: tuple[str, ...]
    levels: Mapping[str, tuple[int, ...]]  # by emotion
    subjects: tuple[str, ...]
    alpha_names: tuple[str, ...]
    is_mouth: tuple[bool, ...]

    def tag(self, emotion: str) -> int:
        """1..E. Raises UsageError with the known tags."""
        if emotion not in self.emotions:
            known = ", ".join(self.emotions)
            hint = suggest("emotion", emotion, self.emotions).partition(" See:")[0]
            raise UsageError(f"{hint} This model was trained on: {known}.")
        return 1 + self.emotions.index(emotion)

    def level(self, emotion: str, wanted: float) -> float:
        """The trained level that comes nearest; between trained neighbours, `wanted` itself."""
        trained: tuple[int, ...] = self.levels[emotion]
        inside = float(np.clip(wanted, min(trained), max(trained)))
        if {int(np.floor(inside)), int(np.ceil(inside))} <= set(trained):
            return inside
        return float(min(trained, key=lambda level: abs(level - inside)))

    def subject(self, name: str | None) -> int:
        """1..S, 0 for one that training did not see."""
        return 1 + self.subjects.index(name) if name in self.subjects else 0


class ExpressionModel:
    """Network, scaling, vocabulary and hyperplanes: everything between sound and α̂."""

    def __init__(
        self, config: EmoHeadConfig, vocabulary: Vocabulary, scaling: Scaling, network: ExpressionNetwork,
        hyperplanes: Hyperplanes | None, threads: int,
    ) -> None:
        self.config, self.vocabulary, self.scaling = config, vocabulary, scaling
        self.network, self.hyperplanes, self.threads = network.eval(), hyperplanes, threads
        self.tau_quantiles: Mapping[str, tuple[float, ...]] = {}  # what training measured, see fitting.measure_tau

    def predict(self, request: Request) -> Expression:
        """Raises UsageError on an unknown tag, InputError on sound that cannot be used."""
        vocabulary, config = self.vocabulary, self.config
        subject = vocabulary.subject(request.subject)
        example = make_example(
            speech_features(request.audio, config.audio), self.scaling, request.n_frames, request.fps,
            request.transcript if config.text.enabled else None, vocabulary.tag(request.emotion),
            vocabulary.level(request.emotion, request.level), subject,
        )
        spoken, tau = self._run(example)
        tau = self._tau(tau) * np.float32(request.push)
        refined = spoken if self.hyperplanes is None else self.hyperplanes.push(spoken, request.emotion, tau)
        mean, scale = self.scaling.alpha_of(subject)
        return Expression(spoken=spoken * scale + mean, refined=refined * scale + mean, tau=tau)

    def _tau(self, predicted: Floats) -> Floats:
        settings = self.config.refinement
        if self.hyperplanes is None or not settings.enabled:
            return np.zeros_like(predicted)
        if settings.constant_tau is not None:
            return np.full_like(predicted, settings.constant_tau)
        return predicted

    def _run(self, example: Example) -> tuple[Floats, Floats]:
        """Standardised α̃ (T, K) and τ (T,), chunk by chunk."""
        margin = self._context_seconds()
        alphas, taus = [], []
        with torch_threads(self.threads), torch.inference_mode():
            for first in range(0, len(example), CHUNK_FRAMES):
                stop = min(first + CHUNK_FRAMES, len(example))
                part, before = _cut(example, first, stop, margin)
                alpha, states = self.network(collate([part]))
                chosen = slice(before, before + stop - first)
                alphas.append(alpha[0, chosen].numpy())
                taus.append(self.network.predict_tau(states)[0, chosen].numpy())
        return np.concatenate(alphas), np.concatenate(taus)

    def _context_seconds(self) -> float:
        """How far a frame of output can look: the convolutions' reach at both ends of the attention window."""
        convolutions = 0.04 + 0.04 * (2.0 ** max(self.config.audio.blocks, 1))
        return self.config.alignment.window_seconds + convolutions


def _cut(example: Example, first: int, stop: int, margin_seconds: float) -> tuple[Example, int]:
    """Frames first..stop with what they can see around them, and how many frames stand before the first."""
    seconds = example.seconds
    low = int(np.searchsorted(seconds, seconds[first] - margin_seconds))
    high = int(np.searchsorted(seconds, seconds[stop - 1] + margin_seconds, side="right"))
    reach = margin_seconds * STEP_HZ
    start = max(int(example.positions[low] - reach), 0) // 2 * 2  # the strided convolution counts even steps
    end = max(int(example.positions[high - 1] + reach) + 2, start + 2)
    part = replace(
        example,
        features=example.features[start:end],
        positions=example.positions[low:high] - start,
        seconds=seconds[low:high],
        text_positions=example.text_positions[low:high],
    )
    return part, first - low


def make_network(config: EmoHeadConfig, vocabulary: Vocabulary) -> ExpressionNetwork:
    """An untrained network that fits the vocabulary."""
    sizes = len(vocabulary.emotions), len(vocabulary.subjects), len(vocabulary.alpha_names)
    return ExpressionNetwork(config, *sizes)
