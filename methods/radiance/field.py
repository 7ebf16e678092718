"""The radiance field's parameters: its encoding's tables, the decoder behind them, and where the condition enters.

One class for every kind of field (RadianceConfig.field). Knows no camera, no images and no training; arithmetic comes
from Operations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from .config import RadianceConfig
from .layouts import FrequencyLayout, GridLayout, Layout, grid_layout, plane_layout
from .operations import Decoder, Operations
from .workers import Workers, spans

COLUMNS = 32_768  # table columns of one blending or updating task


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Parameters; changed in place by the trainer and never otherwise.

    The table of a frame is base + Σ conditionₖ · expressionₖ on the leading levels (NeRFBlendShape, Gao et al. 2022,
    with components instead of blendshapes), flattened to (2 · entries,). Its decoder has condition @ bias added to the
    bias of layer 1, which is what a network does that takes the condition beside the encoded point, and costs nothing
    a sample. A kind of field has one of the two: the other is empty.
    """

    layout: Layout
    base: Tensor  # (P,) with P = 2 · entries
    expression: Tensor  # (C, Q), Q = 2 · entries of the blended levels, 0 where tables are not blended
    bias: Tensor  # (C, H) on layer 1's bias; (C, 0) where tables are blended
    decoder: Decoder

    @property
    def trained(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What an optimiser changes: base, expression, the decoder's flat weights, bias."""
        return self.base, self.expression, self.decoder.weights, self.bias

    def tables(
        self, conditions: Tensor, operations: Operations, workers: Workers | None = None, room: Tensor | None = None
    ) -> Tensor:
        """Tables (N, P) of conditions (N, C): blended, into `room` where it fits, or the one table seen N times."""
        kind = operations.table_dtype or self.base.dtype
        if not self.expression.shape[1]:
            return self.base.to(kind).expand(len(conditions), -1)
        shape = (len(conditions), len(self.base))
        if room is None or room.shape != shape:
            room = torch.empty(shape, dtype=kind, device=self.base.device)
        out = room

        def run(columns: tuple[int, int]) -> None:
            operations.blend(self.base, self.expression, conditions, columns, out)

        pieces = pieces_of(len(self.base), COLUMNS, operations)
        if workers is None:
            for piece in pieces:
                run(piece)
        else:
            workers.map(run, pieces)
        return out

    def decoders(self, conditions: Tensor) -> list[Decoder]:
        """The decoder of each condition (N, C)."""
        if not self.bias.shape[1]:
            return [self.decoder] * len(conditions)
        weights = self.decoder.weights.repeat(len(conditions), 1)
        weights[:, self.decoder.first_bias] += conditions @ self.bias
        return [replace(self.decoder, weights=row) for row in weights]

    def bias_gradient(self, conditions: Tensor, networks: Tensor) -> Tensor:
        """∂bias (C, H) from conditions (N, C) and gradients (N, W) of the flat weights of their decoders."""
        return conditions.T @ networks[:, self.decoder.first_bias]

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Field:
        """The same parameters on a device; tables in another type where one is given. Shares what is there already."""
        decoder = replace(self.decoder, weights=self.decoder.weights.to(device))
        base, expression = self.base.to(device, dtype), self.expression.to(device, dtype)
        return replace(self, base=base, expression=expression, bias=self.bias.to(device), decoder=decoder)


def pieces_of(length: int, size: int, operations: Operations) -> list[tuple[int, int]]:
    """[0, length) cut into tasks of `size` for threads, or whole where the backend takes one call at a time."""
    return spans(length, size if operations.concurrent else max(1, length))


def field_layout(config: RadianceConfig) -> Layout:
    """The shape of a configuration's encoding."""
    shape = (config.levels, config.base_resolution, config.finest_resolution, config.table_log2)
    if config.field == "frequency":
        return FrequencyLayout(octaves=config.frequencies)
    return plane_layout(*shape) if config.field == "triplane" else grid_layout(*shape)


def new_field(config: RadianceConfig, components: int, seed: int) -> Field:
    """An untrained field: tiny tables, no effect of the condition yet, uniform ±1/√inputs in the decoder."""
    layout = field_layout(config)
    generator = torch.Generator().manual_seed(seed)
    weights = []
    for inputs, outputs in pairwise((layout.features, config.hidden, config.hidden, 4)):
        weights.append((torch.rand((inputs + 1) * outputs, generator=generator) * 2 - 1) / inputs**0.5)
    blended = blended_columns(config, layout)
    return Field(
        layout=layout,
        base=(torch.rand(2 * layout.entries, generator=generator) * 2 - 1) * 1e-4,
        expression=torch.zeros(components, blended),
        bias=torch.zeros(components, 0 if config.field == "blended" else config.hidden),
        decoder=Decoder(weights=torch.cat(weights), features=layout.features, hidden=config.hidden),
    )


def blended_columns(config: RadianceConfig, layout: Layout) -> int:
    """Columns of the table that the condition blends."""
    if config.field != "blended" or not isinstance(layout, GridLayout):
        return 0
    return 2 * layout.offsets[min(config.blended_levels, config.levels)]
