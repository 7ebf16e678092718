"""A fixed crew of threads for independent tasks, each of which runs its torch operations on one core.

Results come back in the order of the tasks, so what is made of them does not depend on how many threads there are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import torch

Task = TypeVar("Task")
Result = TypeVar("Result")


class _OneTorchThread:
    """Holds torch at one thread a call while at least one crew is at work; torch's count is global to the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._crews = 0
        self._outside = 1

    def enter(self) -> None:
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
        """All results, in order."""
        if self._pool is None:
            return [function(task) for task in tasks]
        return list(self._pool.map(function, tasks))

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
