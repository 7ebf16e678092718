"""The iBUG-68 landmark convention: indices, regions, mouth opening and square boxes. Knows no tracker and no file.

Landmarks are pixels (x, y), x to the right and y down; the subject's right is image left, as in the iBUG markup
(Sagonas et al., 300 Faces in-the-Wild, ICCVW 2013): jaw 0–16, brows 17–26, nose 27–35, eyes 36–47, lips 48–67.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.types import Floats

JAW = slice(0, 17)
BROWS = slice(17, 27)
NOSE = slice(27, 36)
RIGHT_EYE = slice(36, 42)  # the subject's right: image left
LEFT_EYE = slice(42, 48)
EYES = slice(36, 48)
MOUTH = slice(48, 68)
OUTER_MOUTH = slice(48, 60)
INNER_MOUTH = slice(60, 68)
N_LANDMARKS = 68

# The vertex of MediaPipe's 478-point face mesh that lies nearest to each iBUG point.
IBUG68_FROM_MEDIAPIPE: tuple[int, ...] = (
    127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356,  # jaw, evenly spaced
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
    168, 197, 5, 4, 98, 97, 2, 326, 327,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91,  # outer lips
    78, 81, 13, 311, 308, 402, 14, 178,  # inner lips
)  # fmt: skip

# The mesh's rim, clockwise in the image from the top of the forehead.
FACE_OVAL_OF_MEDIAPIPE: tuple[int, ...] = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

_LIP_PAIRS = ((61, 67), (62, 66), (63, 65))  # upper and lower inner lip, opposite each other
FACE_MARGIN = 0.10  # of the landmarks' extent, on every side
MOUTH_MARGIN = 0.25

Boxes = NDArray[np.int64]  # (T, 4): x0, y0, x1, y1 in pixels, x1 and y1 exclusive


def mouth_opening(landmarks: Floats) -> Floats:
    """(T,) gap between the inner lips over the distance of the eyes' outer corners; 0 = closed, about 0.4 = wide.

    `landmarks` is (T, 68, 2). The gap is the mean over the point pairs 61–67, 62–66 and 63–65.
    """
    _refuse_shape(landmarks)
    gaps = [np.linalg.norm(landmarks[:, up] - landmarks[:, down], axis=-1) for up, down in _LIP_PAIRS]
    between_eyes = np.linalg.norm(landmarks[:, 36] - landmarks[:, 45], axis=-1)
    return np.asarray(np.mean(gaps, axis=0) / np.maximum(between_eyes, 1e-6), np.float32)


def face_box(landmarks: Floats, width: int, height: int, margin: float = FACE_MARGIN) -> tuple[int, int, int, int]:
    """One square (x0, y0, x1, y1) around all 68 points of (68, 2) or of every frame of (T, 68, 2).

    Brows to chin, ear to ear, plus `margin` of the extent on each side; moved, then shrunk, to stay in the image.
    """
    return _box(_points(landmarks, slice(0, 68)), width, height, margin)


def mouth_box(landmarks: Floats, width: int, height: int, margin: float = MOUTH_MARGIN) -> tuple[int, int, int, int]:
    """Like `face_box` for the lips (points 48–67)."""
    return _box(_points(landmarks, MOUTH), width, height, margin)


def face_boxes(landmarks: Floats, width: int, height: int, margin: float = FACE_MARGIN) -> Boxes:
    """(T, 4) squares that follow the face of (T, 68, 2): one side length for the clip, its median, so crops stack."""
    return _following(landmarks, slice(0, 68), width, height, margin)


def mouth_boxes(landmarks: Floats, width: int, height: int, margin: float = MOUTH_MARGIN) -> Boxes:
    """Like `face_boxes` for the lips (points 48–67)."""
    return _following(landmarks, MOUTH, width, height, margin)


def square_around(
    low: NDArray[np.floating], high: NDArray[np.floating], width: int, height: int, margin: float
) -> tuple[int, int, int, int]:
    """The square centred on the extent low..high (2,), enlarged by `margin` on each side and kept in the image."""
    side = round(float((high - low).max()) * (1 + 2 * margin))
    return _placed((low + high) / 2, max(side, 2), width, height)


def _box(points: Floats, width: int, height: int, margin: float) -> tuple[int, int, int, int]:
    return square_around(points.min(axis=0), points.max(axis=0), width, height, margin)


def _points(landmarks: Floats, region: slice) -> Floats:
    _refuse_shape(landmarks)
    return np.asarray(landmarks[..., region, :]).reshape(-1, 2)


def _following(landmarks: Floats, region: slice, width: int, height: int, margin: float) -> Boxes:
    _refuse_shape(landmarks)
    points = landmarks[:, region]
    low, high = points.min(axis=1), points.max(axis=1)
    side = max(round(float(np.median((high - low).max(axis=1))) * (1 + 2 * margin)), 2)
    centres = (low + high) / 2
    return np.array([_placed(centre, side, width, height) for centre in centres], np.int64)


def _placed(centre: NDArray[np.floating], side: int, width: int, height: int) -> tuple[int, int, int, int]:
    side = min(side, width, height)
    x = min(max(round(float(centre[0]) - side / 2), 0), width - side)
    y = min(max(round(float(centre[1]) - side / 2), 0), height - side)
    return x, y, x + side, y + side


def _refuse_shape(landmarks: Floats) -> None:
    if landmarks.ndim not in (2, 3) or landmarks.shape[-2:] != (N_LANDMARKS, 2):
        raise InputError(f"Expected landmarks (T, 68, 2), got {landmarks.shape}.")
