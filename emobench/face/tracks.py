"""Files of one clip's tracking and parsing: the .npz schema of Track, Layers and Scene, shared by every dataset.

track.npz, schema 1: alpha (T, K) f32, alpha_names (K,) str, is_mouth (K,) bool, rotation (T, 3, 3) f32,
translation (T, 3) f32 mm, camera (5,) f64 = focal_px, cx_px, cy_px, width, height, landmarks (T, 68, 2) f32 px,
valid (T,) bool, head_box_mm (2, 3) f32, source str, schema int.
layers.npz, schema 1: head_alpha (T, H, W) u8, and for the pixels with 0 < head_alpha < 255 (in C order)
edge_head, edge_back (M, 3) u8: their unmixed colours. Without the edge arrays both layers are the frame itself.
scene.npz, schema 1: light_names (L,) str, directions (L, 3) f32, colours (L, 3) f32, ambient (3,) f32,
backdrop (H, W, 3) u8.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.cache import load_arrays, save_arrays
from emobench.errors import InputError
from emobench.types import Camera, Frames, HeadPose, Layers, Light, Scene, Track

SCHEMA = 1


def save_track(path: Path, track: Track) -> None:
    """Write track.npz atomically."""
    camera = track.camera
    save_arrays(
        path,
        {
            "schema": np.array(SCHEMA),
            "alpha": track.alpha.astype(np.float32),
            "alpha_names": np.array(track.alpha_names, dtype=np.str_),
            "is_mouth": track.is_mouth,
            "rotation": track.pose.rotation.astype(np.float32),
            "translation": track.pose.translation.astype(np.float32),
            "camera": np.array([camera.focal_px, camera.cx_px, camera.cy_px, camera.width, camera.height], np.float64),
            "landmarks": track.landmarks.astype(np.float32),
            "valid": track.valid,
            "head_box_mm": track.head_box_mm.astype(np.float32),
            "source": np.array(track.source),
        },
    )


def load_track(path: Path, read: Callable[[Path], dict[str, NDArray[Any]]] = load_arrays) -> Track:
    """Read track.npz. Raises InputError on a missing file, a missing array or a newer schema.

    `read` says what is wrong with the file: another function where it is a user's own.
    """
    stored = read(path)
    _check_schema(path, stored)
    try:
        focal, cx, cy, width, height = stored["camera"].tolist()
        return Track(
            alpha=stored["alpha"],
            alpha_names=tuple(str(name) for name in stored["alpha_names"]),
            is_mouth=stored["is_mouth"],
            pose=HeadPose(rotation=stored["rotation"], translation=stored["translation"]),
            camera=Camera(focal_px=focal, cx_px=cx, cy_px=cy, width=int(width), height=int(height)),
            landmarks=stored["landmarks"],
            valid=stored["valid"],
            head_box_mm=stored["head_box_mm"],
            source=str(stored["source"]),  # type: ignore[arg-type]
        )
    except KeyError as error:
        raise InputError(f"{path} is no track file: array {error} is missing.") from error


def save_layers(path: Path, layers: Layers) -> None:
    """Write layers.npz atomically; colours only where head and background mix."""
    edge = (layers.head_alpha > 0) & (layers.head_alpha < 255)
    save_arrays(
        path,
        {
            "schema": np.array(SCHEMA),
            "head_alpha": layers.head_alpha,
            "edge_head": layers.head_rgb[edge],
            "edge_back": layers.back_rgb[edge],
            "source": np.array(layers.source),
        },
        compress=True,
    )


def save_mask(path: Path, head_alpha: NDArray[np.uint8], source: str) -> None:
    """Write layers.npz for parsing without unmixed colours (real video): both layers are the frame itself."""
    save_arrays(
        path,
        {"schema": np.array(SCHEMA), "head_alpha": head_alpha, "source": np.array(source)},
        compress=True,
    )


def load_layers(path: Path, frames: Frames) -> Layers:
    """Read layers.npz and complete it with the clip's frames (T, H, W, 3)."""
    stored = load_arrays(path)
    _check_schema(path, stored)
    head_alpha = stored.get("head_alpha")
    if head_alpha is None or head_alpha.shape != frames.shape[:3]:
        found = None if head_alpha is None else head_alpha.shape
        raise InputError(f"{path}: head_alpha has shape {found}, the clip's frames {frames.shape[:3]}.")
    source = str(stored["source"])
    if "edge_head" not in stored:
        return Layers(head_alpha=head_alpha, head_rgb=frames, back_rgb=frames, source=source)
    edge = (head_alpha > 0) & (head_alpha < 255)
    head_rgb, back_rgb = frames.copy(), frames.copy()
    head_rgb[edge], back_rgb[edge] = stored["edge_head"], stored["edge_back"]
    return Layers(head_alpha=head_alpha, head_rgb=head_rgb, back_rgb=back_rgb, source=source)


def save_scene(path: Path, scene: Scene) -> None:
    """Write scene.npz atomically."""
    lights = scene.lights.values()
    save_arrays(
        path,
        {
            "schema": np.array(SCHEMA),
            "light_names": np.array(list(scene.lights), dtype=np.str_),
            "directions": np.stack([light.direction for light in lights]).astype(np.float32),
            "colours": np.stack([light.colour for light in lights]).astype(np.float32),
            "ambient": scene.ambient.astype(np.float32),
            "backdrop": scene.backdrop,
        },
        compress=True,
    )


def load_scene(path: Path) -> Scene:
    """Read scene.npz. Raises InputError on a missing file, a missing array or a newer schema."""
    stored = load_arrays(path)
    _check_schema(path, stored)
    try:
        named = zip(stored["light_names"], stored["directions"], stored["colours"], strict=True)
        return Scene(
            lights={str(name): Light(direction=direction, colour=colour) for name, direction, colour in named},
            ambient=stored["ambient"],
            backdrop=stored["backdrop"],
        )
    except KeyError as error:
        raise InputError(f"{path} is no scene file: array {error} is missing.") from error


def _check_schema(path: Path, stored: dict[str, NDArray[Any]]) -> None:
    schema = int(stored.get("schema", np.array(0)))
    if schema > SCHEMA:
        raise InputError(f"{path} has schema {schema}, this emobench reads up to {SCHEMA}. Update emobench.")
    if schema < 1:
        raise InputError(f"{path} carries no schema number: not a file of emobench.")
