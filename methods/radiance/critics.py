"""Who judges a rendered face in training: judges of the train split, or CLIP. Knows no field and no rays.

A critic gives losses that can be differentiated in the image. None of them scores: judges come from
Context.judges, whose clips, seeds and architectures are others than those of the judges that do.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from emobench.errors import Unavailable, UsageError
from emobench.judges.crops import CROP_PX
from emobench.types import Judges, Progress

from .image_config import ImageLossConfig

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as the judges' crops are made grey


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a critic says of one image; None: it has no say in that."""

    cord: Tensor | None = None  # () 0..2, lower is closer to the tag
    identity: Tensor | None = None  # () 0..2, lower is closer to the real face


class Critic(Protocol):
    """Judges square images of a face, cut as judges.crops.face_squares cuts them."""

    @property
    def names(self) -> dict[str, str]:
        """Loss → network, as provenance names it; losses that are off are not in it."""

    def judge(self, shown: Tensor, real: Tensor, emotion: str | None) -> Verdict:
        """shown and real (3, S, S) RGB 0..1 on the critic's device; gradients flow into `shown` alone."""


class JudgeCritic:
    """The dataset's training judges, on grey crops."""

    def __init__(self, tags: Any | None, identity: Any | None, device: torch.device) -> None:
        """`tags` and `identity` are the judges of emobench.judges.extractors, or None where one is off."""
        self.names = {
            name: judge.key() for name, judge in (("cord", tags), ("identity", identity)) if judge is not None
        }
        self._classes: tuple[str, ...] = tags.classes if tags is not None else ()
        self._tags = _frozen(tags.network, device) if tags is not None else None
        self._people = _frozen(identity.network, device) if identity is not None else None

    def judge(self, shown: Tensor, real: Tensor, emotion: str | None) -> Verdict:
        crop, cord, identity = _grey(shown), None, None
        if self._tags is not None and emotion in self._classes:
            cord = 1 - self._tags.similarity(crop)[0, self._classes.index(emotion)]
        if self._people is not None:
            with torch.no_grad():
                wanted = self._people.embed(_grey(real))
            identity = 1 - (self._people.embed(crop) * wanted).sum()
        return Verdict(cord=cord, identity=identity)


def _grey(image: Tensor) -> Tensor:
    """(1, 64, 64) grey 0..255 of an image (3, S, S)."""
    luma = (image * image.new_tensor(LUMA)[:, None, None]).sum(0) * 255
    if luma.shape == (CROP_PX, CROP_PX):
        return luma[None]
    size = (CROP_PX, CROP_PX)
    return functional.interpolate(luma[None, None], size, mode="bilinear", align_corners=False, antialias=True)[0]


def _frozen(network: nn.Module, device: torch.device) -> Any:
    """A copy that training cannot change."""
    copied = copy.deepcopy(network).to(device).eval()
    return copied.requires_grad_(False)


def open_critic(
    config: ImageLossConfig, judges: Judges | None, emotions: Sequence[str], device: torch.device, progress: Progress
) -> Critic | None:
    """The critic of a configuration; None where every loss is off, or no judge can be had, which is said.

    Raises Unavailable where CLIP was asked for and is not here: a choice that was made explicitly is not replaced.
    """
    if not config.enabled:
        return None
    if config.source == "clip":
        from .clip_critic import ClipCritic

        return ClipCritic(config, emotions, device)
    found: dict[str, Any] = {}
    wanted = (("L_cord", "tags", config.cord_weight), ("identity preservation", "identity", config.identity_weight))
    for name, judge, weight in wanted:
        if weight > 0:
            found[judge] = _judge_or_reason(judges, judge)
            if isinstance(found[judge], str):
                progress.note(f"The loss {name} is left out: {found[judge]}")
                found[judge] = None
    critic = JudgeCritic(found.get("tags"), found.get("identity"), device)
    return critic if critic.names else None


def _judge_or_reason(judges: Judges | None, name: str) -> Any:
    if judges is None:
        return "no training judges are at hand outside of a run of a dataset."
    _refuse_scoring(judges)
    try:
        return getattr(judges, name)()
    except Unavailable as error:
        return f"{error}."


def _refuse_scoring(judges: Judges) -> None:
    """Raises UsageError on judges that score: a method would be graded by what it was trained on."""
    role = getattr(judges, "role", "training")
    if role != "training":
        raise UsageError(f"A method was handed the {role} judges for its losses. Hand over those made for training.")
