"""What EmoHead hears of an utterance beyond its own features: states of pretrained networks, and a transcript.

With the builtin encoders there is nothing to add, and nothing is imported. Knows no network that is trained here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emobench import environment
from emobench.cache import ArrayCache
from emobench.errors import InputError
from emobench.hashing import hash_arrays
from emobench.hub_snapshots import Snapshot, Wanted, find_snapshot
from emobench.types import SAMPLE_RATE_HZ, Floats

from .config import EmoHeadConfig
from .pretrained.language import TEXT_TYPES, TextNetwork
from .pretrained.recognition import WHISPER_TYPES, Recogniser
from .pretrained.speech import SPEECH_TYPES, SpeechNetwork, States
from .text import Words

CACHED_SECONDS = 120.0  # states of longer sound are not kept on disk: 150 kB a second

TranscriptSource = Literal["given", "asr", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSizes:
    """Widths of the pretrained states; 0 where the builtin encoder listens."""

    audio: int = 0
    emotion: int = 0
    text: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Which network of others was used: what a checkpoint remembers."""

    model: str
    commit: str
    sha256: str  # over its files
    width: int  # of its states; 0 for speech recognition


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The words of an utterance and where they come from."""

    text: str | None
    source: TranscriptSource


class Hearing:
    """The pretrained side of the configured encoders; networks are looked for and loaded when first needed.

    `expected` are the networks a checkpoint was trained with: others of the same name are refused. States and
    recognised words are kept below `cache_dir`; None: where the environment says.
    """

    def __init__(
        self, config: EmoHeadConfig, expected: Mapping[str, ModelFacts] | None = None, cache_dir: Path | None = None
    ) -> None:
        self.config, self._expected = config, expected or {}
        self._cache = ArrayCache(cache_dir or environment.cache_dir())

    def facts(self) -> dict[str, ModelFacts]:
        """Every network in use, by role. Raises Unavailable where one is not on this machine."""
        networks = {"audio": self._audio, "emotion": self._emotion, "text": self._text}
        facts = {role: _facts(n.snapshot, n.width) for role, n in networks.items() if n is not None}
        if self._recogniser is not None:
            facts["speech recognition"] = _facts(self._recogniser.snapshot, 0)
        return facts

    def sizes(self) -> StateSizes:
        """Widths of the states, from the networks themselves."""
        return sizes_of(self.facts())

    def states(self, audio: Floats) -> States | None:
        """(M, audio + emotion) at 50 Hz; None where both encoders are builtin."""
        parts = [self._cached_states(n, audio) for n in (self._audio, self._emotion) if n is not None]
        return np.concatenate(parts, axis=1) if parts else None

    def words(self, text: str | None) -> Words | None:
        """Token states of a transcript; None without one, or where the text encoder is builtin."""
        network = self._text
        if network is None or text is None:
            return None
        stored = self._cache.get("text-states", f"{network.key()}|{text}", lambda: asdict(network.words(text)))
        return Words(states=stored["states"], centres=stored["centres"], length=int(stored["length"]))

    def transcript(self, given: str | None, audio: Floats) -> Transcript:
        """The given words, else recognised ones where speech recognition is on, else none: the no-text path."""
        if not self.config.text.enabled or self.config.streaming.enabled:
            return Transcript(text=None, source="none")
        if given is not None:
            return Transcript(text=given, source="given")
        recogniser = self._recogniser
        if recogniser is None:
            return Transcript(text=None, source="none")
        key = f"{recogniser.key()}|{hash_arrays([audio])}"
        stored = self._cache.get("transcripts", key, lambda: {"text": np.array(recogniser.transcript(audio), np.str_)})
        text = str(stored["text"])
        return Transcript(text=text, source="asr") if text else Transcript(text=None, source="none")

    def _cached_states(self, network: SpeechNetwork, audio: Floats) -> States:
        def make() -> dict[str, NDArray[np.float16]]:
            return {"states": network.states(audio)}

        if len(audio) > CACHED_SECONDS * SAMPLE_RATE_HZ:
            return make()["states"]
        key = f"{network.key()}|{hash_arrays([audio])}"
        found: States = self._cache.get("speech-states", key, make)["states"]
        return found

    @cached_property
    def _audio(self) -> SpeechNetwork | None:
        settings = self.config.audio
        if settings.source == "builtin":
            return None
        snapshot = self._find("audio", settings.model, settings.revision, SPEECH_TYPES)
        return SpeechNetwork(snapshot, settings.layer, self.config.pretrained)

    @cached_property
    def _emotion(self) -> SpeechNetwork | None:
        settings = self.config.emotion
        if settings.source == "builtin":
            return None
        snapshot = self._find("emotion", settings.model, settings.revision, SPEECH_TYPES)
        return SpeechNetwork(snapshot, settings.layer, self.config.pretrained)

    @cached_property
    def _text(self) -> TextNetwork | None:
        settings = self.config.text
        if settings.source == "builtin" or not settings.enabled:
            return None
        return TextNetwork(self._find("text", settings.model, settings.revision, TEXT_TYPES))

    @cached_property
    def _recogniser(self) -> Recogniser | None:
        settings = self.config.text
        if settings.asr == "none" or not settings.enabled:
            return None
        wanted = Wanted(
            role="speech recognition", prefix="text.asr_", without="text.asr=none", model=settings.asr_model,
            revision=settings.asr_revision, types=WHISPER_TYPES,
        )
        return Recogniser(self._check(find_snapshot(wanted)), settings.asr_language)

    def _find(self, role: str, model: str, revision: str, types: tuple[str, ...]) -> Snapshot:
        wanted = Wanted(
            role=role, prefix=f"{role}.", without=f"{role}.source=builtin", model=model, revision=revision, types=types
        )
        return self._check(find_snapshot(wanted))

    def _check(self, snapshot: Snapshot) -> Snapshot:
        role = snapshot.wanted.role
        trained = self._expected.get(role)
        if trained is not None and trained.sha256 != snapshot.sha256:
            raise InputError(
                f"This model was trained with the {role} network {trained.model} at commit {trained.commit[:12]} "
                f"(sha256 {trained.sha256[:12]}…); the files in the Hugging Face cache are others "
                f"({snapshot.commit[:12]}, {snapshot.sha256[:12]}…). "
                f"Fetch the same: hf download {trained.model} --revision {trained.commit}"
            )
        return snapshot


def sizes_of(facts: Mapping[str, ModelFacts]) -> StateSizes:
    """Widths by role, as the facts of a checkpoint tell them."""
    return StateSizes(**{role: facts[role].width for role in ("audio", "emotion", "text") if role in facts})


def _facts(snapshot: Snapshot, width: int) -> ModelFacts:
    return ModelFacts(model=snapshot.wanted.model, commit=snapshot.commit, sha256=snapshot.sha256, width=width)
