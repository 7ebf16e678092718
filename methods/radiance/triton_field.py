"""Triton kernels of the decoder: features through two hidden layers to density and colour, and all gradients.

Knows arrays only. Flat weights as operations.Decoder lays them out; matrices are padded with zeros to the 16 columns
that tensor cores take at least. OPERAND is the type of the factors of matrix products; sums are float32.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,no-any-return,untyped-decorator"
# (triton infers the types of arguments; shapes are in the docstrings)

from __future__ import annotations

import triton
import triton.language as tl

from .triton_grid import encode_tile

OUTPUTS = tl.constexpr(16)  # density, colour and padding


@triton.jit
def load_matrix(weights, START, ROWS, COLUMNS, PADDED_ROWS: tl.constexpr, PADDED_COLUMNS: tl.constexpr):
    """(ROWS, COLUMNS) at START of the flat weights, padded with zeros."""
    row, column = tl.arange(0, PADDED_ROWS)[:, None], tl.arange(0, PADDED_COLUMNS)[None, :]
    return tl.load(weights + START + row * COLUMNS + column, mask=(row < ROWS) & (column < COLUMNS), other=0)


@triton.jit
def load_layers(weights, FEATURES: tl.constexpr, HIDDEN: tl.constexpr, WIDE: tl.constexpr, TALL: tl.constexpr):
    """The three matrices and biases; WIDE and TALL are FEATURES and HIDDEN after padding."""
    B1: tl.constexpr = FEATURES * HIDDEN
    W2: tl.constexpr = B1 + HIDDEN
    B2: tl.constexpr = W2 + HIDDEN * HIDDEN
    W3: tl.constexpr = B2 + HIDDEN
    B3: tl.constexpr = W3 + HIDDEN * 4
    w1 = load_matrix(weights, 0, FEATURES, HIDDEN, WIDE, TALL)
    b1 = load_matrix(weights, B1, 1, HIDDEN, 1, TALL)
    w2 = load_matrix(weights, W2, HIDDEN, HIDDEN, TALL, TALL)
    b2 = load_matrix(weights, B2, 1, HIDDEN, 1, TALL)
    w3 = load_matrix(weights, W3, HIDDEN, 4, TALL, OUTPUTS)
    b3 = load_matrix(weights, B3, 1, 4, 1, OUTPUTS)
    return w1, b1, w2, b2, w3, b3


@triton.jit
def product(a, b, OPERAND: tl.constexpr):
    """a @ b in float32 sums of OPERAND factors; float32 factors are not rounded to tf32."""
    return tl.dot(a.to(OPERAND), b.to(OPERAND), input_precision="ieee")


@triton.jit
def decode_tile(features, w1, b1, w2, b2, w3, b3, OPERAND: tl.constexpr):
    """Both hidden layers (POINTS, TALL) after ReLU, and raw outputs (POINTS, OUTPUTS)."""
    hidden1 = tl.maximum(product(features, w1, OPERAND) + b1, 0.0)
    hidden2 = tl.maximum(product(hidden1, w2, OPERAND) + b2, 0.0)
    return hidden1, hidden2, product(hidden2, w3, OPERAND) + b3


@triton.jit
def column_of(tile, COLUMN: tl.constexpr, COLUMNS: tl.constexpr):
    """One column of a tile (POINTS, COLUMNS)."""
    chosen = tl.arange(0, COLUMNS)[None, :] == COLUMN
    return tl.sum(tl.where(chosen, tile, 0.0), axis=1)


@triton.jit
def activate(raw, log_density_max):
    """Density in column 0 and colour in columns 1 to 3 of raw outputs (POINTS, OUTPUTS)."""
    first = tl.arange(0, OUTPUTS)[None, :] == 0
    limited = tl.where(first, tl.minimum(raw, log_density_max), -raw)
    grown = tl.exp(limited)
    return tl.where(first, grown, 1 / (1 + grown))


@triton.jit
def evaluate_field(
    points, table, layout, weights, density, colour, features, count, log_density_max,
    MASK: tl.constexpr, LEVELS: tl.constexpr, WIDTH: tl.constexpr, HIDDEN: tl.constexpr, TALL: tl.constexpr,
    POINTS: tl.constexpr, OPERAND: tl.constexpr, KEEP: tl.constexpr,
):  # fmt: skip
    """Density (M,) and colour (M, 3) at points (M, 3); KEEP also writes features (M, 2·LEVELS) for the gradient."""
    m = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    valid = m < count
    x = tl.load(points + 3 * m, mask=valid, other=0)
    y = tl.load(points + 3 * m + 1, mask=valid, other=0)
    z = tl.load(points + 3 * m + 2, mask=valid, other=0)
    found = encode_tile(x, y, z, valid, table, layout, MASK, LEVELS, WIDTH, POINTS)
    if KEEP:
        f = tl.arange(0, 2 * WIDTH)[None, :]
        tl.store(features + m[:, None] * (2 * LEVELS) + f, found, mask=valid[:, None] & (f < 2 * LEVELS))
    w1, b1, w2, b2, w3, b3 = load_layers(weights, 2 * LEVELS, HIDDEN, 2 * WIDTH, TALL)
    _, _, raw = decode_tile(found, w1, b1, w2, b2, w3, b3, OPERAND)
    out = activate(raw, log_density_max)
    column = tl.arange(0, OUTPUTS)[None, :]
    tl.store(density + m, column_of(out, 0, OUTPUTS), mask=valid)
    at = colour + 3 * m[:, None] + column - 1
    tl.store(at, out, mask=valid[:, None] & (column >= 1) & (column <= 3))


@triton.jit
def decode_features(
    features, weights, density, colour, count, log_density_max,
    FEATURES: tl.constexpr, HIDDEN: tl.constexpr, WIDE: tl.constexpr, TALL: tl.constexpr, POINTS: tl.constexpr,
    OPERAND: tl.constexpr,
):  # fmt: skip
    """Density (M,) and colour (M, 3) of features (M, FEATURES) that another encoder made."""
    m = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    valid = m < count
    f = tl.arange(0, WIDE)[None, :]
    inside = valid[:, None] & (f < FEATURES)
    found = tl.load(features + m[:, None] * FEATURES + f, mask=inside, other=0)
    w1, b1, w2, b2, w3, b3 = load_layers(weights, FEATURES, HIDDEN, WIDE, TALL)
    _, _, raw = decode_tile(found, w1, b1, w2, b2, w3, b3, OPERAND)
    out = activate(raw, log_density_max)
    column = tl.arange(0, OUTPUTS)[None, :]
    tl.store(density + m, column_of(out, 0, OUTPUTS), mask=valid)
    at = colour + 3 * m[:, None] + column - 1
    tl.store(at, out, mask=valid[:, None] & (column >= 1) & (column <= 3))


@triton.jit
def store_matrix(target, values, START, ROWS, COLUMNS, PADDED_ROWS: tl.constexpr, PADDED_COLUMNS: tl.constexpr):
    """The inverse of load_matrix."""
    row, column = tl.arange(0, PADDED_ROWS)[:, None], tl.arange(0, PADDED_COLUMNS)[None, :]
    tl.store(target + START + row * COLUMNS + column, values, mask=(row < ROWS) & (column < COLUMNS))


@triton.jit
def decode_backward(
    features, gradient, weights, of_features, back1, back2, count, scale,
    FEATURES: tl.constexpr, HIDDEN: tl.constexpr, WIDE: tl.constexpr, TALL: tl.constexpr, POINTS: tl.constexpr,
    OPERAND: tl.constexpr,
):  # fmt: skip
    """From the gradient (M, 4) of raw outputs to back2 and back1 (M, HIDDEN), those of the hidden layers before ReLU,
    and of_features (M, FEATURES).

    Hidden layers are computed again from features (M, FEATURES), which costs less than storing them. Gradients are
    multiplied by `scale` on the way, which keeps them in float16's range; back1 and back2 are written so.
    """
    m = tl.program_id(0) * POINTS + tl.arange(0, POINTS)[:, None]
    f, h, o = tl.arange(0, WIDE)[None, :], tl.arange(0, TALL)[None, :], tl.arange(0, OUTPUTS)[None, :]
    w1, b1, w2, b2, w3, b3 = load_layers(weights, FEATURES, HIDDEN, WIDE, TALL)
    found = tl.load(features + m * FEATURES + f, mask=(m < count) & (f < FEATURES), other=0)
    back = tl.load(gradient + m * 4 + o, mask=(m < count) & (o < 4), other=0) * scale
    hidden1, hidden2, _ = decode_tile(found, w1, b1, w2, b2, w3, b3, OPERAND)
    back = tl.where(hidden2 > 0, product(back, tl.trans(w3), OPERAND), 0.0)
    tl.store(back2 + m * HIDDEN + h, back, mask=(m < count) & (h < HIDDEN))
    back = tl.where(hidden1 > 0, product(back, tl.trans(w2), OPERAND), 0.0)
    tl.store(back1 + m * HIDDEN + h, back, mask=(m < count) & (h < HIDDEN))
    back = product(back, tl.trans(w1), OPERAND) / scale
    tl.store(of_features + m * FEATURES + f, back, mask=(m < count) & (f < FEATURES))


@triton.jit
def weight_gradients(
    features, gradient, weights, back1, back2, partial, count, scale,
    FEATURES: tl.constexpr, HIDDEN: tl.constexpr, WIDE: tl.constexpr, TALL: tl.constexpr, POINTS: tl.constexpr,
    OPERAND: tl.constexpr,
):  # fmt: skip
    """Gradients of the flat weights, one row a program: partial (programs, W), whose column sums are the gradient; no
    atomics, so these sums do not depend on timing. Arguments as in decode_backward, from which it is apart because one
    kernel for both spills registers (measured: 64 bytes a thread and more at any number of warps)."""
    program, programs = tl.program_id(0), tl.num_programs(0)
    w1, b1, w2, b2, w3, b3 = load_layers(weights, FEATURES, HIDDEN, WIDE, TALL)
    f, h, o = tl.arange(0, WIDE)[None, :], tl.arange(0, TALL)[None, :], tl.arange(0, OUTPUTS)[None, :]
    of_w1, of_b1 = tl.zeros((WIDE, TALL), tl.float32), tl.zeros((TALL,), tl.float32)
    of_w2, of_b2 = tl.zeros((TALL, TALL), tl.float32), tl.zeros((TALL,), tl.float32)
    of_w3, of_b3 = tl.zeros((TALL, OUTPUTS), tl.float32), tl.zeros((OUTPUTS,), tl.float32)
    for start in range(program * POINTS, count, programs * POINTS):
        m = start + tl.arange(0, POINTS)[:, None]
        found = tl.load(features + m * FEATURES + f, mask=(m < count) & (f < FEATURES), other=0)
        hidden1, hidden2, _ = decode_tile(found, w1, b1, w2, b2, w3, b3, OPERAND)
        back = tl.load(gradient + m * 4 + o, mask=(m < count) & (o < 4), other=0) * scale
        of_w3 += product(tl.trans(hidden2), back, OPERAND)
        of_b3 += tl.sum(back, axis=0)
        back = tl.load(back2 + m * HIDDEN + h, mask=(m < count) & (h < HIDDEN), other=0).to(tl.float32)
        of_w2 += product(tl.trans(hidden1), back, OPERAND)
        of_b2 += tl.sum(back, axis=0)
        back = tl.load(back1 + m * HIDDEN + h, mask=(m < count) & (h < HIDDEN), other=0).to(tl.float32)
        of_w1 += product(tl.trans(found), back, OPERAND)
        of_b1 += tl.sum(back, axis=0)
    B1: tl.constexpr = FEATURES * HIDDEN
    W2: tl.constexpr = B1 + HIDDEN
    B2: tl.constexpr = W2 + HIDDEN * HIDDEN
    W3: tl.constexpr = B2 + HIDDEN
    B3: tl.constexpr = W3 + HIDDEN * 4
    row = partial + program * (B3 + 4)
    store_matrix(row, of_w1 / scale, 0, FEATURES, HIDDEN, WIDE, TALL)
    store_matrix(row, of_b1[None, :] / scale, B1, 1, HIDDEN, 1, TALL)
    store_matrix(row, of_w2 / scale, W2, HIDDEN, HIDDEN, TALL, TALL)
    store_matrix(row, of_b2[None, :] / scale, B2, 1, HIDDEN, 1, TALL)
    store_matrix(row, of_w3 / scale, W3, HIDDEN, 4, TALL, OUTPUTS)
    store_matrix(row, of_b3[None, :] / scale, B3, 1, 4, 1, OUTPUTS)
