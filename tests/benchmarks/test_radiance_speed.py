"""Speed of the radiance field's parts at the default configuration: encode, march, one training step, one frame.

Run with `pytest tests/benchmarks --benchmark-only`; without timing the same code runs once, as a smoke test.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from emobench.methods.radiance import grid_kernels
from emobench.methods.radiance.accelerated import NumbaOperations
from emobench.methods.radiance.backdrop import FEATURES, Backdrop
from emobench.methods.radiance.condition import fit_condition
from emobench.methods.radiance.config import RadianceConfig
from emobench.methods.radiance.field import new_field
from emobench.methods.radiance.footage import Footage, HeadFrames, pack_footage
from emobench.methods.radiance.geometry import head_rays, pixel_directions
from emobench.methods.radiance.occupancy import new_occupancy, skip_distances
from emobench.methods.radiance.operations import CHUNK
from emobench.methods.radiance.portrait import Portrait, PortraitParts
from emobench.methods.radiance.trainer import HeadTrainer
from emobench.methods.radiance.workers import Workers
from emobench.types import Camera, HeadPose, Layers, Track

SIZE = 128
CONFIG = RadianceConfig()
CAMERA = Camera(focal_px=500.0, cx_px=64.0, cy_px=64.0, width=SIZE, height=SIZE)


def pose_of(count: int) -> HeadPose:
    return HeadPose(
        rotation=np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
        translation=np.tile(np.array([0, 0, -1000], np.float32), (count, 1)),
    )


@pytest.fixture(scope="module")
def frames() -> HeadFrames:
    """Noise on a disc: as much work as a head, without meaning."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:SIZE, 0:SIZE] - 63.5
    alpha = np.broadcast_to(((x / 42) ** 2 + (y / 58) ** 2 < 1) * np.uint8(255), (8, SIZE, SIZE))
    rgb = rng.integers(0, 256, (8, SIZE, SIZE, 3), dtype=np.uint8)
    track = Track(
        alpha=rng.random((8, 50), np.float32), alpha_names=tuple(map(str, range(50))), is_mouth=np.zeros(50, bool),
        pose=pose_of(8), camera=CAMERA, landmarks=np.full((8, 68, 2), 64, np.float32), valid=np.ones(8, bool),
        head_box_mm=np.array([[-92, -135, -70], [92, 132, 72]], np.float32), source="dataset",
    )  # fmt: skip
    layers = Layers(head_alpha=alpha, head_rgb=rgb, back_rgb=rgb, source="dataset")
    return pack_footage(iter([Footage(name="noise", track=track, layers=layers)]))[0]


def shell() -> np.ndarray:
    """A head's worth of occupied cells: a shell 18 mm thick."""
    ticks = (np.arange(CONFIG.grid) + 0.5) / CONFIG.grid * 2 - 1
    z, y, x = np.meshgrid(ticks, ticks, ticks, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    return (radius < 0.95) & (radius > 0.72) & (z > -0.2)


def test_encoding(benchmark: BenchmarkFixture) -> None:
    field = new_field(CONFIG, 16, 0)
    points = torch.rand(CHUNK, 3, generator=torch.Generator().manual_seed(0)) * 0.999
    features = np.empty((CHUNK, field.layout.features), np.float32)
    shape = (
        np.array(field.layout.resolutions, np.float32), np.array(field.layout.offsets), np.array(field.layout.dense),
        np.uint32((1 << field.layout.log2_size) - 1),
    )  # fmt: skip
    benchmark(grid_kernels.encode, points.numpy(), field.base.view(-1, 2).numpy(), *shape, features)
    assert np.abs(features).max() > 0


def test_marching(benchmark: BenchmarkFixture, frames: HeadFrames) -> None:
    rays = head_rays(pixel_directions(CAMERA), frames.pose.rotation[0], frames.pose.translation[0], frames.box)
    skip = skip_distances(shell())
    jitter = np.full(SIZE * SIZE, 0.5, np.float32)
    samples = benchmark(NumbaOperations().march, rays, skip, CONFIG.step_mm, jitter, CONFIG.max_samples)
    assert len(samples.points) > 10_000


@pytest.mark.parametrize("threads", [1, 2])
def test_training_step(benchmark: BenchmarkFixture, frames: HeadFrames, threads: int) -> None:
    condition = fit_condition(np.random.default_rng(0).random((8, 50), np.float32), pose_of(8), CONFIG)
    conditions = condition(frames.alpha, frames.pose)
    field = new_field(CONFIG, conditions.shape[1], 0)
    occupancy = new_occupancy(shell())
    with Workers(threads) as workers:
        trainer = HeadTrainer(
            frames, conditions, field, occupancy, frames.box, NumbaOperations(), workers, CONFIG, seed=0
        )
        steps = iter(range(10_000))
        benchmark(lambda: trainer._step(next(steps) % CONFIG.steps))
    assert np.isfinite(trainer.losses).all()


def test_rendering_one_frame(benchmark: BenchmarkFixture, frames: HeadFrames) -> None:
    condition = fit_condition(frames.alpha, frames.pose, CONFIG)
    field = new_field(CONFIG, condition.basis.shape[1], 0)
    field.decoder.layers()[-1][0] = 4.0  # a visible head: σ·step = 1
    backdrop = Backdrop(
        canonical=np.full((SIZE, SIZE, 3), 0.5, np.float32), shift=np.zeros((FEATURES, 16, 16, 2), np.float32),
        residual=np.zeros((FEATURES, SIZE, SIZE, 3), np.float32), mean_translation=frames.pose.translation[0],
        low=np.full(FEATURES, -1, np.float32), high=np.full(FEATURES, 1, np.float32),
    )  # fmt: skip
    portrait = Portrait(
        PortraitParts(
            config=CONFIG, backend="numba", alpha_names=frames.alpha_names, camera=CAMERA, box=frames.box,
            condition=condition, field=field, skip=skip_distances(shell()), backdrop=backdrop,
            losses=np.zeros(0, np.float32),
        )
    )  # fmt: skip
    shots = benchmark(lambda: list(portrait.render(frames.alpha[:1], pose_of(1), CAMERA)))
    assert shots[0].head_alpha.max() > 0.9
