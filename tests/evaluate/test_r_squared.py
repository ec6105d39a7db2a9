from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate import bayes_r2, lopo_r2, out_of_fold_mean

REFERENCES = Path(__file__).parents[1] / "references" / "evaluate"


def test_bayes_r2_equals_rstanarm():
    reference = pd.read_csv(REFERENCES / "bayes_r2_rstanarm.csv")
    mean = reference.drop(columns=["sigma", "r2"]).to_numpy()
    np.testing.assert_allclose(bayes_r2(mean, reference["sigma"]), reference["r2"], rtol=1e-10)


def test_bayes_r2_equals_arviz():
    from arviz_stats.base import array_stats

    rng = np.random.default_rng(1)
    mean, sd = rng.normal(size=(100, 12)), rng.gamma(2, size=100)
    np.testing.assert_allclose(bayes_r2(mean, sd), array_stats.bayesian_r2(mean, sd), rtol=1e-12)


def test_residual_sds_of_sites_enter_as_the_mean_of_their_squares():
    mean = np.array([[1.0, 3.0], [0.0, 4.0]])
    sd = np.array([[1.0, 3.0], [0.0, 0.0]])
    # Variances of the means 2 and 8; mean squares 5 and 0.
    np.testing.assert_allclose(bayes_r2(mean, sd), [2 / 7, 1.0])
    np.testing.assert_allclose(bayes_r2(mean, np.array([2.0, 2.0])), [2 / 6, 8 / 12])


def test_bayes_r2_of_data_from_the_model_is_the_share_of_variance():
    rng = np.random.default_rng(2)
    mean = np.tile(rng.normal(0, 2, size=200_000), (2, 1))
    np.testing.assert_allclose(bayes_r2(mean, np.array([1.0, 2.0])), [0.8, 0.5], atol=0.005)


def test_bayes_r2_refuses_what_cannot_be():
    with pytest.raises(BayesdoseError, match="one site"):
        bayes_r2(np.ones((5, 1)), np.ones(5))
    with pytest.raises(BayesdoseError, match=r"shape \(5,\) or \(5, 3\).*got \(3,\)"):
        bayes_r2(np.ones((5, 3)), np.ones(3))
    with pytest.raises(BayesdoseError, match="not negative"):
        bayes_r2(np.ones((5, 3)), -np.ones(5))
    assert np.isnan(bayes_r2(np.ones((5, 3)), np.zeros(5))).all()


def test_against_one_common_mean_lopo_r2_is_the_ordinary_r2():
    rng = np.random.default_rng(3)
    observed, point = rng.normal(size=40), rng.normal(size=40)
    groups = np.repeat(np.arange(8), [1, 2, 3, 4, 5, 6, 9, 10])
    common = np.full(40, observed.mean())
    assert lopo_r2(observed, point, common) == pytest.approx(r2_score(observed, point))
    weight = 1 / np.bincount(groups)[groups]
    common = np.full(40, np.average(observed, weights=weight))
    assert lopo_r2(observed, point, common, groups=groups, weights="patient") == pytest.approx(
        r2_score(observed, point, sample_weight=weight)
    )


def test_out_of_fold_mean_leaves_the_own_fold_out():
    observed = np.array([1.0, 2.0, 3.0, 10.0, 20.0])
    folds = ["a", "a", "b", "c", "c"]
    np.testing.assert_allclose(out_of_fold_mean(observed, folds), [11, 11, 33 / 4, 2, 2])
    assert lopo_r2(observed, out_of_fold_mean(observed, folds), [11, 11, 33 / 4, 2, 2]) == 0.0


def test_nothing_to_explain_is_nan():
    assert np.isnan(lopo_r2([2.0, 2.0], [2.0, 1.0], [2.0, 2.0]))
    assert np.isnan(out_of_fold_mean([1.0, 2.0], ["a", "a"])).all()
