"""Coefficient files of FLAME and Deep3D trackers become track files; pickles and misfits are refused.

Conversions are checked by projection: points of a head seen through the tracker's own camera must land on the same
pixels when they are seen through the converted pose and the one camera of the track.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from emobench.errors import InputError
from emobench.face.coefficient_files import read_coefficients
from emobench.face.coefficients import deep3d_track, flame_track, kind_of
from emobench.face.conversion import convert, misfit
from emobench.face.motion import gaps_of
from emobench.face.track_files import load_track_file, track_file_of
from emobench.media import probe, write_preview
from emobench.types import Camera, Track

T = 12
FPS = 25.0
SQUARE = Camera(focal_px=600.0, cx_px=128.0, cy_px=128.0, width=256, height=256)
WIDE = Camera(focal_px=900.0, cx_px=320.0, cy_px=180.0, width=640, height=360)
Doubles = NDArray[np.float64]


def seen(points: Doubles, track: Track, frame: int) -> Doubles:
    """(P, 3) mm in head space → (P, 2) pixels, by the words of emobench.types.Camera."""
    x, y, z = (track.pose.rotation[frame].astype(np.float64) @ points.T) + track.pose.translation[frame][:, None]
    camera = track.camera
    return np.stack([camera.cx_px - camera.focal_px * x / z, camera.cy_px + camera.focal_px * y / z], axis=1)


# ------------------------------------------------------------------ FLAME: DECA and EMOCA


def deca(rng: np.random.Generator, width: int = 50) -> dict[str, Doubles]:
    return {
        "exp": rng.normal(size=(T, width)), "pose": 0.2 * rng.normal(size=(T, 6)),
        "cam": np.stack([rng.uniform(7, 9, T), *(0.02 * rng.normal(size=(2, T)))], axis=1),
    }  # fmt: skip


def deca_pixels(arrays: dict[str, Doubles], metres: Doubles, frame: int) -> Doubles:
    """DECA's own projection: turn about the pivot, shift, scale, y down, −1..1 to the 224 px crop, crop to frame."""
    pivot = arrays.get("pivot", np.zeros(3))
    turned = Rotation.from_rotvec(arrays["pose"][frame, :3]).apply(metres - pivot) + pivot
    scale, tx, ty = arrays["cam"][frame]
    crop = np.stack([scale * (turned[:, 0] + tx), -scale * (turned[:, 1] + ty)], axis=1) * 112 + 112
    back = np.linalg.inv(arrays["tform"][frame])
    return (np.c_[crop, np.ones(len(crop))] @ back.T)[:, :2]


def crops(rng: np.random.Generator) -> Doubles:
    """(T, 3, 3) frame to crop: another size and place in every frame."""
    tform = np.tile(np.eye(3), (T, 1, 1))
    tform[:, 0, 0] = tform[:, 1, 1] = rng.uniform(0.9, 1.1, T)
    tform[:, :2, 2] = rng.uniform(-200, -60, (T, 2))
    return tform


@pytest.mark.parametrize("width", [50, 100])
def test_a_flame_head_keeps_place_size_and_turn_in_the_picture(width: int) -> None:
    rng = np.random.default_rng(2)
    arrays = deca(rng, width) | {"tform": crops(rng), "pivot": np.array([0.0, -0.12, -0.02])}
    found = flame_track(arrays, replace(WIDE, focal_px=1e5), FPS)  # so far away that its view is orthographic
    metres = rng.uniform(-0.1, 0.1, (30, 3))
    for frame in range(T):
        expected = deca_pixels(arrays, metres, frame)
        np.testing.assert_allclose(seen(1000 * metres, found.track, frame), expected, atol=1.0)  # of about 170 across
    near = flame_track(arrays, WIDE, FPS)
    origin = seen(np.zeros((1, 3)), near.track, 3)
    centre = {"tform": arrays["tform"], "pose": 0 * arrays["pose"], "cam": arrays["cam"]}
    shift = near.track.pose.rotation[3] @ (-1000 * arrays["pivot"]) + 1000 * arrays["pivot"]
    assert np.abs(origin - deca_pixels(centre, shift[None] / 1000, 3)).max() < 6  # perspective of a shifted pivot
    assert near.track.alpha.shape == (T, width + 3)
    np.testing.assert_allclose(near.track.alpha[:, -3:], arrays["pose"][:, 3:], atol=1e-6)
    assert near.track.alpha_names[-3:] == ("jaw_pitch", "jaw_yaw", "jaw_roll")
    assert near.track.is_mouth.sum() == 3


def test_a_flame_file_without_crops_needs_square_frames() -> None:
    arrays = deca(np.random.default_rng(3))
    whole = {**arrays, "tform": np.tile(np.diag([224 / 256, 224 / 256, 1]), (T, 1, 1))}
    without, told = (flame_track(a, SQUARE, FPS).track for a in (arrays, whole))
    np.testing.assert_allclose(without.pose.translation, told.pose.translation, rtol=1e-5)
    with pytest.raises(InputError, match=r"640×360.*tform"):
        flame_track(arrays, WIDE, FPS)


# ------------------------------------------------------------------ Deep3D


def deep3d(rng: np.random.Generator) -> Doubles:
    """(T, 257) coefficients of a head in front of the camera."""
    coefficients = rng.normal(size=(T, 257))
    coefficients[:, 224:227] = 0.2 * rng.normal(size=(T, 3))
    coefficients[:, 254:257] = 0.3 * rng.normal(size=(T, 3))
    return coefficients


def deep3d_pixels(coefficients: Doubles, units: Doubles, frame: int) -> Doubles:
    """Deep3D's own projection into the 224 px crop, y turned down: focal 1015, camera 10 units before the origin."""
    pitch, yaw, roll = coefficients[frame, 224:227]
    axes = [Rotation.from_euler(axis, angle).as_matrix() for axis, angle in (("x", pitch), ("y", yaw), ("z", roll))]
    x, y, z = (axes[2] @ axes[1] @ axes[0]) @ units.T + coefficients[frame, 254:257][:, None]
    return np.stack([112 + 1015 * x / (10 - z), 112 - 1015 * y / (10 - z)], axis=1)


def test_a_deep3d_head_on_square_frames_is_seen_exactly_where_it_was() -> None:
    rng = np.random.default_rng(4)
    coefficients = deep3d(rng)
    found = deep3d_track({"coeff": coefficients}, replace(SQUARE, focal_px=1015 * 256 / 224), FPS)
    units = rng.uniform(-1, 1, (30, 3))
    for frame in range(T):
        expected = deep3d_pixels(coefficients, units, frame) * 256 / 224
        np.testing.assert_allclose(seen(100 * units, found.track, frame), expected, atol=2e-3)  # float32
    np.testing.assert_allclose(found.track.alpha, coefficients[:, 80:144], atol=1e-6)
    assert found.track.is_mouth.all()


def test_a_deep3d_crop_is_undone() -> None:
    rng = np.random.default_rng(5)
    coefficients, params = deep3d(rng), np.array([640.0, 360.0, 0.8, 300.0, 200.0])  # y = 200 px above the lower edge
    far = replace(WIDE, focal_px=1015 / 0.8)
    found = deep3d_track({"coeff": coefficients, "trans_params": params}, far, FPS)
    crop = deep3d_pixels(coefficients, np.zeros((1, 3)), 2)[0]
    # Deep3D resizes the frame, then cuts 224 px about the aligned centre
    corner = np.array([300 * 0.8 - 112, (360 - 200) * 0.8 - 112])
    np.testing.assert_allclose(seen(np.zeros((1, 3)), found.track, 2)[0], (crop + corner) / 0.8, atol=1e-2)


def test_deep3d_parts_by_name_equal_the_whole_vector() -> None:
    coefficients = deep3d(np.random.default_rng(6))
    parts = {"exp": coefficients[:, 80:144], "angle": coefficients[:, 224:227], "trans": coefficients[:, 254:257]}
    one, other = (deep3d_track(a, SQUARE, FPS).track for a in ({"coeff": coefficients}, parts))
    np.testing.assert_array_equal(one.pose.translation, other.pose.translation)
    np.testing.assert_array_equal(one.alpha, other.alpha)


# ------------------------------------------------------------------ files


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    write_preview(path, np.full((T, 64, 64, 3), 90, np.uint8), FPS, None)
    return path


def as_npz(folder: Path, arrays: dict[str, Doubles]) -> Path:
    np.savez(folder / "found.npz", **arrays)
    return folder / "found.npz"


def as_mat(folder: Path, arrays: dict[str, Doubles]) -> Path:
    savemat(folder / "found.mat", arrays)
    return folder / "found.mat"


def as_arrays(folder: Path, arrays: dict[str, Doubles]) -> Path:
    (folder / "found").mkdir()
    for name, array in arrays.items():
        np.save(folder / f"found/{name}.npy", array)
    return folder / "found"


def as_frames(folder: Path, arrays: dict[str, Doubles]) -> Path:
    """A .mat per frame, as DECA leaves them."""
    (folder / "found").mkdir()
    for frame in range(T):
        savemat(folder / f"found/frame{frame + 1}.mat", {name: array[frame][None] for name, array in arrays.items()})
    return folder / "found"


def as_folders(folder: Path, arrays: dict[str, Doubles]) -> Path:
    """A folder of arrays per frame, as EMOCA leaves them."""
    for frame in range(T):
        part = folder / f"found/{frame:06d}_000"
        part.mkdir(parents=True)
        for name, array in arrays.items():
            np.save(part / f"{name}.npy", array[frame])
    return folder / "found"


@pytest.mark.parametrize("lay", [as_npz, as_mat, as_arrays, as_frames, as_folders])
def test_every_form_of_file_gives_the_same_track(
    tmp_path: Path, clip: Path, lay: Callable[[Path, dict[str, Doubles]], Path]
) -> None:
    arrays = deca(np.random.default_rng(7))
    done = convert(lay(tmp_path, arrays), clip, track_file_of(clip), "auto", 0.0)
    direct = flame_track(arrays, done.track.track.camera, FPS).track
    assert done.kind == "flame"
    np.testing.assert_allclose(done.track.track.alpha, direct.alpha, atol=1e-6)
    np.testing.assert_allclose(done.track.track.pose.translation, direct.pose.translation, rtol=1e-6)
    assert misfit(load_track_file(track_file_of(clip)), probe(clip)) is None


def test_frames_that_a_numbered_folder_leaves_out_are_gaps(tmp_path: Path, clip: Path) -> None:
    folder = as_frames(tmp_path, deca(np.random.default_rng(8)))
    for number in (4, 5, 12):
        (folder / f"frame{number}.mat").unlink()
    found = convert(folder, clip, track_file_of(clip), "auto", 0.0).track
    assert gaps_of(found.track.valid) == [(3, 5), (11, 12)]


def test_a_deep3d_array_alone_is_enough(tmp_path: Path, clip: Path) -> None:
    np.save(tmp_path / "found.npy", deep3d(np.random.default_rng(9)))
    assert convert(tmp_path / "found.npy", clip, track_file_of(clip), "auto", 500.0).kind == "bfm"


def test_a_folder_with_one_array_a_frame_gives_the_same_as_one_array(tmp_path: Path, clip: Path) -> None:
    array = deep3d(np.random.default_rng(9))
    np.save(tmp_path / "whole.npy", array)
    (tmp_path / "frames").mkdir()
    for frame in range(T):
        np.save(tmp_path / f"frames/{frame:04d}.npy", array[frame][None])
    tracks = [
        convert(tmp_path / name, clip, track_file_of(clip), "auto", 500.0).track for name in ("whole.npy", "frames")
    ]
    np.testing.assert_array_equal(tracks[0].track.alpha, tracks[1].track.alpha)
    np.testing.assert_array_equal(tracks[0].track.pose.translation, tracks[1].track.pose.translation)


def test_pickles_are_refused(tmp_path: Path, clip: Path) -> None:
    for name in ("codes.pkl", "codes.pt"):
        (tmp_path / name).write_bytes(b"\x80\x04.")
        with pytest.raises(InputError, match=r"is a pickle.*numpy\.savez"):
            read_coefficients(tmp_path / name, T)
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames/1.pickle").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="is a pickle"):
        read_coefficients(tmp_path / "frames", T)
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "codes.npy").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="holds Python objects"):
        read_coefficients(tmp_path / "codes.npy", T)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"shape": np.zeros((T, 100))}, "neither FLAME .* nor Deep3D .* shape"),
        ({"exp": np.zeros((T, 64)), "pose": np.zeros((T, 6)), "cam": np.ones((T, 3))}, "64 coefficients.*50 or 100"),
        ({"exp": np.zeros((T, 50)), "pose": np.zeros((T, 6))}, "cam is missing"),
        ({"exp": np.zeros((T, 50)), "pose": np.zeros((T, 3)), "cam": np.ones((T, 3))}, r"pose has shape \(12, 3\)"),
        ({"exp": np.zeros((T, 50)), "pose": np.zeros((T, 6)), "cam": 0 * np.ones((T, 3))}, "scale must be above 0"),
        ({"exp": np.zeros((5, 50)), "pose": np.zeros((5, 6)), "cam": np.ones((5, 3))}, "exp 5.*the video 12"),
        ({"coeff": np.full((T, 257), np.nan)}, "no frame holds finite"),
        ({"coeff": np.full((T, 257), 11.0)}, "behind the camera"),
    ],
)
def test_coefficients_that_do_not_fit_are_refused(
    tmp_path: Path, clip: Path, arrays: dict[str, Doubles], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        convert(as_npz(tmp_path, arrays), clip, track_file_of(clip), "auto", 0.0)
    assert not track_file_of(clip).exists()


def test_the_two_families_are_told_apart() -> None:
    rng = np.random.default_rng(10)
    assert kind_of(deca(rng)) == "flame"
    assert kind_of({"coeff": deep3d(rng)}) == "bfm"


def test_the_commands_convert_check_and_refuse(tmp_path: Path, clip: Path) -> None:
    def emobench(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "emobench", "track", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    source = as_npz(tmp_path, deca(np.random.default_rng(11)))
    done = emobench("convert", source, "--video", clip)
    assert done.returncode == 0, done.stderr
    assert "12 frames at 25 fps, 53 coefficients (FLAME)" in done.stdout
    checked = emobench("check", track_file_of(clip), "--video", clip)
    assert "mouth coefficients: 3" in checked.stdout, checked.stderr
    for wrong, words in ((("--kind", "smpl"), "smpl"), (("--kind", "bfm"), "coeff (T, 257)")):
        refused = emobench("convert", source, "--video", clip, *wrong)
        assert refused.returncode == 2
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr
