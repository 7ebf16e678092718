"""The audio-expression network: encoders, alignment, and the heads for α̃ and τ. Knows no clips, files or units.

α̃ comes out standardised; the hyperplane step that turns it into α̂ lives in hyperplanes.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .adapters import StateEncoder, WordProjection
from .alignment import Alignment
from .config import EmoHeadConfig
from .encoders import AudioEncoder, EmotionEncoder, TextEncoder
from .features import PROSODY, STEP_HZ
from .hearing import StateSizes
from .text import ALPHABET_SIZE, PADDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Clips padded to one length, as tensors. Numbers 0 of tags and subjects are 'not told' and 'unknown'."""

    features: Tensor  # (B, N, F) standardised, zero past `steps`
    steps: Tensor  # (B,) long: valid feature steps
    positions: Tensor  # (B, T) frame centres on the axis of feature steps
    seconds: Tensor  # (B, T) frame times
    mask: Tensor  # (B, T) bool: real frames
    characters: Tensor  # (B, L) long, or (B, L, W) states of a pretrained text network, zero in padding
    text_positions: Tensor  # (B, T)
    has_text: Tensor  # (B,) bool
    tag: Tensor  # (B,) long
    level: Tensor  # (B,) float, 1..3
    subject: Tensor  # (B,) long
    states: Tensor | None = None  # (B, M, S) of pretrained speech networks at 50 Hz: audio, then emotion
    state_steps: Tensor | None = None  # (B,) long: valid ones


BUILTIN = StateSizes()


def _audio_encoder(config: EmoHeadConfig, states: int) -> nn.Module:
    settings, width = config.audio, config.alignment.width
    if states:
        return StateEncoder(states, settings.channels, settings.blocks, width)
    return AudioEncoder(
        settings.n_mels + len(PROSODY), settings.channels, settings.blocks, width, _lookahead(config)
    )


def _prosody_encoder(config: EmoHeadConfig, states: int) -> nn.Module:
    width, channels = config.alignment.width, max(8, config.audio.channels // 4)
    if states:
        return StateEncoder(states, channels, 1, width)
    return AudioEncoder(len(PROSODY), channels, 1, width, _lookahead(config))


def _lookahead(config: EmoHeadConfig) -> float | None:
    """Feature steps that a frame hears beyond itself; None where nothing has to be causal."""
    return config.streaming.lookahead_seconds * STEP_HZ if config.streaming.enabled else None


def _text_embedding(config: EmoHeadConfig, states: int) -> nn.Module:
    channels = config.text.channels
    return WordProjection(states, channels) if states else nn.Embedding(ALPHABET_SIZE + 1, channels, PADDING)


class ExpressionNetwork(nn.Module):
    """Batch → α̃ (B, T, K) standardised and the states h (B, T, 3·width) that FFN₂ reads."""

    def __init__(
        self, config: EmoHeadConfig, tags: int, subjects: int, coefficients: int, sizes: StateSizes = BUILTIN
    ) -> None:
        super().__init__()
        width = config.alignment.width
        self.uses_text, self.sizes = config.text.enabled, sizes
        self.audio = _audio_encoder(config, sizes.audio)
        self.emotion = EmotionEncoder(tags, _prosody_encoder(config, sizes.emotion), width)
        self.text = TextEncoder(_text_embedding(config, sizes.text), config.text.channels, width)
        self.alignment = Alignment(config.alignment, config.streaming.enabled)
        self.subjects = nn.Embedding(subjects, 3 * width)
        nn.init.normal_(self.subjects.weight, std=0.1)
        self.norm = nn.LayerNorm(3 * width)
        dropout = config.alignment.dropout
        self.expression = nn.Sequential(
            nn.Linear(3 * width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, coefficients)
        )
        last = nn.Linear(width, 1)
        nn.init.zeros_(last.weight)
        self.tau = nn.Sequential(nn.Linear(3 * width, width), nn.GELU(), last)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """α̃ and h; both mean nothing where the mask is False."""
        heard, felt = self._heard(batch)
        audio = self.audio(*heard, batch.positions)
        emotion = self.emotion(batch.tag, batch.level, *felt, batch.positions)
        has_text = batch.has_text if self.uses_text else torch.zeros_like(batch.has_text)
        characters = batch.characters
        if self.sizes.text and not characters.is_floating_point():  # no clip of the batch has words
            characters = self.text.null.new_zeros(*characters.shape, self.sizes.text)
        text = self.text(characters, batch.text_positions, has_text)
        states = torch.cat(self.alignment(text, emotion, audio, batch.seconds, batch.mask), dim=-1)
        states = self.norm(states + self._identity(batch.subject).unsqueeze(1))
        return self.expression(states), states

    def start_tau(self, bias: float) -> None:
        """Make an untrained FFN₂ say softplus(bias) everywhere."""
        nn.init.constant_(self.tau.get_parameter("2.bias"), bias)

    def predict_tau(self, states: Tensor) -> Tensor:
        """FFN₂: (B, T, 3·width) → (B, T) τ ≥ 0."""
        return functional.softplus(self.tau(states).squeeze(-1))

    def _heard(self, batch: Batch) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """What the audio and the emotion encoder hear: own features, or pretrained states, with their valid steps."""
        heard, felt = (batch.features, batch.steps), (batch.features[..., -len(PROSODY) :], batch.steps)
        if batch.states is not None and batch.state_steps is not None:
            states, steps = batch.states, batch.state_steps
            heard = (states[..., : self.sizes.audio], steps) if self.sizes.audio else heard
            felt = (states[..., self.sizes.audio :], steps) if self.sizes.emotion else felt
        return heard, felt

    def _identity(self, subject: Tensor) -> Tensor:
        known = self.subjects((subject - 1).clamp(min=0))
        return torch.where((subject > 0).unsqueeze(-1), known, self.subjects.weight.mean(0))
