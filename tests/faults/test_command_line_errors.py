"""Every wrong use of the command line is one line on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def emobench(*arguments: object, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"EMOBENCH_CACHE": str(cache), "EMOBENCH_OFFLINE": "1"} | environment
    command = [sys.executable, "-m", "emobench", *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=cache, timeout=300)


def refused(done: subprocess.CompletedProcess[str], *words: str, code: int = 2) -> None:
    assert done.returncode == code, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    for word in words:
        assert word in last, last


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["run", "--method", "emohed", "--dataset", "puppet"],
            ["Unknown method 'emohed'", "'emohead'", "list methods"],
        ),
        (["run", "--method", "emohead", "--dataset", "pupet"], ["Unknown dataset 'pupet'", "'puppet'"]),
        (["run", "--method", "emohead/no-such", "--dataset", "puppet"], ["Unknown preset", "emohead/"]),
        (["run", "--method", "emohead", "--dataset", "puppet", "--metrics", "ssmi"], ["'ssmi'", "'ssim'"]),
        (["run", "--method", "emohead", "--dataset", "puppet", "--set", "radiance.stps=3"], ["radiance.steps"]),
        (["run", "--method", "emohead", "--dataset", "puppet", "--set", "nonsense"], ["KEY=VALUE"]),
        (["run", "--method", "emohead", "--dataset", "puppet", "--device", "tpu"], ["Unknown device 'tpu'"]),
        (
            ["run", "--method", "emohead", "--dataset", "puppet", "--backend", "numab"],
            ["backend 'numab'", "numba"],
        ),
        (["run", "--method", "emohead", "--dataset", "puppet", "--split", "train"], ["no split 'train'", "test"]),
        (["run", "--method", "emohead", "--dataset", "puppet", "--data-root", "x"], ["takes no --data-root"]),
        (["run", "--method", "emohead", "--dataset", "puppet", "--metrics", "fid"], ["weights fetch fid.inception"]),
        (["run", "--method", "emohead"], ["--dataset"]),
        (["run", "--method", "emohead", "--dataset", "folder"], ["--data-root"]),
        (["run", "--method", "emohead", "--dataset", "folder", "--data-root", "absent"], ["absent"]),
        (["run", "--method", "emohead", "--dataset", "mead", "--data-root", "absent"], ["MEAD"]),
        (["run", "--method", "emohead", "--dataset", "mead"], ["--data-root"]),
        (["check", "method", "static", "--set", "nonsense=1"], ["Unknown key 'nonsense'", "method static"]),
        (["check", "method", "emohead", "--set", "radiance.stps=3"], ["radiance.steps"]),
        (["list", "metric"], ["metrics"]),
        (["report", "absent"], ["does not exist"]),
        (["compare", "a", "b"], ["No run directory at a"]),
        (["score", "--pred", "absent", "--ref", "absent"], ["is not a folder"]),
        (["synth", "--checkpoint", "absent", "--audio", "x.wav", "-o", "y.mp4"], ["No run directory at absent"]),
        (["weights", "fetch", "no-such-weight"], ["no-such-weight"]),
        (["frobnicate"], ["frobnicate"]),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    refused(emobench(*arguments, cache=tmp_path), *words)
    assert not (tmp_path / "runs").exists()


def test_empty_folder_of_videos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(emobench("score", "--pred", "empty", "--ref", "empty", cache=tmp_path), "holds no video")
    refused(emobench("run", "-m", "emohead", "-d", "folder", "--data-root", "empty", cache=tmp_path), "empty")


def test_unwritable_run_directory_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = emobench("run", "-m", "static", "-d", "puppet-tiny", "--out", "file/runs", cache=tmp_path)
    refused(done, "file is a file, expected a folder", "--out")
    assert not (tmp_path / "datasets").exists()


def test_no_arguments_prints_help(tmp_path: Path) -> None:
    done = emobench(cache=tmp_path)
    assert "Usage: emobench" in done.stdout + done.stderr
