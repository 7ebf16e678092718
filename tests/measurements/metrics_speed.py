"""CPU seconds of the metrics for one pair of real clips: `python tests/measurements/metrics_speed.py [SECONDS]`.

The pair is an HDTF clip at 256 px (EMOBENCH_TEST_DATA) and the same clip after JPEG. Each network runs once a clip and
is shared; after it, in the same process, the same metrics one by one, the usual way: each decodes and finds the face by
itself, its network through torch. Networks whose weights are not here run with random ones of the same layout: they
cost the same. One thread; markdown on stdout.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch

from emobench import weights
from emobench.cache import ArrayCache
from emobench.errors import Unavailable
from emobench.media import read_audio, read_video, write_lossless
from emobench.memory import PeakMemory
from emobench.metrics import inception, onnx, perceptual, syncnet
from emobench.metrics.inception import build_inception
from emobench.metrics.syncnet import SyncNet
from emobench.planning import choose_metrics
from emobench.samples import video_sample
from emobench.scoring import CachedFeatures, build_metrics, measure
from emobench.torchvision_schemas import ensure_torchvision
from emobench.types import Extractor, MetricContext, Sample
from emobench.workers import single_threaded

SIZE_PX, QUALITY = 256, 60
RANDOM = ("lpips.alexnet", "fid.inception", "syncnet")
ROUNDS = 2


def make_random_weights(folder: Path) -> None:
    """Files of the layout of RANDOM."""
    ensure_torchvision()
    import torchvision

    torch.manual_seed(0)
    layers = torchvision.models.alexnet(weights=None).features.state_dict()
    torch.save({f"features.{name}": tensor for name, tensor in layers.items()}, folder / "lpips.alexnet")
    torch.save(build_inception().state_dict(), folder / "fid.inception")
    torch.save(SyncNet().state_dict(), folder / "syncnet")


def make_pair(folder: Path, seconds: float) -> None:
    """reference.mkv, prediction.mkv and other.mkv (a second method's prediction) of one real clip."""
    source = sorted((Path(os.environ["EMOBENCH_TEST_DATA"]) / "hdtf").glob("*.mp4"))[0]
    video, audio = read_video(source), read_audio(source)
    count = round(seconds * video.fps)
    frames = [cv2.resize(f, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA) for f in video.frames[:count]]
    sound = audio[: round(seconds * 16_000)]
    write_lossless(folder / "reference.mkv", frames, video.fps, sound)
    for name, quality in (("prediction", QUALITY), ("other", QUALITY // 2)):
        packed = (cv2.imencode(".jpg", f[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for f in frames)
        coded = [np.ascontiguousarray(cv2.imdecode(p, cv2.IMREAD_COLOR)[..., ::-1]) for p in packed]
        write_lossless(folder / f"{name}.mkv", coded, video.fps, sound)


class TimedFeatures(CachedFeatures):
    """Adds the CPU seconds of each extractor to `spent`, and remembers their sum."""

    def __init__(self, cache: ArrayCache, spent: dict[str, float]) -> None:
        super().__init__(cache)
        self.spent, self.total = spent, 0.0

    def __call__(self, extractor: Extractor, sample: Sample) -> Mapping[str, Any]:
        start = time.process_time()
        try:
            return super().__call__(extractor, sample)
        finally:
            seconds = time.process_time() - start
            self.spent[f"network: {type(extractor).__name__}"] += seconds
            self.total += seconds


def one_pass(folder: Path, name: str, cache: Path, spent: dict[str, float]) -> float:
    """CPU seconds of all default metrics of prediction `name`, decoding included; their split into `spent`."""
    begin = time.process_time()
    prediction, reference = (video_sample(folder / f"{n}.mkv", "pair", "neutral") for n in (name, "reference"))
    spent["decoding of both clips"] += time.process_time() - begin
    features = TimedFeatures(ArrayCache(cache), spent)
    for built in BUILT:
        start, before = time.process_time(), features.total
        measure(built, prediction, reference, features)
        spent[f"metric: {built.spec.name}"] += time.process_time() - start - (features.total - before)
    return time.process_time() - begin


def one_by_one(folder: Path, built: Sequence[Any]) -> float:
    """CPU seconds of the same metrics when none shares anything with another."""
    begin = time.process_time()
    for metric in built:
        with tempfile.TemporaryDirectory() as own:
            prediction, reference = (
                video_sample(folder / f"{n}.mkv", "pair", "neutral") for n in ("prediction", "reference")
            )
            measure(metric, prediction, reference, CachedFeatures(ArrayCache(Path(own))))
    return time.process_time() - begin


@contextlib.contextmanager
def through_torch() -> Iterator[None]:
    """Networks built inside run through torch, the lip tower in three dimensions."""

    def plain(network: Any, shape: Any, device: str) -> Any:
        del shape
        return onnx._on_device(network.eval(), device)

    class Released:
        """The network as released: convolutions over time, height and width."""

        def __init__(self, network: SyncNet, batch: int, device: str) -> None:
            self._network = network

        def embed_audio(self, windows: torch.Tensor) -> Any:
            with torch.inference_mode():
                return self._network.embed_audio(windows).numpy()

        def embed_video(self, windows: torch.Tensor) -> Any:
            with torch.inference_mode():
                return self._network.embed_video(windows).numpy()

    with contextlib.ExitStack() as stack:
        for module in (inception, perceptual, syncnet):
            stack.enter_context(mock.patch.object(module, "forward_of", plain))
        stack.enter_context(mock.patch("emobench.metrics.lipsync.SyncTowers", Released))
        yield


def context_of(folder: Path) -> MetricContext:
    def locate(name: str) -> Path:
        try:
            return weights.locate(name)
        except Unavailable:
            if name in RANDOM:
                return folder / name
            raise

    return MetricContext(judges=None, locate_weight=locate)


BUILT: list[Any] = []


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name, single_threaded():
        folder = Path(name)
        make_random_weights(folder)
        make_pair(folder, seconds)
        context = context_of(folder)
        everything = build_metrics(choose_metrics([]), context)
        BUILT.extend(item for item in everything if item.metric is not None)
        one_pass(folder, "other", folder / "warm", defaultdict(float))  # first calls load libraries
        cold, cached, apart = [], [], []
        spent: dict[str, dict[str, float]] = {"cold": defaultdict(float), "cached": defaultdict(float)}
        with PeakMemory() as peak:
            for turn in range(ROUNDS):
                cache = folder / f"cache{turn}"
                cold.append(one_pass(folder, "prediction", cache, spent["cold"]))
                cached.append(one_pass(folder, "other", cache, spent["cached"]))
        with through_torch():  # built after the peak was read
            usual = [item for item in build_metrics(choose_metrics([]), context) if item.metric is not None]
        apart.append(one_by_one(folder, usual))
        report(seconds, cold, cached, apart, spent, peak.rss_bytes)
        for item in everything:
            if item.metric is None:
                print(f"- left out: {item.spec.name}: {item.reason}")
        absent = [weight for weight in RANDOM if not weights.is_present(weight)]
        print(f"- random weights of the real layout: {', '.join(absent) or 'none'}")


def report(
    seconds: float, cold: list[float], cached: list[float], apart: list[float], spent: Any, rss_bytes: int
) -> None:
    print(f"## One pair of {seconds:g} s at {SIZE_PX} px, default metrics, one thread; median of {ROUNDS}\n")
    print("| way | CPU seconds | to one pass |\n|---|---|---|")
    base = float(np.median(cold))
    for label, values in (
        ("one pass, nothing cached", cold),
        ("one pass, ground truth's features cached", cached),
        ("the same metrics one by one, torch", apart),
    ):
        value = float(np.median(values))
        print(f"| {label} | {value:.1f} | {value / base:.2f}× |")
    print(f"\nPeak resident memory of the passes: {rss_bytes / 2**20:.0f} MiB.\n")
    print("| where (mean of the rounds) | cold | ground truth cached |\n|---|---|---|")
    names = sorted((n for n in spent["cold"] if spent["cold"][n] >= 0.005), key=lambda name: -spent["cold"][name])
    for name in names:
        print(f"| {name} | {spent['cold'][name] / ROUNDS:.2f} | {spent['cached'][name] / ROUNDS:.2f} |")
    print()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 8.0)
