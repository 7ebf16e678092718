"""The face in motion: points of one identity plus α become displaced points. Knows no triangles and no pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .action_units import Fields, Points, evaluate
from .alpha import GAZE_Y, ROW
from .compiled import jit
from .surface import LID_RADIUS, Array, Surface

JAW_PIVOT = np.array([0.0, -18.0, -32.0])  # the joint before the ear
JAW_DEGREES = {26: 12.0, 27: 24.0}  # at weight 1
JAW_LIMIT = 28.0
CORNER_PULL = 0.16  # mm inwards per degree of opening past FREE_DEGREES
FREE_DEGREES = 3.0
CLOSED_SHARE = 0.92  # of the gap between the lids that the upper lid covers in a blink
LID_RISE_MM = 2.8  # of the upper lid above its rest, at most
RETRACTION_MM = 1.5  # rise at which the margin of the upper lid lies on the eyeball
LID_UNITS = (0.0, 10.0)  # raising and tightening scale with the neutral gap up to 10 mm


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """Neutral points of one identity and everything that moves them."""

    rest: Array  # (n, 3) mm, lips closed, without hair
    fields: Fields
    side: NDArray[np.int8]  # +1 left half, −1 right half
    lip_pairs: NDArray[np.int64]  # (k, 2) upper and lower points of the slit that must not cross


def make_rig(surface: Surface, points: Points, lip_pairs: NDArray[np.int64]) -> Rig:
    """Evaluate an identity at the given points; the slit is closed at rest."""
    rest = surface.template_points(points.phi, points.v)
    contour = points.lip != 0
    rest[contour, 1] = surface.slit(rest[contour, 0])
    rest[lip_pairs, 2] = rest[lip_pairs, 2].mean(axis=1, keepdims=True)  # a closed mouth leaves no crack
    rest = surface.place(rest)
    side = np.where(rest[:, 0] > 0, 1, -1).astype(np.int8)
    return Rig(rest=rest, fields=evaluate(surface, points), side=side, lip_pairs=lip_pairs)


def jaw_degrees(alpha: NDArray[np.float32]) -> Array:
    """(T,) opening of the jaw, at most JAW_LIMIT."""
    opened = sum((gain * _both(alpha, unit).max(axis=1) for unit, gain in JAW_DEGREES.items()), np.zeros(len(alpha)))
    return np.minimum(opened, JAW_LIMIT)


def _both(alpha: NDArray[np.float32], unit: int) -> Array:
    """(T, 2) left and right weight of an action unit."""
    return alpha[:, 2 * ROW[unit] : 2 * ROW[unit] + 2].astype(np.float64)


def deform(rig: Rig, surface: Surface, alpha: NDArray[np.float32], offset: Array | None = None) -> Array:
    """(T, n, 3) mm in head space. `offset` (n, 3) is added to the rest position (hair)."""
    fields = rig.fields
    position = np.empty((len(alpha), *rig.rest.shape))
    _displace(alpha, fields.displacement, rig.rest if offset is None else rig.rest + offset, position)
    degrees = jaw_degrees(alpha)
    pull = CORNER_PULL * np.maximum(0, degrees - FREE_DEGREES)
    position[..., 0] -= pull[:, None] * (rig.side * fields.corner * fields.front)
    turn_jaw(position, fields.jaw, degrees)
    _uncross_lips(position, rig.lip_pairs)
    _move_lids(position, rig, surface, alpha)
    return position


@jit
def _displace(
    alpha: NDArray[np.float32], displacement: NDArray[np.float32], rest: Array, position: Array
) -> None:
    """Rest (n, 3) plus weighted displacements (46, n, 3) into position (T, n, 3), always added in the same order.

    A matrix product of BLAS would add in the processor's order, and edges would fall on other pixels elsewhere.
    """
    for frame in range(len(alpha)):
        position[frame] = rest
        for unit in range(len(displacement)):
            weight = np.float64(alpha[frame, unit])
            if weight != 0.0:
                for point in range(len(rest)):
                    position[frame, point, 0] += weight * displacement[unit, point, 0]
                    position[frame, point, 1] += weight * displacement[unit, point, 1]
                    position[frame, point, 2] += weight * displacement[unit, point, 2]


def turn_jaw(position: Array, weight: Array, degrees: Array) -> None:
    """Turn points (T, n, 3) about the jaw's hinge by their weight (n,), in place."""
    angle = np.radians(degrees)[:, None] * weight
    cos, sin = np.cos(angle), np.sin(angle)
    y, z = position[..., 1] - JAW_PIVOT[1], position[..., 2] - JAW_PIVOT[2]
    position[..., 1] = JAW_PIVOT[1] + y * cos - z * sin
    position[..., 2] = JAW_PIVOT[2] + y * sin + z * cos


def _uncross_lips(position: Array, pairs: NDArray[np.int64]) -> None:
    """Where the upper lip has sunk below the lower one, both meet halfway; in place."""
    upper, lower = pairs[:, 0], pairs[:, 1]
    overlap = np.minimum(position[:, upper, 1] - position[:, lower, 1], 0)
    position[:, upper, 1] -= overlap * 0.5
    position[:, lower, 1] += overlap * 0.5


def _move_lids(position: Array, rig: Rig, surface: Surface, alpha: NDArray[np.float32]) -> None:
    """Blinks, raising, tightening, following the gaze; then lay the lids back on the eyeballs. In place."""
    fields = rig.fields
    openness = np.clip((fields.lid_gap - LID_UNITS[0]) / (LID_UNITS[1] - LID_UNITS[0]), 0, 1)
    gaze = alpha[:, GAZE_Y, None].astype(np.float64)
    for column, side in enumerate((1, -1)):
        chosen = np.flatnonzero((rig.side == side) & (fields.upper_lid + fields.lower_lid > 0))
        if not len(chosen):
            continue
        shut, raised, tight, cheek = (_both(alpha, unit)[:, column, None] for unit in (43, 5, 7, 6))
        gap, opened = fields.lid_gap[chosen], openness[chosen]
        follow = gaze * np.where(gaze < 0, 5.5, 3.5)
        down = shut * CLOSED_SHARE * gap + (1 - shut) * (tight * 1.9 - raised * 3.4 - follow) * opened
        follow_low = gaze * np.where(gaze < 0, 2.0, 1.0)
        up = shut * 0.08 * gap + (1 - shut) * (tight * 2.6 + cheek * 0.5 + follow_low) * opened - raised * 0.5 * opened
        lifted = position[:, chosen]
        lifted[..., 1] += fields.lower_lid[chosen] * up - fields.upper_lid[chosen] * down
        _retract(lifted, rig.rest[chosen], fields.upper_lid[chosen], surface.eye_centre(side))
        position[:, chosen] = _onto_eyeball(lifted, surface.eye_centre(side))


def _retract(points: Array, rest: Array, upper_lid: Array, centre: Array) -> None:
    """Brow and lid raisers add up: the upper lid rises LID_RISE_MM at most, sliding back over the eyeball. In place."""
    rise = np.maximum(points[..., 1] - rest[:, 1], 0.0)
    limited = LID_RISE_MM * np.tanh(rise / LID_RISE_MM)
    points[..., 1] -= upper_lid * (rise - limited)
    relative = points - centre
    ball = np.maximum(LID_RADIUS**2 - relative[..., 0] ** 2 - relative[..., 1] ** 2, 0)
    behind = np.minimum(centre[2] + np.sqrt(ball) - points[..., 2], 0)
    points[..., 2] += upper_lid**2 * np.clip(limited / RETRACTION_MM, 0, 1) * behind


def _onto_eyeball(points: Array, centre: Array) -> Array:
    """Points (…, 3) that fell inside the lid's sphere are moved forward onto it."""
    relative = points - centre
    inside = (relative**2).sum(-1) < LID_RADIUS**2
    surface_z = centre[2] + np.sqrt(np.maximum(LID_RADIUS**2 - relative[..., 0] ** 2 - relative[..., 1] ** 2, 0))
    points[..., 2] = np.where(inside, np.maximum(points[..., 2], surface_z), points[..., 2])
    return points
