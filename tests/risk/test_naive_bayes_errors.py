"""Naive Bayes: bad input says what, where, and the way out."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import exceptions

from bayesdose.errors import (
    BayesdoseError,
    ConfigError,
    NotFittedError,
    RiskError,
    UnknownCategoryError,
)
from bayesdose.risk._not_fitted import not_fitted
from bayesdose.risk.naive_bayes import MultimodalNaiveBayes, NaiveBayesPrior, Recalibrated

MIXED = {"psa": "lognormal", "site": "categorical", "grade": "ordinal", "node": "bernoulli"}


def rows() -> tuple[pd.DataFrame, np.ndarray]:
    table = pd.DataFrame(
        {
            "psa": [4.0, 5.0, 9.0, 11.0, 7.0, 30.0],
            "site": ["bone", "liver", "bone", "node", "bone", "liver"],
            "grade": [1, 2, 2, 3, 4, 5],
            "node": [0, 1, 0, 0, 1, 1],
        },
        index=[f"p{i}" for i in range(6)],
    )
    return table, np.array([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"likelihoods": {"psa": "log"}}, ConfigError, "'psa' has 'log'; allowed are gaussian"),
        ({"likelihoods": "gaussian"}, ConfigError, "must map columns to likelihoods"),
        (
            {"likelihoods": MIXED | {"volume": "kde"}},
            ConfigError,
            r"does not have: \['volume'\]; it has \['psa', 'site', 'grade', 'node'\]",
        ),
        (
            {"likelihoods": {"psa": "lognormal"}},
            RiskError,
            r"without a likelihood: \['site', 'grade', 'node'\].*X\[list\(likelihoods\)\]",
        ),
        ({}, RiskError, "'site', row 'p0': got 'bone' of object data; gaussian needs numbers"),
        ({"likelihoods": MIXED, "prior": "flat"}, ConfigError, "`prior` must be 'weak'"),
        ({"likelihoods": MIXED, "modalities": ["psa"]}, ConfigError, "must map names to lists"),
        ({"likelihoods": MIXED, "modalities": {"a": "psa"}}, ConfigError, "list of columns"),
        ({"likelihoods": MIXED, "modalities": {"a": ["suv"]}}, ConfigError, "'suv' is not a col"),
        (
            {"likelihoods": MIXED, "modalities": {"a": ["psa"], "b": ["psa"]}},
            ConfigError,
            "'psa' is not a column, or stands twice",
        ),
        ({"likelihoods": MIXED, "modalities": {"psa": ["site"]}}, ConfigError, "Rename the mod"),
    ],
)
def test_impossible_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        MultimodalNaiveBayes(**arguments).fit(*rows())


@pytest.mark.parametrize(
    ("column", "likelihood", "values", "message"),
    [
        ("psa", "lognormal", [4, 0, 1, 2, -3, 5], r"row 'p1': got 0; lognormal.*2 such rows"),
        ("psa", "gaussian", [4, np.inf, 1, 2, 3, 5], "'psa', row 'p1': got inf; .* finite"),
        ("psa", "gaussian", [4, "5", 1, 2, 3, 5], "row 'p1': got '5' of object data"),
        ("psa", "gaussian", pd.Categorical([4, 5, 1, 2, 3, 5]), "of category data"),
        ("psa", "gaussian", pd.date_range("2020", periods=6), "datetime64"),
        ("psa", "gaussian", [1 + 2j] * 6, "complex128 data"),
        ("psa", "gaussian", [3.0] * 6, "the same in all 6 rows.*NaiveBayesPrior"),
        ("psa", "kde", [1, 2, 3, 4, 4, 4], r"one value only in class 1 \(3 rows\).*bandwidth"),
        ("psa", "gaussian", [1, 2, 3, None, None, None], "no value in any row of class 1"),
        ("grade", "ordinal", [None] * 6, "no value in any row of class 0"),
        ("grade", "ordinal", list("abcdef"), "levels have no order.*ordered=True"),
        ("grade", "ordinal", pd.Categorical([1, 2, 2, 3, 4, 5]), "levels have no order"),
        ("grade", "ordinal", [1, 2, 2.5, 3, 4, 5], "levels have no order"),
        ("grade", "ordinal", [1, 2, 3, 4, 5, 61], "runs from 1 to 61, more than 50 levels"),
        ("site", "categorical", ["a", 1, "a", "b", 1, 1], "labels of one kind"),
        ("node", "bernoulli", [0, 1, 0, 2, 1, 1], "row 'p3': got 2; .* holds 0 and 1"),
        ("node", "bernoulli", ["0", "1", "0", "0", "1", "1"], "row 'p0': got '0'"),
    ],
)
def test_values_that_do_not_fit(column, likelihood, values, message):
    table, y = rows()
    table = pd.DataFrame({column: pd.Series(values, index=table.index)})
    with pytest.raises(RiskError, match=message):
        MultimodalNaiveBayes({column: likelihood}).fit(table, y)


def test_plug_in_needs_spread_in_each_class():
    table, y = rows()
    table = table[["psa"]].assign(psa=[1.0, 2.0, 3.0, 4.0, 4.0, 4.0])
    with pytest.raises(RiskError, match=r"'psa' has one value only in class 1 .*prior='weak'"):
        MultimodalNaiveBayes(prior=None).fit(table, y)
    MultimodalNaiveBayes().fit(table, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1] * 6, "one class only"),
        ([0, 1, 0], "has 3 labels and must have one for each of 6"),
        (["a", None, "b", "a", "b", "a"], "no label in entry 1"),
        (np.array(["a", 1, "b", "a", "b", "a"], dtype=object), "`y` mixes"),
        ([0.5, 1.2, 0, 3, 1, 2], "continuous"),
        ([0, 1, np.nan, 0, 1, 1], "NaN"),
    ],
)
def test_labels_that_are_none(y, message):
    with pytest.raises(ValueError, match=message):
        MultimodalNaiveBayes(MIXED).fit(rows()[0], y)


def test_tables_that_are_none():
    table, y = rows()
    with pytest.raises(RiskError, match="has the column 'psa' twice"):
        MultimodalNaiveBayes().fit(table[["psa", "psa"]], y)
    with pytest.raises(RiskError, match=r"has shape \(0, 4\)"):
        MultimodalNaiveBayes(MIXED).fit(table[:0], y[:0])
    model = MultimodalNaiveBayes(MIXED).fit(table, y)
    with pytest.raises(RiskError, match=r"lacks \['site'\] and has besides \['suv'\]"):
        model.predict(table.rename(columns={"site": "suv"}))
    with pytest.raises(RiskError, match=r"columns have no names\. Give a DataFrame"):
        model.predict(np.zeros((2, 4)))


def test_unknown_level_at_prediction():
    table, y = rows()
    model = MultimodalNaiveBayes(MIXED).fit(table, y)
    with pytest.raises(UnknownCategoryError) as caught:
        model.predict_proba(table.assign(site=["bone", "lung", *["bone"] * 4]))
    for part in ("'site'", "'p1'", "'lung'", "'bone', 'liver', 'node'", "Leave the value missing"):
        assert part in str(caught.value)
    with pytest.raises(UnknownCategoryError, match="'grade', row 'p0': 6 was not among"):
        model.contributions(table.assign(grade=6))
    # listed beforehand, it is a level that the prior knows
    known = table.assign(site=pd.Categorical(table["site"], ["bone", "liver", "lung", "node"]))
    risk = MultimodalNaiveBayes(MIXED).fit(known, y).predict_proba(table.assign(site="lung"))
    assert ((risk > 0) & (risk < 1)).all()


def test_plug_in_zero_is_said_and_not_returned():
    table, y = rows()
    model = MultimodalNaiveBayes(MIXED, prior=None).fit(table, y)
    with pytest.raises(RiskError, match=r"'site', row 'p3': 'node' has probability 0 in class 0"):
        model.predict_proba(table.assign(grade=np.nan))
    both = table[:1].assign(grade=np.nan)
    assert 0 < model.predict_proba(both)[0, 1] < 1
    with pytest.raises(RiskError, match="training rows have levels that one class never has"):
        model.contributions(both)


def test_what_needs_two_classes_or_a_posterior():
    table, y = rows()
    three = MultimodalNaiveBayes(MIXED).fit(table, [0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(three.predict_proba(table).sum(1), 1.0)
    for method in (three.risk_interval, three.contributions, three.importance):
        with pytest.raises(RiskError, match="is for two classes; the model has 3"):
            method(table)
    plug_in = MultimodalNaiveBayes({"psa": "lognormal"}, prior=None).fit(table[["psa"]], y)
    with pytest.raises(RiskError, match="no posterior and no interval"):
        plug_in.risk_interval(table[["psa"]])


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("predict_proba", {"prevalence": 1.0}, "share of class 1, between 0 and 1"),
        ("predict_proba", {"prevalence": [0.5, 0.6]}, "of sum 1"),
        ("predict_proba", {"prevalence": "high"}, "must be numbers"),
        ("risk_interval", {"prevalence": 0}, "between 0 and 1"),
        ("risk_interval", {"prob": 95}, "strictly between 0 and 1"),
        ("risk_interval", {"draws": 10}, "whole number from 100"),
        ("contributions", {"scale": "odds"}, "'log_odds' or 'probability'"),
        ("contributions", {"by": "columns"}, "'feature' or 'modality'"),
    ],
)
def test_impossible_questions(method, arguments, message):
    table, y = rows()
    model = MultimodalNaiveBayes(MIXED).fit(table, y)
    with pytest.raises(ConfigError, match=message):
        getattr(model, method)(table, **arguments)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean_weight": 0},
        {"variance_df": np.inf},
        {"scale": -1.0},
        {"level_count": 0.0},
        {"class_count": -1},
        {"centre": np.nan},
    ],
)
def test_impossible_priors(wrong):
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}` must be finite"):
        NaiveBayesPrior(**wrong)


@pytest.mark.parametrize(
    "model", [MultimodalNaiveBayes(), Recalibrated(MultimodalNaiveBayes())], ids=lambda m: str(m)
)
def test_not_fitted_is_caught_as_ours_and_as_sklearns(model):
    for error in (NotFittedError, exceptions.NotFittedError, BayesdoseError):
        with pytest.raises(error, match=r"this \w+ is not fitted: call fit\(X, y\) first") as found:
            model.predict_proba([[1.0]])
    again = pickle.loads(pickle.dumps(found.value))
    assert isinstance(again, NotFittedError)
    assert isinstance(not_fitted("no"), exceptions.NotFittedError)


def test_a_fit_that_failed_is_no_fit():
    model = MultimodalNaiveBayes()
    with pytest.raises(RiskError):
        model.fit([[1.0], [1.0]], [0, 1])
    with pytest.raises(NotFittedError):
        model.predict([[1.0]])


@pytest.mark.parametrize("labels", [[False, True] * 3, [1, 0] * 3])
def test_objects_that_are_plain_labels(labels):
    table, _ = rows()
    as_objects = MultimodalNaiveBayes(MIXED).fit(table, np.array(labels, dtype=object))
    plain = MultimodalNaiveBayes(MIXED).fit(table, np.array(labels))
    assert as_objects.classes_.dtype == plain.classes_.dtype
    np.testing.assert_array_equal(as_objects.predict_proba(table), plain.predict_proba(table))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0.5, 1.2, 0, 3, 1, 2], "Unknown label type: continuous; entry 0 is 0.5"),
        ([0, 1, np.nan, 0, 1, 1], "no label in entry 2: got nan"),
        (np.array([True, False, None] * 2, dtype=object), "no label in entry 2: got None"),
        ([0, 1, np.inf, 0, 1, 1], "no label in entry 2: got inf"),
    ],
)
def test_labels_are_refused_in_our_words(y, message):
    with pytest.raises(RiskError, match=message):
        MultimodalNaiveBayes(MIXED).fit(rows()[0], y)


def test_names_of_columns_of_one_kind():
    table = pd.DataFrame({0: [1.0, 2.0, 4.0], "psa": [3.0, 5.0, 7.0]})
    with pytest.raises(RiskError, match=r"\[0, 'psa'\] mix names.*astype\(str\)"):
        MultimodalNaiveBayes().fit(table, [0, 1, 0])


@pytest.mark.parametrize("prior", ["weak", None])
@pytest.mark.parametrize("word", ["gaussian", "kde"])
def test_a_value_beyond_all_numbers(prior, word):
    table, y = rows()
    model = MultimodalNaiveBayes({"psa": word}, prior=prior).fit(table[["psa"]], y)
    with pytest.raises(RiskError, match=r"'psa', row 'p0': 1e\+300 is so far .*Correct the value"):
        model.predict_proba(table[["psa"]].assign(psa=1e300))


def test_class_of_the_risk_is_named():
    table, y = rows()
    words = pd.Categorical(np.where(y == 1, "relapse", "stable"), ["stable", "relapse"])
    model = MultimodalNaiveBayes(MIXED).fit(table, words)
    assert model.risk_class_ == "stable"
    risk = model.risk_interval(table)["risk"]
    np.testing.assert_allclose(risk, model.predict_proba(table)[:, 1])
    assert MultimodalNaiveBayes(MIXED).fit(table, y).risk_class_ == 1
    assert not hasattr(MultimodalNaiveBayes(MIXED).fit(table, [0, 1, 2] * 2), "risk_class_")


def test_rows_of_the_table_and_of_labels_in_one_order():
    table, y = rows()
    other = pd.Series(y, index=table.index)[::-1]
    for model in (MultimodalNaiveBayes(MIXED), Recalibrated(MultimodalNaiveBayes(MIXED))):
        with pytest.raises(BayesdoseError, match=r"`y\.loc\[X\.index\]`"):
            model.fit(table, other)
