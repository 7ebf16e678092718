"""Error of predicted expression parameters against the tracked ones. Knows nothing of pixels or of any tracker.

e = mean over frames and chosen coefficients of |α̂ − α|, in the tracker's own units. Values from different
trackers, or over different coefficient sets, are not comparable: the clip's detail names both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emobench.errors import Inapplicable, UnscoredError
from emobench.types import Features, MetricContext, Sample, Stats, Track

from .pairs import require_reference
from .signatures import mean_over_clips, signature, told

VERSION = "1"
POSE_WORDS = ("pose", "head")  # head rotation is handed to methods, so it is no part of the expression


class _AlphaError(ABC):
    """Mean absolute error over a chosen group of coefficients; lower is better, 0 is perfect."""

    group = ""

    def __init__(self, context: MetricContext) -> None:
        del context

    @abstractmethod
    def choose(self, track: Track) -> NDArray[np.bool_]:
        """(K,) the coefficients that count."""

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where either side has no α, or their shapes differ."""
        reference = require_reference(reference)
        track = reference.track
        if track is None:
            raise Inapplicable("reference has no tracked expression parameters")
        if prediction.alpha is None:
            raise Inapplicable("method predicts no expression parameters")
        if prediction.alpha.shape != track.alpha.shape:
            raise UnscoredError(f"predicted α has shape {prediction.alpha.shape}, tracked α {track.alpha.shape}")
        chosen = self.choose(track)
        if not chosen.any() or not track.valid.any():
            raise Inapplicable(f"tracker {track.source!r} gives no {self.group} coefficient or no valid frame")
        error = np.abs(prediction.alpha.astype(np.float64) - track.alpha)[track.valid][:, chosen]
        if not np.isfinite(error).all():
            raise UnscoredError("predicted or tracked α is not finite")
        detail = {
            "tracker": track.source,
            "coefficients": int(chosen.sum()),
            "frames": int(track.valid.sum()),
            "untracked_frames": int((~track.valid).sum()),
        }
        return Stats(value=float(error.mean()), detail=detail)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def signature(self) -> str:
        """The tracker is the reference track's own, named in each clip's detail."""
        return self.signature_over(())

    def signature_over(self, stats: Sequence[Stats]) -> str:
        """The signature with the tracker and the number of coefficients of these clips."""
        tracker = f"{told(stats, 'tracker')}:{told(stats, 'coefficients')}" if stats else "of the reference"
        variant = f"mean |Δα| over {self.group} coefficients, tracker={tracker}"
        return signature(variant, crop="none", version=VERSION)


def _is_pose(track: Track) -> NDArray[np.bool_]:
    return np.array([any(word in name.lower() for word in POSE_WORDS) for name in track.alpha_names], bool)


class AlphaMouth(_AlphaError):
    """Over Track.is_mouth: mouth, jaw and tongue."""

    group = "mouth"

    def choose(self, track: Track) -> NDArray[np.bool_]:
        return track.is_mouth & ~_is_pose(track)


class AlphaUpper(_AlphaError):
    """Over the coefficients that are neither mouth nor head pose: brows, lids, gaze, cheeks, nose."""

    group = "upper-face"

    def choose(self, track: Track) -> NDArray[np.bool_]:
        return ~track.is_mouth & ~_is_pose(track)
