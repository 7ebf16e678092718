"""Track files of other people's trackers: the documented .npz of one whole recording, checked before it is believed.

NAME.track.npz beside the video NAME.mp4 holds, for its T frames (see docs/trackers.md):
  schema 1 · alpha (T, K) · alpha_names (K,) str · rotation (T, 3, 3) · translation (T, 3) mm
  camera (5,) = focal_px, cx_px, cy_px, width, height · fps
and optionally
  is_mouth (K,) bool · valid (T,) bool · landmarks (T, 68, 2) px, iBUG order · head_box_mm (2, 3) · tracker str
Head space and camera are those of emobench.types: x to the image's right, y up, z to the viewer, millimetres;
x_camera = rotation @ x_head + translation, the camera at the origin looking along −z. NaN marks frames without face.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.cache import save_arrays
from emobench.errors import InputError
from emobench.face.motion import fill_gaps, nearest_rotations, smooth
from emobench.given import read_arrays
from emobench.types import Camera, Floats, HeadPose, Track

SCHEMA = 1
SUFFIX = ".track.npz"
ALPHA_SIGMA_SECONDS = 0.015
POSE_SIGMA_SECONDS = 0.04
MOUTH_PREFIXES = ("jaw", "mouth", "tongue", "lip")
HEAD_BOX_MM = ((-115.0, -140.0, -160.0), (115.0, 155.0, 115.0))  # generous: origins differ between head models
_ROTATION_TOLERANCE = 0.02  # of RᵀR against the identity
_REQUIRED = ("alpha", "alpha_names", "rotation", "translation", "camera", "fps")
_FARTHEST_MM = 20_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTrack:
    """A recording's track as a file tells it: gaps are not filled, nothing is smoothed."""

    track: Track  # landmarks are zeros where the file has none; invalid frames hold zeros
    has_landmarks: bool
    fps: float
    tracker: str  # what made it, in the words of the file


def track_file_of(video: Path) -> Path:
    """Where a video's track file lies."""
    return video.with_suffix(SUFFIX)


def save_track_file(path: Path, found: FileTrack) -> None:
    """Write the documented .npz atomically."""
    save_arrays(path, file_arrays(found))


def file_arrays(found: FileTrack) -> dict[str, NDArray[Any]]:
    """The arrays of the documented .npz; the parameters of invalid frames become NaN."""
    track, camera = found.track, found.track.camera
    arrays: dict[str, NDArray[Any]] = {
        "schema": np.array(SCHEMA),
        "alpha": _unknown(track.alpha, track.valid),
        "alpha_names": np.array(track.alpha_names, np.str_),
        "is_mouth": track.is_mouth,
        "rotation": _unknown(track.pose.rotation, track.valid),
        "translation": _unknown(track.pose.translation, track.valid),
        "camera": np.array([camera.focal_px, camera.cx_px, camera.cy_px, camera.width, camera.height], np.float64),
        "fps": np.array(found.fps),
        "valid": track.valid,
        "head_box_mm": track.head_box_mm,
        "tracker": np.array(found.tracker),
    }
    if found.has_landmarks:
        arrays["landmarks"] = _unknown(track.landmarks, track.valid)
    return arrays


def load_track_file(path: Path) -> FileTrack:
    """Read and check a track file. Raises InputError that names the array and what is wrong with it."""
    return parse_track_file(path, read_arrays(path))


def parse_track_file(path: Path, stored: dict[str, NDArray[Any]]) -> FileTrack:
    """Like load_track_file, of arrays that were read from `path`."""
    if int(stored.get("schema", np.array(SCHEMA))) > SCHEMA:
        raise InputError(f"{path} has schema {int(stored['schema'])}, this emobench reads {SCHEMA}. Update emobench.")
    missing = [name for name in _REQUIRED if name not in stored]
    if missing:
        raise InputError(f"{path} is no track file: {', '.join(missing)} missing. See docs/trackers.md.")
    check = _Checker(path, stored)
    alpha = check.array("alpha", (None, None))
    count, width = alpha.shape
    names = tuple(str(name) for name in check.array("alpha_names", (width,), kind="US"))
    if len(set(names)) != width:
        raise InputError(f"{path}: alpha_names repeats a name.")
    rotation = check.array("rotation", (count, 3, 3))
    translation = check.array("translation", (count, 3))
    landmarks = check.array("landmarks", (count, 68, 2)) if "landmarks" in stored else None
    known = [alpha, rotation, translation, *([landmarks] if landmarks is not None else [])]
    finite = np.all([np.isfinite(a.reshape(count, -1)).all(axis=1) for a in known], axis=0)
    valid = check.array("valid", (count,), kind="b") if "valid" in stored else finite
    check.frames(valid & ~finite, "holds NaN or infinity though valid says that its face was found")
    if not valid.any():
        raise InputError(f"{path}: no frame is valid.")
    check.frames(valid & ~_is_rotation(rotation), "of rotation is no rotation matrix (RᵀR = 1, det 1)")
    depth = -translation[:, 2]
    check.frames(
        valid & ~((depth > 0) & (depth < _FARTHEST_MM)),
        "of translation lies behind the camera or farther than 20 m: z must be negative, in millimetres",
    )
    track = Track(
        alpha=_zeroed(alpha, valid), alpha_names=names, is_mouth=_mouth(check, names, width),
        pose=HeadPose(
            rotation=_zeroed(rotation, valid), translation=_zeroed(translation, valid)
        ),
        camera=_camera(check), valid=valid, head_box_mm=_head_box(check), source="file",
        landmarks=np.zeros((count, 68, 2), np.float32) if landmarks is None else _zeroed(landmarks, valid),
    )  # fmt: skip
    fps = float(check.array("fps", ()))
    if not 1 <= fps <= 1000:
        raise InputError(f"{path}: fps is {fps:g}.")
    tracker = str(stored["tracker"]) if "tracker" in stored else "unnamed"
    return FileTrack(track=track, has_landmarks=landmarks is not None, fps=fps, tracker=tracker)


def completed_track(track: Track, fps: float) -> Track:
    """Gaps interpolated (and left marked invalid), pose and α smoothed without delay; landmarks are not smoothed."""
    valid, pose = track.valid, track.pose
    alpha = smooth(fill_gaps(track.alpha, valid), ALPHA_SIGMA_SECONDS * fps)
    rotation = smooth(fill_gaps(pose.rotation, valid), POSE_SIGMA_SECONDS * fps)
    translation = smooth(fill_gaps(pose.translation, valid), POSE_SIGMA_SECONDS * fps)
    return replace(
        track, alpha=alpha, pose=HeadPose(rotation=nearest_rotations(rotation), translation=translation),
        landmarks=fill_gaps(track.landmarks, valid),
    )  # fmt: skip


class _Checker:
    """Fetches arrays of one file in the shape they must have."""

    def __init__(self, path: Path, stored: dict[str, NDArray[Any]]) -> None:
        self.path, self.stored = path, stored

    def array(self, name: str, shape: tuple[int | None, ...], kind: str = "fiu") -> NDArray[Any]:
        """Raises InputError on another shape or kind; None stands for any length but 0."""
        found = self.stored[name]
        fits = len(found.shape) == len(shape) and all(
            n == s or (s is None and n > 0) for n, s in zip(found.shape, shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if s is None else str(s) for s in shape)
            raise InputError(f"{self.path}: {name} has shape {found.shape}, expected ({wanted}).")
        if found.dtype.kind not in kind:
            raise InputError(f"{self.path}: {name} holds {found.dtype}, expected {_KINDS[kind]}.")
        return found.astype(np.float64) if kind == "fiu" else found

    def frames(self, bad: NDArray[np.bool_], what: str) -> None:
        """Raises InputError that names the first bad frame."""
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise InputError(f"{self.path}: frame {first} ({int(bad.sum())} in all) {what}.")


_KINDS = {"fiu": "numbers", "b": "booleans", "US": "text"}


def _mouth(check: _Checker, names: tuple[str, ...], width: int) -> NDArray[np.bool_]:
    """As the file says; else by name; where no name tells, every coefficient of a mixed basis moves the mouth."""
    if "is_mouth" in check.stored:
        return check.array("is_mouth", (width,), kind="b")
    by_name = np.array([name.lower().startswith(MOUTH_PREFIXES) for name in names])
    return by_name if by_name.any() else np.ones(width, bool)


def _camera(check: _Checker) -> Camera:
    focal, cx, cy, width, height = (float(v) for v in check.array("camera", (5,)))
    if not (focal > 0 and width >= 1 and height >= 1 and np.isfinite([focal, cx, cy, width, height]).all()):
        raise InputError(f"{check.path}: camera must be focal_px, cx_px, cy_px, width, height; all but cx, cy above 0.")
    return Camera(focal_px=focal, cx_px=cx, cy_px=cy, width=round(width), height=round(height))


def _head_box(check: _Checker) -> Floats:
    if "head_box_mm" not in check.stored:
        return np.array(HEAD_BOX_MM, np.float32)
    box = check.array("head_box_mm", (2, 3))
    if not (np.isfinite(box).all() and (box[1] > box[0]).all()):
        raise InputError(f"{check.path}: head_box_mm must be the lower, then the upper corner.")
    return box.astype(np.float32)


def _is_rotation(matrices: NDArray[np.floating]) -> NDArray[np.bool_]:
    finite = np.where(np.isfinite(matrices), matrices, 0)
    off = np.abs(np.swapaxes(finite, 1, 2) @ finite - np.eye(3)).max(axis=(1, 2))
    return np.asarray((off < _ROTATION_TOLERANCE) & (np.linalg.det(finite) > 0))


def _zeroed(values: NDArray[np.floating], valid: NDArray[np.bool_]) -> Floats:
    return np.where(valid.reshape(-1, *[1] * (values.ndim - 1)), values, 0).astype(np.float32)


def _unknown(values: Floats, valid: NDArray[np.bool_]) -> Floats:
    return np.where(valid.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan).astype(np.float32)
