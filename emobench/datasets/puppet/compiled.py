"""The one way kernels are compiled here: numba, cached on disk, one thread, no fastmath, numpy's error model.

Numba's cache notices a change of the file that holds a kernel, but not of constants and kernels which that file
imports: after an update of those the old machine code would run on. Here the cache's stamp covers them too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
from numba import njit

from emobench.hashing import hash_arrays, hash_text
from emobench.kernel_storage import can_store_kernels

P = ParamSpec("P")
R = TypeVar("R")

_stamps: dict[int, str] = {}  # by id of a compiled kernel


def jit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel; the same input gives the same bytes on every machine and with every number of workers."""
    kernel: Any = njit(cache=can_store_kernels(), error_model="numpy", boundscheck=False)(function)
    stamp = hash_text("\n".join(_seen(cast("Any", function).__globals__)))
    file = getattr(getattr(kernel, "_cache", None), "_cache_file", None)  # absent where nothing is stored
    if file is not None:
        file._source_stamp = (file._source_stamp, stamp)
    _stamps[id(kernel)] = stamp
    return cast("Callable[P, R]", kernel)


def _seen(names: Mapping[str, Any]) -> Iterator[str]:
    """One line for everything at module level that a kernel defined there may use as a constant or call."""
    for name, value in sorted(names.items()):
        if id(value) in _stamps:
            yield f"{name} {_stamps[id(value)]}"
        elif isinstance(value, np.ndarray):
            yield f"{name} {hash_arrays([value])}"
        elif isinstance(value, type) and issubclass(value, Enum):
            yield f"{name} {[(member.name, member.value) for member in value]}"
        elif isinstance(value, (int, float, tuple)):
            yield f"{name} {value!r}"
