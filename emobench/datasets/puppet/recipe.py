"""What makes a clip: its recipe, the recipe's hash, and the recipes of each split. Creates no files."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from emobench.hashing import hash_value

from .config import PuppetConfig
from .emotions import levels_of

GENERATOR_VERSION = "2"  # raise whenever anything generated changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything a clip follows from, together with GENERATOR_VERSION."""

    subject: str
    emotion: str
    level: int
    sentence: str
    has_pixels: bool
    size_px: int
    supersampling: int
    fps: float
    seed: int

    @property
    def id(self) -> str:
        return f"{self.subject}_{self.emotion}_{self.level}_{self.sentence}"

    @property
    def sha256(self) -> str:
        return hash_value({"generator": GENERATOR_VERSION, **asdict(self)})


def plan(config: PuppetConfig) -> dict[str, tuple[Recipe, ...]]:
    """Recipes by split, ordered by id. Test keeps only clips with pixels: without a reference nothing is scored."""
    splits = {
        "train": _recipes(config, config.train_sentences, config.pixel_train),
        "val": _recipes(config, config.val_sentences, 0),
        "test": tuple(r for r in _recipes(config, config.test_sentences, config.pixel_test) if r.has_pixels),
    }
    return {name: tuple(sorted(recipes, key=lambda recipe: recipe.id)) for name, recipes in splits.items()}


def _recipes(config: PuppetConfig, sentences: tuple[str, ...], n_pixels: int) -> tuple[Recipe, ...]:
    """Every subject × emotion × level × sentence; rendered sentences rotate with the emotion to cover more sounds."""
    recipes = []
    for subject in config.subjects:
        for index, emotion in enumerate(config.emotions):
            is_test = sentences == config.test_sentences
            first = 0 if is_test else n_pixels * index
            rendered = {sentences[(first + k) % len(sentences)] for k in range(n_pixels)}
            filmed_level = 1 if emotion == "neutral" else config.pixel_level
            recipes += [
                Recipe(
                    subject=subject, emotion=emotion, level=level, sentence=sentence,
                    has_pixels=level == filmed_level and sentence in rendered,
                    size_px=config.size_px, supersampling=config.supersampling, fps=config.fps, seed=config.seed,
                )
                for level in levels_of(emotion, config.levels)
                for sentence in sentences
            ]  # fmt: skip
    return tuple(recipes)


def generation_key(config: PuppetConfig) -> str:
    """What all clips of a folder share: version and rendering, not the selection of clips."""
    shared = {"size_px": config.size_px, "supersampling": config.supersampling, "fps": config.fps, "seed": config.seed}
    return hash_value({"generator": GENERATOR_VERSION, **shared})
