"""Does the predicted mouth follow its own sound? `python tests/measurements/mouth_against_shuffled.py RUN …`

For a run on the `folder` dataset: correlation of predicted mouth opening (read from the rendered pixels) with the
tracked one, per held-out clip, against the same with the predictions of other clips (other sound, same speaker),
cut to the shorter of the two; with a single clip, the prediction rotated in time. Paired bootstrap over clips.
Prints one JSON object. Used for docs/measurements.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np

from emobench import environment, registry, weights
from emobench.cache import ArrayCache
from emobench.config import resolve
from emobench.face.landmarks import mouth_opening
from emobench.progress import make_progress
from emobench.samples import prediction_sample, reference_sample
from emobench.scoring import CachedFeatures
from emobench.stats import bootstrap_interval, paired_bootstrap
from emobench.store import RunStore, load_run
from emobench.types import Context, MetricContext


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    n = min(len(a), len(b))
    a, b = a[:n], b[:n]
    return 0.0 if a.std() < 1e-4 or b.std() < 1e-4 else float(np.corrcoef(a, b)[0, 1])


def shifted(predicted: np.ndarray, tracked: np.ndarray) -> float:
    """For a single clip: mean correlation over all rotations of the prediction by at least ten frames."""
    return float(np.mean([correlation(np.roll(predicted, k), tracked) for k in range(10, len(tracked) - 9)]))


def openings(run: Path, root: Path, sets: dict[str, object]) -> tuple[list[str], list[np.ndarray], list[np.ndarray]]:
    spec = registry.find("dataset", "folder")
    context = Context(
        seed=0,
        device="cpu",
        threads=environment.thread_count(),
        cache_dir=environment.cache_dir(),
        progress=make_progress(),
        data_root=root,
    )
    config = resolve(registry.load_object(spec.config), sets=sets, owner="folder")
    dataset = registry.load_object(spec.factory)(config, context)
    dataset.prepare()
    detector = registry.load_object("emobench.metrics.landmarks:LandmarkDetector")(
        MetricContext(judges=None, locate_weight=weights.locate)
    )
    features = CachedFeatures(ArrayCache(environment.cache_dir()))
    names, predicted, tracked = [], [], []
    for clip in dataset.split("test"):
        reference = reference_sample(clip)
        assert reference.track is not None
        prediction = prediction_sample(RunStore(run), clip, reference.audio)
        names.append(clip.id)
        predicted.append(np.asarray(mouth_opening(detector(prediction, reference, features)), np.float64))
        tracked.append(np.asarray(mouth_opening(reference.track.landmarks), np.float64))
    return names, predicted, tracked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256)
    arguments = parser.parse_args()
    record = load_run(arguments.run)
    names, predicted, tracked = openings(arguments.run, arguments.data_root, {"size_px": arguments.size})
    count = len(names)
    own = [correlation(p, t) for p, t in zip(predicted, tracked, strict=True)]
    others = [
        float(np.mean([correlation(predicted[j], tracked[i]) for j in range(count) if j != i]))
        if count > 1
        else shifted(predicted[i], tracked[i])
        for i in range(count)
    ]
    difference = paired_bootstrap(others, own, None, seed=0)
    print(
        json.dumps(
            {
                "run": record.run.identity,
                "clips": count,
                "own_median": float(np.median(own)),
                "own_mean": float(np.mean(own)),
                "own_mean_interval": list(bootstrap_interval(own, None, seed=0)),
                "shuffled_mean": float(np.mean(others)),
                "difference": dataclasses.asdict(difference),
                "own": dict(zip(names, np.round(own, 3).tolist(), strict=True)),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
