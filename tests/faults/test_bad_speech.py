"""Strange sound, tags and checkpoints through `emobench synth`: a video and a remark, or one line and exit code 2."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from emobench.media import probe
from emobench.types import Floats

pytestmark = pytest.mark.slow
QUICK = ["radiance.steps=5", "training.steps=20", "refinement.steps=5"]
SECONDS = 0.4


def emobench(root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"EMOBENCH_CACHE": str(root / "cache"), "EMOBENCH_OFFLINE": "1"}
    command = [sys.executable, "-m", "emobench", *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=root, timeout=600)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a barely trained run in it."""
    folder = tmp_path_factory.mktemp("bad-speech")
    sets = [part for setting in QUICK for part in ("--set", setting)]
    done = emobench(folder, "run", "-m", "emohead", "-d", "puppet-tiny", "--metrics", "psnr", "--no-references", *sets)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def run(root: Path) -> Path:
    return next(root.glob("runs/*/emohead/*"))


def speech(path: Path, samples: Floats, rate: int = 16000) -> Path:
    """16-bit WAV of (N,) or (N, channels) samples."""
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return path


def voice(rate: int, seconds: float = SECONDS) -> Floats:
    """A hum with overtones below half of any rate used here."""
    time = np.arange(round(rate * seconds)) / rate
    return (0.1 * sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 20))).astype(np.float32)


def synth(root: Path, run: Path, audio: Path, *more: object) -> tuple[subprocess.CompletedProcess[str], Path]:
    output = root / f"{audio.stem}.mp4"
    output.unlink(missing_ok=True)
    return emobench(root, "synth", "--checkpoint", run, "--audio", audio, "-o", output, *more), output


def refused(done: subprocess.CompletedProcess[str], output: Path, *words: str) -> None:
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    for word in words:
        assert word in last, last
    assert not output.exists()
    assert not [path for path in output.parent.iterdir() if path.name.startswith(f".{output.stem}")]


@pytest.mark.parametrize(
    ("name", "samples", "rate", "remark"),
    [
        ("silence", np.zeros(6400, np.float32), 16000, "the sound is silent"),
        ("telephone", voice(8000), 8000, "nothing sounds above 4 kHz"),
        ("stereo96k", np.stack([voice(96000), 0 * voice(96000)], 1), 96000, ""),
    ],
)
def test_strange_sound_gives_a_video_of_its_length_and_says_what_is_odd(
    root: Path, run: Path, name: str, samples: Floats, rate: int, remark: str
) -> None:
    done, output = synth(root, run, speech(root / f"{name}.wav", samples, rate))
    assert done.returncode == 0, done.stderr
    found = probe(output)
    assert found.n_frames == int(SECONDS * found.fps)
    assert found.has_audio
    assert remark in done.stderr


def test_sound_too_short_for_a_frame_is_refused(root: Path, run: Path) -> None:
    refused(*synth(root, run, speech(root / "blip.wav", voice(16000, 0.01))), "blip.wav", "10 ms")


def test_a_file_that_holds_no_sound_is_refused(root: Path, run: Path) -> None:
    path = root / "letter.wav"
    path.write_text("Dear reader, this is no sound.")
    refused(*synth(root, run, path), "letter.wav")
    refused(*synth(root, run, root / "absent.wav"), "absent.wav")


def test_an_unknown_tag_is_refused_with_the_known_ones(root: Path, run: Path) -> None:
    audio = speech(root / "plain.wav", voice(16000))
    refused(*synth(root, run, audio, "--emotion", "hapy"), "'hapy'", "'happy'")


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    """A run that a test may damage."""
    return Path(shutil.copytree(run, tmp_path / "run"))


def test_a_checkpoint_of_a_later_version_is_refused(root: Path, copied: Path) -> None:
    path = copied / "checkpoint" / "emohead.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    audio = speech(root / "later.wav", voice(16000))
    refused(*synth(root, copied, audio), "emohead.json has schema 99", "Update emobench")


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("emohead.safetensors", ("emohead.safetensors", "corrupt")),
        ("portrait-*/*.safetensors", ("Cannot read the portrait", "portrait-ben")),
    ],
)
def test_a_corrupt_checkpoint_is_refused_and_its_part_named(
    root: Path, copied: Path, pattern: str, words: tuple[str, ...]
) -> None:
    path = sorted((copied / "checkpoint").glob(pattern))[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    audio = speech(root / "half.wav", voice(16000))
    refused(*synth(root, copied, audio), *words)


def test_a_run_without_checkpoint_is_refused(root: Path, copied: Path) -> None:
    shutil.rmtree(copied / "checkpoint")
    audio = speech(root / "none.wav", voice(16000))
    refused(*synth(root, copied, audio), "holds no checkpoint", "Run it again")
