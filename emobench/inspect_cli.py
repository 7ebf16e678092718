"""The command `emobench inspect`: parse, call `inspection`, print. Heavy imports wait for the command to run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emobench import environment
from emobench.errors import UsageError
from emobench.options import Json, Quiet, Threads, prepare_process


def inspect_command(
    run: Annotated[Path, typer.Argument(help="Run directory, or the folder that holds it.")],
    hyperplanes: Annotated[bool, typer.Option("--hyperplanes", help="Look into the method's hyperplanes.")] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", "-o", help="Also draw the hyperplanes: .png, .svg or .pdf.")
    ] = None,
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What a run holds; with --hyperplanes, what its method learned.

    That is: accuracy of the hyperplanes, cosines between them, what w moves, and τ.
    """
    if picture is not None and not hyperplanes:
        raise UsageError("--picture draws hyperplanes: add --hyperplanes.")
    from emobench.store import load_run, to_json
    from emobench.trained import one_run

    if not hyperplanes:
        from emobench.inspection import run_facts
        from emobench.inspection_tables import fact_lines

        facts = run_facts(load_run(one_run(run)))
        print(to_json(facts).rstrip() if as_json else "\n".join(fact_lines(facts)))
        return
    prepare_process(threads)
    _inspect_planes(run, picture, threads or environment.thread_count(), as_json, quiet)


def _inspect_planes(run: Path, picture: Path | None, threads: int, as_json: bool, quiet: bool) -> None:
    from emobench.inspection import inspect_planes
    from emobench.inspection_figure import require_picture, write_planes
    from emobench.inspection_tables import plane_tables
    from emobench.progress import make_progress
    from emobench.store import to_json
    from emobench.trained import open_method, trained_run

    if picture is not None:
        require_picture(picture)
    progress = make_progress(quiet)
    record = trained_run(run)
    method = open_method(record, threads=threads, progress=progress, cache_dir=environment.cache_dir())
    report = inspect_planes(record, method, progress)
    if picture is not None:
        write_planes(report, picture)
        progress.note(f"open {picture}")
    if as_json:
        print(to_json(report.to_json()).rstrip())
    else:
        from rich.console import Console

        Console(highlight=False).print(plane_tables(report))
