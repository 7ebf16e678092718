"""Lazy plugin registry: light spec objects behind entry points; a factory is imported only when its plugin is used.

Built-ins come through the same door as third parties. A broken plugin is a row with a reason, fatal only when selected.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from emobench.errors import UsageError, suggest
from emobench.specs import API_VERSION, DatasetSpec, MethodSpec, MetricSpec, ProtocolSpec, ReportSpec, Spec

KINDS: Mapping[str, type[Spec]] = {
    "method": MethodSpec,
    "metric": MetricSpec,
    "dataset": DatasetSpec,
    "report": ReportSpec,
    "protocol": ProtocolSpec,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A registered plugin: its spec, or why it has none."""

    name: str
    spec: Any  # a Spec of the kind's class, or None when broken
    broken: str | None = None
    origin: str = ""  # distribution that registered it


def noises() -> Mapping[str, float]:
    """MetricSpec.noise of the metrics that have one."""
    specs = ((name, entry.spec) for name, entry in entries("metric").items())
    return {name: spec.noise for name, spec in specs if isinstance(spec, MetricSpec) and spec.noise}


def entries(kind: str) -> dict[str, Entry]:
    """All registered plugins of a kind by name, in registration order; imports only their light spec modules."""
    found: dict[str, Entry] = {}
    for point in entry_points(group=f"emobench.{kind}s"):
        origin = point.dist.name if point.dist else ""
        try:
            spec = point.load()
        except Exception as error:  # a plugin may fail in any way; it must not take the command line along
            entry = Entry(name=point.name, spec=None, broken=f"{type(error).__name__}: {error}", origin=origin)
        else:
            entry = Entry(name=point.name, spec=spec, broken=_fault(kind, point.name, spec), origin=origin)
        if point.name in found and origin != found[point.name].origin:
            entry = Entry(
                name=point.name,
                spec=None,
                origin=origin,
                broken=f"two packages register {point.name!r}: {found[point.name].origin} and {origin}",
            )
        found[point.name] = entry
    return dict(sorted(found.items()))


def _fault(kind: str, name: str, spec: Any) -> str | None:
    if not isinstance(spec, KINDS[kind]):
        return f"entry point gives {type(spec).__name__}, expected {KINDS[kind].__name__}"
    if spec.name != name:
        return f"entry point {name!r} gives a spec named {spec.name!r}"
    if spec.api != API_VERSION:
        return f"made for plugin API {spec.api}, this emobench speaks {API_VERSION}"
    return None


def find(kind: str, name: str) -> Any:
    """The spec of a plugin by name ('emohead/preset' finds 'emohead'). Raises UsageError with the nearest name."""
    known = entries(kind)
    base = name.partition("/")[0]
    if base not in known:
        raise UsageError(suggest(kind, name, known))
    entry = known[base]
    if entry.broken:
        raise UsageError(f"The {kind} {base!r} from {entry.origin or 'an unknown package'} is broken: {entry.broken}")
    preset = name.partition("/")[2]
    if preset and preset not in entry.spec.presets:
        presets = ", ".join(f"{base}/{p}" for p in entry.spec.presets if p) or "none"
        raise UsageError(f"Unknown preset {name!r}. Presets of {base}: {presets}.")
    return entry.spec


def missing_module(spec: Spec) -> str | None:
    """The first required module that is not installed, without importing it."""
    for name in spec.requires:
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            found = None
        if found is None:
            return name
    return None


def load_object(path: str) -> Any:
    """Import 'package.module:Name'. Raises UsageError naming what is missing."""
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"Cannot load {path}: {error}") from error
