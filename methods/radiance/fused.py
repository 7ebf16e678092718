"""The field's arithmetic on CPUs in single kernels, samples staying in cache from march to colour and back.

For 3D hash grids with the usual decoder (`fits`); other fields go through accelerated.py's separate steps.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emobench.types import Floats

from . import frame_kernels, step_kernels
from .field_kernels import QUAD
from .geometry import Rays
from .layouts import GridLayout, Layout
from .operations import DENSITY_UNIT_MM, LOG_DENSITY_MAX, Decoder, FrameLoss, Samples, Targets

TILE = 8  # pixels; a tile's rays are one group of frame_kernels


def fits(layout: Layout, decoder: Decoder) -> bool:
    """Whether these kernels can compute a field."""
    return isinstance(layout, GridLayout) and decoder.hidden % QUAD == 0 and layout.features % QUAD == 0


def render(
    rays: Rays,
    skip: NDArray[np.uint8],
    table: Tensor,
    decoder: Decoder,
    layout: GridLayout,
    step_mm: float,
    limit: int,
    stop: float,
) -> tuple[Floats, Floats]:
    """As Operations.render."""
    count, dtype = len(rays.directions), rays.directions.dtype
    order = tile_order(count, rays.width)
    step = np.array([step_mm, step_mm / DENSITY_UNIT_MM, LOG_DENSITY_MAX], dtype)
    starts = np.empty((4, count), dtype)
    frame_kernels.first_samples(rays.origin, rays.directions, order, skip, step, starts)
    sums, through = np.empty((count, 3), dtype), np.empty(count, dtype)
    frame_kernels.render_rays(
        rays.origin, rays.directions, order, starts, skip, step, limit, dtype.type(stop),
        pairs(table), grid_arrays(layout, dtype.str), decoder.weights.numpy(), decoder.hidden, sums, through,
    )  # fmt: skip
    return sums, 1 - through


def evaluate(points: Tensor, table: Tensor, decoder: Decoder, layout: GridLayout) -> tuple[Tensor, Tensor]:
    """As Operations.evaluate."""
    places, network = points.numpy(), decoder.weights.numpy()
    count, dtype = len(places), places.dtype
    values = np.empty((4, count), dtype)
    parts = np.diff(np.append(np.arange(0, count, step_kernels.BLOCK, dtype=np.int32), np.int32(count)))
    unread, nothing = np.empty((0, 3), dtype), np.empty(0, dtype)
    settings = np.array([0, 0, 0, LOG_DENSITY_MAX, 0, 0, 0], dtype)
    step_kernels.frame_gradients(
        places, nothing, parts, unread, unread, unread, settings, pairs(table), grid_arrays(layout, dtype.str),
        network, decoder.hidden, np.empty_like(network), nothing, pairs(table)[:0], values,
    )  # fmt: skip
    return torch.from_numpy(values[0]), torch.from_numpy(values[1:]).T


def frame_loss(
    samples: Samples,
    targets: Targets,
    table: Tensor,
    decoder: Decoder,
    layout: GridLayout,
    step_mm: float,
    table_gradient: Tensor,
) -> FrameLoss:
    """As Operations.frame_loss."""
    points, network = samples.points.numpy(), decoder.weights.numpy()
    dtype = points.dtype
    # arrays, not tensors: every call into torch gives the interpreter away, for which the other threads wait
    weights, of_network = np.empty(len(points), dtype), np.empty_like(network)
    settings = np.array(
        [
            targets.variance_weight, targets.factor / max(1, len(samples.counts)), math.exp(LOG_DENSITY_MAX),
            LOG_DENSITY_MAX, step_mm / DENSITY_UNIT_MM, samples.depth_origin, 1 / DENSITY_UNIT_MM,
        ],
        dtype,
    )  # fmt: skip
    surface = np.zeros((len(samples.counts), 2), dtype) if targets.surface is None else targets.surface.numpy()
    loss = step_kernels.frame_gradients(
        points, samples.depths.numpy(), samples.counts, targets.colour.numpy(), targets.background.numpy(), surface,
        settings, pairs(table), grid_arrays(layout, dtype.str), network, decoder.hidden, of_network, weights,
        pairs(table_gradient), np.empty((4, 0), dtype),
    )  # fmt: skip
    return FrameLoss(loss=float(loss), network=torch.from_numpy(of_network), weights=torch.from_numpy(weights))


@lru_cache(maxsize=8)
def tile_order(count: int, width: int) -> NDArray[np.int32]:
    """Indices of rays so that neighbours follow each other: tile after tile of an image `width` pixels wide; 0: as
    they come."""
    place = np.arange(count, dtype=np.int32)
    if width:
        x, y = place % width, place // width
        place = np.lexsort((x % TILE, y % TILE, x // TILE, y // TILE)).astype(np.int32)
    place.setflags(write=False)
    return place


@lru_cache(maxsize=16)
def grid_arrays(layout: GridLayout, dtype: str) -> tuple[Any, Any, Any, Any]:
    """A layout as the kernels' arrays: scales, offsets, dense, mask."""
    return (
        np.array(layout.resolutions, dtype),
        np.array(layout.offsets, np.int64),
        np.array(layout.dense),
        np.uint32((1 << layout.log2_size) - 1),
    )


def pairs(table: Tensor) -> NDArray[Any]:
    """A flat table (P,) as rows (P / 2, 2)."""
    return table.numpy().reshape(-1, 2)
