"""Training material of one subject: decoded clips as packed head pixels and whole backdrop frames.

Owns packing and checking clips against each other; knows no files, no field and no optimiser.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.types import Camera, Floats, Frames, HeadPose, Layers, Track

from .geometry import Box

RING = 3 / 128  # width of the ring of background around the head that is trained too, in image widths
MOUTH, RIGHT_EYE, LEFT_EYE = slice(48, 68), slice(36, 42), slice(42, 48)  # iBUG-68
Number = TypeVar("Number", np.int32, np.int64, np.uint8, np.uint16)
DETAILS = ((MOUTH, 0.25), (RIGHT_EYE, 0.15), (LEFT_EYE, 0.15))  # landmarks, margin in inter-ocular distances


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """One tracked and parsed clip, or a part of one."""

    name: str
    track: Track
    layers: Layers
    emotion: str | None = None  # the clip's tag
    depth: NDArray[np.uint16] | None = None  # (T, H, W) see emobench.face.surfaces; None where nobody knows
    depth_source: str = ""  # who measured it, for provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadFrames:
    """All valid frames of a subject; pixels of frame f lie at starts[f]:starts[f + 1] of the packed arrays."""

    alpha: Floats  # (F, K)
    alpha_names: tuple[str, ...]
    pose: HeadPose
    camera: Camera
    box: Box
    starts: NDArray[np.int64]  # (F + 1,)
    pixel: NDArray[np.int32]  # (M,) row · width + column: the head and a ring around it
    colour: NDArray[np.uint8]  # (M, 3) of the head alone
    coverage: NDArray[np.uint8]  # (M,)
    detail_starts: NDArray[np.int64]  # (F + 1,)
    detail: NDArray[np.int64]  # indices into the packed arrays: mouth and eyes
    landmarks: Floats  # (F, 68, 2) px
    emotions: tuple[str | None, ...]  # F tags
    depth: NDArray[np.uint16]  # (M,) of the face, 0.1 mm along the optical axis, 0 = unknown; (0,) where all are
    parsing: str  # who parsed the frames, for provenance
    depth_source: str  # who measured depth; "" where it is unknown

    def __len__(self) -> int:
        return len(self.alpha)

    def pick(self, frame: int, count: int, detail_share: float, rng: np.random.Generator) -> NDArray[np.int64]:
        """`count` random indices into the packed arrays, `detail_share` of them in mouth and eyes."""
        low, high = self.detail_starts[frame], self.detail_starts[frame + 1]
        detailed = int(count * detail_share) if high > low else 0
        anywhere = rng.integers(self.starts[frame], self.starts[frame + 1], count - detailed)
        if not detailed:
            return anywhere
        return np.concatenate([anywhere, self.detail[rng.integers(low, high, detailed)]])

    def mask(self, frame: int) -> NDArray[np.bool_]:
        """(H, W): the head and its ring."""
        full = np.zeros(self.camera.height * self.camera.width, bool)
        full[self.pixel[self.starts[frame] : self.starts[frame + 1]]] = True
        return full.reshape(self.camera.height, self.camera.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackFrames:
    """Torso and background of the same frames."""

    rgb: Frames  # (F, H, W, 3)
    visibility: NDArray[np.uint8]  # (F, H, W) 255 where no head covers it
    pose: HeadPose


def pack_footage(footage: Iterator[Footage]) -> tuple[HeadFrames, BackFrames]:
    """Pack clips of one subject. Raises InputError where clips disagree on camera or α, or no frame has a head."""
    tracks: list[Track] = []
    kept: list[NDArray[np.bool_]] = []
    heads = _Packed()
    backs: list[Frames] = []
    visible: list[NDArray[np.uint8]] = []
    for clip in footage:
        if tracks:
            _check_same_subject(clip, tracks[0])
        camera = clip.track.camera
        if clip.layers.head_alpha.shape[1:] != (camera.height, camera.width):
            raise InputError(
                f"Clip {clip.name}: layers are {clip.layers.head_alpha.shape[1:]}, its camera "
                f"{(camera.height, camera.width)}. Track the video at its own size."
            )
        usable = clip.track.valid & (clip.layers.head_alpha >= 128).any(axis=(1, 2))
        candidates = dilate(clip.layers.head_alpha > 0, max(2, round(RING * camera.width)))
        for frame in np.flatnonzero(usable):
            _pack_frame(clip, int(frame), candidates[frame], heads)
        heads.emotions += [clip.emotion] * int(usable.sum())
        heads.parsing.add(clip.layers.source)
        heads.surfaces.add(clip.depth_source if clip.depth is not None else "")
        tracks.append(clip.track)
        kept.append(usable)
        backs.append(clip.layers.back_rgb[usable])
        visible.append(255 - clip.layers.head_alpha[usable])
    if not heads.pixel:
        raise InputError("No frame with a tracked head in the train clips of this subject. Check tracking and masks.")
    head = _join(tracks, kept, heads)
    return head, BackFrames(rgb=_taken(backs), visibility=_taken(visible), pose=head.pose)


def dilate(masks: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Masks (T, H, W) grown by a square of 2·radius + 1 pixels."""
    grown = masks
    for axis in (1, 2):
        source, grown = grown, grown.copy()
        length = source.shape[axis]
        for shift in range(1, min(radius, length - 1) + 1):
            ahead = [slice(None)] * 3
            behind = [slice(None)] * 3
            ahead[axis], behind[axis] = slice(shift, None), slice(None, length - shift)
            grown[tuple(ahead)] |= source[tuple(behind)]
            grown[tuple(behind)] |= source[tuple(ahead)]
    return grown


@dataclass(slots=True)
class _Packed:
    """Arrays of the frames packed so far, one of each kind for a frame."""

    pixel: list[NDArray[np.int32]] = field(default_factory=list)
    colour: list[NDArray[np.uint8]] = field(default_factory=list)
    coverage: list[NDArray[np.uint8]] = field(default_factory=list)
    detail: list[NDArray[np.int64]] = field(default_factory=list)  # indices into all packed pixels
    depth: list[NDArray[np.uint16] | None] = field(default_factory=list)
    emotions: list[str | None] = field(default_factory=list)
    parsing: set[str] = field(default_factory=set)
    surfaces: set[str] = field(default_factory=set)
    count: int = 0  # packed pixels


def _pack_frame(clip: Footage, frame: int, candidates: NDArray[np.bool_], packed: _Packed) -> None:
    pixel = np.flatnonzero(candidates).astype(np.int32)
    boxes = _detail_boxes(clip.track.landmarks[frame], candidates.shape)
    packed.pixel.append(pixel)
    packed.colour.append(clip.layers.head_rgb[frame].reshape(-1, 3)[pixel])
    packed.coverage.append(clip.layers.head_alpha[frame].reshape(-1)[pixel])
    packed.detail.append(np.flatnonzero(boxes.reshape(-1)[pixel]) + packed.count)
    depth = None
    if clip.depth is not None:
        known = inside_outline(clip.track.landmarks[frame], candidates.shape) & (clip.layers.head_alpha[frame] == 255)
        depth = np.where(known, clip.depth[frame], 0).reshape(-1)[pixel].astype(np.uint16)
    packed.depth.append(depth)
    packed.count += len(pixel)


def _taken(parts: list[NDArray[Number]]) -> NDArray[Number]:
    """All parts as one array; they are given up, so that only one kind at a time is held twice."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def _depths(parts: list[NDArray[np.uint16] | None], counts: NDArray[np.int64]) -> NDArray[np.uint16]:
    """All parts as one array, 0 for frames (counts[f] pixels) without; nothing where nothing is known."""
    if not any(part is not None and part.any() for part in parts):
        return np.zeros(0, np.uint16)
    return _taken([np.zeros(n, np.uint16) if part is None else part for part, n in zip(parts, counts, strict=True)])


def _detail_boxes(landmarks: Floats, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W): boxes around mouth and eyes of 68 landmarks (x, y)."""
    inside = np.zeros(shape, bool)
    apart = float(np.linalg.norm(landmarks[LEFT_EYE].mean(0) - landmarks[RIGHT_EYE].mean(0)))
    for part, margin in DETAILS:
        low = np.floor(landmarks[part].min(0) - margin * apart).clip(0).astype(int)
        high = np.ceil(landmarks[part].max(0) + margin * apart).clip(0).astype(int)
        inside[low[1] : high[1], low[0] : high[0]] = True
    return inside


def inside_outline(landmarks: Floats, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W): the convex outline of 68 landmarks (x, y), brows to chin."""
    import cv2

    mask = np.zeros(shape, np.uint8)
    outline = cv2.convexHull(landmarks.astype(np.float32))
    cv2.fillConvexPoly(mask, np.rint(outline - 0.5).astype(np.int32), 1)
    return mask.astype(bool)


def _check_same_subject(clip: Footage, first: Track) -> None:
    if clip.track.camera != first.camera:
        raise InputError(
            f"Clip {clip.name} was filmed by another camera ({clip.track.camera}) than the first clip "
            f"({first.camera}). A portrait needs one camera per subject."
        )
    if clip.track.alpha_names != first.alpha_names:
        raise InputError(f"Clip {clip.name} has other expression coefficients than the first clip. Track them alike.")


def _join(tracks: list[Track], kept: list[NDArray[np.bool_]], heads: _Packed) -> HeadFrames:
    starts = np.cumsum([0] + [len(pixel) for pixel in heads.pixel])
    detail_starts = np.cumsum([0] + [len(detail) for detail in heads.detail])
    pose = HeadPose(
        rotation=np.concatenate([t.pose.rotation[k] for t, k in zip(tracks, kept, strict=True)]),
        translation=np.concatenate([t.pose.translation[k] for t, k in zip(tracks, kept, strict=True)]),
    )
    boxes = np.stack([track.head_box_mm for track in tracks])
    return HeadFrames(
        alpha=np.concatenate([t.alpha[k] for t, k in zip(tracks, kept, strict=True)]),
        alpha_names=tracks[0].alpha_names,
        pose=pose,
        camera=tracks[0].camera,
        box=Box(low=boxes[:, 0].min(0), high=boxes[:, 1].max(0)),
        starts=starts,
        pixel=_taken(heads.pixel),
        colour=_taken(heads.colour),
        coverage=_taken(heads.coverage),
        detail_starts=detail_starts,
        detail=_taken(heads.detail),
        landmarks=np.concatenate([t.landmarks[k] for t, k in zip(tracks, kept, strict=True)]),
        emotions=tuple(heads.emotions),
        depth=_depths(heads.depth, np.diff(starts)),
        parsing=", ".join(sorted(heads.parsing)),
        depth_source=", ".join(sorted(heads.surfaces - {""})),
    )
