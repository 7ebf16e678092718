"""Wrinkles of each action unit as relief of the frontal face, reduced to what a frame can show and summed per frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .alpha import ROW
from .compiled import jit
from .motion import smoothstep
from .sculpture import Array, bump, nasolabial_distance
from .surface import Surface

TEXELS = 400  # per side, before reduction
X_RANGE, Y_RANGE = (-80.0, 80.0), (-120.0, 80.0)  # mm of the frontal face that the maps cover
SLOPE_GAIN = 1.7  # slope per mm of relief between neighbouring texels of the full map
SIDE_BLEND_MM = 4.0
CREASE, SLOPE_X, SLOPE_Y = 0, 1, 2
NEGLIGIBLE = 1e-3
DEEPEST = 2.4  # mm of relief that no sum of creases reaches
YOUNG, OLD = 0.8, 1.15  # gain of all wrinkles at age 0 and 1

Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrinkleMaps:
    """(k, n, n, 3) crease depth (≤ 0) and slopes per map, the α column that drives each, and its non-zero box."""

    maps: Map
    columns: NDArray[np.int64]  # (k,)
    boxes: NDArray[np.int64]  # (k, 4) first row, end row, first column, end column

    def combine(self, alpha: NDArray[np.float32]) -> Map:
        """(n, n, 3) relief of one frame; α is (49,)."""
        total = np.zeros(self.maps.shape[1:], np.float32)
        _accumulate(total, self.maps, self.boxes, alpha[self.columns])
        _saturate(total)
        return total


@jit
def _accumulate(total: Map, maps: Map, boxes: NDArray[np.int64], weights: Map) -> None:
    for k in range(len(weights)):
        weight = weights[k]
        if weight < NEGLIGIBLE:
            continue
        for i in range(boxes[k, 0], boxes[k, 1]):
            for j in range(boxes[k, 2], boxes[k, 3]):
                for channel in range(3):
                    total[i, j, channel] += weight * maps[k, i, j, channel]


@jit
def _saturate(total: Map) -> None:
    """Where several actions fold the same skin, creases deepen ever less: depth d becomes d / (1 + d / DEEPEST)."""
    for i in range(total.shape[0]):
        for j in range(total.shape[1]):
            if total[i, j, CREASE] < 0:
                share = 1 / (1 - total[i, j, CREASE] / DEEPEST)
                for channel in range(3):
                    total[i, j, channel] *= share


def face_uv(x: Array, y: Array) -> Map:
    """(n, 2) coordinates 0..1 in the maps of frontal points."""
    u = (x - X_RANGE[0]) / (X_RANGE[1] - X_RANGE[0])
    v = (Y_RANGE[1] - y) / (Y_RANGE[1] - Y_RANGE[0])
    return np.stack([u, v], axis=-1).astype(np.float32)


def build_wrinkles(surface: Surface, factor: int) -> WrinkleMaps:
    """All maps of an identity, reduced by `factor` (1, 2, 4 or 8)."""
    step = (np.arange(TEXELS) + 0.5) / TEXELS
    x, y = np.meshgrid(X_RANGE[0] + (X_RANGE[1] - X_RANGE[0]) * step, Y_RANGE[1] - (Y_RANGE[1] - Y_RANGE[0]) * step)
    gain = YOUNG + (OLD - YOUNG) * surface.identity.age
    left = smoothstep(-SIDE_BLEND_MM, SIDE_BLEND_MM, x)
    maps, columns = [], []
    for unit, relief in _reliefs(surface, x, y).items():
        for offset, side in enumerate((left, 1 - left)):
            maps.append(_reduced(gain * relief * side, factor))
            columns.append(2 * ROW[unit] + offset)
    stacked = np.stack(maps)
    boxes = np.array([_box(np.abs(item).max(axis=-1) > NEGLIGIBLE) for item in stacked], np.int64)
    return WrinkleMaps(maps=stacked, columns=np.array(columns, np.int64), boxes=boxes)


def _reduced(relief: Array, factor: int) -> Map:
    padded = np.pad(relief, 1, mode="edge")
    across = (padded[1:-1, 2:] - padded[1:-1, :-2]) * SLOPE_GAIN
    upwards = (padded[:-2, 1:-1] - padded[2:, 1:-1]) * SLOPE_GAIN
    stacked = np.stack([np.minimum(relief, 0), across, upwards], axis=-1)
    n = TEXELS // factor
    return np.asarray(stacked.reshape(n, factor, n, factor, 3).mean(axis=(1, 3)), np.float32)


def _box(used: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    if not len(rows):
        return (0, 0, 0, 0)
    return (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)


def _line(distance: Array, width: float) -> Array:
    """A crease of depth 1 along distance = 0."""
    return np.asarray(np.exp(-0.5 * (distance / width) ** 2))


def _reliefs(surface: Surface, x: Array, y: Array) -> Mapping[int, Array]:
    """Relief (mm, creases negative) by action unit, both sides."""
    wide, mouth = np.abs(x), surface.mouth_half_width
    return {
        1: 0.85 * _forehead(x, y) * _line(wide, 17),
        2: 0.75 * _forehead(x, y) * _line(wide - 34, 13),
        4: _frown(wide, y),
        6: 0.75 * _crow_feet(wide, y) - 0.7 * _line(y + 8 - 0.004 * (wide - 30) ** 2, 1.0)
        * smoothstep(17, 24, wide) * smoothstep(48, 40, wide),
        7: -0.5 * _line(y + 6.3 - 0.006 * (wide - 30) ** 2, 0.9) * smoothstep(17, 24, wide) * smoothstep(46, 38, wide),
        9: 0.7 * _nasolabial(wide, y, 0) - 1.1 * _nose_bridge(wide, y),
        10: 0.9 * _nasolabial(wide, y, 0),
        12: 1.0 * _nasolabial(wide, y, 1),
        14: -1.3 * np.exp(-0.5 * ((wide - mouth - 4.5) / 1.6) ** 2 - 0.5 * ((y + 65) / 6) ** 2),
        15: -0.7 * _line(wide - mouth - 1.5 + 0.25 * (y + 68), 1.8) * smoothstep(-66, -70, y) * smoothstep(-88, -78, y),
        17: _chin(x, y),
        20: -0.4 * _line(wide - mouth - 7, 2.4) * smoothstep(-52, -60, y) * smoothstep(-84, -74, y),
    }  # fmt: skip


def _nasolabial(wide: Array, y: Array, offset: float) -> Array:
    """The fold from the nose to the corner of the mouth, and the bulge of the cheek beside it."""
    fold = nasolabial_distance(wide, y) - offset
    reach = smoothstep(-33, -44, y) * smoothstep(-76, -58, y)
    return np.asarray((0.8 * _line(fold - 5, 3.5) - 0.9 * _line(fold, 1.9)) * reach)


def _nose_bridge(wide: Array, y: Array) -> Array:
    lines = _line(y - 1 - 0.25 * wide, 1.0) + _line(y + 4 - 0.3 * wide, 1.0) + 0.7 * _line(y + 9 - 0.35 * wide, 1.0)
    return np.asarray(lines * np.exp(-0.5 * (wide / 8.5) ** 4))


def _frown(wide: Array, y: Array) -> Array:
    """Upright furrows between the brows, and the fold across the root of the nose."""
    furrow = _line(wide - 5.6 - 0.10 * (y - 12), 1.15) + 0.35 * _line(wide - 9.5 - 0.2 * (y - 14), 1.0)
    furrow = furrow * smoothstep(3, 11, y) * smoothstep(34, 22, y)
    bulge = 0.6 * _line(wide - 9, 2.5) * smoothstep(4, 12, y) * smoothstep(32, 20, y)
    return np.asarray(1.25 * (bulge - furrow) - 0.8 * _line(y - 5, 1.2) * _line(wide, 7))


def _forehead(x: Array, y: Array) -> Array:
    total = np.zeros_like(x)
    for height, bend, depth in ((33, 1.0, 1.0), (41, 1.2, 1.0), (49, 1.3, 0.9)):
        distance = y - height - bend * np.cos(x / 14)
        total -= depth * (_line(distance, 1.1) - 0.5 * _line(distance - 4, 2.2))
    return total


def _crow_feet(wide: Array, y: Array) -> Array:
    total = np.zeros_like(wide)
    for k in range(4):
        total -= _line(y - (6.7 - 4.2 * k) - (wide - 50) * (0.35 - 0.28 * k), 0.85)
    return np.asarray(total * smoothstep(46, 50, wide) * smoothstep(63, 55, wide))


def _chin(x: Array, y: Array) -> Array:
    """Dimples of a raised chin: fixed noise, the same for everyone."""
    noise = np.random.default_rng(3).normal(size=(TEXELS, TEXELS)).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), 4), np.float32)
    dimples = 0.30 * smooth / smooth.std() * bump(x, y, 0, -97, 12, 9)
    return np.asarray(dimples - 0.5 * _line(y + 82 - 0.01 * x**2, 1.3) * _line(x, 14))
