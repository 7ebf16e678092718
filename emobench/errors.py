"""Errors a user can act on: each says what, where and what next. Nothing here knows about any plugin."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INCOMPLETE = 0, 1, 2, 3


class EmobenchError(Exception):
    """Base of all errors shown as one line; `exit_code` is what the command line returns."""

    exit_code = EXIT_FAILED


class UsageError(EmobenchError):
    """The command, name, option or config key is wrong."""

    exit_code = EXIT_USAGE


class InputError(EmobenchError):
    """A file or folder handed to us cannot be used: missing, empty, truncated, wrong kind."""

    exit_code = EXIT_USAGE


class Unavailable(EmobenchError):
    """Something optional (a weight, a package, a judge) is not here; the text says why and how to get it."""

    exit_code = EXIT_USAGE


class UnscoredError(EmobenchError):
    """This clip cannot be scored by this metric; the text becomes the score's `reason`."""


class Inapplicable(UnscoredError):
    """Nothing is wrong with the clip: the metric does not apply to it (no tag, no timing, too small a picture)."""


def suggest(kind: str, name: str, known: Iterable[str]) -> str:
    """One line for an unknown name: the nearest known one, and the command that lists them all."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {kind} {name!r}.{hint} See: emobench list {kind}s"
