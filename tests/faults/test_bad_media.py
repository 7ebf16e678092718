"""Bad media through the command line: a reason beside the score, or one line and exit code 2; never a traceback.

All bad files of a kind of call go through it together, as in a user's folder; each test then looks at its own file.
"""

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

from emobench import registry
from emobench.media import read_audio, read_video, write_audio, write_lossless, write_preview
from emobench.progress import SilentProgress
from emobench.types import Context, Floats, Frames

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


def score(cwd: Path, pred: Path, ref: Path, metrics: str = "psnr", weights: str = "") -> Any:
    return emobench(
        cwd, "score", "--pred", pred, "--ref", ref, "--metrics", metrics, "--no-report", "--json", weights=weights
    )


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


def rows_of(cwd: Path, done: subprocess.CompletedProcess[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """scores.jsonl by clip and metric of a call that succeeded."""
    assert done.returncode == 0, done.stderr[-3000:]
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


# ------------------------------------------------------------------ emobench score


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
        row = rows_of(*scored)[name, metric]
        assert row["value"] is None
        assert f"prediction {name}.mp4" in row["reason"]
        assert UNREADABLE[name][1] in row["reason"]


@pytest.mark.parametrize("name", UNEQUAL)
def test_what_does_not_match_its_reference_is_never_cut_to_fit(
    scored: tuple[Path, subprocess.CompletedProcess[str]], name: str
) -> None:
    row = rows_of(*scored)[name, "psnr"]
    assert row["value"] is None
    assert UNEQUAL[name][1] in row["reason"]


@pytest.mark.parametrize("name", [*HARMLESS, "odd"])
def test_sound_and_odd_sizes_do_not_change_what_pictures_score(
    scored: tuple[Path, subprocess.CompletedProcess[str]], name: str
) -> None:
    rows = rows_of(*scored)
    assert rows[name, "psnr"]["reason"] == "infinite"
    assert rows[name, "ssim"]["value"] == pytest.approx(1.0)


def test_a_bad_reference_and_a_folder_named_like_a_video_are_rows_too(
    scored: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    rows = rows_of(*scored)
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


def test_scoring_again_changes_no_file_but_the_provenance(tmp_path: Path) -> None:
    for name in ("pred", "ref"):
        (tmp_path / name).mkdir()
        good(tmp_path / name / "a.mp4", texture(), tone(0.8))
        good(tmp_path / name / "b.mp4", texture(), tone(0.8))
    text(tmp_path / "ref/b.mp4", texture(), tone(0.8))
    assert score(tmp_path, tmp_path / "pred", tmp_path / "ref").returncode == 0
    files = [p for p in (tmp_path / "runs").rglob("*") if p.is_file() and p.name != "provenance.json"]
    before = {path: path.read_bytes() for path in files if path.name != "run.json"}
    assert score(tmp_path, tmp_path / "pred", tmp_path / "ref").returncode == 0
    assert {path: path.read_bytes() for path in before} == before
    plan = json.loads(next(path for path in before if path.name == "plan.json").read_text())
    assert [row["n_frames"] for row in plan] == [N_FRAMES, N_FRAMES]


def test_nothing_but_bad_predictions_still_gives_rows(tmp_path: Path) -> None:
    for name in ("pred", "ref"):
        (tmp_path / name).mkdir()
    good(tmp_path / "ref/a.mp4", texture(), tone(0.8))
    text(tmp_path / "pred/a.mp4", texture(), tone(0.8))
    done = emobench(tmp_path, "score", "--pred", "pred", "--ref", "ref", "--metrics", "psnr", "--json")
    assert rows_of(tmp_path, done)["a", "psnr"]["value"] is None
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


# ------------------------------------------------------------------ with faces: emobench run, and metrics that track


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> tuple[Frames, Floats]:
    """(N_FRAMES, 128, 128, 3) of a generated talking head and its sound."""
    spec = registry.find("dataset", "puppet-tiny")
    chosen = {"size_px": 128, "emotions": ("happy",), "train_sentences": ("s01",), "pixel_train": 1}
    config = registry.load_object(spec.config)(**chosen)
    cache = tmp_path_factory.mktemp("puppet")
    context = Context(seed=0, device="cpu", threads=1, cache_dir=cache, progress=SilentProgress())
    clip = registry.load_object(spec.factory)(config, context).split("train")[0]
    return read_video(clip.video).frames[:N_FRAMES], read_audio(clip.audio)[: N_FRAMES * 16000 // FPS]


def two_heads(frames: Frames) -> Frames:
    """One head as it is and a smaller one beside it."""
    small = np.pad(frames[:, ::2, ::2], ((0, 0), (0, frames.shape[1] // 2), (0, 0), (0, 0)))
    return np.concatenate([frames, small], axis=2)


def without_face(path: Path, frames: Frames, audio: Floats) -> None:
    good(path, texture(height=128, width=128), audio)


UNUSABLE: dict[str, tuple[Maker, str]] = UNREADABLE | {
    "mute": (mute, "it has no sound, and no audio file of its name lies beside it"),
    "no_face": (without_face, "no face in 20 of 20 frames"),
    "single": (lambda p, f, a: good(p, f[:1], a), "only 1 frames have sound"),
}
NOTED: dict[str, tuple[Maker, str]] = {
    "two": (lambda p, f, a: good(p, two_heads(f), a), "more than one face in 20 frames: the largest at the start"),
    "variable": (variable_rate, "variable frame rate (17.27 on average): resampled by its timestamps to 25 fps"),
    "short_sound": (lambda p, f, a: good(p, f, a[: len(a) // 2]), "picture is 0.40 s longer than the rest: cut to"),
    "odd": (lambda p, f, a: write_lossless(p.with_suffix(".mkv"), f[:, :127, :125], FPS, a), ""),
}


@pytest.fixture(scope="module")
def ran(
    head: tuple[Frames, Floats], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One folder: the subject `bad` has every unusable file, each other one a strange recording as its test clip."""
    root = tmp_path_factory.mktemp("run")
    for subject in ("bad", *NOTED):
        (root / f"in/{subject}").mkdir(parents=True)
        good(root / f"in/{subject}/a.mp4", *head)
    good(root / "in/bad/z.mp4", *head)
    for name, (maker, _) in UNUSABLE.items():
        maker(root / f"in/bad/{name}.mp4", *head)
    for subject, (maker, _) in NOTED.items():
        maker(root / f"in/{subject}/z.mp4", *head)
    return root, run_static(root, root / "in")


@pytest.mark.slow
@pytest.mark.data
@needs_tracker
class TestRun:
    @pytest.mark.parametrize("name", UNUSABLE)
    def test_an_unusable_recording_is_named_with_its_reason(
        self, ran: tuple[Path, subprocess.CompletedProcess[str]], name: str
    ) -> None:
        line = next(text for text in ran[1].stderr.splitlines() if f"cannot use bad/{name}.mp4" in text)
        assert UNUSABLE[name][1] in line

    @pytest.mark.parametrize("name", NOTED)
    def test_a_strange_recording_is_scored_and_what_was_done_to_it_is_said(
        self, ran: tuple[Path, subprocess.CompletedProcess[str]], name: str
    ) -> None:
        assert rows_of(*ran)[f"{name}-z", "psnr"]["value"] > 10
        assert NOTED[name][1] in ran[1].stderr

    def test_only_usable_recordings_are_planned_and_all_of_these_scored(
        self, ran: tuple[Path, subprocess.CompletedProcess[str]]
    ) -> None:
        root, done = ran
        (run,) = json.loads(done.stdout)["runs"]
        assert {clip for clip, _ in rows_of(*ran)} == {f"{name}-z" for name in ("bad", *NOTED)}
        assert run["metrics"]["psnr"]["n_scored"] == run["metrics"]["psnr"]["n_total"] == 1 + len(NOTED)
        facts = json.loads((root / run["dir"] / "run.json").read_text())["dataset_facts"]
        assert facts["unusable"].startswith(f"{len(UNUSABLE)} files")
        nothing_half_written(root)
        for path in (root / "runs").rglob("*.json*"):
            assert str(root) not in path.read_text(encoding="utf-8"), path

    def test_nothing_but_bad_recordings_is_refused(self, head: tuple[Frames, Floats], tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        for name in ("no_face", "text"):
            UNUSABLE[name][0](tmp_path / f"in/{name}.mp4", *head)
        refused(run_static(tmp_path, tmp_path / "in"), "None of the 2 recordings", "no_face.mp4", "text.mp4")
        assert not (tmp_path / "runs").exists()
        nothing_half_written(tmp_path)

    def test_a_link_that_leads_nowhere_is_refused(self, head: tuple[Frames, Floats], tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        good(tmp_path / "in/a.mp4", *head)
        (tmp_path / "in/b.mp4").symlink_to("nowhere.mp4")
        refused(run_static(tmp_path, tmp_path / "in"), "b.mp4 cannot be read", "leads nowhere")
        assert not (tmp_path / "runs").exists()

    def test_metrics_of_the_face_name_the_clip_side_that_has_none(
        self, head: tuple[Frames, Floats], tmp_path: Path
    ) -> None:
        for name in ("pred", "ref"):
            (tmp_path / name).mkdir()
        for clip in ("good", "no_face", "no_face_reference", "two"):
            frames = two_heads(head[0]) if clip == "two" else head[0]
            good(tmp_path / f"pred/{clip}.mp4", frames, head[1])
            good(tmp_path / f"ref/{clip}.mp4", frames, head[1])
        without_face(tmp_path / "pred/no_face.mp4", *head)
        without_face(tmp_path / "ref/no_face_reference.mp4", *head)
        metrics = "lmd.mouth,psnr.mouth"
        done = score(tmp_path, tmp_path / "pred", tmp_path / "ref", metrics, weights=str(MODEL.parent))
        rows = rows_of(tmp_path, done)
        for metric in metrics.split(","):
            assert rows["no_face_reference", metric]["value"] is None
            assert "face" in rows["no_face_reference", metric]["reason"]
            for clip in ("good", "two"):
                assert rows[clip, metric]["value"] is not None or rows[clip, metric]["reason"] == "infinite", metric
        assert rows["no_face", "lmd.mouth"]["value"] is None
        assert "no face found in frame 0 of 20" in rows["no_face", "lmd.mouth"]["reason"]
        nothing_half_written(tmp_path)
