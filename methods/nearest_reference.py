"""The reference nearest_audio: α looked up by sound, through the same portrait as the method, with the true pose.

Owns how banks are filled from clips and lie on disk; the look-up itself is in nearest_audio.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as dump_tensors

from emobench.cache import write_text, writing
from emobench.errors import InputError, UsageError
from emobench.face.tracks import load_track
from emobench.hashing import canonical_json, hash_file
from emobench.media import read_audio
from emobench.types import Clip, Context, Driving, Rendered

from .nearest_audio import AudioBank, Heard, NearestAudioConfig, make_bank
from .references import PortraitConfig, PortraitReference

BANKS = "banks.json"


class NearestAudioReferenceConfig(PortraitConfig):
    """The portrait of the method it stands beside, and how the look-up listens."""

    nearest: NearestAudioConfig = Field(default_factory=NearestAudioConfig)


class BankCard(BaseModel):
    """What banks.json says of one subject's bank."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    emotions: tuple[str, ...]
    sha256: str


class NearestAudio(PortraitReference):
    """α of the train frames whose sound is nearest, with the true pose: what a look-up scores without any learning."""

    config: NearestAudioReferenceConfig

    def __init__(self, config: NearestAudioReferenceConfig, context: Context) -> None:
        super().__init__(config, context)
        self.banks: dict[str, AudioBank] = {}
        self._audio_seconds = 0.0

    def fit(self, clips: Sequence[Clip]) -> None:
        """The portraits, and a bank of every subject's train frames, filmed or not. Raises InputError."""
        super().fit(clips)
        self.banks = {
            subject: make_bank(_heard([clip for clip in clips if clip.subject == subject], self.context))
            for subject in self.card.subjects
        }

    def render(self, driving: Driving) -> Iterator[Rendered]:
        """The face of similar sounds, moved. Raises UsageError on a subject that was not trained."""
        bank = self.banks.get(driving.subject)
        if bank is None:
            raise UsageError(
                f"Subject {driving.subject!r} was not trained. Trained: {', '.join(self.banks) or 'none'}."
            )
        start = time.perf_counter()
        alpha = bank.ask(
            driving.audio, driving.fps, driving.n_frames, driving.emotion, driving.intensity, self.config.nearest
        )
        self._audio_seconds = time.perf_counter() - start
        return self._render_alpha(driving, alpha)

    def stage_seconds(self) -> Mapping[str, float]:
        """Seconds of the look-up and of the portrait in the last render."""
        portrait = super().stage_seconds()
        return {"audio": self._audio_seconds, **portrait} if portrait else {}

    def save(self, path: Path) -> None:
        """Card, portraits, and one bank-<subject>.safetensors each."""
        super().save(path)
        for subject, bank in self.banks.items():
            with writing(_bank_path(path, subject)) as temporary:
                temporary.write_bytes(dump_tensors({k: np.ascontiguousarray(v) for k, v in bank.arrays().items()}))
        cards = {
            subject: BankCard(emotions=bank.emotions, sha256=hash_file(_bank_path(path, subject))).model_dump()
            for subject, bank in self.banks.items()
        }
        write_text(path / BANKS, canonical_json(cards) + "\n")

    def load(self, path: Path) -> None:
        """Restore what save wrote. Raises InputError."""
        super().load(path)
        cards = _read_cards(path / BANKS)
        self.banks = {subject: _read_bank(_bank_path(path, subject), card) for subject, card in cards.items()}


def _bank_path(folder: Path, subject: str) -> Path:
    return folder / f"bank-{subject}.safetensors"


def _heard(clips: Sequence[Clip], context: Context) -> list[Heard]:
    return [_hear(clip) for clip in context.progress.track(clips, "nearest_audio: read clips")]


def _hear(clip: Clip) -> Heard:
    if clip.audio is None:
        raise InputError(f"Train clip {clip.id} has no sound; nearest_audio looks expressions up by sound.")
    track = load_track(clip.extras["track"])
    return Heard(
        audio=read_audio(clip.audio), fps=clip.fps, alpha=track.alpha, valid=track.valid, emotion=clip.emotion,
        level=clip.intensity,
    )  # fmt: skip


def _read_cards(path: Path) -> dict[str, BankCard]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(subject): BankCard.model_validate(card) for subject, card in content.items()}
    except (OSError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is no reference checkpoint: {reason}. Delete it and run again.") from error


def _read_bank(path: Path, card: BankCard) -> AudioBank:
    try:
        if hash_file(path) != card.sha256:
            raise InputError(f"{path} is corrupt: its content does not match {BANKS}. Delete it and run again.")
        arrays: dict[str, NDArray[Any]] = load_tensors(path.read_bytes())
        return AudioBank(emotions=card.emotions, **arrays)
    except (OSError, SafetensorError, TypeError) as error:
        raise InputError(f"Cannot read {path}: {error}. Delete it and run again.") from error
