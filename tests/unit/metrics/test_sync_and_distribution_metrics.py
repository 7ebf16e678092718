"""Claims about SyncNet scores and FID that hold for any weights: random ones of the right layout are made here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from emobench.errors import Unavailable, UnscoredError
from emobench.metrics import distribution
from emobench.metrics.distribution import Fid
from emobench.metrics.judged_sync import SyncJudge
from emobench.metrics.lipsync import LseC, LseD, crop_face, detection_squares
from emobench.metrics.syncnet import SyncNet, score_distances
from emobench.types import MetricContext, Stats


@pytest.fixture(scope="module")
def syncnet(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "syncnet_v2.model"
    torch.save(SyncNet().state_dict(), path)
    return MetricContext(judges=None, locate_weight=lambda name: path)


def short(cartoon, reference, count):
    """A clip cut to `count` frames with its sound and track."""
    track = reference.track
    cut = replace(track, landmarks=track.landmarks[:count])
    changes = {"frames": reference.frames[:count], "audio": reference.audio[: count * 640]}
    return cartoon.as_prediction(reference, **changes), replace(reference, track=cut, **changes)


def test_lse_d_and_lse_c_come_from_one_pass_and_name_both_min_track_conventions(cartoon, reference, syncnet, features):
    prediction, cut = short(cartoon, reference, 8)
    distance = LseD(syncnet).measure(prediction, cut, features)
    confidence = LseC(syncnet).measure(prediction, cut, features)
    assert distance.detail == confidence.detail
    assert (distance.value, confidence.value) == (distance.detail["lse_d"], distance.detail["lse_c"])
    assert distance.detail["windows"] == 3
    assert {distance.detail["min_track_100"], distance.detail["min_track_50"]} == {"would be dropped"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"audio": None}, "no audio"),
        ({"fps": 30.0}, "30 frames a second; SyncNet knows 25"),
        ({"audio": np.zeros(3 * 16_000, np.float32)}, "audio covers 75 frames, video has 40"),
    ],
)
def test_a_clip_that_syncnet_cannot_hear_is_unscored(change, reason, cartoon, reference, syncnet, features):
    with pytest.raises(UnscoredError, match=reason):
        LseC(syncnet).measure(cartoon.as_prediction(reference, **change), reference, features)


def test_a_clip_of_five_frames_is_unscored_with_the_limit(cartoon, reference, syncnet, features):
    with pytest.raises(UnscoredError, match="5 frames is shorter than 6"):
        LseC(syncnet).measure(*short(cartoon, reference, 5), features)


def test_syncnet_without_its_weights_is_unavailable_with_the_command(context):
    with pytest.raises(Unavailable, match="emobench weights fetch syncnet"):
        LseC(context)


def test_scores_find_the_offset_of_the_smallest_distance():
    distances = np.full(31, 9.0)
    distances[12] = 6.5
    score = score_distances(distances)
    assert (score.lse_d, score.lse_c, score.offset_frames) == (6.5, 2.5, 3)


def test_face_crops_reach_below_the_chin_and_pad_with_grey(reference):
    frame = reference.frames[0]
    assert crop_face(frame, 20.0, 10.0, 10.0).shape == (224, 224, 3)
    assert (crop_face(frame, 20.0, 0.0, 0.0)[0, 0] == 110).all()
    with pytest.raises(UnscoredError, match="outside"):
        crop_face(frame, 20.0, 900.0, 900.0)


def test_one_wild_frame_does_not_move_the_crop(reference):
    landmarks = reference.track.landmarks.copy()
    steady = detection_squares(landmarks)
    landmarks[20] += 30
    np.testing.assert_allclose(detection_squares(landmarks), steady, atol=1.5)


class Margins:
    """Stands for a lip-sync judge with given distances."""

    def __init__(self, distances):
        self.distances = np.asarray(distances, float)

    def key(self):
        return "margins"

    def extract(self, sample):
        reach = len(self.distances) // 2
        return {"distances": self.distances, "offsets": np.arange(-reach, reach + 1), "windows": np.array(9)}

    def lipsync(self):
        return self


def test_the_sync_judge_s_margin_is_taken_at_offset_zero(cartoon, reference, context, features):
    distances = [1.2, 1.2, 0.4, 1.2, 1.2]
    in_time = SyncJudge(replace(context, judges=Margins(distances)))
    late = SyncJudge(replace(context, judges=Margins(np.roll(distances, 1))))
    prediction = cartoon.as_prediction(reference)
    assert in_time.measure(prediction, reference, features).value == pytest.approx(0.8)
    stats = late.measure(cartoon.as_prediction(reference, frames=reference.frames ^ 1), reference, features)
    assert stats.value == pytest.approx(0.0)
    assert stats.detail["best_offset_frames"] == 1


# ------------------------------------------------------------------ FID over clips, with a stand-in for Inception


@pytest.fixture
def fid(monkeypatch, tmp_path):
    """Fid whose features are mean colours: the pooling is what is tested here, the network in tests/parity."""
    weight = tmp_path / "weight"
    weight.write_bytes(b"x")
    monkeypatch.setattr(distribution, "load_inception", lambda path, device: lambda images: images.mean(dim=(2, 3)))
    return Fid(MetricContext(judges=None, locate_weight=lambda name: weight))


def test_fid_exists_only_over_the_pooled_split(cartoon, reference, fid, features):
    stats = fid.measure(cartoon.as_prediction(reference), reference, features)
    assert (stats.value, stats.reason) == (None, "pooled only")
    assert fid.aggregate([stats]) == pytest.approx(0.0, abs=1e-9)


def test_fid_grows_with_the_difference(cartoon, reference, fid, features):
    scores = [
        fid.aggregate([fid.measure(cartoon.as_prediction(reference, frames=frames), reference, features)])
        for frames in (reference.frames, reference.frames // 2, reference.frames // 4)
    ]
    assert scores == sorted(scores)
    assert scores[0] < scores[1] < scores[2]


def test_fid_states_n_warns_below_2048_and_gives_kid(cartoon, reference, fid, features):
    stats = fid.measure(cartoon.as_prediction(reference), reference, features)
    assert fid.caveat([stats]).startswith("N = 40 frames < 2048: biased upward; KID")
    many = np.zeros((2048, 3), np.float32)
    assert "biased upward" not in fid.caveat([Stats(value=None, arrays={"prediction": many, "reference": many})])


def test_fid_refuses_dropped_frames(cartoon, reference, fid, features):
    with pytest.raises(UnscoredError, match="nothing is truncated"):
        fid.measure(cartoon.as_prediction(reference, frames=reference.frames[1:]), reference, features)
