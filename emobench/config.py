"""Resolved configuration: defaults < preset < file < --set, strict types, an unknown key suggests the nearest."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from emobench.errors import InputError, UsageError


def read_config(path: Path) -> dict[str, Any]:
    """A YAML (or JSON) mapping. Raises InputError on a missing or malformed file."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read the config file {path}: {error.strerror or error}.") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise InputError(f"{path} holds a {type(loaded).__name__}, expected keys and values.")
    return loaded


def parse_sets(assignments: Sequence[str]) -> dict[str, Any]:
    """['a.b=1', 'c=x'] → {'a.b': 1, 'c': 'x'}; values are YAML scalars. Raises UsageError without '='."""
    parsed = {}
    for text in assignments:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"--set {text!r} is not KEY=VALUE, for example --set radiance.steps=300.")
        try:
            parsed[key.strip()] = yaml.safe_load(value) if value.strip() else ""
        except yaml.YAMLError as error:
            raise UsageError(f"--set {text!r}: the value is not a YAML scalar or list.") from error
    return parsed


def field_paths(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Dotted paths of all values of a model, nested models included."""
    paths = []
    for name, info in model.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            paths += field_paths(annotation, f"{prefix}{name}.")
        else:
            paths.append(f"{prefix}{name}")
    return paths


def resolve(model: type[BaseModel], *layers: Mapping[str, Any], sets: Mapping[str, Any], owner: str) -> BaseModel:
    """Merge nested mappings left to right, then dotted `sets`, and validate.

    owner names the plugin in errors. Raises UsageError on an unknown key (with the nearest one) or a wrong type.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge(merged, layer)
    for path, value in sets.items():
        _assign(merged, path, value)
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        raise UsageError(_explain(model, error, owner)) from error


def applicable(model: type[BaseModel], sets: Mapping[str, Any]) -> dict[str, Any]:
    """Those dotted sets that this model has a value for."""
    known = set(field_paths(model))
    return {path: value for path, value in sets.items() if path in known}


def _merge(target: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        elif isinstance(value, Mapping):
            target[key] = {}
            _merge(target[key], value)
        else:
            target[key] = value


def _assign(target: dict[str, Any], path: str, value: Any) -> None:
    *parents, leaf = path.split(".")
    for parent in parents:
        branch = target.setdefault(parent, {})
        if not isinstance(branch, dict):
            raise UsageError(f"--set {path}: {parent!r} is a value, it has no keys below it.")
        target = branch
    target[leaf] = value


def _explain(model: type[BaseModel], error: ValidationError, owner: str) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = field_paths(model)
        near = difflib.get_close_matches(path, known, n=1, cutoff=0.4)
        near = near or [k for k in known if k.rpartition(".")[2] == path.rpartition(".")[2]][:1]
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known[:12])}, …"
        return f"Unknown key {path!r} in the configuration of {owner}. {hint}"
    given = first.get("input")
    return f"Configuration of {owner}: {path or 'value'} = {given!r} is not valid: {first['msg']}."
