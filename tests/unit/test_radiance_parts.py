"""Geometry, condition, footage, occupancy and workers of the radiance field, each alone."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from emobench.errors import InputError, UsageError
from emobench.methods.radiance.condition import fit_condition
from emobench.methods.radiance.config import RadianceConfig
from emobench.methods.radiance.footage import Footage, dilate, pack_footage
from emobench.methods.radiance.geometry import Box, head_rays, pixel_directions, project
from emobench.methods.radiance.layouts import grid_layout
from emobench.methods.radiance.occupancy import skip_distances, tight_box, visual_hull, without_islands
from emobench.methods.radiance.operations import choose_backend
from emobench.methods.radiance.ray_kernels import mark_seen
from emobench.methods.radiance.workers import Workers
from emobench.types import Camera, HeadPose, Layers, Track

CAMERA = Camera(focal_px=120.0, cx_px=15.0, cy_px=17.0, width=32, height=32)


def poses(count: int, seed: int = 0) -> HeadPose:
    rng = np.random.default_rng(seed)
    turn = Rotation.from_rotvec(rng.normal(0, 0.1, (count, 3))).as_matrix()
    move = np.array([0, 0, -600.0]) + rng.normal(0, 5, (count, 3))
    return HeadPose(rotation=turn.astype(np.float32), translation=move.astype(np.float32))


def footage(count: int = 4, *, camera: Camera = CAMERA, names: tuple[str, ...] = ("a", "b")) -> Footage:
    rng = np.random.default_rng(1)
    head_alpha = np.zeros((count, 32, 32), np.uint8)
    head_alpha[:, 8:24, 8:24] = 255
    head_alpha[:, 8, 8:24] = 100
    colours = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    landmarks = np.zeros((count, 68, 2), np.float32)
    landmarks[:, 36:42], landmarks[:, 42:48], landmarks[:, 48:68] = (12, 12), (20, 12), (16, 20)
    track = Track(
        alpha=rng.random((count, len(names)), np.float32), alpha_names=names, is_mouth=np.zeros(len(names), bool),
        pose=poses(count), camera=camera, landmarks=landmarks, valid=np.arange(count) != 1,
        head_box_mm=np.array([[-60, -70, -50], [60, 70, 50]], np.float32), source="dataset",
    )  # fmt: skip
    layers = Layers(head_alpha=head_alpha, head_rgb=colours, back_rgb=255 - colours, source="dataset")
    return Footage(name="clip", track=track, layers=layers)


def test_a_ray_through_a_pixel_meets_the_points_that_project_there() -> None:
    pose = poses(1)
    box = Box(low=np.array([-60, -70, -50], np.float32), high=np.array([60, 70, 50], np.float32))
    rays = head_rays(pixel_directions(CAMERA), pose.rotation[0], pose.translation[0], box)
    for pixel in (0, 37, 500, 1023):
        point = (rays.origin + 600 * rays.directions[pixel]) * box.size + box.low
        u, v = project(point[None], pose.rotation[0], pose.translation[0], CAMERA)[0]
        assert (u, v) == pytest.approx((pixel % 32 + 0.5, pixel // 32 + 0.5), abs=1e-3)  # float32 at 600 mm


def test_ray_parameter_counts_millimetres() -> None:
    pose = poses(1)
    box = Box(low=np.array([-10, -20, -30], np.float32), high=np.array([60, 70, 50], np.float32))
    rays = head_rays(pixel_directions(CAMERA), pose.rotation[0], pose.translation[0], box)
    assert np.linalg.norm(rays.directions * box.size, axis=1) == pytest.approx(1, abs=1e-5)


def test_condition_is_exact_inside_the_train_range_and_bounded_outside() -> None:
    rng = np.random.default_rng(0)
    alpha, pose = rng.random((50, 6), np.float32), poses(50)
    config = RadianceConfig(components=4)
    condition = fit_condition(alpha, pose, config)
    inside = condition(alpha, pose)
    assert inside.shape == (50, 4)
    assert np.abs(inside - condition.centre).max() <= condition.half_width.max() * 1.001
    outside = condition(alpha * 50, pose)
    assert (np.abs(outside - condition.centre) <= condition.half_width * config.condition_margin * 1.001).all()
    assert (np.abs(outside - condition.centre) > condition.half_width).any()


def test_condition_does_not_depend_on_the_unit_of_alpha() -> None:
    rng = np.random.default_rng(0)
    alpha, pose = rng.random((50, 6), np.float32), poses(50)
    config = RadianceConfig(components=4)
    plain, scaled = fit_condition(alpha, pose, config), fit_condition(alpha * 100, pose, config)
    np.testing.assert_allclose(plain(alpha, pose), scaled(alpha * 100, pose), atol=1e-4)


def test_condition_of_a_motionless_clip_is_finite() -> None:
    still = HeadPose(rotation=np.eye(3, dtype=np.float32)[None].repeat(5, 0), translation=np.zeros((5, 3), np.float32))
    condition = fit_condition(np.zeros((5, 3), np.float32), still, RadianceConfig())
    assert np.isfinite(condition(np.ones((5, 3), np.float32), still)).all()


def test_packing_keeps_colours_and_leaves_out_frames_without_tracking() -> None:
    clip = footage()
    frames, backs = pack_footage(iter([clip, clip]))
    assert len(frames) == 6  # frame 1 of each clip is invalid
    assert len(backs.rgb) == 6
    inside = frames.pixel[frames.starts[1] : frames.starts[2]]
    colours = frames.colour[frames.starts[1] : frames.starts[2]]
    np.testing.assert_array_equal(colours, clip.layers.head_rgb[2].reshape(-1, 3)[inside])
    np.testing.assert_array_equal(backs.visibility[1], 255 - clip.layers.head_alpha[2])


def test_picked_pixels_belong_to_the_frame_and_favour_mouth_and_eyes() -> None:
    frames, _ = pack_footage(iter([footage()]))
    picked = frames.pick(2, 4000, 0.5, np.random.default_rng(0))
    assert picked.min() >= frames.starts[2]
    assert picked.max() < frames.starts[3]
    detail = frames.detail[frames.detail_starts[2] : frames.detail_starts[3]]
    share_by_area = len(detail) / (frames.starts[3] - frames.starts[2])
    assert np.isin(picked, detail).mean() == pytest.approx(0.5 + 0.5 * share_by_area, abs=0.03)


def test_clips_of_different_cameras_are_refused() -> None:
    other = Camera(focal_px=99.0, cx_px=15.0, cy_px=17.0, width=32, height=32)
    with pytest.raises(InputError, match="another camera"):
        pack_footage(iter([footage(), footage(camera=other)]))


def test_clips_of_different_coefficients_are_refused() -> None:
    with pytest.raises(InputError, match="other expression coefficients"):
        pack_footage(iter([footage(), footage(names=("a", "c"))]))


def test_dilation_grows_by_its_radius_in_every_direction() -> None:
    mask = np.zeros((1, 9, 9), bool)
    mask[0, 4, 4] = True
    grown = dilate(mask, 2)[0]
    assert grown.sum() == 25
    assert grown[2:7, 2:7].all()


def test_islands_are_the_small_groups_that_touch_nothing() -> None:
    occupied = np.zeros((12, 12, 12), bool)
    occupied[1:6, 1:6, 1:6] = True  # 125 cells
    occupied[6, 6, 6] = True  # touches it at a corner
    occupied[9:11, 9, 9] = True  # 2 cells
    kept = without_islands(occupied, 0.03)
    assert kept.sum() == 126
    assert not kept[9:11, 9, 9].any()
    assert without_islands(occupied, 0.01).sum() == 128  # 2 of 126 are 1.6 %
    assert not without_islands(np.zeros((4, 4, 4), bool), 0.03).any()


def test_skip_distances_never_jump_over_an_occupied_cell() -> None:
    occupied = np.random.default_rng(0).random((10, 10, 10)) < 0.01
    distances = skip_distances(occupied)
    where = np.argwhere(occupied)
    for cell in np.ndindex(10, 10, 10):
        nearest = np.abs(where - cell).max(1).min()
        assert distances[cell] == nearest


def test_hull_of_turning_ball_is_about_the_ball() -> None:
    """A ball of 40 mm seen from ±60°: its hull must hold it and stay within a few cells of it."""
    grid, radius = 24, 40.0
    box = Box(low=np.full(3, -60, np.float32), high=np.full(3, 60, np.float32))
    angles = np.linspace(-1, 1, 9)
    pose = HeadPose(
        rotation=Rotation.from_rotvec(angles[:, None] * [0, 1, 0]).as_matrix().astype(np.float32),
        translation=np.tile(np.array([0, 0, -600], np.float32), (9, 1)),
    )
    directions = pixel_directions(CAMERA)
    nearest = np.linalg.norm(np.cross(directions, [0, 0, -600]), axis=1)
    masks = np.repeat((nearest < radius).reshape(1, 32, 32), 9, 0)
    hull = visual_hull(masks, pose, CAMERA, box, grid, share=0.95)
    ticks = (np.arange(grid) + 0.5) / grid * 120 - 60
    z, y, x = np.meshgrid(ticks, ticks, ticks, indexing="ij")
    distance = np.sqrt(x**2 + y**2 + z**2)
    assert hull[distance < radius - 8].all()
    assert not hull[(np.hypot(x, z) > radius * 1.35) | (np.abs(y) > radius + 8)].any()
    smaller = tight_box(hull, box)
    assert (smaller.low >= box.low).all()
    assert (smaller.size < box.size).any()


def test_rays_see_into_cells_up_to_where_half_of_their_light_ends() -> None:
    seen = np.zeros((8, 8, 8), np.uint8)
    origin, along_x = np.array([-0.5, 0.3, 0.6], np.float32), np.array([[0.01, 0, 0], [0.01, 0, 0]], np.float32)
    depths = np.array([70, 90, 110, 70], np.float32)  # mm: x of 0.2, 0.4, 0.6 and 0.2
    weights = np.array([0.3, 0.3, 0.4, 0.2], np.float32)  # the second ray lets most of its light through
    for rays, reached in ((1, 4), (2, 8)):  # with the surface's own cell; then all
        directions, counts = along_x[:rays], np.array([3, 1], np.int32)[:rays]
        mark_seen(origin, directions, weights, depths, counts, np.float32(1), seen)
        assert np.flatnonzero(seen[4, 2]).tolist() == list(range(reached))
    assert seen.sum() == 8


def test_level_sizes_follow_the_geometric_progression() -> None:
    layout = grid_layout(levels=8, coarsest=16, finest=128, log2_size=14)
    assert layout.resolutions == (16, 22, 29, 39, 53, 71, 95, 128)
    assert layout.dense == (True, True, *[False] * 6)
    assert layout.entries == 17**3 + 23**3 + 6 * 2**14


def test_unknown_backend_is_a_usage_error_that_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'numba'"):
        choose_backend("nubma")


@pytest.mark.parametrize("threads", [1, 3])
def test_workers_return_results_in_order_and_restore_torch(threads: int) -> None:
    before = torch.get_num_threads()
    with Workers(threads) as workers:
        assert workers.map(lambda n: (n, torch.get_num_threads()), range(9)) == [(n, 1) for n in range(9)]
        assert list(workers.stream(lambda n: n * n, range(9))) == [n * n for n in range(9)]
    assert torch.get_num_threads() == before


def test_crews_that_overlap_leave_torch_as_it_was() -> None:
    before = torch.get_num_threads()
    first, second = Workers(1), Workers(1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.get_num_threads() == 1
    second.__exit__(None, None, None)
    assert torch.get_num_threads() == before


def test_a_stream_that_is_abandoned_stops_working_ahead() -> None:
    started = []
    lock = threading.Lock()

    def work(n: int) -> int:
        with lock:
            started.append(n)
        return n

    with Workers(2) as workers:
        stream = workers.stream(work, range(1000))
        next(stream)
        stream.close()
    assert len(started) <= 8
