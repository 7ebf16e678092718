"""What the puppet's judge and a real network see along a τ sweep: `python tests/measurements/emohead_sweep_frames.py`

Mismatch clips of puppet's two subjects, one for each tag (--every-voice: one for each pair of voice and tag): the
spoken face pushed to the tag by the module trained on puppet-full, rendered at 128 px through the portraits of a
finished run, every sixth frame. Beside it the true α through the same portraits: the ceiling. Prints one JSON object.
Used for docs/measurements/emohead.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from emohead_material import Take, open_takes
from emohead_scores import TAUS, Answers
from emohead_training import trained
from scipy.stats import binomtest, spearmanr

from emobench import environment, weights
from emobench.data_commands import Asked, open_asked
from emobench.datasets.puppet.recording import Studio
from emobench.judges import JudgeSet
from emobench.judges.judge_set import load_bench
from emobench.methods.emohead.config import Step
from emobench.methods.radiance.portrait import Portrait
from emobench.metrics.emotion import ExpressNetProbabilities
from emobench.progress import make_progress
from emobench.types import Context, Extractor, Floats, HeadPose, Sample, Track

SUBJECTS = ("amy", "ben")
SIZE_PX = 128
EVERY = 6  # frames


def choose(takes: Sequence[Take]) -> list[Take]:
    """One clip for each subject and tag; the voice is the next emotion but one, and differs between the subjects."""
    emotions = sorted({take.emotion for take in takes})
    chosen = []
    for shift, subject in enumerate(SUBJECTS):
        for index, tag in enumerate(emotions):
            voice = emotions[(index + 2 + 3 * shift) % len(emotions)]
            chosen += [
                t for t in takes if (t.recording.subject, t.emotion, t.voice) == (subject, tag, voice)
            ]  # fmt: skip
    return chosen


def choose_all(takes: Sequence[Take]) -> list[Take]:
    """Every ordered pair of voice and tag of the subjects."""
    return [take for take in takes if take.recording.subject in SUBJECTS]


def judges(folder: Path | None) -> Mapping[str, Extractor]:
    """The judge that scores on puppet, from its folder where it was kept, and the small real network."""
    real = ExpressNetProbabilities(weights.locate("expressnet"), "cpu")
    kept = load_bench(folder) if folder is not None else None
    if kept is not None and not isinstance(kept.emotion, str):
        return {"judge": kept.emotion, "expressnet": real}
    context = Context(
        seed=0, device="cpu", threads=1, cache_dir=environment.cache_dir(), progress=make_progress()
    )  # fmt: skip
    asked = Asked(
        name="puppet", sets=[], config_file=None, data_root=None, threads=1, cache_dir=environment.cache_dir()
    )  # fmt: skip
    _, dataset = open_asked(asked, make_progress())
    dataset.prepare()
    return {
        "judge": JudgeSet(dataset.split("train"), context, dataset.split_hash()).emotion(),
        "expressnet": real,
    }


def show(take: Take, track: Track, portrait: Portrait, alpha: Floats, extractors: Mapping[str, Extractor]) -> Any:
    """Mean probabilities over the chosen frames, by network: class → value."""
    chosen = np.arange(0, len(alpha), EVERY)
    pose = HeadPose(rotation=track.pose.rotation[chosen], translation=track.pose.translation[chosen])
    frames = np.stack([frame.frame for frame in portrait.render(alpha[chosen], pose, track.camera)])
    fewer = replace(
        track, alpha=track.alpha[chosen], pose=pose, landmarks=track.landmarks[chosen], valid=track.valid[chosen]
    )
    own = take.recording
    sample = Sample(
        clip_id=take.id, subject=own.subject, emotion=own.emotion, intensity=own.level, fps=own.fps / EVERY,
        frames=frames, audio=None, track=fewer, alpha=None, timing=None, sha256="",
    )  # fmt: skip
    found = {}
    for name, extractor in extractors.items():
        said = extractor.extract(sample)
        found[name] = dict(zip(map(str, said["classes"]), said["probabilities"].mean(axis=0).tolist(), strict=True))
    return found


def sweep(
    answers: Answers,
    takes: Sequence[Take],
    portraits: Mapping[str, Portrait],
    step: Step,
    extractors: Mapping[str, Extractor],
) -> dict[str, Any]:
    """Every clip along τ, and with its true α."""
    studio = Studio()
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in extractors}
    try:
        for take in make_progress().track(takes, f"sweep {step}"):
            portrait = portraits[take.recording.subject]
            track = studio.act(replace(take.recipe, size_px=SIZE_PX))[1]
            faces = [answers.push(take, True, tau, step) for tau in TAUS]
            said = [show(take, track, portrait, face, extractors) for face in [*faces, track.alpha]]
            for name, rows in seen.items():
                if take.emotion in said[0][name]:
                    rows.append(_row(take, [one[name] for one in said]))
    finally:
        studio.close()
    return {name: _summary(rows) for name, rows in seen.items()}


def _row(take: Take, said: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    tag, inner = take.emotion, [one[take.emotion] for one in said[: len(TAUS) - 1]]
    at_one, truth = said[TAUS.index(1.0)], said[-1]
    return {
        "clip": take.id, "tag": tag, "voice": take.voice, "probability": [one[tag] for one in said[:-1]],
        "spearman": float(spearmanr(TAUS[:-1], inner).statistic), "named": max(at_one, key=at_one.__getitem__),
        "named_at_zero": max(said[0], key=said[0].__getitem__), "named_truth": max(truth, key=truth.__getitem__),
    }  # fmt: skip


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def rate(key: str) -> dict[str, float]:
        right = sum(row[key] == row["tag"] for row in rows)
        interval = binomtest(right, len(rows)).proportion_ci(method="wilson")
        return {"rate": right / len(rows), "low": float(interval.low), "high": float(interval.high)}

    return {
        "clips": len(rows), "median_spearman": float(np.median([row["spearman"] for row in rows])),
        "names_tag_at_0": rate("named_at_zero"), "names_tag_at_1": rate("named"), "names_truth": rate("named_truth"),
        "rows": list(rows),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portraits", type=Path, required=True, help="checkpoint folder of an EmoHead run on puppet")
    parser.add_argument("--judges", type=Path, help="folder of judges that scored a run on puppet; else trained")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", default="joint")
    parser.add_argument("--every-voice", action="store_true")
    arguments = parser.parse_args()
    portraits = {s: Portrait.load(arguments.portraits / f"portrait-{s}", threads=1) for s in SUBJECTS}
    extractors = judges(arguments.judges)
    answers = Answers(trained("emohead", arguments.seed))
    takes = (choose_all if arguments.every_voice else choose)(open_takes("mismatch"))
    found = {step: sweep(answers, takes, portraits, step, extractors) for step in arguments.steps.split(",")}
    print(json.dumps({"taus": TAUS, "clips": [take.id for take in takes], **found}, indent=1))


if __name__ == "__main__":
    main()
