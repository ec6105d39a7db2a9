from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate import calibration_line, whitened_residuals

REFERENCES = Path(__file__).parents[1] / "references" / "evaluate"


@pytest.mark.parametrize("weights", ["site", "patient"])
def test_the_line_and_its_intervals_equal_refits_with_lm(weights):
    sites = pd.read_csv(REFERENCES / "calibration_sites.csv")
    reference = pd.read_csv(REFERENCES / "calibration_lm.csv").set_index(["weights", "term"])
    line = calibration_line(
        sites["observed_log"], sites["predicted_log"], sites["patient"], weights=weights
    )
    np.testing.assert_allclose(
        [line.slope, line.slope_lower, line.slope_upper],
        reference.loc[(weights, "slope"), ["estimate", "lower", "upper"]].astype(float),
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        [line.intercept, line.intercept_lower, line.intercept_upper],
        reference.loc[(weights, "intercept"), ["estimate", "lower", "upper"]].astype(float),
        rtol=1e-9,
    )
    assert (line.n_sites, line.n_groups) == (57, 9)


def test_slope_and_intercept_equal_scipys_far_from_zero():
    rng = np.random.default_rng(1)
    predicted = 1000 + rng.normal(size=30)
    observed = 3 + 0.7 * predicted + rng.normal(size=30)
    line = calibration_line(observed, predicted, np.arange(30))
    expected = stats.linregress(predicted, observed)
    assert line.slope == pytest.approx(expected.slope, rel=1e-9)
    assert line.intercept == pytest.approx(expected.intercept, rel=1e-9)


def test_intervals_cover_with_nine_unequal_patients():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(9), [6, 5, 12, 8, 3, 7, 9, 4, 3])
    covered = np.zeros(2)
    n_sims = 800
    for _ in range(n_sims):
        predicted = rng.normal(0, 0.6, 9)[groups] + rng.normal(0, 0.6, 57)
        observed = predicted + rng.normal(0, 0.4, 9)[groups] + rng.normal(0, 0.4, 57)
        line = calibration_line(observed, predicted, groups)
        covered += [
            line.slope_lower <= 1 <= line.slope_upper,
            line.intercept_lower <= 0 <= line.intercept_upper,
        ]
    # 0.95 less three Monte-Carlo standard errors of 800 simulations is 0.927.
    assert (covered / n_sims > 0.927).all()
    assert (covered / n_sims < 0.99).all()


def test_no_line_where_predictions_are_equal():
    line = calibration_line([0.1, 0.2, 0.4], np.full(3, np.log(1 / 3)), ["a", "b", "c"])
    assert np.isnan([line.slope, line.intercept, line.slope_lower]).all()


def test_no_interval_where_one_patient_carries_the_line():
    one = calibration_line([0.1, 0.3, 0.4], [0.0, 1.0, 2.0], ["a", "a", "a"])
    carried = calibration_line([0.1, 0.3, 0.4], [0.0, 1.0, 1.0], ["a", "b", "c"])
    assert one.slope == pytest.approx(0.15)
    assert carried.slope == pytest.approx(0.25)
    assert np.isnan([one.slope_lower, one.intercept_upper, carried.slope_lower]).all()


def test_whitened_residuals_equal_r_mahalanobis():
    draws = pd.read_csv(REFERENCES / "whitened_draws.csv").to_numpy()
    reference = pd.read_csv(REFERENCES / "whitened_mahalanobis.csv")
    table = whitened_residuals(reference["observed_log"], draws, reference["patient"])
    expected = reference.groupby("patient", sort=False)[["chi2", "p_value"]].first()
    assert table["patient_id"].tolist() == ["a", "b"]
    assert table["n_sites"].tolist() == [3, 2]
    np.testing.assert_allclose(table[["chi2", "p_value"]], expected, rtol=1e-10)


def test_p_values_are_uniform_for_draws_that_are_not_gaussian():
    rng = np.random.default_rng(3)
    n_patients, n_draws = 400, 60
    shared = rng.standard_t(3, size=(n_draws + 1, n_patients))
    logs = np.repeat(shared, 3, axis=1) + rng.gamma(1.0, size=(n_draws + 1, 3 * n_patients))
    table = whitened_residuals(logs[0], logs[1:], np.repeat(np.arange(n_patients), 3))
    assert stats.kstest(table["p_value"], "uniform").pvalue > 0.01


def test_sites_that_are_fine_one_by_one_can_be_wrong_together():
    rng = np.random.default_rng(4)
    draws = rng.normal(size=(4000, 1)) + 0.1 * rng.normal(size=(4000, 4))
    together = whitened_residuals(np.full(4, 1.0), draws, np.zeros(4))
    apart = whitened_residuals(np.array([1.0, -1.0, 1.0, -1.0]), draws, np.zeros(4))
    assert together["p_value"].item() > 0.2
    assert apart["p_value"].item() == pytest.approx(1 / 4001)
    assert apart["chi2"].item() > 300


def test_whitened_residuals_name_the_patient_that_cannot_be_done():
    rng = np.random.default_rng(5)
    with pytest.raises(BayesdoseError, match=r"Patient 'b' has 3 sites and 20 draws.*at least 30"):
        whitened_residuals(np.zeros(4), rng.normal(size=(20, 4)), ["a", "b", "b", "b"])
    twice = np.repeat(rng.normal(size=(50, 1)), 2, axis=1)
    with pytest.raises(BayesdoseError, match="patient 'a' have a singular covariance"):
        whitened_residuals(np.zeros(2), twice, ["a", "a"])
