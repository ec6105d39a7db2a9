"""Bootstrap of optimism: the formulas by hand on recorded resamples, noise, signal, bad input."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.metrics import concordance_index_censored, concordance_index_ipcw
from sksurv.util import Surv

from bayesdose.errors import ConfigError, RiskError
from bayesdose.evaluate import _folds
from bayesdose.evaluate._pipelines import as_task
from bayesdose.evaluate.optimism import optimism_corrected

SEEN: list[np.ndarray] = []


class Recorder(ClassifierMixin, BaseEstimator):
    """Naive Bayes that writes down its rows, whose numbers are the first feature."""

    def fit(self, x, y):
        SEEN.append(x[:, 0].astype(int))
        self.model_ = GaussianNB().fit(x[:, 1:], y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, x):
        return self.model_.predict_proba(x[:, 1:])


def labels(seed: int, n: int, slope: float = 0.0, n_features: int = 10):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_features))
    return x, (rng.random(n) < 1 / (1 + np.exp(-slope * x[:, 0]))).astype(int)


def test_by_hand_with_scikit_learn():
    """Scores of every resample; Harrell's and the .632+ correction of their means."""
    x, y = labels(1, 60, 1.0, 4)
    patient = np.repeat(np.arange(20), 3)
    numbered = np.column_stack([np.arange(60), x])
    SEEN.clear()
    found = optimism_corrected(Recorder(), numbered, y, groups=patient, n_boot=50)
    assert SEEN[0].tolist() == list(range(60))
    for rows, scores in zip(SEEN[1:], found.boot.to_dict("records"), strict=True):
        drawn, times = np.unique(patient[rows], return_counts=True)
        assert (times % 3 == 0).all()
        assert rows.size == 60
        risk = GaussianNB().fit(x[rows], y[rows]).predict_proba(x)[:, 1]
        out = ~np.isin(patient, drawn)
        for name, own in (("auc", roc_auc_score), ("brier", brier_score_loss)):
            for part, chosen in (("resample", rows), ("original", slice(None)), ("left_out", out)):
                assert scores[f"{name}_{part}"] == pytest.approx(own(y[chosen], risk[chosen]))
    risk = GaussianNB().fit(x, y).predict_proba(x)[:, 1]
    table = found.summary()
    for name, apparent, nothing in (
        ("auc", roc_auc_score(y, risk), 0.5),
        ("brier", brier_score_loss(y, risk), np.mean((risk[:, None] - y) ** 2)),
    ):
        row, means = table.loc[name], found.boot.mean()
        optimism = means[f"{name}_resample"] - means[f"{name}_original"]
        out = means[f"{name}_left_out"]
        weight = 0.632 / (1 - 0.368 * (apparent - out) / (apparent - nothing))
        assert 0.632 < weight < 1
        expected = [apparent, apparent - optimism, out, (1 - weight) * apparent + weight * out]
        assert row[["apparent", "harrell", "left_out", "corrected"]].tolist() == pytest.approx(
            expected
        )
        middle = 0.5 * (row["lower"] + row["upper"])
        assert middle == pytest.approx(row["corrected"])


def test_noise_is_found_out():
    """30 cohorts of noise: what is left of an apparent area of 0.9.

    Left-out patients have 0.5 on average, at 4 Monte-Carlo standard errors. The .632+ correction
    keeps some of the apparent area wherever they have more by luck, 0.01 to 0.03 on average.
    Intervals that held 0.5 in 94 % would hold fewer than 24 of 30 by luck in 1 in 1000.
    """
    tables = [
        optimism_corrected(GaussianNB(), *labels(seed, 40), n_boot=50).summary().loc["auc"]
        for seed in range(30)
    ]
    apparent, harrell, left_out, corrected = (
        np.array([table[name] for table in tables])
        for name in ("apparent", "harrell", "left_out", "corrected")
    )
    error = left_out.std() / np.sqrt(30)
    assert apparent.mean() > 0.8
    assert abs(left_out.mean() - 0.5) < 4 * error
    assert -4 * error < corrected.mean() - 0.5 < 0.03 + 4 * error
    assert harrell.mean() > corrected.mean() + 4 * error
    assert sum(table["lower"] <= 0.5 <= table["upper"] for table in tables) >= 24


def test_signal_is_nearer_to_the_truth():
    """Area of the same fit on 20 000 other patients: corrected against apparent, 15 cohorts."""
    new, label = labels(999, 20_000, 1.5)
    away = []
    for seed in range(15):
        x, y = labels(100 + seed, 50, 1.5)
        row = optimism_corrected(LogisticRegression(), x, y, n_boot=50).summary().loc["auc"]
        truth = roc_auc_score(label, LogisticRegression().fit(x, y).predict_proba(new)[:, 1])
        away.append([abs(row["apparent"] - truth), abs(row["corrected"] - truth)])
    gained = np.array(away) @ [1.0, -1.0]
    assert gained.mean() > 2.5 * gained.std() / np.sqrt(15)


def test_survival_scores_are_those_of_scikit_survival():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(70, 3))
    until, end = rng.exponential(20 * np.exp(-x[:, 0])), rng.uniform(5, 60, 70)
    y = Surv.from_arrays(until <= end, np.ceil(np.minimum(until, end)))
    model = CoxPHSurvivalAnalysis(alpha=0.1)
    found = optimism_corrected(model, x, y, n_boot=50, horizon=30.0)
    risk = model.fit(x, y).predict(x)
    harrell = concordance_index_censored(y["event"], y["time"], risk)[0]
    uno = concordance_index_ipcw(y, y, risk, tau=30.0)[0]
    assert found.apparent.tolist() == pytest.approx([harrell, uno])
    table = found.summary()
    assert (table["corrected"] < table["apparent"]).all()
    assert (table["n_resamples"] == 50).all()
    assert optimism_corrected(model, x, y, n_boot=50).boot["uno_c_left_out"].notna().all()
    with pytest.raises(ConfigError, match="`horizon` must be above 0 and at most"):
        optimism_corrected(model, x, y, horizon=100.0)


def test_tuning_is_repeated_with_copies_of_a_patient_together():
    x, y = labels(3, 40, 1.0, 3)
    grid = {"var_smoothing": [1e-9, 1.0]}
    task, codes = as_task(x, y), np.repeat(np.arange(20), 2)
    drawn = np.concatenate(
        [[2 * i, 2 * i + 1] for i in np.random.default_rng(1).integers(20, size=20)]
    )
    for train, test in _folds.inner(task, codes, drawn, 3, np.random.default_rng(2)):
        assert not set(codes[drawn[train]]) & set(codes[drawn[test]])
    found = optimism_corrected(
        GaussianNB(), x, y, groups=codes, n_boot=50, param_grid=grid, inner_folds=3
    )
    possible = [
        roc_auc_score(y, GaussianNB(var_smoothing=value).fit(x, y).predict_proba(x)[:, 1])
        for value in grid["var_smoothing"]
    ]
    assert min(abs(found.apparent["auc"] - np.array(possible))) < 1e-12


def test_resamples_of_no_use_are_drawn_again_and_counted():
    x, y = labels(4, 30)
    y[:] = 0
    y[:3] = 1
    found = optimism_corrected(GaussianNB(), x, y, n_boot=60)
    # all three cases, or none, drawn: with probability (1 - 1/e)^3 and about 1/e^3
    assert 5 <= found.n_redrawn <= 60
    assert found.boot.notna().all(axis=None)
    y[1:] = 0
    with pytest.raises(RiskError, match="events are too few"):
        optimism_corrected(GaussianNB(), x, y)


def test_settings_that_cannot_be():
    x, y = labels(4, 30)
    with pytest.raises(ConfigError, match="whole number from 50"):
        optimism_corrected(GaussianNB(), x, y, n_boot=20)
    with pytest.raises(ConfigError, match="y holds labels"):
        optimism_corrected(GaussianNB(), x, y, horizon=3.0)
    with pytest.raises(RiskError, match="`inner_folds=20`"):
        optimism_corrected(GaussianNB(), x, y, param_grid={}, inner_folds=20)
    with pytest.raises(ConfigError, match="`prob`"):
        optimism_corrected(GaussianNB(), x, y, n_boot=50).summary(1.0)
