"""Networks that tell hair, face, skin and clothes apart, where their weights are here. Knows no landmarks.

Each gives the share of head and of neck at every pixel; what of the neck belongs to the head is not decided here.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from emobench import weights
from emobench.errors import Unavailable
from emobench.types import Floats, Image

MULTICLASS, BISENET = "mediapipe.selfie_multiclass", "bisenet.resnet18"  # names in weights.yaml
# MediaPipe's model card: background, hair, body skin, face skin, clothes, other (accessories)
MULTICLASS_HEAD, MULTICLASS_NECK = (1, 3), (2, 5)
# CelebAMask-HQ: skin, brows, eyes, glasses, ears, earrings, nose, mouth, lips, hair, hat; neck; the rest is body
BISENET_HEAD, BISENET_NECK = (*range(1, 14), 17, 18), (14,)
BISENET_PX = 512
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, as it was trained


class Segmenter(Protocol):
    """One loaded network."""

    source: str  # for provenance: name and version of its weights

    def parts(self, image: Image) -> tuple[Floats, Floats]:
        """Shares (H, W) 0..1 of head and of neck (or what may be it) in an image (H, W, 3)."""


def open_segmenter(name: str) -> Segmenter:
    """The network of a weight's name. Raises Unavailable, with how to get it, where it is not here."""
    path = weights.locate(name)
    source = f"{name} {weights.manifest()[name].version}"
    return _Multiclass(str(path), source) if name == MULTICLASS else _Bisenet(str(path), source)


def present_segmenter() -> str | None:
    """The first network whose weights are here, MediaPipe's before BiSeNet; None where none is."""
    return next((name for name in (MULTICLASS, BISENET) if weights.is_present(name)), None)


class _Multiclass:
    def __init__(self, path: str, source: str) -> None:
        self.source = source
        try:
            import mediapipe
            from mediapipe.tasks.python import BaseOptions
            from mediapipe.tasks.python.vision import ImageSegmenter, ImageSegmenterOptions, RunningMode

            options = ImageSegmenterOptions(
                base_options=BaseOptions(model_asset_path=path), running_mode=RunningMode.IMAGE,
                output_confidence_masks=True, output_category_mask=False,
            )  # fmt: skip
            self._network = ImageSegmenter.create_from_options(options)
            weakref.finalize(self, self._network.close)  # its own __del__ fails at exit
        except ImportError as error:
            raise Unavailable(f"mediapipe cannot be imported ({error}). Install it: pip install mediapipe") from error
        except (RuntimeError, ValueError, OSError) as error:
            raise Unavailable(f"MediaPipe cannot load {MULTICLASS}: {str(error).splitlines()[0]}") from error
        self._wrap: Any = lambda image: mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)

    def parts(self, image: Image) -> tuple[Floats, Floats]:
        found = self._network.segment(self._wrap(np.ascontiguousarray(image))).confidence_masks
        shares = np.stack([np.squeeze(mask.numpy_view()) for mask in found]).astype(np.float32)
        return summed(shares, MULTICLASS_HEAD, image), summed(shares, MULTICLASS_NECK, image)


class _Bisenet:
    def __init__(self, path: str, source: str) -> None:
        import onnxruntime

        self.source = source
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # recordings are parsed side by side
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own kinds; all mean an unusable file
            raise Unavailable(f"{BISENET} cannot be loaded ({type(error).__name__}). Fetch it again.") from error

    def parts(self, image: Image) -> tuple[Floats, Floats]:
        import cv2

        size = (BISENET_PX, BISENET_PX)
        scaled = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.float32) / 255
        given = ((scaled - np.array(MEAN, np.float32)) / np.array(SPREAD, np.float32)).transpose(2, 0, 1)[None]
        logits = self._session.run(None, {self._session.get_inputs()[0].name: given})[0][0]
        odds = np.exp(logits - logits.max(axis=0))
        shares = np.asarray(odds / odds.sum(axis=0), np.float32)
        return summed(shares, BISENET_HEAD, image), summed(shares, BISENET_NECK, image)


def summed(shares: Floats, classes: Sequence[int], image: Image) -> Floats:
    """(H, W) 0..1 the sum of some classes of shares (C, h, w), at the image's size."""
    import cv2

    total = np.ascontiguousarray(shares[list(classes)].sum(axis=0))
    if total.shape != image.shape[:2]:
        total = cv2.resize(total, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(total, 0, 1), np.float32)
