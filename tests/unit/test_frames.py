"""Decoded frames that are too many for memory: the same frames, read from a scratch file, a chunk at a time."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from emobench import frames as keeping
from emobench.errors import InputError
from emobench.frames import SpooledFrames, gather
from emobench.hashing import hash_arrays
from emobench.media import write_lossless
from emobench.samples import video_sample


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (37, 6, 5, 3), dtype=np.uint8)


@pytest.fixture
def spooled(pictures: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(keeping, "IN_MEMORY_BYTES", 10 * pictures[0].nbytes)
    return gather(iter(pictures), tmp_path / "scratch")


def test_few_frames_stay_in_memory(pictures: np.ndarray, tmp_path: Path) -> None:
    held = gather(iter(pictures), tmp_path / "scratch")
    assert type(held) is np.ndarray
    assert not (tmp_path / "scratch").exists()
    np.testing.assert_array_equal(held, pictures)


def test_many_frames_are_the_same_frames_however_they_are_asked_for(pictures: np.ndarray, spooled: np.ndarray) -> None:
    assert isinstance(spooled, SpooledFrames)
    assert (len(spooled), spooled.shape, spooled.dtype) == (37, pictures.shape, np.uint8)
    np.testing.assert_array_equal(np.stack(list(spooled)), pictures)
    for key in (0, 36, -1, slice(3, 9), slice(None, None, 5), slice(30, None), slice(9, 3), np.array([4, 1]), (2, 3)):
        np.testing.assert_array_equal(spooled[key], pictures[key])
    with pytest.raises(IndexError):
        spooled[37]
    assert hash_arrays([spooled]) == hash_arrays([pictures])
    assert spooled.mean() == pictures.mean()


SLICES = (slice(5, 5, -1), slice(5, 5, 2), slice(9, 3, -2), slice(3, 9, -1), slice(None, None, -1), slice(40, 50))


@pytest.mark.parametrize("key", SLICES)
def test_slices_of_any_step_and_empty_ones_are_those_of_an_array(
    key: slice, pictures: np.ndarray, spooled: np.ndarray
) -> None:
    np.testing.assert_array_equal(spooled[key], pictures[key])
    assert spooled[key].shape == pictures[key].shape


DERIVED = {
    "quotient": lambda f: f / 255,
    "sum with another": lambda f: np.float32(1) + f,
    "comparison": lambda f: f > 100,
    "type": lambda f: f.astype(np.float32),
    "transposed": lambda f: f.transpose(0, 3, 1, 2),
    "reversed axes": lambda f: f.T,
    "reshaped": lambda f: f.reshape(37, -1),
    "mean over pixels": lambda f: f.mean(axis=(1, 2)),
    "mean over frames": lambda f: f.mean(axis=0),
    "greatest": lambda f: f.max(axis=0),
    "copy": lambda f: f.copy(),
    "view": lambda f: f.view(),
    "array of any kind": lambda f: np.asanyarray(f)[2:30].astype(int),
}


@pytest.mark.parametrize("name", DERIVED)
def test_what_is_derived_from_frames_in_a_file_is_what_an_array_gives_whole_and_in_parts(
    name: str, pictures: np.ndarray, spooled: np.ndarray
) -> None:
    found, expected = DERIVED[name](spooled), DERIVED[name](pictures)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(np.asarray(found), expected)
    for key in (0, -1, slice(1, 3), slice(2, 2, -1), slice(None, None, 2), (..., 0)):
        np.testing.assert_array_equal(found[key], expected[key])
    np.testing.assert_array_equal(np.stack(list(found)), expected)


def test_results_of_arithmetic_are_plain_arrays_and_numbers(spooled: np.ndarray) -> None:
    assert type(spooled / 255) is np.ndarray
    assert type(spooled.max(axis=0)) is np.ndarray
    assert isinstance(spooled.sum(), np.integer)


def test_a_copy_of_frames_in_a_file_keeps_what_is_written_to_it(pictures: np.ndarray, spooled: np.ndarray) -> None:
    copy = spooled.copy()
    copy[3] = 7
    assert (copy[3] == 7).all()
    assert (next(itertools.islice(copy, 3, None)) == 7).all()
    np.testing.assert_array_equal(spooled[3], pictures[3])


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_frames_of_two_sizes_are_refused_in_memory_and_in_a_file(
    limit: int, pictures: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "IN_MEMORY_BYTES", limit)
    with pytest.raises(InputError, match="Frame 2 is 5×4, the first 5×6"):
        gather(iter([*pictures[:2], pictures[2, :4]]), tmp_path)


def test_the_scratch_file_has_no_name_so_nothing_is_left_behind(spooled: np.ndarray, tmp_path: Path) -> None:
    assert len(spooled) == 37
    assert list((tmp_path / "scratch").iterdir()) == []


def test_no_frames_and_unwritable_folders_are_errors(
    pictures: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no frames"):
        gather(iter(()), tmp_path)
    monkeypatch.setattr(keeping, "IN_MEMORY_BYTES", 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="EMOBENCH_CACHE"):
        gather(iter(pictures), tmp_path / "file")


def test_decoding_a_long_clip_holds_no_more_than_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every array that numpy makes is counted: four times the frames, the same peak."""
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(keeping, "IN_MEMORY_BYTES", 1 << 20)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    peaks = []
    for count in (200, 800):
        write_lossless(tmp_path / f"{count}.mkv", (np.roll(image, k, axis=1) for k in range(count)), 25.0)
        tracemalloc.start()
        sample = video_sample(tmp_path / f"{count}.mkv", "long")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(sample.frames) == count
        np.testing.assert_array_equal(sample.frames[count - 1], np.roll(image, count - 1, axis=1))
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 800 * image.nbytes / 3


MARKS = """
import mmap
from emobench.memory import PeakMemory

def used(mebibytes):
    with PeakMemory() as peak, mmap.mmap(-1, mebibytes << 20) as fresh:
        for place in range(0, len(fresh), 4096):
            fresh[place] = 1
    return peak.added_rss_bytes

small = used(1)
left_behind = b"x" * (200 << 20)
print(small, used(96), used(1))
"""


def test_added_memory_is_what_is_used_inside_whatever_the_process_held_before() -> None:
    """In a process of its own, with fresh pages: an allocator hands out again what older tests have left."""
    told = subprocess.run([sys.executable, "-c", MARKS], check=True, capture_output=True, text=True).stdout
    if "None" in told:
        pytest.skip("this system does not let a process reset its memory mark")
    small, large, after = (int(number) for number in told.split())
    assert large == pytest.approx(96 << 20, rel=0.05)
    assert max(small, after) < 4 << 20
