"""Triton kernels of the hash grid: encoding and its gradient, blended tables and their Adam step.

Knows arrays only. A level is three int32 numbers: cells per axis, first entry, whether it is dense. Tiles of an
encoding are (levels, points): lanes of a warp hold neighbouring points of one level, which share cache lines.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,no-any-return,untyped-decorator"
# (triton infers the types of arguments; shapes are in the docstrings)

from __future__ import annotations

import triton
import triton.language as tl

PRIME_Y = tl.constexpr(2654435761)  # Müller et al. 2022, eq. 4
PRIME_Z = tl.constexpr(805459861)


@triton.jit
def load_pair(table, entry, mask):
    """Both features of table entries, as float32, in one load: half the requests of two."""
    if table.dtype.element_ty == tl.float16:
        pair = tl.load(table.to(tl.pointer_type(tl.int32)) + entry, mask=mask, other=0)
        first = (pair & 0xFFFF).to(tl.int16).to(tl.float16, bitcast=True)
        second = (pair >> 16).to(tl.int16).to(tl.float16, bitcast=True)
        return first.to(tl.float32), second.to(tl.float32)
    both = tl.load(table.to(tl.pointer_type(tl.int64)) + entry, mask=mask, other=0)
    return both.to(tl.int32).to(tl.float32, bitcast=True), (both >> 32).to(tl.int32).to(tl.float32, bitcast=True)


@triton.jit
def load_levels(layout, LEVELS: tl.constexpr, WIDTH: tl.constexpr):
    """Rows of layout (3, LEVELS) int32 as columns (WIDTH, 1), and which of them are real."""
    level = tl.arange(0, WIDTH)
    real = level < LEVELS
    cells = tl.load(layout + level, mask=real, other=1)
    first = tl.load(layout + LEVELS + level, mask=real, other=0)
    dense = tl.load(layout + 2 * LEVELS + level, mask=real, other=1)
    return cells[:, None], first[:, None], (dense > 0)[:, None], real[:, None]


@triton.jit
def corner_of(px, py, pz, cells, first, dense, MASK: tl.constexpr, CORNER: tl.constexpr):
    """Entry and trilinear weight of one corner (x is bit 0, y bit 1, z bit 2) of scaled points (WIDTH, POINTS)."""
    x, y, z = px.to(tl.int32), py.to(tl.int32), pz.to(tl.int32)
    fx, fy, fz = px - x.to(tl.float32), py - y.to(tl.float32), pz - z.to(tl.float32)
    weight = fx if CORNER & 1 else 1 - fx
    weight *= fy if CORNER & 2 else 1 - fy
    weight *= fz if CORNER & 4 else 1 - fz
    x += CORNER & 1
    y += (CORNER >> 1) & 1
    z += (CORNER >> 2) & 1
    hashed = x.to(tl.uint32) ^ (y.to(tl.uint32) * PRIME_Y) ^ (z.to(tl.uint32) * PRIME_Z)
    side = cells + 1
    entry = tl.where(dense, x + side * (y + side * z), (hashed & MASK).to(tl.int32))
    return first + entry, weight


@triton.jit
def encode_tile(
    x, y, z, valid, table, layout, MASK: tl.constexpr, LEVELS: tl.constexpr, WIDTH: tl.constexpr,
    POINTS: tl.constexpr,
):  # fmt: skip
    """Features (POINTS, 2·WIDTH) of points x, y, z (POINTS,) in [0, 1); zeros beyond LEVELS and where not valid."""
    cells, first, dense, real = load_levels(layout, LEVELS, WIDTH)
    scale = cells.to(tl.float32)
    px, py, pz = x[None, :] * scale, y[None, :] * scale, z[None, :] * scale
    mask = real & valid[None, :]
    total0 = tl.zeros((WIDTH, POINTS), tl.float32)
    total1 = tl.zeros((WIDTH, POINTS), tl.float32)
    for corner in tl.static_range(8):
        entry, weight = corner_of(px, py, pz, cells, first, dense, MASK, corner)
        value0, value1 = load_pair(table, entry, mask)
        total0 += weight * value0
        total1 += weight * value1
    return tl.reshape(tl.permute(tl.join(total0, total1), (1, 0, 2)), (POINTS, 2 * WIDTH))


@triton.jit
def encode_backward(
    points, of_features, of_table, layout, count, MASK: tl.constexpr, LEVELS: tl.constexpr, WIDTH: tl.constexpr,
    POINTS: tl.constexpr,
):  # fmt: skip
    """Adds to of_table (E, 2) what of_features (M, 2·LEVELS) sends back to the corners of points (M, 3).

    Zeros are not sent: points that no light reaches, or whose hidden units are all off, cost no atomics.
    """
    m = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    valid = m < count
    x = tl.load(points + 3 * m, mask=valid, other=0)
    y = tl.load(points + 3 * m + 1, mask=valid, other=0)
    z = tl.load(points + 3 * m + 2, mask=valid, other=0)
    cells, first, dense, real = load_levels(layout, LEVELS, WIDTH)
    scale = cells.to(tl.float32)
    px, py, pz = x[None, :] * scale, y[None, :] * scale, z[None, :] * scale
    mask = real & valid[None, :]
    place = of_features + m[None, :] * (2 * LEVELS) + 2 * tl.arange(0, WIDTH)[:, None]
    back0 = tl.load(place, mask=mask, other=0)
    back1 = tl.load(place + 1, mask=mask, other=0)
    mask = mask & ((back0 != 0) | (back1 != 0))
    for corner in tl.static_range(8):
        entry, weight = corner_of(px, py, pz, cells, first, dense, MASK, corner)
        tl.atomic_add(of_table + 2 * entry, weight * back0, mask=mask, sem="relaxed")
        tl.atomic_add(of_table + 2 * entry + 1, weight * back1, mask=mask, sem="relaxed")


@triton.jit
def blend(
    base, expression, conditions, tables, start, stop, width, blended, frames, COMPONENTS: tl.constexpr,
    FRAMES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """tables (N, width)[:, start:stop] = base (width,) + conditions (N, C) @ expression (C, blended); beyond `blended`
    the base alone. A tile holds the block of all frames, so that each row of `expression` is read once."""
    column = start + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = column < stop
    frame = tl.program_id(1) * FRAMES + tl.arange(0, FRAMES)
    total = tl.zeros((FRAMES, BLOCK), tl.float32) + tl.load(base + column, mask=inside, other=0).to(tl.float32)[None, :]
    for k in range(COMPONENTS):
        row = tl.load(expression + k * blended + column, mask=inside & (column < blended), other=0).to(tl.float32)
        amount = tl.load(conditions + frame * COMPONENTS + k, mask=frame < frames, other=0)
        total += amount[:, None] * row[None, :]
    place = tables + frame[:, None] * width + column[None, :]
    tl.store(place, total.to(tables.dtype.element_ty), mask=(frame < frames)[:, None] & inside[None, :])


@triton.jit
def adam_step(value, first, second, grad, column, inside, rate, correction, beta1, beta2, tiny):
    """Kingma & Ba 2015, algorithm 1, in place at pointers + column."""
    m = beta1 * tl.load(first + column, mask=inside, other=0) + (1 - beta1) * grad
    v = beta2 * tl.load(second + column, mask=inside, other=0) + (1 - beta2) * grad * grad
    tl.store(first + column, m, mask=inside)
    tl.store(second + column, v, mask=inside)
    old = tl.load(value + column, mask=inside, other=0)
    tl.store(value + column, old - rate * m / (tl.sqrt_rn(v * correction) + tiny), mask=inside)


@triton.jit
def adam_tables(
    base, base_first, base_second, expression, expression_first, expression_second, gradients, conditions,
    start, stop, width, blended, frames, rate, correction, beta1, beta2, tiny,
    COMPONENTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One Adam step from gradients (N, width) of the blended tables. Programs are (block of columns, row): row 0 is
    the base, ∂base = Σₙ g; row k + 1 is component k, ∂ = Σₙ conditions[n, k]·g, which is never stored. Columns whose
    gradients are 0 in all frames stay as they are."""
    row = tl.program_id(1)
    column = start + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    grad, moved = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.int1)
    if row == 0:
        inside = column < stop
        for n in range(frames):
            pull = tl.load(gradients + n * width + column, mask=inside, other=0)
            grad += pull
            moved = moved | (pull != 0)
        adam_step(base, base_first, base_second, grad, column, moved, rate, correction, beta1, beta2, tiny)
    else:
        inside = (column < stop) & (column < blended)
        for n in range(frames):
            amount = tl.load(conditions + n * COMPONENTS + row - 1)
            pull = tl.load(gradients + n * width + column, mask=inside, other=0)
            grad += amount * pull
            moved = moved | (pull != 0)
        shift = (row - 1) * blended
        adam_step(
            expression + shift, expression_first + shift, expression_second + shift, grad, column, moved, rate,
            correction, beta1, beta2, tiny,
        )  # fmt: skip
