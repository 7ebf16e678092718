"""Measures clips and aggregates splits, whatever the metrics are. Missing is a reason, never a number."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench import registry
from emobench.cache import ArrayCache, load_arrays, save_arrays
from emobench.errors import EmobenchError, Inapplicable, InputError, Unavailable, UnscoredError
from emobench.hashing import code_hash, hash_value
from emobench.provenance import without_folders
from emobench.specs import MetricSpec
from emobench.stats import bootstrap_metric
from emobench.store import RunStore, ScoreRow, read_json
from emobench.types import Extractor, Metric, MetricContext, Result, Sample, Scheme, Stats, Timing
from emobench.workers import in_order

POOLED_ONLY = "pooled only"
INFINITE = "infinite"
BOOTSTRAP_SEED = 20_240_319
GAP = "gap"  # in the detail of a clip without value that is not at fault: the metric is unavailable or inapplicable
UNAVAILABLE, INAPPLICABLE = {GAP: "unavailable"}, {GAP: "inapplicable"}
RETRY = ""  # key of Stats that are missing for a passing reason: it equals no key, so the next run tries again


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltMetric:
    """A metric ready to measure, or why there is none."""

    spec: MetricSpec
    metric: Metric | None
    reason: str | None = None

    @property
    def signature(self) -> str:
        return self.metric.signature() if self.metric else ""


class CachedFeatures:
    """Features by content: key of the extractor and sha256 of the sample; a failure is cached with its reason.

    Safe for several threads: who asks for what another is computing waits for it.
    """

    def __init__(self, cache: ArrayCache) -> None:
        self.cache = cache
        self._guard, self._locks = Lock(), defaultdict[str, Lock](Lock)

    def __call__(self, extractor: Extractor, sample: Sample) -> Mapping[str, NDArray[Any]]:
        def make() -> Mapping[str, NDArray[Any]]:
            try:
                return extractor.extract(sample)
            except UnscoredError as error:
                return {"unscored": np.array(str(error))}

        key = f"{extractor.key()}|{sample.sha256}|{sample.fps}"
        with self._guard:
            lock = self._locks[key]
        with lock:
            arrays = self.cache.get("features", key, make)
        if "unscored" in arrays:
            raise UnscoredError(str(arrays["unscored"]))
        return arrays


def build_metrics(
    specs: Iterable[MetricSpec], context: MetricContext, scheme: Scheme | None = None
) -> list[BuiltMetric]:
    """Construct each metric, as `scheme` has it; what is unavailable keeps its reason and the command that helps."""
    built = []
    for spec in specs:
        missing = registry.missing_module(spec)
        if missing:
            reason = f"needs the package {missing!r}: python -m pip install {missing}"
            built.append(BuiltMetric(spec=spec, metric=None, reason=reason))
            continue
        try:
            metric = scheme.build(spec, context) if scheme else registry.load_object(spec.factory)(context)
        except EmobenchError as error:
            built.append(BuiltMetric(spec=spec, metric=None, reason=without_folders(str(error))))
        else:
            built.append(BuiltMetric(spec=spec, metric=metric))
    return built


def measure(built: BuiltMetric, prediction: Sample, reference: Sample | None, features: CachedFeatures) -> Stats:
    """Stats of one clip; a clip that cannot be scored gives a Stats with neither value nor arrays, and the reason.

    Raises Unavailable where what is missing is not the clip's fault.
    """
    if built.metric is None:
        return Stats(value=None, reason=built.reason, detail=UNAVAILABLE)
    if built.spec.needs_reference and reference is None:
        return Stats(value=None, reason="needs a reference clip, and there is none of this name")
    try:
        stats = built.metric.measure(prediction, reference, features)
    except UnscoredError as error:
        detail = INAPPLICABLE if isinstance(error, Inapplicable) else {}
        return Stats(value=None, reason=without_folders(str(error)) or type(error).__name__, detail=detail)
    if stats.value is not None and not math.isfinite(stats.value):
        return Stats(value=None, reason=f"the metric gave {stats.value}")
    return stats


def is_scored(stats: Stats) -> bool:
    """True where the clip counts: it has a value, or one that JSON cannot hold or that exists only pooled."""
    return stats.value is not None or stats.reason in (INFINITE, POOLED_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipScores:
    """All metrics of one clip."""

    clip: str
    subject: str
    emotion: str | None
    intensity: int | None
    stats: Mapping[str, Stats]

    def rows(self) -> list[ScoreRow]:
        return [
            ScoreRow(
                clip=self.clip,
                subject=self.subject,
                emotion=self.emotion,
                intensity=self.intensity,
                metric=name,
                value=stats.value,
                reason=stats.reason,
                detail=stats.detail,
            )
            for name, stats in self.stats.items()
        ]


def aggregate(built: BuiltMetric, clips: Sequence[ClipScores]) -> Result:
    """One Result: value, 95 % bootstrap interval over clips, coverage, and the reason where there is none.

    A metric may also offer bootstrap_resamples (0: no interval), caveat(stats) and signature_over(stats); see types.
    """
    spec, metric = built.spec, built.metric
    pairs = [(clip.subject, clip.stats[spec.name]) for clip in clips if spec.name in clip.stats]
    scored = [(subject, stats) for subject, stats in pairs if is_scored(stats)]
    value = low = high = None
    signature = built.signature
    reason = built.reason or (None if scored else _common_reason([stats for _, stats in pairs]))
    if scored and metric is not None:
        only = [stats for _, stats in scored]
        value = metric.aggregate(only)
        reason = _optional(metric, "caveat", only)
        if value is None:
            reason = reason or only[0].reason or "no value over these clips"
        signature = _optional(metric, "signature_over", only) or signature
        if value is not None and len(only) > 1 and getattr(metric, "bootstrap_resamples", None) != 0:
            subjects = [subject for subject, _ in scored]
            low, high = bootstrap_metric(metric.aggregate, only, subjects, seed=BOOTSTRAP_SEED)
    return Result(
        value=value,
        ci_low=low,
        ci_high=high,
        n_scored=len(scored),
        n_total=len(clips),
        unit=spec.unit,
        higher_is_better=spec.higher_is_better,
        signature=signature,
        reason=reason,
    )


def weights_used(built: Sequence[BuiltMetric], clips: Sequence[ClipScores]) -> list[str]:
    """Names of the weights that had a part in these scores: those of the specs, and what the metrics' clips tell of.

    Told by the stats, not by what was loaded: a resumed run measures nothing and still names them.
    """
    used: set[str] = set()
    for item in built:
        if item.metric is None:
            continue
        used.update(item.spec.weights)
        hook: Callable[[Sequence[Stats]], Sequence[str]] | None = getattr(item.metric, "weights_used", None)
        if hook is not None:
            measured = [clip.stats[item.spec.name] for clip in clips if item.spec.name in clip.stats]
            used.update(hook([stats for stats in measured if is_scored(stats)]))
    return sorted(used)


def _optional(metric: Metric, name: str, stats: Sequence[Stats]) -> str | None:
    """What an optional text hook of a metric says about these clips."""
    hook: Callable[[Sequence[Stats]], str | None] | None = getattr(metric, name, None)
    return hook(stats) if hook else None


def _common_reason(missing: Sequence[Stats]) -> str:
    """Why no clip was scored: the reason itself where all share one, else the first and how many others."""
    reasons = list(dict.fromkeys(stats.reason or "no value" for stats in missing))
    if not reasons:
        return "no clips"
    return reasons[0] if len(reasons) == 1 else f"{reasons[0]} (and {len(reasons) - 1} other reasons)"


# ------------------------------------------------------------------ stats on disk, so that a run resumes


def stats_key(built: BuiltMetric, prediction_sha: str, timing: Timing | None, reference_key: str) -> str:
    """Everything that decides one clip's Stats of one metric."""
    return hash_value(
        {
            "metric": built.spec.name,
            "version": built.spec.version,
            "code": _metric_code(built.spec.factory),
            "signature": built.signature,
            "prediction": prediction_sha,
            "timing": asdict(timing) if timing else None,
            "reference": reference_key,
        }
    )


@lru_cache
def _metric_code(factory: str) -> str:
    """Hash of the package a metric's factory lives in: its neighbours' code decides values too."""
    module = factory.partition(":")[0]
    return code_hash([module.rpartition(".")[0] or module])


def load_stats(store: RunStore, clip: str) -> dict[str, tuple[str, Stats]]:
    """Stored (key, Stats) by metric of one clip; empty when absent or damaged, for it is only a resume point."""
    try:
        card = read_json(store.stats(clip, ".json"))
        arrays = load_arrays(store.stats(clip, ".npz"))
    except InputError:
        return {}
    stored: dict[str, tuple[str, Stats]] = {}
    for name, entry in card.items():
        own = {k.partition("|")[2]: v for k, v in arrays.items() if k.partition("|")[0] == name}
        stored[name] = (
            entry["key"],
            Stats(value=entry["value"], reason=entry["reason"], detail=entry["detail"], arrays=own),
        )
    return stored


def save_stats(
    store: RunStore, clip: str, stored: Mapping[str, tuple[str, Stats]], fresh: Mapping[str, tuple[str, Stats]]
) -> None:
    """Add fresh Stats to what load_stats read, arrays first, the JSON card last; nothing to retry is written."""
    stats = {**stored, **{name: entry for name, entry in fresh.items() if entry[0] != RETRY}}
    if stats == stored:
        return
    arrays = {f"{name}|{k}": np.asarray(v) for name, (_, s) in stats.items() for k, v in s.arrays.items()}
    save_arrays(store.stats(clip, ".npz"), arrays)
    card = {
        name: {"key": key, "value": s.value, "reason": s.reason, "detail": dict(s.detail)}
        for name, (key, s) in stats.items()
    }
    store.write(f"stats/{clip}.json", card)


def score_clip(
    built: Sequence[BuiltMetric],
    stored: Mapping[str, tuple[str, Stats]],
    keys: Mapping[str, str],
    load: Callable[[], tuple[Sample, Sample | None]],
    features: CachedFeatures,
    workers: int = 1,
) -> dict[str, tuple[str, Stats]]:
    """Stats of every metric for one clip, measuring only those whose stored key differs; decodes only if needed.

    Where there are more workers than clips, metrics of one clip are measured side by side; features are still shared.
    """
    kept = {
        item.spec.name: stored[item.spec.name]
        for item in built
        if item.metric is not None and item.spec.name in stored and stored[item.spec.name][0] == keys[item.spec.name]
    }
    todo = [item for item in built if item.spec.name not in kept]
    pair: tuple[Sample, Sample | None] | None = None
    fault: str | None = None  # why the clip cannot be decoded
    if any(item.reason is None for item in todo):
        try:
            pair = load()
        except EmobenchError as error:
            fault = without_folders(str(error))

    def score(item: BuiltMetric) -> tuple[str, Stats]:
        if item.reason or pair is None:
            detail = UNAVAILABLE if item.reason else {}
            return RETRY, Stats(value=None, reason=item.reason or fault, detail=detail)
        try:
            return keys[item.spec.name], measure(item, pair[0], pair[1], features)
        except Unavailable as error:
            return RETRY, Stats(value=None, reason=without_folders(str(error)), detail=UNAVAILABLE)

    found = in_order(score, todo, workers) if workers > 1 and len(todo) > 1 else map(score, todo)
    fresh = dict(zip((item.spec.name for item in todo), found, strict=True))
    return {item.spec.name: kept.get(item.spec.name) or fresh[item.spec.name] for item in built}
