"""Numba kernels along rays: marching, compositing, the training loss with its gradient, and what cells they meet.

Knows arrays only. Generic in the float type of the arrays; literals are cast so that float32 stays float32.
"""

# mypy: disable-error-code="no-untyped-def"
# (numba infers the types of arguments; shapes are in the docstrings)

from __future__ import annotations

import math

import numpy as np
from numba import int32, uint32

from .jit import kernel


@kernel
def box_interval(origin, directions, r):
    """Where ray r enters and leaves the box [0, 1]³ (mm; the end before the start where it misses), and its largest
    speed along an axis (1/mm)."""
    number = directions.dtype.type
    zero, one, below_one, flat = number(0), number(1), number(1.0 - 1e-6), number(1e-12)
    near, far, fastest = zero, number(1e9), flat
    for axis in range(3):
        speed = directions[r, axis]
        if abs(speed) < flat:
            if origin[axis] < zero or origin[axis] > below_one:
                far = -one
            continue
        a = -origin[axis] / speed
        b = (one - origin[axis]) / speed
        near = max(near, min(a, b))
        far = min(far, max(a, b))
        fastest = max(fastest, abs(speed))
    return near, far, fastest


@kernel
def march(origin, directions, skip, step, jitter, limit, live, cursor, points, depths, counts):
    """The next samples of rays inside occupied cells, at most `limit` a ray, packed ray after ray; returns how many.

    origin (3,) and directions (R, 3): normalised coordinates, box = [0, 1]³; depth t in mm along a ray. skip (G, G, G)
    uint8 as z, y, x: 0 = occupied, else the distance in cells (Chebyshev) to the nearest occupied one. step (1,) mm,
    jitter (R,) in [0, 1) steps. live (N,): the rays to march. cursor (R,): steps a ray has behind it; −1 once it has
    left the box. Written: cursor, points (N·limit, 3), depths (N·limit,), counts (N,).
    """
    number = step.dtype.type
    zero, one, below_one = number(0), number(1), number(1.0 - 1e-6)
    # unsigned indices into a flat grid: no test for negative ones at every probe
    across, grid = int32(skip.shape[0]), skip.reshape(-1)
    cells = number(across)
    ox, oy, oz, pace = origin[0], origin[1], origin[2], step[0]
    total = 0
    for n in range(live.shape[0]):
        r = live[n]
        counts[n] = 0
        near, far, fastest = box_interval(origin, directions, r)
        last = math.floor((far - near) / pace - jitter[r]) if far > near else -1
        steps_per_cell = one / (fastest * cells * pace)
        dx, dy, dz, shift = directions[r, 0], directions[r, 1], directions[r, 2], jitter[r]
        k = cursor[r]
        found = 0
        while k <= last and found < limit:
            t = near + (number(k) + shift) * pace
            x = min(max(ox + t * dx, zero), below_one)
            y = min(max(oy + t * dy, zero), below_one)
            z = min(max(oz + t * dz, zero), below_one)
            distance = grid[uint32((int32(z * cells) * across + int32(y * cells)) * across + int32(x * cells))]
            if distance == 0:
                points[total, 0] = x
                points[total, 1] = y
                points[total, 2] = z
                depths[total] = t
                total += 1
                found += 1
                k += 1
            else:
                k += max(int32(1), int32(number(distance - 1) * steps_per_cell))
        cursor[r] = k if k <= last else -1
        counts[n] = found
    return total


@kernel
def lay_over(picked, colour, coverage, background, shown):
    """shown (R, 3) = colour (M, 3) uint8 at the indices picked (R,), where coverage (M,) uint8 says so over background
    (R, 3) in 0..1."""
    number = background.dtype.type
    full = number(1 / 255)
    for r in range(picked.shape[0]):
        share = number(coverage[picked[r]]) * full
        for c in range(3):
            over = number(colour[picked[r], c]) * full
            shown[r, c] = share * over + (number(1) - share) * background[r, c]


@kernel
def composite(density, colour, counts, step, stop, live, cursor, sums, through):
    """Emission–absorption along rays (Max 1995) over their next samples; returns how many rays go on.

    density (M,), colour (M, 3), counts (N,) samples of each live ray (N,), step (1,) in the density's inverse unit.
    Adds to sums (R, 3) = Σ wᵢcᵢ, lowers the transmittance through (R,), and moves the rays that go on (more than
    `stop` left, cursor not −1) to the front of live.
    """
    one = density.dtype.type(1)
    s = 0
    kept_on = 0
    for n in range(counts.shape[0]):
        r = live[n]
        left = through[r]
        for _ in range(counts[n]):
            weight = left * (one - math.exp(-density[s] * step[0]))
            for c in range(3):
                sums[r, c] += weight * colour[s, c]
            left -= weight
            s += 1
        through[r] = left
        if left > stop and cursor[r] >= 0:
            live[kept_on] = r
            kept_on += 1
    return kept_on


@kernel
def ray_gradients(values, depth, counts, step, target, background, surface, settings, weights, gradient):
    """The training loss of rays and its gradient in the decoder's raw outputs, before exp and sigmoid.

    values (4, ≥ M): density, red, green, blue of the samples, packed ray after ray; depth (M,), counts (R,); target
    (R, 3) over background (R, 3); surface (R, 2): the depth where a ray should end, and the weight of that. settings
    (3,): weight of the depth variance, factor on everything over the number of all the frame's rays, density above
    which exp was clamped. Writes weights (M,) and gradient (4, ≥ M). Returns factor · Σ (mean squared colour error +
    weight · variance of depth + weight · (Σ wᵢ (dᵢ − surface))²) over these rays.

    ∂/∂σᵢ = step · Tᵢ₊₁ · (pᵢ − Qᵢ): pᵢ is what a unit of weight of sample i adds to the loss, and Qᵢ what the light
    that passes it meets behind, Qᵢ₋₁ = αᵢpᵢ + (1 − αᵢ)Qᵢ from the far end. Walking backwards no sums cancel.
    """
    number = values.dtype.type
    one, two, zero = number(1), number(2), number(0)
    per_colour = settings[1] / number(3)
    per_variance = settings[0] * settings[1]
    loss = 0.0
    s = 0
    for r in range(counts.shape[0]):
        stop = s + counts[r]
        through = one
        red = green = blue = first = second = zero
        for k in range(s, stop):
            passed = math.exp(-values[0, k] * step[0])
            weight = through * (one - passed)
            through *= passed
            weights[k] = weight
            gradient[0, k] = through  # kept for the way back
            red += weight * values[1, k]
            green += weight * values[2, k]
            blue += weight * values[3, k]
            first += weight * depth[k]
            second += weight * depth[k] * depth[k]
        off0 = red + through * background[r, 0] - target[r, 0]
        off1 = green + through * background[r, 1] - target[r, 1]
        off2 = blue + through * background[r, 2] - target[r, 2]
        loss += per_colour * (off0 * off0 + off1 * off1 + off2 * off2)
        g0 = two * per_colour * off0
        g1 = two * per_colour * off1
        g2 = two * per_colour * off2
        behind = g0 * background[r, 0] + g1 * background[r, 1] + g2 * background[r, 2]
        g_first = g_second = zero
        floor = number(1e-3)  # opacity below which the variance is taken as if it were this
        opacity = max(one - through, floor)
        variance = second - first * first / opacity
        if variance > zero:
            loss += per_variance * variance
            g_second = per_variance
            g_first = -two * per_variance * first / opacity
            if one - through > floor:
                behind -= per_variance * first * first / (opacity * opacity)
        wanted, per_depth = surface[r, 0], surface[r, 1] * settings[1]
        off_depth = first - (one - through) * wanted
        loss += per_depth * off_depth * off_depth
        g_depth = two * per_depth * off_depth
        for k in range(stop - 1, s - 1, -1):
            weight, left = weights[k], gradient[0, k]
            c0, c1, c2 = values[1, k], values[2, k], values[3, k]
            pull = g0 * c0 + g1 * c1 + g2 * c2 + (g_first + g_second * depth[k]) * depth[k]
            pull += g_depth * (depth[k] - wanted)
            open_ = one if values[0, k] < settings[2] else zero
            gradient[0, k] = open_ * values[0, k] * step[0] * left * (pull - behind)
            gradient[1, k] = weight * g0 * c0 * (one - c0)
            gradient[2, k] = weight * g1 * c1 * (one - c1)
            gradient[3, k] = weight * g2 * c2 * (one - c2)
            behind += (one - math.exp(-values[0, k] * step[0])) * (pull - behind)
        s = stop
    return loss


@kernel
def sample_weights(density, counts, step, weights):
    """The weights (M,) that `composite` gives to its samples."""
    one = density.dtype.type(1)
    s = 0
    for r in range(counts.shape[0]):
        through = one
        for _ in range(counts[r]):
            weights[s] = through * (one - math.exp(-density[s] * step[0]))
            through -= weights[s]
            s += 1


@kernel
def scatter_weights(weights, points, largest):
    """Raises `largest` (G, G, G), z, y, x, to the weights (M,) of the points (M, 3) in each cell."""
    cells = weights.dtype.type(largest.shape[0])
    for s in range(weights.shape[0]):
        z, y, x = int(points[s, 2] * cells), int(points[s, 1] * cells), int(points[s, 0] * cells)
        largest[z, y, x] = max(largest[z, y, x], weights[s])


@kernel
def mark_seen(origin, directions, weights, depths, counts, pace, seen):
    """Sets seen (G, G, G), z, y, x, to 1 in cells that rays pass before half of what they show lies behind them.

    origin (3,), directions (R, 3) as in `march`; weights and depths (M,) of their samples, counts (R,); looks every
    `pace` mm.
    """
    cells = directions.dtype.type(seen.shape[0])
    s = 0
    for r in range(counts.shape[0]):
        near, end, _ = box_interval(origin, directions, r)
        passed = directions.dtype.type(0)
        for k in range(s, s + counts[r]):
            passed += weights[k]
            if passed > 0.5:
                end = depths[k]
                break
        s += counts[r]
        for k in range(int((end - near) / pace)):
            t = near + k * pace
            x = int((origin[0] + t * directions[r, 0]) * cells)
            y = int((origin[1] + t * directions[r, 1]) * cells)
            z = int((origin[2] + t * directions[r, 2]) * cells)
            if min(x, y, z) >= 0 and max(x, y, z) < seen.shape[0]:
                seen[z, y, x] = 1


@kernel
def count_inside(low, cell, masks, rotations, translations, lens, hits, seen):
    """Adds to hits and seen (G, G, G), z, y, x, in how many of the masks (F, H, W) a cell's centre falls, and in how
    many of the images.

    Cell centres are low (3,) + (index + ½) · cell (3,) mm; lens (3,) = focal length, centre x, centre y, pixels.
    """
    height, width = masks.shape[1], masks.shape[2]
    for f in range(masks.shape[0]):
        turn, move = rotations[f], translations[f]
        for z in range(hits.shape[0]):
            pz = low[2] + (z + 0.5) * cell[2]
            for y in range(hits.shape[1]):
                py = low[1] + (y + 0.5) * cell[1]
                for x in range(hits.shape[2]):
                    px = low[0] + (x + 0.5) * cell[0]
                    away = -(turn[2, 0] * px + turn[2, 1] * py + turn[2, 2] * pz + move[2])
                    if away <= 0:
                        continue
                    u = lens[1] + lens[0] * (turn[0, 0] * px + turn[0, 1] * py + turn[0, 2] * pz + move[0]) / away
                    v = lens[2] - lens[0] * (turn[1, 0] * px + turn[1, 1] * py + turn[1, 2] * pz + move[1]) / away
                    if u >= 0 and v >= 0 and u < width and v < height:
                        seen[z, y, x] += 1
                        hits[z, y, x] += masks[f, int(v), int(u)]


@kernel
def compose(canonical, shift, residual, features, head, opacity, frame):
    """frame (h, w, 3) uint8 = head (h·w, 3) + (1 − opacity (h·w,)) · backdrop; see backdrop.py for the formula.

    canonical (H, W, 3), shift (h, w, 2, J) in pixels of canonical, residual (h, w, 3, J), features (J,); colours 0..1.
    """
    height, width = frame.shape[0], frame.shape[1]
    rows, columns = canonical.shape[0], canonical.shape[1]
    half, full, zero = np.float32(0.5), np.float32(255), np.float32(0)
    right, bottom = np.float32(columns - 1), np.float32(rows - 1)
    across, down = np.float32(columns / width), np.float32(rows / height)
    for y in range(height):
        for x in range(width):
            r = y * width + x
            left_over = np.float32(1) - opacity[r]
            u = (np.float32(x) + half) * across - half
            v = (np.float32(y) + half) * down - half
            if left_over > np.float32(1e-3):
                for j in range(features.shape[0]):
                    u += features[j] * shift[y, x, 0, j]
                    v += features[j] * shift[y, x, 1, j]
            u = min(max(u, zero), right)
            v = min(max(v, zero), bottom)
            i, k = int(u), int(v)
            i1, k1 = min(i + 1, columns - 1), min(k + 1, rows - 1)
            fu, fv = u - np.float32(i), v - np.float32(k)
            for c in range(3):
                value = head[r, c]
                if left_over > np.float32(1e-3):
                    upper = canonical[k, i, c] + fu * (canonical[k, i1, c] - canonical[k, i, c])
                    lower = canonical[k1, i, c] + fu * (canonical[k1, i1, c] - canonical[k1, i, c])
                    back = upper + fv * (lower - upper)
                    for j in range(features.shape[0]):
                        back += features[j] * residual[y, x, c, j]
                    value += left_over * min(max(back, zero), np.float32(1))
                frame[y, x, c] = np.uint8(min(max(value * full + half, zero), full))
