"""Paints an identity's skin: albedo, hair, gloss, fine relief, painted at full size and reduced to the frame's needs.

Rows run from the crown down, columns over φ from −π to π. Colours are linear light.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .hair import above_hairline
from .identity import Identity
from .motion import smoothstep
from .surface import Array, Surface, bump, template_height

WIDTH, HEIGHT = 1536, 1280
V_TOP, V_BOTTOM = 122.0, -300.0
ALBEDO, HAIR, GLOSS, SLOPE_U, SLOPE_V, SUBSURFACE = slice(0, 3), 3, 4, 5, 6, 7
N_CHANNELS = 8
RELIEF_GAIN = 0.8  # slope per unit of relief between neighbouring texels
FULL_SIZE_PX = 512  # frames of this size use the texture unreduced
GAMMA = 2.2
BROW_STROKES = 620

Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """Coordinates of every texel, and the noise of this identity."""

    surface: Surface
    rng: np.random.Generator
    phi: Map
    v: Map
    x: Map
    y: Map
    front: Map  # 1 on the face
    coarse: Map  # noise of unit deviation, three grain sizes
    medium: Map
    fine: Map
    pores: Map

    @property
    def identity(self) -> Identity:
        return self.surface.identity


@dataclass(slots=True, kw_only=True)
class Paint:
    """The growing texture; every step paints over the ones before."""

    colour: Map  # (H, W, 3)
    relief: Map
    lips: Map
    brows: Map
    hair: Map
    cloth: Map


def linear(colour: tuple[float, float, float]) -> NDArray[np.float64]:
    """Linear light of an sRGB colour (plain gamma 2.2)."""
    return np.array(colour) ** GAMMA


def uv_of(phi: Array, v: Array) -> Map:
    """(n, 2) texture coordinates 0..1 of template coordinates."""
    return np.stack([(phi + np.pi) / (2 * np.pi), (V_TOP - v) / (V_TOP - V_BOTTOM)], axis=-1).astype(np.float32)


def reduction(size_px: int) -> int:
    """By which power of two the texture shrinks for frames of a size: one texel about half a pixel."""
    factor = 1
    while factor * 2 * size_px <= FULL_SIZE_PX and factor < 8:
        factor *= 2
    return factor


def paint_texture(surface: Surface, size_px: int) -> Map:
    """(H, W, 8) float32 texture of an identity, reduced for frames of `size_px`."""
    canvas = _canvas(surface)
    paint = _skin(canvas)
    _lips(canvas, paint)
    _nostrils_and_lids(canvas, paint)
    _brows(canvas, paint)
    _hair(canvas, paint)
    _cloth(canvas, paint)
    texture = _assemble(canvas, paint)
    factor = reduction(size_px)
    if factor == 1:
        return texture
    shape = (HEIGHT // factor, factor, WIDTH // factor, factor, N_CHANNELS)
    return np.ascontiguousarray(texture.reshape(shape).mean(axis=(1, 3), dtype=np.float32))


def _noise(rng: np.random.Generator, sigma_x: float, sigma_y: float | None = None) -> Map:
    """Smooth noise of unit deviation."""
    noise = rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y or sigma_x))
    return np.asarray(smooth / smooth.std(), np.float32)


def _canvas(surface: Surface) -> Canvas:
    rng = np.random.default_rng(surface.identity.seed)
    phi_row = (np.arange(WIDTH) + 0.5) / WIDTH * 2 * np.pi - np.pi
    v_column = V_TOP - (np.arange(HEIGHT) + 0.5) / HEIGHT * (V_TOP - V_BOTTOM)
    y_column, narrowing = template_height(v_column)
    x = (surface.half_width(y_column) * narrowing)[:, None] * np.sin(phi_row)[None]
    phi, v = np.meshgrid(phi_row, v_column)
    y = np.repeat(y_column[:, None], WIDTH, axis=1)
    front = (np.abs(phi) < 1.5) & (v < 75) & (v > -125)
    maps = {name: np.asarray(value, np.float32) for name, value in
            {"phi": phi, "v": v, "x": x, "y": y, "front": front}.items()}  # fmt: skip
    return Canvas(
        surface=surface, rng=rng, **maps, coarse=_noise(rng, 22), medium=_noise(rng, 5), fine=_noise(rng, 1.6),
        pores=_noise(rng, 0.9),
    )  # fmt: skip


def _darken(paint: Paint, amount: Array, tint: tuple[float, float, float]) -> None:
    """Multiply the colour by 1 − amount·tint."""
    paint.colour *= (1 - amount[..., None] * np.array(tint)).astype(np.float32)


def _skin(c: Canvas) -> Paint:
    who, x, y = c.identity, c.x, c.y
    skin = linear(who.skin).astype(np.float32)
    grain = 1 + 0.020 * c.coarse + 0.022 * c.medium + 0.020 * c.fine + 0.014 * c.pores
    blank = np.zeros_like(grain)
    paint = Paint(colour=skin * grain[..., None], relief=0.05 * c.pores + 0.07 * c.fine * c.front,
                  lips=blank, brows=blank, hair=blank, cloth=blank)  # fmt: skip
    forehead = 0.105 * np.exp(-0.5 * ((c.v - 35) / 18) ** 2)
    blush = c.front * (
        0.8 * bump(x, y, 38, -26, 15, 13) + 0.85 * bump(x, y, 0, -34, 13, 8)
        + 0.35 * bump(x, y, 0, -97, 13, 8) + forehead
    ).astype(np.float32)
    strength = (0.08 if skin.mean() < 0.12 else 0.16) * (1 + 0.4 * who.femininity)
    paint.colour[..., 0] *= 1 + 0.35 * strength * blush
    paint.colour[..., 1] *= 1 - 0.95 * strength * blush * (1 + 0.25 * c.medium)
    paint.colour[..., 2] *= 1 - 0.85 * strength * blush
    _darken(paint, c.front * (0.9 * bump(x, y, 29, -8.5, 11, 3.6) + 0.7 * bump(x, y, 16, 0, 4, 5)), (0.13, 0.20, 0.14))
    _darken(paint, c.front * bump(x, y, 31, 8, 14, 4.5) * (1 + 0.9 * who.femininity), (0.10, 0.16, 0.12))
    _darken(paint, c.front * bump(x, y, 0, -50, 12, 5) * 0.096, (0.4, 1.0, 1.0))
    _freckles_and_stubble(c, paint)
    return paint


def _freckles_and_stubble(c: Canvas, paint: Paint) -> None:
    who, x, y = c.identity, c.x, c.y
    if who.freckles > 0:
        spots = np.clip((_noise(c.rng, 1.5) - 1.7) * 1.2, 0, 1) * c.front * who.freckles
        _darken(paint, spots * (bump(x, y, 28, -22, 20, 12) + 0.7 * bump(x, y, 0, -20, 12, 12)), (0.25, 0.4, 0.45))
    if who.stubble > 0:
        wide = np.abs(x)
        beard = smoothstep(-40, -52, y) * (1 - 0.9 * bump(x, y, 0, -65, 27, 10))
        beard *= np.clip(smoothstep(38, 16, wide) + smoothstep(-60, -85, y), 0, 1) * smoothstep(-140, -112, y)
        zone = np.clip(c.front * beard + c.front * smoothstep(-30, -60, y) * smoothstep(45, 60, wide) * 0.8, 0, 1)
        hairs = (np.clip(c.pores * 0.5 + 0.55, 0, 1) * zone * who.stubble).astype(np.float32)
        _darken(paint, cv2.GaussianBlur(hairs, (0, 0), 0.7), (0.48, 0.42, 0.36))


def _lips(c: Canvas, paint: Paint) -> None:
    who, x, y, half = c.identity, c.x, c.y, c.surface.mouth_half_width
    upper, lower, slit = c.surface.upper_lip(x), c.surface.lower_lip(x), c.surface.slit(x)
    wide = np.abs(x)
    mask = smoothstep(-0.9, 0.9, upper - y) * smoothstep(-0.9, 0.9, y - lower)
    mask *= smoothstep(half + 1.0, half - 1.5, wide) * c.front
    lines = 0.07 * np.sin(x * 3.1 + 2 * np.sin(x * 0.9) + 0.15 * c.medium) * np.cos((y - slit) * 0.15)
    shade = (1 + lines + 0.04 * c.medium) * (1 - 0.22 * smoothstep(0, 3, y - slit))
    cover = (0.88 * mask)[..., None]
    paint.colour = (paint.colour * (1 - cover) + linear(who.lip_colour) * shade[..., None] * cover).astype(np.float32)
    border = np.exp(-0.5 * ((y - upper) / 1.1) ** 2) * c.front * smoothstep(half, half - 6, wide)
    paint.colour *= 1 + (0.06 * border * (1 - mask)).astype(np.float32)[..., None]
    gap = 0.55 * c.front * np.exp(-(((y - slit) / 0.8) ** 2)) * smoothstep(half + 1, half - 2, wide)
    _darken(paint, gap.astype(np.float32), (0.8, 1.0, 1.0))
    paint.lips = mask.astype(np.float32)


def _nostrils_and_lids(c: Canvas, paint: Paint) -> None:
    who, wide, y = c.identity, np.abs(c.x), c.y
    along = (y / who.nose_length + 43.0 - 0.22 * (wide - 6)) / 1.15
    hole = 1.15 * np.exp(-0.5 * (((wide - 6.8 * who.nose_width) / 2.6) ** 2 + along**2) ** 1.3)
    _darken(paint, (c.front * np.clip(hole, 0, 1)).astype(np.float32), (0.80, 0.90, 0.90))
    upper, lower = c.surface.lids(c.x)
    inner, outer = c.surface.lid_span()
    span = c.front * smoothstep(inner - 1, inner + 3, wide) * smoothstep(outer + 1.2, outer - 0.6, wide)
    soft = who.femininity
    liner = span * np.exp(-0.5 * ((y - upper - 0.15) / (0.55 + 0.25 * soft)) ** 2) * (0.75 + 0.15 * soft)
    _darken(paint, liner.astype(np.float32), (0.9, 0.93, 0.93))
    _darken(paint, (span * np.exp(-0.5 * ((y - lower + 0.1) / 0.55) ** 2) * 0.42).astype(np.float32), (0.8, 0.95, 0.95))
    crease = c.front * smoothstep(inner - 1, inner + 5, wide) * smoothstep(outer + 4, outer - 3, wide)
    crease = np.asarray(crease * np.exp(-0.5 * ((y - (upper * 0.82 + 4.6)) / 0.6) ** 2), np.float32)
    _darken(paint, 0.33 * crease, (1.0, 1.0, 1.0))
    paint.relief -= 0.5 * crease


def _brows(c: Canvas, paint: Paint) -> None:
    """Single hairs, anti-aliased with 4 fractional bits, over a soft shadow."""
    who, rng = c.identity, c.rng
    canvas = np.zeros((HEIGHT, WIDTH), np.float32)
    count = int(BROW_STROKES * who.brow_thickness**0.5)
    for side in (1, -1):
        t = rng.beta(1.0, 1.05, count)
        thick = 4.51 * who.brow_thickness * (1 - 0.62 * t)
        thick *= 0.80 + 0.55 * np.sin(np.clip(t * 1.05, 0, 1) * np.pi) ** 0.6
        thick *= 0.6 + 0.4 * smoothstep(0.0, 0.16, t)  # rounded inner end
        x = 11 + 40 * t
        y = c.surface.brow(x) + rng.uniform(-1, 1, count) * (thick + 0.6) * 0.62
        dx = np.interp(t, [0, 0.12, 0.4, 1], [0.15, 0.5, 0.9, 1.0]) + rng.normal(0, 0.12, count)
        dy = np.interp(t, [0, 0.12, 0.4, 0.7, 1], [1.0, 0.85, 0.4, -0.05, -0.45]) + rng.normal(0, 0.12, count)
        length = rng.uniform(3.0, 5.2, count) * (1 - 0.25 * t)
        start = _texels(c.surface, side * x, y - dy * length * 0.4)
        end = _texels(c.surface, side * (x + dx * length * 0.6), y + dy * length * 0.6)
        for a, b, strength in zip(start, end, rng.uniform(0.6, 1.0, count), strict=True):
            cv2.line(canvas, tuple(a.tolist()), tuple(b.tolist()), float(strength), 1, cv2.LINE_AA, 4)
    hairs, shadow = cv2.GaussianBlur(canvas, (0, 0), 0.6), cv2.GaussianBlur(canvas, (0, 0), 3.0)
    paint.brows = np.clip(hairs * 0.95 + shadow * 0.55, 0, 0.95) * c.front
    colour = linear(tuple(np.array(who.hair) * 0.55 + 0.012)) * (0.5 if np.mean(who.hair) > 0.4 else 1.0)
    cover = paint.brows[..., None]
    paint.colour = (paint.colour * (1 - cover) + colour * cover).astype(np.float32)


def _texels(surface: Surface, x: Array, y: Array) -> NDArray[np.int64]:
    """(n, 2) texel positions in sixteenths."""
    return np.rint(uv_of(surface.phi(x, y), y).astype(np.float64) * (WIDTH * 16, HEIGHT * 16)).astype(np.int64)


def _hair(c: Canvas, paint: Paint) -> None:
    strands, locks = _noise(c.rng, 0.8, 26), _noise(c.rng, 4, 40)
    above = above_hairline(c.identity, c.phi, c.v)
    mask = (smoothstep(-3.5, 5.0, above + 1.1 * strands + 0.9 * locks) * (c.v > -90)).astype(np.float32)
    colour = linear(c.identity.hair) * np.clip(1 + 0.30 * strands + 0.28 * locks, 0.25, 2.2)[..., None]
    cover = mask[..., None]
    paint.colour = (paint.colour * (1 - cover) + colour * cover).astype(np.float32)
    paint.relief = paint.relief * (1 - mask) + mask * 0.35 * strands
    paint.hair = mask


def _cloth(c: Canvas, paint: Paint) -> None:
    phi, v = c.phi, c.v
    wide = np.abs(phi)
    collar = {
        "crew": -168 + 6 * np.cos(phi),
        "v": -172 - 42 * np.clip(1 - wide / 0.75, 0, 1),
        "polo": -150 - 14 * np.clip(1 - wide / 0.45, 0, 1),
    }[c.identity.collar]
    mask = np.asarray(cv2.GaussianBlur((v < collar).astype(np.float32), (0, 0), 0.8), np.float32)
    stitch = np.sin(v * 4.2) * np.sin(phi * 180)
    hem = np.exp(-(((v - collar + 5) / 1.0) ** 2))
    if c.identity.collar == "polo":
        hem = hem + np.exp(-(((v - collar + 16) / 1.2) ** 2))
    weave = (1 + 0.07 * stitch + 0.03 * c.medium + 0.03 * c.coarse) * (1 - 0.35 * hem)
    cover = mask[..., None]
    paint.colour = (paint.colour * (1 - cover) + linear(c.identity.cloth) * weave[..., None] * cover).astype(np.float32)
    shadow = 0.35 * np.exp(-(((v - collar - 2) / 4.0) ** 2)) * (1 - mask)
    _darken(paint, shadow.astype(np.float32), (1.0, 1.0, 1.0))
    paint.relief = paint.relief * (1 - mask) + mask * (0.12 * stitch - 0.6 * hem)
    paint.cloth = mask


def _assemble(c: Canvas, paint: Paint) -> Map:
    who, x, y = c.identity, c.x, c.y
    bare = (1 - paint.hair) * (1 - paint.cloth)
    gloss = 0.25 + 0.55 * bump(x, y, 0, -28, 9, 14) + 0.45 * bump(x, y, 0, 38, 26, 16)
    gloss += 0.35 * bump(x, y, 40, -20, 12, 9) + 0.3 * bump(x, y, 0, -100, 9, 7)
    gloss = gloss * c.front * bare * (1 - paint.brows)
    gloss = gloss * (1 - paint.lips) + paint.lips * (0.75 + 0.3 * who.femininity) + 0.10 * bare
    texture = np.zeros((HEIGHT, WIDTH, N_CHANNELS), np.float32)
    texture[..., ALBEDO] = np.clip(paint.colour, 0.002, 1)
    texture[..., HAIR] = np.clip(paint.hair, 0, 1)
    texture[..., GLOSS] = gloss
    relief = np.pad(paint.relief, 1, mode="edge")
    texture[..., SLOPE_U] = (relief[1:-1, 2:] - relief[1:-1, :-2]) * RELIEF_GAIN
    texture[..., SLOPE_V] = (relief[:-2, 1:-1] - relief[2:, 1:-1]) * RELIEF_GAIN
    texture[..., SUBSURFACE] = bare * (1 - 0.5 * paint.brows)
    return texture
