"""Runs one function over many clips, or metrics of one, in threads; results in their order. Knows no file.

Threads suffice: decoding, filters and networks leave Python's lock. Each worker computes on one thread of its own, so
that sums are added in one order and a result is the same bits for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """work(item) for each, at most `workers` at a time; the first error is raised when its turn comes."""
    with single_threaded(), ThreadPoolExecutor(max(workers, 1), "clip", _one_thread) as pool:
        try:
            yield from pool.map(work, items)
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def single_threaded() -> Iterator[None]:
    """One thread for torch, OpenCV and BLAS inside the block; what was set before afterwards."""
    import cv2
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            cv2.setNumThreads(1)
            _one_thread()
            yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _one_thread() -> None:
    """In the calling thread: OpenMP counts by thread."""
    import torch

    torch.set_num_threads(1)
