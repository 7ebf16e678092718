"""The builtin encoders: sound, tag with prosody, and transcript to frame-aligned states (B, T, width).

They know tensors and masks only; where frames fall on the feature axis is handed to them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 3  # MEAD intensity levels 1..3


def gather_linear(states: Tensor, positions: Tensor) -> Tensor:
    """(B, N, C) states read at fractional positions (B, T) along N; clamped at the ends."""
    limit = states.shape[1] - 1
    inside = positions.clamp(0, limit)
    low = inside.floor().long()
    share = (inside - low).unsqueeze(-1)
    high = (low + 1).clamp(max=limit)
    width = (-1, -1, states.shape[2])
    below = states.gather(1, low.unsqueeze(-1).expand(*width))
    above = states.gather(1, high.unsqueeze(-1).expand(*width))
    return below + share * (above - below)


class ResidualConv(nn.Module):
    """Pre-norm dilated convolution over time, looking back only where causal; padding stays exactly zero."""

    def __init__(self, channels: int, dilation: int, is_causal: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.conv = nn.Conv1d(channels, channels, 5, dilation=dilation)
        self.padding = _padding(4 * dilation, is_causal)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        inner = functional.pad((self.norm(states) * mask).transpose(1, 2), self.padding)
        inner = functional.gelu(self.conv(inner).transpose(1, 2))
        return (states + inner) * mask


def _padding(reach: int, is_causal: bool) -> tuple[int, int]:
    return (reach, 0) if is_causal else (reach // 2, reach // 2)


class AudioEncoder(nn.Module):
    """Features at 100 Hz → strided convolution to 50 Hz → dilated blocks → states at video frames.

    `lookahead`, in feature steps, makes it causal: convolutions look back only, and a frame reads states that are that
    much later than itself.
    """

    def __init__(self, features: int, channels: int, blocks: int, width: int, lookahead: float | None = None) -> None:
        super().__init__()
        self.lookahead, is_causal = lookahead or 0.0, lookahead is not None
        self.entry = nn.Conv1d(features, channels, 5, stride=2)
        self.padding = _padding(4, is_causal)
        self.blocks = nn.ModuleList(ResidualConv(channels, 2**i, is_causal) for i in range(blocks))
        self.exit = nn.Linear(channels, width)

    def forward(self, features: Tensor, steps: Tensor, positions: Tensor) -> Tensor:
        """(B, N, F) standardised features, (B,) valid steps, (B, T) positions at 100 Hz → (B, T, width)."""
        padded = functional.pad(features.transpose(1, 2), self.padding)
        states = functional.gelu(self.entry(padded)).transpose(1, 2)
        valid = torch.arange(states.shape[1], device=states.device) < ((steps + 1) // 2)[:, None]
        mask = valid.unsqueeze(-1).to(states.dtype)
        states = states * mask
        for block in self.blocks:
            states = block(states, mask)
        last = (steps - 1).div(2, rounding_mode="floor").unsqueeze(1)
        frames: Tensor = self.exit(gather_linear(states, torch.minimum((positions + self.lookahead) / 2, last)))
        return frames


class EmotionEncoder(nn.Module):
    """Tag and level embedding plus what `prosody` hears: e. Tag 0 is 'not told'; levels may be fractional."""

    def __init__(self, tags: int, prosody: nn.Module, width: int) -> None:
        super().__init__()
        self.tag = nn.Embedding(tags + 1, width)
        self.level = nn.Embedding((tags + 1) * LEVELS, width)
        nn.init.normal_(self.tag.weight, std=0.5)
        nn.init.normal_(self.level.weight, std=0.2)
        self.prosody = prosody

    def forward(self, tag: Tensor, level: Tensor, heard: Tensor, steps: Tensor, positions: Tensor) -> Tensor:
        """(B,) tag numbers, (B,) levels 1..LEVELS, sound as `prosody` takes it → (B, T, width)."""
        low = level.floor().clamp(1, LEVELS).long()
        high = (low + 1).clamp(max=LEVELS)
        share = (level - low).clamp(0, 1).unsqueeze(-1)
        row = tag * LEVELS - 1
        strength: Tensor = self.level(row + low) * (1 - share) + self.level(row + high) * share
        prosody: Tensor = self.prosody(heard, steps, positions)
        told: Tensor = self.tag(tag) + strength
        return prosody + told.unsqueeze(1)


class TextEncoder(nn.Module):
    """Characters → embedding → convolution → states at video frames: γ. A learned null where there is no text."""

    def __init__(self, embedding: nn.Module, channels: int, width: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.conv = nn.Conv1d(channels, channels, 3, padding=1)
        self.exit = nn.Linear(channels, width)
        self.null = nn.Parameter(torch.zeros(width))

    def forward(self, characters: Tensor, positions: Tensor, has_text: Tensor) -> Tensor:
        """(B, L) or (B, L, …) as `embedding` takes it, (B, T) positions, (B,) bool → (B, T, width)."""
        states = self.conv(self.embedding(characters).transpose(1, 2)).transpose(1, 2)
        states = self.exit(functional.gelu(gather_linear(states, positions)))
        return torch.where(has_text[:, None, None], states, self.null)
