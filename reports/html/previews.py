"""Chooses which clips a page embeds, within a budget of bytes, and turns their files into data URIs."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emobench.store import PlanRow

from ..summary import MethodRow

GROUND_TRUTH = "ground_truth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One column of the player: a method's preview files by clip."""

    label: str
    files: Mapping[str, Path]
    is_reference: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much a page may embed: clips per method, and megabytes of base64 over all of them."""

    clips_per_method: int = 8
    megabytes: float = 13.0  # leaves room for tables and figures in a page of 15 MB


def takes(rows: Sequence[MethodRow]) -> list[Take]:
    """Ground truth first (a reported run, else one found beside the runs), then every method's first seed."""
    own = [
        Take(label=row.label, files=_inside(row.runs[0].dir, row.runs[0].previews), is_reference=_is_truth(row))
        for row in rows
    ]
    references = [take for take in own if take.is_reference]
    if not references and (found := _found_beside(rows)):
        references = [Take(label=f"{GROUND_TRUTH} (not scored here)", files=found, is_reference=True)]
    return references[:1] + [take for take in own if take not in references[:1]]


def _is_truth(row: MethodRow) -> bool:
    return row.method == GROUND_TRUTH and bool(row.runs[0].previews)


def _inside(directory: Path, files: Mapping[str, Path]) -> dict[str, Path]:
    """Previews that really lie in their run: a clip id such as '../../x' must not embed a stranger's file."""
    root = directory.resolve()
    return {clip: path for clip, path in files.items() if path.resolve().is_relative_to(root)}


def _found_beside(rows: Sequence[MethodRow]) -> dict[str, Path]:
    """Previews of runs/<dataset>/ground_truth/, which lies beside every other method's folder."""
    folder = rows[0].runs[0].dir.parent.parent / GROUND_TRUTH
    wanted = {plan.clip for row in rows for plan in row.runs[0].plan}
    files = {path.stem: path for path in sorted(folder.glob("*/predictions/*.mp4"))}
    return _inside(folder, {clip: path for clip, path in files.items() if clip in wanted})


def choose_clips(plan: Sequence[PlanRow], columns: Sequence[Take], budget: Budget) -> list[str]:
    """Clips to embed, in plan order: one of each emotion in turn, until either limit is reached."""
    by_emotion: dict[str, list[str]] = {}
    for row in plan:
        if any(row.clip in take.files for take in columns):
            by_emotion.setdefault(row.emotion or "", []).append(row.clip)
    turns: list[str] = []
    while any(by_emotion.values()):
        turns.extend(clips.pop(0) for clips in by_emotion.values() if clips)
    chosen: set[str] = set()
    used = 0.0
    for clip in turns[: budget.clips_per_method]:
        used += sum(take.files[clip].stat().st_size for take in columns if clip in take.files) * 4 / 3 / 1e6
        if used > budget.megabytes:
            break
        chosen.add(clip)
    return [row.clip for row in plan if row.clip in chosen]


def data_uri(path: Path) -> str:
    """The file as a data URI that a page can hold."""
    return "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
