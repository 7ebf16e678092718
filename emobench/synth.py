"""Animates the checkpoint of a run with any speech and tag; knows the Method protocol, no particular method."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emobench.errors import InputError, UsageError
from emobench.media import read_audio, write_preview
from emobench.runner import set_threads
from emobench.subjects import load_subjects, sway
from emobench.trained import choose_subject, load_method, trained_run
from emobench.types import SAMPLE_RATE_HZ, Context, Driving, Progress

SHORTEST_SECONDS = 0.2  # below this there is no frame whose audio window is mostly speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """What was made, and how long it took."""

    subject: str
    n_frames: int
    clip_seconds: float
    work_seconds: float


def synthesise(
    checkpoint: Path,
    audio: Path,
    output: Path,
    *,
    emotion: str,
    intensity: int,
    subject: str,
    transcript: str | None,
    seed: int,
    device: str,
    threads: int,
    progress: Progress,
    cache_dir: Path,
) -> Synthesis:
    """Write `output` (mp4 with sound). Raises UsageError on an unknown subject or tag, InputError on bad sound."""
    record = trained_run(checkpoint)
    card = choose_subject(load_subjects(record.dir), subject)
    if output.suffix.lower() != ".mp4":
        raise UsageError(f"-o {output}: synth writes .mp4.")
    samples = read_audio(audio)
    seconds = len(samples) / SAMPLE_RATE_HZ
    if seconds < SHORTEST_SECONDS:
        raise InputError(f"{audio} holds {seconds * 1000:.0f} ms of sound; at least {SHORTEST_SECONDS * 1000:.0f} ms.")
    set_threads(threads)
    context = Context(seed=0, device=device, threads=threads, cache_dir=cache_dir, progress=progress)
    method = load_method(record, context)
    n_frames = max(1, int(np.floor(seconds * card.fps)))
    driving = Driving(
        clip_id=output.stem,
        subject=card.subject,
        audio=samples,
        transcript=transcript,
        emotion=emotion,
        intensity=intensity,
        pose=sway(card, n_frames, seed),
        camera=card.camera,
        fps=card.fps,
        n_frames=n_frames,
        reference=card.reference,
    )
    start = time.perf_counter()
    stream = method.render(driving)
    frames = np.stack([item.frame for item in progress.track(stream, "render", total=n_frames)])
    write_preview(output, frames, card.fps, samples)
    return Synthesis(
        subject=card.subject,
        n_frames=n_frames,
        clip_seconds=n_frames / card.fps,
        work_seconds=time.perf_counter() - start,
    )
