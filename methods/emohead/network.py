"""The audio-expression network: encoders, alignment, and the heads for α̃ and τ. Knows no clips, files or units.

α̃ comes out standardised; the hyperplane step that turns it into α̂ lives in hyperplanes.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .alignment import Alignment
from .config import EmoHeadConfig
from .encoders import AudioEncoder, EmotionEncoder, TextEncoder
from .features import PROSODY

TAU_BIAS = -4.0  # τ starts at softplus(−4) ≈ 0.02: hardly any refinement


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Clips padded to one length, as tensors. Numbers 0 of tags and subjects are 'not told' and 'unknown'."""

    features: Tensor  # (B, N, F) standardised, zero past `steps`
    steps: Tensor  # (B,) long: valid feature steps
    positions: Tensor  # (B, T) frame centres on the axis of feature steps
    seconds: Tensor  # (B, T) frame times
    mask: Tensor  # (B, T) bool: real frames
    characters: Tensor  # (B, L) long
    text_positions: Tensor  # (B, T)
    has_text: Tensor  # (B,) bool
    tag: Tensor  # (B,) long
    level: Tensor  # (B,) float, 1..3
    subject: Tensor  # (B,) long


class ExpressionNetwork(nn.Module):
    """Batch → α̃ (B, T, K) standardised and the states h (B, T, 3·width) that FFN₂ reads."""

    def __init__(self, config: EmoHeadConfig, tags: int, subjects: int, coefficients: int) -> None:
        super().__init__()
        width, channels = config.alignment.width, config.audio.channels
        self.uses_text = config.text.enabled
        self.audio = AudioEncoder(config.audio.n_mels + len(PROSODY), channels, config.audio.blocks, width)
        self.emotion = EmotionEncoder(tags, max(8, channels // 4), width)
        self.text = TextEncoder(config.text.channels, width)
        self.alignment = Alignment(config.alignment)
        self.subjects = nn.Embedding(subjects, 3 * width)
        nn.init.normal_(self.subjects.weight, std=0.1)
        self.norm = nn.LayerNorm(3 * width)
        dropout = config.alignment.dropout
        self.expression = nn.Sequential(
            nn.Linear(3 * width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, coefficients)
        )
        last = nn.Linear(width, 1)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, TAU_BIAS)
        self.tau = nn.Sequential(nn.Linear(3 * width, width), nn.GELU(), last)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """α̃ and h; both mean nothing where the mask is False."""
        audio = self.audio(batch.features, batch.steps, batch.positions)
        emotion = self.emotion(batch.tag, batch.level, batch.features, batch.steps, batch.positions)
        has_text = batch.has_text if self.uses_text else torch.zeros_like(batch.has_text)
        text = self.text(batch.characters, batch.text_positions, has_text)
        states = torch.cat(self.alignment(text, emotion, audio, batch.seconds, batch.mask), dim=-1)
        states = self.norm(states + self._identity(batch.subject).unsqueeze(1))
        return self.expression(states), states

    def predict_tau(self, states: Tensor) -> Tensor:
        """FFN₂: (B, T, 3·width) → (B, T) τ ≥ 0."""
        return functional.softplus(self.tau(states).squeeze(-1))

    def _identity(self, subject: Tensor) -> Tensor:
        known = self.subjects((subject - 1).clamp(min=0))
        return torch.where((subject > 0).unsqueeze(-1), known, self.subjects.weight.mean(0))
