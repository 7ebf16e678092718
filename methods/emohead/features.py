"""What EmoHead hears: log-mel bands and prosody of 16 kHz speech at 100 Hz. Knows no network and no video.

Feature step k is centred at (k + 0.5) / 100 s. Columns: n_mels log-mel bands (natural log of band power), then
the four prosody columns of PROSODY.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.types import SAMPLE_RATE_HZ, Floats

from .config import AudioConfig

STEP_HZ = 100
BLOCK_STEPS = 4096  # computed at once: bounds memory for long sound
HOP_SAMPLES = SAMPLE_RATE_HZ // STEP_HZ
MEL_WINDOW_SAMPLES = 400  # 25 ms
PITCH_WINDOW_SAMPLES = 640  # 40 ms: two periods of the lowest pitch
FFT_SIZE = 512
PITCH_FFT_SIZE = 1024
LOG_FLOOR = 1e-6  # of band power: −60 dB under a full-scale band
POWER_FLOOR = 1e-7  # keeps silence unvoiced
OCTAVE_COST = 0.02  # a period twice as long must correlate this much better, Boersma 1993
PROSODY = ("energy_db", "log_f0", "voicing", "voicing_delta")
SPEECH_RANGE_DB = 35.0  # steps this far below the loudest count as silence


def speech_features(audio: Floats, config: AudioConfig) -> Floats:
    """(N,) mono at SAMPLE_RATE_HZ → (steps, n_mels + 4) float32. Raises InputError on empty or non-finite sound."""
    if audio.ndim != 1 or len(audio) < HOP_SAMPLES:
        raise InputError(f"The driving sound has shape {audio.shape}: EmoHead needs at least 10 ms of mono speech.")
    if not np.isfinite(audio).all():
        raise InputError("The driving sound holds NaN or infinite samples. Check the audio file.")
    steps = -(-len(audio) // HOP_SAMPLES)
    samples = audio.astype(np.float32, copy=False)
    features = np.empty((steps, config.n_mels + len(PROSODY)), np.float32)
    for first in range(0, steps, BLOCK_STEPS):
        stop = min(first + BLOCK_STEPS, steps)
        features[first:stop, : config.n_mels] = _log_mel(_windows(samples, first, stop, MEL_WINDOW_SAMPLES), config)
        features[first:stop, config.n_mels : -1] = _prosody(samples, first, stop, config)
    voicing = features[:, -2]
    features[:, -1] = np.gradient(voicing) if steps > 1 else 0
    return features


def speech_span(features: Floats) -> tuple[float, float]:
    """First and last feature step of speech, by energy; the whole clip where all of it is equally loud or silent."""
    energy = features[:, -len(PROSODY)]
    loud = np.flatnonzero(energy > energy.max() - SPEECH_RANGE_DB)
    return float(loud[0]), float(loud[-1])


def frame_positions(n_frames: int, fps: float, first: int = 0) -> NDArray[np.float64]:
    """(n_frames − first,) where the centres of video frames fall on the axis of feature steps."""
    return (np.arange(first, n_frames, dtype=np.float64) + 0.5) * (STEP_HZ / fps) - 0.5


def _windows(samples: Floats, first: int, stop: int, width: int) -> Floats:
    """(stop − first, width) around the centres of feature steps; silence beyond both ends of the sound."""
    start = first * HOP_SAMPLES - (width - HOP_SAMPLES) // 2
    end = start + (stop - first - 1) * HOP_SAMPLES + width
    before, after = max(-start, 0), max(end - len(samples), 0)
    padded = np.pad(samples[max(start, 0) : end], (before, after))
    return np.lib.stride_tricks.sliding_window_view(padded, width)[::HOP_SAMPLES]


def _log_mel(windows: Floats, config: AudioConfig) -> Floats:
    shape = np.hanning(MEL_WINDOW_SAMPLES + 1)[:-1].astype(np.float32)
    spectrum = np.fft.rfft(windows * shape, FFT_SIZE)
    power = (np.abs(spectrum) ** 2 / (shape**2).sum()).astype(np.float32)
    bands: Floats = np.log(power @ _mel_filters(config.n_mels) + LOG_FLOOR)
    return bands


def mel_edges_hz(n_mels: int) -> NDArray[np.float64]:
    """(n_mels + 2,) corners of the bands: band k rises from edge k, peaks at k + 1 and ends at k + 2."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (60.0, 7600.0))
    return np.asarray(700 * (10 ** (np.linspace(low, high, n_mels + 2) / 2595) - 1))


@lru_cache(maxsize=4)
def _mel_filters(n_mels: int) -> Floats:
    """(bins, n_mels) triangles, equally spaced on the HTK mel scale from 60 to 7600 Hz."""
    edges = mel_edges_hz(n_mels)
    hz = np.fft.rfftfreq(FFT_SIZE, 1 / SAMPLE_RATE_HZ)[:, None]
    rising = (hz - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - hz) / np.diff(edges)[1:]
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def _prosody(samples: Floats, first: int, stop: int, config: AudioConfig) -> Floats:
    """Energy in dB, log pitch (relative to 150 Hz, faded out where unvoiced) and voicing 0..1 of some steps.

    Pitch by normalised autocorrelation, Boersma 1993: the window's own autocorrelation is divided out.
    """
    windows = _windows(samples, first, stop, PITCH_WINDOW_SAMPLES)
    centred = windows - windows.mean(axis=1, keepdims=True)
    shape = np.hanning(PITCH_WINDOW_SAMPLES + 1)[:-1].astype(np.float32)
    shortest, longest = int(SAMPLE_RATE_HZ / config.pitch_max_hz), int(SAMPLE_RATE_HZ / config.pitch_min_hz)
    lags = slice(shortest, min(longest, PITCH_WINDOW_SAMPLES // 2) + 1)
    own = _autocorrelation(shape[None])
    correlation = _autocorrelation(centred * shape)
    ratio = correlation[:, lags] / (correlation[:, :1] + POWER_FLOOR) * own[:, :1] / own[:, lags]
    octaves = np.log2(np.arange(lags.start, lags.stop) / lags.start)
    best = (ratio - OCTAVE_COST * octaves).argmax(axis=1)
    voicing = np.clip(ratio[np.arange(stop - first), best], 0, 1)
    f0 = SAMPLE_RATE_HZ / (best + shortest)
    weight = np.clip((voicing - 0.35) / 0.3, 0, 1)
    energy_db = 10 * np.log10((windows**2).mean(axis=1) + 1e-8)
    return np.stack([energy_db, np.log2(f0 / 150.0) * weight, voicing], axis=1).astype(np.float32)


def _autocorrelation(windows: Floats) -> Floats:
    spectrum = np.fft.rfft(windows, PITCH_FFT_SIZE)
    return np.fft.irfft(np.abs(spectrum) ** 2, PITCH_FFT_SIZE)[:, : PITCH_WINDOW_SAMPLES // 2 + 1].astype(np.float32)
