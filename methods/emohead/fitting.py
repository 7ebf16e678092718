"""Trains the audio-expression module from recordings: scaling, stage 1, hyperplanes, stage 2. Reads no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.types import Floats, Progress, Track

from .config import EmoHeadConfig
from .encoders import LEVELS
from .examples import Example, Scaling, make_example, measure_scaling, with_target
from .features import speech_features
from .hearing import Hearing
from .hyperplanes import Hyperplanes, LabelledFrames, fit_hyperplanes
from .model import ExpressionModel, Request, Vocabulary, make_network
from .network import ExpressionNetwork
from .pairing import Partners
from .refinement import train_refinement
from .training import torch_threads, train_expression

TAU_CLIPS = 48  # of the sample on which the distribution of τ is reported


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One train clip as the module needs it."""

    subject: str
    emotion: str
    level: int
    transcript: str | None
    audio: Floats  # (N,) mono at SAMPLE_RATE_HZ
    fps: float
    track: Track


class Stage1(Protocol):
    """Where a finished first stage is kept."""

    def resume_spoken(self, network: ExpressionNetwork, rng: np.random.Generator) -> bool: ...
    def keep_spoken(self, network: ExpressionNetwork, rng: np.random.Generator) -> None: ...


def fit_expression(
    recordings: Sequence[Recording], config: EmoHeadConfig, *, seed: int, threads: int, progress: Progress,
    stage1: Stage1 | None = None, cache_dir: Path | None = None,
) -> ExpressionModel:
    """Both stages of the audio-expression module; `stage1` is where an earlier training of the first one may lie,
    `cache_dir` where states of pretrained networks are kept (None: where the environment says).

    Raises InputError where the recordings do not fit together.
    """
    hearing = Hearing(config, cache_dir=cache_dir)
    sizes = hearing.sizes()  # missing networks are told before any work
    vocabulary = _learn_vocabulary(recordings)
    rng = np.random.default_rng(seed)
    numbers = [vocabulary.subject(r.subject) for r in recordings]
    heard = [speech_features(r.audio, config.audio) for r in progress.track(recordings, "emohead: features")]
    alphas = [r.track.alpha[r.track.valid] for r in recordings]
    scaling = measure_scaling(heard, alphas, numbers, config.training.scale_floor)
    with torch_threads(threads):  # of the pretrained encoders
        pairs = progress.track(zip(recordings, heard, strict=True), "emohead: examples", total=len(heard))
        examples = [_train_example(r, f, scaling, vocabulary, hearing) for r, f in pairs]
    is_mouth = torch.tensor(vocabulary.is_mouth)
    with torch_threads(threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # initial weights and dropout
        network = make_network(config, vocabulary, sizes)
        partners = Partners(examples, [_words(r) for r in recordings])
        if stage1 is None or not stage1.resume_spoken(network, rng):
            loss = train_expression(network, examples, partners, scaling, is_mouth, config, rng, progress)
            progress.note(f"emohead: expression loss {loss:.3f} (standardised L1)")
            if stage1 is not None:
                stage1.keep_spoken(network, rng)
        planes = _fit_planes(recordings, examples, config, vocabulary, rng, progress)
        if planes is not None and config.refinement.enabled and config.refinement.constant_tau is None:
            train_refinement(network, planes, examples, partners, scaling, is_mouth, config, rng, progress)
    model = ExpressionModel(config, vocabulary, scaling, network, planes, threads)
    model.hearing = hearing
    if planes is not None:
        model.tau_quantiles = measure_tau(model, recordings, rng)
        for kind, (low, middle, high) in model.tau_quantiles.items():
            progress.note(f"emohead: τ on {kind} tags {low:.2f} / {middle:.2f} / {high:.2f} (10, 50, 90 %)")
    return model


def _words(recording: Recording) -> tuple[str, str] | None:
    """Equal for clips of the same words by the same person; None where the words are not known."""
    return None if recording.transcript is None else (recording.subject, recording.transcript)


def measure_tau(
    model: ExpressionModel, recordings: Sequence[Recording], rng: np.random.Generator
) -> dict[str, tuple[float, float, float]]:
    """Quantiles of τ over a sample of train clips, pushed to their own tag and to another: what does it absorb?"""
    chosen = [recordings[i] for i in rng.permutation(len(recordings))[:TAU_CLIPS]]
    emotions = model.vocabulary.emotions
    taus: dict[str, list[Floats]] = {"matched": [], "replaced": []}
    for recording in chosen:
        shift = int(rng.integers(1, len(emotions)))
        other = emotions[(emotions.index(recording.emotion) + shift) % len(emotions)]
        for kind, emotion in (("matched", recording.emotion), ("replaced", other)):
            request = Request(
                audio=recording.audio, transcript=recording.transcript, emotion=emotion, level=float(recording.level),
                subject=recording.subject, fps=recording.fps, n_frames=len(recording.track.alpha),
                told=(recording.emotion, float(recording.level)),
            )
            taus[kind].append(model.predict(request).tau)
    quantiles = {kind: np.quantile(np.concatenate(values), (0.1, 0.5, 0.9)) for kind, values in taus.items()}
    return {kind: (float(q[0]), float(q[1]), float(q[2])) for kind, q in quantiles.items()}


def _learn_vocabulary(recordings: Sequence[Recording]) -> Vocabulary:
    if not recordings:
        raise InputError("EmoHead needs at least one train clip with sound and a track; there is none.")
    first = recordings[0].track
    for recording in recordings:
        if recording.track.alpha_names != first.alpha_names:
            raise InputError("The train clips' tracks disagree on the names of their expression parameters.")
        if not 1 <= recording.level <= LEVELS:
            raise InputError(f"A train clip has intensity {recording.level}; levels are 1 to {LEVELS}.")
    emotions = tuple(sorted({r.emotion for r in recordings}))
    return Vocabulary(
        emotions=emotions,
        levels={e: tuple(sorted({r.level for r in recordings if r.emotion == e})) for e in emotions},
        subjects=tuple(sorted({r.subject for r in recordings})),
        alpha_names=first.alpha_names,
        is_mouth=tuple(bool(x) for x in first.is_mouth),
    )


def _train_example(
    recording: Recording, features: Floats, scaling: Scaling, vocabulary: Vocabulary, hearing: Hearing
) -> Example:
    track = recording.track
    transcript = hearing.transcript(recording.transcript, recording.audio).text
    example = make_example(
        features, scaling, len(track.alpha), recording.fps, transcript, vocabulary.tag(recording.emotion),
        float(recording.level), vocabulary.subject(recording.subject), hearing.words(transcript),
        hearing.states(recording.audio),
    )
    return with_target(example, track.alpha, track.valid, scaling)


def _fit_planes(
    recordings: Sequence[Recording], examples: Sequence[Example], config: EmoHeadConfig, vocabulary: Vocabulary,
    rng: np.random.Generator, progress: Progress,
) -> Hyperplanes | None:
    if len(vocabulary.emotions) < 2:
        only = vocabulary.emotions[0]
        progress.note(f"emohead: all train clips are {only!r}: no hyperplanes, refinement is the identity")
        return None
    planes = fit_hyperplanes(_label_frames(recordings, examples), np.array(vocabulary.is_mouth), config.refinement, rng)
    if planes is not None:
        pairs = zip(planes.emotions, planes.accuracy, strict=True)
        progress.note("emohead: hyperplane accuracy " + ", ".join(f"{e} {a:.2f}" for e, a in pairs))
    return planes


def _label_frames(recordings: Sequence[Recording], examples: Sequence[Example]) -> LabelledFrames:
    """Valid frames of all clips."""
    kept: list[NDArray[np.float32]] = []
    counts = []
    for example in examples:
        if example.alpha is not None and example.valid is not None:
            kept.append(example.alpha[example.valid])
            counts.append(int(example.valid.sum()))
    return LabelledFrames(
        alpha=np.concatenate(kept),
        emotion=np.repeat(np.array([r.emotion for r in recordings]), counts),
        level=np.repeat(np.array([r.level for r in recordings]), counts),
        clip=np.repeat(np.arange(len(recordings)), counts),
    )
