"""Inside the mouth: two rows of single teeth with gums, the tongue, and the lining behind the open lips."""

from __future__ import annotations

import numpy as np

from .grid import grid_triangles
from .motion import smoothstep
from .parts import Material, Motion, Part, Strip
from .surface import Array, Surface
from .template import Template

# Widths of half an arch from the middle outwards (mm), and lengths of the crowns relative to the first.
UPPER_WIDTHS, LOWER_WIDTHS = (8.4, 6.5, 7.4, 6.8, 6.8, 9.5), (5.4, 5.8, 6.8, 6.9, 7.0, 10.0)
UPPER_LENGTHS, LOWER_LENGTHS = (1.0, 0.91, 1.0, 0.88, 0.82, 0.76), (1.0, 1.0, 1.06, 1.0, 0.95, 0.9)
TOOTH_COLUMNS = 7
HEIGHTS = (0.55, 0.12, 0.0, 0.04, 0.14, 0.35, 0.6, 0.82, 1.0, 1.25, 1.6)  # of a crown: behind, edge, front, gum
BEHIND = 2  # leading rows of HEIGHTS on the back
THICKNESS, BULGE = 3.0, 0.75  # mm
LIP_MM = 9.5  # between the surface of the lips and the first teeth
UPPER_SHOWN_MM, LOWER_SUNK_MM = 2.0, 2.6  # how far below the slit the rows of teeth bite

TONGUE_ALONG, TONGUE_AROUND = 15, 20

# Rows of the lining: mm behind the lips, mm away from the slit, half width across in mm (0 that of the lips), share
# drawn to the middle, openness.
LINING = (
    (0.0, 0.0, 0.0, 0.0, 0.30), (-4.0, 2.9, 0.0, 0.0, 0.30), (-9.0, 5.6, 24.0, 0.0, 0.28),
    (-12.0, 7.5, 25.5, 0.0, 0.24), (-17.0, 10.5, 28.5, 0.0, 0.18),
    (-28.0, 13.0, 29.0, 0.0, 0.10), (-42.0, 11.0, 29.0, 0.15, 0.05), (-54.0, 3.0, 14.0, 0.6, 0.03),
    (-56.0, 0.0, 0.5, 1.0, 0.03),
)  # fmt: skip


def mouth_parts(surface: Surface) -> dict[str, Part]:
    """Teeth and tongue by name, behind the line between the lips."""
    _, slit, lips_z = (float(value) for value in surface.points(np.array(0.0), surface.slit(np.array(0.0))))
    front = lips_z - LIP_MM
    upper, lower = slit - UPPER_SHOWN_MM, slit - LOWER_SUNK_MM
    return {
        "upper_teeth": _arch(upper, 9.8, 24.5, 31.5, front - 31.5, UPPER_WIDTHS, UPPER_LENGTHS, "head"),
        "lower_teeth": _arch(lower, -8.6, 22.5, 28.5, front - 32.0, LOWER_WIDTHS, LOWER_LENGTHS, "jaw"),
        "tongue": _tongue(slit, front),
    }


def lining(template: Template) -> Strip:
    """The closed sac behind the lips: a loop over the upper and back along the lower lip, drawn to a point."""
    loop = np.concatenate([template.lips[1], template.lips[-1][-2:0:-1]])
    return Strip(
        kind="lining", contour=loop, n_rows=len(LINING), side=0, material=Material.CAVITY,
        occlusion=tuple(row[-1] for row in LINING),
    )  # fmt: skip


def place_lining(loop: Array) -> Array:
    """(T, rows·k, 3) from the lips' loop (T, k, 3): upper half first, then lower without the corners."""
    k = loop.shape[1]
    n_upper = k // 2 + 1
    upwards = np.concatenate([_taper(n_upper), -_taper(n_upper)[-2:0:-1]])
    middle = loop.mean(axis=1, keepdims=True)
    lips = np.abs(loop[..., 0] - middle[..., 0]).max(axis=1, keepdims=True)
    rows = []
    for back, away, half_width, drawn, _ in LINING:
        scale = half_width / lips if half_width else 1.0
        row = loop.copy()
        row[..., 0] = middle[..., 0] + (row[..., 0] - middle[..., 0]) * scale
        row[..., 1] += away * upwards
        row[..., 1] += drawn * (middle[..., 1] - row[..., 1])
        row[..., 2] += back + drawn * (middle[..., 2] - loop[..., 2])
        rows.append(row)
    return np.concatenate(rows, axis=1)


def _taper(n: int) -> Array:
    """0 at the corners, where both halves meet, then steeply 1."""
    return np.asarray(np.clip(np.sin(np.linspace(0, np.pi, n)), 0, 1) ** 0.35)


def _arch(
    biting: float, crown: float, width: float, depth: float, centre_z: float, widths: tuple[float, ...],
    lengths: tuple[float, ...], motion: Motion,
) -> Part:  # fmt: skip
    """Teeth on half an ellipse; `crown` mm is positive upwards. `local`: tooth, height in crowns, |x| in mm."""
    edges = np.concatenate([[0.0], np.cumsum(widths)])
    across = np.linspace(0, 1, TOOTH_COLUMNS)[:-1]
    places = np.concatenate([(np.arange(len(widths))[:, None] + across).ravel(), [len(widths)]])
    places = np.concatenate([-places[:0:-1], places])  # in teeth from the middle
    angles = np.linspace(0, np.pi / 2, 400)
    arc = np.concatenate([[0], np.cumsum(np.hypot(np.diff(width * np.sin(angles)), np.diff(depth * np.cos(angles))))])
    angle = np.sign(places) * np.interp(np.interp(np.abs(places), np.arange(len(edges)), edges), arc, angles)
    index = np.minimum(np.floor(np.abs(places)).astype(int), len(widths) - 1)
    from_middle = 2 * (np.abs(places) - index) - 1  # −1..1 over a tooth
    rounding = np.abs(from_middle)[:, None]
    height = np.array(HEIGHTS)[None]
    is_front = (np.arange(len(HEIGHTS)) >= BEHIND)[None]
    on_crown = smoothstep(1.25, 0.85, height)
    out = BULGE * (1 - rounding**3) * on_crown * (0.35 + 0.65 * np.sin(np.clip(height, 0, 1) * 2.4 + 0.5))
    out = np.where(is_front, out - 0.5 * (height < 0.02), -THICKNESS * np.clip(0.5 + height, 0, 1))
    out = out + 0.6 * smoothstep(0.9, 1.2, height) * is_front
    length = np.array(lengths)[index][:, None]
    edge = 0.16 * rounding**4 + (1 - length) * 0.35  # rounded corners; shorter teeth
    y = biting + crown * np.where(height < 0.9, edge + height * (1 - edge), height)
    x = (width + out) * np.sin(angle)[:, None]
    z = centre_z + (depth + out) * np.cos(angle)[:, None]
    local = np.stack(np.broadcast_arrays(places[:, None] + 100, height, np.abs(x)), axis=-1)
    return Part(
        vertices=np.stack([x, y, z], -1).reshape(-1, 3), triangles=grid_triangles(len(places), len(HEIGHTS)),
        material=Material.TEETH, local=local.reshape(-1, 3), occlusion=np.ones(x.size), motion=motion,
    )  # fmt: skip


def _tongue(slit: float, front: float) -> Part:
    """A tapering body with a groove; `local` holds the place across −1..1 and along from root to tip 0..1."""
    along, around = np.meshgrid(
        np.linspace(0, 1, TONGUE_ALONG), np.linspace(0, 2 * np.pi, TONGUE_AROUND, endpoint=False), indexing="ij"
    )
    end = np.sqrt(np.clip(1 - np.clip((along - 0.72) / 0.28, 0, 1) ** 2, 0, 1)) + 1e-3  # round tip
    half_width = (17.0 - 5.5 * along**1.5) * end
    half_thick = (6.5 - 3.6 * along) * np.sqrt(end)
    across = np.cos(around)
    groove = 1.5 * np.exp(-((across / 0.22) ** 2)) * (np.sin(around) > 0) * smoothstep(1.0, 0.75, along)
    x = half_width * across
    y = slit - 16.0 + 6.0 * np.sin(np.pi * np.clip(along * 0.75 + 0.12, 0, 1)) + half_thick * np.sin(around) - groove
    z = front - 42.0 + 37.0 * along
    occlusion = (0.18 + 0.62 * along) * (1 - 0.35 * groove / 1.5)
    return Part(
        vertices=np.stack([x, y, z], -1).reshape(-1, 3),
        triangles=grid_triangles(TONGUE_ALONG, TONGUE_AROUND, closed=True), material=Material.TONGUE,
        local=np.stack([across, along, 0 * along], -1).reshape(-1, 3), occlusion=occlusion.ravel(), motion="jaw",
    )  # fmt: skip
