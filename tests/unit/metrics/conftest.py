"""A cartoon talking head with exact landmarks and sound: what metrics and judges are tested on without any dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from emobench.cache import ArrayCache
from emobench.errors import Unavailable
from emobench.face.tracks import save_track
from emobench.hashing import hash_arrays, hash_text
from emobench.media import write_audio, write_lossless
from emobench.scoring import CachedFeatures
from emobench.types import (
    SAMPLE_RATE_HZ,
    Camera,
    Clip,
    HeadPose,
    MetricContext,
    Sample,
    Track,
)

FPS = 25.0
LOOKS = {"happy": (0.0, 0.10), "angry": (-0.10, -0.03), "surprised": (0.14, 0.0)}  # brow height, mouth corners


def template() -> np.ndarray:
    """(68, 2) a neutral face in inter-ocular distances, origin between the eyes, y down."""
    turn = np.linspace(0.05 * np.pi, 0.95 * np.pi, 17)
    jaw = np.stack([-1.15 * np.cos(turn), 0.1 + 1.65 * np.sin(turn)], axis=1)
    brow = np.stack([np.linspace(-0.85, -0.2, 5), -0.38 - 0.08 * np.sin(np.linspace(0, np.pi, 5))], axis=1)
    brows = np.concatenate([brow, brow[::-1] * (-1, 1)])
    nose = np.stack([np.zeros(4), np.linspace(0.05, 0.55, 4)], axis=1)
    base = np.stack([np.linspace(-0.2, 0.2, 5), 0.68 + 0.04 * np.sin(np.linspace(0, np.pi, 5))], axis=1)
    around = np.pi - np.arange(6) * np.pi / 3
    eye = np.stack([0.22 * np.cos(around), -0.09 * np.sin(around)], axis=1)
    eyes = np.concatenate([eye - np.array([0.5, 0]), eye + np.array([0.5, 0])])
    lips = np.pi - np.arange(12) * np.pi / 6
    outer = np.stack([0.42 * np.cos(lips), 1.05 - 0.14 * np.sin(lips)], axis=1)
    inner = np.stack([0.32 * np.cos(lips), 1.05 - 0.01 * np.sin(lips)], axis=1)[[0, 2, 3, 4, 6, 8, 9, 10]]
    return np.concatenate([jaw, brows, nose, base, eyes, outer, inner])


def landmarks_of(opening: np.ndarray, emotion: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """(T, 68, 2) px for a mouth opening 0..1 per frame."""
    brow, corner = LOOKS[emotion]
    points = np.tile(template(), (len(opening), 1, 1))
    points[:, 17:27, 1] -= brow
    points[:, [48, 54, 60, 64], 1] -= corner
    lower = [55, 56, 57, 58, 59, 65, 66, 67]
    points[:, lower, 1] += 0.3 * opening[:, None]
    points[:, 5:12, 1] += 0.2 * opening[:, None]
    sway = np.cumsum(rng.normal(0, 0.01, (len(opening), 1, 2)), axis=0)
    return ((points + sway) * 0.21 * size + (size / 2, 0.38 * size)).astype(np.float32)


def draw(points: np.ndarray, size: int) -> np.ndarray:
    """(H, W, 3) uint8 flat shapes under the landmarks (68, 2)."""
    image = np.full((size, size, 3), (60, 90, 120), np.uint8)

    def fill(chosen: list[int], colour: tuple[int, int, int]) -> None:
        polygon = np.round((points[chosen] - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(image, [polygon], colour, lineType=cv2.LINE_AA, shift=4)

    fill([*range(17), *range(26, 16, -1)], (205, 160, 135))
    for start in (36, 42):
        fill(list(range(start, start + 6)), (245, 245, 245))
    fill(list(range(48, 60)), (170, 70, 75))
    fill(list(range(60, 68)), (50, 10, 15))
    for chosen in (range(17, 22), range(22, 27), range(27, 31), range(31, 36)):
        line = np.round((points[list(chosen)] - 0.5) * 16).astype(np.int32)
        cv2.polylines(image, [line], False, (70, 45, 35), max(size // 64, 1), cv2.LINE_AA, 4)
    return image


def speech(seconds: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """((N,) sound, (T,) opening 0..1): syllables whose pitch and loudness follow the mouth."""
    count = round(seconds * FPS)
    opening = np.clip(np.convolve(rng.normal(0, 1, count + 4), [0.2, 0.6, 1.0, 0.6, 0.2], "valid") * 0.35 + 0.3, 0, 1)
    time = np.arange(round(count * SAMPLE_RATE_HZ / FPS)) / SAMPLE_RATE_HZ
    curve = np.interp(time, (np.arange(count) + 0.5) / FPS, opening)
    phase = 2 * np.pi * np.cumsum(300 + 1500 * curve) / SAMPLE_RATE_HZ
    sound = 0.4 * curve * np.sin(phase) + rng.normal(0, 0.002, len(time))
    return sound.astype(np.float32), opening


def make_sample(emotion: str = "happy", *, seed: int = 0, seconds: float = 1.6, size: int = 96) -> Sample:
    """A reference with frames, sound, track and α."""
    rng = np.random.default_rng(seed)
    audio, opening = speech(seconds, rng)
    points = landmarks_of(opening, emotion, size, rng)
    frames = np.stack([draw(p, size) for p in points])
    count = len(frames)
    alpha = np.stack([opening, np.full(count, LOOKS[emotion][0])], axis=1).astype(np.float32)
    track = Track(
        alpha=alpha, alpha_names=("AU26", "AU1"), is_mouth=np.array([True, False]),
        pose=HeadPose(
            rotation=np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)), translation=np.zeros((count, 3), np.float32)
        ),
        camera=Camera(focal_px=4.0 * size, cx_px=size / 2, cy_px=size / 2, width=size, height=size),
        landmarks=points, valid=np.ones(count, bool), head_box_mm=np.ones((2, 3), np.float32), source="dataset",
    )  # fmt: skip
    return Sample(
        clip_id=f"cartoon_{emotion}_{seed}", subject="cartoon", emotion=emotion, intensity=3, fps=FPS, frames=frames,
        audio=audio, track=track, alpha=alpha, timing=None, sha256=hash_arrays([frames, audio]),
    )  # fmt: skip


def as_prediction(sample: Sample, **changes: object) -> Sample:
    """The sample as a method would hand it over: no track, its own content hash."""
    changed = replace(sample, track=None, **changes)  # type: ignore[arg-type]
    parts = [changed.frames] + ([changed.audio] if changed.audio is not None else [])
    return replace(changed, sha256=hash_arrays(parts))


def write_clip(folder: Path, sample: Sample, sentence: str) -> Clip:
    """The sample as a dataset's clip on disk."""
    assert sample.track is not None
    assert sample.audio is not None
    name = sample.clip_id
    write_lossless(folder / f"{name}.mkv", sample.frames, sample.fps)
    write_audio(folder / f"{name}.wav", sample.audio, SAMPLE_RATE_HZ)
    save_track(folder / f"{name}.npz", sample.track)
    return Clip(
        id=name, subject=sample.subject, emotion=sample.emotion or "", intensity=3, sentence=sentence, transcript=None,
        video=folder / f"{name}.mkv", audio=folder / f"{name}.wav", fps=sample.fps, n_frames=len(sample.frames),
        sha256=hash_text(name), extras={"track": folder / f"{name}.npz"},
    )  # fmt: skip


def no_weight(name: str) -> Path:
    """A weights folder with nothing in it."""
    raise Unavailable(f"{name} not found. Fetch it: emobench weights fetch {name}")


class Table:
    """Stands for a landmark judge: knows each clip's landmarks by its frames."""

    def __init__(self) -> None:
        self.known: dict[bytes, np.ndarray] = {}

    def key(self) -> str:
        return "table"

    def extract(self, sample: Sample) -> dict[str, np.ndarray]:
        return {"landmarks": self.known[sample.frames.tobytes()]}

    def landmarks(self) -> Table:
        return self


def predicted(reference: Sample, table: Table, landmarks: np.ndarray) -> Sample:
    """A prediction whose frames differ and in which the table sees these landmarks."""
    frames = reference.frames.copy()
    frames[:, 0, 0] = len(table.known)
    table.known[frames.tobytes()] = landmarks.astype(np.float32)
    return as_prediction(reference, frames=frames)


def message(field: int, payload: bytes) -> bytes:
    """One length-delimited protobuf field."""
    size, length = len(payload), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + payload


def mean_colour_network(weights: np.ndarray, size: int = 224) -> bytes:
    """ONNX bytes: (1, 3, H, W) → mean colour → times weights (3, classes)."""

    def node(kind: str, inputs: list[str], output: str) -> bytes:
        named = b"".join(message(1, name.encode()) for name in inputs)
        return message(1, named + message(2, output.encode()) + message(4, kind.encode()))

    def value(field: int, name: str, shape: tuple[int, ...]) -> bytes:
        dims = b"".join(message(1, bytes([1 << 3]) + bytes([n & 127 | 128, n >> 7])) for n in shape)
        tensor = bytes([1 << 3, 1]) + message(2, dims)
        return message(field, message(1, name.encode()) + message(2, message(1, tensor)))

    table = bytes([1 << 3, 3, 1 << 3, weights.shape[1], 2 << 3, 1])
    table += message(8, b"w") + message(9, weights.astype("<f4").tobytes())
    nodes = node("GlobalAveragePool", ["x"], "p") + node("Flatten", ["p"], "f") + node("MatMul", ["f", "w"], "y")
    ends = value(11, "x", (1, 3, size, size)) + value(12, "y", (1, weights.shape[1]))
    graph = nodes + message(2, b"g") + message(5, table) + ends
    return bytes([1 << 3, 8]) + message(7, graph) + message(8, bytes([2 << 3, 13]))


class Cartoon:
    """The functions above as one fixture: test modules cannot import a conftest."""

    make_sample = staticmethod(make_sample)
    as_prediction = staticmethod(as_prediction)
    predicted = staticmethod(predicted)
    mean_colour_network = staticmethod(mean_colour_network)
    write_clip = staticmethod(write_clip)
    no_weight = staticmethod(no_weight)
    emotions = tuple(LOOKS)


@pytest.fixture(scope="session")
def cartoon() -> Cartoon:
    return Cartoon()


@pytest.fixture(scope="session")
def reference() -> Sample:
    return make_sample()


@pytest.fixture
def features(tmp_path: Path) -> CachedFeatures:
    return CachedFeatures(ArrayCache(tmp_path / "features"))


@pytest.fixture
def context() -> MetricContext:
    return MetricContext(judges=None, locate_weight=no_weight)


@pytest.fixture
def table(reference: Sample) -> Table:
    made = Table()
    made.known[reference.frames.tobytes()] = reference.track.landmarks
    return made


@pytest.fixture
def judged(context: MetricContext, table: Table) -> MetricContext:
    return replace(context, judges=table)
