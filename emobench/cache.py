"""Content-addressed cache of arrays and folders: write to a temporary name, then rename; a half entry never shows."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.hashing import hash_text


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` (same suffix) that replaces it on success and is removed on failure."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:40]}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror or error}. Choose a writable folder.") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Like `writing` for a whole folder; an existing folder of that name is replaced."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}-", dir=path.parent))
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror or error}. Choose a writable folder.") from error
    try:
        yield temporary
        temporary.chmod(0o755)
        _replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_folder(made: Path, path: Path) -> None:
    """Move `made` to `path`; an older folder is moved aside first, so that no half-deleted one ever shows."""
    while True:
        try:
            os.replace(made, path)  # takes the place of nothing or of an empty folder
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}-old-", dir=path.parent))
        with contextlib.suppress(FileNotFoundError):  # another writer was quicker
            os.replace(path, aside)
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Atomic UTF-8 text with LF line ends."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], *, compress: bool = False) -> None:
    """Atomic .npz without pickles."""
    with writing(path) as temporary:
        if compress:
            np.savez_compressed(temporary, allow_pickle=False, **arrays)
        else:
            np.savez(temporary, allow_pickle=False, **arrays)


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz; raises InputError when it is missing, truncated or holds pickles."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"Cannot read arrays from {path}: {error}. Delete it and run again.") from error


class ArrayCache:
    """Arrays by key under root/kind/ab/abcdef….npz; safe for several writers (last one wins with equal content)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, kind: str, key: str) -> Path:
        name = hash_text(key)
        return self.root / kind / name[:2] / f"{name}.npz"

    def get(self, kind: str, key: str, make: Callable[[], Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
        """The stored arrays of `key`, made and stored first when absent or unreadable."""
        path = self.path(kind, key)
        if path.exists():
            with contextlib.suppress(InputError):
                return load_arrays(path)
        arrays = dict(make())
        save_arrays(path, arrays)
        return arrays
