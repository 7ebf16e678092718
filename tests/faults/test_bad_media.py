"""Bad media through the command line: a reason beside the score, or one line and exit code 2; never a traceback.

All bad files of a kind of call go through it together, as in a user's folder; each test then looks at its own file.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from emobench.media import write_lossless, write_preview

from .bad_files import (
    FPS,
    N_FRAMES,
    UNREADABLE,
    Maker,
    emobench,
    good,
    mute,
    nothing_half_written,
    refused,
    rows_of,
    score,
    text,
    texture,
    tone,
    variable_rate,
)

UNEQUAL: dict[str, tuple[Maker, str]] = {
    "shorter": (lambda p, f, a: good(p, f[:-4], a), "prediction has 16 frames, reference 20"),
    "longer": (lambda p, f, a: good(p, np.concatenate([f, f[:3]]), a), "prediction has 23 frames, reference 20"),
    "single": (lambda p, f, a: good(p, f[:1], a), "prediction has 1 frames, reference 20"),
    "larger": (lambda p, f, a: good(p, texture(height=64, width=96), a), "prediction is 96×64 pixels, reference 64×48"),
    "faster": (lambda p, f, a: write_preview(p, f, 30, a), "30 frames a second, reference at 25"),
    "variable": (variable_rate, "17.27 frames a second, reference at 25"),
}
HARMLESS: dict[str, Maker] = {
    "good": good,
    "mute": mute,
    "short_sound": lambda p, f, a: good(p, f, a[: len(a) // 3]),
    "long_sound": lambda p, f, a: good(p, f, np.tile(a, 2)),
}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    root = tmp_path_factory.mktemp("score")
    pred, ref = root / "pred", root / "ref"
    pred.mkdir(), ref.mkdir()
    frames, audio = texture(), tone(N_FRAMES / FPS)
    makers = {name: maker for name, (maker, _) in (UNREADABLE | UNEQUAL).items()} | HARMLESS
    for name, maker in makers.items():
        maker(pred / f"{name}.mp4", frames, audio)
        good(ref / f"{name}.mp4", frames, audio)
    good(pred / "bad_reference.mp4", frames, audio)
    text(ref / "bad_reference.mp4", frames, audio)
    odd = texture(height=47, width=63)
    for folder in (pred, ref):
        write_lossless(folder / "odd.mkv", odd, FPS, audio)
    good(ref / "absent.mp4", frames, audio)
    (pred / "absent.mp4").mkdir()
    return root, score(root, pred, ref, "psnr,ssim")


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_prediction_is_a_row_with_its_reason(
    scored: tuple[Path, subprocess.CompletedProcess[str]], name: str
) -> None:
    for metric in ("psnr", "ssim"):
        row = rows_of(*scored, code=3)[name, metric]
        assert row["value"] is None
        assert f"prediction {name}.mp4" in row["reason"]
        assert UNREADABLE[name][1] in row["reason"]


@pytest.mark.parametrize("name", UNEQUAL)
def test_what_does_not_match_its_reference_is_never_cut_to_fit(
    scored: tuple[Path, subprocess.CompletedProcess[str]], name: str
) -> None:
    row = rows_of(*scored, code=3)[name, "psnr"]
    assert row["value"] is None
    assert UNEQUAL[name][1] in row["reason"]


@pytest.mark.parametrize("name", [*HARMLESS, "odd"])
def test_sound_and_odd_sizes_do_not_change_what_pictures_score(
    scored: tuple[Path, subprocess.CompletedProcess[str]], name: str
) -> None:
    rows = rows_of(*scored, code=3)
    assert rows[name, "psnr"]["reason"] == "infinite"
    assert rows[name, "ssim"]["value"] == pytest.approx(1.0)


def test_a_bad_reference_and_a_folder_named_like_a_video_are_rows_too(
    scored: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    rows = rows_of(*scored, code=3)
    assert "reference bad_reference.mp4" in rows["bad_reference", "psnr"]["reason"]
    assert "no prediction named absent" in rows["absent", "psnr"]["reason"]


def test_coverage_counts_every_reference_and_nothing_private_or_half_written_is_left(
    scored: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    root, done = scored
    (run,) = json.loads(done.stdout)["runs"]
    result = run["metrics"]["psnr"]
    assert (result["n_scored"], result["n_total"]) == (len(HARMLESS) + 1, len(list((root / "ref").iterdir())))
    nothing_half_written(root)
    for path in (root / "runs").rglob("*.json*"):
        assert str(root) not in path.read_text(encoding="utf-8"), path


def test_clips_without_scores_end_with_exit_code_3_and_a_line_that_says_which_and_why(
    scored: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    done = scored[1]
    assert done.returncode == 3
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("incomplete: ")]
    lacking = len(UNREADABLE) + len(UNEQUAL) + 2
    assert f"{lacking} of {lacking + len(HARMLESS) + 1} clips lack scores (absent, bad_reference, damaged, …)" in line
    assert "--allow-missing" in done.stderr.splitlines()[-1]


def test_a_prediction_without_ground_truth_is_a_row_and_scored_by_what_needs_none(tmp_path: Path) -> None:
    frames = texture(height=160, width=160)  # cpbd looks at blocks of 64 px
    for name in ("pred", "ref"):
        (tmp_path / name).mkdir()
        good(tmp_path / name / "a.mp4", frames, tone(0.8))
    good(tmp_path / "pred/b.mp4", frames, tone(0.8))
    done = score(tmp_path, tmp_path / "pred", tmp_path / "ref", "psnr,cpbd")
    rows = rows_of(tmp_path, done, code=3)
    assert rows["b", "psnr"]["reason"] == "needs a reference clip, and there is none of this name"
    assert rows["b", "cpbd"]["value"] == rows["a", "cpbd"]["value"] is not None
    results = json.loads(done.stdout)["runs"][0]["metrics"]
    assert [(results[m]["n_scored"], results[m]["n_total"]) for m in ("psnr", "cpbd")] == [(1, 2), (2, 2)]
    assert score(tmp_path, tmp_path / "pred", tmp_path / "ref", "cpbd").returncode == 0  # nothing is missing here


def test_metrics_that_do_not_apply_or_lack_their_weights_are_no_fault_of_a_clip(tmp_path: Path) -> None:
    for name in ("pred", "ref"):
        (tmp_path / name).mkdir()
        good(tmp_path / name / "a.mp4", texture(), tone(0.8))
    done = score(tmp_path, tmp_path / "pred", tmp_path / "ref", "psnr,ms_ssim,fps.render,lpips.alex")
    rows = rows_of(tmp_path, done)
    gaps = {metric: rows["a", metric]["detail"].get("gap") for metric in ("ms_ssim", "fps.render", "lpips.alex")}
    assert gaps == {"ms_ssim": "inapplicable", "fps.render": "inapplicable", "lpips.alex": "unavailable"}


def test_scoring_again_changes_no_file_but_the_provenance(tmp_path: Path) -> None:
    for name in ("pred", "ref"):
        (tmp_path / name).mkdir()
        good(tmp_path / name / "a.mp4", texture(), tone(0.8))
        good(tmp_path / name / "b.mp4", texture(), tone(0.8))
    text(tmp_path / "ref/b.mp4", texture(), tone(0.8))
    assert score(tmp_path, tmp_path / "pred", tmp_path / "ref").returncode == 3
    files = [p for p in (tmp_path / "runs").rglob("*") if p.is_file() and p.name != "provenance.json"]
    before = {path: path.read_bytes() for path in files if path.name != "run.json"}
    assert score(tmp_path, tmp_path / "pred", tmp_path / "ref", "psnr", "--allow-missing").returncode == 0
    assert {path: path.read_bytes() for path in before} == before
    plan = json.loads(next(path for path in before if path.name == "plan.json").read_text())
    assert [row["n_frames"] for row in plan] == [N_FRAMES, N_FRAMES]


def test_nothing_but_bad_predictions_still_gives_rows(tmp_path: Path) -> None:
    for name in ("pred", "ref"):
        (tmp_path / name).mkdir()
    good(tmp_path / "ref/a.mp4", texture(), tone(0.8))
    text(tmp_path / "pred/a.mp4", texture(), tone(0.8))
    done = emobench(tmp_path, "score", "--pred", "pred", "--ref", "ref", "--metrics", "psnr", "--json")
    assert rows_of(tmp_path, done, code=3)["a", "psnr"]["value"] is None
    assert json.loads(done.stdout)["runs"][0]["metrics"]["psnr"]["n_scored"] == 0
    assert "no media file" in json.loads(done.stdout)["runs"][0]["metrics"]["psnr"]["reason"]
    assert list((tmp_path / "runs").rglob("report.html"))


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    for name in ("pred", "ref"):
        (tmp_path / name).mkdir()
        good(tmp_path / name / "a.mp4", texture(), tone(0.8))
    (tmp_path / "ref/b.mp4").symlink_to("nowhere.mp4")
    refused(score(tmp_path, tmp_path / "pred", tmp_path / "ref"), "b.mp4 cannot be read", "leads nowhere")
    assert not (tmp_path / "runs").exists()
