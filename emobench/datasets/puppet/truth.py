"""What is known exactly about a clip, read back from its folder: `load_truth(clip)`. Generates nothing.

Coordinates as in emobench.types.Camera: x to the right of the image (the subject's left), y up, z towards the viewer,
millimetres, the camera at the origin; pixels (x, y) with centres at +0.5. docs/puppet.md describes the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emobench.cache import load_arrays
from emobench.errors import InputError
from emobench.face.tracks import load_layers, load_scene, load_track
from emobench.media import read_video
from emobench.types import Clip, Floats, Frames, HeadPose, Scene, Track

from .dense import N_DENSE, group_slices
from .emotions import Prosody
from .speech import Phoneme
from .storage import DEPTH, GEOMETRY, LAYERS, NOVEL, NOVEL_DEPTH, NOVEL_VIDEO, SCENE, TORSO, read_card, read_depth
from .view import project, to_camera

DENSE_STEP_MM = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Per-pixel truth of frames: three coverages that add up to 255, and depth."""

    head: NDArray[np.uint8]  # (T, H, W) coverage of head, hair and upper neck
    torso: NDArray[np.uint8]  # (T, H, W) coverage of lower neck and clothes
    depth_mm: Floats  # (T, H, W) along the optical axis to the nearest of the pixel's samples; 0 = background

    @property
    def background(self) -> NDArray[np.uint8]:
        """(T, H, W) coverage of the wall."""
        return 255 - self.head - self.torso


@dataclass(frozen=True, slots=True, kw_only=True)
class NovelViews:
    """Moments of the clip as cameras beside the studio's see them: same light, same wall picture, another pose."""

    frame_index: NDArray[np.int64]  # (N,) frames of the clip
    yaw: Floats  # (V,) rad; positive = the camera has moved to the subject's left
    frames: Frames  # (N·V, H, W, 3), all views of a moment in turn
    maps: Maps  # of the N·V frames
    pose: HeadPose  # of the N·V frames: head to that camera; camera intrinsics as in the clip's track


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Everything exact about one clip. `maps`, `scene` and `visible` are None without pixels, `novel` but for test."""

    clip_id: str
    subject: str
    emotion: str  # shown by the face, and the tag
    level: int
    voice_emotion: str  # heard; differs from `emotion` in the mismatch split
    voice_level: int
    transcript: str
    prosody: Prosody
    phonemes: tuple[Phoneme, ...]
    track: Track  # α (T, 49), head pose, camera, 68 landmarks (T, 68, 2) px
    gaze: Floats  # (T, 2, 2) rad: right and left eye × yaw (to the subject's left), pitch (up), in head space
    dense_head_mm: Floats  # (T, 478, 3) in head space, order of dense.GROUPS
    visible: NDArray[np.bool_] | None  # (T, 478) inside the frame and not hidden, by the depth map
    maps: Maps | None
    scene: Scene | None
    novel: NovelViews | None

    @property
    def dense_camera_mm(self) -> NDArray[np.float64]:
        """(T, 478, 3) in camera space."""
        return np.asarray(to_camera(self.dense_head_mm, self.track.pose), np.float64)

    @property
    def dense_pixels(self) -> NDArray[np.float64]:
        """(T, 478, 2) px of the clip's frames, right of and below the image's upper left corner."""
        return project(self.dense_camera_mm, self.track.camera)

    @staticmethod
    def dense_groups() -> dict[str, slice]:
        """Name of a region → where its points stand among the 478."""
        return group_slices()


def load_truth(clip: Clip) -> Truth:
    """The ground truth of a clip of a puppet dataset.

    Raises InputError for a clip of another dataset, and on missing, damaged or newer files.
    """
    if "geometry" not in clip.extras:
        raise InputError(f"Clip {clip.id!r} has no exact ground truth: it is not of a puppet dataset.")
    folder = clip.extras["geometry"].parent
    card = read_card(folder)
    track, geometry = load_track(clip.extras["track"]), load_arrays(folder / GEOMETRY)
    try:
        gaze, steps = geometry["gaze"], geometry["dense_steps"]
    except KeyError as error:
        raise InputError(f"{folder / GEOMETRY}: array {error} is missing. Delete the folder and run again.") from error
    has_pixels = clip.video is not None
    return Truth(
        clip_id=clip.id, subject=clip.subject, emotion=clip.emotion, level=clip.intensity,
        voice_emotion=clip.voice_emotion or clip.emotion, voice_level=clip.voice_intensity or clip.intensity,
        transcript=str(card["transcript"]), prosody=Prosody(**card["prosody"]),
        phonemes=tuple(Phoneme(ipa=ipa, start_seconds=a, end_seconds=b) for ipa, a, b in card["phonemes"]),
        track=track, gaze=gaze,
        dense_head_mm=np.cumsum(steps.astype(np.int32), axis=0).astype(np.float32) * np.float32(DENSE_STEP_MM),
        visible=_visible(geometry), maps=_maps(folder) if has_pixels else None,
        scene=load_scene(folder / SCENE) if has_pixels else None,
        novel=_novel(folder) if "novel" in clip.extras else None,
    )  # fmt: skip


def _visible(geometry: dict[str, NDArray[np.generic]]) -> NDArray[np.bool_] | None:
    if "visible_bits" not in geometry:
        return None
    bits = np.asarray(geometry["visible_bits"], np.uint8)
    return np.unpackbits(bits, axis=1, count=N_DENSE).astype(np.bool_)


def _maps(folder: Path) -> Maps:
    depth = read_depth(folder / DEPTH)
    blank = np.zeros((*depth.shape, 3), np.uint8)  # load_layers wants frames for the colours, which are not needed here
    return Maps(
        head=load_layers(folder / LAYERS, blank).head_alpha, torso=load_arrays(folder / TORSO)["torso_alpha"],
        depth_mm=_millimetres(depth),
    )  # fmt: skip


def _novel(folder: Path) -> NovelViews:
    stored = load_arrays(folder / NOVEL)
    return NovelViews(
        frame_index=stored["frame_index"], yaw=stored["yaw"], frames=read_video(folder / NOVEL_VIDEO).frames,
        maps=Maps(
            head=stored["head_alpha"], torso=stored["torso_alpha"],
            depth_mm=_millimetres(read_depth(folder / NOVEL_DEPTH)),
        ),
        pose=HeadPose(rotation=stored["rotation"], translation=stored["translation"]),
    )  # fmt: skip


def _millimetres(depth: NDArray[np.uint16]) -> Floats:
    return depth.astype(np.float32) * np.float32(0.1)
