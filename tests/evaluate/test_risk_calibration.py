"""Calibration of risks: R's glm and coxph, rows left out, coverage, bad input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import t as student

from bayesdose.errors import BayesdoseError, ConfigError, RiskError
from bayesdose.evaluate._recalibration import fit_cox, fit_logistic, knots_of, spline
from bayesdose.evaluate.risk_calibration import risk_calibration
from bayesdose.evaluate.risk_calibration_survival import risk_calibration_survival

REFERENCES = {
    one.pop("name"): {k: v[0] if len(v) == 1 else np.array(v) for k, v in one.items()}
    for one in json.loads(
        (Path(__file__).parents[1] / "references" / "survival" / "scores.json").read_text()
    )
}


def error_of(lower: float, upper: float, n_patients: int) -> float:
    """Standard error without the factor G / (G - 1)."""
    half = 0.5 * (upper - lower) / student.ppf(0.975, n_patients - 1)
    return half * np.sqrt((n_patients - 1) / n_patients)


def simulated(rng: np.random.Generator, n: int):
    """Follow-up in whole months with censoring, and the true risk of an event by month 24."""
    known = 0.8 * rng.normal(size=n)
    until = rng.exponential(30.0 * np.exp(-known))
    end = rng.uniform(6.0, 60.0, n)
    time = np.ceil(np.minimum(until, end))
    return time, until <= end, -np.expm1(-24.0 / 30.0 * np.exp(known))


def test_labels_as_glm_in_r(test_data):
    reference = REFERENCES["glm"]
    table = pd.read_csv(test_data / "survival_classics" / "gbsg2.csv")
    given = table["cens"], expit(-0.8 + 0.08 * table["pnodes"])
    found = risk_calibration(*given)
    n = len(table)
    assert found.slope == pytest.approx(reference["slope"], rel=1e-7)
    assert found.intercept == pytest.approx(reference["intercept"], rel=1e-7)
    se = error_of(found.slope_lower, found.slope_upper, n)
    assert se == pytest.approx(reference["slope_se"], rel=1e-6)
    se = error_of(found.intercept_lower, found.intercept_upper, n)
    assert se == pytest.approx(reference["intercept_se"], rel=1e-6)
    for name in ("ici", "e50", "e90"):
        assert getattr(found, name) == pytest.approx(reference[name], rel=1e-6)
    by_age = risk_calibration(*given, groups=table["age"])
    se = error_of(by_age.slope_lower, by_age.slope_upper, table["age"].nunique())
    assert se == pytest.approx(reference["slope_se_cluster"], rel=1e-6)
    assert (found.n, found.n_events) == (n, table["cens"].sum())


def test_horizon_as_coxph_in_r(test_data):
    reference = REFERENCES["cox"]
    table = pd.read_csv(test_data / "survival_classics" / "lung.csv").dropna(subset=["inst", "age"])
    x = 0.2 + 0.04 * (table["age"].to_numpy() - 62)
    given = table["time"], table["status"], -np.expm1(-np.exp(x)), reference["horizon"]
    found = risk_calibration_survival(*given)
    assert found.slope == pytest.approx(reference["slope"], rel=1e-6)
    se = error_of(found.slope_lower, found.slope_upper, len(table))
    assert se == pytest.approx(reference["slope_se"], rel=1e-6)
    assert found.observed == pytest.approx(reference["observed"], rel=1e-9)
    for name in ("ici", "e50", "e90"):
        assert getattr(found, name) == pytest.approx(reference[name], rel=1e-6)
    by_inst = risk_calibration_survival(*given, groups=table["inst"])
    se = error_of(by_inst.slope_lower, by_inst.slope_upper, table["inst"].nunique())
    assert se == pytest.approx(reference["slope_se_cluster"], rel=1e-6)


def test_curve_and_its_error_as_in_r(test_data):
    """R's standard error comes from differences by case weights: four figures."""
    reference = REFERENCES["cox"]
    table = pd.read_csv(test_data / "survival_classics" / "lung.csv").dropna(subset=["inst", "age"])
    x = 0.2 + 0.04 * (table["age"].to_numpy() - 62)
    time, horizon = table["time"].to_numpy(float), reference["horizon"]
    knots = knots_of(x)
    event = (table["status"] == 1).to_numpy() & (time <= horizon)
    fit = fit_cox(spline(x, knots), np.minimum(time, horizon), event)
    columns = spline(np.log(-np.log1p(-reference["points"])), knots) - fit.centre
    assert np.log(fit.hazard) + columns @ fit.coefficients == pytest.approx(
        reference["log_hazard"], rel=1e-6
    )
    influence = columns @ fit.influence.T + fit.hazard_influence / fit.hazard
    se = np.sqrt((influence**2).sum(axis=1))
    assert se == pytest.approx(reference["log_hazard_se"], rel=1e-4)


def test_level_of_labels_by_its_equation():
    """The sum of recalibrated risks is the number of cases; O / E by the sums."""
    rng = np.random.default_rng(1)
    risk = expit(rng.normal(size=200))
    case = rng.random(200) < expit(logit(risk) - 0.7)
    found = risk_calibration(case, risk)
    assert expit(logit(risk) + found.intercept).sum() == pytest.approx(case.sum())
    assert found.observed_expected == pytest.approx(case.sum() / risk.sum())
    assert found.intercept_lower < -0.7 < found.intercept_upper
    assert found.curve["predicted"].iloc[[0, -1]].tolist() == [risk.min(), risk.max()]
    assert (found.curve["lower"] < found.curve["observed"]).all()
    assert (found.curve["observed"] < found.curve["upper"]).all()


def parts(found) -> np.ndarray:
    return np.array([found.slope, found.intercept, np.log(found.observed_expected)])


@pytest.mark.parametrize("kind", ["label", "horizon"])
def test_errors_of_patients_as_leaving_each_out(kind):
    rng = np.random.default_rng(2)
    time, event, risk = simulated(rng, 240)
    # patients of three rows of much the same risk
    patient = np.argsort(np.argsort(risk + 0.05 * rng.normal(size=240))) // 3

    def score(kept, **more):
        if kind == "label":
            return risk_calibration(time[kept] <= 20, risk[kept], **more)
        return risk_calibration_survival(time[kept], event[kept], risk[kept], 24.0, **more)

    found = score(np.ones(240, bool), groups=patient)
    ratio = np.log([found.observed_expected_lower, found.observed_expected_upper])
    se = [
        error_of(found.slope_lower, found.slope_upper, 80),
        error_of(found.intercept_lower, found.intercept_upper, 80),
        error_of(*ratio, 80),
    ]
    left_out = np.array([parts(score(patient != i)) for i in range(80)])
    jackknife = np.sqrt(79 / 80 * ((left_out - left_out.mean(0)) ** 2).sum(0))
    assert se == pytest.approx(jackknife, rel=0.06)


def test_without_censoring_the_share_is_that_of_labels():
    rng = np.random.default_rng(3)
    time, _, risk = simulated(rng, 300)
    by_time = risk_calibration_survival(time, np.ones(300), risk, 24.0)
    by_label = risk_calibration(time <= 24.0, risk)
    for name in ("observed", "expected", "observed_expected", "n_events"):
        assert getattr(by_time, name) == pytest.approx(getattr(by_label, name))
    for name in ("observed_expected_lower", "observed_expected_upper"):
        assert getattr(by_time, name) == pytest.approx(getattr(by_label, name), rel=1e-9)


def test_wrong_risks_are_seen():
    """1.5 times too extreme, and hazards 1.5 times too high."""
    time, event, risk = simulated(np.random.default_rng(4), 3000)
    x = np.log(-np.log1p(-risk))
    given = -np.expm1(-np.exp(1.5 * x - 0.5))
    extreme = risk_calibration_survival(time, event, given, 24.0)
    assert extreme.slope_lower < 1 / 1.5 < extreme.slope_upper < 0.8
    high = risk_calibration_survival(time, event, -np.expm1(-1.5 * np.exp(x)), 24.0)
    assert high.intercept_lower < -np.log(1.5) < high.intercept_upper < 0
    assert high.observed_expected_upper < 1
    right = risk_calibration_survival(time, event, risk, 24.0)
    assert right.ici < 0.03 < high.ici


@pytest.mark.parametrize("kind", ["label", "horizon"])
def test_intervals_cover_under_the_true_model(kind):
    """300 sets of 150 rows: a standard error of 0.0126 around 0.95, four are allowed."""
    rng = np.random.default_rng(5)
    inside = np.zeros(3)
    for _ in range(300):
        time, event, risk = simulated(rng, 150)
        if kind == "label":
            found = risk_calibration(rng.random(150) < risk, risk)
        else:
            found = risk_calibration_survival(time, event, risk, 24.0)
        inside += [
            found.slope_lower <= 1 <= found.slope_upper,
            found.intercept_lower <= 0 <= found.intercept_upper,
            found.observed_expected_lower <= 1 <= found.observed_expected_upper,
        ]
    assert inside / 300 == pytest.approx(0.95, abs=0.05)


def test_few_distinct_predictions():
    """Two values: a straight line through both shares. Three: knots at them."""
    case = np.repeat([0, 1, 0, 1], [30, 10, 15, 25])
    two = risk_calibration(case, np.repeat([0.2, 0.6], 40))
    assert two.curve["observed"].iloc[[0, -1]].tolist() == pytest.approx([0.25, 0.625])
    assert two.ici == pytest.approx(0.5 * (0.05 + 0.025))
    knots = knots_of(np.repeat([1.0, 2.0, 4.0], [90, 5, 5]))
    assert knots == pytest.approx([1.2, 2.0, 3.6])


def test_logistic_with_offset_by_its_equations():
    rng = np.random.default_rng(6)
    columns = np.column_stack([np.ones(80), rng.normal(size=80)])
    case, offset = rng.random(80) < 0.4, rng.normal(size=80)
    fit = fit_logistic(columns, case, offset)
    assert columns.T @ (case - expit(columns @ fit.coefficients + offset)) == pytest.approx(
        0.0, abs=1e-9
    )


def test_few_events_warn():
    case = np.repeat([0, 1, 0, 1], [8, 4, 5, 4])
    with pytest.warns(UserWarning, match="8 rows of the rarer outcome are few"):
        risk_calibration(case, np.repeat([0.2, 0.6], [12, 9]))


def test_a_curve_that_runs_away_leaves_slope_and_level():
    """All cases in the middle: a bent curve separates them, a line does not."""
    risk = np.linspace(0.05, 0.95, 45)
    case = (np.arange(45) >= 14) & (np.arange(45) < 30)
    with pytest.warns(UserWarning, match="curve has no finite estimate"):
        found = risk_calibration(case, risk)
    assert np.isnan([found.ici, found.e50, found.e90]).all()
    assert found.curve["observed"].isna().all()
    assert np.isfinite([found.slope, found.slope_lower, found.intercept_upper]).all()


@pytest.mark.filterwarnings("ignore:.* of the rarer outcome are few")
@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"y_true": np.zeros(6)}, BayesdoseError, "all 6 rows are controls"),
        ({"y_true": [0, 2, 1, 0, 1, 0]}, BayesdoseError, "entry 1 is 2"),
        ({"probability": [0.1, 0.2]}, BayesdoseError, "2 entries"),
        ({"probability": [0.1, 1, 0.3, 0.2, 0.4, 0.6]}, BayesdoseError, "entry 1 is 1 .*Certainty"),
        ({"probability": [0.1, 1.1, 0.3, 0.2, 0.4, 0.6]}, BayesdoseError, "from 0 to 1"),
        ({"probability": np.full(6, 0.3)}, BayesdoseError, "0.3 in every row: there is no slope"),
        ({"probability": [0.1, 0.2, 0.6, 0.3, 0.9, 0.4]}, RiskError, "separate rows"),
        ({"groups": np.zeros(6)}, BayesdoseError, "of one patient"),
        ({"prob": 1.0}, ConfigError, "`prob`"),
    ],
)
def test_refused(given, error, words):
    good = {"y_true": [0, 0, 1, 0, 1, 0], "probability": [0.1, 0.5, 0.3, 0.2, 0.4, 0.6]}
    with pytest.raises(error, match=words):
        risk_calibration(**(good | given))


@pytest.mark.filterwarnings("ignore:.* of the rarer outcome are few")
@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"time": [1, -2, 3, 4, 5, 6]}, BayesdoseError, "entry 1 is -2.0"),
        ({"event": [0, 1]}, BayesdoseError, "`event` has 2 entries"),
        ({"event": np.zeros(6)}, BayesdoseError, "by the horizon of 4 is 0"),
        ({"horizon": 7.0}, ConfigError, "longest follow-up, 6"),
        ({"horizon": 0.0}, ConfigError, "above 0"),
        ({"event": np.ones(6), "horizon": 6.0}, BayesdoseError, "of 6 is 1"),
        ({"risk_at_horizon": [0, 0.5, 0.3, 0.2, 0.4, 0.6]}, BayesdoseError, "Certainty"),
        ({"risk_at_horizon": np.full(6, 0.3)}, BayesdoseError, "no slope"),
        ({"risk_at_horizon": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]}, RiskError, "no finite slope"),
        ({"groups": np.zeros(6)}, BayesdoseError, "of one patient"),
        ({"prob": 0.0}, ConfigError, "`prob`"),
    ],
)
def test_refused_survival(given, error, words):
    good = {
        "time": [1, 2, 3, 4, 5, 6],
        "event": [1, 1, 0, 1, 0, 1],
        "risk_at_horizon": [0.1, 0.5, 0.3, 0.2, 0.4, 0.6],
        "horizon": 4.0,
    }
    with pytest.raises(error, match=words):
        risk_calibration_survival(**(good | given))
