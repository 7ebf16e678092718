"""Claims about the metrics that read no pixels: expression parameters and rendering speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emobench.errors import UnscoredError
from emobench.metrics.parameters import AlphaMouth, AlphaUpper
from emobench.metrics.speed import AudioLatency, RenderSpeed
from emobench.types import Timing

TIMING = Timing(
    audio_seconds=1.0, field_seconds=3.0, composite_seconds=1.0, write_seconds=9.0, n_frames=40, width=96, height=96,
    device="cpu", threads=2, precision="float32",
)  # fmt: skip


def test_alpha_errors_count_only_their_own_coefficients(cartoon, reference, context, features):
    alpha = reference.alpha + np.array([0.25, -0.5], np.float32)
    prediction = cartoon.as_prediction(reference, alpha=alpha)
    assert AlphaMouth(context).measure(prediction, reference, features).value == pytest.approx(0.25, abs=1e-6)
    assert AlphaUpper(context).measure(prediction, reference, features).value == pytest.approx(0.5, abs=1e-6)


def test_alpha_error_of_the_tracked_parameters_is_zero(cartoon, reference, context, features):
    assert AlphaMouth(context).measure(cartoon.as_prediction(reference), reference, features).value == 0.0


def test_alpha_error_ignores_frames_that_were_not_tracked(cartoon, reference, context, features):
    valid = np.ones(40, bool)
    valid[3] = False
    alpha = reference.alpha.copy()
    alpha[3] += 9
    untracked = replace(reference, track=replace(reference.track, valid=valid))
    stats = AlphaMouth(context).measure(cartoon.as_prediction(reference, alpha=alpha), untracked, features)
    assert stats.value == 0.0
    assert stats.detail["untracked_frames"] == 1


def test_alpha_signature_names_the_tracker_of_the_clips(cartoon, reference, context, features):
    metric = AlphaMouth(context)
    stats = metric.measure(cartoon.as_prediction(reference), reference, features)
    assert "tracker=dataset:1" in metric.signature_over([stats])


@pytest.mark.parametrize(
    ("alpha", "reason"),
    [(None, "predicts no expression parameters"), (np.zeros((40, 3), np.float32), "shape"),
     (np.full((40, 2), np.nan, np.float32), "not finite")],
)  # fmt: skip
def test_alpha_that_cannot_be_compared_is_unscored(alpha, reason, cartoon, reference, context, features):
    with pytest.raises(UnscoredError, match=reason):
        AlphaMouth(context).measure(cartoon.as_prediction(reference, alpha=alpha), reference, features)


def test_speed_is_frames_over_field_and_composite_seconds_only(cartoon, reference, context, features):
    stats = RenderSpeed(context).measure(cartoon.as_prediction(reference, timing=TIMING), None, features)
    assert stats.value == pytest.approx(10.0)
    assert stats.detail["audio_ms_per_frame"] == pytest.approx(25.0)


def test_speed_pools_total_frames_over_total_seconds(cartoon, reference, context, features):
    metric = RenderSpeed(context)
    slow = replace(TIMING, field_seconds=7.0)
    clips = [metric.measure(cartoon.as_prediction(reference, timing=t), None, features) for t in (TIMING, slow)]
    assert metric.aggregate(clips) == pytest.approx(80 / 12)


def test_speeds_of_two_machines_are_never_pooled(cartoon, reference, context, features):
    metric = RenderSpeed(context)
    other = replace(TIMING, threads=8)
    clips = [metric.measure(cartoon.as_prediction(reference, timing=t), None, features) for t in (TIMING, other)]
    assert metric.aggregate(clips) is None
    assert "threads=2+8" in metric.signature_over(clips)
    assert metric.caveat(clips) == "clips were rendered with different threads"


@pytest.mark.parametrize("timing", [None, replace(TIMING, field_seconds=0.0, composite_seconds=0.0)])
def test_a_prediction_without_rendering_time_is_unscored(timing, cartoon, reference, context, features):
    with pytest.raises(UnscoredError):
        RenderSpeed(context).measure(cartoon.as_prediction(reference, timing=timing), None, features)


def test_audio_latency_is_milliseconds_for_a_second_of_speech(cartoon, reference, context, features):
    stats = AudioLatency(context).measure(cartoon.as_prediction(reference, timing=TIMING), None, features)
    assert stats.value == pytest.approx(1000 * 1.0 / 1.6)
    assert stats.detail["device"] == "cpu"


def test_audio_latency_pools_seconds_and_only_of_one_machine(cartoon, reference, context, features):
    metric = AudioLatency(context)
    timings = (TIMING, replace(TIMING, audio_seconds=0.1, n_frames=10))
    clips = [metric.measure(cartoon.as_prediction(reference, timing=t), None, features) for t in timings]
    assert metric.aggregate(clips) == pytest.approx(1000 * 1.1 / 2.0)
    other = metric.measure(cartoon.as_prediction(reference, timing=replace(TIMING, device="h")), None, features)
    assert metric.aggregate([*clips, other]) is None
    assert "device=cpu+h" in metric.signature_over([*clips, other])


@pytest.mark.parametrize("timing", [None, replace(TIMING, audio_seconds=0.0), replace(TIMING, n_frames=0)])
def test_a_method_without_an_audio_stage_has_no_latency(timing, cartoon, reference, context, features):
    with pytest.raises(UnscoredError, match=r"no timing|no audio stage|of no frame"):
        AudioLatency(context).measure(cartoon.as_prediction(reference, timing=timing), None, features)
