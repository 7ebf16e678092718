"""The command `emobench synth`: parse, call `synth`, print. Heavy imports wait for the command to run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from emobench import environment
from emobench.options import Device, Json, Quiet, Threads, choose_device, prepare_process

Pose = Annotated[
    str,
    typer.Option("--pose-from", help="Head motion: sway, clip, a test clip's id, a track.npz or a video."),
]


def synth_command(
    checkpoint: Annotated[Path, typer.Option("--checkpoint", help="Run directory of a trained method.")],
    audio: Annotated[Path, typer.Option("--audio", help="Speech: wav, mp3, m4a or a video with sound.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="mp4 to write.")],
    emotion: Annotated[str, typer.Option("--emotion", help="Emotion tag.")] = "neutral",
    intensity: Annotated[
        float,
        typer.Option("--intensity", min=0.0, max=2.0, help="From rest (0) to the tag (1) and beyond (up to 2)."),
    ] = 1.0,
    level: Annotated[int, typer.Option("--level", min=1, max=3, help="Level of the tag, 1..3.")] = 3,
    subject: Annotated[str, typer.Option("--subject", help="Subject of the run; default: the first.")] = "",
    transcript: Annotated[str, typer.Option("--transcript", help="What is said, where known.")] = "",
    pose_from: Pose = "sway",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the head sway.")] = 0,
    device: Device = "auto",
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Animate a trained head with any speech and any emotion tag."""
    prepare_process(threads)
    from emobench.progress import make_progress
    from emobench.synth import SynthRequest, synthesise

    request = SynthRequest(
        checkpoint=checkpoint, audio=audio, output=output, emotion=emotion, level=level, intensity=intensity,
        subject=subject, transcript=transcript or None, pose_from=pose_from, seed=seed,
    )  # fmt: skip
    done = synthesise(
        request,
        device=choose_device(device),
        threads=threads or environment.thread_count(),
        progress=make_progress(quiet),
        cache_dir=environment.cache_dir(),
    )
    if as_json:
        told = {
            "output": str(output), "subject": done.subject, "frames": done.n_frames, "seconds": done.clip_seconds,
            "work_seconds": done.work_seconds, "real_time_factor": done.real_time_factor,
            "transcript": done.transcript,
        }  # fmt: skip
        print(json.dumps(told, indent=1, sort_keys=True))
        return
    print(
        f"{output}: {done.n_frames} frames of {done.subject}, {emotion} level {level}, "
        f"{done.clip_seconds:.1f} s of speech in {done.work_seconds:.1f} s "
        f"(real-time factor {done.real_time_factor:.2f})"
    )
