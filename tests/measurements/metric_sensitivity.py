"""What each metric sees and what it is blind to: `python tests/measurements/metric_sensitivity.py [SOURCE|METRIC …]`.

Sources: hdtf and grid (EMOBENCH_TEST_DATA; MediaPipe's weight), puppet-tiny, and where it is named `random`, which
gives random numbers to networks whose weights are not here. Each clip is degraded at rising
strengths and scored against itself by every metric that has its weights here; markdown on stdout, one table a source.
A cell says how the metric takes it, with the value at the greatest strength:
  ✓ worse at every step · ~ worse in the end, but not at every step · – blind: moved less than 2 % of what it moves most
  ↑ better: the metric flatters this.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from metric_degradations import DEGRADATIONS, FROZEN_MOUTH, cut, frozen_mouth, prediction_of
from metrics_speed import make_random_weights

from emobench import environment, registry, weights
from emobench.cache import ArrayCache
from emobench.config import resolve
from emobench.hashing import hash_arrays
from emobench.judges import JudgeSet
from emobench.metrics.faces import MEDIAPIPE_WEIGHT, MediapipeLandmarks
from emobench.metrics.i3d import I3d
from emobench.planning import choose_metrics
from emobench.progress import make_progress
from emobench.samples import reference_sample, video_sample
from emobench.scoring import BuiltMetric, CachedFeatures, ClipScores, aggregate, build_metrics, measure
from emobench.types import Context, Judges, MetricContext, Result, Sample, Stats

FRAMES, SIZE_PX, CLIPS = 75, 256, 2
RANDOM_FRAMES, RANDOM_PX = 32, 128
INFINITE_DB = 100.0  # what an infinite PSNR counts as
BLIND = 0.02  # of the metric's greatest loss over all degradations
NOT_OF_PIXELS = ("fps.render", "latency.audio", "memory.peak")

Pairs = Sequence[tuple[Sample, Sample]]  # (prediction, reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Clips to degrade, what metrics may use, and pairs that are wrong from the start, by name."""

    name: str
    clips: Sequence[Sample]
    context: MetricContext
    wrong: Mapping[str, Pairs]


def hdtf() -> Source:
    """Two speakers at 256 px without a track: boxes and landmarks by MediaPipe; each is the other's wrong identity."""
    files = sorted((Path(os.environ["EMOBENCH_TEST_DATA"]) / "hdtf").glob("*.mp4"))[:CLIPS]
    clips = []
    for number, path in enumerate(files):
        whole = cut(video_sample(path, path.stem, "neutral"), FRAMES)
        frames = np.stack([cv2.resize(f, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA) for f in whole.frames])
        clips.append(replace(whole, frames=frames, subject=str(number), sha256=hash_arrays([frames])))
    others = [*clips[1:], clips[0]]
    wrong = [(prediction_of(r, frames=o.frames), r) for r, o in zip(clips, others, strict=True)]
    context = MetricContext(judges=None, locate_weight=weights.locate)
    return Source(name="hdtf", clips=clips, context=context, wrong={"wrong identity": wrong})


def grid() -> Source:
    """One speaker's held-out sentences, tracked, with judges trained on the others."""
    clips, judges = dataset("folder", Path(os.environ["EMOBENCH_TEST_DATA"]) / "grid_s1", {})
    context = MetricContext(judges=judges, locate_weight=weights.locate)
    return Source(name="grid", clips=[cut(clip, FRAMES) for clip in clips[:CLIPS]], context=context, wrong={})


def puppet_tiny() -> Source:
    """puppet-tiny filmed at each of its levels, judges of level 3: exact tracks, and another emotion's clip."""
    clips: dict[tuple[str, int], Sample] = {}
    for level in (1, 2, 3):
        filmed, judges = dataset("puppet-tiny", None, {"levels": [1, 2, 3], "pixel_level": level})
        clips |= {(clip.emotion or "", clip.intensity or 0): cut(clip, FRAMES) for clip in filmed}
    wrong = []
    for clip in clips.values():
        other = clips["angry" if clip.emotion == "happy" else "happy", 3]
        count = min(len(clip.frames), len(other.frames))
        reference, shown = cut(clip, count), cut(other, count)
        wrong.append((prediction_of(reference, frames=shown.frames, alpha=shown.alpha), reference))
    context = MetricContext(judges=judges, locate_weight=weights.locate)
    return Source(name="puppet-tiny", clips=list(clips.values()), context=context, wrong={"wrong emotion": wrong})


def random_weights() -> Source:
    """One HDTF clip of 32 frames at 128 px, for metrics whose weights are not here: random ones of the real layout."""
    (path, *_) = sorted((Path(os.environ["EMOBENCH_TEST_DATA"]) / "hdtf").glob("*.mp4"))
    whole = cut(video_sample(path, path.stem, "neutral"), RANDOM_FRAMES)
    frames = np.stack([cv2.resize(f, (RANDOM_PX, RANDOM_PX), interpolation=cv2.INTER_AREA) for f in whole.frames])
    clip = replace(whole, frames=frames, sha256=hash_arrays([frames]))
    folder = environment.cache_dir() / "random-weights"
    folder.mkdir(parents=True, exist_ok=True)
    make_random_weights(folder)
    make_more_random_weights(folder)

    def locate(name: str) -> Path:
        return folder / name if (folder / name).exists() else weights.locate(name)

    context = MetricContext(judges=None, locate_weight=locate)
    return Source(name="random weights", clips=[clip], context=context, wrong={})


def make_more_random_weights(folder: Path) -> None:
    """Files of the layout of LPIPS's other backbones and of I3D."""
    import torchvision

    for name, network in (
        ("lpips.vgg16", torchvision.models.vgg16),
        ("lpips.squeezenet", torchvision.models.squeezenet1_1),
    ):
        layers = network(weights=None).features.state_dict()
        torch.save({f"features.{key}": tensor for key, tensor in layers.items()}, folder / name)
    torch.save(I3d().state_dict(), folder / "fvd.i3d")


def dataset(name: str, root: Path | None, sets: Mapping[str, object]) -> tuple[list[Sample], Judges]:
    """Decoded test clips of a dataset and the judges of its train split."""
    spec = registry.find("dataset", name)
    context = Context(
        seed=0, device="cpu", threads=1, cache_dir=environment.cache_dir(), progress=make_progress(), data_root=root
    )
    config = resolve(registry.load_object(spec.config), spec.presets.get("", {}), sets=sets, owner=name)
    made = registry.load_object(spec.factory)(config, context)
    made.prepare()
    clips = [reference_sample(clip) for clip in made.split("test")]
    return clips, JudgeSet(made.split("train"), context, made.split_hash())


def variants(source: Source, features: CachedFeatures) -> Iterator[tuple[str, float, Pairs]]:
    """(degradation, strength, pairs), weakest first; strength 0 is the reference itself."""
    yield "identical", 0.0, [(prediction_of(clip), clip) for clip in source.clips]
    for degradation in DEGRADATIONS:
        for strength in degradation.strengths:
            yield degradation.name, strength, [(degradation.apply(clip, strength), clip) for clip in source.clips]
    places = [landmarks_of(clip, features) for clip in source.clips]
    for share in FROZEN_MOUTH:
        frozen = [frozen_mouth(clip, place, share) for clip, place in zip(source.clips, places, strict=True)]
        yield "frozen mouth", share, list(zip(frozen, source.clips, strict=True))
    for name, pairs in source.wrong.items():
        yield name, 1.0, pairs


def landmarks_of(clip: Sample, features: CachedFeatures) -> np.ndarray:
    if clip.track is not None:
        return clip.track.landmarks
    return features(MediapipeLandmarks(weights.locate(MEDIAPIPE_WEIGHT)), clip)["landmarks"]


def scored(metric: BuiltMetric, pairs: Pairs, features: CachedFeatures) -> Result:
    """The metric over the pairs; without a value where it could not score all of them."""
    clips = []
    for prediction, reference in pairs:
        stats: Stats = measure(metric, prediction, reference, features)
        row = ClipScores(
            clip=reference.clip_id, subject="", emotion=reference.emotion, intensity=reference.intensity,
            stats={metric.spec.name: stats},
        )  # fmt: skip
        clips.append(row)
    result = aggregate(metric, clips)
    if 0 < result.n_scored < result.n_total:
        return replace(
            result, value=None, reason=f"{result.n_total - result.n_scored} of {result.n_total} clips unscored"
        )
    return result


def loss(metric: BuiltMetric, perfect: Result, found: Result) -> float | None:
    """How much worse than on the identical clip; None where there is no value."""
    base, value = (INFINITE_DB if each.reason == "infinite" else each.value for each in (perfect, found))
    if base is None or value is None:
        return None
    return base - value if metric.spec.higher_is_better else value - base


def cell(losses: Sequence[float | None], greatest: float, results: Sequence[Result], digits: int) -> str:
    """One degradation's mark, and the metric's value at the greatest strength that it could score."""
    known = [each for each in losses if each is not None]
    if not known:
        return "unscored"
    if abs(known[-1]) <= BLIND * greatest:
        mark = "–"
    elif known[-1] < 0:
        mark = "↑"
    else:
        mark = "✓" if all(b > a for a, b in pairwise([0.0, *known])) else "~"
    last = results[len(known) - 1]
    value = "∞" if last.value is None else f"{last.value:.{digits}f}"
    return f"{mark} {value}" + (", then unscored" if len(known) < len(losses) else "")


def table(source: Source, chosen: Sequence[str], features: CachedFeatures) -> Iterator[str]:
    """Markdown lines of one source."""
    specs = [spec for spec in choose_metrics(chosen or ["all"]) if spec.name not in NOT_OF_PIXELS]
    built = build_metrics(specs, source.context)
    usable = [metric for metric in built if metric.metric is not None]
    found: dict[str, dict[str, list[Result]]] = {m.spec.name: {} for m in usable}
    for name, strength, pairs in variants(source, features):
        print(f"{source.name}: {name} {strength:g}", file=sys.stderr, flush=True)
        for metric in usable:
            found[metric.spec.name].setdefault(name, []).append(scored(metric, pairs, features))
    names = [name for name in next(iter(found.values())) if name != "identical"]
    height, width = source.clips[0].frames.shape[1:3]
    yield f"## {source.name}: {len(source.clips)} clips, {len(source.clips[0].frames)} frames, {width}×{height}\n"
    yield f"| metric | identical | {' | '.join(names)} |"
    yield "|---|---|" + "---|" * len(names)
    without: dict[str, list[str]] = {}
    for metric in usable:
        rows = found[metric.spec.name]
        perfect, digits = rows["identical"][0], metric.spec.digits
        if perfect.value is None and perfect.reason != "infinite":
            without.setdefault(perfect.reason or "no value", []).append(metric.spec.name)
            continue
        losses = {name: [loss(metric, perfect, result) for result in rows[name]] for name in names}
        greatest = max((abs(each) for row in losses.values() for each in row if each is not None), default=0.0)
        cells = [cell(losses[name], greatest, rows[name], digits) for name in names]
        arrow = "higher" if metric.spec.higher_is_better else "lower"
        first = "∞" if perfect.value is None else f"{perfect.value:.{digits}f}"
        yield f"| {metric.spec.name} ({arrow}) | {first} | {' | '.join(cells)} |"
    for metric in built:
        if metric.metric is None:
            without.setdefault(metric.reason or "", []).append(metric.spec.name)
    yield ""
    for reason, metrics in without.items():
        yield f"Not measured: {', '.join(metrics)}: {reason}"
    yield ""


SOURCES = {"hdtf": hdtf, "grid": grid, "puppet-tiny": puppet_tiny}
ON_REQUEST = {"random": random_weights}


def main(names: Sequence[str]) -> None:
    features = CachedFeatures(ArrayCache(environment.cache_dir()))
    every = SOURCES | ON_REQUEST
    metrics = [name for name in names if name not in every]
    for name in [name for name in names if name in every] or list(SOURCES):
        for line in table(every[name](), metrics, features):
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
