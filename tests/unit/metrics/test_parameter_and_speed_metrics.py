"""Claims about the metrics that read no pixels: expression parameters and rendering speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emobench.errors import UnscoredError
from emobench.metrics.parameters import AlphaMouth, AlphaUpper
from emobench.metrics.speed import AudioLatency, PeakMemory, RenderSpeed
from emobench.reports.summary import NOT_RANKED
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


MEASURED = replace(TIMING, added_rss_bytes=300 << 20)


def test_peak_memory_is_what_rendering_added_or_on_a_gpu_what_torch_allocated(cartoon, reference, context, features):
    on_gpu = replace(MEASURED, peak_cuda_bytes=50 << 20)
    stats = [
        PeakMemory(context).measure(cartoon.as_prediction(reference, timing=t), None, features)
        for t in (MEASURED, on_gpu)
    ]
    assert [entry.value for entry in stats] == [300.0, 50.0]
    assert [entry.detail["memory"] for entry in stats] == ["additional resident (not ranked)", "CUDA allocations"]
    assert PeakMemory(context).aggregate(stats) is None  # two kinds of memory are not one number


def test_peak_memory_is_the_greatest_clip_s_and_only_of_one_machine(cartoon, reference, context, features):
    metric = PeakMemory(context)
    timings = (MEASURED, replace(MEASURED, added_rss_bytes=400 << 20), replace(MEASURED, device="h"))
    clips = [metric.measure(cartoon.as_prediction(reference, timing=t), None, features) for t in timings]
    assert metric.aggregate(clips[:2]) == 400.0
    assert metric.aggregate(clips) is None
    assert metric.caveat(clips) == "clips were rendered with different device"
    assert "memory=additional resident (not ranked)" in metric.signature_over(clips[:2])
    assert metric.signature_over(clips[:2]).endswith("|v2")  # version 1 counted whatever the process had done before
    assert "device=cpu+h" in metric.signature_over(clips)


def test_memory_on_a_gpu_is_ranked_and_that_of_a_process_is_not(cartoon, reference, context, features):
    metric = PeakMemory(context)
    on_gpu = metric.measure(
        cartoon.as_prediction(reference, timing=replace(MEASURED, peak_cuda_bytes=1 << 20)), None, features
    )
    of_process = metric.measure(cartoon.as_prediction(reference, timing=MEASURED), None, features)
    assert NOT_RANKED in metric.signature_over([of_process])
    assert NOT_RANKED not in metric.signature_over([on_gpu])


def test_rendering_that_added_no_memory_is_measured_as_none_of_it(cartoon, reference, context, features):
    timing = replace(MEASURED, added_rss_bytes=0)
    assert PeakMemory(context).measure(cartoon.as_prediction(reference, timing=timing), None, features).value == 0.0


@pytest.mark.parametrize(("timing", "reason"), [(None, "no timing"), (TIMING, "was not measured")])
def test_peak_memory_that_was_not_measured_is_unscored(timing, reason, cartoon, reference, context, features):
    with pytest.raises(UnscoredError, match=reason):
        PeakMemory(context).measure(cartoon.as_prediction(reference, timing=timing), None, features)
