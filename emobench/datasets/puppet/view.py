"""Where the camera stands and how the head turns: world, camera and head coordinates of the studio."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emobench.types import Camera, Floats, HeadPose

from .identity import Identity
from .surface import Array

CAMERA_POSITION = np.array([0.0, -21.0, 1100.0])  # mm in the world; looks along −z
FIELD_MM = 290.0  # width seen at FOCUS_Z
FOCUS_Z = 40.0
ORBIT_PIVOT = np.array([0.0, -16.0, -15.0])  # other cameras stand on a circle about the head's vertical axis
NECK_PIVOT = np.array([0.0, -105.0, -35.0])  # the head turns about this point

# Rigid head in head space (mm), hair and an open jaw included; the hidden back of the skull is left out.
_BOX = ((-94.0, -144.0, -72.0), (94.0, 138.0, 84.0))
_BOX_BY_HAIR = {
    "long": ((-109.0, -152.0, -80.0), (109.0, 136.0, 84.0)),
    "straight": ((-109.0, -150.0, -80.0), (109.0, 136.0, 84.0)),
    "bob": ((-109.0, -144.0, -80.0), (109.0, 138.0, 84.0)),
}


def studio_camera(size_px: int) -> Camera:
    """The fixed camera of every recording."""
    focal = size_px / FIELD_MM * (CAMERA_POSITION[2] - FOCUS_Z)
    return Camera(
        focal_px=float(focal), cx_px=size_px / 2, cy_px=size_px / 2, width=size_px, height=size_px
    )


def head_box(identity: Identity) -> Floats:
    """(2, 3) lower and upper corner of the box that holds the identity's head."""
    return np.array(_BOX_BY_HAIR.get(identity.hair_style, _BOX), np.float32)


def rotations(angles: Array) -> Array:
    """(T, 3, 3) from yaw, pitch (down positive) and roll in rad: Ry·Rx·Rz."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(angles).T, np.sin(angles).T
    zero, one = np.zeros(len(angles)), np.ones(len(angles))
    about_y = np.array([[cy, zero, sy], [zero, one, zero], [-sy, zero, cy]])
    about_x = np.array([[one, zero, zero], [zero, cp, -sp], [zero, sp, cp]])
    about_z = np.array([[cr, -sr, zero], [sr, cr, zero], [zero, zero, one]])
    return np.asarray(np.einsum("ijt,jkt,klt->til", about_y, about_x, about_z))


def head_pose(angles: Array, shift: Array) -> HeadPose:
    """Head-to-camera motion of a performance: turned about the neck, moved by `shift` (T, 3) mm."""
    rotation = rotations(angles)
    translation = NECK_PIVOT - rotation @ NECK_PIVOT + shift - CAMERA_POSITION
    return HeadPose(rotation=rotation.astype(np.float32), translation=translation.astype(np.float32))


def orbit(yaw: float) -> tuple[Array, Array]:
    """Position (3,) and axes (3, 3) of a camera turned by `yaw` rad about the head; it sees (x − position) @ axes.

    Yaw 0 is the studio's camera; a positive yaw moves the camera to the subject's left.
    """
    axes = rotations(np.array([[yaw, 0.0, 0.0]]))[0]
    arm = CAMERA_POSITION - ORBIT_PIVOT
    return ORBIT_PIVOT + (axes * arm).sum(axis=1), axes


def seen_from(pose: HeadPose, yaw: float) -> HeadPose:
    """The same head as the orbiting camera sees it."""
    position, axes = orbit(yaw)
    studio = pose.translation.astype(np.float64) + CAMERA_POSITION
    rotation = np.einsum("ji,tjk->tik", axes, pose.rotation.astype(np.float64))
    translation = np.einsum("ji,tj->ti", axes, studio - position)
    return HeadPose(rotation=rotation.astype(np.float32), translation=translation.astype(np.float32))


def to_camera(points: Array, pose: HeadPose) -> Array:
    """(T, n, 3) from head to camera space."""
    rotation, translation = pose.rotation.astype(np.float64), pose.translation.astype(np.float64)
    return np.asarray(points @ rotation.transpose(0, 2, 1) + translation[:, None])


def project(points: Array, camera: Camera) -> NDArray[np.float64]:
    """(…, 2) pixels of points in camera space."""
    scale = camera.focal_px / -points[..., 2]
    return np.stack([camera.cx_px + points[..., 0] * scale, camera.cy_px - points[..., 1] * scale], axis=-1)
