"""The one place that touches espeak-ng: a helper process that turns requests into samples and phoneme events.

espeak-ng (GPL-3.0) is used as the installed library of `espeakng-loader` through ctypes, in a process of its own:
`python -m emobench.datasets.puppet.espeak` reads one JSON request a line from stdin and answers each on stdout with
one JSON line, followed by the raw little-endian int16 samples. Knows nothing of emotions, visemes or datasets.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_PHONEME_EVENTS, INITIALIZE_PHONEME_IPA = 1, 2
PARAMETER_RATE, PARAMETER_VOLUME, PARAMETER_PITCH, PARAMETER_RANGE = 1, 2, 3, 4
POSITION_CHARACTER, CHARS_UTF8 = 1, 1
EVENT_LIST_TERMINATED, EVENT_PHONEME = 0, 7
RANDOM_SEED = 1


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Engine:
    """espeak-ng, initialised once per process. `rate_hz` is the sample rate of everything it says."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(Path(espeakng_loader.get_data_path())).encode()
        options = INITIALIZE_PHONEME_EVENTS | INITIALIZE_PHONEME_IPA
        self.rate_hz = int(self._library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, ctypes.c_char_p(data), options))
        if self.rate_hz <= 0:
            raise RuntimeError(f"espeak_Initialize returned {self.rate_hz}")
        self._samples = bytearray()
        self._phonemes: list[tuple[int, str]] = []
        self._callback = _Callback(self._receive)  # kept: the library holds only a bare pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    def version(self) -> str:
        """Version of the loaded library."""
        self._library.espeak_Info.restype = ctypes.c_char_p
        text: bytes = self._library.espeak_Info(None)
        return text.decode("utf-8", "replace").split(" ")[0]

    def _receive(self, wave: Any, count: int, events: Any) -> int:
        if wave and count > 0:
            self._samples += ctypes.string_at(wave, count * 2)
        index = 0
        while events[index].type != EVENT_LIST_TERMINATED:
            event = events[index]
            if event.type == EVENT_PHONEME:
                self._phonemes.append((event.audio_position, event.id.string.decode("utf-8", "ignore")))
            index += 1
        return 0

    def say(
        self, text: str, voice: str, rate_wpm: int, pitch: int, pitch_range: int
    ) -> tuple[bytes, list[tuple[int, str]]]:
        """int16 samples and (start in ms, IPA phoneme) events. Raises RuntimeError on an unknown voice."""
        self._samples, self._phonemes = bytearray(), []
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(RANDOM_SEED))  # else seeded from the clock
        code = self._library.espeak_SetVoiceByName(voice.encode())
        if code != 0:
            raise RuntimeError(f"espeak_SetVoiceByName({voice!r}) returned {code}")
        for parameter, value in (
            (PARAMETER_RATE, rate_wpm),
            (PARAMETER_VOLUME, 100),
            (PARAMETER_PITCH, pitch),
            (PARAMETER_RANGE, pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, POSITION_CHARACTER, 0, CHARS_UTF8, None, None)
        self._library.espeak_Synchronize()
        return bytes(self._samples), list(self._phonemes)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until stdin ends. A failed request answers {"error": …} and no samples.

    espeak-ng carries intonation state from one utterance to the next, so each is said by a fork of the untouched
    engine; where the system cannot fork, the helper ends after one answer and the client starts another.
    """
    engine = Engine()
    version = engine.version()
    while line := requests.readline():
        if not hasattr(os, "fork"):
            _answer(engine, version, line, answers)
            return
        child = os.fork()
        if child == 0:
            _answer(engine, version, line, answers)
            os._exit(0)
        os.waitpid(child, 0)


def _answer(engine: Engine, version: str, line: bytes, answers: BinaryIO) -> None:
    try:
        samples, phonemes = engine.say(**json.loads(line))
        head = {"rate_hz": engine.rate_hz, "n_bytes": len(samples), "phonemes": phonemes, "version": version}
    except (RuntimeError, TypeError) as error:
        samples, head = b"", {"error": str(error), "n_bytes": 0}
    answers.write(json.dumps(head).encode() + b"\n" + samples)
    answers.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the client's to answer: it closes our stdin
    serve(sys.stdin.buffer, sys.stdout.buffer)
