"""Expression modules for the measurements of EmoHead, trained on puppet-full's train sentences and kept in the cache.

A row is a name, settings, and how many steps of stage 1 it took. Stage 1 is shared by rows that differ in stage 2.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from emohead_material import Take, open_takes, recipes_of

from emobench import environment
from emobench.cache import write_text
from emobench.datasets.puppet.recipe import Recipe
from emobench.hashing import canonical_json, code_hash, identity, short
from emobench.methods.emohead import features, fitting
from emobench.methods.emohead import model as model_module
from emobench.methods.emohead.config import AudioConfig, EmoHeadConfig
from emobench.methods.emohead.model import ExpressionModel
from emobench.methods.emohead.sharing import CODE, LATER_THAN_STAGE_1, SharedTrainings
from emobench.progress import SilentProgress
from emobench.types import Floats

SHORT_STEPS = 300  # of ablations of α̃: less than a sixth of the default on this split
# What such rows do without: they are measured before refinement, whose planes are then fitted on few frames.
UNREFINED: Mapping[str, Any] = {"enabled": False, "max_frames": 200, "cost_grid": [0.03]}

# name → settings beside the defaults
ROWS: Mapping[str, Mapping[str, Any]] = {
    "emohead": {},
    "no-crossing": {"training": {"crossed": 0.0}},
    "shuffled-tags-no-hyperplane": {"training": {"crossed": 0.875}, "refinement": {"enabled": False}},
    "no-alignment": {"alignment": {"enabled": False}},
    "no-text": {"text": {"enabled": False}},
    "product-fusion": {"alignment": {"fused_attention": "product"}},
    "mean-fusion": {"alignment": {"fused_attention": "mean"}},
    "paper-step": {"refinement": {"step": "normal"}},
    "landing-step": {"refinement": {"step": "landing"}},
    "projection": {"refinement": {"project_articulation": True}},
}


def settings_of(row: str, steps: int | None) -> EmoHeadConfig:
    """The configuration of a row; with `steps` of stage 1 given, of its α̃ alone."""
    chosen = {section: dict(values) for section, values in ROWS[row].items()}
    if steps is not None:
        chosen["training"] = chosen.get("training", {}) | {"steps": steps}
        chosen["refinement"] = dict(UNREFINED)
    return EmoHeadConfig.model_validate(chosen)


@cache
def _hear_once() -> None:
    """Let several trainings in one process share the features of the same sound: they take 11 s of each."""
    heard: dict[tuple[int, AudioConfig], Floats] = {}
    kept = []  # sounds stay alive, so that an id means one sound

    def remembered(audio: Floats, config: AudioConfig) -> Floats:
        key = (id(audio), config)
        if key not in heard:
            heard[key] = features.speech_features(audio, config)
            kept.append(audio)
        return heard[key]

    fitting.speech_features = model_module.speech_features = remembered


def trained(row: str, seed: int, steps: int | None = None, takes: Sequence[Take] | None = None) -> ExpressionModel:
    """The module of a row: from the cache, else trained on one thread, which is timed beside it."""
    _hear_once()
    config = settings_of(row, steps)
    shared = _shared(config, seed, [take.recipe for take in takes] if takes else recipes_of("train"))
    model = shared.expression(threads=1)
    if model is None:
        recordings = [take.recording for take in takes or open_takes("train")]
        started, has_stage1 = time.process_time(), shared.spoken.is_dir()
        model = fitting.fit_expression(
            recordings, config, seed=seed, threads=1, progress=SilentProgress(), stage1=shared
        )  # fmt: skip
        spent = {"cpu_seconds": round(time.process_time() - started, 1), "stage1_from_cache": has_stage1}
        shared.keep_expression(model)
        write_text(shared.folder.with_name(f"{shared.folder.name}-spent.json"), canonical_json(spent) + "\n")
    return model


def _shared(config: EmoHeadConfig, seed: int, recipes: Sequence[Recipe]) -> SharedTrainings:
    """Where it is kept: keyed by all that decides it, the method's code and the recipes of the clips included."""
    settings = config.model_dump(mode="json", exclude={"radiance"})
    first = {name: section for name, section in settings.items() if name not in LATER_THAN_STAGE_1}
    common = {"seed": seed, "code": code_hash(CODE), "clips": [recipe.sha256 for recipe in recipes]}
    root = environment.cache_dir() / "emohead-claims"
    return SharedTrainings(
        config=config, progress=SilentProgress(),
        folder=root / short(identity({**common, "config": settings}), 32),
        spoken=root / f"{short(identity({**common, 'config': first}), 32)}-stage1",
    )  # fmt: skip
