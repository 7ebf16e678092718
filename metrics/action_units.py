"""AUE on MediaPipe blendshapes: do the same facial muscles move as much? Knows no landmark and no tracker of α.

AUE = Σ over coefficients of mean_t (b̂ − b)², b the 0..1 blendshapes that MediaPipe reads from both videos; lower is
better, 0 is perfect. aue.upper: brows, lids, squint, cheeks, nose; aue.lower: jaw and mouth; aue: both. Gaze
(eyeLook…) is no action unit and left out; both parts stand in the detail. Traps: papers sum over OpenFace's action
units {1, 2, 4, 5, 6, 7, 9, 45} and {10, 12, 14, 15, 17, 20, 23, 25, 26} in 0..5: other numbers, not comparable;
MediaPipe's cheekSquint, noseSneer, cheekPuff and jawForward stay below 0.003 on real faces, so raised cheeks and a
wrinkled nose are not seen; a squared error counts one mouth that is wrongly wide open like many small errors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emobench.errors import UnscoredError
from emobench.types import Features, Floats, MetricContext, Sample, Stats

from .faces import MEDIAPIPE_WEIGHT, MediapipeLandmarks
from .pairs import require_aligned
from .signatures import mean_over_clips, signature

VERSION = "1"
PARTS = {
    "upper": ("brow", "eyeBlink", "eyeSquint", "eyeWide", "cheekSquint", "noseSneer"),
    "lower": ("jaw", "mouth", "cheekPuff"),
}


def chosen_columns(names: Sequence[str], part: str) -> list[int]:
    """Columns of the blendshapes that belong to "upper" or "lower"."""
    return [index for index, name in enumerate(names) if name.startswith(PARTS[part])]


def squared_distance(prediction: Floats, reference: Floats, columns: Sequence[int]) -> float:
    """Sum over columns of the mean over frames of the squared difference of (T, K) coefficients."""
    difference: NDArray[np.float64] = prediction[:, columns].astype(np.float64) - reference[:, columns]
    return float(np.square(difference).mean(axis=0).sum())


class ActionUnitError:
    """Upper and lower face together."""

    parts: tuple[str, ...] = ("upper", "lower")

    def __init__(self, context: MetricContext) -> None:
        """Raises Unavailable where MediaPipe's weight is not here: no other detector gives blendshapes."""
        self._extractor = MediapipeLandmarks(context.locate_weight(MEDIAPIPE_WEIGHT))

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ in number or size, or a frame has no face."""
        reference = require_aligned(prediction, reference)
        ours, theirs = features(self._extractor, prediction), features(self._extractor, reference)
        names = [str(name) for name in theirs["names"]]
        if list(names) != [str(name) for name in ours["names"]]:
            raise UnscoredError("blendshapes of prediction and reference differ in name")
        sums = {
            part: squared_distance(ours["blendshapes"], theirs["blendshapes"], chosen_columns(names, part))
            for part in PARTS
        }
        detail: dict[str, float | int | str] = {"frames": len(ours["blendshapes"]), "detector": "mediapipe", **sums}
        return Stats(value=float(sum(sums[part] for part in self.parts)), detail=detail)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def signature(self) -> str:
        variant = f"sum over {' and '.join(self.parts)} face blendshapes of mean squared difference, 0..1, no gaze"
        return signature(variant, weights=self._extractor.label, version=VERSION)


class ActionUnitErrorUpper(ActionUnitError):
    """Brows, lids, squint, cheeks and nose."""

    parts = ("upper",)


class ActionUnitErrorLower(ActionUnitError):
    """Jaw and mouth."""

    parts = ("lower",)
