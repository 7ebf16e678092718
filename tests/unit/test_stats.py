"""Intervals and tests of emobench.stats against known values and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats as reference

from emobench.stats import (
    bootstrap_interval,
    bootstrap_metric,
    expanded_tail,
    holm,
    paired_bootstrap,
    sign_flip_test,
    sign_test,
)
from emobench.types import Stats

SUBJECTS_10 = [f"S{i % 10}" for i in range(40)]


def test_interval_is_the_same_for_the_same_seed_and_differs_for_another():
    values = np.random.default_rng(0).normal(size=16).tolist()
    assert bootstrap_interval(values, None, 1) == bootstrap_interval(values, None, 1)
    assert bootstrap_interval(values, None, 1) != bootstrap_interval(values, None, 2)


def test_interval_unpacks_as_low_and_high_around_the_mean():
    low, high = bootstrap_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], None, 0)
    assert low < 3.5 < high


@pytest.mark.parametrize("n", [8, 16, 40])
def test_interval_of_normal_values_covers_the_mean_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    trials = 600
    hits = 0
    for seed in range(trials):
        low, high = bootstrap_interval(rng.normal(size=n).tolist(), None, seed, n=800)
        hits += low <= 0 <= high
    # 95 % ± 3.4 standard errors of a binomial with 600 trials; the plain percentile interval gives 0.90 at n = 8
    assert hits / trials == pytest.approx(0.95, abs=0.03)


def test_clustered_interval_covers_where_one_over_clips_does_not():
    rng = np.random.default_rng(3)
    subjects = [f"S{i // 8}" for i in range(96)]
    trials, clustered, plain = 250, 0, 0
    for seed in range(trials):
        values = np.repeat(rng.normal(size=12), 8) + rng.normal(scale=0.3, size=96)
        low, high = bootstrap_interval(values.tolist(), subjects, seed, n=600)
        clustered += low <= 0 <= high
        low, high = bootstrap_interval(values.tolist(), None, seed, n=600)
        plain += low <= 0 <= high
    assert clustered / trials > 0.9
    assert plain / trials < 0.7


def test_level_is_clips_below_ten_subjects_and_subjects_from_ten_on():
    nine = bootstrap_interval(list(range(40)), [f"S{i % 9}" for i in range(40)], 0)
    ten = bootstrap_interval(list(range(40)), SUBJECTS_10, 0)
    assert (nine.level, nine.n_units) == ("clips", 40)
    assert (ten.level, ten.n_units) == ("subjects", 10)


def test_one_value_has_no_interval():
    assert tuple(bootstrap_interval([3.0], None, 0)) == (None, None)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [1.0, math.inf]])
def test_missing_or_infinite_values_are_refused(values):
    with pytest.raises(ValueError, match="finite"):
        bootstrap_interval(values, None, 0)


def test_wrong_number_of_cluster_labels_is_refused():
    with pytest.raises(ValueError, match="2 values but 1"):
        bootstrap_interval([1.0, 2.0], ["S0"], 0)


@pytest.mark.parametrize("n", [2, 3, 8, 16, 100, 1001, 5000])
def test_expanded_tail_matches_students_quantile_of_scipy(n):
    expected = reference.norm.cdf(-math.sqrt(n / (n - 1)) * reference.t.ppf(0.975, n - 1))
    assert expanded_tail(n, 0.95) == pytest.approx(expected, rel=2e-3, abs=1e-12)  # normal beyond 2000


def test_bootstrap_of_a_mean_metric_agrees_with_the_vectorised_one():
    values = np.random.default_rng(5).normal(size=30).tolist()
    stats = [Stats(value=value) for value in values]
    generic = bootstrap_metric(lambda s: float(np.mean([x.value for x in s])), stats, None, 0, n=4000)
    direct = bootstrap_interval(values, None, 0, n=4000)
    assert generic.low == pytest.approx(direct.low, abs=0.03)  # two Monte Carlo draws of 4000
    assert generic.high == pytest.approx(direct.high, abs=0.03)


def test_bootstrap_of_a_pooled_metric_resamples_whole_subjects():
    drawn = []

    def aggregate(stats):
        drawn.append(sorted(int(s.arrays["subject"][0]) for s in stats))
        return float(len(stats))

    stats = [Stats(value=None, arrays={"subject": np.array([i % 10])}) for i in range(20)]
    interval = bootstrap_metric(aggregate, stats, [f"S{i % 10}" for i in range(20)], 0, n=20)
    assert interval.level == "subjects"
    assert all(sum(1 for _ in group) % 2 == 0 for d in drawn for _, group in itertools.groupby(d))


def test_metric_without_values_on_most_resamples_has_no_interval():
    stats = [Stats(value=1.0)] * 5
    assert tuple(bootstrap_metric(lambda s: None, stats, None, 0, n=20)) == (None, None)


def test_paired_bootstrap_sees_a_small_shift_beneath_a_large_spread():
    rng = np.random.default_rng(0)
    a = rng.normal(scale=10, size=30)
    b = a + 0.5 + rng.normal(scale=0.1, size=30)
    result = paired_bootstrap(a.tolist(), b.tolist(), None, 0)
    assert result.delta == pytest.approx(0.5, abs=0.1)
    assert result.ci_low > 0.3
    assert result.p < 0.001
    assert (result.n, result.level) == (30, "clips")


def test_paired_bootstrap_refuses_sides_of_different_length():
    with pytest.raises(ValueError, match="2 values on one side"):
        paired_bootstrap([1.0, 2.0], [1.0], None, 0)


def test_sign_flip_is_exact_for_few_pairs():
    differences = [0.3, 1.2, -0.4, 0.8, 0.9]
    flips = [abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
             for signs in itertools.product((1, -1), repeat=5)]  # fmt: skip
    expected = np.mean([flip >= abs(sum(differences)) - 1e-12 for flip in flips])
    assert sign_flip_test(differences, None, 0) == expected


def test_sign_flip_of_equal_positive_differences_has_the_smallest_possible_p():
    assert sign_flip_test([1.0] * 10, None, 0) == pytest.approx(2 / 2**10)


def test_sign_flip_of_zeros_is_one():
    assert sign_flip_test([0.0] * 6, None, 0) == 1.0


def test_sampled_sign_flip_agrees_with_scipy():
    differences = np.random.default_rng(2).normal(0.25, 1, size=40)
    expected = reference.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(0)
    ).pvalue
    assert sign_flip_test(differences.tolist(), None, 0, n=20_000) == pytest.approx(expected, abs=0.015)


def test_sampled_sign_flip_is_never_zero():
    assert sign_flip_test([1.0] * 50, None, 0, n=100) == pytest.approx(1 / 101)


def test_sign_flip_flips_whole_subjects_from_ten_on():
    differences = np.repeat(np.random.default_rng(1).normal(0.4, 1, size=10), 4)
    by_subject = sign_flip_test(differences.tolist(), [f"S{i // 4}" for i in range(40)], 0)
    assert by_subject == sign_flip_test(differences[::4].tolist(), None, 0)


def test_false_alarms_of_the_sign_flip_test_stay_at_the_level():
    rng = np.random.default_rng(4)
    alarms = sum(sign_flip_test(rng.normal(size=10).tolist(), None, 0) < 0.05 for _ in range(800))
    assert alarms / 800 == pytest.approx(0.05, abs=0.024)  # 3 standard errors


@pytest.mark.parametrize(("signs", "k", "n"), [([1, 1, 1, -1], 1, 4), ([1] * 8, 0, 8), ([1, -1, 0], 1, 2)])
def test_sign_test_matches_the_binomial_test_of_scipy(signs, k, n):
    assert sign_test([float(s) for s in signs]) == pytest.approx(reference.binomtest(k, n).pvalue)


def test_sign_test_takes_infinite_differences_and_gives_one_for_ties():
    assert sign_test([math.inf] * 6) == pytest.approx(2 / 64)
    assert sign_test([0.0, 0.0]) == 1.0


def test_holm_matches_the_worked_example():
    # sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, made monotone
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_missing_p_values_out_of_the_count():
    assert holm([None, 0.02, None]) == [None, 0.02, None]
    assert holm([]) == []
