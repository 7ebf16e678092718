"""Made-up recordings on disk for the datasets `folder` and `mead`, and a stand-in for the tracker. Tests nothing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from emobench.datasets import recorded, tracking
from emobench.datasets.folder import FolderConfig, FolderDataset
from emobench.datasets.mead import MeadConfig, MeadDataset
from emobench.face.landmarks import FACE_OVAL_OF_MEDIAPIPE
from emobench.face.mediapipe_tracker import MediapipeTrack
from emobench.media import write_lossless, write_preview
from emobench.progress import SilentProgress
from emobench.types import Context

SMALL = {"size_px": 32}


class Notes(SilentProgress):
    """Keeps what would be printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def sound(seconds: float) -> np.ndarray:
    return (0.2 * np.sin(np.arange(int(seconds * 16000)) * 0.08)).astype(np.float32)


def pictures(n: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Grey frames that grow brighter, so that each can be told from the others."""
    return np.stack([np.full((height, width, 3), 60 + min(2, 190 // n) * t, np.uint8) for t in range(n)])


def video(path: Path, n: int = 20, fps: float = 25.0, seconds: float | None = None) -> Path:
    """An MP4 or MKV with n frames and sound of the same length, or of `seconds`; 0 means no sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    length = n / fps if seconds is None else seconds
    write = write_lossless if path.suffix == ".mkv" else write_preview
    write(path, pictures(n), fps, sound(length) if length else None)
    return path


def uneven_video(path: Path, stamps_ms: list[int]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        voice = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        stream.codec_context.time_base = Fraction(1, 1000)
        for stamp, image in zip(stamps_ms, pictures(len(stamps_ms)), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        values = (sound(stamps_ms[-1] / 1000 + 0.04) * 32767).astype(np.int16)[None]
        block = av.AudioFrame.from_ndarray(values, format="s16", layout="mono")
        block.sample_rate = 16000
        container.mux(voice.encode(block))
        container.mux(stream.encode(None))


def mesh(width: int, height: int) -> np.ndarray:
    points = np.tile(np.array([width / 2, height / 2, 0], np.float32), (478, 1))
    angles = np.linspace(-np.pi / 2, 1.5 * np.pi, len(FACE_OVAL_OF_MEDIAPIPE), endpoint=False)
    points[list(FACE_OVAL_OF_MEDIAPIPE), 0] += 0.15 * height * np.cos(angles)
    points[list(FACE_OVAL_OF_MEDIAPIPE), 1] += 0.2 * height * np.sin(angles)
    for index, side in ((33, -0.1), (133, -0.04), (362, 0.04), (263, 0.1)):
        points[index] += [side * height, -0.04 * height, 0]
    return points


def fake_tracker(frames, fps, model, progress=None) -> MediapipeTrack:  # type: ignore[no-untyped-def]
    seen = list(frames)
    n, height, width = len(seen), *seen[0].shape[:2]
    matrix = np.eye(4, dtype=np.float32)
    matrix[2, 3] = -50
    return MediapipeTrack(
        blendshapes=np.tile(np.array([0, 0.5], np.float32), (n, 1)), blendshape_names=("_neutral", "jawOpen"),
        matrices=np.tile(matrix, (n, 1, 1)), landmarks478=np.tile(mesh(width, height), (n, 1, 1)),
        valid=np.array([frame.mean() > 20 for frame in seen]), n_faces=np.ones(n, np.int64),
        width=width, height=height, fps=fps,
    )  # fmt: skip


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tracking, "track_frames", fake_tracker)
    monkeypatch.setattr(recorded.weights, "locate", lambda name: tmp_path / "model")
    monkeypatch.setattr(recorded.weights, "sha256_of", lambda name: "0" * 64)


def context(root: Path | None, tmp_path: Path, threads: int = 1) -> Context:
    return Context(
        seed=0, device="cpu", threads=threads, cache_dir=tmp_path / "cache", progress=Notes(), data_root=root
    )


def folder(root: Path | None, tmp_path: Path, **config: object) -> FolderDataset:
    return FolderDataset(FolderConfig(**{**SMALL, **config}), context(root, tmp_path))


def mead(root: Path | None, tmp_path: Path, **config: object) -> MeadDataset:
    return MeadDataset(MeadConfig(**{**SMALL, **config}), context(root, tmp_path))


def ids(dataset: FolderDataset | MeadDataset, name: str) -> list[str]:
    return [clip.id for clip in dataset.split(name)]  # type: ignore[arg-type]
