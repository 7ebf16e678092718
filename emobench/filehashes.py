"""sha256 of files, remembered by size and modification time so that each is read once. Knows no kind of file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

from emobench.cache import write_text
from emobench.errors import InputError
from emobench.hashing import hash_file


class HashMemory:
    """Hashes kept in one JSON file: {path: [size, mtime_ns, sha256]}. The file stays on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def hash(self, file: Path, *, anew: bool = False) -> str:
        """sha256 of one file; `anew` reads it even when it looks unchanged."""
        return self.hash_all([file], anew=anew)[0]

    def hash_all(self, files: Iterable[Path], *, anew: bool = False) -> list[str]:
        """sha256 of each file in order."""
        known = self._load()
        digests, is_changed = [], False
        for file in files:
            state, key = file.stat(), str(file.resolve())
            entry = known.get(key)
            if not anew and entry is not None and entry[:2] == [state.st_size, state.st_mtime_ns]:
                digests.append(str(entry[2]))
                continue
            digests.append(hash_file(file))
            known[key], is_changed = [state.st_size, state.st_mtime_ns, digests[-1]], True
        if is_changed:
            # a cache that cannot be written costs a second hash next time, nothing else
            with contextlib.suppress(InputError, OSError):
                write_text(self.path, json.dumps(known, sort_keys=True, indent=1))
        return digests

    def _load(self) -> dict[str, list[object]]:
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(stored, dict):
            return {}
        return {key: entry for key, entry in stored.items() if isinstance(entry, list) and len(entry) == 3}
