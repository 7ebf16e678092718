"""Reads coefficient files as external trackers leave them: one file of a recording, or a folder with one per frame.

.npz, .npy and .mat (up to MATLAB 7.2); pickles are refused, because loading one can run any code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.given import FORMATS, read_arrays

SUFFIXES = (".npz", ".npy", ".mat")
PICKLES = (".pkl", ".pickle", ".p", ".pt", ".pth", ".tar", ".joblib")
_PER_CLIP = ("pivot", "tform", "trans_params")  # may be told once for all frames
_NUMBER = re.compile(r"\d+")


def read_coefficients(path: Path, n_frames: int) -> dict[str, NDArray[Any]]:
    """Arrays by name, first axis time. Frames that a numbered folder leaves out are NaN.

    Raises InputError on pickles, on unreadable files and where there are not `n_frames` frames.
    """
    if not path.exists():
        raise InputError(f"{path} is not there.")
    if path.is_file():
        arrays = _read_file(path)
    elif _is_one_recording(path):
        arrays = {p.stem: _read_npy(p) for p in sorted(path.glob("*.npy"))}
    else:
        return _read_frames(path, n_frames)
    counts = {name: len(array) for name, array in arrays.items() if array.ndim > 1 and name not in _PER_CLIP}
    wrong = {name: count for name, count in counts.items() if count != n_frames and name in _KNOWN}
    if wrong:
        found = ", ".join(f"{name} {count}" for name, count in wrong.items())
        raise InputError(f"{path} holds {found} frames, the video {n_frames}. Track the very frames of the video.")
    return arrays


_KNOWN = ("exp", "pose", "cam", "coeff", "full_3dmm", "angle", "trans", "landmarks")


def _is_one_recording(folder: Path) -> bool:
    """Whether the folder holds arrays by name, exp.npy and the like, with time along their first axis."""
    path = folder / "exp.npy"
    return path.is_file() and _read_npy(path).ndim > 1


def _read_frames(folder: Path, n_frames: int) -> dict[str, NDArray[Any]]:
    entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    for entry in entries:
        _refuse_pickle(entry)
    found = [(p, frame) for p in entries if (frame := _frame(p)) is not None]
    if not found:
        raise InputError(f"{folder} holds no coefficient files ({', '.join(SUFFIXES)}), neither per frame nor as one.")
    counted = dict(zip(_numbers([p for p, _ in found]), found, strict=True))
    if len(counted) < len(found):
        raise InputError(f"{folder}: two files carry the same frame number.")
    numbers = sorted(counted)
    first = numbers[0]
    last = numbers[-1] - first
    if last >= n_frames:
        raise InputError(f"{folder} counts {last + 1} frames, from {first} to {numbers[-1]}; the video has {n_frames}.")
    stacked: dict[str, NDArray[Any]] = {}
    for number in numbers:
        path, frame = counted[number]
        for name, array in frame.items():
            if array.dtype.kind not in "fiu":
                continue
            value = np.squeeze(np.asarray(array, np.float64))
            whole = stacked.setdefault(name, np.full((n_frames, *value.shape), np.nan))
            if whole.shape[1:] != value.shape:
                raise InputError(f"{path}: {name} has shape {value.shape}, in frames before {whole.shape[1:]}.")
            whole[number - first] = value
    return stacked


def _frame(path: Path) -> dict[str, NDArray[Any]] | None:
    """The arrays of one frame: a file, or a folder with exp.npy and the like; None where it is neither."""
    if path.is_file():
        return _read_file(path) if path.suffix.lower() in SUFFIXES else None
    parts = {p.stem: _read_npy(p) for p in _children(path)}
    return parts or None


def _children(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        _refuse_pickle(path)
        if path.suffix.lower() == ".npy":
            yield path


def _numbers(paths: Sequence[Path]) -> list[int]:
    """The frame number of each name: of its numbers the last that is not the same in all names."""
    digits = [[int(group) for group in _NUMBER.findall(p.stem)] for p in paths]
    if not digits[0] or len({len(groups) for groups in digits}) > 1:
        raise InputError(f"{paths[0].parent}: names such as {paths[0].name} and {paths[-1].name} do not count frames.")
    columns = list(zip(*digits, strict=True))
    counting = [column for column in columns if len(set(column)) > 1]
    return list((counting or columns)[-1])


def _read_file(path: Path) -> dict[str, NDArray[Any]]:
    _refuse_pickle(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return read_arrays(path)
    if suffix == ".npy":
        return {"coeff": _read_npy(path)}
    if suffix == ".mat":
        return _read_mat(path)
    raise InputError(f"{path}: {path.suffix or 'no suffix'} is not read; {', '.join(SUFFIXES)} are.")


def _read_npy(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} is no npy file, or holds Python objects in place of numbers; {FORMATS}.") from error


def _read_mat(path: Path) -> dict[str, NDArray[Any]]:
    from scipy.io import loadmat

    try:
        stored = loadmat(path)
    except NotImplementedError as error:
        raise InputError(f"{path} is a MATLAB 7.3 file. Save it with '-v7', or as .npz.") from error
    except (OSError, ValueError, TypeError, EOFError, IndexError) as error:
        raise InputError(f"Cannot read {path}: {error}") from error
    return {name: np.asarray(array) for name, array in stored.items() if not name.startswith("__")}


def _refuse_pickle(path: Path) -> None:
    if path.suffix.lower() in PICKLES:
        raise InputError(
            f"{path} is a pickle, and loading one can run any code: it is refused. Where you trust it, save its arrays "
            "with numpy.savez(…, exp=…, pose=…, cam=…) and convert that."
        )
