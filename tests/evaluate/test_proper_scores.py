import numpy as np
import pytest
from scipy import stats

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate import crps


def crps_normal(y, mean, sd):
    """Closed form of Gneiting and Raftery 2007, equation 21."""
    z = (y - mean) / sd
    return sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))


def crps_lognormal(y, mu, sigma):
    """Closed form of Baran and Lerch 2015."""
    z = (np.log(y) - mu) / sigma
    mean = np.exp(mu + sigma**2 / 2)
    spread = stats.norm.cdf(z - sigma) + stats.norm.cdf(sigma / np.sqrt(2)) - 1
    return y * (2 * stats.norm.cdf(z) - 1) - 2 * mean * spread


def test_crps_equals_scipys_energy_distance():
    rng = np.random.default_rng(1)
    draws, observed = rng.lognormal(2, 1, size=(60, 8)), rng.lognormal(2, 1, size=8)
    # For a point y the squared energy distance is 2 E|X - y| - E|X - X'|.
    expected = [stats.energy_distance(draws[:, j], [observed[j]]) ** 2 / 2 for j in range(8)]
    np.testing.assert_allclose(crps(observed, draws), expected, rtol=1e-10)


def test_crps_equals_all_pairs_and_survives_a_large_offset():
    rng = np.random.default_rng(2)
    draws, observed = rng.normal(size=(40, 5)), rng.normal(size=5)
    pairs = np.abs(draws[:, None] - draws[None]).mean(axis=(0, 1))
    expected = np.abs(draws - observed).mean(axis=0) - pairs / 2
    np.testing.assert_allclose(crps(observed, draws), expected, rtol=1e-12)
    np.testing.assert_allclose(crps(observed + 1e6, draws + 1e6), expected, rtol=1e-7)


@pytest.mark.parametrize("y", [0.5, 2.0, 3.0, 30.0])
def test_crps_of_many_quantiles_approaches_the_closed_forms(y):
    levels = (np.arange(20_000) + 0.5) / 20_000
    normal = stats.norm(3, 2).ppf(levels)[:, None]
    lognormal = stats.lognorm(0.8, scale=np.e).ppf(levels)[:, None]
    assert crps([y], normal)[0] == pytest.approx(crps_normal(y, 3, 2), rel=1e-3)
    assert crps([y], lognormal)[0] == pytest.approx(crps_lognormal(y, 1, 0.8), rel=2e-3)


def test_crps_in_blocks_is_the_same(monkeypatch):
    rng = np.random.default_rng(3)
    draws, observed = rng.normal(size=(30, 11)), rng.normal(size=11)
    whole = crps(observed, draws)
    monkeypatch.setattr("bayesdose.evaluate._sorted_draws._BLOCK_VALUES", 70)
    np.testing.assert_allclose(crps(observed, draws), whole, rtol=1e-13)


def test_observed_and_draws_must_match():
    with pytest.raises(BayesdoseError, match="has 3 sites on its second axis and must have 2"):
        crps([1.0, 2.0], np.ones((5, 3)))
    with pytest.raises(BayesdoseError, match="entry 1 is nan"):
        crps([1.0, np.nan], np.ones((5, 2)))
