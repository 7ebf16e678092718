"""A finished run on disk and a method that paints its expression, for commands that work from a run directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emobench.abilities import PlaneFacts
from emobench.cache import save_arrays
from emobench.errors import UsageError
from emobench.media import write_lossless
from emobench.store import PlanRow, RunInfo, RunRecord, RunStore, load_run
from emobench.subjects import SubjectCard, save_subjects
from emobench.types import SAMPLE_RATE_HZ, Camera, Driving, Floats, HeadPose, Image, Rendered

FPS = 25.0
FRAMES = 10
SIZE = 8
NAMES = ("jaw", "lips", "brow", "cheek")
IS_MOUTH = (True, True, False, False)
EMOTIONS = ("angry", "happy", "neutral")
NORMAL = np.float32([[0, 0, -1, 0], [0, 0.6, 0, 0.8], [0.8, 0, 0.6, 0]])
TAU = {"angry": 0.5, "happy": 0.25, "neutral": 0.0}
CAMERA = Camera(focal_px=40.0, cx_px=4.0, cy_px=4.0, width=SIZE, height=SIZE)
CARD = SubjectCard(
    subject="ann", reference=np.full((SIZE, SIZE, 3), 9, np.uint8), camera=CAMERA, rotation=np.eye(3, dtype=np.float32),
    translation=np.float32([0, 0, -1000]), fps=FPS, emotions=EMOTIONS,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    spoken: Floats
    refined: Floats
    tau: Floats


class PaintingMethod:
    """α₀ becomes brightness, α₁ red; knows three emotions."""

    def __init__(self, frames: tuple[int, ...] = (100, 200, 300)) -> None:
        self.frames = frames

    def express(self, driving: Driving) -> Said:
        if driving.emotion not in EMOTIONS:
            raise UsageError(f"Unknown emotion {driving.emotion!r}.")
        spoken = np.full((driving.n_frames, len(NAMES)), 0.1, np.float32)
        tau = np.full(driving.n_frames, TAU[driving.emotion], np.float32)
        return Said(spoken=spoken, refined=self.push("ann", spoken, driving.emotion, 3.0, tau), tau=tau)

    def render_alpha(self, subject: str, alpha: Floats, pose: HeadPose, camera: Camera) -> Iterator[Rendered]:
        assert len(alpha) == len(pose)
        for row in alpha:
            frame = np.full((camera.height, camera.width, 3), np.clip(100 + 100 * row[0], 0, 255), np.uint8)
            frame[..., 0] = np.clip(100 + 100 * row[1], 0, 255)
            yield Rendered(frame=frame, alpha=row)

    def render(self, driving: Driving) -> Iterator[Rendered]:
        return self.render_alpha(driving.subject, self.express(driving).refined, driving.pose, driving.camera)

    def hyperplanes(self) -> PlaneFacts | None:
        return PlaneFacts(
            emotions=EMOTIONS, alpha_names=NAMES, is_mouth=IS_MOUTH, normal=NORMAL, scale=np.float32([2, 3, 1]),
            accuracy=np.float32([0.9, 1.0, 0.75]), margin=np.float32([0.5, 0.6, 0.7]),
            frames=np.array(self.frames, np.int64),
        )  # fmt: skip

    def push(self, subject: str, alpha: Floats, emotion: str, level: float, tau: Floats) -> Floats:
        moved: Floats = alpha + tau[:, None] * NORMAL[EMOTIONS.index(emotion)]
        return moved

    def view(self, subject: str, alpha: Floats, pose: HeadPose, seen: HeadPose, camera: Camera) -> Iterator[Image]:
        for index in range(len(alpha)):
            yield np.full((camera.height, camera.width, 3), 100 + 100 * seen.rotation[index, 0, 2], np.uint8)

    def fit(self, clips: object) -> None: ...
    def save(self, path: Path) -> None: ...
    def load(self, path: Path) -> None: ...
    def stage_seconds(self) -> dict[str, float]:
        return {}


class PlainMethod(PaintingMethod):
    """One that offers nothing beyond rendering."""

    express = render_alpha = hyperplanes = push = view = None  # type: ignore[assignment]


def finished_run(folder: Path, emotions: tuple[str, ...] = ("happy", "neutral"), with_pose: bool = True) -> RunRecord:
    """One clip of each emotion, half a second of sound each."""
    store = RunStore(folder)
    plan = [
        PlanRow(clip=f"ann_{e}", subject="ann", emotion=e, intensity=3, n_frames=FRAMES, transcript=None)
        for e in emotions
    ]
    for number, row in enumerate(plan):
        audio = np.full(int(FRAMES / FPS * SAMPLE_RATE_HZ), 0.1 * (1 + number), np.float32)
        frames = np.zeros((FRAMES, SIZE, SIZE, 3), np.uint8)
        write_lossless(store.prediction(row.clip, ".mkv"), frames, FPS, audio)
        pose = {"rotation": np.tile(np.eye(3, dtype=np.float32), (FRAMES, 1, 1)),
                "translation": np.stack([np.float32([k, 0, -1000]) for k in range(FRAMES)])}  # fmt: skip
        alpha = {"alpha": np.zeros((FRAMES, len(NAMES)), np.float32)}
        save_arrays(store.prediction(row.clip, ".npz"), alpha | (pose if with_pose else {}))
        store.write(f"predictions/{row.clip}.json", {"sha256": str(number), "timing": None})
    save_subjects(folder, {"ann": CARD})
    store.write("plan.json", plan)
    store.write("run.json", RunInfo(
        method="painting", method_version="1", role="method", dataset="toy", seed=0, identity="abc", status="complete",
        config={}, passed=[], preset="", subjects=["ann"], protocol="strict", dataset_facts={}, judge_report={},
        split_hash="x",
    ))  # fmt: skip
    store.write_results({}, {"fit": 1.5})
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "numbers.bin").write_bytes(b"1234")
    return load_run(folder)
