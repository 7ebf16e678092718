"""What Triton's kernels are launched with: tile sizes, warps, types of factors, constants of a field's shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from emobench.errors import Unavailable

from .layouts import GridLayout, Layout
from .operations import Decoder, Samples, Targets

Precision = Literal["exact", "mixed"]
POINTS, RAYS, COLUMNS = 64, 64, 512  # lanes of one program: samples, rays (a square of pixels), table columns
INTERPRETED = 1024  # points and rays of one program in the interpreter, where every operation costs the same
BLEND_FRAMES = 8  # frames of one tile of `blend`
WIDE: dict[str, Any] = {"num_warps": 4, "enable_fp_fusion": True}
GRADIENT_POINTS = 32  # samples of one turn of `weight_gradients`: with more it spills registers
NARROW: dict[str, Any] = WIDE | {"num_warps": 2}  # of kernels whose loops ask all lanes whether to go on
GRADIENT_SIZE = 64.0  # largest gradients after scaling are of this order: 1/1000 of float16's range
PROGRAMS = 264  # of the decoder's gradient at most: two on each of an H200's 132 multiprocessors


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """Types of the factors in matrix products; sums, gradients and what an optimiser changes are float32."""

    decoder: Any  # of its products, forward and backward
    tables: torch.dtype  # of blended tables, while rendering and in training
    features: torch.dtype  # of encoded points and the gradients of hidden layers, kept from forward to backward
    opaque: float  # samples that less light than this reaches have no part in training
    words: str


FACTORS: dict[Precision, Factors] = {
    "exact": Factors(
        decoder=tl.float32, tables=torch.float32, features=torch.float32, opaque=0.0, words="float32"
    ),
    "mixed": Factors(
        decoder=tl.float16, tables=torch.float16, features=torch.float16, opaque=1e-4, words="float16, sums float32"
    ),
}


def gradient_scale(samples: Samples, targets: Targets) -> float:
    """A power of two that brings the gradients of a loss, a mean over rays times a factor, near one."""
    return float(2.0 ** round(math.log2(GRADIENT_SIZE * len(samples.counts) / targets.factor)))


def padded(size: int) -> int:
    """The power of two, 16 at least, that holds `size` rows of a matrix on tensor cores."""
    return max(16, int(triton.next_power_of_2(size)))


def as_grid(layout: Layout) -> GridLayout:
    """The layout, which these kernels know only as a 3D hash grid. Raises Unavailable where it is another."""
    if not isinstance(layout, GridLayout):
        raise Unavailable(
            f"The Triton kernels encode 3D hash grids, no {type(layout).__name__}. Use --backend numba or torch."
        )
    return layout


def grid_shape(layout: Layout) -> dict[str, int]:
    """What the kernels' code depends on in a layout."""
    grid = as_grid(layout)
    levels = len(grid.resolutions)
    return {"MASK": (1 << grid.log2_size) - 1, "LEVELS": levels, "WIDTH": padded(2 * levels) // 2}


def decoder_shape(decoder: Decoder) -> dict[str, int]:
    """What the kernels' code depends on in a decoder."""
    return {"HIDDEN": decoder.hidden, "TALL": padded(decoder.hidden)}


@lru_cache(maxsize=8)
def layout_rows(layout: Layout, device: torch.device) -> Tensor:
    """A layout as the kernels read it: (3, levels) int32, cells per axis, first entry, whether dense."""
    grid = as_grid(layout)
    rows = np.array([grid.resolutions, grid.offsets[:-1], grid.dense], np.int32)
    return torch.from_numpy(rows).to(device)
