"""Mouth opening over time: does the predicted mouth open when the reference's does? Knows no lip-sync network.

r = Pearson correlation over frames of the predicted inner-lip gap (read from pixels) with the tracked one. The
correlation with the sound's energy stands in the detail: on real speech it is weak even for ground truth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emobench.errors import Inapplicable, UnscoredError
from emobench.face.landmarks import mouth_opening
from emobench.types import SAMPLE_RATE_HZ, Features, Floats, MetricContext, Sample, Stats

from .faces import landmarker_used
from .landmarks import LandmarkDetector
from .pairs import require_aligned
from .signatures import mean_over_clips, signature

VERSION = "1"
STILL = 1e-4  # standard deviation of opening / inter-ocular distance below which a mouth does not move
MAX_LAG_FRAMES = 5


def pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Correlation of two series of one length; None where one is constant or they are shorter than 3."""
    if len(a) < 3 or a.std() < 1e-12 or b.std() < 1e-12:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def frame_energy_db(audio: Floats, fps: float, count: int) -> NDArray[np.float64]:
    """(count,) loudness of each frame's samples, dB; frames past the end of the sound count as silence."""
    edges = np.round(np.arange(count + 1) * SAMPLE_RATE_HZ / fps).astype(int)
    power = np.concatenate([[0.0], np.cumsum(np.square(audio.astype(np.float64)))])
    edges = np.minimum(edges, len(audio))
    mean = np.diff(power[edges]) / np.maximum(np.diff(edges), 1)
    return np.asarray(10.0 * np.log10(np.maximum(mean, 1e-8)), np.float64)


def best_lag(opening: NDArray[np.float64], energy: NDArray[np.float64]) -> tuple[int, float] | None:
    """(lag in frames, r) where the correlation peaks; positive: the mouth is late."""
    found = []
    for lag in range(-MAX_LAG_FRAMES, MAX_LAG_FRAMES + 1):
        a = opening[max(lag, 0) : len(opening) + min(lag, 0)]
        b = energy[max(-lag, 0) : len(energy) + min(-lag, 0)]
        r = pearson(a, b)
        if r is not None:
            found.append((r, -abs(lag), lag))
    return (max(found)[2], max(found)[0]) if found else None


class MouthOpening:
    """Correlation −1..1, higher is better; a mouth that does not move at all scores 0."""

    def __init__(self, context: MetricContext) -> None:
        self._detect = LandmarkDetector(context)

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where frames differ, a face is missing, or the reference is untracked or still."""
        reference = require_aligned(prediction, reference)
        if reference.track is None:
            raise Inapplicable("reference has no track to compare the mouth opening with")
        opening = np.asarray(mouth_opening(self._detect(prediction, reference, features)), np.float64)
        tracked = np.asarray(mouth_opening(reference.track.landmarks), np.float64)
        valid = reference.track.valid
        if valid.sum() < 5:
            raise UnscoredError(f"reference is tracked in {int(valid.sum())} frames, 5 are needed")
        if tracked[valid].std() < STILL:
            raise Inapplicable("reference's mouth does not move")
        still = opening[valid].std() < STILL
        r = 0.0 if still else pearson(opening[valid], tracked[valid]) or 0.0
        detail: dict[str, float | int | str] = {
            "tracker": reference.track.source, "frames": int(valid.sum()), "detector": self._detect.name
        }
        if still:
            detail["still"] = "predicted mouth does not move"
        if prediction.audio is not None and not still:
            energy = frame_energy_db(prediction.audio, prediction.fps, len(opening))
            at_zero, peak = pearson(opening, energy), best_lag(opening, energy)
            if at_zero is not None and peak is not None:
                detail |= {"audio_r": at_zero, "audio_best_r": peak[1], "audio_best_lag_frames": peak[0]}
        return Stats(value=r, detail=detail)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def weights_used(self, stats: Sequence[Stats]) -> Sequence[str]:
        return landmarker_used(stats)

    def signature(self) -> str:
        variant = "Pearson r over frames of inner-lip gap/inter-ocular, prediction's pixels against reference track"
        return signature(variant, weights=self._detect.label, version=VERSION)
