"""Hyperplanes on frames whose emotions are known directions."""

from __future__ import annotations

import numpy as np
import pytest

from emobench.methods.emohead.config import RefinementConfig
from emobench.methods.emohead.hyperplanes import Hyperplanes, LabelledFrames, RunningMean, fit_hyperplanes

EMOTIONS = ("angry", "happy", "neutral")
CENTRES = np.array([[0, 0, 4, 0, 0], [0, 0, 0, 4, 0], [0, 0, 0, 0, 0]], np.float32)
IS_MOUTH = np.array([True, True, False, False, False])


def frames(seed: int = 0, emotions: tuple[int, ...] = (0, 1, 2), per_clip: int = 30) -> LabelledFrames:
    """Clips of smooth mouth motion (columns 0 and 1) at a centre by emotion and level."""
    rng = np.random.default_rng(seed)
    parts, labels, levels, clips = [], [], [], []
    for clip in range(6 * len(emotions)):
        emotion, level = emotions[clip % len(emotions)], 1 + clip % 2 * 2
        alpha = CENTRES[emotion] * level / 3 + 0.5 * rng.normal(size=(per_clip, 5))
        alpha[:, 0] += 3 * np.sin(np.arange(per_clip) / 2 + clip)
        parts.append(alpha.astype(np.float32))
        labels += [EMOTIONS[emotion]] * per_clip
        levels += [level] * per_clip
        clips += [clip] * per_clip
    return LabelledFrames(
        alpha=np.concatenate(parts), emotion=np.array(labels), level=np.array(levels), clip=np.array(clips)
    )


def fit(data: LabelledFrames, seed: int = 0, **options: object) -> Hyperplanes:
    planes = fit_hyperplanes(data, IS_MOUTH, RefinementConfig(**options), np.random.default_rng(seed))
    assert planes is not None
    return planes


def test_normals_have_unit_length_and_point_to_their_emotion() -> None:
    planes = fit(frames())
    np.testing.assert_allclose(np.linalg.norm(planes.normal, axis=1), 1, rtol=1e-6)
    assert planes.normal[0].argmax() == 2
    assert planes.normal[1].argmax() == 3
    np.testing.assert_allclose(np.diag(planes.cosines()), 1, rtol=1e-5)


def test_a_hyperplane_separates_frames_it_never_saw() -> None:
    planes, unseen = fit(frames(0)), frames(1)
    for emotion in ("angry", "happy"):
        right = (planes.distance(unseen.alpha, emotion) > 0) == (unseen.emotion == emotion)
        assert right.mean() > 0.9


def test_tau_one_carries_the_median_of_the_others_to_the_median_of_the_emotion() -> None:
    data = frames()
    planes = fit(data)
    for emotion in EMOTIONS:
        is_emotion = data.emotion == emotion
        others = data.alpha[~is_emotion]
        moved = planes.push(others, emotion, np.ones(len(others), np.float32))
        wanted = np.median(planes.distance(data.alpha[is_emotion], emotion))
        assert np.median(planes.distance(moved, emotion)) == pytest.approx(wanted, abs=1e-3)  # float32


def test_tau_zero_moves_nothing_and_tau_two_twice_as_far() -> None:
    planes, alpha = fit(frames()), frames().alpha
    none, once, twice = (planes.push(alpha, "happy", np.full(len(alpha), t, np.float32)) for t in (0, 1, 2))
    np.testing.assert_array_equal(none, alpha)
    np.testing.assert_allclose(twice - alpha, 2 * (once - alpha), atol=1e-5)


def test_targets_rise_with_the_level_and_unseen_levels_take_the_overall_median() -> None:
    data = frames()
    planes = fit(data)
    row = planes.emotions.index("angry")
    low, unseen, high = planes.target[row]
    assert low < high
    assert unseen == pytest.approx(np.median(planes.distance(data.alpha[data.emotion == "angry"], "angry")), abs=1e-4)


def test_projection_takes_mouth_motion_out_of_the_normal() -> None:
    free, projected = fit(frames()), fit(frames(), project_articulation=True, articulation_rank=1)
    assert abs(projected.normal[:, 0]).max() < 1e-2  # column 0 is the moving jaw; noise tilts the PCA a little
    assert abs(projected.normal[:, 0]).max() < abs(free.normal[:, 0]).max()
    np.testing.assert_allclose(np.linalg.norm(projected.normal, axis=1), 1, rtol=1e-5)
    assert projected.accuracy[projected.emotions.index("angry")] > 0.85


def test_one_emotion_has_no_hyperplane() -> None:
    assert fit_hyperplanes(frames(emotions=(1,)), IS_MOUTH, RefinementConfig(), np.random.default_rng(0)) is None


def test_the_same_generator_gives_the_same_hyperplanes() -> None:
    one, two = fit(frames(), seed=5, max_frames=200), fit(frames(), seed=5, max_frames=200)
    np.testing.assert_array_equal(one.normal, two.normal)
    assert not np.array_equal(one.normal, fit(frames(), seed=6, max_frames=200).normal)


def test_accuracy_is_measured_on_clips_left_out() -> None:
    """Labels that are pure chance per clip cannot be predicted for other clips, however well they are memorised."""
    data = frames()
    rng = np.random.default_rng(3)
    by_clip = rng.permutation(np.repeat(["angry", "happy"], 9))
    alpha = rng.normal(size=data.alpha.shape) + 3 * rng.normal(size=(18, 5)).repeat(30, axis=0)
    alpha = alpha.astype(np.float32)
    chance = LabelledFrames(alpha=alpha, emotion=by_clip[data.clip], level=data.level, clip=data.clip)
    assert fit(chance).accuracy.max() < 0.8


def test_the_landing_step_takes_the_clip_to_the_median_of_tag_and_level() -> None:
    data = frames()
    planes = fit(data)
    clip = data.alpha[data.clip == 0]
    moved = planes.push(clip, "happy", np.ones(len(clip), np.float32), 3, "landing")
    wanted = planes.target[planes.emotions.index("happy"), 2]
    assert planes.distance(moved, "happy").mean() == pytest.approx(wanted, abs=1e-4)


def test_the_joint_step_takes_the_spoken_emotion_away_where_a_normal_leaves_it() -> None:
    data = frames()
    planes = fit(data)
    angry = data.alpha[(data.emotion == "angry") & (data.level == 3)]
    ones = np.ones(len(angry), np.float32)
    joint, normal = (planes.push(angry, "happy", ones, 3, kind) for kind in ("joint", "normal"))
    np.testing.assert_allclose(joint.mean(axis=0)[2:4], [0, 4], atol=0.3)  # columns of anger and happiness
    assert np.abs(normal.mean(axis=0)[2:4] - [0, 4]).max() > 1.0


def test_the_joint_step_leaves_articulation_alone() -> None:
    data = frames()
    planes = fit(data)
    angry = data.alpha[data.clip == 0]
    moved = planes.push(angry, "happy", np.ones(len(angry), np.float32), 3, "joint")
    assert np.abs(moved - angry)[:, :2].max() < 0.5  # the mouth swings by 3
    assert np.abs(moved - angry)[:, 2:4].max() > 1.5


def test_a_clip_that_shows_the_emotion_is_hardly_moved_by_the_joint_step() -> None:
    data = frames()
    planes, clip = fit(data), data.alpha[data.clip == 7]  # happy, level 3
    assert data.emotion[data.clip == 7][0] == "happy"
    assert np.abs(planes.step(clip, "happy", 3, "joint")).max() < 0.4
    assert np.abs(planes.step(clip, "happy", 3, "normal")).max() > 2


def test_a_level_between_two_lies_between_their_steps() -> None:
    data = frames()
    planes, clip = fit(data), frames().alpha[:30]
    for kind in ("landing", "joint"):
        low, middle, high = (planes.step(clip, "happy", level, kind) for level in (2, 2.5, 3))
        np.testing.assert_allclose(middle, (low + high) / 2, atol=1e-4)


def test_a_causal_step_knows_only_the_frames_so_far() -> None:
    data = frames()
    planes, clip = fit(data), data.alpha[data.clip == 0]
    whole, part = (planes.step(x, "happy", 3, "joint", RunningMean()) for x in (clip, clip[:10]))
    assert whole.shape == clip.shape
    np.testing.assert_allclose(whole[:10], part, atol=1e-5)
    np.testing.assert_allclose(whole[-1:], planes.step(clip, "happy", 3, "joint"), atol=1e-4)
