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

from .operations import Decoder, GridLayout, Samples, Targets

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
    """Types of the factors in matrix products; sums and everything stored in training are float32."""

    decoder: Any  # of its products, forward and backward
    tables: torch.dtype  # of the blended table while rendering a frame
    words: str


FACTORS: dict[Precision, Factors] = {
    "exact": Factors(decoder=tl.float32, tables=torch.float32, words="float32"),
    "mixed": Factors(decoder=tl.float16, tables=torch.float16, words="float16, sums float32"),
}


def gradient_scale(samples: Samples, targets: Targets) -> float:
    """A power of two that brings the gradients of a loss, a mean over rays times a factor, near one."""
    return float(2.0 ** round(math.log2(GRADIENT_SIZE * len(samples.counts) / targets.factor)))


def padded(size: int) -> int:
    """The power of two, 16 at least, that holds `size` rows of a matrix on tensor cores."""
    return max(16, int(triton.next_power_of_2(size)))


def grid_shape(layout: GridLayout) -> dict[str, int]:
    """What the kernels' code depends on in a layout."""
    levels = len(layout.resolutions)
    return {"MASK": (1 << layout.log2_size) - 1, "LEVELS": levels, "WIDTH": padded(2 * levels) // 2}


def decoder_shape(decoder: Decoder) -> dict[str, int]:
    """What the kernels' code depends on in a decoder."""
    return {"HIDDEN": decoder.hidden, "TALL": padded(decoder.hidden)}


@lru_cache(maxsize=8)
def layout_rows(layout: GridLayout, device: torch.device) -> Tensor:
    """A layout as the kernels read it: (3, levels) int32, cells per axis, first entry, whether dense."""
    rows = np.array([layout.resolutions, layout.offsets[:-1], layout.dense], np.int32)
    return torch.from_numpy(rows).to(device)
