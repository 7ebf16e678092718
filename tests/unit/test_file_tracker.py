"""The tracker `file`: track files beside videos; and what becomes of gaps, for every tracker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emobench import weights
from emobench.datasets import recorded
from emobench.errors import InputError
from emobench.face.track_files import FileTrack, save_track_file, track_file_of
from emobench.face.tracks import load_track
from emobench.types import Camera, HeadPose, Track

from . import recordings
from .recordings import folder, ids, mesh, video

stand_in = recordings.stand_in
WIDTH, HEIGHT = 64, 48  # of the made-up videos
ORDER = tuple(f"exp_{k:03d}" for k in range(4))


@pytest.fixture
def no_landmarker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded.weights, "is_present", lambda name: False)
    monkeypatch.setattr(recorded.weights, "sha256_of", lambda name: None)


def points() -> np.ndarray:
    """(68, 2) of a face in the middle of the frame."""
    from emobench.face.landmarks import IBUG68_FROM_MEDIAPIPE

    return mesh(WIDTH, HEIGHT)[list(IBUG68_FROM_MEDIAPIPE), :2]


def tracked(path: Path, n: int = 20, lost: tuple[int, ...] = (), landmarks: bool = True, fps: float = 25.0) -> Path:
    """A track file beside a video: α counts the frames."""
    valid = np.array([t not in lost for t in range(n)])
    count = np.arange(n, dtype=np.float32)
    track = Track(
        alpha=count[:, None] * np.ones(4, np.float32), alpha_names=ORDER, is_mouth=np.ones(4, bool),
        pose=HeadPose(
            rotation=np.tile(np.eye(3, dtype=np.float32), (n, 1, 1)),
            translation=np.tile(np.float32([0, 0, -600]), (n, 1)),
        ),
        camera=Camera(focal_px=50.0, cx_px=WIDTH / 2, cy_px=HEIGHT / 2, width=WIDTH, height=HEIGHT),
        landmarks=np.tile(points(), (n, 1, 1)).astype(np.float32), valid=valid,
        head_box_mm=np.float32([[-100, -120, -140], [100, 140, 90]]), source="file",
    )  # fmt: skip
    save_track_file(track_file_of(path), FileTrack(track=track, has_landmarks=landmarks, fps=fps, tracker="DECA"))
    return path


@pytest.mark.usefixtures("no_landmarker")
def test_clips_take_expression_pose_and_camera_from_the_file_without_any_network(tmp_path: Path) -> None:
    for name in "ab":
        tracked(video(tmp_path / f"in/{name}.mp4"))
    dataset = folder(tmp_path / "in", tmp_path, tracker="file")
    track = load_track(dataset.split("test")[0].extras["track"])
    assert track.source == "file"
    assert track.alpha_names == ORDER
    np.testing.assert_allclose(track.alpha[5:15, 0], np.arange(5, 15), atol=0.01)  # smoothed: a line stays a line
    np.testing.assert_allclose(track.landmarks[3, 33], [track.camera.cx_px, track.camera.cy_px], atol=0.01)
    assert track.camera.focal_px / track.camera.width > 50 / WIDTH  # cropped
    assert dataset.describe()["tracker"] == "file: DECA"


@pytest.mark.usefixtures("stand_in")
def test_landmarks_that_the_file_lacks_are_mediapipe_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded.weights, "is_present", lambda name: name == recorded.LANDMARKER)
    for name in "ab":
        tracked(video(tmp_path / f"in/{name}.mp4"), landmarks=False)
    track = load_track(folder(tmp_path / "in", tmp_path, tracker="file").split("test")[0].extras["track"])
    assert track.alpha_names == ORDER
    assert (np.ptp(track.landmarks[0], axis=0) > 5).all()


@pytest.mark.usefixtures("stand_in")
def test_frames_whose_landmarks_mediapipe_cannot_give_are_without_a_face_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded.weights, "is_present", lambda name: name == recorded.LANDMARKER)
    frames = recordings.pictures(40)
    frames[7:9] = 0  # the stand-in sees no face in black
    for name in "ab":
        path = video(tmp_path / f"in/{name}.mp4", n=40)
        recordings.write_preview(path, frames, 25.0, recordings.sound(1.6))
        tracked(path, n=40, lost=(8, 20), landmarks=False)
    dataset = folder(tmp_path / "in", tmp_path, tracker="file")
    track = load_track(dataset.split("test")[0].extras["track"])
    assert np.flatnonzero(~track.valid).tolist() == [7, 8, 20]
    said = "a.track.npz has no landmarks, and MediaPipe finds no face in 1 of its frames"
    assert said in dataset.describe()["notes"]


@pytest.mark.usefixtures("no_landmarker")
def test_recordings_without_a_fitting_track_file_are_named_with_the_reason(tmp_path: Path) -> None:
    for name in "abc":
        tracked(video(tmp_path / f"in/{name}.mp4"))
    video(tmp_path / "in/none.mp4")
    tracked(video(tmp_path / "in/short.mp4"), n=13)
    tracked(video(tmp_path / "in/slow.mp4"), fps=30.0)
    tracked(video(tmp_path / "in/bare.mp4"), landmarks=False)
    tracked(video(tmp_path / "in/lost.mp4"), lost=tuple(range(8)))
    track_file_of(video(tmp_path / "in/text.mp4")).write_text("no archive")
    dataset = folder(tmp_path / "in", tmp_path, tracker="file")
    assert len(ids(dataset, "train")) + len(ids(dataset, "val")) + len(ids(dataset, "test")) == 3
    said = " ".join(dataset.context.progress.lines)  # type: ignore[attr-defined]
    for reason in (
        "none.mp4: no track file none.track.npz lies beside it",
        "short.mp4: short.track.npz does not fit it: the track has 13 frames, the video 20",
        "slow.mp4: slow.track.npz does not fit it: the track has 30 fps, the video 25",
        "bare.mp4: bare.track.npz has no landmarks, and the face landmarker is not here",
        "lost.mp4: no face in 8 of 20 frames; 90% must show one",
        "text.track.npz is no npz file",
    ):
        assert reason in said


@pytest.mark.usefixtures("no_landmarker")
def test_short_gaps_are_filled_and_marked_and_clips_with_long_ones_left_out(tmp_path: Path) -> None:
    for name in "abc":
        tracked(video(tmp_path / f"in/{name}.mp4"), lost=(7, 8))
    tracked(video(tmp_path / "in/0gone.mp4"), lost=(10, 11, 12, 13))
    dataset = folder(tmp_path / "in", tmp_path, tracker="file", max_gap_seconds=0.1, min_tracked=0.5)
    clips = [clip for role in ("train", "val", "test") for clip in dataset.split(role)]
    assert sorted(clip.id for clip in clips) == ["a", "b", "c"]
    track = load_track(clips[0].extras["track"])
    assert np.flatnonzero(~track.valid).tolist() == [7, 8]
    np.testing.assert_allclose(track.alpha[7:9, 0], [7, 8], atol=0.05)
    said = " ".join(dataset.context.progress.lines)  # type: ignore[attr-defined]
    assert "0gone.mp4: frames 0 to 19 left out: no face in 4 frames in a row; at most 2 are filled in" in said
    assert "0gone.mp4" in dataset.describe()["notes"]


@pytest.mark.usefixtures("stand_in")
def test_long_gaps_leave_out_clips_of_the_mediapipe_tracker_too(tmp_path: Path) -> None:
    frames = recordings.pictures(40)
    frames[4:9] = 0  # the stand-in sees no face in black
    (tmp_path / "in").mkdir()
    for name in "abc":
        video(tmp_path / f"in/{name}.mp4")
    recordings.write_preview(tmp_path / "in/0dark.mp4", frames, 25.0, recordings.sound(1.6))
    for longest, expected in ((0.5, ["0dark", "a", "b", "c"]), (0.1, ["a", "b", "c"])):
        dataset = folder(tmp_path / "in", tmp_path, max_gap_seconds=longest, min_tracked=0.5)
        found = sorted(clip.id for role in ("train", "val", "test") for clip in dataset.split(role))
        assert found == expected


@pytest.mark.usefixtures("no_landmarker")
def test_a_changed_track_file_changes_the_clips(tmp_path: Path) -> None:
    for name in "ab":
        tracked(video(tmp_path / f"in/{name}.mp4"))
    before = folder(tmp_path / "in", tmp_path, tracker="file").split_hash()
    assert folder(tmp_path / "in", tmp_path, tracker="file").split_hash() == before
    tracked(tmp_path / "in/a.mp4", lost=(3,))
    assert folder(tmp_path / "in", tmp_path, tracker="file").split_hash() != before


@pytest.mark.usefixtures("no_landmarker")
def test_the_mediapipe_tracker_still_says_which_weight_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "locate", lambda name: (_ for _ in ()).throw(InputError(f"no {name}")))
    video(tmp_path / "in/a.mp4")
    with pytest.raises(InputError, match=r"no mediapipe\.face_landmarker"):
        folder(tmp_path / "in", tmp_path).prepare()
