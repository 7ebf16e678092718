"""The path of LMD through the real MediaPipe landmarker, on a real clip; skipped where either is absent."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emobench.errors import UnscoredError
from emobench.judges.augment import blur
from emobench.metrics.faces import FaceLocator
from emobench.metrics.landmarks import LmdMouth
from emobench.samples import video_sample
from emobench.types import MetricContext

MODEL = Path(os.environ.get("EMOBENCH_WEIGHTS", "")) / "face_landmarker.task"
CLIPS = sorted((Path(os.environ.get("EMOBENCH_TEST_DATA", "")) / "hdtf").glob("*.mp4"))

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not MODEL.is_file() or not CLIPS,
        reason="EMOBENCH_WEIGHTS with face_landmarker.task and EMOBENCH_TEST_DATA with hdtf/ are not set",
    ),
]


@pytest.fixture(scope="module")
def clip():
    sample = video_sample(CLIPS[0], "real", "neutral")
    return replace(sample, frames=sample.frames[:8, ::2, ::2], sha256="real")


@pytest.fixture
def located():
    return MetricContext(judges=None, locate_weight=lambda name: MODEL)


def test_lmd_of_a_real_clip_is_zero_with_itself_and_grows_with_another_moment(clip, located, features):
    metric = LmdMouth(located)
    assert "mediapipe" in metric.signature()
    assert metric.measure(clip, clip, features).value == 0.0
    scores = []
    for name, frames in (("blur", blur(clip.frames, 1.0)), ("later", np.roll(clip.frames, 4, axis=0))):
        scores.append(metric.measure(replace(clip, frames=frames, sha256=name), clip, features).value)
    assert 0 < scores[0] < scores[1]


def test_a_frame_without_a_face_makes_the_clip_unscored_and_is_named(clip, located, features):
    frames = clip.frames.copy()
    frames[3:5] = 90
    with pytest.raises(UnscoredError, match="no face found in frame 3 of 8"):
        LmdMouth(located).measure(replace(clip, frames=frames, sha256="gap"), clip, features)


def test_without_reference_the_face_is_found_in_the_prediction(clip, located, features):
    found = FaceLocator(located)(clip, None, features)
    low, high = found.track.landmarks.min(axis=(0, 1)), found.track.landmarks.max(axis=(0, 1))
    assert ((low > 0) & (high < 256)).all()
