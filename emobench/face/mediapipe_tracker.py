"""Tracks a face with MediaPipe's face landmarker: landmarks, 52 blendshapes, head pose. The only importer of mediapipe.

Every frame is detected on its own (image mode): the video mode smooths causally, which delays the lips (measured on
a talking head: about a third of a frame) and makes results depend on where a clip was cut.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError, Unavailable
from emobench.face.landmarks import IBUG68_FROM_MEDIAPIPE
from emobench.face.motion import fill_gaps, nearest_rotations, smooth
from emobench.types import Camera, Floats, HeadPose, Image, Progress, Track

N_MESH = 478
MAX_SIDE_PX = 640  # larger frames are shrunk for the landmarker, which works on 256 px crops of the face
MAX_FACES = 3  # more are not counted
VERTICAL_FOV_DEGREES = 63.0  # of the virtual camera in MediaPipe's face geometry module
MM_PER_CM = 10.0
POSE_SIGMA_SECONDS = 0.04
ALPHA_SIGMA_SECONDS = 0.015

# The canonical face mesh spans ±77 mm, −94..83 mm (chin to hairline) and −24..76 mm (ears to nose tip). The box adds
# hair, ears and the back of the skull, so that a field inside it can hold the whole head.
HEAD_BOX_MM = ((-100.0, -125.0, -140.0), (100.0, 140.0, 95.0))

_NEUTRAL = "_neutral"  # first of the 52 blendshapes, always about 0
_MOUTH_PREFIXES = ("jaw", "mouth", "tongue")
_starting = threading.Lock()  # starting redirects the process's stderr, which two threads must not do at once


@dataclass(frozen=True, slots=True, kw_only=True)
class MediapipeTrack:
    """What the landmarker said about each frame, in pixels of the frames handed in; invalid frames hold zeros."""

    blendshapes: Floats  # (T, 52), 0..1
    blendshape_names: tuple[str, ...]
    matrices: Floats  # (T, 4, 4) head to camera, centimetres, camera looking along −z
    landmarks478: Floats  # (T, 478, 3) x, y in pixels, z in the scale of x
    valid: NDArray[np.bool_]  # (T,)
    n_faces: NDArray[np.int64]  # (T,) faces seen, at most MAX_FACES
    width: int
    height: int
    fps: float

    @property
    def landmarks68(self) -> Floats:
        """(T, 68, 2) pixels in iBUG order."""
        return self.landmarks478[:, IBUG68_FROM_MEDIAPIPE, :2]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Face:
    landmarks: Floats  # (478, 3) relative to the frame: 0..1
    blendshapes: Floats  # (52,)
    matrix: Floats  # (4, 4)

    @property
    def centre(self) -> Floats:
        return np.asarray(self.landmarks[:, :2].mean(axis=0))

    @property
    def area(self) -> float:
        extent = np.ptp(self.landmarks[:, :2], axis=0)
        return float(extent[0] * extent[1])


def track_frames(
    frames: Iterable[Image], fps: float, model_path: Path, progress: Progress | None = None
) -> MediapipeTrack:
    """Runs the landmarker over RGB frames (H, W, 3), one at a time. Frames without a face are invalid, not an error.

    With several faces the largest one of the first frame that has any is followed. Raises Unavailable when mediapipe
    cannot load the model, InputError on no frames or frames of unequal size.
    """
    iterator = progress.track(frames, "track face") if progress is not None else iter(frames)
    chosen: list[_Face | None] = []
    counts: list[int] = []
    names: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    last: _Face | None = None
    with _landmarker(model_path) as detect:
        for index, frame in enumerate(iterator):
            width, height = frame.shape[1], frame.shape[0]
            size = size or (width, height)
            if (width, height) != size:
                raise InputError(f"Frame {index} is {width}×{height}, the first was {size[0]}×{size[1]}.")
            faces, found_names = detect(shrunk(frame, MAX_SIDE_PX))
            names = names or found_names
            last = _followed(faces, last)
            chosen.append(last if faces else None)
            counts.append(len(faces))
    if size is None:
        raise InputError("There are no frames to track.")
    return _collected(chosen, counts, names, size, fps)


def to_track(track: MediapipeTrack) -> Track:
    """A Track with gaps interpolated and marked, pose and α smoothed without delay. Raises InputError without a face.

    α is the blendshapes without `_neutral`; the camera is MediaPipe's virtual one (63° vertical field of view,
    centred). Landmarks are interpolated but not smoothed.
    """
    if not track.valid.any():
        raise InputError("No face was found in any frame.")
    keep = [k for k, name in enumerate(track.blendshape_names) if name != _NEUTRAL]
    names = tuple(track.blendshape_names[k] for k in keep)
    alpha = smooth(fill_gaps(track.blendshapes[:, keep], track.valid), ALPHA_SIGMA_SECONDS * track.fps)
    matrices = smooth(fill_gaps(track.matrices, track.valid), POSE_SIGMA_SECONDS * track.fps)
    return Track(
        alpha=alpha,
        alpha_names=names,
        is_mouth=np.array([name.startswith(_MOUTH_PREFIXES) for name in names]),
        pose=HeadPose(
            rotation=nearest_rotations(matrices[:, :3, :3]), translation=matrices[:, :3, 3] * np.float32(MM_PER_CM)
        ),
        camera=virtual_camera(track.width, track.height),
        landmarks=fill_gaps(track.landmarks68, track.valid),
        valid=track.valid,
        head_box_mm=np.array(HEAD_BOX_MM, np.float32),
        source="mediapipe",
    )


def virtual_camera(width: int, height: int) -> Camera:
    """The camera that MediaPipe's face geometry assumes for a frame of this size."""
    focal_px = height / 2 / np.tan(np.radians(VERTICAL_FOV_DEGREES) / 2)
    return Camera(focal_px=float(focal_px), cx_px=width / 2, cy_px=height / 2, width=width, height=height)


def shrunk(frame: Image, max_side: int) -> Image:
    """The frame with its longer side at most `max_side` pixels (area average); itself when it is small enough."""
    height, width = frame.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(frame)
    import cv2

    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _followed(faces: Sequence[_Face], last: _Face | None) -> _Face | None:
    """The face nearest to the one followed so far, or the largest to begin with; the last one when there is none."""
    if not faces:
        return last
    if last is None:
        return max(faces, key=lambda face: face.area)
    centre = last.centre
    return min(faces, key=lambda face: float(np.linalg.norm(face.centre - centre)))


def _collected(
    chosen: Sequence[_Face | None], counts: Sequence[int], names: tuple[str, ...], size: tuple[int, int], fps: float
) -> MediapipeTrack:
    width, height = size
    n = len(chosen)
    landmarks = np.zeros((n, N_MESH, 3), np.float32)
    blendshapes = np.zeros((n, len(names)), np.float32)
    matrices = np.tile(np.eye(4, dtype=np.float32), (n, 1, 1))
    for index, face in enumerate(chosen):
        if face is not None:
            landmarks[index] = face.landmarks * np.array([width, height, width], np.float32)
            blendshapes[index], matrices[index] = face.blendshapes, face.matrix
    return MediapipeTrack(
        blendshapes=blendshapes, blendshape_names=names, matrices=matrices, landmarks478=landmarks,
        valid=np.array([face is not None for face in chosen]), n_faces=np.array(counts, np.int64),
        width=width, height=height, fps=fps,
    )  # fmt: skip


@contextlib.contextmanager
def _landmarker(model_path: Path) -> Iterator[Any]:
    """Yields detect(image) → (faces, blendshape names); closes the landmarker, whose __del__ fails at exit."""
    try:
        with _starting, _quiet_stderr():
            import mediapipe
            from mediapipe.tasks.python import BaseOptions
            from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions, RunningMode

            options = FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(model_path)), running_mode=RunningMode.IMAGE,
                num_faces=MAX_FACES, output_face_blendshapes=True, output_facial_transformation_matrixes=True,
            )  # fmt: skip
            landmarker = FaceLandmarker.create_from_options(options)
            # the networks start, and log, on the first image
            blank = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.zeros((64, 64, 3), np.uint8))
            landmarker.detect(blank)
    except ImportError as error:
        raise Unavailable(f"mediapipe cannot be imported ({error}). Install it: pip install mediapipe") from error
    except (RuntimeError, ValueError, OSError) as error:
        raise Unavailable(f"MediaPipe cannot load {model_path.name}: {str(error).splitlines()[0]}") from error

    def detect(image: Image) -> tuple[list[_Face], tuple[str, ...]]:
        wrapped = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        return _faces(landmarker.detect(wrapped))

    try:
        yield detect
    finally:
        landmarker.close()


def _faces(result: Any) -> tuple[list[_Face], tuple[str, ...]]:
    faces = []
    names: tuple[str, ...] = ()
    parts = zip(result.face_landmarks, result.face_blendshapes, result.facial_transformation_matrixes, strict=True)
    for points, shapes, matrix in parts:
        names = tuple(shape.category_name for shape in shapes)
        faces.append(
            _Face(
                landmarks=np.array([(p.x, p.y, p.z) for p in points], np.float32),
                blendshapes=np.array([shape.score for shape in shapes], np.float32),
                matrix=np.asarray(matrix, np.float32),
            )
        )
    return faces, names


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Sends file descriptor 2 to nowhere: mediapipe's C++ side logs there before any of its log switches apply."""
    try:
        kept = os.dup(2)
    except OSError:  # no stderr at all
        yield
        return
    sys.stderr.flush()
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
