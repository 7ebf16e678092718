"""The Inception network of TF-FID, as pytorch-fid patches torchvision's, with weights from a file. Knows no metric."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from emobench.torchvision_schemas import ensure_torchvision

from .onnx import forward_of
from .state_dicts import fill

FEATURES = 2048
SIZE_PX = 299


def build_inception() -> Any:
    """torchvision's Inception v3 with the pooling of the TF-FID graph, random weights, nothing downloaded."""
    ensure_torchvision()
    import torchvision
    from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2

    network = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    for name, inputs, pooled in (("Mixed_5b", 192, 32), ("Mixed_5c", 256, 64), ("Mixed_5d", 288, 64)):
        setattr(network, name, FIDInceptionA(inputs, pool_features=pooled))
    for name, channels in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        setattr(network, name, FIDInceptionC(768, channels_7x7=channels))
    network.Mixed_7b, network.Mixed_7c = FIDInceptionE_1(1280), FIDInceptionE_2(FEATURES)
    return network


class Trunk(nn.Module):
    """(B, 3, 299, 299) in −1..1 → (B, 2048): the layers up to the global pooling."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self._stem = nn.Sequential(
            network.Conv2d_1a_3x3, network.Conv2d_2a_3x3, network.Conv2d_2b_3x3, nn.MaxPool2d(3, 2),
            network.Conv2d_3b_1x1, network.Conv2d_4a_3x3, nn.MaxPool2d(3, 2),
            network.Mixed_5b, network.Mixed_5c, network.Mixed_5d,
            network.Mixed_6a, network.Mixed_6b, network.Mixed_6c, network.Mixed_6d, network.Mixed_6e,
            network.Mixed_7a, network.Mixed_7b, network.Mixed_7c,
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self._stem(images).mean(dim=(2, 3))
        return features


def embedding(trunk: nn.Module, batch: int, device: str) -> Callable[[Tensor], Tensor]:
    """(batch, 3, H, W) in 0..1 → (batch, 2048), both on the CPU: the resize, then the network."""
    forward = forward_of(trunk, (batch, 3, SIZE_PX, SIZE_PX), device)

    def embed(images: Tensor) -> Tensor:
        resized = functional.interpolate(images, size=(SIZE_PX, SIZE_PX), mode="bilinear", align_corners=False)
        return forward(2.0 * resized - 1.0)[0]

    return embed


def load_inception(path: Path, device: str, batch: int) -> Callable[[Tensor], Tensor]:
    """The embedding with the weights of `path`, of batches of one size. Raises Unavailable where they do not fit."""
    network = build_inception()
    fill(network, path, "FID Inception file")
    return embedding(Trunk(network), batch, device)
