"""478 landmarks over oval, brows, lids, irises, nose, lips, cheeks and forehead, moved by the same rig as the mesh.

Covers what MediaPipe's 468 + 10 points cover, in an order of its own (GROUPS); indices are not MediaPipe's. As in
`landmarks`, a point is a place on the neutral surface, so it follows the skin and not an outline of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emobench.types import Camera

from .action_units import Points
from .alpha import GAZE_X, GAZE_Y
from .head_model import GAZE_PITCH, GAZE_YAW
from .materials import IRIS_MM
from .rig import Rig, deform, make_rig
from .surface import EYE_X, EYEBALL_RADIUS, LID_HALF_WIDTH, Array, Surface
from .view import rotations

SIDES = (-1, 1)  # the subject's right (image left) first
OVAL_JAW = 25  # points of the oval along the jaw; the others close it over the forehead
OVAL_TOP_Y, OVAL_PHI, OVAL_EDGE = 58.0, 1.40, 4.0  # mm, rad, mm above the edge of the jaw
BROW_HALF_MM = 2.6
LID_POINTS, LIP_POINTS = 16, 20  # per contour, corners included
LID_RINGS, OUTER_LIP_RINGS, VERMILION = (3.2, 7.0), (1.35, 1.9), 0.5  # mm; in heights of the vermilion
NOSE_X, NOSE_Y = np.linspace(-1, 1, 7), np.linspace(5.0, -45.0, 7)  # x in half widths of the nose
NOSE_HALF_WIDTH = (7.0, 16.0)  # mm at the root and at the wings
FOREHEAD_X, FOREHEAD_Y = np.linspace(-50, 50, 11), np.linspace(27.0, 54.0, 5)
CHEEK_ROWS, CHEEK_COLUMNS = 7, 7
CHEEK_Y, CHEEK_INNER, CHEEK_OUTER_PHI = (-18.0, -84.0), (24.0, 32.0), (1.15, 0.86)
CHIN_X, CHIN_Y = np.linspace(-18, 18, 7), np.array([-85.0, -96.0])
IRIS_POINTS = 5  # centre, then towards the subject's left, up, right, down
GROUPS: Mapping[str, int] = {
    "oval": 36, "right_brow": 10, "left_brow": 10, "right_lids": 16, "left_lids": 16, "right_lid_rings": 32,
    "left_lid_rings": 32, "outer_lip": 20, "inner_lip": 20, "lip_rings": 40, "vermilion": 20, "nose": 49,
    "forehead": 55, "chin": 14, "right_cheek": 49, "left_cheek": 49, "right_iris": 5, "left_iris": 5,
}  # fmt: skip
N_DENSE = sum(GROUPS.values())
DEPTH_SLACK_MM, DEPTH_SLACK_PIXELS = 4.0, 1.5  # a point this far behind what its pixel shows is still visible


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseRig:
    """Rig of the points on skin, and the directions of the iris points from an eyeball's centre."""

    skin: Rig
    surface: Surface
    iris: Array  # (5, 3) unit vectors


def group_slices() -> dict[str, slice]:
    """Where each group stands among the 478 points."""
    ends = np.cumsum(list(GROUPS.values()))
    return {name: slice(int(end) - count, int(end)) for (name, count), end in zip(GROUPS.items(), ends, strict=True)}


def dense_rig(surface: Surface) -> DenseRig:
    """The dense landmarks of one identity."""
    points, pairs = _skin_points(surface)
    ring = IRIS_MM / EYEBALL_RADIUS
    rim = np.sqrt(1 - ring**2)
    iris = np.array([[0, 0, 1], [ring, 0, rim], [0, ring, rim], [-ring, 0, rim], [0, -ring, rim]])
    return DenseRig(skin=make_rig(surface, points, pairs), surface=surface, iris=iris)


def place_dense(rig: DenseRig, alpha: NDArray[np.float32]) -> Array:
    """(T, 478, 3) mm in head space."""
    skin = deform(rig.skin, rig.surface, alpha)
    angles = gaze_radians(alpha)
    eyes = []
    for column, side in enumerate(SIDES):
        yaw, pitch = angles[:, column].astype(np.float64).T
        turn = rotations(np.stack([yaw, -pitch, np.zeros_like(yaw)], axis=1))
        turned = np.einsum("tij,nj->tni", turn, rig.iris * EYEBALL_RADIUS)
        eyes.append(turned + rig.surface.eye_centre(side))
    return np.concatenate([skin, *eyes], axis=1)


def gaze_radians(alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, 2, 2) yaw (positive to the subject's left) and pitch (up) in rad of right and left eye, in head space."""
    gaze = alpha[:, [GAZE_X, GAZE_Y]] * np.array([GAZE_YAW, GAZE_PITCH], np.float32)
    return np.repeat(gaze[:, None], 2, axis=1)


def behind_lids(pixels: Array) -> NDArray[np.bool_]:
    """(T, 478) True for points of an iris outside of the opening between its lids, of points at pixels (T, 478, 2)."""
    groups, hidden = group_slices(), np.zeros(pixels.shape[:2], np.bool_)
    for side in ("right", "left"):
        lids, iris = pixels[:, groups[f"{side}_lids"]], pixels[:, groups[f"{side}_iris"]]
        a, b, point = lids[:, None], np.roll(lids, -1, axis=1)[:, None], iris[:, :, None]
        spans = (a[..., 1] > point[..., 1]) != (b[..., 1] > point[..., 1])
        height = np.where(b[..., 1] == a[..., 1], 1.0, b[..., 1] - a[..., 1])
        crossing = a[..., 0] + (point[..., 1] - a[..., 1]) / height * (b[..., 0] - a[..., 0])
        hidden[:, groups[f"{side}_iris"]] = (spans & (point[..., 0] < crossing)).sum(axis=2) % 2 == 0
    return hidden


def visible_points(camera_mm: Array, pixels: Array, depth: NDArray[np.uint16], camera: Camera) -> NDArray[np.bool_]:
    """(T, n) whether points (T, n, 3) at pixels (T, n, 2) are inside the frame and not behind depth (T, H, W)."""
    column, row = np.floor(pixels[..., 0]).astype(np.int64), np.floor(pixels[..., 1]).astype(np.int64)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    frame = np.arange(len(depth))[:, None]
    shown = depth[frame, np.clip(row, 0, camera.height - 1), np.clip(column, 0, camera.width - 1)] / 10.0
    distance = -camera_mm[..., 2]
    slack = DEPTH_SLACK_MM + DEPTH_SLACK_PIXELS * distance / camera.focal_px
    return np.asarray(inside & ((shown == 0) | (distance <= shown + slack)))


def _skin_points(surface: Surface) -> tuple[Points, NDArray[np.int64]]:
    """The 468 points on skin in the order of GROUPS, and the pairs of the inner lip that must not cross."""
    lids, lid_tags = _lids(surface)
    inner, lip_tags, pairs = _inner_lip(surface)
    cheek, rings = _cheek(surface), _lid_rings(lids)
    parts: dict[str, Array] = {
        "oval": _oval(surface), "outer_lip": _lip(surface, 1.0), "inner_lip": inner,
        "lip_rings": np.concatenate([_lip(surface, ring) for ring in OUTER_LIP_RINGS]),
        "vermilion": _lip(surface, VERMILION), "nose": _nose(surface), "forehead": _grid(FOREHEAD_X, FOREHEAD_Y),
        "chin": _grid(CHIN_X, CHIN_Y),
    }  # fmt: skip
    for name, side in (("right", -1), ("left", 1)):
        mirror = np.array([side, 1])
        parts |= {f"{name}_brow": _brow(surface) * mirror, f"{name}_lids": lids * mirror}
        parts |= {f"{name}_lid_rings": rings * mirror, f"{name}_cheek": cheek * mirror}
    where = group_slices()
    xy = np.concatenate([parts[name] for name in GROUPS if name in parts])
    lip, lid = np.zeros(len(xy), np.int8), np.zeros(len(xy), np.int8)
    lip[where["inner_lip"]] = lip_tags
    lid[where["right_lids"]] = lid[where["left_lids"]] = lid_tags
    points = Points(phi=surface.phi(xy[:, 0], xy[:, 1]), v=xy[:, 1], lip=lip, lid=lid)
    return points, pairs + where["inner_lip"].start


def _grid(x: Array, y: Array) -> Array:
    across, up = np.meshgrid(x, y)
    return np.stack([across.ravel(), up.ravel()], axis=1)


def _oval(surface: Surface) -> Array:
    """From the right temple along the jaw to the left temple, then back over the forehead."""
    phi = np.linspace(-OVAL_PHI, OVAL_PHI, OVAL_JAW)
    y = surface.jaw_line(phi) + OVAL_EDGE
    jaw = np.stack([surface.half_width(y) * np.sin(phi), y], axis=1)
    turn = np.linspace(0, np.pi, GROUPS["oval"] - OVAL_JAW + 2)[1:-1]
    top_y = -20 + (OVAL_TOP_Y + 20) * np.sin(turn)
    width = surface.half_width(np.array(0.0)) * np.sin(OVAL_PHI)
    return np.concatenate([jaw, np.stack([width * np.cos(turn), top_y], axis=1)])


def _brow(surface: Surface) -> Array:
    """Left brow: upper then lower edge, from the outer end inwards."""
    x = np.linspace(49, 13, 5)
    middle, half = surface.brow(x), BROW_HALF_MM * surface.identity.brow_thickness
    return np.concatenate([np.stack([x, middle + sign * half], axis=1) for sign in (1, -1)])


def _lids(surface: Surface) -> tuple[Array, NDArray[np.int8]]:
    """Left eye: outer corner, upper margin inwards, inner corner, lower margin outwards; and the lid tags."""
    inner, outer = surface.lid_span()
    x = outer + (inner - outer) * (1 - np.cos(np.linspace(0, np.pi, LID_POINTS // 2 + 1))) / 2
    upper, lower = surface.lids(x)
    contour = np.concatenate([np.stack([x, upper], axis=1), np.stack([x, lower], axis=1)[-2:0:-1]])
    return contour, np.array([1] * len(x) + [-1] * (len(x) - 2), np.int8)


def _lid_rings(contour: Array) -> Array:
    """Rings about the left eye's contour."""
    outwards = np.where(np.arange(LID_POINTS) < LID_POINTS // 2, 1.0, -1.0)
    outwards[[0, LID_POINTS // 2]] = 0
    rings = []
    for ring in LID_RINGS:
        x = (contour[:, 0] - EYE_X) * (1 + ring / LID_HALF_WIDTH) + EYE_X
        rings.append(np.stack([x, contour[:, 1] + outwards * ring], axis=1))
    return np.concatenate(rings)


def _lip(surface: Surface, ring: float) -> Array:
    """Right corner, upper side to the left corner, lower side back; `ring` in heights of the vermilion."""
    width = surface.mouth_half_width
    x = width * np.cos(np.linspace(np.pi, 0, LIP_POINTS // 2 + 1))
    slit = surface.slit(x)
    upper = slit + ring * (surface.upper_lip(x) - slit)
    lower = slit - ring * (slit - surface.lower_lip(x))
    wider = x * (1 + 0.12 * (ring - 1))
    return np.concatenate([np.stack([wider, upper], axis=1), np.stack([wider, lower], axis=1)[-2:0:-1]])


def _inner_lip(surface: Surface) -> tuple[Array, NDArray[np.int8], NDArray[np.int64]]:
    """The slit's contour as `_lip`, its lip tags, and the pairs (k, 2) of upper and lower points."""
    x = 0.96 * surface.mouth_half_width * np.cos(np.linspace(np.pi, 0, LIP_POINTS // 2 + 1))
    points = np.stack([x, surface.slit(x)], axis=1)
    upper = np.arange(1, len(x) - 1)
    contour = np.concatenate([points, points[-2:0:-1]])
    tags = np.array([1] * len(x) + [-1] * (len(x) - 2), np.int8)
    return contour, tags, np.stack([upper, LIP_POINTS - upper], axis=1)


def _nose(surface: Surface) -> Array:
    y = NOSE_Y
    half = np.linspace(*NOSE_HALF_WIDTH, len(y)) * surface.identity.nose_width
    grid = _grid(NOSE_X, y)
    grid[:, 0] *= np.repeat(half, len(NOSE_X))
    return grid


def _cheek(surface: Surface) -> Array:
    """Left cheek: rows from below the eye to the jaw, each from beside the nose or mouth outwards."""
    y = np.linspace(*CHEEK_Y, CHEEK_ROWS)
    inner = np.linspace(*CHEEK_INNER, CHEEK_ROWS)
    outer = surface.half_width(y) * np.sin(np.linspace(*CHEEK_OUTER_PHI, CHEEK_ROWS))
    x = inner[:, None] + (outer - inner)[:, None] * np.linspace(0, 1, CHEEK_COLUMNS)
    return np.stack([x.ravel(), np.repeat(y, CHEEK_COLUMNS)], axis=1)
