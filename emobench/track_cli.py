"""The commands `emobench track convert` and `emobench track check`: parse, call, print. Heavy imports wait."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emobench.errors import InputError, UsageError
from emobench.options import Json

track_app = typer.Typer(no_args_is_help=True, help="Track files of other people's face trackers.")
KINDS = ("auto", "flame", "bfm")


@track_app.command("convert")
def convert_command(
    source: Annotated[Path, typer.Argument(help="Coefficients: .npz, .npy, .mat, or a folder with one file a frame.")],
    video: Annotated[Path, typer.Option("--video", help="The video whose frames were tracked.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Default: NAME.track.npz by the video.")] = None,
    kind: Annotated[str, typer.Option("--kind", help="flame (DECA, EMOCA), bfm (Deep3D) or auto.")] = "auto",
    focal: Annotated[float, typer.Option("--focal", min=0, help="Focal length in pixels; 0: a 63° view.")] = 0.0,
) -> None:
    """Turn DECA, EMOCA, FLAME or Deep3D coefficient files into the track file of a video."""
    if kind not in KINDS:
        raise UsageError(f"Unknown --kind {kind!r}: {', '.join(KINDS)}.")
    from emobench.face.conversion import convert
    from emobench.face.track_files import track_file_of

    target = output or track_file_of(video)
    found = convert(source, video, target, kind, focal)
    print(f"{target}: {found.describe()}")


@track_app.command("check")
def check_command(
    path: Annotated[Path, typer.Argument(help="A track file, NAME.track.npz.")],
    video: Annotated[Path | None, typer.Option("--video", help="Also compare it with its video.")] = None,
    as_json: Json = False,
) -> None:
    """Check a track file against the documented schema, and against its video."""
    from emobench.face.conversion import facts_of, misfit
    from emobench.face.track_files import load_track_file
    from emobench.media import probe
    from emobench.store import to_json

    found = load_track_file(path)
    if video is not None and (reason := misfit(found, probe(video))) is not None:
        raise InputError(f"{path} does not fit {video}: {reason}.")
    facts = facts_of(found)
    print(to_json(facts).rstrip() if as_json else "\n".join(f"{name}: {value}" for name, value in facts.items()))
