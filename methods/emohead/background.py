"""Trains the expression module in a process of its own while the portraits train here. Knows no networks.

Measured on two cores: the small network gains nothing from a second thread, so the two trainings share the processors
best side by side. Results do not depend on it: the module trains on one thread either way.
"""

from __future__ import annotations

import ctypes
import multiprocessing
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from emobench.cache import writing_folder
from emobench.errors import EmobenchError
from emobench.types import Clip, Progress

from .checkpoint import load_expression, save_expression
from .clips import read_recordings
from .config import EmoHeadConfig
from .fitting import fit_expression
from .model import ExpressionModel
from .sharing import shared_trainings

POLL_SECONDS = 0.2
LONG_STEP = "emohead: expression"  # the step whose items are counted across processes


class BackgroundFit:
    """A running training: wait for it with `result`, or end it with `stop`."""

    def __init__(
        self, clips: Sequence[Clip], config: EmoHeadConfig, seed: int, folder: Path, cache_dir: Path
    ) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.folder, self.cache_dir = folder, cache_dir
        self.total = config.training.steps_for(len(clips))
        self.done = spawn.Value(ctypes.c_long, 0)
        self.answer, theirs = spawn.Pipe(duplex=False)
        arguments = (list(clips), config, seed, folder, cache_dir, self.done, theirs)
        self.process = spawn.Process(target=_fit, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def result(self, threads: int, progress: Progress) -> ExpressionModel:
        """The trained module, loaded for `threads`, with its notes shown. Errors of the child come through."""
        for _ in progress.track(self._steps(), LONG_STEP, total=self.total):
            pass
        try:
            outcome = self.answer.recv()
        except EOFError as error:
            raise EmobenchError(
                "The process that trains EmoHead's expression module died (out of memory?). Run again with --threads 1."
            ) from error
        finally:
            self.process.join()
        if isinstance(outcome, Exception):
            raise outcome
        for note in outcome:
            progress.note(note)
        return load_expression(self.folder, threads, self.cache_dir)[0]

    def stop(self) -> None:
        """End the training; nothing of it remains."""
        self.process.kill()
        self.process.join()

    def _steps(self) -> Iterator[int]:
        """One item for every finished step; ends early when the child has answered or died."""
        shown = 0
        while shown < self.total and not self.answer.poll(POLL_SECONDS):
            while shown < min(self.done.value, self.total):
                shown += 1
                yield shown
            if not self.process.is_alive():
                return
        if self.done.value >= self.total:
            yield from range(shown, self.total)


class _CountingProgress:
    """Counts the items of the long step in shared memory and keeps notes for the parent."""

    def __init__(self, counter: Any) -> None:
        self.counter = counter
        self.notes: list[str] = []

    def track(self, items: Any, label: str, total: int | None = None) -> Iterator[Any]:
        for item in items:
            yield item
            if label == LONG_STEP:
                self.counter.value += 1

    def note(self, text: str) -> None:
        self.notes.append(text)


def _fit(
    clips: list[Clip], config: EmoHeadConfig, seed: int, folder: Path, cache_dir: Path, counter: Any,
    answer: Connection,
) -> None:
    progress = _CountingProgress(counter)
    try:
        shared = shared_trainings(clips, config, seed, cache_dir, progress)
        recordings = read_recordings(clips, progress)
        model = fit_expression(
            recordings, config, seed=seed, threads=1, progress=progress, stage1=shared, cache_dir=cache_dir
        )
        with writing_folder(folder) as temporary:
            save_expression(temporary, model, ())
    except Exception as error:  # crosses to the parent, which raises it
        answer.send(error)
    else:
        answer.send(progress.notes)
