"""What each kind of radiance field gives on one puppet subject, at equal steps: quality, cost, size.

`python tests/measurements/radiance_fields.py [--subject amy] [--size 128] [--frames 200] [--steps 300] [--seeds 0]
[--rows blended,hash,…]`: fits every kind with its condition as PCA components and whole, renders a held-out sentence
with true α, prints a markdown table. Costs are CPU seconds of this process on one thread. Schedules count steps, so
300 steps are a short training of each, not its first part.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from radiance_material import Subject, open_subject, score

from emobench.methods.radiance.config import RadianceConfig
from emobench.methods.radiance.operations import choose_backend
from emobench.methods.radiance.portrait import Portrait, fit_footage
from emobench.progress import SilentProgress

ROWS: dict[str, dict[str, Any]] = {
    "blended": {"field": "blended"},
    "blended-whole": {"field": "blended", "components": 0},
    "hash": {"field": "hash"},
    "hash-whole": {"field": "hash", "components": 0},
    "triplane": {"field": "triplane"},
    "triplane-whole": {"field": "triplane", "components": 0},
    "frequency": {"field": "frequency", "hidden": 128},
    "frequency-whole": {"field": "frequency", "hidden": 128, "components": 0},
}


class Stopwatch(SilentProgress):
    """CPU seconds of the head's training alone: its steps run inside one tracked loop."""

    seconds = 0.0

    def track(self, items: Any, label: str, total: int | None = None) -> Iterator[Any]:
        start = time.process_time()
        yield from items
        if label.startswith("radiance field"):
            self.seconds = time.process_time() - start


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One trained field."""

    crop_db: float
    mouth_db: float
    ssim: float
    components: int
    parameters: int
    step_ms: float
    frames_per_second: float


def measure(subject: Subject, config: RadianceConfig, seed: int) -> Row:
    """Fit, then render and score the test frames."""
    watch = Stopwatch()
    operations = choose_backend("auto", "cpu", config.field)
    portrait = fit_footage(
        iter(subject.train.footage), config, operations, seed=seed, threads=1, progress=watch, label=subject.name
    )
    shown, seconds = render(portrait, subject)
    found = score(shown, subject.test.frames, subject.test.landmarks)
    field = portrait.parts.field
    return Row(
        crop_db=found["crop"], mouth_db=found["mouth"], ssim=found["ssim"], components=len(field.expression),
        parameters=sum(tensor.numel() for tensor in field.trained), step_ms=1000 * watch.seconds / config.steps,
        frames_per_second=len(shown) / seconds,
    )  # fmt: skip


def render(portrait: Portrait, subject: Subject) -> tuple[np.ndarray, float]:
    """Test frames with true α, and their CPU seconds."""
    test = subject.test
    camera = test.footage[0].track.camera
    list(portrait.render(test.alpha[:1], _first(test.pose), camera))  # compiles
    start = time.process_time()
    frames = np.stack([shot.frame for shot in portrait.render(test.alpha, test.pose, camera)])
    return frames, time.process_time() - start


def _first(pose: Any) -> Any:
    return type(pose)(rotation=pose.rotation[:1], translation=pose.translation[:1])


def main() -> None:
    """Print the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", default="amy")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--frames", type=int, default=200, help="of the train clips")
    parser.add_argument("--test-every", type=int, default=4, help="renders every n-th test frame")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rows", default=",".join(ROWS))
    asked = parser.parse_args()
    names = asked.rows.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"unknown row {unknown[0]!r}; known: {', '.join(ROWS)}")
    subject = open_subject(asked.subject, asked.size, asked.frames, asked.test_every)
    shared = {"steps": asked.steps, "frames_per_step": 4, "samples_per_step": 16_384}  # as for one thread
    print(f"{asked.subject}, {asked.size} px, {len(subject.train.frames)} train and {len(subject.test.frames)} test "
          f"frames, {asked.steps} steps of 4 frames and 16k samples, {asked.seeds} seed(s), one thread\n")  # fmt: skip
    print("| field | condition | parameters | crop dB | mouth dB | SSIM | CPU-ms a step | frames per CPU-s |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    measure(subject, RadianceConfig(**ROWS[names[0]], steps=2, settle_rays=0, backdrop_steps=2), 0)  # compiles
    for name in names:
        config = RadianceConfig(**ROWS[name], **shared)
        rows = [measure(subject, config, seed) for seed in range(asked.seeds)]
        mean = {key: float(np.mean([getattr(row, key) for row in rows])) for key in Row.__slots__}
        cells = (
            f"{config.field} {config.hidden} wide", f"{rows[0].components} {'PCA' if config.components else 'whole'}",
            f"{mean['parameters'] / 1e6:.2f}M", f"{mean['crop_db']:.2f}", f"{mean['mouth_db']:.2f}",
            f"{mean['ssim']:.3f}", f"{mean['step_ms']:.0f}", f"{mean['frames_per_second']:.1f}",
        )  # fmt: skip
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
