"""Runs picklable jobs in worker processes with progress, in whatever order they finish. Knows nothing of the jobs."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from emobench.errors import EmobenchError
from emobench.types import Context

_J = TypeVar("_J")
_R = TypeVar("_R")


def run_jobs(work: Callable[[_J], _R], jobs: Sequence[_J], label: str, context: Context) -> Iterator[tuple[int, _R]]:
    """(index, result) of each job as it finishes; in this process when one worker is all there is.

    `work` must be a function of a module (workers are spawned). Its exceptions come through; a worker that dies
    becomes an EmobenchError.
    """
    if not jobs:
        return
    n_workers = min(context.threads, len(jobs))
    if n_workers <= 1:
        for index, job in enumerate(context.progress.track(jobs, label)):
            yield index, work(job)
        return
    pool = ProcessPoolExecutor(n_workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        indices = {pool.submit(work, job): index for index, job in enumerate(jobs)}
        for future in context.progress.track(as_completed(indices), label, total=len(jobs)):
            yield indices[future], future.result()
    except BrokenProcessPool as error:
        raise EmobenchError(
            f"A worker process died during '{label}' (out of memory?). What is finished is kept; run again, "
            "with fewer workers (EMOBENCH_THREADS=1) if it happens again."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """One thread each: the pool already fills the processors."""
    import cv2

    cv2.setNumThreads(1)
