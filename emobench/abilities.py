"""What a method may offer beyond rendering a clip, for commands that look into it or move its expression.

Protocols and the data they exchange; knows no method. Whoever asks says what is missing where a method has them not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emobench.types import Camera, Driving, Floats, HeadPose, Image, Rendered


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneFacts:
    """E hyperplanes, one per emotion, over K standardised coefficients."""

    emotions: tuple[str, ...]  # E
    alpha_names: tuple[str, ...]  # K
    is_mouth: tuple[bool, ...]  # K
    normal: Floats  # (E, K) unit length: how far one unit along w moves each coefficient, in its standard deviations
    scale: Floats  # (E,) from the median of the others to that of the emotion, along w
    accuracy: Floats  # (E,) 0..1, balanced, over clips that were left out
    margin: Floats  # (E,) half-width of the margin, the same unit
    frames: NDArray[np.int64]  # (E,) train frames of the emotion; empty where the checkpoint does not say

    def cosines(self) -> Floats:
        """(E, E) cosines between the normals."""
        return self.normal @ self.normal.T


class Expressed(Protocol):
    """What a method says about one clip, in the tracker's units."""

    @property
    def spoken(self) -> Floats:
        """(T, K) α̃, before refinement."""

    @property
    def refined(self) -> Floats:
        """(T, K) α̂, what is rendered."""

    @property
    def tau(self) -> Floats:
        """(T,) steps of refinement towards the tag, as applied; 0 where nothing is refined."""


@runtime_checkable
class Expresses(Protocol):
    """Predicts an expression from sound and tag, and renders any expression."""

    def express(self, driving: Driving) -> Expressed:
        """α̃, τ and α̂. Raises UsageError on an unknown tag."""

    def render_alpha(self, subject: str, alpha: Floats, pose: HeadPose, camera: Camera) -> Iterator[Rendered]:
        """A frame for every row of α (T, K)."""


@runtime_checkable
class Refines(Expresses, Protocol):
    """Also has a hyperplane per emotion, along which it moves an expression."""

    def hyperplanes(self) -> PlaneFacts | None:
        """None where training saw fewer than two emotions."""

    def push(self, subject: str, alpha: Floats, emotion: str, level: float, tau: Floats) -> Floats:
        """α (T, K) of one clip moved by τ (T,) steps towards an emotion; τ = 1 arrives. Raises UsageError."""


@runtime_checkable
class Turns(Protocol):
    """Shows its head from other sides."""

    def view(self, subject: str, alpha: Floats, pose: HeadPose, seen: HeadPose, camera: Camera) -> Iterator[Image]:
        """The head alone: `pose` (T) is how it sits in its light, `seen` (T) how the camera that looks sees it."""
