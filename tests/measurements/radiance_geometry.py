"""Is the portrait three-dimensional? Its head from ±15° against puppet's ground truth, beside the studio's view.

`python tests/measurements/radiance_geometry.py [--subjects amy,ben] [--size 128] [--steps 1200] [--set key=value …]
[--out FOLDER]`: PSNR of the head over its mask, and error of expected depth (median and 90th percentile of absolute
differences, mm, where truth and portrait both have the head), at yaw −15°, 0 and +15°; beside it the PSNR of the
portrait's studio frame shown from aside, which is what a memory of frames could do, and holes: the share of the head's
pixels that are less than 0.9 opaque. Trained on `--frames` frames from the studio alone, with their depth of the face
unless `--set depth_weight=0`; exact α, held-out sentence. Prints a table and writes strips truth | portrait | depths.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from radiance_material import open_subject, open_truths, psnr_db, strip

from emobench import environment
from emobench.config import parse_sets, resolve
from emobench.datasets.puppet.truth import Truth
from emobench.methods.radiance.config import RadianceConfig
from emobench.methods.radiance.operations import choose_backend
from emobench.methods.radiance.portrait import Portrait, fit_footage
from emobench.methods.radiance.views import View, view_head
from emobench.progress import SilentProgress
from emobench.types import Floats, Frames, HeadPose, Image

SPAN_MM = 160.0  # of depths in the strips
SOLID = 0.9  # a pixel inside the head that is less opaque is a hole


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """All moments of one clip from one side: truth and what the portrait shows."""

    yaw_degrees: int
    frames: Frames  # (N, H, W, 3)
    masks: NDArray[np.uint8]  # (N, H, W)
    depth_mm: Floats  # (N, H, W)
    views: tuple[View, ...]
    straight: tuple[View, ...]  # the portrait's from the studio's camera


def look(portrait: Portrait, truth: Truth, frames: Frames) -> list[Side]:
    """The moments of a clip that are seen from aside, from every side."""
    novel, maps, track = truth.novel, truth.maps, truth.track
    if novel is None or maps is None:
        raise SystemExit(f"{truth.clip_id} has no views from aside")
    moments, count = novel.frame_index, len(novel.yaw)
    alpha, pose = track.alpha[moments], _at(track.pose, moments)
    straight = tuple(view_head(portrait, alpha, pose, pose, track.camera))
    sides = [
        Side(
            yaw_degrees=0, frames=frames[moments], masks=maps.head[moments], depth_mm=maps.depth_mm[moments],
            views=straight, straight=straight,
        )
    ]  # fmt: skip
    for k, yaw in enumerate(novel.yaw):
        part = np.arange(k, len(novel.frames), count)
        views = tuple(view_head(portrait, alpha, pose, _at(novel.pose, part), track.camera))
        sides.append(
            Side(
                yaw_degrees=round(float(np.degrees(yaw))), frames=novel.frames[part], masks=novel.maps.head[part],
                depth_mm=novel.maps.depth_mm[part], views=views, straight=straight,
            )
        )  # fmt: skip
    return sides


def _at(pose: HeadPose, frames: NDArray[np.int64]) -> HeadPose:
    return HeadPose(rotation=pose.rotation[frames], translation=pose.translation[frames])


def measure(sides: Sequence[Side]) -> dict[str, float]:
    """Means over moments of PSNR inside the head's mask, and quantiles of depth errors of all their pixels."""
    shown, remembered, errors, over, holes = [], [], [], [], []
    for side in sides:
        for k, view in enumerate(side.views):
            inside = side.masks[k] == 255
            truth = side.frames[k][inside].astype(np.float32)
            shown.append(psnr_db(255 * view.colour[inside] - truth))
            remembered.append(psnr_db(255 * side.straight[k].colour[inside] - truth))
            both = inside & np.isfinite(view.depth_mm)
            errors.append(np.abs(view.depth_mm[both] - side.depth_mm[k][both]))
            over.append(float(both.sum() / inside.sum()))
            holes.append(float((view.opacity[inside] < SOLID).mean()))
    found = np.concatenate(errors)
    return {
        "psnr_db": float(np.mean(shown)), "unturned_db": float(np.mean(remembered)),
        "depth_median_mm": float(np.median(found)), "depth_p90_mm": float(np.quantile(found, 0.9)),
        "covered": float(np.mean(over)), "holes": float(np.mean(holes)),
    }  # fmt: skip


def draw(sides: Sequence[Side], path: Path, moment: int) -> None:
    """For one moment: columns are sides; rows truth, portrait, true depth, the portrait's depth, 10 × its error."""
    rows: list[list[Image]] = [[], [], [], [], []]
    for side in sorted(sides, key=lambda side: side.yaw_degrees):
        view, mask = side.views[moment], side.masks[moment]
        inside = (mask == 255)[..., None]
        true = side.depth_mm[moment]
        nearest = float(true[mask == 255].min())
        wrong = np.nan_to_num(np.abs(view.depth_mm - true)) * 10 / SPAN_MM
        rows[0].append(np.where(mask[..., None] > 127, side.frames[moment], 0))
        rows[1].append((255 * view.colour + 0.5).astype(np.uint8))
        rows[2].append(np.where(inside, _grey((true - nearest) / SPAN_MM), 0))
        rows[3].append(_grey(np.nan_to_num((view.depth_mm - nearest) / SPAN_MM, nan=1.0)))
        rows[4].append(np.where(inside, 255 - _grey(wrong), 0))
    strip(rows, path, scale=max(1, 256 // sides[0].frames.shape[1]))


def _grey(share: Floats) -> Image:
    """0 = white, 1 = black."""
    level = (255 * (1 - share.clip(0, 1))).astype(np.uint8)
    return np.repeat(level[..., None], 3, axis=2)


def report(name: str, found: Mapping[int, Mapping[str, float]]) -> str:
    lines = [f"| {name}, yaw | PSNR of the head, dB | studio frame instead | depth, mm | 90 % | covered | holes |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for yaw, row in sorted(found.items()):
        lines.append(
            f"| {yaw:+d}° | {row['psnr_db']:.2f} | {row['unturned_db']:.2f} | {row['depth_median_mm']:.2f} | "
            f"{row['depth_p90_mm']:.2f} | {row['covered']:.4f} | {row['holes']:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", default="amy,ben")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("radiance_geometry"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    config = resolve(RadianceConfig, sets={**parse_sets(arguments.sets), "steps": arguments.steps}, owner="radiance")
    everything = {}
    for name in arguments.subjects.split(","):
        train = open_subject(name, arguments.size, arguments.frames).train
        portrait = fit_footage(
            iter(train.footage), config, choose_backend("numba"), seed=0, threads=environment.thread_count(),
            progress=SilentProgress(), label=name,
        )  # fmt: skip
        clips = [look(portrait, truth, frames) for truth, frames in open_truths(name, arguments.size)]
        yaws = [side.yaw_degrees for side in clips[0]]
        everything[name] = {yaw: measure([sides[k] for sides in clips]) for k, yaw in enumerate(yaws)}
        for number, sides in enumerate(clips):
            draw(sides, arguments.out / f"{name}_{arguments.size}_{number}.png", moment=len(sides[0].views) // 2)
        if not arguments.json:
            print(report(name, everything[name]), flush=True)
    if arguments.json:
        print(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
