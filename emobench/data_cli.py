"""The command group `emobench data`: parse, call `data_commands`, print. Heavy imports wait for a command to run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from emobench import environment
from emobench.options import Json, Quiet, Threads, prepare_process

data_app = typer.Typer(
    help="Datasets: facts, contact sheet and film, checksums.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[str, typer.Argument(metavar="DATASET", help="Name from emobench list datasets.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE of the dataset's configuration; repeatable.")]
Root = Annotated[Path | None, typer.Option("--data-root", help="Where the dataset lies on disk.")]
Config = Annotated[Path | None, typer.Option("--config", help="YAML with a section dataset:.")]


@data_app.command("info")
def data_info(
    dataset: Name, data_root: Root = None, sets: Sets = None, config: Config = None, threads: Threads = 0,
    as_json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """What a dataset holds: splits, clips, subjects, size on disk. A generated one need not be made for it."""
    from emobench import data_commands

    spec, opened, _ = _open(dataset, data_root, sets, config, threads, quiet)
    found = data_commands.info(spec, opened)
    if as_json:
        print(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False))
    else:
        print("\n".join(data_commands.info_lines(found)))


@data_app.command("prepare")
def data_prepare(
    dataset: Name,
    split: Annotated[str, typer.Option("--split", help="One split; default: those that a run needs.")] = "",
    data_root: Root = None, sets: Sets = None, config: Config = None, threads: Threads = 0, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Generates or tracks what is not on disk yet; resumes where it was stopped."""
    from emobench import data_commands

    spec, opened, _ = _open(dataset, data_root, sets, config, threads, quiet)
    print(data_commands.prepare(spec, opened, split))


@data_app.command("preview")
def data_preview(
    dataset: Name,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pictures.")] = Path("preview"),
    data_root: Root = None, sets: Sets = None, config: Config = None, threads: Threads = 0, quiet: Quiet = False,
) -> None:  # fmt: skip
    """A contact sheet (PNG) of subjects and emotions, and a film with sound (mp4)."""
    from emobench import data_commands

    spec, opened, progress = _open(dataset, data_root, sets, config, threads, quiet)
    for path in data_commands.preview(spec, opened, out, progress):
        print(path)


@data_app.command("verify")
def data_verify(
    dataset: Name, data_root: Root = None, sets: Sets = None, config: Config = None, threads: Threads = 0,
    repair: Annotated[bool, typer.Option("--repair", help="Make damaged clips again.")] = False,
    as_json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Compares what is on disk with its checksums. Exit code 1: something differs; 3: nothing is made yet."""
    from emobench import data_commands

    _, opened, progress = _open(dataset, data_root, sets, config, threads, quiet)
    found = data_commands.verify(opened, progress)
    if repair and found.damaged:
        progress.note("\n".join(found.faults))
        found = data_commands.repair(opened, found, progress)
    if as_json:
        told = {"checked": found.checked, "missing": found.missing, "faults": list(found.faults)}
        print(json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False))
    else:
        for fault in found.faults:
            print(fault)
        print(f"{dataset}: {found.checked} clips checked, {len(found.faults)} faults, {found.missing} not made")
    if found.damaged:
        print(f"To make damaged clips again: emobench data verify {dataset} --repair", file=sys.stderr)
    if not found.checked:
        print(f"Nothing of {dataset} is made yet. To make it: emobench data prepare {dataset}", file=sys.stderr)
    raise typer.Exit(data_commands.exit_code(found))


def _open(
    name: str, data_root: Path | None, sets: list[str] | None, config: Path | None, threads: int, quiet: bool
) -> tuple[Any, Any, Any]:
    prepare_process(threads)
    from emobench.data_commands import Asked, open_asked
    from emobench.progress import make_progress

    progress = make_progress(quiet)
    asked = Asked(
        name=name, sets=sets or [], config_file=config, data_root=data_root,
        threads=threads or environment.thread_count(), cache_dir=environment.cache_dir(),
    )  # fmt: skip
    return *open_asked(asked, progress), progress
