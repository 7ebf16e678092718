"""Renders what a run still misses: Driving in, lossless frames, preview, α and timing out. Knows no method.

A clip's JSON card is written last: its presence means that the clip is complete.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from emobench import environment
from emobench.cache import save_arrays
from emobench.errors import InputError
from emobench.face.tracks import load_scene, load_track
from emobench.frames import gather
from emobench.hashing import hash_arrays
from emobench.media import read_audio, write_lossless, write_preview
from emobench.memory import PeakMemory
from emobench.pasting import pasted, pastes_back
from emobench.provenance import device_name
from emobench.specs import MethodSpec
from emobench.store import RunStore
from emobench.subjects import SubjectCard
from emobench.types import Clip, Driving, Floats, Image, Method, Progress, Rendered, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where frames are rendered: the processor or GPU by its name, and how many threads."""

    device: str
    threads: int


def make_driving(clip: Clip, reference: Image) -> Driving:
    """All that a method may see of a test clip: sound, transcript, tag, true head pose and camera."""
    track = load_track(clip.extras["track"])
    return Driving(
        clip_id=clip.id,
        subject=clip.subject,
        audio=read_audio(clip.audio) if clip.audio else np.zeros(0, np.float32),
        transcript=clip.transcript,
        emotion=clip.emotion,
        intensity=clip.intensity,
        pose=track.pose,
        camera=track.camera,
        fps=clip.fps,
        n_frames=clip.n_frames,
        reference=reference,
        scene=load_scene(clip.extras["scene"]) if "scene" in clip.extras else None,
    )


def render_facts(method: Method) -> dict[str, str]:
    """What tells speeds apart beside threads and size: device ("" = the one asked for), precision, backend, torso."""
    facts = {"device": "", "precision": "float32", "backend": "", "torso": ""}
    told: Mapping[str, str] = getattr(method, "render_facts", dict)()
    return {name: str(told.get(name, value)) for name, value in facts.items()}


def render_missing(
    method: Method,
    spec: MethodSpec,
    clips: Sequence[Clip],
    subjects: Mapping[str, SubjectCard],
    store: RunStore,
    where: Place,
    progress: Progress,
) -> None:
    """Render every clip that has no complete prediction. Raises InputError where a method breaks its protocol."""
    missing = [clip for clip in clips if not store.prediction(clip.id, ".json").exists()]
    for clip in progress.track(missing, f"render {spec.name}"):
        driving = make_driving(clip, subjects[clip.subject].reference)
        if spec.role == "oracle" and hasattr(method, "render_oracle"):
            stream = method.render_oracle(driving, clip)
        else:
            stream = method.render(driving)
        if pastes_back(method):
            stream = pasted(stream, clip)
        _store_prediction(method, stream, driving, store, where)


def _checked(stream: Iterator[Rendered], driving: Driving, alphas: list[Floats | None]) -> Iterator[Image]:
    """The frames one by one, each α put into `alphas`; raises InputError at a wrong frame or a wrong number of them."""
    expected = (driving.camera.height, driving.camera.width, 3)
    for item in stream:
        shape, dtype = item.frame.shape, item.frame.dtype
        if shape != expected or dtype != np.uint8:
            raise InputError(f"{driving.clip_id}: frames are {shape} {dtype}, expected {expected} uint8.")
        alphas.append(item.alpha)
        yield item.frame
    if len(alphas) != driving.n_frames:
        raise InputError(f"{driving.clip_id}: the method gave {len(alphas)} frames, asked for {driving.n_frames}.")


def _store_prediction(
    method: Method, stream: Iterator[Rendered], driving: Driving, store: RunStore, where: Place
) -> None:
    alphas: list[Floats | None] = []
    with PeakMemory() as peak:
        frames = gather(_checked(stream, driving, alphas), environment.cache_dir() / "scratch")
    given = [np.asarray(alpha, np.float32) for alpha in alphas if alpha is not None]
    if given and len(given) != len(alphas):
        raise InputError(f"{driving.clip_id}: the method gave α for {len(given)} of {len(alphas)} frames.")
    alpha = np.stack(given) if given else None
    if alpha is not None:
        # kept for whoever animates the run later with the head motion of one of its clips
        pose = {"rotation": driving.pose.rotation, "translation": driving.pose.translation}
        save_arrays(store.prediction(driving.clip_id, ".npz"), {"alpha": alpha, **pose})
    start = time.perf_counter()
    audio = driving.audio if len(driving.audio) else None
    with ThreadPoolExecutor(1) as beside:  # both encoders leave the interpreter's lock
        preview = beside.submit(write_preview, store.prediction(driving.clip_id, ".mp4"), frames, driving.fps, audio)
        write_lossless(store.prediction(driving.clip_id, ".mkv"), frames, driving.fps, audio)
        preview.result()
    seconds = method.stage_seconds()
    facts = render_facts(method)
    rendered_on = facts.pop("device")
    timing = Timing(
        audio_seconds=seconds.get("audio", 0.0),
        field_seconds=seconds.get("field", 0.0),
        composite_seconds=seconds.get("composite", 0.0),
        write_seconds=time.perf_counter() - start,
        n_frames=len(frames),
        width=driving.camera.width,
        height=driving.camera.height,
        device=device_name(rendered_on) if rendered_on else where.device,
        threads=where.threads,
        added_rss_bytes=peak.added_rss_bytes,
        peak_cuda_bytes=peak.cuda_bytes,
        **facts,
    )
    told: Mapping[str, str] = getattr(method, "render_facts", dict)()
    card: dict[str, Any] = {
        "timing": timing if seconds else None,
        "transcript": told.get("transcript"),  # where a method's words came from
        "sha256": hash_arrays([frames, driving.audio, *([alpha] if alpha is not None else [])]),
    }
    store.write(f"predictions/{driving.clip_id}.json", card)
