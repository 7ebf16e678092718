"""Claims about velocities, jitter, blinks, head motion and action units, with detectors that answer from a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emobench.errors import Unavailable, UnscoredError
from emobench.metrics import action_units
from emobench.metrics.action_units import ActionUnitError, ActionUnitErrorLower, ActionUnitErrorUpper
from emobench.metrics.behaviour import (
    BlinkRate,
    HeadMotion,
    count_blinks,
    eye_aspect_ratio,
    head_angles,
)
from emobench.metrics.motion import LandmarkJitter, LvdMouth, jitter_percent, velocity_difference
from emobench.types import MetricContext

BEHAVIOUR = [LvdMouth, LandmarkJitter, BlinkRate, HeadMotion]


def shut(landmarks: np.ndarray, frames: list[int]) -> np.ndarray:
    """Landmarks whose lids meet in these frames."""
    moved = landmarks.copy()
    for upper, lower in zip([37, 38, 43, 44], [41, 40, 47, 46], strict=True):
        middle = (moved[frames, upper, 1] + moved[frames, lower, 1]) / 2
        moved[frames, upper, 1], moved[frames, lower, 1] = middle, middle
    return moved


def measured(kind, cartoon, reference, judged, table, features, landmarks):
    return kind(judged).measure(cartoon.predicted(reference, table, landmarks), reference, features)


@pytest.mark.parametrize("kind", BEHAVIOUR)
def test_the_same_landmarks_score_zero(kind, cartoon, reference, judged, table, features):
    stats = measured(kind, cartoon, reference, judged, table, features, reference.track.landmarks)
    assert stats.value == 0.0
    assert kind(judged).aggregate([stats]) == 0.0
    assert "landmarks=table" in kind(judged).signature()


@pytest.mark.parametrize("kind", BEHAVIOUR)
def test_motion_without_a_detector_is_unavailable_with_the_command(kind, context):
    with pytest.raises(Unavailable, match="emobench weights fetch"):
        kind(context)


def test_lvd_counts_velocity_and_no_constant_error(cartoon, reference, judged, table, features):
    wider = reference.track.landmarks.copy()
    wider[:, 48] -= 5
    stats = measured(LvdMouth, cartoon, reference, judged, table, features, wider)
    assert stats.value == pytest.approx(0.0, abs=1e-5)  # float32 landmarks
    ours = np.zeros((3, 2, 2), np.float32)
    ours[1] = [[-3, 0], [3, 0]]
    assert velocity_difference(ours, np.zeros_like(ours)) == pytest.approx([3.0, 3.0])


def test_lvd_grows_with_delay(cartoon, reference, judged, table, features):
    landmarks = reference.track.landmarks
    scores = [
        measured(LvdMouth, cartoon, reference, judged, table, features, np.roll(landmarks, k, axis=0)).value
        for k in (0, 1, 3)
    ]
    assert scores == sorted(scores)
    assert scores[0] < scores[1] < scores[2]


def test_a_frozen_mouth_costs_the_reference_s_own_speed(cartoon, reference, judged, table, features):
    still = np.repeat(reference.track.landmarks[:1], 40, axis=0)
    stats = measured(LvdMouth, cartoon, reference, judged, table, features, still)
    assert stats.value == pytest.approx(stats.detail["reference_speed"])
    assert stats.value > 0


def test_jitter_grows_with_trembling_and_does_not_flatter_a_still_face(cartoon, reference, judged, table, features):
    landmarks, rng = reference.track.landmarks, np.random.default_rng(0)
    noise = rng.normal(0, 1, landmarks.shape).astype(np.float32)
    scores = [
        measured(LandmarkJitter, cartoon, reference, judged, table, features, landmarks + size * noise).value
        for size in (0.0, 0.3, 0.9)
    ]
    assert scores[0] == 0.0
    assert scores[0] < scores[1] < scores[2]
    still = measured(LandmarkJitter, cartoon, reference, judged, table, features, np.repeat(landmarks[:1], 40, axis=0))
    assert still.value == pytest.approx(still.detail["reference"])


def test_a_face_that_moves_at_one_speed_does_not_tremble(reference):
    steady = reference.track.landmarks[:1] + np.arange(40, dtype=np.float32)[:, None, None] * np.float32(2)
    assert jitter_percent(steady) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(("kind", "count"), [(LvdMouth, 1), (LandmarkJitter, 2), (BlinkRate, 20)])
def test_a_clip_too_short_is_unscored(kind, count, cartoon, reference, judged, table, features):
    track = replace(reference.track, landmarks=reference.track.landmarks[:count])
    short = replace(reference, frames=reference.frames[:count], track=track)
    table.known[short.frames.tobytes()] = track.landmarks
    with pytest.raises(UnscoredError, match=r"no velocity|no second difference|too short"):
        kind(judged).measure(cartoon.as_prediction(short), short, features)


# ------------------------------------------------------------------ blinks


def test_blinks_are_runs_of_shut_eyes_and_long_ones_are_none():
    ratio = np.full(100, 0.3)
    ratio[[10, 11, 12, 40, 98, 99]] = 0.05
    ratio[60:80] = 0.05  # 0.8 s: eyes closed, no blink
    assert count_blinks(ratio, 25.0) == 3
    assert count_blinks(np.full(100, 0.02), 25.0) == 0


def test_the_eye_aspect_ratio_is_height_over_width():
    landmarks = np.zeros((1, 68, 2), np.float32)
    for start in (36, 42):
        landmarks[0, start : start + 6] = [(0, 0), (2, -1), (4, -1), (6, 0), (4, 1), (2, 1)]
    assert eye_aspect_ratio(landmarks) == pytest.approx([2.0 / 6.0])


def test_missing_blinks_raise_the_rate_error_step_by_step(cartoon, reference, judged, table, features):
    landmarks = reference.track.landmarks
    table.known[reference.frames.tobytes()] = shut(landmarks, [5, 6, 20, 21, 33])
    scores = [
        measured(BlinkRate, cartoon, reference, judged, table, features, shut(landmarks, frames)).value
        for frames in ([5, 6, 20, 21, 33], [7, 20], [30], [])
    ]
    assert scores == sorted(scores)
    assert scores[0] == 0.0  # when they happen is no part of it
    assert scores[-1] == pytest.approx(3 / (40 / 25 / 60))


def test_blinks_of_one_subject_do_not_make_up_for_those_of_another(cartoon, reference, judged, table, features):
    landmarks = reference.track.landmarks
    table.known[reference.frames.tobytes()] = shut(landmarks, [5])
    other = replace(reference, subject="another")
    more = measured(BlinkRate, cartoon, reference, judged, table, features, shut(landmarks, [5, 20]))
    fewer = measured(BlinkRate, cartoon, other, judged, table, features, landmarks)
    metric = BlinkRate(judged)
    assert metric.aggregate([more, fewer]) == pytest.approx(37.5)
    assert metric.aggregate([more, more, fewer]) == pytest.approx(37.5)  # a subject counts once, however many clips
    assert metric.caveat([more, fewer]) == "2 blinks against 2 in 3 s of 2 subjects"
    assert "mean over subjects" in metric.signature()


def test_blinks_of_a_subject_are_added_up_before_they_are_compared(cartoon, reference, judged, table, features):
    landmarks = reference.track.landmarks
    table.known[reference.frames.tobytes()] = shut(landmarks, [5])
    more = measured(BlinkRate, cartoon, reference, judged, table, features, shut(landmarks, [5, 20]))
    fewer = measured(BlinkRate, cartoon, reference, judged, table, features, landmarks)
    metric = BlinkRate(judged)
    assert more.value == fewer.value == pytest.approx(37.5)
    assert metric.aggregate([more, fewer]) == 0.0
    assert metric.caveat([more, fewer]) == "2 blinks against 2 in 3 s"


def test_blinks_of_eyes_too_small_to_see_are_unscored(cartoon, reference, judged, table, features):
    table.known[reference.frames.tobytes()] = reference.track.landmarks * np.float32(0.5)
    with pytest.raises(UnscoredError, match=r"eyes 4\.\d px wide are too small"):
        measured(BlinkRate, cartoon, reference, judged, table, features, reference.track.landmarks)


# ------------------------------------------------------------------ head motion


def turned(points: np.ndarray, yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(N, 2) weak-perspective image of (N, 3) points after roll, pitch and yaw in degrees."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return (1.7 * points @ (about_z @ about_x @ about_y).T)[:, :2] + (60, 40)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_head_angles_recover_each_rotation_of_the_mean_face(axis):
    from emobench.metrics.behaviour import RIGID, RIGID_MM

    angles = np.zeros((5, 3))
    angles[:, axis] = [-25, -5, 0, 10, 30]
    landmarks = np.zeros((5, 68, 2), np.float32)
    for frame, turn in enumerate(angles):
        landmarks[frame, list(RIGID)] = turned(np.array(RIGID_MM), *turn)
    np.testing.assert_allclose(head_angles(landmarks), angles, atol=1e-3)  # float32 landmarks


def test_head_motion_grows_with_exaggeration_and_does_not_flatter_a_still_head(
    cartoon, reference, judged, table, features
):
    from emobench.metrics.behaviour import RIGID, RIGID_MM

    def nodding(amount: float) -> np.ndarray:
        landmarks = reference.track.landmarks.copy()
        for frame in range(40):
            swing = amount * np.sin(frame / 4)
            landmarks[frame, list(RIGID)] = turned(np.array(RIGID_MM), swing, 0.5 * swing, 0.0)
        return landmarks

    table.known[reference.frames.tobytes()] = nodding(8.0)
    scores = [
        measured(HeadMotion, cartoon, reference, judged, table, features, nodding(amount)).value
        for amount in (8.0, 12.0, 20.0)
    ]
    assert scores[0] == pytest.approx(0.0, abs=1e-6)
    assert scores[0] < scores[1] < scores[2]
    still = measured(HeadMotion, cartoon, reference, judged, table, features, nodding(0.0))
    assert still.value > 1.0
    assert still.detail["yaw_std"] == pytest.approx(0.0, abs=1e-4)


def test_a_face_on_one_line_has_no_pose():
    landmarks = np.zeros((1, 68, 2), np.float32)
    landmarks[0, :, 0] = np.arange(68)
    with pytest.raises(UnscoredError, match="on one line"):
        head_angles(landmarks)


# ------------------------------------------------------------------ action units

NAMES = ("_neutral", "browInnerUp", "eyeBlinkLeft", "eyeLookUpLeft", "jawOpen", "mouthSmileLeft", "noseSneerLeft")


class Shapes:
    """Stands for MediaPipe: the first frame's first pixel says how large the blendshapes are."""

    label = "mediapipe@shapes"

    def __init__(self, model):
        del model

    def key(self):
        return "shapes"

    def extract(self, sample):
        size = sample.frames[0, 0, 0, 0] / 255.0
        rows = np.tile(np.linspace(0.1, 0.4, len(NAMES), dtype=np.float32) * np.float32(size), (len(sample.frames), 1))
        return {"blendshapes": rows, "names": np.array(NAMES)}


def sized(sample, level):
    frames = sample.frames.copy()
    frames[0, 0, 0, 0] = level
    return frames


@pytest.fixture
def shaped(monkeypatch, tmp_path):
    monkeypatch.setattr(action_units, "MediapipeLandmarks", Shapes)
    return MetricContext(judges=None, locate_weight=lambda name: tmp_path)


def test_aue_is_zero_for_equal_blendshapes_grows_and_leaves_gaze_out(cartoon, reference, shaped, features):
    base = cartoon.as_prediction(reference, frames=sized(reference, 100))
    clips = [cartoon.as_prediction(reference, frames=sized(reference, level)) for level in (100, 130, 200)]
    whole, upper, lower = (
        [kind(shaped).measure(clip, base, features).value for clip in clips]
        for kind in (ActionUnitError, ActionUnitErrorUpper, ActionUnitErrorLower)
    )
    assert whole[0] == upper[0] == lower[0] == 0.0
    assert whole[0] < whole[1] < whole[2]
    assert whole[2] == pytest.approx(upper[2] + lower[2])
    step = (200 - 100) / 255
    shape = np.linspace(0.1, 0.4, len(NAMES)) * step
    assert upper[2] == pytest.approx(float(np.square(shape[[1, 2, 6]]).sum()), rel=1e-5)
    assert lower[2] == pytest.approx(float(np.square(shape[[4, 5]]).sum()), rel=1e-5)


def test_aue_needs_mediapipe_whatever_judges_there_are(judged):
    with pytest.raises(Unavailable, match="emobench weights fetch mediapipe"):
        ActionUnitError(judged)


def test_aue_signature_names_the_part_and_the_landmarker(shaped):
    assert "sum over upper face blendshapes" in ActionUnitErrorUpper(shaped).signature()
    assert "weights:mediapipe@shapes" in ActionUnitError(shaped).signature()
