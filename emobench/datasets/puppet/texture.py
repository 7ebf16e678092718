"""An identity's skin texture: painted at full size step by step, packed into channels, reduced to the frame's needs.

Rows run from the crown down, columns over φ from −π to π. Colours are linear light.
"""

from __future__ import annotations

import numpy as np

from .canvas import HEIGHT, WIDTH, Canvas, Map, Paint, blank_canvas, cover, linear, noise, uv_of
from .clothes import paint_clothes
from .feature_paint import paint_beard, paint_brows, paint_lids, paint_lips, paint_nostrils
from .hair import CURLED
from .hair import cover as hair_cover
from .motion import smoothstep
from .skin_paint import paint_skin
from .surface import Surface

__all__ = ["linear", "paint_texture", "reduction", "uv_of"]

ALBEDO, HAIR, GLOSS, SLOPE_U, SLOPE_V, SUBSURFACE = slice(0, 3), 3, 4, 5, 6, 7
N_CHANNELS = 8
RELIEF_GAIN = 0.8  # slope per unit of relief between neighbouring texels
FULL_SIZE_PX = 512  # frames of this size use the texture unreduced


def reduction(size_px: int) -> int:
    """By which power of two the texture shrinks for frames of a size: one texel about half a pixel."""
    factor = 1
    while factor * 2 * size_px <= FULL_SIZE_PX and factor < 8:
        factor *= 2
    return factor


def paint_texture(surface: Surface, size_px: int) -> Map:
    """(H, W, 8) float32 texture of an identity, reduced for frames of `size_px`."""
    canvas = blank_canvas(surface)
    paint = paint_skin(canvas)
    paint_beard(canvas, paint)
    paint_lips(canvas, paint)
    paint_nostrils(canvas, paint)
    paint_lids(canvas, paint)
    paint_brows(canvas, paint)
    _paint_hair(canvas, paint)
    paint_clothes(canvas, paint)
    texture = _packed(paint)
    factor = reduction(size_px)
    if factor == 1:
        return texture
    shape = (HEIGHT // factor, factor, WIDTH // factor, factor, N_CHANNELS)
    return np.ascontiguousarray(texture.reshape(shape).mean(axis=(1, 3), dtype=np.float32))


def _paint_hair(c: Canvas, paint: Paint) -> None:
    """The scalp's own hair, under the locks."""
    curled = c.identity.hair_style in CURLED
    strands = noise(c.rng, (HEIGHT, WIDTH), 0.9, 1.2 if curled else 26)
    locks = noise(c.rng, (HEIGHT, WIDTH), 3, 3 if curled else 40)
    share = hair_cover(c.identity, c.phi, c.v)
    mask = smoothstep(0.0, 1.0, 1.6 * share - 0.2 + 0.5 * c.pores * share * (1 - share)) * (share > 0)
    mask = mask.astype(np.float32)
    tone = np.clip(1 + 0.30 * strands + 0.28 * locks, 0.25, 2.2)
    cover(paint.colour, mask, linear(c.identity.hair) * tone[..., None])
    paint.relief = paint.relief * (1 - mask) + mask * 0.35 * strands
    paint.hair = mask


def _packed(paint: Paint) -> Map:
    bare = (1 - paint.hair) * (1 - paint.cloth)
    texture = np.zeros((HEIGHT, WIDTH, N_CHANNELS), np.float32)
    texture[..., ALBEDO] = np.clip(paint.colour, 0.002, 1)
    texture[..., HAIR] = np.clip(paint.hair, 0, 1)
    texture[..., GLOSS] = paint.gloss * bare * (1 - paint.brows)
    relief = np.pad(paint.relief, 1, mode="edge")
    texture[..., SLOPE_U] = (relief[1:-1, 2:] - relief[1:-1, :-2]) * RELIEF_GAIN
    texture[..., SLOPE_V] = (relief[:-2, 1:-1] - relief[2:, 1:-1]) * RELIEF_GAIN
    texture[..., SUBSURFACE] = bare * (1 - 0.5 * paint.brows)
    return texture
