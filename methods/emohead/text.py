"""Transcript as characters, and where they lie on the frame axis. Knows no network and no phonetics."""

from __future__ import annotations

import string
import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emobench.types import Floats

ALPHABET = "\0 " + string.ascii_lowercase + "'.,?!-" + "\1"
SILENCE, UNKNOWN = 0, len(ALPHABET) - 1
ALPHABET_SIZE = PADDING = len(ALPHABET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A transcript as a pretrained text network sees it."""

    states: Floats  # (L, width); the first and last are silence
    centres: NDArray[np.float64]  # (L,) on the axis of the transcript's characters, rising
    length: int  # characters, with one of silence at both ends


def encode_text(transcript: str) -> NDArray[np.int64]:
    """(L,) character numbers: lower case, accents dropped, silence at both ends; anything else is UNKNOWN."""
    plain = unicodedata.normalize("NFKD", " ".join(transcript.lower().split()))
    letters = [c for c in plain if not unicodedata.combining(c)]
    codes = [max(ALPHABET.find(c), 0) or UNKNOWN for c in letters]
    return np.array([SILENCE, *codes, SILENCE], dtype=np.int64)


def text_positions(length: int, frames: NDArray[np.float64], span: tuple[float, float]) -> NDArray[np.float64]:
    """(T,) positions on the axis of `length` characters, spread uniformly over `span`; silence before and after.

    `frames` and `span` are on one axis (feature steps): frame centres, first and last step of speech.
    """
    first, last = span
    progress = np.clip((frames - first) / max(last - first, 1.0), 0.0, 1.0)
    inside = 1 + progress * max(length - 3, 0)
    return np.where(frames < first, 0.0, np.where(frames > last, length - 1.0, inside))


def word_positions(words: Words, frames: NDArray[np.float64], span: tuple[float, float]) -> NDArray[np.float64]:
    """(T,) positions on the axis of token states: each token where its characters lie."""
    characters = text_positions(words.length, frames, span)
    return np.interp(characters, words.centres, np.arange(len(words.centres), dtype=np.float64))
