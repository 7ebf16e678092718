"""A fixed crew of threads for independent tasks, each of which runs its torch operations on one core.

Results come back in the order of the tasks, so what is made of them does not depend on how many threads there are.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from types import TracebackType
from typing import Self, TypeVar

import torch

Task = TypeVar("Task")
Result = TypeVar("Result")


# glibc's mallopt: parameters of malloc.h and their values in bytes
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
KEPT = {TRIM_THRESHOLD: 256 << 20, TOP_PAD: 16 << 20, MMAP_THRESHOLD: 32 << 20}


@cache
def keep_freed_memory() -> None:
    """Let the C library keep what is freed instead of giving it back to the system at once.

    A step's arrays would be mapped, zeroed and unmapped anew every time, for which all threads of a process wait:
    a tenth of a step on one thread, a fifth on two (measured). Does nothing where the C library is not glibc.
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    for parameter, size in KEPT.items():
        if change is not None:
            change(parameter, size)


class _OneTorchThread:
    """Holds torch at one thread a call while at least one crew is at work; torch's count is global to the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._crews = 0
        self._outside = 1

    def enter(self) -> None:
        keep_freed_memory()
        with self._lock:
            if self._crews == 0:
                self._outside = torch.get_num_threads()
            self._crews += 1
            torch.set_num_threads(1)

    def leave(self) -> None:
        with self._lock:
            self._crews -= 1
            if self._crews == 0:
                torch.set_num_threads(self._outside)


_ONE_TORCH_THREAD = _OneTorchThread()


class Workers:
    """Use as a context manager; while it is open, torch itself runs single-threaded in this process."""

    def __init__(self, threads: int) -> None:
        self.threads = max(1, threads)
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        _ONE_TORCH_THREAD.enter()
        if self.threads > 1:
            # torch keeps the count per thread, so every worker has to set its own
            self._pool = ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        _ONE_TORCH_THREAD.leave()

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
        """All results, in order. The caller's thread works too: it would only wait, and waking one is dear."""
        todo = list(tasks)
        if self._pool is None or len(todo) < 2:
            return [function(task) for task in todo]
        results: dict[int, Result] = {}
        order = iter(range(len(todo)))

        def work() -> None:
            for index in order:  # shared: whoever is free takes the next task
                results[index] = function(todo[index])

        others = [self._pool.submit(work) for _ in range(min(self.threads, len(todo)) - 1)]
        try:
            work()
        finally:
            wait(others)
        for other in others:
            other.result()  # raises what a task there raised
        return [results[index] for index in range(len(todo))]

    def stream(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Results one by one, in order; at most two tasks a thread are under way or waiting to be fetched."""
        if self._pool is None:
            yield from map(function, tasks)
            return
        pending: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                pending.append(self._pool.submit(function, task))
                if len(pending) >= 2 * self.threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def spans(length: int, size: int) -> list[tuple[int, int]]:
    """[0, length) cut into pieces of `size`."""
    return [(start, min(length, start + size)) for start in range(0, length, size)]
