"""How the kernels are compiled: serial, without the GIL, and stored on disk where numba finds a folder for that.

Callers run several kernels at once from threads, one frame each, which scales better than parallel loops inside one
and makes every result independent of the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

from emobench.hashing import hash_file, hash_text
from emobench.kernel_storage import can_store_kernels

STORED = can_store_kernels()
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": STORED,
    "boundscheck": False,
    "error_model": "numpy",
    # no "nnan"/"ninf": a diverged training must show as NaN instead of being optimised away
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
}
HERE = Path(__file__)
SOURCES = (
    HERE,
    HERE.with_name("lanes.py"),
    *sorted(HERE.parent.glob("*_kernels.py")),
)
STAMP = hash_text("\n".join(hash_file(path) for path in SOURCES))


def unstored() -> str | None:
    """What to tell where compiled kernels cannot be stored; None where they can."""
    if STORED:
        return None
    return (
        "Numba finds no folder that it may write to: every process compiles its kernels anew, about 12 s. "
        "Set NUMBA_CACHE_DIR to a writable folder."
    )


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called with a type of arguments.

    Numba's own stamp of a stored kernel notices changes of its file, not of kernels and constants imported there: this
    one covers all of them.
    """
    compiled = njit(**OPTIONS)(function)
    file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)  # absent where nothing is stored
    if file is not None:
        file._source_stamp = (file._source_stamp, STAMP)
    return compiled
