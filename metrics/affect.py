"""Valence, arousal and intensity level: emotion as a degree. Knows no class accuracy and no network but HSEmotion's.

emotion.valence, emotion.arousal = mean over frames of |v̂_t − v_t|, v in −1..1 as the multi-task HSEmotion network
reads it from both videos; lower is better, 0 is perfect. emotion.level = Spearman's rank correlation of the emotion
judge's probability of the tag with the intensity level, in each group of clips of one subject and emotion that has
at least two levels, mean over groups weighed by clips; −1..1, higher is better, 0 where the probability never changes.
Traps: valence and arousal of a network are no self-report: read them beside the ground-truth row; a judge that is sure
of every clip ranks rounding errors, so a low ground-truth row means that the metric says nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emobench.errors import Inapplicable, Unavailable
from emobench.types import Features, Floats, MetricContext, Sample, Stats

from .emotion import HSEMOTION_CLASSES, HSEMOTION_PX, imagenet_input, square_crops
from .faces import boxes_told
from .located import LocatedMetric
from .onnx import OnnxNetwork
from .pairs import require_aligned
from .signatures import signature, weight_label

VERSION = "1"
VALENCE_WEIGHT = "hsemotion.enet_b0_8_va_mtl"
OUTPUTS = len(HSEMOTION_CLASSES) + 2  # eight logits, then valence, then arousal; see HsEmotionAffect


class HsEmotionAffect:
    """Extractor: valence (T,) and arousal (T,) float32, about −1..1 and unbounded.

    The order of the outputs is that of the packages: hsemotion 0.3.0 takes the softmax over scores[:-2] only, and their
    author writes that the first eight outputs are the logits and "the last two outputs stand for valence and arousal",
    without an activation (EmotiEffLib issues 24 and 40).
    """

    scale = 1.2

    def __init__(self, path: Path) -> None:
        """Raises Unavailable where the file is another network."""
        self._network = OnnxNetwork(path)
        width = self._network.output_width
        if width not in (None, OUTPUTS):
            raise Unavailable(f"{path.name} gives {width} outputs, {OUTPUTS} were expected")
        self.label = weight_label(VALENCE_WEIGHT, path)

    def key(self) -> str:
        return f"hsemotion-va|{self.label}|square ×{self.scale}|{HSEMOTION_PX}px bilinear|1"

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Raises UnscoredError where a face has no size."""
        crops = square_crops(sample, self.scale, HSEMOTION_PX)
        rows = np.concatenate([self._network.run(imagenet_input(crop[None])) for crop in crops])
        return {"valence": rows[:, -2].astype(np.float32), "arousal": rows[:, -1].astype(np.float32)}


class AffectError(LocatedMetric):
    """Mean absolute difference of valence or arousal in the same frame; lower is better."""

    def __init__(self, context: MetricContext, dimension: Literal["valence", "arousal"]) -> None:
        """Raises Unavailable where the weights are not here."""
        super().__init__(context)
        self._dimension = dimension
        self._extractor = HsEmotionAffect(context.locate_weight(VALENCE_WEIGHT))

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size, or no face was found."""
        reference = require_aligned(prediction, reference)
        ours, theirs = (self._read(sample, reference, features) for sample in (prediction, reference))
        detail: dict[str, float | int | str] = {
            "prediction": float(ours.mean()),
            "reference": float(theirs.mean()),
            "frames": len(ours),
            "box_source": self._locate.source(reference),
        }
        return Stats(value=float(np.abs(ours - theirs).mean()), detail=detail)

    def _read(self, sample: Sample, reference: Sample, features: Features) -> NDArray[np.float64]:
        found: Floats = features(self._extractor, self._locate(sample, reference, features))[self._dimension]
        return found.astype(np.float64)

    def signature_over(self, stats: Sequence[Stats]) -> str:
        return signature(
            f"mean |difference| of {self._dimension} per frame, −1..1", weights=self._extractor.label,
            crop=f"square landmark box ×{HsEmotionAffect.scale}; boxes: {boxes_told(stats)}",
            resize=f"bilinear {HSEMOTION_PX}", version=VERSION,
        )


def valence_error(context: MetricContext) -> AffectError:
    """Unpleasant to pleasant. Raises Unavailable where the weights are not here."""
    return AffectError(context, "valence")


def arousal_error(context: MetricContext) -> AffectError:
    """Calm to excited. Raises Unavailable where the weights are not here."""
    return AffectError(context, "arousal")


class EmotionLevel(LocatedMetric):
    """Does a higher intensity level look like more of the emotion? Exists only over clips of several levels."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where no train split is at hand, or the judge cannot be trained on it."""
        if context.judges is None:
            raise Unavailable("the emotion judge needs a dataset's train split; score inside a run of a dataset")
        super().__init__(context)
        self._extractor = context.judges.emotion()

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError: no emotion or level, an emotion that the judge does not know, or no face."""
        owner = reference or prediction
        if owner.emotion is None or owner.intensity is None:
            raise Inapplicable("clip has no emotion tag with an intensity level")
        found = features(self._extractor, self._locate(prediction, reference, features))
        classes = [str(name) for name in found["classes"]]
        if owner.emotion not in classes:
            raise Inapplicable(f"emotion {owner.emotion!r} is not among the judge's classes: {', '.join(classes)}")
        probability = found["probabilities"].astype(np.float64).mean(axis=0)[classes.index(owner.emotion)]
        detail: dict[str, float | int | str] = {
            "subject": owner.subject,
            "emotion": owner.emotion,
            "level": owner.intensity,
            "probability": float(probability),
            "box_source": self._locate.source(reference),
        }
        return Stats(value=None, reason="pooled only", detail=detail)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        """Mean of the groups' rank correlations, weighed by their clips; None where no group has two levels."""
        groups = level_groups(stats)
        if not groups:
            return None
        correlations = [rank_correlation(levels, probabilities) for levels, probabilities in groups.values()]
        return float(np.average(correlations, weights=[len(levels) for levels, _ in groups.values()]))

    def caveat(self, stats: Sequence[Stats]) -> str:
        """How many groups and clips had a part, or why there is no value."""
        groups = level_groups(stats)
        if not groups:
            return "no subject has clips of one emotion at two intensity levels"
        clips = sum(len(levels) for levels, _ in groups.values())
        return f"{clips} clips in {len(groups)} groups of one subject and emotion"

    def signature_over(self, stats: Sequence[Stats]) -> str:
        return signature(
            "Spearman of the tag's mean probability with the intensity level", weights=self._extractor.key(),
            crop=f"judge's own; boxes: {boxes_told(stats)}",
            pool="mean over groups of one subject and emotion with two levels, weighed by clips", version=VERSION,
        )


def level_groups(stats: Sequence[Stats]) -> dict[tuple[str, str], tuple[list[float], list[float]]]:
    """(levels, probabilities) by (subject, emotion), of groups with at least two different levels."""
    groups: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for entry in stats:
        key = (str(entry.detail["subject"]), str(entry.detail["emotion"]))
        levels, probabilities = groups.setdefault(key, ([], []))
        levels.append(float(entry.detail["level"]))
        probabilities.append(float(entry.detail["probability"]))
    return {key: group for key, group in groups.items() if len(set(group[0])) > 1}


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's ρ with mean ranks for ties; 0 where one side is constant."""
    ranks = np.array([mean_ranks(np.asarray(side, np.float64)) for side in (a, b)])
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    lengths = np.sqrt(np.square(centred).sum(axis=1))
    return float(centred[0] @ centred[1] / (lengths[0] * lengths[1])) if (lengths > 0).all() else 0.0


def mean_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) ranks from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[inverse], np.float64)
