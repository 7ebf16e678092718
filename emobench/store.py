"""The run directory: what lies where, atomic writes, the lock, and the frozen records read back from it.

runs/<dataset>/<method>/<identity>/ holds run.json, provenance.json, plan.json, subjects.json, checkpoint/,
predictions/<clip>.{mkv,mp4,npz,json}, stats/<clip>.{json,npz}, scores.jsonl and results.json.
Knows no plugin; a newer schema is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emobench.cache import write_text
from emobench.errors import InputError, UsageError
from emobench.types import Result

SCHEMA = 1
FEW = 6  # runs that a message names
TO_MAKE_ONE = "To make a run: emobench run --method METHOD --dataset DATASET."


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """run.json: what this run is. `config` is fully resolved; `passed` is what the user asked for."""

    method: str
    method_version: str
    role: str
    dataset: str
    seed: int
    identity: str
    status: str  # planned, fitting, rendering, scoring, complete or failed
    config: Mapping[str, Any]
    passed: Sequence[str]
    preset: str
    subjects: Sequence[str]
    protocol: str
    dataset_facts: Mapping[str, str]
    judge_report: Mapping[str, Any]
    split_hash: str
    error: str | None = None
    code: str = ""  # leading digits of the hash of the method's source; "" = not recorded
    pasted: bool = False  # heads were composited over the targets' own torso and background
    schema: int = SCHEMA

    @property
    def label(self) -> str:
        """What tables call it: method/preset, and whether it was pasted, which full-frame scores profit from."""
        return "/".join(name for name in (self.method, self.preset) if name) + (" (pasted)" if self.pasted else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """One test clip of the plan."""

    clip: str
    subject: str
    emotion: str | None
    intensity: int | None
    n_frames: int
    transcript: str | None
    sha256: str = ""  # of the reference clip's recipe or bytes: runs on other material are not compared


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One line of scores.jsonl."""

    clip: str
    subject: str
    emotion: str | None
    intensity: int | None
    metric: str
    value: float | None
    reason: str | None
    detail: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A whole run as read from disk; previews exist for the clips that were rendered."""

    dir: Path
    run: RunInfo
    results: Mapping[str, Result]
    scores: Sequence[ScoreRow]
    plan: Sequence[PlanRow]
    previews: Mapping[str, Path]
    stages: Mapping[str, float]
    provenance: Mapping[str, Any]


def to_json(value: Any) -> str:
    """Indented JSON with sorted keys; dataclasses become objects; NaN and infinity are refused."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def read_json(path: Path) -> Any:
    """A JSON file. Raises InputError when it is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON ({error}). Delete it and run again.") from error


class RunStore:
    """Writer of one run directory."""

    def __init__(self, directory: Path) -> None:
        self.dir = directory

    @property
    def checkpoint(self) -> Path:
        return self.dir / "checkpoint"

    def prediction(self, clip: str, suffix: str) -> Path:
        return self.dir / "predictions" / f"{clip}{suffix}"

    def stats(self, clip: str, suffix: str) -> Path:
        return self.dir / "stats" / f"{clip}{suffix}"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory; the kernel frees the lock when the process dies. Raises UsageError when taken."""
        import fcntl

        try:
            self.dir.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.dir / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(
                f"Cannot write the run directory {self.dir}: {error.strerror or error}. Choose another with --out."
            ) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UsageError(f"Another process is working on {self.dir}. Wait for it, or stop it.") from error
            yield
        finally:
            os.close(handle)

    def write(self, name: str, value: Any) -> None:
        """Atomic JSON file in the run directory."""
        write_text(self.dir / name, to_json(value))

    def write_scores(self, rows: Sequence[ScoreRow]) -> None:
        """scores.jsonl, one row a line."""
        lines = (
            json.dumps(_plain(row), sort_keys=True, ensure_ascii=False, allow_nan=False, default=_plain) for row in rows
        )
        write_text(self.dir / "scores.jsonl", "".join(f"{line}\n" for line in lines))

    def write_results(self, results: Mapping[str, Result], stages: Mapping[str, float]) -> None:
        """results.json: the same `metrics` object that --json prints, and seconds by stage."""
        self.write("results.json", {"schema": SCHEMA, "metrics": dict(results), "stages": dict(stages)})


def load_run(directory: Path) -> RunRecord:
    """Read a run directory. Raises InputError when it is none, or written by a newer emobench."""
    if not (directory / "run.json").is_file():
        raise InputError(f"{directory} is not a run directory: it holds no run.json. {TO_MAKE_ONE}")
    info = read_json(directory / "run.json")
    if not isinstance(info, dict) or not isinstance(info.get("schema"), int):
        raise InputError(f"{directory / 'run.json'} carries no schema number: not written by emobench.")
    if info["schema"] > SCHEMA:
        raise InputError(
            f"{directory} has schema {info['schema']}; this emobench reads up to {SCHEMA}. Update emobench."
        )
    known = {f.name for f in dataclasses.fields(RunInfo)}
    try:
        run = RunInfo(**{name: value for name, value in info.items() if name in known})
    except TypeError as error:
        raise InputError(f"{directory / 'run.json'} is incomplete: {error}.") from error
    if run.status == "complete" and not (directory / "plan.json").exists():
        raise InputError(
            f"{directory} was complete, but its plan.json is missing. Give its emobench run command again: what is "
            "missing is made anew."
        )
    stored = read_json(directory / "results.json") if (directory / "results.json").exists() else {}
    rows = read_json(directory / "plan.json") if (directory / "plan.json").exists() else []
    try:
        plan = [PlanRow(**row) for row in rows]
        results = {name: Result(**value) for name, value in stored.get("metrics", {}).items()}
    except (TypeError, AttributeError) as error:
        raise InputError(
            f"plan.json or results.json in {directory} is damaged: {error}. Run emobench again."
        ) from error
    previews = {row.clip: directory / "predictions" / f"{row.clip}.mp4" for row in plan}
    provenance = directory / "provenance.json"
    return RunRecord(
        dir=directory,
        run=run,
        results=results,
        scores=_read_scores(directory / "scores.jsonl"),
        plan=plan,
        previews={clip: path for clip, path in previews.items() if _is_film(path)},
        stages=stored.get("stages", {}),
        provenance=read_json(provenance) if provenance.exists() else {},
    )


def _is_film(path: Path) -> bool:
    """Whether the file is there and begins as an MP4 does."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(8)[4:] == b"ftyp"


def _read_scores(path: Path) -> list[ScoreRow]:
    if not path.exists():
        return []
    try:
        return [ScoreRow(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error}. Run emobench again to score anew.") from error


def find_runs(path: Path) -> list[Path]:
    """Run directories at or below `path`, sorted. Raises InputError when there is none."""
    if (path / "run.json").is_file():
        return [path]
    if path.is_file():
        raise InputError(f"{path} is a file, expected a run directory.")
    if not path.is_dir():
        raise InputError(f"No run directory at {path}: the folder does not exist.")
    found = sorted(p.parent for p in path.glob("**/run.json") if p.parent.name[:1] != ".")
    if not found:
        raise InputError(f"No run directory at or below {path}: the folder holds no finished run. {TO_MAKE_ONE}")
    return found


def name_runs(path: Path, found: Sequence[Path], *, seeds_together: bool = False) -> str:
    """The shortest paths that name one of the runs `found` below `path`: at most FEW, then how many more.

    A method's folder stands for its only run, or with `seeds_together` for all of its seeds.
    """
    held = Counter(run.parent for run in found)
    names = dict.fromkeys(
        run.parent if run.parent != path and (seeds_together or held[run.parent] == 1) else run for run in found
    )
    if len(names) == 1:  # one method's runs, which differ in more than the seed: its folder would name them all again
        names = dict.fromkeys(found)
    told = ", ".join(str(name) for name in list(names)[:FEW])
    return told + (f" and {len(names) - FEW} more" if len(names) > FEW else "")
