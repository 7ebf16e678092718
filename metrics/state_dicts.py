"""Weight files of torch: tensors by name, never objects and never programs. Knows no network.

Read with weights_only, which builds tensors and nothing else. A TorchScript file (the I3D that StyleGAN-V's and
LatentSync's FVD load) is refused: torch.jit.load would run the program in it, and its hash is no proof of what that
program does.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from emobench.errors import Unavailable

Tensors = Mapping[str, Tensor]


def fill(network: nn.Module, path: Path, kind: str, rename: Callable[[Tensors], Tensors] | None = None) -> None:
    """Give the network the tensors of `path`, after `rename` where the file's names are others.

    Raises Unavailable, "… is no {kind}", where they do not fit. Files from before torch 0.4.1 carry no batch counters;
    nothing else may be missing, and nothing may be left over.
    """
    if is_program(path):
        raise Unavailable(f"{path.name} is a TorchScript program, which is never run. A {kind} holds tensors only.")
    try:
        tensors: Tensors = torch.load(path, map_location="cpu", weights_only=True)
        report = network.load_state_dict(rename(tensors) if rename else tensors, strict=False)
    except Exception as error:  # unpickling, key and shape errors alike mean: not this network's file
        raise Unavailable(f"{path.name} is no {kind} ({type(error).__name__}). Fetch it again.") from error
    missing = [name for name in report.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or report.unexpected_keys:
        wrong = f"lacks {missing[0]}" if missing else f"has {report.unexpected_keys[0]}"
        raise Unavailable(f"{path.name} is no {kind} ({wrong}). Fetch it again.")


def is_program(path: Path) -> bool:
    """Whether the file is a TorchScript archive: a zip file with code in it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in f"/{name}" for name in archive.namelist())
