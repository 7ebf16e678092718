"""The judges' networks and nothing else: a small convolutional trunk, and two towers for lip-sync."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .crops import CROP_PX

VIDEO_WINDOW, AUDIO_WINDOW, EMBEDDING = 5, 20, 32


class FaceNet(nn.Module):
    """(B, 64, 64) uint8 grey crops → (B, outputs)."""

    def __init__(self, outputs: int, width: int = 16) -> None:
        super().__init__()
        channels = (1, width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        for index, (inputs, made) in enumerate(pairwise(channels)):
            kernel = 5 if index == 0 else 3
            layers += [
                nn.Conv2d(inputs, made, kernel, stride=2 if index < 3 else 1, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(made),
                nn.ReLU(),
            ]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(4 * width * (CROP_PX // 8) ** 2, 128), nn.ReLU(), nn.Linear(128, outputs),
        )  # fmt: skip

    def forward(self, crops: Tensor) -> Tensor:
        outputs: Tensor = self.head[-1](self.describe(crops))
        return outputs

    def describe(self, crops: Tensor) -> Tensor:
        """(B, 128) features: what the last layer reads."""
        images = crops[:, None].float()
        # Each crop's own contrast: exposure is no part of an expression.
        spread, mean = torch.std_mean(images, dim=(2, 3), keepdim=True)
        features: Tensor = self.head[:-1](self.trunk((images - mean) / (spread + 8.0)))
        return features


class SyncTowers(nn.Module):
    """Mouth shapes and sound into one space of unit vectors."""

    def __init__(self, mel_bands: int) -> None:
        super().__init__()
        self.mouth = _tower(VIDEO_WINDOW * 40)
        self.sound = _tower(AUDIO_WINDOW * mel_bands)
        self.log_temperature = nn.Parameter(torch.tensor(2.3))

    def embed_mouth(self, windows: Tensor) -> Tensor:
        """(B, 5, 20, 2) → (B, 32)."""
        return functional.normalize(self.mouth(windows.flatten(1) * 8.0), dim=1)

    def embed_sound(self, windows: Tensor) -> Tensor:
        """(B, 20, 40) → (B, 32)."""
        return functional.normalize(self.sound(windows.flatten(1) * 0.3), dim=1)


def _tower(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, EMBEDDING)
    )
