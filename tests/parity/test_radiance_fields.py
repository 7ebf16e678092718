"""Every kind of radiance field: encodings and gradients against plain torch in float64, training, storing, choosing.

Tolerance 1e-9 relative in float64, as in test_radiance_backends: other orders of the same sums round near 1e-14, and a
wrong index, weight or sign shows in the first digits.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from emobench.errors import InputError, Unavailable
from emobench.methods.radiance.accelerated import NumbaOperations
from emobench.methods.radiance.condition import fit_condition
from emobench.methods.radiance.config import FieldKind, RadianceConfig
from emobench.methods.radiance.field import Field, new_field
from emobench.methods.radiance.footage import Footage
from emobench.methods.radiance.geometry import Rays, pixel_directions
from emobench.methods.radiance.layouts import PLANES, FrequencyLayout, plane_layout
from emobench.methods.radiance.occupancy import skip_distances
from emobench.methods.radiance.operations import Decoder, Operations, Samples, Targets, choose_backend
from emobench.methods.radiance.portrait import Portrait, fit_footage
from emobench.methods.radiance.reference import TorchOperations, encode
from emobench.progress import SilentProgress
from emobench.types import Camera, HeadPose, Layers, Track

KINDS: tuple[FieldKind, ...] = ("blended", "hash", "triplane", "frequency")
STEP_MM = 3.0
RAYS, FRAMES, COMPONENTS = 60, 3, 5
CONFIG = RadianceConfig(
    levels=4, blended_levels=3, base_resolution=4, finest_resolution=40, table_log2=8, hidden=12, frequencies=4
)
QUICK = RadianceConfig(
    steps=250, levels=4, blended_levels=3, base_resolution=4, finest_resolution=24, table_log2=9, hidden=16, grid=16,
    frequencies=4, frames_per_step=3, samples_per_step=2048, step_mm=6.0, coarse_step_mm=9.0, settle_rays=4000,
    backdrop_steps=2, backdrop_pixels=256, backdrop_cells=3, components=0, rotation_weight=5.0,
)  # fmt: skip
SIZE = 16
CAMERA = Camera(focal_px=70.0, cx_px=8.0, cy_px=8.0, width=SIZE, height=SIZE)


def random_field(kind: FieldKind, dtype: torch.dtype = torch.float64) -> Field:
    """A field of fresh random numbers, dense enough that rays end inside."""
    field = new_field(CONFIG.model_copy(update={"field": kind}), COMPONENTS, 0)
    generator = torch.Generator().manual_seed(6)

    def fresh(like: Tensor, size: float) -> Tensor:
        return (torch.randn(like.shape, generator=generator, dtype=torch.float64) * size).to(dtype)

    decoder = replace(field.decoder, weights=fresh(field.decoder.weights, 0.4))
    decoder.layers()[-1][0] += 2.5
    return replace(
        field, base=fresh(field.base, 1), expression=fresh(field.expression, 0.5), bias=fresh(field.bias, 0.5),
        decoder=decoder,
    )  # fmt: skip


def random_samples(dtype: type = np.float64) -> Samples:
    """Along rays from in front of a box of about 140 mm, through cells of which one in four is occupied."""
    rng = np.random.default_rng(5)
    directions = np.stack([rng.normal(0, 0.07, RAYS), rng.normal(0, 0.07, RAYS), -np.ones(RAYS)], axis=1) / 140
    rays = Rays(origin=np.array([0.45, 0.55, 6.0], dtype), directions=np.ascontiguousarray(directions, dtype))
    skip = skip_distances(rng.random((8, 8, 8)) < 0.25)
    found = NumbaOperations().march(rays, skip, STEP_MM, rng.random(RAYS).astype(dtype), 20)
    assert found.counts.max() > 5
    return replace(found, depth_origin=800.0)


def random_targets() -> Targets:
    generator = torch.Generator().manual_seed(7)
    return Targets(
        colour=torch.rand(RAYS, 3, generator=generator, dtype=torch.float64),
        background=torch.rand(RAYS, 3, generator=generator, dtype=torch.float64),
        variance_weight=0.3,
        factor=1 / FRAMES,
    )


def random_conditions() -> Tensor:
    return torch.randn(FRAMES, COMPONENTS, generator=torch.Generator().manual_seed(8), dtype=torch.float64)


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Equal within 1e-9 of the largest expected value."""
    scale = float(expected.abs().max())
    assert scale > 0
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-9)


def test_sines_are_those_of_the_formula() -> None:
    points = np.random.default_rng(0).random((50, 3))
    found = encode(torch.from_numpy(points), torch.empty(0, 2), FrequencyLayout(octaves=3)).numpy()
    centred = 2 * points - 1
    waves = [centred * np.pi * 2**k for k in range(3)]
    expected = np.concatenate([centred, *map(np.sin, waves), *map(np.cos, waves)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_planes_return_a_function_that_is_linear_within_cells_exactly() -> None:
    """Tables filled with a bilinear function of the corners' places, another one in every plane."""
    layout = plane_layout(levels=2, coarsest=5, finest=11, log2_size=8)
    assert layout.dense == (True, True)
    tables, points = [], torch.rand(80, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for plane in range(3):
        for cells in layout.resolutions:
            y, x = torch.meshgrid(*(2 * [torch.arange(cells + 1, dtype=torch.float64) / cells]), indexing="ij")
            tables.append(torch.stack([x + plane, 2 * y - x], dim=-1).view(-1, 2))
    found = encode(points, torch.cat(tables), layout).view(80, 3, 2, 2)
    for plane, (a, b) in enumerate(PLANES):
        for level in range(2):
            expected = torch.stack([points[:, a] + plane, 2 * points[:, b] - points[:, a]], dim=-1)
            np.testing.assert_allclose(found[:, plane, level], expected, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_field_values_match_the_reference(kind: FieldKind, dtype: torch.dtype) -> None:
    field, conditions = random_field(kind, dtype), random_conditions().to(dtype)
    points = random_samples().points
    results = []
    for operations, own in ((NumbaOperations(), field), (TorchOperations(), random_field(kind))):
        kept = own.base.dtype
        tables, decoders = own.tables(conditions.to(kept), operations), own.decoders(conditions.to(kept))
        results.append([
            operations.evaluate(points.to(kept), table, decoder, own.layout)
            for table, decoder in zip(tables, decoders, strict=True)
        ])  # fmt: skip
    tolerance = {"rtol": 1e-9, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 5e-3, "atol": 1e-5}
    for fast, plain in zip(*results, strict=True):
        for left, right in zip(fast, plain, strict=True):
            np.testing.assert_allclose(left, right, **tolerance)
    density = [plain[0] for plain in results[1]]
    assert not torch.allclose(density[0], density[1])  # the condition has a say


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_all_gradients_match_autograd(kind: FieldKind) -> None:
    field, samples = random_field(kind), random_samples()
    results = []
    for operations in (NumbaOperations(), TorchOperations()):
        table = field.tables(random_conditions(), operations)[1]
        of_table = torch.full_like(table, 7.0)  # must be overwritten, not added to
        decoder = field.decoders(random_conditions())[1]
        found = operations.frame_loss(samples, random_targets(), table, decoder, field.layout, STEP_MM, of_table)
        results.append((found, of_table))
    (fast, fast_table), (plain, plain_table) = results
    assert fast.loss == pytest.approx(plain.loss, rel=1e-9)
    assert_close(fast.network, plain.network)
    assert_close(fast.weights, plain.weights)
    if kind == "frequency":
        assert plain_table.numel() == fast_table.numel() == 0
    else:
        assert_close(fast_table, plain_table)


def total_loss(field: Field, operations: Operations) -> tuple[float, Tensor, Tensor]:
    """Of all frames, with the gradients (N, P) of their tables and (N, W) of their decoders."""
    tables = field.tables(random_conditions(), operations)
    decoders = field.decoders(random_conditions())
    of_tables = torch.empty(tables.shape, dtype=tables.dtype)
    found = [
        operations.frame_loss(
            random_samples(), random_targets(), tables[n], decoders[n], field.layout, STEP_MM, of_tables[n]
        )
        for n in range(FRAMES)
    ]
    return sum(one.loss for one in found), of_tables, torch.stack([one.network for one in found])


@pytest.mark.parametrize("kind", ["hash", "triplane", "frequency"])
def test_the_gradient_of_what_a_condition_adds_is_the_slope_of_the_loss(kind: FieldKind) -> None:
    """Central differences in float64: error about (1e-5)² of the third derivative plus 1e-16 / 1e-5."""
    field, operations = random_field(kind), NumbaOperations()
    found = field.bias_gradient(random_conditions(), total_loss(field, operations)[2])
    assert found.shape == (COMPONENTS, CONFIG.hidden)
    largest = float(found.abs().max())
    for place in ((0, 0), (2, 5), (4, 11)):
        ends = []
        for step in (1e-5, -1e-5):
            moved = field.bias.clone()
            moved[place] += step
            ends.append(total_loss(replace(field, bias=moved), operations)[0])
        assert float(found[place]) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-5 * largest)


def test_untrained_fields_do_not_know_their_condition_and_hold_one_effect_of_it() -> None:
    for kind in KINDS:
        field = new_field(CONFIG.model_copy(update={"field": kind}), COMPONENTS, 0)
        assert not field.expression.any()
        assert not field.bias.any()
        assert bool(field.expression.shape[1]) == (kind == "blended")
        assert bool(field.bias.shape[1]) == (kind != "blended")


def ball(frames: int, seed: int) -> Footage:
    """A ball before a grey wall; its upper half is as red as α[0] says, its lower as green as α[1]."""
    rng = np.random.default_rng(seed)
    alpha = rng.random((frames, 2)).astype(np.float32)
    turn = Rotation.from_rotvec(rng.normal(0, 0.1, (frames, 3))).as_matrix().astype(np.float32)
    directions = pixel_directions(CAMERA)
    hit = np.linalg.norm(np.cross(directions, [0, 0, -600]), axis=1).reshape(SIZE, SIZE) < 45
    colour = np.zeros((frames, SIZE, SIZE, 3), np.uint8)
    colour[:, : SIZE // 2, :, 0] = (alpha[:, 0] * 255)[:, None, None]
    colour[:, SIZE // 2 :, :, 1] = (alpha[:, 1] * 255)[:, None, None]
    landmarks = np.zeros((frames, 68, 2), np.float32)
    landmarks[:, 36:42], landmarks[:, 42:48], landmarks[:, 48:68] = (6, 6), (10, 6), (8, 10)
    track = Track(
        alpha=alpha, alpha_names=("red", "green"), is_mouth=np.zeros(2, bool),
        pose=HeadPose(rotation=turn, translation=np.tile(np.array([0, 0, -600], np.float32), (frames, 1))),
        camera=CAMERA, landmarks=landmarks, valid=np.ones(frames, bool),
        head_box_mm=np.array([[-50, -50, -50], [50, 50, 50]], np.float32), source="dataset",
    )  # fmt: skip
    layers = Layers(
        head_alpha=np.repeat(hit[None] * np.uint8(255), frames, 0), head_rgb=colour,
        back_rgb=np.full_like(colour, 128), source="dataset",
    )  # fmt: skip
    return Footage(name="ball", track=track, layers=layers)


def fitted(kind: FieldKind, backend: str = "numba", steps: int = QUICK.steps) -> Portrait:
    config = QUICK.model_copy(update={"field": kind, "steps": steps})
    return fit_footage(
        iter([ball(12, 0)]), config, choose_backend(backend, "cpu", kind), seed=0, threads=1,
        progress=SilentProgress(), label=kind,
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_training_learns_expressions_and_a_stored_field_renders_the_same_frames(
    kind: FieldKind, tmp_path: Path
) -> None:
    portrait, unseen = fitted(kind), ball(4, 1)
    losses = portrait.parts.losses
    assert losses[-10:].mean() < 0.5 * losses[:10].mean()
    assert portrait.facts()["field"] == kind

    def frames(of: Portrait, alpha: np.ndarray) -> np.ndarray:
        return np.stack([shot.frame for shot in of.render(alpha, unseen.track.pose, CAMERA)]).astype(float)

    inside = unseen.layers.head_alpha == 255
    alpha, truth = unseen.track.alpha, unseen.layers.head_rgb
    error, mistaken = (np.abs(frames(portrait, given) - truth)[inside].mean() for given in (alpha, 1 - alpha))
    assert error < 0.6 * mistaken
    portrait.save(tmp_path / "stored")
    loaded = Portrait.load(tmp_path / "stored")
    assert loaded.facts() == portrait.facts()
    np.testing.assert_array_equal(frames(loaded, alpha), frames(portrait, alpha))


def test_a_stored_field_of_another_kind_than_its_configuration_is_refused(tmp_path: Path) -> None:
    fitted("hash", steps=2).save(tmp_path / "stored")
    card = tmp_path / "stored" / "portrait.json"
    for other in ("blended", "triplane", "frequency"):
        facts = json.loads(card.read_text())
        facts["config"]["field"] = other
        card.write_text(json.dumps(facts))
        with pytest.raises(InputError, match="do not fit the stored configuration"):
            Portrait.load(tmp_path / "stored")


def test_a_portrait_that_is_pasted_back_also_hands_out_its_head() -> None:
    plain, track = fitted("hash", steps=5), ball(2, 1).track
    config = plain.parts.config.model_copy(update={"backdrop": "paste"})
    pasting = Portrait(replace(plain.parts, config=config))
    assert (plain.facts()["torso"], pasting.facts()["torso"]) == ("deformed", "pasted from target")
    shots = zip(*(p.render(track.alpha, track.pose, CAMERA) for p in (plain, pasting)), strict=True)
    for without, with_head in shots:
        assert without.head is None
        assert with_head.head is not None
        np.testing.assert_array_equal(with_head.frame, without.frame)
        np.testing.assert_array_equal(with_head.head[..., 3], with_head.head_alpha)
        behind = 1 - with_head.head_alpha[..., None]
        shown = 255 * with_head.head[..., :3]  # over black; behind it the backdrop adds between 0 and white
        assert (with_head.frame >= shown - 1).all()
        assert (with_head.frame <= shown + 255 * behind + 1).all()


@pytest.mark.parametrize("kind", ["hash", "triplane", "frequency"])
def test_both_backends_train_to_about_the_same_loss(kind: FieldKind) -> None:
    losses = [fitted(kind, backend, steps=8).parts.losses for backend in ("numba", "torch")]
    np.testing.assert_allclose(*losses, rtol=0.02)  # the same random numbers: only rounding differs


def test_a_whole_condition_is_alpha_and_rotation_off_their_means() -> None:
    track = ball(30, 2).track
    whole = fit_condition(track.alpha, track.pose, QUICK)
    found = whole(track.alpha, track.pose)
    assert found.shape == (30, 5)
    scaled = track.alpha * whole.alpha_scale
    np.testing.assert_allclose(found[:, :2], scaled - scaled.mean(0), atol=1e-5)
    turns = Rotation.from_matrix(track.pose.rotation).as_rotvec() * QUICK.rotation_weight
    np.testing.assert_allclose(found[:, 2:], turns - turns.mean(0), atol=1e-5)


@pytest.mark.parametrize("backend", ["triton", "tinycudann"])
@pytest.mark.parametrize("kind", ["triplane", "frequency"])
def test_backends_without_a_field_say_which_have_it(backend: str, kind: FieldKind) -> None:
    with pytest.raises(Unavailable, match=rf"{backend} backend has no kernels for field '{kind}'.*: torch, numba\."):
        choose_backend(backend, "cuda", kind)
    assert choose_backend("auto", "cuda", kind).name == "numba"


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_backends_without_mixed_precision_say_which_have_it(backend: str) -> None:
    with pytest.raises(Unavailable, match=r"float32 only. Mixed precision: triton, tinycudann"):
        choose_backend(backend, "cpu", "blended", "mixed")


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed (Linux only)")
def test_triton_refuses_an_encoding_that_it_does_not_know() -> None:
    from emobench.methods.radiance.triton_shapes import grid_shape

    with pytest.raises(Unavailable, match="no PlaneLayout"):
        grid_shape(plane_layout(2, 4, 8, 9))


def test_the_bias_of_layer_one_is_where_the_layers_say() -> None:
    decoder = Decoder(weights=torch.arange(7 * 5 + 6 * 5 + 6 * 4, dtype=torch.float32), features=6, hidden=5)
    assert torch.equal(decoder.weights[decoder.first_bias], decoder.layers()[1])
