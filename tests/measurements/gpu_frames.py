"""Frames per second of the radiance field on a CUDA device, after a parity check; without one, a dry run.

`python tests/measurements/gpu_frames.py [--sizes 128,256,512] [--frames 200]`; docs/measurements/radiance_gpu.md says
what to expect. The scene has a head's amount of work and no meaning: a shell of occupied cells at the default
configuration. With TRITON_INTERPRET=1 and tiny sizes it runs on a CPU, where only the parity check means anything.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch

from emobench.methods.radiance.backdrop import FEATURES, Backdrop
from emobench.methods.radiance.condition import fit_condition
from emobench.methods.radiance.config import RadianceConfig
from emobench.methods.radiance.field import new_field
from emobench.methods.radiance.geometry import Box, head_rays, pixel_directions
from emobench.methods.radiance.layouts import GridLayout
from emobench.methods.radiance.occupancy import skip_distances
from emobench.methods.radiance.operations import Decoder, choose_backend
from emobench.methods.radiance.painter import PaintedShot, Painter
from emobench.methods.radiance.portrait import Portrait, PortraitParts
from emobench.methods.radiance.triton_operations import TritonOperations
from emobench.types import Camera, Floats, HeadPose

# Ceilings of an H200 SXM by its data sheet: memory, and dense float16 and float32 arithmetic.
MEMORY_BYTES, HALF_FLOPS, SINGLE_FLOPS = 4.8e12, 989e12, 67e12
WORST_LEVELS = 4.0  # grey levels of 255: half-precision tables and products, and samples that float32 moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One image size. Milliseconds are medians; per stage they are of the device alone."""

    size: int
    eager_fps: float
    graph_fps: float
    eager_ms: float
    graph_ms: float
    blend_ms: float
    trace_ms: float
    compose_ms: float
    samples: int  # a frame
    table_megabytes: float  # read and written by blend
    gathered_megabytes: float  # asked of L1 and L2 by trace
    decoder_gigaflops: float
    encoder_gigaflops: float
    floor_ms: float  # the same work at the ceilings


def scene(config: RadianceConfig, components: int, size: int, frames: int) -> tuple[PortraitParts, Floats, HeadPose]:
    """Parts of a portrait, expressions (T, K) and slowly turning poses."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    alpha = rng.random((max(frames, 4 * components), components)).astype(np.float32)
    angle = np.linspace(-0.3, 0.3, len(alpha))
    turn = np.zeros((len(alpha), 3, 3), np.float32)
    turn[:, 0, 0] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 0, 2], turn[:, 2, 0], turn[:, 1, 1] = np.sin(angle), -np.sin(angle), 1
    pose = HeadPose(rotation=turn, translation=np.tile(np.array([0, 0, -1000], np.float32), (len(alpha), 1)))
    condition = fit_condition(alpha, pose, config)
    field = new_field(config, condition.basis.shape[1], 0)
    field.base.copy_(torch.randn(field.base.shape, generator=generator) * 0.5)
    field.expression.copy_(torch.randn(field.expression.shape, generator=generator) * 0.1)
    field.decoder.layers()[-1][0] = 3.5  # opaque within a few samples
    ticks = (np.arange(config.grid) + 0.5) / config.grid * 2 - 1
    z, y, x = np.meshgrid(ticks, ticks, ticks, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    backdrop = Backdrop(
        canonical=rng.random((size, size, 3)).astype(np.float32),
        shift=rng.normal(0, 0.01, (FEATURES, 16, 16, 2)).astype(np.float32),
        residual=rng.normal(0, 0.02, (FEATURES, size, size, 3)).astype(np.float32),
        mean_translation=pose.translation[0], low=np.full(FEATURES, -1, np.float32),
        high=np.full(FEATURES, 1, np.float32),
    )  # fmt: skip
    parts = PortraitParts(
        config=config, backend="triton", alpha_names=tuple(map(str, range(components))), camera=camera_of(size),
        box=Box(low=np.array([-92, -135, -70], np.float32), high=np.array([92, 132, 72], np.float32)),
        condition=condition, field=field, skip=skip_distances((radius < 0.95) & (radius > 0.72) & (z > -0.2)),
        backdrop=backdrop, losses=np.zeros(1, np.float32),
    )  # fmt: skip
    return parts, alpha[:frames], HeadPose(rotation=turn[:frames], translation=pose.translation[:frames])


def camera_of(size: int) -> Camera:
    """A square image filled by the head."""
    return Camera(focal_px=3.9 * size, cx_px=size / 2, cy_px=size / 2, width=size, height=size)


def check_parity(parts: PortraitParts, shot: PaintedShot, alpha: Floats, pose: HeadPose, camera: Camera) -> float:
    """Largest difference, in grey levels, of the first frame's 99.9 % nearest values to those of the numba backend."""
    plain = Portrait(PortraitParts(**{**fields_of(parts), "backend": "numba"}))
    first = HeadPose(rotation=pose.rotation[:1], translation=pose.translation[:1])
    (expected,) = plain.render(alpha[:1], first, camera)
    found, _ = shot(0)
    if expected.head_alpha.max() < 0.9:
        raise RuntimeError("The scene shows no head: parity would say nothing.")
    difference = np.abs(found.frame.astype(int) - expected.frame)
    return float(np.quantile(difference, 0.999))


def fields_of(parts: PortraitParts) -> dict[str, object]:
    """A dataclass as keywords, without copying."""
    return {name: getattr(parts, name) for name in parts.__dataclass_fields__}


def count_samples(parts: PortraitParts, operations: TritonOperations, painter: Painter, pose: HeadPose) -> int:
    """Samples that one frame composites before its rays are opaque."""
    rays = head_rays(pixel_directions(painter.camera), pose.rotation[0], pose.translation[0], parts.box)
    half = np.full(len(rays.directions), 0.5, np.float32)
    samples = operations.march(rays, parts.skip, parts.config.step_mm, half, parts.config.max_samples)
    density, _ = operations.evaluate(samples.points, painter.table[0], painter.field.decoder, painter.field.layout)
    weights = operations.weights(density, samples, parts.config.step_mm).double().cpu().numpy()
    behind = np.cumsum(weights)
    ray = np.repeat(np.arange(len(samples.counts)), samples.counts)
    starts = np.cumsum(samples.counts) - samples.counts
    before = np.concatenate([[0.0], behind])
    return int((1 - (before[:-1] - before[starts[ray]]) > parts.config.stop_transmittance).sum())


def milliseconds(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Median time of a call, on the device where there is one."""
    times = []
    for _ in range(repeats):
        if device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            work()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end))
        else:
            start = time.perf_counter()
            work()
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def wall_milliseconds(shot: PaintedShot, frames: int) -> float:
    """Median over frames from numbers on the host to pixels on the host."""
    times = []
    for index in range(frames):
        start = time.perf_counter()
        shot(index)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def work_of(painter: Painter, samples: int) -> tuple[float, float, float, float]:
    """Bytes of blend, bytes gathered by trace, operations of the decoder and of the encoder."""
    layout: GridLayout = painter.field.layout
    decoder: Decoder = painter.field.decoder
    entry = painter.table.element_size()
    blend = entry * (painter.field.expression.numel() + 2 * painter.field.base.numel())
    levels = len(layout.resolutions)
    gathered = samples * levels * 8 * 2 * entry
    network = 2 * samples * (layout.features * decoder.hidden + decoder.hidden**2 + 4 * decoder.hidden)
    return blend, gathered, network, samples * levels * 8 * (2 * 2 + 6)


def measure(config: RadianceConfig, components: int, size: int, frames: int) -> Speed:
    """Parity, then times. Raises RuntimeError where frames differ from the CPU's."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    operations = choose_backend("triton", device.type)
    if not isinstance(operations, TritonOperations):
        raise TypeError("not the triton backend")
    parts, alpha, pose = scene(config, components, size, frames)
    camera = camera_of(size)
    field = parts.field.to(device)
    painters = [Painter(parts, field, operations, camera, graphs=graphs) for graphs in (False, True)]
    shots = [PaintedShot(painter, parts, alpha, pose) for painter in painters]
    for shot in shots:
        worst = check_parity(parts, shot, alpha, pose, camera)
        print(f"{size} px: 99.9 % of the values within {worst:.0f} of 255 of the CPU's", file=sys.stderr)
        if worst > WORST_LEVELS:
            raise RuntimeError(f"Frames differ by {worst} grey levels from the CPU's: times would mean nothing.")
    eager_ms, graph_ms = (wall_milliseconds(shot, frames) for shot in shots)
    eager = painters[0]
    shots[0](0)  # its table belongs to the pose that is counted
    samples = count_samples(parts, operations, eager, pose)
    blend_bytes, gathered, network, encoder = work_of(eager, samples)
    half = operations.factors.tables == torch.float16
    floor = blend_bytes / MEMORY_BYTES + network / (HALF_FLOPS if half else SINGLE_FLOPS) + encoder / SINGLE_FLOPS
    return Speed(
        size=size,
        eager_fps=1000 / eager_ms,
        graph_fps=1000 / graph_ms,
        eager_ms=eager_ms,
        graph_ms=graph_ms,
        blend_ms=milliseconds(eager.blend, frames, device),
        trace_ms=milliseconds(eager.trace, frames, device),
        compose_ms=milliseconds(eager.draw_frame, frames, device),
        samples=samples,
        table_megabytes=blend_bytes / 1e6,
        gathered_megabytes=gathered / 1e6,
        decoder_gigaflops=network / 1e9,
        encoder_gigaflops=encoder / 1e9,
        floor_ms=1000 * floor,
    )


def main() -> None:
    """One JSON object a size on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="128,256,512", help="comma-separated widths in pixels")
    parser.add_argument("--frames", type=int, default=200, help="timed frames of each size")
    parser.add_argument("--components", type=int, default=50, help="expression coefficients")
    parser.add_argument("--set", default="{}", help="JSON of other settings of the field")
    asked = parser.parse_args()
    config = RadianceConfig.model_validate(json.loads(asked.set))
    print(
        torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU: a dry run, times mean nothing",
        file=sys.stderr,
    )
    for size in map(int, asked.sizes.split(",")):
        print(json.dumps(asdict(measure(config, asked.components, size, asked.frames))), flush=True)


if __name__ == "__main__":
    main()
