"""Speed of the radiance field's parts at the default configuration: encode, march, one training step, one frame.

Run with `pytest tests/benchmarks --benchmark-only`; without timing the same code runs once, as a smoke test. The torch
backend is timed beside numba, so that ratios come out of one run; the alternating comparison is
tests/measurements/radiance_speed.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from emobench.methods.radiance.field import new_field
from emobench.methods.radiance.geometry import head_rays, pixel_directions
from emobench.methods.radiance.occupancy import skip_distances
from emobench.methods.radiance.operations import CHUNK, choose_backend
from emobench.methods.radiance.workers import Workers

from .radiance_head import CONFIG, SIZE, camera, head_frames, portrait, pose_of, shell, trainer

BACKENDS = ("numba", "torch")


@pytest.mark.parametrize("backend", BACKENDS)
def test_encoding_and_decoding(benchmark: BenchmarkFixture, backend: str) -> None:
    operations, field = choose_backend(backend), new_field(CONFIG, 16, 0)
    points = torch.rand(CHUNK, 3, generator=torch.Generator().manual_seed(0)) * 0.999
    with Workers(1), torch.no_grad():
        density, colour = benchmark(operations.evaluate, points, field.base, field.decoder, field.layout)
    assert (density > 0).all()
    assert ((colour > 0) & (colour < 1)).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_marching(benchmark: BenchmarkFixture, backend: str) -> None:
    frames = head_frames()
    rays = head_rays(pixel_directions(camera(SIZE)), frames.pose.rotation[0], frames.pose.translation[0], frames.box)
    jitter, skip = np.full(SIZE * SIZE, 0.5, np.float32), skip_distances(shell())
    with Workers(1):
        samples = benchmark(choose_backend(backend).march, rays, skip, CONFIG.step_mm, jitter, CONFIG.max_samples)
    assert len(samples.points) > 10_000


@pytest.mark.parametrize(("backend", "threads"), [("numba", 1), ("numba", 2), ("torch", 1)])
def test_training_step(benchmark: BenchmarkFixture, backend: str, threads: int) -> None:
    with Workers(threads) as workers:
        work = trainer(choose_backend(backend), workers)
        steps = iter(range(10_000))
        benchmark(lambda: work._step(next(steps) % CONFIG.steps))
    assert np.isfinite(work.losses).all()


@pytest.mark.parametrize(
    ("backend", "size"), [("numba", 128), ("numba", 256), ("numba", 512), ("torch", 128), ("torch", 256)]
)
def test_rendering_one_frame(benchmark: BenchmarkFixture, backend: str, size: int) -> None:
    subject, alpha = portrait(backend), head_frames().alpha[:1]
    shots = benchmark(lambda: list(subject.render(alpha, pose_of(1), camera(size))))
    assert shots[0].head_alpha.max() > 0.9
