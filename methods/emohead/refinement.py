"""Stage 2 of EmoHead: FFN₂ learns τ, with everything before it frozen. Knows no files and no rendering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from emobench.types import Progress

from .augment import augmented
from .config import EmoHeadConfig
from .encoders import LEVELS
from .examples import Example, Scaling, collate, collate_targets
from .hyperplanes import Hyperplanes
from .network import Batch, ExpressionNetwork
from .training import draw_batches, learning_rate_share, masked_mean, regression_loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """Hyperplanes as tensors, by tag number − 1."""

    normal: Tensor  # (E, K)
    offset: Tensor  # (E,)
    scale: Tensor  # (E,)
    target: Tensor  # (E, LEVELS)

    @classmethod
    def of(cls, planes: Hyperplanes) -> Planes:
        """Same numbers, same order."""
        names = ("normal", "offset", "scale", "target")
        return cls(**{name: torch.from_numpy(getattr(planes, name)) for name in names})


def train_refinement(
    network: ExpressionNetwork, planes: Hyperplanes, examples: Sequence[Example], scaling: Scaling, is_mouth: Tensor,
    config: EmoHeadConfig, rng: np.random.Generator, progress: Progress,
) -> float:
    """Train FFN₂ on matched clips (L_reg of α̂) and on replaced tags (hinge); returns the last loss."""
    settings, training = config.refinement, config.training.model_copy(update={"tag_dropout": 0.0})
    tensors, weights = Planes.of(planes), torch.where(is_mouth, training.mouth_weight, 1.0)
    optimiser = torch.optim.Adam(network.tau.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: learning_rate_share(i / settings.steps))
    spoken = sorted({(example.tag, example.level) for example in examples})
    draws = draw_batches([len(e) for e in examples], training.batch_clips, settings.steps, rng)
    last = 0.0
    for chosen in progress.track(draws, "emohead: refinement", total=settings.steps):
        clips = [augmented(examples[i], training, config.text, scaling, rng) for i in chosen]
        target, mask = collate_targets(clips)
        replaced = rng.uniform(size=len(clips)) < settings.mismatch
        batch = collate([_retag(c, spoken, rng) if r else c for c, r in zip(clips, replaced, strict=True)])
        with torch.no_grad():
            alpha, states = network(batch)
        tau = network.predict_tau(states)
        is_matched = torch.from_numpy(~replaced)
        refined = alpha + _steps(tau, tensors, batch)
        keeps_tag = mask & is_matched[:, None]
        loss = settings.matched_weight * regression_loss(refined, target, keeps_tag, weights, training.velocity_weight)
        loss = loss + settings.hinge_weight * masked_mean(_hinge(refined, tensors, batch, is_matched), mask)
        loss = loss + settings.sparsity * masked_mean(tau, mask)
        loss = loss + settings.smoothness * masked_mean(tau.diff(dim=1).abs(), mask[:, 1:] & mask[:, :-1])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        last = float(loss.detach())
    return last


def _retag(example: Example, spoken: list[tuple[int, float]], rng: np.random.Generator) -> Example:
    """The same speech with the tag and level of another emotion that was trained."""
    others = [pair for pair in spoken if pair[0] != example.tag]
    tag, level = others[int(rng.integers(len(others)))]
    return replace(example, tag=tag, level=level)


def _steps(tau: Tensor, planes: Planes, batch: Batch) -> Tensor:
    """(B, T, K) τ·s·w of each clip's tag."""
    row = batch.tag - 1
    return tau.unsqueeze(-1) * (planes.scale[row, None] * planes.normal[row]).unsqueeze(1)


def _hinge(refined: Tensor, planes: Planes, batch: Batch, is_matched: Tensor) -> Tensor:
    """(B, T) what is missing to the bar, in units of τ.

    Every frame: the hyperplane itself (or the level's median where that lies below it). Replaced tags also: the
    clip's mean distance should reach the median of tag and level, so that onsets and pauses keep their dynamics.
    """
    row = batch.tag - 1
    distance = (refined * planes.normal[row].unsqueeze(1)).sum(-1) + planes.offset[row, None]
    level = batch.level.round().long().clamp(1, LEVELS) - 1
    median = planes.target[row, level]
    mean = (distance * batch.mask).sum(1) / batch.mask.sum(1).clamp(min=1)
    missing = torch.relu(median.clamp(max=0)[:, None] - distance) + (~is_matched * torch.relu(median - mean))[:, None]
    return missing / planes.scale[row, None]
