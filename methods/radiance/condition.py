"""What the field is told about a frame: expression and head rotation, whole or as PCA components.

Knows no grid and no pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emobench.types import Floats, HeadPose

from .config import RadianceConfig
from .geometry import rotation_vectors

# Root of the summed variances of puppet's α (action units): trackers with other units are brought to the same size,
# because the components stay unwhitened and their size sets the learning rate of their tables.
REFERENCE_SPREAD = 1.66


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Affine map from [α · scale, rotation vector · weight] to components, with the range seen in training."""

    alpha_scale: float
    rotation_weight: float
    mean: Floats  # (K + 3,)
    basis: Floats  # (K + 3, C)
    centre: Floats  # (C,) middle of the train range
    half_width: Floats  # (C,)
    margin: float

    def __call__(self, alpha: Floats, pose: HeadPose) -> Floats:
        """Components (T, C) of α (T, K); inside the train range exact, beyond it saturating at margin · half_width."""
        raw = (_stack(alpha, pose, self.alpha_scale, self.rotation_weight) - self.mean) @ self.basis
        offset = raw - self.centre
        room = np.maximum((self.margin - 1) * self.half_width, 1e-6)
        excess = np.maximum(np.abs(offset) - self.half_width, 0)
        inside = np.clip(offset, -self.half_width, self.half_width)
        held: Floats = self.centre + inside + np.sign(offset) * room * np.tanh(excess / room)
        return held.astype(np.float32)


def fit_condition(alpha: Floats, pose: HeadPose, config: RadianceConfig) -> Condition:
    """Fit to train frames, alpha (T, K) and pose of T frames: their unwhitened PCA, or the centred numbers themselves
    where config.components is 0."""
    spread = float(np.sqrt(alpha.var(axis=0, dtype=np.float64).sum()))
    alpha_scale = REFERENCE_SPREAD / spread if spread > 1e-6 else 1.0
    rows = _stack(alpha, pose, alpha_scale, config.rotation_weight).astype(np.float64)
    mean = rows.mean(axis=0)
    basis = _principal_axes(rows - mean, config.components) if config.components else np.eye(rows.shape[1])
    components = (rows - mean) @ basis
    low, high = components.min(axis=0), components.max(axis=0)
    return Condition(
        alpha_scale=alpha_scale,
        rotation_weight=config.rotation_weight,
        mean=mean.astype(np.float32),
        basis=basis.astype(np.float32),
        centre=((low + high) / 2).astype(np.float32),
        half_width=((high - low) / 2).astype(np.float32),
        margin=config.condition_margin,
    )


def _principal_axes(rows: NDArray[np.float64], components: int) -> NDArray[np.float64]:
    """(K + 3, C): directions of largest variance, at most as many as have any."""
    _, sizes, axes = np.linalg.svd(rows, full_matrices=False)
    count = max(1, min(components, int((sizes > 1e-4 * max(sizes[0], 1e-12)).sum())))
    basis = axes[:count].T
    signed: NDArray[np.float64] = basis * np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(count)])
    return signed  # with the sign of every axis fixed, which the decomposition leaves open


def _stack(alpha: Floats, pose: HeadPose, alpha_scale: float, rotation_weight: float) -> Floats:
    return np.concatenate(
        [alpha * np.float32(alpha_scale), rotation_vectors(pose.rotation) * np.float32(rotation_weight)], axis=1
    )
