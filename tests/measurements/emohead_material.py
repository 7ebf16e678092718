"""What the measurements of EmoHead's expression module share: puppet-full as sound and α, without a pixel.

Sound and motion of a clip do not depend on its frames, so clips are performed anew (35 ms each) and kept as one file
per split. Scores are metrics.parameters', computed on arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emobench import environment
from emobench.cache import load_arrays, save_arrays
from emobench.datasets.puppet.config import PuppetConfig
from emobench.datasets.puppet.dataset import PuppetDataset
from emobench.datasets.puppet.emotions import levels_of
from emobench.datasets.puppet.recipe import Recipe
from emobench.datasets.puppet.recording import Studio
from emobench.datasets.puppet.speech import SENTENCES
from emobench.datasets.specs import PUPPET_FULL
from emobench.hashing import hash_value, short
from emobench.methods.emohead.fitting import Recording
from emobench.methods.emohead.model import Request
from emobench.progress import make_progress
from emobench.types import Context, Floats, Track

SPLITS = ("train", "val", "test", "mismatch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One clip of puppet-full: what is heard, what the face does, and whose emotion each of them is."""

    id: str
    recording: Recording  # emotion and level are those of the face, which are the tag
    sentence: str
    voice: str  # emotion heard
    voice_level: int
    recipe: Recipe  # from which it can be performed again, with pose and landmarks

    @property
    def alpha(self) -> Floats:
        """(T, K) the truth."""
        return self.recording.track.alpha

    @property
    def emotion(self) -> str:
        """The tag."""
        return self.recording.emotion

    def request(self, **changes: object) -> Request:
        """What a method is asked with."""
        own = self.recording
        request = Request(
            audio=own.audio, transcript=own.transcript, emotion=own.emotion, level=float(own.level),
            subject=own.subject, fps=own.fps, n_frames=len(own.track.alpha),
        )  # fmt: skip
        return replace(request, **changes)  # type: ignore[arg-type]


def open_takes(split: str) -> list[Take]:
    """The takes of a split of puppet-full; test in all levels, as train is."""
    recipes = recipes_of(split)
    folder = environment.cache_dir() / "emohead-claims"
    path = folder / f"{split}-{short(hash_value([r.sha256 for r in recipes]))}.npz"
    if not path.exists():
        _perform(recipes, path)
    stored = load_arrays(path)
    track = _tracks(recipes[0])
    return [_take(recipe, stored, index, track) for index, recipe in enumerate(recipes)]


def recipes_of(split: str) -> list[Recipe]:
    """What the takes of a split are performed from, in their order."""
    config = PuppetConfig.model_validate(PUPPET_FULL.presets[""])
    dataset = PuppetDataset(config, _context())
    recipes = [replace(recipe, has_pixels=False, novel_every=0) for recipe in dataset.recipes(split)]
    if split == "test":  # only the filmed level has pixels and so a place in the split
        recipes = [
            replace(recipe, level=level) for recipe in recipes for level in levels_of(recipe.emotion, config.levels)
        ]
    return sorted(recipes, key=lambda recipe: recipe.id)


def _context() -> Context:
    return Context(seed=0, device="cpu", threads=1, cache_dir=environment.cache_dir(), progress=make_progress())


def _perform(recipes: Sequence[Recipe], path: Path) -> None:
    studio = Studio()
    arrays = {}
    try:
        for index, recipe in enumerate(make_progress().track(recipes, f"perform {path.stem}")):
            utterance, track = studio.act(recipe)
            arrays[f"audio{index}"] = utterance.samples
            arrays[f"alpha{index}"] = track.alpha
    finally:
        studio.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(path, arrays)


def _tracks(recipe: Recipe) -> Track:
    """A track of the dataset, of which all takes borrow what is no α: names and box, and a pose that is not theirs."""
    studio = Studio()
    try:
        return studio.act(recipe)[1]
    finally:
        studio.close()


def _take(recipe: Recipe, stored: Mapping[str, np.ndarray], index: int, like: Track) -> Take:
    alpha = stored[f"alpha{index}"]
    voice, voice_level = recipe.voice
    recording = Recording(
        subject=recipe.subject, emotion=recipe.emotion, level=recipe.level, transcript=SENTENCES[recipe.sentence],
        audio=stored[f"audio{index}"], fps=recipe.fps,
        track=replace(like, alpha=alpha, valid=np.ones(len(alpha), bool)),
    )  # fmt: skip
    return Take(
        id=recipe.id, recording=recording, sentence=recipe.sentence, voice=voice, voice_level=voice_level, recipe=recipe
    )  # fmt: skip


# ------------------------------------------------------------------ scores


def errors(predicted: Floats, take: Take) -> tuple[float, float]:
    """alpha.mouth and alpha.upper of one clip."""
    track = take.recording.track
    apart = np.abs(predicted.astype(np.float64) - track.alpha).mean(axis=0)
    return float(apart[track.is_mouth].mean()), float(apart[~track.is_mouth].mean())


def emotion_means(takes: Iterable[Take]) -> Mapping[tuple[str, str, int], Floats]:
    """(subject, emotion, level) → (K,) mean α; (subject, "", 0) → that of the subject."""
    groups: dict[tuple[str, str, int], list[Floats]] = {}
    for take in takes:
        own = take.recording
        for key in ((own.subject, own.emotion, own.level), (own.subject, "", 0)):
            groups.setdefault(key, []).append(take.alpha)
    return {key: np.concatenate(parts).mean(axis=0) for key, parts in groups.items()}
