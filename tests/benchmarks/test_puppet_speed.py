"""Where a puppet frame's time goes, on one core: mesh, light, raster, shading, whole frame.

Run: pytest tests/benchmarks -k puppet. The subject with most hair is timed: the others are faster.
"""

import numpy as np
import pytest

from emobench.datasets.puppet.materials import paint
from emobench.datasets.puppet.preview import apex_alpha
from emobench.datasets.puppet.renderer import Renderer
from emobench.datasets.puppet.shading import shade
from emobench.datasets.puppet.view import head_pose, orbit

pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed")
FRAMES = 8


@pytest.fixture(scope="module", params=[128, 256, 512])
def scene(request):
    """A renderer, α and poses of a talking face."""
    from threadpoolctl import threadpool_limits

    renderer = Renderer("amy", request.param, 2)
    alpha = apex_alpha("happy", 3).repeat(FRAMES, axis=0)
    pose = head_pose(np.array([[0.1, 0.05, 0.0]]).repeat(FRAMES, axis=0), np.zeros((FRAMES, 3)))
    next(iter(renderer.render(alpha, pose)))  # compiles
    with threadpool_limits(1):  # as in the generator's workers
        yield renderer, alpha, pose


def placed(scene):
    renderer, alpha, pose = scene
    points, occlusion = renderer.model.pose(alpha)
    return renderer.place(points, pose), occlusion


@pytest.mark.benchmark(group="puppet")
def test_mesh_of_eight_frames(benchmark, scene):
    studio, _ = benchmark(placed, scene)
    assert np.isfinite(studio).all()


@pytest.mark.benchmark(group="puppet")
def test_light(benchmark, scene):
    renderer = scene[0]
    studio, occlusion = placed(scene)
    benchmark(renderer._light, studio[0], occlusion[0])
    assert (renderer._shadow > -1e8).mean() > 0.2


@pytest.mark.benchmark(group="puppet")
def test_raster(benchmark, scene):
    renderer = scene[0]
    benchmark(renderer._see, placed(scene)[0][0], *orbit(0.0))
    assert (renderer._seen >= 0).mean() > 0.3


@pytest.mark.benchmark(group="puppet")
def test_shade(benchmark, scene):
    renderer, alpha, pose = scene
    next(iter(renderer.render(alpha, pose)))
    position, axes = orbit(0.0)
    screen = renderer._see(placed(scene)[0][0], position, axes)
    look = renderer._look(alpha[0], 0.5)

    def shaded():
        samples, kinds = renderer._sample(screen)
        surfels = paint(samples, kinds, look)
        return shade(samples, kinds, surfels, look.hair, renderer._lights, renderer._shadow, position, renderer._table)

    assert benchmark(shaded).max() <= 1


@pytest.mark.benchmark(group="puppet")
def test_eight_frames(benchmark, scene):
    renderer, alpha, pose = scene
    pictures = benchmark(lambda: list(renderer.render(alpha, pose)))
    assert min(picture.frame.std() for picture in pictures) > 10
