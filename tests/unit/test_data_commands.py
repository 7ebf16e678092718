"""`emobench data`: facts without generating, previews with sound, checksums that find what changed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emobench.cli import main
from emobench.data_commands import prepare, preview
from emobench.media import probe, read_audio, read_video, write_audio, write_lossless
from emobench.progress import SilentProgress
from emobench.specs import DatasetSpec
from emobench.types import Clip

TINY = [
    "--set", "subjects=[ben]", "--set", "emotions=[neutral]", "--set", "train_sentences=[s01]",
    "--set", "val_sentences=[]", "--set", "pixel_train=1", "--set", "dataset.size_px=32", "--set", "supersampling=1",
    "--set", "novel_every=40", "--threads", "1", "--quiet",
]  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOBENCH_CACHE", str(cache))


def data(*arguments: str) -> int:
    return main(["data", *arguments])


def test_info_counts_every_split_and_generates_nothing(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "empty"))
    assert data("info", "puppet", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["splits"]) == {"train", "val", "test", "mismatch"}
    assert found["splits"]["mismatch"]["clips"] == 2 * 56
    assert found["splits"]["test"] == found["splits"]["test"] | {"clips": 16, "with_pixels": 16, "on_disk": 0}
    assert found["bytes_on_disk"] == 0
    assert 100e6 < found["bytes_to_make"] < 300e6
    assert len({split["sha256"] for split in found["splits"].values()}) == 4
    assert not (tmp_path / "empty").exists()


def test_info_fits_eighty_columns(capsys) -> None:
    assert data("info", "puppet-full") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("mismatch") for line in lines)
    assert [line for line in lines if len(line) > 80 and "/" not in line] == []  # a path is not broken


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "pupet"], ["Unknown dataset 'pupet'", "'puppet'"]),
        (["info", "puppet", "--set", "size=3"], ["Unknown key 'size'", "size_px"]),
        (["info", "puppet", "--set", "mismatch_pairs=[happy:happy]"], ["unknown pair 'happy:happy'"]),
        (["info", "puppet", "--data-root", "x"], ["takes no --data-root"]),
        (["info", "folder"], ["--data-root"]),
        (["prepare", "puppet", "--split", "dev"], ["no split 'dev'", "mismatch"]),
        (["preview"], ["DATASET"]),
    ],
)
def test_wrong_use_names_what_is_known(arguments, words, capsys) -> None:
    assert data(*arguments) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    for word in words:
        assert word in last


def test_verify_before_anything_is_made_is_incomplete(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path))
    assert data("verify", "puppet", *TINY) == 3
    assert "data prepare puppet" in capsys.readouterr().err


def test_verify_finds_every_kind_of_damage_and_nothing_in_sound_clips(cache, capsys) -> None:
    assert data("prepare", "puppet", *TINY) == 0
    assert data("verify", "puppet", *TINY) == 0
    assert "2 clips checked, 0 faults" in capsys.readouterr().out
    (clip,) = cache.glob("datasets/puppet-*/ben_neutral_1_s10")
    frames = read_video(clip / "video.mkv").frames
    frames[3, 5, 5] ^= 1
    write_lossless(clip / "video.mkv", frames, 25.0, read_audio(clip / "audio.wav"))
    samples = read_audio(clip / "audio.wav")
    samples[100] += 0.01
    write_audio(clip / "audio.wav", samples)
    (clip / "torso.npz").write_bytes((clip / "torso.npz").read_bytes()[:-40])
    (clip / "depth.mkv").unlink()
    (clip / "notes.txt").write_text("mine")
    assert data("verify", "puppet", *TINY, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["checked"] == 2
    told = {fault.split(":")[0].rpartition("/")[2]: fault for fault in found["faults"]}
    assert set(told) == {"video.mkv", "audio.wav", "torso.npz", "depth.mkv", "notes.txt"}
    assert "content differs" in told["video.mkv"]
    assert "missing" in told["depth.mkv"]
    assert "not listed" in told["notes.txt"]
    (clip / "card.json").write_text("{")  # and no card to read either
    assert data("verify", "puppet", *TINY, "--repair") == 0
    assert "2 clips checked, 0 faults" in capsys.readouterr().out
    assert not (clip / "notes.txt").exists()


def test_preview_into_what_is_no_folder_is_refused_in_one_line(tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    assert data("preview", "puppet", *TINY, "--out", str(tmp_path / "file")) == 2
    assert "Cannot write to" in capsys.readouterr().err.strip().splitlines()[-1]


def test_preview_of_the_puppet_is_a_sheet_and_a_film_with_sound(tmp_path, capsys) -> None:
    assert data("preview", "puppet", *TINY, "--out", str(tmp_path / "seen")) == 0
    sheet, film = (Path(line) for line in capsys.readouterr().out.splitlines())
    assert sheet.read_bytes().startswith(b"\x89PNG")
    media = probe(film)
    assert (media.width, media.height) == (256, 256)
    assert np.abs(read_audio(film)).max() > 0.05


class Plain:
    """A dataset without abilities of its own."""

    name = "plain"

    def __init__(self, clips: list[Clip]) -> None:
        self._clips = clips

    def prepare(self) -> None:
        return

    def split(self, name: str) -> list[Clip]:
        return self._clips if name == "test" else []


def test_preview_of_any_other_dataset_shows_its_clips(tmp_path) -> None:
    clips = []
    for number, emotion in enumerate(("happy", "sad")):
        video = tmp_path / f"{emotion}.mkv"
        write_lossless(video, np.full((6, 40, 64, 3), 60 + 90 * number, np.uint8), 25.0)
        clips.append(
            Clip(
                id=emotion, subject="s", emotion=emotion, intensity=1, sentence="a", transcript=None, video=video,
                audio=None, fps=25.0, n_frames=6, sha256="",
            )
        )  # fmt: skip
    spec = DatasetSpec(name="plain", version="1", summary="", factory="x:Y")
    dataset = Plain(clips)
    sheet, film = preview(spec, dataset, tmp_path / "seen", SilentProgress())
    assert sheet.is_file()
    frames = read_video(film).frames
    assert frames.shape == (12, 64, 64, 3)
    assert frames[0, 32, 32].mean() < 75
    assert frames[-1, 32, 32].mean() > 135
    assert prepare(spec, dataset, "") == "plain: 0 train, 0 val, 2 test clips on disk"
