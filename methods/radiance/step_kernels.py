"""The numba kernel of one training frame: samples through the field, the loss, and its gradients on the way back.

Rays are independent, so whole rays go through in blocks whose activations stay in cache. Knows arrays only; generic in
their float type.
"""

# mypy: disable-error-code="no-untyped-def"
# (numba infers the types of arguments; shapes are in the docstrings)

from __future__ import annotations

import numpy as np

from .field_kernels import (
    ROUND,
    activate_block,
    decode_block,
    dense_layer,
    encode_block,
    gate,
    layer_gradients,
    scatter_block,
    split_layers,
)
from .jit import kernel
from .ray_kernels import ray_gradients

BLOCK = 512  # samples; fewer make sums over a block dear, more leave the L2 cache


@kernel
def frame_gradients(
    points, depths, counts, target, background, surface, settings, table, grid, network, hidden, of_network, weights,
    table_gradient, found,
):  # fmt: skip
    """Loss of one frame's rays, as ray_kernels.ray_gradients defines it, with all gradients.

    points (M, 3), depths (M,) mm, counts (R,), surface (R, 2); settings (7,): that kernel's three, the largest raw
    density, the step in the density's inverse unit, where depths count from and by what they are multiplied. table
    (E, 2), grid as in field_kernels; network (W,): the decoder's flat weights, `hidden` numbers wide. Written: weights
    (M,), table_gradient (E, 2) and of_network (W,).

    Where found (4, M) is not empty, only the field is asked for: density, red, green and blue go there, counts is any
    division of the points, and of the rest all but settings, table, grid and network is left alone. (A kernel for that
    alone would take a tenth of all compiling.)
    """
    dtype = points.dtype
    size = counts.shape[0]
    wide = BLOCK
    for count in counts:
        wide = max(wide, (count + ROUND - 1) // ROUND * ROUND)
    layers = split_layers(network, 2 * grid[0].shape[0], hidden)
    of_layers = split_layers(of_network, 2 * grid[0].shape[0], hidden)
    w1, b1, w2, _, w3, _ = layers
    back0, back1, back2 = _transposed(w1), _transposed(w2), _transposed(w3)
    no_bias, no_bias1 = np.zeros(w1.shape[0], dtype), np.zeros(b1.shape[0], dtype)
    place, features = np.empty(3 * wide, dtype), np.empty(w1.shape[0] * wide, dtype)
    hidden1, hidden2 = np.empty(b1.shape[0] * wide, dtype), np.empty(b1.shape[0] * wide, dtype)
    pull1, pull2 = np.empty(b1.shape[0] * wide, dtype), np.empty(b1.shape[0] * wide, dtype)
    raw, values, gradient = np.empty(4 * wide, dtype), np.empty((4, wide), dtype), np.empty((4, wide), dtype)
    flat, depth, step = gradient.reshape(-1), np.empty(wide, dtype), settings[4:5]
    # features' gradients of all samples, then one scatter a level: its slice of the table stays in cache
    stride = 0 if found.shape[1] else (points.shape[0] + ROUND - 1) // ROUND * ROUND
    of_features, places = np.zeros(w1.shape[0] * stride, dtype), np.zeros(3 * stride, dtype)
    of_network[:] = 0
    none = dtype.type(-np.inf)
    loss = 0.0
    # plain numbers would compile what they are passed to once for each
    ray = start = np.int64(0)
    three, four = np.int64(3), np.int64(4)
    while ray < size:
        first, stop = ray, start
        while ray < size and stop - start + counts[ray] <= wide:
            stop += counts[ray]
            ray += 1
        count = _lay_out(points[start:stop], place)
        encode_block(place, table, grid, features, count)
        decode_block(features, layers, hidden1, hidden2, raw, count)
        activate_block(raw, values, settings[3], count)
        if found.shape[1]:
            _copy_rows(values.reshape(-1), four, stop - start, found.reshape(-1), start)
            start = stop
            continue
        for c in range(4):
            gradient[c, stop - start : count] = 0
        for m in range(start, stop):
            depth[m - start] = (depths[m] - settings[5]) * settings[6]
        loss += ray_gradients(
            values, depth, counts[first:ray], step, target[first:ray], background[first:ray], surface[first:ray],
            settings, weights[start:stop], gradient,
        )  # fmt: skip
        layer_gradients(hidden2, flat, of_layers[4], of_layers[5], count)
        dense_layer(flat, back2, no_bias1, pull2, none, count)
        gate(hidden2, pull2, b1.shape[0], count)
        layer_gradients(hidden1, pull2, of_layers[2], of_layers[3], count)
        dense_layer(pull2, back1, no_bias1, pull1, none, count)
        gate(hidden1, pull1, b1.shape[0], count)
        layer_gradients(features, pull1, of_layers[0], of_layers[1], count)
        dense_layer(pull1, back0, no_bias, features, none, count)  # the features have been used
        _copy_rows(features, w1.shape[0], stop - start, of_features, start)
        _copy_rows(place, three, stop - start, places, start)
        start = stop
    if found.shape[1]:
        return loss
    table_gradient[:] = 0
    scatter_block(places, grid, of_features, table_gradient, stride)
    return loss


@kernel
def _lay_out(points, place):
    """points (M, 3) axis by axis into place (3 · stride,), padded with zeros; returns the padded count."""
    count = (points.shape[0] + ROUND - 1) // ROUND * ROUND
    stride = place.shape[0] // 3
    for axis in range(3):
        for m in range(points.shape[0]):
            place[axis * stride + m] = points[m, axis]
        for m in range(points.shape[0], count):
            place[axis * stride + m] = 0
    return count


@kernel
def _transposed(weights):
    turned = np.empty((weights.shape[1], weights.shape[0]), weights.dtype)
    for k in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            turned[j, k] = weights[k, j]
    return turned


@kernel
def _copy_rows(source, rows, count, target, start):
    """The first `count` numbers of each of a flat array's rows to place `start` of another's."""
    width, stride = source.shape[0] // rows, target.shape[0] // rows
    for row in range(rows):
        for m in range(count):
            target[row * stride + start + m] = source[row * width + m]
