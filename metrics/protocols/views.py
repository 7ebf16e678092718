"""Shows a clip as a protocol wants it seen: picked frames, aligned or cut faces, other sizes. Measures nothing.

The template is a mean adult face of our own: the landmarks 27-44 of six filmed speakers read by
MediaPipe, turned upright, averaged and made symmetrical; the eyes' centres lie 34 px apart in 128.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from emobench import environment
from emobench.errors import UnscoredError
from emobench.frames import gather
from emobench.hashing import hash_arrays, hash_text
from emobench.types import Floats, HeadPose, Sample, Track

from ..faces import region_boxes
from ..identity import similarity
from ..pairs import same_rate
from .files import View

VERSION = "1"  # of picking and warping; raise it with either, for features of what is shown are kept by its key
ALIGNED_POINTS = slice(27, 45)  # nose, both eyes but for two points of the second: as EAT's scripts choose them
TEMPLATE_PX = 128
TEMPLATE_POINTS = (
    (64.0, 47.3), (64.0, 55.2), (64.0, 61.9), (64.0, 66.1), (55.1, 72.9), (59.5, 73.4),
    (64.0, 73.6), (68.5, 73.4), (72.9, 72.9), (40.4, 48.2), (43.6, 45.8), (48.9, 45.4),
    (55.0, 49.0), (49.7, 49.7), (44.5, 49.9), (73.0, 49.0), (79.1, 45.4), (84.4, 45.8),
)  # fmt: skip


def nearest_frames(count: int, fps: float, wanted_fps: float) -> NDArray[np.int64]:
    """Indices of the frames nearest in time to those of a clip at `wanted_fps`."""
    seconds = (np.arange(max(1, round(count * wanted_fps / fps))) + 0.5) / wanted_fps
    return np.clip((seconds * fps).astype(np.int64), 0, count - 1)


def spread_frames(count: int, wanted: int | None) -> NDArray[np.int64]:
    """Indices of `wanted` evenly spaced frames, or of all where there are not more; none twice."""
    if wanted is None or wanted >= count:
        return np.arange(count)
    return ((np.arange(wanted) + 0.5) * count / wanted).astype(np.int64)


def require_counts(prediction: Sample, reference: Sample) -> None:
    """Raises UnscoredError where two clips of one rate differ in frames: paced, both may come to the same count."""
    ours, theirs = len(prediction.frames), len(reference.frames)
    if ours != theirs and same_rate(prediction, reference):
        raise UnscoredError(f"prediction has {ours} frames, reference {theirs}; nothing is truncated")


def paced(sample: Sample, fps: float | None) -> Sample:
    """The sample at the rate `fps`, its sound as it is; the sample itself where that is its rate, or None."""
    if fps is None or abs(fps - sample.fps) < 1e-6:
        return sample
    picked = nearest_frames(len(sample.frames), sample.fps, fps)
    key = hash_text(f"{VERSION}|{sample.sha256}|{fps:g} fps")
    return replace(_picked(sample, picked, None, 0), fps=fps, sha256=key)


def crop_matrices(view: View, shown: Sample, landmarks: Floats | None) -> NDArray[np.float64] | None:
    """(T, 2, 3) maps from pixels of the frames to pixels of the view, centres at +0.5; None where nothing is cut.

    `landmarks` (T, 68, 2) are the clip's own for "aligned" and unused else; for "face" `shown` has the boxes' track.
    """
    height, width = shown.frames.shape[1:3]
    if view.size_px is None:
        return None
    if view.crop == "aligned":
        assert landmarks is not None  # whoever shows aligned faces has detected them
        aim = np.array(TEMPLATE_POINTS) * (view.size_px / TEMPLATE_PX)
        return np.stack([similarity(points[ALIGNED_POINTS].astype(np.float64), aim) for points in landmarks])
    if view.crop == "face":
        boxes = region_boxes("face", shown).astype(np.float64)
    else:
        boxes = np.tile(np.array([0.0, 0.0, width, height]), (len(shown.frames), 1))
    scale = view.size_px / (boxes[:, 2:] - boxes[:, :2])
    matrices = np.zeros((len(boxes), 2, 3))
    matrices[:, 0, 0], matrices[:, 1, 1] = scale[:, 0], scale[:, 1]
    matrices[:, :, 2] = -boxes[:, :2] * scale
    return matrices


def show(view: View, sample: Sample, located: Sample, landmarks: Floats | None) -> Sample:
    """The sample, at the view's rate already, as the view shows it. `located` says where boxes are (FaceLocator)."""
    picked = spread_frames(len(sample.frames), view.frames)
    matrices = crop_matrices(view, located, landmarks)
    if matrices is None and len(picked) == len(sample.frames):
        return sample
    places = [] if matrices is None else [matrices]
    key = hash_text(f"{VERSION}|{sample.sha256}|{view.text}|{hash_arrays([picked, *places])}")
    return replace(_picked(sample, picked, matrices, view.size_px or 0), sha256=key)


def _picked(
    sample: Sample, picked: NDArray[np.int64], matrices: NDArray[np.float64] | None, size_px: int
) -> Sample:
    """Those frames, through their maps where there are some, and what belongs to them of track and α."""
    pictures = (sample.frames[int(index)] for index in picked)
    if matrices is not None:
        pictures = (_warp(frame, matrix, size_px) for frame, matrix in zip(pictures, matrices[picked], strict=True))
    return replace(
        sample, frames=gather(pictures, environment.cache_dir() / "scratch"),
        track=None if sample.track is None else _show_track(sample.track, picked, matrices),
        alpha=None if sample.alpha is None else sample.alpha[np.clip(picked, 0, len(sample.alpha) - 1)],
    )


def _warp(frame: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """One frame in the view; black where the view looks past its edge. Shrinking averages first, against aliasing."""
    shrink = 1.0 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if shrink > 1.5:
        frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), 0.35 * shrink), np.uint8)
    shifted = matrix.copy()  # OpenCV's pixel centres lie at integers
    shifted[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    return np.asarray(cv2.warpAffine(frame, shifted, (size, size), flags=cv2.INTER_LINEAR), np.uint8)


def _show_track(track: Track, picked: NDArray[np.int64], matrices: NDArray[np.float64] | None) -> Track:
    landmarks = track.landmarks[picked]
    if matrices is not None:
        maps = matrices[picked]
        moved = np.einsum("tij,tpj->tpi", maps[:, :, :2], landmarks) + maps[:, None, :, 2]
        landmarks = np.asarray(moved, np.float32)
    pose = HeadPose(rotation=track.pose.rotation[picked], translation=track.pose.translation[picked])
    return replace(track, alpha=track.alpha[picked], pose=pose, landmarks=landmarks, valid=track.valid[picked])
