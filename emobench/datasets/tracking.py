"""Work on one recording in a worker process: track its face, or read its track file. Knows no dataset.

Everything here is picklable data in and out; what a recording lacks comes back as `reason`, not as an exception.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emobench.cache import write_text
from emobench.errors import InputError
from emobench.face.conversion import misfit
from emobench.face.mediapipe_tracker import MediapipeTrack, track_frames
from emobench.face.motion import fill_gaps, gaps_of
from emobench.face.track_files import FileTrack, load_track_file, track_file_of
from emobench.media import MediaInfo, iterate_video, probe, read_audio
from emobench.types import SAMPLE_RATE_HZ

from .whole_tracks import Whole, extent, frame_size, reordered, save_whole, validity

VERSION = 3  # raise when anything written here or by `cutting` changes
Tracker = Literal["mediapipe", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackJob:
    """Track one file into `target` (.npz, with a .json of facts beside it)."""

    video: Path
    audio: Path | None  # None: the sound inside the video
    model: Path | None  # of the face landmarker; None: it is not here, and may not be needed
    target: Path
    min_tracked: float  # share of frames that must show a face
    tracker: Tracker = "mediapipe"  # file: NAME.track.npz beside the video


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
    gaps: tuple[tuple[int, int], ...] = ()  # runs [start, stop) of usable frames without a face
    tracker: str = "mediapipe"  # for a track file, with the name of what made it


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
    gaps = tuple((int(start), int(stop)) for start, stop in stored["gaps"])
    return Tracked(**{**stored, "extent": tuple(stored["extent"]), "notes": tuple(stored["notes"]), "gaps": gaps})


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
    found, told = _from_file(job, info, fps) if job.tracker == "file" else (_from_pictures(job, fps), [])
    valid = validity(found)
    if valid.mean() < job.min_tracked:
        misses, total = int((~valid).sum()), len(valid)
        return Tracked(reason=f"no face in {misses} of {total} frames; {job.min_tracked:.0%} must show one")
    notes += told + _face_notes(found, info)
    if order[-1] >= len(valid):
        raise InputError(f"decoding gave {len(valid)} frames, the file's index has more")
    kept = reordered(found, order[:n_frames], fps)
    if not validity(kept).any():
        return Tracked(reason="no face was found in the part that has sound")
    save_whole(job.target, kept, order[:n_frames])
    width, height = frame_size(found)
    return Tracked(
        width=width, height=height, fps=fps, n_frames=n_frames, extent=extent(kept), colour=info.colour,
        notes=tuple(notes), gaps=tuple(gaps_of(validity(kept))),
        tracker=f"file: {found.tracker}" if isinstance(found, FileTrack) else "mediapipe",
    )  # fmt: skip


def _from_pictures(job: TrackJob, fps: float) -> MediapipeTrack:
    if job.model is None:
        raise InputError("the face landmarker is needed, and is not here: emobench weights fetch")
    return track_frames((frame for _, frame in iterate_video(job.video)), fps, job.model)


def _from_file(job: TrackJob, info: MediaInfo, fps: float) -> tuple[Whole, list[str]]:
    """The track beside the video, and notes. Landmarks that it lacks, and frames without a face, are MediaPipe's.

    Raises InputError where it does not fit.
    """
    path = track_file_of(job.video)
    if not path.is_file():
        raise InputError(f"no track file {path.name} lies beside it")
    found = load_track_file(path)
    reason = misfit(found, info)
    if reason is not None:
        raise InputError(f"{path.name} does not fit it: {reason}")
    if found.has_landmarks:
        return found, []
    if job.model is None:
        raise InputError(f"{path.name} has no landmarks, and the face landmarker is not here: emobench weights fetch")
    seen = _from_pictures(job, fps)
    if not seen.valid.any():
        raise InputError(f"{path.name} has no landmarks, and MediaPipe finds no face")
    if len(seen.valid) != len(found.track.valid):
        raise InputError(f"decoding gave {len(seen.valid)} frames, {path.name} has {len(found.track.valid)}")
    points, lost = fill_gaps(seen.landmarks68, seen.valid), int((found.track.valid & ~seen.valid).sum())
    track = replace(found.track, landmarks=points, valid=found.track.valid & seen.valid)
    told = [f"{path.name} has no landmarks, and MediaPipe finds no face in {lost} of its frames: they count as without"]
    return replace(found, track=track, has_landmarks=True), told if lost else []


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


def _face_notes(found: Whole, info: MediaInfo) -> list[str]:
    notes = []
    crowded = int((found.n_faces > 1).sum()) if isinstance(found, MediapipeTrack) else 0
    misses = int((~validity(found)).sum())
    if crowded:
        notes.append(f"more than one face in {crowded} frames: the largest at the start is followed")
    if misses:
        notes.append(f"no face in {misses} of {len(validity(found))} frames: interpolated and marked invalid")
    if abs(info.pixel_aspect - 1) > 0.01:
        notes.append(f"pixels are not square (aspect {info.pixel_aspect:.3f}): shown as stored")
    return notes
