"""What the puppets wear: necklines, hems and cloth, painted on the shoulders."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import HEIGHT, WIDTH, Canvas, Map, Paint, cover, darken, linear, noise
from .identity import Collar
from .motion import smoothstep
from .sculpture import Array, ridge
from .torso import outline

FLAP_POINT_X, FLAP_POINT_MM = 33.0, 15.0  # where a turned-down collar ends lowest, and how far below its sides
FLAPS_MM = {"polo": 13.0, "shirt": 16.0}  # depth of the collar at the sides


def neckline(collar: Collar, wide: Array, beside: Array) -> Array:
    """Template height of the cloth's upper edge at |x| in mm and at |φ|, which tells front from back."""
    front = smoothstep(1.25, 0.0, beside)
    if collar == "crew":
        return np.asarray(-141 - 19 * front)
    if collar == "v":
        return np.asarray(-139 - 56 * np.clip(1 - wide / 62, 0, 1) * smoothstep(1.5, 1.2, beside))
    if collar == "mock":
        return np.asarray(-131 - 6 * front)
    depth, half = (30.0, 20.0) if collar == "polo" else (36.0, 24.0)
    return np.asarray(-134 - 5 * front - depth * np.clip(1 - wide / half, 0, 1) * smoothstep(1.5, 1.2, beside))


def paint_clothes(c: Canvas, paint: Paint) -> None:
    """Cloth below the neckline, its hems, folds and the shadow it casts on the skin."""
    who, rows = c.identity, slice(int(np.argmax(c.v[:, 0] < -120)), HEIGHT)
    phi, v = c.phi[rows], c.v[rows]
    wide, beside = np.abs(outline(who, v[:, :1], np.sin(phi[:1]))), np.abs(phi)
    edge = neckline(who.collar, wide, beside) + 0.25 * np.sin(9 * phi + who.seed)
    mask = np.asarray(cv2.GaussianBlur((v < edge).astype(np.float32), (0, 0), 0.9), np.float32)
    folds = noise(c.rng, (v.shape[0], WIDTH), 34, 22)
    weave = 0.03 * np.sin(v * 6.3) * np.sin(phi * 260) + 0.02 * c.fine[rows]
    seams, flap = _seams(who.collar, edge - v, v, wide)
    shade = (1 + weave + 0.04 * folds) * (1 - 0.38 * seams) * (1 + 0.08 * flap)
    cover(paint.colour[rows], mask, linear(who.cloth) * shade[..., None])
    shadow = 0.40 * np.exp(-(((v - edge - 0.5) / 2.6) ** 2)) * (1 - mask)
    darken(paint.colour[rows], shadow, (0.8, 1.0, 1.0))
    relief = 0.05 * np.sin(v * 6.3) + 1.6 * folds * smoothstep(0, 30, edge - v) - 0.5 * seams + 0.5 * flap
    paint.relief[rows] = paint.relief[rows] * (1 - mask) + mask * relief.astype(np.float32)
    paint.gloss[rows] *= 1 - mask
    paint.cloth[rows] = mask


def _seams(collar: Collar, below: Array, v: Array, wide: Array) -> tuple[Map, Map]:
    """Lines 0..1 of hems, and the share of a turned-down collar; `below` is mm under the cloth's edge."""
    hem = ridge(below - 0.8, 0.8)
    flap = np.zeros_like(below)
    if collar in ("crew", "v"):
        hem = hem + 0.8 * ridge(below - 7, 0.7)
    elif collar == "mock":
        hem = hem + 0.5 * ridge(below - 12, 0.8)
    else:
        end = -138 - FLAPS_MM[collar] - FLAP_POINT_MM * np.exp(-(((wide - FLAP_POINT_X) / 15) ** 2))
        flap = smoothstep(-0.6, 0.6, v - end)
        hem = hem + 1.4 * ridge(v - end + 0.8, 1.0) + 0.5 * ridge(v - end - 2.5, 0.5) + ridge(wide, 0.8)
    return np.asarray(np.clip(hem, 0, 1.4), np.float32), np.asarray(flap, np.float32)
