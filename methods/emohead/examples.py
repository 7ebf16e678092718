"""From sound, transcript and tag to padded batches, and the scaling of features and α. Knows no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emobench.errors import InputError
from emobench.types import Floats

from .features import frame_positions, speech_span
from .network import Batch
from .text import PADDING, Words, encode_text, text_positions, word_positions

NO_TEXT = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Mean and scale of the sound's features (whole train split) and of α (per subject)."""

    feature_mean: Floats  # (F,)
    feature_scale: Floats  # (F,)
    alpha_mean: Floats  # (S, K)
    alpha_scale: Floats  # (S, K)

    def alpha_of(self, subject: int) -> tuple[Floats, Floats]:
        """Mean and scale (K,) of subject number 1..S; of all subjects for 0, the unknown one."""
        if subject > 0:
            return self.alpha_mean[subject - 1], self.alpha_scale[subject - 1]
        return self.alpha_mean.mean(axis=0), self.alpha_scale.mean(axis=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One clip on two axes: N feature steps and T video frames."""

    features: Floats  # (N, F), standardised
    positions: NDArray[np.float64]  # (T,) frame centres on the axis of feature steps
    seconds: NDArray[np.float64]  # (T,)
    characters: NDArray[np.int64] | Floats  # (L,) numbers, or (L, W) states of a pretrained text network
    text_positions: NDArray[np.float64]  # (T,)
    has_text: bool
    tag: int  # 0: not told
    level: float
    subject: int  # 0: unknown
    alpha: Floats | None = None  # (T, K), standardised: the target in training
    valid: NDArray[np.bool_] | None = None  # (T,) False where tracking failed
    states: NDArray[np.float16] | None = None  # (M, S) of pretrained speech networks at 50 Hz

    def __len__(self) -> int:
        return len(self.positions)


def make_example(
    features: Floats, scaling: Scaling, n_frames: int, fps: float, transcript: str | None, tag: int, level: float,
    subject: int, words: Words | None = None, states: NDArray[np.float16] | None = None,
) -> Example:
    """The example of raw features (N, F) of one utterance seen by `n_frames` video frames.

    `words` are the transcript's, where a pretrained text network has read it.
    """
    positions = frame_positions(n_frames, fps)
    characters: NDArray[np.int64] | Floats = NO_TEXT if transcript is None else encode_text(transcript)
    span = speech_span(features)
    if words is not None:
        characters, places = words.states, word_positions(words, positions, span)
    else:
        places = text_positions(len(characters), positions, span)
    return Example(
        features=((features - scaling.feature_mean) / scaling.feature_scale).astype(np.float32),
        positions=positions,
        seconds=(np.arange(n_frames, dtype=np.float64) + 0.5) * (1 / fps),
        characters=characters,
        text_positions=places,
        has_text=transcript is not None,
        tag=tag,
        level=level,
        subject=subject,
        states=states,
    )


def with_target(
    example: Example, alpha: Floats, valid: NDArray[np.bool_], scaling: Scaling
) -> Example:
    """The example with its α (T, K) in the tracker's units as standardised target."""
    mean, scale = scaling.alpha_of(example.subject)
    return replace(example, alpha=((alpha - mean) / scale).astype(np.float32), valid=valid)


def measure_scaling(
    features: Sequence[Floats], alphas: Sequence[Floats], subjects: Sequence[int], floor: float
) -> Scaling:
    """Scaling of a train split from the features and the tracked frames' α of every clip.

    `subjects` are numbers 1..S, one a clip; `floor` is a share of the median deviation over coefficients. Raises
    InputError where a subject has no tracked frame.
    """
    heard = np.concatenate(features)
    means, scales = [], []
    for subject in range(1, max(subjects) + 1):
        own = np.concatenate([a for a, s in zip(alphas, subjects, strict=True) if s == subject])
        if not len(own):
            raise InputError("No frame of one of the train subjects was tracked. Check the dataset's videos.")
        deviation = own.std(axis=0)
        moving = deviation[deviation > 1e-6]
        least = floor * float(np.median(moving)) if len(moving) else 1.0
        means.append(own.mean(axis=0))
        scales.append(np.maximum(deviation, least))
    return Scaling(
        feature_mean=heard.mean(axis=0).astype(np.float32),
        feature_scale=np.maximum(heard.std(axis=0), 1e-3).astype(np.float32),
        alpha_mean=np.stack(means).astype(np.float32),
        alpha_scale=np.stack(scales).astype(np.float32),
    )


def collate(examples: Sequence[Example]) -> Batch:
    """Examples padded to the longest, on every axis."""
    return Batch(
        features=_pad([torch.from_numpy(e.features) for e in examples]),
        steps=torch.tensor([len(e.features) for e in examples]),
        positions=_pad([torch.from_numpy(e.positions).float() for e in examples]),
        seconds=_pad([torch.from_numpy(e.seconds).float() for e in examples]),
        mask=_pad([torch.ones(len(e), dtype=torch.bool) for e in examples]),
        characters=_pad_text([torch.from_numpy(e.characters) for e in examples]),
        text_positions=_pad([torch.from_numpy(e.text_positions).float() for e in examples]),
        has_text=torch.tensor([e.has_text for e in examples]),
        tag=torch.tensor([e.tag for e in examples]),
        level=torch.tensor([e.level for e in examples], dtype=torch.float32),
        subject=torch.tensor([e.subject for e in examples]),
        states=_pad_states(examples),
        state_steps=torch.tensor([0 if e.states is None else len(e.states) for e in examples]),
    )


def collate_targets(examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Standardised α (B, T, K) and the mask (B, T) bool of frames that supervise."""
    targets = [torch.from_numpy(e.alpha) for e in examples if e.alpha is not None]
    valid = [torch.from_numpy(e.valid) for e in examples if e.valid is not None]
    return _pad(targets), _pad(valid)


def _pad_states(examples: Sequence[Example]) -> Tensor | None:
    found = [torch.from_numpy(e.states).float() for e in examples if e.states is not None]
    return _pad(found) if found else None


def _pad_text(rows: list[Tensor]) -> Tensor:
    """Character numbers with PADDING, or token states with zeros; clips without text take the others' width."""
    states = next((row for row in rows if row.ndim == 2), None)
    if states is None:
        return _pad(rows, PADDING)
    return _pad([row if row.ndim == 2 else states.new_zeros(1, states.shape[1]) for row in rows])


def _pad(rows: list[Tensor], value: float = 0) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
