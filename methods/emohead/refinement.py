"""Stage 2 of EmoHead: FFN₂ learns τ, with everything before it frozen. Knows no files and no rendering.

α̃ is told the emotion that is heard and pushed towards another, whose face at these words a partner shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emobench.types import Progress

from .augment import augmented
from .config import EmoHeadConfig, Step
from .encoders import LEVELS
from .examples import Example, Scaling, collate, collate_targets
from .hyperplanes import Hyperplanes
from .network import ExpressionNetwork
from .pairing import Partners
from .training import draw_batches, learning_rate_share, masked_mean, regression_loss

# Where τ starts. Along w_z by a fixed length: softplus(−4) ≈ 0.02, hardly at all; to where z lies: softplus(0.54) ≈ 1.
TAU_BIAS = {"normal": -4.0, "landing": 0.54, "joint": 0.54}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """Hyperplanes as tensors, by tag number − 1."""

    normal: Tensor  # (E, K)
    offset: Tensor  # (E,)
    scale: Tensor  # (E,)
    target: Tensor  # (E, LEVELS)
    centre: Tensor  # (E, LEVELS, E)
    pattern: Tensor  # (E, K)

    @classmethod
    def of(cls, planes: Hyperplanes) -> Planes:
        """Same numbers, same order."""
        names = ("normal", "offset", "scale", "target", "centre")
        arrays = {name: torch.from_numpy(getattr(planes, name)) for name in names}
        return cls(**arrays, pattern=torch.from_numpy(planes.patterns()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """Where the clips of a batch are to be pushed."""

    row: Tensor  # (B,) long: tag number − 1
    level: Tensor  # (B,) long: level − 1
    is_replaced: Tensor  # (B,) bool: not what is heard
    has_face: Tensor  # (B,) bool: the target shows it


def train_refinement(
    network: ExpressionNetwork, planes: Hyperplanes, examples: Sequence[Example], partners: Partners, scaling: Scaling,
    is_mouth: Tensor, config: EmoHeadConfig, rng: np.random.Generator, progress: Progress,
) -> float:
    """Train FFN₂ on pushes towards the own tag and towards replaced ones; returns the last loss.

    L_reg of α̂ where a face is known: the clip's own, or a partner's; the hinge everywhere.
    """
    settings, training = config.refinement, config.training.model_copy(update={"tag_dropout": 0.0})
    tensors, weights = Planes.of(planes), torch.where(is_mouth, training.mouth_weight, 1.0)
    network.start_tau(TAU_BIAS[settings.step])
    optimiser = torch.optim.Adam(network.tau.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: learning_rate_share(i / settings.steps))
    spoken = sorted({(example.tag, example.level) for example in examples})
    draws = draw_batches([len(e) for e in examples], training.batch_clips, settings.steps, rng)
    last = 0.0
    for chosen in progress.track(draws, "emohead: refinement", total=settings.steps):
        replaced = rng.uniform(size=len(chosen)) < settings.mismatch
        wanted = [_replace(partners, i, spoken, rng) if r else (examples[i], True)
                  for i, r in zip(chosen, replaced, strict=True)]  # fmt: skip
        clips = [augmented(clip, training, config.text, scaling, rng) for clip, _ in wanted]
        goals = _goals(clips, replaced, [has_face for _, has_face in wanted])
        target, mask = collate_targets(clips)
        heard = [replace(c, tag=examples[i].tag, level=examples[i].level) for c, i in zip(clips, chosen, strict=True)]
        with torch.no_grad():
            alpha, states = network(collate(heard))
            steps = _steps(alpha, mask, tensors, goals, settings.step)
        tau = network.predict_tau(states)
        refined = alpha + tau.unsqueeze(-1) * steps
        shown = mask & goals.has_face[:, None]
        loss = settings.matched_weight * regression_loss(refined, target, shown, weights, training.velocity_weight)
        loss = loss + settings.hinge_weight * masked_mean(_hinge(refined, mask, tensors, goals), mask)
        loss = loss + settings.sparsity * masked_mean(tau, mask)
        loss = loss + settings.smoothness * masked_mean(tau.diff(dim=1).abs(), mask[:, 1:] & mask[:, :-1])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        last = float(loss.detach())
    return last


def _replace(
    partners: Partners, index: int, spoken: list[tuple[int, float]], rng: np.random.Generator
) -> tuple[Example, bool]:
    """The clip with the tag and face of a partner; without one, with a tag that was trained and no face for it."""
    crossed = partners.crossed(index, rng)
    if crossed is not None:
        return crossed, True
    own = partners.examples[index]
    others = [pair for pair in spoken if pair[0] != own.tag]
    tag, level = others[int(rng.integers(len(others)))]
    return replace(own, tag=tag, level=level), False


def _goals(clips: Sequence[Example], replaced: NDArray[np.bool_], has_face: Sequence[bool]) -> Goals:
    return Goals(
        row=torch.tensor([clip.tag - 1 for clip in clips]),
        level=torch.tensor([round(clip.level) for clip in clips]).clamp(1, LEVELS) - 1,
        is_replaced=torch.from_numpy(replaced),
        has_face=torch.tensor(has_face),
    )


def _steps(alpha: Tensor, mask: Tensor, planes: Planes, goals: Goals, kind: Step) -> Tensor:
    """(B, 1, K) δ of each clip: Hyperplanes.step for a batch."""
    row, level = goals.row, goals.level
    if kind == "normal":
        return (planes.scale[row, None] * planes.normal[row]).unsqueeze(1)
    distances = alpha @ planes.normal.T + planes.offset
    counts = mask.sum(1, keepdim=True).clamp(min=1)
    mean = (distances * mask.unsqueeze(-1)).sum(1) / counts  # (B, E)
    if kind == "landing":
        lacking = planes.target[row, level, None] - mean.gather(1, row[:, None])
        return (lacking * planes.normal[row]).unsqueeze(1)
    joint: Tensor = ((planes.centre[row, level] - mean) @ planes.pattern).unsqueeze(1)
    return joint


def _hinge(refined: Tensor, mask: Tensor, planes: Planes, goals: Goals) -> Tensor:
    """(B, T) what is missing to the bar, in units of τ.

    Every frame: the hyperplane itself (or the level's median where that lies below it). Replaced tags also: the
    clip's mean distance should reach the median of tag and level, so that onsets and pauses keep their dynamics.
    """
    row = goals.row
    distance = (refined * planes.normal[row].unsqueeze(1)).sum(-1) + planes.offset[row, None]
    median = planes.target[row, goals.level]
    mean = (distance * mask).sum(1) / mask.sum(1).clamp(min=1)
    missing = torch.relu(median.clamp(max=0)[:, None] - distance)
    missing = missing + (goals.is_replaced * torch.relu(median - mean))[:, None]
    return missing / planes.scale[row, None]
