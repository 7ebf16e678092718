"""Decoded frames that are read many times: in memory while they are few, else in a scratch file. Decodes nothing."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from emobench.errors import InputError
from emobench.types import Frames, Image

IN_MEMORY_BYTES = 64 << 20  # of one clip: 341 frames of 256×256, 85 of 512×512
CHUNK = 8  # frames read at once while iterating


def gather(frames: Iterable[Image], folder: Path) -> Frames:
    """All frames (T, H, W, 3), taken one at a time: an array up to IN_MEMORY_BYTES, else SpooledFrames in `folder`.

    Raises InputError where there are none, where they differ in size, or the scratch file cannot be written.
    """
    iterator, held, size = _of_one_size(frames), [], 0
    for frame in iterator:
        held.append(frame)
        size += frame.nbytes
        if size > IN_MEMORY_BYTES:
            return _spool(itertools.chain(held, iterator), folder)
    if not held:
        raise InputError("There are no frames.")
    return np.stack(held)


class SpooledFrames(np.memmap[Any, np.dtype[np.uint8]]):
    """Frames (T, H, W, 3) in a file that vanishes with this array.

    Iteration, indices and slices of frames are read into fresh memory, so that a process holds a chunk of a long clip,
    never the clip; what else is asked of an array goes through the file's memory map. All that holds for the frames
    alone: results, views and copies are arrays as any other, which know nothing of the file.
    """

    _stream: IO[bytes] | None = None  # given to the frames alone: numpy hands no attribute on to what it derives

    def __getitem__(self, key: Any) -> Any:
        if self._stream is None:
            return super().__getitem__(key)
        if isinstance(key, int | np.integer) and not isinstance(key, bool):
            index = range(len(self))[int(key)]
            return self._read(self._stream, index, index + 1)[0]
        if isinstance(key, slice):
            chosen = range(len(self))[key]
            if chosen.step == 1 or not chosen:
                return self._read(self._stream, chosen.start, chosen.start + len(chosen))
            return np.stack([self[index] for index in chosen])
        return np.array(super().__getitem__(key))

    def __iter__(self) -> Iterator[Any]:
        if self._stream is None:
            yield from super().__iter__()
            return
        for start in range(0, len(self), CHUNK):
            yield from self._read(self._stream, start, min(start + CHUNK, len(self)))

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """What arithmetic and reductions give: a plain array or number."""
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def _read(self, stream: IO[bytes], start: int, stop: int) -> Frames:
        chunk = np.empty((stop - start, *self.shape[1:]), np.uint8)
        if not chunk.size:
            return chunk
        each = chunk.nbytes // (stop - start)
        view, done = chunk.data.cast("B"), 0
        while done < chunk.nbytes:
            count = os.preadv(stream.fileno(), [view[done:]], start * each + done)
            if count == 0:
                raise InputError("The scratch file of decoded frames is shorter than it was. Is the disk full?")
            done += count
        return chunk


def _of_one_size(frames: Iterable[Image]) -> Iterator[Image]:
    shape: tuple[int, ...] | None = None
    for count, frame in enumerate(frames):
        shape = shape or frame.shape
        if frame.shape != shape:
            raise InputError(f"Frame {count} is {frame.shape[1]}×{frame.shape[0]}, the first {shape[1]}×{shape[0]}.")
        yield frame


def _spool(frames: Iterator[Image], folder: Path) -> SpooledFrames:
    count, shape = 0, None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  lives as long as the frames
        for frame in frames:
            shape = frame.shape
            stream.write(np.ascontiguousarray(frame).data)
            count += 1
        stream.flush()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"Cannot write decoded frames to {folder}: {reason}. Free space or set EMOBENCH_CACHE."
        ) from error
    spooled = SpooledFrames(stream, np.uint8, "r", shape=(count, *(shape or ())))  # type: ignore[call-overload]
    spooled._stream = stream
    return spooled
