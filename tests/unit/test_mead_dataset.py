"""The dataset `mead`: both layouts, the split of its README, probing, and what it says where data is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emobench.datasets.mead import MeadConfig
from emobench.errors import InputError
from emobench.face.tracks import load_track
from emobench.media import read_video, write_preview

from .recordings import (
    ids,
    mead,
    pictures,
    sound,
    stand_in,  # noqa: F401  a fixture
    video,
)


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
