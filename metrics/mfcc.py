"""Mel-frequency cepstra as SyncNet was trained on them. Pure numpy; parity: python_speech_features.mfcc.

25 ms windows every 10 ms, no window function, pre-emphasis 0.97, 512-point FFT, 26 mel filters 0–8 kHz, 13 cepstra
(orthonormal DCT-II, lifter 22), the first replaced by the log of the frame's energy. Samples count as 16-bit
integers: the energy, hence the score, depends on that scale.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emobench.types import SAMPLE_RATE_HZ, Floats

FRAMES_PER_SECOND = 100
WINDOW, HOP, FFT = 400, 160, 512
FILTERS, CEPSTRA, LIFTER = 26, 13, 22
EPSILON = float(np.finfo(float).eps)


def mel_filters() -> NDArray[np.float64]:
    """(26, 257) triangular filters between FFT bins."""
    top = 2595.0 * np.log10(1.0 + (SAMPLE_RATE_HZ / 2) / 700.0)
    hertz = 700.0 * (10.0 ** (np.linspace(0.0, top, FILTERS + 2) / 2595.0) - 1.0)
    bins = np.floor((FFT + 1) * hertz / SAMPLE_RATE_HZ)
    grid = np.arange(FFT // 2 + 1)
    left, centre, right = bins[:-2, None], bins[1:-1, None], bins[2:, None]
    rising = (grid >= left) & (grid < centre)
    falling = (grid >= centre) & (grid < right)
    up = (grid - left) / np.maximum(centre - left, 1)
    down = (right - grid) / np.maximum(right - centre, 1)
    filters: NDArray[np.float64] = np.where(rising, up, np.where(falling, down, 0.0))
    return filters


def _dct_basis() -> NDArray[np.float64]:
    n, k = np.arange(FILTERS), np.arange(CEPSTRA)[:, None]
    basis = np.sqrt(2.0 / FILTERS) * np.cos(np.pi * k * (2 * n + 1) / (2 * FILTERS))
    basis[0] /= np.sqrt(2.0)
    return np.asarray(basis, np.float64)


def mfcc(audio: Floats) -> NDArray[np.float64]:
    """(M, 13) at 100 Hz from (N,) mono −1..1 at 16 kHz; the last window is padded with silence."""
    samples = np.round(np.clip(audio.astype(np.float64), -1.0, 1.0) * 32767.0)
    emphasised = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
    count = 1 if len(samples) <= WINDOW else 1 + -(-(len(samples) - WINDOW) // HOP)
    padded = np.zeros((count - 1) * HOP + WINDOW)
    padded[: len(emphasised)] = emphasised[: len(padded)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(windows, FFT)) ** 2 / FFT
    energy = power.sum(axis=1)
    bands = power @ mel_filters().T
    log_bands = np.log(np.where(bands == 0, EPSILON, bands))
    cepstra = log_bands @ _dct_basis().T
    cepstra *= 1.0 + (LIFTER / 2.0) * np.sin(np.pi * np.arange(CEPSTRA) / LIFTER)
    cepstra[:, 0] = np.log(np.where(energy == 0, EPSILON, energy))
    return cepstra
