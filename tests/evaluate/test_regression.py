import numpy as np
import pytest
from sklearn import metrics

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate import regression_scores


@pytest.fixture
def doses():
    rng = np.random.default_rng(1)
    observed = rng.lognormal(2, 1, size=57)
    return observed, observed * rng.lognormal(0.1, 0.4, size=57), rng.integers(0, 9, size=57)


def test_scores_equal_scikit_learns(doses):
    observed, point, groups = doses
    patient_weight = 1 / np.bincount(groups)[groups]
    for weights, sample_weight in (("site", None), ("patient", patient_weight)):
        scores = regression_scores(observed, point, groups, weights)
        arguments = {"y_true": observed, "y_pred": point, "sample_weight": sample_weight}
        assert scores.mae_gy == pytest.approx(metrics.mean_absolute_error(**arguments))
        assert scores.rmse_gy == pytest.approx(metrics.root_mean_squared_error(**arguments))
        assert scores.mape == pytest.approx(metrics.mean_absolute_percentage_error(**arguments))


def test_medians_equal_numpys(doses):
    observed, point, _ = doses
    relative = point / observed - 1
    for count in (57, 56):
        scores = regression_scores(observed[:count], point[:count])
        assert scores.median_relative_error == pytest.approx(np.median(relative[:count]))
        assert scores.median_ape == pytest.approx(np.median(np.abs(relative[:count])))


def test_a_patient_weighted_median_is_the_median_of_equally_many_copies():
    rng = np.random.default_rng(2)
    for _ in range(50):
        groups = rng.integers(0, 4, size=12)
        observed, point = np.ones(12), rng.lognormal(size=12)
        size = np.bincount(groups, minlength=4)[groups]
        copies = np.repeat(point - 1, np.lcm.reduce(size) // size)
        scores = regression_scores(observed, point, groups, "patient")
        assert scores.median_relative_error == pytest.approx(np.median(copies))


def test_the_sign_says_too_high():
    scores = regression_scores([10.0, 10.0, 10.0], [12.0, 12.0, 5.0])
    assert scores.median_relative_error == pytest.approx(0.2)
    assert scores.mae_gy == pytest.approx(3.0)


def test_bad_input_is_named():
    with pytest.raises(BayesdoseError, match=r"finite and above zero; entry 1 is 0\.0"):
        regression_scores([1.0, 0.0], [1.0, 1.0])
    with pytest.raises(BayesdoseError, match="`point` has 1 entries and must have one for each"):
        regression_scores([1.0, 2.0], [1.0])
    with pytest.raises(BayesdoseError, match="needs `groups`"):
        regression_scores([1.0, 2.0], [1.0, 2.0], weights="patient")
    with pytest.raises(BayesdoseError, match="must hold numbers only"):
        regression_scores(["1 Gy"], [1.0])
    with pytest.raises(BayesdoseError, match=r"got shape \(0,\)"):
        regression_scores([], [])
