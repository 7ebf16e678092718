"""EmoHead's expression module on disk: emohead.json (what it is) and emohead.safetensors (its numbers).

Knows the file format and its version; portraits store themselves beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as dump_tensors

from emobench.cache import write_text, writing
from emobench.errors import InputError
from emobench.hashing import canonical_json, hash_file

from .config import EmoHeadConfig
from .examples import Scaling
from .hearing import Hearing, ModelFacts, sizes_of
from .hyperplanes import Hyperplanes
from .model import ExpressionModel, Vocabulary, make_network

SCHEMA = 2  # 1 knew no pretrained encoders
CARD, TENSORS = "emohead.json", "emohead.safetensors"


class Card(BaseModel):
    """Contents of emohead.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int
    tensors_sha256: str
    config: EmoHeadConfig
    emotions: tuple[str, ...]
    levels: Mapping[str, tuple[int, ...]]
    subjects: tuple[str, ...]  # of the expression module
    portraits: tuple[str, ...]  # subjects with a rendered portrait; folders portrait-<subject>
    alpha_names: tuple[str, ...]
    is_mouth: tuple[bool, ...]
    has_hyperplanes: bool
    pretrained: Mapping[str, ModelFacts] = {}  # networks of others that listen, by role
    hyperplane_accuracy: Mapping[str, float] = {}  # for readers; the tensors are what counts
    hyperplane_margin: Mapping[str, float] = {}
    hyperplane_cosines: tuple[tuple[float, ...], ...] = ()  # in the order of emotions
    tau_quantiles: Mapping[str, tuple[float, ...]] = {}  # 10, 50, 90 % over train clips: "matched", "replaced"


def save_expression(folder: Path, model: ExpressionModel, portraits: tuple[str, ...]) -> None:
    """Write both files into an existing folder; the JSON last, so that it vouches for the tensors."""
    groups = {"network": _network_arrays(model), "scaling": asdict(model.scaling)}
    if model.hyperplanes is not None:
        groups["hyperplanes"] = {k: v for k, v in asdict(model.hyperplanes).items() if k != "emotions"}
    arrays = {f"{group}.{name}": np.ascontiguousarray(v) for group, part in groups.items() for name, v in part.items()}
    path = folder / TENSORS
    with writing(path) as temporary:
        temporary.write_bytes(dump_tensors(arrays))
    card = Card(
        schema_version=SCHEMA, tensors_sha256=hash_file(path), config=model.config, portraits=portraits,
        has_hyperplanes=model.hyperplanes is not None, tau_quantiles=model.tau_quantiles,
        pretrained=model.hearing.facts(),
        **asdict(model.vocabulary), **_quality(model.hyperplanes),
    )
    write_text(folder / CARD, canonical_json(card.model_dump(mode="json")) + "\n")


def load_expression(
    folder: Path, threads: int, cache_dir: Path | None = None
) -> tuple[ExpressionModel, tuple[str, ...]]:
    """The module and the names of its portraits; `cache_dir` as in Hearing.

    Raises InputError on anything missing, corrupt or newer.
    """
    card = _read_card(folder / CARD)
    arrays = _read_tensors(folder / TENSORS, card)
    vocabulary = Vocabulary(**{field.name: getattr(card, field.name) for field in fields(Vocabulary)})
    try:
        network = make_network(card.config, vocabulary, sizes_of(card.pretrained))
        weights = {k: torch.from_numpy(v.copy()) for k, v in _group(arrays, "network").items()}
        network.load_state_dict(weights)
        scaling = Scaling(**_group(arrays, "scaling"))
        planes = _group(arrays, "hyperplanes")
        hyperplanes = Hyperplanes(emotions=card.emotions, **planes) if card.has_hyperplanes else None
    except (RuntimeError, TypeError) as error:
        text = str(error).splitlines()[0]
        raise InputError(
            f"{folder} is no usable EmoHead checkpoint, perhaps one of another version: {text} Train again."
        ) from error
    model = ExpressionModel(card.config, vocabulary, scaling, network, hyperplanes, threads)
    model.hearing = Hearing(card.config, card.pretrained, cache_dir)
    model.tau_quantiles = card.tau_quantiles
    return model, card.portraits


def _quality(planes: Hyperplanes | None) -> dict[str, Any]:
    """What a reader of the card wants to know about the hyperplanes."""
    if planes is None:
        return {}
    return {
        "hyperplane_accuracy": dict(zip(planes.emotions, planes.accuracy.tolist(), strict=True)),
        "hyperplane_margin": dict(zip(planes.emotions, planes.margin.tolist(), strict=True)),
        "hyperplane_cosines": planes.cosines().tolist(),
    }


def _network_arrays(model: ExpressionModel) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in model.network.state_dict().items()}


def _group(arrays: Mapping[str, NDArray[Any]], group: str) -> dict[str, NDArray[Any]]:
    prefix = group + "."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _read_card(path: Path) -> Card:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read the EmoHead checkpoint {path}: {error}. Train again.") from error
    schema = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise InputError(f"{path} has schema {schema}, this emobench reads up to {SCHEMA}. Update emobench.")
    try:
        return Card.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path} is no EmoHead checkpoint: {where}: {first['msg']}. Train again.") from error


def _read_tensors(path: Path, card: Card) -> dict[str, NDArray[Any]]:
    try:
        if hash_file(path) != card.tensors_sha256:
            raise InputError(f"{path} is corrupt: its content does not match {CARD}. Train again.")
        return load_tensors(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise InputError(f"Cannot read {path}: {error}. Train again.") from error
