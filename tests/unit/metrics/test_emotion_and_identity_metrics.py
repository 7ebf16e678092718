"""Claims about emotion accuracy and identity; with the real small networks where EMOBENCH_WEIGHTS has them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emobench.errors import Unavailable, UnscoredError
from emobench.metrics import expressnet
from emobench.metrics.emotion import ExpressNetEmotion, HsEmotion, JudgedEmotion, square_crops
from emobench.metrics.identity import TEMPLATE, Csim, five_points, similarity
from emobench.types import EMOTIONS, MetricContext

WEIGHTS = Path(os.environ.get("EMOBENCH_WEIGHTS", "")) if os.environ.get("EMOBENCH_WEIGHTS") else None


class Oracle:
    """Stands for an emotion judge that always answers the same."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def key(self) -> str:
        return f"oracle:{self.answer}"

    def extract(self, sample):
        row = np.array([0.6 if name == self.answer else 0.1 for name in EMOTIONS], np.float32)
        return {"probabilities": np.tile(row, (len(sample.frames), 1)), "classes": np.array(EMOTIONS)}

    def emotion(self):
        return self


@pytest.mark.parametrize(("answer", "value"), [("happy", 100.0), ("sad", 0.0)])
def test_accuracy_is_100_or_0_and_the_detail_says_what_was_seen(answer, value, cartoon, reference, context, features):
    metric = JudgedEmotion(replace(context, judges=Oracle(answer)))
    stats = metric.measure(cartoon.as_prediction(reference), reference, features)
    assert (stats.value, stats.detail["predicted"], stats.detail["wanted"]) == (value, answer, "happy")


def test_accuracy_over_clips_is_the_share_of_right_ones(cartoon, reference, context, features):
    metric = JudgedEmotion(replace(context, judges=Oracle("happy")))
    right = metric.measure(cartoon.as_prediction(reference), reference, features)
    wrong = metric.measure(cartoon.as_prediction(reference), replace(reference, emotion="fear"), features)
    assert metric.aggregate([right, right, right, wrong]) == 75.0


@pytest.mark.parametrize(("emotion", "reason"), [(None, "no emotion tag"), ("calm", "not among the network's classes")])
def test_a_clip_without_a_known_emotion_is_unscored(emotion, reason, cartoon, reference, context, features):
    metric = JudgedEmotion(replace(context, judges=Oracle("happy")))
    tagged = replace(reference, emotion=emotion)
    with pytest.raises(UnscoredError, match=reason):
        metric.measure(cartoon.as_prediction(tagged), tagged, features)


@pytest.mark.parametrize("kind", [ExpressNetEmotion, HsEmotion, JudgedEmotion, Csim])
def test_without_weights_or_judges_the_metric_is_unavailable_with_the_reason(kind, context):
    with pytest.raises(Unavailable, match=r"emobench weights fetch|train split"):
        kind(context)


def test_square_crops_centre_the_landmarks(cartoon, reference):
    crops = np.stack(list(square_crops(reference, 1.1, 112)))
    assert crops.shape == (40, 112, 112, 3)
    points = reference.track.landmarks
    low, high = points.min(axis=1), points.max(axis=1)
    x, y = np.round((low + high)[0] / 2 - 0.5).astype(int)
    step = 112 / (1.1 * (high - low)[0].max())
    assert step == pytest.approx(112 / (1.1 * 0.21 * 96 * 2.3), rel=0.15)  # the template is about 2.3 eyes wide
    np.testing.assert_allclose(crops[0, 56, 56], reference.frames[0, y, x], atol=60)


def test_the_similarity_recovers_a_rotation_scale_and_shift():
    template = np.array(TEMPLATE)
    turn = 1.7 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    source = (template - (4, -9)) @ np.linalg.inv(turn).T
    matrix = similarity(source, template)
    np.testing.assert_allclose(source @ matrix[:, :2].T + matrix[:, 2], template, atol=1e-9)


def test_coinciding_landmarks_are_unscored():
    with pytest.raises(UnscoredError, match="coincide"):
        similarity(np.zeros((5, 2)), np.array(TEMPLATE))


def test_the_five_points_are_eyes_nose_and_mouth_corners(reference):
    points = five_points(reference.track.landmarks)[0]
    assert points[0, 0] < points[2, 0] < points[1, 0]
    assert points[0, 1] < points[2, 1] < points[3, 1]


def test_a_truncated_shard_is_refused(tmp_path):
    manifest = '[{"weights":[{"name":"a","shape":[4],"dtype":"float32"}],"paths":["shard1"]}]'
    (tmp_path / expressnet.MANIFEST).write_text(manifest)
    (tmp_path / "shard1").write_bytes(b"1234")
    with pytest.raises(Unavailable, match="shard ends inside a"):
        expressnet.read_shards(tmp_path)


def test_quantised_tensors_are_scaled_back(tmp_path):
    packed = '"quantization":{"dtype":"uint8","scale":0.5,"min":-1.0}'
    manifest = (
        '[{"weights":[{"name":"a","shape":[2],"dtype":"float32",' + packed + "},"
        '{"name":"b","shape":[1],"dtype":"float32"}],"paths":["s1","s2"]}]'
    )
    (tmp_path / expressnet.MANIFEST).write_text(manifest)
    (tmp_path / "s1").write_bytes(bytes([0, 4]) + np.float32(7).tobytes()[:2])
    (tmp_path / "s2").write_bytes(np.float32(7).tobytes()[2:])
    tensors = expressnet.read_shards(tmp_path)
    np.testing.assert_array_equal(tensors["a"], [-1.0, 1.0])
    np.testing.assert_array_equal(tensors["b"], [7.0])


# ------------------------------------------------------------------ HSEmotion, on a network of the same interface


def test_hsemotion_reads_logits_in_its_own_class_order(cartoon, reference, features, tmp_path):
    weights = np.zeros((3, 8), np.float32)
    weights[0, 4] = weights[2, 6] = 1.0  # red reads as happiness, blue as sadness
    path = tmp_path / "enet.onnx"
    path.write_bytes(cartoon.mean_colour_network(weights))
    metric = HsEmotion(MetricContext(judges=None, locate_weight=lambda name: path))
    for channel, emotion in ((0, "happy"), (2, "sad")):
        frames = np.zeros_like(reference.frames[:3])
        frames[..., channel] = 255
        track = replace(reference.track, landmarks=reference.track.landmarks[:3])
        shown = replace(reference, frames=frames, track=track, sha256=emotion)
        assert metric.measure(shown, shown, features).detail["predicted"] == emotion
    assert "8 classes" in metric.signature()


@pytest.mark.parametrize("classes", [0, 7])
def test_a_file_that_is_not_hsemotion_is_refused(classes, cartoon, tmp_path):
    path = tmp_path / "enet.onnx"
    network = cartoon.mean_colour_network(np.zeros((3, classes), np.float32)) if classes else b"not a network"
    path.write_bytes(network)
    with pytest.raises(Unavailable, match=r"cannot be loaded|gives 7 classes"):
        HsEmotion(MetricContext(judges=None, locate_weight=lambda name: path))


# ------------------------------------------------------------------ with the real networks


def located(name: str) -> Path:
    if WEIGHTS is None:
        raise Unavailable(name)
    return WEIGHTS / {"expressnet": "faceapi", "mobilefacenet": "MobileFaceNet.onnx"}[name]


real = pytest.mark.skipif(
    WEIGHTS is None or not (WEIGHTS / "MobileFaceNet.onnx").exists() or not (WEIGHTS / "faceapi").exists(),
    reason="EMOBENCH_WEIGHTS with faceapi/ and MobileFaceNet.onnx is not set",
)


@real
@pytest.mark.data
def test_identity_of_a_clip_with_itself_is_one_and_falls_with_blur(cartoon, reference, features):
    from emobench.judges.augment import blur

    metric = Csim(MetricContext(judges=None, locate_weight=located))
    scores = [
        metric.measure(cartoon.as_prediction(reference, frames=frames), reference, features).value
        for frames in (reference.frames, blur(reference.frames, 2.0), blur(reference.frames, 6.0))
    ]
    assert scores[0] == pytest.approx(1.0, abs=1e-9)
    assert scores == sorted(scores, reverse=True)


@real
@pytest.mark.data
def test_the_expression_network_gives_probabilities_and_leaves_contempt_unscored(cartoon, reference, features):
    metric = ExpressNetEmotion(MetricContext(judges=None, locate_weight=located))
    assert "unscored: contempt" in metric.signature()
    stats = metric.measure(cartoon.as_prediction(reference), reference, features)
    assert stats.arrays["probabilities"].sum() == pytest.approx(1.0, abs=1e-5)
    contempt = replace(reference, emotion="contempt")
    with pytest.raises(UnscoredError, match="'contempt' is not among"):
        metric.measure(cartoon.as_prediction(contempt), contempt, features)
