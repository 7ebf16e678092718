"""What a trained expression module shows of its hyperplanes, and how a given α is moved along them. Trains nothing."""

from __future__ import annotations

import numpy as np

from emobench.abilities import PlaneFacts
from emobench.errors import UsageError
from emobench.types import Floats

from .hyperplanes import RunningMean
from .model import ExpressionModel


def plane_facts(model: ExpressionModel) -> PlaneFacts | None:
    """None where training saw fewer than two emotions."""
    planes, vocabulary = model.hyperplanes, model.vocabulary
    if planes is None:
        return None
    return PlaneFacts(
        emotions=planes.emotions, alpha_names=vocabulary.alpha_names, is_mouth=vocabulary.is_mouth,
        normal=planes.normal, scale=planes.scale, accuracy=planes.accuracy, margin=planes.margin,
        frames=planes.frames.astype(np.int64),
    )


def push(model: ExpressionModel, subject: str, alpha: Floats, emotion: str, level: float, tau: Floats) -> Floats:
    """α (T, K) of one clip in the tracker's units, moved by τ (T,) times the configured step towards an emotion.

    Raises UsageError on an emotion that was not trained, or where there are no hyperplanes.
    """
    vocabulary = model.vocabulary
    vocabulary.tag(emotion)
    if model.hyperplanes is None:
        raise UsageError("This model has no hyperplanes: it was trained on a single emotion.")
    mean, scale = model.scaling.alpha_of(vocabulary.subject(subject))
    standard = ((alpha - mean) / scale).astype(np.float32)
    kind, running = model.config.refinement.step, RunningMean() if model.config.streaming.enabled else None
    wanted = vocabulary.level(emotion, level)
    moved = model.hyperplanes.push(standard, emotion, tau.astype(np.float32), wanted, kind, running)
    back: Floats = (moved * scale + mean).astype(np.float32)
    return back
