"""One frame size per subject, so that all clips of a person share one camera. Knows pixels and points, no files.

The tracker assumes one vertical field of view whatever the size, with the axis in the middle of the frame. Scaling a
frame to another height and cutting or padding it about its middle therefore changes neither pose nor that camera.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from emobench.face.mediapipe_tracker import MediapipeTrack
from emobench.types import Camera, Image, Track

Size = tuple[int, int]  # width, height
Extent = tuple[float, float, float, float]  # x0, y0, x1, y1


def common_size(sizes: Iterable[Size]) -> Size:
    """The most usual size; of several, the largest."""
    counts = Counter(sizes)
    return max(counts, key=lambda size: (counts[size], size[1], size[0]))


def fitted_image(image: Image, size: Size) -> Image:
    """The frame at `size`: scaled to its height, then cut or padded (edge colours) to its width, both sides alike."""
    import cv2

    (width, height), (wide, high) = size, (image.shape[1], image.shape[0])
    if (wide, high) == size:
        return image
    if high != height:
        method = cv2.INTER_AREA if high > height else cv2.INTER_CUBIC
        scaled = cv2.resize(image, (max(round(wide * height / high), 1), height), interpolation=method)
        image = np.asarray(scaled, np.uint8)
    excess = image.shape[1] - width
    if excess > 0:
        image = image[:, excess // 2 : excess // 2 + width]
    elif excess < 0:
        image = np.pad(image, ((0, 0), (-excess // 2, -excess - -excess // 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)


def fitted_track(track: MediapipeTrack, size: Size) -> MediapipeTrack:
    """The track in pixels of the fitted frames; depth, in pixels too, scales along."""
    if (track.width, track.height) == size:
        return track
    scale = size[1] / track.height
    points = track.landmarks478 * np.float32(scale)
    points[..., 0] += np.float32((size[0] - track.width * scale) / 2)
    return replace(track, landmarks478=points, width=size[0], height=size[1])


def fitted_file_track(track: Track, size: Size) -> Track:
    """The same for a track from a file, whose camera is its own."""
    camera = track.camera
    if (camera.width, camera.height) == size:
        return track
    scale = size[1] / camera.height
    shift = (size[0] - camera.width * scale) / 2
    moved = Camera(
        focal_px=camera.focal_px * scale, cx_px=camera.cx_px * scale + shift, cy_px=camera.cy_px * scale,
        width=size[0], height=size[1],
    )  # fmt: skip
    points = track.landmarks * np.float32(scale) + np.array([shift, 0], np.float32)
    return replace(track, camera=moved, landmarks=points)


def fitted_extent(extent: Extent, source: Size, size: Size) -> Extent:
    """A box of the source's pixels in pixels of the fitted frames."""
    if source == size:
        return extent
    scale = size[1] / source[1]
    shift = (size[0] - source[0] * scale) / 2
    x0, y0, x1, y1 = extent
    return x0 * scale + shift, y0 * scale, x1 * scale + shift, y1 * scale
