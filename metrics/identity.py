"""CSIM: does the rendered face still look like the subject? Knows MobileFaceNet's alignment and nothing of poses.

CSIM = mean over frames of cos(f(x_t), f(y_t)), f = L2-normalised MobileFaceNet embedding of a five-point-aligned face;
higher is better, 1 = same embedding. Traps: the embedding network is part of the name (ArcFace values differ);
synthetic subjects look alike to it, so read it beside the ground-truth row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.errors import UnscoredError
from emobench.types import Features, Floats, MetricContext, Sample, Stats

from .emotion import imagenet_input
from .faces import boxes_told, landmarks_of
from .located import LocatedMetric
from .onnx import OnnxNetwork
from .pairs import require_aligned
from .signatures import signature, weight_label

VERSION = "1"
SIZE_PX = 112
EVERY = 5  # identity does not change from frame to frame; one in five is enough
TEMPLATE = ((38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20))


def five_points(landmarks: Floats) -> NDArray[np.float64]:
    """(T, 5, 2) image-left eye, image-right eye, nose tip, image-left and image-right mouth corner, of iBUG-68."""
    points = landmarks.astype(np.float64)
    eyes = [points[:, 36:42].mean(axis=1), points[:, 42:48].mean(axis=1)]
    return np.stack([*eyes, points[:, 30], points[:, 48], points[:, 54]], axis=1)


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) least-squares rotation, scale and shift taking source (N, 2) to target (N, 2) (Umeyama 1991, in 2-D)."""
    centre, aim = source.mean(axis=0), target.mean(axis=0)
    a, b = source - centre, target - aim
    norm = np.square(a).sum()
    if norm < 1e-9:
        raise UnscoredError("face landmarks coincide")
    cosine, sine = (a * b).sum() / norm, (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / norm
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.concatenate([linear, (aim - linear @ centre)[:, None]], axis=1)


class FaceEmbeddings:
    """Extractor: embeddings (ceil(T / 5), D) float32 of unit length, of every fifth frame."""

    def __init__(self, path: Path) -> None:
        self._network = OnnxNetwork(path)
        self.label = weight_label("mobilefacenet", path)

    def key(self) -> str:
        return f"mobilefacenet|{self.label}|five points|{SIZE_PX}px bilinear|every {EVERY}|1"

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Raises UnscoredError where landmarks coincide."""
        import cv2

        points = five_points(landmarks_of(sample))[::EVERY]
        embeddings = []
        for frame, source in zip(sample.frames[::EVERY], points, strict=True):
            matrix = similarity(source - 0.5, np.array(TEMPLATE))  # OpenCV's pixel centres lie at integers
            chip = np.asarray(cv2.warpAffine(frame, matrix, (SIZE_PX, SIZE_PX), flags=cv2.INTER_LINEAR), np.uint8)
            embeddings.append(self._network.run(imagenet_input(chip[None]))[0].ravel())
        stacked = np.stack(embeddings)
        return {"embeddings": stacked / np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), 1e-12)}


class Csim(LocatedMetric):
    """Cosine similarity −1..1 of prediction and reference in the same frame; higher is better."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where MobileFaceNet is not here."""
        super().__init__(context)
        self._extractor = FaceEmbeddings(context.locate_weight("mobilefacenet"))

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size, or no face was found."""
        reference = require_aligned(prediction, reference)
        ours = features(self._extractor, self._locate(prediction, reference, features))["embeddings"]
        theirs = features(self._extractor, self._locate(reference, reference, features))["embeddings"]
        lengths = np.linalg.norm(ours.astype(np.float64), axis=1) * np.linalg.norm(theirs.astype(np.float64), axis=1)
        cosines = (ours.astype(np.float64) * theirs).sum(axis=1) / lengths
        detail: dict[str, float | int | str] = {"frames": len(cosines), "box_source": self._locate.source(reference)}
        return Stats(value=float(cosines.mean()), detail=detail)

    def signature_over(self, stats: Sequence[Stats]) -> str:
        return signature(
            f"cosine of the same frame, every {EVERY}th frame", weights=self._extractor.label,
            crop=f"five-point similarity; boxes: {boxes_told(stats)}", resize=f"bilinear {SIZE_PX}", version=VERSION,
        )
