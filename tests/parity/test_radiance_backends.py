"""The numba backend against the plain torch reference, on random inputs in float64.

Tolerance 1e-9 relative: both sum the same few hundred float64 terms in other orders (rounding near 1e-14), and any
wrong index, weight or sign shows in the first digits. In float32 the same holds to 1e-3 of the largest gradient.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numba import njit

from emobench.methods.radiance.accelerated import NumbaOperations
from emobench.methods.radiance.fused import fits
from emobench.methods.radiance.geometry import Rays
from emobench.methods.radiance.jit import OPTIONS
from emobench.methods.radiance.lanes import exponential, load, store
from emobench.methods.radiance.layouts import GridLayout, grid_layout
from emobench.methods.radiance.occupancy import skip_distances
from emobench.methods.radiance.operations import (
    AdamRates,
    Decoder,
    Moments,
    Samples,
    Targets,
)
from emobench.methods.radiance.reference import TorchOperations

TIGHT = {"rtol": 1e-9, "atol": 1e-12}
STEP_MM = 3.0


def random_rays(rng: np.random.Generator, count: int, dtype: type) -> Rays:
    """Rays from in front of a box of about 140 mm, most of which hit it; one is parallel to two faces."""
    directions = np.stack([rng.normal(0, 0.07, count), rng.normal(0, 0.07, count), -np.ones(count)], axis=1)
    directions[0] = (0, 0, -1)
    return Rays(origin=np.array([0.45, 0.55, 6.0], dtype), directions=np.ascontiguousarray(directions / 140, dtype))


def random_occupancy(rng: np.random.Generator, grid: int) -> np.ndarray:
    return skip_distances(rng.random((grid, grid, grid)) < 0.2)


@pytest.fixture(params=[6, 5], ids=["fused", "separate"])
def layout(request: pytest.FixtureRequest) -> GridLayout:
    """Two dense and some hashed levels, for the fused kernels and for the separate steps that take any width."""
    layout = grid_layout(levels=request.param, coarsest=4, finest=32, log2_size=9)
    assert layout.dense[0]
    assert not layout.dense[-1]
    return layout


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def scene(request: pytest.FixtureRequest, layout: GridLayout) -> dict[str, object]:
    rng = np.random.default_rng(5)
    dtype = request.param
    generator = torch.Generator().manual_seed(6)
    torch_dtype = torch.float64 if dtype == np.float64 else torch.float32
    features, hidden = layout.features, 16
    size = (features + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * 4
    decoder = Decoder(
        weights=torch.randn(size, generator=generator, dtype=torch_dtype) * 0.4, features=features, hidden=hidden
    )
    assert fits(layout, decoder) == (len(layout.resolutions) == 6)
    decoder.layers()[-1][0] += 2.5  # dense enough that some rays end inside
    rays = random_rays(rng, 200, dtype)
    return {
        "rays": rays,
        "skip": random_occupancy(rng, 16),
        "jitter": rng.random(200).astype(dtype),
        "table": torch.randn(2 * layout.entries, generator=generator, dtype=torch_dtype),
        "decoder": decoder,
        "targets": Targets(
            colour=torch.rand(200, 3, generator=generator, dtype=torch_dtype),
            background=torch.rand(200, 3, generator=generator, dtype=torch_dtype),
            variance_weight=0.3,
            factor=0.125,
            surface=torch.rand(200, 2, generator=generator, dtype=torch_dtype),
        ),
        "exact": dtype == np.float64,
    }


def samples_of(scene: dict, operations: NumbaOperations | TorchOperations) -> Samples:
    found = operations.march(scene["rays"], scene["skip"], STEP_MM, scene["jitter"], 20)
    return Samples(points=found.points, depths=found.depths, counts=found.counts, depth_origin=800.0)


def test_march_finds_the_same_samples_as_the_reference(layout: GridLayout) -> None:
    rng = np.random.default_rng(1)
    rays, jitter = random_rays(rng, 300, np.float64), rng.random(300)
    skip = random_occupancy(rng, 16)
    for limit in (4, 64):
        fast = NumbaOperations().march(rays, skip, STEP_MM, jitter, limit)
        plain = TorchOperations().march(rays, skip, STEP_MM, jitter, limit)
        assert plain.counts.max() > 3
        np.testing.assert_array_equal(fast.counts, plain.counts)
        np.testing.assert_allclose(fast.points, plain.points, **TIGHT)
        np.testing.assert_allclose(fast.depths, plain.depths, **TIGHT)


def test_field_values_match_the_reference(scene: dict, layout: GridLayout) -> None:
    samples = samples_of(scene, TorchOperations())
    tolerance = TIGHT if scene["exact"] else {"rtol": 2e-3, "atol": 1e-5}
    arguments = (samples.points, scene["table"], scene["decoder"], layout)
    for fast, plain in zip(NumbaOperations().evaluate(*arguments), TorchOperations().evaluate(*arguments), strict=True):
        np.testing.assert_allclose(fast, plain, **tolerance)


def test_loss_and_all_gradients_match_autograd(scene: dict, layout: GridLayout) -> None:
    samples = samples_of(scene, TorchOperations())
    results = []
    for operations in (NumbaOperations(), TorchOperations()):
        table_gradient = torch.full_like(scene["table"], 7.0)  # must be overwritten, not added to
        found = operations.frame_loss(
            samples, scene["targets"], scene["table"], scene["decoder"], layout, STEP_MM, table_gradient
        )
        results.append((found, table_gradient))
    (fast, fast_table), (plain, plain_table) = results
    relative = 1e-9 if scene["exact"] else 1e-3
    assert fast.loss == pytest.approx(plain.loss, rel=relative)
    for left, right in ((fast.network, plain.network), (fast_table, plain_table), (fast.weights, plain.weights)):
        scale = float(right.abs().max())
        assert scale > 0
        np.testing.assert_allclose(left / scale, right / scale, rtol=0, atol=relative)


def test_rendering_in_waves_matches_the_reference_where_no_ray_ends_early(scene: dict, layout: GridLayout) -> None:
    arguments = (scene["rays"], scene["skip"], scene["table"], scene["decoder"], layout, STEP_MM, 30)
    fast = NumbaOperations().render(*arguments, 0.0)
    plain = TorchOperations().render(*arguments, 0.0)
    for left, right in zip(fast, plain, strict=True):
        if scene["exact"]:
            np.testing.assert_allclose(left, right, **TIGHT)
        else:
            # rounding moves samples over cell edges, and in this random grid every fifth cell is an island: measured,
            # 16 % of the rays gain or lose a sample; all others agree to the last float32 digits
            difference = np.abs(np.asarray(left) - np.asarray(right))
            assert np.median(difference) < 1e-5
            assert (difference > 1e-4).mean() < 0.25


def test_ending_rays_early_changes_them_by_at_most_the_light_that_was_left(scene: dict, layout: GridLayout) -> None:
    arguments = (scene["rays"], scene["skip"], scene["table"], scene["decoder"], layout, STEP_MM, 30)
    whole = NumbaOperations().render(*arguments, 0.0)
    early = NumbaOperations().render(*arguments, 0.1)
    assert not np.array_equal(early[1], whole[1])
    for left, right in zip(early, whole, strict=True):
        assert np.abs(left - right).max() <= 0.1


def test_blended_tables_match_the_reference() -> None:
    generator = torch.Generator().manual_seed(2)
    base = torch.randn(5000, generator=generator, dtype=torch.float64)
    expression = torch.randn(3, 3000, generator=generator, dtype=torch.float64)
    conditions = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    tables = []
    for operations in (NumbaOperations(), TorchOperations()):
        table = torch.full((4, 5000), torch.nan, dtype=torch.float64)
        for columns in ((0, 2500), (2500, 4000), (4000, 5000)):
            operations.blend(base, expression, conditions, columns, table)
        tables.append(table)
    np.testing.assert_allclose(tables[0], tables[1], **TIGHT)


def test_table_updates_match_torch_adam() -> None:
    generator = torch.Generator().manual_seed(3)
    start_base = torch.randn(2500, generator=generator, dtype=torch.float64)
    start_expression = torch.randn(3, 1300, generator=generator, dtype=torch.float64)
    conditions = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    steps = [torch.randn(4, 2500, generator=generator, dtype=torch.float64) for _ in range(3)]

    expected = [start_base.clone().requires_grad_(), start_expression.clone().requires_grad_()]
    adam = torch.optim.Adam(expected, lr=0.02, betas=(0.9, 0.99), eps=1e-15)
    for gradients in steps:
        expected[0].grad = gradients.sum(0)
        expected[1].grad = conditions.T @ gradients[:, :1300]
        adam.step()

    for operations in (NumbaOperations(), TorchOperations()):
        base, expression = start_base.clone(), start_expression.clone()
        moments = [Moments(first=torch.zeros_like(t), second=torch.zeros_like(t)) for t in (base, expression)]
        for index, gradients in enumerate(steps):
            rates = AdamRates(rate=0.02 / (1 - 0.9 ** (index + 1)), correction=1 / (1 - 0.99 ** (index + 1)))
            for columns in ((0, 1000), (1000, 2000), (2000, 2500)):
                operations.update_tables(base, expression, moments, gradients, conditions, rates, columns)
        # ε is added before or after the bias correction: 1e-15 either way
        np.testing.assert_allclose(base, expected[0].detach(), rtol=1e-9)
        np.testing.assert_allclose(expression, expected[1].detach(), rtol=1e-9)


def test_scattered_weights_match_the_reference(scene: dict, layout: GridLayout) -> None:
    samples = samples_of(scene, TorchOperations())
    density = torch.rand(len(samples.points), dtype=samples.points.dtype) * 40
    grids = []
    for operations in (NumbaOperations(), TorchOperations()):
        grid = np.zeros((16, 16, 16), samples.points.numpy().dtype)
        operations.scatter_weights(operations.weights(density, samples, STEP_MM), samples.points, grid)
        grids.append(grid)
    assert (grids[1] > 0).any()
    np.testing.assert_allclose(*grids, rtol=1e-9 if scene["exact"] else 1e-3, atol=1e-6)


def test_images_of_any_width_and_place_match_the_reference(scene: dict, layout: GridLayout) -> None:
    """Few occupied cells, wide pixels: a group's cone must not walk over what one of its rays meets."""
    rng = np.random.default_rng(8)
    exact = scene["exact"]
    occupied = np.zeros((16, 16, 16), bool)
    occupied[rng.integers(16, size=6), rng.integers(16, size=6), rng.integers(16, size=6)] = True
    skip = skip_distances(occupied)
    for width, origin in ((8, (0.5, 0.5, 3.0)), (29, (0.4, 0.6, 6.0)), (21, (0.5, 0.4, 1.5)), (24, (-1.0, 0.5, 2.0))):
        y, x = np.mgrid[0 : width + 2, 0:width]
        aims = np.stack([(x + 0.5) / width * 1.2 - 0.1, (y + 0.5) / width * 1.2 - 0.1, np.full(x.shape, 0.1)], axis=-1)
        seen = aims.reshape(-1, 3) - origin
        seen /= np.linalg.norm(seen, axis=1, keepdims=True)
        rays = Rays(
            origin=np.array(origin, scene["jitter"].dtype),
            directions=np.ascontiguousarray(seen / 140, scene["jitter"].dtype),
            width=width,
        )
        arguments = (rays, skip, scene["table"], scene["decoder"], layout, STEP_MM, 30, 0.0)
        fast, plain = NumbaOperations().render(*arguments), TorchOperations().render(*arguments)
        assert (plain[1] > 0.05).any()
        for left, right in zip(fast, plain, strict=True):
            if exact:
                np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-12)
            else:
                assert (np.abs(left - right) > 1e-4).mean() < 0.05  # rounding over cell edges, as above


def test_float32_gradients_are_as_good_as_float32(scene: dict, layout: GridLayout) -> None:
    """Against float64 torch: rounding's few 1e-7 a term, where prefix sums would lose digits to cancelling."""
    if scene["exact"]:
        pytest.skip("compares float32 with float64")
    samples = samples_of(scene, TorchOperations())
    wide = Samples(
        points=samples.points.double(), depths=samples.depths.double(), counts=samples.counts, depth_origin=800.0
    )
    targets = scene["targets"]
    wide_targets = Targets(
        colour=targets.colour.double(), background=targets.background.double(), variance_weight=0.3, factor=0.125,
        surface=targets.surface.double(),
    )  # fmt: skip
    decoder = scene["decoder"]
    wide_decoder = Decoder(weights=decoder.weights.double(), features=decoder.features, hidden=decoder.hidden)
    of_table, of_wide = torch.empty_like(scene["table"]), torch.empty(len(scene["table"]), dtype=torch.float64)
    found = NumbaOperations().frame_loss(samples, targets, scene["table"], decoder, layout, STEP_MM, of_table)
    truth = TorchOperations().frame_loss(
        wide, wide_targets, scene["table"].double(), wide_decoder, layout, STEP_MM, of_wide
    )
    for left, right in ((found.network, truth.network), (of_table, of_wide), (found.weights, truth.weights)):
        assert float((left - right).abs().max() / right.abs().max()) < 2e-5


def test_gradients_do_not_depend_on_how_samples_fall_into_blocks(scene: dict, layout: GridLayout) -> None:
    """One ray longer than a block, then many short ones, some empty, against the reference."""
    rng = np.random.default_rng(4)
    counts = np.concatenate([[700], rng.integers(0, 9, 199)]).astype(np.int32)
    total, dtype = int(counts.sum()), scene["table"].dtype
    generator = torch.Generator().manual_seed(4)
    samples = Samples(
        points=torch.rand(total, 3, generator=generator, dtype=dtype) * 0.999,
        depths=torch.arange(total, dtype=dtype) % 97, counts=counts,
    )  # fmt: skip
    results = []
    for operations in (NumbaOperations(), TorchOperations()):
        gradient = torch.empty_like(scene["table"])
        found = operations.frame_loss(
            samples, scene["targets"], scene["table"], scene["decoder"], layout, STEP_MM, gradient
        )
        results.append((found.network, gradient, found.weights))
    for left, right in zip(*results, strict=True):
        error = float((left - right).abs().max() / right.abs().max())
        assert error < (1e-9 if scene["exact"] else 1e-3)


def test_a_ray_has_no_sample_behind_the_box() -> None:
    """Jitter beyond the last whole step: the reference rounds down, and so must the kernels."""
    rays = Rays(origin=np.array([0.5, 0.5, 2.0]), directions=np.array([[0, 0, -1 / 100]] * 3))
    skip, jitter = np.zeros((4, 4, 4), np.uint8), np.array([0.2, 0.5, 0.9])
    for step in (90.0, 150.0):  # the ray is in the box for 100 mm
        fast = NumbaOperations().march(rays, skip, step, jitter, 8)
        plain = TorchOperations().march(rays, skip, step, jitter, 8)
        np.testing.assert_array_equal(fast.counts, plain.counts)
    np.testing.assert_array_equal(plain.counts, [1, 1, 0])


def test_vector_exponential_is_exact_to_float32_and_keeps_nan() -> None:
    values = np.linspace(-86, 87, 16 * 500).astype(np.float32)
    values[[3, 77]] = np.nan, 200
    found = np.empty_like(values)
    exponentials(values, found)
    assert np.isnan(found[3])
    assert np.isfinite(found[77])
    values[77] = 88  # held there: densities beyond stay finite
    np.testing.assert_allclose(found, np.exp(values.astype(np.float64)), rtol=1e-6)


@njit(**OPTIONS | {"cache": False})
def exponentials(values, found):  # type: ignore[no-untyped-def]
    for m in range(0, values.shape[0], 16):
        store(found, m, exponential(load(values, m)))
