"""The radiance field's parameters: hash-grid tables that an expression blends, and the decoder behind them.

Knows no camera, no images and no training; arithmetic comes from Operations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from .config import RadianceConfig
from .operations import Decoder, GridLayout, Operations, grid_layout
from .workers import Workers, spans

COLUMNS = 32_768  # table columns of one blending or updating task


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Parameters; changed in place by the trainer and never otherwise.

    The table of a frame is base + Σ conditionₖ · expressionₖ on the leading levels (NeRFBlendShape, Gao et al. 2022,
    with components instead of blendshapes), flattened to (2 · entries,).
    """

    layout: GridLayout
    base: Tensor  # (P,) with P = 2 · entries
    expression: Tensor  # (C, Q), Q = 2 · entries of the blended levels
    decoder: Decoder

    def tables(self, conditions: Tensor, operations: Operations, workers: Workers | None = None) -> Tensor:
        """Blended tables (N, P) of conditions (N, C)."""
        out = torch.empty(len(conditions), len(self.base), dtype=self.base.dtype, device=self.base.device)

        def run(columns: tuple[int, int]) -> None:
            operations.blend(self.base, self.expression, conditions, columns, out)

        pieces = pieces_of(len(self.base), COLUMNS, operations)
        if workers is None:
            for piece in pieces:
                run(piece)
        else:
            workers.map(run, pieces)
        return out

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Field:
        """The same parameters on a device; tables in another type where one is given. Shares what is there already."""
        decoder = replace(self.decoder, weights=self.decoder.weights.to(device))
        base, expression = self.base.to(device, dtype), self.expression.to(device, dtype)
        return replace(self, base=base, expression=expression, decoder=decoder)


def pieces_of(length: int, size: int, operations: Operations) -> list[tuple[int, int]]:
    """[0, length) cut into tasks of `size` for threads, or whole where the backend takes one call at a time."""
    return spans(length, size if operations.concurrent else max(1, length))


def field_layout(config: RadianceConfig) -> GridLayout:
    """The hash grid of a configuration."""
    return grid_layout(config.levels, config.base_resolution, config.finest_resolution, config.table_log2)


def new_field(config: RadianceConfig, components: int, seed: int) -> Field:
    """An untrained field: tiny tables, no effect of the condition yet, uniform ±1/√inputs in the decoder."""
    layout = field_layout(config)
    generator = torch.Generator().manual_seed(seed)
    weights = []
    for inputs, outputs in pairwise((layout.features, config.hidden, config.hidden, 4)):
        weights.append((torch.rand((inputs + 1) * outputs, generator=generator) * 2 - 1) / inputs**0.5)
    blended = 2 * layout.offsets[min(config.blended_levels, config.levels)]
    return Field(
        layout=layout,
        base=(torch.rand(2 * layout.entries, generator=generator) * 2 - 1) * 1e-4,
        expression=torch.zeros(components, blended),
        decoder=Decoder(weights=torch.cat(weights), features=layout.features, hidden=config.hidden),
    )
