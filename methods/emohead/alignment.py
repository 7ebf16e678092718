"""Audio-expression alignment: emotion, text and audio streams, and the attention that fuses them (paper, section 2).

h_e = C_ve·V_e, h_γ = C_γ·V_γ, h_v = FusedAttn(C_γ, C_ve)·V_v with C = softmax(QKᵀ/√d), per head, on one frame axis.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .config import AlignmentConfig

WAVELENGTHS_SECONDS = (0.1, 8.0)  # of the sinusoidal positions: bounded, so that long clips are like short ones
FAR = -1e4  # a logit that softmax turns into exactly 0


def sinusoidal_positions(seconds: Tensor, width: int) -> Tensor:
    """(B, T) times → (B, T, width): sines and cosines, wavelengths spread geometrically."""
    low, high = (math.log(w) for w in WAVELENGTHS_SECONDS)
    wavelengths = torch.exp(torch.linspace(low, high, width // 2, device=seconds.device))
    phase = 2 * math.pi * seconds.unsqueeze(-1) / wavelengths
    return torch.cat([phase.sin(), phase.cos()], dim=-1)


class AttentionMap(nn.Module):
    """Logits QKᵀ/√d of one stream, plus the learned Gaussian on the time offset."""

    def __init__(self, config: AlignmentConfig) -> None:
        super().__init__()
        self.heads, self.locality = config.heads, config.locality
        self.query_key = nn.Linear(config.width, 2 * config.width)
        # heads start from one frame to half the window wide
        spread = torch.linspace(math.log(0.04), math.log(config.window_seconds / 2), config.heads)
        self.log_spread = nn.Parameter(spread)

    def forward(self, states: Tensor, offsets: Tensor) -> Tensor:
        """(B, T, width) states, (B, T, T) time offsets in seconds → (B, heads, T, T) logits."""
        query, key = (split_heads(x, self.heads) for x in self.query_key(states).chunk(2, dim=-1))
        logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        if self.locality:
            spread = self.log_spread.exp()[:, None, None]
            logits = logits - 0.5 * (offsets.unsqueeze(1) / spread) ** 2
        return logits


def split_heads(states: Tensor, heads: int) -> Tensor:
    """(B, T, width) → (B, heads, T, width / heads)."""
    batch, length, width = states.shape
    return states.view(batch, length, heads, width // heads).transpose(1, 2)


class GatedFusion(nn.Module):
    """F(e, v): a learned gate between the two, per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, width)
        self.emotion = nn.Linear(width, width)
        self.audio = nn.Linear(width, width)

    def forward(self, emotion: Tensor, audio: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(torch.cat([emotion, audio], dim=-1)))
        fused: Tensor = gate * self.emotion(emotion) + (1 - gate) * self.audio(audio)
        return fused


class Alignment(nn.Module):
    """Three streams in, (h_γ, h_e, h_v) out; pre-norm with residual paths, all (B, T, width)."""

    def __init__(self, config: AlignmentConfig, is_causal: bool = False) -> None:
        super().__init__()
        self.config, self.is_causal = config, is_causal
        width = config.width
        self.fusion = GatedFusion(width)
        if not config.enabled:
            return
        self.norms = nn.ModuleDict({name: nn.LayerNorm(width) for name in ("emotion", "text", "audio")})
        self.maps = nn.ModuleDict({name: AttentionMap(config) for name in ("emotion", "text")})
        self.values = nn.ModuleDict({name: nn.Linear(width, width) for name in ("emotion", "text", "audio")})
        self.exits = nn.ModuleDict({name: nn.Linear(width, width) for name in ("emotion", "text", "audio")})
        self.balance = nn.Parameter(torch.zeros(config.heads))  # logit of the share of C_γ in FusedAttn
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, text: Tensor, emotion: Tensor, audio: Tensor, seconds: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Streams γ, e, v (B, T, width), frame times (B, T), mask (B, T) bool of real frames."""
        fused = self.fusion(emotion, audio)
        if not self.config.enabled:
            return text, fused, audio
        states = {"emotion": fused, "text": text, "audio": audio}
        positions = sinusoidal_positions(seconds, self.config.width)
        normed = {name: self.norms[name](x) for name, x in states.items()}
        offsets = seconds[:, None, :] - seconds[:, :, None]
        far = (offsets.abs() > self.config.window_seconds) | ~mask[:, None, :]
        if self.is_causal:
            far = far | (offsets > 0)
        far = far & (offsets != 0)  # a padded frame sees itself: softmax of nothing would be NaN
        logits = {
            name: attention_map(normed[name] + positions, offsets).masked_fill(far[:, None], FAR)
            for name, attention_map in self.maps.items()
        }
        attention = {name: x.softmax(-1) for name, x in logits.items()}
        attention["audio"] = self._fuse(logits, attention)
        out = {name: states[name] + self._read(name, attention[name], normed[name]) for name in states}
        return out["text"], out["emotion"], out["audio"]

    def _fuse(self, logits: dict[str, Tensor], attention: dict[str, Tensor]) -> Tensor:
        if self.config.fused_attention == "mean":
            return (attention["text"] + attention["emotion"]) / 2
        share = torch.sigmoid(self.balance)[:, None, None] if self.config.fused_attention == "convex" else 0.5
        mixed = share * logits["text"] + (1 - share) * logits["emotion"]
        # the normalised product of two softmax maps is the softmax of the sum of their logits
        return (mixed * (1.0 if self.config.fused_attention == "convex" else 2.0)).softmax(-1)

    def _read(self, name: str, attention: Tensor, states: Tensor) -> Tensor:
        values = split_heads(self.values[name](states), self.config.heads)
        mixed = (attention @ values).transpose(1, 2).flatten(2)
        read: Tensor = self.dropout(self.exits[name](mixed))
        return read
