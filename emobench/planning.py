"""From names and options to work units, validated before any compute. Knows registries and configs, runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from emobench import registry, weights
from emobench.config import applicable, parse_sets, read_config, resolve
from emobench.errors import Unavailable, UsageError, suggest
from emobench.specs import DatasetSpec, MethodSpec, MetricSpec, ProtocolSpec
from emobench.types import Context, Dataset, Scheme

DATASET_PREFIX = "dataset."
SCORED_SPLIT = "test"
STRICT = "strict"  # the protocol of a run that names none
ALL_METRICS = "all"
BACKENDS = ("auto", "torch", "numba", "triton", "tinycudann")
CUDA_BACKENDS = ("triton", "tinycudann")  # packages of the same name


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for, as given on the command line or through the API."""

    methods: Sequence[str]
    dataset: str
    data_root: Path | None = None
    metrics: Sequence[str] = ()  # () = the default ones, ("all",) = every registered one
    sets: Sequence[str] = ()
    config_file: Path | None = None
    seeds: Sequence[int] = (0,)
    with_references: bool = True
    out: Path = Path("runs")
    device: str = "cpu"
    threads: int = 1
    backend: str = "auto"
    protocol: str = STRICT
    split: str = SCORED_SPLIT
    allow_unpickle: str = ""  # sha256 of a pickled weight that may be loaded; "" = none


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
    scheme: Scheme
    material: str  # the dataset's name, with the split where it is not the test split: names folders and tables


def make_plan(request: Request) -> Plan:
    """Resolve and validate names, presets and configuration. Raises UsageError before anything is computed."""
    _check_backend(request.backend, request.device)
    scheme = find_scheme(request.protocol)
    dataset_spec: DatasetSpec = registry.find("dataset", request.dataset)
    _check_split(dataset_spec, request.split)
    _require_modules(dataset_spec)
    stored = read_config(request.config_file) if request.config_file else {}
    sets = parse_sets(request.sets)
    dataset_sets = {k[len(DATASET_PREFIX) :]: v for k, v in sets.items() if k.startswith(DATASET_PREFIX)}
    method_sets = {k: v for k, v in sets.items() if not k.startswith(DATASET_PREFIX)}
    dataset_config = _dataset_config(dataset_spec, stored, dataset_sets)
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
        metrics=_usable(choose_metrics(request.metrics, scheme)) if request.metrics else choose_metrics((), scheme),
        scheme=scheme,
        material=dataset_spec.name if request.split == SCORED_SPLIT else f"{dataset_spec.name}-{request.split}",
    )


def _check_backend(name: str, device: str) -> None:
    if name not in BACKENDS:
        raise UsageError(f"Unknown backend {name!r}. Choose {', '.join(BACKENDS)}.")
    if name in CUDA_BACKENDS and find_spec(name) is None:
        how = {
            "triton": "python -m pip install triton (Linux)",
            "tinycudann": "build it from https://github.com/NVlabs/tiny-cuda-nn, bindings/torch",
        }[name]
        raise Unavailable(f"Backend {name!r} needs the package {name}: {how}. Or use --backend auto.")
    if name in CUDA_BACKENDS and not device.startswith("cuda"):
        raise UsageError(f"Backend {name!r} runs on CUDA devices, not on {device}. Use --device cuda.")


def _check_split(spec: DatasetSpec, split: str) -> None:
    """Methods learn from train: scores on it would say nothing."""
    scored = [name for name in spec.splits if name != "train"]
    if split not in scored:
        raise UsageError(f"Dataset {spec.name!r} has no split {split!r} to score. Choose {', '.join(scored)}.")


def _dataset_config(spec: DatasetSpec, stored: Mapping[str, Any], sets: Mapping[str, Any]) -> BaseModel:
    return resolve(
        registry.load_object(spec.config),
        spec.presets.get("", {}),
        _section(stored, "dataset"),
        sets=sets,
        owner=f"dataset {spec.name}",
    )


def find_dataset(name: str, sets: Sequence[str], config_file: Path | None) -> tuple[DatasetSpec, BaseModel]:
    """Spec and configuration of a dataset alone; keys of `sets` may stand with or without "dataset."."""
    spec: DatasetSpec = registry.find("dataset", name)
    _require_modules(spec)
    stored = read_config(config_file) if config_file else {}
    given = {key.removeprefix(DATASET_PREFIX): value for key, value in parse_sets(sets).items()}
    return spec, _dataset_config(spec, stored, given)


def build_dataset(plan: Plan, context: Context) -> Dataset:
    """The dataset object of a plan. Raises UsageError/InputError when its data root is missing."""
    return open_dataset(plan.dataset_spec, plan.dataset_config, context)


def open_dataset(spec: DatasetSpec, config: BaseModel, context: Context) -> Dataset:
    """The dataset object. Raises UsageError/InputError when its data root is missing."""
    if spec.needs_root and context.data_root is None:
        raise UsageError(f"Dataset {spec.name!r} needs --data-root DIR. {spec.obtain}".strip())
    if not spec.needs_root and context.data_root is not None:
        raise UsageError(f"Dataset {spec.name!r} is made here and takes no --data-root.")
    dataset: Dataset = registry.load_object(spec.factory)(config, context)
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


def find_scheme(name: str) -> Scheme:
    """The measurement protocol of this name, ready to build metrics. Raises UsageError or InputError."""
    spec: ProtocolSpec = registry.find("protocol", name)
    scheme: Scheme = registry.load_object(spec.factory)(spec)
    return scheme


def choose_metrics(names: Sequence[str], scheme: Scheme | None = None) -> list[MetricSpec]:
    """The metrics of these names; "all" among them stands for every working one, () for the default ones.

    Where a protocol names what it measures, these are its metrics. Raises UsageError on a name that is not among them.
    """
    working: list[MetricSpec] = [entry.spec for entry in registry.entries("metric").values() if entry.broken is None]
    own = scheme.metrics() if scheme else None
    if scheme is not None and own is not None:
        for name in names:
            if name != ALL_METRICS and find_metric(name).name not in own:
                raise UsageError(f"Protocol {scheme.name!r} does not measure {name!r}. It measures: {', '.join(own)}.")
        chosen = own if not names or ALL_METRICS in names else names
        return [spec for spec in working if spec.name in chosen]
    if ALL_METRICS in names:
        return working
    return [find_metric(name) for name in names] or [spec for spec in working if spec.is_default]


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
