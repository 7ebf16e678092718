"""Decoded clips for scoring: a reference from a dataset's clip, a prediction from a run, or a bare video file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from emobench import environment
from emobench.cache import load_arrays
from emobench.errors import InputError
from emobench.face.tracks import load_track
from emobench.frames import gather
from emobench.hashing import hash_arrays
from emobench.media import DecodedVideo, probe, read_audio, read_video
from emobench.store import RunStore, read_json
from emobench.types import Clip, Floats, Sample, Timing


def decoded(path: Path) -> DecodedVideo:
    """The video, decoded once; the frames of a long one lie in a scratch file of the cache folder, not in memory."""
    return read_video(path, gather=lambda frames: gather(frames, environment.cache_dir() / "scratch"))


def reference_sample(clip: Clip) -> Sample:
    """A test clip as ground truth: frames, sound and its track. Raises InputError on unreadable files."""
    if clip.video is None:
        raise InputError(f"Clip {clip.id} has no video.")
    frames = decoded(clip.video).frames
    track = load_track(clip.extras["track"]) if "track" in clip.extras else None
    audio = read_audio(clip.audio) if clip.audio else None
    arrays: list[NDArray[Any]] = [frames, *([audio] if audio is not None else []), *([track.alpha] if track else [])]
    return Sample(
        clip_id=clip.id,
        subject=clip.subject,
        emotion=clip.emotion,
        intensity=clip.intensity,
        fps=clip.fps,
        frames=frames,
        audio=audio,
        track=track,
        alpha=track.alpha if track else None,
        timing=None,
        sha256=hash_arrays(arrays),
    )


def prediction_sample(store: RunStore, clip: Clip, audio: Floats | None) -> Sample:
    """A rendered clip of a run with its α, timing and the sound it was driven by."""
    frames = decoded(store.prediction(clip.id, ".mkv")).frames
    card = read_json(store.prediction(clip.id, ".json"))
    alpha_path = store.prediction(clip.id, ".npz")
    alpha = load_arrays(alpha_path)["alpha"] if alpha_path.exists() else None
    return Sample(
        clip_id=clip.id,
        subject=clip.subject,
        emotion=clip.emotion,
        intensity=clip.intensity,
        fps=clip.fps,
        frames=frames,
        audio=audio,
        track=None,
        alpha=alpha,
        timing=Timing(**card["timing"]) if card.get("timing") else None,
        sha256=card["sha256"],
    )


def video_sample(path: Path, clip_id: str, emotion: str | None = None) -> Sample:
    """Any video file as a sample; sound is None when it has no audio stream. Raises InputError on damaged ones."""
    video = decoded(path)
    audio = read_audio(path) if probe(path).has_audio else None
    arrays: list[NDArray[Any]] = [video.frames, *([audio] if audio is not None else [])]
    return Sample(
        clip_id=clip_id,
        subject="",
        emotion=emotion,
        intensity=None,
        fps=video.fps,
        frames=video.frames,
        audio=audio,
        track=None,
        alpha=None,
        timing=None,
        sha256=hash_arrays(arrays),
    )
