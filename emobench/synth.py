"""Animates the checkpoint of a run with any speech and tag; knows the Method protocol, no particular method.

Frames go from the method into the file one by one: how long the speech is does not matter to memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from emobench.abilities import Expresses
from emobench.errors import InputError, UsageError, suggest
from emobench.head_motion import SWAY, head_motion
from emobench.media import read_audio, write_preview
from emobench.store import RunRecord
from emobench.subjects import SubjectCard, load_subjects
from emobench.trained import choose_subject, open_method, trained_run
from emobench.types import SAMPLE_RATE_HZ, Driving, Floats, Image, Method, Progress, Rendered

SHORTEST_SECONDS = 0.2  # below this there is no frame whose audio window is mostly speech


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthRequest:
    """What is to be said, how, by whom."""

    checkpoint: Path  # run directory, or the folder that holds it
    audio: Path
    output: Path
    emotion: str
    level: int = 3  # 1..3
    intensity: float = 1.0  # from rest (0) to the tag (1) and beyond
    subject: str = ""  # "" = the first of the run
    transcript: str | None = None
    pose_from: str = SWAY  # see head_motion
    seed: int = 0  # of the sway


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """What was made, and how long it took."""

    subject: str
    n_frames: int
    clip_seconds: float
    work_seconds: float
    transcript: str  # where its words came from: given, asr or none; "" where the method does not say

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for each second of video; below 1 is faster than real time. Loading is not counted."""
        return self.work_seconds / self.clip_seconds


def synthesise(request: SynthRequest, *, device: str, threads: int, progress: Progress, cache_dir: Path) -> Synthesis:
    """Write request.output (mp4 with sound). Raises UsageError on unknown names, InputError on files of no use."""
    if request.output.suffix.lower() != ".mp4":
        raise UsageError(f"-o {request.output}: synth writes .mp4.")
    record = trained_run(request.checkpoint)
    cards = load_subjects(record.dir)
    card = choose_subject(cards, request.subject)
    known = sorted({emotion for one in cards.values() for emotion in one.emotions})
    if request.emotion not in known:
        hint = suggest("emotion", request.emotion, known).partition(" See:")[0]
        raise UsageError(f"{hint} This run was trained on: {', '.join(known)}.")
    samples = _speech(request.audio)
    driving = _driving(request, record, card, samples, progress)
    method = open_method(record, threads=threads, progress=progress, cache_dir=cache_dir, device=device)
    start = time.perf_counter()
    stream = _rendered(method, driving, record)
    frames = (item.frame for item in progress.track(stream, "render", total=driving.n_frames))
    write_preview(request.output, _all(frames, driving), card.fps, samples)
    facts: Mapping[str, str] = getattr(method, "render_facts", dict)()
    return Synthesis(
        subject=card.subject,
        n_frames=driving.n_frames,
        clip_seconds=driving.n_frames / card.fps,
        work_seconds=time.perf_counter() - start,
        transcript=facts.get("transcript", ""),
    )


def _speech(path: Path) -> Floats:
    samples = read_audio(path)
    seconds = len(samples) / SAMPLE_RATE_HZ
    if seconds < SHORTEST_SECONDS:
        raise InputError(f"{path} holds {seconds * 1000:.0f} ms of sound; at least {SHORTEST_SECONDS * 1000:.0f} ms.")
    return samples


def _driving(
    request: SynthRequest, record: RunRecord, card: SubjectCard, samples: Floats, progress: Progress
) -> Driving:
    n_frames = max(1, int(len(samples) / SAMPLE_RATE_HZ * card.fps))
    pose = head_motion(request.pose_from, record, card, request.emotion, n_frames, seed=request.seed, progress=progress)
    return Driving(
        clip_id=request.output.stem, subject=card.subject, audio=samples, transcript=request.transcript,
        emotion=request.emotion, intensity=request.level, pose=pose, camera=card.camera, fps=card.fps,
        n_frames=n_frames, reference=card.reference, strength=request.intensity,
    )  # fmt: skip


def _rendered(method: Method, driving: Driving, record: RunRecord) -> Iterator[Rendered]:
    """The frames. Raises UsageError where an intensity was asked for that has nothing to multiply."""
    if driving.strength in (0.0, 1.0):
        return method.render(driving)
    if isinstance(method, Expresses):
        said = method.express(driving)
        if said.tau.any():
            return method.render_alpha(driving.subject, said.refined, driving.pose, driving.camera)
    raise UsageError(
        f"{record.run.label} takes no step towards its tag, so --intensity has nothing to multiply. Use --level."
    )


def _all(frames: Iterator[Image], driving: Driving) -> Iterator[Image]:
    """Every frame; raises InputError where a method gives another number of them than it was asked for."""
    count = 0
    for frame in frames:
        count += 1
        yield frame
    if count != driving.n_frames:
        raise InputError(f"The method gave {count} frames, asked for {driving.n_frames}.")
