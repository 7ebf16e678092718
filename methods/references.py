"""Rows every table needs beside a method: the ceiling, the floor, and means through the same trained portrait.

They know datasets only as clips and share the portrait's cache with any method of the same RadianceConfig and seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from emobench.cache import write_text
from emobench.errors import InputError, UsageError
from emobench.face.tracks import load_track
from emobench.hashing import canonical_json
from emobench.media import read_video
from emobench.types import Clip, Context, Driving, Floats, Rendered

from .radiance.config import RadianceConfig
from .radiance.portrait import Portrait, fit_portrait, sources_of

SCHEMA = 1
CARD = "reference.json"
LEVELS = (1, 2, 3)


class NothingConfig(BaseModel):
    """Ground truth and static have nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PortraitConfig(BaseModel):
    """The portrait through which a reference is rendered: the same values as the method's it stands beside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    radiance: RadianceConfig = Field(default_factory=RadianceConfig)

    def resolved(self) -> Mapping[str, Any]:
        """As RadianceConfig.resolved."""
        return self.radiance.resolved()


class Card(BaseModel):
    """What a reference stores: subjects with a portrait, and mean α by subject and 'emotion/level'."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = SCHEMA
    subjects: tuple[str, ...] = ()
    means: Mapping[str, Mapping[str, tuple[float, ...]]] = {}


class _Reference:
    """What all references share: a card on disk and, for some, portraits."""

    def __init__(self, config: BaseModel, context: Context) -> None:
        self.config, self.context = config, context
        self.card = Card()
        self.portraits: dict[str, Portrait] = {}
        self._seconds: dict[str, float] = {}

    def fit(self, clips: Sequence[Clip]) -> None:
        """Nothing to learn, unless a subclass says so."""

    def save(self, path: Path) -> None:
        """The card and the portraits."""
        path.mkdir(parents=True, exist_ok=True)
        for subject, portrait in self.portraits.items():
            portrait.save(path / f"portrait-{subject}")
        write_text(path / CARD, canonical_json(self.card.model_dump(mode="json")) + "\n")

    def load(self, path: Path) -> None:
        """Restore what save wrote. Raises InputError."""
        try:
            content = json.loads((path / CARD).read_text(encoding="utf-8"))
            schema = content.get("schema_version", 0)
            card = Card.model_validate(content)
        except (OSError, ValueError, AttributeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{path / CARD} is no reference checkpoint: {reason}. Delete it and run again.") from error
        if schema > SCHEMA:
            raise InputError(f"{path / CARD} has schema {schema}, this emobench reads up to {SCHEMA}.")
        threads, device = self.context.threads, self.context.device
        self.portraits = {
            s: Portrait.load(path / f"portrait-{s}", threads=threads, device=device) for s in card.subjects
        }
        self.card = card

    def stage_seconds(self) -> Mapping[str, float]:
        """Seconds of the portrait in the last render; empty for references without one."""
        return dict(self._seconds)

    def sources(self) -> Mapping[str, str]:
        """What taught the portraits beside pixels and tracking, for provenance."""
        return sources_of(self.portraits)

    def render_facts(self) -> Mapping[str, str]:
        """What tells speeds apart: backend and torso of the portraits."""
        portraits = list(self.portraits.values())
        return portraits[0].facts() if portraits else {}

    def render(self, driving: Driving) -> Iterator[Rendered]:
        """Frames of a reference that needs no target."""
        raise UsageError(f"{type(self).__name__} is an oracle: it renders only with the target clip at hand.")

    def _render_alpha(self, driving: Driving, alpha: Floats) -> Iterator[Rendered]:
        """The subject's portrait with α (T, K) and the true pose."""
        portrait = self.portraits.get(driving.subject)
        if portrait is None:
            known = ", ".join(sorted(self.portraits)) or "none"
            raise UsageError(f"There is no portrait of subject {driving.subject!r}. Trained: {known}.")
        for frame, row in zip(portrait.render(alpha, driving.pose, driving.camera), alpha, strict=True):
            self._seconds = dict(portrait.stage_seconds())
            yield Rendered(frame=frame.frame, alpha=row, head=frame.head)


class GroundTruth(_Reference):
    """Oracle: the target's own frames and α. The ceiling of every table."""

    config: NothingConfig

    def render_oracle(self, driving: Driving, target: Clip) -> Iterator[Rendered]:
        """The frames of the target clip."""
        alpha = load_track(target.extras["track"]).alpha
        for frame, row in zip(_frames(target), alpha, strict=True):
            yield Rendered(frame=frame, alpha=row)


class Static(_Reference):
    """Sanity: one neutral train frame, repeated. Anything worse is broken."""

    config: NothingConfig

    def render(self, driving: Driving) -> Iterator[Rendered]:
        """driving.reference, n_frames times."""
        for _ in range(driving.n_frames):
            yield Rendered(frame=driving.reference)


class PortraitReference(_Reference):
    """A reference that goes through the portrait."""

    config: PortraitConfig

    @property
    def pastes_back(self) -> bool:
        """Whether its heads are to be composited over the target's own torso and background."""
        return self.config.radiance.backdrop == "paste"

    def fit(self, clips: Sequence[Clip]) -> None:
        """Fit, or find in the cache, the portrait of every subject with video; then the means."""
        filmed = sorted({clip.subject for clip in clips if clip.video is not None})
        if not filmed:
            raise InputError("No train clip has video, so there is no face to learn. Check the dataset's train split.")
        radiance = self.config.radiance
        self.portraits = {s: fit_portrait(clips, radiance, self.context, subject=s) for s in filmed}
        self.card = Card(subjects=tuple(filmed), means={s: self.measure(clips, s) for s in filmed})

    def measure(self, clips: Sequence[Clip], subject: str) -> dict[str, tuple[float, ...]]:
        """Mean α by key; nothing for a reference that stores none."""
        return {}

    def mean(self, driving: Driving, key: str) -> Floats:
        """(n_frames, K) one stored mean, repeated."""
        row = np.asarray(self.card.means[driving.subject][key], dtype=np.float32)
        return np.repeat(row[None], driving.n_frames, axis=0)

    def known_means(self, driving: Driving) -> Mapping[str, tuple[float, ...]]:
        """Means of the driven subject. Raises UsageError where it was not trained."""
        if driving.subject not in self.card.means:
            raise UsageError(f"Subject {driving.subject!r} was not trained. Trained: {', '.join(self.card.means)}.")
        return self.card.means[driving.subject]


class MeanExpression(PortraitReference):
    """The subject's mean α over the train split, with the true pose: what pose alone scores."""

    def measure(self, clips: Sequence[Clip], subject: str) -> dict[str, tuple[float, ...]]:
        """One mean over all train frames of the subject."""
        return {"all": _mean_alpha([clip for clip in clips if clip.subject == subject])}

    def render(self, driving: Driving) -> Iterator[Rendered]:
        """The mean face, moved."""
        self.known_means(driving)
        return self._render_alpha(driving, self.mean(driving, "all"))


class EmotionMean(PortraitReference):
    """The subject's mean α of tag and level, with the true pose: what the tag alone scores."""

    def measure(self, clips: Sequence[Clip], subject: str) -> dict[str, tuple[float, ...]]:
        """A mean per emotion and level, and one over everything."""
        own = [clip for clip in clips if clip.subject == subject]
        groups: dict[str, list[Clip]] = {}
        for clip in own:
            groups.setdefault(f"{clip.emotion}/{clip.intensity}", []).append(clip)
        return {"all": _mean_alpha(own)} | {key: _mean_alpha(group) for key, group in sorted(groups.items())}

    def render(self, driving: Driving) -> Iterator[Rendered]:
        """The mean face of the tag; the nearest level, then the subject's mean, where it was never seen (noted)."""
        return self._render_alpha(driving, self.mean(driving, self._key(driving)))

    def _key(self, driving: Driving) -> str:
        means = self.known_means(driving)
        wanted = f"{driving.emotion}/{driving.intensity}"
        nearest = sorted(LEVELS, key=lambda level: abs(level - driving.intensity))
        keys = [key for level in nearest if (key := f"{driving.emotion}/{level}") in means]
        found = keys[0] if keys else "all"
        if found != wanted:
            self.context.progress.note(
                f"emotion_mean: {driving.subject} has no train clip of {wanted}; {driving.clip_id} uses {found}"
            )
        return found


class TrueAlpha(PortraitReference):
    """Oracle: the target's exact α through the portrait. The ceiling of the radiance field."""

    def render_oracle(self, driving: Driving, target: Clip) -> Iterator[Rendered]:
        """The portrait driven by the target's own α."""
        return self._render_alpha(driving, load_track(target.extras["track"]).alpha)


def _mean_alpha(clips: Sequence[Clip]) -> tuple[float, ...]:
    """Mean over the valid frames of all clips, each frame the same weight."""
    tracks = [load_track(clip.extras["track"]) for clip in clips]
    frames = np.concatenate([track.alpha[track.valid] for track in tracks])
    if not len(frames):
        raise InputError(f"No frame of {clips[0].id} and its like was tracked; there is no mean expression.")
    return tuple(frames.mean(axis=0, dtype=np.float64).tolist())


def _frames(clip: Clip) -> Iterator[np.ndarray]:
    if clip.video is None:
        raise InputError(f"Clip {clip.id} has no video to show as ground truth.")
    yield from read_video(clip.video).frames
