"""Batches of one size: what a network says about a frame must not depend on how many frames come with it.

The last batch is filled up with copies of its last item, so that every call has the same shape, whatever the clip's
length: convolution libraries choose their arithmetic by shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 8  # frames: larger ones win nothing on one core, and bound the memory less


def batches(items: Iterable[NDArray[Any]], size: int = BATCH) -> Iterator[tuple[NDArray[Any], int]]:
    """((size, …), how many are real) for items of one shape, taken one at a time."""
    held: list[NDArray[Any]] = []
    for item in items:
        held.append(item)
        if len(held) == size:
            yield np.stack(held), size
            held = []
    if held:
        count = len(held)
        yield np.stack(held + [held[-1]] * (size - count)), count
