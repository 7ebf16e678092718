"""LPIPS: learned perceptual distance. Knows no download; the backbone comes from a verified file.

d = Σ_layers mean_xy ‖w_l ⊙ (φ_l(x) − φ_l(y))‖², unit-normalised features of the backbone, v0.1 linear layers of the
lpips package; mean over frames; lower is better, 0 for identical frames (Zhang et al. 2018). Traps: the backbone is
part of the name (alex, vgg and squeeze are three metrics whose values differ by a factor of two), and values depend on
the frame size: 512 px frames score lower than the same frames at 256 px.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emobench.errors import Inapplicable
from emobench.torchvision_schemas import ensure_torchvision
from emobench.types import Features, MetricContext, Sample, Stats

from .batches import BATCH, batches
from .onnx import forward_of
from .pairs import require_aligned
from .signatures import mean_over_clips, signature, weight_label
from .state_dicts import Tensors, fill

VERSION = "1"


class _Taps(nn.Module):
    """(B, 3, H, W) → what every slice of a backbone of lpips gives."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        slices = [part for name, part in backbone.named_children() if name.startswith("slice")]
        self._slices = nn.ModuleList(slices)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = []
        for part in self._slices:
            images = part(images)
            found.append(images)
        return tuple(found)


class LpipsNetwork:
    """lpips.LPIPS's distance of two batches of one size, the backbone through onnxruntime on a CPU."""

    def __init__(self, network: Any, device: str) -> None:
        import lpips

        self._scale, self._layers, self._normalised = network.scaling_layer, list(network.lins), lpips.normalize_tensor
        self._forward = forward_of(_Taps(network.net), (BATCH, 3, None, None), device)

    def distances(self, ours: Tensor, theirs: Tensor) -> NDArray[np.float64]:
        """(BATCH,) of (BATCH, 3, H, W) in −1..1."""
        total = torch.zeros(len(ours))
        with torch.inference_mode():
            sides = [self._forward(self._scale(images)) for images in (ours, theirs)]
            for layer, a, b in zip(self._layers, *sides, strict=True):
                difference = (self._normalised(a) - self._normalised(b)) ** 2
                total += layer(difference).mean(dim=(1, 2, 3))
        return total.double().numpy()


def load_lpips(backbone: str, path: Path, device: str) -> LpipsNetwork:
    """lpips.LPIPS(net=backbone) on torchvision's weights of `path`: alex, vgg or squeeze.

    Raises Unavailable where the file does not fit. The slices of lpips keep torchvision's layer numbers.
    """
    ensure_torchvision()
    import lpips

    network = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)
    names = tuple(network.net.state_dict())

    def features(tensors: Tensors) -> Tensors:
        return {name: tensors[f"features.{name.partition('.')[2]}"] for name in names}

    fill(network.net, path, f"weight file of LPIPS's {backbone} backbone", features)
    return LpipsNetwork(network.eval(), device)


def to_signed_tensor(frames: NDArray[np.uint8]) -> Tensor:
    """(B, H, W, 3) uint8 → (B, 3, H, W) float32 in −1..1."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1.0


class LpipsAlex:
    """LPIPS with AlexNet on the full frame."""

    backbone = "alex"
    weight = "lpips.alexnet"
    least_px = 31  # below, a pooling has nothing left to pool

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where the backbone's weights are not here."""
        path = context.locate_weight(self.weight)
        self._network = load_lpips(self.backbone, path, context.device)
        self._weights = weight_label(self.weight, path) + "+lpips v0.1 linear"

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size, or are too small for the backbone."""
        reference = require_aligned(prediction, reference)
        if min(prediction.frames.shape[1:3]) < self.least_px:
            raise Inapplicable(f"frames are smaller than {self.least_px} px")
        distances: list[float] = []
        for (ours, count), (theirs, _) in zip(batches(prediction.frames), batches(reference.frames), strict=True):
            found = self._network.distances(to_signed_tensor(ours), to_signed_tensor(theirs))
            distances += found[:count].tolist()
        return Stats(value=float(np.mean(distances)), detail={"frames": len(distances)})

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def signature(self) -> str:
        variant = f"LPIPS {self.backbone} 0.1, mean over frames, RGB −1..1"
        return signature(variant, weights=self._weights, version=VERSION)


class LpipsVgg(LpipsAlex):
    """LPIPS with VGG-16 on the full frame."""

    backbone = "vgg"
    weight = "lpips.vgg16"
    least_px = 16


class LpipsSqueeze(LpipsAlex):
    """LPIPS with SqueezeNet 1.1 on the full frame; seven layers instead of five."""

    backbone = "squeeze"
    weight = "lpips.squeezenet"
    least_px = 17
