"""Trains the judges' networks from prepared material, each with its own generator. Writes and shows nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from emobench.types import Floats

from .augment import degrade, jitter
from .crops import Squares, cut, to_crop
from .material import Filmed, Spoken
from .networks import AUDIO_WINDOW, VIDEO_WINDOW, FaceNet, SyncTowers, TagImageNet

FACE_BATCH, FACE_RATE = 64, 3e-3
FACE_SEEN, FACE_LEAST, FACE_MOST = 8, 4_000, 16_000  # crops shown to a network: per frame, limits
SYNC_CLIPS, SYNC_WINDOWS, SYNC_RATE = 16, 16, 2e-3
SYNC_STEPS_PER_CLIP, SYNC_MOST_STEPS = 12, 350
MOUTH_NOISE = 0.006  # of the inter-ocular distance: what a landmark judge may be off by
MASKED = 0.3  # share of the sound's time-frequency cells hidden from each window
MOUTH_WEIGHT = 2.0
SMOOTHING = 0.05

Tick = Callable[[], None]  # called after every batch


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeScale:
    """How landmark outputs are scaled: crop px = mean + spread · output."""

    mean: Floats  # (68, 2)
    spread: float


def face_steps(filmed: Filmed) -> int:
    """Batches that the landmark network sees."""
    return int(np.clip(FACE_SEEN * len(filmed.frames), FACE_LEAST, FACE_MOST)) // FACE_BATCH


def emotion_steps(filmed: Filmed) -> int:
    """Batches that the emotion network, whose task is easier, sees: half as many, but not fewer than the least."""
    return max(face_steps(filmed) // 2, FACE_LEAST // FACE_BATCH)


def train_landmarks(network: FaceNet, filmed: Filmed, rng: np.random.Generator, tick: Tick) -> ShapeScale:
    """Fit the network to landmarks of augmented crops, lips counting double."""
    points = to_crop(filmed.landmarks, filmed.squares)
    scale = ShapeScale(mean=points.mean(axis=0), spread=float(points.std(axis=0).mean()) + 0.5)
    weights = torch.ones(68)
    weights[48:] = MOUTH_WEIGHT
    steps = face_steps(filmed)
    fit = _Fit(network, steps, FACE_RATE)
    for _ in range(steps):
        rows, squares, crops = _batch(filmed, rng)
        target = torch.from_numpy((to_crop(filmed.landmarks[rows], squares) - scale.mean) / scale.spread)
        fit.descend(_shape_loss(network(crops), target, weights))
        tick()
    network.eval()
    return scale


def train_emotion(network: FaceNet | TagImageNet, filmed: Filmed, rng: np.random.Generator, tick: Tick) -> None:
    """Fit the network's logits to the clips' emotions, rare ones weighing more; tags are learned alongside."""
    labels = torch.from_numpy(filmed.emotion)
    rarity = 1.0 / np.maximum(np.bincount(filmed.emotion, minlength=len(filmed.classes)), 1)
    balance = torch.from_numpy(rarity / rarity.mean()).float()
    steps = emotion_steps(filmed)
    fit = _Fit(network, steps, FACE_RATE)
    for _ in range(steps):
        rows, _, crops = _batch(filmed, rng)
        fit.descend(functional.cross_entropy(network(crops), labels[rows], balance, label_smoothing=SMOOTHING))
        tick()
    network.eval()


def _batch(filmed: Filmed, rng: np.random.Generator) -> tuple[NDArray[np.int64], Squares, Tensor]:
    """Row numbers, jittered squares and degraded crops (64, 64, 64) of random frames."""
    rows = rng.integers(0, len(filmed.frames), FACE_BATCH)
    squares = jitter(filmed.squares[rows], rng)
    return rows, squares, torch.from_numpy(degrade(cut(filmed.frames[rows], squares), rng))


def _shape_loss(outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    errors = functional.smooth_l1_loss(outputs.view(-1, 68, 2), target.float(), reduction="none", beta=0.3)
    return (errors.mean(dim=2) * weights).mean()


class _Fit:
    """One network's optimiser with a one-cycle rate."""

    def __init__(self, network: nn.Module, steps: int, rate: float) -> None:
        network.train()
        self._optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-3)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(self._optimiser, rate, total_steps=steps, pct_start=0.2)

    def descend(self, loss: Tensor) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._schedule.step()


def mouth_windows(mouth: Floats) -> Floats:
    """(W, 5, 20, 2) windows starting at every frame of (T, 20, 2), W = T − 4."""
    return np.lib.stride_tricks.sliding_window_view(mouth, VIDEO_WINDOW, axis=0).transpose(0, 3, 1, 2)


def sound_windows(mel: Floats, count: int, steps_per_frame: float) -> Floats:
    """(count, 20, 40) windows of mel steps (M, 40) starting with every frame; silence past the end."""
    starts = np.round(np.arange(count) * steps_per_frame).astype(int)
    need = int(starts[-1]) + AUDIO_WINDOW
    padded = mel if len(mel) >= need else np.pad(mel, ((0, need - len(mel)), (0, 0)), constant_values=float(mel.min()))
    return np.stack([padded[s : s + AUDIO_WINDOW] for s in starts])


def sync_steps(spoken: Sequence[Spoken]) -> int:
    """Batches that the lip-sync towers see."""
    return min(SYNC_STEPS_PER_CLIP * len(spoken), SYNC_MOST_STEPS)


def train_sync(towers: SyncTowers, spoken: Sequence[Spoken], rng: np.random.Generator, tick: Tick) -> None:
    """Contrastive training: each window's sound against those of other times and other clips."""
    pairs = [_windows(clip) for clip in spoken if len(clip.mouth) >= VIDEO_WINDOW + 4]
    steps = sync_steps(spoken)
    fit = _Fit(towers, steps, SYNC_RATE)
    for _ in range(steps):
        seen, heard = [], []
        for number in rng.integers(0, len(pairs), SYNC_CLIPS):
            mouths, sounds = pairs[number]
            rows = rng.choice(len(mouths), min(SYNC_WINDOWS, len(mouths)), replace=False)
            seen.append(mouths[rows])
            heard.append(sounds[rows])
        mouths, sounds = np.concatenate(seen), np.concatenate(heard)
        # A landmark judge's error is steady over a window rather than new in every frame.
        steady = rng.normal(0.0, MOUTH_NOISE, (len(mouths), 1, 20, 2))
        mouths = mouths * rng.uniform(0.7, 1.1, (len(mouths), 1, 1, 1)) + steady
        mouths = mouths + rng.normal(0.0, MOUTH_NOISE / 2, mouths.shape)
        sounds = sounds + rng.normal(0.0, 0.5, (len(sounds), 1, 1)) + rng.normal(0.0, 0.2, sounds.shape)
        sounds *= rng.random(sounds.shape) > MASKED
        fit.descend(_contrast(towers, _tensor(mouths), _tensor(sounds)))
        tick()
    towers.eval()


def _windows(clip: Spoken) -> tuple[Floats, Floats]:
    mouths = mouth_windows(clip.mouth)
    return mouths, sound_windows(clip.mel, len(mouths), len(clip.mel) / len(clip.mouth))


def _tensor(array: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def _contrast(towers: SyncTowers, mouths: Tensor, sounds: Tensor) -> Tensor:
    """Symmetric InfoNCE over the batch."""
    likeness = towers.embed_mouth(mouths) @ towers.embed_sound(sounds).T * towers.log_temperature.clamp(max=3.5).exp()
    labels = torch.arange(len(likeness))
    return functional.cross_entropy(likeness, labels) + functional.cross_entropy(likeness.T, labels)
