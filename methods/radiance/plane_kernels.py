"""Numba kernels of three hash planes: encoding and its gradient.

Knows arrays only. Generic in the float type of the arrays, as grid_kernels; a plane's table lies behind the previous.
"""

# mypy: disable-error-code="no-untyped-def"
# (numba infers the types of arguments; shapes are in the docstrings)

from __future__ import annotations

from numba import njit, uint32

from .grid_kernels import PRIME_Y
from .jit import kernel


@njit(inline="always")
def _corners(x, y, side, dense, mask):
    """Indices of the four corners of cell (x, y) in one level's table, x fastest."""
    x1 = x + uint32(1)
    if dense:
        i = x + side * y
        return i, i + uint32(1), i + side, i + side + uint32(1)
    y0 = y * PRIME_Y
    y1 = y0 + PRIME_Y
    return (x ^ y0) & mask, (x1 ^ y0) & mask, (x ^ y1) & mask, (x1 ^ y1) & mask


@kernel
def encode(points, table, axes, scales, offsets, dense, mask, features):
    """Bilinear features of all planes: points (M, 3) in [0, 1), table (E, 2), axes (3, 2) of the planes, scales (L,) =
    resolution of each level in the table's float type, offsets (L + 1,) within a plane, dense (L,) bool → features
    (M, 6·L), plane after plane."""
    one = points.dtype.type(1)
    levels = scales.shape[0]
    for first in range(0, points.shape[0], 512):  # the block's rows of `features` stay in L1 over all levels
        for plane in range(axes.shape[0]):
            a, b = axes[plane, 0], axes[plane, 1]
            own = table[plane * offsets[levels] : (plane + 1) * offsets[levels]]
            for level in range(levels):
                scale = scales[level]
                side = uint32(scale) + uint32(1)
                part = own[offsets[level] : offsets[level + 1]]
                is_dense = dense[level]
                column = 2 * (plane * levels + level)
                block = points[first : first + 512]
                out = features[first : first + 512, column : column + 2]
                for m in range(block.shape[0]):
                    px = block[m, a] * scale
                    py = block[m, b] * scale
                    x = uint32(px)
                    y = uint32(py)
                    fx = px - points.dtype.type(x)
                    fy = py - points.dtype.type(y)
                    i = _corners(x, y, side, is_dense, mask)
                    for f in range(2):
                        low = part[i[0], f] * (one - fx) + part[i[1], f] * fx
                        high = part[i[2], f] * (one - fx) + part[i[3], f] * fx
                        out[m, f] = low * (one - fy) + high * fy


@kernel
def encode_backward(points, axes, scales, offsets, dense, mask, grad_features, grad_table):
    """Adds to grad_table (E, 2) what grad_features (M, 6·L) sends back through `encode`."""
    one = points.dtype.type(1)
    levels = scales.shape[0]
    for plane in range(axes.shape[0]):
        a, b = axes[plane, 0], axes[plane, 1]
        own = grad_table[plane * offsets[levels] : (plane + 1) * offsets[levels]]
        for level in range(levels):  # one level at a time: its slice of the table stays in L2
            scale = scales[level]
            side = uint32(scale) + uint32(1)
            part = own[offsets[level] : offsets[level + 1]]
            is_dense = dense[level]
            column = 2 * (plane * levels + level)
            for m in range(points.shape[0]):
                px = points[m, a] * scale
                py = points[m, b] * scale
                x = uint32(px)
                y = uint32(py)
                fx = px - points.dtype.type(x)
                fy = py - points.dtype.type(y)
                i = _corners(x, y, side, is_dense, mask)
                for f in range(2):
                    g = grad_features[m, column + f]
                    part[i[0], f] += g * (one - fx) * (one - fy)
                    part[i[1], f] += g * fx * (one - fy)
                    part[i[2], f] += g * (one - fx) * fy
                    part[i[3], f] += g * fx * fy
