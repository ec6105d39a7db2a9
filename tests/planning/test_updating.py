"""Updates against a refit, and against the package's other way to condition."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.dose.cycles import cycle_doses
from bayesdose.planning import update_report


@pytest.fixture(scope="module")
def given(patient: pd.DataFrame) -> pd.DataFrame:
    return patient[patient["site_id"].isin(["T01", "kidney_left"])]


@pytest.fixture(scope="module")
def report(model, sites, given) -> pd.DataFrame:
    return update_report(model, sites, given, activity_gbq=7.4)


def of_cycles(model, sites, given, kind="new_patient") -> np.ndarray:
    found = cycle_doses(
        model._state(),
        sites,
        1,
        kind=kind,
        given=given,
        between_cycle="persistent",
        random_seed=None,
    )
    return np.log(found.gy_per_gbq[:, :, 0])


def same(found: np.ndarray, expected: np.ndarray) -> None:
    """Means, sds and tails of (S, n) log doses agree, both being worth 2000 draws or more."""
    error = np.sqrt(2 / 2000)
    sd = expected.std(0)
    assert (np.abs(found.mean(0) - expected.mean(0)) < 4 * error * sd).all()
    # log sd of heavy-tailed draws: kurtosis up to 6
    assert (np.abs(np.log(found.std(0) / sd)) < 4 * error * np.sqrt(5 / 4)).all()
    for level in (0.05, 0.95):
        below = (found <= np.quantile(expected, level, axis=0)).mean(0)
        assert (np.abs(below - level) < 4 * error * np.sqrt(0.05 * 0.95)).all()


def test_update_equals_a_refit(model, training, sites, given) -> None:
    after = of_cycles(model, sites, given)
    refit = bd.DoseModel(**model.get_params()).fit(pd.concat([training, given]))
    expected = of_cycles(refit, sites, None, "known_patient")
    same(after, expected)


def test_update_of_other_sites_equals_predict(model, patient, given) -> None:
    others = patient[~patient["site_id"].isin(given["site_id"])]
    after = of_cycles(model, others, given)
    log_activity = np.log(others["administered_activity_gbq"].to_numpy())
    expected = model.predict_draws(others, kind="known_patient", given=given)
    expected = np.log(expected.to_numpy().reshape(-1, len(others))) - log_activity
    same(after, expected)


def test_patients_do_not_move_each_other(model, cohort, given) -> None:
    """Each is updated alone, whoever else is in the table."""
    relabelled = cohort.assign(patient_id="N" + cohort["patient_id"])
    mine = relabelled[relabelled["patient_id"] == "NP1"]
    measured = relabelled[relabelled["site_id"].isin(["T01", "kidney_left"])]
    together = of_cycles(model, relabelled, measured)
    alone = of_cycles(model, mine, measured[measured["patient_id"] == "NP1"])
    here = (relabelled["patient_id"] == "NP1").to_numpy()
    same(together[:, here], alone)


def test_report_has_prior_measurement_and_update(report, sites, given) -> None:
    assert list(report["site_id"]) == list(sites["site_id"])
    measured = report["measured_gy"].notna()
    assert set(report.loc[measured, "site_id"]) == {"T01", "kidney_left"}
    np.testing.assert_allclose(
        report.loc[measured, "measured_gy"].to_numpy(), given["absorbed_dose_gy"].to_numpy()
    )
    width = {
        what: (report[f"{what}_upper"] / report[f"{what}_lower"])[measured]
        for what in ("prior", "updated")
    }
    assert (width["updated"] < 0.5 * width["prior"]).all()
    assert not report["implausible"].any()
    assert not report["refit"].any()


def test_percentile_is_the_predictive_probability(model, sites, given, patient, report) -> None:
    draws = model.predict_draws(given.drop(columns="absorbed_dose_gy"), target="measured")
    below = (draws < given["absorbed_dose_gy"].to_numpy()).mean(("chain", "draw"))
    found = report.loc[report["measured_gy"].notna(), "percentile"]
    np.testing.assert_allclose(found, below, atol=4 * 0.5 / np.sqrt(2000))


def test_new_rows_of_a_patient_in_training(model, training, patient, given) -> None:
    """The percentile is then that given the rows in training."""
    refit = bd.DoseModel(**model.get_params()).fit(pd.concat([training, given]))
    other = patient[patient["site_id"] == "kidney_right"]
    found = update_report(refit, other, other)
    draws = refit.predict_draws(
        other.drop(columns="absorbed_dose_gy"), kind="known_patient", target="measured"
    )
    below = float((draws < other["absorbed_dose_gy"].to_numpy()).mean())
    assert found["percentile"].iloc[0] == pytest.approx(below, abs=4 * 0.5 / np.sqrt(2000))


def test_site_that_was_only_measured_is_listed_last(model, sites, given) -> None:
    others = sites[sites["site_id"] != "T01"]
    found = update_report(model, others, given, activity_gbq=7.4)
    last = found.iloc[-1]
    assert last["site_id"] == "T01"
    assert np.isnan(last["updated_median"])
    assert last["measured_gy"] > 0


def test_dose_is_at_the_stated_activity(model, sites, patient, given, report) -> None:
    twice = update_report(model, sites, given, activity_gbq=14.8)
    np.testing.assert_allclose(twice["updated_median"], 2 * report["updated_median"])
    rows = sites.assign(administered_activity_gbq=7.4)
    pd.testing.assert_frame_equal(update_report(model, rows, given), report)


def test_contradiction_is_flagged(model, sites, given) -> None:
    wrong = given.assign(absorbed_dose_gy=given["absorbed_dose_gy"] * [1.0, 8.0])
    found = update_report(model, sites, wrong, activity_gbq=7.4).set_index("site_id")
    assert found.loc["kidney_left", "implausible"]
    assert not found.loc["T01", "implausible"]
    assert found.loc["kidney_right", "updated_median"] > found.loc["kidney_right", "prior_median"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hdi_prob": 1.0}, "hdi_prob"),
        ({"activity_gbq": 0.0}, "activity_gbq"),
        ({"activity_gbq": "7.4"}, "activity_gbq"),
        ({"activity_gbq": True}, "activity_gbq"),
        ({}, "no activity above 0"),
        ({"given": None, "activity_gbq": 7.4}, "no measured row"),
    ],
    ids=str,
)
def test_bad_arguments(model, sites, given, arguments, message) -> None:
    with pytest.raises(bd.ConfigError, match=message):
        update_report(model, sites, **({"given": given} | arguments))


def test_rows_in_training_are_refused(model, training, sites) -> None:
    with pytest.raises(bd.PredictionError, match="count twice"):
        update_report(model, training, training.head(1))


def test_engine_must_collapse(training, sites, given) -> None:
    table = training[training["tissue"] == "kidney"]
    model = bd.DoseModel("log(suv_mean)").fit(table, draws=400)
    fitted = model._state()
    model._fitted = replace(fitted, draws=replace(fitted.draws, precision=None, shift=None))
    kidneys = sites[sites["tissue"] == "kidney"]
    with pytest.raises(bd.PredictionError, match="collapsed"):
        update_report(model, kidneys, given[given["tissue"] == "kidney"], activity_gbq=7.4)
