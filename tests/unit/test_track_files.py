"""Track files of other people's trackers: their schema, gaps and smoothing, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from emobench.errors import InputError
from emobench.face.conversion import misfit
from emobench.face.motion import gaps_of, longest_gap
from emobench.face.track_files import FileTrack, completed_track, load_track_file, save_track_file
from emobench.media import probe, write_preview
from emobench.types import Camera

T = 12
FPS = 25.0


def written(**changes: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a good track file."""
    rng = np.random.default_rng(0)
    turn = Rotation.from_euler("xyz", 0.2 * rng.normal(size=(T, 3))).as_matrix()
    base = {
        "schema": np.array(1), "alpha": rng.normal(size=(T, 3)), "alpha_names": np.array(["jawOpen", "brow", "blink"]),
        "rotation": turn, "translation": np.tile([1.0, 2.0, -700.0], (T, 1)), "fps": np.array(FPS),
        "camera": np.array([900.0, 320.0, 180.0, 640.0, 360.0]),
    }  # fmt: skip
    return {name: np.asarray(array) for name, array in (base | changes).items() if array is not None}


def stored(folder: Path, **changes: Any) -> Path:
    path = folder / "clip.track.npz"
    np.savez(path, **written(**changes))
    return path


def test_a_track_file_read_and_written_again_is_the_same(tmp_path: Path) -> None:
    alpha = written()["alpha"].copy()
    alpha[4] = np.nan
    points, tracker = np.full((T, 68, 2), 50.0), np.array("DECA")
    first = load_track_file(stored(tmp_path, alpha=alpha, landmarks=points, tracker=tracker))
    assert first.track.valid.tolist() == [t != 4 for t in range(T)]
    assert first.tracker == "DECA"
    assert first.track.is_mouth.tolist() == [True, False, False]
    assert first.track.source == "file"
    save_track_file(tmp_path / "again.track.npz", first)
    again = load_track_file(tmp_path / "again.track.npz")
    for name in ("alpha", "is_mouth", "landmarks", "valid", "head_box_mm"):
        np.testing.assert_array_equal(getattr(again.track, name), getattr(first.track, name))
    np.testing.assert_array_equal(again.track.pose.rotation, first.track.pose.rotation)
    np.testing.assert_array_equal(again.track.pose.translation, first.track.pose.translation)
    assert (again.track.camera, again.fps, again.has_landmarks) == (first.track.camera, FPS, True)


def test_coefficients_without_speaking_names_all_count_as_mouth(tmp_path: Path) -> None:
    names = np.array(["pc0", "pc1", "pc2"])
    assert load_track_file(stored(tmp_path, alpha_names=names)).track.is_mouth.all()
    told = load_track_file(stored(tmp_path, alpha_names=names, is_mouth=np.array([False, True, False])))
    assert told.track.is_mouth.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alpha": None, "fps": None}, "alpha, fps missing"),
        ({"schema": np.array(9)}, "schema 9.*Update"),
        ({"alpha": np.zeros((0, 3))}, r"alpha has shape \(0, 3\)"),
        ({"alpha": np.array([["a"] * 3] * T)}, "alpha holds .*expected numbers"),
        ({"alpha_names": np.array(["a", "b"])}, r"alpha_names has shape \(2,\), expected \(3\)"),
        ({"alpha_names": np.array(["a", "a", "b"])}, "repeats a name"),
        ({"rotation": np.zeros((T, 3))}, "rotation has shape"),
        ({"rotation": np.tile(2 * np.eye(3), (T, 1, 1))}, r"frame 0 \(12 in all\) of rotation is no rotation"),
        ({"rotation": np.tile(np.diag([1.0, 1, -1]), (T, 1, 1))}, "no rotation matrix"),
        ({"translation": np.tile([0.0, 0, 700], (T, 1))}, "behind the camera"),
        ({"translation": np.tile([0.0, 0, -70000], (T, 1))}, "farther than 20 m"),
        ({"camera": np.array([0.0, 1, 1, 64, 64])}, "camera must be"),
        ({"camera": np.zeros(4)}, r"camera has shape \(4,\)"),
        ({"fps": np.array(0.0)}, "fps is 0"),
        ({"valid": np.ones(T)}, "valid holds float64, expected booleans"),
        ({"valid": np.zeros(T, bool)}, "no frame is valid"),
        ({"landmarks": np.zeros((T, 478, 2))}, r"landmarks has shape \(12, 478, 2\)"),
        ({"head_box_mm": np.ones((2, 3))}, "head_box_mm must be"),
        ({"alpha": np.full((T, 3), np.nan), "valid": np.ones(T, bool)}, "holds NaN or infinity though valid"),
    ],
)
def test_a_wrong_track_file_is_refused_by_what_is_wrong(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_track_file(stored(tmp_path, **changes))


def test_a_pickle_inside_a_track_file_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "clip.track.npz"
    np.savez(path, **written(alpha=np.array([{"a": 1}], dtype=object)))
    with pytest.raises(InputError, match="holds Python objects"):
        load_track_file(path)


def test_gaps_are_interpolated_marked_and_measured(tmp_path: Path) -> None:
    alpha = np.linspace(0, 11, T)[:, None] * np.ones(3)
    valid = np.ones(T, bool)
    valid[[0, 5, 6]] = False
    found = load_track_file(stored(tmp_path, alpha=alpha, valid=valid))
    done = completed_track(found.track, 1.0)  # at 1 fps smoothing spans no frames
    np.testing.assert_allclose(done.alpha[5:7, 0], [5, 6], atol=1e-4)
    assert done.alpha[0, 0] == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_array_equal(done.valid, valid)
    gram = np.swapaxes(done.pose.rotation, 1, 2) @ done.pose.rotation
    np.testing.assert_allclose(gram, np.tile(np.eye(3), (T, 1, 1)), atol=1e-5)
    assert gaps_of(valid) == [(0, 1), (5, 7)]
    assert longest_gap(valid) == 2
    assert longest_gap(np.ones(3, bool)) == 0


def test_smoothing_removes_jitter_without_delay(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    still = np.tile([0.0, 0.0, -700.0], (T, 1))
    found = load_track_file(stored(tmp_path, translation=still + rng.normal(size=(T, 3))))
    done = completed_track(found.track, 25.0).pose.translation
    assert np.diff(done, axis=0).std() < 0.6 * np.diff(found.track.pose.translation, axis=0).std()
    step = still.copy()
    step[6:, 0] = 10
    moved = completed_track(load_track_file(stored(tmp_path, translation=step)).track, 25.0).pose.translation[:, 0]
    assert moved[5] + moved[6] == pytest.approx(10, abs=1e-3)  # symmetric about the step


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    write_preview(path, np.full((T, 64, 64, 3), 90, np.uint8), FPS, None)
    return path


def test_a_track_of_another_video_is_told(tmp_path: Path, clip: Path) -> None:
    found: FileTrack = load_track_file(stored(tmp_path))
    info = probe(clip)
    assert misfit(found, info) == "the track is for frames of 640×360, the video has 64×64"
    shorter = replace(found.track, valid=found.track.valid[:5])
    assert misfit(replace(found, track=shorter), info) == "the track has 5 frames, the video 12"
    fitting = replace(found.track, camera=Camera(focal_px=60, cx_px=32, cy_px=32, width=64, height=64))
    assert misfit(replace(found, track=fitting, fps=30.0), info) == "the track has 30 fps, the video 25"
