"""Trainable layers that bring the states of pretrained networks to the width of EmoHead's own encoders.

Same outputs as the builtin encoders: (B, T, width) at video frames. Knows no network of others.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .encoders import ResidualConv, gather_linear


class StateEncoder(nn.Module):
    """States at 50 Hz → norm → linear → dilated blocks → states at video frames."""

    def __init__(self, states: int, channels: int, blocks: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(states)
        self.entry = nn.Linear(states, channels)
        self.blocks = nn.ModuleList(ResidualConv(channels, 2**i) for i in range(blocks))
        self.exit = nn.Linear(channels, width)

    def forward(self, states: Tensor, steps: Tensor, positions: Tensor) -> Tensor:
        """(B, M, S) states, (B,) valid ones, (B, T) positions on the axis of 100 Hz features → (B, T, width)."""
        valid = torch.arange(states.shape[1], device=states.device) < steps[:, None]
        mask = valid.unsqueeze(-1).to(states.dtype)
        inner = nn.functional.gelu(self.entry(self.norm(states))) * mask
        for block in self.blocks:
            inner = block(inner, mask)
        # state k of 50 Hz lies between the feature steps 2k and 2k + 1
        places = torch.minimum((positions - 0.5) / 2, (steps - 1).unsqueeze(1))
        frames: Tensor = self.exit(gather_linear(inner, places))
        return frames


class WordProjection(nn.Module):
    """Token states (B, L, S) → (B, L, channels); padding, all zeros, stays zero."""

    def __init__(self, states: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(states)
        self.linear = nn.Linear(states, channels)

    def forward(self, states: Tensor) -> Tensor:
        projected: Tensor = self.linear(self.norm(states)) * (states != 0).any(-1, keepdim=True)
        return projected
