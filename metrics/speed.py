"""Rendering speed from a prediction's own timings. Measures nothing itself and needs no reference.

fps = frames / (field seconds + composite seconds). Audio encoding, data loading and writing are left out and
reported beside it; published numbers mix all of them. Speeds from different devices are not comparable.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emobench.errors import UnscoredError
from emobench.types import Features, MetricContext, Sample, Stats

from .signatures import signature, told

VERSION = "1"
KEYED_BY = ("device", "threads", "precision", "backend", "torso", "size")  # speeds that differ here do not compare


class RenderSpeed:
    """Frames per second; higher is better. Pooled as total frames over total seconds."""

    def __init__(self, context: MetricContext) -> None:
        del context

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where the prediction carries no timing, or none of a rendering stage."""
        timing = prediction.timing
        if timing is None:
            raise UnscoredError("prediction carries no timing")
        seconds = timing.field_seconds + timing.composite_seconds
        if not seconds > 0 or timing.n_frames <= 0:
            raise UnscoredError("method renders no frame of its own (0 s in field and composite)")
        detail: dict[str, float | int | str] = {
            "field_ms_per_frame": 1e3 * timing.field_seconds / timing.n_frames,
            "composite_ms_per_frame": 1e3 * timing.composite_seconds / timing.n_frames,
            "audio_ms_per_frame": 1e3 * timing.audio_seconds / timing.n_frames,
            "write_ms_per_frame": 1e3 * timing.write_seconds / timing.n_frames,
            "device": timing.device,
            "threads": timing.threads,
            "precision": timing.precision,
            "backend": timing.backend or "none",
            "torso": timing.torso or "none",
            "size": f"{timing.width}×{timing.height}",
        }
        arrays = {"frames": np.array(timing.n_frames), "seconds": np.array(seconds)}
        return Stats(value=timing.n_frames / seconds, arrays=arrays, detail=detail)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        """Total frames / total seconds; None where clips were rendered on different hardware or at different sizes."""
        places = {tuple(entry.detail[name] for name in KEYED_BY) for entry in stats}
        if len(places) != 1:
            return None
        frames = sum(float(entry.arrays["frames"]) for entry in stats)
        return float(frames / sum(float(entry.arrays["seconds"]) for entry in stats))

    def caveat(self, stats: Sequence[Stats]) -> str | None:
        """Why there is no pooled speed, where clips were rendered in different places."""
        mixed = [name for name in KEYED_BY if "+" in told(stats, name)]
        return f"clips were rendered with different {' and '.join(mixed)}" if mixed else None

    def signature(self) -> str:
        """Without the clips' device, threads, precision, backend, torso and size, which stand in each clip's detail."""
        return self.signature_over(())

    def signature_over(self, stats: Sequence[Stats]) -> str:
        """The signature keyed by where these clips were rendered."""
        place = ",".join(f"{name}={told(stats, name)}" for name in KEYED_BY) if stats else "place of each clip"
        variant = f"frames/(field+composite seconds) on {place}"
        return signature(variant, crop="none", pool="total frames/total seconds of one place", version=VERSION)
