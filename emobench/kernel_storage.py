"""Whether numba can store compiled kernels on this machine. Knows no kernel."""

from __future__ import annotations

from functools import cache

from numba import njit


@cache
def can_store_kernels() -> bool:
    """Whether numba finds a folder for them: NUMBA_CACHE_DIR, beside the source file, or the user's own cache."""
    try:
        njit(cache=True)(_nothing)
    except RuntimeError:  # numba's: no locator available
        return False
    return True


def _nothing() -> None:
    """What is asked about; never compiled."""
