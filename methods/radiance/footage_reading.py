"""Reads clips as training material: evenly chosen frames where there are too many, in parts that fit into memory.

Holds one part and one frame at a time, however long a clip is. Knows files of video, tracking and parsing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.face.layer_frames import iterate_layers
from emobench.face.surfaces import DepthMap, iterate_depth, surface_source
from emobench.face.tracks import load_track
from emobench.media import iterate_video
from emobench.types import Clip, HeadPose, Layers, Track

from .footage import Footage

# Of a packed frame, for each of its pixels: 4 of the backdrop, 8 where the head and its ring are (half of the frame),
# 8 more in mouth and eyes. Measured on puppet's short and long hair: 8.2 and 9.2
# a pixel in all; depth, where it is known, adds 2 more for the head and its ring.
PIXEL_BYTES = 12
PART_BYTES = 200_000_000  # of decoded frames and layers held at once, ten bytes a pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Which frames of which clips to train on."""

    clips: tuple[Clip, ...]
    tracks: tuple[Track, ...]
    chosen: tuple[NDArray[np.int64], ...]  # indices into each clip, rising

    @property
    def count(self) -> int:
        """Frames chosen of all clips."""
        return sum(map(len, self.chosen))

    @property
    def usable(self) -> int:
        """Tracked frames of all clips."""
        return sum(int(track.valid.sum()) for track in self.tracks)


def plan_reading(clips: Sequence[Clip], memory_mb: int) -> Reading:
    """All tracked frames, or as many as fit into `memory_mb`, evenly over all clips together.

    Raises InputError naming what a clip lacks.
    """
    tracks = tuple(_track(clip) for clip in clips)
    valid = [np.flatnonzero(track.valid) for track in tracks]
    total = sum(map(len, valid))
    size = max((track.camera.width * track.camera.height for track in tracks), default=1)
    most = max(1, memory_mb * 1_000_000 // (PIXEL_BYTES * size))
    if total > most:
        kept = np.linspace(0, total - 1, most).round().astype(np.int64)
        starts = np.cumsum([0, *(len(frames) for frames in valid)])
        valid = [
            frames[kept[(kept >= start) & (kept < start + len(frames))] - start]
            for frames, start in zip(valid, starts[:-1], strict=True)
        ]
    return Reading(clips=tuple(clips), tracks=tracks, chosen=tuple(valid))


def read_footage(reading: Reading) -> Iterator[Footage]:
    """The chosen frames with their tracking and layers, clip by clip, a long clip in several parts.

    Raises InputError where video, tracking and layers do not fit together.
    """
    for clip, track, chosen in zip(reading.clips, reading.tracks, reading.chosen, strict=True):
        if len(chosen) and clip.video is not None:
            yield from _parts(clip, clip.video, track, chosen)


def _track(clip: Clip) -> Track:
    missing = [name for name in ("track", "layers") if name not in clip.extras]
    if clip.video is None or missing:
        raise InputError(
            f"Clip {clip.id} has no {'video' if clip.video is None else missing[0]}: a radiance field needs "
            "frames, tracking and parsing. Prepare the dataset again."
        )
    return load_track(clip.extras["track"])


def _parts(clip: Clip, video: Path, track: Track, chosen: NDArray[np.int64]) -> Iterator[Footage]:
    wanted, first = set(chosen.tolist()), 0
    part: list[Layers] = []
    depths: list[DepthMap | None] = []
    size = max(1, PART_BYTES // (10 * track.camera.width * track.camera.height))
    layers = iterate_layers(clip.extras["layers"], (frame for _, frame in iterate_video(video)))
    surface = iterate_depth(clip, wanted, track.camera.height, track.camera.width)
    count = 0
    for index, layer in enumerate(layers):
        count += 1
        depth = next(surface, None)
        if index not in wanted:
            continue
        part.append(layer)
        depths.append(depth)
        if len(part) == size:
            yield _joined(clip, track, chosen[first : first + size], part, depths)
            part, depths, first = [], [], first + size
    if count != len(track.alpha):
        raise InputError(
            f"{clip.extras['track']} tracks {len(track.alpha)} frames, {video} has {count}. Prepare the dataset again."
        )
    if part:
        yield _joined(clip, track, chosen[first:], part, depths)


def _joined(
    clip: Clip, track: Track, frames: NDArray[np.int64], part: list[Layers], depths: list[DepthMap | None]
) -> Footage:
    known = [depth for depth in depths if depth is not None]
    if known and len(known) < len(depths):
        raise InputError(f"Clip {clip.id}: its depth has fewer frames than its video. Prepare the dataset again.")
    pose = HeadPose(rotation=track.pose.rotation[frames], translation=track.pose.translation[frames])
    return Footage(
        name=clip.id,
        emotion=clip.emotion,
        depth=np.stack(known) if known else None,
        depth_source=(surface_source(clip) or "") if known else "",
        track=replace(
            track, alpha=track.alpha[frames], pose=pose, landmarks=track.landmarks[frames], valid=track.valid[frames]
        ),
        layers=Layers(
            head_alpha=np.concatenate([layer.head_alpha for layer in part]),
            head_rgb=np.concatenate([layer.head_rgb for layer in part]),
            back_rgb=np.concatenate([layer.back_rgb for layer in part]),
            source=part[0].source,
        ),
    )
