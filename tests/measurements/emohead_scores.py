"""Errors of α by row and clip for the measurements of EmoHead: what a module says, and what references say.

On the mismatch split α̃ is told either the tag or the emotion of the voice. Told the voice's, it is the spoken face,
which each kind of step is to carry to the tag.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from emohead_material import Take, emotion_means, errors
from numpy.typing import NDArray

from emobench.methods.emohead.config import Step
from emobench.methods.emohead.model import ExpressionModel
from emobench.methods.nearest_audio import AudioBank, Heard, NearestAudioConfig, make_bank
from emobench.types import Floats

TAUS = (*np.linspace(0, 1, 11).round(1).tolist(), 1.5)
STEPS: tuple[Step, ...] = ("normal", "landing", "joint")

Errors = NDArray[np.float64]  # (clips, 2): alpha.mouth, alpha.upper


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One clip pushed from the spoken face to the tag, by the values of TAUS."""

    errors: Errors  # (len(TAUS), 2) against the truth
    whole: NDArray[np.float64]  # (len(TAUS),) mean |Δα| over all coefficients


class Answers:
    """What a module says about clips; α̃ is predicted once for each clip and told emotion."""

    def __init__(self, model: ExpressionModel) -> None:
        if model.hyperplanes is None:
            raise ValueError("the module has no hyperplanes")
        self.model, self.planes = model, model.hyperplanes
        self._said: dict[tuple[str, bool], tuple[Floats, Floats, Floats]] = {}

    def say(self, take: Take, as_voice: bool) -> tuple[Floats, Floats, Floats]:
        """α̃, α̂ (T, K) and τ (T,); α̃ told the tag, or the emotion of the voice."""
        key = (take.id, as_voice)
        if key not in self._said:
            told = (take.voice, float(take.voice_level)) if as_voice else None
            said = self.model.predict(take.request(told=told))
            self._said[key] = (said.spoken, said.refined, said.tau)
        return self._said[key]

    def push(self, take: Take, as_voice: bool, tau: float, step: Step) -> Floats:
        """α̃ pushed to the tag by a constant τ."""
        mean, scale = self.model.scaling.alpha_of(self.model.vocabulary.subject(take.recording.subject))
        standard = ((self.say(take, as_voice)[0] - mean) / scale).astype(np.float32)
        taus = np.full(len(standard), tau, np.float32)
        level = self.model.vocabulary.level(take.emotion, float(take.recording.level))
        moved: Floats = self.planes.push(standard, take.emotion, taus, level, step) * scale + mean
        return moved

    def sweep(self, take: Take, step: Step) -> Sweep:
        """From the spoken face to the tag."""
        faces = [self.push(take, True, tau, step) for tau in TAUS]
        whole = [float(np.abs(face.astype(np.float64) - take.alpha).mean()) for face in faces]
        return Sweep(errors=np.array([errors(face, take) for face in faces]), whole=np.array(whole))


def matched_rows(answers: Answers, takes: Sequence[Take]) -> dict[str, Errors]:
    """α̃, α̂ and constant τ on clips whose voice and tag agree."""
    step = answers.model.config.refinement.step
    return {
        "no-refinement": np.array([errors(answers.say(take, False)[0], take) for take in takes]),
        "refined": np.array([errors(answers.say(take, False)[1], take) for take in takes]),
        "constant-tau": np.array([errors(answers.push(take, False, 1.0, step), take) for take in takes]),
    }


def mismatch_rows(answers: Answers, takes: Sequence[Take]) -> dict[str, Errors]:
    """`told tag` and `told voice`: α̃ alone, with τ = 1 by each kind of step, with FFN₂'s τ."""
    rows: dict[str, Errors] = {}
    for name, as_voice in (("told tag", False), ("told voice", True)):
        rows[f"{name}: α̃"] = np.array([errors(answers.say(take, as_voice)[0], take) for take in takes])
        rows[f"{name}: FFN₂'s τ"] = np.array([errors(answers.say(take, as_voice)[1], take) for take in takes])
        for step in STEPS:
            pushed = [errors(answers.push(take, as_voice, 1.0, step), take) for take in takes]
            rows[f"{name}: τ = 1, {step}"] = np.array(pushed)
    return rows


# ------------------------------------------------------------------ references


def mean_rows(train: Sequence[Take], takes: Sequence[Take]) -> dict[str, Errors]:
    """mean_expression and emotion_mean."""
    means = emotion_means(train)
    rows: dict[str, list[tuple[float, float]]] = {"mean_expression": [], "emotion_mean": []}
    for take in takes:
        own = take.recording
        for name, key in (("mean_expression", ("", 0)), ("emotion_mean", (own.emotion, own.level))):
            rows[name].append(errors(np.repeat(means[own.subject, *key][None], len(take.alpha), axis=0), take))
    return {name: np.array(values) for name, values in rows.items()}


def nearest_rows(train: Sequence[Take], takes: Sequence[Take], *, untold: bool) -> dict[str, Errors]:
    """nearest_audio told the tag, as it is registered, and by sound alone where asked for."""
    banks = {subject: _bank(train, subject) for subject in sorted({take.recording.subject for take in takes})}
    kinds = {"nearest_audio": NearestAudioConfig()}
    if untold:
        kinds["nearest_audio, untold"] = NearestAudioConfig(told_tag=False)
    return {name: np.array([_look_up(banks, take, config) for take in takes]) for name, config in kinds.items()}


def _bank(train: Sequence[Take], subject: str) -> AudioBank:
    own = [take.recording for take in train if take.recording.subject == subject]
    return make_bank([
        Heard(audio=r.audio, fps=r.fps, alpha=r.track.alpha, valid=r.track.valid, emotion=r.emotion, level=r.level)
        for r in own
    ])  # fmt: skip


def _look_up(banks: Mapping[str, AudioBank], take: Take, config: NearestAudioConfig) -> tuple[float, float]:
    own = take.recording
    found = banks[own.subject].ask(own.audio, own.fps, len(take.alpha), own.emotion, own.level, config)
    return errors(found, take)
