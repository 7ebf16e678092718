"""What is not skin: materials, rigid pieces (here the eyeballs), and the rims and lips that grow from the skin."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .grid import grid_triangles
from .surface import EYEBALL_RADIUS, Array, Surface
from .template import Indices, Template

EYE_RINGS, EYE_SEGMENTS = 22, 36
LID_RIM_RADIUS = 12.05  # inner edge of the lids, just inside the eyeball
CARUNCLE_RADII, CARUNCLE_SHIFT = np.array([3.0, 1.4, 2.0]), (2.2, 0.0, -2.5)  # mm; from the inner corner
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
    RIM = 8  # wet edges of lids and lips


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A rigid piece. `local` (n, 3) is what its material needs: eye direction, tooth or strand coordinates."""

    vertices: Array  # (n, 3) mm at rest
    triangles: Indices
    material: Material
    local: Array
    occlusion: Array  # (n,) 1 = open
    motion: Motion = "head"
    uv: Array | None = None  # (n, 2) hair: across the lock and from root to tip, 0..1
    tone: Array | None = None  # (n, 2) hair: −1 dark .. 1 bright, and a number 0..1 of the lock
    casts: NDArray[np.bool_] | None = None  # (m,) triangles that cast shadow; None leaves it to the material
    behind: Indices | None = None  # (n,) hair: the neighbours towards root and tip, which give the strand's direction
    ahead: Indices | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Rows of vertices recomputed from a contour of the skin in every frame."""

    kind: Literal["lid_rim", "lip", "lining"]
    contour: Indices  # (k,) skin vertices
    n_rows: int  # rows of k vertices each
    side: int  # eye: +1 left, −1 right; lip: +1 upper, −1 lower; lining: 0
    material: Material
    occlusion: tuple[float, ...]  # per row


def eyeballs(surface: Surface) -> dict[str, Part]:
    """Both eyes by name, with the pink flesh in their inner corners."""
    return {
        "eye_left": _eye(surface, 1), "eye_right": _eye(surface, -1),
        "caruncle_left": _caruncle(surface, 1), "caruncle_right": _caruncle(surface, -1),
    }  # fmt: skip


def strips(template: Template) -> list[Strip]:
    """Lid rims and the inner lips."""
    found = []
    for (side, _), contour in template.lids.items():
        rim = Strip(
            kind="lid_rim", contour=contour, n_rows=1, side=side, material=Material.RIM, occlusion=(0.75,)
        )  # fmt: skip
        found.append(rim)
    for which, contour in template.lips.items():
        rows = len(LIP_DEPTHS)
        found.append(
            Strip(kind="lip", contour=contour, n_rows=rows, side=which, material=Material.RIM, occlusion=LIP_OCCLUSION)
        )
    return found


def strip_triangles(strip: Strip, first: int) -> Indices:
    """Triangles of the rows starting at vertex `first`, joined to the contour; the lining is a loop by itself."""
    k = len(strip.contour)
    rows = first + np.arange(strip.n_rows * k).reshape(strip.n_rows, k)
    if strip.kind != "lining":
        rows = np.concatenate([strip.contour[None], rows])
    local = grid_triangles(len(rows), k, closed=strip.kind == "lining")
    return np.asarray(rows.ravel()[local], np.int64)


def place_strip(strip: Strip, skin: Array, surface: Surface) -> Array:
    """(T, rows·k, 3) vertices of a rim or lip on deformed skin (T, n, 3)."""
    source = skin[:, strip.contour]
    if strip.kind == "lip":
        return _behind_lip(source, strip.side)
    centre = surface.eye_centre(strip.side)
    outwards = source - centre
    outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
    return np.asarray(centre + outwards * LID_RIM_RADIUS)


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


def _caruncle(surface: Surface, side: int) -> Part:
    inner, _ = surface.lid_span()
    x = np.array(inner * side)
    upper, _ = surface.lids(x)
    corner = surface.points(surface.phi(x, upper), upper)
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, 7), np.linspace(0, 2 * np.pi, 10, endpoint=False), indexing="ij"
    )
    ball = np.stack([np.cos(polar), np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around)], axis=-1)
    centre = corner + np.array([CARUNCLE_SHIFT[0] * side, *CARUNCLE_SHIFT[1:]])
    return Part(
        vertices=(ball * CARUNCLE_RADII + centre).reshape(-1, 3), triangles=grid_triangles(7, 10, closed=True),
        material=Material.RIM, local=np.zeros((70, 3)), occlusion=np.full(70, 0.7),
    )  # fmt: skip
