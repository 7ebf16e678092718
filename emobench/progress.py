"""Progress on stderr: a bar with ETA on a terminal, a line every ten seconds elsewhere. Never touches stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sized
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

LINE_EVERY_SECONDS = 10.0


def make_progress(quiet: bool = False) -> SilentProgress | TerminalProgress | LineProgress:
    """The display that suits where stderr goes."""
    if quiet:
        return SilentProgress()
    return TerminalProgress() if sys.stderr.isatty() else LineProgress()


def _length(items: Any, total: int | None) -> int | None:
    return total if total is not None else len(items) if isinstance(items, Sized) else None


class SilentProgress:
    """Says nothing; for tests and --quiet."""

    def track(self, items: Any, label: str, total: int | None = None) -> Iterator[Any]:
        yield from items

    def note(self, text: str) -> None:
        return


class TerminalProgress:
    """A rich bar: label, bar, count, elapsed, remaining."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)

    def track(self, items: Any, label: str, total: int | None = None) -> Iterator[Any]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=self.console) as bar:
            yield from bar.track(items, total=_length(items, total), description=f"{label:<28}")

    def note(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)


class LineProgress:
    """One plain line at the start and end of a step, and every ten seconds between with the ETA."""

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def track(self, items: Any, label: str, total: int | None = None) -> Iterator[Any]:
        count = _length(items, total)
        start = last = time.monotonic()
        done = 0
        for item in items:
            yield item
            done += 1
            now = time.monotonic()
            if now - last >= LINE_EVERY_SECONDS and count:
                eta = (now - start) / done * (count - done)
                self.note(f"{label}: {done}/{count}, {now - start:.0f} s, eta {eta:.0f} s")
                last = now
        self.note(f"{label}: {done} done in {time.monotonic() - start:.1f} s")
