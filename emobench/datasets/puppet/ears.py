"""The outer ear: an outline, the relief of helix, antihelix, concha, tragus and lobe, a back that joins the head."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from .grid import grid_triangles
from .motion import smoothstep
from .parts import Material, Part
from .surface import Array, Surface

RINGS, SEGMENTS = 17, 44
BACK_RINGS = ((0.97, -3.0), (0.82, -7.5), (0.6, -13.0))  # share of the outline and mm behind it, towards the head
TURN = np.radians(27)  # between ear and head
LEAN = 0.20  # the top leans backwards
CENTRE_Y, CENTRE_Z, STAND_OFF = -16.0, -24.0, 4.6
_ANGLES = np.radians(np.arange(0, 361, 30))  # 0 backwards, 90 up
_OUTLINE = CubicSpline(
    _ANGLES, [16.0, 18.8, 24.0, 28.0, 23.0, 15.0, 12.5, 13.5, 20.0, 28.5, 24.0, 17.6, 16.0], bc_type="periodic"
)  # mm


def ear(surface: Surface, side: int) -> Part:
    """The ear on one side (+1 the subject's left)."""
    angle = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)
    share = np.linspace(0, 1, RINGS)[:, None] ** 0.8  # rings are closest at the rim
    outline = _OUTLINE(angle)[None]
    back = share * outline * np.cos(angle)
    up = share * outline * np.sin(angle)
    relief = _relief(share, angle[None], back, up)
    occlusion = _occlusion(share, angle[None], back, up)
    for size, depth in BACK_RINGS:
        back = np.concatenate([back, size * outline * np.cos(angle)])
        up = np.concatenate([up, size * outline * np.sin(angle)])
        relief = np.concatenate([relief, relief[RINGS - 1 : RINGS] + depth])
        occlusion = np.concatenate([occlusion, np.full((1, SEGMENTS), 0.55)])
    scale = surface.identity.ear_size
    back_axis = np.array([np.sin(TURN) * side, 0, -np.cos(TURN)])
    normal = np.array([np.cos(TURN) * side, 0, np.sin(TURN)])
    root = np.array([side * (float(surface.half_width(np.array(CENTRE_Y))) + STAND_OFF), CENTRE_Y, CENTRE_Z])
    points = root + scale * ((back + LEAN * up)[..., None] * back_axis + relief[..., None] * normal)
    points[..., 1] += scale * up
    triangles = grid_triangles(RINGS + len(BACK_RINGS), SEGMENTS, closed=True)
    return Part(
        vertices=points.reshape(-1, 3), triangles=triangles if side > 0 else triangles[:, ::-1],
        material=Material.EAR, local=np.zeros((points.size // 3, 3)), occlusion=occlusion.ravel(),
    )  # fmt: skip


def _blob(x: Array, y: Array, cx: float, cy: float, sx: float, sy: float) -> Array:
    return np.asarray(np.exp(-(((x - cx) / sx) ** 2) - ((y - cy) / sy) ** 2))


def _rim(angle: Array) -> Array:
    """1 where the helix runs: from the front over the top and down the back, fading into the lobe."""
    turned = np.degrees((angle + np.pi / 2) % (2 * np.pi))  # 0 at the lobe, 90 at the back, 180 on top
    return np.asarray(smoothstep(22, 62, turned) * smoothstep(288, 255, turned))


def _ridge(share: Array, middle: Array | float, width: float) -> Array:
    return np.asarray(np.exp(-(((share - middle) / width) ** 2)))


def _relief(share: Array, angle: Array, back: Array, up: Array) -> Array:
    """mm off the ear's plane, away from the head."""
    rim = _rim(angle)
    turned = np.degrees((angle + np.pi / 2) % (2 * np.pi))
    height = 4.4 * rim * _ridge(share, 0.93, 0.085) - 1.4 * rim * _ridge(share, 0.77, 0.07)
    inner = smoothstep(25, 60, turned) * smoothstep(205, 165, turned)
    height += 3.4 * inner * _ridge(share, 0.58, 0.10)  # antihelix and its upper crus
    height += 2.0 * _blob(back, up, -5.0, 9.5, 6.0, 2.6)  # lower crus, and the fossa above it
    height -= 1.8 * _blob(back, up, -4.0, 15.5, 5.5, 3.2)
    bowl = ((back + 2.0) / 8.2) ** 2 + ((up + 4.5) / 10.5) ** 2
    height -= 7.5 * np.exp(-(bowl**1.6))  # concha
    height += 1.6 * _blob(back, up, -6.5, 0.5, 6.0, 1.6)  # crus of the helix
    height += 6.0 * _blob(back, up, -10.5, -7.0, 3.4, 5.0)  # tragus
    height += 3.2 * _blob(back, up, 0.5, -17.0, 4.5, 2.8)  # antitragus
    height += 1.6 * _blob(back, up, -3.0, -25.0, 8.0, 5.5)  # lobe
    return np.asarray(height - 1.2 * smoothstep(0.95, 1.0, share) + 0.012 * back**2)


def _occlusion(share: Array, angle: Array, back: Array, up: Array) -> Array:
    """The hollows of the ear are dark, 0..1."""
    bowl = ((back + 2.0) / 8.0) ** 2 + ((up + 4.5) / 10.0) ** 2
    dark = 0.68 * np.exp(-(bowl**1.4)) + 0.42 * _rim(angle) * _ridge(share, 0.79, 0.07)
    dark += 0.35 * _blob(back, up, -5.5, -7.0, 4.0, 4.5) + 0.15 * _blob(back, up, -4.0, 15.5, 5.5, 3.2)
    return np.asarray(np.clip(1 - dark, 0.25, 1))
