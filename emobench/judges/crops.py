"""Where judges look: squares from the rigid points of landmarks, cut out in grey. Knows no network.

Only the corners of the eyes place the square, so that neither mouth nor brows of the reference leak into what is
judged: its position says no more than the head pose, which every method is handed.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from emobench.errors import UnscoredError
from emobench.types import Floats

CROP_PX = 64
SIDE, BELOW = 3.1, 0.80  # square's side, and its centre's distance below the eyes, in inter-ocular distances
RIGHT_CORNERS, LEFT_CORNERS = (36, 39), (42, 45)

Squares = NDArray[np.float64]  # (T, 4): centre x, centre y, side in px, roll in radians


def eye_centres(landmarks: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """((T, 2), (T, 2)) px: the mean of the image-left and of the image-right eye's corners."""
    points = landmarks.astype(np.float64)
    return points[:, RIGHT_CORNERS].mean(axis=1), points[:, LEFT_CORNERS].mean(axis=1)


def face_squares(landmarks: Floats) -> Squares:
    """Upright squares that follow the head of (T, 68, 2), one size a clip. Raises UnscoredError without a face."""
    right, left = eye_centres(landmarks)
    distance = float(np.median(np.linalg.norm(left - right, axis=1)))
    if not distance > 1.0:
        raise UnscoredError(f"eyes are {distance:.2f} px apart: no face to judge")
    centres = (right + left) / 2 + (0.0, BELOW * distance)
    return np.concatenate([centres, np.full((len(centres), 1), SIDE * distance), np.zeros((len(centres), 1))], axis=1)


def crop_matrices(squares: Squares) -> NDArray[np.float64]:
    """(T, 2, 3) affine maps from frame pixels to crop pixels, both with pixel centres at +0.5."""
    scale = CROP_PX / squares[:, 2]
    cosine, sine = np.cos(squares[:, 3]) * scale, np.sin(squares[:, 3]) * scale
    linear = np.stack([np.stack([cosine, -sine], axis=1), np.stack([sine, cosine], axis=1)], axis=1)
    shift = CROP_PX / 2 - np.einsum("tij,tj->ti", linear, squares[:, :2])
    return np.concatenate([linear, shift[:, :, None]], axis=2)


def cut(frames: NDArray[np.uint8], squares: Squares) -> NDArray[np.uint8]:
    """(T, 64, 64) grey crops of (T, H, W, 3) RGB or (T, H, W) grey frames; edges are repeated outside the frame."""
    matrices = crop_matrices(squares)
    crops = np.empty((len(frames), CROP_PX, CROP_PX), np.uint8)
    for index, (frame, matrix) in enumerate(zip(frames, matrices, strict=True)):
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if frame.ndim == 3 else frame
        shifted = matrix.copy()  # OpenCV's pixel centres lie at integers
        shifted[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
        crops[index] = cv2.warpAffine(
            grey, shifted, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return crops


def to_crop(points: Floats, squares: Squares) -> Floats:
    """Points (T, P, 2) of the frames in crop pixels."""
    matrices = crop_matrices(squares)
    moved = np.einsum("tij,tpj->tpi", matrices[:, :, :2], points) + matrices[:, None, :, 2]
    return np.asarray(moved, np.float32)


def to_frame(points: Floats, squares: Squares) -> Floats:
    """Points (T, P, 2) of the crops in frame pixels: the inverse of to_crop."""
    matrices = crop_matrices(squares)
    moved = np.einsum("tij,tpj->tpi", np.linalg.inv(matrices[:, :, :2]), points - matrices[:, None, :, 2])
    return np.asarray(moved, np.float32)
