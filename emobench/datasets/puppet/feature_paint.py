"""Lips, lids, nostrils, brows and beard, painted over bare skin."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import HEIGHT, WIDTH, Canvas, Map, Paint, cover, darken, draw_hairs, linear, texels
from .motion import smoothstep
from .sculpture import NOSTRIL_X, Array, ridge

BROW_HAIRS, BEARD_HAIRS = 900, 9000
HAIR_RADIUS = 0.36  # texels


def paint_lips(c: Canvas, paint: Paint) -> None:
    """Vermilion: darker above, redder inside, finely lined, moist below."""
    who, x, y, half = c.identity, c.x, c.y, c.surface.mouth_half_width
    face = paint.colour[c.window]
    upper, lower, slit = c.surface.upper_lip(x), c.surface.lower_lip(x), c.surface.slit(x)
    wide, above = np.abs(x), smoothstep(-0.4, 0.8, y - slit)
    mask = smoothstep(-1.0, 1.2, upper - y) * smoothstep(-1.5, 1.6, y - lower)
    mask = mask * smoothstep(half + 0.5, half - 3.0, wide) * c.front
    lines = 0.05 * np.sin(x * 3.4 + 2 * np.sin(x * 0.8) + 0.5 * c.medium) + 0.03 * c.medium
    full = np.clip((slit - y) / np.maximum(slit - lower, 1), 0, 1)  # 0 at the slit, 1 at the lower border
    swell = ridge(full - 0.45, 0.28) * (1 - above) * ridge(wide, 0.55 * half)
    shade = (1 + lines + 0.16 * swell) * (1 - 0.20 * above) * (1 - 0.18 * smoothstep(0.45, 1.0, wide / half))
    colour = linear(who.lip_colour) * shade[..., None]
    inside = ridge(y - slit, 1.6)
    colour = colour * (1 - inside[..., None] * np.array([0.22, 0.42, 0.38]))
    cover(face, (0.80 + 0.12 * who.makeup) * mask, colour)
    border = ridge(y - upper - 0.6, 0.8) * c.front * smoothstep(half, half - 6, wide) * (1 - mask)
    darken(face, -0.05 * border, (1.0, 1.0, 1.0))
    gap = 0.50 * c.front * np.exp(-(((y - slit) / 0.7) ** 2)) * smoothstep(half + 1, half - 2, wide)
    darken(face, gap, (0.75, 1.0, 1.0))
    corner = np.exp(-0.5 * (((wide - half + 0.6) / 1.8) ** 2 + ((y - slit) / 1.1) ** 2)) * c.front
    darken(face, 0.35 * corner, (0.7, 1.0, 1.0))
    gloss = mask * (0.26 + 0.34 * who.makeup + 0.35 * swell) * (1 - 0.5 * above) * (1 + 0.2 * c.medium)
    paint.gloss[c.window] = paint.gloss[c.window] * (1 - mask) + gloss
    paint.relief[c.window] += (0.5 * lines * mask).astype(np.float32)


def paint_nostrils(c: Canvas, paint: Paint) -> None:
    """Two slanting openings, and the crease behind each wing."""
    face, wide, broad = paint.colour[c.window], np.abs(c.x), c.identity.nose_width
    across = (wide - NOSTRIL_X * broad) / (2.7 * (0.4 + 0.6 * broad))
    along = (c.y + 43.4 - 0.30 * (wide - NOSTRIL_X * broad)) / 1.35
    hole = np.exp(-0.5 * (across**2 + along**2) ** 1.5)
    darken(face, c.front * hole, (0.72, 0.86, 0.86))
    crease = ridge(wide - 17.6 * broad + 0.03 * (c.y + 38) ** 2, 1.1)
    crease = crease * smoothstep(-46, -42, c.y) * smoothstep(-30, -36, c.y)
    darken(face, 0.30 * c.front * crease, (0.6, 1.0, 1.0))


def paint_lids(c: Canvas, paint: Paint) -> None:
    """Lash line, moist lower rim, the pink inner corner, the crease of the upper lid."""
    who, wide, y = c.identity, np.abs(c.x), c.y
    face = paint.colour[c.window]
    upper, lower = c.surface.lids(c.x)
    inner, outer = c.surface.lid_span()
    fold = c.surface.lid_crease(c.x)
    span = c.front * smoothstep(inner + 1.5, inner + 6, wide) * smoothstep(outer + 1.5, outer - 0.6, wide)
    ink = 0.45 + 0.25 * who.femininity + 0.25 * who.makeup
    darken(face, span * ridge(y - upper - 0.2, 0.45 + 0.25 * who.makeup) * ink, (0.88, 0.93, 0.93))
    darken(face, span * ridge(y - lower + 0.5, 0.6) * (0.16 + 0.15 * who.makeup), (0.8, 0.95, 0.95))
    pink = c.front * np.exp(-0.5 * (((wide - inner - 0.8) / 1.6) ** 2 + ((y - lower + 0.2) / 1.1) ** 2))
    cover(face, 0.55 * pink, linear((0.72, 0.40, 0.36)) * (0.4 + 0.6 * np.mean(who.skin)))
    crease = c.front * smoothstep(inner - 1, inner + 5, wide) * smoothstep(outer + 4, outer - 3, wide)
    crease = crease * (ridge(y - fold, 0.65) + 0.35 * ridge(y - fold - 1.2, 1.6))
    darken(face, (0.36 - 0.12 * who.epicanthus) * crease, (0.75, 1.0, 1.0))
    paint.relief[c.window] -= (0.25 * crease).astype(np.float32)


def paint_brows(c: Canvas, paint: Paint) -> None:
    """Fine hairs: upright at the inner end, turning outwards, over a faint shadow."""
    who, rng = c.identity, c.rng
    sheet: Map = np.zeros((HEIGHT, WIDTH), np.float32)
    count = int(BROW_HAIRS * who.brow_density * who.brow_thickness**0.5)
    for side in (1, -1):
        t = rng.beta(1.2, 1.2, count)
        half = 3.1 * who.brow_thickness * (0.5 + 0.5 * smoothstep(0.0, 0.2, t)) * (1 - 0.72 * t**1.4)
        x = 11 + who.brow_gap_mm + (39.5 - who.brow_gap_mm) * t
        y = c.surface.brow(x) + np.clip(rng.normal(0, 0.52, count), -1.2, 1.2) * half
        turn = np.radians(np.interp(t, [0, 0.12, 0.4, 0.7, 1], [82, 62, 30, 2, -22]) + rng.normal(0, 9, count))
        length = rng.uniform(3.2, 6.0, count) * (1 - 0.3 * t)
        dx, dy = np.cos(turn) * length, np.sin(turn) * length
        start = texels(c.surface, side * (x - 0.4 * dx), y - 0.4 * dy)
        end = texels(c.surface, side * (x + 0.6 * dx), y + 0.6 * dy)
        strength = rng.uniform(0.3, 0.75, count) * (0.25 + 0.75 * smoothstep(0.0, 0.16, t))
        draw_hairs(sheet, start, end, strength, np.full(count, HAIR_RADIUS * 1.25))
    shadow = cv2.GaussianBlur(sheet[c.window], (0, 0), 3.2)
    darken(paint.colour[c.window], 0.5 * shadow * who.brow_density * c.front, (0.8, 0.95, 1.0))
    share = np.clip(sheet[c.window], 0, 0.92) * c.front
    cover(paint.colour[c.window], share, linear(who.brow_colour))
    paint.brows[c.window] = np.maximum(paint.brows[c.window], share)


def paint_beard(c: Canvas, paint: Paint) -> None:
    """Stubble as a soft shade with points; a beard as short hairs over it."""
    who, face = c.identity, paint.colour[c.window]
    if who.stubble <= 0 and who.beard <= 0:
        return
    zone = beard_zone(c)
    points = np.clip(0.95 + 0.18 * c.fine[c.window], 0, 1.5)
    darken(face, who.stubble * zone * points, (0.44, 0.40, 0.34))
    if who.beard <= 0:
        return
    rng, sheet = c.rng, np.zeros((HEIGHT, WIDTH), np.float32)
    rows, columns = np.unravel_index(
        rng.choice(zone.size, BEARD_HAIRS, p=zone.ravel() / zone.sum(dtype=np.float64)), zone.shape
    )
    start = np.stack([columns + c.window[1].start, rows + c.window[0].start], axis=1)
    start = start + rng.uniform(-0.5, 0.5, (BEARD_HAIRS, 2))
    outwards = np.clip(c.x[rows, columns] / 40, -1, 1)
    direction = np.stack([0.35 * outwards + rng.normal(0, 0.25, BEARD_HAIRS), np.ones(BEARD_HAIRS)], axis=1)
    end = start + direction * rng.uniform(4, 9, BEARD_HAIRS)[:, None]
    draw_hairs(sheet, start, end, rng.uniform(0.3, 0.8, BEARD_HAIRS), np.full(BEARD_HAIRS, HAIR_RADIUS))
    share = np.clip((0.60 * zone + 0.6 * sheet[c.window] * zone**0.5) * who.beard, 0, 0.95)
    grey = np.clip(0.50 + 1.1 * sheet[c.window] + 0.06 * c.medium, 0.2, 2)
    cover(face, share, linear(who.beard_colour) * grey[..., None])
    paint.relief[c.window] += (0.35 * sheet[c.window] * share).astype(np.float32)
    paint.brows[c.window] = np.maximum(paint.brows[c.window], share)


def beard_zone(c: Canvas) -> Array:
    """(h, w) 0..1 where beard grows: jaw, chin, upper lip and the front of the throat, not the lips."""
    wide, y, half = np.abs(c.x), c.y, c.surface.mouth_half_width
    cheek = -64 + 48 * smoothstep(28, 74, wide) ** 1.4
    jaw = smoothstep(4, -13, y - cheek)
    lip = smoothstep(-47.5, -52, y) * smoothstep(half + 9, half - 1, wide)
    lip = lip * (1 - 0.45 * ridge(c.x, 2.5) * smoothstep(-60, -54, y))
    bare = smoothstep(0.3, 2.2, y - c.surface.upper_lip(c.x)) + smoothstep(0.3, 2.6, c.surface.lower_lip(c.x) - y)
    bare = np.where(wide < half, bare, 1.0)
    below = 1 - 0.6 * np.exp(-0.5 * (((wide - 11) / 6) ** 2 + ((y + 79) / 4) ** 2))
    zone = np.maximum(jaw, lip) * np.clip(bare, 0, 1) * below * smoothstep(-140, -118, y)
    return np.asarray(np.clip(zone, 0, 1) * c.front)
