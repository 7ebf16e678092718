"""Numba kernels of blended tables: a frame's table from its components, and the Adam step back through it.

Knows arrays only. Generic in the float type of the arrays; literals are cast so that float32 stays float32.
"""

# mypy: disable-error-code="no-untyped-def"
# (numba infers the types of arguments; shapes are in the docstrings)

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .jit import kernel
from .lanes import LANES, at_least, load, nonzero, root, spread, store, total

BLOCK = 512  # columns; their gradients stay in L1 while all components are updated


@kernel
def blend(base, expression, conditions, start, stop, tables):
    """tables (N, P)[:, start:stop] = base (P,) + conditions (N, K) @ expression (K, Q); beyond Q the base alone."""
    rows, out, blended, width = expression.reshape(-1), tables.reshape(-1), expression.shape[1], tables.shape[1]
    for low in range(start, stop, BLOCK):  # a block of all components stays in L1 or L2 for all frames
        high = min(stop, low + BLOCK)
        edge = max(low, min(high, blended))
        for n in range(conditions.shape[0]):
            for p in range(low, high, LANES):
                if p + LANES <= edge:
                    sums = load(base, p)
                    for k in range(expression.shape[0]):
                        sums = sums + conditions[n, k] * load(rows, k * blended + p)
                    store(out, n * width + p, sums)
                elif p >= edge and p + LANES <= high:
                    store(out, n * width + p, load(base, p))
                else:  # what does not fill all lanes, one by one
                    for q in range(p, min(p + LANES, high)):
                        value = base[q]
                        for k in range(expression.shape[0] if q < edge else 0):
                            value += conditions[n, k] * rows[k * blended + q]
                        out[n * width + q] = value


@kernel
def adam_tables(
    base, base_first, base_second, expression, expression_first, expression_second,
    grads, conditions, rates, start, stop,
):  # fmt: skip
    """One Adam step on base[start:stop] and expression[:, start:stop] from the gradients of the blended tables,
    grads (N, P): ∂base = Σₙ grads, ∂expression[k] = Σₙ conditions[n, k]·grads, which is never stored.

    Columns whose gradients are 0 in all frames stay as they are, moments too (Müller et al. 2022, section 4).
    rates (5,): learning rate / (1 − β₁ᵗ), 1 / (1 − β₂ᵗ), β₁, β₂, ε.
    """
    width, blended = grads.shape[1], expression.shape[1]
    flat, values = grads.reshape(-1), expression.reshape(-1)
    firsts, seconds = expression_first.reshape(-1), expression_second.reshape(-1)
    moved, places = np.empty(BLOCK, rates.dtype), np.empty(BLOCK // LANES, np.int64)
    amounts = np.empty(grads.shape[0], rates.dtype)
    zero = np.int64(0)
    for low in range(start, stop, BLOCK):
        high = min(stop, low + BLOCK)
        edge = max(low, min(high, blended))  # of the blended columns
        found = _moving(flat, width, amounts.shape[0], low, high, moved, places)
        amounts[:] = 1
        _update(base, base_first, base_second, zero, high, flat, width, amounts, moved, places[:found], rates)
        for k in range(expression.shape[0] if edge > low else 0):
            for n in range(amounts.shape[0]):
                amounts[n] = conditions[n, k]
            _update(
                values, firsts, seconds, k * blended, edge, flat, width, amounts, moved, places[:found], rates
            )


@njit(inline="always")
def _moving(flat, width, frames, low, high, moved, places):
    """Groups of LANES columns from low to high in which any frame has a gradient: their first columns, in places, and
    1 in `moved` for each such column; returns how many."""
    found = 0
    whole = high - (high - low) % LANES
    for at in range(low, whole, LANES):
        touched = spread(moved.dtype.type(0))
        for n in range(frames):
            touched = at_least(touched, nonzero(load(flat, n * width + at)))
        if total(touched) > 0:
            store(moved, found * LANES, touched)
            places[found] = at
            found += 1
    if whole < high:
        for p in range(whole, high):
            moved[found * LANES + p - whole] = 0
            for n in range(frames):
                if flat[n * width + p] != 0:
                    moved[found * LANES + p - whole] = 1
        places[found] = whole
        found += 1
    return found


@kernel
def _update(values, firsts, seconds, shift, stop, flat, width, amounts, moved, places, rates):
    """Adam (Kingma & Ba 2015, algorithm 1) on the columns before `stop` of a row that begins at `shift`."""
    zero, one = rates.dtype.type(0), rates.dtype.type(1)
    rest1, rest2 = one - rates[2], one - rates[3]
    for i in range(places.shape[0]):
        at = places[i]
        if at + LANES <= stop:
            grad = spread(zero)
            for n in range(amounts.shape[0]):
                grad = grad + amounts[n] * load(flat, n * width + at)
            share, p = load(moved, i * LANES), shift + at
            m, v = load(firsts, p), load(seconds, p)
            m = m + share * (rest1 * (grad - m))
            v = v + share * (rest2 * (grad * grad - v))
            store(firsts, p, m)
            store(seconds, p, v)
            store(values, p, load(values, p) - share * rates[0] * m / (root(v * rates[1]) + rates[4]))
            continue
        for q in range(at, stop):  # what does not fill all lanes, one by one
            if moved[i * LANES + q - at] > zero:
                pull, p = zero, shift + q
                for n in range(amounts.shape[0]):
                    pull += amounts[n] * flat[n * width + q]
                firsts[p] += rest1 * (pull - firsts[p])
                seconds[p] += rest2 * (pull * pull - seconds[p])
                values[p] -= rates[0] * firsts[p] / (math.sqrt(seconds[p] * rates[1]) + rates[4])
