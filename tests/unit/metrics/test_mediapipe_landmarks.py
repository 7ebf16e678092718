"""The path of LMD through the real MediaPipe landmarker, on a real clip; skipped where either is absent."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emobench.errors import UnscoredError
from emobench.judges.augment import blur
from emobench.metrics.action_units import ActionUnitError, chosen_columns
from emobench.metrics.behaviour import HeadMotion
from emobench.metrics.faces import MEDIAPIPE_WEIGHT, FaceLocator, MediapipeLandmarks, landmarker_used
from emobench.metrics.landmarks import LmdMouth
from emobench.metrics.motion import LandmarkJitter, LvdMouth
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


def test_every_blendshape_is_upper_face_lower_face_or_gaze(clip, located, features):
    names = [str(name) for name in features(MediapipeLandmarks(MODEL), clip)["names"]]
    parts = [chosen_columns(names, part) for part in ("upper", "lower")]
    rest = [name for index, name in enumerate(names) if index not in {*parts[0], *parts[1]}]
    assert not set(parts[0]) & set(parts[1])
    assert all(name == "_neutral" or name.startswith("eyeLook") for name in rest)
    assert len(rest) == 9


@pytest.mark.parametrize("kind", [ActionUnitError, LvdMouth, HeadMotion, LandmarkJitter])
def test_motion_of_a_real_clip_is_zero_with_itself_and_not_with_another_moment(kind, clip, located, features):
    metric = kind(located)
    assert metric.measure(clip, clip, features).value == 0.0
    later = replace(clip, frames=clip.frames[::-1], sha256="backwards")
    still = replace(clip, frames=np.repeat(clip.frames[:1], len(clip.frames), axis=0), sha256="still")
    assert metric.measure(still, clip, features).value > 0
    backwards = metric.measure(later, clip, features).value
    if kind in (HeadMotion, LandmarkJitter):  # statistics do not know which way time runs
        assert backwards == pytest.approx(0.0, abs=1e-6)
    else:
        assert backwards > 0
    assert landmarker_used([metric.measure(still, clip, features)]) == (MEDIAPIPE_WEIGHT,)
