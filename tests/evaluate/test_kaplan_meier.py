"""Kaplan and Meier's curves: R's survfit on real tables, brute force over patients, bad input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from scipy.stats import norm

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate.kaplan_meier import kaplan_meier, median_survival, numbers_at_risk

REFERENCES = json.loads(
    (Path(__file__).parents[1] / "references" / "survival" / "groups.json").read_text()
)["curves"]


def read(folder: Path, name: str) -> dict[str, np.ndarray]:
    """Time, event, group and patient of a reference's rows."""
    table = pd.read_csv(folder / "survival_classics" / f"{name.split()[0]}.csv")
    if name.startswith("lung"):
        table = table.dropna(subset=["inst", "ph.ecog"])
        table = table[table["ph.ecog"] < 3]
    by = name.split(",")[0].split(" by ")[1]
    if by.startswith("tertile"):
        values = table[by.split()[-1]]
        group = np.searchsorted(np.quantile(values, [1 / 3, 2 / 3]), values, side="right")
    else:
        group = table[by].to_numpy()
    patients = None
    if "patients" in name:
        patients = table["inst" if name.startswith("lung") else "tsize"].to_numpy()
    event = table["cens" if name.startswith("gbsg2") else "status"].to_numpy()
    return {"time": table["time"].to_numpy(), "event": event, "by": group, "groups": patients}


def at(curves: pd.DataFrame, times: np.ndarray, column: str, before: float) -> np.ndarray:
    """A column of step functions at times, group after group."""
    found = []
    for _, curve in curves.groupby("group", sort=False):
        last = np.searchsorted(curve["time"], times, side="right")
        found.append(np.append(before, curve[column])[last])
    return np.concatenate(found)


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda one: one["name"])
def test_curves_and_medians_are_survfit(test_data, reference):
    rows = read(test_data, reference["name"])
    curves = kaplan_meier(**rows, prob=reference["prob"])
    wanted = {
        key: np.array(value, float) for key, value in reference.items() if type(value) is list
    }
    times = np.array(reference["time"])[: len(reference["time"]) // curves["group"].nunique()]
    for column, before in (("survival", 1.0), ("se", 0.0), ("lower", np.nan), ("upper", np.nan)):
        found = at(curves, times, column, before)
        # R writes no interval at 1 either, but an error of 0 at 0
        np.testing.assert_allclose(found, wanted[column], rtol=1e-9, atol=1e-12)
    assert len(curves) == wanted["n_times"][0]
    inside = curves[(curves["survival"] > 0) & (curves["survival"] < 1)]
    assert curves["survival"].sum() == pytest.approx(wanted["sum_survival"][0], rel=1e-10)
    for column in ("se", "lower", "upper"):
        assert inside[column].sum() == pytest.approx(wanted[f"sum_{column}"][0], rel=1e-9)
    at_risk = numbers_at_risk(rows["time"], rows["event"], times, by=rows["by"])
    np.testing.assert_array_equal(at_risk["n_at_risk"], wanted["n_at_risk"])
    medians = median_survival(**rows, prob=reference["prob"])
    # R writes NA where a curve does not fall to one half
    for column in ("median", "median_upper"):
        found = medians[column.removeprefix("median_")]
        np.testing.assert_allclose(found, np.nan_to_num(wanted[column], nan=np.inf))
    np.testing.assert_allclose(medians["lower"], wanted["median_lower"])


@pytest.fixture(scope="module")
def rows():
    """Patients with one to several rows, tied times, and censoring."""
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(50), 1 + rng.poisson(1.5, 50))
    until = rng.exponential(20.0 * np.exp(rng.normal(size=50))[patient])
    end = rng.uniform(4.0, 50.0, patient.size)
    return np.ceil(np.minimum(until, end)), until <= end, patient


def test_whole_curve_is_lifelines(rows):
    time, event, _ = rows
    curve = kaplan_meier(time, event, prob=0.9)
    fitter = KaplanMeierFitter(alpha=0.1).fit(time, event)
    np.testing.assert_allclose(curve["survival"], fitter.survival_function_.iloc[1:, 0])
    band = fitter.confidence_interval_survival_function_.iloc[1:].to_numpy()
    known = curve["lower"].notna().to_numpy()
    np.testing.assert_allclose(curve.loc[known, ["lower", "upper"]], band[known])
    assert (curve["group"] == "all").all()
    counts = fitter.event_table.iloc[1:]
    for ours, theirs in (("n_at_risk", "at_risk"), ("n_events", "observed")):
        np.testing.assert_array_equal(curve[ours], counts[theirs])


def test_error_of_patients_by_derivatives(rows):
    """Each patient's contribution as the numerical derivative by its weight."""
    time, event, patient = rows
    curve = kaplan_meier(time, event, groups=patient)
    fitter = KaplanMeierFitter()
    step = 1e-5
    moved = []
    for one in range(50):
        weight = [np.where(patient == one, 1.0 + sign * step, 1.0) for sign in (-1, 1)]
        with pytest.warns(match="weights are not integers"):
            low, high = (
                np.log(fitter.fit(time, event, weights=w).survival_function_.iloc[1:, 0])
                for w in weight
            )
        moved.append(((high - low) / (2 * step)).to_numpy())
    expected = np.sqrt((np.array(moved) ** 2).sum(axis=0)) * curve["survival"]
    inside = (curve["survival"] > 0).to_numpy()
    np.testing.assert_allclose(curve["se"][inside], expected[inside], rtol=1e-5)


def test_one_row_a_patient_is_greenwood_and_copies_change_nothing(rows):
    time, event, _ = rows
    plain = kaplan_meier(time, event)
    labelled = kaplan_meier(time, event, groups=np.arange(time.size))
    pd.testing.assert_frame_equal(plain, labelled, rtol=1e-10)
    who = np.tile(np.arange(time.size), 3)
    copied = kaplan_meier(np.tile(time, 3), np.tile(event, 3), groups=who)
    for column in ("survival", "se", "lower", "upper"):
        np.testing.assert_allclose(copied[column], plain[column], rtol=1e-9)


def test_order_of_rows_and_groups(rows):
    time, event, patient = rows
    by = np.where(patient % 3 == 0, "low", np.where(patient % 3 == 1, "high", "intermediate"))
    shuffled = np.random.default_rng(4).permutation(time.size)
    names = ["low", "intermediate", "high"]
    ordered = pd.Categorical(by, categories=names, ordered=True)
    curves = kaplan_meier(time, event, by=ordered, groups=patient)
    again = kaplan_meier(
        time[shuffled], event[shuffled], by=ordered[shuffled], groups=patient[shuffled]
    )
    pd.testing.assert_frame_equal(curves, again)
    assert list(curves["group"].unique()) == names
    assert list(kaplan_meier(time, event, by=by)["group"].unique()) == sorted(names)
    only = kaplan_meier(time[by == "low"], event[by == "low"], groups=patient[by == "low"])
    mine = curves[curves["group"] == "low"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine.drop(columns="group"), only.drop(columns="group"))


def test_where_the_rows_do_not_say():
    """Before the first event, after the last of all, and with one patient."""
    curve = kaplan_meier([1, 2, 3, 4], [0, 1, 1, 1])
    assert curve["survival"].to_numpy() == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert curve.loc[[0, 3], ["lower", "upper"]].isna().all(axis=None)
    assert (curve.loc[0, "se"], np.isnan(curve.loc[3, "se"])) == (0.0, True)
    alone = kaplan_meier([1, 2, 3], [1, 0, 1], groups=["a", "a", "a"])
    assert alone[["se", "lower", "upper"]].isna().all(axis=None)
    quiet = kaplan_meier([1, 2], [0, 0])
    assert (quiet["survival"] == 1).all()
    never = median_survival([1, 2], [0, 0]).loc[0]
    assert (never["median"], never["upper"], np.isnan(never["lower"])) == (np.inf, np.inf, True)
    once = median_survival([3.0], [1]).loc[0]
    assert (once["median"], once["upper"], np.isnan(once["lower"])) == (3.0, np.inf, True)
    together = kaplan_meier(np.full(10, 5.0), np.arange(10) < 3)
    assert together.loc[0, "se"] == pytest.approx(np.sqrt(0.7 * 0.3 / 10))


def test_median_where_the_curve_is_flat_at_one_half():
    """As R: the middle of the stretch, which ends at the next event."""
    assert median_survival([1, 2, 5, 9], [1, 1, 0, 1]).loc[0, "median"] == 5.5
    assert median_survival([1, 2, 5, 9], [1, 1, 0, 0]).loc[0, "median"] == 2.0
    assert median_survival([1, 2, 3], [1, 1, 1]).loc[0, "median"] == 2.0


def test_numbers_at_risk_sum_to_the_rows(rows):
    time, event, patient = rows
    table = numbers_at_risk(time, event, [0, 4, 7.5, 100], by=patient % 2)
    assert list(table["n_at_risk"]) == [
        int((time[patient % 2 == g] >= t).sum()) for g in (0, 1) for t in (0, 4, 7.5, 100)
    ]
    sums = table[["n_at_risk", "n_events", "n_censored"]].sum(axis=1).to_numpy()
    np.testing.assert_array_equal(sums, np.repeat(np.bincount(patient % 2), 4))


def test_intervals_of_patients_cover():
    """Forty patients of three rows, 500 times: a standard error of 0.010, four are allowed.

    Taking the rows as independent does not cover.
    """
    rng = np.random.default_rng(5)
    quantiles = norm.ppf((np.arange(4000) + 0.5) / 4000)
    truth = float(np.mean(np.exp(-10.0 / (20.0 * np.exp(quantiles)))))
    patient = np.repeat(np.arange(40), 3)
    inside = np.zeros(2)
    for _ in range(500):
        until = rng.exponential(20.0 * np.exp(rng.normal(size=40))[patient])
        end = rng.uniform(8.0, 50.0, 120)
        time, event = np.minimum(until, end), until <= end
        for k, groups in enumerate((patient, None)):
            curve = kaplan_meier(time, event, groups=groups)
            last = curve[curve["time"] <= 10.0].iloc[-1]
            inside[k] += last["lower"] <= truth <= last["upper"]
    assert inside[0] / 500 == pytest.approx(0.95, abs=0.04)
    assert inside[1] / 500 < 0.9


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (
            {"time": [1.0, 0.0, 2.0]},
            BayesdoseError,
            "`time` must be above 0; entry 1",
        ),
        ({"time": [1.0, np.nan, 2.0]}, BayesdoseError, "entry 1 is nan"),
        ({"time": []}, BayesdoseError, "`time`"),
        ({"event": [1, 2, 0]}, BayesdoseError, "`event` must be 0 or 1; entry 1 is 2"),
        ({"event": ["dead", "dead", "alive"]}, BayesdoseError, "`event` must be 0 or 1"),
        ({"event": [1, 0]}, BayesdoseError, "`event` has 2 entries"),
        ({"by": ["a", None, "b"]}, BayesdoseError, "`by` has no label"),
        ({"by": ["a", "b"]}, BayesdoseError, "`by` must be one label"),
        ({"groups": [1, 2]}, BayesdoseError, "`groups` must be one label"),
        ({"prob": 1.0}, ConfigError, "`prob`"),
        (
            {"by": pd.Categorical(["a", "b", "a"], categories=["a", "b", "c"])},
            BayesdoseError,
            "no rows of 'c'; the groups present are 'a', 'b'",
        ),
    ],
)
def test_refused(given, error, words):
    good = {"time": [1.0, 2.0, 3.0], "event": [1, 0, 1]}
    with pytest.raises(error, match=words):
        kaplan_meier(**(good | given))


def test_refused_times():
    with pytest.raises(BayesdoseError, match="`times` must be 0 or later; entry 1 is -1"):
        numbers_at_risk([1.0], [1], [0, -1])
