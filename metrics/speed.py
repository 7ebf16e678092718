"""Speed and memory from a prediction's own timing: rendering and the audio stage. Measures nothing itself.

fps.render = frames / (field seconds + composite seconds), frames a second, higher is better. latency.audio =
1000 · seconds of the audio stage / seconds of speech, ms for one second of speech, lower is better. Loading of data
and writing are left out and reported beside them; published numbers mix all of them. Traps: speeds from different
devices, thread counts, precisions, backends and sizes are not comparable, so they are never pooled; latency.audio is
the whole stage over a clip, not the delay until its first frame.
memory.peak = memory while a clip was rendered, MiB, lower is better: what torch allocated on a CUDA device at most,
else the additional resident memory of the process (Linux): its peak less what was resident when rendering began. The
second leaves out the model, and memory that training freed and the allocator hands out again: it says how clips and
sizes of one method differ, and is never ranked between methods.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emobench.errors import Inapplicable, UnscoredError
from emobench.types import Features, MetricContext, Sample, Stats, Timing

from .signatures import signature, told

VERSION = "1"
MEMORY_VERSION = "2"  # 1 was the resident memory of the whole process, whatever it had done before
NOT_RANKED = "not ranked"  # as reports read it in a signature: no value of such a column is marked as the best
MEBIBYTE = 1 << 20
KEYED_BY = ("device", "threads", "precision", "backend", "torso", "size")  # speeds that differ here do not compare


def timing_of(prediction: Sample) -> Timing:
    """The prediction's timing. Raises UnscoredError where it carries none, or one of no frame."""
    if prediction.timing is None:
        raise Inapplicable("prediction carries no timing")
    if prediction.timing.n_frames <= 0:
        raise UnscoredError("prediction's timing is of no frame")
    return prediction.timing


def place_of(timing: Timing) -> dict[str, float | int | str]:
    """Where and how a clip was rendered: the entries of KEYED_BY."""
    return {
        "device": timing.device,
        "threads": timing.threads,
        "precision": timing.precision,
        "backend": timing.backend or "none",
        "torso": timing.torso or "none",
        "size": f"{timing.width}×{timing.height}",
    }


class _OfOnePlace:
    """A speed that is pooled as a total over a total, and only over clips rendered in one place."""

    variant = ""
    pool = ""
    version = VERSION

    def __init__(self, context: MetricContext) -> None:
        del context

    keys: tuple[str, ...] = KEYED_BY

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        """Total of "amount" / total of "per"; None where clips were rendered on different hardware or settings."""
        if not self._is_one_place(stats):
            return None
        amount = sum(float(entry.arrays["amount"]) for entry in stats)
        return float(amount / sum(float(entry.arrays["per"]) for entry in stats))

    def _is_one_place(self, stats: Sequence[Stats]) -> bool:
        return len({tuple(entry.detail[name] for name in self.keys) for entry in stats}) == 1

    def caveat(self, stats: Sequence[Stats]) -> str | None:
        """Why there is no pooled speed, where clips were rendered in different places."""
        mixed = [name for name in self.keys if "+" in told(stats, name)]
        return f"clips were rendered with different {' and '.join(mixed)}" if mixed else None

    def signature(self) -> str:
        """Without the clips' device, threads, precision, backend, torso and size, which stand in each clip's detail."""
        return self.signature_over(())

    def signature_over(self, stats: Sequence[Stats]) -> str:
        """The signature keyed by where these clips were rendered."""
        place = ",".join(f"{name}={told(stats, name)}" for name in self.keys) if stats else "place of each clip"
        return signature(f"{self.variant} on {place}", crop="none", pool=self.pool, version=self.version)


class RenderSpeed(_OfOnePlace):
    """Frames per second; higher is better. Pooled as total frames over total seconds."""

    variant = "frames/(field+composite seconds)"
    pool = "total frames/total seconds of one place"

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where the prediction carries no timing, or none of a rendering stage."""
        timing = timing_of(prediction)
        seconds = timing.field_seconds + timing.composite_seconds
        if not seconds > 0:
            raise Inapplicable("method renders no frame of its own (0 s in field and composite)")
        detail: dict[str, float | int | str] = {
            "field_ms_per_frame": 1e3 * timing.field_seconds / timing.n_frames,
            "composite_ms_per_frame": 1e3 * timing.composite_seconds / timing.n_frames,
            "audio_ms_per_frame": 1e3 * timing.audio_seconds / timing.n_frames,
            "write_ms_per_frame": 1e3 * timing.write_seconds / timing.n_frames,
            **place_of(timing),
        }
        arrays = {"amount": np.array(timing.n_frames), "per": np.array(seconds)}
        return Stats(value=timing.n_frames / seconds, arrays=arrays, detail=detail)


class AudioLatency(_OfOnePlace):
    """Milliseconds of audio encoding and expression prediction for a second of speech; lower is better."""

    variant = "1000·audio seconds/speech seconds"
    pool = "total audio seconds/total speech seconds of one place"

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where the prediction carries no timing, or its method has no audio stage."""
        timing = timing_of(prediction)
        if not timing.audio_seconds > 0:
            raise Inapplicable("method has no audio stage (0 s)")
        speech = timing.n_frames / prediction.fps
        arrays = {"amount": np.array(1e3 * timing.audio_seconds), "per": np.array(speech)}
        detail = {"speech_seconds": speech, **place_of(timing)}
        return Stats(value=1e3 * timing.audio_seconds / speech, arrays=arrays, detail=detail)


class PeakMemory(_OfOnePlace):
    """MiB at most while rendering, on a processor in addition to what was resident before; the greatest of the clips.

    Lower is better.
    """

    variant = "max MiB while rendering"
    pool = "greatest of the clips of one place"
    version = MEMORY_VERSION
    keys = ("memory", *KEYED_BY)
    bootstrap_resamples = 0  # the greatest of a resample says nothing about the greatest

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError where the prediction carries no timing, or its memory was not measured."""
        timing = timing_of(prediction)
        peak = timing.peak_cuda_bytes or timing.added_rss_bytes
        if peak is None:
            raise Inapplicable("peak memory was not measured where this was rendered (it needs Linux or CUDA)")
        detail: dict[str, float | int | str] = {
            "memory": "CUDA allocations" if timing.peak_cuda_bytes else f"additional resident ({NOT_RANKED})",
            "added_rss_mib": (timing.added_rss_bytes or 0) / MEBIBYTE,
            "cuda_mib": timing.peak_cuda_bytes / MEBIBYTE,
            **place_of(timing),
        }
        return Stats(value=peak / MEBIBYTE, detail=detail)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        """The greatest; None where clips were rendered on different hardware or settings."""
        return max(float(entry.value or 0.0) for entry in stats) if self._is_one_place(stats) else None
