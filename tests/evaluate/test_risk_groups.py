"""Risk groups: cut-offs that know their rows, folds, what is shown; and what tuning does."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate.cut_points import CutOffs, cut_offs, tuned_cut_off
from bayesdose.evaluate.kaplan_meier import kaplan_meier, median_survival, numbers_at_risk
from bayesdose.evaluate.log_rank import log_rank
from bayesdose.evaluate.restricted_mean import restricted_mean
from bayesdose.evaluate.risk_groups import (
    OptimismWarning,
    even_times,
    label_out_of_fold,
    risk_groups,
)


def cohort(rng: np.random.Generator, n: int, effect: float = 0.0):
    """Time, event and a risk that raises the hazard, or says nothing."""
    risk = rng.normal(size=n)
    until = rng.exponential(20.0 * np.exp(-effect * risk))
    end = rng.uniform(3.0, 60.0, n)
    return np.minimum(until, end), until <= end, risk


@pytest.fixture(scope="module")
def rows():
    return cohort(np.random.default_rng(1), 150, effect=0.7)


@pytest.mark.parametrize("n", [6, 7, 8, 30, 31, 32, 100])
def test_quantiles_halve_and_third(n):
    """A row at the cut-off is high; sizes differ by one at most, whatever rounding does."""
    risk = np.random.default_rng(n).permutation(np.arange(n) / 7.0 + 0.3)
    halves = cut_offs(risk)
    assert halves.values == (np.median(risk),)
    low, high = halves.label(risk).value_counts()
    assert (low, high) == (n // 2, n - n // 2)
    sizes = cut_offs(risk, "tertiles").label(risk).value_counts()
    assert list(sizes.index) == ["low", "intermediate", "high"]
    assert sizes.max() - sizes.min() <= 1
    assert cut_offs(risk, [0.25, 0.5, 0.75]).names[0] == "group 1 of 4"


def test_a_risk_that_reaches_the_cut_off_is_high():
    label = CutOffs.stated([2, 4]).label([1.9, 2.0, 3.9, 4.0])
    assert list(label) == ["low", "intermediate", "intermediate", "high"]
    assert label.ordered


def test_tuned_is_the_largest_log_rank_by_brute_force():
    time, event, risk = cohort(np.random.default_rng(2), 60, effect=0.3)
    time, risk = np.ceil(time), np.round(risk, 1)
    found = tuned_cut_off(time, event, risk, shares=(0.25, 0.75))
    statistics = {
        cut: log_rank(time, event, risk >= cut).statistic
        for cut in np.unique(risk)
        if 0.25 <= (risk < cut).mean() <= 0.75
    }
    assert found.values == (max(statistics, key=statistics.get),)
    assert found.kind == "tuned"


def test_what_is_shown(rows):
    time, event, risk = rows
    index = [f"p{i}" for i in range(150)]
    shown = risk_groups(time, event, pd.Series(risk, index), [-0.4, 0.5], tau=20.0, prob=0.9)
    by = shown.label.array
    assert list(shown.label.index) == index
    pd.testing.assert_frame_equal(shown.curves, kaplan_meier(time, event, by=by, prob=0.9))
    pd.testing.assert_frame_equal(shown.medians, median_survival(time, event, by=by, prob=0.9))
    at_risk = numbers_at_risk(time, event, even_times(time.max()), by=by)
    pd.testing.assert_frame_equal(shown.at_risk, at_risk)
    assert shown.log_rank.statistic == log_rank(time, event, by).statistic
    assert shown.trend.statistic == log_rank(time, event, by, trend=True).statistic
    wanted = restricted_mean(time, event, 20.0, by=by, prob=0.9)
    pd.testing.assert_frame_equal(shown.rmst.table, wanted.table)
    assert list(shown.rmst.differences["group"]) == ["intermediate", "high"]
    assert shown.cut_offs == CutOffs((-0.4, 0.5), "stated")
    assert not shown.optimistic
    with pytest.raises(AttributeError):
        shown.optimistic = True


@pytest.mark.parametrize("last", [0.03, 1.0, 7.0, 19.9, 20.0, 52.0, 99.0, 2659.0])
def test_even_times(last):
    times = even_times(last)
    assert (times[0], 5 <= times.size <= 11) == (0.0, True)
    assert times[-1] <= last * (1 + 1e-9)
    assert last - times[-1] < times[1] * (1 + 1e-9)


def test_rows_that_a_cut_off_was_learnt_on_are_known_again(rows):
    time, event, risk = rows
    with pytest.warns(OptimismWarning, match="quantiles of rows shown here"):
        assert risk_groups(time, event, risk, cut_offs(risk)).optimistic
    tuned = tuned_cut_off(time, event, risk)
    with pytest.warns(OptimismWarning, match="tuned on the outcomes .* p-value is not valid"):
        assert risk_groups(time, event, risk, tuned).optimistic
    order = np.random.default_rng(3).permutation(150)
    some = order[:40]
    with pytest.warns(OptimismWarning):  # other order; a part of them; they and others
        risk_groups(time[order], event[order], risk[order], tuned)
    with pytest.warns(OptimismWarning):
        risk_groups(time[some], event[some], risk[some], tuned)
    others = cohort(np.random.default_rng(4), 100)
    both = [np.append(ours[some], theirs) for ours, theirs in zip(rows, others, strict=True)]
    with pytest.warns(OptimismWarning):
        risk_groups(*both, tuned)


def test_other_rows_and_stated_cut_offs_are_not_warned_about(rows):
    time, event, risk = rows
    others = cohort(np.random.default_rng(4), 100)
    for cuts in (cut_offs(risk), tuned_cut_off(time, event, risk), CutOffs.stated(0.0), [0.0]):
        assert not risk_groups(*others, cuts).optimistic
    assert not risk_groups(time, event, risk, float(np.median(risk))).optimistic


def test_rounded_risks_and_scores():
    """Ties between patients are not taken for the same rows; the same rows still are known."""
    rng = np.random.default_rng(5)
    for digits in (0, 1, 2, 3):
        learnt = np.round(rng.normal(size=300), digits)
        cuts = cut_offs(learnt)
        time, event, risk = cohort(rng, 200)
        assert not risk_groups(time, event, np.round(risk, digits), cuts).optimistic
        time, event, _ = cohort(rng, 300)
        with pytest.warns(OptimismWarning):
            assert risk_groups(time, event, learnt, cuts).optimistic


def test_no_risk_is_kept():
    """Only hashes: no number that was learnt on is in the cut-offs, but those cut at."""
    risk = np.random.default_rng(6).normal(size=20)
    kept = cut_offs(risk).learnt_on
    assert not any(float(value) in kept.hashes for value in risk)
    assert "learnt_on" not in repr(cut_offs(risk))


def test_folds_cut_by_their_training_risks(rows):
    _, _, risk = rows
    fold = np.arange(150) % 5
    # each fold's model has another scale
    scaled = risk * (1.0 + fold) + 10.0 * fold
    train = {k: risk[fold != k] * (1.0 + k) + 10.0 * k for k in range(5)}
    label = label_out_of_fold(scaled, fold, train, "tertiles")
    for k in range(5):
        mine = fold == k
        wanted = cut_offs(train[k], "tertiles").label(scaled[mine])
        assert list(label[mine]) == list(wanted)
    assert list(label.categories) == ["low", "intermediate", "high"]
    assert label.ordered
    leaking = train | {3: np.append(train[3], scaled[fold == 3])}
    with pytest.warns(OptimismWarning, match="left out in fold 3 have the risks of its training"):
        label_out_of_fold(scaled, fold, leaking)


def small_p(rng, n_cohorts: int, learn) -> int:
    small = 0
    for _ in range(n_cohorts):
        time, event, risk = cohort(rng, 100)
        small += log_rank(time, event, learn(time, event, risk)).p_value < 0.05
    return small


def test_a_tuned_cut_off_finds_groups_where_there_are_none():
    """About a third of cohorts, as the guide says; a median keeps the size of the test.

    150 and 300 cohorts; chance of failing by luck 1e-4 each.
    """
    rng = np.random.default_rng(7)
    tuned = small_p(rng, 150, lambda t, e, risk: tuned_cut_off(t, e, risk).label(risk))
    assert binom.ppf(1e-4, 150, 0.33) <= tuned <= binom.isf(1e-4, 150, 0.33)
    median = small_p(rng, 300, lambda t, e, risk: cut_offs(risk).label(risk))
    assert median <= binom.isf(1e-4, 300, 0.055)


@pytest.mark.parametrize(
    ("risk", "kind", "error", "words"),
    [
        ([1, 1, 1, 2], "tertiles", BayesdoseError, "2 distinct values, and cut-offs at 1, 1 leave"),
        ([1, 1, 1, 2], "median", BayesdoseError, "cut-offs at 1 leave groups of 0, 4 rows"),
        ([1, 1], "median", BayesdoseError, "1 distinct values"),
        ([1, np.nan], "median", BayesdoseError, "`risk` must be finite"),
        ([1, 2], "quartiles", ConfigError, "got 'quartiles'"),
        ([1, 2], [0.5, 0.2], ConfigError, "got 0.5, 0.2"),
        ([1, 2], [0.0], ConfigError, "between 0 and 1; got 0"),
    ],
)
def test_quantiles_refused(risk, kind, error, words):
    with pytest.raises(error, match=words):
        cut_offs(risk, kind)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"event": [0, 0, 0, 0]}, BayesdoseError, "none of the 4 rows has an event"),
        ({"risk": [1, 1, 1, 1]}, BayesdoseError, "no cut-off leaves 0.2 to 0.8 of the 4 rows"),
        ({"risk": [1, 2, 3]}, BayesdoseError, "`risk` has 3 entries"),
        ({"shares": (0.8, 0.2)}, ConfigError, "`shares` must ascend"),
    ],
)
def test_tuning_refused(given, error, words):
    good = {"time": [1, 2, 3, 4], "event": [1, 1, 0, 1], "risk": [1, 2, 3, 4]}
    with pytest.raises(error, match=words):
        tuned_cut_off(**(good | given))


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (
            {"cut_offs": [5.0]},
            BayesdoseError,
            r"without rows \(low 4, high 0\); the risks run from 1",
        ),
        ({"cut_offs": [3, 2]}, ConfigError, "must ascend; got 3, 2"),
        ({"cut_offs": [np.nan]}, BayesdoseError, "`cut_offs` must be finite"),
        ({"groups": ["a", "b", "b", "c"]}, BayesdoseError, "patient 'b' has 2, and 1 of 3"),
        ({"event": [0, 0, 0, 0]}, BayesdoseError, "none of the 4 rows has an event"),
        ({"tau": 99.0}, ConfigError, "group 'high' ends at 4"),
        ({"risk": [1, 2, np.inf, 3]}, BayesdoseError, "`risk` must be finite"),
    ],
)
def test_refused(given, error, words):
    good = {"time": [1, 2, 3, 4], "event": [1, 1, 1, 0], "risk": [1, 2, 3, 4], "cut_offs": [2.5]}
    with pytest.raises(error, match=words):
        risk_groups(**(good | given))


def test_folds_refused():
    with pytest.raises(BayesdoseError, match="no training risks for fold 1; it has 0"):
        label_out_of_fold([1.0, 2.0], [0, 1], {0: [1.0, 3.0]})
    with pytest.raises(BayesdoseError, match="`fold` must be one label"):
        label_out_of_fold([1.0, 2.0], [0], {0: [1.0, 3.0]})
