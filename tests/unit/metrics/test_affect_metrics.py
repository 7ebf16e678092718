"""Claims about valence, arousal and the intensity level, with networks and judges that answer by colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from emobench.errors import Unavailable, UnscoredError
from emobench.metrics.affect import EmotionLevel, arousal_error, rank_correlation, valence_error
from emobench.types import MetricContext


@pytest.fixture
def affect(cartoon, tmp_path):
    """Valence follows red, arousal blue (of ImageNet-normalised means)."""
    weights = np.zeros((3, 10), np.float32)
    weights[0, 8] = weights[2, 9] = 0.2
    path = tmp_path / "va.onnx"
    path.write_bytes(cartoon.mean_colour_network(weights))
    return MetricContext(judges=None, locate_weight=lambda name: path)


def tinted(sample, channel, amount):
    frames = sample.frames.astype(int)
    frames[..., channel] = np.clip(frames[..., channel] + amount, 0, 255)
    return frames.astype(np.uint8)


@pytest.mark.parametrize(("kind", "own", "other"), [(valence_error, 0, 2), (arousal_error, 2, 0)])
def test_affect_errors_are_zero_for_the_same_clip_and_grow_with_their_own_dimension(
    kind, own, other, cartoon, reference, affect, features
):
    metric = kind(affect)

    def score(frames):
        return metric.measure(cartoon.as_prediction(reference, frames=frames), reference, features)

    assert score(reference.frames).value == 0.0
    values = [score(tinted(reference, own, amount)).value for amount in (5, 20, 60)]
    assert values == sorted(values)
    assert values[0] > 0
    assert score(tinted(reference, other, 60)).value == pytest.approx(0.0, abs=1e-6)
    assert "hsemotion.enet_b0_8_va_mtl@" in metric.signature()


def test_affect_of_clips_is_a_mean_over_frames_of_signed_readings(cartoon, reference, affect, features):
    frames = reference.frames.copy()
    frames[::2] = tinted(reference, 0, 20)[::2]
    stats = valence_error(affect).measure(cartoon.as_prediction(reference, frames=frames), reference, features)
    assert stats.detail["prediction"] - stats.detail["reference"] == pytest.approx(stats.value, abs=1e-6)


@pytest.mark.parametrize("kind", [valence_error, arousal_error])
def test_affect_without_its_weight_is_unavailable_with_the_command(kind, context):
    with pytest.raises(Unavailable, match=r"emobench weights fetch hsemotion.enet_b0_8_va_mtl"):
        kind(context)


def test_a_network_of_eight_outputs_is_refused(cartoon, tmp_path):
    path = tmp_path / "va.onnx"
    path.write_bytes(cartoon.mean_colour_network(np.zeros((3, 8), np.float32)))
    with pytest.raises(Unavailable, match="gives 8 outputs, 10 were expected"):
        valence_error(MetricContext(judges=None, locate_weight=lambda name: path))


# ------------------------------------------------------------------ intensity level


class Brightness:
    """Stands for an emotion judge: the brighter the frames, the surer it is of "happy"."""

    def key(self):
        return "brightness"

    def extract(self, sample):
        sure = float(sample.frames.mean()) / 255.0
        rows = np.tile(np.array([sure, 1.0 - sure], np.float32), (len(sample.frames), 1))
        return {"probabilities": rows, "classes": np.array(["happy", "sad"])}

    def emotion(self):
        return self


@pytest.fixture
def level(context):
    return EmotionLevel(replace(context, judges=Brightness()))


def at_level(metric, cartoon, reference, features, number, darkness, *, subject="cartoon", emotion="happy"):
    clip = replace(reference, intensity=number, subject=subject, emotion=emotion)
    prediction = cartoon.as_prediction(clip, frames=reference.frames // darkness)
    return metric.measure(prediction, clip, features)


def test_a_clip_alone_has_no_level_correlation(level, cartoon, reference, features):
    stats = at_level(level, cartoon, reference, features, 3, 1)
    assert (stats.value, stats.reason) == (None, "pooled only")
    assert level.aggregate([stats]) is None
    assert "two intensity levels" in level.caveat([stats])


def test_level_is_one_where_the_probability_follows_it_and_falls_with_each_swap(level, cartoon, reference, features):
    def clips(*darkness):
        return [
            at_level(level, cartoon, reference, features, number, dark)
            for number, dark in zip((1, 2, 3), darkness, strict=True)
        ]

    values = [level.aggregate(clips(*order)) for order in ((9, 3, 1), (3, 9, 1), (3, 1, 9), (1, 3, 9))]
    assert values == pytest.approx([1.0, 0.5, -0.5, -1.0])
    assert level.aggregate(clips(2, 2, 2)) == 0.0
    assert level.caveat(clips(9, 3, 1)) == "3 clips in 1 groups of one subject and emotion"


def test_levels_are_compared_within_one_subject_and_emotion_only(level, cartoon, reference, features):
    dark_high = [
        at_level(level, cartoon, reference, features, number, dark, subject=subject)
        for subject, number, dark in (("a", 1, 2), ("a", 2, 1), ("b", 2, 9), ("b", 3, 5))
    ]
    assert level.aggregate(dark_high) == pytest.approx(1.0)
    alone = at_level(level, cartoon, reference, features, 3, 9, subject="c")
    assert level.aggregate([*dark_high, alone]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "reason"), [({"intensity": None}, "no emotion tag with an intensity"), ({"emotion": "fear"}, "'fear'")]
)
def test_a_clip_without_a_level_or_a_known_emotion_is_unscored(changes, reason, level, cartoon, reference, features):
    clip = replace(reference, **changes)
    with pytest.raises(UnscoredError, match=reason):
        level.measure(cartoon.as_prediction(clip), clip, features)


def test_level_without_a_train_split_is_unavailable(context):
    with pytest.raises(Unavailable, match="train split"):
        EmotionLevel(context)


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_equals_scipy_with_ties(seed):
    rng = np.random.default_rng(seed)
    levels = rng.integers(1, 4, 12).astype(float)
    probabilities = np.round(levels * 0.2 + rng.normal(0, 0.3, 12), 1)
    expected = scipy_stats.spearmanr(levels, probabilities).statistic
    assert rank_correlation(levels, probabilities) == pytest.approx(expected, abs=1e-12)
