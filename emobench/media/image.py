"""Writes still images as PNG with the standard library. Reads none."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emobench.cache import writing
from emobench.errors import InputError

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # channels → PNG colour type


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Atomic 8-bit PNG of (H, W), (H, W, 3) RGB or (H, W, 4) RGBA; the same pixels give the same bytes."""
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in _COLOUR_TYPES or 0 in pixels.shape:
        raise InputError(f"Cannot write {path}: expected uint8 (H, W[, 1|3|4]), got {pixels.dtype} {image.shape}.")
    height, width, channels = pixels.shape
    rows = pixels.reshape(height, width * channels).astype(np.uint8)
    shifted = np.zeros_like(rows)
    shifted[1:] = rows[:-1]
    # filter type 2 (Up) on every row: small files for pictures without trying all five
    filtered = np.concatenate([np.full((height, 1), 2, np.uint8), rows - shifted], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)), _chunk(b"IEND", b""))
    with writing(path) as temporary:
        temporary.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
