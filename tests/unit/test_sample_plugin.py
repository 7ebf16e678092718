"""The plugin that CONTRIBUTING shows installs, lists and runs; its broken sibling is a row, not a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parent.parent / "sample_plugin"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    root = tmp_path_factory.mktemp("plugin")
    source = root / "source"
    source.mkdir()
    for path in PLUGIN.iterdir():
        if path.is_file():
            (source / path.name).write_bytes(path.read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", str(root / "site"), str(source)], check=True)
    env = os.environ | {"PYTHONPATH": str(root / "site"), "EMOBENCH_CACHE": str(root / "cache")}
    return root, env


def call(installed: tuple[Path, dict[str, str]], *arguments: str) -> subprocess.CompletedProcess[str]:
    root, env = installed
    command = [sys.executable, "-m", "emobench", *arguments]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)


def test_plugin_is_listed_and_its_broken_sibling_has_a_reason(installed: tuple[Path, dict[str, str]]) -> None:
    rows = {row["name"]: row for row in json.loads(call(installed, "list", "methods", "--json").stdout)}
    assert rows["sample_pulse"]["available"]
    assert rows["sample_pulse"]["presets"] == ["sample_pulse/strong"]
    assert "emobench_sample_that_does_not_exist" in rows["sample_broken"]["reason"]
    done = call(installed, "run", "--method", "sample_broken", "--dataset", "puppet-tiny")
    assert done.returncode == 2
    assert "broken" in done.stderr
    assert "Traceback" not in done.stderr


def test_plugin_method_and_metric_run(installed: tuple[Path, dict[str, str]]) -> None:
    done = call(
        installed, "run", "-m", "sample_pulse,sample_pulse/strong", "-d", "puppet-tiny", "--no-references",
        "--metrics", "sample.brightness,psnr", "--json", "--no-report",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    weak, strong = json.loads(done.stdout)["runs"]
    assert weak["metrics"]["sample.brightness"]["value"] < strong["metrics"]["sample.brightness"]["value"]
    assert weak["metrics"]["psnr"]["value"] > strong["metrics"]["psnr"]["value"]


def test_a_crashing_method_fails_alone_and_says_where(installed: tuple[Path, dict[str, str]]) -> None:
    root, _ = installed
    done = call(
        installed, "run", "-m", "sample_crash,sample_pulse", "-d", "puppet-tiny", "--no-references",
        "--metrics", "psnr", "--json", "--no-report",
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "ZeroDivisionError: a fault in a plugin" in done.stderr
    crashed, fine = json.loads(done.stdout)["runs"]
    assert (crashed["status"], fine["status"]) == ("failed", "complete")
    assert "ZeroDivisionError" in (root / crashed["dir"] / "traceback.txt").read_text()
    assert not list((root / crashed["dir"]).glob("checkpoint*"))
