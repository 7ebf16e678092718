"""Token states of a CLIP or BERT text network, and which characters they stand for. Knows no sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from emobench.errors import InputError
from emobench.hub_snapshots import Snapshot
from emobench.types import Floats

from ..text import Words

TEXT_TYPES = ("bert", "distilbert", "roberta", "clip", "clip_text_model")


class TextNetwork:
    """One frozen text network."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        config = snapshot.config()
        self._is_clip = config.model_type.startswith("clip")
        own = getattr(config, "text_config", config) if self._is_clip else config
        self.width = int(getattr(own, "hidden_size", None) or own.dim)
        self._limit = int(own.max_position_embeddings) - 2 * (config.model_type == "roberta")  # it numbers from 2
        self._loaded: tuple[Any, Any] | None = None

    def key(self) -> str:
        """Everything that changes the states."""
        return f"1|{self.snapshot.sha256}"

    def words(self, transcript: str) -> Words:
        """States of all tokens. A transcript longer than the network reads at once is read in pieces of whole words.

        The first and last state are those of the special tokens of the first and last piece: silence.
        """
        text = " ".join(transcript.split())
        states: list[Floats] = []
        centres: list[float] = []
        first = last = None
        for start, piece in self._pieces(text):
            hidden, spans = self._piece(piece)
            first = hidden[0] if first is None else first
            last = hidden[-1]
            for row, (low, high) in zip(hidden[1:-1], spans[1:-1], strict=True):
                states.append(row)
                centres.append(1 + start + (low + max(high, low + 1) - 1) / 2)
        assert first is not None  # there is at least one piece, be it empty
        assert last is not None
        return Words(
            states=np.stack([first, *states, last]).astype(np.float32),
            centres=np.array([0.0, *centres, len(text) + 1.0]),
            length=len(text) + 2,
        )

    def _pieces(self, text: str) -> list[tuple[int, str]]:
        """Where each piece starts, and the piece: as many whole words as fit, by halving what does not."""
        tokenizer, _ = self._load()
        open_pieces, fitting = [(0, text)], []
        while open_pieces:
            start, piece = open_pieces.pop()
            if len(tokenizer(piece)["input_ids"]) <= self._limit:
                fitting.append((start, piece))
                continue
            spaces = [k for k, letter in enumerate(piece) if letter == " "]
            middle = min(spaces, key=lambda k: abs(k - len(piece) / 2)) if spaces else len(piece) // 2
            tail = middle + bool(spaces)
            open_pieces += [(start + tail, piece[tail:]), (start, piece[:middle])]
        return fitting

    def _piece(self, text: str) -> tuple[Floats, list[tuple[int, int]]]:
        tokenizer, network = self._load()
        found = tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
        spans = [(int(a), int(b)) for a, b in found.pop("offset_mapping")[0].tolist()]
        with torch.inference_mode():
            hidden = network(input_ids=found["input_ids"]).last_hidden_state[0]
        return np.asarray(hidden.numpy(), np.float32), spans

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            tokenizer = self.snapshot.processor("AutoTokenizer")
            if not tokenizer.is_fast or len(tokenizer("a")["input_ids"]) < 3:
                raise InputError(
                    f"{self.snapshot.wanted.model} has no tokenizer that tells where tokens lie and marks both ends "
                    "of a text (tokenizer.json)."
                )
            network = self.snapshot.network("CLIPTextModel" if self._is_clip else "AutoModel")
            self._loaded = tokenizer, network
        return self._loaded
