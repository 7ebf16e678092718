"""The only reader of environment variables: where caches, weights and test data lie, and how many threads to use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path


def cache_dir() -> Path:
    """Root of the content-addressed caches: EMOBENCH_CACHE, else the user's cache folder."""
    value = os.environ.get("EMOBENCH_CACHE")
    if value:
        return Path(value).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "emobench"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emobench"


def weight_dirs() -> tuple[Path, ...]:
    """Folders searched for weights, first match wins: EMOBENCH_WEIGHTS (pre-placed files), then our own downloads."""
    given = os.environ.get("EMOBENCH_WEIGHTS")
    own = cache_dir() / "weights"
    return (Path(given).expanduser(), own) if given else (own,)


def hub_dir() -> Path:
    """The Hugging Face cache of pretrained networks: HF_HUB_CACHE, HF_HOME/hub, else where its tools put it."""
    given, home = os.environ.get("HF_HUB_CACHE"), os.environ.get("HF_HOME")
    if given:
        return Path(given).expanduser()
    if home:
        return Path(home).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface" / "hub"


def passed_on(names: Iterable[str]) -> dict[str, str]:
    """The variables of these names that are set: all that a bare child process is given."""
    return {name: os.environ[name] for name in names if name in os.environ}


def is_offline() -> bool:
    """EMOBENCH_OFFLINE=1: never touch the network."""
    return os.environ.get("EMOBENCH_OFFLINE", "") not in ("", "0")


def thread_count() -> int:
    """EMOBENCH_THREADS, else the processors this process may use."""
    value = os.environ.get("EMOBENCH_THREADS")
    if value and value.isdigit() and int(value) > 0:
        return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
