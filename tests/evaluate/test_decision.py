"""Decision curves: counts by hand, Kaplan-Meier by lifelines, errors by leaving patients out."""

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from scipy.special import expit
from scipy.stats import t as student

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate.decision import decision_curve, decision_curve_survival

CUTS = np.array([0.05, 0.2, 0.5, 0.8])


def survivors(rng: np.random.Generator, n: int, censored: bool = True):
    """Whole months until event or end of follow-up, with ties, and a risk within 24 months."""
    known = rng.normal(size=n)
    until = rng.exponential(30.0 * np.exp(-0.8 * known))
    end = rng.uniform(6.0, 60.0, n) if censored else np.full(n, np.inf)
    return np.ceil(np.minimum(until, end)), until <= end, expit(known - 0.2)


@pytest.fixture(scope="module")
def rows():
    """Labels, probabilities and patients with one to several rows."""
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(60), 1 + rng.poisson(3, 60))
    known = rng.normal(size=patient.size) + rng.normal(size=60)[patient]
    return rng.random(patient.size) < expit(known - 1), expit(known - 1), patient


def standard_errors(table, n_patients: int) -> np.ndarray:
    return (table["upper"] - table["lower"]).to_numpy() / (2 * student.ppf(0.975, n_patients - 1))


def test_net_benefit_by_counting(rows):
    y, risk, _ = rows
    table = decision_curve(y, risk, CUTS)
    for cut, row in zip(CUTS, table.itertuples(), strict=True):
        odds = cut / (1 - cut)
        tp = sum(1 for label, p in zip(y, risk, strict=True) if p >= cut and label)
        fp = sum(1 for label, p in zip(y, risk, strict=True) if p >= cut and not label)
        assert row.threshold == cut
        assert row.net_benefit == pytest.approx(tp / len(y) - fp / len(y) * odds)
        assert row.treat_all == pytest.approx(y.mean() - (1 - y.mean()) * odds)
        assert row.treat_none == 0.0
        assert row.standardised_net_benefit == pytest.approx(row.net_benefit / y.mean())
        assert row.n_above == tp + fp
        gained = np.where(y, 1.0, -odds) * (risk >= cut)
        half = student.ppf(0.975, len(y) - 1) * gained.std(ddof=1) / np.sqrt(len(y))
        assert row.upper - row.net_benefit == pytest.approx(half)
        assert row.net_benefit - row.lower == pytest.approx(half)


def test_known_limits():
    """Treating everyone; a perfect model, worth the prevalence; a row at the threshold."""
    y = np.array([0, 0, 0, 1])
    everyone = decision_curve(y, [0.3, 0.4, 0.5, 0.6], [0.2, 0.3])
    assert everyone["net_benefit"].to_numpy() == pytest.approx(everyone["treat_all"].to_numpy())
    perfect = decision_curve(y, [0.0, 0.0, 0.0, 1.0], np.linspace(0.01, 0.99, 9))
    assert perfect["net_benefit"].to_numpy() == pytest.approx(0.25)
    assert perfect["standardised_net_benefit"].to_numpy() == pytest.approx(1.0)
    assert decision_curve(y, [0.1, 0.1, 0.1, 0.7], 0.7).loc[0, "n_above"] == 1


def test_no_one_treated_gains_nothing_and_has_no_interval(rows):
    y, risk, patient = rows
    table = decision_curve(y, 0.5 * risk, [0.2, 0.9], groups=patient)
    assert (table.loc[1, "net_benefit"], table.loc[1, "n_above"]) == (0.0, 0)
    assert np.isnan([table.loc[1, "lower"], table.loc[1, "upper"]]).all()
    assert table.loc[0, "lower"] < table.loc[0, "net_benefit"] < table.loc[0, "upper"]


def test_errors_of_patients_as_leaving_each_out(rows):
    y, risk, patient = rows
    found = standard_errors(decision_curve(y, risk, CUTS, groups=patient), 60)
    left_out = np.array(
        [
            decision_curve(y[patient != i], risk[patient != i], CUTS)["net_benefit"]
            for i in range(60)
        ]
    )
    jackknife = np.sqrt(59 / 60 * ((left_out - left_out.mean(0)) ** 2).sum(0))
    assert found == pytest.approx(jackknife, rel=0.03)
    rowwise = standard_errors(decision_curve(y, risk, CUTS), y.size)
    assert found[0] > 1.2 * rowwise[0]
    twice = decision_curve(
        np.tile(y, 2), np.tile(risk, 2), CUTS, groups=np.tile(np.arange(y.size), 2)
    )
    assert standard_errors(twice, y.size) == pytest.approx(rowwise, rel=1e-9)


def test_known_prevalence():
    """A cohort, and the same with nine of ten controls left out, agree at its prevalence."""
    rng = np.random.default_rng(2)
    known = rng.normal(size=40_000)
    y = rng.random(known.size) < expit(known - 3)
    risk = expit(known - 3)
    kept = y | (np.arange(y.size) % 10 == 0)
    cuts = np.array([0.03, 0.1, 0.2])
    whole = decision_curve(y, risk, cuts)
    part = decision_curve(y[kept], risk[kept], cuts, prevalence=y.mean())
    assert part["treat_all"].to_numpy() == pytest.approx(whole["treat_all"].to_numpy())
    away = part["net_benefit"] - whole["net_benefit"]
    errors = standard_errors(part, int(kept.sum()))
    assert (np.abs(away) < 3 * errors).all()
    same = decision_curve(y, risk, cuts, prevalence=y.mean())
    assert same["net_benefit"].to_numpy() == pytest.approx(whole["net_benefit"].to_numpy())
    # binomial errors of both rates, added
    true, false = risk[kept & y] >= 0.1, risk[kept & ~y] >= 0.1
    expected = np.hypot(
        y.mean() * true.std() / np.sqrt(true.size),
        (1 - y.mean()) / 9 * false.std() / np.sqrt(false.size),
    )
    assert errors[1] == pytest.approx(expected, rel=1e-3)


def test_survival_without_censoring_is_the_binary_curve():
    """Intervals too, and with patients of several rows."""
    time, event, risk = survivors(np.random.default_rng(5), 300, censored=False)
    patient = np.random.default_rng(6).integers(0, 90, 300)
    for groups in (None, patient):
        survival = decision_curve_survival(time, event, risk, 24.0, CUTS, groups=groups)
        binary = decision_curve(time <= 24.0, risk, CUTS, groups=groups)
        assert survival.to_numpy() == pytest.approx(binary.to_numpy(), abs=1e-12)


def test_survival_by_lifelines():
    time, event, risk = survivors(np.random.default_rng(7), 200)
    table = decision_curve_survival(time, event, risk, 24.0, CUTS)

    def free(kept: np.ndarray) -> float:
        return float(KaplanMeierFitter().fit(time[kept], event[kept]).predict(24.0))

    for cut, row in zip(CUTS, table.itertuples(), strict=True):
        above, odds = risk >= cut, cut / (1 - cut)
        tp, fp = (1 - free(above)) * above.mean(), free(above) * above.mean()
        assert row.net_benefit == pytest.approx(tp - fp * odds, abs=1e-12)
        share = 1 - free(np.ones(200, bool))
        assert row.treat_all == pytest.approx(share - (1 - share) * odds)
        assert row.standardised_net_benefit == pytest.approx(row.net_benefit / share)


def test_survival_error_is_greenwoods_where_all_are_treated():
    time, event, risk = survivors(np.random.default_rng(8), 150)
    table = decision_curve_survival(time, event, np.maximum(risk, 0.3), 24.0, [0.3])
    fitter = KaplanMeierFitter().fit(time, event)
    counts = fitter.event_table.loc[lambda t: (t.index <= 24.0) & (t["observed"] > 0)]
    d, at_risk = counts["observed"], counts["at_risk"]
    greenwood = float(fitter.predict(24.0)) * np.sqrt((d / (at_risk * (at_risk - d))).sum())
    expected = greenwood / 0.7 * np.sqrt(150 / 149)
    assert standard_errors(table, 150)[0] == pytest.approx(expected, rel=1e-9)


def test_survival_errors_as_leaving_each_patient_out():
    time, event, risk = survivors(np.random.default_rng(9), 240)
    patient = np.argsort(np.argsort(risk + 0.1 * np.sin(time))) // 3
    found = standard_errors(
        decision_curve_survival(time, event, risk, 24.0, CUTS, groups=patient), 80
    )
    left_out = []
    for i in range(80):
        kept = patient != i
        table = decision_curve_survival(time[kept], event[kept], risk[kept], 24.0, CUTS)
        left_out.append(table["net_benefit"])
    jackknife = np.sqrt(79 / 80 * ((left_out - np.mean(left_out, axis=0)) ** 2).sum(0))
    assert found == pytest.approx(jackknife, rel=0.05)


def test_follow_up_that_ends_early():
    """Of those treated the last is censored at 20: unknown. All with the event: known."""
    time = np.array([5.0, 20.0, 30.0, 40.0, 10.0])
    event = np.array([1, 0, 0, 1, 1])
    risk = np.array([0.9, 0.9, 0.2, 0.2, 0.5])
    table = decision_curve_survival(time, event, risk, 24.0, [0.1, 0.8])
    assert np.isfinite(table.loc[0, "net_benefit"])
    assert table.loc[1, ["net_benefit", "lower", "upper"]].isna().all()
    assert table.loc[1, "n_above"] == 2
    known = decision_curve_survival(time, [1, 1, 0, 1, 1], risk, 24.0, [0.8, 0.95])
    assert known.loc[0, "net_benefit"] == pytest.approx(0.4)
    assert known.loc[0, "lower"] < 0.4 < known.loc[0, "upper"]
    assert known.loc[1, "net_benefit"] == 0.0
    assert np.isnan(known.loc[1, "lower"])


def test_an_event_at_the_horizon_counts():
    time, event = np.array([1.0, 2.0, 2.0, 3.0]), np.array([1, 1, 0, 0])
    table = decision_curve_survival(time, event, np.full(4, 0.5), 2.0, [0.5])
    # free at 2: 3/4 times 2/3, those censored at 2 being at risk there
    assert table.loc[0, "net_benefit"] == pytest.approx(0.5 - 0.5)
    earlier = decision_curve_survival(time, event, np.full(4, 0.5), 1.9, [0.5])
    assert earlier.loc[0, "net_benefit"] == pytest.approx(0.25 - 0.75)


@pytest.mark.slow
def test_survival_intervals_cover():
    """Sixty patients, 600 times: a standard error of 0.009 around 0.95, four are allowed."""
    rng = np.random.default_rng(10)
    cuts = np.array([0.1, 0.2, 0.4])
    time, _, risk = survivors(rng, 400_000, censored=False)
    truth = decision_curve(time <= 24.0, risk, cuts)["net_benefit"].to_numpy()
    inside = np.zeros(3)
    for _ in range(600):
        table = decision_curve_survival(*survivors(rng, 60), 24.0, cuts)
        inside += ((table["lower"] <= truth) & (truth <= table["upper"])).to_numpy()
    assert inside / 600 == pytest.approx(0.95, abs=0.036)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"y_true": [0, 0, 0]}, BayesdoseError, "all 3 rows are controls"),
        ({"y_true": [0, 3, 1]}, BayesdoseError, "`y_true` must be 0 or 1; entry 1 is 3"),
        ({"probability": [0.1, -0.2, 0.3]}, BayesdoseError, "entry 1 is -0.2"),
        ({"probability": [0.1, 0.2]}, BayesdoseError, "3"),
        ({"groups": [1, 1, 1]}, BayesdoseError, "of one patient"),
        ({"thresholds": [0.1, 1.0]}, ConfigError, "entry 1 is 1.0"),
        ({"thresholds": [0.0]}, ConfigError, "start at 0.01"),
        ({"thresholds": [np.nan]}, ConfigError, "entry 0 is nan"),
        ({"thresholds": []}, ConfigError, "one or more numbers"),
        ({"thresholds": ["x"]}, ConfigError, "numbers only"),
        ({"prevalence": 1.0}, ConfigError, "`prevalence`"),
        ({"prob": 0.0}, ConfigError, "`prob`"),
    ],
)
def test_refused(given, error, words):
    good = {"y_true": [0, 1, 1], "probability": [0.1, 0.2, 0.9], "thresholds": [0.5]}
    with pytest.raises(error, match=words):
        decision_curve(**(good | given))


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"time": [1.0, -2.0, 3.0]}, BayesdoseError, "entry 1 is -2.0"),
        ({"time": [1.0, np.inf, 3.0]}, BayesdoseError, "must be finite"),
        ({"event": [0, 1]}, BayesdoseError, "`event` has 2 entries"),
        ({"event": [0, 2, 1]}, BayesdoseError, "`event` must be 0 or 1"),
        ({"event": [0, 0, 1]}, BayesdoseError, "by the horizon of 2 is 0"),
        ({"risk_at_horizon": [0.1, 1.2, 0.3]}, BayesdoseError, "`risk_at_horizon` must lie from"),
        ({"horizon": 4.0}, ConfigError, "longest follow-up, 3, .* got 4.0"),
        ({"horizon": 0.0}, ConfigError, "above 0"),
        ({"horizon": np.nan}, ConfigError, "got nan"),
        ({"thresholds": 2.0}, ConfigError, "entry 0 is 2.0"),
        ({"groups": [1, 1, 1]}, BayesdoseError, "of one patient"),
    ],
)
def test_refused_survival(given, error, words):
    good = {
        "time": [1.0, 2.0, 3.0],
        "event": [1, 0, 1],
        "risk_at_horizon": [0.1, 0.2, 0.9],
        "horizon": 2.0,
        "thresholds": [0.5],
    }
    with pytest.raises(error, match=words):
        decision_curve_survival(**(good | given))
