"""Files with a fault each, and calls of the command line on folders of them. Tests nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from emobench.media import write_audio, write_preview
from emobench.types import Floats, Frames

N_FRAMES, FPS = 20, 25
UNEVEN_MS = [0, 40, 80, 120, 240, 280, 500, 540, 580, 700, *range(740, 1140, 40)]
MODEL = Path(os.environ.get("EMOBENCH_WEIGHTS", "/nonexistent")) / "face_landmarker.task"
needs_tracker = pytest.mark.skipif(not MODEL.is_file(), reason="EMOBENCH_WEIGHTS has no face_landmarker.task")


def emobench(cwd: Path, *arguments: object, weights: str = "") -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "EMOBENCH_WEIGHTS"}
    env |= {"EMOBENCH_CACHE": str(cwd / "cache"), "EMOBENCH_OFFLINE": "1", "EMOBENCH_THREADS": "1"}
    env |= {"EMOBENCH_WEIGHTS": weights} if weights else {}
    command = [sys.executable, "-m", "emobench", *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=cwd, timeout=300)


def score(cwd: Path, pred: Path, ref: Path, metrics: str = "psnr", *more: str, weights: str = "") -> Any:
    named = ("--pred", pred, "--ref", ref, "--metrics", metrics, "--no-report", "--json")
    return emobench(cwd, "score", *named, *more, weights=weights)


def run_static(cwd: Path, root: Path) -> subprocess.CompletedProcess[str]:
    arguments = ["run", "--method", "static", "--no-references", "--dataset", "folder", "--data-root", root]
    arguments += ["--metrics", "psnr", "--set", "dataset.size_px=64", "--no-report", "--json"]
    return emobench(cwd, *arguments, weights=str(MODEL.parent))


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    for word in ("emobench: ", *words):
        assert word in last, last


def rows_of(cwd: Path, done: subprocess.CompletedProcess[str], code: int = 0) -> dict[tuple[str, str], dict[str, Any]]:
    """scores.jsonl by clip and metric of a call that ended with `code`: 0, or 3 where clips lack scores."""
    assert done.returncode == code, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    lines = (cwd / run["dir"] / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    return {(row["clip"], row["metric"]): row for row in map(json.loads, lines)}


def nothing_half_written(cwd: Path) -> None:
    hidden = [path for path in cwd.rglob(".*") if path.name != ".lock"]
    assert not hidden
    for lock in cwd.rglob(".lock"):
        for name in ("run.json", "plan.json", "scores.jsonl", "results.json"):
            text_of = (lock.parent / name).read_text(encoding="utf-8")
            for document in text_of.splitlines() if name.endswith("l") else [text_of]:
                json.loads(document)


# ------------------------------------------------------------------ files with a fault


def tone(seconds: float) -> Floats:
    return np.asarray(0.2 * np.sin(np.arange(int(seconds * 16000)) * 0.08), np.float32)


def texture(n: int = N_FRAMES, height: int = 48, width: int = 64) -> Frames:
    still = np.random.default_rng(0).integers(0, 200, (height, width, 3), dtype=np.uint8)
    return np.stack([still + np.uint8(t) for t in range(n)])


def good(path: Path, frames: Frames, audio: Floats) -> None:
    write_preview(path, frames, FPS, audio)


def mute(path: Path, frames: Frames, audio: Floats) -> None:
    write_preview(path, frames, FPS)


def truncated(path: Path, frames: Frames, audio: Floats) -> None:
    good(path, frames, audio)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def damaged(path: Path, frames: Frames, audio: Floats) -> None:
    """The index is whole, the pictures are not."""
    good(path, frames, audio)
    content = bytearray(path.read_bytes())
    start = content.rindex(b"mdat") + 4
    content[start:] = np.random.default_rng(0).bytes(len(content) - start)
    path.write_bytes(bytes(content))


def only_sound(path: Path, frames: Frames, audio: Floats) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        _encode_sound(container, container.add_stream("aac", rate=16000, layout="mono"), audio)


def renamed_wav(path: Path, frames: Frames, audio: Floats) -> None:
    write_audio(path.with_suffix(".wav"), audio)
    path.with_suffix(".wav").rename(path)


def without_frames(path: Path, frames: Frames, audio: Floats) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        container.add_stream("libx264", rate=FPS)
        _encode_sound(container, container.add_stream("aac", rate=16000, layout="mono"), audio)


def variable_rate(path: Path, frames: Frames, audio: Floats) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FPS)
        sound = container.add_stream("aac", rate=16000, layout="mono")
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        for stamp, image in zip(UNEVEN_MS, frames, strict=True):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = stamp, Fraction(1, 1000)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        _encode_sound(container, sound, np.tile(audio, 2)[: int(1.14 * 16000)])


def _encode_sound(container: Any, stream: Any, audio: Floats) -> None:
    block = av.AudioFrame.from_ndarray((audio * 32767).astype(np.int16)[None], format="s16", layout="mono")
    block.sample_rate, block.pts, block.time_base = 16000, 0, Fraction(1, 16000)
    container.mux(stream.encode(block))
    container.mux(stream.encode(None))


def text(path: Path, frames: Frames, audio: Floats) -> None:
    path.write_text("this is no video\n" * 20)


def empty(path: Path, frames: Frames, audio: Floats) -> None:
    path.write_bytes(b"")


Maker = Callable[[Path, Frames, Floats], None]
UNREADABLE: dict[str, tuple[Maker, str]] = {
    "truncated": (truncated, "is truncated: box 'mdat' ends"),
    "damaged": (damaged, "is damaged: decoding stopped"),
    "only_sound": (only_sound, "has no video stream (it holds: audio)"),
    "renamed_wav": (renamed_wav, "has no video stream (it holds: audio)"),
    "without_frames": (without_frames, "has no video stream"),
    "text": (text, "It is damaged or no media file"),
    "empty": (empty, "is empty (0 bytes)"),
}
