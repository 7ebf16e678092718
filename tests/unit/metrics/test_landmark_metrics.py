"""Claims about LMD, mouth opening and where boxes come from, with a detector that answers from a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emobench.errors import Unavailable, UnscoredError
from emobench.metrics.faces import FaceLocator
from emobench.metrics.landmarks import LmdFace, LmdFaceNorm, LmdMouth, LmdMouthNorm, landmark_distance
from emobench.metrics.opening import MouthOpening, best_lag, frame_energy_db


@pytest.mark.parametrize("kind", [LmdMouth, LmdFace])
def test_lmd_of_identical_landmarks_is_zero(kind, cartoon, reference, judged, table, features):
    prediction = cartoon.predicted(reference, table, reference.track.landmarks)
    assert kind(judged).measure(prediction, reference, features).value == pytest.approx(0.0, abs=1e-6)


def test_lmd_does_not_count_where_the_face_is(cartoon, reference, judged, table, features):
    prediction = cartoon.predicted(reference, table, reference.track.landmarks + np.float32([7, -3]))
    assert LmdMouth(judged).measure(prediction, reference, features).value == pytest.approx(0.0, abs=1e-5)


def test_lmd_is_the_mean_distance_of_centred_points():
    theirs = np.zeros((1, 2, 2), np.float32)
    ours = np.array([[[-3.0, 0.0], [3.0, 0.0]]], np.float32)
    assert landmark_distance(ours, theirs) == pytest.approx([3.0])


def test_lmd_grows_with_the_error_and_mouth_errors_weigh_more_in_lmd_mouth(cartoon, reference, judged, table, features):
    direction = np.zeros((1, 68, 2), np.float32)
    direction[0, 55:60, 1] = 1.0
    mouth, face = LmdMouth(judged), LmdFace(judged)
    scores = []
    for size in (0.5, 1.0, 2.0):
        prediction = cartoon.predicted(reference, table, reference.track.landmarks + size * direction)
        scores.append([m.measure(prediction, reference, features).value for m in (mouth, face)])
    assert scores == sorted(scores)
    assert all(on_mouth > 2 * on_face for on_mouth, on_face in scores)


def test_lmd_signature_names_the_detector_and_the_detail_is_free_of_size(cartoon, reference, judged, table, features):
    metric = LmdMouth(judged)
    moved = reference.track.landmarks * np.float32([1.0, 1.01])
    stats = metric.measure(cartoon.predicted(reference, table, moved), reference, features)
    assert "landmarks=table" in metric.signature()
    assert stats.detail["detector"] == "judge"
    assert 0 < stats.detail["interocular_percent"] < 5


def test_lmd_says_in_how_much_of_the_mouth_its_judge_was_right(cartoon, reference, judged, table, features):
    metric, truth = LmdMouth(judged), reference.track.landmarks
    width = np.linalg.norm(truth[:, 42:48].mean(axis=1) - truth[:, 36:42].mean(axis=1), axis=1).min()
    right = []
    for moved in (0, 5, 20):  # points of the mouth, by more than a tenth of the distance between the eyes
        shift = np.zeros((1, 68, 2), np.float32)
        shift[0, 48 : 48 + moved, 1] = 0.15 * width
        stats = metric.measure(cartoon.predicted(reference, table, truth + shift), reference, features)
        assert stats.detail["judge"] == "landmarks"
        right.append(stats.detail["judge_right"])
    assert right == [1.0, 0.75, 0.0]


def test_lmd_without_tracker_and_judge_is_unavailable_with_the_command(context):
    with pytest.raises(Unavailable, match="emobench weights fetch"):
        LmdMouth(context)


def test_opening_follows_the_tracked_mouth_and_falls_with_delay(cartoon, reference, judged, table, features):
    metric = MouthOpening(judged)
    landmarks = reference.track.landmarks
    scores = [
        metric.measure(cartoon.predicted(reference, table, np.roll(landmarks, lag, axis=0)), reference, features).value
        for lag in (0, 1, 4)
    ]
    assert scores[0] == pytest.approx(1.0)
    assert scores == sorted(scores, reverse=True)


def test_a_still_mouth_scores_zero_and_says_so(cartoon, reference, judged, table, features):
    still = np.repeat(reference.track.landmarks[:1], 40, axis=0)
    stats = MouthOpening(judged).measure(cartoon.predicted(reference, table, still), reference, features)
    assert stats.value == 0.0
    assert "does not move" in stats.detail["still"]


def test_opening_without_a_reference_track_is_unscored(cartoon, reference, judged, features):
    with pytest.raises(UnscoredError, match="no track"):
        MouthOpening(judged).measure(cartoon.as_prediction(reference), replace(reference, track=None), features)


def test_best_lag_is_positive_where_the_mouth_is_late(reference):
    energy = frame_energy_db(reference.audio, reference.fps, 40)
    late = np.roll(energy, 3)
    assert best_lag(late[3:], energy[3:])[0] == 3


def test_energy_past_the_end_of_the_sound_is_silence(reference):
    energy = frame_energy_db(reference.audio[:16_000], reference.fps, 40)
    assert (energy[25:] == energy.min()).all()
    assert energy[:25].max() > -40


def test_a_located_prediction_is_keyed_by_frames_and_by_landmarks(cartoon, reference, context, features):
    locate = FaceLocator(context)
    prediction = cartoon.as_prediction(reference)
    moved = replace(reference, track=replace(reference.track, landmarks=reference.track.landmarks + np.float32(1)))
    here, there = (locate(prediction, r, features) for r in (reference, moved))
    assert here.sha256 != there.sha256
    assert here.sha256 == locate(prediction, reference, features).sha256
    assert here.track is reference.track


@pytest.mark.parametrize(("kind", "normalised"), [(LmdMouth, LmdMouthNorm), (LmdFace, LmdFaceNorm)])
def test_normalised_lmd_does_not_change_with_the_render_size(
    kind, normalised, cartoon, reference, judged, table, features
):
    moved = reference.track.landmarks * np.float32([1.0, 1.02])
    large = replace(reference, frames=reference.frames.repeat(2, axis=1).repeat(2, axis=2), sha256="large")
    table.known[large.frames.tobytes()] = reference.track.landmarks * np.float32(2)
    large = replace(large, track=replace(reference.track, landmarks=reference.track.landmarks * np.float32(2)))
    pairs = [
        (cartoon.predicted(reference, table, moved), reference),
        (cartoon.predicted(large, table, moved * np.float32(2)), large),
    ]
    in_pixels, in_eyes = (
        [metric(judged).measure(*pair, features).value for pair in pairs] for metric in (kind, normalised)
    )
    assert in_pixels[1] == pytest.approx(2 * in_pixels[0], rel=1e-5)
    assert in_eyes[1] == pytest.approx(in_eyes[0], rel=1e-5)
    assert 0 < in_eyes[0] < 5


@pytest.mark.parametrize("kind", [LmdMouthNorm, LmdFaceNorm])
def test_normalised_lmd_is_zero_for_the_same_landmarks_and_says_its_unit(
    kind, cartoon, reference, judged, table, features
):
    prediction = cartoon.predicted(reference, table, reference.track.landmarks)
    assert kind(judged).measure(prediction, reference, features).value == 0.0
    assert "% of the reference's distance of eye centres" in kind(judged).signature()
