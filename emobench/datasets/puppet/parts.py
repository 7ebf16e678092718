"""What is not skin: eyeballs, teeth, tongue, mouth bag, ears; and the rims, lips and lashes that grow from the skin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

import numpy as np

from .grid import grid_triangles
from .surface import EYEBALL_RADIUS, Array, Surface
from .template import Indices, Template

EYE_RINGS, EYE_SEGMENTS = 22, 36
TEETH_COLUMNS, TEETH_ROWS = 41, 7
TONGUE_COLUMNS, TONGUE_ROWS = 13, 11
BAG_COLUMNS, BAG_ROWS = 17, 9
BAG_MARGIN = 5.0  # mm beyond the corners of the mouth, so that no gap shows beside the teeth
LID_RIM_RADIUS = 12.05  # inner edge of the lids, just inside the eyeball
LIP_DEPTHS = ((-1.2, 0.8), (-4.0, 2.2), (-9.0, 5.0))  # (z, y away from the slit) of the rows behind a lip, mm
LIP_OCCLUSION = (0.6, 0.4, 0.15)

Motion = Literal["head", "jaw", "eye_left", "eye_right"]


class Material(IntEnum):
    """What a triangle is made of; the shader switches on it."""

    SKIN = 0
    EYE = 1
    TEETH = 2
    TONGUE = 3
    CAVITY = 4
    LASH = 5
    HAIR = 6
    EAR = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A rigid piece. `local` (n, 3) is what its material needs: eye direction, tooth or strand coordinates."""

    vertices: Array  # (n, 3) mm at rest
    triangles: Indices
    material: Material
    local: Array
    occlusion: Array  # (n,) 1 = open
    motion: Motion = "head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Rows of vertices recomputed from a contour of the skin in every frame."""

    kind: Literal["lid_rim", "lash", "lip"]
    contour: Indices  # (k,) skin vertices
    n_rows: int  # rows of k vertices each
    side: int  # eye: +1 left, −1 right; lip: +1 upper, −1 lower
    material: Material
    occlusion: tuple[float, ...]  # per row


def rigid_parts(surface: Surface) -> dict[str, Part]:
    """Eyes, teeth, tongue and ears by name."""
    tongue = _tongue()
    return {
        "eye_left": _eye(surface, 1), "eye_right": _eye(surface, -1),
        "upper_teeth": _teeth(-67.8, -57.0, 22.0, 25.5, 1.0, "head"),
        "lower_teeth": _teeth(-70.5, -80.5, 19.5, 22.5, 1.3, "jaw"),
        "tongue": tongue, "ear_left": _ear(surface, 1), "ear_right": _ear(surface, -1),
    }  # fmt: skip


def strips(template: Template) -> list[Strip]:
    """Lid rims, upper lashes and the inner lips."""
    found = []
    for (side, which), contour in template.lids.items():
        rim = Strip(
            kind="lid_rim", contour=contour, n_rows=1, side=side, material=Material.SKIN, occlusion=(0.55,)
        )  # fmt: skip
        found.append(rim)
        if which > 0:
            found.append(replace(rim, kind="lash", n_rows=2, material=Material.LASH, occlusion=(1.0, 1.0)))
    for which, contour in template.lips.items():
        rows = len(LIP_DEPTHS)
        found.append(
            Strip(kind="lip", contour=contour, n_rows=rows, side=which, material=Material.SKIN, occlusion=LIP_OCCLUSION)
        )
    return found


def strip_triangles(strip: Strip, first: int) -> Indices:
    """Triangles that join the contour (not for lashes, which float) and the strip's rows starting at vertex `first`."""
    k = len(strip.contour)
    rows = first + np.arange(strip.n_rows * k).reshape(strip.n_rows, k)
    if strip.kind != "lash":
        rows = np.concatenate([strip.contour[None], rows])
    local = grid_triangles(len(rows), k)
    return np.asarray(rows.ravel()[local], np.int64)


def place_strip(strip: Strip, skin: Array, surface: Surface) -> Array:
    """(T, rows·k, 3) vertices of a strip on deformed skin (T, n, 3)."""
    source = skin[:, strip.contour]
    if strip.kind == "lip":
        return _behind_lip(source, strip.side)
    centre = surface.eye_centre(strip.side)
    outwards = source - centre
    outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
    if strip.kind == "lid_rim":
        return np.asarray(centre + outwards * LID_RIM_RADIUS)
    k = len(strip.contour)
    length = np.sin(np.linspace(0.0, np.pi * 0.8, k)) * (2.2 + 1.8 * surface.identity.femininity)
    root = source + outwards * 0.05
    tip = source + outwards * (0.75 * length)[:, None] + np.array([0.25 * strip.side, 0.55, 0]) * length[:, None]
    return np.concatenate([root, tip], axis=1)


def _behind_lip(source: Array, which: int) -> Array:
    """Rows that roll a lip inwards."""
    k = source.shape[1]
    taper = np.sin(np.linspace(0, np.pi, k)) ** 0.5
    rows = []
    for index, (dz, dy) in enumerate(LIP_DEPTHS):
        row = source.copy()
        row[..., 0] *= 1 - 0.02 * (index + 1)
        row[..., 1] += which * dy * taper
        row[..., 2] += dz
        rows.append(row)
    return np.concatenate(rows, axis=1)


def mouth_bag() -> tuple[Array, Array, Indices]:
    """Grid coordinates across and up (−1..1) of the dark sheet behind the teeth, and its triangles."""
    across, up = np.meshgrid(np.linspace(-1, 1, BAG_COLUMNS), np.linspace(-1, 1, BAG_ROWS), indexing="ij")
    return across.ravel(), up.ravel(), grid_triangles(BAG_COLUMNS, BAG_ROWS)


def place_bag(across: Array, up: Array, skin: Array, template: Template) -> Array:
    """(T, n, 3): the bag spans whatever the lips open."""
    top = skin[:, template.lips[1], 1].mean(axis=1, keepdims=True) + 12
    bottom = skin[:, template.lips[-1], 1].mean(axis=1, keepdims=True) - 10
    y = (top + bottom) / 2 + up * (top - bottom) / 2
    right, left = (skin[:, template.lips[1][end], 0][:, None] for end in (0, -1))
    half_width = ((left - right) / 2 + BAG_MARGIN) * (1 - 0.5 * up**2)
    x = (left + right) / 2 + across * half_width
    z = np.broadcast_to(8 + 8 * across**2 * (1 - up**2), y.shape)
    return np.stack([x, y, z], axis=-1)


def _eye(surface: Surface, side: int) -> Part:
    polar = np.linspace(0, np.pi * 0.62, EYE_RINGS)[:, None]
    around = np.linspace(0, 2 * np.pi, EYE_SEGMENTS, endpoint=False)
    direction = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar) + 0 * around], axis=-1
    ).reshape(-1, 3)
    return Part(
        vertices=direction * EYEBALL_RADIUS + surface.eye_centre(side),
        triangles=grid_triangles(EYE_RINGS, EYE_SEGMENTS, closed=True), material=Material.EYE, local=direction,
        occlusion=np.ones(len(direction)), motion="eye_left" if side > 0 else "eye_right",
    )  # fmt: skip


def _teeth(biting: float, root: float, width: float, depth: float, pitch: float, motion: Motion) -> Part:
    """An arch from the biting edge to the gums; `local` holds mm along the arch and the height 0..1."""
    along, height = np.meshgrid(
        np.linspace(-1, 1, TEETH_COLUMNS) * 1.25, np.linspace(0, 1, TEETH_ROWS), indexing="ij"
    )
    x = width * np.sin(along)
    y = biting + (root - biting) * height
    z = 21.5 + depth * np.cos(along) - 1.2 * (2 * height - 1) ** 2
    local = np.stack([along * 23 * pitch, height, np.zeros_like(along)], -1)
    return Part(
        vertices=np.stack([x, y, z], -1).reshape(-1, 3), triangles=grid_triangles(TEETH_COLUMNS, TEETH_ROWS),
        material=Material.TEETH, local=local.reshape(-1, 3), occlusion=np.ones(x.size), motion=motion,
    )  # fmt: skip


def _tongue() -> Part:
    across, along = np.meshgrid(np.linspace(-1, 1, TONGUE_COLUMNS), np.linspace(0, 1, TONGUE_ROWS), indexing="ij")
    x = across * 15 * np.sqrt(1 - 0.55 * along**3)
    y = -75 + 4.0 * (1 - across**2) * np.sin(np.pi * np.clip(along * 0.8 + 0.15, 0, 1))
    z = 12 + 28 * along
    local = np.stack([across, along, np.zeros_like(along)], -1)
    return Part(
        vertices=np.stack([x, y, z], -1).reshape(-1, 3), triangles=grid_triangles(TONGUE_COLUMNS, TONGUE_ROWS),
        material=Material.TONGUE, local=local.reshape(-1, 3), occlusion=np.full(x.size, 0.55), motion="jaw",
    )  # fmt: skip


def _ear(surface: Surface, side: int) -> Part:
    """A disc with a helix, antihelix and concha pressed into it, standing off the head."""
    radius, angle = np.meshgrid(np.linspace(0, 1, 9), np.linspace(0, 2 * np.pi, 28, endpoint=False), indexing="ij")
    backwards = radius * np.cos(angle) * 16.5 * (1 + 0.18 * np.sin(angle)) * (1 - 0.22 * np.clip(-np.sin(angle), 0, 1))
    upwards = radius * np.sin(angle) * 31
    helix = 4.0 * np.exp(-(((radius - 0.88) / 0.13) ** 2))
    helix *= 0.3 + 0.7 * np.clip(np.cos(angle - 2.6) * 0.5 + 0.75, 0, 1)
    antihelix = 2.2 * np.exp(-(((radius - 0.5) / 0.16) ** 2)) * np.clip(np.cos(angle - 2.6), 0, 1)
    concha = -4 * np.exp(-((radius / 0.33) ** 2))
    turn = np.radians(33)
    back_axis = np.array([np.sin(turn) * side, 0, -np.cos(turn)])
    normal = np.array([np.cos(turn) * side, 0, np.sin(turn)])
    centre = np.array([side * (float(surface.half_width(np.array(-14.0))) + 3.5), -16, -24])
    points = centre + backwards[..., None] * back_axis + (helix + antihelix + concha)[..., None] * normal
    points[..., 1] += 0.98 * upwards + 0.12 * backwards
    occlusion = 1 - 0.5 * np.exp(-((radius / 0.4) ** 2)) - 0.2 * np.exp(-(((radius - 0.7) / 0.08) ** 2))
    triangles = grid_triangles(9, 28, closed=True)
    return Part(
        vertices=points.reshape(-1, 3), triangles=triangles if side > 0 else triangles[:, ::-1],
        material=Material.EAR, local=np.zeros((points.size // 3, 3)), occlusion=occlusion.ravel(),
    )  # fmt: skip


