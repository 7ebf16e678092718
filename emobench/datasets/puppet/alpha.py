"""The puppet's expression vector α: its names, their order, and which of them articulate the mouth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 27, 28, 43)
MOUTH_UNITS = frozenset({10, 12, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 27, 28})
N_UNITS = len(ACTION_UNITS)
GAZE_X, GAZE_Y, TONGUE = 2 * N_UNITS, 2 * N_UNITS + 1, 2 * N_UNITS + 2

ALPHA_NAMES: tuple[str, ...] = (
    *(f"AU{unit}_{side}" for unit in ACTION_UNITS for side in "LR"), "gaze_x", "gaze_y", "tongue"
)  # fmt: skip
IS_MOUTH: NDArray[np.bool_] = np.array([*(u in MOUTH_UNITS for u in ACTION_UNITS for _ in "LR"), False, False, True])
N_ALPHA = len(ALPHA_NAMES)
ROW = {unit: index for index, unit in enumerate(ACTION_UNITS)}


def unit_slice(unit: int) -> slice:
    """Where the left and right weight of an action unit stand in α; left is the subject's left (x > 0)."""
    return slice(2 * ROW[unit], 2 * ROW[unit] + 2)
