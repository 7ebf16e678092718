"""Makes many clips in worker processes: resumable, with progress, the same bytes for any number of workers."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from emobench.types import Progress

from .recipe import Recipe
from .recording import Studio
from .storage import CARD, NOVEL, VIDEO

STALE_SECONDS = 900.0  # temporary folders older than this were left by a killed process

_studio: Studio | None = None  # of this worker process


def is_made(recipe: Recipe, root: Path) -> bool:
    """Whether the clip's folder is complete. A clip that gained pixels or novel views is made again."""
    folder = root / recipe.id
    wanted = [CARD, *([VIDEO] if recipe.has_pixels else []), *([NOVEL] if recipe.novel_every else [])]
    return all((folder / name).exists() for name in wanted)


def produce(recipes: Sequence[Recipe], root: Path, workers: int, progress: Progress) -> int:
    """Make the missing clips under `root`; returns how many were made."""
    remove_stale(root)
    missing = [recipe for recipe in recipes if not is_made(recipe, root)]
    if not missing:
        return 0
    root.mkdir(parents=True, exist_ok=True)
    with _pool(min(workers, len(missing))) as pool:
        # Apart, because a clip with pixels takes fifty times as long: each step's ETA then means something.
        for label, filmed in (("puppet: voice and motion", False), ("puppet: frames", True)):
            jobs = [pool.submit(_record, r, root) for r in missing if r.has_pixels == filmed]
            for job in progress.track(as_completed(jobs), label, total=len(jobs)) if jobs else ():
                job.result()
    return len(missing)


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Spawned workers; on an error or Ctrl-C what has not begun is dropped, what has begun is finished or removed."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(max_workers=workers, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def remove_stale(root: Path) -> None:
    """Delete temporary folders of killed processes."""
    for folder in root.glob(".*-*"):
        if folder.is_dir() and time.time() - folder.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _start_worker() -> None:
    """One thread each: the pool is the parallelism, and single-threaded sums are the same everywhere."""
    import cv2
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A pool whose parent was killed would wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _record(recipe: Recipe, root: Path) -> str:
    global _studio  # noqa: PLW0603 - the studio is what a worker process is for
    if _studio is None:
        _studio = Studio()
    if not is_made(recipe, root):
        _studio.record(recipe, root / recipe.id)
    return recipe.id
