"""Claims about SyncNet scores and FID that hold for any weights: random ones of the right layout are made here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from emobench.errors import Unavailable, UnscoredError
from emobench.metrics import distribution
from emobench.metrics.distribution import Fid, FrechetJudge, Kid
from emobench.metrics.judged_sync import SyncJudge
from emobench.metrics.lipsync import LseC, LseCByS3fd, LseD, crop_face, detection_squares, smooth_squares
from emobench.metrics.s3fd import S3fd, S3fdDetector
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


def test_s3fd_boxes_change_the_crop_and_the_signature_says_so(
    cartoon, reference, syncnet, features, tmp_path, monkeypatch
):
    torch.save(S3fd().state_dict(), tmp_path / "sfd_face.pth")
    weight = syncnet.locate_weight
    by_s3fd = replace(syncnet, locate_weight=lambda n: tmp_path / "sfd_face.pth" if n == "s3fd" else weight(n))
    landmarks = reference.track.landmarks
    low, high = landmarks.min(axis=1).astype(float), landmarks.max(axis=1).astype(float)
    monkeypatch.setattr(S3fdDetector, "follow", lambda self, frames: np.concatenate([low, high], axis=1)[: len(frames)])
    prediction, cut = short(cartoon, reference, 8)
    usual, metric = LseC(syncnet), LseCByS3fd(by_s3fd)
    found, default = (m.measure(prediction, cut, features) for m in (metric, usual))
    squares = smooth_squares(low[:8], high[:8])
    assert found.detail["face_px"] == pytest.approx(2 * np.median(squares[:, 0]))
    assert found.detail["face_px"] != default.detail["face_px"]
    assert found.detail["lse_d"] != default.detail["lse_d"]
    said = metric.signature_over([found])
    assert "S3FD on frames at 0.25 of their size, confidence 0.9, median 13" in said
    assert "boxes: s3fd@" in said
    assert "s3fd" not in usual.signature_over([default]).lower()


def test_a_clip_in_which_s3fd_finds_no_face_is_unscored(tmp_path):
    torch.save(S3fd().state_dict(), tmp_path / "sfd_face.pth")  # untrained: no box is sure
    with pytest.raises(UnscoredError, match=r"no face found in frame 0 \(S3FD\)"):
        S3fdDetector(tmp_path / "sfd_face.pth", "cpu").follow(np.zeros((2, 128, 128, 3), np.uint8))


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


class Described:
    """Stands for an emotion judge whose features are mean colours."""

    def key(self):
        return "described"

    def extract(self, sample):
        return {"features": sample.frames.mean(axis=(1, 2)).astype(np.float32) / 255}

    def emotion(self):
        return self


# ------------------------------------------------------------------ FID, KID and Fréchet over clips, with stand-ins


@pytest.fixture
def colours(monkeypatch, tmp_path):
    """A context in which Inception's features are mean colours: pooling is tested here, the network in parity."""
    weight = tmp_path / "weight"
    weight.write_bytes(b"x")
    monkeypatch.setattr(distribution, "load_inception", lambda *_: lambda images: images.mean(dim=(2, 3)))
    return MetricContext(judges=None, locate_weight=lambda name: weight)


@pytest.fixture
def fid(colours):
    return Fid(colours)


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
    assert fid.caveat([stats]).startswith("N = 40 frames (40 a clip) < 2048: biased upward; KID")
    many = np.zeros((2048, 3), np.float32)
    assert "biased upward" not in fid.caveat([Stats(value=None, arrays={"prediction": many, "reference": many})])


def test_fid_refuses_dropped_frames(cartoon, reference, fid, features):
    with pytest.raises(UnscoredError, match="nothing is truncated"):
        fid.measure(cartoon.as_prediction(reference, frames=reference.frames[1:]), reference, features)


@pytest.mark.parametrize("kind", [Kid, FrechetJudge])
def test_pooled_distances_have_no_value_per_clip_and_no_interval(kind, cartoon, reference, context, colours, features):
    metric = kind(replace(colours, judges=Described()))
    stats = metric.measure(cartoon.as_prediction(reference), reference, features)
    assert (stats.value, stats.reason, stats.detail["frames"]) == (None, "pooled only", 40)
    assert metric.bootstrap_resamples == 0
    assert metric.caveat([stats, stats]).startswith("N = 80 frames (40 a clip) < 2048")


@pytest.mark.parametrize("kind", [Kid, FrechetJudge])
def test_pooled_distances_grow_with_the_difference_and_vanish_for_the_same_clip(
    kind, cartoon, reference, colours, features
):
    metric = kind(replace(colours, judges=Described()))
    scores = [
        metric.aggregate([metric.measure(cartoon.as_prediction(reference, frames=frames), reference, features)])
        for frames in (reference.frames, reference.frames // 2, reference.frames // 4)
    ]
    assert scores[0] <= 1e-9  # an unbiased estimate of 0 may be negative
    assert scores[0] == pytest.approx(0.0, abs=1e-3)
    assert scores[0] < scores[1] < scores[2]


@pytest.mark.parametrize("kind", [Kid, FrechetJudge])
def test_pooled_distances_refuse_dropped_frames(kind, cartoon, reference, colours, features):
    metric = kind(replace(colours, judges=Described()))
    with pytest.raises(UnscoredError, match="nothing is truncated"):
        metric.measure(cartoon.as_prediction(reference, frames=reference.frames[1:]), reference, features)


def test_kid_shares_its_features_with_fid(colours, fid):
    assert Kid(colours)._extractor.key() == fid._extractor.key()


def test_the_judge_s_distance_is_never_called_fid(cartoon, reference, context, features):
    metric = FrechetJudge(replace(context, judges=Described()))
    stats = metric.measure(cartoon.as_prediction(reference), reference, features)
    assert "FID" not in metric.signature_over([stats])
    assert "emotion-judge features" in metric.signature()
    assert "boxes: track:dataset" in metric.signature_over([stats])


@pytest.mark.parametrize(("kind", "word"), [(Kid, "weights fetch"), (FrechetJudge, "train split")])
def test_pooled_distances_without_a_network_are_unavailable(kind, word, context):
    with pytest.raises(Unavailable, match=word):
        kind(context)


def test_the_real_judge_tells_its_features_and_reads_its_probabilities_from_them(reference):
    from emobench.judges.extractors import EmotionJudge
    from emobench.judges.networks import FaceNet

    torch.manual_seed(0)
    network = FaceNet(3).eval()
    found = EmotionJudge(network, ("a", "b", "c"), "k").extract(reference)
    assert found["features"].shape == (40, 128)
    logits = network.head[-1](torch.from_numpy(found["features"])).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(found["probabilities"], logits, atol=1e-6)
