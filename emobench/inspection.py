"""What a finished run holds: its facts, its files, and the hyperplanes of its method where it has some.

Works from the run directory alone; knows methods only by what they offer (see abilities), and prints nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.abilities import PlaneFacts, Refines
from emobench.errors import UsageError
from emobench.run_clips import stored_driving
from emobench.store import RunRecord, RunStore
from emobench.subjects import load_subjects
from emobench.types import Floats, Method, Progress

MOVED = 5  # coefficients shown at each end of a normal
QUANTILES = (0.1, 0.5, 0.9)
PARTS = ("checkpoint", "predictions", "stats", "subjects")
BINS = 24  # of the histogram of τ


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One coefficient and how far one unit along the normal moves it, in its standard deviations."""

    name: str
    by: float
    is_mouth: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TauFacts:
    """τ on every frame of the test clips of one emotion."""

    values: Floats  # (frames of all its clips,)
    clips: int

    @property
    def quantiles(self) -> tuple[float, float, float]:
        """10, 50 and 90 %."""
        low, middle, high = np.quantile(self.values, QUANTILES)
        return float(low), float(middle), float(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneReport:
    """Everything `emobench inspect --hyperplanes` shows."""

    label: str
    seed: int
    facts: PlaneFacts
    tau: Mapping[str, TauFacts]  # by emotion of the test clips

    def moved(self, emotion: str) -> tuple[list[Moved], list[Moved]]:
        """The coefficients that the emotion's normal raises most, and those that it lowers most; largest first."""
        normal = self.facts.normal[self.facts.emotions.index(emotion)]
        rows = [
            Moved(name=name, by=float(by), is_mouth=is_mouth)
            for name, by, is_mouth in zip(self.facts.alpha_names, normal, self.facts.is_mouth, strict=True)
        ]
        rows.sort(key=lambda row: row.by)
        return [row for row in rows[::-1][:MOVED] if row.by > 0], [row for row in rows[:MOVED] if row.by < 0]

    def to_json(self) -> dict[str, Any]:
        """JSON values, full precision."""
        facts = self.facts
        return {
            "run": self.label, "seed": self.seed, "alpha_names": list(facts.alpha_names),
            "emotions": {emotion: self._emotion(row, emotion) for row, emotion in enumerate(facts.emotions)},
            "cosines": facts.cosines().tolist(),
        }  # fmt: skip

    def _emotion(self, row: int, emotion: str) -> dict[str, Any]:
        facts, tau = self.facts, self.tau.get(emotion)
        counts, edges = self.histogram(emotion)
        return {
            "accuracy": float(facts.accuracy[row]), "margin": float(facts.margin[row]),
            "span": float(facts.scale[row]), "frames": int(facts.frames[row]) if len(facts.frames) else None,
            "normal": facts.normal[row].tolist(),
            "tau": None if tau is None else {
                "clips": tau.clips, "frames": len(tau.values), "mean": float(tau.values.mean()),
                "quantiles": dict(zip(("10%", "50%", "90%"), tau.quantiles, strict=True)),
                "histogram": {"counts": counts.tolist(), "edges": edges.tolist()},
            },
        }  # fmt: skip

    def histogram(self, emotion: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(counts, edges) of τ over bins that all emotions share."""
        highest = max((float(tau.values.max()) for tau in self.tau.values()), default=1.0)
        edges = np.linspace(0, max(highest, 1.0), BINS + 1)
        values = self.tau[emotion].values if emotion in self.tau else np.zeros(0)
        return np.histogram(values, edges)[0], edges


def inspect_planes(record: RunRecord, method: Method, progress: Progress) -> PlaneReport:
    """Hyperplanes of a loaded method, and τ on the run's own test clips. Raises UsageError where it has none."""
    name = record.run.label
    if not isinstance(method, Refines):
        raise UsageError(f"{name} has no hyperplanes: the method {record.run.method} offers none.")
    facts = method.hyperplanes()
    if facts is None:
        raise UsageError(f"{name} has no hyperplanes: its train clips show a single emotion.")
    cards = load_subjects(record.dir)
    found: dict[str, list[Floats]] = defaultdict(list)
    for row in progress.track(record.plan, "inspect: τ"):
        driving = stored_driving(record, row, cards)
        found[driving.emotion].append(method.express(driving).tau)
    tau = {e: TauFacts(values=np.concatenate(values), clips=len(values)) for e, values in sorted(found.items())}
    return PlaneReport(label=name, seed=record.run.seed, facts=facts, tau=tau)


# ------------------------------------------------------------------ what is stored


def run_facts(record: RunRecord) -> dict[str, Any]:
    """What a run directory holds, as JSON values: who made it of what, what lies where, how large."""
    run = record.run
    provenance = record.provenance
    return {
        "method": run.label, "version": run.method_version, "role": run.role, "dataset": run.dataset,
        "protocol": run.protocol, "seed": run.seed, "identity": run.identity, "status": run.status, "error": run.error,
        "passed": list(run.passed), "config": dict(run.config), "subjects": list(run.subjects),
        "dataset_facts": dict(run.dataset_facts), "clips": len(record.plan), "rendered": len(record.previews),
        "frames": sum(row.n_frames for row in record.plan), "metrics": sorted(record.results),
        "measured": sum(result.value is not None for result in record.results.values()),
        "seconds": dict(record.stages), "provenance": dict(provenance),
        "files": {part: _size(record.dir / part) for part in PARTS if (record.dir / part).is_dir()},
        "checkpoint": {path.relative_to(record.dir).as_posix(): path.stat().st_size for path in _checkpoint(record)},
    }  # fmt: skip


def _checkpoint(record: RunRecord) -> Iterator[Path]:
    folder = RunStore(record.dir).checkpoint
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _size(folder: Path) -> dict[str, int]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {"files": len(files), "bytes": sum(path.stat().st_size for path in files)}
