"""The datasets `folder` and `mead`: finding, labelling, splitting, refusing, resuming; and the files they prepare.

Most tests put a stand-in in the tracker's place (a face wherever a frame is not black), so that they need no weight.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emobench import registry, weights
from emobench.datasets import cutting, recorded
from emobench.datasets.folder import FolderConfig, FolderDataset
from emobench.datasets.mead import MeadDataset
from emobench.errors import InputError, Unavailable
from emobench.face.landmarks import mouth_opening
from emobench.face.tracks import load_layers, load_track
from emobench.media import read_audio, read_video, write_audio, write_preview

from .recordings import (
    context,
    folder,
    ids,
    sound,
    stand_in,  # noqa: F401  a fixture
    uneven_video,
    video,
)

DATA = Path(os.environ.get("EMOBENCH_TEST_DATA", "/nonexistent"))
MODEL = Path(os.environ.get("EMOBENCH_WEIGHTS", "/nonexistent")) / "face_landmarker.task"
needs_real = pytest.mark.skipif(
    not (DATA.is_dir() and MODEL.is_file()), reason="EMOBENCH_TEST_DATA or EMOBENCH_WEIGHTS is not set"
)


@pytest.mark.usefixtures("stand_in")
class TestFolder:
    def test_prepared_clips_have_picture_sound_track_and_mask_of_one_length(self, tmp_path: Path) -> None:
        for name in ("a", "b", "c"):
            video(tmp_path / f"ann/{name}.mp4", n=20)
        dataset = folder(tmp_path / "ann", tmp_path)
        clip = dataset.split("test")[0]
        assert clip.video is not None
        assert clip.audio is not None
        frames = read_video(clip.video).frames
        track = load_track(clip.extras["track"])
        assert frames.shape == (clip.n_frames, 32, 32, 3) == (20, 32, 32, 3)
        assert len(read_audio(clip.audio)) == 20 * 640
        assert len(track.alpha) == len(track.pose) == 20
        assert (track.camera.width, track.camera.height) == (32, 32)
        layers = load_layers(clip.extras["layers"], frames)
        assert layers.source == "landmark-hull"
        assert layers.head_alpha[0, 16, 16] > 200
        assert clip.subject == "ann"

    @pytest.mark.parametrize("dark", [slice(0, 3), slice(-3, None)])
    def test_a_green_screen_that_fades_in_or_out_is_found(self, tmp_path: Path, dark: slice) -> None:
        frames = np.tile(np.uint8([40, 170, 70]), (20, 48, 64, 1))
        frames[:, 16:, 24:40] = (205, 150, 125)
        frames[dark] = 24  # so dark that no green is seen; the stand-in finds a face all the same
        (tmp_path / "in").mkdir()
        for name in "ab":
            write_preview(tmp_path / f"in/{name}.mp4", frames, 25.0, sound(0.8))
        clip = folder(tmp_path / "in", tmp_path).split("test")[0]
        assert clip.video is not None
        assert load_layers(clip.extras["layers"], read_video(clip.video).frames).source == "green-screen"

    def test_the_crop_moves_camera_and_landmarks_together(self, tmp_path: Path) -> None:
        for name in "ab":
            video(tmp_path / f"in/{name}.mp4")
        track = load_track(folder(tmp_path / "in", tmp_path).split("test")[0].extras["track"])
        # the stand-in's head looks straight from (0, 0, −500 mm): its origin projects to the image's middle
        assert track.pose.translation[0].tolist() == [0, 0, -500]
        np.testing.assert_allclose(track.landmarks[0, 30], [track.camera.cx_px, track.camera.cy_px], atol=0.01)

    def test_last_recordings_are_test_and_those_before_val(self, tmp_path: Path) -> None:
        for index in range(12):
            video(tmp_path / f"in/{index:02d}.mp4", n=8)
        dataset = folder(tmp_path / "in", tmp_path, test_fraction=0.2, val_fraction=0.1)
        assert ids(dataset, "test") == ["10", "11"]
        assert ids(dataset, "val") == ["09"]
        assert ids(dataset, "train") == [f"{i:02d}" for i in range(9)]

    def test_one_long_video_trains_on_its_first_ten_elevenths(self, tmp_path: Path) -> None:
        video(tmp_path / "in/talk.mkv", n=110, fps=10)
        dataset = folder(tmp_path / "in", tmp_path, segment_seconds=2)
        roles = {role: dataset.split(role) for role in ("train", "val", "test")}
        assert sum(c.n_frames for c in [*roles["train"], *roles["val"]]) == 100
        assert sum(c.n_frames for c in roles["test"]) == 10
        assert ids(dataset, "val") == ["talk-p04"]
        clips = sorted([c for found in roles.values() for c in found], key=lambda c: c.id)
        frames = np.concatenate([read_video(c.video).frames for c in clips])  # type: ignore[arg-type]
        assert (np.diff(frames.mean(axis=(1, 2, 3))) > 0).all()  # every frame once, in order
        heard = np.concatenate([read_audio(c.audio) for c in clips])  # type: ignore[arg-type]
        np.testing.assert_allclose(heard, sound(11.0), atol=2e-4)  # 16-bit steps, twice

    def test_nested_files_take_their_folder_as_subject_and_are_split_each(self, tmp_path: Path) -> None:
        for subject in ("ann", "Bob Lee"):
            for name in "abc":
                video(tmp_path / f"in/{subject}/{name}.mp4", n=6)
        dataset = folder(tmp_path / "in", tmp_path)
        assert ids(dataset, "test") == ["Bob-Lee-c", "ann-c"]
        assert {clip.subject for clip in dataset.split("train")} == {"ann", "Bob-Lee"}

    def test_labels_come_from_clips_csv_and_transcripts_from_files_beside(self, tmp_path: Path) -> None:
        for name in "abcd":
            video(tmp_path / f"in/{name}.mp4", n=6)
        (tmp_path / "in/a.align").write_text("0 9000 sil\n9000 12000 bin\n12000 15000 blue\n15000 20000 sil\n")
        (tmp_path / "in/b.txt").write_text("Hello  there,\nyou.\n")
        (tmp_path / "in/clips.csv").write_text(
            "file,subject,emotion,intensity,sentence,transcript\na.mp4,amy,happy,2,s1,\nb.mp4,amy,,,,\nc.mp4,amy,sad,3,,Oh.\n"
        )
        dataset = folder(tmp_path / "in", tmp_path, val_fraction=0)
        found = {c.id: c for role in ("train", "test") for c in dataset.split(role)}  # type: ignore[arg-type]
        assert set(found) == {"a", "b", "c"}
        assert (found["a"].emotion, found["a"].intensity, found["a"].sentence) == ("happy", 2, "s1")
        assert [found[k].transcript for k in "abc"] == ["bin blue", "Hello there, you.", "Oh."]
        assert (found["b"].emotion, found["b"].subject, found["b"].sentence) == ("neutral", "amy", "b")
        assert any("1 videos are not in clips.csv" in line for line in dataset.context.progress.lines)  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("name\na.mp4\n", "needs a column 'file'"),
            ("file,emotoin\na.mp4,sad\n", "Did you mean 'emotion'"),
            ("file,emotion\na.mp4,bored\n", "line 2: unknown emotion 'bored'"),
            ("file,intensity\na.mp4,9\n", "intensity is '9'"),
            ("file\nz.mp4\n", "'z.mp4' does not exist"),
            ("file\na.mp4\na.mp4\n", "listed twice"),
            ("file\n", "lists no files"),
        ],
    )
    def test_a_wrong_clips_csv_is_refused_with_its_line(self, tmp_path: Path, text: str, message: str) -> None:
        video(tmp_path / "in/a.mp4", n=4)
        (tmp_path / "in/clips.csv").write_text(text)
        with pytest.raises(InputError, match=re.escape(message)):
            folder(tmp_path / "in", tmp_path).prepare()

    def test_unusable_files_are_listed_with_their_reason(self, tmp_path: Path) -> None:
        for name in "abc":
            video(tmp_path / f"in/{name}.mp4")
        video(tmp_path / "in/mute.mp4", seconds=0)
        whole = video(tmp_path / "in/whole.mp4", n=40).read_bytes()
        (tmp_path / "in/whole.mp4").unlink()
        (tmp_path / "in/cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
        write_preview(tmp_path / "in/dark.mp4", np.zeros((20, 48, 64, 3), np.uint8), 25, sound(0.8))
        dataset = folder(tmp_path / "in", tmp_path)
        dataset.prepare()
        listed = dataset.describe()["unusable"]
        assert listed.startswith("3 files")
        for part in ("mute.mp4: it has no sound", "cut.mp4: the video is truncated", "dark.mp4: no face in 20 of 20"):
            assert part in listed
        assert str(tmp_path) not in " ".join(dataset.describe().values())
        assert sum("cannot use" in line for line in dataset.context.progress.lines) == 3  # type: ignore[attr-defined]

    def test_sound_beside_a_mute_video_is_used(self, tmp_path: Path) -> None:
        for name in "ab":
            video(tmp_path / f"in/{name}.mp4", seconds=0)
            write_audio(tmp_path / f"in/{name}.wav", sound(0.8))
        clip = folder(tmp_path / "in", tmp_path).split("test")[0]
        np.testing.assert_allclose(read_audio(clip.audio), sound(0.8), atol=1e-4)  # type: ignore[arg-type]

    def test_unequal_lengths_are_cut_to_the_shorter_and_said(self, tmp_path: Path) -> None:
        video(tmp_path / "in/a.mkv", n=30, seconds=0.8)
        video(tmp_path / "in/b.mkv", n=20, seconds=2.0)
        dataset = folder(tmp_path / "in", tmp_path)
        assert [dataset.split("train")[0].n_frames, dataset.split("test")[0].n_frames] == [20, 20]
        notes = dataset.describe()["notes"]
        assert "picture is 0.40 s longer" in notes
        assert "sound is 1.20 s longer" in notes

    def test_variable_rate_is_resampled_by_timestamps_and_said(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        uneven_video(tmp_path / "in/a.mkv", [0, 40, 80, 200, 240, 280, 320, 360, 400])
        video(tmp_path / "in/b.mkv", n=9)
        dataset = folder(tmp_path / "in", tmp_path)
        clip = dataset.split("train")[0]
        frames = read_video(clip.video).frames  # type: ignore[arg-type]
        assert clip.fps == 25.0  # most steps are 40 ms
        # at 0, 40, 80, … ms the nearest of the frames above: two are missing after 80 ms
        expected = [0, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8]
        assert ((frames.mean(axis=(1, 2, 3)) - 60) / 2).round().astype(int).tolist() == expected
        assert "variable frame rate" in dataset.describe()["notes"]
        assert "resampled" in clip.extras["card"].read_text()

    def test_native_rates_are_kept(self, tmp_path: Path) -> None:
        video(tmp_path / "in/a.mp4", n=30, fps=29.97)
        video(tmp_path / "in/b.mp4", n=25, fps=25)
        dataset = folder(tmp_path / "in", tmp_path)
        assert dataset.describe()["fps"] == "25, 29.97"
        assert dataset.split("train")[0].n_frames == 30

    def test_a_second_start_writes_nothing_and_gives_the_same(self, tmp_path: Path) -> None:
        for name in "abc":
            video(tmp_path / f"in/{name}.mp4", n=6)
        first = folder(tmp_path / "in", tmp_path)
        first.prepare()
        stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*") if p.is_file()}
        second = folder(tmp_path / "in", tmp_path)
        assert second.split_hash() == first.split_hash()
        assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*") if p.is_file()} == stamps
        assert second.split("train") == first.split("train")

    def test_an_interrupted_preparation_continues(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in "abc":
            video(tmp_path / f"in/{name}.mp4", n=6)
        written = []

        def dying(job: cutting.WriteJob) -> None:
            if len(written) == 1:
                raise KeyboardInterrupt
            written.append(job)
            cutting.write_clips(job)

        monkeypatch.setattr(recorded, "write_clips", dying)
        with pytest.raises(KeyboardInterrupt):
            folder(tmp_path / "in", tmp_path).prepare()
        monkeypatch.setattr(recorded, "write_clips", lambda job: (written.append(job), cutting.write_clips(job)))
        dataset = folder(tmp_path / "in", tmp_path)
        dataset.prepare()
        assert len(written) == 3  # each clip once
        assert not list((tmp_path / "cache").rglob(".*"))

    def test_changed_content_changes_the_hash(self, tmp_path: Path) -> None:
        for name in "ab":
            video(tmp_path / f"in/{name}.mp4", n=6)
        before = folder(tmp_path / "in", tmp_path).split_hash()
        video(tmp_path / "in/a.mp4", n=7)
        assert folder(tmp_path / "in", tmp_path).split_hash() != before
        assert folder(tmp_path / "in", tmp_path, size_px=48).split_hash() != before

    def test_files_that_differ_in_suffix_only_keep_their_own_ids(self, tmp_path: Path) -> None:
        video(tmp_path / "in/a.mp4", n=6)
        video(tmp_path / "in/a.mkv", n=6)
        dataset = folder(tmp_path / "in", tmp_path)
        assert ids(dataset, "train") + ids(dataset, "test") == ["a-mkv", "a-mp4"]

    def test_a_copy_of_a_bad_file_is_not_reported_under_the_first_ones_name(self, tmp_path: Path) -> None:
        for name in ("good", "better"):
            video(tmp_path / f"in/{name}.mp4", n=6)
        for name in ("bad", "worse"):
            (tmp_path / f"in/{name}.mp4").write_bytes(b"nonsense" * 100)
        listed = folder(tmp_path / "in", tmp_path).describe()["unusable"]
        assert listed.count("bad.mp4") == listed.count("worse.mp4") == 1

    def test_a_file_that_cannot_be_read_stops_before_the_split_changes(self, tmp_path: Path) -> None:
        for name in "ab":
            video(tmp_path / f"in/{name}.mp4", n=6)
        (tmp_path / "in/c.mp4").symlink_to("nowhere.mp4")
        with pytest.raises(InputError, match=r"c\.mp4 cannot be read"):
            folder(tmp_path / "in", tmp_path).prepare()

    def test_missing_empty_and_hopeless_folders_are_input_errors(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="--data-root"):
            folder(None, tmp_path).prepare()
        with pytest.raises(InputError, match="not there"):
            folder(tmp_path / "none", tmp_path).prepare()
        (tmp_path / "in").mkdir()
        with pytest.raises(InputError, match="No videos"):
            folder(tmp_path / "in", tmp_path).prepare()
        (tmp_path / "in/a.mp4").write_bytes(b"nonsense" * 100)
        with pytest.raises(InputError, match="None of the 1 recordings can be used"):
            folder(tmp_path / "in", tmp_path).prepare()
        assert InputError.exit_code == 2


def test_without_the_weight_the_fetch_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOBENCH_WEIGHTS", raising=False)
    video(tmp_path / "in/a.mp4", n=4)
    with pytest.raises(Unavailable, match=r"emobench weights fetch mediapipe\.face_landmarker"):
        folder(tmp_path / "in", tmp_path).prepare()


def test_the_specs_find_their_classes() -> None:
    for name, kind in (("folder", FolderDataset), ("mead", MeadDataset)):
        spec = registry.find("dataset", name)
        assert registry.load_object(spec.factory) is kind
        assert set(spec.weights) <= set(weights.manifest())
        assert spec.needs_root
        assert registry.load_object(spec.config)().size_px == 256


@pytest.mark.slow
@pytest.mark.data
@needs_real
def test_real_clips_are_prepared_in_worker_processes(tmp_path: Path) -> None:
    (tmp_path / "s1").mkdir()
    for name in ("bbaf2n", "bbas3a", "bbbm1s"):
        for suffix in (".mpg", ".align"):
            (tmp_path / f"s1/{name}{suffix}").symlink_to(DATA / f"grid_s1/{name}{suffix}")
    two = replace(context(tmp_path / "s1", tmp_path), threads=2)
    dataset = FolderDataset(FolderConfig(size_px=128), two)
    clips = [c for role in ("train", "val", "test") for c in dataset.split(role)]  # type: ignore[arg-type]
    assert [c.id for c in clips] == ["bbaf2n", "bbas3a", "bbbm1s"]
    assert clips[0].transcript == "bin blue at f two now"
    for clip in clips:
        track = load_track(clip.extras["track"])
        frames = read_video(clip.video).frames  # type: ignore[arg-type]
        layers = load_layers(clip.extras["layers"], frames)
        assert track.valid.all()
        assert clip.n_frames == len(frames) == len(track.alpha) == 74  # the sound ends 0.05 s before the picture
        assert (track.landmarks > 0).all()
        assert (track.landmarks < 128).all()
        assert 0.2 < (layers.head_alpha > 127).mean() < 0.7
        opening = mouth_opening(track.landmarks)
        jaw = track.alpha[:, track.alpha_names.index("jawOpen")]
        assert np.corrcoef(opening, jaw)[0, 1] > 0.6
