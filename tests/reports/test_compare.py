"""Verdicts, refusals and alignment of emobench.compare."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from emobench.compare import Tolerance, compare_groups, compare_runs
from emobench.comparison_tables import render_table, to_json
from emobench.errors import UsageError
from emobench.store import ScoreRow


def shifted(record, metric, amount, clips=None):
    """The same run with `amount` added to one metric's scores and result."""
    scores = [
        replace(s, value=s.value + amount) if s.metric == metric and (clips is None or s.clip in clips) else s
        for s in record.scores
    ]
    own = [s.value for s in scores if s.metric == metric]
    results = dict(record.results)
    results[metric] = replace(results[metric], value=sum(own) / len(own))
    return replace(record, scores=scores, results=results)


def test_a_run_against_itself_is_equivalent_in_every_metric(make_run):
    run = make_run()
    comparison = compare_runs(run, run)
    assert {row.verdict for row in comparison.metrics.values()} == {"equivalent"}
    assert all(row.delta == 0 and row.p == 1 for row in comparison.metrics.values())


def test_an_unfinished_run_is_refused(make_run):
    run = make_run()
    with pytest.raises(UsageError, match="failed, not complete"):
        compare_runs(run, replace(run, run=replace(run.run, status="failed")))


def test_pasted_runs_are_compared_with_pasted_runs_only(make_run):
    plain, pasted = make_run(), make_run("radiance", pasted=True)
    with pytest.raises(UsageError, match=r"radiance \(pasted\).*both with paste-back, or both without"):
        compare_runs(plain, pasted)
    with pytest.raises(UsageError, match="pasted into their targets"):
        compare_groups([pasted, replace(plain, run=replace(plain.run, seed=1))], [pasted])
    assert compare_runs(pasted, pasted).name_a.startswith("radiance (pasted)")


def test_clips_of_one_name_but_other_ground_truth_are_refused(make_run):
    run = make_run()
    small, large = (replace(run, plan=[replace(row, sha256=size) for row in run.plan]) for size in ("64", "128"))
    assert compare_runs(small, run).n_clips == len(run.plan)
    with pytest.raises(UsageError, match="another ground truth"):
        compare_runs(small, large)


@pytest.mark.parametrize(
    ("metric", "amount", "verdict"),
    [("psnr", 2.0, "better"), ("psnr", -2.0, "worse"), ("lmd.mouth", -0.5, "better"), ("lmd.mouth", 0.5, "worse")],
)
def test_verdict_follows_the_direction_of_the_metric(make_run, metric, amount, verdict):
    run = make_run()
    row = compare_runs(run, shifted(run, metric, amount)).metrics[metric]
    assert row.verdict == verdict
    assert row.delta == pytest.approx(amount)
    assert row.b - row.a == pytest.approx(row.delta)


def test_significant_but_tiny_difference_is_equivalent(make_run):
    run = make_run()
    row = compare_runs(run, shifted(run, "psnr", 0.05), tolerance=0.01).metrics["psnr"]
    assert row.p < 0.05
    assert row.verdict == "equivalent"


def test_absolute_tolerance_overrides_the_relative_one(make_run):
    run = make_run()
    better = shifted(run, "psnr", 0.05)
    row = compare_runs(run, better, tolerance=Tolerance(absolute={"psnr": 0.01})).metrics["psnr"]
    assert row.verdict == "better"


def test_noisy_difference_is_inconclusive(make_run):
    run = make_run()
    clips = {row.clip for row in run.plan[:1]}
    row = compare_runs(run, shifted(run, "psnr", 9.0, clips)).metrics["psnr"]
    assert row.verdict == "inconclusive"


def test_holm_counts_only_the_metrics_asked_for(make_run):
    a, b = make_run(), make_run("other", shift=1.0)
    alone = compare_runs(a, b, metrics=["psnr"]).metrics
    among = compare_runs(a, b).metrics
    assert list(alone) == ["psnr"]
    assert alone["psnr"].p_holm == alone["psnr"].p
    assert among["psnr"].p_holm > among["psnr"].p


def test_different_signatures_are_refused_with_both_named(make_run):
    a = make_run()
    b = make_run("other", results={"psnr": replace(a.results["psnr"], signature="psnr|test|v2")})
    row = compare_runs(a, b).metrics["psnr"]
    assert row.delta is None
    assert row.a is None
    assert row.verdict == "inconclusive"
    assert "psnr|test|v1" in row.reason
    assert "psnr|test|v2" in row.reason


def test_metric_of_one_side_only_is_a_row_with_the_reason(make_run):
    a = make_run()
    missing = replace(a.results["psnr"], value=None, n_scored=0, reason="weights not found")
    row = compare_runs(a, replace(a, results={**a.results, "psnr": missing})).metrics["psnr"]
    assert not row.is_compared
    assert row.reason == "not measured in B: weights not found"


def test_clips_of_one_side_only_are_named_and_left_out(make_run):
    a, b = make_run(n_clips=8), make_run("other", n_clips=6)
    comparison = compare_runs(a, b)
    assert comparison.n_clips == 6
    assert comparison.only_a == tuple(row.clip for row in a.plan[6:])
    assert comparison.only_b == ()
    assert comparison.metrics["psnr"].n == 6


def test_clips_unscored_on_one_side_are_named_per_metric(make_run):
    a = make_run()
    clip = a.plan[0].clip
    scores = [replace(s, value=None, reason="no face") if (s.clip, s.metric) == (clip, "ssim") else s for s in a.scores]
    row = compare_runs(a, replace(a, scores=scores)).metrics["ssim"]
    assert row.only_a == (clip,)
    assert row.n == 7


def test_infinite_scores_are_compared_by_sign(make_run):
    a = make_run()
    b = replace(
        a, scores=[replace(s, value=None, reason="infinite") if s.metric == "psnr" else s for s in a.scores]
    )  # fmt: skip
    up, down = (compare_runs(*pair, metrics=["psnr"]).metrics["psnr"] for pair in ((a, b), (b, a)))
    assert (up.verdict, down.verdict) == ("better", "worse")
    assert up.delta is None
    assert "sign test" in up.reason
    assert compare_runs(b, b).metrics["psnr"].verdict == "equivalent"


def test_pooled_metric_shows_its_difference_but_no_verdict(make_run):
    a = make_run()
    pooled = [
        ScoreRow(clip=r.clip, subject=r.subject, emotion=r.emotion, intensity=3, metric="fid", value=None,
                 reason="pooled only")
        for r in a.plan
    ]  # fmt: skip
    fid = replace(a.results["psnr"], value=40.0, higher_is_better=False, signature="fid")
    a = replace(a, scores=[*a.scores, *pooled])
    a, b = (replace(a, results={**a.results, "fid": replace(fid, value=value)}) for value in (40, 30))
    row = compare_runs(a, b).metrics["fid"]
    assert (row.delta, row.p, row.verdict) == (-10, None, "inconclusive")
    assert "nothing to pair" in row.reason


def test_groups_average_each_clip_over_seeds(make_run):
    group = [make_run(seed=0), make_run(seed=1)]
    other = [make_run("other", seed=0)]
    row = compare_groups(group, other).metrics["psnr"]
    assert row.a == pytest.approx(sum(r.results["psnr"].value for r in group) / 2)
    assert row.seed_std_a > 0
    assert row.seed_std_b is None


def test_different_datasets_are_refused(make_run):
    with pytest.raises(UsageError, match="different datasets"):
        compare_runs(make_run(), make_run(dataset="mead"))


def test_runs_without_a_common_clip_are_refused(make_run):
    a = make_run()
    other = [replace(row, clip=f"x{row.clip}") for row in a.plan]
    with pytest.raises(UsageError, match="no clip in common"):
        compare_runs(a, replace(a, plan=other))


def test_unknown_metric_is_refused_with_the_nearest_name(make_run):
    with pytest.raises(UsageError, match=r"Did you mean 'psnr'"):
        compare_runs(make_run(), make_run("other"), metrics=["pnsr"])


@pytest.mark.parametrize(("n_subjects", "claim"), [(2, "no claim about new subjects"), (12, "over 12 subjects")])
def test_caption_says_what_the_intervals_rest_on(make_run, n_subjects, claim):
    options = {"n_clips": 24, "n_subjects": n_subjects}
    assert claim in compare_runs(make_run(**options), make_run("other", **options)).caption


def test_json_has_the_contracted_fields_and_no_nan(make_run):
    document = json.loads(json.dumps(to_json(compare_runs(make_run(), make_run("other"))), allow_nan=False))
    assert {"a", "b", "delta", "ci_low", "ci_high", "p", "verdict"} <= set(document["metrics"]["psnr"])


def test_table_fits_80_columns_without_cutting_a_verdict(make_run):
    stream = io.StringIO()
    comparison = compare_runs(make_run(), make_run("other", shift=-0.5))
    Console(file=stream, width=80).print(render_table(comparison))
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…\n" not in text
    for row in comparison.metrics.values():
        assert row.verdict in text


def test_speeds_need_more_than_the_machines_own_variation(make_run):
    run = make_run()
    value = run.results["fps.render"].value
    tenth, half = (shifted(run, "fps.render", share * value) for share in (0.1, 0.5))
    slight = compare_runs(run, tenth).metrics["fps.render"]
    assert slight.delta == pytest.approx(0.1 * value)
    assert slight.verdict == "inconclusive"
    assert compare_runs(run, half).metrics["fps.render"].verdict == "better"
    console = Console(file=io.StringIO(), width=80)
    console.print(render_table(compare_runs(run, tenth)))
    assert "differences below 25% of a" in " ".join(console.file.getvalue().split())
