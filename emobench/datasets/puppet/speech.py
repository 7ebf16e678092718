"""What is said and how it sounds: the sentences, the client of the espeak-ng helper, gain and resampling to 16 kHz."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from emobench.errors import EmobenchError
from emobench.types import SAMPLE_RATE_HZ, Floats

from .emotions import Prosody

HEADROOM_DB = 3.0  # the loudest emotion (+5 dB) still does not clip espeak-ng's normal level
FULL_SCALE = 32768.0
PAD_SECONDS = 0.15  # silence before and after, so that the mouth starts and ends closed
# espeak-ng reports a voiceless stop at its burst; the silent hold before it belongs to the stop as well. Measured on
# six voices at 126 to 192 words a minute: 46 ms at 160, inversely proportional to the rate.
HOLD_SECONDS_PER_WPM = 0.046 * 160
HOLD_LIMIT = 0.6  # share of the sound before that the hold may take
VOICELESS_STOPS = ("p", "t", "k")

# s10 alone covers every viseme, and so do s01 to s09 together: train and test splits miss no mouth shape.
SENTENCES: Mapping[str, str] = {
    "s01": "The small boat drifted past the old bridge.",
    "s02": "Maybe tomorrow we will find a better way.",
    "s03": "Please put the blue book back on the shelf.",
    "s04": "I never thought the room would be so quiet.",
    "s05": "They told me about the meeting this morning.",
    "s06": "My father bought four apples at the market.",
    "s07": "We should head home before the rain begins.",
    "s08": "Nobody knows where the white van was parked.",
    "s09": "She opened the window and looked outside.",
    "s10": "Please show her the map one hour before breakfast.",
    "s11": "The phone was ringing when I came home.",
    "s12": "Very few people ever visit the village.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phoneme:
    """One phoneme event: IPA with stress marks, "" for a pause, and when it is heard."""

    ipa: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One spoken sentence, silence included: (N,) samples at 16 kHz, exactly n_frames long at the clip's rate."""

    samples: Floats
    phonemes: tuple[Phoneme, ...]
    n_frames: int
    fps: float
    engine: str  # version of espeak-ng


class SpeechError(EmobenchError):
    """The speech helper failed; the text says how."""


class Speaker:
    """Client of one espeak-ng helper process; use `open_speaker`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "emobench.datasets.puppet.espeak"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self._process

    def close(self) -> None:
        """End the helper."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None and process.stdout is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait(timeout=10)
            process.stdout.close()

    def say(self, text: str, voice: str, prosody: Prosody, fps: float) -> Utterance:
        """Speak a sentence. Raises SpeechError when the helper fails or does not know the voice."""
        request = {
            "text": text, "voice": voice, "rate_wpm": round(prosody.rate_wpm),
            "pitch": round(prosody.pitch), "pitch_range": round(prosody.pitch_range),
        }
        process = self._start()
        if process.stdin is None or process.stdout is None:
            raise SpeechError("The speech helper has no pipes.")
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            raise SpeechError(
                f"The speech helper ended with code {process.wait()}. "
                "Is espeakng-loader installed? See: emobench doctor"
            )
        head = json.loads(line)
        data = process.stdout.read(int(head["n_bytes"]))
        if "error" in head:
            raise SpeechError(f"espeak-ng cannot speak {text!r}: {head['error']}")
        raw = np.frombuffer(data, "<i2").astype(np.float32) / FULL_SCALE
        starts = [(start / 1000.0, ipa) for start, ipa in head["phonemes"]]
        phonemes = _hold_stops(starts, HOLD_SECONDS_PER_WPM / prosody.rate_wpm)
        return _arrange(raw, int(head["rate_hz"]), phonemes, prosody.gain_db, fps, str(head["version"]))


@contextlib.contextmanager
def open_speaker() -> Iterator[Speaker]:
    """A Speaker whose helper process ends with the block."""
    speaker = Speaker()
    try:
        yield speaker
    finally:
        speaker.close()


def _hold_stops(starts: list[tuple[float, str]], hold_seconds: float) -> list[tuple[float, str]]:
    """(start in s, IPA) events with voiceless stops moved from their burst to the closing of the mouth."""
    moved = starts[:1]
    for (before, _), (start, ipa) in itertools.pairwise(starts):
        is_stop = ipa.lstrip("ˈˌ_").startswith(VOICELESS_STOPS)
        earlier = min(hold_seconds, HOLD_LIMIT * (start - before)) if is_stop else 0.0
        moved.append((start - earlier, ipa))
    return moved


def _arrange(
    raw: Floats, rate_hz: int, starts: list[tuple[float, str]], gain_db: float, fps: float, engine: str
) -> Utterance:
    """Gain, resampling and padding to whole frames; phoneme events become intervals on the padded time axis."""
    from scipy.signal import resample_poly

    divisor = int(np.gcd(rate_hz, SAMPLE_RATE_HZ))
    voice = resample_poly(raw.astype(np.float64), SAMPLE_RATE_HZ // divisor, rate_hz // divisor)
    pad = round(PAD_SECONDS * SAMPLE_RATE_HZ)
    n_frames = int(np.ceil((len(voice) + 2 * pad) / SAMPLE_RATE_HZ * fps))
    samples = np.zeros(round(n_frames * SAMPLE_RATE_HZ / fps))
    samples[pad : pad + len(voice)] = voice * 10 ** ((gain_db - HEADROOM_DB) / 20)
    times = [start + PAD_SECONDS for start, _ in starts] + [n_frames / fps]
    phonemes = tuple(
        Phoneme(ipa=ipa, start_seconds=start, end_seconds=end)
        for (_, ipa), start, end in zip(starts, times[:-1], times[1:], strict=True)
        if end > start
    )
    return Utterance(
        samples=np.clip(samples, -1, 1).astype(np.float32), phonemes=phonemes, n_frames=n_frames, fps=fps, engine=engine
    )
