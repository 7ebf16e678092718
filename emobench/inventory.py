"""What a dataset can tell about itself beyond its clips: optional abilities that `emobench data` asks for.

A dataset object that has none of them is served by generic code. Knows no dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from emobench.types import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFacts:
    """Counts of one split. `frames` and `seconds` are of the clips that are on disk."""

    name: str
    clips: int
    with_pixels: int
    on_disk: int
    frames: int
    seconds: float
    subjects: tuple[str, ...]
    emotions: tuple[str, ...]
    sha256: str | None = None  # of the split's recipe, where the dataset has one per split


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What there is of a dataset, made or not."""

    splits: tuple[SplitFacts, ...]
    root: Path | None  # where prepared clips lie
    bytes_on_disk: int
    bytes_to_make: int | None  # estimate of what is not made yet; None = unknown
    schema: str  # version of the files of a clip, "" = none


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Outcome of comparing what lies on disk with its checksums."""

    checked: int  # clips
    missing: int  # clips that are not made
    faults: tuple[str, ...]  # one line each: clip, file, what is wrong
    damaged: tuple[str, ...] = ()  # clips with a fault


@runtime_checkable
class HasInventory(Protocol):
    """Counts without making anything."""

    def inventory(self) -> Inventory: ...


@runtime_checkable
class CanVerify(Protocol):
    """Knows the checksums of its clips' contents."""

    def verify(self, progress: Progress) -> Verification: ...


@runtime_checkable
class CanDiscard(Protocol):
    """Can make clips again that were deleted."""

    def discard(self, clips: Sequence[str]) -> None: ...


@runtime_checkable
class CanPreview(Protocol):
    """Draws its own contact sheet and film under `out`; returns what was written."""

    def preview(self, out: Path, progress: Progress) -> Sequence[Path]: ...
