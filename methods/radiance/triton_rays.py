"""Triton kernels along rays: marching by cells, compositing, the training loss with its gradient, weights per cell.

Knows arrays only. A lane is a ray: a tile of rays advances together until its last ray is done.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,no-any-return,untyped-decorator"
# (triton infers the types of arguments; shapes are in the docstrings)

from __future__ import annotations

import triton
import triton.language as tl

FLAT = tl.constexpr(1e-12)  # slower than this along an axis is parallel to it
BELOW_ONE = tl.constexpr(1.0 - 1e-6)


@triton.jit
def any_of(flags):
    """Whether a lane of the tile is set."""
    return tl.max(flags.to(tl.int32), axis=0) > 0


@triton.jit
def slab(near, far, origin, speed):
    """The part of [near, far] inside 0..1 of one axis; far = −1 where a parallel ray runs outside."""
    parallel = tl.abs(speed) < FLAT
    safe = tl.where(parallel, 1.0, speed)
    a, b = -origin / safe, (1.0 - origin) / safe
    beyond = tl.abs(tl.zeros_like(speed) + origin - 0.5 * BELOW_ONE) > 0.5 * BELOW_ONE
    near = tl.where(parallel, near, tl.maximum(near, tl.minimum(a, b)))
    far = tl.where(parallel, far, tl.minimum(far, tl.maximum(a, b)))
    return near, tl.where(parallel & beyond, -1.0, far)


@triton.jit
def ray_span(ox, oy, oz, dx, dy, dz, jitter, step):
    """Where rays enter the box (mm) and the number of their last step in it, −1 where they miss it."""
    near, far = tl.zeros_like(dx), tl.zeros_like(dx) + 1e9
    near, far = slab(near, far, ox, dx)
    near, far = slab(near, far, oy, dy)
    near, far = slab(near, far, oz, dz)
    last = tl.where(far > near, tl.floor(tl.div_rn(far - near, step) - jitter), -1.0)
    return near, last.to(tl.int32)


@triton.jit
def leaves(cell, distance, origin, speed, GRID: tl.constexpr):
    """Depth at which rays leave the slab of cells within distance − 1 of `cell` along one axis."""
    side = tl.where(speed > 0, cell + distance, cell + 1 - distance).to(tl.float32) / GRID
    parallel = tl.abs(speed) < FLAT
    return tl.where(parallel, 1e9, (side - origin) / tl.where(parallel, 1.0, speed))


@triton.jit
def probe(k, looking, near, jitter, step, ox, oy, oz, dx, dy, dz, skip, GRID: tl.constexpr):
    """Look at step k of rays: t (mm), x, y, z, whether the cell is occupied, and the next step worth a look.

    skip (GRID³) uint8, z, y, x: 0 = occupied, else the Chebyshev distance d to the nearest occupied cell. A ray goes on
    where it leaves the cube of cells nearer than d (DDA over cubes). Rounding down to whole steps looks at most one
    step too early, never too late.
    """
    t = near + (k.to(tl.float32) + jitter) * step
    x = tl.minimum(tl.maximum(ox + t * dx, 0.0), BELOW_ONE)
    y = tl.minimum(tl.maximum(oy + t * dy, 0.0), BELOW_ONE)
    z = tl.minimum(tl.maximum(oz + t * dz, 0.0), BELOW_ONE)
    cx, cy, cz = (x * GRID).to(tl.int32), (y * GRID).to(tl.int32), (z * GRID).to(tl.int32)
    distance = tl.load(skip + (cz * GRID + cy) * GRID + cx, mask=looking, other=0).to(tl.int32)
    exit_x, exit_y = leaves(cx, distance, ox, dx, GRID), leaves(cy, distance, oy, dy, GRID)
    out = tl.minimum(tl.minimum(exit_x, exit_y), leaves(cz, distance, oz, dz, GRID))
    onward = tl.minimum(tl.floor((out - near) / step - jitter), 1e8).to(tl.int32)
    return t, x, y, z, distance == 0, tl.maximum(k + 1, onward)


@triton.jit
def march(
    origin, directions, skip, jitters, counts, starts, points, depths, rays, step, limit,
    GRID: tl.constexpr, RAYS: tl.constexpr, FILL: tl.constexpr,
):  # fmt: skip
    """Samples of rays (R, 3) from origin (3,), at most `limit` a ray. Without FILL writes counts (R,); with FILL the
    points (M, 3) and depths (M,) of ray r from place starts[r] on."""
    r = tl.program_id(0) * RAYS + tl.arange(0, RAYS)
    inside = r < rays
    ox, oy, oz = tl.load(origin), tl.load(origin + 1), tl.load(origin + 2)
    dx = tl.load(directions + 3 * r, mask=inside, other=0)
    dy = tl.load(directions + 3 * r + 1, mask=inside, other=0)
    dz = tl.load(directions + 3 * r + 2, mask=inside, other=1)
    jitter = tl.load(jitters + r, mask=inside, other=0)
    near, last = ray_span(ox, oy, oz, dx, dy, dz, jitter, step)
    k, found = tl.zeros((RAYS,), tl.int32), tl.zeros((RAYS,), tl.int32)
    start = tl.zeros((RAYS,), tl.int32)
    if FILL:
        start = tl.load(starts + r, mask=inside, other=0)
    active = inside & (last >= 0) & (found < limit)
    while any_of(active):
        t, x, y, z, occupied, onward = probe(k, active, near, jitter, step, ox, oy, oz, dx, dy, dz, skip, GRID)
        hit = active & occupied
        if FILL:
            at = start + found
            tl.store(points + 3 * at, x, mask=hit)
            tl.store(points + 3 * at + 1, y, mask=hit)
            tl.store(points + 3 * at + 2, z, mask=hit)
            tl.store(depths + at, t, mask=hit)
        found += hit.to(tl.int32)
        k = tl.where(hit, k + 1, onward)
        active = active & (found < limit) & (k <= last)
    if not FILL:
        tl.store(counts + r, found, mask=inside)


@triton.jit
def sample_weights(density, counts, starts, step, weights, rays, RAYS: tl.constexpr):
    """Compositing weights (M,) of packed samples: wᵢ = Tᵢ (1 − exp(−σᵢ·step)) (Max 1995)."""
    r = tl.program_id(0) * RAYS + tl.arange(0, RAYS)
    inside = r < rays
    count = tl.load(counts + r, mask=inside, other=0)
    start = tl.load(starts + r, mask=inside, other=0)
    through = tl.full((RAYS,), 1.0, tl.float32)
    for k in range(tl.max(count, axis=0)):
        here = k < count
        weight = through * (1 - tl.exp(-step * tl.load(density + start + k, mask=here, other=0)))
        tl.store(weights + start + k, weight, mask=here)
        through -= weight


@triton.jit
def ray_gradients(
    density, colour, depth, counts, starts, target, background, surface, weights, gradient, losses, rays, step,
    depth_origin, depth_unit, variance_weight, factor, density_max, opaque, RAYS: tl.constexpr,
):  # fmt: skip
    """The training loss of each ray, losses (R,), and its gradient (M, 4) in the decoder's raw outputs.

    density (M,), colour (M, 3), depth (M,) mm; target (R, 3) over background (R, 3). Per ray: mean squared colour error
    plus variance_weight times the variance of depth in depth_unit plus the squared deviation of depth from surface
    (R, 2: value in depth_unit from depth_origin, weight), all · factor / R. Also writes weights (M,).
    ∂/∂σᵢ = step · (Tᵢ₊₁ g·cᵢ − Σ_{j>i} wⱼ g·cⱼ + g_opacity T_end); exp was clamped at density_max. Samples that at
    most `opaque` of the light reaches weigh nothing and have no gradient.
    """
    r = tl.program_id(0) * RAYS + tl.arange(0, RAYS)
    inside = r < rays
    count = tl.load(counts + r, mask=inside, other=0)
    start = tl.load(starts + r, mask=inside, other=0)
    most = tl.max(count, axis=0)
    zero = tl.zeros((RAYS,), tl.float32)
    red, green, blue, first, second = zero, zero, zero, zero, zero
    through = zero + 1
    for k in range(most):
        here, s = k < count, start + k
        lit = here & (through > opaque)
        weight = tl.where(lit, through * (1 - tl.exp(-step * tl.load(density + s, mask=lit, other=0))), 0.0)
        through -= weight
        tl.store(weights + s, weight, mask=here)
        d = (tl.load(depth + s, mask=here, other=0) - depth_origin) / depth_unit
        red += weight * tl.load(colour + 3 * s, mask=here, other=0)
        green += weight * tl.load(colour + 3 * s + 1, mask=here, other=0)
        blue += weight * tl.load(colour + 3 * s + 2, mask=here, other=0)
        first += weight * d
        second += weight * d * d
    end = through
    back0 = tl.load(background + 3 * r, mask=inside, other=0)
    back1 = tl.load(background + 3 * r + 1, mask=inside, other=0)
    back2 = tl.load(background + 3 * r + 2, mask=inside, other=0)
    off0 = red + end * back0 - tl.load(target + 3 * r, mask=inside, other=0)
    off1 = green + end * back1 - tl.load(target + 3 * r + 1, mask=inside, other=0)
    off2 = blue + end * back2 - tl.load(target + 3 * r + 2, mask=inside, other=0)
    per_colour = factor / (3.0 * rays)
    per_variance = variance_weight * factor / rays
    opacity = tl.maximum(1 - end, 1e-3)  # below this the variance is taken as if it were this
    variance = second - first * first / opacity
    spread = variance > 0
    loss = per_colour * (off0 * off0 + off1 * off1 + off2 * off2) + tl.where(spread, per_variance * variance, 0.0)
    wanted = tl.load(surface + 2 * r, mask=inside, other=0)
    per_depth = tl.load(surface + 2 * r + 1, mask=inside, other=0) * factor / rays
    off_depth = first - (1 - end) * wanted
    loss += per_depth * off_depth * off_depth
    g_depth = 2 * per_depth * off_depth
    tl.store(losses + r, loss, mask=inside)
    g0, g1, g2 = 2 * per_colour * off0, 2 * per_colour * off1, 2 * per_colour * off2
    g_opacity = -(g0 * back0 + g1 * back1 + g2 * back2)
    g_second = tl.where(spread, per_variance, 0.0)
    g_first = -2 * g_second * first / opacity
    g_opacity += tl.where(1 - end > 1e-3, g_second * first * first / (opacity * opacity), 0.0)
    tl.debug_barrier()  # the weights are read again
    behind = zero  # Σ_{j>i} wⱼ g·cⱼ
    through = end  # Tᵢ₊₁, summed up from the far end: differences of sums lose the last samples of opaque rays
    for k in range(most):
        here, s = k < count, start + count - 1 - k
        sigma = tl.load(density + s, mask=here, other=0)
        weight = tl.load(weights + s, mask=here, other=0)
        d = (tl.load(depth + s, mask=here, other=0) - depth_origin) / depth_unit
        c0 = tl.load(colour + 3 * s, mask=here, other=0)
        c1 = tl.load(colour + 3 * s + 1, mask=here, other=0)
        c2 = tl.load(colour + 3 * s + 2, mask=here, other=0)
        pull = g0 * c0 + g1 * c1 + g2 * c2 + (g_first + g_second * d) * d + g_depth * (d - wanted)
        of_sigma = step * (through * pull - behind + g_opacity * end)
        trained = (sigma < density_max) & (through + weight > opaque)
        behind += weight * pull
        through += weight
        tl.store(gradient + 4 * s, tl.where(trained, sigma * of_sigma, 0.0), mask=here)
        tl.store(gradient + 4 * s + 1, weight * g0 * c0 * (1 - c0), mask=here)
        tl.store(gradient + 4 * s + 2, weight * g1 * c1 * (1 - c1), mask=here)
        tl.store(gradient + 4 * s + 3, weight * g2 * c2 * (1 - c2), mask=here)


@triton.jit
def scatter_weights(weights, points, largest, count, GRID: tl.constexpr, POINTS: tl.constexpr):
    """Raises largest (GRID³), z, y, x, to the weights (M,) of the points (M, 3) in each cell."""
    m = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    valid = m < count
    x = (tl.load(points + 3 * m, mask=valid, other=0) * GRID).to(tl.int32)
    y = (tl.load(points + 3 * m + 1, mask=valid, other=0) * GRID).to(tl.int32)
    z = (tl.load(points + 3 * m + 2, mask=valid, other=0) * GRID).to(tl.int32)
    weight = tl.load(weights + m, mask=valid, other=0)
    tl.atomic_max(largest + (z * GRID + y) * GRID + x, weight, mask=valid, sem="relaxed")
