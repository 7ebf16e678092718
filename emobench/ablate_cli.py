"""The command `emobench ablate`: parse, run, tabulate, print. Heavy imports wait for the command to run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emobench import environment
from emobench.errors import UsageError
from emobench.options import (
    AllowMissing,
    AllowUnpickle,
    Backend,
    Device,
    Json,
    Quiet,
    Threads,
    choose_device,
    prepare_process,
    split_names,
)

if TYPE_CHECKING:
    from emobench.planning import Request


def ablate_command(
    method: Annotated[str, typer.Option("--method", "-m", help="Method whose parts are taken away.")],
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="Dataset name.")],
    rows: Annotated[str, typer.Option("--rows", help="Comma-separated presets, or 'all'; default: ablations.")] = "",
    seeds: Annotated[str, typer.Option("--seeds", help="Comma-separated seeds.")] = "0",
    metrics: Annotated[str, typer.Option("--metrics", help="Comma-separated metric names; default: main ones.")] = "",
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Where the dataset lies on disk.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="For all rows; repeatable.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML with sections method: and dataset:.")] = None,
    split: Annotated[str, typer.Option("--split", help="Clips to score: test, or another with frames.")] = "test",
    protocol: Annotated[str, typer.Option("--protocol", help="See: emobench list protocols.")] = "strict",
    references: Annotated[bool, typer.Option(help="Also run ground truth and trivial references.")] = False,
    report: Annotated[bool, typer.Option(help="Also write the usual report of all rows.")] = True,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of run directories.")] = Path("runs"),
    device: Device = "auto",
    threads: Threads = 0,
    backend: Backend = "auto",
    allow_missing: AllowMissing = False,
    allow_unpickle: AllowUnpickle = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What each part of a method is worth, over seeds, in pairs. Resumes."""
    prepare_process(threads)
    from emobench.ablation import plan_rows
    from emobench.planning import Request

    chosen = plan_rows(method, split_names(rows))
    request = Request(
        methods=[method, *(f"{method}/{row}" for row in chosen)],
        dataset=dataset, data_root=data_root, metrics=split_names(metrics), sets=sets or [], config_file=config,
        seeds=_numbers(seeds), with_references=references, out=out, device=choose_device(device),
        threads=threads or environment.thread_count(), protocol=protocol, split=split,
        backend=backend, allow_unpickle=allow_unpickle,
    )  # fmt: skip
    raise typer.Exit(_ablate(request, method, chosen, report, as_json, quiet, allow_missing))


def _numbers(text: str) -> list[int]:
    try:
        found = [int(part) for part in split_names(text)]
    except ValueError as error:
        raise UsageError(f"--seeds {text}: give whole numbers with commas, for example 0,1,2.") from error
    if min(found, default=0) < 0:
        raise UsageError(f"--seeds {text}: a seed is 0 or more.")
    if not found:
        raise UsageError("--seeds names no seed. Give whole numbers with commas, for example 0,1,2.")
    return list(dict.fromkeys(found))


def _ablate(
    request: Request, method: str, rows: list[str], report: bool, as_json: bool, quiet: bool, allow_missing: bool
) -> int:
    """Run what is missing, tabulate, write and print; the exit code."""
    from emobench.planning import make_plan
    from emobench.progress import make_progress

    plan = make_plan(request)  # names and options first, before the slow imports
    from emobench import ablation_files, ablation_tables
    from emobench.ablation import tabulate
    from emobench.presenting import exit_code, write_reports
    from emobench.runner import run
    from emobench.store import to_json

    progress = make_progress(quiet)
    records = run(request, progress, environment.cache_dir())
    code = exit_code(records, allow_missing=allow_missing)  # said first: without the whole method there is no table
    own = [record for record in records if record.run.method == method]
    table = tabulate(method, rows, own, request.metrics)
    folder = request.out / plan.material / f"ablation-{method}"
    for path in ablation_files.write_tables(table, folder):
        progress.note(f"open {path}")
    if report:
        complete = [record for record in records if record.run.status == "complete"]
        write_reports(complete, folder / "report", [], progress, to_terminal=False, threads=request.threads)
    if as_json:
        print(to_json(ablation_files.as_json(table)).rstrip())
    else:
        from rich.console import Console

        console = Console(highlight=False)
        console.print(ablation_tables.render(table, console.width))
    return code
