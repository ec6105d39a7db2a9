"""Naive Bayes: intervals against the truth, contributions against all coalitions, recalibration."""

from functools import cache
from itertools import combinations
from math import factorial
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from bayesdose.errors import ConfigError, RiskError
from bayesdose.risk.naive_bayes import MultimodalNaiveBayes, NaiveBayesPrior, Recalibrated

LIKELIHOODS = {"uptake": "gaussian", "psa": "lognormal", "grade": "ordinal", "score": "kde"}


def rows(n: int, seed: int, missing: float = 0.0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.r_[0, 1, 0, 1, rng.integers(0, 2, n - 4)]
    table = pd.DataFrame(
        {
            "uptake": rng.normal(y, 1.5),
            "psa": np.exp(rng.normal(0.5 * y)),
            "grade": rng.binomial(4, 0.3 + 0.2 * y).astype(float),
            "score": rng.gamma(2 + y),
        }
    )
    return table.mask(rng.random(table.shape) < missing), y


# Intervals


def test_intervals_cover_under_the_prior():
    """Parameters from the prior, rows fixed beforehand: each interval holds the truth at its rate.

    Bounds are 4 binomial standard errors, over independent cohorts.
    """
    rng = np.random.default_rng(20)
    prior = NaiveBayesPrior(mean_weight=1.0, variance_df=6.0, centre=0.0, scale=1.0)
    cohorts, probs, inside = 250, (0.5, 0.9), []
    new = pd.DataFrame({"x": [0.7], "level": pd.Categorical([1], range(3))})
    while len(inside) < cohorts:
        share, levels = rng.beta(1, 1), rng.dirichlet(np.ones(3), 2)
        sd = np.sqrt(6.0 / rng.chisquare(6.0, 2))
        mean = sd * rng.normal(size=2)
        y = (rng.random(15) < share).astype(int)
        if y.min() == y.max():
            continue  # parameters are drawn anew: a choice by the data alone
        level = (rng.random(15)[:, None] > levels[y].cumsum(1)[:, :-1]).sum(1)
        table = pd.DataFrame({"x": rng.normal(mean[y], sd[y]), "level": level})
        table["level"] = pd.Categorical(level, range(3))
        model = MultimodalNaiveBayes({"x": "gaussian", "level": "categorical"}, prior=prior)
        model.fit(table, y)
        truth = expit(
            logit(share)
            + np.log(levels[1, 1] / levels[0, 1])
            + np.diff(norm.logpdf(0.7, mean, sd))[0]
        )
        found = [model.risk_interval(new, p, draws=400, random_seed=len(inside)) for p in probs]
        inside.append([t["lower"][0] <= truth <= t["upper"][0] for t in found])
    for prob, share in zip(probs, np.mean(inside, 0), strict=True):
        assert abs(share - prob) < 4 * np.sqrt(prob * (1 - prob) / cohorts)


@pytest.mark.filterwarnings("ignore:.*kernel densities")
def test_intervals_close_on_the_risk_with_many_rows():
    table, y = rows(5000, 21)
    model = MultimodalNaiveBayes(LIKELIHOODS).fit(table, y)
    found = model.risk_interval(table[:20], draws=200)
    assert (found["upper"] - found["lower"]).max() < 0.2
    assert (found["risk"] - found["median"]).abs().max() < 0.01
    np.testing.assert_allclose(found["risk"], model.predict_proba(table[:20])[:, 1])


@pytest.mark.filterwarnings("ignore:.*kernel densities")
def test_interval_without_columns_is_that_of_the_prevalence():
    from scipy.stats import beta

    table, y = rows(50, 22)
    model = MultimodalNaiveBayes(LIKELIHOODS).fit(table, y)
    blank = table[:2].map(lambda _: np.nan)
    found = model.risk_interval(blank, 0.8, draws=40_000)
    exact = beta.ppf([0.5, 0.1, 0.9], 1 + y.sum(), 1 + (1 - y).sum())
    assert found.loc[0, ["median", "lower", "upper"]].to_numpy() == pytest.approx(exact, abs=0.003)
    known = model.risk_interval(blank, 0.8, prevalence=0.1)
    assert known.to_numpy() == pytest.approx(0.1)


def test_intervals_repeat_and_do_not_depend_on_other_rows():
    table, y = rows(60, 23, missing=0.2)
    with pytest.warns(UserWarning, match=r"columns \['score'\] are kernel densities"):
        MultimodalNaiveBayes(LIKELIHOODS).fit(table, y).risk_interval(table[:1])
    table = table.drop(columns="score")
    model = MultimodalNaiveBayes({name: LIKELIHOODS[name] for name in table}).fit(table, y)
    everyone = model.risk_interval(table, random_seed=5)
    pd.testing.assert_frame_equal(everyone[7:9], model.risk_interval(table[7:9], random_seed=5))
    assert (everyone["lower"] <= everyone["upper"]).all()
    assert not everyone.equals(model.risk_interval(table, random_seed=6))


# Contributions


def coalition_shapley(players: list, value) -> np.ndarray:
    """Shapley values by their definition; `value` takes a frozenset of players."""
    p, out = len(players), []
    for player in players:
        others = [other for other in players if other != player]
        out.append(
            sum(
                factorial(size)
                * factorial(p - size - 1)
                / factorial(p)
                * (value(frozenset({*some, player})) - value(frozenset(some)))
                for size in range(p)
                for some in combinations(others, size)
            )
        )
    return np.array(out)


@pytest.mark.parametrize("scale", ["log_odds", "probability"])
@pytest.mark.parametrize("by", ["feature", "modality"])
@pytest.mark.parametrize("prevalence", [None, 0.1])
def test_contributions_are_shapley_values(scale, by, prevalence):
    """Rows of a coalition are put together from tables, and go through predict_proba."""
    table, y = rows(30, 24, missing=0.15)
    modalities = {"PET": ["uptake", "score"]}
    model = MultimodalNaiveBayes(LIKELIHOODS, modalities=modalities).fit(table, y)
    new, _ = rows(6, 25, missing=0.25)
    assert new.isna().any(axis=None)
    members = {name: [name] for name in LIKELIHOODS} if by == "feature" else model.modalities_

    def value_of(row: int):
        @cache
        def value(inside: frozenset) -> float:
            mixed = table.copy()
            for name in inside:
                for column in members[name]:
                    mixed[column] = new[column].iloc[row]
            risk = model.predict_proba(mixed, prevalence)[:, 1]
            return (logit(risk) if scale == "log_odds" else risk).mean()

        return value

    found = model.contributions(new, scale=scale, by=by, prevalence=prevalence)
    assert set(found.columns) == set(members)
    for row in range(len(new)):
        value = value_of(row)
        brute = coalition_shapley(list(found.columns), value)
        np.testing.assert_allclose(found.iloc[row], brute, rtol=1e-9, atol=1e-11)
        assert found.attrs["base_value"] == pytest.approx(value(frozenset()))
        whole = found.iloc[row].sum() + found.attrs["base_value"]
        assert whole == pytest.approx(value(frozenset(members)))


def test_modalities_add_up_on_log_odds():
    table, y = rows(40, 26)
    model = MultimodalNaiveBayes(LIKELIHOODS, modalities={"PET": ["uptake", "score"]}).fit(table, y)
    one, whole = model.contributions(table), model.contributions(table, by="modality")
    assert list(whole.columns) == ["PET", "psa", "grade"]
    np.testing.assert_allclose(whole["PET"], one["uptake"] + one["score"])
    np.testing.assert_allclose(one.mean(), 0.0, atol=1e-12)  # the background itself
    order = model.importance(table)["mean_abs_contribution"]
    assert list(order) == sorted(one.abs().mean(), reverse=True)
    assert order["psa"] == pytest.approx(one["psa"].abs().mean())


def test_up_to_fifteen_features_by_enumeration():
    rng = np.random.default_rng(27)
    x, y = rng.normal(size=(20, 16)), np.arange(20) % 2
    model = MultimodalNaiveBayes().fit(x, y)
    with pytest.raises(ConfigError, match=r"of 16 features; at most 15.*scale='log_odds'"):
        model.contributions(x, scale="probability")
    model = MultimodalNaiveBayes().fit(x[:, :15], y)
    found = model.contributions(x[:2, :15], scale="probability")
    risk = model.predict_proba(x[:, :15])[:, 1]
    np.testing.assert_allclose(found.sum(axis=1), risk[:2] - risk.mean(), rtol=1e-9)


# Recalibration


def correlated_rows(n: int, rng: np.random.Generator):
    """Five readings of one quantity; each patient has one to three rows."""
    patient = np.repeat(np.arange(n), rng.integers(1, 4, n))
    y = (rng.random(n) < 0.4).astype(int)[patient]
    known = (rng.normal(0.9 * y) + rng.normal(size=n)[patient])[:, None]
    return (
        pd.DataFrame(known + 0.3 * rng.normal(size=(y.size, 5)), columns=list("abcde")),
        y,
        patient,
    )


def slope_of(log_odds: np.ndarray, y: np.ndarray) -> float:
    line = LogisticRegression(C=np.inf, tol=1e-8).fit(log_odds[:, None], y)
    return float(line.coef_[0, 0])


def test_recalibration_repairs_the_slope_of_correlated_columns():
    """On new patients; five copies of one reading make a slope of about one fifth."""
    rng = np.random.default_rng(28)
    x, y, patient = correlated_rows(400, rng)
    new, truth, _ = correlated_rows(4000, rng)
    raw = MultimodalNaiveBayes().fit(x, y)
    mended = Recalibrated(MultimodalNaiveBayes()).fit(x, y, groups=patient)
    before = slope_of(raw.decision_function(new), truth)
    after = slope_of(logit(mended.predict_proba(new)[:, 1]), truth)
    assert before < 0.35
    assert abs(after - 1) < 0.2
    assert mended.slope_ == pytest.approx(before, abs=0.1)
    # Platt's line moves risks and keeps their order and the model
    np.testing.assert_allclose(
        logit(mended.predict_proba(new)[:, 1]),
        mended.intercept_ + mended.slope_ * raw.decision_function(new),
        rtol=1e-6,
        atol=1e-6,
    )
    steps = Recalibrated(MultimodalNaiveBayes(), method="isotonic").fit(x, y, groups=patient)
    risk = steps.predict_proba(new)[:, 1]
    for low, high in ((0.0, 0.3), (0.3, 0.6), (0.6, 1.0)):
        here = (risk >= low) & (risk <= high)
        assert truth[here].mean() == pytest.approx(risk[here].mean(), abs=0.1)
    assert (steps.predict(new) == (risk > 0.5)).mean() > 0.99


class Watching(MultimodalNaiveBayes):
    """Keeps the patients of every fit, which are the index of its table."""

    seen: ClassVar[list[tuple[str, frozenset]]] = []

    def fit(self, X, y):
        Watching.seen.append(("fit", frozenset(X.index)))
        return super().fit(X, y)

    def decision_function(self, X, prevalence=None):
        Watching.seen.append(("predict", frozenset(X.index)))
        return super().decision_function(X, prevalence)


def test_patients_stay_together_in_both_loops():
    x, y, patient = correlated_rows(60, np.random.default_rng(29))
    x.index = patient
    Watching.seen = []
    model = Recalibrated(Watching(), n_splits=3)
    with sklearn.config_context(enable_metadata_routing=True):
        found = cross_val_predict(
            model.set_fit_request(groups=True),
            x,
            y,
            cv=StratifiedGroupKFold(3),
            params={"groups": patient},
            method="predict_proba",
        )
    assert found.shape == (len(y), 2)
    fitted = [people for what, people in Watching.seen if what == "fit"]
    assert len(fitted) == 3 * (3 + 1)
    last = frozenset()
    for what, people in Watching.seen:
        if what == "fit":
            last = people
        else:
            assert people.isdisjoint(last)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "beta"}, ConfigError, "must be 'platt' or 'isotonic'"),
        ({"n_splits": 1}, ConfigError, "whole number from 2"),
        ({"n_splits": 40}, RiskError, "40 folds need as many patients of each class"),
    ],
)
def test_impossible_recalibration(change, error, message):
    x, y, patient = correlated_rows(40, np.random.default_rng(30))
    with pytest.raises(error, match=message):
        Recalibrated(MultimodalNaiveBayes(), **change).fit(x, y, groups=patient)
    with pytest.raises(RiskError, match="two classes; `y` has 3"):
        Recalibrated(MultimodalNaiveBayes()).fit(x, np.arange(len(y)) % 3)
