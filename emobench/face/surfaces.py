"""How far away the face is, pixel by pixel: from a dataset's depth film, or from the mesh that a tracker fitted.

Owns mesh.npz and reading of both; knows no tracker and no field. Depth maps are (H, W) uint16, 0.1 mm along the optical
axis, 0 = unknown. mesh.npz, schema 1: points (T, N, 2) f32 px of the clip's frames, depth_mm (T, N) f32 along the
optical axis, triangles (K, 3) i32, source str.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from emobench.cache import load_arrays, save_arrays
from emobench.errors import InputError
from emobench.types import Clip, Floats

FILM, MESH = "depth", "mesh"  # keys of Clip.extras
FILM_SOURCE = "dataset depth"
FILM_FORMAT = "gray16le"
UNITS_PER_MM = 10.0
SCHEMA = 1
DepthMap = NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """A face's surface over time, as one camera sees it."""

    points: Floats  # (T, N, 2) px
    depth_mm: Floats  # (T, N) along the optical axis
    triangles: NDArray[np.int32]  # (K, 3)
    source: str  # who fitted it, for provenance

    def depth_map(self, frame: int, height: int, width: int) -> DepthMap:
        """Depth (H, W) of the nearest triangle at every pixel's centre."""
        from .mesh_raster import rasterise

        nearest = np.full((height, width), np.inf, np.float32)
        rasterise(self.points[frame], self.depth_mm[frame], self.triangles, nearest)
        known = np.isfinite(nearest) & (nearest > 0) & (nearest < np.iinfo(np.uint16).max / UNITS_PER_MM)
        return np.where(known, nearest * UNITS_PER_MM + 0.5, 0).astype(np.uint16)


def surface_source(clip: Clip) -> str | None:
    """Where a clip's depth comes from, for provenance; None where it has none."""
    if FILM in clip.extras:
        return FILM_SOURCE
    return load_mesh(clip.extras[MESH]).source if MESH in clip.extras else None


def iterate_depth(clip: Clip, wanted: Collection[int], height: int, width: int) -> Iterator[DepthMap | None]:
    """One depth map (H, W) after another, None for frames that are not `wanted`; endless Nones without any source.

    Raises InputError on damaged files and on another size.
    """
    if FILM in clip.extras:
        yield from _film(clip.extras[FILM], wanted, (height, width))
        return
    if MESH in clip.extras:
        mesh = load_mesh(clip.extras[MESH])
        for frame in range(len(mesh.points)):
            yield mesh.depth_map(frame, height, width) if frame in wanted else None
        return
    while True:
        yield None


def _film(path: Path, wanted: Collection[int], size: tuple[int, int]) -> Iterator[DepthMap | None]:
    try:
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if (frame.height, frame.width) != size:
                    raise InputError(f"{path} is {frame.width}×{frame.height}, its clip {size[1]}×{size[0]}.")
                yield np.asarray(frame.to_ndarray(format=FILM_FORMAT), np.uint16) if number in wanted else None
    except (OSError, av.FFmpegError) as error:
        raise InputError(f"Cannot read depth from {path}: {error}. Prepare the dataset again.") from error


def save_mesh(path: Path, mesh: Mesh) -> None:
    """Write mesh.npz atomically."""
    save_arrays(
        path,
        {
            "schema": np.array(SCHEMA), "points": mesh.points.astype(np.float32),
            "depth_mm": mesh.depth_mm.astype(np.float32), "triangles": mesh.triangles.astype(np.int32),
            "source": np.array(mesh.source),
        },
    )  # fmt: skip


def load_mesh(path: Path) -> Mesh:
    """Read mesh.npz. Raises InputError on a missing, damaged or newer file."""
    stored = load_arrays(path)
    try:
        if not 1 <= (schema := int(stored["schema"])) <= SCHEMA:
            raise InputError(f"{path} has schema {schema}, this emobench reads up to {SCHEMA}. Update emobench.")
        return Mesh(
            points=stored["points"], depth_mm=stored["depth_mm"], triangles=stored["triangles"],
            source=str(stored["source"]),
        )  # fmt: skip
    except KeyError as error:
        raise InputError(f"{path} is no mesh file: array {error} is missing.") from error
