"""Naive Bayes: scikit-learn's models, integrals and counts by hand, and scikit-learn's contract."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate
from scipy.special import expit
from scipy.stats import gaussian_kde, invgamma, ks_2samp, norm
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB
from sklearn.utils.estimator_checks import parametrize_with_checks

from bayesdose.risk.naive_bayes import MultimodalNaiveBayes, NaiveBayesPrior
from bayesdose.risk.naive_bayes.discrete import log_dirichlet

MIXED = {
    "uptake": "gaussian",
    "psa": "lognormal",
    "score": "kde",
    "site": "categorical",
    "grade": "ordinal",
    "node": "bernoulli",
}


def mixed_rows(n: int, seed: int, missing: float = 0.0) -> tuple[pd.DataFrame, np.ndarray]:
    """One column of each likelihood, with modest signal; labels are words."""
    rng = np.random.default_rng(seed)
    case = rng.random(n) < 0.4
    table = pd.DataFrame(
        {
            "uptake": rng.normal(10 + 3 * case, 4),
            "psa": np.exp(rng.normal(2 + 0.6 * case, 0.9)),
            "score": rng.beta(2 + 2 * case, 3),
            "site": rng.choice(["bone", "lymph node", "prostate"], n),
            "grade": rng.binomial(4, 0.35 + 0.2 * case) + 1,
            "node": rng.random(n) < 0.2 + 0.3 * case,
        }
    )
    table["site"] = table["site"].mask(case & (rng.random(n) < 0.3), "bone")
    gone = rng.random(table.shape) < missing
    table = table.astype({"grade": float, "node": object}).mask(gone)
    return table, np.where(case, "relapse", "free")


@parametrize_with_checks([MultimodalNaiveBayes(), MultimodalNaiveBayes(prior=None)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_contract_of_scikit_learn(estimator, check):
    check(estimator)


# scikit-learn's models


def test_plug_in_gaussian_as_scikit_learn():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 80)
    x = rng.normal(y[:, None] * [0.5, 0.0, 1.0], [1.0, 3.0, 0.1], (80, 3))
    theirs = GaussianNB(var_smoothing=0).fit(x, y)
    mine = MultimodalNaiveBayes(prior=None).fit(x, y)
    new = rng.normal(size=(50, 3))
    np.testing.assert_allclose(
        mine.predict_proba(new), theirs.predict_proba(new), rtol=1e-8, atol=1e-12
    )
    assert (mine.predict(new) == theirs.predict(new)).all()
    log_x = MultimodalNaiveBayes(dict.fromkeys(range(3), "lognormal"), prior=None)
    log_x.fit(np.exp(x), y)
    np.testing.assert_allclose(
        log_x.predict_proba(np.exp(new)), theirs.predict_proba(new), rtol=1e-8, atol=1e-12
    )


@pytest.mark.parametrize("alpha", [None, 1.0, 0.3])
@pytest.mark.parametrize("likelihood", ["categorical", "bernoulli"])
def test_shares_as_scikit_learn(alpha, likelihood):
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 200)
    x = rng.integers(0, 4 if likelihood == "categorical" else 2, (200, 3))
    kind = CategoricalNB if likelihood == "categorical" else BernoulliNB
    theirs = kind(alpha=1e-12 if alpha is None else alpha, force_alpha=True).fit(x, y)
    prior = None if alpha is None else NaiveBayesPrior(level_count=alpha, class_count=0)
    mine = MultimodalNaiveBayes(dict.fromkeys(range(3), likelihood), prior=prior).fit(x, y)
    np.testing.assert_allclose(mine.predict_proba(x), theirs.predict_proba(x), rtol=1e-8)


def test_real_table_is_met(test_data):
    """Class means, variances, AUC and probabilities as its SOURCE.md states them."""
    table = pd.read_csv(test_data / "psma_local_recurrence" / "train_val.csv")
    table = table[table["label"].isin([0, 1])].assign(psa=lambda t: np.log1p(t["psa"]))
    columns = ["psa", "age", "px", "suv_mean", "suv_p98"]
    table = table.dropna(subset=columns)
    train, val = (table[table["set"] == name] for name in ("train", "val"))
    assert (len(train), len(val)) == (895, 166)
    model = MultimodalNaiveBayes(prior=None).fit(train[columns], train["label"])
    means = [
        [1.46161, 69.908873, 0.901679, 1.754962, 4.00566],
        [2.106405, 70.732218, 0.294979, 3.6, 11.787983],
    ]
    variances = [
        [2.961493, 57.013279, 0.088654, 0.660729, 9.539067],
        [2.150692, 59.827874, 0.207966, 14.248678, 180.108236],
    ]
    for j, column in enumerate(columns):
        feature = model.features_[column]
        assert feature.mean == pytest.approx([means[0][j], means[1][j]], abs=1e-6)
        assert feature.variance == pytest.approx([variances[0][j], variances[1][j]], abs=1e-6)
    risk = model.predict_proba(val[columns])[:, 1]
    assert roc_auc_score(val["label"], risk) == pytest.approx(0.7394958, abs=1e-7)
    assert risk[:5] == pytest.approx([1.0, 0.00727753, 1.0, 0.01230242, 0.01122147], abs=1e-8)


# Posteriors


def test_student_prediction_by_quadrature():
    """Normal likelihood times normal-inverse-gamma prior, integrated over mean and variance."""
    prior = NaiveBayesPrior(mean_weight=0.7, variance_df=3.0, centre=1.0, scale=2.0)
    rows = np.array([0.2, 2.4, 1.1, 3.0])
    x = np.concatenate([rows, rows + 5])[:, None]
    model = MultimodalNaiveBayes(prior=prior).fit(x, [0] * 4 + [1] * 4)

    log_var, mean = np.meshgrid(np.linspace(-6, 14, 801), np.linspace(-60, 60, 1201))
    var = np.exp(log_var)
    log = invgamma.logpdf(var, 1.5, scale=1.5 * 4.0) + log_var
    log += norm.logpdf(mean, 1.0, np.sqrt(var / 0.7))
    log += sum(norm.logpdf(row, mean, np.sqrt(var)) for row in rows)

    def evidence(extra: list[float]) -> float:
        return np.exp(log + sum(norm.logpdf(x, mean, np.sqrt(var)) for x in extra)).sum()

    below = evidence([])
    for new in (-1.0, 2.5):
        found = model.features_[0].log_density(np.array([new]))[0, 0]
        assert np.exp(found) == pytest.approx(evidence([new]) / below, rel=1e-5)


def test_default_scale_is_that_of_all_rows():
    rng = np.random.default_rng(3)
    x, y = rng.normal(50, 7, (30, 1)), np.arange(30) % 2
    prior = NaiveBayesPrior(centre=float(x.mean()), scale=float(x.std(ddof=1)))
    weak, told = (MultimodalNaiveBayes(prior=p).fit(x, y) for p in ("weak", prior))
    np.testing.assert_allclose(weak.predict_proba(x), told.predict_proba(x), rtol=1e-12)


@pytest.mark.parametrize("likelihood", ["gaussian", "lognormal", "ordinal", "categorical"])
def test_units_do_not_matter(likelihood):
    """Thousandths of a unit, log values shifted, levels renamed or turned round."""
    table, y = mixed_rows(60, 4)
    column = table["grade"] if likelihood in ("ordinal", "categorical") else table["psa"]
    other = 6 - column if likelihood in ("ordinal", "categorical") else 1000 * column
    found = [
        MultimodalNaiveBayes({"x": likelihood}).fit(t, y).predict_proba(t)
        for t in (column.to_frame("x"), other.to_frame("x"))
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


def test_drawn_shares_average_to_the_prediction():
    """Within 5 standard errors, for each of 2 x 10 shares."""
    table, y = mixed_rows(40, 5)
    likelihoods = {name: MIXED[name] for name in ("site", "grade", "node")}
    model = MultimodalNaiveBayes(likelihoods).fit(table[list(likelihoods)], y)
    for feature in model.features_.values():
        shares = np.exp(log_dirichlet(feature.counts, 20_000, np.random.default_rng(6)))
        predicted = np.exp(feature.log_density(np.arange(shares.shape[2]))).T
        error = shares.std(0) / np.sqrt(len(shares))
        assert (np.abs(shares.mean(0) - predicted) < 5 * error).all()


def test_drawn_normals_are_those_of_scipy():
    """Distribution of the log ratio against SciPy's inverse gamma and normal draws."""
    table, y = mixed_rows(40, 5)
    feature = MultimodalNaiveBayes().fit(table[["uptake"]], y).features_["uptake"]
    x, n, logs = 12.0, 5000, []
    for c in (0, 1):
        half = feature.df[c] / 2
        var = invgamma.rvs(half, scale=half * feature.variance[c], size=n, random_state=c)
        mean = norm.rvs(feature.mean[c], np.sqrt(var / feature.weight[c]), random_state=9 + c)
        logs.append(norm.logpdf(x, mean, np.sqrt(var)))
    drawn = feature.draw(n, np.random.default_rng(6))(np.array([x]))[:, 0]
    # fails by luck once in 1000 seeds
    assert ks_2samp(drawn, logs[1] - logs[0]).pvalue > 1e-3


def test_tiny_concentrations_do_not_underflow():
    logs = log_dirichlet(np.array([1e-4, 1e-4, 2e-4]), 2000, np.random.default_rng(7))
    assert np.isfinite(logs).all()
    # nearly all mass on one level, with the chances of the concentrations
    share = (logs.argmax(1) == 2).mean()
    assert abs(share - 0.5) < 5 * np.sqrt(0.25 / 2000)


def test_ordinal_levels_borrow_from_their_neighbours():
    """By hand: pooled counts 0 3 1 0 3 over levels 1 to 5, of which 5 only in class 1."""
    x = pd.DataFrame({"grade": pd.Categorical([2, 2, 2, 3, 5, 5, 5], range(1, 6), ordered=True)})
    y = [0, 0, 0, 0, 1, 1, 1]
    model = MultimodalNaiveBayes({"grade": "ordinal"}, prior=NaiveBayesPrior(level_count=2)).fit(
        x, y
    )
    p = np.array([1, 4, 2, 1, 4]) / 12
    q = [
        0.75 * p[0] + 0.25 * p[1],
        0.25 * p[0] + 0.5 * p[1] + 0.25 * p[2],
        0.25 * p[1] + 0.5 * p[2] + 0.25 * p[3],
        0.25 * p[2] + 0.5 * p[3] + 0.25 * p[4],
        0.25 * p[3] + 0.75 * p[4],
    ]
    counts = model.features_["grade"].counts
    np.testing.assert_allclose(counts[0], [0, 3, 1, 0, 0] + 10 * np.array(q))
    np.testing.assert_allclose(counts[1], [0, 0, 0, 0, 3] + 10 * np.array(q))
    # numbers alone: every whole number between the lowest and the highest is a level
    numbers = MultimodalNaiveBayes({"grade": "ordinal"}).fit(x.astype(int), y)
    assert numbers.features_["grade"].levels == (2, 3, 4, 5)


def test_kernel_density_as_scipy():
    rng = np.random.default_rng(8)
    x, y = rng.gamma(2.0, size=(70, 1)), np.arange(70) % 3 == 0
    model = MultimodalNaiveBayes({0: "kde"}).fit(x, y)
    new = np.linspace(-2, 9, 40)
    found = model.features_[0].log_density(new)
    for c in (0, 1):
        theirs = gaussian_kde(x[y == c, 0], "scott").logpdf(new)
        np.testing.assert_allclose(found[:, c], theirs, rtol=1e-9)


def test_bootstrapped_kernels_are_those_of_definition():
    """Distribution of the log ratio: Rubin's weights written out as spacings of uniforms."""
    rng = np.random.default_rng(8)
    x, y = rng.gamma(2.0, size=(40, 1)), np.arange(40) % 2
    feature = MultimodalNaiveBayes({0: "kde"}).fit(x, y).features_[0]
    drawn = feature.draw(4000, rng)(np.array([1.5]))[:, 0]
    logs = []
    for c in (0, 1):
        cuts = np.sort(rng.random((4000, 19)), axis=1)
        weight = np.diff(np.pad(cuts, ((0, 0), (1, 1)), constant_values=(0, 1)))
        width = gaussian_kde(x[y == c, 0], "scott").covariance[0, 0] ** 0.5
        logs.append(np.log(weight @ norm.pdf(1.5, x[y == c, 0], width)))
    # fails by luck once in 1000 seeds
    assert ks_2samp(drawn, logs[1] - logs[0]).pvalue > 1e-3


def test_default_prior_is_that_of_the_page():
    page = (Path(__file__).parents[2] / "docs" / "naive-bayes.md").read_text(encoding="utf-8")
    prior = NaiveBayesPrior()
    assert f"κ₀ = {prior.mean_weight:g} and ν₀ = {prior.variance_df:g}" in page
    assert f"**α** is {prior.level_count:g}." in page
    assert f"Dirichlet({prior.class_count:g}, {prior.class_count:g})" in page


# Missing values and prevalence


def test_a_missing_value_leaves_its_column_out():
    table, y = mixed_rows(80, 9, missing=0.2)
    new, _ = mixed_rows(5, 10)
    everything = MultimodalNaiveBayes(MIXED).fit(table, y)
    gone = ["uptake", "site", "score"]
    left = {k: v for k, v in MIXED.items() if k not in gone}
    fewer = MultimodalNaiveBayes(left).fit(table[list(left)], y)
    blank = new.copy()
    blank[gone] = np.nan
    np.testing.assert_allclose(
        everything.predict_proba(blank), fewer.predict_proba(new[list(left)]), rtol=1e-12
    )
    nothing = everything.predict_proba(new.map(lambda _: np.nan))
    count = np.array([(y == "free").sum(), (y == "relapse").sum()])
    np.testing.assert_allclose(nothing, np.tile((count + 1) / (len(y) + 2), (5, 1)))
    expected = table.notna().groupby(y).sum().T
    assert (everything.training_counts_.to_numpy() == expected.to_numpy()).all()
    assert list(everything.training_counts_.columns) == ["free", "relapse"]


def test_missing_is_the_integral_over_the_value():
    """The predicted risk without a column is its expectation over the predictive density."""
    table, y = mixed_rows(60, 11)
    pair = table[["uptake", "grade"]]
    model = MultimodalNaiveBayes({"uptake": "gaussian", "grade": "ordinal"}).fit(pair, y)
    blank = pd.DataFrame({"uptake": [np.nan], "grade": [3.0]})
    grid = np.linspace(-400, 420, 200_001)
    density = np.exp(model.features_["uptake"].log_density(grid))
    risk = model.predict_proba(pd.DataFrame({"uptake": grid, "grade": 3.0}))[:, 1]
    weight = density @ model.predict_proba(blank)[0]
    found = integrate.trapezoid(risk * weight, grid)
    assert model.predict_proba(blank)[0, 1] == pytest.approx(found, abs=1e-6)


def test_prevalence_shifts_the_log_odds():
    table, y = mixed_rows(60, 12)
    model = MultimodalNaiveBayes(MIXED).fit(table, y)
    log_odds = model.decision_function(table)
    np.testing.assert_allclose(expit(log_odds), model.predict_proba(table)[:, 1])
    at = (model.class_count_[1] + 1) / (len(y) + 2)
    shift = np.log(0.05 / 0.95) - np.log(at / (1 - at))
    np.testing.assert_allclose(model.decision_function(table, 0.05), log_odds + shift)
    np.testing.assert_allclose(
        model.predict_proba(table, prevalence=[0.95, 0.05])[:, 1], expit(log_odds + shift)
    )
    found = model.contributions(table, prevalence=0.05)
    pd.testing.assert_frame_equal(found, model.contributions(table), check_flags=False)
    assert found.attrs["base_value"] == pytest.approx(
        model.contributions(table).attrs["base_value"] + shift
    )


def test_columns_are_found_by_name():
    table, y = mixed_rows(50, 13)
    model = MultimodalNaiveBayes(MIXED).fit(table, y)
    turned = table[table.columns[::-1]].set_index(pd.Index([f"p{i}" for i in range(50)]))
    np.testing.assert_array_equal(model.predict_proba(turned), model.predict_proba(table))
    assert list(model.contributions(turned).index) == list(turned.index)
    assert list(model.feature_names_in_) == list(table.columns)
    assert set(model.predict(table)) <= {"free", "relapse"}
    nullable = table.convert_dtypes()
    again = MultimodalNaiveBayes(MIXED).fit(nullable, pd.Series(y, dtype="string"))
    np.testing.assert_allclose(again.predict_proba(nullable), model.predict_proba(table))
