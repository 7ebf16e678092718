"""The SyncNet network and its distance arithmetic. Knows neither boxes nor files of clips.

Architecture of Chung and Zisserman 2016 as released (syncnet_v2.model): parameter names must match that file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from emobench.types import Floats

from .mfcc import CEPSTRA
from .onnx import forward_of
from .state_dicts import fill

EMBEDDING = 1024
VIDEO_WINDOW, AUDIO_WINDOW = 5, 20  # frames at 25 fps, MFCC steps at 100 Hz
AUDIO_STEPS_PER_FRAME = 4
MAX_OFFSET_FRAMES = 15
FACE_PX = 224


def _conv2(inputs: int, outputs: int, kernel: tuple[int, int], padding: int = 0) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, padding=padding), nn.BatchNorm2d(outputs), nn.ReLU()]


def _conv3(
    inputs: int, outputs: int, kernel: tuple[int, int, int], *, stride: int = 1, padding: int = 0
) -> list[nn.Module]:
    convolution = nn.Conv3d(inputs, outputs, kernel, stride=(1, stride, stride), padding=(0, padding, padding))
    return [convolution, nn.BatchNorm3d(outputs), nn.ReLU()]


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBEDDING))


class SyncNet(nn.Module):
    """Two towers into one 1024-d space: 5 face frames and 20 MFCC steps."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_conv2(1, 64, (3, 3), 1), nn.MaxPool2d((1, 1), (1, 1)),
            *_conv2(64, 192, (3, 3), 1), nn.MaxPool2d((3, 3), (1, 2)),
            *_conv2(192, 384, (3, 3), 1), *_conv2(384, 256, (3, 3), 1), *_conv2(256, 256, (3, 3), 1),
            nn.MaxPool2d((3, 3), (2, 2)),
            *_conv2(256, 512, (5, 4)),
        )  # fmt: skip
        self.netfcaud = _head()
        self.netfclip = _head()
        self.netcnnlip = nn.Sequential(
            *_conv3(3, 96, (5, 7, 7), stride=2), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_conv3(96, 256, (1, 5, 5), stride=2, padding=1), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_conv3(256, 256, (1, 3, 3), padding=1), *_conv3(256, 256, (1, 3, 3), padding=1),
            *_conv3(256, 256, (1, 3, 3), padding=1), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_conv3(256, 512, (1, 6, 6)),
        )  # fmt: skip

    def embed_audio(self, windows: Tensor) -> Tensor:
        """(B, 1, 13, 20) → (B, 1024)."""
        embedded: Tensor = self.netfcaud(self.netcnnaud(windows).flatten(1))
        return embedded

    def embed_video(self, windows: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224), BGR 0..255 → (B, 1024)."""
        embedded: Tensor = self.netfclip(self.netcnnlip(windows).flatten(1))
        return embedded


def flat_lip_tower(network: SyncNet) -> nn.Sequential:
    """The lip tower as plane convolutions: (B, 15, 224, 224) → (B, 1024), channels in the order (colour, frame).

    Only its first layer reaches over time, and over all five frames: five planes of three colours are fifteen channels.
    """
    layers: list[nn.Module] = []
    for layer in network.netcnnlip:
        if isinstance(layer, nn.Conv3d):
            size, stride, padding = (_plane(each) for each in (layer.kernel_size, layer.stride, layer.padding))
            flat = nn.Conv2d(layer.in_channels * layer.kernel_size[0], layer.out_channels, size, stride, padding)
            flat.load_state_dict({"weight": layer.weight.flatten(1, 2), "bias": layer.bias})
            layers.append(flat)
        elif isinstance(layer, nn.BatchNorm3d):
            norm = nn.BatchNorm2d(layer.num_features, layer.eps)
            norm.load_state_dict(layer.state_dict())
            layers.append(norm)
        elif isinstance(layer, nn.MaxPool3d):
            size, stride, padding = (_plane(each) for each in (layer.kernel_size, layer.stride, layer.padding))
            layers.append(nn.MaxPool2d(size, stride, padding))
        else:
            layers.append(layer)
    return nn.Sequential(*layers, nn.Flatten(), *network.netfclip).eval()


def _plane(value: Any) -> tuple[int, int]:
    """Height and width of a size over time, height and width."""
    return (value, value) if isinstance(value, int) else (value[1], value[2])


class SyncTowers:
    """Both towers for batches of one size, through onnxruntime on a CPU."""

    def __init__(self, network: SyncNet, batch: int, device: str) -> None:
        hearing = nn.Sequential(network.netcnnaud, nn.Flatten(), network.netfcaud)
        self._see = forward_of(flat_lip_tower(network), (batch, 3 * VIDEO_WINDOW, FACE_PX, FACE_PX), device)
        self._hear = forward_of(hearing, (batch, 1, CEPSTRA, AUDIO_WINDOW), device)

    def embed_audio(self, windows: Tensor) -> Floats:
        """(B, 1, 13, 20) → (B, 1024)."""
        return np.asarray(self._hear(windows)[0].numpy(), np.float32)

    def embed_video(self, windows: Tensor) -> Floats:
        """(B, 3, 5, 224, 224), BGR 0..255 → (B, 1024)."""
        return np.asarray(self._see(windows.flatten(1, 2))[0].numpy(), np.float32)


def load_syncnet(path: Path) -> SyncNet:
    """The network with the weights of `path`, ready to score. Raises Unavailable where they do not fit."""
    network = SyncNet()
    fill(network, path, "SyncNet weight file")
    return network.eval()


def offset_distances(video: Floats, audio: Floats) -> NDArray[np.float64]:
    """(31,) mean over windows of ‖v_t − a_{t+τ}‖ for τ = −15..15; (W, D) each.

    As released: audio embeddings are padded with zero vectors past both ends, and each difference gets 1e-6 added.
    """
    padded = functional.pad(torch.from_numpy(audio), (0, 0, MAX_OFFSET_FRAMES, MAX_OFFSET_FRAMES))
    windows = padded.unfold(0, 2 * MAX_OFFSET_FRAMES + 1, 1).transpose(1, 2)  # (W, 31, D)
    distances = functional.pairwise_distance(torch.from_numpy(video)[:, None].expand_as(windows), windows)
    return distances.double().mean(dim=0).numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncScore:
    """What the distances say: lse_d = min, lse_c = median − min; a positive offset means the sound is late."""

    lse_d: float
    lse_c: float
    offset_frames: int


def score_distances(distances: NDArray[np.float64]) -> SyncScore:
    """LSE-D and LSE-C of (31,) mean distances; torch's median (the lower middle one) equals numpy's at odd counts."""
    best = int(np.argmin(distances))
    low = float(distances[best])
    return SyncScore(lse_d=low, lse_c=float(np.median(distances)) - low, offset_frames=MAX_OFFSET_FRAMES - best)
