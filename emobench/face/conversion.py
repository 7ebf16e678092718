"""From a tracker's coefficient files and the video to a track file; and whether a track file fits its video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emobench.errors import InputError
from emobench.face.coefficient_files import read_coefficients
from emobench.face.coefficients import deep3d_track, flame_track, kind_of
from emobench.face.mediapipe_tracker import virtual_camera
from emobench.face.motion import longest_gap
from emobench.face.track_files import FileTrack, load_track_file, save_track_file
from emobench.media import MediaInfo, probe
from emobench.types import Camera

_FPS_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What was written."""

    track: FileTrack
    kind: str

    def describe(self) -> str:
        """One line for people."""
        inner = self.track.track
        missing = int((~inner.valid).sum())
        depth = float(np.median(-inner.pose.translation[inner.valid, 2]))
        return (
            f"{len(inner.valid)} frames at {self.track.fps:g} fps, {inner.alpha.shape[1]} coefficients "
            f"({self.track.tracker}), head at {depth / 10:.0f} cm, {missing} frames without face"
        )


def convert(source: Path, video: Path, target: Path, kind: str, focal_px: float) -> Conversion:
    """Write `target`. Raises InputError on files that cannot be read, or that do not fit the video."""
    info = probe(video)
    arrays = read_coefficients(source, info.n_frames)
    usual = virtual_camera(info.width, info.height)
    camera = Camera(
        focal_px=focal_px or usual.focal_px, cx_px=usual.cx_px, cy_px=usual.cy_px, width=info.width, height=info.height
    )
    try:
        chosen = kind_of(arrays) if kind == "auto" else kind
        found = (flame_track if chosen == "flame" else deep3d_track)(arrays, camera, info.fps)
    except InputError as error:
        raise InputError(f"{source}: {error}.") from error
    if not found.track.valid.any():
        raise InputError(f"{source}: no frame holds finite coefficients.")
    save_track_file(target, found)
    return Conversion(track=load_track_file(target), kind=chosen)


def misfit(found: FileTrack, info: MediaInfo) -> str | None:
    """Why a track file cannot be that of a video; None where it can."""
    camera, count = found.track.camera, len(found.track.valid)
    if count != info.n_frames:
        return f"the track has {count} frames, the video {info.n_frames}"
    if (camera.width, camera.height) != (info.width, info.height):
        return f"the track is for frames of {camera.width}×{camera.height}, the video has {info.width}×{info.height}"
    if not info.is_variable_rate and abs(found.fps / info.fps - 1) > _FPS_TOLERANCE:
        return f"the track has {found.fps:g} fps, the video {info.fps:g}"
    return None


def facts_of(found: FileTrack) -> dict[str, str | int | float]:
    """What a track file holds, for people."""
    track = found.track
    rotation = track.pose.rotation[track.valid]
    turn = np.degrees(np.arctan2(rotation[:, 0, 2], rotation[:, 2, 2]))
    return {
        "tracker": found.tracker,
        "frames": len(track.valid),
        "fps": found.fps,
        "width": track.camera.width,
        "height": track.camera.height,
        "coefficients": len(track.alpha_names),
        "mouth coefficients": int(track.is_mouth.sum()),
        "landmarks": "yes" if found.has_landmarks else "no",
        "frames without face": int((~track.valid).sum()),
        "longest gap, frames": longest_gap(track.valid),
        "median distance, mm": round(float(np.median(-track.pose.translation[track.valid, 2])), 1),
        "yaw, degrees": f"{turn.min():.1f} to {turn.max():.1f}",
    }
