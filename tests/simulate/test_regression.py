from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayesdose.errors import ConfigError
from bayesdose.simulate import RegressionParameters, dose_cohort, draw_regression_doses

PARAMETERS = RegressionParameters()
N_PATIENTS = 4000


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    frame = dose_cohort(N_PATIENTS, random_seed=1, generator="regression", truth=True)
    per_gbq = frame["true_absorbed_dose_gy"] / frame["administered_activity_gbq"]
    return frame.assign(deviation=np.log(per_gbq) - predictor(frame))


def predictor(frame: pd.DataFrame) -> np.ndarray:
    """x'beta by hand, for the default coefficients."""
    of = PARAMETERS.coefficients
    log_suv, log_volume = np.log(frame["suv_mean"]), np.log(frame["volume_ml"])
    by_tissue = {
        "tumour": of["tumour"]["Intercept"]
        + of["tumour"]["log(suv_mean)"] * log_suv
        + of["tumour"]["log(volume_ml)"] * log_volume,
        "salivary_gland": of["salivary_gland"]["Intercept"]
        + of["salivary_gland"]["log(suv_mean)"] * log_suv,
        "kidney": of["kidney"]["Intercept"]
        + of["kidney"]["log(suv_mean)"] * log_suv
        + of["kidney"]["egfr_ml_min_1p73m2"] * frame["egfr_ml_min_1p73m2"],
    }
    tissue = frame["tissue"].to_numpy()
    return np.select([tissue == name for name in by_tissue], list(by_tissue.values()))


def test_deviations_have_the_stated_spread_and_no_mean(cohort: pd.DataFrame) -> None:
    for tissue, rows in cohort.groupby("tissue"):
        patients = rows.groupby("patient_id")["deviation"]
        within = np.sqrt(
            (patients.var() * (patients.size() - 1)).sum() / (patients.size() - 1).sum()
        )
        residual, between = PARAMETERS.residual_sd[tissue], PARAMETERS.patient_sd[tissue]
        assert within == pytest.approx(residual, rel=0.05)
        expected = np.sqrt(between**2 + (residual**2 / patients.size()).mean())
        assert patients.mean().std() == pytest.approx(expected, rel=0.05)
        assert abs(patients.mean().mean()) < 4.0 * expected / np.sqrt(N_PATIENTS)


def test_patient_effects_have_the_stated_correlation(cohort: pd.DataFrame) -> None:
    means = cohort.pivot_table(index="patient_id", columns="tissue", values="deviation")
    found = means["kidney"].corr(means["salivary_gland"])
    shrinkage = np.sqrt(0.34**2 / (0.34**2 + 0.12**2 / 4) * 0.26**2 / (0.26**2 + 0.03**2 / 2))
    assert found == pytest.approx(0.6 * shrinkage, abs=4.0 * (1 - 0.36) / np.sqrt(N_PATIENTS))


def test_deviations_know_nothing_of_the_covariates(cohort: pd.DataFrame) -> None:
    means = cohort[cohort["tissue"] == "kidney"].groupby("patient_id")
    for column in ("suv_mean", "psma_tv_ml", "egfr_ml_min_1p73m2", "psa_ng_ml"):
        correlation = means["deviation"].mean().corr(np.log(means[column].mean()))
        assert abs(correlation) < 4.0 / np.sqrt(N_PATIENTS)


def test_measurement_error_has_its_two_parts(cohort: pd.DataFrame) -> None:
    gland = cohort[cohort["tissue"] == "salivary_gland"]
    log_error = np.log(gland["absorbed_dose_gy"] / gland["true_absorbed_dose_gy"])
    patients = log_error.groupby(gland["patient_id"])
    independent = np.log1p(gland["absorbed_dose_cv"] ** 2).mean()
    assert patients.var().mean() == pytest.approx(independent, rel=0.06)
    shared = patients.mean().var() - independent / 4
    assert shared == pytest.approx(np.log1p(0.07**2), rel=0.1)


def test_no_measurement_error_when_scaled_to_nothing() -> None:
    frame = dose_cohort(
        20,
        random_seed=1,
        generator="regression",
        regression=replace(PARAMETERS, cv_scale=0.0),
        truth=True,
    )
    np.testing.assert_array_equal(frame["absorbed_dose_gy"], frame["true_absorbed_dose_gy"])
    assert (frame[["absorbed_dose_cv", "absorbed_dose_cv_shared"]] == 0.0).all(axis=None)


def test_site_and_cycle_effects_are_shared_where_they_should_be() -> None:
    silent = dict.fromkeys(PARAMETERS.patient_sd, 1e-9)
    parameters = replace(
        PARAMETERS,
        patient_sd=silent,
        residual_sd=silent,
        site_sd={"tumour": 0.3},
        cycle_sd={"kidney": 0.2},
        cv_scale=0.0,
    )
    frame = dose_cohort(
        800, random_seed=1, n_cycles=2, generator="regression", regression=parameters
    )
    per_gbq = frame["absorbed_dose_gy"] / frame["administered_activity_gbq"]
    frame["deviation"] = np.log(per_gbq) - predictor(frame)
    sites = frame.pivot_table(index=["patient_id", "site_id"], columns="cycle", values="deviation")
    lesions = sites[sites.index.get_level_values("site_id").str.startswith("T")]
    np.testing.assert_allclose(lesions[1], lesions[2], atol=1e-6)
    assert lesions[1].std() == pytest.approx(0.3, rel=0.05)
    left, right = (sites.xs(f"kidney_{side}", level="site_id") for side in ("left", "right"))
    np.testing.assert_allclose(left, right, atol=1e-6)
    assert np.abs(left[1].corr(left[2])) < 4.0 / np.sqrt(800)
    assert left[1].std() == pytest.approx(0.2, rel=0.12)


def test_the_covariates_are_those_of_the_mechanism() -> None:
    drawn = ["absorbed_dose_gy", "absorbed_dose_cv", "absorbed_dose_cv_shared"]
    mechanism, regression = (
        dose_cohort(20, random_seed=9, generator=name) for name in ("mechanism", "regression")
    )
    pd.testing.assert_frame_equal(
        mechanism.drop(columns=drawn), regression.drop(columns=drawn), check_flags=False
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coefficients": {"tumour": {"Intercept": 0.0}}}, "no entry for the tissue"),
        ({"residual_sd": dict.fromkeys(PARAMETERS.patient_sd, -0.1)}, "residual_sd of 'tumour' is"),
        ({"cv_scale": float("nan")}, "cv_scale is nan"),
        ({"patient_corr": ((1.0,),)}, r"patient_corr has shape \(1, 1\)"),
        (
            {"patient_corr": ((1.0, 0.9, -0.9), (0.9, 1.0, 0.9), (-0.9, 0.9, 1.0))},
            "no correlation matrix",
        ),
        (
            {"coefficients": {word: {"log(ldh)": 1.0} for word in PARAMETERS.patient_sd}},
            "needs the column 'ldh'",
        ),
    ],
)
def test_parameters_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    sites = dose_cohort(2, random_seed=1)
    with pytest.raises(ConfigError, match=message):
        draw_regression_doses(sites, replace(PARAMETERS, **changes), np.random.default_rng(0))
