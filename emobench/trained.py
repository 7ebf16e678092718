"""Finds finished runs and brings their methods back from the checkpoint. Knows the Method protocol, no method."""

from __future__ import annotations

from pathlib import Path

from emobench import registry
from emobench.config import resolve
from emobench.errors import InputError, UsageError
from emobench.store import RunRecord, RunStore, find_runs, load_run, name_runs
from emobench.subjects import SubjectCard
from emobench.types import Context, Method, Progress


def one_run(path: Path) -> Path:
    """The run directory itself, or the only one below a folder. Raises UsageError where there are several."""
    found = find_runs(path)
    if len(found) > 1:
        raise UsageError(f"{path} holds {len(found)} runs ({name_runs(path, found)}). Name one.")
    return found[0]


def trained_run(path: Path) -> RunRecord:
    """The run at `path`. Raises InputError where it has no checkpoint."""
    record = load_run(one_run(path))
    if not RunStore(record.dir).checkpoint.is_dir():
        raise InputError(f"{record.dir} holds no checkpoint: the run has status {record.run.status!r}. Run it again.")
    return record


def load_method(record: RunRecord, context: Context) -> Method:
    """The method of a run, with its configuration, as its checkpoint holds it."""
    spec = registry.find("method", record.run.method)
    owner = f"method {record.run.method}"
    config = resolve(registry.load_object(spec.config), record.run.config, sets={}, owner=owner)
    method: Method = registry.load_object(spec.factory)(config, context)
    method.load(RunStore(record.dir).checkpoint)
    return method


def open_method(record: RunRecord, *, threads: int, progress: Progress, cache_dir: Path, device: str = "cpu") -> Method:
    """The method of a run, ready to predict and render in this process."""
    from emobench.runner import set_threads  # torch: not for commands that only ask for paths

    set_threads(threads)
    context = Context(seed=0, device=device, threads=threads, cache_dir=cache_dir, progress=progress)
    return load_method(record, context)


def choose_subject(cards: dict[str, SubjectCard], name: str) -> SubjectCard:
    """The card of a subject; the first one for ''. Raises UsageError on an unknown name."""
    if not name:
        return next(iter(cards.values()))
    if name not in cards:
        raise UsageError(f"Unknown subject {name!r}. This run knows: {', '.join(cards)}.")
    return cards[name]
