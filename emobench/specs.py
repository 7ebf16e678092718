"""What a registry entry is: light facts about a plugin that listing and planning need. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

API_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A light registry entry: importing it must import nothing heavy."""

    name: str
    version: str
    summary: str
    factory: str  # "package.module:Class"
    api: int = API_VERSION
    requires: tuple[str, ...] = ()  # importable module names
    weights: tuple[str, ...] = ()  # names in the weights manifest, all needed
    licence: str = "Apache-2.0"
    citation: str = ""
    config: str = ""  # "package.module:PydanticModel"; its optional `resolved()` says what its names stand for here
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    code: tuple[str, ...] = ()  # packages whose source is part of the identity


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSpec(Spec):
    """`oracle` methods may see the target, are exempt from the leak test and never ranked.

    `preset_summaries` says in one line each what a preset changes; `ablations` are the presets that take one part away,
    the rows of `emobench ablate`.
    """

    role: Literal["method", "reference", "oracle", "sanity"] = "method"
    rung: Literal["", "ground_truth", "true_alpha", "static"] = ""  # what it stands for on the scale that grades judges
    preset_summaries: Mapping[str, str] = field(default_factory=dict)
    ablations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec(Spec):
    """Facts about a metric that need no computation. `digits` is for display only.

    `noise` is the share by which equal runs differ on one shared machine: smaller differences earn no verdict and no
    star.

    A metric that is no default is measured only when it is asked for, by name or with "all".
    """

    unit: str
    higher_is_better: bool
    needs_reference: bool = True
    digits: int = 2
    is_default: bool = True
    noise: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec(Spec):
    """`needs_root`: the user must say where it lies (--data-root); `obtain` says how to get it, under which terms."""

    needs_root: bool = False
    obtain: str = ""
    splits: tuple[str, ...] = ("train", "val", "test")  # what Dataset.split knows; all but train can be scored


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSpec(Spec):
    """A measurement protocol: what is looked at, how. Its factory is called with this spec and gives a Scheme."""

    file: str = ""  # "package:name.yaml" where the factory reads one


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSpec(Spec):
    """`suffix` of the file it writes ("" = prints)."""

    suffix: str = ""
