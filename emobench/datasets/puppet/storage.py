"""Files of one clip: their names, how each is written and read, and the hash of what it holds. See docs/puppet.md.

Hashes are of decoded content (samples, arrays, frames), so that another encoder or compression level changes none.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from emobench.cache import load_arrays
from emobench.errors import InputError
from emobench.hashing import hash_arrays, hash_value
from emobench.media import read_video

SCHEMA = 2  # of the clip folder: raise when a file, an array, a unit or a meaning changes
CARD = "card.json"
AUDIO, TRACK, GEOMETRY = "audio.wav", "track.npz", "geometry.npz"  # of every clip
VIDEO, LAYERS, TORSO, DEPTH, SCENE = "video.mkv", "layers.npz", "torso.npz", "depth.mkv", "scene.npz"  # with pixels
NOVEL, NOVEL_VIDEO, NOVEL_DEPTH = "novel.npz", "novel.mkv", "novel_depth.mkv"  # of test clips
DEPTH_FORMAT = "gray16le"
MAPPED = (TRACK, GEOMETRY, LAYERS, TORSO, DEPTH, SCENE, NOVEL, NOVEL_VIDEO, NOVEL_DEPTH, CARD)  # Clip.extras by stem
_FFV1 = {"level": "3", "coder": "1", "context": "0", "g": "1", "slices": "4", "slicecrc": "1"}


def extra_name(file: str) -> str:
    """Key of a file in Clip.extras: "depth.mkv" → "depth", "novel.mkv" → "novel_video"."""
    return "novel_video" if file == NOVEL_VIDEO else Path(file).stem


def write_depth(path: Path, depth: NDArray[np.uint16]) -> None:
    """(T, H, W) uint16 as FFV1 in 16-bit grey; the same input gives the same bytes."""
    with av.open(str(path), "w", format="matroska", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("ffv1", rate=25, options=_FFV1)
        if not isinstance(stream, VideoStream):
            raise InputError("PyAV's FFV1 encoder gives no video stream. Reinstall the package av.")
        stream.height, stream.width = depth.shape[1:]
        stream.pix_fmt = DEPTH_FORMAT
        for image in depth:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=DEPTH_FORMAT)))
        container.mux(stream.encode(None))


def read_depth(path: Path) -> NDArray[np.uint16]:
    """(T, H, W) uint16 in 0.1 mm, 0 = background. Raises InputError on a missing or damaged file."""
    try:
        with av.open(str(path)) as container:
            images = [frame.to_ndarray(format=DEPTH_FORMAT) for frame in container.decode(video=0)]
    except (OSError, av.FFmpegError) as error:
        raise InputError(f"Cannot read depth from {path}: {error}. Delete the clip's folder and run again.") from error
    if not images:
        raise InputError(f"{path} holds no depth. Delete the clip's folder and run again.")
    return np.asarray(np.stack(images), np.uint16)


def read_card(folder: Path) -> dict[str, Any]:
    """card.json. Raises InputError on a missing, damaged or newer one."""
    path = folder / CARD
    try:
        card = dict(json.loads(path.read_text(encoding="utf-8")))
        schema = int(card["schema"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"Cannot read {path}: {error}. Delete the folder and run again.") from error
    if schema > SCHEMA:
        raise InputError(f"{path} has schema {schema}, this emobench reads up to {SCHEMA}. Update emobench.")
    return card


def content_hash(path: Path) -> str:
    """sha256 of a file's decoded content. Raises InputError on a missing, damaged or unknown file."""
    if path.suffix == ".npz":
        return arrays_hash(load_arrays(path))
    if path.name in (DEPTH, NOVEL_DEPTH):
        return hash_arrays([read_depth(path)])
    if path.suffix == ".mkv":
        return hash_arrays([read_video(path).frames])
    if path.suffix == ".wav":
        return hash_arrays([_samples(path)])
    raise InputError(f"{path} is no file of a clip.")


def arrays_hash(arrays: Mapping[str, NDArray[Any]]) -> str:
    """sha256 over names and contents of an .npz file's arrays."""
    return hash_value({name: hash_arrays([array]) for name, array in arrays.items()})


def _samples(path: Path) -> NDArray[np.int16]:
    try:
        with wave.open(str(path), "rb") as stream:
            return np.frombuffer(stream.readframes(stream.getnframes()), "<i2")
    except (OSError, wave.Error, EOFError) as error:
        raise InputError(f"Cannot read {path}: {error}. Delete the clip's folder and run again.") from error
