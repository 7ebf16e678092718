"""The `puppet` dataset as a plugin: configuration in, clips out; generated on first use under the cache folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from emobench.errors import InputError
from emobench.hashing import hash_value, short
from emobench.types import Clip, Context

from .config import PuppetConfig
from .production import is_made, produce
from .recipe import GENERATOR_VERSION, Recipe, generation_key, plan
from .recording import AUDIO, CARD, LAYERS, TRACK, VIDEO
from .speech import SENTENCES


class PuppetDataset:
    """Implements emobench.types.Dataset."""

    def __init__(self, config: PuppetConfig, context: Context) -> None:
        self.name = config.name
        self._config = config
        self._context = context
        self._plan = plan(config)
        self._is_prepared = False

    @property
    def root(self) -> Path:
        """Folder of the clips; shared by configurations that differ only in which clips they choose."""
        return self._context.cache_dir / "datasets" / f"{self.name}-{short(generation_key(self._config))}"

    def prepare(self) -> None:
        """Make the missing clips in worker processes; a second call does nothing."""
        recipes = [recipe for recipes in self._plan.values() for recipe in recipes]
        produce(recipes, self.root, max(1, self._context.threads), self._context.progress)
        self._is_prepared = True

    def split(self, name: Literal["train", "val", "test"]) -> Sequence[Clip]:
        """Clips ordered by id; makes what is missing first. Raises InputError on an unknown split."""
        if name not in self._plan:
            raise InputError(f"The puppet dataset has no split {name!r}; it has {', '.join(self._plan)}.")
        if not self._is_prepared and not all(is_made(recipe, self.root) for recipe in self._plan[name]):
            self.prepare()
        return [_clip(recipe, self.root / recipe.id) for recipe in self._plan[name]]

    def split_hash(self) -> str:
        """sha256 over the recipes of all splits."""
        return hash_value({name: [recipe.sha256 for recipe in recipes] for name, recipes in self._plan.items()})

    def describe(self) -> Mapping[str, str]:
        """Facts for the report."""
        config, plans = self._config, self._plan
        filmed = sum(recipe.has_pixels for recipes in plans.values() for recipe in recipes)
        return {
            "name": config.name,
            "version": GENERATOR_VERSION,
            "size": f"{config.size_px}×{config.size_px}",
            "fps": f"{config.fps:g}",
            "subjects": ", ".join(config.subjects),
            "sentences": f"{len(config.train_sentences)} train, {len(config.val_sentences)} val, "
            f"{len(config.test_sentences)} test, disjoint",
            "clips": f"{sum(map(len, plans.values()))}, of which {filmed} with pixels; {len(plans['test'])} scored",
            "emotions": ", ".join(config.emotions),
            "licence": "Apache-2.0 (generated; speech by espeak-ng, GPL-3.0 program)",
            "tracker": "exact (dataset)",
            "protocol": "test sentences are never heard in training; true head pose is handed over",
        }


def _clip(recipe: Recipe, folder: Path) -> Clip:
    try:
        n_frames = int(json.loads((folder / CARD).read_text(encoding="utf-8"))["n_frames"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"Cannot read {folder / CARD}: {error}. Delete the folder and run again.") from error
    extras = {"track": folder / TRACK}
    if recipe.has_pixels:
        extras["layers"] = folder / LAYERS
    return Clip(
        id=recipe.id, subject=recipe.subject, emotion=recipe.emotion, intensity=recipe.level, sentence=recipe.sentence,
        transcript=SENTENCES[recipe.sentence], video=folder / VIDEO if recipe.has_pixels else None,
        audio=folder / AUDIO, fps=recipe.fps, n_frames=n_frames, sha256=recipe.sha256, extras=extras,
    )  # fmt: skip
