"""The field's arithmetic in plain torch: the reference that accelerated backends are tested against.

Written to be read next to the formulas, not to be fast; gradients come from autograd alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emobench.types import Floats

from .geometry import Rays
from .layouts import PLANES, FrequencyLayout, GridLayout, Layout, PlaneLayout
from .operations import (
    DENSITY_UNIT_MM,
    LOG_DENSITY_MAX,
    AdamRates,
    Decoder,
    FrameLoss,
    Moments,
    Samples,
    Targets,
)

CPU = torch.device("cpu")
PRIMES = (1, 2654435761, 805459861)  # Müller et al. 2022, eq. 4


class TorchOperations:
    """Implements Operations; see there for shapes."""

    name = "torch"
    precision = "float32"
    table_dtype: torch.dtype | None = None
    concurrent = True

    def __init__(self, device: torch.device = CPU) -> None:
        self.device = device

    def march(self, rays: Rays, skip: NDArray[np.uint8], step_mm: float, jitter: Floats, limit: int) -> Samples:
        origin, directions = self._moved(rays.origin), self._moved(rays.directions)
        parallel = directions.abs() < 1e-12
        safe = torch.where(parallel, torch.ones_like(directions), directions)
        ends = torch.stack([-origin / safe, (1 - origin) / safe])
        missed = (parallel & ((origin < 0) | (origin > 1 - 1e-6))).any(1)
        low = torch.where(parallel, -torch.inf, ends.amin(0)).amax(1).clamp(min=0)
        high = torch.where(parallel, torch.inf, ends.amax(0)).amin(1)
        high = torch.where(missed, -torch.ones_like(high), high)
        offset = self._moved(jitter)
        count = ((high - low) / step_mm - offset).clamp(min=-1).floor()
        k = torch.arange(int(count.max().clamp(min=0)) + 1, dtype=low.dtype, device=self.device)
        depths = low[:, None] + (k + offset[:, None]) * step_mm  # (R, S)
        points = (origin + depths[..., None] * directions[:, None]).clamp(0, 1 - 1e-6)
        x, y, z = (points * skip.shape[0]).long().unbind(-1)
        occupied = self._moved(skip)[z, y, x] == 0
        taken = occupied & (k <= count[:, None]) & (high > low)[:, None]
        taken &= taken.cumsum(1) <= limit
        return Samples(points=points[taken], depths=depths[taken], counts=taken.sum(1).to(torch.int32).cpu().numpy())

    def evaluate(self, points: Tensor, table: Tensor, decoder: Decoder, layout: Layout) -> tuple[Tensor, Tensor]:
        return decode(encode(points, table.view(-1, 2), layout), decoder.layers())

    @torch.no_grad()
    def render(
        self,
        rays: Rays,
        skip: NDArray[np.uint8],
        table: Tensor,
        decoder: Decoder,
        layout: Layout,
        step_mm: float,
        limit: int,
        stop: float,
    ) -> tuple[Floats, Floats]:
        jitter = np.full(len(rays.directions), 0.5, rays.directions.dtype)
        samples = self.march(rays, skip, step_mm, jitter, limit)
        density, colour = self.evaluate(samples.points, table, decoder, layout)
        weights, ray = compositing_weights(density, samples.counts, step_mm / DENSITY_UNIT_MM)
        sums, opacity = _per_ray(weights[:, None] * colour, ray, samples), _per_ray(weights, ray, samples)
        return sums.cpu().numpy(), opacity.cpu().numpy()

    def weights(self, density: Tensor, samples: Samples, step_mm: float) -> Tensor:
        return compositing_weights(density, samples.counts, step_mm / DENSITY_UNIT_MM)[0]

    def frame_loss(
        self,
        samples: Samples,
        targets: Targets,
        table: Tensor,
        decoder: Decoder,
        layout: Layout,
        step_mm: float,
        table_gradient: Tensor,
    ) -> FrameLoss:
        table = table.detach().requires_grad_()
        network = decoder.weights.detach().requires_grad_()
        density, colour = decode(encode(samples.points, table.view(-1, 2), layout), decoder.layers(network))
        weights, ray = compositing_weights(density, samples.counts, step_mm / DENSITY_UNIT_MM)
        seen = _per_ray(weights[:, None] * colour, ray, samples)
        opacity = _per_ray(weights, ray, samples)
        error = seen + (1 - opacity)[:, None] * targets.background - targets.colour
        depth = (samples.depths - samples.depth_origin) / DENSITY_UNIT_MM
        first, second = _per_ray(weights * depth, ray, samples), _per_ray(weights * depth * depth, ray, samples)
        variance = (second - first.square() / opacity.clamp(min=1e-3)).clamp(min=0)
        wanted, weight = targets.surfaces().unbind(1)
        shape = weight * (first - opacity * wanted).square()
        loss = targets.factor * (
            error.square().mean() + targets.variance_weight * variance.mean() + shape.mean()
        )
        of_table, of_network = torch.autograd.grad(loss, [table, network], allow_unused=True, materialize_grads=True)
        table_gradient.copy_(of_table)
        return FrameLoss(loss=float(loss.detach()), network=of_network, weights=weights.detach())

    def scatter_weights(self, weights: Tensor, points: Tensor, largest: Floats) -> None:
        x, y, z = (points * largest.shape[0]).long().unbind(-1)
        cell = (z * largest.shape[0] + y) * largest.shape[0] + x
        torch.from_numpy(largest).view(-1).scatter_reduce_(0, cell.cpu(), weights.cpu(), "amax")

    def blend(
        self, base: Tensor, expression: Tensor, conditions: Tensor, columns: tuple[int, int], tables: Tensor
    ) -> None:
        start, stop = columns
        tables[:, start:stop] = base[start:stop]
        tables[:, start : min(stop, expression.shape[1])] += conditions @ expression[:, start:stop]

    def update_tables(
        self,
        base: Tensor,
        expression: Tensor,
        moments: Sequence[Moments],
        gradients: Tensor,
        conditions: Tensor,
        rates: AdamRates,
        columns: tuple[int, int],
    ) -> None:
        start, stop = columns
        blended = slice(start, max(start, min(stop, expression.shape[1])))
        moved = (gradients != 0).any(0)
        adam(base, moments[0], gradients.sum(0), rates, slice(start, stop), moved)
        if blended.stop > start:
            pulled = conditions.T @ gradients[:, : expression.shape[1]]
            adam(expression, moments[1], pulled, rates, blended, moved)

    def _moved(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def adam(
    value: Tensor, moments: Moments, gradient: Tensor, rates: AdamRates, columns: slice, moved: Tensor | None = None
) -> None:
    """One Adam step (Kingma & Ba 2015, algorithm 1) in place on value[..., columns]; where `moved` (bool, of all
    columns) is given, on those of them where it is true."""
    part, old = gradient[..., columns], value[..., columns]
    pair = moments.first[..., columns], moments.second[..., columns]
    first = rates.beta1 * pair[0] + (1 - rates.beta1) * part
    second = rates.beta2 * pair[1] + (1 - rates.beta2) * part * part
    new = old - rates.rate * first / ((second * rates.correction).sqrt() + rates.tiny)
    for kept, changed in zip((*pair, old), (first, second, new), strict=True):
        kept.copy_(changed if moved is None else torch.where(moved[columns], changed, kept))


def encode(points: Tensor, table: Tensor, layout: Layout) -> Tensor:
    """Features (M, layout.features) of points (M, 3) in [0, 1) from table (entries, 2), linear within every cell."""
    if isinstance(layout, FrequencyLayout):
        return encode_frequencies(points, layout)
    if isinstance(layout, GridLayout):
        return _encode_levels(points, table, layout)
    size = layout.offsets[-1]
    planes = [
        _encode_levels(points[:, list(axes)], table[plane * size : (plane + 1) * size], layout)
        for plane, axes in enumerate(PLANES)
    ]
    return torch.cat(planes, dim=1)


def encode_frequencies(points: Tensor, layout: FrequencyLayout) -> Tensor:
    """Points in −1..1, then sines and cosines of π·2ᵏ times them (Mildenhall et al. 2020, eq. 4)."""
    centred = points * 2 - 1
    octaves = 2.0 ** torch.arange(layout.octaves, dtype=points.dtype, device=points.device) * torch.pi
    phases = (centred[:, None] * octaves[:, None]).flatten(1)  # (M, octaves · 3)
    return torch.cat([centred, torch.sin(phases), torch.cos(phases)], dim=1)


def _encode_levels(points: Tensor, table: Tensor, layout: GridLayout | PlaneLayout) -> Tensor:
    """Features (M, 2·levels) of points (M, D) on a grid of as many axes."""
    levels, axes = [], points.shape[1]
    for level, resolution in enumerate(layout.resolutions):
        scaled = points * resolution
        cell = scaled.long()
        fraction = scaled - cell
        total = torch.zeros(len(points), 2, dtype=points.dtype, device=points.device)
        for corner in range(2**axes):
            bits = torch.tensor([corner >> axis & 1 for axis in range(axes)], device=points.device)
            weight = torch.where(bits.bool(), fraction, 1 - fraction).prod(1, keepdim=True)
            total = total + weight * table[layout.offsets[level] + _index(cell + bits, level, layout)]
        levels.append(total)
    return torch.cat(levels, dim=1)


def decode(features: Tensor, layers: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Density (M,) and colour (M, 3) of features; layers as Decoder.layers gives them."""
    w1, b1, w2, b2, w3, b3 = layers
    hidden = torch.relu(torch.addmm(b1, features, w1))
    hidden = torch.relu(torch.addmm(b2, hidden, w2))
    raw = torch.addmm(b3, hidden, w3)
    return torch.exp(raw[:, 0].clamp(max=LOG_DENSITY_MAX)), torch.sigmoid(raw[:, 1:])


def compositing_weights(density: Tensor, counts: NDArray[np.int32], step: float) -> tuple[Tensor, Tensor]:
    """Weights wᵢ = exp(−Σ_{j<i} σⱼ·step)(1 − exp(−σᵢ·step)) (Max 1995) and the ray of each sample."""
    at = density.device
    ray = torch.repeat_interleave(torch.arange(len(counts)), torch.from_numpy(counts).long()).to(at)
    thickness = density * step
    padded = torch.zeros(len(counts), int(counts.max(initial=0)), dtype=density.dtype, device=at)
    starts = torch.from_numpy(np.cumsum(counts) - counts).long().to(at)
    place = torch.arange(len(density), device=at) - starts[ray]
    before = padded.index_put((ray, place), thickness).cumsum(1)[ray, place] - thickness
    return torch.exp(-before) * (1 - torch.exp(-thickness)), ray


def _per_ray(values: Tensor, ray: Tensor, samples: Samples) -> Tensor:
    """Sums of values (M, …) over the samples of each ray."""
    empty = torch.zeros(len(samples.counts), *values.shape[1:], dtype=values.dtype, device=values.device)
    return empty.index_add(0, ray, values)


def _index(corner: Tensor, level: int, layout: GridLayout | PlaneLayout) -> Tensor:
    """Entry of integer corners (M, D) within one level, x fastest."""
    index = torch.zeros_like(corner[:, 0])
    if layout.dense[level]:
        for axis in reversed(range(corner.shape[1])):
            index = index * (layout.resolutions[level] + 1) + corner[:, axis]
        return index
    for axis in range(corner.shape[1]):
        index = index ^ (corner[:, axis] * PRIMES[axis])
    return index & ((1 << layout.log2_size) - 1)
