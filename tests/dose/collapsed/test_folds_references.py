"""Leave-one-patient-out and `given` against exact quadrature, patient by patient."""

import csv

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.evaluate import hdi

CASES = ["as_measured", "one_patient_times_four"]
ERRORS = ["without_error", "with_error"]
#: What the elpd of a patient may differ by, whatever its Monte-Carlo error (log density).
CLOSE = 0.05


def same_elpd(found: pd.DataFrame, exact: dict[str, float], monte_carlo) -> None:
    assert sorted(found.index) == sorted(exact)
    for patient, truth in exact.items():
        row = found.loc[patient]
        monte_carlo.same((row["elpd"], row["mcse"]), truth, what=f"elpd of {patient}")
        assert abs(row["elpd"] - truth) < CLOSE
        assert 0 < row["mcse"] < CLOSE


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("error", ERRORS)
def test_relearnt_standardisation(tumour_fits, reference, monte_carlo, case, error):
    truth = reference("quadrature/reference_cohort_tumours")[case][error]
    found = tumour_fits[case, error].leave_one_patient_out()
    exact = truth["leave_one_out_relearned"]
    same_elpd(found.patients, exact["log_density_gy"], monte_carlo)
    total_error = np.sqrt((found.patients["mcse"] ** 2).sum())
    monte_carlo.same((found.elpd, total_error), exact["total_gy"])


def test_frozen_standardisation(tumours, tumour_priors, reference, monte_carlo):
    truth = reference("quadrature/reference_cohort_tumours")["as_measured"]["without_error"]
    columns = {}
    for name in ("suv_mean", "volume_ml"):
        log = np.log(tumours[name])
        columns[f"z_{name}"] = (log - log.mean()) / log.std(ddof=1)
    # an intercept prior that is stated applies to the raw intercept: nothing is centred anew
    model = bd.DoseModel("z_suv_mean + z_volume_ml", standardise=False, priors=tumour_priors)
    found = model.fit(tumours.assign(**columns)).leave_one_patient_out()
    same_elpd(found.patients, truth["leave_one_out_frozen"]["log_density_gy"], monte_carlo)
    relearnt = truth["leave_one_out_relearned"]["log_density_gy"]
    assert not np.allclose(found.patients["elpd"], [relearnt[p] for p in found.patients.index])


def test_sleepstudy_random_slopes(sleep_slope, reference, monte_carlo):
    truth = reference("quadrature/sleepstudy_random_slope")["result"]["leave_one_out_gy"]
    same_elpd(sleep_slope.leave_one_patient_out().patients, truth, monte_carlo)


def test_sleepstudy_random_intercepts(sleep_intercept, reference, monte_carlo, test_data):
    truth = reference("quadrature/sleepstudy_random_intercept")["result"]["leave_one_out"]
    table = pd.read_csv(test_data / "lme_reference" / "sleepstudy.csv", dtype={"Subject": str})
    total = table.groupby("Subject")["Reaction"].sum()
    # density of Reaction in ms -> of log dose = Reaction / 100 -> of the dose
    exact = {
        subject: value + 10 * np.log(100.0) - total[subject] / 100.0
        for subject, value in truth.items()
    }
    same_elpd(sleep_intercept.leave_one_patient_out().patients, exact, monte_carlo)


@pytest.mark.parametrize("error", ERRORS)
def test_predictions_of_new_patients(tumour_fits, reference_table, monte_carlo, error):
    found = tumour_fits["as_measured", error].leave_one_patient_out()
    exact = reference_table[("as_measured", error)]
    draws = pd.DataFrame(found.draws.T, index=found.predictions.index)
    weight_ess = found.patients["weight_ess"]
    for index, row in found.predictions.iterrows():
        truth = exact[row["patient_id"], row["site_id"]]
        # weights, then resampling
        ess = 1 / (1 / weight_ess[row["patient_id"]] + 1 / draws.shape[1])
        log_dose = np.log(draws.loc[index].to_numpy())
        summary = {"mean": truth["log_mean"], "sd": truth["log_sd"]}
        what = f"{row['patient_id']} {row['site_id']}"
        monte_carlo.same_summary(log_dose, ess, summary, what)
        for level, name in ((0.5, "median_gy"), (0.025, "eti95_lower_gy")):
            monte_carlo.at_quantile(log_dose, ess, level, np.log(truth[name]), 0.0, what)
        same_interval(draws.loc[index].to_numpy(), ess, truth, monte_carlo, what)
        assert row["elpd"] == pytest.approx(truth["log_density_gy"], abs=0.1)
    site_elpd = found.predictions["elpd"].to_numpy()
    target = [
        exact[p, s]["log_density_gy"]
        for p, s in zip(found.predictions["patient_id"], found.predictions["site_id"], strict=True)
    ]
    assert np.abs(site_elpd - target).mean() < 0.01


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("target", ["true", "measured"])
def test_given_rows_of_a_new_patient(
    tumours, tumour_models_without, reference, monte_carlo, error, target
):
    """Fitted without P4, then given two of its tumours: against quadrature with both."""
    truth = reference("quadrature/reference_cohort_tumours")["as_measured"][error]["given"]
    model = tumour_models_without[error]
    own = tumours[tumours["patient_id"] == truth["patient"]]
    first = own["site_id"].isin(truth["given_sites"])
    draws = model.predict_draws(own[~first], given=own[first], target=target)
    assert draws.attrs["given_pareto_k"] < 0.7
    for j, site in enumerate(own.loc[~first, "site_id"]):
        exact = truth["predictions"][site][target]
        gy = draws.isel(site=j).to_numpy().reshape(-1)
        ess = len(gy) / 3  # reweighting costs less than that here (k̂ is checked above)
        summary = {"mean": exact["log_mean"], "sd": exact["log_sd"]}
        monte_carlo.same_summary(np.log(gy), ess, summary, site)
        monte_carlo.at_quantile(gy, ess, 0.5, exact["median_gy"], 0.0, site)
        same_interval(gy, ess, exact, monte_carlo, site)


def same_interval(gy, ess, exact, monte_carlo, what: str) -> None:
    """The exact shortest interval holds 95 % of the draws, and theirs is as long."""
    # where a shortest interval ends is far noisier than what it holds
    low, high = exact["hdi95_lower_gy"], exact["hdi95_upper_gy"]
    inside = float(((gy > low) & (gy < high)).mean())
    monte_carlo.same((inside, np.sqrt(0.95 * 0.05 / ess)), 0.95, what=f"HDI of {what}")
    found_low, found_high = hdi(gy[:, None], 0.95)
    assert found_high[0] - found_low[0] == pytest.approx(high - low, rel=0.12), what


@pytest.mark.parametrize("error", ERRORS)
def test_density_of_an_unseen_patient(tumours, tumour_models_without, reference, error):
    """A refit without the patient scores the patient as the exact fold does."""
    truth = reference("quadrature/reference_cohort_tumours")["as_measured"][error]
    patient = truth["given"]["patient"]
    own = tumours[tumours["patient_id"] == patient]
    found = tumour_models_without[error].log_predictive_density(own)
    assert list(found.index) == [patient]
    exact = truth["leave_one_out_relearned"]["log_density_gy"][patient]
    assert found[patient] == pytest.approx(exact, abs=CLOSE)


@pytest.fixture(scope="module")
def tumour_models_without(tumours, tumour_priors, reference) -> dict[str, bd.DoseModel]:
    """Fitted without the patient of the references' `given`."""
    answers = reference("quadrature/reference_cohort_tumours")["as_measured"]
    patient = answers["without_error"]["given"]["patient"]
    rest = tumours[tumours["patient_id"] != patient]
    columns = {"dose_cv": "absorbed_dose_cv", "dose_cv_shared": "absorbed_dose_cv_shared"}
    out = {}
    for error in ERRORS:
        more = columns if error == "with_error" else {}
        model = bd.DoseModel("log(suv_mean) + log(volume_ml)", priors=tumour_priors, **more)
        out[error] = model.fit(rest)
    return out


@pytest.fixture(scope="module")
def reference_table(reference) -> dict:
    """(cohort, error) → (patient, site) → exact prediction."""
    from pathlib import Path

    folder = Path(__file__).resolve().parents[2] / "references" / "quadrature"
    out: dict = {}
    with (folder / "reference_cohort_tumours_predictions.csv").open() as handle:
        for row in csv.DictReader(handle):
            key = row.pop("cohort"), row.pop("error")
            site = row.pop("patient_id"), row.pop("site_id")
            out.setdefault(key, {})[site] = {name: float(value) for name, value in row.items()}
    return out
