"""Runs a plan: prepare data, fit, render, score, aggregate; resumes by identity, does only what is missing.

Knows specs and protocols; names no method, metric or dataset.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from emobench import registry, weights
from emobench.cache import ArrayCache, write_text, writing_folder
from emobench.errors import EmobenchError, InputError
from emobench.given import require_folder
from emobench.hashing import code_hash, hash_value, identity, short
from emobench.judges import JudgeSet
from emobench.pasting import pastes_back, require_surroundings
from emobench.planning import SCORED_SPLIT, STRICT, Plan, Request, Unit, build_dataset, make_plan
from emobench.provenance import collect, device_name, without_folders
from emobench.reliability import grade_judges
from emobench.rendering import Place, render_missing
from emobench.samples import prediction_sample, reference_sample
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
from emobench.store import PlanRow, RunInfo, RunRecord, RunStore, load_run, read_json
from emobench.subjects import SubjectCard, choose_references, save_subjects
from emobench.types import (
    Clip,
    Context,
    Dataset,
    Method,
    MetricContext,
    Progress,
    Result,
    Timing,
)
from emobench.workers import in_order


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What all units of one request share."""

    request: Request
    plan: Plan
    dataset: Dataset
    train: Sequence[Clip]
    test: Sequence[Clip]
    references: Mapping[str, SubjectCard]
    judges: JudgeSet  # that score
    training_judges: JudgeSet  # for methods' losses: other clips, seed and architecture
    progress: Progress
    cache_dir: Path


def run(request: Request, progress: Progress, cache_dir: Path) -> list[RunRecord]:
    """Everything of `emobench run`: returns one record per unit, failed ones included (status "failed")."""
    plan = make_plan(request)
    require_folder(request.out)
    set_threads(request.threads)
    context = Context(
        seed=request.seeds[0],
        device=request.device,
        threads=request.threads,
        cache_dir=cache_dir,
        progress=progress,
        data_root=request.data_root,
        backend=request.backend,
    )
    dataset = build_dataset(plan, context)
    dataset.prepare()
    train, test = list(dataset.split("train")), _scored_clips(dataset, request.split)
    job = Job(
        request=request,
        plan=plan,
        dataset=dataset,
        train=train,
        test=test,
        references=choose_references(train, test),
        judges=JudgeSet(train, context, dataset.split_hash()),
        training_judges=JudgeSet(train, context, dataset.split_hash(), "training"),
        progress=progress,
        cache_dir=cache_dir,
    )
    return grade_judges([_run_unit(unit, job) for unit in plan.units], request.out / plan.material)


def _scored_clips(dataset: Dataset, split: str) -> list[Clip]:
    """The clips of the split that is rendered and scored. Raises InputError where there is nothing to score."""
    clips = list(dataset.split(split))
    if not clips:
        raise InputError(f"Dataset {dataset.name!r} has no {split} clips after preparation.")
    without = sum(clip.video is None for clip in clips)
    if without:
        raise InputError(
            f"{without} of {len(clips)} {split} clips of {dataset.name!r} have no frames to score, only sound "
            "and expressions. Choose another --split."
        )
    return clips


def set_threads(threads: int) -> None:
    """Use this many threads in torch and numba (numba: at most what the process started with)."""
    import numba
    import torch

    torch.set_num_threads(threads)
    most: int = vars(numba.config)["NUMBA_NUM_THREADS"]
    numba.set_num_threads(min(threads, most))


def scored_split(split: str, clips: Sequence[Clip]) -> dict[str, Any]:
    """What identifies the scored clips where they are not the test split, which the split hash covers already."""
    return {} if split == SCORED_SPLIT else {"scored": split, "clips": [[clip.id, clip.sha256] for clip in clips]}


def measured_by(protocol: str) -> dict[str, str]:
    """What identifies the protocol where it is not the strict one: values of two never share a run directory."""
    return {} if protocol == STRICT else {"protocol": protocol}


def unit_identity(unit: Unit, split_hash: str, backend: str, scored: Mapping[str, Any] | None = None) -> str:
    """method + version + code + resolved config + split + seed; workers and device are not part of it.

    A backend that was asked for is: its arithmetic and its speed differ. "auto" is the method's own choice.
    `split_hash` covers train, val and test; `scored` tells of clips outside of these, and of protocols. Where a config
    names what lies on this machine (`resolved`), what it found is part too: a branch may mean another network tomorrow.
    """
    found = _resolved(unit)
    chosen = {} if backend == "auto" else {"backend": backend}
    return identity(
        {
            **chosen,
            **(scored or {}),
            **({"resolved": found} if found else {}),
            "method": unit.spec.name,
            "version": unit.spec.version,
            "code": code_hash(unit.spec.code),
            "config": unit.config.model_dump(mode="json"),
            "split": split_hash,
            "seed": unit.seed,
        }
    )


def _resolved(unit: Unit) -> Mapping[str, Any] | str:
    """What the config's names stand for here. Something that is not here is told by the unit when it runs."""
    try:
        found: Mapping[str, Any] = getattr(unit.config, "resolved", dict[str, Any])()
    except EmobenchError:
        return "not here"
    return found


def _run_unit(unit: Unit, job: Job) -> RunRecord:
    apart = scored_split(job.request.split, job.test) | measured_by(job.request.protocol)
    key = unit_identity(unit, job.dataset.split_hash(), job.request.backend, apart)
    store = RunStore(job.request.out / job.plan.material / unit.label.replace("/", "-") / short(key))
    with store.locked():
        info = _describe(unit, job, key)
        try:
            _execute(unit, job, store, info)
        except EmobenchError as error:
            store.write("run.json", replace(info, status="failed", error=without_folders(str(error))))
            job.progress.note(f"{unit.label} seed {unit.seed} failed: {error}")
        except Exception as error:  # a fault in one plugin must not cost the other units; its traceback is kept
            write_text(store.dir / "traceback.txt", without_folders(traceback.format_exc()))
            reason = f"{type(error).__name__}: {error} (see traceback.txt in the run directory)"
            store.write("run.json", replace(info, status="failed", error=without_folders(reason)))
            job.progress.note(f"{unit.label} seed {unit.seed} failed: {reason}")
    return load_run(store.dir)


def _execute(unit: Unit, job: Job, store: RunStore, info: RunInfo) -> None:
    note = job.progress.note
    note(f"\n{unit.label}, seed {unit.seed} → {store.dir}")
    stages: dict[str, float] = {}
    before = _finished(store, job.test)
    store.write("plan.json", [_plan_row(clip) for clip in job.test])
    save_subjects(store.dir, job.references)
    context = Context(
        seed=unit.seed,
        device=job.request.device,
        threads=job.request.threads,
        cache_dir=job.cache_dir,
        progress=job.progress,
        data_root=job.request.data_root,
        backend=job.request.backend,
        judges=job.training_judges,
    )
    method: Method = registry.load_object(unit.spec.factory)(unit.config, context)
    if pastes_back(method):
        require_surroundings(job.test)
        info = replace(info, pasted=True)
    with _stage(stages, "fit"):
        store.write("run.json", replace(info, status="fitting"))
        _fit(method, unit, job, store)
    where = Place(device=device_name(job.request.device), threads=job.request.threads)
    with _stage(stages, "render"):
        store.write("run.json", replace(info, status="rendering"))
        render_missing(method, unit.spec, job.test, job.references, store, where, job.progress)
    with _stage(stages, "score"):
        store.write("run.json", replace(info, status="scoring"))
        used, results = _score_all(unit, job, store, before)
    found = {name: weights.sha256_of(name) for name in used}
    if before is not None:  # metrics that were not asked for this time keep their scores
        results = {name: value for name, value in before.results.items() if name not in results} | results
        found = before.provenance.get("weights", {}) | found
    store.write_results(results, stages)
    sources: Mapping[str, str] = getattr(method, "sources", dict[str, str])()
    about = collect(job.request.device, job.request.threads, found)
    store.write("provenance.json", {**about, "sources": dict(sources)})
    store.write("run.json", replace(info, status="complete", judge_report=job.judges.report()))


class _stage:
    """Adds the seconds of a with-block to `stages`."""

    def __init__(self, stages: dict[str, float], name: str) -> None:
        self.stages, self.name = stages, name

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.stages[self.name] = self.stages.get(self.name, 0.0) + time.perf_counter() - self.start


def _describe(unit: Unit, job: Job, key: str) -> RunInfo:
    return RunInfo(
        method=unit.spec.name,
        method_version=unit.spec.version,
        role=unit.spec.role,
        dataset=job.plan.material,
        seed=unit.seed,
        identity=short(key),
        status="planned",
        config=unit.config.model_dump(mode="json"),
        passed=list(job.request.sets),
        preset=unit.preset,
        subjects=sorted({clip.subject for clip in job.test}),
        protocol=job.request.protocol,
        dataset_facts=dict(job.dataset.describe()),
        judge_report={},
        split_hash=short(_material_hash(job)),
        code=short(code_hash(unit.spec.code)),
    )


def _material_hash(job: Job) -> str:
    """Of everything trained and scored on: runs with equal hashes may be averaged over seeds."""
    trained = job.dataset.split_hash()
    scored = scored_split(job.request.split, job.test)
    return hash_value([trained, scored]) if scored else trained


def _plan_row(clip: Clip) -> PlanRow:
    return PlanRow(
        clip=clip.id,
        subject=clip.subject,
        emotion=clip.emotion,
        intensity=clip.intensity,
        n_frames=clip.n_frames,
        transcript=clip.transcript,
        sha256=clip.sha256,
    )


def _fit(method: Method, unit: Unit, job: Job, store: RunStore) -> None:
    if store.checkpoint.is_dir():
        try:
            method.load(store.checkpoint)
        except InputError as error:
            job.progress.note(f"checkpoint unusable ({error}); training again")
        else:
            job.progress.note("checkpoint found: not training again")
            return
    if not _load_sibling(method, unit, job):
        method.fit(job.train)
    for clip in job.test:  # what an earlier checkpoint rendered is no prediction of this one
        store.prediction(clip.id, ".json").unlink(missing_ok=True)
    with writing_folder(store.checkpoint) as folder:
        method.save(folder)


def _load_sibling(method: Method, unit: Unit, job: Job) -> bool:
    """Whether the same training, strictly scored on the test split, lies here: then it is loaded, not repeated."""
    if job.request.split == SCORED_SPLIT and job.request.protocol == STRICT:
        return False
    key = unit_identity(unit, job.dataset.split_hash(), job.request.backend)
    folder = job.request.out / job.plan.dataset_spec.name / unit.label.replace("/", "-") / short(key)
    checkpoint = RunStore(folder).checkpoint
    if not checkpoint.is_dir():
        return False
    try:
        method.load(checkpoint)
    except InputError as error:
        job.progress.note(f"checkpoint of the test split unusable ({error}); training again")
        return False
    job.progress.note(f"trained already: {folder}")
    return True


# ------------------------------------------------------------------ scoring


def _finished(store: RunStore, test: Sequence[Clip]) -> RunRecord | None:
    """The run as it stood, where it was complete and nothing has to be rendered again."""
    try:
        record = load_run(store.dir)
    except InputError:
        return None
    rendered = all(store.prediction(clip.id, ".json").exists() for clip in test)
    return record if rendered and record.run.status == "complete" else None


def _score_all(unit: Unit, job: Job, store: RunStore, before: RunRecord | None) -> tuple[list[str], dict[str, Result]]:
    """(weights that had a part in a score, results by metric) of every clip; writes the rows."""
    context = MetricContext(
        judges=job.judges, locate_weight=weights.locate, device=job.request.device, threads=job.request.threads,
        unpickle_sha256=job.request.allow_unpickle,
    )  # fmt: skip
    built = build_metrics(job.plan.metrics, context, job.plan.scheme)
    features = CachedFeatures(ArrayCache(job.cache_dir))
    spare = job.request.threads // max(len(job.test), 1)  # threads for each clip, where there are more than clips
    work = partial(_score_one, built=built, store=store, features=features, workers=spare)
    scored = in_order(work, job.test, job.request.threads)
    clips: list[ClipScores] = list(job.progress.track(scored, f"score {unit.label}", len(job.test)))
    asked = {item.spec.name for item in built}
    kept = [row for row in before.scores if row.metric not in asked] if before else []
    store.write_scores(kept + [row for clip_scores in clips for row in clip_scores.rows()])
    return weights_used(built, clips), {item.spec.name: aggregate(item, clips) for item in built}


def _score_one(
    clip: Clip, built: Sequence[BuiltMetric], store: RunStore, features: CachedFeatures, workers: int
) -> ClipScores:
    card = read_json(store.prediction(clip.id, ".json"))
    timing = Timing(**card["timing"]) if card.get("timing") else None
    keys = {item.spec.name: stats_key(item, card["sha256"], timing, clip.sha256) for item in built}
    stored = load_stats(store, clip.id)

    def load() -> Any:
        reference = reference_sample(clip)
        return prediction_sample(store, clip, reference.audio), reference

    fresh = score_clip(built, stored, keys, load, features, workers)
    save_stats(store, clip.id, stored, fresh)
    return ClipScores(
        clip=clip.id,
        subject=clip.subject,
        emotion=clip.emotion,
        intensity=clip.intensity,
        stats={name: stats for name, (_, stats) in fresh.items()},
    )
