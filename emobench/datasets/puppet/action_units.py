"""Where each facial action moves the skin: displacement fields in mm at weight 1, and the weights of lids and jaw.

After the Facial Action Coding System (Ekman and Friesen 1978). Fields are functions of the neutral face, evaluated at
any set of its points; nothing here knows triangles or time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .alpha import ACTION_UNITS, N_UNITS, ROW
from .motion import smoothstep
from .surface import EYE_X, LID_HALF_WIDTH, Array, Surface, bump, template_height

CORNER_JAW = 0.42  # share of the jaw's angle that the corners of the mouth follow
SIDE_BLEND_MM = 5.0  # left and right halves blend over ±5 mm
FRONT_PHI, FRONT_LOW, FRONT_HIGH = 1.45, -125.0, 75.0

# Rows of a component: (mm, cx, cy, σx, σy[, "upper" | "lower" lip only]). dx points outwards.
Row = tuple[float, float, float, float, float] | tuple[float, float, float, float, float, str]
Component = Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Points of the neutral face: template coordinates, and which lip or lid margin they belong to."""

    phi: Array  # (n,)
    v: Array  # (n,)
    lip: NDArray[np.int8]  # +1 on the upper contour of the mouth's slit, −1 on the lower, 0 elsewhere
    lid: NDArray[np.int8]  # +1 on an upper lid margin, −1 on a lower, 0 elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Everything that moves with α at n points."""

    displacement: NDArray[np.float32]  # (46, n, 3) mm per unit weight, order of α
    upper_lid: Array  # (n,) how far a point follows the upper lid
    lower_lid: Array
    lid_gap: Array  # (n,) opening of the neutral eye at the point's x, mm
    jaw: Array  # (n,) how far a point turns with the jaw
    corner: Array  # (n,) nearness to a mouth corner
    front: NDArray[np.bool_]


def _tables(mouth: float) -> Mapping[int, Mapping[str, Component]]:
    """Gaussian parts of every action unit; `mouth` is the half width of the mouth."""
    corner = (mouth, -65.5, 12.5, 11)
    return {
        1: {"x": ((0.3, 12, 20, 10, 8),), "y": ((9.0, 8, 20, 13, 8), (2.2, 18, 10, 7, 4)),
            "z": ((0.8, 12, 20, 10, 8),)},
        2: {"y": ((9.5, 40, 20, 13, 9.5), (2.0, 40, 11, 8, 4))},
        4: {"x": ((-4.2, 13, 18, 10, 8),),
            "y": ((-6.3, 12, 17, 10, 8.5), (-2.4, 30, 17, 12, 7), (-1.8, 24, 10, 12, 4.5)),
            "z": ((2.8, 12, 17, 10, 8.5), (0.8, 6, 14, 5, 7))},
        6: {"x": ((1.0, 40, -20, 14, 9),), "y": ((6.0, 37, -21, 15, 9), (-1.2, 46, 12, 8, 5)),
            "z": ((4.2, 38, -19, 14, 9), (1.0, 32, -9, 12, 3))},
        9: {"x": ((-0.8, 8, -12, 8, 9), (1.2, 14, -37, 5, 6)),
            "y": ((4.5, 9, -20, 9, 13), (5.0, 14, -37, 6, 7), (3.2, 12, -56, 13, 7, "upper"), (-2.6, 11, 17, 9, 7),
                  (1.5, 27, -14, 10, 6)),
            "z": ((1.8, 9, -6, 6, 8), (1.5, 19, -40, 7, 9))},
        10: {"y": ((6.2, 11, -58, 12, 7, "upper"), (3.5, 17, -46, 7, 9), (1.8, 14, -37, 5, 5)),
             "z": ((1.8, 10, -58, 12, 5, "upper"), (2.0, 25, -41, 9, 10))},
        12: {"x": ((7.5, *corner), (2.6, 13, -64, 10, 7), (1.5, 36, -42, 10, 12)),
             "y": ((8.4, mouth, -65.5, 10.5, 11), (0.9, 0, -65, 18, 9), (5.0, 34, -38, 14, 14),
                   (0.5, 9, -61, 8, 5, "upper"), (-0.4, 6, -71, 11, 6, "lower"), (2.0, 31, -10, 14, 6)),
             "z": ((-5.5, *corner), (5.2, 36, -33, 13, 12), (-1.5, 0, -66, 18, 8))},
        14: {"x": ((4.5, mouth + 2, -65.5, 8, 8),), "y": ((2.5, mouth + 2, -65.5, 8, 8),),
             "z": ((-5.0, mouth + 3, -65, 5, 6), (2.0, mouth + 12, -60, 7, 12))},
        15: {"x": ((1.5, *corner),), "y": ((-7.0, mouth, -66, 10, 9.5), (-1.0, 12, -67, 8, 5)),
             "z": ((-1.0, *corner), (2.2, mouth + 6, -78, 8, 9))},
        16: {"y": ((-6.0, 9, -71, 13, 7, "lower"),), "z": ((1.2, 0, -72, 14, 5, "lower"),)},
        17: {"y": ((6.5, 0, -93, 17, 11), (5.0, 0, -73, 16, 7, "lower"), (2.6, 0, -62, 13, 5, "upper")),
             "z": ((2.6, 0, -92, 14, 9), (2.6, 0, -70, 13, 4, "lower"), (0.8, 0, -61, 12, 4))},
        18: {"x": ((-9.0, mouth, -65.5, 13, 9), (-1.2, 12, -65, 8, 8)),
             "y": ((1.2, 8, -60, 9, 4, "upper"), (-1.2, 8, -71, 9, 4, "lower")),
             "z": ((7.5, 0, -65.5, 16, 9), (2.5, *corner))},
        20: {"x": ((6.8, *corner), (2.6, 14, -66, 9, 9)), "y": ((-2.2, *corner), (-1.5, mouth, -85, 14, 12)),
             "z": ((-4.5, *corner), (-1.5, 0, -66, 18, 8))},
        22: {"x": ((-6.5, mouth, -65.5, 12, 9),),
             "y": ((3.0, 0, -59, 13, 4.5, "upper"), (-3.8, 0, -71.5, 13, 5, "lower")),
             "z": ((6.5, 0, -61, 15, 6, "upper"), (6.0, 0, -70, 15, 6, "lower"))},
        23: {"x": ((-2.0, *corner),), "y": ((-3.2, 0, -59, 17, 3.2, "upper"), (4.0, 0, -72, 17, 3.6, "lower")),
             "z": ((-1.6, 0, -65.5, 18, 7),)},
        24: {"x": ((-1.0, *corner),), "y": ((-3.0, 0, -59.5, 17, 3.4, "upper"), (3.6, 0, -71.5, 17, 3.8, "lower")),
             "z": ((-2.6, 0, -65.5, 18, 6), (1.0, 0, -55, 16, 4))},
        28: {"y": ((-3.2, 0, -60, 18, 4, "upper"), (5.0, 0, -71, 18, 4.5, "lower")), "z": ((-5.0, 0, -65.5, 20, 6),)},
    }  # fmt: skip


def evaluate(surface: Surface, points: Points) -> Fields:
    """All fields of one identity at the given points."""
    y, _ = template_height(points.v)
    x = surface.template_points(points.phi, points.v)[:, 0]
    front = (np.abs(points.phi) < FRONT_PHI) & (points.v > FRONT_LOW) & (points.v < FRONT_HIGH)
    is_upper = np.where(points.lip != 0, points.lip > 0, y >= surface.slit(x) - 0.02)
    upper_lid, lower_lid, gap = _lid_weights(surface, points, x, y)
    upper_lid, lower_lid = upper_lid * front, lower_lid * front
    fields = np.zeros((N_UNITS, len(x), 3))
    masks = {"upper": is_upper.astype(float), "lower": 1.0 - is_upper}
    for unit, components in _tables(surface.mouth_half_width).items():
        for axis, name in enumerate("xyz"):
            for amplitude, cx, cy, sx, sy, *lip in components.get(name, ()):
                fields[ROW[unit], :, axis] += amplitude * bump(x, y, cx, cy, sx, sy) * (masks[lip[0]] if lip else 1)
    _add_special(fields, surface, x, y, is_upper, lower_lid)
    fields[:, :, 0] *= np.sign(x)
    fields *= front[:, None]
    left = smoothstep(-SIDE_BLEND_MM, SIDE_BLEND_MM, x)[:, None]
    sides = np.stack([fields * left, fields * (1 - left)], axis=1)
    return Fields(
        displacement=sides.reshape(2 * len(ACTION_UNITS), len(x), 3).astype(np.float32),
        upper_lid=upper_lid, lower_lid=lower_lid, lid_gap=gap, front=front,
        jaw=_jaw_weight(surface, points, x, y, is_upper) * (np.abs(points.phi) < FRONT_PHI),
        corner=bump(x, y, surface.mouth_half_width, -65.5, 12.5, 11),
    )  # fmt: skip


def _add_special(
    fields: Array, surface: Surface, x: Array, y: Array, is_upper: NDArray[np.bool_], lower_lid: Array
) -> None:
    """The parts that are no plain Gaussians: forehead, lower lid with the cheek, parting lips. In place."""
    wide = np.abs(x)
    forehead = smoothstep(12, 30, y) * smoothstep(66, 38, y) * np.exp(-0.5 * (wide / 30) ** 2)
    fields[ROW[1], :, 1] += 3.5 * forehead * np.exp(-0.5 * ((wide - 12) / 13) ** 2)
    fields[ROW[2], :, 1] += 2.5 * forehead * np.exp(-0.5 * ((wide - 40) / 14) ** 2)
    fields[ROW[6], :, 1] += 2.2 * lower_lid
    inside = np.clip(1 - (wide / surface.mouth_half_width) ** 2, 0, 1) ** 0.6
    fields[ROW[25], :, 1] += np.where(
        is_upper, 1.6 * np.exp(-0.5 * ((y + 60) / 7) ** 2), -2.6 * np.exp(-0.5 * ((y + 71) / 8) ** 2)
    ) * inside


def _lid_weights(surface: Surface, points: Points, x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Following of the upper and lower lid (0..1), and the neutral gap between the margins (mm)."""
    upper, lower = surface.lids(x)
    inner, outer = surface.lid_span()
    width = LID_HALF_WIDTH * surface.identity.eye_width * 1.22
    lateral = np.clip(1 - ((np.abs(x) - EYE_X) / width) ** 2, 0, 1) ** 0.7
    is_above = y >= (upper + lower) / 2
    on_upper = np.where(points.lid > 0, 1.0, lateral * is_above * smoothstep(upper + 9.5, upper, y))
    on_lower = np.where(points.lid < 0, 1.0, lateral * ~is_above * smoothstep(lower - 8.5, lower, y))
    gap = np.where((np.abs(x) > inner) & (np.abs(x) < outer), upper - lower, 0.0)
    return on_upper, on_lower, np.maximum(gap, 0.0)


def _jaw_weight(surface: Surface, points: Points, x: Array, y: Array, is_upper: NDArray[np.bool_]) -> Array:
    """1 below the lower lip, 0 above the slit, easing out towards cheeks and throat; the corners go part of the way.

    Between the corners both lips follow an ellipse, so that an open mouth is round rather than a trapezoid.
    """
    half, wide = surface.mouth_half_width, smoothstep(1.5, 0.75, np.abs(points.phi))
    below = smoothstep(-46, -78, y) * wide * smoothstep(-150, -114, y)
    inside = np.sqrt(np.clip(1 - (np.abs(x) / (half * 1.01)) ** 2, 0, 1))
    band = np.exp(-0.5 * ((y + 65.3) / 9.0) ** 2)
    near = band * np.exp(-0.5 * (np.maximum(np.abs(x) - half, 0) / 10.0) ** 2)
    resting = below + (CORNER_JAW - below) * near
    lower = resting * (1 - inside * band) + inside * band
    return np.asarray(np.clip(np.where(is_upper, resting * (1 - inside * 0.97), lower), 0, 1))
