"""Numba kernels of the whole field on blocks of samples: hash encoding and decoder, forward and backward.

A block lies number by number: flat arrays in which number i of sample m is at i · stride + m, so that sixteen samples
go through every operation together. Counts are padded to ROUND; what the padding holds does not matter, as long as its
points are in [0, 1). Knows arrays only; generic in their float type.
"""

# mypy: disable-error-code="no-untyped-def"
# (numba infers the types of arguments; shapes are in the docstrings)

from __future__ import annotations

import numpy as np
from numba import njit, uint32

from .grid_kernels import PRIME_Y, PRIME_Z
from .jit import kernel
from .lanes import (
    at_least,
    at_most,
    exponential,
    fraction,
    gather_pairs,
    load,
    scatter_pairs,
    spread,
    store,
    total,
    truncated,
    where_above,
)

ROUND = 32  # samples; two vectors at a time keep the adders busy
QUAD = 4  # the decoder's widths are multiples of this


@njit(inline="always")
def split_layers(weights, features, hidden):
    """The decoder's matrices (inputs, outputs) and biases as views into its flat weights (W,), as Decoder.layers."""
    first = (features + 1) * hidden
    second = first + (hidden + 1) * hidden
    return (
        weights[: features * hidden].reshape(features, hidden), weights[features * hidden : first],
        weights[first : second - hidden].reshape(hidden, hidden), weights[second - hidden : second],
        weights[second : second + 4 * hidden].reshape(hidden, 4), weights[second + 4 * hidden :],
    )  # fmt: skip


@njit(inline="always")
def _level(scale, dense, mask):
    """Numbers that make one formula of both ways of indexing a level: factors of y and z, and bits of a row's index
    from the corners' sum (dense levels, x fastest) and from their exclusive or (hashed ones)."""
    side = uint32(scale) + uint32(1)
    if dense:
        return side, uint32(side * side), uint32(0xFFFFFFFF), uint32(0)
    return PRIME_Y, PRIME_Z, uint32(0), mask


@njit(inline="always")
def _cells(points, m, stride, scale, level):
    """Rows of the corners around sixteen points from m on, x fastest, and their trilinear weights in that order."""
    across, along, of_sum, of_hash = level
    px = load(points, m) * scale
    py = load(points, stride + m) * scale
    pz = load(points, 2 * stride + m) * scale
    x, y, z = truncated(px), truncated(py), truncated(pz)
    fx, fy, fz = fraction(px, x), fraction(py, y), fraction(pz, z)
    one = spread(points.dtype.type(1))
    gx, gy, gz = one - fx, one - fy, one - fz
    a, b, c, d = gy * gz, fy * gz, gy * fz, fy * fz
    x1, y0, z0 = x + uint32(1), y * across, z * along
    y1, z1 = y0 + across, z0 + along
    s0, s1, s2, s3 = y0 + z0, y1 + z0, y0 + z1, y1 + z1
    h0, h1, h2, h3 = y0 ^ z0, y1 ^ z0, y0 ^ z1, y1 ^ z1
    rows = (
        ((x + s0) & of_sum) ^ ((x ^ h0) & of_hash), ((x1 + s0) & of_sum) ^ ((x1 ^ h0) & of_hash),
        ((x + s1) & of_sum) ^ ((x ^ h1) & of_hash), ((x1 + s1) & of_sum) ^ ((x1 ^ h1) & of_hash),
        ((x + s2) & of_sum) ^ ((x ^ h2) & of_hash), ((x1 + s2) & of_sum) ^ ((x1 ^ h2) & of_hash),
        ((x + s3) & of_sum) ^ ((x ^ h3) & of_hash), ((x1 + s3) & of_sum) ^ ((x1 ^ h3) & of_hash),
    )  # fmt: skip
    return rows, (gx * a, fx * a, gx * b, fx * b, gx * c, fx * c, gx * d, fx * d)


@kernel
def encode_block(points, table, grid, features, count):
    """Trilinear hash-grid features: points (3 · stride,), table (E, 2), grid = (scales (L,), offsets (L + 1,),
    dense (L,), mask) as grid_kernels.encode takes them → features (2 · L · stride,)."""
    scales, offsets, dense, mask = grid
    stride = points.shape[0] // 3
    for row in range(scales.shape[0]):
        part, scale = table[offsets[row] : offsets[row + 1]], scales[row]
        level = _level(scale, dense[row], mask)
        for m in range(0, count, 16):
            i, w = _cells(points, m, stride, scale, level)
            u, v = gather_pairs(part, i[0])
            first, second = w[0] * u, w[0] * v
            u, v = gather_pairs(part, i[1])
            first, second = first + w[1] * u, second + w[1] * v
            u, v = gather_pairs(part, i[2])
            first, second = first + w[2] * u, second + w[2] * v
            u, v = gather_pairs(part, i[3])
            first, second = first + w[3] * u, second + w[3] * v
            u, v = gather_pairs(part, i[4])
            first, second = first + w[4] * u, second + w[4] * v
            u, v = gather_pairs(part, i[5])
            first, second = first + w[5] * u, second + w[5] * v
            u, v = gather_pairs(part, i[6])
            first, second = first + w[6] * u, second + w[6] * v
            u, v = gather_pairs(part, i[7])
            first, second = first + w[7] * u, second + w[7] * v
            store(features, 2 * row * stride + m, first)
            store(features, (2 * row + 1) * stride + m, second)


@kernel
def dense_layer(source, weights, bias, out, least, count):
    """out (J · stride,) = source (K · stride,) through weights (K, J) and bias (J,), at least `least`: 0 makes
    it a ReLU, −inf nothing."""
    stride = out.shape[0] // weights.shape[1]
    for j in range(0, weights.shape[1], 4):
        for m in range(0, count, 32):
            # four outputs of 32 samples stay in registers over all inputs
            a0 = b0 = spread(bias[j])
            a1 = b1 = spread(bias[j + 1])
            a2 = b2 = spread(bias[j + 2])
            a3 = b3 = spread(bias[j + 3])
            for k in range(weights.shape[0]):
                a, b = load(source, k * stride + m), load(source, k * stride + m + 16)
                w0, w1, w2, w3 = weights[k, j], weights[k, j + 1], weights[k, j + 2], weights[k, j + 3]
                a0, b0 = a0 + w0 * a, b0 + w0 * b
                a1, b1 = a1 + w1 * a, b1 + w1 * b
                a2, b2 = a2 + w2 * a, b2 + w2 * b
                a3, b3 = a3 + w3 * a, b3 + w3 * b
            a0, b0 = at_least(a0, least), at_least(b0, least)
            a1, b1 = at_least(a1, least), at_least(b1, least)
            a2, b2 = at_least(a2, least), at_least(b2, least)
            a3, b3 = at_least(a3, least), at_least(b3, least)
            at = j * stride + m
            store(out, at, a0)
            store(out, at + 16, b0)
            store(out, at + stride, a1)
            store(out, at + stride + 16, b1)
            store(out, at + 2 * stride, a2)
            store(out, at + 2 * stride + 16, b2)
            store(out, at + 3 * stride, a3)
            store(out, at + 3 * stride + 16, b3)


@kernel
def decode_block(features, layers, hidden1, hidden2, raw, count):
    """features (F · stride,) → both hidden layers (H · stride,) after ReLU and raw outputs (4 · stride,); layers as
    split_layers gives them."""
    w1, b1, w2, b2, w3, b3 = layers
    zero = raw.dtype.type(0)
    dense_layer(features, w1, b1, hidden1, zero, count)
    dense_layer(hidden1, w2, b2, hidden2, zero, count)
    dense_layer(hidden2, w3, b3, raw, raw.dtype.type(-np.inf), count)


@kernel
def activate_block(raw, values, most, count):
    """Raw outputs (4 · stride,) → density, red, green, blue (4, stride); `most`: largest raw density before exp."""
    one, minus = spread(raw.dtype.type(1)), raw.dtype.type(-1)
    flat, stride = values.reshape(-1), values.shape[1]
    for m in range(0, count, 16):
        store(flat, m, exponential(at_most(load(raw, m), most)))
        for c in range(1, 4):
            store(flat, c * stride + m, one / (one + exponential(load(raw, c * stride + m) * minus)))


@kernel
def layer_gradients(source, gradient, of_weights, of_bias, count):
    """Adds to of_weights (K, J) and of_bias (J,) what gradient (J · stride,) of a layer's outputs means for them, its
    inputs having been source (K · stride,). Padding must be zero in gradient."""
    zero, stride = of_bias.dtype.type(0), gradient.shape[0] // of_bias.shape[0]
    for j in range(0, of_weights.shape[1], 2):
        sum0 = sum1 = spread(zero)
        for m in range(0, count, 16):
            sum0, sum1 = sum0 + load(gradient, j * stride + m), sum1 + load(gradient, (j + 1) * stride + m)
        of_bias[j] += total(sum0)
        of_bias[j + 1] += total(sum1)
        for k in range(0, of_weights.shape[0], 4):
            # eight products stay in registers over all samples
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = spread(zero)
            for m in range(0, count, 16):
                a, b = load(gradient, j * stride + m), load(gradient, (j + 1) * stride + m)
                at = k * stride + m
                s0, s1 = load(source, at), load(source, at + stride)
                s2, s3 = load(source, at + 2 * stride), load(source, at + 3 * stride)
                a0, a1, a2, a3 = a0 + a * s0, a1 + a * s1, a2 + a * s2, a3 + a * s3
                b0, b1, b2, b3 = b0 + b * s0, b1 + b * s1, b2 + b * s2, b3 + b * s3
            of_weights[k, j] += total(a0)
            of_weights[k + 1, j] += total(a1)
            of_weights[k + 2, j] += total(a2)
            of_weights[k + 3, j] += total(a3)
            of_weights[k, j + 1] += total(b0)
            of_weights[k + 1, j + 1] += total(b1)
            of_weights[k + 2, j + 1] += total(b2)
            of_weights[k + 3, j + 1] += total(b3)


@kernel
def gate(hidden, gradient, rows, count):
    """Gradients behind a ReLU → before it: gradient (rows · stride,) becomes 0 where hidden is."""
    zero, stride = hidden.dtype.type(0), hidden.shape[0] // rows
    for row in range(rows):
        for m in range(row * stride, row * stride + count, 16):
            store(gradient, m, where_above(load(hidden, m), zero, load(gradient, m)))


@kernel
def scatter_block(points, grid, of_features, table_gradient, count):
    """Adds to table_gradient (E, 2) what of_features (2 · L · stride,), zero in the padding, sends back through
    encode_block."""
    scales, offsets, dense, mask = grid
    stride = points.shape[0] // 3
    for row in range(scales.shape[0]):  # one level at a time: its slice of the table stays in L2
        part, scale = table_gradient[offsets[row] : offsets[row + 1]], scales[row]
        level = _level(scale, dense[row], mask)
        for m in range(0, count, 16):
            i, w = _cells(points, m, stride, scale, level)
            u, v = load(of_features, 2 * row * stride + m), load(of_features, (2 * row + 1) * stride + m)
            scatter_pairs(part, i[0], w[0] * u, w[0] * v)
            scatter_pairs(part, i[1], w[1] * u, w[1] * v)
            scatter_pairs(part, i[2], w[2] * u, w[2] * v)
            scatter_pairs(part, i[3], w[3] * u, w[3] * v)
            scatter_pairs(part, i[4], w[4] * u, w[4] * v)
            scatter_pairs(part, i[5], w[5] * u, w[5] * v)
            scatter_pairs(part, i[6], w[6] * u, w[6] * v)
            scatter_pairs(part, i[7], w[7] * u, w[7] * v)
