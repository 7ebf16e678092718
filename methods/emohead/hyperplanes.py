"""One hyperplane per emotion in the space of standardised α: its unit normal, calibration and quality.

Owns the step of refinement, α̂ = α̃ + τ·δ, and what δ is. Knows no sound, no network and no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emobench.types import Floats

from .config import RefinementConfig, Step
from .encoders import LEVELS

REST = "neutral"
RANK_TOLERANCE = 1e-3  # of the distances' covariance between emotions: eight means span seven dimensions


@dataclass(slots=True)
class RunningMean:
    """Of the distances of a clip's frames so far to E hyperplanes; a stream goes on with it, frame after frame."""

    total: NDArray[np.float64] | float = 0.0  # (E,) sums
    count: int = 0  # frames

    def over(self, distances: Floats) -> Floats:
        """(T, E) of the frames that follow → (T, E) the mean up to each of them."""
        sums = self.total + distances.cumsum(axis=0, dtype=np.float64)
        counts = self.count + np.arange(1, len(distances) + 1)
        self.total, self.count = sums[-1], int(counts[-1])
        means: Floats = (sums / counts[:, None]).astype(np.float32)
        return means


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperplanes:
    """E hyperplanes w·α + b over K standardised coefficients; distances below are values of w·α + b."""

    emotions: tuple[str, ...]
    normal: Floats  # (E, K), unit length
    offset: Floats  # (E,)
    scale: Floats  # (E,) distance from the median of the others to the median of the emotion: one τ
    target: Floats  # (E, LEVELS) median distance of the emotion's frames by level; the overall one where unseen
    centre: Floats  # (E, LEVELS, E) mean distances to all planes of the frames of an emotion and level
    spread: Floats  # (K, K) covariance of the means of emotions and levels
    accuracy: Floats  # (E,) balanced, cross-validated over clips
    margin: Floats  # (E,) half-width of the SVM's margin, 1/|w|
    cost: Floats  # (E,) the C that was chosen
    frames: Floats = field(default_factory=lambda: np.zeros(0, np.float32))  # (E,) train frames; () in old checkpoints

    def distance(self, alpha: Floats, emotion: str) -> Floats:
        """(T, K) standardised α → (T,) signed distance to the emotion's hyperplane."""
        row = self.emotions.index(emotion)
        signed: Floats = alpha @ self.normal[row] + self.offset[row]
        return signed

    def push(
        self, alpha: Floats, emotion: str, tau: Floats, level: float = LEVELS, kind: Step = "normal",
        running: RunningMean | None = None,
    ) -> Floats:
        """(T, K) standardised α of one clip moved by (T,) τ times its step towards an emotion at a level."""
        moved: Floats = alpha + tau[:, None] * self.step(alpha, emotion, level, kind, running)
        return moved

    def step(
        self, alpha: Floats, emotion: str, level: float, kind: Step, running: RunningMean | None = None
    ) -> Floats:
        """(1, K), or (T, K) with a running mean: δ of one clip.

        normal: along w_z, from the median of the others to the median of z, whatever α is. landing: along w_z, what
        the clip's mean distance lacks to the median of z and level. joint: what its mean distances to all planes lack
        to those of z and level, along the patterns. A running mean is over the frames so far, not over the clip.
        """
        row = self.emotions.index(emotion)
        if kind == "normal":
            whole: Floats = self.scale[row] * self.normal[row, None]
            return whole
        distances = alpha @ self.normal.T + self.offset
        mean = distances.mean(axis=0, keepdims=True) if running is None else running.over(distances)
        if kind == "landing":
            landing: Floats = (_at_level(self.target[row], level) - mean[:, row, None]) * self.normal[row]
            return landing
        step: Floats = (_at_level(self.centre[row], level) - mean) @ self.patterns()
        return step

    def rise(self, emotion: str, level: float) -> Floats:
        """(1, K) the joint step from rest to an emotion at a level; rest is neutral, else the mean of the others."""
        row = self.emotions.index(emotion)
        others = [index for index in range(len(self.emotions)) if index != row]
        rest = [self.emotions.index(REST)] if REST in self.emotions and emotion != REST else others
        start = self.centre[rest].mean(axis=(0, 1))
        step: Floats = (_at_level(self.centre[row], level) - start)[None] @ self.patterns()
        return step

    def patterns(self) -> Floats:
        """(E, K) P = (W S Wᵀ)⁺ W S, S the spread: W·Pᵀ is the identity as far as S allows.

        A normal tells emotions apart; it does not show one. Of all moves that change the distances, this one looks
        most like a change between emotions (filter and pattern of a linear model: Haufe et al. 2014, NeuroImage 87:96).
        """
        told = self.normal @ self.spread
        patterns: Floats = (np.linalg.pinv(told @ self.normal.T, rcond=RANK_TOLERANCE) @ told).astype(np.float32)
        return patterns

    def cosines(self) -> Floats:
        """(E, E) cosines between the normals."""
        return self.normal @ self.normal.T


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFrames:
    """Frames of a train split: standardised α with what they show and which clip they are from."""

    alpha: Floats  # (M, K)
    emotion: NDArray[np.str_]  # (M,)
    level: NDArray[np.int64]  # (M,) 1..LEVELS
    clip: NDArray[np.int64]  # (M,)


def _at_level(by_level: Floats, level: float) -> Floats:
    """(LEVELS, …) read at a fractional level 1..LEVELS."""
    low = int(np.clip(np.floor(level), 1, LEVELS)) - 1
    high, share = min(low + 1, LEVELS - 1), np.float32(np.clip(level - 1 - low, 0, 1))
    between: Floats = by_level[low] + share * (by_level[high] - by_level[low])
    return between


def fit_hyperplanes(
    frames: LabelledFrames, is_mouth: NDArray[np.bool_], config: RefinementConfig, rng: np.random.Generator
) -> Hyperplanes | None:
    """A linear SVM per emotion against the others; None where the frames show fewer than two emotions."""
    emotions = tuple(sorted(set(frames.emotion.tolist())))
    if len(emotions) < 2:
        return None
    speech = _speech_subspace(frames, is_mouth, config.articulation_rank) if config.project_articulation else None
    rows = [_fit_one(frames, emotion, speech, config, rng) for emotion in emotions]
    columns = [np.stack(column).astype(np.float32) for column in zip(*rows, strict=True)]
    normal, offset, scale, target, accuracy, margin, cost, count = columns
    means = _class_means(frames, emotions)
    return Hyperplanes(
        emotions=emotions, normal=normal, offset=offset, scale=scale, target=target, accuracy=accuracy,
        margin=margin, cost=cost, frames=count,
        centre=(means @ normal.T + offset).astype(np.float32), spread=_spread(means, speech).astype(np.float32),
    )


def _class_means(frames: LabelledFrames, emotions: Sequence[str]) -> NDArray[np.float64]:
    """(E, LEVELS, K) mean α by emotion and level; the emotion's own mean at levels it was not seen at."""
    means = np.zeros((len(emotions), LEVELS, frames.alpha.shape[1]), np.float64)
    for row, emotion in enumerate(emotions):
        is_emotion = frames.emotion == emotion
        for level in range(1, LEVELS + 1):
            of_level = is_emotion & (frames.level == level)
            chosen = of_level if of_level.any() else is_emotion
            means[row, level - 1] = frames.alpha[chosen].mean(axis=0)
    return means


def _spread(means: NDArray[np.float64], speech: Floats | None) -> NDArray[np.float64]:
    """(K, K) covariance of class means (E, LEVELS, K); with the speech subspace, of what lies outside it."""
    classes = means.reshape(-1, means.shape[-1])
    if speech is not None:
        classes = classes - classes @ speech @ speech.T
    return np.atleast_2d(np.cov(classes.T))


def _fit_one(
    frames: LabelledFrames, emotion: str, speech: Floats | None, config: RefinementConfig, rng: np.random.Generator
) -> tuple[NDArray[np.floating], ...]:
    is_emotion = frames.emotion == emotion
    chosen = _draw_balanced(is_emotion, config.max_frames, rng)
    alpha, labels, clips = frames.alpha[chosen], is_emotion[chosen], frames.clip[chosen]
    seed = int(rng.integers(2**31))
    cost, accuracy = _choose_cost(alpha, labels, clips, config, seed)
    svm = _svm(cost, seed).fit(alpha, labels)
    weights = svm.coef_[0]
    length = float(np.linalg.norm(weights))
    normal, offset = weights / length, float(svm.intercept_[0]) / length
    if speech is not None:
        normal, offset = _without_speech(normal, speech, frames.alpha, is_emotion)
        accuracy = _balanced_accuracy(frames.alpha @ normal + offset > 0, is_emotion)
    distance = frames.alpha @ normal + offset
    median = float(np.median(distance[is_emotion]))
    scale = median - float(np.median(distance[~is_emotion]))
    target = [
        float(np.median(distance[of_level])) if (of_level := is_emotion & (frames.level == level)).any() else median
        for level in range(1, LEVELS + 1)
    ]
    values = (normal, offset, max(scale, 1e-3), target, accuracy, 1 / length, cost, is_emotion.sum())
    return tuple(np.asarray(value) for value in values)


def _svm(cost: float, seed: int):  # type: ignore[no-untyped-def]  # scikit-learn has no types and is slow to import
    from sklearn.svm import LinearSVC

    return LinearSVC(C=cost, class_weight="balanced", dual=False, tol=1e-3, random_state=seed)


def _choose_cost(
    alpha: Floats, labels: NDArray[np.bool_], clips: NDArray[np.int64], config: RefinementConfig, seed: int
) -> tuple[float, float]:
    """The smallest C within one standard error of the best, and its balanced accuracy.

    Small C spreads w over all coefficients an emotion moves, which is what α̂ needs (Hastie et al. 2009, 7.10).
    """
    from sklearn.model_selection import GroupKFold

    folds = min(config.folds, len(set(clips[labels].tolist())), len(set(clips[~labels].tolist())))
    grid = sorted(config.cost_grid)
    if folds < 2:  # one clip an emotion: nothing to validate on
        cost = grid[len(grid) // 2]
        return cost, _balanced_accuracy(_svm(cost, seed).fit(alpha, labels).predict(alpha), labels)
    splits = list(GroupKFold(folds).split(alpha, labels, clips))
    scores = np.array([[_score_fold(alpha, labels, split, cost, seed) for split in splits] for cost in grid])
    means, errors = scores.mean(axis=1), scores.std(axis=1) / np.sqrt(folds)
    best = int(means.argmax())
    chosen = int(np.flatnonzero(means >= means[best] - errors[best])[0])
    return grid[chosen], float(means[chosen])


def _score_fold(
    alpha: Floats, labels: NDArray[np.bool_], split: Sequence[NDArray[np.int64]], cost: float, seed: int
) -> float:
    train, test = split
    if len(set(labels[train].tolist())) < 2:
        return 0.5
    return _balanced_accuracy(_svm(cost, seed).fit(alpha[train], labels[train]).predict(alpha[test]), labels[test])


def _balanced_accuracy(said: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Mean recall of the classes present."""
    recalls = [float((said[truth == side] == side).mean()) for side in (True, False) if (truth == side).any()]
    return float(np.mean(recalls))


def _draw_balanced(is_emotion: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """At most `count` frames, half of each class where there are enough."""
    sides = []
    for side in (True, False):
        frames = np.flatnonzero(is_emotion == side)
        sides.append(rng.permutation(frames)[: count // 2])
    return np.sort(np.concatenate(sides))


def _speech_subspace(frames: LabelledFrames, is_mouth: NDArray[np.bool_], rank: int) -> Floats:
    """(K, rank) orthonormal: principal directions of the frame-to-frame motion of mouth coefficients."""
    moved = np.diff(frames.alpha, axis=0)[np.diff(frames.clip) == 0] * is_mouth
    _, _, directions = np.linalg.svd(moved.T @ moved)
    return directions[:rank].T.astype(np.float32)


def _without_speech(
    normal: NDArray[np.floating], speech: Floats, alpha: Floats, is_emotion: NDArray[np.bool_]
) -> tuple[NDArray[np.floating], float]:
    """The normal projected off the speech subspace, and the offset halfway between the medians of the two classes."""
    projected = normal - speech @ (speech.T @ normal)
    projected = projected / max(float(np.linalg.norm(projected)), 1e-6)
    distance = alpha @ projected
    return projected, -float(np.median(distance[is_emotion]) + np.median(distance[~is_emotion])) / 2
