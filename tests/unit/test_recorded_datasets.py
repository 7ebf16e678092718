"""The datasets `folder` and `mead`: finding, labelling, splitting, refusing, resuming; and the files they prepare.

Most tests put a stand-in in the tracker's place (a face wherever a frame is not black), so that they need no weight.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from emobench import registry, weights
from emobench.datasets import recorded, tracking
from emobench.datasets.folder import FolderConfig, FolderDataset
from emobench.datasets.mead import MeadConfig, MeadDataset
from emobench.errors import InputError, Unavailable
from emobench.face.landmarks import FACE_OVAL_OF_MEDIAPIPE, mouth_opening
from emobench.face.mediapipe_tracker import MediapipeTrack
from emobench.face.tracks import load_layers, load_track
from emobench.media import read_audio, read_video, write_audio, write_lossless, write_preview
from emobench.progress import SilentProgress
from emobench.types import Context

DATA = Path(os.environ.get("EMOBENCH_TEST_DATA", "/nonexistent"))
MODEL = Path(os.environ.get("EMOBENCH_WEIGHTS", "/nonexistent")) / "face_landmarker.task"
needs_real = pytest.mark.skipif(
    not (DATA.is_dir() and MODEL.is_file()), reason="EMOBENCH_TEST_DATA or EMOBENCH_WEIGHTS is not set"
)
SMALL = {"size_px": 32}


class Notes(SilentProgress):
    """Keeps what would be printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def sound(seconds: float) -> np.ndarray:
    return (0.2 * np.sin(np.arange(int(seconds * 16000)) * 0.08)).astype(np.float32)


def pictures(n: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Grey frames that grow brighter, so that each can be told from the others."""
    return np.stack([np.full((height, width, 3), 60 + min(2, 190 // n) * t, np.uint8) for t in range(n)])


def video(path: Path, n: int = 20, fps: float = 25.0, seconds: float | None = None) -> Path:
    """An MP4 or MKV with n frames and sound of the same length, or of `seconds`; 0 means no sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    length = n / fps if seconds is None else seconds
    write = write_lossless if path.suffix == ".mkv" else write_preview
    write(path, pictures(n), fps, sound(length) if length else None)
    return path


def uneven_video(path: Path, stamps_ms: list[int]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        voice = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        stream.codec_context.time_base = Fraction(1, 1000)
        for stamp, image in zip(stamps_ms, pictures(len(stamps_ms)), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        values = (sound(stamps_ms[-1] / 1000 + 0.04) * 32767).astype(np.int16)[None]
        block = av.AudioFrame.from_ndarray(values, format="s16", layout="mono")
        block.sample_rate = 16000
        container.mux(voice.encode(block))
        container.mux(stream.encode(None))


def mesh(width: int, height: int) -> np.ndarray:
    points = np.tile(np.array([width / 2, height / 2, 0], np.float32), (478, 1))
    angles = np.linspace(-np.pi / 2, 1.5 * np.pi, len(FACE_OVAL_OF_MEDIAPIPE), endpoint=False)
    points[list(FACE_OVAL_OF_MEDIAPIPE), 0] += 0.15 * height * np.cos(angles)
    points[list(FACE_OVAL_OF_MEDIAPIPE), 1] += 0.2 * height * np.sin(angles)
    for index, side in ((33, -0.1), (133, -0.04), (362, 0.04), (263, 0.1)):
        points[index] += [side * height, -0.04 * height, 0]
    return points


def fake_tracker(frames, fps, model, progress=None) -> MediapipeTrack:  # type: ignore[no-untyped-def]
    seen = list(frames)
    n, height, width = len(seen), *seen[0].shape[:2]
    matrix = np.eye(4, dtype=np.float32)
    matrix[2, 3] = -50
    return MediapipeTrack(
        blendshapes=np.tile(np.array([0, 0.5], np.float32), (n, 1)), blendshape_names=("_neutral", "jawOpen"),
        matrices=np.tile(matrix, (n, 1, 1)), landmarks478=np.tile(mesh(width, height), (n, 1, 1)),
        valid=np.array([frame.mean() > 20 for frame in seen]), n_faces=np.ones(n, np.int64),
        width=width, height=height, fps=fps,
    )  # fmt: skip


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tracking, "track_frames", fake_tracker)
    monkeypatch.setattr(recorded.weights, "locate", lambda name: tmp_path / "model")
    monkeypatch.setattr(recorded.weights, "sha256_of", lambda name: "0" * 64)


def context(root: Path | None, tmp_path: Path, threads: int = 1) -> Context:
    return Context(
        seed=0, device="cpu", threads=threads, cache_dir=tmp_path / "cache", progress=Notes(), data_root=root
    )


def folder(root: Path | None, tmp_path: Path, **config: object) -> FolderDataset:
    return FolderDataset(FolderConfig(**{**SMALL, **config}), context(root, tmp_path))


def mead(root: Path | None, tmp_path: Path, **config: object) -> MeadDataset:
    return MeadDataset(MeadConfig(**{**SMALL, **config}), context(root, tmp_path))


def ids(dataset: FolderDataset | MeadDataset, name: str) -> list[str]:
    return [clip.id for clip in dataset.split(name)]  # type: ignore[arg-type]


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

        def dying(job: tracking.WriteJob) -> None:
            if len(written) == 1:
                raise KeyboardInterrupt
            written.append(job)
            tracking.write_clips(job)

        monkeypatch.setattr(recorded, "write_clips", dying)
        with pytest.raises(KeyboardInterrupt):
            folder(tmp_path / "in", tmp_path).prepare()
        monkeypatch.setattr(recorded, "write_clips", lambda job: (written.append(job), tracking.write_clips(job)))
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


def mead_tree(root: Path) -> None:
    """M003 in the authors' layout (one emotion lacks a level), W009 flattened; one file 29.97 fps, one 1080p."""
    for number in range(1, 5):
        name = f"{number:03d}"
        video(root / f"M003/video/front/neutral/level_1/{name}.mp4", n=6, seconds=0)
        video(root / f"M003/video/left_30/neutral/level_1/{name}.mp4", n=6, seconds=0)
        (root / "M003/audio/neutral/level_1").mkdir(parents=True, exist_ok=True)
        write_preview(root / "tmp.mp4", pictures(6), 25, sound(0.24))
        (root / "tmp.mp4").rename(root / f"M003/audio/neutral/level_1/{name}.m4a")
        for level in (1, 3):
            video(root / f"M003/video/front/angry/level_{level}/{name}.mp4", n=6)
        video(root / f"W009/front/happy_level_2/{name}.mp4", n=6, fps=29.97 if number == 1 else 25)
    write_preview(root / "M003/video/front/angry/level_3/001.mp4", pictures(4, 1080, 1920), 25, sound(0.16))


@pytest.mark.usefixtures("stand_in")
class TestMead:
    config: dict[str, object] = {"test_neutral": 2, "test_other": 1, "val": 1}  # noqa: RUF012

    def test_both_layouts_are_read_and_only_the_front_view(self, tmp_path: Path) -> None:
        mead_tree(tmp_path / "MEAD")
        dataset = mead(tmp_path / "MEAD", tmp_path, **self.config)
        clips = [c for role in ("train", "val", "test") for c in dataset.split(role)]  # type: ignore[arg-type]
        assert len(clips) == 16
        assert {c.subject for c in clips} == {"M003", "W009"}
        assert {(c.emotion, c.intensity) for c in clips} == {
            ("neutral", 1), ("angry", 1), ("angry", 3), ("happy", 2),
        }  # fmt: skip

    def test_split_is_the_readmes_per_emotion_and_level(self, tmp_path: Path) -> None:
        mead_tree(tmp_path / "MEAD")
        dataset = mead(tmp_path / "MEAD", tmp_path, subjects=("M003",), **self.config)
        assert ids(dataset, "test") == [
            "M003-angry-level_1-004", "M003-angry-level_3-004",
            "M003-neutral-level_1-003", "M003-neutral-level_1-004",
        ]  # fmt: skip
        assert ids(dataset, "val") == [
            "M003-angry-level_1-003", "M003-angry-level_3-003", "M003-neutral-level_1-002",
        ]  # fmt: skip

    def test_defaults_are_ten_and_six(self) -> None:
        assert (MeadConfig().test_neutral, MeadConfig().test_other) == (10, 6)

    def test_each_file_is_probed_and_missing_levels_are_noted(self, tmp_path: Path) -> None:
        mead_tree(tmp_path / "MEAD")
        dataset = mead(tmp_path / "MEAD", tmp_path, **self.config)
        facts = dataset.describe()
        assert facts["fps"] == "25, 29.97"
        assert "M003: no videos of angry level_2" in facts["missing"]
        assert "non-commercial" in facts["licence"]
        large = next(c for c in dataset.split("train") if c.id == "M003-angry-level_3-001")
        assert read_video(large.video).frames.shape == (4, 32, 32, 3)  # type: ignore[arg-type]

    def test_recordings_of_one_subject_share_one_camera_whatever_their_size(self, tmp_path: Path) -> None:
        mead_tree(tmp_path / "MEAD")
        dataset = mead(tmp_path / "MEAD", tmp_path, subjects=("M003",), **self.config)
        clips = [c for role in ("train", "val", "test") for c in dataset.split(role)]  # type: ignore[arg-type]
        tracks = {c.id: load_track(c.extras["track"]) for c in clips}
        large, usual = tracks.pop("M003-angry-level_3-001"), tracks["M003-angry-level_3-002"]
        assert {track.camera for track in tracks.values()} == {large.camera}
        np.testing.assert_allclose(large.landmarks[0], usual.landmarks[0], atol=0.01)  # the same head, only larger
        assert "1 of 12 recordings (1920×1080) scaled to 64×48" in dataset.describe()["notes"]

    def test_a_subject_with_test_clips_only_is_refused_before_tracking(self, tmp_path: Path) -> None:
        mead_tree(tmp_path / "MEAD")
        with pytest.raises(InputError, match="all 4 videos of W009 are in the test split"):
            mead(tmp_path / "MEAD", tmp_path, test_neutral=2, test_other=4, levels=(2,), emotions=("happy",)).prepare()

    def test_limits_apply_after_the_split(self, tmp_path: Path) -> None:
        mead_tree(tmp_path / "MEAD")
        dataset = mead(tmp_path / "MEAD", tmp_path, subjects=("M003",), emotions=("angry",), levels=(3,), max_clips=1,
                       **self.config)  # fmt: skip
        assert ids(dataset, "train") == ["M003-angry-level_3-001"]
        assert ids(dataset, "test") == ["M003-angry-level_3-004"]

    def test_a_subjects_own_folder_may_be_the_root(self, tmp_path: Path) -> None:
        mead_tree(tmp_path / "MEAD")
        dataset = mead(tmp_path / "MEAD/W009", tmp_path, **self.config)
        assert {c.subject for c in dataset.split("train")} == {"W009"}

    def test_without_data_it_says_what_it_looked_for_and_how_to_obtain_it(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="--data-root"):
            mead(None, tmp_path).prepare()
        (tmp_path / "MEAD").mkdir()
        with pytest.raises(InputError) as caught:
            mead(tmp_path / "MEAD", tmp_path).prepare()
        text = str(caught.value)
        for part in ("front/angry/level_1/001.mp4", "wywu.github.io/projects/MEAD", "non-commercial", "no redis"):
            assert part in text

    def test_an_absent_subject_is_answered_with_those_present(self, tmp_path: Path) -> None:
        mead_tree(tmp_path / "MEAD")
        with pytest.raises(InputError, match="M003, W009"):
            mead(tmp_path / "MEAD", tmp_path, subjects=("W999",)).prepare()


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
