"""From names and options to work units, validated before any compute. Knows registries and configs, runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from emobench import registry, weights
from emobench.config import applicable, parse_sets, read_config, resolve
from emobench.errors import Unavailable, UsageError, suggest
from emobench.types import Context, Dataset, DatasetSpec, MethodSpec, MetricSpec

DATASET_PREFIX = "dataset."
SCORED_SPLIT = "test"
BACKENDS = ("auto", "torch", "numba")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for, as given on the command line or through the API."""

    methods: Sequence[str]
    dataset: str
    data_root: Path | None = None
    metrics: Sequence[str] = ()  # () = every registered metric
    sets: Sequence[str] = ()
    config_file: Path | None = None
    seeds: Sequence[int] = (0,)
    with_references: bool = True
    out: Path = Path("runs")
    device: str = "cpu"
    threads: int = 1
    backend: str = "auto"
    protocol: str = "strict"
    split: str = SCORED_SPLIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One independent piece of work: a method on a dataset with a seed."""

    spec: MethodSpec
    preset: str
    config: BaseModel
    seed: int

    @property
    def label(self) -> str:
        return f"{self.spec.name}/{self.preset}" if self.preset else self.spec.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything resolved: units in the order in which they run."""

    dataset_spec: DatasetSpec
    dataset_config: BaseModel
    units: Sequence[Unit]
    metrics: Sequence[MetricSpec]
    material: str  # the dataset's name, with the split where it is not the test split: names folders and tables


def make_plan(request: Request) -> Plan:
    """Resolve and validate names, presets and configuration. Raises UsageError before anything is computed."""
    if request.backend not in BACKENDS:
        raise UsageError(f"Unknown backend {request.backend!r}. Choose {', '.join(BACKENDS)}.")
    dataset_spec: DatasetSpec = registry.find("dataset", request.dataset)
    _check_split(dataset_spec, request.split)
    _require_modules(dataset_spec)
    stored = read_config(request.config_file) if request.config_file else {}
    sets = parse_sets(request.sets)
    dataset_sets = {k[len(DATASET_PREFIX) :]: v for k, v in sets.items() if k.startswith(DATASET_PREFIX)}
    method_sets = {k: v for k, v in sets.items() if not k.startswith(DATASET_PREFIX)}
    dataset_config = resolve(
        registry.load_object(dataset_spec.config),
        dataset_spec.presets.get("", {}),
        _section(stored, "dataset"),
        sets=dataset_sets,
        owner=f"dataset {dataset_spec.name}",
    )
    asked = [_method(name) for name in request.methods]
    shared = _shared_values(asked, stored, method_sets)
    units = []
    for spec, preset in _with_companions(asked, request.with_references):
        main = (spec, preset) in asked
        model = registry.load_object(spec.config)
        config = resolve(
            model,
            spec.presets.get(preset, {}) if preset else {},
            _section(stored, "method") if main else {},
            sets=method_sets if main else applicable(model, shared),
            owner=f"method {spec.name}",
        )
        units += [Unit(spec=spec, preset=preset, config=config, seed=seed) for seed in request.seeds]
    units.sort(key=lambda unit: unit.seed)  # stable: within a seed, what was asked for first, then its references
    return Plan(
        dataset_spec=dataset_spec,
        dataset_config=dataset_config,
        units=units,
        metrics=_usable([find_metric(name) for name in request.metrics]) or all_metrics(),
        material=dataset_spec.name if request.split == SCORED_SPLIT else f"{dataset_spec.name}-{request.split}",
    )


def _check_split(spec: DatasetSpec, split: str) -> None:
    """Methods learn from train: scores on it would say nothing."""
    scored = [name for name in spec.splits if name != "train"]
    if split not in scored:
        raise UsageError(f"Dataset {spec.name!r} has no split {split!r} to score. Choose {', '.join(scored)}.")


def build_dataset(plan: Plan, context: Context) -> Dataset:
    """The dataset object. Raises UsageError/InputError when its data root is missing."""
    spec = plan.dataset_spec
    if spec.needs_root and context.data_root is None:
        raise UsageError(f"Dataset {spec.name!r} needs --data-root DIR. {spec.obtain}".strip())
    if not spec.needs_root and context.data_root is not None:
        raise UsageError(f"Dataset {spec.name!r} is made here and takes no --data-root.")
    dataset: Dataset = registry.load_object(spec.factory)(plan.dataset_config, context)
    return dataset


def find_metric(name: str) -> MetricSpec:
    """The spec of a metric by exact name."""
    known = registry.entries("metric")
    if name not in known:
        raise UsageError(suggest("metric", name, known))
    spec: MetricSpec = registry.find("metric", name)
    return spec


def _usable(named: Sequence[MetricSpec]) -> Sequence[MetricSpec]:
    """The metrics a user named. Raises Unavailable, before anything is trained, where not one of them can be had."""
    missing = [weight for spec in named for weight in spec.weights if not weights.is_present(weight)]
    if named and all(any(not weights.is_present(weight) for weight in spec.weights) for spec in named):
        fetch = " ".join(dict.fromkeys(missing))
        raise Unavailable(f"None of the metrics asked for has its weights. Fetch: emobench weights fetch {fetch}")
    return named


def all_metrics() -> list[MetricSpec]:
    """Every registered metric that is not broken."""
    return [entry.spec for entry in registry.entries("metric").values() if entry.broken is None]


def _method(name: str) -> tuple[MethodSpec, str]:
    spec: MethodSpec = registry.find("method", name)
    _require_modules(spec)
    return spec, name.partition("/")[2]


def _require_modules(spec: Any) -> None:
    missing = registry.missing_module(spec)
    if missing:
        raise UsageError(f"{spec.name!r} needs the package {missing!r}: python -m pip install {missing}")


def _with_companions(asked: Sequence[tuple[MethodSpec, str]], with_references: bool) -> list[tuple[MethodSpec, str]]:
    """What was asked for, then the references, oracles and sanity rows that stand in every table."""
    companions = [
        (entry.spec, "")
        for entry in registry.entries("method").values()
        if with_references and entry.broken is None and entry.spec.role != "method"
    ]
    unique = [pair for i, pair in enumerate(asked) if pair not in asked[:i]]
    return unique + [pair for pair in companions if pair not in unique]


def _shared_values(
    asked: Sequence[tuple[MethodSpec, str]], stored: Mapping[str, Any], sets: Mapping[str, Any]
) -> dict[str, Any]:
    """Values given for the asked methods that companions with the same key must share (one trained field)."""
    shared: dict[str, Any] = {}
    for spec, preset in asked:
        if preset:
            shared |= _flatten(spec.presets[preset])
    return shared | _flatten(_section(stored, "method")) | dict(sets)


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _section(stored: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = stored.get(name, {})
    if not isinstance(section, Mapping):
        raise UsageError(f"In the config file, {name!r} must hold keys and values.")
    unknown = set(stored) - {"method", "dataset"}
    if unknown:
        raise UsageError(f"Unknown section {sorted(unknown)[0]!r} in the config file. Sections: method, dataset.")
    return section
