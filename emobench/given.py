"""What a user names, checked before it is used: folders to write into, array files to read. Knows no command.

Its words are for files that belong to the user; those of emobench.cache, which may be made again, have their own.
"""

from __future__ import annotations

import lzma
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError

FORMATS = "see docs/trackers.md"


def require_folder(path: Path) -> None:
    """Raises InputError where no file could be written below `path`; leaves nothing behind.

    Tried and not asked for: to the superuser the permissions of /proc and of read-only disks promise too much.
    """
    nearest = next((folder for folder in (path, *path.parents) if os.path.lexists(folder)), path)
    if not os.path.isdir(nearest):
        kind = "a file" if os.path.exists(nearest) else "a link that leads nowhere"
        raise InputError(f"{nearest} is {kind}, expected a folder. Choose another with --out.")
    try:
        with tempfile.TemporaryDirectory(prefix=".emobench-", dir=nearest):
            pass
    except OSError as error:
        raise InputError(
            f"Cannot write the folder {path}: nothing can be made in {nearest} ({error.strerror or error}). "
            "Choose another with --out."
        ) from error


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a user's .npz. Raises InputError that says what the file is instead; loads no pickle."""
    if not os.path.exists(path):
        raise InputError(f"{path} does not exist.")
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder; name a .npz file.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} cannot be read: permission denied.")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is no npz file; {FORMATS}.")
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RuntimeError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path} is damaged, or holds Python objects in place of numbers; {FORMATS}.") from error
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise InputError(f"{path} is an archive of other files, no npz file; {FORMATS}.")
    return arrays
