"""Scores at times: scikit-survival, riskRegression, rows left out; the times; bad input."""

import json

import numpy as np
import pandas as pd
import pytest
from sksurv.metrics import brier_score, cumulative_dynamic_auc, integrated_brier_score
from sksurv.util import Surv

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate.brier import brier_survival, integrated_brier
from bayesdose.evaluate.concordance import uno_c
from bayesdose.evaluate.roc import auc
from bayesdose.evaluate.survival import dynamic_auc
from bayesdose.evaluate.time_grid import time_grid

TIMES = np.arange(4.0, 25.0, 4.0)


def grouped(rng: np.random.Generator, n: int):
    """Whole months with censoring, ties of both kinds, a rounded score, true survival at TIMES."""
    known = np.round(rng.normal(size=n), 1)
    until = rng.exponential(20.0 * np.exp(-known))
    end = rng.uniform(3.0, 50.0, n)
    survival = np.exp(-np.exp(known)[:, None] * TIMES / 20.0)
    return np.ceil(np.minimum(until, end)), until <= end, known, survival


@pytest.fixture(scope="module")
def gbsg2(test_data):
    """Time, event, a score full of ties, days at which to score, made-up survival there."""
    table = pd.read_csv(test_data / "survival_classics" / "gbsg2.csv")
    risk, times = table["pnodes"].to_numpy(float), np.arange(200.0, 2001.0, 100.0)
    survival = np.exp(-np.exp(0.1 * risk)[:, None] * times / 5000.0)
    return table["time"].to_numpy(float), table["cens"].to_numpy() == 1, risk, times, survival


def later(time, event):
    """Censorings half a day after the events of their day, as scikit-survival must be told."""
    return Surv.from_arrays(event, time + 0.5 * ~event)


@pytest.mark.parametrize("trained", [False, True])
def test_as_in_scikit_survival(gbsg2, trained):
    time, event, risk, times, survival = gbsg2
    half = np.arange(time.size) % 2 == 0
    y = later(time, event)
    y_train = y[half] if trained else y
    train = (time[half], event[half]) if trained else None
    areas, mean = cumulative_dynamic_auc(y_train, y, risk, times + 0.5)
    found = dynamic_auc(time, event, risk, times, train=train)
    assert found.table["auc"].to_numpy() == pytest.approx(areas, abs=1e-12)
    assert found.mean == pytest.approx(mean, abs=1e-12)
    _, scores = brier_score(y_train, y, survival, times + 0.5)
    brier = brier_survival(time, event, survival, times, train=train)
    assert brier["brier"].to_numpy() == pytest.approx(scores, abs=1e-12)
    integrated = integrated_brier(time, event, survival, times, train=train)
    expected = integrated_brier_score(y_train, y, survival, times + 0.5)
    assert integrated.brier == pytest.approx(expected, abs=1e-12)
    assert (integrated.first, integrated.last) == (200.0, 2000.0)
    assert integrated.scaled == pytest.approx(1 - integrated.brier / integrated.null)


def test_where_no_times_are_shared_it_is_plain_scikit_survival():
    time, event, risk, survival = grouped(np.random.default_rng(1), 150)
    time = time + 0.5 * ~event
    y = Surv.from_arrays(event, time)
    found = dynamic_auc(time, event, risk, TIMES)
    assert found.table["auc"].to_numpy() == pytest.approx(
        cumulative_dynamic_auc(y, y, risk, TIMES)[0], abs=1e-12
    )
    one = dynamic_auc(time, event, risk, TIMES[2])
    assert (one.mean, one.se) == pytest.approx(tuple(one.table.loc[0, ["auc", "se"]]))
    assert brier_survival(time, event, survival, TIMES)["brier"].to_numpy() == pytest.approx(
        brier_score(y, y, survival, TIMES)[1], abs=1e-12
    )


def test_risks_that_change_with_time(gbsg2):
    time, event, risk, times, survival = gbsg2
    at_times = (1 - survival) * (1 + np.sin(np.outer(risk, times)))
    areas, mean = cumulative_dynamic_auc(*[later(time, event)] * 2, at_times, times + 0.5)
    found = dynamic_auc(time, event, at_times, times)
    assert found.table["auc"].to_numpy() == pytest.approx(areas, abs=1e-12)
    assert found.mean == pytest.approx(mean, abs=1e-12)


@pytest.mark.filterwarnings("ignore:the area at .* is 0 or 1")
@pytest.mark.parametrize("case", range(6))
def test_areas_and_errors_as_in_risk_regression(case, test_data):
    """Four printed figures; its standard errors hold the estimation of G."""
    path = test_data / "torchsurv_reference" / "benchmark_auc.json"
    one = json.loads(path.read_text())[case]
    time, times = np.array(one["test_time"], float), np.array(one["times"], float)
    kept = times < time.max()
    found = dynamic_auc(time, one["test_status"], one["estimate"], times[kept]).table
    areas, errors = (
        np.array([np.nan if value == "NaN" else value for value in one[name]], float)[kept]
        for name in ("auc_cd_Uno_riskRegression", "auc_cd_Uno_se_riskRegression")
    )
    assert found["auc"].to_numpy() == pytest.approx(areas, abs=5.1e-5)
    assert found["se"].to_numpy() == pytest.approx(errors, abs=5.1e-5)
    assert kept.sum() > 40


def test_known_numbers_of_cases_and_controls():
    table = dynamic_auc([1, 2, 2, 3, 5, 6], [1, 1, 0, 0, 1, 0], [6, 3, 4, 5, 1, 2], [2, 5]).table
    assert table["n_cases"].tolist() == [2, 3]
    assert table["n_controls"].tolist() == [3, 1]
    # at 2 one case wins all three comparisons, the other two of three (risks 4, 5, 1, 2);
    # at 5 the cases weigh 1, 1 and 1 / (3/4 * 2/3), and the last of them loses
    assert table["auc"].to_numpy() == pytest.approx([5 / 6, (1 + 1 + 0) / 4])


def test_an_area_of_one_has_no_interval():
    time = np.arange(1.0, 9.0)
    with pytest.warns(UserWarning, match=r"the area at 2 of 3 times \(2, 3\) is 0 or 1"):
        found = dynamic_auc(time, np.ones(8), [9, 8, 7, 2, 6, 5, 4, 3], [2, 3, 5])
    assert found.table["lower"].isna().tolist() == [True, True, False]
    assert found.lower < found.mean < found.upper


def test_without_censoring_area_and_brier_are_those_of_labels():
    rng = np.random.default_rng(2)
    time, _, risk, survival = grouped(rng, 200)
    found = dynamic_auc(time, np.ones(200), risk, TIMES).table
    brier = brier_survival(time, np.ones(200), survival, TIMES)
    for j, t in enumerate(TIMES):
        case = time <= t
        assert found.loc[j, "auc"] == pytest.approx(auc(case, risk).auc)
        squares = (survival[:, j] - ~case) ** 2
        assert brier.loc[j, "brier"] == pytest.approx(squares.mean())
        assert brier.loc[j, "se"] == pytest.approx(squares.std(ddof=1) / np.sqrt(200))
        assert brier.loc[j, "null"] == pytest.approx(case.mean() * (1 - case.mean()))


def test_errors_of_patients_as_leaving_each_out():
    rng = np.random.default_rng(3)
    time, event, risk, survival = grouped(rng, 240)
    patient = np.argsort(np.argsort(risk + 0.3 * rng.normal(size=240))) // 3

    def scores(kept, **more):
        given = time[kept], event[kept]
        return (
            dynamic_auc(*given, risk[kept], TIMES, **more),
            brier_survival(*given, survival[kept], TIMES, **more),
            integrated_brier(*given, survival[kept], TIMES, **more),
        )

    left_out = []
    for i in range(80):
        area, brier, integrated = scores(patient != i)
        left_out.append([*area.table["auc"], area.mean, *brier["brier"], integrated.brier])
    jackknife = np.sqrt(79 / 80 * ((left_out - np.mean(left_out, axis=0)) ** 2).sum(0))
    area, brier, integrated = scores(np.ones(240, bool), groups=patient)
    errors = [*area.table["se"], area.se, *brier["se"], integrated.se]
    assert errors == pytest.approx(jackknife, rel=0.05)


def test_grouped_time_does_not_bias_the_brier_score():
    """Whole months, censored and not: within three standard errors; G(T) for G(T-) is outside."""
    rng = np.random.default_rng(4)
    n = 150_000
    known = rng.normal(size=n)
    month = np.ceil(rng.exponential(10.0 * np.exp(-known)))
    end = np.ceil(rng.uniform(0.0, 20.0, n))
    time, event = np.minimum(month, end), month <= end
    survival = np.exp(-1.5 * np.exp(known))[:, None]
    truth = np.mean((survival[:, 0] - (month > 15)) ** 2)
    (found,) = brier_survival(time, event, survival, 15.0).itertuples()
    assert abs(found.brier - truth) < 3 * found.se
    y = Surv.from_arrays(event, time)
    assert brier_score(y, y, survival, 15.0)[1][0] - truth > 3 * found.se


@pytest.mark.slow
def test_intervals_cover():
    """Eighty rows, 600 times: a standard error of 0.009 around 0.95, four are allowed."""
    rng = np.random.default_rng(5)
    known = np.round(rng.normal(size=200_000), 1)
    month = np.ceil(rng.exponential(20.0 * np.exp(-known)))
    survival = np.exp(-np.exp(known)[:, None] * TIMES / 20.0)
    area = dynamic_auc(month, np.ones(known.size), known, TIMES)
    brier = brier_survival(month, np.ones(known.size), survival, TIMES)["brier"].to_numpy()
    inside = np.zeros(3)
    for _ in range(600):
        time, event, risk, predicted = grouped(rng, 80)
        found = dynamic_auc(time, event, risk, TIMES)
        at = found.table.loc[3]
        mine = brier_survival(time, event, predicted, TIMES).loc[3]
        inside += [
            found.lower <= area.mean <= found.upper,
            at["lower"] <= area.table.loc[3, "auc"] <= at["upper"],
            mine["lower"] <= brier[3] <= mine["upper"],
        ]
    assert inside / 600 == pytest.approx(0.95, abs=0.036)


def test_grid_inside_the_follow_up_of_both():
    """Events by 3 of at least two rows; two training rows go on after 7, none after 8."""
    time, event = [1, 3, 5, 6, 8, 9, 10], [1, 1, 0, 1, 0, 1, 0]
    grid = time_grid(time, event, train=([2, 4, 7, 8, 8], [1, 0, 1, 0, 1]), n_times=5, least=2)
    assert grid.times == pytest.approx([3, 4, 5, 6, 7])
    assert (grid.lowest, grid.truncation, grid.n_beyond, grid.n_events_beyond) == (3, 7, 3, 1)
    assert "from 3, by when 2 rows had the event, to 7" in grid.reason
    assert "2 of the training rows outlast; 3 rows are followed beyond, 1 with" in grid.reason
    own = time_grid(time, event, least=2)
    assert (own.truncation, own.times.size) == (8, 50)
    assert "of the rows scored outlast" in own.reason


def test_every_score_takes_the_grid():
    rng = np.random.default_rng(6)
    for seed in range(20):
        time, event, risk, _ = grouped(np.random.default_rng(seed), 60)
        train = grouped(rng, 60)[:2]
        grid = time_grid(time, event, train=train, n_times=7)
        survival = np.exp(-np.exp(risk)[:, None] * grid.times / 20.0)
        more = {"train": train}
        assert len(dynamic_auc(time, event, risk, grid.times, **more).table) == 7
        assert integrated_brier(time, event, survival, grid.times, **more).brier < 0.3
        assert 0.5 < uno_c(time, event, risk, tau=grid.truncation, **more).c < 1


TIME, EVENT, RISK = [1.0, 2.0, 3.0, 4.0], [1, 1, 0, 1], [0.3, 0.4, 0.1, 0.2]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"event": [0, 0, 0, 0]}, BayesdoseError, "none of the 4 rows has an event"),
        ({"event": [0, 1]}, BayesdoseError, "`event` has 2 entries"),
        ({"time": [1.0, -2.0, 3.0, 4.0]}, BayesdoseError, "entry 1 is -2.0"),
        ({"times": [2.0, 4.0]}, ConfigError, "before 4, .* of the rows ends; entry 1 is 4"),
        ({"times": [0.0, 2.0]}, ConfigError, "entry 0 is 0"),
        ({"times": [2.0, np.nan]}, ConfigError, "increasing"),
        ({"times": [3.0, 2.0]}, ConfigError, "increasing"),
        ({"times": []}, ConfigError, "one or more"),
        ({"times": "x"}, ConfigError, "numbers only"),
        ({"train": ([1.0, 2.5], [0, 1])}, ConfigError, "training rows ends; entry 1 is 3"),
        ({"groups": [1, 1, 1, 1]}, BayesdoseError, "of one patient"),
        ({"prob": 0.0}, ConfigError, "`prob`"),
    ],
)
def test_refused(given, error, words):
    good = {"time": TIME, "event": EVENT, "times": [2.0, 3.0]}
    survival = np.tile([0.6, 0.4], (4, 1))
    for score, predicted in (
        (dynamic_auc, {"risk": RISK}),
        (brier_survival, {"survival": survival}),
        (integrated_brier, {"survival": survival}),
    ):
        with pytest.raises(error, match=words):
            score(**(good | predicted | given))


@pytest.mark.parametrize(
    ("risk", "times", "words"),
    [
        ([0.1, 0.2], [2.0], "`risk` has 2 entries"),
        (np.zeros((4, 3)), [2.0, 3.0], r"\(4, 2\); got \(4, 3\)"),
        ([[0.1], [np.nan], [0.2], [0.3]], [2.0], "entry 1 is nan"),
        (RISK, [0.5, 2.0], "no row has the event by time 0.5"),
    ],
)
def test_refused_by_the_area(risk, times, words):
    with pytest.raises(BayesdoseError, match=words):
        dynamic_auc(TIME, EVENT, risk, times)


@pytest.mark.parametrize(
    ("survival", "words"),
    [
        (np.full((4, 3), 0.5), r"here \(4, 2\); got \(4, 3\)"),
        (np.tile([0.6, 1.4], (4, 1)), "row 0 at time 1 is 1.4 .* not a risk score"),
        (np.tile([0.6, np.nan], (4, 1)), "row 0 at time 1 is nan"),
        (np.tile([0.4, 0.6], (4, 1)), "must not rise .* row 0 goes from 0.4 to 0.6 .4 such rows"),
        ("x", "numbers only"),
    ],
)
def test_refused_by_the_brier_score(survival, words):
    with pytest.raises(BayesdoseError, match=words):
        brier_survival(TIME, EVENT, survival, [2.0, 3.0])


def test_averages_need_times_and_a_null_that_errs():
    with pytest.raises(ConfigError, match="two or more"):
        integrated_brier(TIME, EVENT, np.full((4, 1), 0.5), [2.0])
    early = np.full((4, 2), 1.0)
    with pytest.raises(BayesdoseError, match=r"no row has the event from 0\.2 to 0\.5"):
        integrated_brier(TIME, EVENT, early, [0.2, 0.5])
    assert np.isnan(brier_survival(TIME, EVENT, early, [0.2, 0.5])["scaled"]).all()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"least": 3}, BayesdoseError, "too short: with `least` = 3"),
        ({"least": 9}, BayesdoseError, "the 9th of 3 events"),
        ({"n_times": 1}, ConfigError, "got 1 and 1"),
        ({"least": 0}, ConfigError, "got 50 and 0"),
        ({"event": [0, 0, 0, 0]}, BayesdoseError, "none of the 4 rows"),
        ({"train": ([0.5, 0.6], [0, 1])}, BayesdoseError, "too short"),
        ({"train": 3}, ConfigError, "the pair"),
    ],
)
def test_grid_refused(given, error, words):
    with pytest.raises(error, match=words):
        time_grid(**({"time": TIME, "event": EVENT, "least": 1} | given))
