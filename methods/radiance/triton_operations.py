"""The field's arithmetic on CUDA: own Triton kernels, launched on torch tensors. Knows no training and no images.

Same results as the plain reference within rounding (see the parity tests). Without a GPU the kernels run in Triton's
interpreter, for tests only. Gradients of tables are summed by atomics: their last bits depend on timing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import triton
from numpy.typing import NDArray
from torch import Tensor

from emobench.types import Floats

from . import triton_field, triton_frame, triton_grid, triton_rays
from .geometry import Rays
from .layouts import Layout
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
from .triton_shapes import (
    BLEND_FRAMES,
    COLUMNS,
    FACTORS,
    GRADIENT_POINTS,
    INTERPRETED,
    NARROW,
    POINTS,
    PROGRAMS,
    RAYS,
    WIDE,
    Precision,
    decoder_shape,
    gradient_scale,
    grid_shape,
    layout_rows,
    padded,
)


class TritonOperations:
    """Implements Operations; see there for shapes."""

    name = "triton"
    concurrent = False  # one stream; and the interpreter is not safe in threads

    def __init__(self, device: torch.device, precision: Precision = "mixed") -> None:
        self.device = device
        self.factors = FACTORS[precision]
        self.precision = self.factors.words
        self.table_dtype: torch.dtype | None = self.factors.tables
        self.points, self.rays = (POINTS, RAYS) if device.type == "cuda" else (INTERPRETED, INTERPRETED)

    def march(self, rays: Rays, skip: NDArray[np.uint8], step_mm: float, jitter: Floats, limit: int) -> Samples:
        count = len(rays.directions)
        origin, directions = self._moved(rays.origin), self._moved(rays.directions)
        offsets, cells = self._moved(jitter), self._moved(skip)
        counts = torch.zeros(count, dtype=torch.int32, device=self.device)
        nothing = torch.empty(0, dtype=torch.float32, device=self.device)
        shape = {"GRID": skip.shape[0], "RAYS": self.rays, **NARROW}
        grid = (triton.cdiv(count, self.rays),)
        triton_rays.march[grid](
            origin, directions, cells, offsets, counts, counts, nothing, nothing, count, step_mm, limit, FILL=False,
            **shape,
        )  # fmt: skip
        found = counts.cpu().numpy()
        points = torch.empty(int(found.sum()), 3, dtype=torch.float32, device=self.device)
        depths = torch.empty(len(points), dtype=torch.float32, device=self.device)
        triton_rays.march[grid](
            origin, directions, cells, offsets, counts, _starts(counts), points, depths, count, step_mm, limit,
            FILL=True, **shape,
        )  # fmt: skip
        return Samples(points=points, depths=depths, counts=found)

    def evaluate(self, points: Tensor, table: Tensor, decoder: Decoder, layout: Layout) -> tuple[Tensor, Tensor]:
        return self.forward(points, table, decoder, layout, None)

    def forward(
        self, points: Tensor, table: Tensor, decoder: Decoder, layout: Layout, features: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """`evaluate`, which also writes features (M, 2·levels) where the caller wants to go backwards."""
        density = torch.empty(len(points), dtype=torch.float32, device=self.device)
        colour = torch.empty(len(points), 3, dtype=torch.float32, device=self.device)
        if len(points):
            triton_field.evaluate_field[(triton.cdiv(len(points), self.points),)](
                points, table, layout_rows(layout, self.device), decoder.weights, density, colour,
                density if features is None else features, len(points), LOG_DENSITY_MAX,
                **grid_shape(layout), **decoder_shape(decoder), POINTS=self.points, OPERAND=self.factors.decoder,
                KEEP=features is not None, **WIDE,
            )  # fmt: skip
        return density, colour

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
        count = len(rays.directions)
        view = self._moved(np.concatenate([rays.origin, np.eye(3, dtype=np.float32).reshape(-1)]))
        head = torch.empty(count, 3, dtype=torch.float32, device=self.device)
        opacity = torch.empty(count, dtype=torch.float32, device=self.device)
        self.render_into(
            (head, opacity), view, self._moved(rays.directions), self._moved(skip), table, decoder, layout,
            (1, count), step_mm, limit, stop,
        )  # fmt: skip
        return head.cpu().numpy(), opacity.cpu().numpy()

    def render_into(
        self,
        out: tuple[Tensor, Tensor],
        view: Tensor,
        directions: Tensor,
        skip: Tensor,
        table: Tensor,
        decoder: Decoder,
        layout: Layout,
        size: tuple[int, int],
        step_mm: float,
        limit: int,
        stop: float,
    ) -> None:
        """`render` on tensors, without waiting: writes colour sums (H·W, 3) and opacity (H·W,) of an image of size
        (H, W); view (12,) as in triton_frame.render_rays."""
        height, width = size
        side = math.isqrt(self.rays)
        tile = (1, self.rays) if height == 1 else (side, side)
        grid = (triton.cdiv(height, tile[0]) * triton.cdiv(width, tile[1]),)
        triton_frame.render_rays[grid](
            view, directions, skip, table, layout_rows(layout, self.device), decoder.weights, *out, height, width,
            step_mm, step_mm / DENSITY_UNIT_MM, limit, stop, LOG_DENSITY_MAX, GRID=skip.shape[0],
            **grid_shape(layout), **decoder_shape(decoder), TILE_HEIGHT=tile[0], TILE_WIDTH=tile[1],
            OPERAND=self.factors.decoder, **WIDE,
        )  # fmt: skip

    def weights(self, density: Tensor, samples: Samples, step_mm: float) -> Tensor:
        weights = torch.empty_like(density)
        counts = self._moved(samples.counts)
        triton_rays.sample_weights[(triton.cdiv(len(counts), self.rays),)](
            density, counts, _starts(counts), step_mm / DENSITY_UNIT_MM, weights, len(counts), RAYS=self.rays,
            **NARROW,
        )  # fmt: skip
        return weights

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
        count = len(samples.points)
        features = torch.empty(count, layout.features, dtype=self.factors.features, device=self.device)
        density, colour = self.forward(samples.points, table, decoder, layout, features)
        loss, weights, gradient = self.ray_loss(samples, targets, density, colour, step_mm)
        of_features, of_network = self.decode_backward(features, gradient, decoder, gradient_scale(samples, targets))
        table_gradient.zero_()
        if count:
            triton_grid.encode_backward[(triton.cdiv(count, self.points),)](
                samples.points, of_features, table_gradient, layout_rows(layout, self.device), count,
                **grid_shape(layout), POINTS=self.points, **WIDE,
            )  # fmt: skip
        return FrameLoss(loss=float(loss), network=of_network, weights=weights)

    def ray_loss(
        self, samples: Samples, targets: Targets, density: Tensor, colour: Tensor, step_mm: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss (), compositing weights (M,) and the gradient (M, 4) of the decoder's raw outputs."""
        counts = self._moved(samples.counts)
        weights = torch.empty_like(density)
        gradient = torch.empty(len(density), 4, dtype=torch.float32, device=self.device)
        losses = torch.empty(len(counts), dtype=torch.float32, device=self.device)
        triton_rays.ray_gradients[(triton.cdiv(len(counts), self.rays),)](
            density, colour, samples.depths, counts, _starts(counts), targets.colour, targets.background,
            targets.surfaces(), weights, gradient, losses, len(counts), step_mm / DENSITY_UNIT_MM,
            samples.depth_origin, DENSITY_UNIT_MM, targets.variance_weight, targets.factor,
            float(np.exp(np.float32(LOG_DENSITY_MAX))),
            self.factors.opaque, RAYS=self.rays,
            **NARROW,
        )  # fmt: skip
        return losses.sum(), weights, gradient

    def decode(self, features: Tensor, decoder: Decoder) -> tuple[Tensor, Tensor]:
        """Density (M,) and colour (M, 3) of features (M, F) that came from elsewhere."""
        count = len(features)
        density = torch.empty(count, dtype=torch.float32, device=self.device)
        colour = torch.empty(count, 3, dtype=torch.float32, device=self.device)
        if count:
            triton_field.decode_features[(triton.cdiv(count, self.points),)](
                features, decoder.weights, density, colour, count, LOG_DENSITY_MAX, FEATURES=decoder.features,
                WIDE=padded(decoder.features), **decoder_shape(decoder), POINTS=self.points,
                OPERAND=self.factors.decoder, **WIDE,
            )  # fmt: skip
        return density, colour

    def decode_backward(
        self, features: Tensor, gradient: Tensor, decoder: Decoder, scale: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Gradients of features (M, F) and of the decoder's flat weights (W,) from that of its raw outputs (M, 4);
        `scale` brings the latter near one."""
        count = len(features)
        shape: dict[str, Any] = {
            "FEATURES": decoder.features, "WIDE": padded(decoder.features), **decoder_shape(decoder),
            "OPERAND": self.factors.decoder, **WIDE,
        }  # fmt: skip
        of_features = torch.empty(features.shape, dtype=torch.float32, device=self.device)
        back1, back2 = torch.empty(2, count, decoder.hidden, dtype=self.factors.features, device=self.device)
        if count:
            triton_field.decode_backward[(triton.cdiv(count, self.points),)](
                features, gradient, decoder.weights, of_features, back1, back2, count, scale, POINTS=self.points,
                **shape,
            )  # fmt: skip
        programs = max(1, min(PROGRAMS, triton.cdiv(count, GRADIENT_POINTS)))
        partial = torch.empty(programs, len(decoder.weights), dtype=torch.float32, device=self.device)
        triton_field.weight_gradients[(programs,)](
            features, gradient, decoder.weights, back1, back2, partial, count, scale, POINTS=GRADIENT_POINTS, **shape
        )
        return of_features, partial.sum(0)

    def scatter_weights(self, weights: Tensor, points: Tensor, largest: Floats) -> None:
        if not len(points):
            return
        found = torch.zeros(largest.shape, dtype=torch.float32, device=self.device)
        triton_rays.scatter_weights[(triton.cdiv(len(points), self.points),)](
            weights, points, found, len(points), GRID=largest.shape[0], POINTS=self.points,
            **NARROW,
        )  # fmt: skip
        np.maximum(largest, found.cpu().numpy(), out=largest)

    def blend(
        self, base: Tensor, expression: Tensor, conditions: Tensor, columns: tuple[int, int], tables: Tensor
    ) -> None:
        start, stop = columns
        frames = min(BLEND_FRAMES, triton.next_power_of_2(len(tables)))
        triton_grid.blend[(triton.cdiv(stop - start, COLUMNS), triton.cdiv(len(tables), frames))](
            base, expression, conditions, tables, start, stop, tables.shape[1], expression.shape[1], len(tables),
            COMPONENTS=len(expression), FRAMES=frames, BLOCK=COLUMNS, **WIDE,
        )  # fmt: skip

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
        of_base, of_expression = moments
        rows = 1 + (len(expression) if expression.shape[1] else 0)
        triton_grid.adam_tables[(triton.cdiv(stop - start, COLUMNS), rows)](
            base, of_base.first, of_base.second, expression, of_expression.first, of_expression.second, gradients,
            conditions, start, stop, gradients.shape[1], expression.shape[1], len(gradients), rates.rate,
            rates.correction, rates.beta1, rates.beta2, rates.tiny, COMPONENTS=len(expression), BLOCK=COLUMNS,
            **WIDE,
        )  # fmt: skip

    def _moved(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def _starts(counts: Tensor) -> Tensor:
    """Place (R,) of each ray's first sample."""
    return (counts.cumsum(0) - counts).to(torch.int32)
