"""What makes a clip: its recipe, the recipe's hash, and the recipes of each split. Creates no files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from emobench.hashing import hash_value

from .config import PuppetConfig
from .emotions import levels_of

GENERATOR_VERSION = "6"  # raise whenever anything generated changes


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
    varied_scene: bool
    novel_every: int  # 0 = no novel views
    novel_yaw_degrees: float
    voice_emotion: str | None = None  # mismatch: the emotion heard, where it is not the one shown
    voice_level: int | None = None

    @property
    def id(self) -> str:
        base = f"{self.subject}_{self.emotion}_{self.level}_{self.sentence}"
        return f"{base}_voice-{self.voice_emotion}-{self.voice_level}" if self.voice_emotion else base

    @property
    def voice(self) -> tuple[str, int]:
        """Emotion and level that are heard."""
        return self.voice_emotion or self.emotion, self.voice_level or self.level

    @property
    def sha256(self) -> str:
        return hash_value({"generator": GENERATOR_VERSION, **asdict(self)})


def plan(config: PuppetConfig) -> dict[str, tuple[Recipe, ...]]:
    """Recipes of train, val and test, ordered by id. Test keeps only clips with pixels: the others cannot be scored."""
    splits = {
        "train": _recipes(config, config.train_subjects, config.train_sentences, config.pixel_train),
        "val": _recipes(config, config.train_subjects, config.val_sentences, 0),
        "test": tuple(
            replace(recipe, novel_every=config.novel_every)
            for recipe in _recipes(config, config.test_subjects, config.test_sentences, config.pixel_test)
            if recipe.has_pixels
        ),
    }
    return {name: _ordered(recipes) for name, recipes in splits.items()}


def plan_mismatch(config: PuppetConfig) -> tuple[Recipe, ...]:
    """Test sentences spoken by the voice of one emotion under the face of another, ordered by id; all with pixels."""
    sentences = config.test_sentences[: config.mismatch_sentences]
    return _ordered(
        _recipe(
            config, subject, face, _filmed_level(config, face), sentence, has_pixels=True,
            voice_emotion=voice, voice_level=_filmed_level(config, voice),
        )
        for subject in config.test_subjects for voice, face in config.pairs for sentence in sentences
    )  # fmt: skip


def film_recipe(config: PuppetConfig, subject: str, emotion: str, sentence: str, size_px: int) -> Recipe:
    """One sentence at the filmed level, at any size: for previews; it stands in no split."""
    recipe = _recipe(config, subject, emotion, _filmed_level(config, emotion), sentence, has_pixels=True)
    return replace(recipe, size_px=size_px)


def _ordered(recipes: Iterable[Recipe]) -> tuple[Recipe, ...]:
    return tuple(sorted(recipes, key=lambda recipe: recipe.id))


def _filmed_level(config: PuppetConfig, emotion: str) -> int:
    return 1 if emotion == "neutral" else config.pixel_level


def _recipe(
    config: PuppetConfig, subject: str, emotion: str, level: int, sentence: str, *, has_pixels: bool,
    voice_emotion: str | None = None, voice_level: int | None = None,
) -> Recipe:  # fmt: skip
    return Recipe(
        subject=subject, emotion=emotion, level=level, sentence=sentence, has_pixels=has_pixels,
        size_px=config.size_px, supersampling=config.supersampling, fps=config.fps, seed=config.seed,
        varied_scene=config.varied_scene, novel_every=0, novel_yaw_degrees=config.novel_yaw_degrees,
        voice_emotion=voice_emotion, voice_level=voice_level,
    )  # fmt: skip


def _recipes(
    config: PuppetConfig, subjects: tuple[str, ...], sentences: tuple[str, ...], n_pixels: int
) -> tuple[Recipe, ...]:
    """Every subject × emotion × level × sentence; rendered sentences rotate with the emotion to cover more sounds."""
    recipes = []
    for subject in subjects:
        for index, emotion in enumerate(config.emotions):
            is_test = sentences == config.test_sentences
            first = 0 if is_test else n_pixels * index
            rendered = {sentences[(first + k) % len(sentences)] for k in range(n_pixels)}
            filmed = _filmed_level(config, emotion)
            recipes += [
                _recipe(
                    config, subject, emotion, level, sentence, has_pixels=level == filmed and sentence in rendered
                )
                for level in levels_of(emotion, config.levels)
                for sentence in sentences
            ]  # fmt: skip
    return tuple(recipes)


def generation_key(config: PuppetConfig) -> str:
    """What all clips of a folder share: version and rendering, not the selection of clips."""
    shared = {
        "size_px": config.size_px, "supersampling": config.supersampling, "fps": config.fps, "seed": config.seed,
        "varied_scene": config.varied_scene, "novel": [config.novel_every, config.novel_yaw_degrees],
    }  # fmt: skip
    return hash_value({"generator": GENERATOR_VERSION, **shared})
