"""A field whose condition enters the decoder, through the Triton kernels: whole frames, and a step of training.

Without a GPU they run in Triton's interpreter. Half-precision tables and factors move a colour by up to two grey
levels; float32 moves single samples over faces of cells, hence the shares of pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from emobench.methods.radiance.backdrop import FEATURES, Backdrop
from emobench.methods.radiance.condition import fit_condition
from emobench.methods.radiance.config import FieldKind, PrecisionChoice, RadianceConfig
from emobench.methods.radiance.field import Field, new_field
from emobench.methods.radiance.footage import Footage, pack_footage
from emobench.methods.radiance.geometry import Box, Rays
from emobench.methods.radiance.occupancy import new_occupancy, skip_distances
from emobench.methods.radiance.operations import (
    AdamRates,
    Operations,
    Samples,
    Targets,
    choose_backend,
    zero_moments,
)
from emobench.methods.radiance.portrait import Portrait, PortraitParts, fit_footage
from emobench.methods.radiance.reference import TorchOperations
from emobench.methods.radiance.trainer import HeadTrainer
from emobench.methods.radiance.workers import Workers
from emobench.progress import SilentProgress
from emobench.types import Camera, HeadPose, Layers, Track

pytest.importorskip("triton", minversion="3.9", reason="the interpreter of triton 3.9 or newer is needed (Linux)")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIZE = 12
CAMERA = Camera(focal_px=3.9 * SIZE, cx_px=SIZE / 2, cy_px=SIZE / 2, width=SIZE, height=SIZE)
SMALL = RadianceConfig(
    field="hash", levels=4, finest_resolution=32, base_resolution=8, table_log2=9, hidden=16, grid=16, step_mm=12,
    max_samples=24, stop_transmittance=0, components=0,
)  # fmt: skip
STEP_MM, RAYS = 6.0, 60


def random_field(components: int) -> Field:
    field, generator = new_field(SMALL, components, 0), torch.Generator().manual_seed(0)
    field.base.copy_(torch.randn(field.base.shape, generator=generator) * 0.5)
    field.bias.copy_(torch.randn(field.bias.shape, generator=generator) * 0.5)
    field.decoder.layers()[-1][0] = 3.0
    return field


def turned(count: int) -> HeadPose:
    turn = Rotation.from_rotvec(np.linspace(-0.3, 0.3, count)[:, None] * [0.2, 1, 0.1]).as_matrix()
    move = np.tile(np.array([2, -3, -1000], np.float32), (count, 1))
    return HeadPose(rotation=turn.astype(np.float32), translation=move)


@pytest.fixture(scope="module")
def parts() -> PortraitParts:
    """A random field in a shell of occupied cells, over a random backdrop that moves."""
    rng = np.random.default_rng(0)
    alpha, pose = rng.random((40, 3)).astype(np.float32), turned(40)
    condition = fit_condition(alpha, pose, SMALL)
    z, y, x = (np.mgrid[0:16, 0:16, 0:16] + 0.5) / 8 - 1
    radius = np.sqrt(x**2 + y**2 + z**2)
    backdrop = Backdrop(
        canonical=rng.random((9, 9, 3)).astype(np.float32), shift=rng.normal(0, 0.05, (7, 4, 4, 2)).astype(np.float32),
        residual=rng.normal(0, 0.05, (7, 9, 9, 3)).astype(np.float32), mean_translation=pose.translation[0],
        low=np.full(FEATURES, -1, np.float32), high=np.full(FEATURES, 1, np.float32),
    )  # fmt: skip
    return PortraitParts(
        config=SMALL, backend="numba", alpha_names=("a", "b", "c"), camera=CAMERA,
        box=Box(low=np.array([-92, -135, -70], np.float32), high=np.array([92, 132, 72], np.float32)),
        condition=condition, field=random_field(condition.basis.shape[1]),
        skip=skip_distances((radius < 0.9) & (radius > 0.5)), backdrop=backdrop, losses=np.zeros(1, np.float32),
    )  # fmt: skip


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_painted_frames_equal_those_of_the_cpu_within_two_grey_levels(
    parts: PortraitParts, precision: PrecisionChoice
) -> None:
    alpha, pose = np.random.default_rng(1).random((2, 3)).astype(np.float32) * [4, 1, 1], turned(2)
    on_cpu = Portrait(parts)
    config = parts.config.model_copy(update={"precision": precision})
    painted = Portrait(replace(parts, config=config, backend="triton"), device=DEVICE)
    assert painted.facts()["precision"] == {"auto": "float16, sums float32", "float32": "float32"}[precision]
    assert painted.facts()["field"] == "hash"
    expected, found = ([s.frame.astype(int) for s in p.render(alpha, pose, CAMERA)] for p in (on_cpu, painted))
    told_otherwise = next(painted.render(alpha[1:], turned(1), CAMERA)).frame
    assert np.abs(told_otherwise - found[0]).max() > 20  # the same pose, another decoder
    for left, right in zip(found, expected, strict=True):
        assert (np.abs(left - right).max(-1) > 2).mean() <= 0.02


def test_a_painted_head_that_is_to_be_pasted_is_the_cpus(parts: PortraitParts) -> None:
    alpha, pose = np.random.default_rng(1).random((2, 3)).astype(np.float32), turned(2)
    config = parts.config.model_copy(update={"backdrop": "paste", "precision": "float32"})
    expected = Portrait(replace(parts, config=config.model_copy(update={"precision": "auto"})))
    painted = Portrait(replace(parts, config=config, backend="triton"), device=DEVICE)
    shots = zip(expected.render(alpha, pose, CAMERA), painted.render(alpha, pose, CAMERA), strict=True)
    for there, here in shots:
        assert there.head is not None
        assert here.head is not None
        assert here.head.shape == (SIZE, SIZE, 4)
        np.testing.assert_array_equal(here.head[..., 3], here.head_alpha)
        assert (np.abs(here.head - there.head).max(-1) > 0.01).mean() <= 0.02
    assert (
        next(iter(Portrait(replace(parts, backend="triton"), device=DEVICE).render(alpha, pose, CAMERA))).head is None
    )


def gradients(field: Field, operations: Operations, samples: Samples, conditions: Tensor) -> tuple[Tensor, Tensor]:
    """Of the table (N, P) and of what a condition adds (C, H), over two frames."""
    kept = field.base.dtype
    generator = torch.Generator().manual_seed(7)
    targets = Targets(
        colour=torch.rand(RAYS, 3, generator=generator).to(field.base), variance_weight=0.3, factor=0.5,
        background=torch.rand(RAYS, 3, generator=generator).to(field.base),
    )  # fmt: skip
    tables, decoders = field.tables(conditions.to(field.base), operations), field.decoders(conditions.to(field.base))
    of_tables = torch.empty(tables.shape, dtype=kept, device=field.base.device)
    found = [
        operations.frame_loss(samples, targets, tables[n], decoders[n], field.layout, STEP_MM, of_tables[n])
        for n in range(2)
    ]
    networks = torch.stack([one.network for one in found])
    return of_tables.double().cpu(), field.bias_gradient(conditions.to(field.base), networks).double().cpu()


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("mixed", 1e-2)])
def test_gradients_match_autograd_in_float64(precision: PrecisionChoice, tolerance: float) -> None:
    """Of the largest value. Mixed: tables are rounded to 11 bits, which opens or closes single hidden units that are
    near zero (measured: 5e-3 in one of 8192 entries, 1e-3 in the others)."""
    field, conditions = random_field(4), torch.randn(2, 4, generator=torch.Generator().manual_seed(3))
    rng = np.random.default_rng(5)
    directions = np.stack([rng.normal(0, 0.07, RAYS), rng.normal(0, 0.07, RAYS), -np.ones(RAYS)], axis=1) / 140
    rays = Rays(origin=np.array([0.45, 0.55, 6.0], np.float32), directions=directions.astype(np.float32))
    operations = choose_backend("triton", DEVICE, "hash", precision)
    samples = replace(
        operations.march(rays, np.zeros((8, 8, 8), np.uint8), STEP_MM, np.full(RAYS, 0.5, np.float32), 12),
        depth_origin=800.0,
    )
    exact = replace(samples, points=samples.points.double().cpu(), depths=samples.depths.double().cpu())
    doubled = replace(
        field, base=field.base.double(), expression=field.expression.double(), bias=field.bias.double(),
        decoder=replace(field.decoder, weights=field.decoder.weights.double()),
    )  # fmt: skip
    expected = gradients(doubled, TorchOperations(), exact, conditions)
    found = gradients(field.to(operations.device), operations, samples, conditions.to(operations.device))
    for left, right in zip(found, expected, strict=True):
        scale = float(right.abs().max())
        assert scale > 0
        np.testing.assert_allclose(left / scale, right / scale, rtol=0, atol=tolerance)


def noise(parts: PortraitParts) -> Footage:
    """Four frames of coloured noise in a disc."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:SIZE, 0:SIZE] - SIZE / 2 + 0.5
    coverage = np.broadcast_to((x**2 + y**2 < 16) * np.uint8(255), (4, SIZE, SIZE))
    rgb = rng.integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)
    track = Track(
        alpha=rng.random((4, 3), np.float32), alpha_names=parts.alpha_names, is_mouth=np.zeros(3, bool),
        pose=turned(4), camera=CAMERA, landmarks=np.full((4, 68, 2), SIZE / 2, np.float32), valid=np.ones(4, bool),
        head_box_mm=np.stack([parts.box.low, parts.box.high]), source="dataset",
    )  # fmt: skip
    layers = Layers(head_alpha=coverage, head_rgb=rgb, back_rgb=rgb, source="dataset")
    return Footage(name="noise", track=track, layers=layers)


@pytest.mark.parametrize("kind", ["blended", "hash"])
def test_mixed_training_follows_the_numba_backend(parts: PortraitParts, kind: FieldKind) -> None:
    """Two steps with the same random numbers; measured: losses differ by 2e-6."""
    runs = []
    for backend, precision in (("numba", "auto"), ("triton", "mixed")):
        config = SMALL.model_copy(
            update={
                "field": kind, "precision": precision, "steps": 2, "samples_per_step": 256, "frames_per_step": 2,
                "settle_rays": 0, "max_samples": 8, "max_rays": 60, "backdrop_steps": 0, "blended_levels": 3,
            }
        )  # fmt: skip
        operations = choose_backend(backend, DEVICE if backend == "triton" else "cpu", kind, precision)
        portrait = fit_footage(
            iter([noise(parts)]), config, operations, seed=0, threads=1, progress=SilentProgress(), label=kind
        )
        assert {tensor.dtype for tensor in portrait.parts.field.trained} == {torch.float32}
        runs.append(portrait.parts.losses)
    assert runs[0][0] != runs[0][-1]
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-4)


@pytest.mark.parametrize("kind", ["blended", "hash"])
def test_every_step_of_mixed_training_sees_the_tables_that_the_last_one_left(
    parts: PortraitParts, kind: FieldKind
) -> None:
    config = SMALL.model_copy(
        update={
            "field": kind, "precision": "mixed", "steps": 4, "samples_per_step": 64, "frames_per_step": 1,
            "max_samples": 4, "max_rays": 16, "blended_levels": 3,
        }
    )  # fmt: skip
    operations = choose_backend("triton", DEVICE, kind, "mixed")
    frames = pack_footage(iter([noise(parts)]))[0]
    conditions = np.random.default_rng(0).random((len(frames), 2), dtype=np.float32)
    field, occupancy = new_field(config, 2, 0).to(operations.device), new_occupancy(parts.skip == 0)
    with Workers(1) as workers:
        trainer = HeadTrainer(frames, conditions, field, occupancy, parts.box, operations, workers, config, seed=0)
        trainer.rays = 16.0
        seen: list[Tensor] = []
        share = trainer._share

        def spied(step: Any, slot: int) -> Any:
            wanted = field.tables(trainer.conditions[step.frames], operations)
            assert step.tables.dtype == torch.float16
            torch.testing.assert_close(step.tables, wanted, rtol=1e-3, atol=1e-6)
            seen.append(wanted.clone())
            return share(step, slot)

        trainer._share = spied  # type: ignore[method-assign]
        for index in range(3):
            trainer._step(index)
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])


def test_an_update_without_blended_tables_moves_the_base_alone() -> None:
    operations = choose_backend("triton", DEVICE, "hash")
    base = torch.zeros(700, device=DEVICE)
    expression = torch.zeros(4, 0, device=DEVICE)
    pull = torch.randn(3, 700, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    moments = [zero_moments(base), zero_moments(expression)]
    rates = AdamRates(rate=0.1 / (1 - 0.9), correction=1 / (1 - 0.99))
    operations.update_tables(base, expression, moments, pull, torch.ones(3, 4, device=DEVICE), rates, (0, len(base)))
    np.testing.assert_allclose(base.cpu(), -0.1 * pull.sum(0).sign().cpu(), rtol=1e-4)
