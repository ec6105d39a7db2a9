from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate import (
    EcdfBand,
    pit,
    pit_ecdf,
    pit_ecdf_band,
    pit_ecdf_band_joint,
    sbc_rank_band,
)
from bayesdose.evaluate.uniformity import _binomial_ends, _probability_inside

REFERENCES = Path(__file__).parents[1] / "references" / "evaluate"


def share_inside(values: np.ndarray, band: EcdfBand) -> float:
    """Share of rows of `values` whose whole ECDF is inside the band."""
    ecdf = np.array([(values <= z).mean(axis=1) for z in band.z]).T
    slack = 0.5 / band.n
    return float(np.mean(((ecdf > band.lower - slack) & (ecdf < band.upper + slack)).all(axis=1)))


def test_pit_is_the_mid_rank_among_the_draws():
    draws = np.array([[1.0, 1.0, 5.0], [2.0, 2.0, 5.0], [3.0, 2.0, 5.0]])
    np.testing.assert_allclose(pit([0.0, 2.0, 6.0], draws), np.array([0.5, 2.5, 3.5]) / 4)


def test_randomised_pit_is_uniform_with_ties_and_few_draws():
    rng = np.random.default_rng(1)
    counts = rng.poisson(1.5, size=(8, 5000)).astype(float)
    values = pit(counts[0], counts[1:], rng=rng)
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_band_probability_equals_bayesplots():
    reference = pd.read_csv(REFERENCES / "ecdf_bands_bayesplot.csv")
    for row in reference.itertuples():
        z = np.arange(1, row.k) / row.k
        ends = _binomial_ends(row.n, z, row.gamma)
        assert _probability_inside(row.n, *ends) == pytest.approx(row.inside, abs=1e-10)


def test_band_is_as_wide_as_bayesplots_level_allows():
    reference = pd.read_csv(REFERENCES / "ecdf_bands_bayesplot.csv")
    for row in reference.itertuples():
        band = pit_ecdf_band(row.n, row.prob, n_points=row.k)
        lower, upper = _binomial_ends(row.n, band.z, row.gamma)
        # bayesplot takes the nearest probability, this package the next above: one count apart.
        ours = np.rint([band.lower * row.n, band.upper * row.n])
        assert np.abs(ours - [lower, upper]).max() <= 1
        inside = _probability_inside(row.n, *ours)
        assert row.prob <= inside < row.prob + 0.01


@pytest.mark.parametrize("n", [1, 2, 9, 57, 300])
@pytest.mark.parametrize("prob", [0.8, 0.95, 0.99])
def test_the_whole_ecdf_of_uniform_values_is_inside_as_often_as_promised(n, prob):
    rng = np.random.default_rng(n)
    inside = share_inside(rng.uniform(size=(4000, n)), pit_ecdf_band(n, prob))
    # Few values have few possible ECDFs: the band then holds more often, never less.
    assert inside > prob - 4 * np.sqrt(prob * (1 - prob) / 4000)
    if n >= 57:
        assert inside < prob + 0.01 + 4 * np.sqrt(prob * (1 - prob) / 4000)


def test_sbc_ranks_are_inside_their_band_as_often_as_promised():
    rng = np.random.default_rng(2)
    n_sims, n_ranks = 300, 100
    ranks = rng.integers(0, n_ranks, size=(3000, n_sims))
    band = sbc_rank_band(n_sims, n_ranks, prob=0.99)
    inside = share_inside((ranks + 0.5) / n_ranks, band)
    assert abs(inside - 0.992) < 0.008
    assert band.z[[0, -1]].tolist() == [0.01, 0.99]
    # The rank of a posterior that is too narrow piles up at both ends.
    too_narrow = np.where(rng.random(n_sims) < 0.2, 0, ranks[0])
    assert not pit_ecdf((too_narrow + 0.5) / n_ranks, band)["inside"].all()
    assert pit_ecdf((ranks[0] + 0.5) / n_ranks, band)["inside"].all()


def test_a_thousand_ranks_of_a_thousand_fits_are_quick_and_tight():
    band = sbc_rank_band(1000, 1000)
    # Kolmogorov-Smirnov at 99 % is 0.0515 for n = 1000; in the middle this band is a little wider.
    widest = (band.upper - band.z).max()
    assert 0.0515 < widest < 0.065
    assert (band.upper - band.z)[:10].max() < 0.02


def correlated_logs(rng, n_rows, groups, icc):
    patients = groups.max() + 1
    shared = rng.normal(size=(n_rows, patients))[:, groups]
    return np.sqrt(icc) * shared + np.sqrt(1 - icc) * rng.normal(size=(n_rows, groups.size))


def test_the_joint_band_holds_for_sites_that_share_patients_and_the_plain_one_does_not():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(9), [6, 5, 12, 8, 3, 7, 9, 4, 3])
    draws = correlated_logs(rng, 2000, groups, icc=0.6)
    values = stats.norm.cdf(correlated_logs(rng, 4000, groups, icc=0.6))
    joint = share_inside(values, pit_ecdf_band_joint(draws, groups, random_seed=1))
    plain = share_inside(values, pit_ecdf_band(57))
    assert joint == pytest.approx(0.95, abs=0.015)
    assert plain < 0.75


def test_the_joint_band_of_independent_sites_is_the_plain_one():
    rng = np.random.default_rng(4)
    band = pit_ecdf_band_joint(rng.normal(size=(2000, 57)), np.arange(57), random_seed=2)
    exact = pit_ecdf_band(57)
    np.testing.assert_allclose(band.lower, exact.lower, atol=2.5 / 57)
    np.testing.assert_allclose(band.upper, exact.upper, atol=2.5 / 57)
    again = pit_ecdf_band_joint(rng.normal(size=(50, 57)), np.arange(57), random_seed=2)
    assert (again.upper >= again.lower).all()


def test_the_table_is_the_ecdf_beside_its_band():
    table = pit_ecdf([0.1, 0.2, 0.9, 1.0])
    assert table["z"].tolist() == [0.25, 0.5, 0.75]
    assert table["ecdf"].tolist() == [0.5, 0.5, 0.5]
    assert table["difference"].tolist() == [0.25, 0.0, -0.25]
    assert table["inside"].all()
    assert not pit_ecdf(np.full(40, 0.97))["inside"].all()


def test_bad_input_is_named():
    with pytest.raises(BayesdoseError, match=r"0\.\.1; got 3\.0 to 5\.0"):
        pit_ecdf([3.0, 5.0])
    with pytest.raises(BayesdoseError, match="band is for 9 values; got 2"):
        pit_ecdf([0.3, 0.5], pit_ecdf_band(9))
    with pytest.raises(BayesdoseError, match="`n` must be at least 1; got 0"):
        pit_ecdf_band(0)
    with pytest.raises(BayesdoseError, match="`n_points` must be at least 2; got 1"):
        sbc_rank_band(10, 1)
    with pytest.raises(BayesdoseError, match="use at least 1000"):
        pit_ecdf_band_joint(np.ones((5, 2)), ["a", "b"], prob=0.99, n_replicates=500)
