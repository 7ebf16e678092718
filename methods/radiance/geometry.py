"""From head pose and camera to rays in the head's box, and back to pixels. Knows no field and no images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emobench.types import Camera, Floats, HeadPose


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Axis-aligned box in head space, millimetres; the field lives in [0, 1]³ of it."""

    low: Floats  # (3,)
    high: Floats  # (3,)

    @property
    def size(self) -> Floats:
        """Edge lengths (3,), mm."""
        return self.high - self.low


@dataclass(frozen=True, slots=True, kw_only=True)
class Rays:
    """Rays of one frame in a box's normalised coordinates; the parameter along a ray is in millimetres."""

    origin: Floats  # (3,)
    directions: Floats  # (R, 3)
    width: int = 0  # pixels of an image's row where these are all its rays, row by row


def pixel_directions(camera: Camera) -> Floats:
    """Unit directions (H·W, 3) in camera space through the pixel centres, row by row."""
    v, u = np.mgrid[0 : camera.height, 0 : camera.width].astype(np.float64) + 0.5
    flat = np.stack(
        [(u - camera.cx_px) / camera.focal_px, (camera.cy_px - v) / camera.focal_px, -np.ones_like(u)], axis=-1
    ).reshape(-1, 3)
    unit: Floats = (flat / np.linalg.norm(flat, axis=1, keepdims=True)).astype(np.float32)
    return unit


def head_rays(directions: Floats, rotation: Floats, translation: Floats, box: Box) -> Rays:
    """Camera-space unit directions (R, 3) as rays in the box of a head at rotation (3, 3), translation (3,) mm."""
    origin = -(translation @ rotation)  # −Rᵀt
    scale = 1 / box.size
    return Rays(
        origin=((origin - box.low) * scale).astype(np.float32),
        directions=np.ascontiguousarray((directions @ (rotation * scale)).astype(np.float32)),
    )


def project(points: Floats, rotation: Floats, translation: Floats, camera: Camera) -> Floats:
    """Head-space points (N, 3) mm → pixels (N, 2) as x, y."""
    seen = points @ rotation.T + translation
    depth = np.maximum(-seen[:, 2], 1e-3)
    u = camera.cx_px + camera.focal_px * seen[:, 0] / depth
    v = camera.cy_px - camera.focal_px * seen[:, 1] / depth
    return np.stack([u, v], axis=1).astype(np.float32)


def rotation_vectors(rotation: Floats) -> Floats:
    """Axis times angle (radians) of rotations (T, 3, 3) → (T, 3); angles stay below π."""
    from scipy.spatial.transform import Rotation

    vectors: Floats = Rotation.from_matrix(rotation.astype(np.float64)).as_rotvec().astype(np.float32)
    return vectors


def pose_features(pose: HeadPose, mean_translation: Floats) -> NDArray[np.float32]:
    """Rotation vector (radians) and translation off the mean (100 mm) per frame, (T, 6)."""
    shift = (pose.translation - mean_translation) / 100
    return np.concatenate([rotation_vectors(pose.rotation), shift], axis=1).astype(np.float32)
