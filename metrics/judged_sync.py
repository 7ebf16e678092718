"""Lip-sync under the dataset's own judge. Knows only the judge's distances, not its network.

margin = median_τ d(τ) − d(0) over offsets −15..15 frames, d the judge's mean distance between mouth and sound: higher
is better, about 0 for a mouth that ignores the sound, negative for one that is off. Unlike LSE-C it is taken at
offset 0, so a delayed mouth loses. The best offset stands in the detail.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emobench.errors import Unavailable
from emobench.types import Features, MetricContext, Sample, Stats

from .faces import boxes_told
from .located import LocatedMetric
from .signatures import signature

VERSION = "1"
NEAR_FRAMES = 1  # a best offset within it counts as right where the judge itself is graded


class SyncJudge(LocatedMetric):
    """Margin at offset zero; see the module's words."""

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where no train split is at hand, or the judge cannot be trained on it."""
        if context.judges is None:
            raise Unavailable("the lip-sync judge needs a dataset's train split; score inside a run of a dataset")
        super().__init__(context)
        self._extractor = context.judges.lipsync()

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError: no audio, no face, too short."""
        found = features(self._extractor, self._locate(prediction, reference, features))
        distances, offsets = found["distances"].astype(np.float64), found["offsets"]
        zero = int(np.flatnonzero(offsets == 0)[0])
        detail: dict[str, float | int | str] = {
            "distance": float(distances[zero]),
            "best_offset_frames": int(offsets[int(np.argmin(distances))]),
            "windows": int(found["windows"]),
            "judge": "lipsync",
            "judge_right": int(abs(int(offsets[int(np.argmin(distances))])) <= NEAR_FRAMES),
            "box_source": self._locate.source(reference),
        }
        return Stats(value=float(np.median(distances) - distances[zero]), detail=detail)

    def signature_over(self, stats: Sequence[Stats]) -> str:
        variant = "margin at offset 0: median over ±15 frames minus distance at 0"
        crop = f"judge's own; boxes: {boxes_told(stats)}"
        return signature(variant, weights=self._extractor.key(), crop=crop, version=VERSION)
