"""Numba kernels of the hash grid: encoding and its gradient.

Knows arrays only. Generic in the float type of the arrays; literals are cast so that float32 stays float32.
"""

# mypy: disable-error-code="no-untyped-def"
# (numba infers the types of arguments; shapes are in the docstrings)

from __future__ import annotations

import numpy as np
from numba import njit, uint32

from .jit import kernel

PRIME_Y = np.uint32(2654435761)  # Müller et al. 2022, eq. 4
PRIME_Z = np.uint32(805459861)


@njit(inline="always")
def _corners(x, y, z, side, dense, mask):
    """Indices of the eight corners of cell (x, y, z) in one level's table, x fastest."""
    if dense:
        i = x + side * (y + side * z)
        j = i + side * side
        return i, i + uint32(1), i + side, i + side + uint32(1), j, j + uint32(1), j + side, j + side + uint32(1)
    x1 = x + uint32(1)
    y0 = y * PRIME_Y
    y1 = y0 + PRIME_Y
    z0 = z * PRIME_Z
    z1 = z0 + PRIME_Z
    a = y0 ^ z0
    b = y1 ^ z0
    c = y0 ^ z1
    d = y1 ^ z1
    return (
        (x ^ a) & mask, (x1 ^ a) & mask, (x ^ b) & mask, (x1 ^ b) & mask,
        (x ^ c) & mask, (x1 ^ c) & mask, (x ^ d) & mask, (x1 ^ d) & mask,
    )  # fmt: skip


@njit(inline="always")
def _weights(fx, fy, fz, one):
    """Trilinear weights in the order of _corners."""
    gx = one - fx
    gy = one - fy
    gz = one - fz
    a = gy * gz
    b = fy * gz
    c = gy * fz
    d = fy * fz
    return gx * a, fx * a, gx * b, fx * b, gx * c, fx * c, gx * d, fx * d


@kernel
def encode(points, table, scales, offsets, dense, mask, features):
    """Trilinear hash-grid features: points (M, 3) in [0, 1), table (E, 2), scales (L,) = resolution of each level in
    the table's float type, offsets (L + 1,), dense (L,) bool → features (M, 2·L)."""
    one = points.dtype.type(1)
    for first in range(0, points.shape[0], 512):  # the block's rows of `features` stay in L1 over all levels
        for level in range(scales.shape[0]):
            scale = scales[level]
            side = uint32(scale) + uint32(1)
            part = table[offsets[level] : offsets[level + 1]]
            is_dense = dense[level]
            block = points[first : first + 512]
            out = features[first : first + 512, 2 * level : 2 * level + 2]
            for m in range(block.shape[0]):
                px = block[m, 0] * scale
                py = block[m, 1] * scale
                pz = block[m, 2] * scale
                x = uint32(px)
                y = uint32(py)
                z = uint32(pz)
                i = _corners(x, y, z, side, is_dense, mask)
                w = _weights(px - points.dtype.type(x), py - points.dtype.type(y), pz - points.dtype.type(z), one)
                for f in range(2):
                    out[m, f] = (
                        w[0] * part[i[0], f] + w[1] * part[i[1], f] + w[2] * part[i[2], f] + w[3] * part[i[3], f]
                        + w[4] * part[i[4], f] + w[5] * part[i[5], f] + w[6] * part[i[6], f] + w[7] * part[i[7], f]
                    )  # fmt: skip


@kernel
def encode_backward(points, scales, offsets, dense, mask, grad_features, grad_table):
    """Adds to grad_table (E, 2) what grad_features (M, 2·L) sends back through `encode`."""
    one = points.dtype.type(1)
    for level in range(scales.shape[0]):  # one level at a time: its slice of the table stays in L2
        scale = scales[level]
        side = uint32(scale) + uint32(1)
        part = grad_table[offsets[level] : offsets[level + 1]]
        is_dense = dense[level]
        for m in range(points.shape[0]):
            px = points[m, 0] * scale
            py = points[m, 1] * scale
            pz = points[m, 2] * scale
            x = uint32(px)
            y = uint32(py)
            z = uint32(pz)
            i = _corners(x, y, z, side, is_dense, mask)
            w = _weights(px - points.dtype.type(x), py - points.dtype.type(y), pz - points.dtype.type(z), one)
            for f in range(2):
                g = grad_features[m, 2 * level + f]
                part[i[0], f] += g * w[0]
                part[i[1], f] += g * w[1]
                part[i[2], f] += g * w[2]
                part[i[3], f] += g * w[3]
                part[i[4], f] += g * w[4]
                part[i[5], f] += g * w[5]
                part[i[6], f] += g * w[6]
                part[i[7], f] += g * w[7]
