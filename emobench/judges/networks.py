"""The judges' networks and nothing else: small convolutional trunks, and two towers for lip-sync.

Evaluation and training judges differ in architecture, so that a method trained against the one has no shortcut through
the other: strided convolutions and a flattened head against pooled ones with global averages.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .crops import CROP_PX
from .sharing import Role

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
        """(B, 128) features: what the last layer reads. Crops may be float, and differentiated."""
        images = crops[:, None].float()
        # Each crop's own contrast: exposure is no part of an expression.
        spread, mean = torch.std_mean(images, dim=(2, 3), keepdim=True)
        features: Tensor = self.head[:-1](self.trunk((images - mean) / (spread + 8.0)))
        return features


class PooledFaceNet(FaceNet):
    """The training judges' trunk, at half the resolution: 3×3 convolutions, GELU, average pooling; the same
    inputs and outputs."""

    def __init__(self, outputs: int, width: int = 16) -> None:
        super().__init__(outputs, 1)
        channels = (1, width, 2 * width, 3 * width)
        layers: list[nn.Module] = [nn.AvgPool2d(2)]
        for inputs, made in pairwise(channels):
            convolution = nn.Conv2d(inputs, made, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(made), nn.GELU(), nn.AvgPool2d(2)]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(channels[-1] * (CROP_PX // 16) ** 2, 128), nn.GELU(), nn.Linear(128, outputs)
        )


def face_network(role: Role, outputs: int) -> FaceNet:
    """An untrained network of the role's architecture."""
    return FaceNet(outputs) if role == "evaluation" else PooledFaceNet(outputs)


class TagImageNet(nn.Module):
    """Crops and tags into one space of unit vectors: cosine × temperature are the logits of the tags.

    The identity judge is the same network whose tags are people.
    """

    def __init__(self, role: Role, tags: int) -> None:
        super().__init__()
        self.image = face_network(role, EMBEDDING)
        self.tags = nn.Parameter(torch.randn(tags, EMBEDDING) / EMBEDDING**0.5)
        self.log_temperature = nn.Parameter(torch.tensor(2.0))

    def embed(self, crops: Tensor) -> Tensor:
        """(B, 64, 64) → (B, EMBEDDING) unit vectors. Crops may be float, and differentiated."""
        return functional.normalize(self.image(crops), dim=1)

    def similarity(self, crops: Tensor) -> Tensor:
        """(B, 64, 64) → (B, tags) cosines −1..1."""
        return self.embed(crops) @ functional.normalize(self.tags, dim=1).T

    def forward(self, crops: Tensor) -> Tensor:
        return self.similarity(crops) * self.log_temperature.clamp(max=3.5).exp()


class SyncTowers(nn.Module):
    """Mouth shapes and sound into one space of unit vectors."""

    def __init__(self, mel_bands: int, role: Role = "evaluation") -> None:
        super().__init__()
        self.mouth = _tower(VIDEO_WINDOW * 40, role)
        self.sound = _tower(AUDIO_WINDOW * mel_bands, role)
        self.log_temperature = nn.Parameter(torch.tensor(2.3))

    def embed_mouth(self, windows: Tensor) -> Tensor:
        """(B, 5, 20, 2) → (B, 32)."""
        return functional.normalize(self.mouth(windows.flatten(1) * 8.0), dim=1)

    def embed_sound(self, windows: Tensor) -> Tensor:
        """(B, 20, 40) → (B, 32)."""
        return functional.normalize(self.sound(windows.flatten(1) * 0.3), dim=1)


def _tower(inputs: int, role: Role) -> nn.Sequential:
    if role == "training":
        return nn.Sequential(nn.Linear(inputs, 160), nn.GELU(), nn.LayerNorm(160), nn.Linear(160, EMBEDDING))
    return nn.Sequential(
        nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, EMBEDDING)
    )
