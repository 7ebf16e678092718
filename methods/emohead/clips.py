"""Train clips of a dataset as recordings: the only reader of audio and track files in EmoHead."""

from __future__ import annotations

from collections.abc import Sequence

from emobench.errors import InputError
from emobench.face.tracks import load_track
from emobench.media import read_audio
from emobench.types import Clip, Progress

from .fitting import Recording


def read_recordings(clips: Sequence[Clip], progress: Progress) -> list[Recording]:
    """Sound, tag and track of every clip. Raises InputError naming a clip without sound or track."""
    return [_read(clip) for clip in progress.track(clips, "emohead: read clips")]


def _read(clip: Clip) -> Recording:
    if clip.audio is None:
        raise InputError(f"Train clip {clip.id} has no sound; EmoHead learns from speech.")
    if "track" not in clip.extras:
        raise InputError(f"Train clip {clip.id} has no track of expression parameters. Prepare the dataset again.")
    track = load_track(clip.extras["track"])
    if len(track.alpha) != clip.n_frames:
        raise InputError(f"Train clip {clip.id}: the track has {len(track.alpha)} frames, the clip {clip.n_frames}.")
    return Recording(
        subject=clip.subject, emotion=clip.emotion, level=clip.intensity, transcript=clip.transcript,
        audio=read_audio(clip.audio), fps=clip.fps, track=track,
    )
