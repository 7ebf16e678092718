"""A head's worth of work without meaning: noise on a disc, a shell of occupied cells, a visible untrained field."""

from __future__ import annotations

from functools import cache

import numpy as np

from emobench.methods.radiance.backdrop import FEATURES, Backdrop
from emobench.methods.radiance.condition import fit_condition
from emobench.methods.radiance.config import RadianceConfig
from emobench.methods.radiance.field import new_field
from emobench.methods.radiance.footage import Footage, HeadFrames, pack_footage
from emobench.methods.radiance.occupancy import new_occupancy, skip_distances
from emobench.methods.radiance.operations import Operations, choose_backend
from emobench.methods.radiance.portrait import Portrait, PortraitParts
from emobench.methods.radiance.trainer import HeadTrainer
from emobench.methods.radiance.workers import Workers
from emobench.types import Camera, HeadPose, Layers, Track

SIZE = 128  # pixels of the train frames
FRAMES = 8
CONFIG = RadianceConfig()


def camera(size: int) -> Camera:
    """The same view at another size."""
    return Camera(focal_px=500 * size / 128, cx_px=size / 2, cy_px=size / 2, width=size, height=size)


def pose_of(count: int) -> HeadPose:
    return HeadPose(
        rotation=np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
        translation=np.tile(np.array([0, 0, -1000], np.float32), (count, 1)),
    )


@cache
def head_frames() -> HeadFrames:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:SIZE, 0:SIZE] - 63.5
    alpha = np.broadcast_to(((x / 42) ** 2 + (y / 58) ** 2 < 1) * np.uint8(255), (FRAMES, SIZE, SIZE))
    rgb = rng.integers(0, 256, (FRAMES, SIZE, SIZE, 3), dtype=np.uint8)
    track = Track(
        alpha=rng.random((FRAMES, 50), np.float32), alpha_names=tuple(map(str, range(50))),
        is_mouth=np.zeros(50, bool), pose=pose_of(FRAMES), camera=camera(SIZE),
        landmarks=np.full((FRAMES, 68, 2), 64, np.float32), valid=np.ones(FRAMES, bool),
        head_box_mm=np.array([[-92, -135, -70], [92, 132, 72]], np.float32), source="dataset",
    )  # fmt: skip
    layers = Layers(head_alpha=alpha, head_rgb=rgb, back_rgb=rgb, source="dataset")
    return pack_footage(iter([Footage(name="noise", track=track, layers=layers)]))[0]


def shell() -> np.ndarray:
    """Occupied cells (G, G, G): a shell 18 mm thick."""
    ticks = (np.arange(CONFIG.grid) + 0.5) / CONFIG.grid * 2 - 1
    z, y, x = np.meshgrid(ticks, ticks, ticks, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    return (radius < 0.95) & (radius > 0.72) & (z > -0.2)


def trainer(operations: Operations, workers: Workers) -> HeadTrainer:
    frames = head_frames()
    condition = fit_condition(np.random.default_rng(0).random((FRAMES, 50), np.float32), pose_of(FRAMES), CONFIG)
    conditions = condition(frames.alpha, frames.pose)
    field = new_field(CONFIG, conditions.shape[1], 0)
    return HeadTrainer(
        frames, conditions, field, new_occupancy(shell()), frames.box, operations, workers, CONFIG, seed=0
    )


def portrait(backend: str, threads: int = 1) -> Portrait:
    frames = head_frames()
    condition = fit_condition(frames.alpha, frames.pose, CONFIG)
    field = new_field(CONFIG, condition.basis.shape[1], 0)
    field.decoder.layers()[-1][0] = 4.0  # a visible head: σ·step = 1
    backdrop = Backdrop(
        canonical=np.full((SIZE, SIZE, 3), 0.5, np.float32), shift=np.zeros((FEATURES, 16, 16, 2), np.float32),
        residual=np.zeros((FEATURES, SIZE, SIZE, 3), np.float32), mean_translation=frames.pose.translation[0],
        low=np.full(FEATURES, -1, np.float32), high=np.full(FEATURES, 1, np.float32),
    )  # fmt: skip
    parts = PortraitParts(
        config=CONFIG, backend=choose_backend(backend).name, alpha_names=frames.alpha_names, camera=camera(SIZE),
        box=frames.box, condition=condition, field=field, skip=skip_distances(shell()), backdrop=backdrop,
        losses=np.zeros(0, np.float32),
    )  # fmt: skip
    return Portrait(parts, threads=threads)
