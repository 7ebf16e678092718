"""A method and a metric in one file, as a third party would write them; CONTRIBUTING shows this file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from emobench.specs import MethodSpec, MetricSpec
from emobench.types import SAMPLE_RATE_HZ, Clip, Context, Driving, Features, MetricContext, Rendered, Sample, Stats

PULSE = MethodSpec(
    name="sample_pulse",
    version="1",
    summary="the reference frame, brighter where the speech is louder",
    factory="emobench_sample:Pulse",
    config="emobench_sample:PulseConfig",
    code=("emobench_sample",),
    presets={"strong": {"gain": 4.0}},
)

CRASH = MethodSpec(
    name="sample_crash",
    version="1",
    summary="fails while training; shows what happens to the other units of a run",
    factory="emobench_sample:Crash",
    config="emobench_sample:PulseConfig",
    code=("emobench_sample",),
)

BRIGHTNESS = MetricSpec(
    name="sample.brightness",
    version="1",
    summary="absolute difference of mean brightness",
    factory="emobench_sample:Brightness",
    unit="grey levels",
    higher_is_better=False,
)


class PulseConfig(BaseModel):
    """What a user may set with --set."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    gain: float = 1.0


class Pulse:
    """Learns the mean loudness of the train clips; renders the reference frame scaled by relative loudness."""

    def __init__(self, config: PulseConfig, context: Context) -> None:
        self.config, self.mean = config, 0.0

    def fit(self, clips: Sequence[Clip]) -> None:
        self.mean = 1.0 / len(clips)

    def render(self, driving: Driving) -> Iterator[Rendered]:
        hop = SAMPLE_RATE_HZ / driving.fps
        for t in range(driving.n_frames):
            window = driving.audio[int(t * hop) : int((t + 1) * hop)]
            loudness = float(np.sqrt((window**2).mean())) if len(window) else 0.0
            bright = driving.reference.astype(np.float32) * (1.0 + self.config.gain * loudness)
            yield Rendered(frame=bright.clip(0, 255).astype(np.uint8))

    def save(self, path: Path) -> None:
        (path / "pulse.json").write_text(json.dumps({"mean": self.mean}), encoding="utf-8")

    def load(self, path: Path) -> None:
        self.mean = json.loads((path / "pulse.json").read_text(encoding="utf-8"))["mean"]

    def stage_seconds(self) -> Mapping[str, float]:
        return {}


class Crash(Pulse):
    """A plugin with a fault."""

    def fit(self, clips: Sequence[Clip]) -> None:
        raise ZeroDivisionError("a fault in a plugin")


class Brightness:
    """|mean(prediction) − mean(reference)| in grey levels, averaged over clips."""

    def __init__(self, context: MetricContext) -> None:
        self.context = context

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        assert reference is not None  # the engine refuses to call a needs_reference metric without one
        return Stats(value=abs(float(prediction.frames.mean()) - float(reference.frames.mean())))

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        values = [item.value for item in stats if item.value is not None]
        return float(np.mean(values)) if values else None

    def signature(self) -> str:
        return "abs-mean|v1"
