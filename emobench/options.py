"""Options that several command groups share, and how their text becomes values. Knows no command."""

from __future__ import annotations

import os
import re
from typing import Annotated

import typer

from emobench import environment
from emobench.errors import UsageError

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Backend = Annotated[str, typer.Option("--backend", help="auto, torch, numba, triton or tinycudann.")]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Exit 0 also where clips lack scores.")]
Threads = Annotated[int, typer.Option("--threads", help="0 = the processors this process may use.")]


def _sha256(text: str) -> str:
    if text and not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise typer.BadParameter("give the sha256 of the file that you trust: 64 hexadecimal digits.")
    return text.lower()


AllowUnpickle = Annotated[
    str,
    typer.Option(
        "--allow-unpickle", metavar="SHA256", callback=_sha256,
        help="sha256 of a pickled weight that you trust; a metric that asks for it loads it in a process of its own.",
    ),
]  # fmt: skip


def split_names(text: str) -> list[str]:
    """Parts of a comma-separated option."""
    return [part.strip() for part in text.split(",") if part.strip()]


def prepare_process(threads: int) -> None:
    """Settings that must stand before torch and numba start: measured to matter on shared cores (see docs)."""
    count = str(threads or environment.thread_count())
    os.environ.setdefault("OMP_NUM_THREADS", count)
    os.environ.setdefault("NUMBA_NUM_THREADS", count)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GLOG_minloglevel", "3")


def choose_device(name: str) -> str:
    """cpu or cuda. Raises UsageError where there is no such device."""
    if name == "cpu":
        return name
    if name not in ("auto", "cuda"):
        raise UsageError(f"Unknown device {name!r}. Choose auto, cpu or cuda.")
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if name == "cuda":
        raise UsageError("No CUDA device is available to torch. Use --device cpu, or install a CUDA build of torch.")
    return "cpu"
