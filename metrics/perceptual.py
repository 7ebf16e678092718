"""LPIPS: learned perceptual distance. Knows no download; the backbone comes from a verified file.

d = Σ_layers mean_xy ‖w_l ⊙ (φ_l(x) − φ_l(y))‖², unit-normalised AlexNet features, v0.1 linear layers of the lpips
package; mean over frames; lower is better, 0 for identical frames. Traps: the backbone is part of the name
(alex, vgg and squeeze are three metrics), and values depend on the frame size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emobench.errors import Unavailable, UnscoredError
from emobench.types import Features, MetricContext, Sample, Stats

from .pairs import require_aligned
from .signatures import mean_over_clips, signature, weight_label
from .torchvision_schemas import ensure_torchvision

VERSION = "1"
MIN_PX = 63  # below, AlexNet's last pooling has nothing left
BATCH = 16
CONVOLUTIONS = (0, 3, 6, 8, 10)  # of torchvision's AlexNet; one in each of the five slices of lpips


def load_lpips(path: Path, device: str) -> Any:
    """lpips.LPIPS(net='alex') on torchvision's AlexNet weights of `path`. Raises Unavailable where they do not fit."""
    ensure_torchvision()
    import lpips

    network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        network.net.load_state_dict(
            {
                f"slice{number}.{layer}.{kind}": weights[f"features.{layer}.{kind}"]
                for number, layer in enumerate(CONVOLUTIONS, start=1)
                for kind in ("weight", "bias")
            }
        )
    except Exception as error:  # unpickling, key and shape errors alike mean: not this network's file
        raise Unavailable(f"{path.name} is no AlexNet weight file ({type(error).__name__}). Fetch it again.") from error
    return network.to(device).eval()


def to_signed_tensor(frames: NDArray[np.uint8], device: str) -> torch.Tensor:
    """(B, H, W, 3) uint8 → (B, 3, H, W) float32 in −1..1."""
    return torch.from_numpy(frames).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1.0


class LpipsAlex:
    """LPIPS with AlexNet on the full frame."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where the AlexNet weights are not here."""
        path = context.locate_weight("lpips.alexnet")
        self._network = load_lpips(path, context.device)
        self._device = context.device
        self._weights = weight_label("lpips.alexnet", path) + "+lpips v0.1 linear"

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size, or are too small for AlexNet."""
        reference = require_aligned(prediction, reference)
        if min(prediction.frames.shape[1:3]) < MIN_PX:
            raise UnscoredError(f"frames are smaller than {MIN_PX} px")
        distances: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(prediction.frames), BATCH):
                ours = to_signed_tensor(prediction.frames[start : start + BATCH], self._device)
                theirs = to_signed_tensor(reference.frames[start : start + BATCH], self._device)
                distances += self._network(ours, theirs).flatten().cpu().double().tolist()
        return Stats(value=float(np.mean(distances)), detail={"frames": len(distances)})

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def signature(self) -> str:
        return signature("LPIPS alex 0.1, mean over frames, RGB −1..1", weights=self._weights, version=VERSION)
