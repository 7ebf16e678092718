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
from .hearing import Hearing, StateSizes, TranscriptSource
from .hyperplanes import Hyperplanes, RunningMean
from .network import BUILTIN, ExpressionNetwork
from .remarks import sound_remarks
from .training import torch_threads

CHUNK_FRAMES = 750  # attention costs T²; longer speech is predicted in overlapping chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be expressed. Levels may be fractional.

    `told` is the emotion and level that α̃ is predicted for, None: the requested one. `push` is the intensity: how far
    to go from the spoken face (told what is heard), or from rest, to the requested one; 1 arrives, more exaggerates.
    With `told`, or where the step is "normal", it multiplies τ; else it adds that part of the way from rest.
    """

    audio: Floats  # (N,) mono at SAMPLE_RATE_HZ
    transcript: str | None
    emotion: str
    level: float  # MEAD level, 1..3
    subject: str | None  # None or unknown: the mean of all trained subjects
    fps: float
    n_frames: int
    push: float = 1.0
    told: tuple[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """What the module says, in the tracker's units."""

    spoken: Floats  # (T, K) α̃
    refined: Floats  # (T, K) α̂
    tau: Floats  # (T,) in steps, as applied, see Hyperplanes.step; 0 where there is no refinement
    transcript_source: TranscriptSource = "none"  # of the words that were used
    remarks: tuple[str, ...] = ()  # what is odd about the sound


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
        self.hearing = Hearing(config)
        self.tau_quantiles: Mapping[str, tuple[float, ...]] = {}  # what training measured, see fitting.measure_tau

    def predict(self, request: Request) -> Expression:
        """Raises UsageError on an unknown tag, InputError on sound that cannot be used."""
        vocabulary, config = self.vocabulary, self.config
        subject = vocabulary.subject(request.subject)
        self._level(request.emotion, request.level)  # refuses an unknown tag before any work
        told, told_level = request.told or (request.emotion, request.level)
        tag = vocabulary.tag(told)
        features = speech_features(request.audio, config.audio)
        with torch_threads(self.threads):
            transcript = self.hearing.transcript(request.transcript, request.audio)
            words, states = self.hearing.words(transcript.text), self.hearing.states(request.audio)
        example = make_example(
            features, self.scaling, request.n_frames, request.fps, transcript.text, tag,
            self._level(told, told_level), subject, words, states,
        )
        expression = self.expressed(*self._run(example), request)
        return replace(expression, transcript_source=transcript.source, remarks=sound_remarks(features))

    def expressed(
        self, spoken: Floats, tau: Floats, request: Request, running: RunningMean | None = None
    ) -> Expression:
        """What standardised α̃ (T, K) and FFN₂'s τ (T,) become for a request.

        With `running`, a stream's, they are the next frames of a clip of which it has seen those before.
        """
        scales_step = self.config.refinement.step == "normal" or request.told is not None
        push = np.float32(request.push)
        tau = self._tau(tau) * push if scales_step else self._tau(tau)
        if running is None and self.config.streaming.enabled:
            running = RunningMean()
        refined = self._refine(spoken, tau, request, 0 if scales_step else push - 1, running)
        mean, scale = self.scaling.alpha_of(self.vocabulary.subject(request.subject))
        return Expression(spoken=spoken * scale + mean, refined=refined * scale + mean, tau=tau)

    def _refine(
        self, spoken: Floats, tau: Floats, request: Request, risen: float | np.float32, running: RunningMean | None
    ) -> Floats:
        """α̂, standardised: τ steps from α̃, and `risen` times the way from rest.

        The step to where α̃ already is, is nearly nothing: multiplying it would make no intensity.
        """
        planes, settings = self.hyperplanes, self.config.refinement
        if planes is None or not settings.enabled:
            return spoken
        level = self._level(request.emotion, request.level)
        refined = planes.push(spoken, request.emotion, tau, level, settings.step, running)
        return refined + risen * planes.rise(request.emotion, level) if risen else refined

    def _level(self, emotion: str, wanted: float) -> float:
        """The trained level that serves. Raises UsageError on an unknown tag."""
        self.vocabulary.tag(emotion)
        return self.vocabulary.level(emotion, wanted)

    def _tau(self, predicted: Floats) -> Floats:
        settings = self.config.refinement
        if self.hyperplanes is None or not settings.enabled:
            return np.zeros_like(predicted)
        if settings.constant_tau is not None:
            return np.full_like(predicted, settings.constant_tau)
        return predicted

    def _run(self, example: Example) -> tuple[Floats, Floats]:
        """Standardised α̃ (T, K) and τ (T,), chunk by chunk."""
        margin = self.context_seconds()
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

    def context_seconds(self) -> float:
        """How far a frame of output can look: the convolutions' reach at both ends of the attention window.

        Causal convolutions look twice as far, all of it back, less the lookahead.
        """
        config = self.config
        convolutions = 0.04 + 0.04 * (2.0 ** max(config.audio.blocks, 1))
        if config.streaming.enabled:
            convolutions = 2 * convolutions + config.streaming.lookahead_seconds
        return config.alignment.window_seconds + convolutions


def _cut(example: Example, first: int, stop: int, margin_seconds: float) -> tuple[Example, int]:
    """Frames first..stop with what they can see around them, and how many frames stand before the first."""
    seconds = example.seconds
    low = int(np.searchsorted(seconds, seconds[first] - margin_seconds))
    high = int(np.searchsorted(seconds, seconds[stop - 1] + margin_seconds, side="right"))
    reach = margin_seconds * STEP_HZ
    heard = min(float(example.positions[low]), len(example.features) - 1.0)  # the picture may outlast the sound
    start = max(int(heard - reach), 0) // 2 * 2  # the strided convolution counts even steps
    end = max(int(example.positions[high - 1] + reach) + 2, start + 2)
    states = None if example.states is None else example.states[start // 2 : (end + 1) // 2]
    part = replace(
        example,
        features=example.features[start:end],
        states=states,
        positions=example.positions[low:high] - start,
        seconds=seconds[low:high],
        text_positions=example.text_positions[low:high],
    )
    return part, first - low


def make_network(config: EmoHeadConfig, vocabulary: Vocabulary, sizes: StateSizes = BUILTIN) -> ExpressionNetwork:
    """An untrained network that fits the vocabulary and the widths of pretrained states."""
    counts = len(vocabulary.emotions), len(vocabulary.subjects), len(vocabulary.alpha_names)
    return ExpressionNetwork(config, *counts, sizes)
