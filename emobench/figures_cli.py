"""The command group `emobench figures`: parse, call `paper_figures`, print. Heavy imports wait for a command to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emobench import environment
from emobench.errors import UsageError
from emobench.options import Device, Quiet, Threads, choose_device, prepare_process, split_names

if TYPE_CHECKING:
    from emobench.paper_figures import Shown

figures_app = typer.Typer(
    help="Figures of a finished run: sweep, refinement, views.", no_args_is_help=True, rich_markup_mode=None
)

VIEWED = ("neutral", "happy", "surprised")
Run = Annotated[Path, typer.Argument(help="Run directory, or the folder that holds it.")]
ClipId = Annotated[str, typer.Option("--clip", help="Test clip of the run; default: the first that fits.")]
At = Annotated[float | None, typer.Option("--at", min=0.0, help="Second of the clip; default: its middle.")]
Emotions = Annotated[str, typer.Option("--emotions", help="Comma-separated tags; default: all trained ones.")]


@figures_app.callback()
def options() -> None:
    """Figures of a finished run."""


@figures_app.command("sweep")
def figures_sweep(
    run: Run,
    to: Annotated[str, typer.Option("--to", help="Emotion to move into; default: surprised.")] = "",
    clip: ClipId = "",
    at: At = None,
    values: Annotated[int, typer.Option("--values", min=2, max=41, help="Number of values of τ.")] = 11,
    most: Annotated[float, typer.Option("--most", min=0.1, max=3.0, help="The last τ; 1 is the emotion itself.")] = 1.0,
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")] = Path("sweep.png"),
    film: Annotated[Path | None, typer.Option("--film", help="mp4 of five values side by side, with sound.")] = None,
    device: Device = "auto",
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """One clip morphed step by step into another emotion: a strip over τ."""
    _require(out, ".png")
    if film is not None:
        _require(film, ".mp4")
    prepare_process(threads)
    from emobench.paper_figures import choose_emotion, sweep

    shown = _open(run, clip, at, "happy", device, threads, quiet)
    emotion = choose_emotion(shown.method, shown.record, to, shown.driving.emotion)
    sweep(shown, emotion, [most * index / (values - 1) for index in range(values)], out, film)
    print("\n".join(str(path) for path in (out, film) if path is not None))


@figures_app.command("refinement")
def figures_refinement(
    run: Run,
    clip: ClipId = "",
    at: At = None,
    emotions: Emotions = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")] = Path("refinement.png"),
    device: Device = "auto",
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """The same speech asked for in several emotions, without refinement above and with it below."""
    _require(out, ".png")
    prepare_process(threads)
    from emobench.paper_figures import refinement

    shown = _open(run, clip, at, "neutral", device, threads, quiet)
    refinement(shown, _emotions(shown, emotions), out)
    print(out)


@figures_app.command("views")
def figures_views(
    run: Run,
    clip: ClipId = "",
    at: At = None,
    emotions: Annotated[
        str, typer.Option("--emotions", help="Comma-separated tags; default: neutral, happy, surprised.")
    ] = "",
    degrees: Annotated[
        str, typer.Option("--degrees", help="Yaws of the camera; filmed from the front, heads tear beyond about ±10.")
    ] = "-10,-5,0,5,10",
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")] = Path("views.png"),
    device: Device = "auto",
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """The head from several sides in several emotions of the same speech."""
    _require(out, ".png")
    yaws = _degrees(degrees)
    prepare_process(threads)
    from emobench.paper_figures import views

    shown = _open(run, clip, at, "neutral", device, threads, quiet)
    views(shown, _emotions(shown, emotions, VIEWED), yaws, out)
    print(out)


def _open(run: Path, clip: str, at: float | None, spoken: str, device: str, threads: int, quiet: bool) -> Shown:
    """The run's method with one of its clips: the one named, else the first of emotion `spoken`, else the first."""
    from emobench.paper_figures import choose_shown
    from emobench.progress import make_progress
    from emobench.trained import open_method, trained_run

    record = trained_run(run)
    method = open_method(
        record, threads=threads or environment.thread_count(), progress=make_progress(quiet),
        cache_dir=environment.cache_dir(), device=choose_device(device),
    )  # fmt: skip
    return choose_shown(record, method, clip, at, spoken)


def _emotions(shown: Shown, text: str, usual: Sequence[str] = ()) -> list[str]:
    """Those named, checked; else those of `usual` that were trained, else all."""
    from emobench.paper_figures import choose_emotion, known_emotions

    known = known_emotions(shown)
    named = [choose_emotion(shown.method, shown.record, name, "") for name in split_names(text)]
    return named or [emotion for emotion in usual if emotion in known] or known


def _degrees(text: str) -> list[float]:
    try:
        found = [float(part) for part in split_names(text)]
    except ValueError as error:
        raise UsageError(f"--degrees {text}: give numbers with commas, for example -30,0,30.") from error
    if not found or max(map(abs, found)) > 90:
        raise UsageError(f"--degrees {text}: give yaws between -90 and 90.")
    return found


def _require(path: Path, suffix: str) -> None:
    if path.suffix.lower() != suffix:
        raise UsageError(f"{path}: the name must end in {suffix}.")
