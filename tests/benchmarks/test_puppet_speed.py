"""Where a puppet frame's time goes: mesh, raster, shading, whole frame. Run: pytest tests/benchmarks -k puppet."""

import numpy as np
import pytest

from emobench.datasets.puppet.materials import paint
from emobench.datasets.puppet.preview import apex_alpha
from emobench.datasets.puppet.renderer import Renderer
from emobench.datasets.puppet.shading import shade
from emobench.datasets.puppet.view import CAMERA_POSITION, head_pose

pytest.importorskip("pytest_benchmark")


@pytest.fixture(scope="module", params=[128, 256])
def scene(request):
    """A renderer, α and pose of a talking face, and its placed vertices."""
    from threadpoolctl import threadpool_limits

    renderer = Renderer("ben", request.param, 2)
    alpha, pose = apex_alpha("happy", 3), head_pose(np.array([[0.1, 0.05, 0.0]]), np.zeros((1, 3)))
    next(iter(renderer.render(alpha, pose)))  # compiles
    with threadpool_limits(1):  # as in the generator's workers
        yield renderer, alpha, pose


@pytest.mark.benchmark(group="puppet")
def test_mesh(benchmark, scene):
    renderer, alpha, pose = scene

    def posed():
        points, _ = renderer.model.pose(alpha)
        return renderer.place(points, pose)

    assert np.isfinite(benchmark(posed)).all()


@pytest.mark.benchmark(group="puppet")
def test_raster(benchmark, scene):
    renderer, alpha, pose = scene
    placed = renderer.place(renderer.model.pose(alpha)[0], pose)[0]
    benchmark(renderer._see, placed, placed + CAMERA_POSITION)
    assert (renderer._seen >= 0).mean() > 0.3


@pytest.mark.benchmark(group="puppet")
def test_shade(benchmark, scene):
    renderer, alpha, pose = scene
    next(iter(renderer.render(alpha, pose)))
    look = renderer._look(alpha[0], 0.5)

    def shaded():
        samples, kinds = renderer._sample()
        surfels = paint(samples, kinds, look)
        return shade(
            samples, kinds, surfels, look.hair, renderer._lights, renderer._shadow, CAMERA_POSITION, renderer._table
        )

    assert benchmark(shaded).max() <= 1


@pytest.mark.benchmark(group="puppet")
def test_frame(benchmark, scene):
    renderer, alpha, pose = scene
    picture = benchmark(lambda: next(iter(renderer.render(alpha, pose))))
    assert picture.frame.std() > 10
