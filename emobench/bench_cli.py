"""The command group `emobench bench`: parse, call `bench`, print. Heavy imports wait for a command to run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emobench import environment
from emobench.errors import UsageError
from emobench.options import Device, Json, Quiet, Threads, choose_device, prepare_process, split_names

bench_app = typer.Typer(help="Measure speed: fps.", no_args_is_help=True, rich_markup_mode=None)


@bench_app.callback()
def options() -> None:
    """Measure speed."""


@bench_app.command("fps")
def bench_fps(
    method: Annotated[str, typer.Option("--method", "-m", help="Method, or method/preset, of a finished run.")] = "",
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="Dataset it was trained on.")] = "puppet",
    sizes: Annotated[str, typer.Option("--size", help="Comma-separated widths in pixels.")] = "96,128,256,512",
    run: Annotated[Path | None, typer.Option("--run", help="Run directory, in place of --method.")] = None,
    subject: Annotated[str, typer.Option("--subject", help="Subject of the run; default: the first.")] = "",
    frames: Annotated[int, typer.Option("--frames", min=2, help="Frames of one timed render.")] = 50,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Timed renders per size.")] = 5,
    runs: Annotated[Path, typer.Option("--runs", help="Folder of run directories.")] = Path("runs"),
    device: Device = "auto",
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """How fast a trained method renders: by size and stage, median and quartiles."""
    prepare_process(threads)
    from emobench.bench import lines, measure_fps
    from emobench.progress import make_progress
    from emobench.store import to_json

    if (run is None) == (not method):
        raise UsageError("Name what to time: either --method or --run.")
    report = measure_fps(
        run or runs / dataset / method.replace("/", "-"),
        sizes=_pixels(sizes),
        subject=subject,
        frames=frames,
        repeats=repeats,
        device=choose_device(device),
        threads=threads or environment.thread_count(),
        progress=make_progress(quiet),
        cache_dir=environment.cache_dir(),
    )
    print(to_json(report).rstrip() if as_json else "\n".join(lines(report)))


def _pixels(text: str) -> list[int]:
    try:
        return [int(part) for part in split_names(text)]
    except ValueError as error:
        raise UsageError(f"--size {text}: give whole numbers with commas, for example 128,256.") from error
