"""The small expression network of face-api.js: reads its float shards and runs it in torch. Knows no metric.

Four dense blocks of four 3×3 convolutions; inside a block each convolution reads ReLU of the sum of the outputs before
it. Input: RGB 112×112, (x − mean) / 255. Seven classes; weak on fear and disgust.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from emobench.errors import Unavailable

SIZE_PX = 112
MEAN_RGB = (122.782, 117.001, 104.298)
CLASSES = ("neutral", "happy", "sad", "angry", "fear", "disgusted", "surprised")  # fearful is MEAD's "fear"
MANIFEST = "face_expression_model-weights_manifest.json"
BLOCKS, CONVOLUTIONS = 4, 4


def weight_files(folder: Path) -> list[Path]:
    """The manifest and its shards. Raises Unavailable where the folder lacks one."""
    manifest = folder / MANIFEST
    try:
        groups = json.loads(manifest.read_text(encoding="utf-8"))
        files = [manifest, *(folder / name for group in groups for name in group["paths"])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"expressnet: {MANIFEST} is missing or unreadable ({type(error).__name__})") from error
    absent = [path.name for path in files if not path.is_file()]
    if absent:
        raise Unavailable(f"expressnet: {absent[0]} is missing. Fetch it: emobench weights fetch expressnet")
    return files


def read_shards(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Tensors by name: shards concatenated, cut in the manifest's order, uint8 ones scaled back to float."""
    files = weight_files(folder)
    groups = json.loads(files[0].read_text(encoding="utf-8"))
    tensors: dict[str, NDArray[np.float32]] = {}
    for group in groups:
        data = b"".join((folder / name).read_bytes() for name in group["paths"])
        offset = 0
        for entry in group["weights"]:
            count = math.prod(entry["shape"])
            packed = entry.get("quantization")
            dtype = np.dtype(packed["dtype"] if packed else entry["dtype"]).newbyteorder("<")
            end = offset + count * dtype.itemsize
            if end > len(data):
                raise Unavailable(f"expressnet: shard ends inside {entry['name']}. Fetch it again.")
            values = np.frombuffer(data[offset:end], dtype).astype(np.float32)
            if packed:
                values = values * np.float32(packed["scale"]) + np.float32(packed["min"])
            tensors[entry["name"]] = values.reshape(entry["shape"])
            offset = end
    return tensors


class ExpressNet:
    """Seven class probabilities of face crops."""

    def __init__(self, folder: Path, device: str) -> None:
        """Raises Unavailable where files are missing or are another network's."""
        self._device = device
        self._weights: dict[str, Tensor] = {}
        for name, values in read_shards(folder).items():
            tensor = torch.from_numpy(values)
            if name.endswith("depthwise_filter"):
                tensor = tensor.permute(2, 3, 0, 1)  # HWIO with one output each → (I, 1, H, W)
            elif tensor.ndim == 4:
                tensor = tensor.permute(3, 2, 0, 1)  # HWIO → OIHW
            self._weights[name] = tensor.contiguous().to(device)
        if self._weights.get("fc/weights", torch.zeros(0)).shape != (256, len(CLASSES)):
            raise Unavailable("expressnet: the shard holds another network. Fetch it again.")

    def probabilities(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(B, 112, 112, 3) uint8 RGB → (B, 7)."""
        images = torch.from_numpy(faces).to(self._device).float()
        images = (images - torch.tensor(MEAN_RGB, device=self._device)) / 255.0
        with torch.inference_mode():
            features = images.permute(0, 3, 1, 2)
            for block in range(BLOCKS):
                features = self._block(features, block)
            pooled = functional.avg_pool2d(features, 7).flatten(1)
            logits = pooled @ self._weights["fc/weights"] + self._weights["fc/bias"]
            return logits.softmax(dim=1).cpu().numpy()

    def _block(self, features: Tensor, block: int) -> Tensor:
        total = functional.relu(self._convolve(features, block, 0))
        for index in range(1, CONVOLUTIONS):
            total = total + self._convolve(functional.relu(total), block, index)
        return functional.relu(total)

    def _convolve(self, features: Tensor, block: int, index: int) -> Tensor:
        stride = 2 if index == 0 else 1
        # TensorFlow "same": at stride 2 on even sizes the padding is right and below only.
        features = functional.pad(features, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        prefix = f"dense{block}/conv{index}/"
        if block == 0 and index == 0:
            filters, bias = self._weights[prefix + "filters"], self._weights[prefix + "bias"]
            return functional.conv2d(features, filters, bias, stride)
        depthwise = self._weights[prefix + "depthwise_filter"]
        features = functional.conv2d(features, depthwise, stride=stride, groups=features.shape[1])
        return functional.conv2d(features, self._weights[prefix + "pointwise_filter"], self._weights[prefix + "bias"])
