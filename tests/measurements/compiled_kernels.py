"""Registers, spills and shared memory of every Triton kernel of the radiance field, compiled without a GPU.

`python tests/measurements/compiled_kernels.py [--json]`; docs/measurements/radiance_gpu.md holds its output. Shapes are
those of the default configuration; figures are read from the cubins with the cuobjdump in triton's wheel.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.pop("TRITON_INTERPRET", None)  # the interpreter's stand-ins cannot be compiled

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from emobench.methods.radiance import triton_field, triton_frame, triton_grid, triton_rays
from emobench.methods.radiance.config import RadianceConfig
from emobench.methods.radiance.field import field_layout
from emobench.methods.radiance.operations import Decoder
from emobench.methods.radiance.triton_shapes import (
    BLEND_FRAMES,
    COLUMNS,
    FACTORS,
    GRADIENT_POINTS,
    NARROW,
    POINTS,
    RAYS,
    WIDE,
    decoder_shape,
    grid_shape,
    padded,
)

ARCHITECTURES = (80, 90)
INTEGERS = {
    "start", "stop", "width", "blended", "frames", "count", "rays", "limit", "height", "rows", "columns",
}  # fmt: skip
SCALARS = {
    "step", "rate", "correction", "beta1", "beta2", "tiny", "depth_origin", "depth_unit", "variance_weight", "factor",
    "density_max", "log_density_max", "thickness", "scale", "opaque",
}  # fmt: skip
POINTERS = {"layout": "*i32", "skip": "*u8", "counts": "*i32", "starts": "*i32", "frame": "*u8"}
HALF = {  # arguments that are float16 in mixed precision, by kernel
    "render_rays": {"table"},
    "evaluate_field": {"table", "features"},
    "blend": {"tables"},
    "decode_backward": {"features", "back1", "back2"},
    "weight_gradients": {"features", "back1", "back2"},
}
NARROW_KERNELS = {"march", "sample_weights", "ray_gradients", "scatter_weights"}
USAGE = re.compile(r"REG:(\d+) STACK:(\d+) .*?LOCAL:(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one kernel takes on one architecture."""

    kernel: str
    precision: str
    architecture: str
    warps: int
    registers: int
    spilled_bytes: int  # stack and local memory of a thread: all of it is spilled registers, for no kernel has arrays
    shared_bytes: int
    cubin_bytes: int


def variants() -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """Every kernel with the constants that the backend launches it with."""
    config = RadianceConfig()
    layout = field_layout(config)
    decoder = Decoder(weights=None, features=layout.features, hidden=config.hidden)  # type: ignore[arg-type]
    grid, network = grid_shape(layout), decoder_shape(decoder)
    wide = {"FEATURES": layout.features, "WIDE": padded(layout.features), **network}
    cells = {"GRID": config.grid}
    yield triton_grid.encode_backward, "exact", {**grid, "POINTS": POINTS}
    yield triton_grid.adam_tables, "exact", {"COMPONENTS": config.components, "BLOCK": COLUMNS}
    for fill in (False, True):
        yield triton_rays.march, "exact", {**cells, "RAYS": RAYS, "FILL": fill}
    yield triton_rays.sample_weights, "exact", {"RAYS": RAYS}
    yield triton_rays.ray_gradients, "exact", {"RAYS": RAYS}
    yield triton_rays.scatter_weights, "exact", {**cells, "POINTS": POINTS}
    yield triton_frame.compose, "exact", {"FEATURES": 7, "PIXELS": COLUMNS}
    for precision, factors in FACTORS.items():
        forward = {"OPERAND": factors.decoder}
        for frames in (1, BLEND_FRAMES):
            constants = {"COMPONENTS": config.components, "FRAMES": frames, "BLOCK": COLUMNS}
            yield triton_grid.blend, precision, constants
        for keep in (False, True):
            yield triton_field.evaluate_field, precision, {**grid, **network, **forward, "POINTS": POINTS, "KEEP": keep}
        yield triton_field.decode_features, precision, {**wide, **forward, "POINTS": POINTS}
        backward = {**wide, **forward, "POINTS": POINTS}
        yield triton_field.decode_backward, precision, backward
        yield triton_field.weight_gradients, precision, {**backward, "POINTS": GRADIENT_POINTS}
        tile = {"TILE_HEIGHT": 8, "TILE_WIDTH": RAYS // 8}
        yield triton_frame.render_rays, precision, {**cells, **grid, **network, **forward, **tile}


def signature(kernel: Any, precision: str, constants: dict[str, Any]) -> dict[str, str]:
    """Types of all arguments, as at launch: in mixed precision some are float16."""
    half = HALF.get(kernel.__name__, set()) if precision == "mixed" else set()
    if half and constants.get("FRAMES") == 1:  # of one frame, to render it: from tables in float16; in training not
        half = {"tables", "base", "expression"}
    found = {}
    for name in kernel.arg_names:
        if name in constants:
            found[name] = "constexpr"
        elif name in INTEGERS:
            found[name] = "i32"
        elif name in SCALARS or (name == "stop" and kernel is triton_frame.render_rays):
            found[name] = "fp32"
        elif name in half:
            found[name] = "*fp16"
        else:
            found[name] = POINTERS.get(name, "*fp32")
    if kernel is triton_frame.render_rays:
        found["stop"] = "fp32"
    return found


def measure(kernel: Any, precision: str, constants: dict[str, Any], architecture: int) -> Figures:
    """Compile to a cubin, then read what it takes."""
    types = signature(kernel, precision, constants)
    # torch aligns tensors to more than 16 bytes, which a launch tells the compiler
    aligned = {(i,): [["tt.divisibility", 16]] for i, kind in enumerate(types.values()) if kind.startswith("*")}
    source = ASTSource(fn=kernel, signature=types, constexprs=constants, attrs=aligned)
    options = NARROW if kernel.__name__ in NARROW_KERNELS else WIDE
    built = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=options)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(built.asm["cubin"])
        command = [str(triton.knobs.nvidia.cuobjdump.path), "--dump-resource-usage", str(file)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    usage = USAGE.search(said)
    if usage is None:
        raise RuntimeError(f"{kernel.__name__}: cuobjdump said nothing of registers:\n{said}")
    flags = [f"{key.lower()}={value}" for key, value in constants.items() if key in ("FILL", "KEEP", "FRAMES")]
    return Figures(
        kernel=" ".join([kernel.__name__, *flags]),
        precision=precision,
        architecture=f"sm_{architecture}",
        warps=options["num_warps"],
        registers=int(usage[1]),
        spilled_bytes=int(usage[2]) + int(usage[3]),
        shared_bytes=built.metadata.shared,
        cubin_bytes=len(built.asm["cubin"]),
    )


def main() -> None:
    """Print a table, or JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    asked = parser.parse_args()
    if not asked.json:
        print(f"triton {triton.__version__}\n")
        print("| kernel | precision | target | warps | registers | spilled B | shared B |")
        print("|---|---|---|---|---|---|---|")
    for kernel, precision, constants in variants():
        for architecture in ARCHITECTURES:
            f = measure(kernel, precision, constants, architecture)
            if asked.json:
                print(json.dumps(asdict(f)), flush=True)
            else:
                cells = (f.kernel, f.precision, f.architecture, f.warps, f.registers, f.spilled_bytes, f.shared_bytes)
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
