"""The command group `emobench check`: parse, call `conformance`, print. Heavy imports wait for a command to run."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from emobench.errors import EXIT_FAILED
from emobench.options import Json, Quiet, prepare_process

check_app = typer.Typer(
    help="Check that a plugin keeps its promises: method.", no_args_is_help=True, rich_markup_mode=None
)


@check_app.callback()
def options() -> None:
    """Check that a plugin keeps its promises."""


@check_app.command("method")
def check_method_command(
    name: Annotated[str, typer.Argument(help="Method or method/preset.")],
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="A dataset that emobench makes.")] = "puppet-tiny",
    sets: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE of the method; repeatable.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train and render twice on a small dataset: frames, repetition, checkpoint, and no look at the target."""
    prepare_process(1)
    from emobench.conformance import check_spec, configured, make_world
    from emobench.progress import make_progress

    spec, config = configured(name, sets or [])  # an unknown name or key is told before anything is made
    progress = make_progress(quiet)
    with tempfile.TemporaryDirectory(prefix="emobench-check-") as folder:
        findings = check_spec(spec, config, make_world(Path(folder), dataset, progress), progress)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1, ensure_ascii=False))
    else:
        for finding in findings:
            print(f"{'ok    ' if finding.passed else 'FAILED'} {finding.check}: {finding.detail}")
    if not all(finding.passed for finding in findings):
        raise typer.Exit(EXIT_FAILED)
