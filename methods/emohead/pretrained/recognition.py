"""Whisper writes down unknown speech, piece by piece. Knows nothing of what the words are for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from emobench.hub_snapshots import Snapshot, quiet
from emobench.types import SAMPLE_RATE_HZ, Floats

PIECE_SECONDS = 28.0  # Whisper hears 30 s at once
SEARCH_SECONDS = 6.0  # before the end of a piece, in which the quietest moment is looked for
QUIET_SECONDS = 0.2
SILENCE_PEAK = 0.003  # −50 dBFS: on less, Whisper invents words
WHISPER_TYPES = ("whisper",)


class Recogniser:
    """One frozen Whisper."""

    def __init__(self, snapshot: Snapshot, language: str) -> None:
        self.snapshot, self.language = snapshot, language
        snapshot.config()
        self._loaded: tuple[Any, Any] | None = None

    def key(self) -> str:
        """Everything that changes the transcript."""
        return f"1|{self.snapshot.sha256}|{self.language}"

    def transcript(self, audio: Floats) -> str:
        """What is said in (N,) mono at SAMPLE_RATE_HZ; "" where nothing is."""
        return " ".join(filter(None, (self._piece(part) for part in pieces(audio))))

    def _piece(self, audio: Floats) -> str:
        if np.abs(audio).max(initial=0.0) < SILENCE_PEAK:
            return ""
        processor, network = self._load()
        heard = processor(audio, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        options: dict[str, Any] = {"do_sample": False, "num_beams": 1}
        if getattr(network.generation_config, "is_multilingual", False):
            options |= {"language": self.language, "task": "transcribe"}
        with quiet(), torch.inference_mode():
            tokens = network.generate(heard.input_features, **options)
        return str(processor.batch_decode(tokens, skip_special_tokens=True)[0]).strip()

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            processor = self.snapshot.processor("AutoProcessor")
            self._loaded = processor, self.snapshot.network("WhisperForConditionalGeneration")
        return self._loaded


def pieces(audio: Floats) -> list[Floats]:
    """The sound in parts of at most PIECE_SECONDS, cut at the quietest moment near the end of each."""
    longest, search, quiet = (
        round(seconds * SAMPLE_RATE_HZ) for seconds in (PIECE_SECONDS, SEARCH_SECONDS, QUIET_SECONDS)
    )
    parts = []
    while len(audio) > longest:
        tail = audio[longest - search : longest]
        blocks = tail[: len(tail) // quiet * quiet].reshape(-1, quiet)
        quietest = int(np.argmin((blocks.astype(np.float64) ** 2).sum(axis=1)))
        cut = longest - search + quietest * quiet + quiet // 2
        parts.append(audio[:cut])
        audio = audio[cut:]
    return [*parts, audio]
