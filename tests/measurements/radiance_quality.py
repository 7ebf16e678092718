"""How good is the portrait of a puppet subject under exact α, on a sentence it never saw?

`python tests/measurements/radiance_quality.py [--subjects amy,ben] [--size 128] [--steps 600,1200] [--seeds 0,1,2]
[--set key=value …] [--torch STEPS] [--sentence s10] [--out FOLDER]`: for each subject, seed and number of steps, the
portrait with true α, with the mean α of the emotion, and with neutral α, beside the nearest train frame. Prints a table
(JSON with --json) and writes strips truth | portrait | 4 × error of the widest open mouths. Schedules count steps;
seconds are of this machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from radiance_material import (
    REGIONS,
    REPORTED,
    Shots,
    Subject,
    emotion_means,
    nearest_frames,
    open_subject,
    score,
    strip,
    widest,
)

from emobench import environment
from emobench.config import parse_sets, resolve
from emobench.methods.radiance.config import RadianceConfig
from emobench.methods.radiance.operations import choose_backend
from emobench.methods.radiance.portrait import Portrait, fit_footage
from emobench.progress import SilentProgress
from emobench.types import Floats, Frames

ROWS = ("true α", "emotion-mean α", "neutral α", "nearest train frame", "train frames")
TRAIN_SCORED = 40  # train frames that the generalisation gap is measured on


def fit(subject: Subject, config: RadianceConfig, backend: str, seed: int) -> tuple[Portrait, dict[str, float]]:
    """The portrait, with wall and CPU seconds of its training."""
    wall, cpu = time.perf_counter(), time.process_time()
    portrait = fit_footage(
        iter(subject.train.footage), config, choose_backend(backend), seed=seed, threads=environment.thread_count(),
        progress=SilentProgress(), label=subject.name,
    )  # fmt: skip
    return portrait, {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def render(portrait: Portrait, shots: Shots, alpha: Floats) -> Frames:
    camera = shots.footage[0].track.camera
    return np.stack([shot.frame for shot in portrait.render(alpha, shots.pose, camera)])


def measure(subject: Subject, portrait: Portrait) -> tuple[dict[str, dict[str, float]], Frames]:
    """Scores of every row, and the frames of the first."""
    test, train = subject.test, subject.train
    shown = render(portrait, test, test.alpha)
    seen = np.linspace(0, len(train.frames) - 1, TRAIN_SCORED).round().astype(int)
    again = render(portrait, train, train.alpha)[seen]
    frames = (
        shown,
        render(portrait, test, emotion_means(train, test.emotions)),
        render(portrait, test, np.zeros_like(test.alpha)),
        nearest_frames(train, test),
    )
    scores = {row: score(f, test.frames, test.landmarks) for row, f in zip(ROWS, frames, strict=False)}
    scores[ROWS[-1]] = score(again, train.frames[seen], train.landmarks[seen])
    return scores, shown


def draw(subject: Subject, shown: Frames, path: Path) -> None:
    """truth | portrait | 4 × error of the widest open mouths."""
    test = subject.test
    chosen = widest(test.landmarks, test.emotions, 6)
    error = (4 * np.abs(shown.astype(np.int16) - test.frames)).clip(0, 255).astype(np.uint8)
    rows = [[images[f] for f in chosen] for images in (test.frames, shown, error)]
    strip(rows, path, scale=max(1, 256 // shown.shape[1]))


def runs(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    sets = parse_sets(arguments.sets)
    for name in arguments.subjects.split(","):
        subject = open_subject(name, arguments.size, arguments.frames, arguments.test_every, arguments.sentence)
        jobs = [("numba", int(s), int(seed)) for s in arguments.steps.split(",") for seed in arguments.seeds.split(",")]
        if arguments.torch:
            jobs += [(backend, arguments.torch, 0) for backend in ("numba", "torch")]
        for backend, steps, seed in jobs:
            config = resolve(RadianceConfig, sets={**sets, "steps": steps}, owner="radiance")
            portrait, seconds = fit(subject, config, backend, seed)
            scores, shown = measure(subject, portrait)
            draw(subject, shown, arguments.out / f"{name}_{arguments.size}_{backend}_{steps}_{seed}.png")
            yield {
                "subject": name, "size": arguments.size, "backend": backend, "steps": steps, "seed": seed,
                "threads": environment.thread_count(), "train_frames": len(subject.train.frames),
                "test_frames": len(subject.test.frames), **seconds, "scores": scores,
            }  # fmt: skip


def markdown(found: list[dict[str, Any]]) -> str:
    """A table with the mean over seeds, and the lowest crop of any seed."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in found:
        groups.setdefault((run["subject"], run["size"], run["backend"], run["steps"]), []).append(run)
    lines = ["| subject, px, backend, steps | wall / CPU s | frames shown | crop dB (least) | mouth | eyes | SSIM |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for (name, size, backend, steps), members in groups.items():
        wall, cpu = (np.mean([run[key] for run in members]) for key in ("wall_s", "cpu_s"))
        for row in ROWS:
            values = {key: [run["scores"][row][key] for run in members] for key in (*REGIONS, "ssim")}
            cells = [f"{np.mean(values[key]):.2f}" for key in REGIONS]
            cells[0] += f" ({min(values['crop']):.2f})"
            lines.append(
                f"| {name}, {size}, {backend}, {steps} | {wall:.0f} / {cpu:.0f} | {row} | {' | '.join(cells)} | "
                f"{np.mean(values['ssim']):.4f} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", default="amy,ben")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--frames", type=int, default=400, help="train frames, evenly chosen")
    parser.add_argument("--test-every", type=int, default=2)
    parser.add_argument("--sentence", default=REPORTED, help="that no training heard; choose settings on another one")
    parser.add_argument("--steps", default="600,1200")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--torch", type=int, default=0, metavar="STEPS", help="numba against torch at so many steps")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("radiance_quality"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = []
    for run in runs(arguments):
        found.append(run)
        print(f"{run['subject']} {run['backend']} {run['steps']} seed {run['seed']} done", file=sys.stderr, flush=True)
    print(json.dumps(found, indent=1, ensure_ascii=False) if arguments.json else markdown(found))


if __name__ == "__main__":
    main()
