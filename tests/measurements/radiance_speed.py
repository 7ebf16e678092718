"""Measure the radiance core's speed on the CPU: numba against torch in one process, and what threads bring.

    OMP_NUM_THREADS=1 python tests/measurements/radiance_speed.py [--repeats 5] [--portrait CHECKPOINT] [--only PART]

PART: backends, threads, render or inside. Prints Markdown. Backends and numbers of threads take turns, and every figure
is the least of its repeats: on a shared machine the least is what the work costs, the rest is waiting. Ratios of one
thread compare the process's CPU time, scaling compares wall time. Work is that of tests/benchmarks/radiance_head.py,
whose field is untrained; with a checkpoint folder, rendering is timed on that subject instead, seen from its mean pose.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from emobench.errors import InputError
from emobench.methods.radiance import frame_kernels, fused
from emobench.methods.radiance.accelerated import NumbaOperations
from emobench.methods.radiance.geometry import head_rays, pixel_directions
from emobench.methods.radiance.operations import DENSITY_UNIT_MM, LOG_DENSITY_MAX, choose_backend
from emobench.methods.radiance.portrait import Portrait
from emobench.methods.radiance.trainer import HeadTrainer
from emobench.methods.radiance.workers import Workers
from emobench.types import Camera, Floats, HeadPose

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from radiance_head import portrait, trainer

SIZES = (128, 256, 512)
PARTS = ("backends", "threads", "render", "inside")
WARM_UP, STEPS, TURN = 8, 12, 4  # training steps before timing, of one repeat, and of one turn of it
FRAMES = 8  # frames of one repeat of rendering with threads


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the radiance core on the CPU, as Markdown.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--portrait", type=Path, help="checkpoint folder of a trained subject")
    parser.add_argument("--only", choices=PARTS, help="one part of the measurement")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    parts = (asked.only,) if asked.only else PARTS
    if "backends" in parts:
        backends(asked.repeats)
    if "threads" in parts:
        threads(asked.repeats)
    if "render" in parts or "inside" in parts:
        try:
            subject = Portrait.load(asked.portrait) if asked.portrait else portrait("numba")
        except InputError as error:
            parser.error(str(error))
        if "render" in parts:
            render(subject, asked.repeats)
        if "inside" in parts:
            inside(subject, asked.repeats)


def backends(repeats: int) -> None:
    """Training samples a second of both backends on one thread."""
    rates: dict[str, list[float]] = {"numba": [], "torch": []}
    for _ in range(repeats):
        for backend, found in rates.items():
            with Workers(1) as workers:
                found.append(_samples_a_second(_warm(trainer(choose_backend(backend), workers))))
    fast, plain = max(rates["numba"]), max(rates["torch"])
    print("| training, one thread | samples a CPU second | ratio |\n|---|---|---|")
    print(f"| torch | {plain:,.0f} | 1 |\n| numba | {fast:,.0f} | {fast / plain:.1f} |\n")


def threads(repeats: int) -> None:
    """Wall time of a training step on one and two threads: two trainings of the same steps in one process, by turns."""
    wall: dict[int, list[float]] = {1: [], 2: []}
    with Workers(1) as alone, Workers(2) as pair:
        works = {1: _warm(trainer(NumbaOperations(), alone)), 2: _warm(trainer(NumbaOperations(), pair))}
        for first in range(WARM_UP, WARM_UP + repeats * STEPS, TURN):
            for count, work in works.items():
                wall[count] += [_wall(partial(work._step, step)) for step in range(first, first + TURN)]
    print("| training step, numba | ms wall, least | lower quartile | median |\n|---|---|---|---|")
    found = {count: np.quantile(seconds, (0, 0.25, 0.5)) for count, seconds in wall.items()}
    print("| 1 thread | " + " | ".join(f"{value * 1e3:.1f}" for value in found[1]) + " |")
    print("| 2 threads | " + " | ".join(f"{value * 1e3:.1f}" for value in found[2]) + " |")
    print("| relative | " + " | ".join(f"{value:.2f}" for value in found[2] / found[1]) + " |\n")


def _warm(work: HeadTrainer) -> HeadTrainer:
    for step in range(WARM_UP):
        work._step(step)
    return work


def _samples_a_second(work: HeadTrainer) -> float:
    """Of the next steps, by CPU time."""
    counted = 0
    share = work._share

    def counting(*arguments):  # type: ignore[no-untyped-def]
        nonlocal counted
        samples, found = share(*arguments)
        counted += len(samples.points)
        return samples, found

    work._share = counting  # type: ignore[method-assign]
    start = time.process_time()
    for step in range(WARM_UP, WARM_UP + STEPS):
        work._step(step)
    return counted / (time.process_time() - start)


def render(subject: Portrait, repeats: int) -> None:
    """Frames a CPU second of whole frames, backdrop and all, by backend and size; and what two threads bring."""
    portraits = {name: Portrait(replace(subject.parts, backend=name)) for name in ("torch", "numba")}
    portraits["numba, 2 threads"] = Portrait(replace(subject.parts, backend="numba"), threads=2)
    print("| frames a second | torch, CPU | numba, CPU | ratio | numba, wall, 1 thread | 2 threads |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        cpu = dict.fromkeys(portraits, np.inf)
        wall = dict.fromkeys(portraits, np.inf)
        for _ in range(repeats):
            for name, drawn in portraits.items():
                work = partial(_draw, drawn, *_view(subject, size, 1 if name == "torch" else FRAMES))
                frames = 1 if name == "torch" else FRAMES
                cpu[name] = min(cpu[name], _cpu(work) / frames)
                wall[name] = min(wall[name], _wall(work) / frames)
        rates = [1 / cpu["torch"], 1 / cpu["numba"], cpu["torch"] / cpu["numba"]]
        rates += [1 / wall["numba"], 1 / wall["numba, 2 threads"]]
        print(f"| {size} px | " + " | ".join(f"{rate:.1f}" for rate in rates) + " |")
    print()


def _draw(subject: Portrait, seen: Camera, pose: HeadPose, alpha: Floats) -> None:
    for _ in subject.render(alpha, pose, seen):
        pass


def inside(subject: Portrait, repeats: int) -> None:
    """What a numba frame is made of: samples, nanoseconds each, and the share of finding where rays begin."""
    print("| inside a numba frame | rays with samples | samples | ns a sample | finding the first samples |")
    print("|---|---|---|---|---|")
    parts, field = subject.parts, subject.field
    for size in SIZES:
        seen, pose, alpha = _view(subject, size, 1)
        condition = torch.from_numpy(parts.condition(alpha, pose))
        table, decoder = field.tables(condition, subject.operations)[0], field.decoders(condition)[0]
        rays = head_rays(pixel_directions(seen), pose.rotation[0], pose.translation[0], parts.box)
        step = parts.config.step_mm
        numbers = np.array([step, step / DENSITY_UNIT_MM, LOG_DENSITY_MAX], np.float32)
        starts = np.empty((4, size * size), np.float32)
        sums, through = np.empty((size * size, 3), np.float32), np.empty(size * size, np.float32)
        given = (rays.origin, rays.directions, fused.tile_order(size * size, size))
        find = partial(frame_kernels.first_samples, *given, parts.skip, numbers, starts)
        draw = partial(
            frame_kernels.render_rays, *given, starts, parts.skip, numbers, parts.config.max_samples,
            np.float32(parts.config.stop_transmittance), table.view(-1, 2).numpy(),
            fused.grid_arrays(field.layout, "<f4"), decoder.weights.numpy(), decoder.hidden, sums, through,
        )  # fmt: skip
        find()
        samples = draw()
        finding, drawing = (min(_cpu(work) for _ in range(repeats)) for work in (find, draw))
        met = float((starts[2] <= starts[3]).mean())
        share = finding / (finding + drawing)
        print(f"| {size} px | {met:.0%} | {samples:,} | {drawing / samples * 1e9:.0f} | {share:.0%} of the time |")


def _view(subject: Portrait, size: int, count: int) -> tuple[Camera, HeadPose, Floats]:
    """The camera at a size, and `count` frames at the subject's mean place with the mean expression."""
    trained = subject.parts.camera
    factor = size / trained.width
    seen = Camera(
        focal_px=trained.focal_px * factor, cx_px=trained.cx_px * factor, cy_px=trained.cy_px * factor,
        width=size, height=size,
    )  # fmt: skip
    pose = HeadPose(
        rotation=np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
        translation=np.tile(subject.parts.backdrop.mean_translation, (count, 1)).astype(np.float32),
    )
    alpha = subject.parts.condition.mean[: len(subject.alpha_names)] / subject.parts.condition.alpha_scale
    return seen, pose, np.tile(alpha, (count, 1)).astype(np.float32)


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _wall(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
