"""The main job end to end on puppet-tiny: every stage, its files, its contracts, its resume.

One run is shared by the tests of this file; the references and all metrics are in it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
QUICK = ["--set", "radiance.steps=60", "--set", "training.steps=60", "--set", "refinement.steps=30"]
ROWS = {"emohead", "ground_truth", "static", "mean_expression", "emotion_mean", "nearest_audio", "true_alpha"}
RESULT_KEYS = {
    "value", "ci_low", "ci_high", "n_scored", "n_total", "unit", "higher_is_better", "signature", "reason",
}  # fmt: skip


def environment(root: Path) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if k != "EMOBENCH_WEIGHTS"}
    return env | {"EMOBENCH_CACHE": str(root / "cache"), "EMOBENCH_OFFLINE": "1", "HOME": str(root / "planted-home")}


def emobench(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emobench", *arguments]
    return subprocess.run(command, cwd=root, env=environment(root), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("main-job")
    (root / "planted-home").mkdir()
    done = emobench(root, "run", "--method", "emohead", "--dataset", "puppet-tiny", *QUICK, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    return root, json.loads(done.stdout)


def runs_by_method(data: dict[str, Any]) -> dict[str, Any]:
    return {run["method"]: run for run in data["runs"]}


def test_every_row_stands_in_the_output_and_is_complete(finished: tuple[Path, dict[str, Any]]) -> None:
    runs = runs_by_method(finished[1])
    assert set(runs) >= ROWS
    assert {run["status"] for run in runs.values()} == {"complete"}


def test_results_keep_the_contract(finished: tuple[Path, dict[str, Any]]) -> None:
    root, data = finished
    for run in data["runs"]:
        stored = json.loads((root / run["dir"] / "results.json").read_text())["metrics"]
        assert stored == run["metrics"]
        for name, result in stored.items():
            assert set(result) == RESULT_KEYS, name
            assert result["n_scored"] <= result["n_total"]
            assert (result["value"] is not None) or result["reason"], name
            if result["value"] is not None:
                assert result["signature"], name


def test_ground_truth_is_perfect_and_static_is_not(finished: tuple[Path, dict[str, Any]]) -> None:
    runs = runs_by_method(finished[1])
    truth, static = runs["ground_truth"]["metrics"], runs["static"]["metrics"]
    assert truth["psnr"]["value"] is None
    assert truth["psnr"]["reason"] == "infinite"
    assert truth["psnr"]["n_scored"] == truth["psnr"]["n_total"]
    assert truth["ssim"]["value"] == pytest.approx(1.0)
    assert truth["lmd.mouth"]["value"] == pytest.approx(0.0, abs=1e-4)  # same frames, same features
    assert static["ssim"]["value"] < 1.0
    assert static["lmd.mouth"]["value"] > truth["lmd.mouth"]["value"]


def test_exact_parameters_render_closer_than_their_mean(finished: tuple[Path, dict[str, Any]]) -> None:
    runs = runs_by_method(finished[1])
    assert runs["true_alpha"]["metrics"]["alpha.mouth"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert (
        runs["true_alpha"]["metrics"]["psnr.mouth"]["value"] > runs["mean_expression"]["metrics"]["psnr.mouth"]["value"]
    )


def test_missing_weights_are_named_with_the_command_that_fetches_them(finished: tuple[Path, dict[str, Any]]) -> None:
    metrics = runs_by_method(finished[1])["emohead"]["metrics"]
    for name in ("lpips.alex", "fid", "sync.lse_c", "emotion.hsemotion", "csim"):
        assert metrics[name]["value"] is None
        assert "emobench weights fetch" in metrics[name]["reason"], name


def test_no_private_fact_stands_in_any_shared_file(finished: tuple[Path, dict[str, Any]]) -> None:
    root, _ = finished
    planted = [str(root), "planted-home", os.uname().nodename]
    checked = 0
    for path in root.glob("runs/**/*"):
        if path.suffix in (".json", ".jsonl", ".csv", ".tex"):
            text = path.read_text(encoding="utf-8")
            assert not [word for word in planted if word in text], path
            checked += 1
    assert checked > 20


def test_predictions_are_lossless_with_sound_and_a_preview(finished: tuple[Path, dict[str, Any]]) -> None:
    from emobench.media import probe

    root, data = finished
    run = root / runs_by_method(data)["emohead"]["dir"]
    for row in json.loads((run / "plan.json").read_text()):
        for suffix in (".mkv", ".mp4"):
            media = probe(run / "predictions" / f"{row['clip']}{suffix}")
            assert media.n_frames == row["n_frames"]
            assert media.has_audio


def test_second_call_does_nothing_again(finished: tuple[Path, dict[str, Any]]) -> None:
    root, data = finished
    kept = [root / run["dir"] / "predictions" for run in data["runs"]]
    before = {path: path.stat().st_mtime_ns for folder in kept for path in folder.iterdir()}
    done = emobench(root, "run", "--method", "emohead", "--dataset", "puppet-tiny", *QUICK, "--json", "--no-report")
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == data
    assert {path: path.stat().st_mtime_ns for folder in kept for path in folder.iterdir()} == before


def test_deleted_prediction_is_the_only_thing_made_again(finished: tuple[Path, dict[str, Any]]) -> None:
    root, data = finished
    folder = root / runs_by_method(data)["mean_expression"]["dir"] / "predictions"
    card = sorted(folder.glob("*.json"))[0]
    content = {path.name: path.read_bytes() for path in folder.glob("*.mkv")}
    card.unlink()
    done = emobench(root, "run", "--method", "mean_expression", "--dataset", "puppet-tiny", *QUICK[:2], "--no-report")
    assert done.returncode == 0, done.stderr[-2000:]
    assert card.exists()
    assert {path.name: path.read_bytes() for path in folder.glob("*.mkv")} == content


def test_scoring_one_metric_again_keeps_the_others(finished: tuple[Path, dict[str, Any]]) -> None:
    root, data = finished
    run = root / runs_by_method(data)["static"]["dir"]
    before = {name: (run / name).read_text() for name in ("results.json", "scores.jsonl")}
    done = emobench(
        root, "run", "-m", "static", "-d", "puppet-tiny", "--no-references", "--metrics", "ssim", "--no-report"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((run / "results.json").read_text())["metrics"] == json.loads(before["results.json"])["metrics"]
    assert sorted((run / "scores.jsonl").read_text().splitlines()) == sorted(before["scores.jsonl"].splitlines())


def test_killed_run_resumes(finished: tuple[Path, dict[str, Any]]) -> None:
    root, _ = finished
    command = [sys.executable, "-m", "emobench", "run", "-m", "emohead", "-d", "puppet-tiny", *QUICK, "--seed", "7"]
    command += ["--no-references", "--metrics", "psnr", "--no-report", "--json"]
    with subprocess.Popen(command, cwd=root, env=environment(root), stderr=subprocess.PIPE) as process:
        target = time.monotonic() + 120
        while time.monotonic() < target and not list(root.glob("runs/puppet-tiny/emohead/*/predictions/*.json")):
            time.sleep(0.05)
        started = [p for p in root.glob("runs/puppet-tiny/emohead/*") if '"seed": 7' in (p / "run.json").read_text()]
        process.send_signal(signal.SIGKILL)
    left = [path for folder in started for path in folder.rglob(".*-*") if path.is_file()]
    done = emobench(root, *command[3:])
    assert done.returncode == 0, done.stderr[-2000:]
    (run,) = json.loads(done.stdout)["runs"]
    assert run["status"] == "complete"
    assert run["metrics"]["psnr"]["n_scored"] == run["metrics"]["psnr"]["n_total"]
    assert len(left) <= 2  # at most the file being written when the signal came, under a temporary name


def test_report_compare_and_synth_work_from_disk(finished: tuple[Path, dict[str, Any]]) -> None:
    root, data = finished
    runs = runs_by_method(data)
    done = emobench(root, "report", "runs", "-o", "again")
    assert done.returncode == 0, done.stderr[-2000:]
    assert {p.suffix for p in (root / "again").iterdir()} >= {".html", ".csv", ".tex"}
    done = emobench(root, "compare", runs["mean_expression"]["dir"], runs["true_alpha"]["dir"], "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    compared = json.loads(done.stdout)["metrics"]
    assert set(compared["psnr.mouth"]) >= {"a", "b", "delta", "ci_low", "ci_high", "p", "verdict"}
    assert compared["psnr.mouth"]["delta"] > 0
    wav = next((root / "cache").rglob("*.wav"))
    arguments = ["--checkpoint", runs["emohead"]["dir"], "--audio", str(wav), "--emotion", "happy", "-o", "out.mp4"]
    done = emobench(root, "synth", *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "real-time factor" in done.stdout
    assert (root / "out.mp4").stat().st_size > 1000
    arguments[5] = "hapy"
    done = emobench(root, "synth", *arguments)
    assert done.returncode == 2
    assert "hapy" in done.stderr
    assert "happy" in done.stderr


def test_a_run_is_inspected_and_drawn_from_disk(finished: tuple[Path, dict[str, Any]]) -> None:
    root, data = finished
    run = runs_by_method(data)["emohead"]["dir"]
    done = emobench(root, "inspect", run, "--hyperplanes", "--json", "-o", "planes.svg")
    assert done.returncode == 0, done.stderr[-2000:]
    emotions = json.loads(done.stdout)["emotions"]
    assert set(emotions) == {"angry", "happy", "neutral"}
    assert all(facts["frames"] > 0 and facts["tau"]["clips"] == 1 for facts in emotions.values())
    for name, more in (("sweep", ["--film", "sweep.mp4"]), ("refinement", []), ("views", [])):
        done = emobench(root, "figures", name, run, "-o", f"{name}.png", *more)
        assert done.returncode == 0, done.stderr[-2000:]
    assert all((root / f"{name}").stat().st_size > 5000 for name in ("planes.svg", "sweep.png", "sweep.mp4"))
    wav = next((root / "cache").rglob("*.wav"))
    arguments = ["--checkpoint", run, "--audio", str(wav), "--emotion", "happy", "--pose-from", "clip", "-o", "2.mp4"]
    done = emobench(root, "synth", *arguments, "--intensity", "0.8", "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["real_time_factor"] > 0


def test_an_ablation_trains_nothing_twice(finished: tuple[Path, dict[str, Any]]) -> None:
    root, data = finished
    command = ["ablate", "-m", "emohead", "-d", "puppet-tiny", *QUICK, "--rows", "no-refinement", "--metrics", "psnr"]
    first = emobench(root, *command, "--json")
    assert first.returncode == 0, first.stderr[-2000:]
    for words in ("checkpoint found: not training again", "stage 1 from the cache", "from the cache ("):
        assert words in first.stderr
    table = json.loads(first.stdout)
    assert set(table["rows"]) == {"full", "no-refinement"}
    full = runs_by_method(data)["emohead"]["metrics"]["psnr"]["value"]
    assert table["rows"]["full"]["metrics"]["psnr"]["value"] == pytest.approx(full)
    folder = root / "runs" / "puppet-tiny" / "ablation-emohead"
    assert {path.suffix for path in folder.glob("ablation.*")} == {".csv", ".md", ".tex", ".html", ".json"}
    second = emobench(root, *command, "--json")
    assert second.stdout == first.stdout
    assert second.stderr.count("checkpoint found: not training again") == 2


KNOCK_OUT = """
import sys
from pathlib import Path
import numpy as np
from emobench import environment, registry
from emobench.config import resolve
from emobench.progress import make_progress
from emobench.rendering import make_driving
from emobench.store import RunStore, load_run
from emobench.subjects import load_subjects
from emobench.types import Context

run = Path(sys.argv[1])
record = load_run(run)
context = Context(seed=0, device="cpu", threads=1, cache_dir=environment.cache_dir(), progress=make_progress(True))
spec = registry.find("dataset", "puppet-tiny")
config = resolve(registry.load_object(spec.config), spec.presets.get("", {}), sets={}, owner="puppet-tiny")
dataset = registry.load_object(spec.factory)(config, context)
clip = next(c for c in dataset.split("test") if c.emotion == "happy")
spec = registry.find("method", "emohead")
method = registry.load_object(spec.factory)(
    resolve(registry.load_object(spec.config), record.run.config, sets={}, owner="emohead"), context)
method.load(RunStore(run).checkpoint)
driving = make_driving(clip, load_subjects(run)[clip.subject].reference)

def frames(alpha, pose=driving.pose):
    return np.stack([r.frame for r in method.render_alpha(clip.subject, alpha, pose, driving.camera)]).astype(int)

whole = np.stack([r.frame for r in method.render(driving)]).astype(int)
said = method.express(driving)
still = np.repeat(said.refined.mean(0, keepdims=True), len(said.refined), 0)
same = np.abs(frames(said.refined) - whole).max()
print("same", same)
print("without refinement", (np.abs(frames(said.spoken) - whole).max(-1) > 0).sum())
print("without speech", (np.abs(frames(still) - whole).max(-1) > 2).sum())
print("without field", (np.abs(whole - driving.reference).max(-1) > 2).sum())
"""


def test_removing_any_module_changes_the_frames(finished: tuple[Path, dict[str, Any]]) -> None:
    root, data = finished
    run = runs_by_method(data)["emohead"]["dir"]
    done = subprocess.run(
        [sys.executable, "-c", KNOCK_OUT, run],
        cwd=root,
        env=environment(root),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    counts = {key: int(value) for key, _, value in (line.rpartition(" ") for line in done.stdout.splitlines())}
    assert counts.pop("same") == 0
    assert min(counts.values()) > 0, counts


def test_another_split_is_scored_with_the_training_that_is_there(finished: tuple[Path, dict[str, Any]]) -> None:
    root, _ = finished
    arguments = ["run", "--method", "mean_expression", "--dataset", "puppet-tiny", "--no-references", "--no-report"]
    pairs = ["--split", "mismatch", "--set", "dataset.mismatch_pairs=[angry:happy]", "--metrics", "psnr", "--json"]
    done = emobench(root, *arguments, *pairs, "--set", "radiance.steps=60")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "trained already" in done.stderr
    run = json.loads(done.stdout)["runs"][0]
    assert run["dataset"] == "puppet-tiny-mismatch"
    plan = json.loads((root / run["dir"] / "plan.json").read_text())
    assert [row["clip"] for row in plan] == ["ben_happy_3_s11_voice-angry-3"]
    done = emobench(root, *arguments, *pairs, "--set", "radiance.steps=61")
    assert "trained already" not in done.stderr


def test_speed_is_measured_by_size_and_kept_with_the_run(finished: tuple[Path, dict[str, Any]]) -> None:
    root, data = finished
    arguments = ["--dataset", "puppet-tiny", "--size", "32,96", "--frames", "4", "--repeats", "2"]
    done = emobench(root, "bench", "fps", "--method", "emohead", *arguments, "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    small, large = report["rows"]
    assert small["milliseconds"]["field"] < large["milliseconds"]["field"]  # nine times the pixels
    assert report["backend"] == "numba"
    assert report["torso"] == "deformed"
    run = (root / runs_by_method(data)["emohead"]["dir"]).parent / report["run"]  # any seed's: they are as fast
    assert [json.loads(path.read_text()) for path in (run / "speed").iterdir()] == [report]
    done = emobench(root, "bench", "fps", "--method", "static", *arguments)
    assert done.returncode == 2
    assert "no frame of its own" in done.stderr


def test_existing_videos_are_scored_without_training(finished: tuple[Path, dict[str, Any]]) -> None:
    root, data = finished
    runs = runs_by_method(data)
    pred, ref = (f"{runs[name]['dir']}/predictions" for name in ("mean_expression", "ground_truth"))
    for folder in (pred, ref):  # the .mkv beside each preview is the same clip
        target = root / "only-mkv" / Path(folder).parent.parent.name
        target.mkdir(parents=True, exist_ok=True)
        for path in (root / folder).glob("*.mkv"):
            (target / path.name).write_bytes(path.read_bytes())
    first = sorted((root / "only-mkv" / "mean_expression").iterdir())[0]
    kept = first.read_bytes()
    done = emobench(
        root, "score", "--pred", "only-mkv/mean_expression", "--ref", "only-mkv/ground_truth", "--json", "--no-report"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    scored = json.loads(done.stdout)["runs"][0]["metrics"]["psnr"]
    assert scored["value"] == pytest.approx(runs["mean_expression"]["metrics"]["psnr"]["value"], rel=1e-6)
    first.unlink()
    done = emobench(
        root, "score", "--pred", "only-mkv/mean_expression", "--ref", "only-mkv/ground_truth", "--json", "--no-report"
    )
    partial = json.loads(done.stdout)["runs"][0]["metrics"]["psnr"]
    assert (partial["n_scored"], partial["n_total"]) == (scored["n_scored"] - 1, scored["n_total"])
    first.write_bytes(kept)
