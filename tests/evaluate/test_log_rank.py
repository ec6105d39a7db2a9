"""The log-rank test: R's survdiff on real tables, lifelines, its size, bad input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines.statistics import multivariate_logrank_test

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate.log_rank import log_rank

STORED = json.loads(
    (Path(__file__).parents[1] / "references" / "survival" / "groups.json").read_text()
)


def read(folder: Path, name: str) -> dict[str, object]:
    """Rows of a reference."""
    table = pd.read_csv(folder / "survival_classics" / f"{name.split()[0]}.csv")
    if name.startswith("lung"):
        table = table.dropna(subset=["inst", "ph.ecog"])
        table = table[table["ph.ecog"] < 3]
    by, _, strata = name.split(" by ")[1].partition(", strata ")
    group = table[by.split()[-1]].to_numpy()
    if by.startswith("tertile"):
        group = np.searchsorted(np.quantile(group, [1 / 3, 2 / 3]), group, side="right")
    event = table["cens" if name.startswith("gbsg2") else "status"]
    return {
        "time": table["time"],
        "event": event,
        "by": group,
        "strata": table[strata] if strata else None,
    }


@pytest.mark.parametrize("reference", STORED["log_rank"], ids=lambda one: one["name"])
def test_is_survdiff(test_data, reference):
    rows = read(test_data, reference["name"])
    found = log_rank(**rows)
    assert found.statistic == pytest.approx(reference["statistic"][0], rel=1e-9)
    assert found.df == reference["df"][0]
    assert found.p_value == pytest.approx(reference["p_value"][0], rel=1e-7)
    np.testing.assert_array_equal(found.observed, reference["observed"])
    np.testing.assert_allclose(found.expected, reference["expected"], rtol=1e-10)
    if reference["trend"]:
        trend = log_rank(**rows, trend=True)
        assert trend.statistic == pytest.approx(reference["trend"][0], rel=1e-9)
        assert trend.p_value == pytest.approx(reference["trend"][1], rel=1e-7)
        assert trend.df == 1
        np.testing.assert_array_equal(trend.table["score"], [0, 1, 2])


def test_trend_is_the_score_test_of_cox_without_ties():
    i = np.arange(1, 61)
    rows = {"time": (37 * i) % 61, "event": i % 3 != 0, "by": ((7 * i) % 61) % 4}
    found = log_rank(**rows, trend=True), log_rank(**rows, trend=True, strata=i % 2)
    assert [one.statistic for one in found] == pytest.approx(STORED["cox_score"], rel=1e-9)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    by = rng.integers(0, 4, 300)
    until, end = rng.exponential(20.0 - 3.0 * by), rng.uniform(3.0, 40.0, 300)
    return np.ceil(np.minimum(until, end)), until <= end, by


def test_is_lifelines(rows):
    time, event, by = rows
    found = log_rank(time, event, by)
    theirs = multivariate_logrank_test(time, by, event)
    assert found.statistic == pytest.approx(theirs.test_statistic, rel=1e-9)
    assert found.p_value == pytest.approx(theirs.p_value, rel=1e-7)
    np.testing.assert_array_equal(found.table["n"], np.bincount(by))


def test_scores(rows):
    """Ordered labels count 0, 1, 2, …; their order matters, a linear change of numbers does not."""
    time, event, by = rows
    trend = log_rank(time, event, by, trend=True)
    names = np.array(["a", "d", "c", "b"])
    ordered = pd.Categorical(names[by], categories=names, ordered=True)
    assert log_rank(time, event, ordered, trend=True).statistic == pytest.approx(trend.statistic)
    scaled = log_rank(time, event, 5.0 - 2.0 * by, trend=True)
    assert scaled.statistic == pytest.approx(trend.statistic)
    uneven = log_rank(time, event, np.array([0, 1, 2, 10])[by], trend=True)
    assert uneven.statistic != pytest.approx(trend.statistic)
    np.testing.assert_array_equal(uneven.table["score"], [0, 1, 2, 10])
    two = by < 2
    plain, trended = (log_rank(time[two], event[two], by[two], trend=t) for t in (False, True))
    assert plain.statistic == pytest.approx(trended.statistic)


def test_size_without_a_difference():
    """Six hundred cohorts of 80: a standard error of 0.009 around 0.05, four are allowed."""
    rng = np.random.default_rng(2)
    small = np.zeros(2)
    for _ in range(600):
        until, end = rng.exponential(20.0, 80), rng.uniform(3.0, 40.0, 80)
        by = rng.permutation(np.arange(80) % 3)
        given = np.minimum(until, end), until <= end, by
        small += [log_rank(*given, trend=trend).p_value < 0.05 for trend in (False, True)]
    assert small / 600 == pytest.approx(0.05, abs=0.036)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"by": [1, 1, 1, 1]}, BayesdoseError, "all 4 rows are 1"),
        ({"by": ["a", np.nan, "b", "b"]}, BayesdoseError, "`by` has no label"),
        ({"event": [0, 0, 0, 0]}, BayesdoseError, "none of the 4 rows has an event"),
        (
            {"event": [0, 1, 0, 0], "time": [1, 5, 2, 6]},
            BayesdoseError,
            "group 'a' is at risk when",
        ),
        ({"time": [1, -1, 2, 3]}, BayesdoseError, "`time` must be above 0"),
        ({"strata": ["x", "y", "y", None]}, BayesdoseError, "`strata` has no label"),
        ({"strata": ["x", "y", "x", "y"]}, BayesdoseError, "never at risk together"),
        (
            {"groups": ["p", "q", "p", "r"]},
            BayesdoseError,
            "patient 'p' has 2, and 1 of 3 patients",
        ),
        ({"trend": True}, ConfigError, "`by` has the labels 'a', 'b'. Give numbers, or"),
    ],
)
def test_refused(given, error, words):
    good = {"time": [1.0, 2.0, 3.0, 4.0], "event": [1, 1, 1, 0], "by": ["a", "b", "a", "b"]}
    with pytest.raises(error, match=words):
        log_rank(**(good | given))
