"""Upper lashes: single tapered hairs on the edge of a lid, recomputed with it in every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .surface import Array, Surface
from .template import Indices, Template

FULL_SIZE_PX = 512  # frames of this size show MOST hairs; smaller ones fewer and wider
MOST, FEWEST = 44, 16
FINEST_MM, WIDEST_MM = 0.34, 1.4
VERTICES = 5  # of a hair: two at the root, two in the middle, the tip
INNER, OUTER = 0.10, 0.985  # share of the lid, from the inner corner, that bears lashes
TRIANGLES = np.array([[0, 1, 2], [1, 3, 2], [2, 3, 4]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Lashes:
    """Hairs of one lid: between which contour vertices they stand, how long and how wide they are, where they lean."""

    contour: Indices  # (k,) skin vertices of the lid, inner to outer corner
    place: Array  # (m,) along the contour, in vertices
    length: Array  # (m,) mm
    lean: Array  # (m,) mm sideways per mm of length, outwards positive
    width: float
    side: int  # +1 the subject's left

    @property
    def n_vertices(self) -> int:
        return len(self.place) * VERTICES

    @property
    def triangles(self) -> Indices:
        """(3·m, 3) local indices."""
        return np.asarray((TRIANGLES[None] + np.arange(len(self.place))[:, None, None] * VERTICES).reshape(-1, 3))


def grow_lashes(surface: Surface, template: Template, size_px: int) -> list[Lashes]:
    """Both upper lids' lashes for frames of a size."""
    rng = np.random.default_rng(surface.identity.seed)
    share = size_px / FULL_SIZE_PX
    count = int(np.clip(MOST * share, FEWEST, MOST))
    grown = []
    for side in (1, -1):
        contour = template.lids[side, 1]
        along = INNER + (OUTER - INNER) * (np.arange(count) + 0.5 + rng.uniform(-0.25, 0.25, count)) / count
        length = (2.3 + 2.2 * surface.identity.femininity) * (0.45 + 0.55 * np.sin(np.pi * along**1.3))
        # The contour's vertices stand closer at the corners: x follows a cosine.
        place = np.arccos(1 - 2 * along) / np.pi * (len(contour) - 1)
        grown.append(Lashes(
            contour=contour, place=place, length=length * rng.uniform(0.75, 1.15, count),
            lean=1.1 * (along - 0.38) + rng.normal(0, 0.08, count), side=side,
            width=float(np.clip(FINEST_MM / share, FINEST_MM, WIDEST_MM)),
        ))  # fmt: skip
    return grown


def place_lashes(lashes: Lashes, skin: Array, surface: Surface) -> Array:
    """(T, n, 3) vertices on deformed skin (T, n_skin, 3)."""
    first = np.minimum(lashes.place.astype(np.int64), len(lashes.contour) - 2)
    share = (lashes.place - first)[:, None]
    contour = skin[:, lashes.contour]
    root = contour[:, first] * (1 - share) + contour[:, first + 1] * share
    forward = root - surface.eye_centre(lashes.side)
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    lean = np.stack([lashes.side * lashes.lean, 0 * lashes.lean, 0 * lashes.lean], axis=1)
    upwards = np.array([0.0, 1.0, 0.0])
    length = lashes.length[:, None]
    middle = root + length * 0.5 * (forward * 0.95 + lean * 0.5 + upwards * 0.05)
    tip = root + length * (forward * 0.75 + lean * 0.75 + upwards * 0.55)
    half = np.array([0.5 * lashes.width, 0.0, 0.0])
    vertices = np.stack([root - half, root + half, middle - 0.8 * half, middle + 0.8 * half, tip], axis=2)
    return np.asarray(vertices.reshape(len(skin), -1, 3))
