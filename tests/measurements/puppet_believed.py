"""Do real face tools believe the puppet? `python tests/measurements/puppet_believed.py --subjects amy,ben --out X.json`

Performs and renders clips in memory, asks MediaPipe, an expression net and MobileFaceNet about them, and measures
lips against phonemes and sound; writes JSON and prints a markdown table. Weights: EMOBENCH_WEIGHTS. Deterministic.
Definition offsets of landmarks are fitted on the tuning identities; a run on the held-out ones reads them, and the
embeddings of everybody else, from the tuning run: --tuning X.json. Used for docs/measurements/puppet.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from puppet_figures import (
    blendshapes,
    detection,
    embeddings_by_clip,
    expression,
    fit_offset,
    identity,
    landmark_error,
    lips,
    opening_against_sound,
)
from puppet_filmed import FPS, Take, cast, shoot
from puppet_judged import Jury, Verdict
from puppet_markdown import markdown

from emobench.datasets.puppet.identity import HELD_OUT, IDENTITIES
from emobench.datasets.puppet.recipe import GENERATOR_VERSION
from emobench.datasets.puppet.speech import SENTENCES, open_speaker
from emobench.types import EMOTIONS, SAMPLE_RATE_HZ

TUNING = tuple(name for name in IDENTITIES if name not in HELD_OUT)
DIGITS = 4  # of stored embeddings


def _names(known: Sequence[str]) -> Any:
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown {unknown[0]!r}; known: {', '.join(known)}")
        return names

    return parse


def arguments_of(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=_names(tuple(IDENTITIES)), default=TUNING)
    parser.add_argument("--emotions", type=_names(EMOTIONS), default=EMOTIONS)
    parser.add_argument("--levels", type=lambda text: tuple(int(x) for x in text.split(",")), default=(1, 2, 3))
    parser.add_argument("--sentences", type=_names(tuple(SENTENCES)), default=("s02", "s10"), help="rendered")
    parser.add_argument("--lip-sentences", type=_names(tuple(SENTENCES)), default=tuple(SENTENCES), help="not rendered")
    parser.add_argument("--sizes", type=lambda text: tuple(int(x) for x in text.split(",")), default=(128,))
    parser.add_argument("--every", type=int, default=3, help="renders every n-th speaking frame; 1 also measures lags")
    parser.add_argument("--whole", action="store_true", help="renders the silence around the speech as well")
    parser.add_argument("--skip", type=_names(("lips", "faces")), default=(), help="parts to leave out")
    parser.add_argument("--tuning", type=Path, help="JSON of the tuning run, for offsets and other people's faces")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(given)


def perform_all(subjects: Sequence[str], options: argparse.Namespace, sentences: Sequence[str]) -> list[Take]:
    with open_speaker() as speaker:
        clips = cast(subjects, options.emotions, options.levels, sentences)
        return [shoot(speaker, *clip) for clip in clips]


def faces_of(subject: str, size_px: int, options: argparse.Namespace) -> tuple[list[Take], list[Verdict]]:
    """Verdicts on one subject at one size; the unit of parallel work."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    jury = Jury()
    takes = perform_all((subject,), options, options.sentences)
    verdicts = [jury.judge(take, size_px, options.every, options.whole) for take in takes]
    print(f"{subject} at {size_px} px: {len(verdicts)} clips", file=sys.stderr)
    return takes, verdicts


def size_figures(
    takes: list[Take], verdicts: list[Verdict], options: argparse.Namespace, tuning: dict[str, Any]
) -> dict[str, Any]:
    """All figures of one size."""
    size = str(verdicts[0].size_px)
    own = {v.subject for v in verdicts}
    fitted = [v for v in verdicts if v.subject in TUNING]
    offset = fit_offset(fitted) if fitted else None
    if not own & set(TUNING) and size in tuning.get("sizes", {}):
        offset = np.array(tuning["sizes"][size]["offset"])
    stored = tuning.get("sizes", {}).get(size, {}).get("embeddings", {})
    others = {name: [np.array(clip, np.float32) for clip in clips] for name, clips in stored.items() if name not in own}
    table = embeddings_by_clip(verdicts)
    figures: dict[str, Any] = {
        "detection": detection(verdicts), "landmarks": landmark_error(verdicts, None),
        "landmarks_with_offset": None if offset is None else landmark_error(verdicts, offset),
        "blendshapes": blendshapes(verdicts), "identity": identity(table, {}),
        "identity_against_all": identity(table, others) if others else None,
        "expression": {level: expression(verdicts, level) for level in options.levels},
        "offset": None if offset is None else offset.round(5).tolist(),
        "embeddings": {name: [clip.round(DIGITS).tolist() for clip in clips] for name, clips in table.items()},
    }  # fmt: skip
    if options.every == 1:
        openings = [v.opening.astype(float) for v in verdicts if v.found.all()]
        spoken = [
            take if options.whole else _spoken(take) for take, v in zip(takes, verdicts, strict=True) if v.found.all()
        ]
        figures["tracked_energy"] = opening_against_sound(openings, spoken)
    return figures


def _spoken(take: Take) -> Take:
    """The take with only the sound of its speaking frames, to go with verdicts on every one of these."""
    frames = np.flatnonzero(take.speaking)
    step = round(SAMPLE_RATE_HZ / FPS)
    return replace(take, audio=take.audio[frames[0] * step : (frames[-1] + 1) * step])


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The report as plain data."""
    tuning = json.loads(options.tuning.read_text(encoding="utf-8")) if options.tuning else {}
    if tuning and tuning["generator"] != GENERATOR_VERSION:
        sys.exit(f"{options.tuning} is of generator {tuning['generator']}, this is {GENERATOR_VERSION}: run it again")
    report: dict[str, Any] = {
        "command": "python tests/measurements/puppet_believed.py " + " ".join(sys.argv[1:]),
        "generator": GENERATOR_VERSION, "subjects": list(options.subjects), "emotions": list(options.emotions),
        "levels": list(options.levels), "sentences": list(options.sentences), "every": options.every, "sizes": {},
    }  # fmt: skip
    if "lips" not in options.skip:
        report["lips"] = lips(perform_all(options.subjects, options, options.lip_sentences))
    if "faces" in options.skip:
        return report
    jobs = [(subject, size, options) for size in options.sizes for subject in options.subjects]
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(faces_of, *zip(*jobs, strict=True)))
    for size in options.sizes:
        chosen = [result for job, result in zip(jobs, results, strict=True) if job[1] == size]
        takes, verdicts = ([item for part in chosen for item in part[k]] for k in (0, 1))
        report["sizes"][str(size)] = size_figures(takes, verdicts, options, tuning)
    return report


def main(given: Sequence[str] | None = None) -> None:
    """Measure, write, print."""
    options = arguments_of(given)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # the workers start with it
    report = measure(options)
    options.out.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(markdown(report))


if __name__ == "__main__":
    main()
