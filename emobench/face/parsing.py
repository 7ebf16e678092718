"""Parses head against background from landmarks alone: a soft hull over face, forehead and hair. Loads no network.

The last of the chain in head_masks.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.face.landmarks import FACE_OVAL_OF_MEDIAPIPE, N_LANDMARKS
from emobench.types import Floats

SOURCE = "landmark-hull"
SIDE_GROWTH = 1.3  # ears and hair beside the face, from the eye line up
JAW_GROWTH = 1.02  # beside the jaw there is background
CHIN_GROWTH = 1.04  # the mesh ends on the chin's edge
CROWN_GROWTH = 2.1  # from the eye line to the top of the hair, over that to the mesh's rim
FEATHER = 0.02  # standard deviation of the soft edge, in face widths
_SUBPIXEL_BITS = 4
# of the distance chin to eye line, what the face mesh reaches above the eye line: canonical face 5.5 over 12.1 cm
_RIM_HEIGHT_68 = 0.46


def hull_mask(landmarks: Floats, height: int, width: int) -> NDArray[np.uint8]:
    """(T, H, W) coverage of the head, 255 inside, from (T, 478, ≥2) mesh or (T, 68, 2) iBUG landmarks in pixels.

    The face's oval is enlarged in the head's own axes (eye line and chin), upwards for forehead and hair. Long hair,
    hats and hands are not seen: a stated approximation, named "landmark-hull".
    """
    import cv2

    outline = hull_outline(landmarks)
    masks = np.zeros((len(outline), height, width), np.uint8)
    for mask, contour in zip(masks, outline, strict=True):
        hull = cv2.convexHull(contour.astype(np.float32))
        points = np.rint(hull * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillConvexPoly(mask, points, 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
        sigma = max(FEATHER * float(np.ptp(contour[:, 0])), 0.5)
        mask[:] = cv2.GaussianBlur(mask, (0, 0), sigma)
    return masks


def hull_outline(landmarks: Floats) -> Floats:
    """(T, P, 2) points of the enlarged oval; their convex hull is the mask. Same input as `hull_mask`."""
    origin, chin = eyes_and_chin(landmarks)
    is_68 = landmarks.shape[1] == N_LANDMARKS
    oval = landmarks[:, :27, :2] if is_68 else landmarks[:, FACE_OVAL_OF_MEDIAPIPE, :2]
    down = chin - origin
    depth = np.maximum(np.linalg.norm(down, axis=-1, keepdims=True), 1e-6)
    down = down / depth
    side = np.stack([down[:, 1], -down[:, 0]], axis=-1)
    if is_68:
        oval = np.concatenate([oval, _rim(oval, origin, down, depth)], axis=1)
    relative = oval - origin[:, None]
    along = np.einsum("tpk,tk->tp", relative, down)
    across = np.einsum("tpk,tk->tp", relative, side)
    # the rim's middle, so that a turned head grows about its own axis
    centre = (across.max(axis=1, keepdims=True) + across.min(axis=1, keepdims=True)) / 2
    lowness = np.clip(along / depth / 0.6, 0, 1)
    across = centre + (across - centre) * (SIDE_GROWTH + (JAW_GROWTH - SIDE_GROWTH) * lowness)
    along = along * np.where(along > 0, CHIN_GROWTH, CROWN_GROWTH)
    grown = origin[:, None] + along[..., None] * down[:, None] + across[..., None] * side[:, None]
    return np.asarray(grown, np.float32)


def eyes_and_chin(landmarks: Floats) -> tuple[Floats, Floats]:
    """(T, 2) px between the eyes and (T, 2) px on the chin. Same input as `hull_mask`; raises InputError on another."""
    if landmarks.ndim == 3 and landmarks.shape[1] == N_LANDMARKS:
        right_eye, left_eye = landmarks[:, 36:42, :2].mean(axis=1), landmarks[:, 42:48, :2].mean(axis=1)
        chin = landmarks[:, 8, :2]
    elif landmarks.ndim == 3 and landmarks.shape[1] > max(FACE_OVAL_OF_MEDIAPIPE):
        right_eye = landmarks[:, [33, 133], :2].mean(axis=1)
        left_eye = landmarks[:, [263, 362], :2].mean(axis=1)
        chin = landmarks[:, 152, :2]
    else:
        raise InputError(f"Expected landmarks (T, 68, 2) or (T, 478, 2), got {landmarks.shape}.")
    return (right_eye + left_eye) / 2, chin


def _rim(oval: Floats, origin: Floats, down: Floats, depth: Floats) -> Floats:
    """(T, 9, 2) an arc above the brows in place of the mesh's rim, which iBUG-68 does not have."""
    half = np.ptp(oval[:, :17], axis=1).max(axis=-1)[:, None] / 2
    angles = np.radians(np.linspace(15, 165, 9))
    side = np.stack([down[:, 1], -down[:, 0]], axis=-1)
    middle = oval[:, :17].mean(axis=1)
    shift = np.einsum("tk,tk->t", middle - origin, side)[:, None]
    across = shift + half * np.cos(angles)
    up = _RIM_HEIGHT_68 * depth * np.sin(angles)
    return np.asarray(origin[:, None] + across[..., None] * side[:, None] - up[..., None] * down[:, None], np.float32)
