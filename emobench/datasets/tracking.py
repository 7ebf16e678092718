"""Work on one recording in a worker process: track its face, then cut, crop and write its clips. Knows no dataset.

Everything here is picklable data in and out; what a recording lacks comes back as `reason`, not as an exception.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.cache import load_arrays, save_arrays, write_text, writing_folder
from emobench.errors import InputError
from emobench.face.mediapipe_tracker import MediapipeTrack, to_track, track_frames
from emobench.face.motion import fill_gaps
from emobench.face.parsing import SOURCE, hull_mask, hull_outline
from emobench.face.tracks import save_mask, save_track
from emobench.media import MediaInfo, iterate_video, probe, read_audio, write_audio, write_lossless
from emobench.types import SAMPLE_RATE_HZ, Camera, Floats, Image, Track

from .framing import Size, fitted_image, fitted_track

VERSION = 1  # raise when anything written here changes
_EXTENT_PERCENTILES = (1.0, 99.0)  # of the head's outline over time: single wild frames do not widen the crop
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackJob:
    """Track one file into `target` (.npz, with a .json of facts beside it)."""

    video: Path
    audio: Path | None  # None: the sound inside the video
    model: Path
    target: Path
    min_tracked: float  # share of frames that must show a face


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """Facts about one tracked recording; `reason` says why it cannot be used."""

    reason: str | None = None
    width: int = 0
    height: int = 0
    fps: float = 0.0
    n_frames: int = 0  # usable: after resampling to constant rate and cutting to the shorter of picture and sound
    extent: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # of the head's outline, pixels
    colour: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipJob:
    """One clip to write: frames [start, stop) of the recording."""

    folder: Path  # of the clip
    start: int
    stop: int
    fps: float
    card: str  # JSON text written beside the clip


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteJob:
    """All clips of one recording."""

    video: Path
    audio: Path | None
    track: Path
    frame_size: Size  # the subject's: frames of another size are fitted to it before the box is cut out
    box: Box
    size_px: int
    clips: tuple[ClipJob, ...]  # in order of time


def track_recording(job: TrackJob) -> Tracked:
    """Tracks a file; writes the track, then the facts, which mark it complete."""
    try:
        outcome = _track(job)
    except InputError as error:
        text = str(error).replace(str(job.video), "the video")
        if job.audio is not None:
            text = text.replace(str(job.audio), "its sound file")
        outcome = Tracked(reason=text)  # without names: the same bytes may lie elsewhere under another one
    write_text(facts_path(job), json.dumps(asdict(outcome), sort_keys=True))
    return outcome


def facts_path(job: TrackJob) -> Path:
    """Where the facts of a tracked recording lie."""
    return job.target.with_suffix(".json")


def load_facts(path: Path) -> Tracked:
    """Reads what `track_recording` stored."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    return Tracked(**{**stored, "extent": tuple(stored["extent"]), "notes": tuple(stored["notes"])})


def write_clips(job: WriteJob) -> None:
    """Writes each clip's folder atomically: video.mkv, audio.wav, track.npz, layers.npz, card.json."""
    arrays = load_arrays(job.track)
    whole = fitted_track(_load_track(arrays), job.frame_size)
    track, sound = to_track(whole), read_audio(job.audio or job.video)
    mesh = fill_gaps(whole.landmarks478, whole.valid)
    order: NDArray[np.int64] = arrays["order"]
    frames = _in_order(iterate_video(job.video), order, job.clips[0].start)
    position = job.clips[0].start
    for clip in job.clips:
        next(itertools.islice(frames, clip.start - position, clip.start - position), None)
        own = itertools.islice(frames, clip.stop - clip.start)
        pictures = (cropped_image(fitted_image(f, job.frame_size), job.box, job.size_px) for f in own)
        _write_clip(clip, pictures, _part(track, clip), mesh[clip.start : clip.stop], sound, job)
        position = clip.stop


def cropped_image(image: Image, box: Box, size_px: int) -> Image:
    """The square part of a frame at size_px × size_px: area average when it shrinks, cubic when it grows."""
    import cv2

    x0, y0, x1, y1 = box
    part = image[y0:y1, x0:x1]
    if part.shape[0] == size_px:
        return np.ascontiguousarray(part)
    method = cv2.INTER_AREA if part.shape[0] > size_px else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (size_px, size_px), interpolation=method), np.uint8)


def cropped_track(track: Track, box: Box, size_px: int) -> Track:
    """The same track in pixels of the cropped and resized frames; head space and pose stay as they are."""
    x0, y0, x1, _ = box
    scale = size_px / (x1 - x0)
    camera = track.camera
    moved = Camera(
        focal_px=camera.focal_px * scale, cx_px=(camera.cx_px - x0) * scale, cy_px=(camera.cy_px - y0) * scale,
        width=size_px, height=size_px,
    )  # fmt: skip
    landmarks = (track.landmarks - np.array([x0, y0], np.float32)) * np.float32(scale)
    return replace(track, camera=moved, landmarks=landmarks)


def _track(job: TrackJob) -> Tracked:
    info = probe(job.video)
    if job.audio is None and not info.has_audio:
        return Tracked(reason="it has no sound, and no audio file of its name lies beside it")
    sound_seconds = len(read_audio(job.audio or job.video)) / SAMPLE_RATE_HZ
    order, fps, notes = _constant_rate(info)
    n_frames = min(len(order), round(sound_seconds * fps))
    notes += _length_notes(len(order) / fps, sound_seconds, fps)
    if n_frames < 2:
        return Tracked(reason=f"only {n_frames} frames have sound")
    found = track_frames((frame for _, frame in iterate_video(job.video)), fps, job.model)
    share = float(found.valid.mean())
    if share < job.min_tracked:
        misses = int((~found.valid).sum())
        total = len(found.valid)
        return Tracked(reason=f"no face in {misses} of {total} frames; {job.min_tracked:.0%} must show one")
    notes += _face_notes(found, info)
    kept = _reordered(found, order[:n_frames], fps)
    if not kept.valid.any():
        return Tracked(reason="no face was found in the part that has sound")
    _save_track(job.target, kept, order[:n_frames])
    extent = _extent(kept)
    return Tracked(
        width=found.width, height=found.height, fps=fps, n_frames=n_frames, extent=extent,
        colour=info.colour, notes=tuple(notes),
    )  # fmt: skip


def _constant_rate(info: MediaInfo) -> tuple[NDArray[np.int64], float, list[str]]:
    """Which source frame stands at each step of a constant rate: all of them, unless the file's rate varies.

    The constant rate is the whole number nearest to the most usual step: the camera's own where frames are missing.
    """
    if not info.is_variable_rate:
        return np.arange(info.n_frames), info.fps, []
    usual = float(np.median(np.diff(info.seconds)))
    fps = float(max(round(1 / usual), 1)) if usual > 0 else float(max(round(info.fps), 1))
    steps = np.arange(max(int(np.floor(info.seconds[-1] * fps)) + 1, 1)) / fps
    after = np.clip(np.searchsorted(info.seconds, steps), 1, info.n_frames - 1)
    is_before_nearer = steps - info.seconds[after - 1] <= info.seconds[after] - steps
    order = np.where(is_before_nearer, after - 1, after)
    used = len(np.unique(order))
    note = (
        f"variable frame rate ({info.fps:.2f} on average): resampled by its timestamps to {fps:g} fps, "
        f"{len(order) - used} frames repeated, {info.n_frames - used} dropped"
    )
    return order, fps, [note]


def _length_notes(picture_seconds: float, sound_seconds: float, fps: float) -> list[str]:
    excess = picture_seconds - sound_seconds
    if abs(excess) * fps <= 0.5:
        return []
    longer = "picture" if excess > 0 else "sound"
    return [f"{longer} is {abs(excess):.2f} s longer than the rest: cut to the shorter"]


def _face_notes(found: MediapipeTrack, info: MediaInfo) -> list[str]:
    notes = []
    crowded, misses = int((found.n_faces > 1).sum()), int((~found.valid).sum())
    if crowded:
        notes.append(f"more than one face in {crowded} frames: the largest at the start is followed")
    if misses:
        notes.append(f"no face in {misses} of {len(found.valid)} frames: interpolated and marked invalid")
    if abs(info.pixel_aspect - 1) > 0.01:
        notes.append(f"pixels are not square (aspect {info.pixel_aspect:.3f}): shown as stored")
    return notes


def _reordered(found: MediapipeTrack, order: NDArray[np.int64], fps: float) -> MediapipeTrack:
    if len(order) and order[-1] >= len(found.valid):
        raise InputError(f"decoding gave {len(found.valid)} frames, the file's index has more")
    return replace(
        found, blendshapes=found.blendshapes[order], matrices=found.matrices[order], fps=fps,
        landmarks478=found.landmarks478[order], valid=found.valid[order], n_faces=found.n_faces[order],
    )  # fmt: skip


def _extent(track: MediapipeTrack) -> tuple[float, float, float, float]:
    outline = hull_outline(track.landmarks478[track.valid])
    low = np.percentile(outline.min(axis=1), _EXTENT_PERCENTILES[0], axis=0)
    high = np.percentile(outline.max(axis=1), _EXTENT_PERCENTILES[1], axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _save_track(path: Path, track: MediapipeTrack, order: NDArray[np.int64]) -> None:
    save_arrays(
        path,
        {
            "blendshapes": track.blendshapes, "names": np.array(track.blendshape_names, np.str_),
            "matrices": track.matrices, "landmarks478": track.landmarks478, "valid": track.valid,
            "n_faces": track.n_faces, "size": np.array([track.width, track.height]), "fps": np.array(track.fps),
            "order": order,
        },
    )  # fmt: skip


def _load_track(stored: dict[str, NDArray[Any]]) -> MediapipeTrack:
    width, height = (int(v) for v in stored["size"])
    return MediapipeTrack(
        blendshapes=stored["blendshapes"], blendshape_names=tuple(str(n) for n in stored["names"]),
        matrices=stored["matrices"], landmarks478=stored["landmarks478"], valid=stored["valid"],
        n_faces=stored["n_faces"], width=width, height=height, fps=float(stored["fps"]),
    )  # fmt: skip


def _in_order(frames: Iterator[tuple[float, Image]], order: NDArray[np.int64], first: int) -> Iterator[Image]:
    """Frames of `order` from its position `first` on; `order` never decreases, so one pass is enough."""
    index, current = -1, None
    for wanted in order[first:]:
        while index < wanted:
            _, current = next(frames)
            index += 1
        assert current is not None  # wanted >= 0, so at least one frame was read
        yield current


def _part(track: Track, clip: ClipJob) -> Track:
    span = slice(clip.start, clip.stop)
    pose = replace(track.pose, rotation=track.pose.rotation[span], translation=track.pose.translation[span])
    return replace(track, alpha=track.alpha[span], pose=pose, landmarks=track.landmarks[span], valid=track.valid[span])


def _write_clip(
    clip: ClipJob, pictures: Iterator[Image], track: Track, mesh: Floats, sound: Floats, job: WriteJob
) -> None:
    samples = _sound_of(sound, clip)
    x0, y0, x1, _ = job.box
    scale = np.float32(job.size_px / (x1 - x0))
    outline = (mesh[..., :2] - np.array([x0, y0], np.float32)) * scale
    with writing_folder(clip.folder) as folder:
        write_lossless(folder / "video.mkv", pictures, clip.fps, samples)
        write_audio(folder / "audio.wav", samples)
        save_track(folder / "track.npz", cropped_track(track, job.box, job.size_px))
        mask = hull_mask(outline, job.size_px, job.size_px)
        save_mask(folder / "layers.npz", mask, SOURCE)
        write_text(folder / "card.json", clip.card)


def _sound_of(sound: Floats, clip: ClipJob) -> Floats:
    """The clip's samples; less than half a frame of silence is added where the sound ends first."""
    start, stop = round(clip.start / clip.fps * SAMPLE_RATE_HZ), round(clip.stop / clip.fps * SAMPLE_RATE_HZ)
    part = sound[start:stop]
    return np.pad(part, (0, stop - start - len(part)))


def clip_complete(folder: Path, card: str) -> bool:
    """Whether this very clip was written before."""
    path = folder / "card.json"
    return path.exists() and path.read_text(encoding="utf-8") == card
