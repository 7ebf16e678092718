"""What is measured, what is resumed, and what is tried again: emobench.scoring with made-up metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from pydantic import BaseModel

from emobench.cache import ArrayCache
from emobench.errors import InputError, Unavailable, UnscoredError
from emobench.planning import Unit
from emobench.provenance import without_folders
from emobench.runner import unit_identity
from emobench.scoring import BuiltMetric, CachedFeatures, ClipScores, aggregate, load_stats, save_stats, score_clip
from emobench.specs import MethodSpec, MetricSpec
from emobench.store import RunStore
from emobench.types import Features, Sample, Stats

SAMPLE = Sample(
    clip_id="c", subject="s", emotion=None, intensity=None, fps=25.0, frames=np.zeros((1, 2, 2, 3), np.uint8),
    audio=None, track=None, alpha=None, timing=None, sha256="0",
)  # fmt: skip


class Nothing(BaseModel):
    """The configuration of a method that has none."""


class Made:
    """A metric that does what it is told, and counts how often."""

    def __init__(self, answer: Callable[[], float | None]) -> None:
        self.answer, self.calls = answer, 0

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        self.calls += 1
        return Stats(value=self.answer(), detail={"place": self.calls})

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return None if len({s.detail["place"] for s in stats}) > 1 else stats[0].value

    def caveat(self, stats: Sequence[Stats]) -> str | None:
        return "measured in two places" if self.aggregate(stats) is None else None

    def signature(self) -> str:
        return "made"


def built(metric: Made | None, name: str = "made", reason: str | None = None) -> BuiltMetric:
    spec = MetricSpec(name=name, version="1", summary="", factory="", unit="", higher_is_better=True)
    return BuiltMetric(spec=spec, metric=metric, reason=reason)


@pytest.fixture
def score(tmp_path: Path) -> Callable[..., Stats]:
    """Scores one clip with one metric, resuming from the run directory, and gives its Stats."""
    store, features = RunStore(tmp_path / "run"), CachedFeatures(ArrayCache(tmp_path / "cache"))

    def once(item: BuiltMetric, load: Callable[[], tuple[Sample, Sample]] = lambda: (SAMPLE, SAMPLE)) -> Stats:
        stored, name = load_stats(store, "c"), item.spec.name
        fresh = score_clip([item], stored, {name: f"key of {name}"}, load, features)
        save_stats(store, "c", stored, fresh)
        return fresh[name][1]

    return once


def raising(error: Exception) -> Callable[[], float]:
    def answer() -> float:
        raise error

    return answer


def test_a_score_is_measured_once_and_survives_a_run_with_other_metrics(score: Callable[..., Stats]) -> None:
    metric = Made(lambda: 3.0)
    for item in (built(metric), built(Made(lambda: 4.0), "other"), built(metric)):
        score(item)
    assert metric.calls == 1


def test_what_a_clip_cannot_give_is_not_asked_for_again(score: Callable[..., Stats]) -> None:
    metric = Made(raising(UnscoredError("no face")))
    assert [score(built(metric)).reason for _ in range(2)] == ["no face", "no face"]
    assert metric.calls == 1


def test_what_was_not_here_is_tried_again(score: Callable[..., Stats]) -> None:
    assert score(built(Made(raising(Unavailable("weights missing"))))).reason == "weights missing"
    assert score(built(None, reason="no package")).reason == "no package"
    assert score(built(Made(lambda: 3.0))).value == 3.0


def test_a_clip_that_could_not_be_decoded_is_decoded_again_and_its_reason_names_no_folder(
    score: Callable[..., Stats],
) -> None:
    def broken() -> tuple[Sample, Sample]:
        raise InputError("/home/someone/runs/c.mkv is truncated.")

    assert score(built(Made(lambda: 3.0)), broken).reason == "c.mkv is truncated."
    assert score(built(Made(lambda: 3.0))).value == 3.0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_missing_with_a_reason(score: Callable[..., Stats], value: float) -> None:
    stats = score(built(Made(lambda: value)))
    assert (stats.value, stats.reason) == (None, f"the metric gave {value}")


def test_an_aggregate_without_value_says_why() -> None:
    item, features = built(Made(lambda: 3.0)), CachedFeatures(ArrayCache(Path()))
    assert item.metric is not None
    clips = [
        ClipScores(
            clip=str(index), subject="s", emotion=None, intensity=None,
            stats={"made": item.metric.measure(SAMPLE, SAMPLE, features)},
        )
        for index in range(2)
    ]  # fmt: skip
    result = aggregate(item, clips)
    assert (result.value, result.n_scored, result.reason) == (None, 2, "measured in two places")


def test_a_backend_that_was_asked_for_has_its_own_run() -> None:
    spec = MethodSpec(name="m", version="1", summary="", factory="", code=("emobench.errors",))
    unit = Unit(spec=spec, preset="", config=Nothing(), seed=0)
    assert len({unit_identity(unit, "split", backend) for backend in ("auto", "numba", "torch")}) == 3


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        ("Cannot read /home/me/data/a.mp4: gone.", "Cannot read a.mp4: gone."),
        ("'/home/me/a b/c.npz' at 25 frames/s", "'a b/c.npz' at 25 frames/s"),
        ("See https://example.org/a/b and ./runs/x", "See https://example.org/a/b and ./runs/x"),
    ],
)
def test_shared_texts_name_no_absolute_path(text: str, shared: str) -> None:
    assert without_folders(text) == shared


def test_spare_workers_measure_metrics_of_one_clip_side_by_side_with_the_same_result(tmp_path: Path) -> None:
    meeting = Barrier(2, timeout=20)  # broken, and an error, where the two are not measured at once

    def meet() -> float:
        meeting.wait()
        return 1.0

    def plain() -> list[BuiltMetric]:
        missing = built(None, "missing", reason="no weights")
        return [built(Made(lambda: 2.0), "a"), missing, built(Made(raising(UnscoredError("no face"))), "b")]

    def score_all(items: list[BuiltMetric], workers: int) -> dict[str, tuple[str, Stats]]:
        features, keys = CachedFeatures(ArrayCache(tmp_path / "cache")), {item.spec.name: "key" for item in items}
        return score_clip(items, {}, keys, lambda: (SAMPLE, SAMPLE), features, workers)

    found = score_all([built(Made(meet), "one"), built(Made(meet), "two")], 2)
    assert [stats.value for _, stats in found.values()] == [1.0, 1.0]
    assert score_all(plain(), 3) == score_all(plain(), 1)
    assert list(score_all(plain(), 3)) == ["a", "missing", "b"]
