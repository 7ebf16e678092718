"""Opens media files and tells truncated ones by their own length fields. Decodes nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer

from emobench.errors import InputError

_UNKNOWN_RIFF_SIZES = (0, 0xFFFFFFFF)  # written by encoders that pipe


@contextlib.contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The open container. Raises InputError when the file is missing, empty, truncated or no media."""
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a media file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes). Copy it again.")
    fault = missing_bytes(path)
    if fault:
        raise InputError(f"{path} is truncated: {fault}. Copy it again.")
    try:
        container = av.open(str(path), "r")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"Cannot open {path}: {_first_line(error)}. It is damaged or no media file.") from error
    with container:
        yield container


def decoding_fault(path: Path, what: str, error: Exception) -> InputError:
    """The one-line error for a stream that breaks while it is decoded."""
    return InputError(f"{path} is damaged: decoding stopped {what}: {_first_line(error)}. Copy or export it again.")


def missing_bytes(path: Path) -> str | None:
    """Why the file must be incomplete, from the length fields of MP4/MOV, Matroska/WebM and RIFF; None if it is not.

    Other containers (MPEG program streams) carry no total length: for them only a broken last packet tells.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(16)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
            return _missing_boxes(stream, size)
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return _missing_segment(stream, size)
        if head[:4] == b"RIFF":
            stated = int.from_bytes(head[4:8], "little")
            # one byte of slack: an odd last chunk may lack its padding byte
            if stated not in _UNKNOWN_RIFF_SIZES and stated + 8 > size + 1:
                return f"its header promises {stated + 8} bytes, the file has {size}"
    return None


def _missing_boxes(stream: BinaryIO, size: int) -> str | None:
    """Walks the top-level boxes of ISO 14496-12: each is a 32-bit size, a type and, for size 1, a 64-bit size."""
    position, kinds = 0, set()
    while position + 8 <= size:
        stream.seek(position)
        header = stream.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        kinds.add(kind)
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:  # the last box reaches to the end of the file
            break
        if length < 8:
            break  # trailing bytes that are no box; players ignore them
        if position + length > size:
            return f"box {kind.decode('latin-1')!r} ends at byte {position + length}, the file has {size}"
        position += length
    return None if b"moov" in kinds else "it has no index ('moov' box)"


def _missing_segment(stream: BinaryIO, size: int) -> str | None:
    """Matroska: the EBML header, then one Segment with its size (all ones = unknown, written by live encoders)."""
    stream.seek(4)
    header_size, _ = _read_vint(stream)
    stream.seek(header_size, os.SEEK_CUR)
    if stream.read(4) != b"\x18\x53\x80\x67":
        return "it ends inside the header"
    segment, is_unknown = _read_vint(stream)
    end = stream.tell() + segment
    if not is_unknown and end > size:
        return f"its segment ends at byte {end}, the file has {size}"
    return None


def _read_vint(stream: BinaryIO) -> tuple[int, bool]:
    """One EBML variable-length integer, and whether it is the reserved 'unknown' value (all bits one)."""
    first = stream.read(1)
    if not first or first[0] == 0:
        return 0, False
    length = 9 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & ((1 << (8 - length)) - 1)]) + stream.read(length - 1), "big")
    return value, value == (1 << (7 * length)) - 1


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.split(":")[0].strip() if "avcodec" in text or "/" in text else text
