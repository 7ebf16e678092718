"""Claims about the judges, on a cartoon: small, but with everything that a dataset has."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from emobench.errors import Unavailable, UnscoredError
from emobench.judges import JudgeSet
from emobench.judges.augment import blur
from emobench.judges.crops import CROP_PX, cut, face_squares, to_crop, to_frame
from emobench.judges.judge_set import load_bench
from emobench.judges.material import log_mel, mouth_shape
from emobench.metrics.emotion import JudgedEmotion, TaggedEmotion
from emobench.metrics.judged_sync import SyncJudge
from emobench.metrics.landmarks import LmdMouth
from emobench.metrics.opening import MouthOpening
from emobench.progress import SilentProgress
from emobench.types import Context


def make_context(folder):
    return Context(seed=0, device="cpu", threads=1, cache_dir=folder, progress=SilentProgress())


@pytest.fixture(scope="module")
def clips(cartoon, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cartoons")
    return [
        cartoon.write_clip(folder, cartoon.make_sample(emotion, seed=seed), f"s{seed % 4}")
        for seed in range(1, 10)
        for emotion in cartoon.emotions
    ]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def judges(clips, cache):
    made = JudgeSet(clips, make_context(cache), "cartoon")
    made.emotion()
    return made


def test_emotions_of_unseen_clips_are_read_also_when_blurred(judges, cartoon):
    judge = judges.emotion()
    for emotion in cartoon.emotions:
        sample = cartoon.make_sample(emotion, seed=90)
        for frames in (sample.frames, blur(sample.frames, 1.0)):
            found = judge.extract(replace(sample, frames=frames))
            assert found["probabilities"].shape == (40, 3)
            np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1.0, atol=1e-5)
            assert found["classes"][found["probabilities"].mean(axis=0).argmax()] == emotion


def test_landmarks_of_unseen_clips_are_within_a_pixel(judges, cartoon):
    sample = cartoon.make_sample("surprised", seed=91)
    found = judges.landmarks().extract(sample)["landmarks"]
    assert np.linalg.norm(found - sample.track.landmarks, axis=2).mean() < 1.0


def test_landmarks_are_read_from_pixels_not_from_the_box(judges, cartoon):
    shown, boxed = cartoon.make_sample("surprised", seed=92), cartoon.make_sample("happy", seed=92)
    found = judges.landmarks().extract(replace(boxed, frames=shown.frames))["landmarks"]
    errors = [np.linalg.norm(found - s.track.landmarks, axis=2)[:, 17:27].mean() for s in (shown, boxed)]
    assert errors[0] < errors[1] / 2


def test_the_sync_judge_prefers_the_true_offset_and_finds_a_delay(judges, cartoon):
    sample = cartoon.make_sample("happy", seed=93, seconds=2.4)
    in_time = judges.lipsync().extract(sample)
    late = judges.lipsync().extract(replace(sample, frames=np.roll(sample.frames, 3, axis=0)))
    still = judges.lipsync().extract(replace(sample, frames=np.repeat(sample.frames[:1], 60, axis=0)))

    def margin(found):
        return float(np.median(found["distances"]) - found["distances"][found["offsets"] == 0][0])

    assert in_time["offsets"][in_time["distances"].argmin()] == 0
    assert late["offsets"][late["distances"].argmin()] == -3
    assert margin(in_time) > 0.3 > margin(late)
    assert abs(margin(still)) < 0.1


@pytest.mark.parametrize(("change", "reason"), [({"audio": None}, "no audio"), ({"track": None}, "where the face is")])
def test_a_clip_the_sync_judge_cannot_read_is_unscored(change, reason, judges, cartoon):
    with pytest.raises(UnscoredError, match=reason):
        judges.lipsync().extract(replace(cartoon.make_sample(), **change))


def test_a_clip_too_short_for_all_offsets_uses_fewer_and_one_too_short_for_any_is_unscored(judges, cartoon):
    sample = cartoon.make_sample()

    def first(count):
        track = replace(sample.track, landmarks=sample.track.landmarks[:count])
        return replace(sample, frames=sample.frames[:count], track=track)

    assert judges.lipsync().extract(first(20))["offsets"].tolist() == list(range(-11, 12))
    with pytest.raises(UnscoredError, match="9 frames is shorter than 10"):
        judges.lipsync().extract(first(9))


def test_the_report_grades_each_judge_on_clips_kept_from_training(judges):
    report = judges.report()
    assert report["graded_clips"] >= 3
    assert report["emotion.accuracy.ground_truth"] == 100.0
    assert report["landmarks.mouth_px.blurred"] < 1.5
    assert report["landmarks.accuracy.static"] < report["landmarks.accuracy.ground_truth"]
    assert report["lipsync.accuracy.ground_truth"] > 60


def test_judges_are_kept_by_content_and_read_back_the_same(judges, clips, cache, cartoon):
    again = JudgeSet(list(reversed(clips)), make_context(cache), "cartoon")
    assert again.report() == judges.report()  # from disk, before anything is asked of it
    assert again.emotion().key() == judges.emotion().key()
    sample = cartoon.make_sample(seed=94)
    np.testing.assert_array_equal(
        again.landmarks().extract(sample)["landmarks"], judges.landmarks().extract(sample)["landmarks"]
    )
    other = JudgeSet(clips, make_context(cache), "another dataset")
    assert other.folder != judges.folder
    assert other.report() == {}


@pytest.mark.parametrize("name", ["judges.safetensors", "judges.json"])
def test_a_damaged_cache_entry_counts_as_absent(name, judges, tmp_path):
    copied = tmp_path / judges.folder.name
    shutil.copytree(judges.folder, copied)
    assert load_bench(copied) is not None
    (copied / name).write_bytes((copied / name).read_bytes()[:200])
    assert load_bench(copied) is None


def test_metrics_read_the_judges_of_the_dataset(judges, cartoon, context, features):
    judged = replace(context, judges=judges)
    reference = cartoon.make_sample("angry", seed=96, seconds=2.4)
    prediction = cartoon.as_prediction(reference)
    late = cartoon.as_prediction(reference, frames=np.roll(reference.frames, 5, axis=0))
    assert JudgedEmotion(judged).measure(prediction, reference, features).value == 100.0
    tagged = TaggedEmotion(judged).measure(prediction, reference, features)
    assert (tagged.value, tagged.detail["judge"], tagged.detail["judge_right"]) == (100.0, "tags", 1)
    asked = replace(reference, emotion="happy")
    assert TaggedEmotion(judged).measure(replace(prediction, emotion="happy"), asked, features).value == 0.0
    assert LmdMouth(judged).measure(prediction, reference, features).value == 0.0
    for kind in (SyncJudge, MouthOpening):
        metric = kind(judged)
        in_time, delayed = (metric.measure(p, reference, features).value for p in (prediction, late))
        assert in_time > delayed + 0.2


def test_without_pixels_every_judge_says_why_it_is_missing(clips, tmp_path):
    silent = [replace(clip, video=None) for clip in clips]
    made = JudgeSet(silent, make_context(tmp_path), "no pixels")
    for judge in (made.emotion, made.landmarks, made.lipsync):
        with pytest.raises(Unavailable, match="no train clip has both pixels and a track"):
            judge()


def test_one_emotion_alone_makes_no_emotion_judge(clips, tmp_path):
    made = JudgeSet([c for c in clips if c.emotion == "happy"][:2], make_context(tmp_path), "one emotion")
    with pytest.raises(Unavailable, match="all train clips show 'happy'"):
        made.emotion()
    with pytest.raises(Unavailable, match=r"train clips? with sound, 6 are needed"):
        made.lipsync()


def test_crop_coordinates_invert_and_agree_with_the_pixels(cartoon):
    sample = cartoon.make_sample(size=64)
    squares = face_squares(sample.track.landmarks)
    squares[:, 3] = 0.2
    points = to_crop(sample.track.landmarks, squares)
    np.testing.assert_allclose(to_frame(points, squares), sample.track.landmarks, atol=1e-3)
    dot = np.zeros((1, 64, 64), np.uint8)
    dot[0, 30:34, 36:40] = 255  # its centre is (38, 32), pixel centres at +0.5
    crop = cut(dot, squares[:1]).astype(float)[0]
    centre = [(crop.sum(axis=axis) @ (np.arange(CROP_PX) + 0.5)) / crop.sum() for axis in (0, 1)]
    np.testing.assert_allclose(centre, to_crop(np.float32([[[38, 32]]]), squares[:1])[0, 0], atol=0.1)


def test_the_square_does_not_move_with_mouth_or_brows(cartoon):
    sample = cartoon.make_sample()
    changed = sample.track.landmarks.copy()
    changed[:, 48:] += 9
    changed[:, :27] -= 5
    np.testing.assert_array_equal(face_squares(changed), face_squares(sample.track.landmarks))


def test_mouth_shape_ignores_where_and_how_large_the_face_is(cartoon):
    landmarks = cartoon.make_sample().track.landmarks
    np.testing.assert_allclose(mouth_shape(landmarks * 2 + 7), mouth_shape(landmarks), atol=1e-4)


def test_log_mel_has_a_row_for_every_step_whatever_the_sound_s_length():
    for length in (100, 16_000, 40_000):
        assert log_mel(np.ones(length, np.float32), 160).shape == (160, 40)
