"""The 68 iBUG landmarks as points of the surface: where they sit on the template, moved by the same rig as the mesh."""

from __future__ import annotations

import numpy as np

from .action_units import Points
from .rig import Rig, make_rig
from .surface import EYE_X, Array, Surface

JAW_PHI = (1.44, 1.44, 1.42, 1.38, 1.2, 0.95, 0.65, 0.33, 0.0)  # from the ear to the chin
JAW_EAR_HEIGHTS = (0.0, -18.0, -38.0)  # of the first three
JAW_ABOVE_EDGE = 4.0  # mm above the lower edge of the jaw for the others
BROW_X = (49.0, 41.0, 32.0, 22.0, 13.0)
BRIDGE_Y = (7.0, -6.0, -19.0, -32.0)
NOSE_BASE = ((13.0, -43.0), (6.5, -45.0), (0.0, -46.0))
LID_SHARES = (0.32, 0.68)  # of the fissure from the outer corner
OUTER_LIP_SHARES = (1.0, 0.62, 0.22, 0.0)
INNER_LIP_SHARES = (0.94, 0.36, 0.0)
LOWER_LIP_SHARES = (0.66, 0.30, 0.0)

INNER_PAIRS = ((61, 67), (62, 66), (63, 65))  # upper and lower inner lip


def landmark_points(surface: Surface) -> Points:
    """The 68 points in iBUG order; the subject's right (x < 0) comes first, as it is left in the image."""
    right = [
        *_frontal_jaw(surface), *((x, float(surface.brow(np.array(x)))) for x in BROW_X)
    ]  # fmt: skip
    jaw, brows = right[:9], right[9:]
    xy = [*(_mirror(p) for p in jaw), *reversed(jaw[:8])]
    xy += [*(_mirror(p) for p in brows), *reversed(brows)]
    xy += [(0.0, y) for y in BRIDGE_Y[:3]] + [(0.0, BRIDGE_Y[3] + surface.identity.nose_upturn_mm)]
    base = [(x * surface.identity.nose_width, y) for x, y in NOSE_BASE]
    xy += [*(_mirror(p) for p in base), *reversed(base[:2])]
    outer, upper_outer, upper_inner, inner, lower_inner, lower_outer = _eye(surface)
    xy += [_mirror(p) for p in (outer, upper_outer, upper_inner, inner, lower_inner, lower_outer)]
    xy += [inner, upper_inner, upper_outer, outer, lower_outer, lower_inner]
    xy += _mouth(surface)
    lip, lid = np.zeros(68, np.int8), np.zeros(68, np.int8)
    lip[[48, 54, 60, 61, 62, 63, 64]] = 1
    lip[[65, 66, 67]] = -1
    lid[[37, 38, 43, 44, 36, 39, 42, 45]] = 1
    lid[[40, 41, 46, 47]] = -1
    x, y = np.array(xy).T
    return Points(phi=surface.phi(x, y), v=y, lip=lip, lid=lid)


def landmark_rig(surface: Surface) -> Rig:
    """Rig of the 68 landmarks; see rig.deform."""
    return make_rig(surface, landmark_points(surface), np.array(INNER_PAIRS, np.int64))


def _mirror(point: tuple[float, float]) -> tuple[float, float]:
    return (-point[0], point[1])


def _frontal_jaw(surface: Surface) -> list[tuple[float, float]]:
    """Nine points of the subject's left jaw as frontal x, y, from the ear to the chin."""
    phi = np.array(JAW_PHI)
    y = surface.jaw_line(phi) + JAW_ABOVE_EDGE
    y[: len(JAW_EAR_HEIGHTS)] = JAW_EAR_HEIGHTS
    x: Array = surface.half_width(y) * np.sin(phi)
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]


def _eye(surface: Surface) -> tuple[tuple[float, float], ...]:
    """Left eye: outer corner, upper outer, upper inner, inner corner, lower inner, lower outer."""
    inner, outer = surface.lid_span()
    x = outer + (inner - outer) * np.array([0.0, *LID_SHARES, 1.0])
    upper, lower = surface.lids(x)
    points = [(float(x[i]), float(upper[i])) for i in (0, 1, 2, 3)]
    points += [(float(x[i]), float(lower[i])) for i in (2, 1)]
    if not points[0][0] > EYE_X > points[3][0]:
        raise ValueError("the eye's corners do not enclose its centre")
    return tuple(points)


def _mouth(surface: Surface) -> list[tuple[float, float]]:
    """Landmarks 48 to 67: outer contour from the right corner over the upper lip, then the inner one likewise."""

    def across(shares: tuple[float, ...], heights: Array, sign: int) -> list[tuple[float, float]]:
        width = surface.mouth_half_width
        return [(sign * share * width, float(y)) for share, y in zip(shares, heights, strict=True)]

    width = surface.mouth_half_width
    upper = surface.upper_lip(np.array(OUTER_LIP_SHARES) * width)
    lower = surface.lower_lip(np.array(LOWER_LIP_SHARES) * width)
    inner = surface.slit(np.array(INNER_LIP_SHARES) * width)
    right, left = across(OUTER_LIP_SHARES, upper, -1), across(OUTER_LIP_SHARES, upper, 1)
    points = [*right, *reversed(left[:3])]
    low_left, low_right = across(LOWER_LIP_SHARES, lower, 1), across(LOWER_LIP_SHARES, lower, -1)
    points += [*low_left, *reversed(low_right[:2])]
    in_right, in_left = across(INNER_LIP_SHARES, inner, -1), across(INNER_LIP_SHARES, inner, 1)
    return [*points, *in_right, in_left[1], in_left[0], in_left[1], in_right[2], in_right[1]]
