"""The track of a whole recording on disk, from whichever tracker: at constant rate, gaps unfilled, nothing smoothed.

Knows the two kinds of tracks and how both become the same finished Track; knows no dataset.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.cache import load_arrays, save_arrays
from emobench.face.mediapipe_tracker import MediapipeTrack, to_track
from emobench.face.motion import fill_gaps
from emobench.face.parsing import hull_outline
from emobench.face.track_files import FileTrack, completed_track, file_arrays, parse_track_file
from emobench.types import Floats, Track

from .framing import Size, fitted_file_track, fitted_track

Whole = MediapipeTrack | FileTrack
Order = NDArray[np.int64]  # which source frame stands at each step of the constant rate
_EXTENT_PERCENTILES = (1.0, 99.0)  # of the head's outline over time: single wild frames do not widen the crop


def save_whole(path: Path, whole: Whole, order: Order) -> None:
    """Write the track atomically."""
    arrays = file_arrays(whole) if isinstance(whole, FileTrack) else _mediapipe_arrays(whole)
    save_arrays(path, {**arrays, "order": order})


def load_whole(path: Path) -> tuple[Whole, Order]:
    """What save_whole wrote. Raises InputError on a damaged file."""
    stored = load_arrays(path)
    order: Order = stored.pop("order")
    return (_mediapipe_track(stored) if "blendshapes" in stored else parse_track_file(path, stored)), order


def finished(whole: Whole, size: Size) -> tuple[Track, Floats]:
    """The track in frames of `size`, gaps filled and smoothed, and the points (T, P, 2) that outline the face."""
    if isinstance(whole, FileTrack):
        track = completed_track(fitted_file_track(whole.track, size), whole.fps)
        return track, track.landmarks
    fitted = fitted_track(whole, size)
    return to_track(fitted), fill_gaps(fitted.landmarks478, fitted.valid)


def validity(whole: Whole) -> NDArray[np.bool_]:
    """(T,) whether a frame's face was found."""
    return whole.track.valid if isinstance(whole, FileTrack) else whole.valid


def frame_size(whole: Whole) -> Size:
    """Width and height of the recording's frames."""
    camera = whole.track.camera if isinstance(whole, FileTrack) else whole
    return camera.width, camera.height


def reordered(whole: Whole, order: Order, fps: float) -> Whole:
    """The track at a constant rate."""
    if isinstance(whole, MediapipeTrack):
        return replace(
            whole,
            blendshapes=whole.blendshapes[order],
            matrices=whole.matrices[order],
            fps=fps,
            landmarks478=whole.landmarks478[order],
            valid=whole.valid[order],
            n_faces=whole.n_faces[order],
        )
    track, pose = whole.track, whole.track.pose
    kept = replace(
        track,
        alpha=track.alpha[order],
        landmarks=track.landmarks[order],
        valid=track.valid[order],
        pose=replace(pose, rotation=pose.rotation[order], translation=pose.translation[order]),
    )
    return replace(whole, track=kept, fps=fps)


def extent(whole: Whole) -> tuple[float, float, float, float]:
    """Box of the head's outline over time, in pixels."""
    points = whole.track.landmarks if isinstance(whole, FileTrack) else whole.landmarks478
    outline = hull_outline(points[validity(whole)])
    low = np.percentile(outline.min(axis=1), _EXTENT_PERCENTILES[0], axis=0)
    high = np.percentile(outline.max(axis=1), _EXTENT_PERCENTILES[1], axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _mediapipe_arrays(track: MediapipeTrack) -> dict[str, NDArray[Any]]:
    return {
        "blendshapes": track.blendshapes,
        "names": np.array(track.blendshape_names, np.str_),
        "matrices": track.matrices,
        "landmarks478": track.landmarks478,
        "valid": track.valid,
        "n_faces": track.n_faces,
        "size": np.array([track.width, track.height]),
        "fps": np.array(track.fps),
    }


def _mediapipe_track(stored: dict[str, NDArray[Any]]) -> MediapipeTrack:
    width, height = (int(v) for v in stored["size"])
    return MediapipeTrack(
        blendshapes=stored["blendshapes"],
        blendshape_names=tuple(str(n) for n in stored["names"]),
        matrices=stored["matrices"],
        landmarks478=stored["landmarks478"],
        valid=stored["valid"],
        n_faces=stored["n_faces"],
        width=width,
        height=height,
        fps=float(stored["fps"]),
    )
