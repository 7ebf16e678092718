"""A portrait on disk: portrait.safetensors for arrays, portrait.json for the rest. No pickles."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from emobench.cache import writing_folder
from emobench.errors import InputError
from emobench.types import Camera

from .backdrop import Backdrop
from .condition import Condition
from .config import RadianceConfig
from .field import Field, field_layout, new_field
from .geometry import Box
from .operations import Decoder
from .training_state import Setback

if TYPE_CHECKING:
    from .portrait import PortraitParts

SCHEMA = 2  # 2: a condition may enter the decoder


def save_parts(path: Path, parts: PortraitParts) -> None:
    """Write the folder atomically, replacing an older one."""
    condition, backdrop, camera = parts.condition, parts.backdrop, parts.camera
    arrays: dict[str, NDArray[Any]] = {
        "box": np.stack([parts.box.low, parts.box.high]),
        "condition.mean": condition.mean,
        "condition.basis": condition.basis,
        "condition.centre": condition.centre,
        "condition.half_width": condition.half_width,
        "field.base": parts.field.base.numpy(),
        "field.expression": parts.field.expression.numpy(),
        "field.bias": parts.field.bias.numpy(),
        "field.decoder": parts.field.decoder.weights.numpy(),
        "skip": parts.skip,
        "backdrop.canonical": backdrop.canonical,
        "backdrop.shift": backdrop.shift,
        "backdrop.residual": backdrop.residual,
        "backdrop.mean_translation": backdrop.mean_translation,
        "backdrop.low": backdrop.low,
        "backdrop.high": backdrop.high,
        "losses": parts.losses,
    }
    facts = {
        "schema": SCHEMA,
        "config": parts.config.model_dump(mode="json"),
        "backend": parts.backend,
        "alpha_names": list(parts.alpha_names),
        "camera": [camera.focal_px, camera.cx_px, camera.cy_px, camera.width, camera.height],
        "condition": [condition.alpha_scale, condition.rotation_weight, condition.margin],
        "setbacks": [asdict(setback) for setback in parts.setbacks],
        "sources": [list(pair) for pair in parts.sources],
    }
    with writing_folder(path) as folder:
        save_file(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / "portrait.safetensors"
        )
        (folder / "portrait.safetensors").chmod(0o644)  # safetensors makes it private
        text = json.dumps(facts, sort_keys=True, indent=1) + "\n"
        (folder / "portrait.json").write_text(text, encoding="utf-8", newline="\n")


def load_parts(path: Path) -> PortraitParts:
    """Read the folder. Raises InputError where it is missing, damaged, or of another version."""
    from .portrait import PortraitParts

    advice = "Delete the folder and fit again."
    try:
        facts = json.loads((path / "portrait.json").read_text(encoding="utf-8"))
        if facts["schema"] != SCHEMA:
            raise InputError(f"{path}: portrait of schema {facts['schema']}, this emobench reads {SCHEMA}. {advice}")
        arrays = load_file(path / "portrait.safetensors")
        config = RadianceConfig.model_validate(facts["config"])
        focal, cx, cy, width, height = facts["camera"]
        alpha_scale, rotation_weight, margin = facts["condition"]
        layout = field_layout(config)
        field = Field(
            layout=layout,
            base=torch.from_numpy(arrays["field.base"]),
            expression=torch.from_numpy(arrays["field.expression"]),
            bias=torch.from_numpy(arrays["field.bias"]),
            decoder=Decoder(
                weights=torch.from_numpy(arrays["field.decoder"]), features=layout.features, hidden=config.hidden
            ),
        )
        blank = new_field(config, arrays["condition.basis"].shape[1], 0)
        if [tensor.shape for tensor in field.trained] != [tensor.shape for tensor in blank.trained]:
            raise InputError(f"{path}: the tables do not fit the stored configuration. {advice}")
        return PortraitParts(
            config=config,
            backend=facts["backend"],
            alpha_names=tuple(facts["alpha_names"]),
            camera=Camera(focal_px=focal, cx_px=cx, cy_px=cy, width=width, height=height),
            box=Box(low=arrays["box"][0], high=arrays["box"][1]),
            condition=Condition(
                alpha_scale=alpha_scale,
                rotation_weight=rotation_weight,
                margin=margin,
                **{name: arrays[f"condition.{name}"] for name in ("mean", "basis", "centre", "half_width")},
            ),
            field=field,
            skip=arrays["skip"],
            backdrop=Backdrop(
                **{
                    name: arrays[f"backdrop.{name}"]
                    for name in ("canonical", "shift", "residual", "mean_translation", "low", "high")
                }
            ),
            losses=arrays["losses"],
            setbacks=tuple(Setback(**fields) for fields in facts["setbacks"]),
            sources=tuple((str(name), str(source)) for name, source in facts.get("sources", ())),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, ValidationError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"Cannot read the portrait in {path}: {first}. {advice}") from error
