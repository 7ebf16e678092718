"""One training of the expression module for every run that asks for the same: a content-addressed cache of two stages.

Stage 1 (α̃) depends on less than the whole module does, so that rows which change only hyperplanes or τ share it; rows
which change only the portrait share everything here. Knows what decides a training, and files; trains nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from emobench.cache import write_text, writing_folder
from emobench.errors import InputError
from emobench.hashing import canonical_json, code_hash, hash_file, identity, short
from emobench.types import Clip, Progress

from .checkpoint import load_expression, save_expression
from .config import EmoHeadConfig
from .hearing import Hearing
from .model import ExpressionModel
from .network import ExpressionNetwork

CODE = ("emobench.methods.emohead", "emobench.hub_snapshots")
LATER_THAN_STAGE_1 = ("refinement", "radiance")  # sections of the configuration
STATE, TENSORS = "stage1.json", "stage1.safetensors"
TORCH_STATE = "torch_rng"  # beside the network's tensors, whose names hold a dot


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedTrainings:
    """Where the trainings of one configuration, seed and train split lie, whether or not they exist yet."""

    config: EmoHeadConfig
    folder: Path  # of the whole module
    spoken: Path  # of stage 1
    progress: Progress

    def expression(self, threads: int) -> ExpressionModel | None:
        """The whole module, where it was trained before; a damaged one is told of and trained again."""
        if not self.folder.is_dir():
            return None
        try:
            model, _ = load_expression(self.folder, threads)
        except InputError as error:
            self.progress.note(f"emohead: the stored expression module cannot be used: {error}")
            return None
        model.config = self.config  # what it was trained for may differ in the portrait
        self.progress.note(f"emohead: expression module from the cache ({short(self.folder.name)})")
        return model

    def keep_expression(self, model: ExpressionModel) -> None:
        """For the next run that asks for it."""
        with writing_folder(self.folder) as temporary:
            save_expression(temporary, model, ())

    def resume_spoken(self, network: ExpressionNetwork, rng: np.random.Generator) -> bool:
        """Whether stage 1 was trained before: then the network and both generators are as it left them."""
        if not self.spoken.is_dir():
            return False
        try:
            tensors, rng_state, torch_state = self._stored_spoken(network)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            self.progress.note(f"emohead: the stored stage 1 cannot be used ({reason}); training again")
            return False
        network.load_state_dict(tensors)
        network.eval()  # as stage 1 leaves it
        rng.bit_generator.state = rng_state
        torch.set_rng_state(torch_state)
        self.progress.note(f"emohead: stage 1 from the cache ({short(self.spoken.name)})")
        return True

    def _stored_spoken(self, network: ExpressionNetwork) -> tuple[dict[str, Tensor], dict[str, Any], Tensor]:
        """Tensors and the states of both generators, tried on generators of no use: what they are for stays untouched.

        Raises one of many exceptions where any of it does not fit.
        """
        state = json.loads((self.spoken / STATE).read_text(encoding="utf-8"))
        if hash_file(self.spoken / TENSORS) != state["tensors_sha256"]:
            raise ValueError(f"its content does not match {STATE}")
        tensors = load_tensors((self.spoken / TENSORS).read_bytes())
        torch_state = tensors.pop(TORCH_STATE)
        own = {name: (tensor.shape, tensor.dtype) for name, tensor in network.state_dict().items()}
        if own != {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}:
            raise ValueError("its tensors are not those of this network")
        np.random.default_rng().bit_generator.state = state["rng"]
        torch.Generator().set_state(torch_state)
        return tensors, state["rng"], torch_state

    def keep_spoken(self, network: ExpressionNetwork, rng: np.random.Generator) -> None:
        """The network after stage 1 and the state of both generators, so that stage 2 goes on exactly as it would."""
        tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
        with writing_folder(self.spoken) as temporary:
            (temporary / TENSORS).write_bytes(dump_tensors(tensors | {TORCH_STATE: torch.get_rng_state()}))
            state: dict[str, Any] = {"rng": rng.bit_generator.state, "tensors_sha256": hash_file(temporary / TENSORS)}
            write_text(temporary / STATE, canonical_json(state) + "\n")


def shared_trainings(
    clips: Sequence[Clip], config: EmoHeadConfig, seed: int, cache_dir: Path, progress: Progress
) -> SharedTrainings:
    """Keys: the settings that matter, seed, the code, the networks of others, and the clips with tracks."""
    settings = config.model_dump(mode="json", exclude={"radiance"})
    common = {
        "seed": seed,
        "code": code_hash(CODE),
        "pretrained": {role: asdict(facts) for role, facts in Hearing(config).facts().items()},
        "clips": [_clip_key(clip) for clip in clips],
    }
    first = {name: section for name, section in settings.items() if name not in LATER_THAN_STAGE_1}
    root = cache_dir / "expressions"
    return SharedTrainings(
        config=config, progress=progress,
        folder=root / short(identity({**common, "config": settings}), 32),
        spoken=root / f"{short(identity({**common, 'config': first}), 32)}-stage1",
    )


def _clip_key(clip: Clip) -> list[Any]:
    """What of a clip is learned from. A clip without sound or track is refused by whoever reads it."""
    track = clip.extras.get("track")
    labels = [clip.subject, clip.emotion, clip.intensity, clip.transcript, clip.fps, clip.n_frames]
    return [clip.id, clip.sha256, *labels, hash_file(track) if track is not None and track.is_file() else None]
