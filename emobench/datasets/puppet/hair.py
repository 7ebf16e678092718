"""Hair: where it begins, how thick it lies on the skull, and the curtains and buns that hang from it."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from .grid import grid_triangles
from .identity import Identity
from .motion import smoothstep
from .parts import Material, Part
from .surface import AXIS_Z, Array, Surface, bump

LINE_PHI = (0, 0.35, 0.75, 1.05, 1.25, 1.45, 1.62, 1.8, 2.3, np.pi)
FRONT_HEIGHT = {"long": 63.0, "short": 62.0, "bun": 62.0, "fringe": 52.0, "receding": 70.0}
ROOT_MM = 42.0  # full thickness is reached this far from the hairline
SKULL_ONLY = -80.0  # template height below which no skin carries hair

CURTAIN_COLUMNS, CURTAIN_ROWS = 110, 54
CURTAIN_EDGE_PHI = 0.95  # the curtain is open in front between ±this
CURTAIN_TOP, CURTAIN_FREE, CURTAIN_BOTTOM = 113.0, 12.0, -128.0  # template height; below FREE it hangs straight
PARTING_SWING = 0.60  # rad that the front edge is pulled to the middle at the crown
BUN_RADIUS, BUN_CENTRE = 31.0, (0.0, 118.0, -45.0)


def above_hairline(identity: Identity, phi: Array, v: Array) -> Array:
    """Template mm above the (ragged) hairline; negative on bare skin."""
    front = FRONT_HEIGHT[identity.hair_style]
    receding = identity.hair_style == "receding"
    temple = 82.0 if receding else 66.0
    heights = (
        front, front + 1.5, 76.0 if receding else temple - 8, 52.0 if receding else 44.0, 16.0,
        -2.0 if identity.femininity else -12.0, -10.0, -34.0, -62.0, -70.0,
    )  # fmt: skip
    line = PchipInterpolator(LINE_PHI, heights)(np.abs(phi))
    ragged = 0.35 * np.sin(phi * 41 + 3 * np.sin(phi * 13)) + 0.2 * np.sin(phi * 97)
    return np.asarray(v - line + ragged)


def thickness(identity: Identity, phi: Array, v: Array, x: Array) -> Array:
    """How far hair lifts the scalp (mm)."""
    above = above_hairline(identity, phi, v)
    style = identity.hair_style
    lumps = 1 + 0.16 * np.sin(phi * 7 + identity.seed) * np.sin(v * 0.09 + 1) + 0.08 * np.sin(phi * 19 + v * 0.05)
    lift = identity.hair_thickness_mm * smoothstep(-1, 8 if style == "fringe" else ROOT_MM, above) * lumps
    if style in ("short", "fringe"):
        lift = lift * (0.45 + 0.55 * smoothstep(-30, 50, v)) + 5 * smoothstep(50, 95, v)
    if style == "fringe":
        lift = lift + 3.5 * bump(x, v, 0, 58, 45, 14) * smoothstep(-1, 6, above)
    if style == "receding":
        lift = lift * (0.5 + 0.5 * smoothstep(0.5, 1.1, np.abs(phi))) * 0.8
    return np.where(v > SKULL_ONLY, lift, 0.0)


def loose_hair(surface: Surface) -> list[Part]:
    """Hair that is not skin: the curtain of long hair, a bun."""
    style = surface.identity.hair_style
    if style == "long":
        return [_curtain(surface)]
    return [_bun()] if style == "bun" else []


def _curtain(surface: Surface) -> Part:
    """A sheet around the head, open in front, from the parting down to the shoulders; its ends turn inwards."""
    columns = np.linspace(CURTAIN_EDGE_PHI, 2 * np.pi - CURTAIN_EDGE_PHI, CURTAIN_COLUMNS)
    across, down = np.meshgrid(columns, np.linspace(0, 1, CURTAIN_ROWS), indexing="ij")
    phi = np.where(across > np.pi, across - 2 * np.pi, across)
    edge = np.minimum(across - CURTAIN_EDGE_PHI, 2 * np.pi - CURTAIN_EDGE_PHI - across)
    bottom = CURTAIN_BOTTOM + 5 * np.sin(across * 9) + 3 * np.sin(across * 31) + 14 * smoothstep(0.35, 0, edge)
    height = CURTAIN_TOP + (bottom - CURTAIN_TOP) * down
    swing = PARTING_SWING * smoothstep(40, 105, height) * smoothstep(1.5, 0, edge)
    phi = np.sign(phi) * np.clip(np.abs(phi) - swing, 0.02, np.pi)
    base = surface.points(phi, np.clip(height, CURTAIN_FREE, 112))
    fall = np.clip((CURTAIN_FREE - height) / (CURTAIN_FREE - CURTAIN_BOTTOM), 0, 1)
    out = (surface.identity.hair_thickness_mm + 5.5) * smoothstep(0.0, 0.22, edge + 0.02) * (1 - 0.15 * fall) + 1.5
    waves = 1.5 * np.sin(phi * 37 + height * 0.03) + 0.9 * np.sin(phi * 71 - height * 0.05)
    waves = waves * smoothstep(112, 60, height)
    nx, nz = np.sin(phi), np.cos(phi)
    curl = smoothstep(0.72, 1.0, fall)
    x = base[..., 0] * (1 + 0.07 * np.sin(fall * np.pi) - 0.03 * fall - 0.10 * curl) + nx * (out + waves)
    z = AXIS_Z + (base[..., 2] - AXIS_Z) * (1 + 0.02 * fall - 0.10 * curl) + nz * (out + waves)
    z += -8 * fall * np.clip(nz, 0, 1) + 10 * fall * smoothstep(0.9, 0, edge)
    y = np.where(height > CURTAIN_FREE, base[..., 1] + out * 0.9 * smoothstep(60, 112, height), height)
    strand = across * 75 + 6 * np.sin(height * 0.02)
    occlusion = 1 - 0.35 * curl
    return Part(
        vertices=np.stack([x, y, z], -1).reshape(-1, 3),
        triangles=grid_triangles(CURTAIN_COLUMNS, CURTAIN_ROWS)[:, ::-1],
        material=Material.HAIR,
        local=np.stack([strand, height, np.zeros_like(strand)], -1).reshape(-1, 3),
        occlusion=occlusion.ravel(),
    )


def _bun() -> Part:
    polar, around = np.meshgrid(np.linspace(0, np.pi, 16), np.linspace(0, 2 * np.pi, 30, endpoint=False), indexing="ij")
    radius = BUN_RADIUS + 1.8 * np.sin(around * 9 + polar * 3)
    x = radius * np.sin(polar) * np.cos(around)
    y = radius * 0.85 * np.cos(polar)
    z = radius * np.sin(polar) * np.sin(around)
    local = np.stack([around * 28, polar * 40, np.zeros_like(polar)], -1)
    vertices = np.stack([x, y, z], -1) + np.array(BUN_CENTRE)
    return Part(
        vertices=vertices.reshape(-1, 3), triangles=grid_triangles(16, 30, closed=True)[:, ::-1],
        material=Material.HAIR, local=local.reshape(-1, 3), occlusion=np.ones(vertices.size // 3),
    )  # fmt: skip
