"""When a training has gone wrong: what the numbers of its steps tell. Knows no field and no rays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

EXPLODED = 10.0  # a mean squared error of colours in 0..1 cannot come near this
WINDOW = 25  # steps of one mean loss; single steps differ by their frames
EMPTY = 0.02  # opacity of rays that nearly all meet the head: even an untrained field's fog has more than this


def loss_fault(losses: Sequence[float]) -> str | None:
    """What is wrong with the last of all losses so far, if anything.

    Beside values that cannot be, the mean over WINDOW steps must not be above that of the untrained field once it
    was below half of it.
    """
    last = losses[-1]
    if not math.isfinite(last) or last > EXPLODED:
        return f"the loss is {last:.3g}"
    if len(losses) < 2 * WINDOW or len(losses) % WINDOW:
        return None
    means = [sum(losses[k : k + WINDOW]) / WINDOW for k in range(0, len(losses), WINDOW)]
    first = sum(losses[:5]) / 5
    if means[-1] > max(first, 2 * min(means)):
        return f"the loss rose to {means[-1]:.3g} from {min(means):.3g}"
    return None


def opacity_fault(opacity: float) -> str | None:
    """What is wrong with the mean opacity of a step's rays, if anything."""
    if not opacity >= EMPTY:  # NaN too
        return f"the field is empty (opacity {opacity:.2g})"
    return None


def parameter_fault(tensors: Iterable[Tensor]) -> str | None:
    """Whether any parameter is NaN or infinite."""
    # a sum is NaN or infinite when one of its terms is; in float64 finite parameters cannot overflow it
    if all(math.isfinite(float(tensor.sum(dtype=torch.float64))) for tensor in tensors):
        return None
    return "parameters are NaN or infinite"


def last_good(losses: Sequence[float]) -> str:
    """The last finite loss and its step, in words."""
    for step in range(len(losses), 0, -1):
        if math.isfinite(losses[step - 1]) and losses[step - 1] <= EXPLODED:
            return f"last good loss {losses[step - 1]:.3g} at step {step}"
    return "no step had a finite loss"
