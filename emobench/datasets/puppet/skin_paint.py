"""Bare skin: tone, blood, shade around the eyes, marks, pores, and the lines that years draw."""

from __future__ import annotations

import numpy as np

from .canvas import HEIGHT, WIDTH, Canvas, Map, Paint, darken, linear, noise
from .identity import Identity
from .motion import smoothstep
from .sculpture import Array, bump, bumps, nasolabial_distance, ridge

DARK = 0.12  # mean linear albedo below which skin counts as dark: blood shows less, gloss more


def paint_skin(c: Canvas) -> Paint:
    """A sheet of this identity's skin."""
    who = c.identity
    tone = linear(who.skin).astype(np.float32)
    grain = 1 + 0.016 * c.fine + 0.018 * c.pores
    paint = Paint(
        colour=tone * grain[..., None], relief=0.012 * c.fine, gloss=np.full((HEIGHT, WIDTH), 0.08, np.float32),
        hair=np.zeros((HEIGHT, WIDTH), np.float32), cloth=np.zeros((HEIGHT, WIDTH), np.float32),
        brows=np.zeros((HEIGHT, WIDTH), np.float32),
    )  # fmt: skip
    face = paint.colour[c.window]
    darkness = float(smoothstep(0.30, DARK, float(tone.mean())))
    _tone(c, face, darkness)
    _eye_shade(c, face, darkness)
    _marks(c, face)
    pores = c.front * bumps(c.x, c.y, ((1, 26, -28, 16, 14), (1, 0, -30, 12, 10), (0.5, 0, 40, 40, 16)))
    paint.relief[c.window] += (0.08 * pores * c.pores[c.window] * (1 - 0.5 * who.femininity)).astype(np.float32)
    lines = _lines(who, c)
    paint.relief[c.window] -= lines
    darken(face, 0.30 * lines, (0.75, 1.0, 1.0))
    paint.gloss[c.window] += _gloss(c, darkness)
    return paint


def _tone(c: Canvas, face: Map, darkness: float) -> None:
    """Blood under cheeks, nose and chin; forehead and temples yellower; dark skin darker around its edges."""
    who, x, y = c.identity, c.x, c.y
    blood = bumps(x, y, (
        (0.85, 37, -26, 15, 12), (0.75, 0, -34, 11, 7), (0.5, 13, -38, 5, 5), (0.35, 0, -98, 13, 8),
        (-0.30, 0, 44, 40, 14), (0.3, 31, -4, 16, 9), (-0.25, 0, -54, 26, 9), (-0.2, 30, -82, 14, 14),
    ))  # fmt: skip
    blood = c.front * (blood + 0.16 * c.coarse + 0.12 * c.medium)
    strength = 0.16 * who.blush * (1 - 0.55 * darkness)
    face *= (1 + strength * blood[..., None] * np.array([0.25, -0.95, -0.80])).astype(np.float32)
    brown = bumps(x, y, ((1, 31, 0, 17, 11), (0.7, 0, -64, 30, 16), (0.8, 66, 0, 14, 60), (-0.8, 34, -28, 13, 10),
                         (-0.7, 0, -16, 7, 16), (-0.4, 0, 40, 26, 12), (-0.5, 0, -98, 10, 7)))  # fmt: skip
    darken(face, c.front * (0.16 * darkness + 0.03) * (brown + 0.25 * c.coarse), (0.75, 1.0, 1.0))


def _eye_shade(c: Canvas, face: Map, darkness: float) -> None:
    who, x, y = c.identity, c.x, c.y
    tired = (0.7 + 0.7 * who.age) * c.front
    darken(face, tired * (0.8 * bump(x, y, 28, -9.5, 10, 3.4) + 0.7 * bump(x, y, 16, -1, 4, 5)), (0.11, 0.17, 0.11))
    lid = c.front * bump(x, y, 32, 8, 14, 4.5)
    darken(face, lid * (0.8 + 0.5 * darkness), (0.08, 0.13, 0.10))
    darken(face, lid * who.makeup, (0.22, 0.34, 0.28))
    darken(face, c.front * bump(x, y, 0, -50, 11, 4) * 0.08, (0.4, 1.0, 1.0))


def _marks(c: Canvas, face: Map) -> None:
    """Freckles over nose and cheeks; spots of age on forehead and temples."""
    who, x, y, shape = c.identity, c.x, c.y, c.x.shape
    if who.freckles > 0:
        small = np.clip((noise(c.rng, shape, 1.5) - 1.5) * 0.9, 0, 1)
        small = small + 0.6 * np.clip(noise(c.rng, shape, 2.4) - 1.8, 0, 1)
        where = bump(x, y, 27, -21, 17, 10) + 0.8 * bump(x, y, 0, -18, 11, 11) + 0.2 * bump(x, y, 0, 35, 35, 15)
        darken(face, c.front * who.freckles * small * where, (0.24, 0.42, 0.48))
    if who.spots > 0:
        large = np.clip((noise(c.rng, shape, 5.5) + 0.2 * c.medium - 1.7) * 0.9, 0, 1)
        where = bump(x, y, 48, 8, 16, 30) + 0.8 * bump(x, y, 20, 48, 30, 12) + 0.6 * bump(x, y, 45, -30, 14, 16)
        darken(face, c.front * who.spots * large * where, (0.16, 0.23, 0.27))
    mole = np.random.default_rng(who.seed + 220)
    for _ in range(2):
        side, mx, my = mole.choice((-1, 1)), mole.uniform(20, 48), mole.uniform(-85, -20)
        spot = np.exp(-0.5 * ((x - side * mx) ** 2 + (y - my) ** 2) / mole.uniform(0.5, 0.8) ** 2)
        darken(face, c.front * spot, (0.28, 0.38, 0.38))


def _lines(who: Identity, c: Canvas) -> Map:
    """Depth of the lines at rest (mm ≥ 0): forehead, frown, crow's feet, lower lids, folds, corners of the mouth."""
    x, y, age = c.x, c.y, who.age
    wide, shift = np.abs(x), 0.7 * c.coarse
    fold = nasolabial_distance(wide, y)
    depth = 0.12 * ridge(fold, 1.2) + 0.45 * age * ridge(fold + 0.3 * shift, 0.9)
    depth = depth * smoothstep(-36, -44, y) * smoothstep(-72, -60, y)
    if age > 0.15:
        depth = depth + age * (_forehead(x, y, shift) + _eye_lines(wide, y, shift) + _mouth_lines(c, wide, y, shift))
    return (c.front * depth).astype(np.float32)


def _forehead(x: Array, y: Array, shift: Array) -> Array:
    total = np.zeros_like(x)
    for height, bend, half in ((31, 1.6, 30), (39, 2.0, 36), (47, 1.5, 32), (54, 1.0, 24)):
        line = ridge(y - height - bend * np.cos(x / 13) - shift, 0.75)
        total = total + line * smoothstep(half + 9, half - 9, np.abs(x))
    frown = ridge(np.abs(x) - 5.5 - 0.10 * (y - 12) + 0.5 * shift, 0.8) * smoothstep(5, 12, y) * smoothstep(30, 22, y)
    return np.asarray(0.42 * total + 0.35 * frown)


def _eye_lines(wide: Array, y: Array, shift: Array) -> Array:
    total = np.zeros_like(wide)
    for k in range(4):
        total = total + ridge(y - (5.5 - 4.0 * k) - (wide - 50) * (0.35 - 0.28 * k) - 0.4 * shift, 0.55)
    feet = total * smoothstep(47, 51, wide) * smoothstep(64, 55, wide)
    bag = ridge(y + 16.0 - 0.016 * (wide - 30) ** 2 - 0.4 * shift, 0.9)
    bag = bag * smoothstep(15, 22, wide) * smoothstep(46, 38, wide)
    under = ridge(y + 8.5 - 0.014 * (wide - 31) ** 2, 0.6) * smoothstep(18, 24, wide) * smoothstep(46, 40, wide)
    return np.asarray(0.40 * feet + 0.45 * bag + 0.3 * under)


def _mouth_lines(c: Canvas, wide: Array, y: Array, shift: Array) -> Array:
    corner = ridge(wide - c.surface.mouth_half_width - 3.5 - 0.12 * (-68 - y) + 0.3 * shift, 0.9)
    neck = ridge(y + 128 + 0.002 * wide**2 - shift, 1.0)
    return np.asarray(0.45 * corner * smoothstep(-66, -71, y) * smoothstep(-88, -78, y) + 0.3 * neck)


def _gloss(c: Canvas, darkness: float) -> Map:
    """Oil on forehead, nose, cheekbones and chin; duller where skin is dark, where a highlight shows soonest."""
    x, y = c.x, c.y
    oil = bumps(x, y, ((0.50, 0, -29, 5.5, 11), (0.26, 0, 40, 24, 14), (0.28, 41, -17, 10, 7), (0.20, 0, -100, 8, 6),
                       (0.14, 31, 7, 12, 3)))  # fmt: skip
    return (c.front * oil * (1 - 0.35 * darkness) * (1 + 0.12 * c.medium)).astype(np.float32)
