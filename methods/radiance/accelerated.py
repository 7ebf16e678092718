"""The field's arithmetic on CPUs: fused kernels where they fit, else numba around torch's matrix products.

Gradients are written out by hand. Same results as the plain reference within rounding (see the parity tests); releases
the GIL nearly everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emobench.types import Floats

from . import fused, grid_kernels, plane_kernels, ray_kernels, table_kernels
from .geometry import Rays
from .layouts import PLANES, FrequencyLayout, GridLayout, Layout, PlaneLayout
from .operations import (
    CHUNK,
    DENSITY_UNIT_MM,
    LOG_DENSITY_MAX,
    AdamRates,
    Decoder,
    FrameLoss,
    Moments,
    Samples,
    Targets,
)
from .reference import encode_frequencies

FIRST_WAVE = 4  # samples of a ray before it is first asked whether it has hit something; doubles from then on


class NumbaOperations:
    """Implements Operations; see there for shapes."""

    name = "numba"
    device = torch.device("cpu")
    precision = "float32"
    table_dtype: torch.dtype | None = None
    concurrent = True

    def march(self, rays: Rays, skip: NDArray[np.uint8], step_mm: float, jitter: Floats, limit: int) -> Samples:
        count = len(rays.directions)
        live = np.arange(count, dtype=np.int32)
        return _march(rays, skip, step_mm, jitter, limit, live, np.zeros(count, np.int32))

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
        if isinstance(layout, GridLayout) and fused.fits(layout, decoder):
            return fused.render(rays, skip, table, decoder, layout, step_mm, limit, stop)
        count, dtype = len(rays.directions), rays.directions.dtype
        jitter = np.full(count, 0.5, dtype)
        live, cursor = np.arange(count, dtype=np.int32), np.zeros(count, np.int32)
        sums, through = np.zeros((count, 3), dtype), np.ones(count, dtype)
        done, wave = 0, FIRST_WAVE
        # in waves, so that the field is not asked about what lies behind a surface
        while len(live) and done < limit:
            wave = min(wave, limit - done)
            samples = _march(rays, skip, step_mm, jitter, wave, live, cursor)
            density, colour = self.evaluate(samples.points, table, decoder, layout)
            going = ray_kernels.composite(
                density.numpy(), colour.numpy(), samples.counts, _step(step_mm, density), dtype.type(stop), live,
                cursor, sums, through,
            )  # fmt: skip
            live, done, wave = live[:going], done + wave, wave * 2
        return sums, 1 - through

    @torch.no_grad()
    def evaluate(self, points: Tensor, table: Tensor, decoder: Decoder, layout: Layout) -> tuple[Tensor, Tensor]:
        if isinstance(layout, GridLayout) and fused.fits(layout, decoder):
            return fused.evaluate(points, table, decoder, layout)
        density = torch.empty(len(points), dtype=table.dtype)
        colour = torch.empty(len(points), 3, dtype=table.dtype)
        layers = decoder.layers()
        for start in range(0, len(points), CHUNK):
            part = slice(start, start + CHUNK)
            features = _encode(points[part], table, layout)
            raw = _decode(features, layers)[-1]
            torch.exp(raw[:, 0].clamp_(max=LOG_DENSITY_MAX), out=density[part])
            torch.sigmoid(raw[:, 1:], out=colour[part])
        return density, colour

    def weights(self, density: Tensor, samples: Samples, step_mm: float) -> Tensor:
        weights = torch.empty_like(density)
        ray_kernels.sample_weights(density.numpy(), samples.counts, _step(step_mm, density), weights.numpy())
        return weights

    @torch.no_grad()
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
        if isinstance(layout, GridLayout) and fused.fits(layout, decoder):
            return fused.frame_loss(samples, targets, table, decoder, layout, step_mm, table_gradient)
        layers = decoder.layers()
        points = samples.points.numpy()
        features = _encode(samples.points, table, layout)
        hidden1, hidden2, raw = _decode(features, layers)
        values = torch.sigmoid(raw.T.contiguous())
        values[0] = torch.exp(raw[:, 0].clamp(max=LOG_DENSITY_MAX))
        weights, gradient = torch.empty_like(values[0]), torch.empty_like(values)
        factor = targets.factor / max(1, len(samples.counts))
        settings = np.array([targets.variance_weight, factor, np.exp(LOG_DENSITY_MAX)], points.dtype)
        loss = ray_kernels.ray_gradients(
            values.numpy(), ((samples.depths - samples.depth_origin) / DENSITY_UNIT_MM).numpy(), samples.counts,
            _step(step_mm, values), targets.colour.numpy(), targets.background.numpy(), targets.surfaces().numpy(),
            settings, weights.numpy(), gradient.numpy(),
        )  # fmt: skip
        of_features, of_network = _decode_backward(features, hidden1, hidden2, gradient.T.contiguous(), layers)
        table_gradient.zero_()
        _encode_backward(points, of_features, layout, table_gradient)
        return FrameLoss(loss=float(loss), network=of_network, weights=weights)

    def scatter_weights(self, weights: Tensor, points: Tensor, largest: Floats) -> None:
        ray_kernels.scatter_weights(weights.numpy(), points.numpy(), largest)

    def blend(
        self, base: Tensor, expression: Tensor, conditions: Tensor, columns: tuple[int, int], tables: Tensor
    ) -> None:
        table_kernels.blend(base.numpy(), expression.numpy(), conditions.numpy(), *columns, tables.numpy())

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
        numbers = np.array([rates.rate, rates.correction, rates.beta1, rates.beta2, rates.tiny], base.numpy().dtype)
        of_base, of_expression = moments
        table_kernels.adam_tables(
            base.numpy(), of_base.first.numpy(), of_base.second.numpy(),
            expression.numpy(), of_expression.first.numpy(), of_expression.second.numpy(),
            gradients.numpy(), conditions.numpy(), numbers, *columns,
        )  # fmt: skip


def _march(
    rays: Rays,
    skip: NDArray[np.uint8],
    step_mm: float,
    jitter: Floats,
    limit: int,
    live: NDArray[np.int32],
    cursor: NDArray[np.int32],
) -> Samples:
    dtype = rays.directions.dtype
    points = np.empty((len(live) * limit, 3), dtype)  # untouched pages of this upper bound cost nothing
    depths = np.empty(len(live) * limit, dtype)
    counts = np.empty(len(live), np.int32)
    total = ray_kernels.march(
        rays.origin, rays.directions, skip, np.array([step_mm], dtype), jitter, limit, live, cursor, points, depths,
        counts,
    )  # fmt: skip
    return Samples(points=torch.from_numpy(points[:total]), depths=torch.from_numpy(depths[:total]), counts=counts)


def _step(step_mm: float, like: Tensor) -> NDArray[Any]:
    """The step in the density's unit, as the kernels want it: an array of one, which carries the float type."""
    return np.array([step_mm / DENSITY_UNIT_MM], like.numpy().dtype)


def _shape(layout: GridLayout | PlaneLayout, dtype: Any) -> tuple[Any, Any, Any, Any]:
    """A layout as the kernels' arrays: scales, offsets, dense, mask."""
    return (
        np.array(layout.resolutions, dtype),
        np.array(layout.offsets, np.int64),
        np.array(layout.dense),
        np.uint32((1 << layout.log2_size) - 1),
    )


def _encode(points: Tensor, table: Tensor, layout: Layout) -> Tensor:
    if isinstance(layout, FrequencyLayout):
        return encode_frequencies(points, layout)
    features = torch.empty(len(points), layout.features, dtype=table.dtype)
    places, values, shape = points.numpy(), table.view(-1, 2).numpy(), _shape(layout, table.numpy().dtype)
    if isinstance(layout, PlaneLayout):
        plane_kernels.encode(places, values, np.array(PLANES), *shape, features.numpy())
    else:
        grid_kernels.encode(places, values, *shape, features.numpy())
    return features


def _encode_backward(points: NDArray[Any], of_features: Tensor, layout: Layout, table_gradient: Tensor) -> None:
    """Adds to table_gradient (P,) what of_features (M, layout.features) sends back."""
    if isinstance(layout, FrequencyLayout):
        return
    shape, gradient = _shape(layout, points.dtype), table_gradient.view(-1, 2).numpy()
    if isinstance(layout, PlaneLayout):
        plane_kernels.encode_backward(points, np.array(PLANES), *shape, of_features.numpy(), gradient)
    else:
        grid_kernels.encode_backward(points, *shape, of_features.numpy(), gradient)


def _decode(features: Tensor, layers: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Both hidden layers after ReLU, and the raw output (M, 4)."""
    w1, b1, w2, b2, w3, b3 = layers
    hidden1 = torch.addmm(b1, features, w1).relu_()
    hidden2 = torch.addmm(b2, hidden1, w2).relu_()
    return hidden1, hidden2, torch.addmm(b3, hidden2, w3)


def _decode_backward(
    features: Tensor, hidden1: Tensor, hidden2: Tensor, gradient: Tensor, layers: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """Gradients of features (M, 2·levels) and of the flat weights from that of the raw output (M, 4)."""
    w1, _, w2, _, w3, _ = layers
    of_w3, of_b3 = hidden2.T @ gradient, gradient.sum(0)
    back = torch.ops.aten.threshold_backward(gradient @ w3.T, hidden2, 0)
    of_w2, of_b2 = hidden1.T @ back, back.sum(0)
    back = torch.ops.aten.threshold_backward(back @ w2.T, hidden1, 0)
    of_w1, of_b1 = features.T @ back, back.sum(0)
    parts = (of_w1, of_b1, of_w2, of_b2, of_w3, of_b3)
    return back @ w1.T, torch.cat([part.reshape(-1) for part in parts])
