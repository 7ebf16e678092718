"""What judges must not mind: blur, noise, exposure, compression and a crop that is a little off. Knows no network.

Renders of radiance fields are blurred and noisy where ground truth is not; a judge trained on clean frames alone would
measure that, not the expression.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .crops import CROP_PX, Squares

SHIFT, SCALE, ROLL = 0.03, 0.06, 0.08  # shares of the side; radians
BLUR_PX, NOISE, GAIN, BIAS = 1.5, 12.0, 0.2, 20.0  # of 64 px crops, of 255 grey levels
BLURRED, COMPRESSED, SOFTENED = 0.6, 0.2, 0.25  # shares of the crops


def jitter(squares: Squares, rng: np.random.Generator) -> Squares:
    """Squares shifted, scaled and turned a little."""
    count = len(squares)
    moved = squares.copy()
    moved[:, :2] += rng.normal(0.0, SHIFT, (count, 2)) * squares[:, 2:3]
    moved[:, 2] *= np.exp(rng.normal(0.0, SCALE, count))
    moved[:, 3] += rng.normal(0.0, ROLL, count)
    return moved


def degrade(crops: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """(N, 64, 64) with random blur, lost resolution, compression, exposure and noise."""
    count = len(crops)
    kinds, sigma, quality = rng.random((3, count)), rng.uniform(0.2, BLUR_PX, count), rng.integers(25, 90, count)
    degraded = np.empty(crops.shape, np.float32)
    for index, crop in enumerate(crops):
        image = crop
        if kinds[0, index] < BLURRED:
            image = cv2.GaussianBlur(image, (0, 0), float(sigma[index]))
        if kinds[1, index] < SOFTENED:
            small = cv2.resize(image, (CROP_PX // 2, CROP_PX // 2), interpolation=cv2.INTER_AREA)
            image = cv2.resize(small, (CROP_PX, CROP_PX), interpolation=cv2.INTER_LINEAR)
        if kinds[2, index] < COMPRESSED:
            _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality[index])])
            image = cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)
        degraded[index] = image
    gain = np.exp(rng.normal(0.0, GAIN, (count, 1, 1))).astype(np.float32)
    bias = rng.normal(0.0, BIAS, (count, 1, 1)).astype(np.float32)
    noise = rng.standard_normal(crops.shape, np.float32) * rng.uniform(0, NOISE, (count, 1, 1)).astype(np.float32)
    return np.asarray(np.clip(degraded * gain + bias + noise, 0, 255), np.uint8)


def blur(frames: NDArray[np.uint8], sigma_px: float) -> NDArray[np.uint8]:
    """Frames blurred by a Gaussian: the scale on which a judge's robustness is reported."""
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma_px) for frame in frames])
