"""Concordance: R and scikit-survival on real tables, pairs by hand, rows left out, bad input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from scipy.stats import norm
from sksurv.metrics import concordance_index_censored, concordance_index_ipcw
from sksurv.util import Surv

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate.concordance import harrell_c, uno_c
from bayesdose.evaluate.roc import auc

REFERENCES = json.loads(
    (Path(__file__).parents[1] / "references" / "survival" / "scores.json").read_text()
)
TABLES = {
    "lung": ("status", "age", 1.0, "inst"),
    "veteran": ("status", "karno", -1.0, "age"),
    "gbsg2": ("cens", "pnodes", 1.0, "age"),
}


def real(folder: Path, name: str):
    """Time, event, risk and cluster of the references' tables."""
    event, risk, sign, cluster = TABLES[name]
    table = pd.read_csv(folder / "survival_classics" / f"{name}.csv").dropna(subset=[cluster, risk])
    return (
        table["time"].to_numpy(float),
        (table[event] == 1).to_numpy(),
        sign * table[risk].to_numpy(float),
        table[cluster].to_numpy(),
    )


def grouped(rng: np.random.Generator, n: int, levels: int = 30):
    """Whole months and few risks: ties in both, and of events with censorings."""
    known = rng.normal(size=n)
    until = rng.exponential(20.0 * np.exp(-known))
    end = rng.uniform(3.0, 50.0, n)
    return np.ceil(np.minimum(until, end)), until <= end, np.round(known * levels / 6)


def by_pairs(time, event, risk, weights) -> float:
    won = total = 0.0
    for i in np.flatnonzero(event):
        later = (time > time[i]) | ((time == time[i]) & ~event)
        won += weights[i] * np.sum(later * ((risk < risk[i]) + 0.5 * (risk == risk[i])))
        total += weights[i] * later.sum()
    return won / total


@pytest.mark.parametrize("name", TABLES)
def test_as_in_r(name, test_data):
    (reference,) = [one for one in REFERENCES if one["name"] == name]
    reference = {k: v[0] if len(v) == 1 else v for k, v in reference.items() if k != "name"}
    time, event, risk, cluster = real(test_data, name)
    found = harrell_c(time, event, risk)
    assert found.c == pytest.approx(reference["harrell"], abs=1e-12)
    assert found.se == pytest.approx(reference["harrell_se"], rel=1e-9)
    assert harrell_c(time, event, risk, groups=cluster).se == pytest.approx(
        reference["harrell_se_cluster"], rel=1e-9
    )
    concordant, discordant, tied = reference["counts"][:3]
    assert (found.n_comparable, found.n_tied) == (concordant + discordant + tied, tied)
    # R takes the weights as known
    known = {"train": (time, event)}
    uno = uno_c(time, event, risk, **known)
    assert uno.c == pytest.approx(reference["uno"], abs=1e-12)
    assert uno.se == pytest.approx(reference["uno_se"], rel=1e-9)
    cut = uno_c(time, event, risk, tau=reference["tau"], **known)
    assert cut.c == pytest.approx(reference["uno_tau"], abs=1e-12)
    assert cut.se == pytest.approx(reference["uno_tau_se"], rel=1e-9)
    by_cluster = uno_c(time, event, risk, tau=reference["tau"], groups=cluster, **known)
    assert by_cluster.se == pytest.approx(reference["uno_tau_se_cluster"], rel=1e-9)


@pytest.mark.parametrize("name", TABLES)
def test_harrell_as_in_scikit_survival(name, test_data):
    time, event, risk, _ = real(test_data, name)
    value, concordant, discordant, tied, _ = concordance_index_censored(event, time, risk)
    found = harrell_c(time, event, risk)
    assert found.c == pytest.approx(value, abs=1e-12)
    assert (found.n_comparable, found.n_tied) == (concordant + discordant + tied, tied)
    assert found.n_events == event.sum()


@pytest.mark.parametrize("tau", [None, 500.0])
@pytest.mark.parametrize("name", TABLES)
def test_uno_as_in_scikit_survival(name, tau, test_data):
    """Its censorings put half a day later, which they are where days are whole numbers."""
    time, event, risk, _ = real(test_data, name)
    half = np.arange(time.size) % 2 == 0
    later = Surv.from_arrays(event, time + 0.5 * ~event)
    value = concordance_index_ipcw(later, later, risk, tau=tau)[0]
    assert uno_c(time, event, risk, tau=tau).c == pytest.approx(value, abs=1e-12)
    # trained on half of the rows, scored before their follow-up ends
    end = min(500.0, time[half].max())
    value = concordance_index_ipcw(later[half], later, risk, tau=end)[0]
    found = uno_c(time, event, risk, tau=end, train=(time[half], event[half]))
    assert found.c == pytest.approx(value, abs=1e-12)


def test_as_printed_by_survival_and_survc1(test_data):
    """Four figures. survC1 is by Uno's group; its tables with few shared times are compared."""
    path = test_data / "torchsurv_reference" / "benchmark_cindex.json"
    cases = json.loads(path.read_text())
    for one in cases:
        given = one["test_time"], one["test_status"], one["estimate"]
        assert harrell_c(*given).c == pytest.approx(one["c_Harrell_survival"][0], abs=5.1e-5)
    for one in cases[3:]:
        given = one["test_time"], one["test_status"], one["estimate"]
        found = uno_c(*given, tau=max(one["times"]))
        assert found.c == pytest.approx(one["c_Uno_survC1"][0], abs=5.1e-5)


def test_uno_without_shared_times_as_in_scikit_survival():
    rng = np.random.default_rng(1)
    time, event, risk = grouped(rng, 200)
    time = time + 0.5 * ~event
    y = Surv.from_arrays(event, time)
    found = uno_c(time, event, risk, tau=30.0)
    assert found.c == pytest.approx(concordance_index_ipcw(y, y, risk, tau=30.0)[0], abs=1e-12)
    assert found.n_events == (event & (time < 30)).sum()


@pytest.mark.filterwarnings("ignore:the concordance is 0 or 1")
@pytest.mark.parametrize("n", [2, 3, 17, 64, 65, 300])
def test_by_all_pairs(n):
    rng = np.random.default_rng(n)
    time, event, risk = grouped(rng, n)
    time[0], event[0] = 0.5, True
    assert harrell_c(time, event, risk).c == pytest.approx(
        by_pairs(time, event, risk, np.ones(n)), abs=1e-12
    )
    share = np.array([1.0 if t == 0.5 else still_followed(time, event, t) for t in time])
    weights = np.divide(1.0, share**2, where=event, out=np.zeros(n))
    assert uno_c(time, event, risk).c == pytest.approx(
        by_pairs(time, event, risk, weights), abs=1e-12
    )


def still_followed(time, event, t: float) -> float:
    """Kaplan-Meier of the censoring just before t, events of the same time gone before."""
    share = 1.0
    for u in np.unique(time[time < t]):
        leaving = np.sum((time == u) & ~event)
        if leaving:
            share *= 1 - leaving / (np.sum(time > u) + leaving)
    return share


def test_grouped_time_is_why_the_weight_is_that_before_the_event():
    """Whole months: Uno's C of censored rows is that of the same rows without censoring."""
    rng = np.random.default_rng(2)
    n = 40_000
    known = rng.normal(size=n)
    month = np.ceil(rng.exponential(10.0 * np.exp(-known)))
    end = np.ceil(rng.uniform(0.0, 20.0, n))
    truth = uno_c(month, np.ones(n), known, tau=18.0)
    found = uno_c(np.minimum(month, end), month <= end, known, tau=18.0)
    assert abs(found.c - truth.c) < 3 * np.hypot(found.se, truth.se)
    harrell = harrell_c(np.minimum(month, end), month <= end, known)
    assert abs(harrell.c - truth.c) > 3 * np.hypot(harrell.se, truth.se)


@pytest.mark.parametrize("score", [harrell_c, uno_c])
def test_errors_of_patients_as_leaving_each_out(score):
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(60), 4)
    time, event, risk = grouped(rng, 240)
    order = np.lexsort([rng.normal(size=240), risk])
    time, event, risk = time[order], event[order], risk[order]
    more = {"tau": 30.0} if score is uno_c else {}
    left_out = np.array(
        [score(*(a[patient != i] for a in (time, event, risk)), **more).c for i in range(60)]
    )
    jackknife = np.sqrt(59 / 60 * ((left_out - left_out.mean()) ** 2).sum())
    found = score(time, event, risk, groups=patient, **more)
    assert found.se == pytest.approx(jackknife, rel=0.05)
    assert score(time, event, risk, **more).se != pytest.approx(found.se, rel=0.05)


def test_interval_on_the_logit_scale():
    found = harrell_c(*grouped(np.random.default_rng(4), 100), prob=0.9)
    half = norm.ppf(0.95) * found.se / (found.c * (1 - found.c))
    assert logit([found.lower, found.upper]) == pytest.approx(
        logit(found.c) + half * np.array([-1, 1])
    )


def test_labels_are_events_at_one_time():
    """All events at time 1, all others followed to 2: the area under the ROC curve."""
    rng = np.random.default_rng(5)
    case, risk = rng.random(80) < 0.4, np.round(rng.normal(size=80), 1)
    time = np.where(case, 1.0, 2.0)
    area = auc(case, risk).auc
    assert harrell_c(time, case, risk).c == pytest.approx(area)
    assert uno_c(time, case, risk).c == pytest.approx(area)


def test_limits():
    time = np.arange(1.0, 7.0)
    event = np.ones(6)
    with pytest.warns(UserWarning, match="no interval is given"):
        perfect = harrell_c(time, event, -time)
    assert perfect.c == 1.0
    assert np.isnan([perfect.lower, perfect.upper]).all()
    same = harrell_c(time, event, np.zeros(6))
    assert (same.c, same.se, same.n_tied, same.n_comparable) == (0.5, 0.0, 15, 15)


@pytest.mark.slow
def test_intervals_cover():
    """Seventy rows, 600 times: a standard error of 0.009 around 0.95, four are allowed."""
    rng = np.random.default_rng(6)
    known = rng.normal(size=200_000)
    until = np.ceil(rng.exponential(20.0 * np.exp(-known)))
    truth = uno_c(until, np.ones(known.size), np.round(known * 5), tau=30.0).c
    inside = 0
    for _ in range(600):
        found = uno_c(*grouped(rng, 70), tau=30.0)
        inside += found.lower <= truth <= found.upper
    assert inside / 600 == pytest.approx(0.95, abs=0.036)


@pytest.mark.parametrize("score", [harrell_c, uno_c])
@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"time": [1.0, -2.0, 3.0]}, BayesdoseError, "entry 1 is -2.0"),
        ({"time": [1.0, np.nan, 3.0]}, BayesdoseError, "must be finite"),
        ({"event": [1, 0]}, BayesdoseError, "`event` has 2 entries"),
        ({"event": [0, 2, 1]}, BayesdoseError, "`event` must be 0 or 1"),
        ({"event": [0, 0, 0]}, BayesdoseError, "none of the 3 rows has an event"),
        ({"event": [0, 0, 1]}, BayesdoseError, "no two rows are comparable"),
        ({"risk": [1.0, 2.0]}, BayesdoseError, "`risk` has 2 entries"),
        ({"risk": [1.0, np.inf, 2.0]}, BayesdoseError, "entry 1 is inf"),
        ({"groups": [1, 1, 1]}, BayesdoseError, "of one patient"),
        ({"prob": 1.0}, ConfigError, "`prob`"),
    ],
)
def test_refused(score, given, error, words):
    good = {"time": [1.0, 2.0, 3.0], "event": [1, 1, 0], "risk": [0.3, 0.4, 0.1]}
    with pytest.raises(error, match=words):
        score(**(good | given))


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"tau": 0.0}, ConfigError, "`tau` must be above 0"),
        ({"tau": np.nan}, ConfigError, "got nan"),
        ({"tau": 1.0}, BayesdoseError, "no event lies before `tau` = 1"),
        ({"train": [1, 2, 3]}, ConfigError, "the pair"),
        (
            {"train": ([1.0, 1.5], [1, 0])},
            BayesdoseError,
            "last event counted is at 2.*`time_grid`",
        ),
        ({"train": ([1.0, 1.5, 9.0], [1, 0])}, BayesdoseError, "`train event` has 2 entries"),
        ({"train": ([1.0, -1.5], [1, 0])}, BayesdoseError, "`train time` must be above 0"),
    ],
)
def test_refused_by_uno(given, error, words):
    good = {"time": [1.0, 2.0, 3.0], "event": [1, 1, 0], "risk": [0.3, 0.4, 0.1]}
    with pytest.raises(error, match=words):
        uno_c(**(good | given))


def test_training_rows_that_all_leave_early():
    """The last two of them are censored at 1.5: events later than that cannot be weighted."""
    train = ([1.2, 1.5, 1.5], [1, 0, 0])
    with pytest.raises(BayesdoseError, match=r"follow-up of the training rows ends at 1\.5"):
        uno_c([1.0, 2.0, 3.0], [1, 1, 0], [0.3, 0.4, 0.1], train=train)
    assert uno_c([1.0, 2.0, 3.0], [1, 1, 0], [0.3, 0.4, 0.1], tau=1.6, train=train).c == 0.5
