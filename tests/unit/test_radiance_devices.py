"""Backends that need a GPU: how they are chosen and refused, and that whole frames and training run through them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from emobench.errors import Unavailable
from emobench.methods.radiance import operations as operations_module
from emobench.methods.radiance.backdrop import FEATURES, Backdrop
from emobench.methods.radiance.condition import fit_condition
from emobench.methods.radiance.config import RadianceConfig
from emobench.methods.radiance.field import new_field
from emobench.methods.radiance.geometry import Box
from emobench.methods.radiance.layouts import grid_layout
from emobench.methods.radiance.occupancy import new_occupancy, skip_distances
from emobench.methods.radiance.operations import automatic_backend, choose_backend
from emobench.methods.radiance.portrait import Portrait, PortraitParts
from emobench.types import Camera, HeadPose

ROOT = Path(__file__).resolve().parents[2]
MEASUREMENTS = ROOT / "tests" / "measurements"
SIZE = 12
CAMERA = Camera(focal_px=3.9 * SIZE, cx_px=SIZE / 2, cy_px=SIZE / 2, width=SIZE, height=SIZE)
SMALL = RadianceConfig(
    levels=4, blended_levels=3, finest_resolution=32, base_resolution=8, table_log2=9, hidden=16, grid=16, step_mm=12,
    max_samples=24, stop_transmittance=0,
)  # fmt: skip
INTERPRETER_SINCE = (3, 9)
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None
    or tuple(map(int, importlib.metadata.version("triton").split(".")[:2])) < INTERPRETER_SINCE,
    reason="the interpreter of triton 3.9 or newer is needed (Linux)",
)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize(
    ("device", "installed", "chosen"),
    [
        ("cuda", {"tinycudann", "triton", "numba"}, "tinycudann"),
        ("cuda", {"triton", "numba"}, "triton"),
        ("cuda", {"tinycudann", "numba"}, "numba"),
        ("cpu", {"tinycudann", "triton", "numba"}, "numba"),
        ("cpu", set(), "torch"),
    ],
)
def test_auto_takes_the_first_backend_that_is_installed_for_the_device(
    device: str, installed: set[str], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {name: SimpleNamespace() for name in installed}
    monkeypatch.setattr(operations_module, "find_spec", found.get)
    assert automatic_backend(device) == chosen


def test_backends_without_their_package_or_device_are_unavailable_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("triton") is not None:
        import triton  # noqa: F401 (while the interpreter is on: its own functions are built at the import)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    if importlib.util.find_spec("tinycudann") is None:
        with pytest.raises(Unavailable, match=r"needs the package tinycudann.*--backend auto"):
            choose_backend("tinycudann", "cuda")
    if importlib.util.find_spec("triton") is not None:
        with pytest.raises(Unavailable, match=r"runs on CUDA devices.*--device cuda"):
            choose_backend("triton", "cpu")


def refusal(*options: str, folder: Path) -> str:
    """What `emobench run` says on its last line when it refuses with exit code 2, before it writes anything."""
    command = [sys.executable, "-m", "emobench", "run", "-m", "emohead", "-d", "puppet-tiny", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert not list(folder.iterdir())
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.skipif(importlib.util.find_spec("tinycudann") is not None, reason="tinycudann is installed")
def test_the_command_line_refuses_tinycudann_where_it_is_not_installed(tmp_path: Path) -> None:
    said = refusal("--backend", "tinycudann", folder=tmp_path)
    assert "needs the package tinycudann" in said
    assert "tiny-cuda-nn" in said


@needs_triton
def test_the_command_line_refuses_triton_on_a_cpu(tmp_path: Path) -> None:
    assert "runs on CUDA devices, not on cpu" in refusal("--backend", "triton", "--device", "cpu", folder=tmp_path)


def turned(count: int) -> HeadPose:
    turn = Rotation.from_rotvec(np.linspace(-0.3, 0.3, count)[:, None] * [0.2, 1, 0.1]).as_matrix()
    move = np.tile(np.array([2, -3, -1000], np.float32), (count, 1))
    return HeadPose(rotation=turn.astype(np.float32), translation=move)


@pytest.fixture(scope="module")
def parts() -> PortraitParts:
    """A random field in a shell of occupied cells, over a random backdrop that moves."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    alpha, pose = rng.random((40, 3)).astype(np.float32), turned(40)
    condition = fit_condition(alpha, pose, SMALL)
    field = new_field(SMALL, condition.basis.shape[1], 0)
    field.base.copy_(torch.randn(field.base.shape, generator=generator) * 0.5)
    field.expression.copy_(torch.randn(field.expression.shape, generator=generator) * 0.3)
    field.decoder.layers()[-1][0] = 3.0
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
        condition=condition, field=field, skip=skip_distances((radius < 0.9) & (radius > 0.5)), backdrop=backdrop,
        losses=np.zeros(1, np.float32),
    )  # fmt: skip


@needs_triton
def test_painted_frames_equal_those_of_the_cpu_within_two_grey_levels(parts: PortraitParts) -> None:
    alpha, pose = np.random.default_rng(1).random((2, 3)).astype(np.float32), turned(2)
    on_cpu = Portrait(parts)
    painted = Portrait(replace(parts, backend="triton"), device=DEVICE)
    assert (on_cpu.backend, painted.backend) == ("numba", "triton")
    assert painted.facts()["precision"] == "float16, sums float32"
    expected = list(on_cpu.render(alpha, pose, CAMERA))
    found = list(painted.render(alpha, pose, CAMERA))
    assert np.abs(expected[0].frame.astype(int) - expected[1].frame).max() > 20
    for left, right in zip(found, expected, strict=True):
        assert right.head_alpha.max() > 0.9
        assert left.frame.flags.owndata
        difference = np.abs(left.frame.astype(int) - right.frame).max(-1)
        # half-precision tables and factors; float32 moves single samples over faces of cells
        assert (difference > 2).mean() <= 0.02
        assert (np.abs(left.head_alpha - right.head_alpha) > 0.01).mean() <= 0.02
    assert set(painted.stage_seconds()) == {"field", "composite"}
    assert min(painted.stage_seconds().values()) > 0


@needs_triton
def test_threads_do_not_shorten_the_seconds_of_frames_that_are_drawn_one_by_one(parts: PortraitParts) -> None:
    alpha, pose = np.random.default_rng(1).random((3, 3)).astype(np.float32), turned(3)
    painted = Portrait(replace(parts, backend="triton"), device=DEVICE)
    painted.threads = 4
    list(painted.render(alpha, pose, CAMERA))
    start = time.perf_counter()
    list(painted.render(alpha, pose, CAMERA))
    wall = time.perf_counter() - start
    assert sum(painted.stage_seconds().values()) > 0.5 * wall  # a quarter of it with the bug this guards against


@needs_triton
def test_training_follows_the_numba_backend(parts: PortraitParts) -> None:
    """Three steps and a look at the occupancy: the same random numbers, so the same losses within rounding."""
    from emobench.methods.radiance.footage import pack_footage
    from emobench.methods.radiance.settling import settle
    from emobench.methods.radiance.trainer import HeadTrainer
    from emobench.methods.radiance.triton_operations import TritonOperations
    from emobench.methods.radiance.workers import Workers

    clip = noise(parts)
    frames = pack_footage(iter([clip]))[0]
    quick = SMALL.model_copy(update={"steps": 3, "samples_per_step": 256, "frames_per_step": 2, "settle_rays": 60})
    conditions = parts.condition(frames.alpha, frames.pose)
    exact = TritonOperations(torch.device(DEVICE), "exact")
    runs = []
    for operations in (choose_backend("numba"), exact):
        field = new_field(quick, conditions.shape[1], 0).to(operations.device)
        occupancy = new_occupancy(parts.skip == 0)
        with Workers(1) as workers:
            trainer = HeadTrainer(frames, conditions, field, occupancy, parts.box, operations, workers, quick, seed=0)
            for index in range(3):
                trainer._step(index)
            trainer._update_occupancy(2)
            settle(trainer)
        runs.append((trainer.losses, field.base.cpu(), occupancy.skip))
    (losses, base, skip), (device_losses, device_base, device_skip) = runs
    assert losses[0] != losses[2]
    np.testing.assert_allclose(device_losses, losses, rtol=1e-3)
    # Adam's first steps are as long for tiny gradients as for large ones, and rounding decides the sign of some
    assert ((device_base - base).abs() > 1e-3).double().mean() < 0.01
    assert (device_skip != skip).mean() < 0.02


def noise(parts: PortraitParts) -> object:
    from emobench.methods.radiance.footage import Footage
    from emobench.types import Layers, Track

    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:SIZE, 0:SIZE] - SIZE / 2 + 0.5
    alpha = np.broadcast_to((x**2 + y**2 < 16) * np.uint8(255), (4, SIZE, SIZE))
    rgb = rng.integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)
    track = Track(
        alpha=rng.random((4, 3), np.float32), alpha_names=parts.alpha_names, is_mouth=np.zeros(3, bool),
        pose=turned(4), camera=CAMERA, landmarks=np.full((4, 68, 2), SIZE / 2, np.float32), valid=np.ones(4, bool),
        head_box_mm=np.stack([parts.box.low, parts.box.high]), source="dataset",
    )  # fmt: skip
    layers = Layers(head_alpha=alpha, head_rgb=rgb, back_rgb=rgb, source="dataset")
    return Footage(name="noise", track=track, layers=layers)


def test_torch_operations_stay_on_their_device(parts: PortraitParts) -> None:
    """On a device of torch that computes shapes only, a tensor left on the CPU raises."""
    from emobench.methods.radiance.reference import TorchOperations

    meta = torch.device("meta")
    field = parts.field.to(meta)
    operations = TorchOperations(meta)
    tables = field.tables(torch.zeros(2, len(field.expression), device=meta), operations)
    assert tables.shape == (2, len(field.base))
    density, colour = operations.evaluate(torch.zeros(5, 3, device=meta), tables[0], field.decoder, field.layout)
    assert (density.device.type, colour.shape) == ("meta", (5, 3))


def tiny_cuda_features(points: np.ndarray, table: np.ndarray, config: dict, level: int) -> np.ndarray:
    """One level by tiny-cuda-nn's formulas (include/tiny-cuda-nn/encodings/grid.h): grid_scale, grid_resolution,
    pos_fract, grid_index and the size of a level; points (M, 3), table (entries, 2)."""
    scale = 2 ** (level * math.log2(config["per_level_scale"])) * config["base_resolution"] - 1
    side = math.ceil(scale) + 1
    size = min(-(-(side**3) // 8) * 8, 1 << config["log2_hashmap_size"])
    assert len(table) == size
    place = points * scale + 0.5
    cell = np.floor(place).astype(np.int64)
    total = np.zeros((len(points), 2))
    for corner in range(8):
        bits = np.array([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
        x, y, z = (cell + bits).T.astype(np.uint32)
        weight = np.where(bits, place - cell, 1 - (place - cell)).prod(1)
        dense = x + side * (y + side * z)
        hashed = x ^ (y * np.uint32(2654435761)) ^ (z * np.uint32(805459861))
        total += weight[:, None] * table[(dense if side**3 <= size else hashed) % size]
    return total


@needs_triton
def test_levels_given_to_tiny_cuda_nn_are_ours_by_its_published_formulas() -> None:
    from emobench.methods.radiance.reference import encode
    from emobench.methods.radiance.tinycuda import level_config, level_entries

    layout = grid_layout(levels=8, coarsest=16, finest=128, log2_size=14)
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(200, 3, generator=generator, dtype=torch.float64) * 0.999
    table = torch.randn(layout.entries, 2, generator=generator, dtype=torch.float64)
    expected = encode(points, table, layout).numpy()
    for level, cells in enumerate(layout.resolutions):
        own = table[layout.offsets[level] : layout.offsets[level + 1]].numpy()
        entries = level_entries(layout, level)
        padded = np.concatenate([own, np.full((entries - len(own), 2), np.nan)])  # padding is never read
        found = tiny_cuda_features(points.numpy() - 0.5 / cells, padded, level_config(layout, level), 0)
        np.testing.assert_allclose(found, expected[:, 2 * level : 2 * level + 2], atol=1e-12)


def test_one_grid_of_tiny_cuda_nn_cannot_be_ours() -> None:
    """Why every level is a grid of its own: its scales between the first and last level are no whole numbers."""
    layout = grid_layout(levels=8, coarsest=16, finest=128, log2_size=14)
    growth = (129 / 17) ** (1 / 7)
    scales = [17 * growth**level - 1 for level in range(8)]
    assert scales[0] == pytest.approx(layout.resolutions[0])
    assert scales[-1] == pytest.approx(layout.resolutions[-1])
    assert max(abs(s - r) for s, r in zip(scales, layout.resolutions, strict=True)) > 0.2


def run_script(name: str, *options: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, str(MEASUREMENTS / name), *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@needs_triton
def test_the_frame_benchmark_runs_dry_and_checks_parity_first() -> None:
    settings = SMALL.model_dump(include={
        "levels", "blended_levels", "finest_resolution", "base_resolution", "table_log2", "hidden", "grid", "step_mm",
    })  # fmt: skip
    (row,) = run_script(
        "gpu_frames.py", "--sizes", "8", "--frames", "1", "--components", "3", "--set", json.dumps(settings)
    )
    assert row["size"] == 8
    assert row["samples"] > 20
    assert row["decoder_gigaflops"] == pytest.approx(2e-9 * row["samples"] * (8 * 16 + 16 * 16 + 16 * 4))
    assert min(row["graph_fps"], row["blend_ms"], row["trace_ms"], row["compose_ms"], row["floor_ms"]) > 0
