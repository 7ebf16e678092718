"""Expression modules for the measurements of EmoHead, trained on puppet-full's train sentences and kept in the cache.

A row is a name, settings, and how many steps of stage 1 it took. Stage 1 is shared by rows that differ in stage 2.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from emohead_material import Take, open_takes
from safetensors.torch import load_file, save_file

from emobench import environment
from emobench.cache import write_text, writing_folder
from emobench.hashing import canonical_json, hash_value, short
from emobench.methods.emohead import features, fitting, model
from emobench.methods.emohead.checkpoint import load_expression, save_expression
from emobench.methods.emohead.config import AudioConfig, EmoHeadConfig
from emobench.methods.emohead.model import ExpressionModel
from emobench.methods.emohead.network import ExpressionNetwork
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage1Folder:
    """Stage 1 of a configuration and seed on disk, with both generators as it left them."""

    path: Path

    def resume_spoken(self, network: ExpressionNetwork, rng: np.random.Generator) -> bool:
        if not self.path.is_dir():
            return False
        tensors = load_file(self.path / "network.safetensors")
        torch.set_rng_state(tensors.pop("torch_rng"))
        network.load_state_dict(tensors)
        network.eval()
        rng.bit_generator.state = json.loads((self.path / "rng.json").read_text(encoding="utf-8"))
        return True

    def keep_spoken(self, network: ExpressionNetwork, rng: np.random.Generator) -> None:
        with writing_folder(self.path) as folder:
            save_file(network.state_dict() | {"torch_rng": torch.get_rng_state()}, folder / "network.safetensors")
            write_text(folder / "rng.json", json.dumps(rng.bit_generator.state))


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

    fitting.speech_features = model.speech_features = remembered


def trained(row: str, seed: int, steps: int | None = None, takes: Sequence[Take] | None = None) -> ExpressionModel:
    """The module of a row: from the cache, else trained on one thread, which is timed beside it."""
    _hear_once()
    config = settings_of(row, steps)
    root = environment.cache_dir() / "emohead-claims"
    settings = config.model_dump(mode="json", exclude={"radiance"})
    folder = root / f"{row}-{short(hash_value([settings, seed]))}"
    if not (folder / "emohead.json").is_file():
        spoken = {name: section for name, section in settings.items() if name != "refinement"}
        stage1 = Stage1Folder(path=root / f"stage1-{short(hash_value([spoken, seed]))}")
        recordings = [take.recording for take in takes or open_takes("train")]
        started, has_stage1 = time.process_time(), stage1.path.is_dir()
        fitted = fitting.fit_expression(
            recordings, config, seed=seed, threads=1, progress=SilentProgress(), stage1=stage1
        )  # fmt: skip
        spent = {"cpu_seconds": round(time.process_time() - started, 1), "stage1_from_cache": has_stage1}
        with writing_folder(folder) as temporary:
            save_expression(temporary, fitted, ())
            write_text(temporary / "spent.json", canonical_json(spent) + "\n")
    return load_expression(folder, threads=1)[0]
