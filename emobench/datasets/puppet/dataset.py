"""The `puppet` dataset as a plugin: configuration in, clips out; generated on first use under the cache folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from emobench.errors import InputError
from emobench.hashing import hash_value, short
from emobench.inventory import Inventory, SplitFacts, Verification
from emobench.types import Clip, Context, Progress

from .config import PuppetConfig
from .production import is_made, produce
from .recipe import GENERATOR_VERSION, Recipe, generation_key, plan, plan_mismatch
from .speech import SENTENCES
from .storage import AUDIO, MAPPED, SCHEMA, VIDEO, extra_name, read_card
from .verification import verify_clips

MISMATCH = "mismatch"
# Measured at 128 and 256 px, for the estimate of what is still to make.
CLIP_BYTES, PIXEL_BYTES, CLIP_SECONDS = 220_000, 1.45, 2.6


class PuppetDataset:
    """Implements emobench.types.Dataset."""

    def __init__(self, config: PuppetConfig, context: Context) -> None:
        self.name = config.name
        self._config = config
        self._context = context
        self._plan = plan(config)
        self._mismatch = plan_mismatch(config)

    @property
    def root(self) -> Path:
        """Folder of the clips; shared by configurations that differ only in which clips they choose."""
        return self._context.cache_dir / "datasets" / f"{self.name}-{short(generation_key(self._config))}"

    def prepare(self) -> None:
        """Make the missing clips of train, val and test in worker processes; a second call does nothing."""
        self._make([recipe for recipes in self._plan.values() for recipe in recipes])

    def _make(self, recipes: Sequence[Recipe]) -> None:
        produce(recipes, self.root, max(1, self._context.threads), self._context.progress)

    def split(self, name: str) -> Sequence[Clip]:
        """Clips of train, val, test or mismatch ordered by id; makes what is missing first.

        Mismatch clips are made only when asked for. Raises InputError on an unknown split.
        """
        recipes = self.recipes(name)
        if not all(is_made(recipe, self.root) for recipe in recipes):
            self._make(recipes)
        return [_clip(recipe, self.root / recipe.id) for recipe in recipes]

    def recipes(self, name: str) -> tuple[Recipe, ...]:
        """What the clips of a split are made from. Raises InputError on an unknown split."""
        if name == MISMATCH:
            return self._mismatch
        if name not in self._plan:
            raise InputError(f"{self.name} has no split {name!r}; it has {', '.join(self._plan)}, {MISMATCH}.")
        return self._plan[name]

    def split_hash(self, name: str | None = None) -> str:
        """sha256 over the recipes of train, val and test together, or of one split by name."""
        chosen = self._plan if name is None else {name: self.recipes(name)}
        return hash_value({key: [recipe.sha256 for recipe in recipes] for key, recipes in chosen.items()})

    def inventory(self) -> Inventory:
        """Counts of every split, and sizes on disk and of what is still to make; makes nothing."""
        facts = [self._facts(name) for name in (*self._plan, MISMATCH)]
        to_make = {r for split in self._plan for r in self.recipes(split) if not is_made(r, self.root)}
        pixels = self._config.size_px**2 * self._config.fps * CLIP_SECONDS
        return Inventory(
            splits=tuple(facts), root=self.root, schema=str(SCHEMA),
            bytes_on_disk=sum(path.stat().st_size for path in self.root.glob("[!.]*/*")),
            bytes_to_make=round(sum(CLIP_BYTES + PIXEL_BYTES * pixels * recipe.has_pixels for recipe in to_make)),
        )  # fmt: skip

    def _facts(self, name: str) -> SplitFacts:
        recipes = self.recipes(name)
        made = [recipe for recipe in recipes if is_made(recipe, self.root)]
        lengths = [int(read_card(self.root / recipe.id)["n_frames"]) for recipe in made]
        return SplitFacts(
            name=name, clips=len(recipes), with_pixels=sum(recipe.has_pixels for recipe in recipes), on_disk=len(made),
            frames=sum(lengths), seconds=sum(lengths) / self._config.fps, sha256=self.split_hash(name),
            subjects=tuple(sorted({recipe.subject for recipe in recipes})),
            emotions=tuple(sorted({recipe.emotion for recipe in recipes})),
        )  # fmt: skip

    def verify(self, progress: Progress) -> Verification:
        """Compare what is on disk with the checksums in the cards. Mismatch clips count only where they are made."""
        recipes = [recipe for recipes in self._plan.values() for recipe in recipes]
        recipes += [recipe for recipe in self._mismatch if is_made(recipe, self.root)]
        return verify_clips(recipes, self.root, self._context.threads, progress)

    def discard(self, clips: Sequence[str]) -> None:
        """Delete clips from the cache, by id; whoever asks for their split makes them again."""
        for clip in clips:
            shutil.rmtree(self.root / clip)

    def preview(self, out: Path, progress: Progress) -> Sequence[Path]:
        """A contact sheet of subjects × emotions, and a film in which every subject speaks; needs no made clip."""
        from .preview import write_preview_files

        return write_preview_files(self._config, out, progress)

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
            "protocol": "test sentences are never heard in training; true head pose is handed over"
            + ("; test subjects are never seen in training" if config.by_identity else ""),
            "held-out subjects": ", ".join(s for s in config.subjects if s in config.held_out) or "none",
            "scene": "light and background vary per clip" if config.varied_scene else "fixed per subject",
        }


def _clip(recipe: Recipe, folder: Path) -> Clip:
    n_frames = int(read_card(folder)["n_frames"])
    return Clip(
        id=recipe.id, subject=recipe.subject, emotion=recipe.emotion, intensity=recipe.level, sentence=recipe.sentence,
        transcript=SENTENCES[recipe.sentence], video=folder / VIDEO if recipe.has_pixels else None,
        audio=folder / AUDIO, fps=recipe.fps, n_frames=n_frames, sha256=recipe.sha256,
        extras={extra_name(file): folder / file for file in MAPPED if (folder / file).exists()},
        voice_emotion=recipe.voice_emotion, voice_intensity=recipe.voice_level,
    )  # fmt: skip
