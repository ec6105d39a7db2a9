from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate import eti, hdi
from bayesdose.evaluate.intervals import median_and_hdi

REFERENCES = Path(__file__).parents[1] / "references" / "evaluate"


def brute_force_hdi(draws: np.ndarray, prob: float) -> tuple[float, float]:
    """Shortest closed interval between two draws that holds at least the share `prob`."""
    best = (np.inf, 0.0, 0.0)
    for low in np.unique(draws):
        for high in np.unique(draws):
            if high >= low and np.mean((draws >= low) & (draws <= high)) >= prob - 1e-12:
                best = min(best, (high - low, low, high))
    return best[1], best[2]


@pytest.mark.parametrize("prob", [0.05, 0.5, 0.55, 0.8, 0.95])
@pytest.mark.parametrize("n_draws", [2, 7, 20, 100])
def test_hdi_is_the_shortest_interval_that_holds_the_share(n_draws, prob):
    draws = np.random.default_rng(n_draws).lognormal(size=n_draws)
    assert hdi(draws, prob) == brute_force_hdi(draws, prob)


def test_hdi_equals_coda_for_the_same_number_of_draws_inside():
    draws = pd.read_csv(REFERENCES / "hdi_draws.csv")
    reference = pd.read_csv(REFERENCES / "hdi_coda.csv")
    for n_points, expected in reference.groupby("n_points"):
        lower, upper = hdi(draws.to_numpy(), n_points / len(draws))
        np.testing.assert_array_equal(lower, expected["lower"])
        np.testing.assert_array_equal(upper, expected["upper"])


@pytest.mark.parametrize("prob", [0.5, 0.8, 0.95])
def test_hdi_agrees_with_arviz(prob):
    from arviz_stats.base import array_stats

    n_draws = 4000
    draws = np.random.default_rng(1).lognormal(1.0, 0.6, size=(n_draws, 5))
    ours = np.column_stack(hdi(draws, prob))
    # ArviZ holds floor(prob S) + 1 draws, one more than ours.
    same_points = array_stats.hdi(draws, prob=(prob * n_draws - 0.5) / n_draws, axis=0)
    np.testing.assert_array_equal(ours, same_points)
    theirs = array_stats.hdi(draws, prob=prob, axis=0)
    np.testing.assert_allclose(ours[:, 1] - ours[:, 0], theirs[:, 1] - theirs[:, 0], rtol=0.005)


@pytest.mark.parametrize("n_draws", [2, 7, 1000])
def test_one_sort_gives_median_and_hdi(n_draws):
    # with 1000 draws, more values than one block of sites holds
    draws = np.random.default_rng(2).lognormal(size=(n_draws, 500))
    median, lower, upper = median_and_hdi(draws, 0.8)
    np.testing.assert_allclose(median, np.median(draws, axis=0), rtol=1e-15)
    np.testing.assert_array_equal((lower, upper), hdi(draws, 0.8))


def test_draws_that_are_finite_and_whose_sum_is_not():
    lower, upper = hdi(np.full((4, 2), 1e308), 0.5)
    assert (lower == 1e308).all()
    assert (upper == 1e308).all()


def test_hdi_of_a_log_normal_approaches_the_exact_one():
    distribution = stats.lognorm(0.6, scale=np.exp(1.0))
    tails = np.linspace(0.0, 0.05, 20001)
    widths = distribution.ppf(tails + 0.95) - distribution.ppf(tails)
    exact = distribution.ppf(tails[widths.argmin()] + np.array([0.0, 0.95]))
    grid = distribution.ppf((np.arange(100_000) + 0.5) / 100_000)
    np.testing.assert_allclose(hdi(grid, 0.95), exact, rtol=2e-3)


@pytest.mark.parametrize(("n_draws", "mass"), [(200, 0.937), (1000, 0.947), (4000, 0.948)])
def test_hdi_of_draws_holds_slightly_less_than_the_share_as_documented(n_draws, mass):
    draws = np.random.default_rng(n_draws).lognormal(0.0, 0.6, size=(n_draws, 1000))
    lower, upper = stats.lognorm(0.6).cdf(hdi(draws, 0.95))
    assert (upper - lower).mean() == pytest.approx(mass, abs=0.002)
    assert f"{mass} at {n_draws}" in hdi.__doc__


def test_eti_equals_r_quantile_type_7():
    draws = pd.read_csv(REFERENCES / "hdi_draws.csv")
    reference = pd.read_csv(REFERENCES / "eti_quantile.csv")
    for prob, expected in reference.groupby("prob"):
        lower, upper = eti(draws.to_numpy(), prob)
        np.testing.assert_allclose(lower, expected["lower"], rtol=1e-12)
        np.testing.assert_allclose(upper, expected["upper"], rtol=1e-12)


@pytest.mark.parametrize("interval", [hdi, eti])
def test_sites_in_blocks_on_any_axis_give_the_same_ends(interval, monkeypatch):
    draws = np.random.default_rng(2).gamma(2.0, size=(50, 3, 4))
    whole = interval(draws, 0.8)
    monkeypatch.setattr("bayesdose.evaluate._sorted_draws._BLOCK_VALUES", 120)
    for axis in (0, 1, 2, -1):
        for one, other in zip(whole, interval(np.moveaxis(draws, 0, axis), 0.8, axis), strict=True):
            np.testing.assert_array_equal(one, other)
    assert whole[0].shape == (3, 4)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_callers_draws_stay_in_their_order(order):
    draws = np.array(np.random.default_rng(3).normal(size=(40, 3)), order=order)
    before = draws.copy()
    hdi(draws, 0.5)
    np.testing.assert_array_equal(draws, before)


def test_equal_draws_give_an_interval_of_no_width():
    assert hdi(np.full(10, 3.0), 0.95) == (3.0, 3.0)
    assert eti(np.full(10, 3.0), 0.95) == (3.0, 3.0)


@pytest.mark.parametrize("prob", [0.0, 1.0, 95.0, float("nan")])
def test_a_share_outside_0_to_1_is_refused(prob):
    with pytest.raises(BayesdoseError, match="`prob` must lie strictly between 0 and 1; got"):
        hdi(np.arange(10.0), prob)


def test_bad_draws_are_named():
    draws = np.ones((5, 3))
    draws[4, 2] = np.inf
    with pytest.raises(BayesdoseError, match="draw 4 of site 2 is inf"):
        hdi(draws, 0.9)
    with pytest.raises(BayesdoseError, match="at least two draws"):
        hdi(np.ones((1, 3)), 0.9)
    with pytest.raises(BayesdoseError, match="has no axis 2"):
        hdi(np.ones((5, 3)), 0.9, axis=2)
    with pytest.raises(BayesdoseError, match="must hold numbers only"):
        hdi(np.array([["a"], ["b"]]), 0.9)
