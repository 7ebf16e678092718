"""Small run directories written with the real store, with real mp4 previews, for every test of reports."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from emobench.store import PlanRow, RunInfo, RunRecord, RunStore, ScoreRow, load_run
from emobench.types import Result

METRICS = {  # name: (unit, higher is better, typical value, spread over clips)
    "psnr": ("dB", True, 30.0, 1.0),
    "ssim": ("", True, 0.9, 0.02),
    "lmd.mouth": ("px", False, 2.0, 0.3),
    "emotion.judge": ("%", True, 60.0, 0.0),
    "fps.render": ("fps", True, 24.0, 1.0),
}
EMOTIONS = ("angry", "happy", "neutral", "sad")
Maker = Callable[..., RunRecord]


def plan_of(n_clips: int, n_subjects: int) -> list[PlanRow]:
    return [
        PlanRow(
            clip=f"S{i % n_subjects:02d}_{EMOTIONS[i % 4]}_{i:03d}",
            subject=f"S{i % n_subjects:02d}",
            emotion=EMOTIONS[i % 4],
            intensity=3,
            n_frames=12,
            transcript=f"Sentence number {i}.",
        )
        for i in range(n_clips)
    ]


def write_mp4(path: Path, hue: int, n_frames: int = 12, size: int = 64) -> None:
    """A moving square with a tone, H.264 and AAC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width = video.height = size
        video.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for t in range(n_frames):
            frame = np.full((size, size, 3), (hue, 200 - hue, 120), np.uint8)
            frame[20:40, 2 * t : 2 * t + 20] = 240
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = t, Fraction(1, 25)
            container.mux(video.encode(picture))
        tone = np.sin(np.arange(16000 * n_frames // 25) * 0.2).astype(np.float32)[None]
        audio = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        audio.sample_rate = 16000
        container.mux(sound.encode(audio))
        container.mux(video.encode())
        container.mux(sound.encode())


def score_rows(plan: Sequence[PlanRow], method: str, seed: int, shift: float) -> list[ScoreRow]:
    rng = np.random.default_rng([seed, zlib.crc32(method.encode())])
    rows = []
    for index, row in enumerate(plan):
        for name, (_, higher, typical, spread) in METRICS.items():
            detail: dict[str, float | int | str] = {}
            value = typical + shift * spread * (1 if higher else -1) + spread * float(rng.normal(scale=0.3))
            if name == "emotion.judge":
                predicted = row.emotion if rng.random() < 0.5 + shift / 5 else EMOTIONS[(index + 1) % 4]
                value, detail = 100.0 * (predicted == row.emotion), {"predicted": str(predicted)}
            rows.append(
                ScoreRow(
                    clip=row.clip, subject=row.subject, emotion=row.emotion, intensity=row.intensity,
                    metric=name, value=value, reason=None, detail=detail,
                )
            )  # fmt: skip
    return rows


def result_of(name: str, scores: Sequence[ScoreRow], n_total: int) -> Result:
    unit, higher, _, _ = METRICS[name]
    values = [row.value for row in scores if row.metric == name and row.value is not None]
    mean = float(np.mean(values)) if values else None
    half = float(np.std(values)) / 2 if values else 0.0
    return Result(
        value=mean,
        ci_low=None if mean is None else mean - half,
        ci_high=None if mean is None else mean + half,
        n_scored=len(values),
        n_total=n_total,
        unit=unit,
        higher_is_better=higher,
        signature=f"{name}|test|v1",
        reason=None if values else "no clip could be scored",
    )


def write_run(
    root: Path,
    method: str = "emohead",
    *,
    role: str = "method",
    seed: int = 0,
    shift: float = 0.0,
    dataset: str = "puppet",
    n_clips: int = 8,
    n_subjects: int = 2,
    plan: Sequence[PlanRow] | None = None,
    previews: bool = False,
    scores: Sequence[ScoreRow] | None = None,
    results: Mapping[str, Result] | None = None,
    **changes: Any,
) -> RunRecord:
    """One complete run on disk, read back with load_run; `results` are added to those of METRICS."""
    identity = f"{zlib.crc32(f'{method}{seed}{changes}'.encode()):08x}" * 8
    store = RunStore(root / dataset / method / identity[:12])
    rows = list(plan if plan is not None else plan_of(n_clips, n_subjects))
    scored = list(scores if scores is not None else score_rows(rows, method, seed, shift))
    info = RunInfo(
        method=method, method_version="1", role=role, dataset=dataset, seed=seed, identity=identity,
        status="complete", config={"steps": 100}, passed=(), preset="",
        subjects=sorted({row.subject for row in rows}), protocol="strict",
        dataset_facts={"name": dataset, "fps": "25", "licence": "Apache-2.0"},
        judge_report={"emotion": {"ground truth": 0.97, "static": 0.25}}, split_hash="f" * 64,
    )  # fmt: skip
    store.write("run.json", replace(info, **changes))
    store.write("plan.json", rows)
    store.write("provenance.json", {"packages": {"numpy": "2.0"}, "git": {"commit": "abc", "dirty": False}})
    store.write_scores(scored)
    measured = {name: result_of(name, scored, len(rows)) for name in METRICS}
    store.write_results(measured | dict(results or {}), {"render": 1.5})
    if previews:
        for index, row in enumerate(rows):
            write_mp4(store.prediction(row.clip, ".mp4"), hue=(20 * index + zlib.crc32(method.encode())) % 200)
    return load_run(store.dir)


@pytest.fixture
def make_run(tmp_path: Path) -> Maker:
    """write_run below a temporary folder."""

    def make(*args: Any, **options: Any) -> RunRecord:
        return write_run(tmp_path / "runs", *args, **options)

    return make
