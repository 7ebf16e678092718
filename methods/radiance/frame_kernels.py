"""Numba kernels that render whole frames: where rays first meet the head, and rays through the field.

Rays come in groups of GROUP neighbours. Knows arrays only; generic in their float type.
"""

# mypy: disable-error-code="no-untyped-def"
# (numba infers the types of arguments; shapes are in the docstrings)

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, uint32

from .field_kernels import ROUND, decode_block, encode_block, split_layers
from .jit import kernel
from .lanes import (
    at_least,
    at_most,
    exponential,
    gather_bytes,
    load,
    spread,
    store,
    total,
    truncated,
    where_above,
    whole,
)
from .ray_kernels import box_interval

GROUP = 64  # rays; 8×8 pixels
POOL = 128  # rays under way at once, one sample each: their activations stay in L1 and L2
# Of each ray under way, row by row in one array of floats: direction (three rows), depth (mm) where it enters the box,
# steps it takes through a cell, the step of its next sample, its last step (-1: none).
NEAR, HOP, PLACE, LAST, WALK = 3, 4, 5, 6, 7


@kernel
def first_samples(origin, directions, order, skip, step, starts):
    """Where every ray begins: starts (4, ≥ R), rows NEAR … LAST of the ray at each place of `order`, whose PLACE is its
    first sample and lies beyond LAST where it has none.

    order (R,): the rays, GROUP after GROUP; step (1,) mm; the rest as in ray_kernels.march. A cone around a group's
    middle first walks from both ends by the distance to the nearest occupied cell less its own radius: groups beside
    the head cost a few steps, and the others' rays start near it.
    """
    number = step.dtype.type
    one, half = number(1), number(0.5)
    cells, size = skip.reshape(-1), number(skip.shape[0])
    walks, points = np.zeros(WALK * GROUP, directions.dtype), np.empty(3 * GROUP, directions.dtype)
    for first in range(0, order.shape[0], GROUP):
        rays = order[first : first + GROUP]
        low, high = _group_interval(origin, directions, rays, skip, step[0])
        if high <= low:
            for q in range(rays.shape[0]):
                starts[PLACE - NEAR, first + q] = 0
                starts[LAST - NEAR, first + q] = -1
            continue
        for q in range(rays.shape[0]):
            r = rays[q]
            start, end, fastest = box_interval(origin, directions, r)
            steps = math.floor((end - start) / step[0] - half) if end > start else -1
            for axis in range(3):
                walks[axis * GROUP + q] = directions[r, axis]
            walks[NEAR * GROUP + q], walks[HOP * GROUP + q] = start, one / (fastest * size * step[0])
            # a step of room for rounding
            walks[PLACE * GROUP + q] = max(0, int((low - start) / step[0] - half) - 1)
            walks[LAST * GROUP + q] = min(steps, int((high - start) / step[0] - half) + 2)
        walks[LAST * GROUP + rays.shape[0] : (LAST + 1) * GROUP] = -1
        _advance(origin, cells, skip.shape[0], step[0], walks, points, points.shape[0] // 3)
        for row in range(4):
            for q in range(rays.shape[0]):
                starts[row, first + q] = walks[(NEAR + row) * GROUP + q]


@kernel
def _group_interval(origin, directions, rays, skip, step):
    """Depths (mm) before and after which none of the rays meets an occupied cell; the end is not after the start where
    none does."""
    number = directions.dtype.type
    cells = number(skip.shape[0])
    near, far = number(1e9), number(-1)
    middle = np.empty(3, directions.dtype)
    spreading = speed = number(0)
    for axis in range(3):
        low, high = number(1e9), number(-1e9)
        for r in rays:
            low, high = min(low, directions[r, axis]), max(high, directions[r, axis])
        middle[axis] = (low + high) * number(0.5)
        # cells per mm of depth by which rays leave the middle, and by which it moves
        spreading = max(spreading, (high - low) * number(0.5) * cells)
        speed = max(speed, abs(middle[axis]) * cells)
    speed += spreading
    for r in rays:
        start, end, _ = box_interval(origin, directions, r)
        if end > start:
            near, far = min(near, start), max(far, end)
    near = _walk(origin, middle, skip, near, far, number(1), speed, spreading, step)
    return near, _walk(origin, middle, skip, far, near, number(-1), speed, spreading, step)


@kernel
def _walk(origin, middle, skip, depth, end, sign, speed, spreading, step):
    """The depth from `depth` towards `end` (sign says where that is) up to which the cone is empty."""
    number = middle.dtype.type
    cells = number(skip.shape[0])
    below_one = number(1.0 - 1e-6)
    while sign * (end - depth) > number(0):
        # the nearest cell of the box is no farther from any occupied one than the point is
        x = int(min(max(origin[0] + depth * middle[0], number(0)), below_one) * cells)
        y = int(min(max(origin[1] + depth * middle[1], number(0)), below_one) * cells)
        z = int(min(max(origin[2] + depth * middle[2], number(0)), below_one) * cells)
        clear = number(skip[z, y, x]) - number(1.001) - spreading * depth
        ahead = clear / speed
        if ahead < step:
            return depth
        depth += sign * ahead
    return depth


@kernel
def render_rays(
    origin, directions, order, starts, skip, step, limit, stop, table, grid, network, hidden, sums, through,
):  # fmt: skip
    """Emission–absorption (Max 1995) along rays, each until less than `stop` light is left or `limit` samples.

    starts: what first_samples gave. Samples lie where ray_kernels.march puts them at jitter ½. step (3,): of depth, mm,
    the same in the density's inverse unit, and the largest raw density before exp; table, grid, network and hidden as
    in step_kernels.frame_gradients. Written: sums (R, 3) = Σ wᵢcᵢ, light
    left through (R,). Returns how many samples were evaluated.
    """
    dtype = directions.dtype
    number = dtype.type
    layers = split_layers(network, 2 * grid[0].shape[0], hidden)
    points, features = np.zeros(3 * POOL, dtype), np.empty(layers[0].shape[0] * POOL, dtype)
    hidden1, hidden2, raw = np.empty(hidden * POOL, dtype), np.empty(hidden * POOL, dtype), np.empty(4 * POOL, dtype)
    seen = np.zeros(4 * POOL, dtype)  # of every ray under way: colour sums and light left
    ray, found = np.empty(POOL, np.int32), np.empty(POOL, np.int32)
    walks = np.zeros(WALK * POOL, dtype)
    walks[LAST * POOL : (LAST + 1) * POOL] = -1
    cells = skip.reshape(-1)
    # plain zeros would be compiled as constants, and then again as variables, in all that they are passed to
    taken: Any = np.int64(0)
    live = evaluated = taken
    while True:
        _advance(origin, cells, skip.shape[0], step[0], walks, points, live)
        q: Any = np.int64(0)
        while q < POOL:
            if q < live and walks[PLACE * POOL + q] <= walks[LAST * POOL + q]:
                found[q] += 1
                walks[PLACE * POOL + q] += number(1)
                if found[q] >= limit:
                    walks[LAST * POOL + q] = number(-1)
                q += 1
                continue
            # a ray that has ended makes room for the next; when there are none, for the last one of the pool
            if q < live:
                _finish(ray[q], seen, sums, through, q)
            taken = _open(origin, directions, order, starts, step[0], taken, sums, through, ray, walks, points, q)
            if walks[LAST * POOL + q] >= number(0):
                live = max(live, q + 1)
                found[q] = 0
                seen[q] = seen[POOL + q] = seen[2 * POOL + q] = number(0)
                seen[3 * POOL + q] = number(1)
                continue
            if q >= live:
                break
            live -= 1
            if q < live:
                ray[q], found[q] = ray[live], found[live]
                for rows, count in ((points, 3), (seen, 4), (walks, WALK)):
                    for row in range(count):
                        rows[row * POOL + q] = rows[row * POOL + live]
            walks[LAST * POOL + live] = number(-1)
        if live == 0:
            return evaluated
        evaluated += live
        count = (live + ROUND - 1) // ROUND * ROUND
        encode_block(points, table, grid, features, count)
        decode_block(features, layers, hidden1, hidden2, raw, count)
        _composite(raw, seen, walks, step, stop, count)


@kernel
def _advance(origin, cells, across, step, walks, points, live):
    """Every ray under way to its next occupied cell, sixteen at a time; those that meet none end beyond LAST."""
    number = walks.dtype.type
    zero, one, below_one, half = number(0), number(1), number(1.0 - 1e-6), number(0.5)
    size, row, stride = number(across), uint32(across), points.shape[0] // 3
    for m in range(0, live, 16):
        place, last = load(walks, PLACE * stride + m), load(walks, LAST * stride + m)
        near, hop = load(walks, NEAR * stride + m), load(walks, HOP * stride + m)
        dx, dy, dz = load(walks, m), load(walks, stride + m), load(walks, 2 * stride + m)
        while True:
            t = near + (place + half) * step
            x = at_most(at_least(origin[0] + t * dx, zero), below_one)
            y = at_most(at_least(origin[1] + t * dy, zero), below_one)
            z = at_most(at_least(origin[2] + t * dz, zero), below_one)
            index = (truncated(z * size) * row + truncated(y * size)) * row + truncated(x * size)
            distance = gather_bytes(cells, index, place)
            ahead = at_least(whole(at_least(distance - one, zero) * hop), one)
            ahead = where_above(distance, zero, where_above(last + one, place, ahead))
            if total(ahead) == zero:
                break
            place = place + ahead
        store(walks, PLACE * stride + m, place)
        store(points, m, x)
        store(points, stride + m, y)
        store(points, 2 * stride + m, z)


@njit(inline="always")
def _finish(r, seen, sums, through, q):
    for c in range(3):
        sums[r, c] = seen[c * POOL + q]
    through[r] = seen[3 * POOL + q]


@kernel
def _open(origin, directions, order, starts, step, taken, sums, through, ray, walks, points, q):
    """Puts the next ray that has a sample into slot q; those before it are written as empty. Returns how many rays
    have been taken from `order`; LAST is −1 where there was none."""
    number = directions.dtype.type
    zero, one, below_one, half = number(0), number(1), number(1.0 - 1e-6), number(0.5)
    walks[LAST * POOL + q] = -one
    while taken < order.shape[0]:
        r, n = order[taken], taken
        taken += 1
        if starts[PLACE - NEAR, n] <= starts[LAST - NEAR, n]:
            ray[q] = r
            t = starts[0, n] + (starts[PLACE - NEAR, n] + half) * step
            for axis in range(3):
                walks[axis * POOL + q] = directions[r, axis]
                points[axis * POOL + q] = min(max(origin[axis] + t * directions[r, axis], zero), below_one)
            for row in range(4):
                walks[(NEAR + row) * POOL + q] = starts[row, n]
            return taken
        for c in range(3):
            sums[r, c] = zero
        through[r] = one
    return taken


@kernel
def _composite(raw, seen, walks, step, stop, count):
    """The next sample of every ray: raw outputs (4 · POOL,) into colour sums and light left (4 · POOL,); rays with no
    more light than `stop` end."""
    number = step.dtype.type
    one = spread(number(1))
    for m in range(0, count, 16):
        density = exponential(at_most(load(raw, m), step[2]))
        left = load(seen, 3 * POOL + m)
        weight = left * (one - exponential(density * -step[1]))
        left = left - weight
        store(seen, 3 * POOL + m, left)
        for c in range(3):
            colour = one / (one + exponential(load(raw, (c + 1) * POOL + m) * number(-1)))
            store(seen, c * POOL + m, load(seen, c * POOL + m) + weight * colour)
        last = load(walks, LAST * POOL + m)
        store(walks, LAST * POOL + m, where_above(left, stop, last + one) - one)
