"""Ground truth of puppet clips: what is handed over agrees with the pixels, with itself, and with how it was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emobench.datasets.puppet.alpha import unit_slice
from emobench.datasets.puppet.config import PuppetConfig
from emobench.datasets.puppet.dataset import PuppetDataset
from emobench.datasets.puppet.dense import (
    GROUPS,
    N_DENSE,
    behind_lids,
    dense_rig,
    place_dense,
    visible_points,
)
from emobench.datasets.puppet.identity import IDENTITIES
from emobench.datasets.puppet.surface import Surface
from emobench.datasets.puppet.truth import Truth, load_truth
from emobench.datasets.puppet.view import project, to_camera
from emobench.errors import InputError
from emobench.face.tracks import load_track
from emobench.media import read_audio, read_video
from emobench.progress import SilentProgress
from emobench.rendering import make_driving
from emobench.types import Clip, Context, HeadPose

SMALL = PuppetConfig(
    name="truth", subjects=("ben",), emotions=("happy", "neutral"), levels=(3,), train_sentences=("s01",),
    val_sentences=(), test_sentences=("s11",), pixel_train=1, size_px=64, novel_every=16,
)  # fmt: skip


def dataset(path: Path, config: PuppetConfig = SMALL) -> PuppetDataset:
    context = Context(seed=0, device="cpu", threads=1, cache_dir=path, progress=SilentProgress())
    return PuppetDataset(config, context)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PuppetDataset:
    data = dataset(tmp_path_factory.mktemp("puppet"))
    data.prepare()
    assert not list(data.root.glob("*voice*")), "prepare made mismatch clips"
    return data


@pytest.fixture(scope="module")
def mismatch(made: PuppetDataset) -> dict[str, Clip]:
    return {clip.id: clip for clip in made.split("mismatch")}


@pytest.fixture(scope="module")
def happy(made: PuppetDataset) -> tuple[Clip, Truth]:
    clip = next(clip for clip in made.split("test") if clip.emotion == "happy")
    return clip, load_truth(clip)


def test_head_torso_and_background_cover_every_pixel_once(happy: tuple[Clip, Truth]) -> None:
    maps = happy[1].maps
    assert maps is not None
    total = maps.head.astype(int) + maps.torso + maps.background
    assert (total == 255).all()
    for part in (maps.head, maps.torso, maps.background):
        assert 0.05 < (part > 127).mean() < 0.8


def test_background_shows_the_backdrop_of_the_scene(happy: tuple[Clip, Truth]) -> None:
    clip, truth = happy
    assert truth.maps is not None
    assert truth.scene is not None
    frames = read_video(clip.video).frames
    wall = truth.maps.background == 255
    backdrop = np.broadcast_to(truth.scene.backdrop, frames.shape)
    np.testing.assert_array_equal(frames[wall], backdrop[wall])


def test_depth_is_zero_exactly_on_the_background(happy: tuple[Clip, Truth]) -> None:
    maps = happy[1].maps
    assert maps is not None
    np.testing.assert_array_equal(maps.depth_mm == 0, maps.background == 255)
    assert 950 < maps.depth_mm[maps.depth_mm > 0].min() < maps.depth_mm.max() < 1300


def test_depth_map_passes_through_the_dense_landmarks(happy: tuple[Clip, Truth]) -> None:
    truth = happy[1]
    assert truth.maps is not None
    cheeks = np.r_[Truth.dense_groups()["right_cheek"], Truth.dense_groups()["left_cheek"]][::3]
    column, row = np.floor(truth.dense_pixels[:, cheeks]).astype(int).transpose(2, 0, 1)
    shown = truth.maps.depth_mm[np.arange(len(column))[:, None], row, column]
    error = -truth.dense_camera_mm[:, cheeks, 2] - shown
    assert np.median(np.abs(error)) < 3.0  # half a pixel is 2.1 mm at this size, on surfaces that slope


def test_dense_set_agrees_with_the_68_landmarks(happy: tuple[Clip, Truth]) -> None:
    truth = happy[1]
    assert sum(GROUPS.values()) == N_DENSE == truth.dense_head_mm.shape[1] == 478
    groups = Truth.dense_groups()
    pairs = {
        36: groups["right_lids"].start, 39: groups["right_lids"].start + 8, 45: groups["left_lids"].start,
        42: groups["left_lids"].start + 8, 48: groups["outer_lip"].start, 54: groups["outer_lip"].start + 10,
    }  # fmt: skip
    ours, theirs = truth.dense_pixels[:, list(pairs.values())], truth.track.landmarks[:, list(pairs)]
    assert np.abs(ours - theirs).max() < 0.25  # px; the same points, tagged differently at the corners of the lips


def test_most_points_are_visible_and_those_behind_the_surface_are_not(happy: tuple[Clip, Truth]) -> None:
    truth = happy[1]
    assert truth.visible is not None
    assert truth.visible.shape == (len(truth.track.alpha), 478)
    assert 0.8 < truth.visible.mean() <= 1.0
    assert truth.maps is not None
    depth = np.rint(truth.maps.depth_mm * 10).astype(np.uint16)
    camera, behind = truth.track.camera, truth.dense_camera_mm * 1.05  # the same pixels, 55 mm further away
    hidden = visible_points(behind, truth.dense_pixels, depth, camera)
    assert hidden[:, Truth.dense_groups()["left_iris"]].mean() == 0
    assert hidden.mean() < 0.05  # the outline of the face may meet the wall


def test_shut_lids_hide_the_irises(happy: tuple[Clip, Truth]) -> None:
    clip, truth = happy
    rig = dense_rig(Surface(IDENTITIES[clip.subject]))
    alpha = np.repeat(truth.track.alpha[:1], 2, axis=0)
    alpha[:, unit_slice(43)] = [[0.0], [1.0]]
    pose = HeadPose(rotation=truth.track.pose.rotation[:2], translation=truth.track.pose.translation[:2])
    hidden = behind_lids(project(to_camera(place_dense(rig, alpha), pose), truth.track.camera))
    centre = Truth.dense_groups()["left_iris"].start
    assert hidden[:, centre].tolist() == [False, True]
    assert not hidden[:, Truth.dense_groups()["nose"]].any()


def test_iris_centres_lie_where_the_gaze_points(happy: tuple[Clip, Truth]) -> None:
    truth = happy[1]
    iris = truth.dense_head_mm[:, Truth.dense_groups()["left_iris"]].astype(float)
    outwards = np.cross(iris[:, 1] - iris[:, 3], iris[:, 2] - iris[:, 4])
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    yaw, pitch = truth.gaze[:, 1].T
    np.testing.assert_allclose(np.arctan2(outwards[:, 0], outwards[:, 2]), yaw, atol=0.01)
    np.testing.assert_allclose(np.arcsin(outwards[:, 1]), pitch, atol=0.01)
    assert np.ptp(yaw) > 0.01


def test_novel_views_are_turned_by_fifteen_degrees_either_way(happy: tuple[Clip, Truth]) -> None:
    truth = happy[1]
    novel = truth.novel
    assert novel is not None
    np.testing.assert_allclose(np.degrees(novel.yaw), [-15, 15], atol=1e-4)
    assert len(novel.frames) == 2 * len(novel.frame_index)
    for k in range(len(novel.frames)):
        own = truth.track.pose.rotation[novel.frame_index[k // 2]].astype(float)
        turn = novel.pose.rotation[k].astype(float) @ own.T
        assert np.degrees(np.arctan2(turn[0, 2], turn[0, 0])) == pytest.approx(-np.degrees(novel.yaw[k % 2]), abs=0.01)


def test_pose_of_a_novel_view_explains_its_depth(happy: tuple[Clip, Truth]) -> None:
    truth = happy[1]
    novel = truth.novel
    assert novel is not None
    nose = Truth.dense_groups()["forehead"]
    points = truth.dense_head_mm[np.repeat(novel.frame_index, 2), nose]
    placed = to_camera(points, novel.pose)
    pixels = np.floor(project(placed, truth.track.camera)).astype(int)
    shown = novel.maps.depth_mm[np.arange(len(points))[:, None], pixels[..., 1], pixels[..., 0]]
    assert np.median(np.abs(-placed[..., 2] - shown)) < 3.0


def test_mismatch_is_the_voice_of_one_emotion_under_the_face_of_another(
    made: PuppetDataset, mismatch: dict[str, Clip]
) -> None:
    clip = mismatch["ben_happy_3_s11_voice-neutral-1"]
    assert (clip.emotion, clip.intensity, clip.voice_emotion, clip.voice_intensity) == ("happy", 3, "neutral", 1)
    matched = {other.id: other for other in made.split("test")}
    np.testing.assert_array_equal(read_audio(clip.audio), read_audio(matched["ben_neutral_1_s11"].audio))
    shown = load_track(clip.extras["track"])
    cheek = shown.alpha_names.index("AU6_L")
    smile = {name: load_track(matched[name].extras["track"]).alpha[:, cheek].mean() for name in matched}
    assert shown.alpha[:, cheek].mean() > 0.5 * smile["ben_happy_3_s11"]  # its strength sways from clip to clip
    assert smile["ben_neutral_1_s11"] < 0.2 * smile["ben_happy_3_s11"]
    assert clip.video is not None
    assert read_video(clip.video).frames.shape == (clip.n_frames, 64, 64, 3)


def test_mismatch_clips_hold_all_ordered_pairs_and_stand_in_no_other_split(
    made: PuppetDataset, mismatch: dict[str, Clip]
) -> None:
    assert set(mismatch) == {"ben_happy_3_s11_voice-neutral-1", "ben_neutral_1_s11_voice-happy-3"}
    others = {clip.id for name in ("train", "val", "test") for clip in made.split(name)}
    assert not others & set(mismatch)
    trained = {clip.sentence for clip in made.split("train")} | {clip.sentence for clip in made.split("val")}
    assert not trained & {clip.sentence for clip in mismatch.values()}
    assert all(clip.voice_emotion is None for clip in made.split("test"))


def test_pairs_of_the_mismatch_split_can_be_chosen(tmp_path: Path) -> None:
    chosen = dataset(tmp_path, SMALL.model_copy(update={"mismatch_pairs": ("neutral:happy",)}))
    assert [recipe.id for recipe in chosen.recipes("mismatch")] == ["ben_happy_3_s11_voice-neutral-1"]
    assert chosen.split_hash() == dataset(tmp_path).split_hash()
    assert chosen.split_hash("mismatch") != dataset(tmp_path).split_hash("mismatch")


def test_held_out_subjects_are_never_in_train_when_split_by_identity(tmp_path: Path) -> None:
    config = PuppetConfig(subjects=("ben", "eli"), by_identity=True)
    data = dataset(tmp_path, config)
    found = {name: {recipe.subject for recipe in data.recipes(name)} for name in ("train", "val", "test", "mismatch")}
    assert found == {"train": {"ben"}, "val": {"ben"}, "test": {"eli"}, "mismatch": {"eli"}}
    with pytest.raises(ValueError, match="held-out"):
        PuppetConfig(subjects=("amy", "ben"), by_identity=True)


def test_varied_scenes_differ_between_clips_and_reach_methods(tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"name": "varied", "varied_scene": True, "size_px": 32, "emotions": ("neutral",)})
    clips = [clip for name in ("train", "test") for clip in dataset(tmp_path, config).split(name)]
    scenes = []
    for clip in clips:
        driving = make_driving(clip, read_video(clip.video).frames[0])
        assert driving.scene is not None
        truth = load_truth(clip)
        assert truth.maps is not None
        wall = (truth.maps.background == 255)[0]
        np.testing.assert_array_equal(driving.reference[wall], driving.scene.backdrop[wall])
        scenes.append(driving.scene)
    one, other = scenes
    assert np.abs(one.lights["key"].direction - other.lights["key"].direction).max() > 0.05
    assert np.abs(one.backdrop.astype(int) - other.backdrop).mean() > 3


def test_clips_without_exact_truth_are_refused(happy: tuple[Clip, Truth]) -> None:
    with pytest.raises(InputError, match="not of a puppet dataset"):
        load_truth(replace(happy[0], extras={"track": happy[0].extras["track"]}))
