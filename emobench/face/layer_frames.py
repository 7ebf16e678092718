"""Reads layers.npz (see emobench.face.tracks) frame by frame, for clips too long to be held whole."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.types import Image, Layers

from .tracks import SCHEMA


class _Rows:
    """Rows of one array in an .npz, read one after another."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        major = np.lib.format.read_magic(stream)[0]
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        self.shape, self._fortran, self.dtype = read(stream)
        if self._fortran or self.dtype != np.uint8:
            raise ValueError(f"expected rows of uint8, found {self.dtype}")

    def next(self, count: int) -> NDArray[np.uint8]:
        """`count` rows. Raises ValueError past the end."""
        shape = (count, *self.shape[1:])
        data = self._stream.read(int(np.prod(shape)))
        return np.frombuffer(data, np.uint8).reshape(shape)


def parsing_source(path: Path) -> str:
    """Who parsed a clip, as its layers.npz names it. Raises InputError on damaged files."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return str(stored["source"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"Cannot read layers from {path}: {error}. Prepare the dataset again.") from error


def iterate_layers(path: Path, frames: Iterable[Image]) -> Iterator[Layers]:
    """Layers of one frame (T = 1) after another, completed with the clip's frames (H, W, 3).

    Equal to load_layers, part by part. Raises InputError on damaged files and where frames and layers do not fit.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            schema, source = int(stored["schema"]), str(stored["source"])
        if not 1 <= schema <= SCHEMA:
            raise InputError(f"{path} has schema {schema}, this emobench reads up to {SCHEMA}. Update emobench.")
        with zipfile.ZipFile(path) as archive:
            alphas = _Rows(archive.open("head_alpha.npy"))
            mixed = "edge_head.npy" in archive.namelist()
            edges = [_Rows(archive.open(f"edge_{side}.npy")) for side in ("head", "back")] if mixed else []
            count = 0
            for frame in frames:
                if count == alphas.shape[0] or frame.shape[:2] != tuple(alphas.shape[1:]):
                    raise InputError(f"{path}: layers of shape {alphas.shape} do not fit frames of {frame.shape}.")
                yield _one(frame[None], alphas.next(1), edges, source)
                count += 1
            if count != alphas.shape[0]:
                raise InputError(f"{path}: {alphas.shape[0]} frames of layers for a clip of {count}.")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"Cannot read layers from {path}: {error}. Prepare the dataset again.") from error


def _one(frame: NDArray[np.uint8], alpha: NDArray[np.uint8], edges: list[_Rows], source: str) -> Layers:
    if not edges:
        return Layers(head_alpha=alpha, head_rgb=frame, back_rgb=frame, source=source)
    edge = (alpha > 0) & (alpha < 255)
    sides = []
    for rows in edges:
        side = frame.copy()
        side[edge] = rows.next(int(edge.sum()))
        sides.append(side)
    return Layers(head_alpha=alpha, head_rgb=sides[0], back_rgb=sides[1], source=source)
