"""Value of information against the updates of simulated measurements."""

import numpy as np
import pytest

import bayesdose as bd
from bayesdose.dose.cycles import cycle_doses
from bayesdose.planning import value_of_information


@pytest.mark.slow
def test_reduction_is_what_simulated_measurements_bring(model, patient, sites) -> None:
    few = sites[sites["site_id"].isin(["T01", "T02", "kidney_left", "parotid_left"])]
    rows = patient[patient["site_id"].isin(few["site_id"])]
    found = value_of_information(model, rows)
    fitted, n = model._state(), 60
    drawn = model.predict_draws(rows, target="measured", random_seed=9).to_numpy()
    drawn = np.random.default_rng(1).permutation(drawn.reshape(-1, len(rows)))[:n]
    for k, site in enumerate(rows["site_id"]):
        before, after = [], []
        for number, gy in enumerate(drawn[:, k]):
            given = rows[rows["site_id"] == site].assign(absorbed_dose_gy=gy)
            others = rows[rows["site_id"] != site]
            doses = cycle_doses(
                fitted,
                others,
                1,
                kind="new_patient",
                given=given,
                between_cycle="persistent",
                random_seed=number,
            )
            before.append(np.log(doses.before[:, :, 0]).var(0))
            after.append(np.log(doses.gy_per_gbq[:, :, 0]).var(0))
        saved = np.array(before) - np.array(after)
        mine = found[(found["measured_site_id"] == site) & (found["site_id"] != site)]
        error = saved.std(0, ddof=1) / np.sqrt(n)
        expected = mine["reduction"].to_numpy()
        assert list(mine["site_id"]) == list(others["site_id"])
        assert (np.abs(saved.mean(0) - expected) < 4 * error + 0.01 * expected).all()


def test_variance_is_that_of_the_prediction(model, patient) -> None:
    rows = patient.head(3)
    found = value_of_information(model, rows)
    log_dose = np.log(model.predict_draws(rows).to_numpy().reshape(-1, 3))
    np.testing.assert_allclose(found["variance"].to_numpy()[:3], log_dose.var(0), rtol=0.15)


def test_one_normal_law_has_a_closed_form(model, patient) -> None:
    """With one draw of θ, the reduction is cov² / (var + error)."""
    from bayesdose.dose.joint_patient import Moments
    from bayesdose.planning.information import _reduction

    rng = np.random.default_rng(1)
    root = rng.normal(size=(3, 3))
    covariance = root @ root.T
    mean = rng.normal(size=(1, 3))
    own = np.diagonal(covariance)[None]
    found = Moments(mean, own, mean, own + 0.2, covariance[None], np.ones(1), patient.head(3))
    expected = covariance[1] ** 2 / (covariance[1, 1] + 0.2)
    np.testing.assert_allclose(_reduction(found, 1), expected, rtol=2e-3)


def test_measuring_a_site_tells_most_about_it(model, patient) -> None:
    found = value_of_information(model, patient, dose_cv=0.1)
    table = found.pivot(index="measured_site_id", columns="site_id", values="share")
    assert (table.to_numpy().argmax(0) == np.arange(len(table))).all()
    assert ((found["share"] > 0) & (found["share"] <= 1)).all()
    # kidneys of a patient are alike, and tell little of tumours
    assert table.loc["kidney_left", "kidney_right"] > 0.5 > table.loc["kidney_left", "T01"]


def test_what_was_measured_leaves_less_to_learn(model, patient) -> None:
    kidney = patient["site_id"] == "kidney_left"
    rest = patient[~kidney]
    before = value_of_information(model, rest, dose_cv=0.1)
    after = value_of_information(model, rest, given=patient[kidney], dose_cv=0.1)
    right = (before["measured_site_id"] == "kidney_right") & (before["site_id"] == "kidney_right")
    assert after.loc[right, "reduction"].iloc[0] < 0.5 * before.loc[right, "reduction"].iloc[0]


def test_shared_calibration_leaves_little_to_learn(model, patient) -> None:
    """Two kidneys measured with one calibration: the second repeats the error of the first."""
    left, right = (patient[patient["site_id"] == f"kidney_{side}"] for side in ("left", "right"))
    parts = {"dose_cv": 0.05, "dose_cv_shared": 0.15}
    first = left.assign(absorbed_dose_cv=0.05, absorbed_dose_cv_shared=0.15)
    same, other = (
        value_of_information(model, right.assign(cycle=cycle), given=first, **parts)["share"].iloc[
            0
        ]
        for cycle in (1, 2)
    )
    assert same < 0.15 < 0.3 < other


def test_worse_measurements_tell_less(model, patient) -> None:
    sharp, blunt = (value_of_information(model, patient.head(2), dose_cv=cv) for cv in (0.05, 0.5))
    assert (blunt["reduction"] < sharp["reduction"]).all()


@pytest.mark.parametrize("cv", [-0.1, "0.1", np.nan])
def test_bad_uncertainty(model, patient, cv) -> None:
    with pytest.raises(bd.ConfigError, match="dose_cv"):
        value_of_information(model, patient, dose_cv=cv)


def test_uncertainty_must_be_known(model, sites) -> None:
    with pytest.raises(bd.ConfigError, match="dose_cv: not given"):
        value_of_information(model, sites)


def test_one_patient_at_a_time(model, cohort) -> None:
    with pytest.raises(bd.ConfigError, match="those of one"):
        value_of_information(model, cohort)


def test_site_that_was_measured_is_refused(model, patient) -> None:
    with pytest.raises(bd.PredictionError, match="measured already"):
        value_of_information(model, patient, given=patient.head(1))
