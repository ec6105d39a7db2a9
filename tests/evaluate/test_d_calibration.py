"""D-calibration: Pearson's test, spreading by hand, uniform p-values under a true model."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import chisquare, kstest

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate.d_calibration import d_calibration


def observed(rng: np.random.Generator, n: int, censoring: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether the event is seen, and true survival at the time seen, which is uniform itself."""
    own = rng.random(n)
    end = {
        "none": lambda: np.zeros(n),
        "third": lambda: np.exp(-rng.exponential(2.3, size=n)),
        "two thirds": lambda: np.exp(-rng.exponential(0.43, size=n)),
        "one horizon": lambda: np.exp(-0.5 * np.exp(0.7 * rng.normal(size=n))),
        "same for all": lambda: np.full(n, 0.8),
    }[censoring]()
    return own >= end, np.maximum(own, end)


def test_without_censoring_it_is_pearsons_test():
    survival = np.random.default_rng(1).random(300) ** 1.2
    found = d_calibration(np.ones(300), survival)
    counts = np.histogram(survival, bins=10, range=(0, 1))[0]
    expected = chisquare(counts)
    assert found.bins["observed"].to_numpy() == pytest.approx(counts)
    for statistic, p in (
        (found.statistic, found.p_value),
        (found.haider_statistic, found.haider_p_value),
    ):
        assert (statistic, p) == pytest.approx((expected.statistic, expected.pvalue))
    assert (found.df, found.n, found.n_events) == (9, 300, 300)


def test_censored_rows_are_spread_below():
    """At 0.5 over two and a half bins of 0.2; at 0 and at the edges of bins."""
    events = np.concatenate([np.ones(40), [0, 0, 0, 0]])
    survival = np.concatenate([np.full(40, 0.9), [0.5, 0.0, 0.2, 1.0]])
    observed_rows = d_calibration(events, survival, n_bins=5).bins["observed"].to_numpy()
    by_hand = (
        np.array([0.4, 0.4, 0.2, 0, 0])
        + np.array([1, 0, 0, 0, 0])
        + np.array([1, 0, 0, 0, 0])
        + np.full(5, 0.2)
        + np.array([0, 0, 0, 0, 40])
    )
    assert observed_rows == pytest.approx(by_hand)
    assert observed_rows.sum() == pytest.approx(44)


@pytest.mark.parametrize(
    "censoring", ["none", "third", "two thirds", "one horizon", "same for all"]
)
def test_uniform_under_the_true_model(censoring):
    """400 data sets of 200 rows; a true test fails here with probability 0.001 each."""
    rng = np.random.default_rng(2)
    p = [d_calibration(*observed(rng, 200, censoring)).p_value for _ in range(400)]
    assert kstest(p, "uniform").pvalue > 0.001


def test_the_published_p_value_is_too_large_with_censoring():
    rng = np.random.default_rng(3)
    p = [d_calibration(*observed(rng, 200, "third")).haider_p_value for _ in range(300)]
    # a uniform p would give 15 with a standard deviation of 3.8
    assert np.sum(np.array(p) < 0.05) <= 8
    assert np.mean(p) > 0.6


@pytest.mark.parametrize("censored", [False, True])
def test_uniform_with_several_rows_a_patient(censored):
    """Correlation 0.64 within patients. Taken for rows of their own, they would be rejected."""
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(100), 4)
    by_patient, by_row = [], []
    for _ in range(300):
        own = ndtr(0.8 * rng.normal(size=100)[codes] + 0.6 * rng.normal(size=400))
        end = np.exp(-rng.exponential(1.5, 400)) if censored else np.zeros(400)
        event, survival = own >= end, np.maximum(own, end)
        by_patient.append(d_calibration(event, survival, groups=codes).p_value)
        by_row.append(d_calibration(event, survival).p_value)
    assert kstest(by_patient, "uniform").pvalue > 0.001
    assert np.mean(np.array(by_row) < 0.05) > 0.1


def test_a_wrong_model_is_seen():
    """Hazards twice the true ones, a third of the rows censored."""
    event, survival = observed(np.random.default_rng(5), 300, "third")
    assert d_calibration(event, survival).p_value > 0.05
    assert d_calibration(event, survival**2).p_value < 1e-6


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"event": [0, 0, 0]}, BayesdoseError, "none of the 3 rows has an event"),
        ({"event": [1, 2, 0]}, BayesdoseError, "entry 1 is 2"),
        ({"event": [1, 0]}, BayesdoseError, "one for each of the 2"),
        ({"survival_at_time": [0.2, 1.2, 0.1]}, BayesdoseError, "entry 1 is 1.2"),
        ({"survival_at_time": [0.2, np.nan, 0.1]}, BayesdoseError, "finite"),
        ({"groups": [1, 1, 1]}, BayesdoseError, "of one patient"),
        ({"n_bins": 1}, ConfigError, "at least 2"),
        ({}, BayesdoseError, "too few for 10 bins.*Lower `n_bins`"),
    ],
)
def test_refused(given, error, words):
    good = {"event": [1, 0, 1], "survival_at_time": [0.2, 0.5, 0.9]}
    with pytest.raises(error, match=words):
        d_calibration(**(good | given))
