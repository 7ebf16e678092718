"""Bad recordings that emobench run is to train on, and metrics that track faces: a reason for each, no traceback."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from emobench import registry
from emobench.media import read_audio, read_video, write_lossless
from emobench.progress import SilentProgress
from emobench.types import Context, Floats, Frames

from .bad_files import (
    FPS,
    MODEL,
    N_FRAMES,
    UNREADABLE,
    Maker,
    good,
    mute,
    needs_tracker,
    nothing_half_written,
    refused,
    rows_of,
    run_static,
    score,
    texture,
    variable_rate,
)


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
        rows = rows_of(tmp_path, done, code=3)
        for metric in metrics.split(","):
            assert rows["no_face_reference", metric]["value"] is None
            assert "face" in rows["no_face_reference", metric]["reason"]
            for clip in ("good", "two"):
                assert rows[clip, metric]["value"] is not None or rows[clip, metric]["reason"] == "infinite", metric
        assert rows["no_face", "lmd.mouth"]["value"] is None
        assert "no face found in frame 0 of 20" in rows["no_face", "lmd.mouth"]["reason"]
        nothing_half_written(tmp_path)
