"""The field's arithmetic with tiny-cuda-nn's hash grid, where its package is installed. Only encoding is different.

In tiny-cuda-nn (include/tiny-cuda-nn/encodings/grid.h) level l has scale base_resolution · per_level_scale^l − 1 and
⌈scale⌉ + 1 corners a side, and is looked at in point · scale + ½. Levels of one grid therefore are not ours, whose
cells are rounded to whole numbers and whose corners lie on the box. As a grid of its own, each of our levels can be
had exactly: base_resolution = cells + 1, and points moved by −½ cell. What is left is rounding, and padding of dense
levels to eight entries. So a portrait may be trained with one backend and rendered with the other.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from .layouts import GridLayout, Layout
from .operations import Decoder, FrameLoss, Samples, Targets
from .triton_operations import TritonOperations
from .triton_shapes import Precision, as_grid, gradient_scale

ENTRIES_ALIGNED = 8  # tiny-cuda-nn rounds the entries of a level up to a multiple of this


class TinyCudaOperations(TritonOperations):
    """Implements Operations; rays, decoder, updates and whole frames are the triton backend's."""

    name = "tinycudann"

    def __init__(self, device: torch.device, precision: Precision = "mixed") -> None:
        super().__init__(device, precision)
        self.table_dtype = None  # its grids take float32
        self._grids: dict[GridLayout, list[Any]] = {}

    def evaluate(self, points: Tensor, table: Tensor, decoder: Decoder, layout: Layout) -> tuple[Tensor, Tensor]:
        if not len(points):
            return super().evaluate(points, table, decoder, layout)
        with torch.no_grad():
            return self.decode(self._encode(points, table, as_grid(layout)), decoder)

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
        if not len(samples.points):
            return super().frame_loss(samples, targets, table, decoder, layout, step_mm, table_gradient)
        table = table.detach().requires_grad_()
        features = self._encode(samples.points, table, as_grid(layout))
        density, colour = self.decode(features.detach(), decoder)
        loss, weights, gradient = self.ray_loss(samples, targets, density, colour, step_mm)
        of_features, of_network = self.decode_backward(
            features.detach(), gradient, decoder, gradient_scale(samples, targets)
        )
        (of_table,) = torch.autograd.grad(features, table, of_features)
        table_gradient.copy_(of_table)
        return FrameLoss(loss=float(loss), network=of_network, weights=weights)

    def _encode(self, points: Tensor, table: Tensor, layout: GridLayout) -> Tensor:
        """Features (M, 2·levels) float32."""
        grids = self._grids.setdefault(layout, []) or self._open(layout)
        features = []
        for level, grid in enumerate(grids):
            first, last = 2 * layout.offsets[level], 2 * layout.offsets[level + 1]
            own = pad(table[first:last], (0, 2 * level_entries(layout, level) - (last - first)))
            moved = points - 0.5 / layout.resolutions[level]
            features.append(torch.func.functional_call(grid, {"params": own}, (moved,)))
        return torch.cat(features, dim=1).float().contiguous()

    def _open(self, layout: GridLayout) -> list[Any]:
        import tinycudann

        for level in range(len(layout.resolutions)):
            grid = tinycudann.Encoding(3, level_config(layout, level), dtype=torch.float32)
            self._grids[layout].append(grid.to(self.device))
        return self._grids[layout]


def level_config(layout: GridLayout, level: int) -> dict[str, str | int | float]:
    """tiny-cuda-nn's configuration of one of our levels as a grid of a single level."""
    return {
        "otype": "HashGrid",
        "n_levels": 1,
        "n_features_per_level": 2,
        "log2_hashmap_size": layout.log2_size,
        "base_resolution": layout.resolutions[level] + 1,
        "per_level_scale": 1.0,
        "interpolation": "Linear",
    }


def level_entries(layout: GridLayout, level: int) -> int:
    """Entries that tiny-cuda-nn gives that level."""
    corners = (layout.resolutions[level] + 1) ** 3
    aligned = -(-corners // ENTRIES_ALIGNED) * ENTRIES_ALIGNED
    return min(aligned, 1 << layout.log2_size)
