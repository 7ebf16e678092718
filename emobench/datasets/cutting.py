"""Cuts, crops and writes the clips of one tracked recording, in a worker process. Knows no dataset and no tracker."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emobench.cache import write_text, writing_folder
from emobench.face.head_masks import FRAMES_DECIDE, HeadParser, ParsingChoice, open_parser
from emobench.face.mediapipe_tracker import MediapipeTrack
from emobench.face.mesh_fitting import fitted_mesh
from emobench.face.surfaces import Mesh, save_mesh
from emobench.face.tracks import save_mask, save_track
from emobench.media import iterate_video, read_audio, write_audio, write_lossless
from emobench.types import SAMPLE_RATE_HZ, Camera, Floats, Image, Track

from .framing import Size, fitted_image, fitted_track
from .whole_tracks import finished, load_whole

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels
SAMPLES = 5  # frames by which the parser of a recording is chosen


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
    track: Path  # of the whole recording, see whole_tracks
    frame_size: Size  # the subject's: frames of another size are fitted to it before the box is cut out
    box: Box
    size_px: int
    clips: tuple[ClipJob, ...]  # in order of time
    parsing: ParsingChoice = "auto"


def write_clips(job: WriteJob) -> None:
    """Writes each clip's folder atomically: video.mkv, audio.wav, track.npz, layers.npz, mesh.npz, card.json.

    mesh.npz only where the tracker fits one. One parser for all clips of the recording, chosen by frames all
    over it.
    """
    whole, order = load_whole(job.track)
    track, outline = finished(whole, job.frame_size)
    surface = fitted_mesh(fitted_track(whole, job.frame_size)) if isinstance(whole, MediapipeTrack) else None
    parser = open_parser(job.parsing, _samples(job, order))
    sound = read_audio(job.audio or job.video)
    frames = _in_order(iterate_video(job.video), order, job.clips[0].start)
    position = job.clips[0].start
    for clip in job.clips:
        next(itertools.islice(frames, clip.start - position, clip.start - position), None)
        own = itertools.islice(frames, clip.stop - clip.start)
        pictures = (cropped_image(fitted_image(f, job.frame_size), job.box, job.size_px) for f in own)
        span = slice(clip.start, clip.stop)
        with writing_folder(clip.folder) as folder:
            if surface is not None:
                save_mesh(folder / "mesh.npz", cropped_mesh(surface, span, job.box, job.size_px))
            _write_clip(folder, clip, pictures, _part(track, clip), outline[span], parser, sound, job)
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


def cropped_mesh(mesh: Mesh, span: slice, box: Box, size_px: int) -> Mesh:
    """Some frames of a mesh in pixels of the cropped and resized frames."""
    scale = np.float32(size_px / (box[2] - box[0]))
    points = (mesh.points[span] - np.array(box[:2], np.float32)) * scale
    return replace(mesh, points=points, depth_mm=mesh.depth_mm[span])


def _samples(job: WriteJob, order: NDArray[np.int64]) -> list[Image]:
    """SAMPLES frames spread evenly over the recording, as its clips show them: a fade-in must not decide for all.

    None where the choice does not depend on frames: that saves decoding them.
    """
    if job.parsing not in FRAMES_DECIDE:
        return []
    spread = (np.arange(SAMPLES) + 0.5) * len(order) / SAMPLES
    frames = _in_order(iterate_video(job.video), order[np.unique(spread.astype(np.int64))], 0)
    return [cropped_image(fitted_image(frame, job.frame_size), job.box, job.size_px) for frame in frames]


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
    folder: Path, clip: ClipJob, pictures: Iterator[Image], track: Track, outline: Floats, parser: HeadParser,
    sound: Floats, job: WriteJob,
) -> None:  # fmt: skip
    samples = _sound_of(sound, clip)
    x0, y0, x1, _ = job.box
    points = (outline[..., :2] - np.array([x0, y0], np.float32)) * np.float32(job.size_px / (x1 - x0))
    masks: list[NDArray[np.uint8]] = []

    def parsed() -> Iterator[Image]:
        for picture, own in zip(pictures, points, strict=True):
            masks.append(parser.mask(picture, own))
            yield picture

    write_lossless(folder / "video.mkv", parsed(), clip.fps, samples)
    write_audio(folder / "audio.wav", samples)
    save_track(folder / "track.npz", cropped_track(track, job.box, job.size_px))
    save_mask(folder / "layers.npz", np.stack(masks), parser.source)
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
