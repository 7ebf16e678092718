"""The Triton kernels against the plain torch reference in float64, on random inputs; gradients against its autograd.

Without a GPU they run in Triton's interpreter. Tolerances: 1e-5 of the largest value in float32, whose rounding is 6e-8
a term over sums of a few hundred (measured: 8e-7, and 3e-6 of plain torch in float32); 5e-3 in mixed precision, where
factors of products are rounded to 11 bits, 5e-4 (measured: 6e-4). Wrong indices, weights or signs show in the first
digit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from emobench.methods.radiance.geometry import Rays
from emobench.methods.radiance.layouts import GridLayout, grid_layout
from emobench.methods.radiance.occupancy import skip_distances
from emobench.methods.radiance.operations import (
    DENSITY_UNIT_MM,
    Decoder,
    Samples,
    Targets,
)
from emobench.methods.radiance.reference import TorchOperations, compositing_weights, decode, encode

pytest.importorskip("triton", minversion="3.9", reason="the interpreter of triton 3.9 or newer is needed (Linux)")

import triton

from emobench.methods.radiance import triton_grid
from emobench.methods.radiance.triton_operations import TritonOperations
from emobench.methods.radiance.triton_shapes import Precision, grid_shape, layout_rows

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
REFERENCE = TorchOperations()
STEP_MM = 6.0
RAYS = 90
TOLERANCE: dict[Precision, float] = {"exact": 1e-5, "mixed": 5e-3}
operations = partial(TritonOperations, DEVICE)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Inputs on the device in float32 and, as `exact`, the same numbers on the host in float64."""

    layout: GridLayout
    rays: Rays
    skip: np.ndarray
    jitter: np.ndarray
    table: Tensor
    decoder: Decoder
    samples: Samples
    targets: Targets

    @property
    def exact(self) -> Scene:
        def host(tensor: Tensor) -> Tensor:
            return tensor.cpu().double()

        samples, targets = self.samples, self.targets
        return replace(
            self,
            rays=Rays(origin=self.rays.origin.astype(float), directions=self.rays.directions.astype(float)),
            jitter=self.jitter.astype(float),
            table=host(self.table),
            decoder=replace(self.decoder, weights=host(self.decoder.weights)),
            samples=replace(samples, points=host(samples.points), depths=host(samples.depths)),
            targets=replace(
                targets,
                colour=host(targets.colour),
                background=host(targets.background),
                surface=host(targets.surfaces()),
            ),
        )


LAYOUTS = {
    "odd": grid_layout(levels=5, coarsest=4, finest=32, log2_size=9),  # 3 of 8 rows of a tile are padding
    "full": grid_layout(levels=8, coarsest=3, finest=24, log2_size=10),
}


@pytest.fixture(params=LAYOUTS, scope="module")
def scene(request: pytest.FixtureRequest) -> Scene:
    """Rays from in front of a box of about 140 mm, one parallel to two faces, through cells of which 4 in 10 are
    occupied; two or more dense levels, the others hashed; 16 hidden units."""
    layout = LAYOUTS[request.param]
    assert layout.dense[1]
    assert not layout.dense[-1]
    rng, generator = np.random.default_rng(5), torch.Generator().manual_seed(6)
    directions = np.stack([rng.normal(0, 0.07, RAYS), rng.normal(0, 0.07, RAYS), -np.ones(RAYS)], axis=1)
    directions[0] = (0, 0, -1)
    rays = Rays(
        origin=np.array([0.45, 0.55, 6.0], np.float32),
        directions=np.ascontiguousarray(directions / 140, np.float32),
    )
    skip = skip_distances(rng.random((8, 8, 8)) < 0.4)
    jitter = rng.random(RAYS).astype(np.float32)
    hidden, features = 16, layout.features
    size = (features + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * 4
    weights = torch.randn(size, generator=generator) * 0.4
    weights[-4] += 2.5  # dense enough that some rays end inside
    found = REFERENCE.march(rays, skip, STEP_MM, jitter, 20)
    return Scene(
        layout=layout,
        rays=rays,
        skip=skip,
        jitter=jitter,
        table=torch.randn(2 * layout.entries, generator=generator).to(DEVICE),
        decoder=Decoder(weights=weights.to(DEVICE), features=features, hidden=hidden),
        samples=Samples(
            points=found.points.to(DEVICE), depths=found.depths.to(DEVICE), counts=found.counts, depth_origin=800.0
        ),
        targets=Targets(
            colour=torch.rand(RAYS, 3, generator=generator).to(DEVICE),
            background=torch.rand(RAYS, 3, generator=generator).to(DEVICE),
            variance_weight=0.3,
            factor=0.125,
            surface=(torch.rand(RAYS, 2, generator=generator) * torch.tensor([1.0, 0.2])).to(DEVICE),
        ),
    )


def host(scene: Scene) -> tuple[Tensor, Decoder, GridLayout]:
    """The field in float32 for the reference."""
    return scene.table.cpu(), replace(scene.decoder, weights=scene.decoder.weights.cpu()), scene.layout


def share_of_differing_rays(left: np.ndarray, right: np.ndarray) -> float:
    return float((np.abs(left - right).reshape(RAYS, -1).max(1) > 1e-5).mean())


def assert_close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Equal within a share of the largest expected value."""
    scale = float(expected.abs().max())
    assert scale > 0
    np.testing.assert_allclose(found.cpu().double() / scale, expected / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("limit", [3, 64])
def test_march_finds_the_samples_of_the_reference(scene: Scene, limit: int) -> None:
    found = operations().march(scene.rays, scene.skip, STEP_MM, scene.jitter, limit)
    exact = scene.exact
    expected = REFERENCE.march(exact.rays, exact.skip, STEP_MM, exact.jitter, limit)
    assert expected.counts.max() == 3 if limit == 3 else expected.counts.max() > 5
    # float32 moves a sample that lies on a face of a cell into the next cell: in few rays, and by one sample
    assert (found.counts != expected.counts).mean() <= 0.03
    assert len(found.points) == found.counts.sum()
    starts, expected_starts = np.cumsum(found.counts) - found.counts, np.cumsum(expected.counts) - expected.counts
    for ray in np.flatnonzero(found.counts == expected.counts):
        here = slice(starts[ray], starts[ray] + found.counts[ray])
        there = slice(expected_starts[ray], expected_starts[ray] + found.counts[ray])
        np.testing.assert_allclose(found.points[here].cpu(), expected.points[there], atol=2e-6)
        np.testing.assert_allclose(found.depths[here].cpu(), expected.depths[there], rtol=1e-6)


def test_rays_that_miss_the_box_have_no_samples(scene: Scene) -> None:
    away = replace(scene.rays, directions=-scene.rays.directions)
    found = operations().march(away, scene.skip, STEP_MM, scene.jitter, 8)
    assert found.counts.sum() == 0
    density, colour = operations().evaluate(found.points, scene.table, scene.decoder, scene.layout)
    assert (len(density), colour.shape) == (0, (0, 3))
    gradient = torch.full_like(scene.table, 7.0)
    lost = operations().frame_loss(found, scene.targets, scene.table, scene.decoder, scene.layout, STEP_MM, gradient)
    assert lost.loss > 0
    assert not gradient.any()
    assert not lost.network.any()


@pytest.mark.parametrize("precision", TOLERANCE)
def test_field_values_match_the_reference(scene: Scene, precision: Precision) -> None:
    exact = scene.exact
    found = operations(precision).evaluate(scene.samples.points, scene.table, scene.decoder, scene.layout)
    expected = REFERENCE.evaluate(exact.samples.points, exact.table, exact.decoder, exact.layout)
    for left, right in zip(found, expected, strict=True):
        assert_close(left, right, TOLERANCE[precision])


@pytest.mark.parametrize("precision", TOLERANCE)
def test_loss_and_all_gradients_match_autograd(scene: Scene, precision: Precision) -> None:
    exact = scene.exact
    of_table = torch.full_like(scene.table, 7.0)  # must be overwritten, not added to
    backend = operations(precision)
    found = backend.frame_loss(
        scene.samples, scene.targets, scene.table.to(backend.table_dtype), scene.decoder, scene.layout, STEP_MM,
        of_table,
    )  # fmt: skip
    of_exact = torch.full_like(exact.table, 7.0)
    expected = REFERENCE.frame_loss(
        exact.samples, exact.targets, exact.table, exact.decoder, exact.layout, STEP_MM, of_exact
    )
    tolerance = TOLERANCE[precision]
    assert found.loss == pytest.approx(expected.loss, rel=tolerance)
    assert_close(found.network, expected.network, tolerance)
    assert_close(of_table, of_exact, tolerance)
    assert_close(found.weights, expected.weights, tolerance)


def test_gradient_of_the_encoding_alone_matches_autograd(scene: Scene) -> None:
    exact = scene.exact
    pull = torch.randn(len(scene.samples.points), scene.layout.features, generator=torch.Generator().manual_seed(1))
    table = exact.table.view(-1, 2).requires_grad_()
    (expected,) = torch.autograd.grad(encode(exact.samples.points, table, exact.layout), table, pull.double())
    found = torch.zeros_like(scene.table)
    triton_grid.encode_backward[(triton.cdiv(len(pull), 64),)](
        scene.samples.points, pull.to(DEVICE), found, layout_rows(scene.layout, DEVICE), len(pull),
        **grid_shape(scene.layout), POINTS=64,
    )  # fmt: skip
    assert_close(found.view(-1, 2), expected, TOLERANCE["exact"])


@pytest.mark.parametrize("precision", TOLERANCE)
def test_gradients_of_the_decoder_alone_match_autograd(scene: Scene, precision: Precision) -> None:
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(150, scene.layout.features, generator=generator)
    pull = torch.randn(150, 4, generator=generator)
    exact = scene.exact.decoder
    inputs, weights = features.double().requires_grad_(), exact.weights.clone().requires_grad_()
    w1, b1, w2, b2, w3, b3 = exact.layers(weights)
    raw = torch.relu(torch.relu(inputs @ w1 + b1) @ w2 + b2) @ w3 + b3
    expected = torch.autograd.grad(raw, [inputs, weights], pull.double())
    found = operations(precision).decode_backward(features.to(DEVICE), pull.to(DEVICE), scene.decoder)
    for left, right in zip(found, expected, strict=True):
        # rounding opens or closes single hidden units that are near zero, which jumps: the norm of all says how much
        assert float((left.cpu() - right).norm() / right.norm()) < (1e-5 if precision == "exact" else 5e-2)
    density, colour = operations(precision).decode(features.to(DEVICE), scene.decoder)
    for left, right in zip((density, colour), decode(features.double(), exact.layers()), strict=True):
        assert_close(left, right, TOLERANCE[precision])


def test_gradient_of_compositing_alone_matches_autograd(scene: Scene) -> None:
    """With respect to the decoder's raw outputs, of which one ray's density is beyond the clamp of exp."""
    exact, generator = scene.exact, torch.Generator().manual_seed(3)
    raw = torch.randn(len(scene.samples.points), 4, generator=generator)
    raw[:, 0] += 2
    raw[0, 0] = 9.5
    inputs = raw.double().requires_grad_()
    density, colour = torch.exp(inputs[:, 0].clamp(max=9.0)), torch.sigmoid(inputs[:, 1:])
    weights, ray = compositing_weights(density, exact.samples.counts, STEP_MM / DENSITY_UNIT_MM)
    depth = (exact.samples.depths - 800.0) / DENSITY_UNIT_MM
    columns = torch.cat([colour, depth[:, None], depth[:, None].square(), torch.ones_like(depth)[:, None]], 1)
    sums = torch.zeros(RAYS, 6, dtype=torch.float64).index_add(0, ray, weights[:, None] * columns)
    error = sums[:, :3] + (1 - sums[:, 5:]) * exact.targets.background - exact.targets.colour
    variance = (sums[:, 4] - sums[:, 3].square() / sums[:, 5].clamp(min=1e-3)).clamp(min=0)
    wanted, weight = exact.targets.surfaces().unbind(1)
    shape = weight * (sums[:, 3] - sums[:, 5] * wanted).square()
    loss = 0.125 * (error.square().mean() + 0.3 * variance.mean() + shape.mean())
    (expected,) = torch.autograd.grad(loss, inputs)
    given = [torch.exp(raw[:, 0].clamp(max=9.0)).to(DEVICE), torch.sigmoid(raw[:, 1:]).to(DEVICE)]
    found, found_weights, gradient = operations("exact").ray_loss(scene.samples, scene.targets, *given, STEP_MM)
    assert float(found) == pytest.approx(float(loss.detach()), rel=1e-5)
    assert expected[0, 0] == gradient[0, 0] == 0
    assert_close(found_weights, weights.detach(), 1e-5)
    assert_close(gradient, expected, 1e-5)
    assert_close(operations().weights(given[0], scene.samples, STEP_MM), weights.detach(), 1e-5)


def test_samples_that_no_light_reaches_have_no_part_in_mixed_training(scene: Scene) -> None:
    """Opaque from the fourth sample of a ray on: what lies behind loses its gradient, the rest keeps it."""
    generator, counts = torch.Generator().manual_seed(5), torch.from_numpy(scene.samples.counts).long()
    place = torch.cat([torch.arange(int(count)) for count in counts])
    density = torch.where(place >= 3, 280.0, 1.0).to(DEVICE)
    colour = torch.rand(len(place), 3, generator=generator).to(DEVICE)
    results = [operations(p).ray_loss(scene.samples, scene.targets, density, colour, STEP_MM) for p in TOLERANCE]
    (loss, weights, gradient), (mixed_loss, mixed_weights, mixed_gradient) = results
    behind = (place > 3).to(DEVICE)
    assert behind.any()
    assert gradient[behind].any()
    assert not mixed_gradient[behind].any()
    assert not mixed_weights[behind].any()
    assert float(mixed_loss) == pytest.approx(float(loss), rel=1e-4)
    assert_close(mixed_weights, weights.cpu().double(), 1e-4)
    assert_close(mixed_gradient, gradient.cpu().double(), 1e-3)


def test_rendering_matches_the_reference_where_no_ray_ends_early(scene: Scene) -> None:
    exact = scene.exact
    arguments = (scene.table, scene.decoder, scene.layout, STEP_MM, 30)
    found = operations("exact").render(scene.rays, scene.skip, *arguments, 0.0)
    expected = REFERENCE.render(exact.rays, exact.skip, exact.table, exact.decoder, exact.layout, STEP_MM, 30, 0.0)
    rounded = REFERENCE.render(scene.rays, scene.skip, *host(scene), STEP_MM, 30, 0.0)
    for left, right, near in zip(found, expected, rounded, strict=True):
        assert np.abs(right).max() > 0.5
        # float32 moves samples of some rays over faces of cells (measured: 9 %), the same ones in both backends
        assert share_of_differing_rays(left, right) <= 0.12
        assert share_of_differing_rays(left, near) <= 0.03
    early = operations("exact").render(scene.rays, scene.skip, *arguments, 0.1)
    assert not np.array_equal(early[1], found[1])
    for left, right in zip(early, found, strict=True):
        assert np.abs(left - right).max() <= 0.1  # at most the light that was left


def test_gradients_far_below_the_range_of_float16_survive_mixed_precision(scene: Scene) -> None:
    """The loss of a step with many rays: unscaled, most factors would be zero."""
    small = replace(scene.targets, factor=scene.targets.factor * 1e-6)
    results = []
    for targets in (scene.targets, small):
        of_table = torch.empty_like(scene.table)
        found = operations("mixed").frame_loss(
            scene.samples, targets, scene.table, scene.decoder, scene.layout, STEP_MM, of_table
        )
        results.append((found.network.double().cpu(), of_table.double().cpu()))
    for left, right in zip(results[1], results[0], strict=True):
        assert_close(left * 1e6, right, 5e-3)


def test_mixed_precision_changes_a_rendered_colour_by_less_than_a_grey_level(scene: Scene) -> None:
    arguments = (scene.rays, scene.skip, scene.table, scene.decoder, scene.layout, STEP_MM, 8, 0.0)
    plain = operations("exact").render(*arguments)
    half = (*arguments[:2], scene.table.half(), *arguments[3:])
    for left, right in zip(operations("mixed").render(*half), plain, strict=True):
        assert 0 < np.abs(left - right).max() < 4e-3


def test_scattered_weights_match_the_reference(scene: Scene) -> None:
    weights = torch.rand(len(scene.samples.points), generator=torch.Generator().manual_seed(4))
    found, expected = np.full((2, 8, 8, 8), 0.5, np.float32)
    operations().scatter_weights(weights.to(DEVICE), scene.samples.points, found)
    REFERENCE.scatter_weights(weights, scene.samples.points.cpu(), expected)
    assert (expected > 0.5).any()
    np.testing.assert_array_equal(found, expected)
