"""Metrics by name over clips: build them, measure one clip. Knows no metric by name and writes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from emobench import registry
from emobench.errors import Unavailable, UnscoredError
from emobench.types import Features, Metric, MetricContext, Sample, Score, Stats


def build(names: Iterable[str], context: MetricContext) -> dict[str, Metric | Unavailable]:
    """Each metric, or why it cannot run here. Raises UsageError for an unknown or broken name."""
    return {name: _build_one(name, context) for name in names}


def _build_one(name: str, context: MetricContext) -> Metric | Unavailable:
    spec = registry.find("metric", name)
    missing = registry.missing_module(spec)
    if missing:
        return Unavailable(f"{name} needs the package {missing}, which is not installed. Install it with pip.")
    try:
        metric: Metric = registry.load_object(spec.factory)(context)
    except Unavailable as error:
        return error
    return metric


def measure_clip(
    metrics: Mapping[str, Metric | Unavailable], prediction: Sample, reference: Sample | None, features: Features
) -> list[tuple[Score, Stats | None]]:
    """One (Score, Stats) per metric in order; Stats is None where the clip is unscored, with the reason in Score."""
    return [_measure_one(name, metric, prediction, reference, features) for name, metric in metrics.items()]


def _measure_one(
    name: str, metric: Metric | Unavailable, prediction: Sample, reference: Sample | None, features: Features
) -> tuple[Score, Stats | None]:
    clip = prediction.clip_id
    if isinstance(metric, Unavailable):
        return Score(clip=clip, metric=name, value=None, reason=f"unavailable: {metric}"), None
    try:
        stats = metric.measure(prediction, reference, features)
    except UnscoredError as error:
        return Score(clip=clip, metric=name, value=None, reason=str(error)), None
    if stats.value is not None and not math.isfinite(stats.value):
        return Score(clip=clip, metric=name, value=None, reason=f"value is {stats.value}", detail=stats.detail), None
    return Score(clip=clip, metric=name, value=stats.value, reason=stats.reason, detail=stats.detail), stats


def aggregate(metric: Metric, stats: Sequence[Stats]) -> tuple[float | None, str | None]:
    """(value, reason) over clips: reason says why there is no value, or what to know about the one there is."""
    if not stats:
        return None, "no clip was scored"
    value = metric.aggregate(stats)
    if value is None:
        reasons = sorted({entry.reason for entry in stats if entry.reason})
        return None, ", ".join(reasons) or "no clip has a value of its own"
    caveat = getattr(metric, "caveat", None)  # optional hook: what a reader must know, such as too small a sample
    return value, caveat(stats) if callable(caveat) else None


def signature_over(metric: Metric, stats: Sequence[Stats]) -> str:
    """The metric's signature, completed where it has the hook by what only clips know (device, tracker)."""
    complete = getattr(metric, "signature_over", None)
    return str(complete(stats)) if callable(complete) else metric.signature()
