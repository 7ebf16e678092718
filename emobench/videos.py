"""Scores existing videos of any method against ground truth, matched by file name, without training anything."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from emobench import weights
from emobench.cache import ArrayCache
from emobench.errors import InputError, UsageError
from emobench.given import require_folder
from emobench.hashing import hash_file, hash_value, identity, short
from emobench.media import probe, write_preview
from emobench.planning import STRICT, choose_metrics, find_scheme
from emobench.provenance import collect
from emobench.runner import set_threads
from emobench.samples import video_sample
from emobench.scoring import (
    BuiltMetric,
    CachedFeatures,
    ClipScores,
    aggregate,
    build_metrics,
    load_stats,
    save_stats,
    score_clip,
    stats_key,
    weights_used,
)
from emobench.store import PlanRow, RunInfo, RunRecord, RunStore, load_run
from emobench.types import EMOTIONS, MetricContext, Progress, Sample
from emobench.workers import in_order

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".mpg", ".mpeg", ".m4v", ".flv")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPair:
    """The prediction and the ground-truth video of one name, one of which may be missing, and its label if given."""

    clip: str
    prediction: Path | None
    reference: Path | None
    emotion: str | None

    def load(self) -> tuple[Sample, Sample | None]:
        """Both decoded. Raises InputError where the prediction is missing or a file is unreadable."""
        if self.prediction is None:
            raise InputError(f"no prediction named {self.clip}.* in the --pred folder")
        prediction = self._decoded(self.prediction, "prediction")
        return prediction, self._decoded(self.reference, "reference") if self.reference else None

    def _decoded(self, path: Path, side: str) -> Sample:
        try:
            return video_sample(path, self.clip, self.emotion)
        except InputError as error:  # becomes a reason in files that are shared: no absolute path
            raise InputError(str(error).replace(str(path), f"{side} {path.name}")) from error

    def hashes(self) -> tuple[str, str]:
        """sha256 of the prediction's bytes, and of reference and label; '' for what is missing."""
        prediction, reference = (hash_file(path) if path else "" for path in (self.prediction, self.reference))
        return prediction, hash_value([reference, self.emotion])


def score_folders(
    pred: Path,
    ref: Path,
    *,
    name: str,
    labels: Path | None,
    metrics: Sequence[str],
    out: Path,
    device: str,
    threads: int,
    progress: Progress,
    cache_dir: Path,
    protocol: str = STRICT,
    allow_unpickle: str = "",
) -> list[RunRecord]:
    """One record over the clips of either folder; one without a partner is a row with its reason, never dropped."""
    scheme = find_scheme(protocol)
    specs = choose_metrics(metrics, scheme)
    require_folder(out)
    pairs = pair_videos(pred, ref, labels, progress)
    set_threads(threads)
    label = name or pred.resolve().name
    apart = {} if protocol == STRICT else {"protocol": protocol}
    key = identity({"kind": "videos", "files": [pair.hashes() for pair in pairs], **apart})
    store = RunStore(out / "videos" / label / short(key))
    context = MetricContext(
        judges=None, locate_weight=weights.locate, device=device, threads=threads, unpickle_sha256=allow_unpickle
    )
    built = build_metrics(specs, context, scheme)
    features = CachedFeatures(ArrayCache(cache_dir))
    with store.locked():
        spare = threads // len(pairs)  # threads for each pair, where there are more than pairs
        work = partial(_score_pair, built=built, store=store, features=features, workers=spare)
        scored = list(progress.track(in_order(work, pairs, threads), f"score {label}", len(pairs)))
        clips, plan = [clip for clip, _ in scored], [row for _, row in scored]
        store.write("plan.json", plan)
        used = {w: weights.sha256_of(w) for w in weights_used(built, clips)}
        store.write("provenance.json", collect(device, threads, used))
        store.write_scores([row for clip in clips for row in clip.rows()])
        store.write_results({item.spec.name: aggregate(item, clips) for item in built}, {})
        store.write("run.json", _describe(label, short(key), pred, ref, protocol))  # last: it says "complete"
    return [load_run(store.dir)]


def pair_videos(pred: Path, ref: Path, labels: Path | None, progress: Progress) -> list[VideoPair]:
    """Pairs by stem, one for every name of either folder. Raises InputError when not a single name matches."""
    predictions, references = index_videos(pred), index_videos(ref)
    if not set(predictions) & set(references):
        raise InputError(
            f"No file name of {pred} ({_few(predictions)}) matches one of {ref} ({_few(references)}). "
            "Names must be equal up to the suffix."
        )
    clips = sorted({*predictions, *references})
    for clip in sorted(set(predictions) - set(references)):
        progress.note(f"{clip}: prediction without ground truth, only metrics that need none score it")
    emotions = _read_labels(labels) if labels else {}
    unknown = sorted(set(emotions) - set(clips))
    if unknown:
        progress.note(f"{labels}: no video for {_few(unknown)}; these labels are unused")
    return [
        VideoPair(clip=c, prediction=predictions.get(c), reference=references.get(c), emotion=emotions.get(c))
        for c in clips
    ]


def index_videos(folder: Path) -> dict[str, Path]:
    """Videos of a folder by stem. Raises InputError when it is missing, empty, has a stem twice or a broken link."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder. Give the folder that holds the videos.")
    found: dict[str, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES and p.name[0] != "."):
        if path.is_dir():
            continue
        if not os.access(path, os.R_OK):
            raise InputError(f"{path} cannot be read: no permission, or a link that leads nowhere.")
        if path.stem in found:
            raise InputError(f"{folder} holds {found[path.stem].name} and {path.name}: one name, two files.")
        found[path.stem] = path
    if not found:
        raise InputError(f"{folder} holds no video ({', '.join(VIDEO_SUFFIXES)}).")
    return found


def _score_pair(
    pair: VideoPair, built: Sequence[BuiltMetric], store: RunStore, features: CachedFeatures, workers: int
) -> tuple[ClipScores, PlanRow]:
    prediction, reference = pair.hashes()
    keys = {item.spec.name: stats_key(item, prediction, None, reference) for item in built}
    loaded: list[Sample] = []

    def load() -> tuple[Sample, Sample | None]:
        ours, theirs = pair.load()
        loaded.extend(sample for sample in (ours, theirs) if sample is not None)
        return ours, theirs

    stored = load_stats(store, pair.clip)
    fresh = score_clip(built, stored, keys, load, features, workers)
    save_stats(store, pair.clip, stored, fresh)
    for sample, folder in zip(loaded, ("predictions", "references"), strict=False):
        write_preview(store.dir / folder / f"{pair.clip}.mp4", sample.frames, sample.fps, sample.audio)
    stats = {metric: value for metric, (_, value) in fresh.items()}
    scores = ClipScores(clip=pair.clip, subject="", emotion=pair.emotion, intensity=None, stats=stats)
    row = PlanRow(
        clip=pair.clip,
        subject="",
        emotion=pair.emotion,
        intensity=None,
        n_frames=len(loaded[0].frames) if loaded else _count_frames(pair.prediction),
        transcript=None,
        sha256=reference,
    )
    return scores, row


def _count_frames(path: Path | None) -> int:
    """Frames of a video that was not decoded, as its scores are stored or it cannot be; 0 where there are none."""
    with contextlib.suppress(InputError):
        return probe(path).n_frames if path else 0
    return 0


def _describe(label: str, key: str, pred: Path, ref: Path, protocol: str) -> RunInfo:
    return RunInfo(
        method=label,
        method_version="",
        role="method",
        dataset="videos",
        seed=0,
        identity=key,
        status="complete",
        config={},
        passed=[],
        preset="",
        subjects=[],
        protocol=protocol,
        dataset_facts={"name": "videos", "predictions": pred.name, "references": ref.name},
        judge_report={},
        split_hash=key,
    )


def _few(found: Collection[str]) -> str:
    names = list(found)[:3]
    return ", ".join(names) + (", …" if len(found) > 3 else "")


def _read_labels(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the labels {path}: {error}.") from error
    if rows and not {"clip", "emotion"} <= set(rows[0]):
        raise InputError(f"{path} needs the columns clip and emotion; it has {', '.join(rows[0])}.")
    for row in rows:
        if row["emotion"] not in EMOTIONS:
            known = ", ".join(EMOTIONS)
            raise UsageError(f"{path}: unknown emotion {row['emotion']!r} of clip {row['clip']}. Known: {known}.")
    return {row["clip"]: row["emotion"] for row in rows}
