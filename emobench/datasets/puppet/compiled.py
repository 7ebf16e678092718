"""The one way kernels are compiled here: numba, cached on disk, one thread, no fastmath, numpy's error model."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def jit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel; the same input gives the same bytes on every machine and with every number of workers."""
    return cast("Callable[P, R]", njit(cache=True, error_model="numpy", boundscheck=False)(function))
