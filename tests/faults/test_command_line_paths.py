"""Wrong numbers, and files and folders that are not what a command needs: what is said, where, and what next.

Called in this process, where a traceback is a failed test; exit code 2 and one line on stderr, as everywhere.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emobench.cli import main
from emobench.given import require_folder
from emobench.media import write_preview
from emobench.store import RunInfo, RunStore, find_runs

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Calls a command in an empty folder of its own: its one line on stderr, which holds all of `words`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("EMOBENCH_OFFLINE", "1")

    def call(arguments: list[str], *words: str) -> str:
        assert main(arguments) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.count("\n") == 1, told.err
        for word in words:
            assert word in told.err, told.err
        return told.err.rstrip()

    return call


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc, where not even the superuser makes a folder")
@pytest.mark.parametrize(("command", "method"), [("run", "static"), ("ablate", "emohead")])
def test_folder_that_nobody_can_make_is_refused_before_any_work(
    command: str, method: str, refused: Refused, tmp_path: Path
) -> None:
    arguments = [command, "-m", method, "-d", "puppet-tiny", "--out", "/proc/runs"]
    refused(arguments, "Cannot write the folder /proc/runs", "--out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [["report", "runs", "-o"], ["score", "--pred", "absent", "--ref", "absent", "--out"]], ids=" ".join
)
def test_a_file_in_place_of_the_folder_to_write_is_refused_first(
    arguments: list[str], refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("a note")
    written_runs(tmp_path / "runs", {"static": [0]})
    refused([*arguments, "note.txt"], "note.txt is a file, expected a folder. Choose another with --out.")
    (tmp_path / "link").symlink_to("nowhere")
    refused([*arguments, "link"], "link is a link that leads nowhere, expected a folder")
    assert (tmp_path / "note.txt").read_text() == "a note"


def test_a_folder_that_can_be_written_is_accepted_and_left_as_it_was(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "new", tmp_path / "new/below"):
        require_folder(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["synth", "--checkpoint", "runs", "--audio", "x.wav", "-o", "y.mp4", "--seed", "-3"], "'--seed'"),
        (["run", "-m", "static", "-d", "puppet-tiny", "--seed", "-1"], "'--seed'"),
        (["run", "-m", "static", "-d", "puppet-tiny", "--seeds", "-1"], "'--seeds'"),
        (["ablate", "-m", "emohead", "-d", "puppet-tiny", "--seeds", "0,-1"], "--seeds 0,-1: a seed is 0 or more."),
        (["compare", "a", "b", "--tolerance", "-3"], "'--tolerance'"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_numbers_below_their_range_are_refused(arguments: list[str], words: str, refused: Refused) -> None:
    refused(arguments, words)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["list"], "emobench list"),
        (["run", "-m", "static", "-d", "puppet", "--seeds", "abc"], "emobench run"),
        (["synth", "--intensity", "3"], "emobench synth"),
        (["track", "convert", "x"], "emobench track convert"),
        (["bench", "frobnicate"], "emobench bench"),
        (["frobnicate"], "emobench"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_use_is_a_whole_sentence_that_points_to_the_help_of_its_command(
    arguments: list[str], command: str, refused: Refused
) -> None:
    told = refused(arguments)
    sentence, _, pointer = told.partition(" See: ")
    assert pointer == f"{command} --help"
    assert sentence.endswith(".")
    assert not sentence.endswith("..")


# ------------------------------------------------------------------ paths of runs


def written_runs(folder: Path, methods: dict[str, list[int]]) -> None:
    """Finished runs of no clips: seeds by method, in folder/puppet/METHOD/METHOD-SEED."""
    for method, seeds in methods.items():
        for seed in seeds:
            info = RunInfo(
                method=method, method_version="1", role="method", dataset="puppet", seed=seed,
                identity=f"{method}-{seed}", status="complete", config={"of": method}, passed=[], preset="",
                subjects=[], protocol="strict", dataset_facts={}, judge_report={}, split_hash="same",
            )  # fmt: skip
            store = RunStore(folder / "puppet" / method / info.identity)
            store.write("plan.json", [])
            store.write_scores([])
            store.write_results({}, {})
            store.write("run.json", info)


ON_RUNS = (
    ["inspect"],
    ["synth", "--audio", "x.wav", "-o", "y.mp4", "--checkpoint"],
    ["compare", "runs/puppet/m0"],
    ["bench", "fps", "--run"],
)


@pytest.mark.parametrize("command", ON_RUNS, ids=lambda words: words[0])
def test_of_several_runs_the_usable_paths_are_named(command: list[str], refused: Refused, tmp_path: Path) -> None:
    written_runs(tmp_path / "runs", {f"m{i}": [0] for i in range(8)})
    named = ", ".join(f"runs/puppet/m{i}" for i in range(6))
    refused([*command, "runs/puppet"], f"({named} and 2 more). Name one")
    assert len(find_runs(tmp_path / "runs/puppet/m5")) == 1


def test_seeds_of_one_method_are_named_one_by_one_where_one_is_needed(refused: Refused, tmp_path: Path) -> None:
    written_runs(tmp_path / "runs", {"m": [0, 1], "n": [0]})
    named = "(runs/puppet/m/m-0, runs/puppet/m/m-1"
    refused(["inspect", "runs/puppet/m"], f"{named}). Name one")
    refused(["inspect", "runs"], f"{named}, runs/puppet/n). Name one")
    refused(["compare", "runs", "runs"], "(runs/puppet/m, runs/puppet/n). Name one")


@pytest.mark.parametrize("command", [["report"], *ON_RUNS], ids=lambda words: words[0])
def test_a_file_and_an_empty_folder_are_told_apart_from_an_absent_run(
    command: list[str], refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("a note")
    (tmp_path / "empty").mkdir()
    written_runs(tmp_path / "runs", {"m0": [0]})
    refused([*command, "note.txt"], "note.txt is a file, expected a run directory.")
    refused([*command, "empty"], "empty: the folder holds no finished run. To make a run: emobench run --method")
    refused([*command, "absent"], "absent: the folder does not exist")


# ------------------------------------------------------------------ track files


def given_files(folder: Path) -> None:
    """One file of each kind that is no track file."""
    np.savez(folder / "whole.npz", exp=np.zeros((3, 50)))
    np.savez(folder / "objects.npz", exp=np.array([{"a": 1}], dtype=object))
    whole, plain = (folder / "whole.npz").read_bytes(), io.BytesIO()
    np.save(plain, np.zeros(3))
    (folder / "note.txt").write_text("a note")
    (folder / "junk.npz").write_bytes(bytes(range(256)) * 4)
    (folder / "array.npz").write_bytes(plain.getvalue())
    (folder / "junk.npy").write_bytes(bytes(range(256)) * 4)
    (folder / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (folder / "rotten.npz").write_bytes(whole[:200] + b"?" * 8 + whole[208:])
    with zipfile.ZipFile(folder / "lzma.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("alpha.npy", plain.getvalue() * 20)
    packed = bytearray((folder / "lzma.npz").read_bytes())
    packed[60:80] = b"?" * 20
    (folder / "lzma.npz").write_bytes(packed)
    with zipfile.ZipFile(folder / "letters.npz", "w") as archive:
        archive.writestr("letter.txt", "a letter")


def in_a_users_words(told: str) -> bool:
    return not any(word in told for word in ("Delete", "allow_pickle", "Errno", "pickled"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.npz", "missing.npz does not exist."),
        (".", ". is a folder; name a .npz file."),
        *((name, f"{name} is no npz file; see docs") for name in ("note.txt", "junk.npz", "array.npz", "cut.npz")),
        ("rotten.npz", "rotten.npz is damaged"),
        ("lzma.npz", "lzma.npz is damaged"),
        ("objects.npz", "objects.npz is damaged, or holds Python objects"),
        ("letters.npz", "letters.npz is an archive of other files"),
    ],
)
def test_what_is_no_track_file_is_named_as_what_it_is_and_never_to_be_deleted(
    name: str, words: str, refused: Refused, tmp_path: Path
) -> None:
    given_files(tmp_path)
    assert in_a_users_words(refused(["track", "check", name], words))


def test_coefficient_file_of_no_use_is_refused_in_the_same_words(refused: Refused, tmp_path: Path) -> None:
    given_files(tmp_path)
    write_preview(tmp_path / "clip.mp4", np.zeros((3, 64, 64, 3), np.uint8), 25.0)
    for name, words in (
        ("junk.npz", "is no npz file"),
        ("objects.npz", "Python objects"),
        ("junk.npy", "is no npy file"),
    ):
        told = refused(["track", "convert", name, "--video", "clip.mp4"], f"{name} ", words)
        assert in_a_users_words(told)
