"""Claims about who teaches whom: evaluation judges, training judges and test clips never share a clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from emobench import registry
from emobench.datasets.puppet.config import PuppetConfig, PuppetTinyConfig
from emobench.datasets.puppet.recipe import plan
from emobench.errors import InputError
from emobench.hashing import code_hash, short
from emobench.judges import making
from emobench.judges.judge_set import SEEDS, JudgeSet
from emobench.judges.material import Filmed, Spoken
from emobench.judges.networks import SyncTowers, face_network
from emobench.judges.sharing import share
from emobench.progress import SilentProgress
from emobench.reliability import MARK, grade_judges, verdict
from emobench.reports.judges import judge_lines
from emobench.store import PlanRow, RunInfo, RunStore, ScoreRow, load_run
from emobench.types import Clip, Context, Result


def clips_of(recipes):
    return [
        Clip(
            id=r.id, subject=r.subject, emotion=r.emotion, intensity=r.level, sentence=r.sentence, transcript=None,
            video=Path("v.mkv") if r.has_pixels else None, audio=Path("a.wav"), fps=25.0, n_frames=50, sha256=r.sha256,
        )
        for r in recipes
    ]  # fmt: skip


@pytest.mark.parametrize("config", [PuppetConfig(), PuppetTinyConfig()], ids=["puppet", "puppet-tiny"])
def test_training_evaluation_and_test_clips_are_disjoint_in_clips_and_sentences(config, tmp_path):
    splits = {name: clips_of(recipes) for name, recipes in plan(config).items()}
    context = Context(seed=0, device="cpu", threads=1, cache_dir=tmp_path, progress=SilentProgress())
    sets = {role: JudgeSet(splits["train"], context, "puppet", role) for role in ("evaluation", "training")}
    kinds = {role: judges.clips for role, judges in sets.items()} | {"test": splits["test"]}
    names = list(kinds)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            for attribute in ("id", "sha256", "sentence"):
                both = {getattr(c, attribute) for c in kinds[one]} & {getattr(c, attribute) for c in kinds[other]}
                assert not both, (one, other, attribute)
    assert sum(len(judges.clips) for judges in sets.values()) == len(splits["train"])  # none is wasted
    for role in sets:  # each sees every emotion filmed
        assert {clip.emotion for clip in kinds[role] if clip.video} == set(config.emotions)
    assert sets["evaluation"].folder != sets["training"].folder


def test_the_roles_differ_in_seed_and_architecture():
    assert SEEDS["evaluation"] != SEEDS["training"]
    layers = [[type(layer).__name__ for layer in face_network(role, 8).modules()] for role in SEEDS]
    assert layers[0][2:] != layers[1][2:]
    assert len(list(SyncTowers(40, "evaluation").mouth)) != len(list(SyncTowers(40, "training").mouth))


def test_sharing_ignores_order_and_leaves_an_emotion_with_one_sentence_to_the_evaluation():
    clips = clips_of(plan(PuppetTinyConfig())["train"])
    assert share(clips) == share(clips[::-1])
    rare = [clip for clip in clips if clip.emotion != "happy" or clip.sentence == "s01"]
    shared = share(rare)
    assert {clip.sentence for clip in shared["evaluation"]} >= {"s01"}


def test_one_sentence_is_shared_out_by_subject_and_one_of_each_is_the_evaluation_s():
    (clip, *_) = clips_of(plan(PuppetTinyConfig())["train"])
    two = [replace(clip, id=name, subject=name) for name in ("a", "b")]
    assert [{c.subject for c in own} for own in share(two).values()] == [{"a"}, {"b"}]
    assert [len(own) for own in share([clip]).values()] == [1, 0]


def test_only_the_training_side_s_clips_are_lost_to_the_judges_that_score():
    """The figures that emobench.judges.sharing names."""
    shared = share(clips_of(plan(PuppetConfig())["train"]))
    assert {role: len(own) for role, own in shared.items()} == {"evaluation": 176, "training": 220}
    assert [sum(clip.video is not None for clip in own) for own in shared.values()] == [16, 16]


# ------------------------------------------------------------------ what is held out


def spoken_clips(counts):
    """So many clips of each sentence."""
    sentences = [f"s{number}" for number, count in enumerate(counts) for _ in range(count)]
    return [Spoken(mouth=np.zeros((9, 20, 2)), mel=np.zeros((36, 40)), sentence=name) for name in sentences]


@pytest.mark.parametrize(
    ("counts", "trained", "held", "reason"),
    [
        ((3, 2, 2), 5, 2, "5 train clips with sound, 6 are needed"),
        ((3, 3, 2), 6, 2, None),
        ((4, 4), 8, 0, None),  # two sentences: trained on both, graded on none
    ],
)
def test_the_sentence_that_is_held_out_does_not_count_as_trained_on(counts, trained, held, reason, monkeypatch):
    frames = np.zeros((2, 4, 4), np.uint8)
    filmed = Filmed(
        frames=frames, squares=np.zeros((2, 4)), landmarks=np.zeros((2, 68, 2), np.float32),
        emotion=np.arange(2), clip=np.arange(2), classes=("happy", "sad"),
    )  # fmt: skip
    monkeypatch.setattr(making, "load_filmed", lambda clips: filmed)

    def load_spoken(clips, rng):
        if not clips:
            raise InputError("no train clip has both sound and a track")
        return spoken_clips(counts)

    monkeypatch.setattr(making, "load_spoken", load_spoken)
    material = making._gather(["clip"], [], np.random.default_rng(0))
    assert (len(material.spoken), len(material.graded_spoken)) == (trained, held)
    assert material.missing.get("lipsync") == reason
    assert not {s.sentence for s in material.spoken} & {s.sentence for s in material.graded_spoken}


# ------------------------------------------------------------------ reliability


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        ({"ground_truth": 95.0, "true_alpha": 84.0}, MARK),
        ({"ground_truth": 95.0, "true_alpha": 85.0}, "reliable"),
        ({"ground_truth": 95.0}, "ungraded"),
    ],
)
def test_a_judge_that_loses_more_than_ten_points_on_true_alpha_is_unreliable(scale, said):
    assert verdict(scale).startswith(said)


def write_run(folder, method, right, config=None, name="", code=""):
    store = RunStore(folder / (name or method))
    info = RunInfo(
        method=method, method_version="1", role="method", dataset="d", seed=0, identity=method, status="complete",
        config=config or {}, passed=[], preset="", subjects=["s"], protocol="strict", dataset_facts={},
        judge_report={"emotion.accuracy.blurred": 90.0}, split_hash="x", code=code,
    )  # fmt: skip
    rows = [
        ScoreRow(
            clip=f"c{i}", subject="s", emotion="happy", intensity=3, metric="emotion.judge", value=100.0 * hit,
            reason=None, detail={"judge": "emotion", "judge_right": hit},
        )
        for i, hit in enumerate(right)
    ]  # fmt: skip
    result = Result(
        value=50.0, ci_low=None, ci_high=None, n_scored=4, n_total=4, unit="%", higher_is_better=True, signature="s"
    )
    store.write_scores(rows)
    store.write_results({"emotion.judge": result}, {})
    plan_rows = [
        PlanRow(clip=row.clip, subject="s", emotion="happy", intensity=3, n_frames=2, transcript=None) for row in rows
    ]
    store.write("plan.json", plan_rows)
    store.write("run.json", info)
    return load_run(store.dir)


@pytest.mark.parametrize(("rendered", "is_marked"), [([1, 1, 0, 0], True), ([1, 1, 1, 1], False)])
def test_the_mark_stands_in_results_run_card_and_report_line(rendered, is_marked, tmp_path):
    write_run(tmp_path, "ground_truth", [1, 1, 1, 1])
    write_run(tmp_path, "true_alpha", rendered)
    (record,) = grade_judges([write_run(tmp_path, "emohead", [1, 0, 0, 0])], tmp_path)
    on_disk = load_run(record.dir)
    assert on_disk.results == record.results
    assert (MARK in (record.results["emotion.judge"].reason or "")) == is_marked
    assert on_disk.run.judge_report["emotion.test_accuracy.true_alpha"] == 25.0 * sum(rendered)
    (line,) = judge_lines([SimpleNamespace(runs=[record])])
    assert f"90 % blurred; on these clips: 100 % ground truth, {25 * sum(rendered)} % true α" in line
    assert (MARK in line) == is_marked
    (again,) = grade_judges([record], tmp_path)
    assert again.results == record.results


LONG, SHORT = ({"radiance": {"backdrop": "own", "steps": steps}} for steps in (1500, 10))


@pytest.mark.parametrize("good", ["a", "b"])
def test_a_run_is_graded_by_the_true_alpha_of_its_own_portrait_whatever_lies_beside_it(good, tmp_path):
    write_run(tmp_path, "ground_truth", [1, 1, 1, 1])
    for name in ("a", "b"):
        write_run(tmp_path, "true_alpha", [int(name == good)] * 4, LONG if name == good else SHORT, name)
    methods = {"long": LONG | {"training": {"steps": 7}}, "short": SHORT}
    records = [write_run(tmp_path, "emohead", [1, 0, 0, 0], config, name) for name, config in methods.items()]
    verdicts = [graded.run.judge_report["emotion.verdict"] for graded in grade_judges(records, tmp_path)]
    assert verdicts[0] == "reliable"
    assert verdicts[1].startswith(MARK)


def test_among_several_true_alpha_that_of_the_same_request_counts_and_else_none(tmp_path):
    truth = write_run(tmp_path, "ground_truth", [1, 1, 1, 1])
    own = write_run(tmp_path, "true_alpha", [1, 1, 1, 1], LONG, "z own")
    write_run(tmp_path, "true_alpha", [0, 0, 0, 0], LONG, "a of an older version")
    method = write_run(tmp_path, "emohead", [1, 0, 0, 0], LONG)
    for graded in grade_judges([method, truth, own], tmp_path):
        assert graded.run.judge_report["emotion.verdict"] == "reliable"
    (alone,) = grade_judges([load_run(method.dir)], tmp_path)
    assert alone.run.judge_report["emotion.verdict"] == "ungraded: several true_alpha"
    assert "emotion.test_accuracy.true_alpha" not in alone.run.judge_report
    assert alone.results["emotion.judge"].reason is None


def test_among_several_true_alpha_of_one_configuration_that_of_today_s_code_counts(tmp_path):
    write_run(tmp_path, "ground_truth", [1, 1, 1, 1])
    today = short(code_hash(registry.find("method", "true_alpha").code))
    write_run(tmp_path, "true_alpha", [0, 0, 0, 0], LONG, "a of older code", code="older")
    write_run(tmp_path, "true_alpha", [1, 1, 1, 1], LONG, "z of today", code=today)
    (graded,) = grade_judges([write_run(tmp_path, "emohead", [1, 0, 0, 0], LONG)], tmp_path)
    assert graded.run.judge_report["emotion.verdict"] == "reliable"
    assert graded.run.judge_report["emotion.test_accuracy.true_alpha"] == 100.0


def test_a_run_that_another_process_holds_is_marked_for_the_table_and_left_alone_on_disk(tmp_path):
    write_run(tmp_path, "ground_truth", [1, 1, 1, 1])
    write_run(tmp_path, "true_alpha", [0, 0, 0, 0])
    before = write_run(tmp_path, "emohead", [1, 0, 0, 0])
    with RunStore(before.dir).locked():
        (record,) = grade_judges([before], tmp_path)
        assert MARK in record.results["emotion.judge"].reason
        assert load_run(before.dir) == before
    (record,) = grade_judges([before], tmp_path)
    assert load_run(before.dir) == record != before
