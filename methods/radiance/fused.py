"""The field's arithmetic on CPUs in single kernels, samples staying in cache from march to colour and back.

For 3D hash grids with the usual decoder (`fits`); other fields go through accelerated.py's separate steps.
"""

from __future__ import annotations

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
        table.view(-1, 2).numpy(), grid_arrays(layout, dtype.str), layer_arrays(decoder), sums, through,
    )  # fmt: skip
    return sums, 1 - through


def evaluate(points: Tensor, table: Tensor, decoder: Decoder, layout: GridLayout) -> tuple[Tensor, Tensor]:
    """As Operations.evaluate."""
    places = points.numpy()
    values = np.empty((4, len(places)), places.dtype)
    step_kernels.evaluate_points(
        places, table.view(-1, 2).numpy(), grid_arrays(layout, places.dtype.str), layer_arrays(decoder),
        places.dtype.type(LOG_DENSITY_MAX), values,
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
    points = samples.points.numpy()
    weights, network = torch.empty_like(samples.depths), torch.zeros_like(decoder.weights)
    factor = targets.factor / max(1, len(samples.counts))
    settings = np.array([targets.variance_weight, factor, np.exp(LOG_DENSITY_MAX), LOG_DENSITY_MAX], points.dtype)
    loss = step_kernels.frame_gradients(
        points, ((samples.depths - samples.depth_origin) / DENSITY_UNIT_MM).numpy(), samples.counts,
        np.array([step_mm / DENSITY_UNIT_MM], points.dtype), targets.colour.numpy(), targets.background.numpy(),
        settings, table.view(-1, 2).numpy(), grid_arrays(layout, points.dtype.str), layer_arrays(decoder),
        tuple(layer.numpy() for layer in decoder.layers(network)), weights.numpy(),
        table_gradient.view(-1, 2).numpy(),
    )  # fmt: skip
    return FrameLoss(loss=float(loss), network=network, weights=weights)


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


def layer_arrays(decoder: Decoder) -> tuple[Any, ...]:
    """The decoder's matrices and biases as arrays."""
    return tuple(layer.numpy() for layer in decoder.layers())
