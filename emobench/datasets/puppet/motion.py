"""The involuntary part: smooth random sway, blinks, saccades. Pure functions of a random generator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.floating[Any]]


def smoothstep(low: Curve | float, high: Curve | float, value: Curve | float) -> Curve:
    """0 at `low`, 1 at `high`, cubic between; low > high falls instead."""
    t = np.clip((np.asarray(value, np.float64) - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def sway(rng: np.random.Generator, n_frames: int, fps: float, seconds: float, deviation: float) -> Curve:
    """Ornstein–Uhlenbeck process (n_frames,) of given time constant and standard deviation, lightly smoothed."""
    warm_up = int(3 * seconds * fps)
    decay = np.exp(-1 / (fps * seconds))
    noise = rng.normal(size=n_frames + warm_up) * deviation * np.sqrt(1 - decay * decay)
    value, path = 0.0, np.empty(n_frames + warm_up)
    for index, step in enumerate(noise):
        value = decay * value + step
        path[index] = value
    kernel = np.hanning(7)[1:-1]
    return np.convolve(np.pad(path[-n_frames:], 2, mode="edge"), kernel / kernel.sum(), "valid")


def blinks(rng: np.random.Generator, seconds: Curve, duration: float, mean_interval: float) -> Curve:
    """Closing of the lids 0..1 (T,): 80 ms down, 170 ms up, at exponential intervals of at least 0.6 s."""
    closing = np.zeros(len(seconds))
    start = rng.uniform(0.2, mean_interval)
    while start < duration:
        offset = seconds - start
        down_up = np.where(offset < 0, smoothstep(-0.09, -0.01, offset), 1 - smoothstep(0.03, 0.20, offset))
        closing = np.maximum(closing, down_up)
        start += max(0.6, rng.exponential(mean_interval))
    return closing


def saccades(rng: np.random.Generator, seconds: Curve, duration: float) -> Curve:
    """Gaze (T, 2) that jumps to a new fixation every 0.5 to 1.6 s; fractions of the eyes' range."""
    gaze = np.zeros((len(seconds), 2))
    start = 0.0
    while start < duration:
        gaze[seconds >= start] = rng.normal(0, (0.07, 0.05))
        start += rng.uniform(0.5, 1.6)
    return gaze
