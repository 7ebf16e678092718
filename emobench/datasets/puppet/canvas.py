"""The sheet an identity is painted on: texel coordinates, noise, strokes; and the growing paint. Knows no features."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .compiled import jit
from .identity import Identity
from .motion import smoothstep
from .surface import Array, Surface, template_height

WIDTH, HEIGHT = 1536, 1280
V_TOP, V_BOTTOM = 122.0, -300.0
FACE_PHI, FACE_HIGH, FACE_LOW = 1.55, 80.0, -140.0  # the window on which faces are painted
GAMMA = 2.2

Map = NDArray[np.float32]
Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """Coordinates of the whole sheet, of the face's window within it, and this identity's noise (unit deviation)."""

    surface: Surface
    rng: np.random.Generator
    phi: Map  # (HEIGHT, WIDTH)
    v: Map
    fine: Map
    pores: Map
    window: tuple[slice, slice]  # of the face
    x: Map  # (h, w) of the window, template mm; likewise below
    y: Map
    front: Map  # 1 on the face, 0 at the window's rim
    coarse: Map
    medium: Map

    @property
    def identity(self) -> Identity:
        return self.surface.identity


@dataclass(slots=True, kw_only=True)
class Paint:
    """The growing texture, whole sheet; every step paints over the ones before."""

    colour: Map  # (HEIGHT, WIDTH, 3) linear
    relief: Map
    gloss: Map
    hair: Map  # share of the texel; likewise below
    cloth: Map
    brows: Map  # and beard


def linear(colour: Colour) -> NDArray[np.float64]:
    """Linear light of an sRGB colour (plain gamma 2.2)."""
    return np.array(colour) ** GAMMA


def uv_of(phi: Array, v: Array) -> Map:
    """(n, 2) texture coordinates 0..1 of template coordinates."""
    return np.stack([(phi + np.pi) / (2 * np.pi), (V_TOP - v) / (V_TOP - V_BOTTOM)], axis=-1).astype(np.float32)


def texels(surface: Surface, x: Array, y: Array) -> Array:
    """(n, 2) column and row of frontal points."""
    return np.asarray(uv_of(surface.phi(x, y), y).astype(np.float64) * (WIDTH, HEIGHT) - 0.5)


def noise(rng: np.random.Generator, shape: tuple[int, int], sigma_x: float, sigma_y: float | None = None) -> Map:
    """Smooth noise of unit deviation; grains wider than 8 texels are drawn small and enlarged."""
    step = 4 if min(sigma_x, sigma_y or sigma_x) > 8 else 1
    small = rng.standard_normal((-(-shape[0] // step), -(-shape[1] // step)), dtype=np.float32)
    smooth = cv2.GaussianBlur(small, (0, 0), sigmaX=sigma_x / step, sigmaY=(sigma_y or sigma_x) / step)
    if step > 1:
        smooth = cv2.resize(smooth, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth / smooth.std(), np.float32)


def blank_canvas(surface: Surface) -> Canvas:
    """The canvas of an identity; its noise follows from the identity's seed."""
    rng = np.random.default_rng(surface.identity.seed)
    phi_row = (np.arange(WIDTH) + 0.5) / WIDTH * 2 * np.pi - np.pi
    v_column = V_TOP - (np.arange(HEIGHT) + 0.5) / HEIGHT * (V_TOP - V_BOTTOM)
    columns = np.flatnonzero(np.abs(phi_row) < FACE_PHI)
    rows = np.flatnonzero((v_column < FACE_HIGH) & (v_column > FACE_LOW))
    window = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    y_column, narrowing = template_height(v_column[window[0]])
    x = (surface.half_width(y_column) * narrowing)[:, None] * np.sin(phi_row[window[1]])[None]
    rim = smoothstep(FACE_PHI, FACE_PHI - 0.25, np.abs(phi_row[window[1]]))[None]
    rim = rim * (smoothstep(80, 68, v_column[window[0]]) * smoothstep(-140, -126, v_column[window[0]]))[:, None]
    phi, v = np.meshgrid(phi_row.astype(np.float32), v_column.astype(np.float32))
    sheet, face = (HEIGHT, WIDTH), x.shape
    return Canvas(
        surface=surface, rng=rng, phi=phi, v=v, fine=noise(rng, sheet, 1.6), pores=noise(rng, sheet, 0.9),
        window=window, x=x.astype(np.float32), y=np.repeat(y_column[:, None], x.shape[1], axis=1).astype(np.float32),
        front=rim.astype(np.float32), coarse=noise(rng, face, 24), medium=noise(rng, face, 5),
    )  # fmt: skip


def darken(colour: Map, amount: Array, tint: Colour) -> None:
    """Multiply a colour (h, w, 3) by 1 − amount·tint, in place."""
    colour *= 1 - np.asarray(amount, np.float32)[..., None] * np.array(tint, np.float32)


def cover(colour: Map, share: Array, by: Array) -> None:
    """Blend a colour (h, w, 3) towards `by` (3,) or (h, w, 3), in place."""
    share = np.asarray(share, np.float32)[..., None]
    colour *= 1 - share
    colour += share * np.asarray(by, np.float32)


@jit
def draw_hairs(sheet: Map, start: Array, end: Array, strength: Array, radius: Array) -> None:
    """Add tapering, soft-edged strokes from start to end (n, 2) texels to a coverage map 0..1, in place."""
    height, width = sheet.shape
    for k in range(len(start)):
        x0, y0, x1, y1, r = start[k, 0], start[k, 1], end[k, 0], end[k, 1], radius[k]
        dx, dy = x1 - x0, y1 - y0
        length = dx * dx + dy * dy + 1e-9
        left, right = max(0, int(min(x0, x1) - r - 1)), min(width - 1, int(max(x0, x1) + r + 2))
        top, bottom = max(0, int(min(y0, y1) - r - 1)), min(height - 1, int(max(y0, y1) + r + 2))
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                t = ((column - x0) * dx + (row - y0) * dy) / length
                t = min(max(t, 0.0), 1.0)
                ex, ey = column - x0 - t * dx, row - y0 - t * dy
                near = r * (1 - 0.6 * t) + 0.5 - np.sqrt(ex * ex + ey * ey)
                if near > 0:
                    share = min(near, 1.0) * strength[k] * (1 - 0.45 * t)
                    sheet[row, column] += share * (1 - sheet[row, column])
