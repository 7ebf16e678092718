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

_PACK = b"\x00\x00\x01\xba"  # ISO 11172-1 pack header
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
    try:
        fault = missing_bytes(path)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
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
    """Why the file must be incomplete, from the length fields of MP4/MOV, Matroska/WebM, RIFF and MPEG; else None.

    MPEG program streams carry no total length: there a cut shows only inside a packet, not between two.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(16)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
            return _missing_boxes(stream, size)
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return _missing_segment(stream, size)
        if head[:4] == _PACK:
            return _missing_packet(stream, size)
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


def _missing_packet(stream: BinaryIO, size: int) -> str | None:
    """Walks packs and packets of an MPEG-1 or MPEG-2 program stream up to the first that is not whole."""
    position = 0
    while position + 6 <= size:
        stream.seek(position)
        header = stream.read(14)
        code = header[3]
        if header[:3] != b"\x00\x00\x01" or code < 0xB9:
            return None  # padding or damage between packets: the decoder decides
        if header[:4] == _PACK:
            # MPEG-2 packs are two bits '01' and end with a count of stuffing bytes
            is_second = len(header) > 4 and header[4] >> 6 == 1
            position += 14 + (header[13] & 7) if is_second and len(header) == 14 else 12
        elif code == 0xB9:
            return None
        else:
            position += 6 + int.from_bytes(header[4:6], "big")
    return f"its last packet ends at byte {position}, the file has {size}" if position > size else None


def _read_vint(stream: BinaryIO) -> tuple[int, bool]:
    """One EBML variable-length integer, and whether it is the reserved 'unknown' value (all bits one)."""
    first = stream.read(1)
    if not first or first[0] == 0:
        return 0, False
    length = 9 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & ((1 << (8 - length)) - 1)]) + stream.read(length - 1), "big")
    return value, value == (1 << (7 * length)) - 1


def _first_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]
