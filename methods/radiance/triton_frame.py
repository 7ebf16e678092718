"""Triton kernels of a whole frame: rays through the field to head colours, and the head over its backdrop.

Knows arrays only. March, encoding, decoder and compositing are one kernel: no list of samples, no count to wait for,
so that a frame can be replayed as a CUDA graph.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,no-any-return,untyped-decorator"
# (triton infers the types of arguments; shapes are in the docstrings)

from __future__ import annotations

import triton
import triton.language as tl

from .triton_field import OUTPUTS, activate, column_of, decode_tile, load_layers
from .triton_grid import encode_tile
from .triton_rays import any_of, probe, ray_span


@triton.jit
def seek(k, active, near, last, step, ox, oy, oz, dx, dy, dz, skip, GRID: tl.constexpr):
    """Advance active rays to their next step in an occupied cell: k, x, y, z; those without one become inactive."""
    x, y, z = tl.zeros_like(near), tl.zeros_like(near), tl.zeros_like(near)
    searching = active
    while any_of(searching):
        _, px, py, pz, occupied, onward = probe(k, searching, near, 0.5, step, ox, oy, oz, dx, dy, dz, skip, GRID)
        x, y, z = tl.where(searching, px, x), tl.where(searching, py, y), tl.where(searching, pz, z)
        searching = searching & (occupied == 0)
        k = tl.where(searching, onward, k)
        searching = searching & (k <= last)
    return k, active & (k <= last), x, y, z


@triton.jit
def render_rays(
    view, directions, skip, table, layout, weights, head, opacity, height, width, step, thickness, limit, stop,
    log_density_max, GRID: tl.constexpr, MASK: tl.constexpr, LEVELS: tl.constexpr, WIDTH: tl.constexpr,
    HIDDEN: tl.constexpr, TALL: tl.constexpr, TILE_HEIGHT: tl.constexpr, TILE_WIDTH: tl.constexpr,
    OPERAND: tl.constexpr,
):  # fmt: skip
    """head (height·width, 3) = Σ wᵢcᵢ and opacity (height·width,) of all rays; a program renders a tile of pixels.

    view (12,): origin (3,) in the box, then the matrix (3, 3) that takes directions (R, 3) as row vectors into it. A
    ray takes at most `limit` samples at near + (k + ½)·step and ends once less than `stop` of the light is left.
    thickness: the step in the density's inverse unit.
    """
    POINTS: tl.constexpr = TILE_HEIGHT * TILE_WIDTH
    across = (width + TILE_WIDTH - 1) // TILE_WIDTH
    lane = tl.arange(0, POINTS)
    row = tl.program_id(0) // across * TILE_HEIGHT + lane // TILE_WIDTH
    column = tl.program_id(0) % across * TILE_WIDTH + lane % TILE_WIDTH
    inside = (row < height) & (column < width)
    r = row * width + column
    ox, oy, oz = tl.load(view), tl.load(view + 1), tl.load(view + 2)
    u = tl.load(directions + 3 * r, mask=inside, other=0)
    v = tl.load(directions + 3 * r + 1, mask=inside, other=0)
    w = tl.load(directions + 3 * r + 2, mask=inside, other=1)
    dx = u * tl.load(view + 3) + v * tl.load(view + 6) + w * tl.load(view + 9)
    dy = u * tl.load(view + 4) + v * tl.load(view + 7) + w * tl.load(view + 10)
    dz = u * tl.load(view + 5) + v * tl.load(view + 8) + w * tl.load(view + 11)
    near, last = ray_span(ox, oy, oz, dx, dy, dz, 0.5, step)
    red, green, blue = tl.zeros((POINTS,), tl.float32), tl.zeros((POINTS,), tl.float32), tl.zeros((POINTS,), tl.float32)
    through = tl.full((POINTS,), 1.0, tl.float32)
    k, taken = tl.zeros((POINTS,), tl.int32), 0
    w1, b1, w2, b2, w3, b3 = load_layers(weights, 2 * LEVELS, HIDDEN, 2 * WIDTH, TALL)
    active = inside & (last >= 0)
    while any_of(active) & (taken < limit):
        k, active, x, y, z = seek(k, active, near, last, step, ox, oy, oz, dx, dy, dz, skip, GRID)
        features = encode_tile(x, y, z, active, table, layout, MASK, LEVELS, WIDTH, POINTS)
        _, _, raw = decode_tile(features, w1, b1, w2, b2, w3, b3, OPERAND)
        out = activate(raw, log_density_max)
        density = column_of(out, 0, OUTPUTS)
        weight = tl.where(active, through * (1 - tl.exp(-thickness * density)), 0.0)
        red += weight * column_of(out, 1, OUTPUTS)
        green += weight * column_of(out, 2, OUTPUTS)
        blue += weight * column_of(out, 3, OUTPUTS)
        through -= weight
        k += 1
        taken += 1
        active = active & (k <= last) & (through > stop)
    tl.store(head + 3 * r, red, mask=inside)
    tl.store(head + 3 * r + 1, green, mask=inside)
    tl.store(head + 3 * r + 2, blue, mask=inside)
    tl.store(opacity + r, 1 - through, mask=inside)


@triton.jit
def pixel_of(canonical, x, y, width, CHANNEL: tl.constexpr, inside):
    """One channel of pixels of canonical (H, W, 3)."""
    return tl.load(canonical + 3 * (y * width + x) + CHANNEL, mask=inside, other=0)


@triton.jit
def compose(
    canonical, shift, residual, features, head, opacity, frame, height, width, rows, columns,
    FEATURES: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """frame (height, width, 3) uint8 = head + (1 − opacity) · backdrop; see backdrop.py for the formula and shapes."""
    p = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = p < height * width
    left_over = 1 - tl.load(opacity + p, mask=inside, other=1)
    seen = inside & (left_over > 1e-3)
    u = ((p % width).to(tl.float32) + 0.5) * (columns.to(tl.float32) / width) - 0.5
    v = ((p // width).to(tl.float32) + 0.5) * (rows.to(tl.float32) / height) - 0.5
    for j in tl.static_range(FEATURES):
        amount = tl.load(features + j)
        u += amount * tl.load(shift + (p * 2) * FEATURES + j, mask=seen, other=0)
        v += amount * tl.load(shift + (p * 2 + 1) * FEATURES + j, mask=seen, other=0)
    u = tl.minimum(tl.maximum(u, 0.0), (columns - 1).to(tl.float32))
    v = tl.minimum(tl.maximum(v, 0.0), (rows - 1).to(tl.float32))
    x, y = u.to(tl.int32), v.to(tl.int32)
    x1, y1 = tl.minimum(x + 1, columns - 1), tl.minimum(y + 1, rows - 1)
    fu, fv = u - x.to(tl.float32), v - y.to(tl.float32)
    for c in tl.static_range(3):
        upper = pixel_of(canonical, x, y, columns, c, seen)
        upper += fu * (pixel_of(canonical, x1, y, columns, c, seen) - upper)
        lower = pixel_of(canonical, x, y1, columns, c, seen)
        lower += fu * (pixel_of(canonical, x1, y1, columns, c, seen) - lower)
        back = upper + fv * (lower - upper)
        for j in tl.static_range(FEATURES):
            back += tl.load(features + j) * tl.load(residual + (p * 3 + c) * FEATURES + j, mask=seen, other=0)
        back = tl.minimum(tl.maximum(back, 0.0), 1.0)
        value = tl.load(head + 3 * p + c, mask=inside, other=0) + tl.where(seen, left_over * back, 0.0)
        byte = tl.minimum(tl.maximum(value * 255 + 0.5, 0.0), 255.0)
        tl.store(frame + 3 * p + c, byte.to(tl.uint8), mask=inside)
