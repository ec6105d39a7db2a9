from functools import cache

import numpy as np
import pytest
from scipy import stats

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate import eti_coverage, hdi, hdi_coverage, interval_coverage

NINE_PATIENTS = [6, 5, 12, 8, 3, 7, 9, 4, 3]


def coverage_of(inside, groups, **options):
    """Coverage of intervals 0..1 of which `inside` says which hold the observation."""
    observed = np.where(inside, 0.5, 2.0)
    return interval_coverage(
        observed, np.zeros(observed.size), np.ones(observed.size), groups, **options
    )


@cache
def wilson(hits, n):
    interval = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    return interval.low, interval.high


@pytest.mark.parametrize("hits", [1, 28, 51, 56])
@pytest.mark.parametrize("prob", [0.8, 0.95])
def test_independent_sites_give_wilsons_interval(hits, prob):
    result = coverage_of(np.arange(57) < hits, np.arange(57), prob=prob)
    exact = stats.binomtest(hits, 57).proportion_ci(prob, method="wilson")
    assert result.effective_n == pytest.approx(57)
    assert (result.lower, result.upper) == pytest.approx((exact.low, exact.high), abs=1e-12)


@pytest.mark.parametrize("hits", [0, 57])
@pytest.mark.parametrize("weights", ["site", "patient"])
def test_complete_coverage_rests_on_the_patients(hits, weights):
    groups = np.repeat(np.arange(9), NINE_PATIENTS)
    result = coverage_of(np.arange(57) < hits, groups, weights=weights)
    assert (result.coverage, result.effective_n) == (hits / 57, 9)
    assert (result.lower, result.upper) == pytest.approx(wilson(9 * hits // 57, 9), abs=1e-12)
    assert 0 < result.upper - result.lower < 0.35


def test_sites_that_always_go_together_count_as_one_patient():
    inside = np.repeat([True, True, True, True, True, True, False, False, False, True], 50)
    result = coverage_of(inside, np.repeat(np.arange(10), 50))
    # Student's t for nine degrees of freedom takes the ten patients down further.
    assert 6 < result.effective_n < 10


def test_two_weightings_of_unequal_patients():
    inside = np.array([True] * 8 + [False, True])
    groups = ["a"] * 8 + ["b"] * 2
    assert coverage_of(inside, groups).coverage == pytest.approx(0.9)
    assert coverage_of(inside, groups, weights="patient").coverage == pytest.approx(0.75)


def test_equal_patients_have_equal_intervals_under_both_weightings():
    inside = np.random.default_rng(4).random(36) < 0.8
    groups = np.repeat(np.arange(9), 4)
    by_site, by_patient = (
        coverage_of(inside, groups),
        coverage_of(inside, groups, weights="patient"),
    )
    assert by_patient.effective_n == pytest.approx(by_site.effective_n)
    assert by_patient.lower == pytest.approx(by_site.lower)


def test_one_patient_counts_as_one():
    result = coverage_of(np.array([True, True, False]), ["a", "a", "a"])
    assert result.effective_n == 1
    assert result.n_groups == 1


SETTINGS = [
    (sizes, p, icc)
    for sizes in (NINE_PATIENTS, [4] * 9, [2] * 9, [1, 2, 3, 15] * 8)
    for p in (0.5, 0.8, 0.95)
    for icc in (0.0, 0.1, 0.5)
]


@pytest.mark.parametrize("weights", ["site", "patient"])
def test_the_interval_covers_under_beta_binomial_patients(weights):
    rng = np.random.default_rng(5)
    n_sims, actual, ignoring_patients = 300, [], []
    for sizes, p, icc in SETTINGS:
        groups = np.repeat(np.arange(len(sizes)), sizes)
        covered = naive = 0
        for _ in range(n_sims):
            own = p
            if icc > 0:
                scale = 1 / icc - 1
                own = rng.beta(p * scale, (1 - p) * scale, size=len(sizes))[groups]
            inside = rng.random(groups.size) < own
            result = coverage_of(inside, groups, weights=weights)
            covered += result.lower <= p <= result.upper
            low, high = wilson(int(inside.sum()), inside.size)
            naive += low <= p <= high
        actual.append(covered / n_sims)
        ignoring_patients.append(naive / n_sims)
    # Three Monte-Carlo standard errors of 300 simulations below 0.93 are 0.886.
    assert min(actual) > 0.886
    assert 0.945 < np.mean(actual) < 0.985
    assert min(ignoring_patients) < 0.75


def test_hdi_and_eti_coverage_count_the_observations_inside():
    rng = np.random.default_rng(6)
    draws = rng.lognormal(size=(200, 30))
    observed = rng.lognormal(size=30)
    groups = np.repeat(np.arange(10), 3)
    lower, upper = hdi(draws, 0.8)
    assert hdi_coverage(observed, draws, 0.8, groups).coverage == np.mean(
        (observed >= lower) & (observed <= upper)
    )
    low, high = np.quantile(draws, [0.1, 0.9], axis=0)
    assert eti_coverage(observed, draws, 0.8, groups).coverage == np.mean(
        (observed >= low) & (observed <= high)
    )
    narrow = hdi_coverage(observed, draws, 0.8, groups, ci_prob=0.5)
    wide = hdi_coverage(observed, draws, 0.8, groups)
    assert wide.lower < narrow.lower < narrow.upper < wide.upper


def test_an_observation_on_an_end_is_inside():
    result = interval_coverage([1.0, 2.0], [1.0, 1.0], [2.0, 2.0], ["a", "b"])
    assert result.coverage == 1.0


def test_bad_input_is_named():
    with pytest.raises(BayesdoseError, match=r"`lower` exceeds `upper` at site 1: 3\.0 > 2\.0"):
        interval_coverage([1.0, 1.0], [0.0, 3.0], [2.0, 2.0], ["a", "b"])
    with pytest.raises(BayesdoseError, match="no label for site 1"):
        interval_coverage([1.0, 1.0], [0.0, 0.0], [2.0, 2.0], ["a", None])
    with pytest.raises(BayesdoseError, match="one label for each of the 2 sites"):
        interval_coverage([1.0, 1.0], [0.0, 0.0], [2.0, 2.0], ["a"])
    with pytest.raises(BayesdoseError, match="'site' or 'patient'; got 'lesion'"):
        interval_coverage([1.0], [0.0], [2.0], ["a"], weights="lesion")
    with pytest.raises(BayesdoseError, match="has 3 sites on its second axis and must have 2"):
        hdi_coverage([1.0, 2.0], np.ones((5, 3)), 0.9, ["a", "b"])
