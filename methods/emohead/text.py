"""Transcript as characters, and where they lie on the frame axis. Knows no network and no phonetics."""

from __future__ import annotations

import string
import unicodedata

import numpy as np
from numpy.typing import NDArray

ALPHABET = "\0 " + string.ascii_lowercase + "'.,?!-" + "\1"
SILENCE, UNKNOWN = 0, len(ALPHABET) - 1
ALPHABET_SIZE = PADDING = len(ALPHABET)


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
