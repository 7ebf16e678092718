"""The command line: parse, call one API function, print. Data goes to stdout, progress and errors to stderr.

Heavy modules are imported inside the commands, so that `emobench list` answers at once and imports no torch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emobench import __version__, environment
from emobench.ablate_cli import ablate_command
from emobench.bench_cli import bench_app
from emobench.check_cli import check_app
from emobench.data_cli import data_app
from emobench.errors import EXIT_OK, EXIT_USAGE, EmobenchError, UsageError
from emobench.figures_cli import figures_app
from emobench.inspect_cli import inspect_command
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
from emobench.synth_cli import synth_command
from emobench.track_cli import track_app

if TYPE_CHECKING:
    from emobench.planning import Request

app = typer.Typer(
    name="emobench",
    help="Benchmark and evaluation suite for emotional talking-head synthesis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
weights_app = typer.Typer(
    help="External weights: list, fetch, verify, path.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(weights_app, name="weights")
app.add_typer(data_app, name="data")
app.add_typer(track_app, name="track")
app.add_typer(bench_app, name="bench")
app.add_typer(check_app, name="check")
app.add_typer(figures_app, name="figures")
ClickException: Any = typer.BadParameter.__mro__[
    2
]  # typer bundles click since 0.16: reach its base class through a name it exports

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of run directories.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="For example radiance.steps=300; repeatable.")
]
ProtocolName = Annotated[str, typer.Option("--protocol", help="How clips are measured; see: emobench list protocols.")]
Metrics = Annotated[str, typer.Option("--metrics", help="Comma-separated metric names, or 'all'; default: main ones.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"emobench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Benchmark and evaluation suite for emotional talking-head synthesis."""


@app.command("run")
def run_command(
    method: Annotated[list[str], typer.Option("--method", "-m", help="Method or method/preset; repeatable.")],
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="Dataset name.")],
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Where the dataset lies on disk.")] = None,
    metrics: Metrics = "",
    sets: Sets = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML with sections method: and dataset:.")] = None,
    split: Annotated[str, typer.Option("--split", help="Clips to score: test, or another with frames.")] = "test",
    protocol: ProtocolName = "strict",
    seed: Annotated[int, typer.Option("--seed", min=0, help="First seed.")] = 0,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Number of seeds.")] = 1,
    references: Annotated[bool, typer.Option(help="Also run ground truth and trivial references.")] = True,
    report: Annotated[bool, typer.Option(help="Write the report.")] = True,
    out: Out = Path("runs"),
    device: Device = "auto",
    threads: Threads = 0,
    backend: Backend = "auto",
    allow_missing: AllowMissing = False,
    allow_unpickle: AllowUnpickle = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train, render, score and report. A second call does only what is missing."""
    prepare_process(threads)
    from emobench.planning import Request

    request = Request(
        methods=[name for item in method for name in item.split(",") if name],
        dataset=dataset, data_root=data_root, metrics=split_names(metrics), sets=sets or [], config_file=config,
        seeds=range(seed, seed + seeds), with_references=references, out=out, device=choose_device(device),
        threads=threads or environment.thread_count(), backend=backend, protocol=protocol, split=split,
        allow_unpickle=allow_unpickle,
    )  # fmt: skip
    raise typer.Exit(_run(request, report, as_json, quiet, allow_missing))


@app.command("score")
def score_command(
    pred: Annotated[Path, typer.Option("--pred", help="Folder of synthesised videos.")],
    ref: Annotated[Path, typer.Option("--ref", help="Folder of ground-truth videos of the same names.")],
    name: Annotated[str, typer.Option("--name", help="Name of the method in the report.")] = "",
    labels: Annotated[Path | None, typer.Option("--labels", help="CSV with columns clip, emotion.")] = None,
    metrics: Metrics = "",
    protocol: ProtocolName = "strict",
    report: Annotated[bool, typer.Option(help="Write the report.")] = True,
    out: Out = Path("runs"),
    device: Device = "auto",
    threads: Threads = 0,
    allow_missing: AllowMissing = False,
    allow_unpickle: AllowUnpickle = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score existing videos against ground truth, matched by file name. Trains nothing."""
    prepare_process(threads)
    from emobench.presenting import present
    from emobench.progress import make_progress
    from emobench.videos import score_folders

    progress = make_progress(quiet)
    records = score_folders(
        pred,
        ref,
        name=name,
        labels=labels,
        metrics=split_names(metrics),
        protocol=protocol,
        out=out,
        device=choose_device(device),
        threads=threads or environment.thread_count(),
        progress=progress,
        cache_dir=environment.cache_dir(),
        allow_unpickle=allow_unpickle,
    )
    folder = out / "videos" / "report" if report else None
    raise typer.Exit(present(records, folder, as_json, progress, allow_missing=allow_missing, threads=threads))


@app.command("report")
def report_command(
    runs: Annotated[list[Path], typer.Argument(help="Run directories, or folders that hold some.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report.")] = Path("report"),
    formats: Annotated[str, typer.Option("--formats", help="Comma-separated report names; default: all.")] = "",
    quiet: Quiet = False,
) -> None:
    """Tables, CSV, LaTeX and one self-contained page from runs."""
    from emobench.given import require_folder

    require_folder(out)
    from emobench.presenting import write_reports
    from emobench.progress import make_progress
    from emobench.store import find_runs, load_run

    found = [load_run(directory) for path in runs for directory in find_runs(path)]
    records = [record for record in found if record.run.status == "complete"]
    for record in found:
        if record not in records:
            print(f"left out: {record.dir} is {record.run.status}, not complete", file=sys.stderr)
    if not records:
        raise UsageError("No complete run to report. Finish one: the same emobench run command does what is missing.")
    write_reports(records, out, split_names(formats), make_progress(quiet))


@app.command("compare")
def compare_command(
    a: Annotated[Path, typer.Argument(help="Run directory A, or the folder that holds its seeds.")],
    b: Annotated[Path, typer.Argument(help="Run directory B, or the folder that holds its seeds.")],
    metrics: Metrics = "",
    tolerance: Annotated[
        float, typer.Option(min=0, help="Differences below this share of A's value are equivalent.")
    ] = 0.01,
    as_json: Json = False,
) -> None:
    """Is B better or worse than A? Paired bootstrap, Holm over metrics."""
    from emobench.compare import compare_groups
    from emobench.comparison_tables import render_table, to_json

    chosen = split_names(metrics) if metrics != "all" else []
    comparison = compare_groups(_seeds(a), _seeds(b), metrics=chosen or None, tolerance=tolerance)
    if as_json:
        print(json.dumps(to_json(comparison), indent=1, sort_keys=True))
    else:
        from rich.console import Console

        Console().print(render_table(comparison))


app.command("ablate")(ablate_command)
app.command("inspect")(inspect_command)
app.command("synth")(synth_command)


@app.command("list")
def list_command(
    kind: Annotated[str, typer.Argument(help="methods, metrics, datasets, reports, protocols or weights.")],
    presets: Annotated[bool, typer.Option("--presets", help="Also the presets of methods.")] = False,
    as_json: Json = False,
) -> None:
    """What is registered, and what of it works here."""
    from emobench.listing import KINDS, rows

    if kind not in KINDS:
        from emobench.errors import suggest

        raise UsageError(
            suggest("kind", kind, KINDS).replace("emobench list kinds", f"emobench list {'|'.join(KINDS)}")
        )
    found = rows(kind)
    if as_json:
        print(json.dumps(found, indent=1, sort_keys=True))
        return
    from emobench.listing import print_rows

    print_rows(kind, found, with_presets=presets)


@weights_app.command("list")
def weights_list(as_json: Json = False) -> None:
    """Every known weight: present or not, what it is, size, licence."""
    list_command("weights", as_json=as_json)


@weights_app.command("fetch")
def weights_fetch(
    names: Annotated[list[str], typer.Argument(help="Names from emobench weights list.")],
    accept_unpinned: Annotated[bool, typer.Option(help="Also where no sha256 is published; says so.")] = False,
) -> None:
    """Download weights, resumed and checked by sha256."""
    from emobench import weights
    from emobench.progress import make_progress

    progress = make_progress()
    for name in names:
        print(f"{name}: {weights.fetch(name, progress, accept_unpinned=accept_unpinned)}")


@weights_app.command("verify")
def weights_verify(
    names: Annotated[list[str] | None, typer.Argument(help="Default: all that are present.")] = None,
) -> None:
    """Hash the files on disk against the manifest."""
    from emobench import weights

    chosen = names or [name for name in weights.manifest() if weights.is_present(name)]
    if not chosen:
        print("No weight is present. See: emobench weights list", file=sys.stderr)
    for name in chosen:
        print(f"{name}: {weights.verify(name)}")


@weights_app.command("path")
def weights_path(name: Annotated[str, typer.Argument()]) -> None:
    """Where a weight lies."""
    from emobench import weights

    print(weights.locate(name))


# ------------------------------------------------------------------ shared by commands


def _run(request: Request, report: bool, as_json: bool, quiet: bool, allow_missing: bool) -> int:
    """Do what was asked for and present it; the exit code."""
    from emobench.planning import make_plan
    from emobench.progress import make_progress

    plan = make_plan(request)  # names and options first, before the slow imports
    from emobench.presenting import present
    from emobench.runner import run

    progress = make_progress(quiet)
    records = run(request, progress, environment.cache_dir())
    folder = request.out / plan.material / "report" if report else None
    return present(records, folder, as_json, progress, allow_missing=allow_missing, threads=request.threads)


def _seeds(path: Path) -> list[Any]:
    """The runs at `path`: one, or those of several seeds. Raises UsageError where they differ in more than the seed."""
    from emobench.store import find_runs, load_run, name_runs

    found = [load_run(directory) for directory in find_runs(path)]
    records = [record for record in found if record.run.status == "complete"] or found
    kinds = {json.dumps([r.run.method, r.run.dataset, r.run.config, r.run.split_hash], sort_keys=True) for r in records}
    if len(kinds) > 1 or len({r.run.seed for r in records}) < len(records):
        names = name_runs(path, [record.dir for record in records], seeds_together=True)
        raise UsageError(f"{path} holds runs that differ in more than the seed ({names}). Name one run directory.")
    return records


def _pointer(text: str, error: Any) -> str:
    """The end of click's sentence, and the help of the very command that it is about."""
    command = error.ctx.command_path if getattr(error, "ctx", None) is not None else "emobench"
    return f"{'' if text.endswith(('.', '?', '!')) else '.'} See: {command} --help"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point: errors a user can act on become one line on stderr and their exit code."""
    try:
        given = list(arguments) if arguments is not None else None
        code: int = (
            app(args=given, standalone_mode=False, prog_name="emobench") or EXIT_OK
        )  # an Exit's code is returned
    except EmobenchError as error:
        print(f"emobench: {error}", file=sys.stderr)
        code = error.exit_code
    except ClickException as error:
        text = error.format_message()
        if text.startswith("Usage:"):  # a command group without a command: its help
            print(text)
        else:
            print(f"emobench: {text}{_pointer(text, error)}", file=sys.stderr)
        code = EXIT_USAGE
    except KeyboardInterrupt:
        print("\nemobench: interrupted. Run the same command again: only what is missing is done.", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        code = EXIT_OK
    return code


def entry() -> None:
    """Console script."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
