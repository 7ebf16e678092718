"""The face's surface in millimetres from MediaPipe's 478 points and head pose. Knows no files.

MediaPipe's z is in the scale of x with an origin of its own: depth = D₀ + z · d/f with d the head's distance and f the
focal length, and D₀ such that the median of the rigid points agrees with the canonical face at the tracked pose.
Perspective within the head (a centimetre in a metre) is left out: a stated approximation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emobench.face.mediapipe_tracker import MM_PER_CM, MediapipeTrack, virtual_camera
from emobench.face.motion import fill_gaps
from emobench.face.surfaces import Mesh
from emobench.types import Floats

SOURCE = "tracked mesh (mediapipe)"
N_SURFACE = 468  # the other ten points are irises
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
SHAPE_FRAMES = 50  # that say how the points lie to each other
# Corners of the eyes and the ridge of the nose, which no expression moves, mm in head space: of MediaPipe's canonical
# face (canonical_face_model.obj)
RIGID: dict[int, tuple[float, float, float]] = {
    33: (-44.46, 26.64, 31.73), 133: (-18.56, 25.85, 37.58), 362: (18.56, 25.85, 37.58),
    263: (44.46, 26.64, 31.73), 168: (0.00, 32.71, 52.36), 6: (0.00, 24.73, 57.89),
    197: (0.00, 17.28, 63.17), 195: (0.00, 10.59, 67.75), 5: (0.00, 3.66, 72.43),
}  # fmt: skip


def fitted_mesh(track: MediapipeTrack) -> Mesh:
    """The mesh of every frame, in pixels of the track's frames; gaps are interpolated as in to_track.

    The opening between the lips has no surface. Raises InputError without any valid frame.
    """
    points = fill_gaps(track.landmarks478, track.valid)[:, :N_SURFACE]
    matrices = fill_gaps(track.matrices, track.valid)
    rotation, shift = matrices[:, :3, :3], matrices[:, :3, 3] * np.float32(MM_PER_CM)
    rigid = -(np.einsum("tj,pj->tp", rotation[:, 2], np.array(list(RIGID.values()), np.float32)) + shift[:, 2:3])
    focal_px = virtual_camera(track.width, track.height).focal_px
    relief = points[..., 2] * (-shift[:, 2:3] / np.float32(focal_px))
    origin = np.median(rigid - relief[:, list(RIGID)], axis=1, keepdims=True)
    depth = np.asarray(origin + relief, np.float32)
    shape = _shape(points, depth, rotation, shift, track)
    return Mesh(
        points=np.asarray(points[..., :2], np.float32), depth_mm=depth, triangles=face_triangles(shape), source=SOURCE
    )


def face_triangles(shape: Floats) -> NDArray[np.int32]:
    """(K, 3) triangles between points (468, 3) mm in head space: from the front, a face hides nothing of itself."""
    from scipy.spatial import Delaunay

    triangles = np.asarray(Delaunay(shape[:, :2].astype(np.float64)).simplices, np.int32)
    return triangles[~np.isin(triangles, INNER_LIPS).all(axis=1)]


def _shape(points: Floats, depth: Floats, rotation: Floats, shift: Floats, track: MediapipeTrack) -> Floats:
    """(468, 3) mm in head space, the mean over some frames."""
    chosen = np.unique(np.linspace(0, len(points) - 1, SHAPE_FRAMES).round().astype(int))
    camera = virtual_camera(track.width, track.height)
    far = depth[chosen]
    x = (points[chosen, :, 0] - camera.cx_px) / camera.focal_px * far
    y = (camera.cy_px - points[chosen, :, 1]) / camera.focal_px * far
    seen = np.stack([x, y, -far], axis=-1) - shift[chosen, None]
    return np.asarray(np.einsum("tpi,tij->tpj", seen, rotation[chosen]).mean(axis=0), np.float32)
