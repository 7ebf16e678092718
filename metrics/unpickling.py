"""Runs a pickled network in a process of its own, from a file whose sha256 the user gave. Knows no metric.

A pickle is a program: whoever loads it does what its author wrote. So nothing is loaded unless the user names the
sha256 of a file that they trust; the bytes that are hashed are those that are unpickled; it happens in a child process
with a bare environment that may write no file; and only numbers come back: arrays of float32 of a size that is
checked, within a deadline. That keeps a wrong file out and a faulty one from our memory. It is no jail: what the hash
names is trusted.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import struct
import subprocess
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from threading import Lock, Thread, Timer
from typing import IO

import numpy as np

from emobench import environment
from emobench.errors import Unavailable
from emobench.types import Floats

READY = b"ready\n"
HEADER, ANSWER = struct.Struct("<4I"), struct.Struct("<2I")  # batch, channels, height, width; batch, outputs
MOST_VALUES = 64 * 3 * 1024 * 1024  # of a batch
LAST_LINES, LAST_WORDS_SECONDS = 20, 10
# Until the child is ready, and for one batch: far above what a cold disk or a crowded core needs, so that only what
# hangs is ended.
LOAD_SECONDS, ANSWER_SECONDS = 300.0, 600.0
PASSED_ON = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "OMP_NUM_THREADS")


class PickledNetwork:
    """(B, 3, H, W) float32 → (B, width) float32 by a pickled torch module in a child process; closed with this object.

    Safe for several threads: one batch at a time.
    """

    def __init__(self, path: Path, sha256: str, width: int) -> None:
        """Raises Unavailable where the file has another sha256, cannot be unpickled with the packages here or hangs."""
        self._width, self._name, self._lock = width, path.name, Lock()
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-m", __name__, str(path.absolute()), sha256],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment.passed_on(PASSED_ON),
        )  # fmt: skip
        self._words = deque[str](maxlen=LAST_LINES)
        self._listener = Thread(target=_listen, args=(self._child.stderr, self._words), daemon=True)
        self._listener.start()
        self._close = weakref.finalize(self, _close, self._child)
        assert self._child.stdout is not None
        with _deadline(self._child, LOAD_SECONDS) as late:
            is_ready = self._child.stdout.readline() == READY
        if not is_ready or late:
            reason = late[0] if late else self._last_words()
            self._close()
            raise Unavailable(f"{path.name} was not loaded: {reason}")

    def run(self, batch: Floats) -> Floats:
        """The first output for one batch.

        Raises Unavailable where the child died, is late or answers with something else; it is ended then, and every
        later batch is refused likewise: an answer half read would be taken for the next one's.
        """
        with self._lock, _deadline(self._child, ANSWER_SECONDS) as late:
            if not self._close.alive:
                raise Unavailable(f"{self._name} was ended after a wrong answer")
            assert self._child.stdin is not None
            assert self._child.stdout is not None
            wanted, shape = 4 * len(batch) * self._width, b""
            try:
                self._child.stdin.write(HEADER.pack(*batch.shape) + np.ascontiguousarray(batch, "<f4").tobytes())
                self._child.stdin.flush()
                shape = self._child.stdout.read(ANSWER.size)
                answer = self._child.stdout.read(wanted) if shape == ANSWER.pack(len(batch), self._width) else b""
            except OSError as error:
                reason = late[0] if late else self._last_words()
                self._close()
                raise Unavailable(f"{self._name} stopped: {reason}") from error
            if len(answer) != wanted:
                other = f"{ANSWER.unpack(shape)} values" if len(shape) == ANSWER.size else self._last_words()
                self._close()
                if late:
                    raise Unavailable(f"{self._name} stopped: {late[0]}")
                raise Unavailable(f"{self._name} gave {other}, {(len(batch), self._width)} were expected")
            return np.frombuffer(answer, "<f4").reshape(len(batch), self._width).astype(np.float32)

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(LAST_WORDS_SECONDS)
        self._child.kill()
        self._listener.join()
        return self._words[-1][:300] if self._words else "its process ended without a word"


def _listen(stream: IO[bytes] | None, words: deque[str]) -> None:
    """Keep the last lines that the child says, so that it never waits for a reader."""
    with contextlib.suppress(ValueError):  # the stream was closed meanwhile
        for line in stream or ():
            if line.strip():
                words.append(line.decode("utf-8", "replace").strip())


@contextlib.contextmanager
def _deadline(child: subprocess.Popen[bytes], seconds: float) -> Iterator[list[str]]:
    """Ends the child where the block takes longer, so that no read waits for ever; then the list says so."""
    late: list[str] = []

    def end() -> None:
        late.append(f"it took longer than {seconds:g} s and was ended")
        child.kill()

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _close(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


# ------------------------------------------------------------------ in the child process


def serve(path: Path, sha256: str, source: IO[bytes], sink: IO[bytes]) -> None:
    """Unpickle the network if its hash is right, then answer batches until the source ends."""
    import hashlib
    import io

    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise SystemExit(f"its sha256 is {digest}, allowed is {sha256}")
    import torch

    if b"timm" in content:  # HSEmotion's files hold its classes; imported while files may still be written
        from emobench.torchvision_schemas import ensure_torchvision

        ensure_torchvision()
        importlib.import_module("timm")
    _write_no_file()
    network = torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
    if not isinstance(network, torch.nn.Module):
        raise SystemExit(f"it holds a {type(network).__name__}, not a network")
    network.eval()
    torch.set_num_threads(1)
    sink.write(READY)
    sink.flush()
    with torch.inference_mode():
        while len(head := source.read(HEADER.size)) == HEADER.size:
            shape = HEADER.unpack(head)
            count = int(np.prod(shape, dtype=np.int64))
            if count > MOST_VALUES:
                raise SystemExit(f"a batch of {count} values is too large")
            values = np.frombuffer(source.read(4 * count), "<f4").reshape(shape)
            found = np.ascontiguousarray(network(torch.from_numpy(values.copy())).flatten(1).numpy(), "<f4")
            sink.write(ANSWER.pack(*found.shape) + found.tobytes())
            sink.flush()


def _write_no_file() -> None:
    """Where the system can: nothing written to a file, no core dump. Pipes are no files."""
    with contextlib.suppress(ImportError):
        import resource

        for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
            resource.setrlimit(limit, (0, 0))


def _main() -> None:
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as sink:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what unpickled code prints is no answer
        serve(Path(sys.argv[1]), sys.argv[2], sys.stdin.buffer, sink)


if __name__ == "__main__":
    try:
        _main()
    except Exception as error:  # of whatever the pickle does: one line, for the parent to show
        raise SystemExit(f"{type(error).__name__}: {error}") from None
