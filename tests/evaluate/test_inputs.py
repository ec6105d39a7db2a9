"""What comes in at the door: nothing converted, nothing paired in the wrong order."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from bayesdose.errors import BayesdoseError, ConfigError, RiskError
from bayesdose.evaluate import auc, binary_scores, harrell_c, kaplan_meier, risk_groups
from bayesdose.evaluate._arrays import as_sites, check_same_order, group_codes
from bayesdose.evaluate._outcome import as_outcome
from bayesdose.evaluate.cross_validation import UndefinedFoldWarning, cross_validate
from bayesdose.evaluate.optimism import optimism_corrected
from bayesdose.evaluate.survival import dynamic_auc

EVENT = np.array([True, False, True, True])
TIME = np.array([5.0, 3.0, 8.0, 2.0])
RISK = np.array([0.2, 0.4, 0.1, 0.9])
DAYS = pd.Series(pd.to_timedelta(TIME, unit="D"))
DATES = pd.Timestamp("2020-01-01") + DAYS

NO_NUMBERS = [
    (DAYS, r"timedelta64.*30\.44"),
    (DATES, r"datetime64.*30\.44"),
    (DATES.dt.tz_localize("UTC"), r"Timestamp in entry 0.*30\.44"),
    (DATES.astype(object), r"Timestamp in entry 0.*30\.44"),
    (DAYS.astype(object), r"Timedelta in entry 0.*30\.44"),
    (list(DATES.dt.date), r"date in entry 0.*30\.44"),
    ([np.timedelta64(1, "D"), 1.0, 2.0, 3.0], r"timedelta64 in entry 0.*30\.44"),
    (np.array(["5", "3", "8", "2.5"]), "to_numeric"),
    (pd.Series(["5", "3", "8", "2.5"]), "to_numeric"),
    ([5.0, "3", 8.0, 2.0], "to_numeric"),
    (np.array([5.0, 3.0, "8", 2.0], dtype=object), r"str in entry 2.*to_numeric"),
    (TIME + 0j, r"complex128.*real numbers"),
    (np.array([5.0, 3 + 1j, 8.0, 2.0], dtype=object), r"complex in entry 1.*real numbers"),
]


@pytest.mark.parametrize(("time", "words"), NO_NUMBERS)
def test_what_is_no_number_is_not_converted(time, words):
    with pytest.raises(BayesdoseError, match=words):
        as_sites(time, "time")
    with pytest.raises(RiskError, match=words):
        as_outcome(pd.DataFrame({"event": EVENT, "time": time}, index=range(4)))
    with pytest.raises(BayesdoseError, match="`time` must hold numbers only"):
        harrell_c(time, EVENT, RISK)
    with pytest.raises(ConfigError, match="`times` must hold numbers only"):
        dynamic_auc(TIME, EVENT, RISK, time)


@pytest.mark.parametrize(
    "time",
    [
        TIME.astype(object),
        TIME.astype(int),
        TIME.astype(np.float16),
        pd.Series(TIME, dtype="Float64"),
        pd.Series(TIME.astype(int), dtype="Int64"),
        np.array([5, 3.0, np.float32(8), Decimal(2)], dtype=object),
    ],
)
def test_real_numbers_of_every_kind(time):
    np.testing.assert_array_equal(as_sites(time, "time"), TIME)
    np.testing.assert_array_equal(as_outcome(pd.DataFrame({"event": 1, "time": time})).stop, TIME)


def test_booleans_are_numbers():
    for values in ([True, False], np.array([True, False], dtype=object)):
        np.testing.assert_array_equal(as_sites(values, "score"), [1.0, 0.0])


@pytest.mark.parametrize("missing", [None, pd.NA, np.nan])
def test_a_missing_number_is_found(missing):
    with pytest.raises(BayesdoseError, match="finite; entry 1 is nan"):
        as_sites(np.array([1.0, missing], dtype=object), "score")


def series(values, order=(0, 1, 2, 3), labels="abcd"):
    return pd.Series(values, index=list(labels)).iloc[list(order)]


@pytest.mark.parametrize(
    "call",
    [
        lambda s: harrell_c(series(TIME), series(EVENT), s(RISK)),
        lambda s: kaplan_meier(series(TIME), s(EVENT)),
        lambda s: risk_groups(series(TIME), series(EVENT), s(RISK), 0.3),
        lambda s: dynamic_auc(series(TIME), series(EVENT), s(RISK), [4.0]),
        lambda s: auc(series(EVENT), s(RISK)),
        lambda s: auc(EVENT, series(RISK), groups=s(list("wxyz"))),
        lambda s: binary_scores(series(EVENT), s(RISK), threshold=0.5),
        lambda s: cross_validate(LogisticRegression(), series(RISK).to_frame(), s(EVENT)),
        lambda s: optimism_corrected(LogisticRegression(), series(RISK).to_frame(), s(EVENT)),
    ],
)
def test_rows_in_another_order_are_refused(call):
    words = r"same index labels in another order \(row 0 is 'a' in .*loc\[.*\.index\]"
    with pytest.raises(BayesdoseError, match=words):
        call(lambda values: series(values, (3, 1, 0, 2)))


@pytest.mark.parametrize(
    "other",
    [
        series(RISK),
        series(RISK, labels="wxyz"),
        series(RISK, (3, 1, 0, 2)).reset_index(drop=True),
        series(RISK, (3, 1, 0, 2)).to_numpy(),
        series(RISK, labels="aadd"),
        series(RISK)[:3],
        None,
    ],
)
def test_other_labels_and_no_labels_are_left_alone(other):
    check_same_order(time=series(TIME), risk=other)


def test_order_names_numbers_plainly():
    one = pd.Series([1.0, 2.0])
    with pytest.raises(BayesdoseError, match=r"`y` have.* 0 in `X` and 1 in `y`"):
        check_same_order(X=one.to_frame(), y=one[::-1])


def test_missing_groups_name_rows_or_sites():
    with pytest.raises(BayesdoseError, match="no label for row 1"):
        auc(EVENT, RISK, groups=["a", None, "b", "c"])
    with pytest.raises(BayesdoseError, match="each of the 4 rows"):
        harrell_c(TIME, EVENT, RISK, groups=["a"])
    with pytest.raises(BayesdoseError, match="each of the 3 sites"):
        group_codes(["a"], 3, unit="site")


def structured(*fields):
    kinds = [(name, values.dtype) for name, values in fields]
    return np.array(list(zip(*(values for _, values in fields), strict=True)), dtype=kinds)


@pytest.mark.parametrize(
    "y",
    [
        pd.DataFrame({"event": EVENT, "time": TIME}).to_numpy(),
        structured(("died", EVENT), ("months", TIME)),
        structured(("event", EVENT.astype(int)), ("months", TIME)),
        structured(("time", TIME), ("event", EVENT.astype(float))),
        structured(("start", 0 * TIME), ("stop", TIME), ("event", EVENT)),
        pd.DataFrame({"event": pd.Series(EVENT, dtype="boolean"), "time": TIME}),
    ],
)
def test_forms_of_an_outcome(y):
    outcome = as_outcome(y)
    np.testing.assert_array_equal(outcome.event, EVENT)
    np.testing.assert_array_equal(outcome.stop, TIME)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (
            pd.DataFrame([[1, 2.0, 3.0]], columns=["event", "time", "time"]),
            "y has the column 'time' twice",
        ),
        (np.array([[True, 2.0], [None, 3.0]], dtype=object), "row 1 has none"),
        (
            pd.DataFrame({"event": pd.array([True, pd.NA], dtype="boolean"), "time": 1.0}),
            r"row 1 has none \(1 such rows\)",
        ),
        (np.array([["yes", 2.0]], dtype=object), "Which word is the event"),
        (structured(("status", EVENT.astype(int)), ("time", TIME)), "a field named event"),
        (structured(("event", EVENT.astype(int) + 1), ("time", TIME)), "row 0 has 2"),
        (np.column_stack([0 * TIME, TIME, EVENT]), r"got shape \(4, 3\)"),
    ],
)
def test_no_outcome(y, words):
    with pytest.raises(RiskError, match=words):
        as_outcome(y)


def test_a_class_is_no_estimator():
    for validate in (cross_validate, optimism_corrected):
        with pytest.raises(ConfigError, match=r"give an instance, `LogisticRegression\(...\)`"):
            validate(LogisticRegression, RISK[:, None], EVENT)


def test_a_horizon_before_all_events_is_said():
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    rng = np.random.default_rng(0)
    x, time = rng.standard_normal((40, 1)), 1.0 + rng.exponential(size=40)
    y = structured(("event", rng.random(40) < 0.7), ("time", time))
    with pytest.warns(UndefinedFoldWarning, match=r"2 of 2 folds .* before 0\.5 .* no `uno_c`"):
        found = cross_validate(
            CoxPHSurvivalAnalysis(), x, y, n_folds=2, n_repeats=1, horizon=0.5, progress=False
        )
    assert found.folds["uno_c"].isna().all()
    assert found.folds["harrell_c"].notna().all()
    with pytest.raises(ConfigError, match=r"no comparable event lies before `horizon` = 0\.5"):
        optimism_corrected(CoxPHSurvivalAnalysis(), x, y, horizon=0.5, progress=False)


def test_names_of_cut_offs_point_to_their_maker():
    with pytest.raises(ConfigError, match=r'`cut_offs\(train_risk, "tertiles"\)`; got'):
        risk_groups(TIME, EVENT, RISK, "tertiles")


def test_a_label_as_number_and_as_text_is_refused() -> None:
    with pytest.raises(BayesdoseError, match="label 1 as a number and as text"):
        auc([0, 1, 0, 1], [0.1, 0.4, 0.3, 0.8], groups=[1, "1", 2, 3])
