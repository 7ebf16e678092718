"""Other voices, rooms and tempi from one recording: augmentation of training examples. Knows no network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from emobench.types import Floats

from .config import TextConfig, TrainingConfig
from .examples import Example, Scaling
from .features import PROSODY

POSITION_SHIFT_SECONDS = 8.0  # the longest wavelength of the sinusoidal positions: every phase is seen


def augmented(
    example: Example, training: TrainingConfig, text: TextConfig, scaling: Scaling, rng: np.random.Generator
) -> Example:
    """The same clip as it might also have been recorded: tempo, loudness, vocal tract, noise, missing tag or text."""
    varied = _change_tempo(example, 1 + training.tempo * rng.uniform(-1, 1))
    features = _shift_bands(varied.features, training.band_shift * rng.uniform(-1, 1), scaling)
    features = features + _gain(training.gain_db * rng.uniform(-1, 1), scaling)
    noise = rng.standard_normal(features.shape, dtype=np.float32) * np.float32(training.noise * rng.uniform())
    drops_text = rng.uniform() < text.dropout
    return replace(
        varied,
        features=features + noise,
        seconds=varied.seconds + rng.uniform(0, POSITION_SHIFT_SECONDS),
        tag=0 if rng.uniform() < training.tag_dropout else varied.tag,
        has_text=varied.has_text and not drops_text,
    )


def _change_tempo(example: Example, factor: float) -> Example:
    """Sound and face `factor` times as long; frames stay a frame apart."""
    steps, frames = len(example.features), len(example)
    new_steps, new_frames = max(round(steps * factor), 2), max(round(frames * factor), 2)
    if example.alpha is None or example.valid is None or frames < 2:
        return example
    spacing = example.positions[1] - example.positions[0]
    sources = (np.arange(new_frames) + 0.5) * frames / new_frames - 0.5
    return replace(
        example,
        features=_read(example.features, _stretched(steps, new_steps)),
        states=_stretch_states(example.states, factor),
        positions=example.positions[0] + spacing * np.arange(new_frames),
        seconds=example.seconds[0] + (example.seconds[1] - example.seconds[0]) * np.arange(new_frames),
        text_positions=np.interp(sources, np.arange(frames), example.text_positions),
        alpha=_read(example.alpha, sources),
        valid=np.interp(sources, np.arange(frames), example.valid) > 1 - 1e-9,  # both neighbours were tracked
    )


def _stretch_states(states: NDArray[np.float16] | None, factor: float) -> NDArray[np.float16] | None:
    if states is None:
        return None
    places = _stretched(len(states), max(round(len(states) * factor), 1))
    return _read(states.astype(np.float32), places).astype(np.float16)


def _stretched(count: int, new_count: int) -> NDArray[np.float64]:
    """(new_count,) positions that spread `count` steps over `new_count`."""
    return (np.arange(new_count) + 0.5) * count / new_count - 0.5


def _read(rows: Floats, positions: NDArray[np.float64]) -> Floats:
    """(N, C) rows at fractional positions (M,) along N, clamped at the ends → (M, C)."""
    inside = np.clip(positions, 0, len(rows) - 1)
    low = inside.astype(int)
    high = np.minimum(low + 1, len(rows) - 1)
    share = (inside - low)[:, None].astype(np.float32)
    between: Floats = rows[low] + share * (rows[high] - rows[low])
    return between


def _shift_bands(features: Floats, bands: float, scaling: Scaling) -> Floats:
    """Mel bands moved up by `bands`: a shorter vocal tract. Done on the raw spectrum, prosody stays."""
    count = features.shape[1] - len(PROSODY)
    mean, scale = scaling.feature_mean[:count], scaling.feature_scale[:count]
    raw = features[:, :count] * scale + mean
    moved = _read(np.ascontiguousarray(raw.T), np.arange(count) - bands).T
    return np.concatenate([(moved - mean) / scale, features[:, count:]], axis=1)


def _gain(decibel: float, scaling: Scaling) -> Floats:
    """(F,) what a change of loudness adds to standardised features."""
    raw = np.zeros_like(scaling.feature_scale)
    raw[: -len(PROSODY)] = decibel * np.log(10) / 10
    raw[-len(PROSODY)] = decibel
    return (raw / scaling.feature_scale).astype(np.float32)
