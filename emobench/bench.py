"""Measures how fast a trained method renders, by size and stage, under one fixed protocol. Knows no method.

Protocol: one subject of a finished run, generated head motion, the sound of one of its predictions (repeated to the
asked length); one unmeasured render per size, then `repeats` timed ones of `frames` frames, frame by frame (batch 1).
Wall-clock time; on CUDA the device is synchronised at both ends. Sizes take turns, so that a busy moment of a shared
machine does not fall on one of them alone.
"""

from __future__ import annotations

import tempfile
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from emobench.errors import UsageError
from emobench.hashing import hash_value, short
from emobench.head_motion import sway
from emobench.media import read_audio, write_lossless
from emobench.provenance import device_name
from emobench.rendering import render_facts
from emobench.runner import set_threads
from emobench.store import RunRecord, RunStore, find_runs, load_run, name_runs, to_json
from emobench.subjects import SubjectCard, load_subjects
from emobench.trained import choose_subject, load_method, trained_run
from emobench.types import SAMPLE_RATE_HZ, Context, Driving, Floats, Method, Progress

STAGES = ("audio", "field", "composite", "write")
SMALLEST_PX, LARGEST_PX = 32, 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRow:
    """Speed at one size: medians over the repeats, with the quartiles of fps."""

    size_px: int
    fps: float  # frames / (field + composite seconds), as fps.render
    fps_low: float  # first quartile
    fps_high: float  # third quartile
    wall_fps: float  # frames / all seconds of the render call, audio included, writing not
    milliseconds: dict[str, float]  # per frame by stage


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedReport:
    """What `emobench bench fps` prints and stores."""

    method: str
    dataset: str
    run: str
    subject: str
    device: str
    threads: int
    precision: str
    backend: str
    torso: str
    batch: int
    frames: int
    repeats: int
    rows: Sequence[SpeedRow]


def measure_fps(
    run: Path,
    *,
    sizes: Sequence[int],
    subject: str,
    frames: int,
    repeats: int,
    device: str,
    threads: int,
    progress: Progress,
    cache_dir: Path,
) -> SpeedReport:
    """Time the method of a finished run and store the report in it. Raises UsageError on sizes out of range."""
    for size in sizes:
        if not SMALLEST_PX <= size <= LARGEST_PX:
            raise UsageError(f"Size {size} px is out of range: {SMALLEST_PX} to {LARGEST_PX}.")
    record = trained_run(_any_seed(run))
    card = choose_subject(load_subjects(record.dir), subject)
    set_threads(threads)
    method = load_method(
        record, Context(seed=0, device=device, threads=threads, cache_dir=cache_dir, progress=progress)
    )
    driven = {size: _driving(card, _sound(record, frames / card.fps), size, frames) for size in sizes}
    timed: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for turn, size in progress.track(list(product(range(repeats + 1), sizes)), f"bench {record.run.method}"):
        seconds = _time_once(method, driven[size], device)
        if not seconds["field"] + seconds["composite"]:
            raise UsageError(f"{record.run.method} renders no frame of its own: it has no speed to measure.")
        if turn > 0:  # the first turn compiles kernels and fills caches
            timed[size].append(seconds)
    facts = render_facts(method)
    report = SpeedReport(
        method=record.run.method, dataset=record.run.dataset, run=record.dir.name, subject=card.subject,
        device=device_name(facts["device"] or device), threads=threads, precision=facts["precision"],
        backend=facts["backend"], torso=facts["torso"], batch=1, frames=frames, repeats=repeats,
        rows=[_row(size, timed[size], frames) for size in sizes],
    )  # fmt: skip
    place = short(hash_value([report.device, report.threads, report.precision, report.backend, report.torso]), 8)
    RunStore(record.dir).write(f"speed/{place}.json", report)
    return report


def _any_seed(path: Path) -> Path:
    """A complete run at `path`: seeds differ in nothing that takes time. Raises UsageError where more differs."""
    found = [(directory, load_run(directory).run) for directory in find_runs(path)]
    complete = [(directory, run) for directory, run in found if run.status == "complete"] or found
    if len({to_json([run.config, run.split_hash]) for _, run in complete}) > 1:
        names = name_runs(path, [directory for directory, _ in complete], seeds_together=True)
        raise UsageError(f"{path} holds runs that differ in more than the seed ({names}). Name one with --run.")
    return complete[0][0]


def _sound(record: RunRecord, seconds: float) -> Floats:
    """Speech of the run's first prediction, repeated to the length asked for."""
    n = round(seconds * SAMPLE_RATE_HZ)
    sound = next(_sounds(record), np.zeros(n, np.float32))
    return np.resize(sound, n).astype(np.float32)


def _sounds(record: RunRecord) -> Iterator[Floats]:
    for row in record.plan:
        path = RunStore(record.dir).prediction(row.clip, ".mkv")
        if path.exists():
            yield read_audio(path)


def _driving(card: SubjectCard, audio: Floats, size_px: int, frames: int) -> Driving:
    return Driving(
        clip_id=f"bench-{size_px}", subject=card.subject, audio=audio, transcript=None, emotion=card.emotions[0],
        intensity=3, pose=sway(card, frames, seed=0), camera=card.camera.scaled(size_px, size_px), fps=card.fps,
        n_frames=frames, reference=card.reference,
    )  # fmt: skip


def _time_once(method: Method, driving: Driving, device: str) -> dict[str, float]:
    """Seconds of one render by stage, of the whole call ("wall") and of writing its frames losslessly."""
    _synchronise(device)
    start = time.perf_counter()
    frames = np.stack([item.frame for item in method.render(driving)])
    _synchronise(device)
    wall = time.perf_counter() - start
    stages = method.stage_seconds()
    with tempfile.TemporaryDirectory(prefix="emobench-bench-") as scratch:
        start = time.perf_counter()
        write_lossless(Path(scratch) / "frames.mkv", frames, driving.fps, driving.audio)
        write = time.perf_counter() - start
    return {name: stages.get(name, 0.0) for name in STAGES[:3]} | {"write": write, "wall": wall}


def _synchronise(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def _row(size: int, times: Sequence[dict[str, float]], frames: int) -> SpeedRow:
    speeds = [frames / max(t["field"] + t["composite"], 1e-9) for t in times]
    low, middle, high = np.quantile(speeds, [0.25, 0.5, 0.75])
    return SpeedRow(
        size_px=size, fps=float(middle), fps_low=float(low), fps_high=float(high),
        wall_fps=float(np.median([frames / t["wall"] for t in times])),
        milliseconds={name: float(np.median([1e3 * t[name] / frames for t in times])) for name in STAGES},
    )  # fmt: skip


def lines(report: SpeedReport) -> list[str]:
    """The report as text of at most 80 columns."""
    head = (
        f"{report.method} on {report.dataset}, subject {report.subject}: {report.device}, {report.threads} threads, "
        f"{report.precision}, backend {report.backend or 'none'}, torso {report.torso or 'none'}, "
        f"batch {report.batch}; {report.repeats} × {report.frames} frames; run {report.run}"
    )
    table = [f"{'size':>6} {'fps.render':>10} {'quartiles':>15} {'whole':>7}  ms: {'/'.join(STAGES)}"]
    for row in report.rows:
        spread = f"{row.fps_low:.1f}–{row.fps_high:.1f}"
        split = " / ".join(f"{row.milliseconds[name]:.2f}" for name in STAGES)
        table.append(f"{row.size_px:>4}px {row.fps:>10.1f} {spread:>15} {row.wall_fps:>7.1f}  {split}")
    return [*textwrap.wrap(head, 80), *table]
