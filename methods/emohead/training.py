"""Stage 1 of EmoHead: α̃ from sound, transcript and tag; the loss and the draw of batches. Knows no files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from emobench.types import Progress

from .augment import augmented
from .config import EmoHeadConfig
from .examples import Example, Scaling, collate, collate_targets
from .network import ExpressionNetwork
from .pairing import Partners

POOL_BATCHES = 6  # batches are cut from pools of this many, sorted by length


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run with `count` intra-op threads, then restore."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def regression_loss(
    predicted: Tensor, target: Tensor, mask: Tensor, weights: Tensor, velocity_weight: float
) -> Tensor:
    """L_reg: weighted L1 of α and of its frame-to-frame differences. (B, T, K), mask (B, T), weights (K,)."""
    error = masked_mean((predicted - target).abs() @ weights, mask)
    moved = (predicted.diff(dim=1) - target.diff(dim=1)).abs() @ weights
    return (error + velocity_weight * masked_mean(moved, mask[:, 1:] & mask[:, :-1])) / weights.sum()


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1)


def train_expression(
    network: ExpressionNetwork, examples: Sequence[Example], partners: Partners, scaling: Scaling, is_mouth: Tensor,
    config: EmoHeadConfig, rng: np.random.Generator, progress: Progress,
) -> float:
    """Train everything but FFN₂; returns the mean loss of the last tenth of the steps."""
    training, total = config.training, config.training.steps_for(len(examples))
    weights = torch.where(is_mouth, training.mouth_weight, 1.0)
    parameters = [p for name, p in network.named_parameters() if not name.startswith("tau.")]
    optimiser = torch.optim.AdamW(
        parameters, training.learning_rate, weight_decay=training.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: learning_rate_share(i / total))
    losses = []
    network.train()
    draws = draw_batches([len(e) for e in examples], training.batch_clips, total, rng)
    for chosen in progress.track(draws, "emohead: expression", total=total):
        clips = [_cross(partners, i, training.crossed, rng) or examples[i] for i in chosen]
        batch = [augmented(clip, training, config.text, scaling, rng) for clip in clips]
        target, mask = collate_targets(batch)
        predicted, _ = network(collate(batch))
        loss = regression_loss(predicted, target, mask, weights, training.velocity_weight)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    network.eval()
    return float(np.mean(losses[-max(len(losses) // 10, 1) :]))


def _cross(partners: Partners, index: int, share: float, rng: np.random.Generator) -> Example | None:
    """By the toss of a coin, the clip's sound with the face of a partner; None: as it is."""
    return partners.crossed(index, rng) if share and rng.uniform() < share else None


def learning_rate_share(done: float) -> float:
    """Share of the learning rate: a twentieth of warm-up, then a cosine to 1 %."""
    return min(done / 0.05, 1.0) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))) + 1e-3


def draw_batches(lengths: Sequence[int], size: int, steps: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """`steps` batches of clip numbers, of similar length (less padding); every clip once before any comes again."""
    size = min(size, len(lengths))
    done = 0
    while True:
        shuffled = rng.permutation(len(lengths))
        pools = [shuffled[i : i + POOL_BATCHES * size] for i in range(0, len(shuffled), POOL_BATCHES * size)]
        ordered = [int(clip) for pool in pools for clip in sorted(pool, key=lambda clip: lengths[clip])]
        batches = [ordered[i : i + size] for i in range(0, len(ordered), size)]
        for index in rng.permutation(len(batches)):
            if done == steps:
                return
            yield batches[index]
            done += 1
