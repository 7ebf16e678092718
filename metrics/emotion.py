"""Emotion accuracy: does a classifier read the emotion that was asked for? Knows the classifiers' classes and crops.

Value of a clip: 100 where the top class of the mean probability over frames is the clip's emotion, else 0; the mean
over clips is the accuracy in %. Traps: accuracies of different networks, or over different class lists, are not
comparable; a clip whose emotion a network does not know is unscored, not wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.errors import Inapplicable, Unavailable, UnscoredError
from emobench.types import EMOTIONS, Extractor, Features, Floats, MetricContext, Sample, Stats

from . import expressnet
from .batches import batches
from .faces import boxes_told, landmarks_of
from .located import LocatedMetric
from .onnx import OnnxNetwork
from .signatures import signature, weight_label
from .unpickling import PickledNetwork

VERSION = "1"
HSEMOTION_WEIGHT = "hsemotion.enet_b0_8_best_vgaf"
PICKLED_WEIGHT = "hsemotion.pickled.enet_b0_8_best_vgaf"
# Anger, Contempt, Disgust, Fear, Happiness, Neutral, Sadness, Surprise: AffectNet's eight in HSEmotion's order
HSEMOTION_CLASSES = ("angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised")
HSEMOTION_PX = 224
TAG_SCALE = 10.0  # of the tag–image judge's cosines before the softmax
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def square_crops(located: Sample, scale: float, size_px: int) -> Iterator[NDArray[np.uint8]]:
    """(size, size, 3) a frame: the square around its landmark box × scale, black outside the frame."""
    import cv2

    landmarks = landmarks_of(located).astype(np.float64)
    low, high = landmarks.min(axis=1), landmarks.max(axis=1)
    centres, sides = (low + high) / 2, (high - low).max(axis=1) * scale
    if not (sides > 1).all():
        raise UnscoredError(f"face of no size in frame {int(np.argmin(sides))} of {len(sides)}")
    for frame, (x, y), side in zip(located.frames, centres, sides, strict=True):
        step = size_px / side
        # Pixel centres lie at +0.5 in our coordinates, at integers in OpenCV's.
        shift = [(0.5 - centre) * step + size_px / 2 - 0.5 for centre in (x, y)]
        matrix = np.array([[step, 0.0, shift[0]], [0.0, step, shift[1]]])
        yield np.asarray(cv2.warpAffine(frame, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR), np.uint8)


class ExpressNetProbabilities:
    """Extractor: probabilities (T, 7) in the order of expressnet.CLASSES."""

    scale = 1.1

    def __init__(self, folder: Path, device: str) -> None:
        self._network = expressnet.ExpressNet(folder, device)
        self.label = weight_label("expressnet", *expressnet.weight_files(folder))

    def key(self) -> str:
        return f"expressnet|{self.label}|square ×{self.scale}|{expressnet.SIZE_PX}px bilinear|2"

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Raises UnscoredError where a face has no size."""
        crops = square_crops(sample, self.scale, expressnet.SIZE_PX)
        parts = [self._network.probabilities(batch)[:count] for batch, count in batches(crops)]
        return {"probabilities": np.concatenate(parts), "classes": np.array(expressnet.CLASSES)}


class HsEmotionProbabilities:
    """Extractor: probabilities (T, 8) in the order of HSEMOTION_CLASSES."""

    scale = 1.2

    def __init__(self, network: OnnxNetwork | PickledNetwork, label: str) -> None:
        self._network, self.label = network, label

    def key(self) -> str:
        return f"hsemotion|{self.label}|square ×{self.scale}|{HSEMOTION_PX}px bilinear|1"

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Raises UnscoredError where a face has no size."""
        crops = square_crops(sample, self.scale, HSEMOTION_PX)
        logits = np.concatenate([self._network.run(imagenet_input(crop[None])) for crop in crops])
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return {"probabilities": odds / odds.sum(axis=1, keepdims=True), "classes": np.array(HSEMOTION_CLASSES)}


def imagenet_input(images: NDArray[np.uint8]) -> Floats:
    """(B, H, W, 3) uint8 RGB → (B, 3, H, W) float32, ImageNet mean and deviation."""
    mean, deviation = np.array(IMAGENET_MEAN, np.float32), np.array(IMAGENET_STD, np.float32)
    scaled = (images.astype(np.float32) / np.float32(255.0) - mean) / deviation
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)


class _EmotionAccuracy(LocatedMetric):
    """Top-1 of the clip's mean probability; higher is better, chance is 100 / number of classes."""

    classes: tuple[str, ...] = ()  # of the network; () = those of the dataset's train split
    crop = ""
    resize = "none"
    judge = ""  # name in the judges' report; "" for networks from elsewhere

    def __init__(self, context: MetricContext, extractor: Extractor, label: str) -> None:
        super().__init__(context)
        self._extractor = extractor
        self._label = label
        self._chosen = context.classes  # () = all

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError: no emotion asked for, one that the network does not know, or no face."""
        wanted = prediction.emotion if reference is None else reference.emotion or prediction.emotion
        if wanted is None:
            raise Inapplicable("clip has no emotion tag")
        found = features(self._extractor, self._locate(prediction, reference, features))
        classes = [str(name) for name in found["classes"]]
        if wanted not in classes:
            raise Inapplicable(f"emotion {wanted!r} is not among the network's classes: {', '.join(classes)}")
        probabilities = self.read(found)
        if self._chosen:
            if wanted not in self._chosen:
                raise Inapplicable(f"emotion {wanted!r} is not among the protocol's: {', '.join(self._chosen)}")
            kept = [index for index, name in enumerate(classes) if name in self._chosen]
            classes, probabilities = [classes[index] for index in kept], probabilities[:, kept]
            probabilities = probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
        mean = probabilities.mean(axis=0)
        predicted = classes[int(np.argmax(mean))]
        detail: dict[str, float | int | str] = {
            "predicted": predicted,
            "wanted": wanted,
            "probability": float(mean[classes.index(wanted)]),
            "frames": len(prediction.frames),
            "box_source": self._locate.source(reference),
            **({"judge": self.judge, "judge_right": int(predicted == wanted)} if self.judge else {}),
        }
        return Stats(value=100.0 if predicted == wanted else 0.0, arrays={"probabilities": mean}, detail=detail)

    def read(self, found: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """(T, E) probabilities from what the extractor gives; one row where it knows the clip only as a whole."""
        return np.asarray(found["probabilities"], np.float64)

    def signature_over(self, stats: Sequence[Stats]) -> str:
        known = tuple(name for name in self.classes if not self._chosen or name in self._chosen)
        masked = [name for name in EMOTIONS if self.classes and name not in known]
        masking = f", unscored: {'+'.join(masked)}" if masked else ""
        told = f"{len(known)} classes" if self.classes else "classes of the dataset's train split"
        if self._chosen and not self.classes:
            told = f"those of {'+'.join(self._chosen)} in the dataset's train split"
        return signature(
            f"top-1 of mean probability over frames, {told}{masking}", weights=self._label,
            crop=f"{self.crop}; boxes: {boxes_told(stats)}", resize=self.resize, version=VERSION,
        )


class HsEmotion(_EmotionAccuracy):
    """HSEmotion EfficientNet-B0 through ONNX, 8 classes."""

    classes = HSEMOTION_CLASSES
    crop = f"square landmark box ×{HsEmotionProbabilities.scale}"
    resize = f"bilinear {HSEMOTION_PX}"

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where the weights are not here, or are another network's."""
        network, label = self.open(context)
        super().__init__(context, HsEmotionProbabilities(network, label), label)

    def open(self, context: MetricContext) -> tuple[OnnxNetwork | PickledNetwork, str]:
        """The network, and how signatures name its weights."""
        path = context.locate_weight(HSEMOTION_WEIGHT)
        network = OnnxNetwork(path)
        if network.output_width not in (None, len(HSEMOTION_CLASSES)):
            raise Unavailable(
                f"{path.name} gives {network.output_width} classes, {len(HSEMOTION_CLASSES)} were expected"
            )
        return network, weight_label(HSEMOTION_WEIGHT, path)


class PickledHsEmotion(HsEmotion):
    """The same network from the hsemotion package's pickled file, in a process of its own, where the user allows it."""

    def open(self, context: MetricContext) -> tuple[OnnxNetwork | PickledNetwork, str]:
        """Raises Unavailable unless the user named this file's sha256."""
        if not context.unpickle_sha256:
            raise Unavailable(
                f"{PICKLED_WEIGHT} is a pickle, and a pickle is a program. To run one whose sha256 you trust: "
                "--allow-unpickle SHA256. emotion.hsemotion reads the same network from ONNX"
            )
        path = context.locate_weight(PICKLED_WEIGHT)
        network = PickledNetwork(path, context.unpickle_sha256, len(HSEMOTION_CLASSES))
        return network, weight_label(PICKLED_WEIGHT, path)


class ExpressNetEmotion(_EmotionAccuracy):
    """The network of face-api.js, 7 classes: clips of contempt are unscored."""

    classes = expressnet.CLASSES
    crop = f"square landmark box ×{ExpressNetProbabilities.scale}"
    resize = f"bilinear {expressnet.SIZE_PX}"

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where the weights are not here."""
        extractor = ExpressNetProbabilities(context.locate_weight("expressnet"), context.device)
        super().__init__(context, extractor, extractor.label)


class JudgedEmotion(_EmotionAccuracy):
    """The dataset's own emotion judge, trained on its train split."""

    crop = "judge's own"
    judge = "emotion"

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where no train split is at hand, or the judge cannot be trained on it."""
        if context.judges is None:
            raise Unavailable("the emotion judge needs a dataset's train split; score inside a run of a dataset")
        extractor = context.judges.emotion()
        super().__init__(context, extractor, extractor.key())


class TaggedEmotion(_EmotionAccuracy):
    """The dataset's own tag–image judge: the emotion whose tag lies nearest to the clip's frames in the mean."""

    crop = "judge's own"
    judge = "tags"

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where no train split is at hand, or the judge cannot be trained on it."""
        if context.judges is None:
            raise Unavailable("the tag–image judge needs a dataset's train split; score inside a run of a dataset")
        extractor = context.judges.tags()
        super().__init__(context, extractor, extractor.key())

    def read(self, found: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """(1, E): the softmax of the clip's mean cosines times TAG_SCALE, which keeps their order."""
        odds = np.exp(TAG_SCALE * np.asarray(found["similarity"], np.float64).mean(axis=0, keepdims=True))
        return np.asarray(odds / odds.sum(), np.float64)
