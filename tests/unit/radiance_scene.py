"""A tiny analytic scene for tests: a shaded ellipsoid with a mouth that opens, over a backdrop that sways."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from emobench.methods.radiance.config import RadianceConfig
from emobench.methods.radiance.footage import Footage
from emobench.methods.radiance.geometry import pixel_directions
from emobench.types import Camera, Floats, HeadPose, Layers, Track

SIZE = 32
CAMERA = Camera(focal_px=140.0, cx_px=16.0, cy_px=16.0, width=SIZE, height=SIZE)
RADII = np.array([42, 55, 38.0])
TINY = RadianceConfig(
    steps=200, levels=5, blended_levels=4, finest_resolution=48, base_resolution=8, table_log2=11, hidden=16, grid=24,
    frames_per_step=4, samples_per_step=4096, step_mm=5.0, coarse_step_mm=8.0, settle_rays=20_000,
    backdrop_steps=20, backdrop_pixels=2048, backdrop_cells=4,
)  # fmt: skip


def scene(count: int, seed: int, name: str = "clip", *, spots: bool = False) -> tuple[Footage, np.ndarray]:
    """A clip and its composed frames (T, 32, 32, 3) uint8; α = (mouth opening, brow colour). Spots show parallax."""
    rng = np.random.default_rng(seed)
    alpha = rng.random((count, 2)).astype(np.float32)
    turn = Rotation.from_rotvec(rng.normal(0, 0.15, (count, 3)) * [1, 1, 0.3]).as_matrix()
    move = np.array([0, 0, -600.0]) + rng.normal(0, 3, (count, 3)) * [1, 1, 0]
    rays = pixel_directions(CAMERA).astype(np.float64)
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    head_alpha, head_rgb, back_rgb, landmarks = [], [], [], np.zeros((count, 68, 2), np.float32)
    for t in range(count):
        head, hit = _ellipsoid(rays @ turn[t] / RADII, -(move[t] @ turn[t]) / RADII, alpha[t], spots)
        head_alpha.append((hit * 255).astype(np.uint8).reshape(SIZE, SIZE))
        head_rgb.append((head * 255 + 0.5).astype(np.uint8).reshape(SIZE, SIZE, 3))
        torso = (y > 0.75) & (np.abs(x - 0.5 - move[t, 0] / 60) < 0.3)
        back = np.where(torso[..., None], (0.2, 0.3, 0.7), np.stack([0.5 + 0.3 * x, 0.6 * y, 0.4 + 0 * x], -1))
        back_rgb.append((back * 255 + 0.5).astype(np.uint8))
        landmarks[t, 36:42], landmarks[t, 42:48], landmarks[t, 48:68] = (12, 13), (20, 13), (16, 20)
    layers = Layers(
        head_alpha=np.stack(head_alpha), head_rgb=np.stack(head_rgb), back_rgb=np.stack(back_rgb), source="dataset"
    )
    track = Track(
        alpha=alpha, alpha_names=("opening", "brow"), is_mouth=np.array([True, False]),
        pose=HeadPose(rotation=turn.astype(np.float32), translation=move.astype(np.float32)), camera=CAMERA,
        landmarks=landmarks, valid=np.ones(count, bool),
        head_box_mm=np.array([[-50, -62, -45], [50, 62, 45]], np.float32), source="dataset",
    )  # fmt: skip
    covered = layers.head_alpha[..., None] == 255
    return Footage(name=name, track=track, layers=layers), np.where(covered, layers.head_rgb, layers.back_rgb)


def look_at_ellipsoid(turn: Floats, move: Floats, alpha: Floats) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour (32, 32, 3) 0..1, hits (32, 32), and depth along the optical axis (32, 32) mm of the spotted head."""
    rays = pixel_directions(CAMERA).astype(np.float64)
    directions, origin = rays @ turn / RADII, -(move @ turn) / RADII
    colour, hit = _ellipsoid(directions, origin, alpha, True)
    a, b = (directions**2).sum(1), directions @ origin
    near = (-b - np.sqrt(np.maximum(b**2 - a * (origin @ origin - 1), 0))) / a
    shape = (SIZE, SIZE)
    return colour.reshape(*shape, 3), hit.reshape(shape), (-near * rays[:, 2]).reshape(shape)


def _ellipsoid(directions: np.ndarray, origin: np.ndarray, alpha: Floats, spots: bool) -> tuple[np.ndarray, np.ndarray]:
    """Colours (R, 3) and hits (R,) of rays against the unit sphere in scaled head space."""
    a = (directions**2).sum(1)
    b = directions @ origin
    root = b**2 - a * (origin @ origin - 1)
    hit = root > 0
    point = origin + ((-b - np.sqrt(np.maximum(root, 0))) / a)[:, None] * directions
    light = np.clip(point @ [0.4, 0.5, 0.75], 0.1, 1)
    colour = light[:, None] * [0.85, 0.65, 0.55]
    if spots:
        colour *= 0.7 + 0.3 * np.prod(np.sin(7 * point[:, :2]), axis=1, keepdims=True)
    brow = (np.abs(point[:, 1] - 0.4) < 0.12) & (point[:, 2] > 0)
    colour[brow] = [0.1 + 0.8 * alpha[1], 0.1, 0.1]
    mouth = (point[:, 0] / 0.4) ** 2 + ((point[:, 1] + 0.4) / (0.05 + 0.25 * alpha[0])) ** 2 < 1
    colour[mouth & (point[:, 2] > 0)] = 0.05
    return colour, hit
