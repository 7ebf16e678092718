"""Depth of the face: a tracked mesh in millimetres, its maps, files, and what it teaches the radiance field."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from emobench.datasets.folder import FolderConfig, FolderDataset
from emobench.datasets.puppet.storage import write_depth
from emobench.errors import InputError
from emobench.face.mediapipe_tracker import MediapipeTrack, track_frames, virtual_camera
from emobench.face.mesh_fitting import INNER_LIPS, N_SURFACE, RIGID, SOURCE, fitted_mesh
from emobench.face.surfaces import FILM, MESH, Mesh, iterate_depth, load_mesh, save_mesh, surface_source
from emobench.media import read_video, write_preview
from emobench.methods.radiance.footage import pack_footage
from emobench.methods.radiance.footage_reading import plan_reading, read_footage
from emobench.methods.radiance.operations import choose_backend
from emobench.methods.radiance.portrait import fit_footage
from emobench.methods.radiance.views import view_head
from emobench.progress import SilentProgress
from emobench.types import Clip, Context

from .radiance_scene import TINY, look_at_ellipsoid, scene

DATA = Path(os.environ.get("EMOBENCH_TEST_DATA", "/nonexistent"))
MODEL = Path(os.environ.get("EMOBENCH_WEIGHTS", "/nonexistent")) / "face_landmarker.task"


def plane(slope: float = 0.5) -> Mesh:
    """A square at depth 500 mm, farther to the right by `slope` mm a pixel; in the second frame nearer."""
    corners = np.array([[4, 4], [28, 4], [28, 28], [4, 28]], np.float32)
    depth = (500 + slope * corners[:, 0]).astype(np.float32)
    return Mesh(
        points=np.stack([corners, corners]), depth_mm=np.stack([depth, depth - 100]),
        triangles=np.array([[0, 1, 2], [0, 2, 3]], np.int32), source="made up",
    )  # fmt: skip


def clip_with(**extras: Path) -> Clip:
    return Clip(
        id="c", subject="ann", emotion="happy", intensity=3, sentence="1", transcript=None, video=None, audio=None,
        fps=25.0, n_frames=2, sha256="0", extras=extras,
    )  # fmt: skip


class TestMaps:
    def test_a_plane_has_its_depth_at_pixel_centres_and_nothing_beside(self) -> None:
        found = plane().depth_map(0, 32, 32)
        y, x = np.mgrid[0:32, 0:32] + 0.5
        inside = (x > 4) & (x < 28) & (y > 4) & (y < 28)
        np.testing.assert_array_equal(found > 0, inside)
        np.testing.assert_allclose(found[inside] / 10, (500 + 0.5 * x)[inside], atol=0.06)  # tenths of a millimetre

    def test_the_nearer_of_two_triangles_is_seen(self) -> None:
        mesh = plane(0)
        both = Mesh(
            points=np.concatenate([mesh.points, mesh.points], 1),
            depth_mm=np.concatenate([mesh.depth_mm, mesh.depth_mm - 7], 1),
            triangles=np.concatenate([mesh.triangles, mesh.triangles + 4]), source="",
        )  # fmt: skip
        assert both.depth_map(0, 32, 32)[16, 16] == 4930

    def test_files_give_back_what_was_saved(self, tmp_path: Path) -> None:
        save_mesh(tmp_path / "mesh.npz", plane())
        clip = clip_with(**{MESH: tmp_path / "mesh.npz"})
        maps = list(iterate_depth(clip, {1}, 32, 32))
        assert maps[0] is None
        np.testing.assert_array_equal(maps[1], plane().depth_map(1, 32, 32))
        assert surface_source(clip) == "made up"

    def test_a_depth_film_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        film = np.random.default_rng(0).integers(0, 60_000, (3, 32, 32)).astype(np.uint16)
        write_depth(tmp_path / "depth.mkv", film)
        clip = clip_with(**{FILM: tmp_path / "depth.mkv"})
        maps = list(iterate_depth(clip, {0, 2}, 32, 32))
        assert maps[1] is None
        np.testing.assert_array_equal(np.stack([maps[0], maps[2]]), film[[0, 2]])
        assert surface_source(clip) == "dataset depth"
        with pytest.raises(InputError, match="32×32, its clip 16×32"):
            next(iterate_depth(clip, {0}, 32, 16))

    def test_damaged_files_are_input_errors(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(b"no film")
        with pytest.raises(InputError, match="Cannot read depth"):
            next(iterate_depth(clip_with(**{FILM: tmp_path / "x"}), {0}, 8, 8))
        np.savez(tmp_path / "mesh.npz", schema=np.array(9))
        with pytest.raises(InputError, match="schema 9"):
            load_mesh(tmp_path / "mesh.npz")

    def test_a_clip_without_either_knows_no_depth(self) -> None:
        assert surface_source(clip_with()) is None
        assert next(iterate_depth(clip_with(), {0}, 8, 8)) is None


class TestMesh:
    def test_a_rigid_face_comes_back_in_millimetres(self) -> None:
        """Points of a face 600 mm away, seen by the tracker's camera, with z in pixels from an origin of its own."""
        rng = np.random.default_rng(2)
        shape = np.concatenate([rng.uniform(-70, 70, (N_SURFACE, 2)), rng.uniform(-20, 60, (N_SURFACE, 1))], 1)
        shape[list(RIGID)] = list(RIGID.values())
        camera = virtual_camera(400, 400)
        turn = Rotation.from_euler("yx", [10, -5], degrees=True).as_matrix()
        seen = shape @ turn.T + [10, -5, -600]
        points = np.zeros((3, 478, 3), np.float32)
        points[:, :N_SURFACE, 0] = camera.cx_px - camera.focal_px * seen[:, 0] / seen[:, 2]
        points[:, :N_SURFACE, 1] = camera.cy_px + camera.focal_px * seen[:, 1] / seen[:, 2]
        points[:, :N_SURFACE, 2] = (-seen[:, 2] - 557) * camera.focal_px / 600
        matrices = np.tile(np.eye(4, dtype=np.float32), (3, 1, 1))
        matrices[:, :3, :3], matrices[:, :3, 3] = turn, np.array([1, -0.5, -60])
        mesh = fitted_mesh(
            MediapipeTrack(
                blendshapes=np.zeros((3, 52), np.float32), blendshape_names=("x",) * 52, matrices=matrices,
                landmarks478=points, valid=np.array([True, False, True]), n_faces=np.ones(3, np.int64), width=400,
                height=400, fps=25.0,
            )
        )  # fmt: skip
        np.testing.assert_allclose(mesh.depth_mm[1], -seen[:, 2], atol=0.5)
        assert mesh.source == SOURCE
        assert not np.isin(mesh.triangles, INNER_LIPS).all(axis=1).any()

    @pytest.mark.data
    @pytest.mark.skipif(not MODEL.is_file(), reason="EMOBENCH_WEIGHTS has no face_landmarker.task")
    @pytest.mark.skipif(not DATA.is_dir(), reason="EMOBENCH_TEST_DATA is not set: no real clips here")
    def test_a_real_face_has_its_nose_before_its_eyes_and_its_cheeks_behind(self) -> None:
        video = read_video(DATA / "portrait" / "obama.mp4", stop=3)
        mesh = fitted_mesh(track_frames(video.frames, video.fps, MODEL))
        nose, eye, cheek = (mesh.depth_mm[:, point] for point in (4, 33, 127))
        assert ((eye - nose > 30) & (eye - nose < 65)).all()  # canonical face: 44 mm
        assert (cheek > eye + 20).all()


class TestTraining:
    """The depth of the ellipsoid's face, as a dataset would know it."""

    def footage(self, seed: int) -> Any:
        clip = scene(20, seed)[0]
        maps = []
        landmarks = clip.track.landmarks.copy()
        landmarks[:, :36] = [(10, 9), (22, 9), (22, 24), (10, 24)] * 9
        for k in range(20):
            pose = clip.track.pose
            _, hit, depth = look_at_ellipsoid(pose.rotation[k], pose.translation[k], clip.track.alpha[k])
            maps.append(np.where(hit, depth * 10, 0).astype(np.uint16))
        return replace(
            clip, depth=np.stack(maps), depth_source="dataset depth", track=replace(clip.track, landmarks=landmarks)
        )

    def test_only_the_face_s_depth_is_kept(self) -> None:
        clip = self.footage(1)
        frames, _ = pack_footage(iter([clip]))
        assert frames.depth_source == "dataset depth"
        first = slice(frames.starts[0], frames.starts[1])
        known = np.zeros(32 * 32, bool)
        known[frames.pixel[first]] = frames.depth[first] > 0
        known = known.reshape(32, 32)
        assert known[12:22, 12:20].all()
        assert not known[:, :9].any()

    def test_the_field_s_face_lies_nearer_to_the_truth(self) -> None:
        test, errors = scene(4, 77)[0], {}
        for weight in (0.0, 0.5):
            portrait = fit_footage(
                iter([self.footage(1), self.footage(2)]), TINY.model_copy(update={"depth_weight": weight}),
                choose_backend("numba"), seed=0, threads=1, progress=SilentProgress(), label="x",
            )  # fmt: skip
            assert dict(portrait.parts.sources)["shape"] == ("silhouette, dataset depth" if weight else "silhouette")
            found = []
            pose, alpha = test.track.pose, test.track.alpha
            for k, view in enumerate(view_head(portrait, alpha, pose, pose, test.track.camera)):
                truth = look_at_ellipsoid(pose.rotation[k], pose.translation[k], alpha[k])[2]
                found.append(np.abs(view.depth_mm - truth)[12:22, 12:20])
            errors[weight] = float(np.nanmedian(np.stack(found)))
        assert errors[0.5] < 0.7 * errors[0.0]


@pytest.mark.data
@pytest.mark.skipif(not MODEL.is_file(), reason="EMOBENCH_WEIGHTS has no face_landmarker.task")
@pytest.mark.skipif(not DATA.is_dir(), reason="EMOBENCH_TEST_DATA is not set: no real clips here")
def test_prepared_clips_of_real_video_know_the_depth_of_their_face_and_who_told_it(tmp_path: Path) -> None:
    video = read_video(DATA / "portrait" / "obama.mp4", stop=50)
    sound = np.zeros(round(50 / video.fps * 16_000), np.float32)
    for name in ("a", "b"):
        write_preview(tmp_path / "data" / "obama" / f"{name}.mp4", video.frames, video.fps, sound)
    context = Context(
        seed=0, device="cpu", threads=1, cache_dir=tmp_path / "cache", progress=SilentProgress(),
        data_root=tmp_path / "data",
    )  # fmt: skip
    dataset = FolderDataset(FolderConfig(size_px=128), context)
    (clip,) = dataset.split("train")
    (footage,) = read_footage(plan_reading([clip], 4096))
    assert footage.depth_source == surface_source(clip) == SOURCE
    frames, _ = pack_footage(iter([footage]))
    assert frames.parsing == dataset.describe()["parsing"] == "landmark-hull"
    known = frames.depth > 0
    assert 0.15 < known.mean() < 0.6
    away = float(-frames.pose.translation[:, 2].mean())
    assert away - 110 < np.median(frames.depth[known]) / 10 < away  # the face lies before the head's origin
