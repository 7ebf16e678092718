"""The only maker of keys: canonical JSON in, sha256 out. Knows nothing about what is keyed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS = 64  # of an array, hashed at once


def canonical_json(value: Any) -> str:
    """Sorted keys, no spaces, UTF-8; floats as Python prints them. Raises TypeError on what JSON cannot hold."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_text(text: str) -> str:
    """sha256 of UTF-8 text, 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def hash_value(value: Any) -> str:
    """sha256 of a JSON-like value, independent of key order."""
    return hash_text(canonical_json(value))


def hash_file(path: Path) -> str:
    """sha256 of a file's bytes, read in 1 MiB blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def hash_arrays(arrays: Iterable[NDArray[Any]]) -> str:
    """sha256 over shapes, dtypes and bytes of arrays in order, some rows at a time: a long clip is never copied."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        rows = array.reshape(1) if array.ndim == 0 else array
        for start in range(0, len(rows), _ROWS):
            digest.update(np.ascontiguousarray(rows[start : start + _ROWS]).tobytes())
    return digest.hexdigest()


def code_hash(packages: Iterable[str]) -> str:
    """sha256 over the Python sources of packages or modules, found without importing them (beyond their parents)."""
    sources: dict[str, str] = {}
    for name in sorted(set(packages)):
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}")
        roots = list(spec.submodule_search_locations or [])
        files = [p for root in roots for p in sorted(Path(root).rglob("*.py"))] or [Path(spec.origin or "")]
        base = Path(roots[0]) if roots else files[0].parent
        for path in files:
            sources[f"{name}/{path.relative_to(base).as_posix()}"] = hash_file(path)
    return hash_value(sources)


def short(key: str, digits: int = 12) -> str:
    """The leading digits of a key, for folder names and tables."""
    return key[:digits]


def identity(parts: Mapping[str, Any]) -> str:
    """Identity of a run or cached product from its named parts."""
    return hash_value(dict(parts))
