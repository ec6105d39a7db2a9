"""Restricted means: R's survival on real tables, brute force over patients, bad input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time
from scipy.stats import norm

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate.restricted_mean import restricted_mean

REFERENCES = json.loads(
    (Path(__file__).parents[1] / "references" / "survival" / "groups.json").read_text()
)["curves"]


def read(folder: Path, name: str) -> dict[str, object]:
    """Rows of a reference."""
    table = pd.read_csv(folder / "survival_classics" / f"{name.split()[0]}.csv")
    if name.startswith("lung"):
        table = table.dropna(subset=["inst", "ph.ecog"])
        table = table[table["ph.ecog"] < 3]
    by = name.split(",")[0].split(" by ")[1]
    group = table[by.split()[-1]]
    if by.startswith("tertile"):
        group = np.searchsorted(np.quantile(group, [1 / 3, 2 / 3]), group, side="right")
    patients = None
    if "patients" in name:
        patients = table["inst" if name.startswith("lung") else "tsize"]
    event = table["cens" if name.startswith("gbsg2") else "status"]
    return {"time": table["time"], "event": event, "by": group, "groups": patients}


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda one: one["name"])
def test_is_survmean(test_data, reference):
    rows = read(test_data, reference["name"])
    found = restricted_mean(**rows, tau=reference["tau"], prob=reference["prob"])
    np.testing.assert_allclose(found.table["rmst"], reference["rmst"], rtol=1e-9)
    errors = "rmst_se" if rows["groups"] is None else "rmst_patient_se"
    np.testing.assert_allclose(found.table["se"], reference[errors], rtol=1e-9)
    away = found.differences
    np.testing.assert_allclose(away["se"], reference["difference_se"], rtol=1e-9)
    np.testing.assert_allclose(
        away["difference"], np.subtract(reference["rmst"][1:], reference["rmst"][0]), rtol=1e-6
    )
    z = norm.ppf(0.5 + reference["prob"] / 2)
    for table, value in ((found.table, "rmst"), (away, "difference")):
        np.testing.assert_allclose(table["upper"] - table[value], z * table["se"])
        np.testing.assert_allclose(table[value] - table["lower"], z * table["se"])
    np.testing.assert_allclose(
        away["p_value"], 2 * norm.sf((away["difference"] / away["se"]).abs()), rtol=1e-9
    )


@pytest.fixture(scope="module")
def rows():
    """Patients with one to several rows, in both groups, with tied times."""
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(40), 1 + rng.poisson(1.5, 40))
    until = rng.exponential(20.0 * np.exp(rng.normal(size=40))[patient])
    end = rng.uniform(15.0, 50.0, patient.size)
    return np.ceil(np.minimum(until, end)), until <= end, patient, rng.integers(0, 2, patient.size)


def test_area_is_lifelines(rows):
    time, event, _, _ = rows
    for tau in (0.5, 7.0, 14.3, 30.0):
        fitter = KaplanMeierFitter().fit(time, event)
        found = restricted_mean(time, event, tau)
        area = restricted_mean_survival_time(fitter, t=tau)
        assert found.table.loc[0, "rmst"] == pytest.approx(area, rel=1e-6)
        assert found.tau == tau
        assert found.differences.empty


def test_error_of_a_difference_by_leaving_patients_out(rows):
    """Patients with rows in both groups: as the jackknife, and not as independent groups."""
    time, event, patient, by = rows
    found = restricted_mean(time, event, 15.0, by=by, groups=patient).differences
    left_out = [
        restricted_mean(time[kept], event[kept], 15.0, by=by[kept]).differences["difference"][0]
        for kept in (patient != one for one in range(40))
    ]
    jackknife = np.sqrt(39 / 40 * np.sum((left_out - np.mean(left_out)) ** 2))
    assert found.loc[0, "se"] == pytest.approx(jackknife, rel=0.05)
    apart = restricted_mean(time, event, 15.0, by=by).differences
    assert found.loc[0, "difference"] == pytest.approx(apart.loc[0, "difference"])
    assert found.loc[0, "se"] != pytest.approx(apart.loc[0, "se"], rel=0.05)


def test_window(rows):
    time, event, _, by = rows
    shortest = min(time[by == 0].max(), time[by == 1].max())
    assert restricted_mean(time, event, by=by).tau == shortest
    # a curve that fell to 0 is known beyond its last time
    fell = restricted_mean([1, 2, 3, 9], [1, 1, 1, 0], 8.0, by=["a", "a", "b", "b"])
    assert fell.table["rmst"].to_numpy() == pytest.approx([1.5, 0.5 * (3 + 8)])
    alike = restricted_mean([2.0, 2.0, 4.0, 4.0], [1, 1, 0, 0], 4.0)
    assert alike.table.loc[0, "rmst"] == pytest.approx(3.0)


def test_without_an_error_of_its_own():
    """No event in the window, or one patient."""
    quiet = restricted_mean([5, 6, 2, 3, 6], [0, 1, 1, 1, 0], 4.0, by=["a", "a", "b", "b", "b"])
    assert quiet.table.loc[0, "rmst"] == 4.0
    assert quiet.table.loc[0, ["se", "lower", "upper"]].isna().all()
    assert quiet.table.loc[1, "se"] > 0
    assert quiet.differences.loc[0, ["se", "lower", "upper", "p_value"]].isna().all()
    alone = restricted_mean([1, 2, 3], [1, 0, 0], groups=["p", "p", "p"])
    assert np.isnan(alone.table.loc[0, "se"])


def test_intervals_cover():
    """Sixty patients a group, 600 times: standard error 0.009, four allowed; and the test's size.

    Exponential times of mean 20, window 15.
    """
    rng = np.random.default_rng(6)
    truth = 20.0 * (1.0 - np.exp(-15.0 / 20.0))
    inside = small = 0
    by = np.arange(120) % 2
    for _ in range(600):
        until, end = rng.exponential(20.0, 120), rng.uniform(5.0, 60.0, 120)
        found = restricted_mean(np.minimum(until, end), until <= end, 15.0, by=by)
        row = found.table.iloc[0]
        inside += row["lower"] <= truth <= row["upper"]
        small += found.differences.loc[0, "p_value"] < 0.05
    assert inside / 600 == pytest.approx(0.95, abs=0.036)
    assert small / 600 == pytest.approx(0.05, abs=0.036)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"tau": 5.0}, ConfigError, "group 'b' ends at 4 .* allowed is up to 4"),
        ({"tau": 0.0}, ConfigError, "`tau` must be above 0"),
        ({"tau": np.nan}, ConfigError, "got nan"),
        ({"prob": 0.0}, ConfigError, "`prob`"),
        ({"time": [1.0, 2.0, 3.0, 0.0]}, BayesdoseError, "above 0; entry 3"),
        ({"event": [1, 1, 0.5, 0]}, BayesdoseError, "`event` must be 0 or 1; entry 2"),
        ({"groups": [1, 2, 3, None]}, BayesdoseError, "`groups` has no label"),
    ],
)
def test_refused(given, error, words):
    good = {"time": [1.0, 2.0, 9.0, 4.0], "event": [1, 1, 0, 0], "by": ["a", "b", "a", "b"]}
    with pytest.raises(error, match=words):
        restricted_mean(**(good | given))
