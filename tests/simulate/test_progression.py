import re
from dataclasses import fields, replace
from pathlib import Path

import lifelines
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayesdose.cohort import validate_sites
from bayesdose.errors import ConfigError
from bayesdose.simulate.columns import COLUMN_UNITS
from bayesdose.simulate.parameters import MechanismParameters
from bayesdose.simulate.progression import (
    ProgressionCohort,
    ProgressionParameters,
    psa_pfs_cohort,
)
from bayesdose.simulate.survival_times import SurvivalParameters, survival_outcome

PARAMETERS = ProgressionParameters()
N = 10_000
PAGE = Path(__file__).parents[2] / "docs" / "simulated-outcomes.md"


@pytest.fixture(scope="module")
def large() -> ProgressionCohort:
    return psa_pfs_cohort(N, 4 * N, random_seed=1)


def covariates_of(cohort: ProgressionCohort) -> pd.DataFrame:
    men, truth = cohort.patients, cohort.patient_truth
    return pd.DataFrame(
        {
            "dose": np.log(truth["true_tumour_absorbed_dose_gy"]),
            "volume": np.log(men["psma_tv_ml"]),
            "chemotherapy": men["prior_chemotherapy"].astype(float),
            "frailty": truth["log_frailty"],
            "psa": np.log(men["psa_ng_ml"]),
            "ldh": np.log(men["ldh_u_l"]),
            "haemoglobin": men["haemoglobin_g_dl"],
            "age": men["age_y"],
            "egfr": men["egfr_ml_min_1p73m2"],
            "measured dose": np.log(men["tumour_absorbed_dose_gy"]),
        }
    )


def cox(cohort: ProgressionCohort, names: list[str]) -> pd.DataFrame:
    frame = covariates_of(cohort)[names].join(cohort.patients[["time_months", "event"]])
    return lifelines.CoxPHFitter().fit(frame, "time_months", "event").summary


def printed(row: str) -> list[float]:
    (line,) = re.findall(rf"^\| {re.escape(row)} \| (.+) \|$", PAGE.read_text("utf-8"), flags=re.M)
    return [float(cell.replace("−", "-")) for cell in line.split(" | ")]


def test_cox_model_of_the_truth_finds_the_stated_effects(large: ProgressionCohort) -> None:
    names = list(covariates_of(large))[:-1]
    found = cox(large, names)
    stated = dict.fromkeys(names, 0.0) | {
        "dose": -1.0,
        "volume": 0.25,
        "chemotherapy": 0.4,
        "frailty": 1.0,
    }
    for name, value in stated.items():
        assert abs(found.loc[name, "coef"] - value) < 4.0 * found.loc[name, "se(coef)"], name
    assert found.loc["dose", "se(coef)"] < 0.02


def test_linear_predictor_is_the_stated_formula(large: ProgressionCohort) -> None:
    known = covariates_of(large)
    expected = (
        -1.0 * (known["dose"] - np.log(20.0))
        + 0.25 * (known["volume"] - np.log(300.0))
        + 0.4 * known["chemotherapy"]
        + known["frailty"]
    )
    np.testing.assert_allclose(large.patient_truth["linear_predictor"], expected, atol=1e-12)


def test_the_page_prints_what_an_unexplained_hazard_does(large: ProgressionCohort) -> None:
    found = cox(large, ["dose", "volume", "chemotherapy"])["coef"]
    assert printed("Cox model without the frailty") == pytest.approx(list(found), abs=0.002)
    # Attenuated, beyond the Monte-Carlo error.
    assert -0.97 < found["dose"] < -0.90


@pytest.mark.parametrize("calibration_cv", [0.07, 0.8])
def test_the_page_prints_what_measurement_error_does(calibration_cv: float) -> None:
    parameters = replace(
        PARAMETERS, frailty_sd=0.0, mechanism=MechanismParameters(calibration_cv=calibration_cv)
    )
    cohort = psa_pfs_cohort(5000, 20_000, parameters=parameters, random_seed=1)
    known = covariates_of(cohort)
    reliability = known["dose"].var() / known["measured dose"].var()
    coefs = [
        cox(cohort, [dose, "volume", "chemotherapy"])["coef"].iloc[0]
        for dose in ("dose", "measured dose")
    ]
    assert printed(f"{calibration_cv:g}") == pytest.approx([reliability, *coefs], abs=0.002)


def test_marginals_are_plausible(large: ProgressionCohort) -> None:
    men = large.patients
    curve = lifelines.KaplanMeierFitter().fit(men["time_months"], men["event"])
    # Published: 19.7 and 26 months in the groups of the PSA-PFS study.
    assert 15.0 < curve.median_survival_time_ < 26.0
    assert 0.55 < men["event"].mean() < 0.75
    assert 0.35 < men["prior_chemotherapy"].mean() < 0.65
    assert 10.0 < men["haemoglobin_g_dl"].median() < 14.0
    assert 180.0 < men["ldh_u_l"].median() < 280.0
    assert men["time_months"].between(0.0, 60.0, inclusive="right").all()


def test_tumour_dose_is_the_mean_over_the_lesions(large: ProgressionCohort) -> None:
    men, lesions = large.patients, large.lesions
    for number in (0, 7, 311):
        name = men["patient_id"].iloc[number]
        mine = lesions[lesions["patient_id"] == name]
        dose, cv = mine["absorbed_dose_gy"], mine["absorbed_dose_cv"]
        true = large.lesion_truth.loc[mine.index, "true_absorbed_dose_gy"]
        row = men.iloc[number]
        assert row["n_lesions"] == len(mine)
        assert row["tumour_absorbed_dose_gy"] == pytest.approx(dose.mean())
        expected = ((dose * cv) ** 2).sum() / dose.sum() ** 2 + 0.07**2
        assert row["tumour_absorbed_dose_cv"] ** 2 == pytest.approx(expected)
        assert large.patient_truth["true_tumour_absorbed_dose_gy"].iloc[number] == pytest.approx(
            true.mean()
        )


def test_declared_uncertainty_is_that_of_the_tumour_dose(large: ProgressionCohort) -> None:
    men, known = large.patients, covariates_of(large)
    log_error = known["measured dose"] - known["dose"]
    for _, rows in men.groupby(
        pd.cut(men["n_lesions"], [0, 1, 4, 30]), observed=True
    ).groups.items():
        declared = np.log1p(men.loc[rows, "tumour_absorbed_dose_cv"] ** 2).mean()
        # As in test_mechanism: the SD of n numbers has a relative error of 1/sqrt(2n).
        assert log_error[rows].std() == pytest.approx(np.sqrt(declared), rel=0.05)


def test_lesions_are_a_valid_site_table() -> None:
    cohort = psa_pfs_cohort(random_seed=1)
    lesions = cohort.lesions
    assert len(lesions) == 396
    assert lesions["patient_id"].nunique() == len(cohort.patients) == 99
    assert list(lesions) == list(COLUMN_UNITS)
    assert set(lesions["tissue"]) == {"tumour"}
    # A lesion may lie as far from the literature as some real ones do, which is a warning.
    assert len(validate_sites(lesions, checks={"literature_value": False})) == 396
    assert (
        lesions["patient_id"].drop_duplicates().tolist() == cohort.patients["patient_id"].tolist()
    )


def test_tables_are_complete_labelled_and_aligned() -> None:
    cohort = psa_pfs_cohort(30, 120, random_seed=1)
    for table, truth in (
        (cohort.patients, cohort.patient_truth),
        (cohort.lesions, cohort.lesion_truth),
    ):
        assert table["patient_id"].equals(truth["patient_id"])
        assert set(table) & set(truth) <= {"patient_id", "site_id"}
        for frame in (table, truth):
            assert not frame.isna().any(axis=None)
            assert all(isinstance(value, str) for value in frame.attrs.values())
            assert frame.attrs["source"].startswith("simulated")
            assert all(f"{name} [" in frame.attrs["units"] for name in frame)
    assert cohort.patients["event"].dtype == bool
    assert cohort.parameters == PARAMETERS


def test_the_same_seed_gives_the_same_men() -> None:
    one, same, other = (psa_pfs_cohort(30, 120, random_seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one.patients, same.patients)
    pd.testing.assert_frame_equal(one.lesion_truth, same.lesion_truth)
    assert not np.isin(other.patients["time_months"], one.patients["time_months"]).any()


def test_as_few_lesions_as_men_give_one_each() -> None:
    cohort = psa_pfs_cohort(12, 12, random_seed=1)
    assert (cohort.patients["n_lesions"] == 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_patients": 0}, "n_patients is 0; it must be a whole number, 1 or more"),
        ({"n_lesions": 98}, "n_lesions is 98; it must be a whole number, 99 or more"),
        ({"n_lesions": 400.0}, "n_lesions is 400.0"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        psa_pfs_cohort(**arguments, random_seed=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frailty_sd": -1.0}, "frailty_sd is -1.0; it must be finite and 0 or more"),
        ({"log_dose_effect": float("inf")}, "log_dose_effect is inf; it must be finite"),
    ],
)
def test_impossible_populations_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(PARAMETERS, **changes)


def test_every_column_and_parameter_stands_in_the_page(large: ProgressionCohort) -> None:
    page = PAGE.read_text("utf-8")
    for frame in (large.patients, large.patient_truth, large.lesion_truth):
        for name in frame:
            assert f"| `{name}` |" in page, name
    for one in fields(ProgressionParameters):
        value = getattr(PARAMETERS, one.name)
        if isinstance(value, float):
            text = f"{value:g}".replace("-", "−")
            assert f"| `{one.name}` | {text} |" in page, one.name
    for one in fields(SurvivalParameters):
        assert f"| `{one.name}` | {getattr(SurvivalParameters(), one.name):g} |" in page, one.name


NO_CENSORING = SurvivalParameters(
    shape=1.7, scale_months=20.0, shortest_months=1e9, longest_months=1e9, dropout_per_month=0.0
)


def test_event_times_have_the_weibull_law() -> None:
    predictor = np.random.default_rng(1).normal(0.0, 1.5, 5000)
    outcome = survival_outcome(predictor, parameters=NO_CENSORING, random_seed=2)
    assert outcome["event"].all()
    assert outcome.attrs["source"].startswith("simulated")
    survived = NO_CENSORING.event_free_probability(outcome["time_months"], predictor)
    # Uniform under the truth; 1e-4 is the chance of failing by luck.
    assert stats.kstest(survived, "uniform").pvalue > 1e-4
    own = stats.weibull_min(1.7, scale=20.0)
    baseline = survival_outcome(np.zeros(5000), parameters=NO_CENSORING, random_seed=3)
    assert stats.kstest(baseline["time_months"], own.cdf).pvalue > 1e-4


def test_follow_up_ends_by_closing_date_or_dropout() -> None:
    parameters = SurvivalParameters(dropout_per_month=0.01)
    outcome = survival_outcome(np.full(10_000, -1000.0), parameters=parameters, random_seed=1)
    assert not outcome["event"].any()
    for month in (6.0, 24.0, 48.0):
        expected = min(1.0, (60.0 - month) / 48.0) * np.exp(-0.01 * month)
        found = (outcome["time_months"] > month).mean()
        assert abs(found - expected) < 4.0 * np.sqrt(expected * (1.0 - expected) / 10_000)


def test_censoring_leaves_the_event_free_probability_alone() -> None:
    parameters = SurvivalParameters()
    outcome = survival_outcome(np.full(10_000, 0.3), parameters=parameters, random_seed=4)
    curve = lifelines.KaplanMeierFitter().fit(outcome["time_months"], outcome["event"])
    for month in (6.0, 18.0, 36.0):
        expected = parameters.event_free_probability(month, 0.3)
        # Greenwood's variance is below that of 10 000 / 4 uncensored men.
        assert abs(curve.predict(month) - expected) < 4.0 * 0.5 / np.sqrt(2500)


def test_a_generator_is_gone_on_from() -> None:
    rng = np.random.default_rng(7)
    one, two = (survival_outcome(np.zeros(5), random_seed=rng) for _ in range(2))
    assert not np.isin(two["time_months"], one["time_months"]).any()
    pd.testing.assert_frame_equal(one, survival_outcome(np.zeros(5), random_seed=7))


@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        ([0.0, np.nan], "linear_predictor of row 1 is nan; it must be finite"),
        ([[0.0]], r"linear_predictor has shape \(1, 1\)"),
        ([], r"linear_predictor has shape \(0,\)"),
        (["high"], "linear_predictor must hold numbers"),
        ([0.0, 5000.0], "the linear predictor of row 1 is 5000"),
    ],
)
def test_impossible_predictors_are_refused(predictor: list[object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        survival_outcome(predictor, random_seed=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": 0.0}, "shape is 0.0; it must be finite and above 0"),
        ({"dropout_per_month": -0.1}, "dropout_per_month is -0.1"),
        ({"longest_months": 6.0}, "the longest follow-up cannot be below the shortest"),
    ],
)
def test_impossible_follow_up_is_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(SurvivalParameters(), **changes)


def test_negative_times_have_no_probability() -> None:
    with pytest.raises(ConfigError, match="time_months holds negative or missing times"):
        SurvivalParameters().event_free_probability([1.0, -1.0], 0.0)
