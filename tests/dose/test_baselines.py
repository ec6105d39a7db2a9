"""Baselines against scikit-learn's own cross-validation, plain loops and exact quadrature."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

import bayesdose as bd
from bayesdose.dose import baselines as module
from bayesdose.dose.baselines import baselines, beside
from bayesdose.dose.spec import ModelSpec
from bayesdose.dose.training import Fitted, prepare
from bayesdose.errors import ConfigError, PredictionError

PREDICTIONS = "references/quadrature/reference_cohort_tumours_predictions.csv"


@pytest.fixture(scope="module")
def table(tumour_model) -> pd.DataFrame:
    lopo = tumour_model.leave_one_patient_out()
    return beside(tumour_model, lopo, regressors={"linear": LinearRegression()})


def mae(table: pd.DataFrame, name: str, column: str = "model") -> float:
    (found,) = table.loc[(table[column] == name) & (table["weights"] == "site"), "mae_gy"]
    return float(found)


def quick(sites: pd.DataFrame, monkeypatch, formula="log(volume_ml)", **settings) -> bd.DoseModel:
    """A model with its rows but no fit, whose patient-only baseline is 1 Gy everywhere."""
    model = bd.DoseModel(formula, **settings)
    training = prepare(sites, ModelSpec(**{**model.get_params(), "priors": bd.Priors()}))
    monkeypatch.setattr(module, "_patient_only", lambda *_: np.ones(len(sites)))
    info = {"draws": 4000, "random_seed": 1}
    nothing = (float("nan"), float("nan"))
    model._fitted = Fitted(training.encoding, None, None, training, nothing, info)
    return model


def test_rows_stand_in_the_order_of_the_docstring(table):
    names = [*dict.fromkeys(table["model"])]
    assert names == [
        "in-sample, conditional",
        "leave-one-patient-out",
        "population mean",
        "log SUV + log volume",
        "patient intercept only",
        "linear",
    ]
    assert list(table.columns[:5]) == ["model", "tissue", "weights", "n_sites", "n_patients"]
    assert (table["n_sites"] == 57).all()
    assert table.attrs == {"notes": []}


def test_population_mean_is_that_of_the_other_patients(table, tumours):
    errors, mean_errors = [], []
    for _, site in tumours.iterrows():
        others = tumours[tumours["patient_id"] != site["patient_id"]]
        rate = (others["absorbed_dose_gy"] / others["administered_activity_gbq"]).mean()
        predicted = rate * site["administered_activity_gbq"]
        errors.append(site["absorbed_dose_gy"] - predicted)
        mean_errors.append(site["absorbed_dose_gy"] - others["absorbed_dose_gy"].mean())
    assert mae(table, "population mean") == pytest.approx(np.abs(errors).mean(), rel=1e-12)
    r2 = 1 - np.square(errors).sum() / np.square(mean_errors).sum()
    (found,) = table.query("model == 'population mean' and weights == 'site'")["r2_gy"]
    assert found == pytest.approx(r2, rel=1e-9)


def test_physical_baseline_is_least_squares_left_out_by_scikit_learn(table, tumours):
    gy = left_out_by_scikit_learn(tumours, tumours["patient_id"])
    expected = np.abs(gy - tumours["absorbed_dose_gy"]).mean()
    assert mae(table, "log SUV + log volume") == pytest.approx(expected, rel=1e-9)
    # the model's columns are the same here, and so is the regression
    assert mae(table, "linear") == pytest.approx(expected, rel=1e-9)


def left_out_by_scikit_learn(sites: pd.DataFrame, groups: pd.Series) -> pd.Series:
    x = np.log(sites[["suv_mean", "volume_ml"]])
    y = np.log(sites["absorbed_dose_gy"] / sites["administered_activity_gbq"])
    found = cross_val_predict(LinearRegression(), x, y, groups=groups, cv=LeaveOneGroupOut())
    return np.exp(found) * sites["administered_activity_gbq"]


def test_left_out_row_is_that_of_exact_quadrature(table, tumours):
    exact = pd.read_csv(Path(__file__).parents[1] / PREDICTIONS)
    exact = exact.query("cohort == 'as_measured' and error == 'without_error'")
    both = tumours.merge(exact, on=["patient_id", "site_id"], validate="one_to_one")
    expected = (both["median_gy"] - both["absorbed_dose_gy"]).abs().mean()
    assert mae(table, "leave-one-patient-out") == pytest.approx(expected, rel=0.01)


def test_in_sample_row_is_the_posterior_median_given_the_patients_effects(
    table, tumours, tumour_model
):
    posterior = tumour_model.posterior_["posterior"].to_dataset().stack(s=("chain", "draw"))
    slope = posterior["slope_tumour"].values
    effect = posterior["patient_effects"].isel(patient_effect=0).values
    place = {label: i for i, label in enumerate(posterior["patient"].values)}
    code = tumours["patient_id"].map(place).to_numpy()
    x = np.column_stack([np.ones(len(tumours)), np.log(tumours[["suv_mean", "volume_ml"]])])
    rate = np.exp(np.median(x @ slope + effect[code], axis=1))
    gy = rate * tumours["administered_activity_gbq"]
    expected = (gy - tumours["absorbed_dose_gy"]).abs().mean()
    assert mae(table, "in-sample, conditional") == pytest.approx(expected, rel=1e-9)


def test_patient_only_baseline_is_the_hierarchical_model_without_covariates(
    table, tumours, tumour_priors
):
    # the model's own priors; the median of a refit without each patient
    errors = []
    for patient, mine in tumours.groupby("patient_id", sort=False):
        others = tumours[tumours["patient_id"] != patient]
        model = bd.DoseModel("1", priors=tumour_priors).fit(others)
        median = model.predict_draws(mine).median(("chain", "draw")).to_numpy()
        errors.append((median - mine["absorbed_dose_gy"]).abs())
    expected = pd.concat(errors).mean()
    assert mae(table, "patient intercept only") == pytest.approx(expected, rel=0.02)


def test_patient_only_baseline_drops_priors_over_slopes_and_keeps_the_others():
    scale = bd.HalfNormal(0.3)
    given = bd.Priors(
        intercept=bd.Normal(1, 1),
        slope={"tumour": bd.R2D2(), "kidney": bd.Normal(0, 0.2)},
        patient_sd={"tumour": bd.R2D2(), "kidney": scale},
        residual_sd=scale,
    )
    found = module._without_shrinkage(given)
    assert found.slope == {"kidney": bd.Normal(0, 0.2)}
    assert found.patient_sd == {"kidney": scale}
    assert (found.intercept, found.residual_sd) == (bd.Normal(1, 1), scale)
    assert module._without_shrinkage(bd.Priors(slope=bd.RegularizedHorseshoe(1, 1.0, 4))) == (
        bd.Priors()
    )


def test_folds_follow_the_column_that_is_left_out(tumours, monkeypatch):
    place = {f"P{i}": "AABBAABBC"[i - 1] for i in range(1, 10)}
    sites = tumours.assign(hospital=tumours["patient_id"].map(place))
    found = baselines(quick(sites, monkeypatch), by="hospital")
    gy = left_out_by_scikit_learn(sites, sites["hospital"])
    expected = np.abs(gy - sites["absorbed_dose_gy"]).mean()
    assert mae(found, "log SUV + log volume", "baseline") == pytest.approx(expected, rel=1e-9)


def test_a_baseline_without_its_columns_is_absent_with_a_note(tumours, monkeypatch):
    found = baselines(quick(tumours.drop(columns="suv_mean"), monkeypatch))
    assert set(found["baseline"]) == {"population mean", "patient intercept only"}
    assert found.attrs["notes"] == [
        "log SUV + log volume: absent, the table has no column suv_mean"
    ]


def test_a_baseline_is_absent_only_where_its_columns_have_gaps(cohort, monkeypatch):
    sites = cohort[cohort["tissue"] != "salivary_gland"].copy()
    sites.loc[sites.index[sites["tissue"] == "kidney"][0], "suv_mean"] = np.nan
    found = baselines(quick(sites, monkeypatch))
    physical = found[found["baseline"] == "log SUV + log volume"]
    assert set(physical["tissue"]) == {"tumour"}
    (note,) = found.attrs["notes"]
    assert "absent for kidney" in note
    assert "1 rows" in note


def test_a_regressor_is_absent_where_the_formula_has_no_covariate(cohort, monkeypatch):
    sites = cohort[cohort["tissue"] != "salivary_gland"]
    formula = {"tumour": "log(volume_ml)", "kidney": "1"}
    model = quick(sites, monkeypatch, formula=formula)
    found = baselines(model, regressors={"linear": LinearRegression()})
    assert set(found.query("baseline == 'linear'")["tissue"]) == {"tumour"}
    assert "linear: absent for kidney, whose formula has no covariate" in found.attrs["notes"]


def test_sites_of_a_tissue_that_only_one_patient_has_are_not_scored(cohort, monkeypatch):
    others_kidneys = (cohort["tissue"] == "kidney") & (cohort["patient_id"] != "P1")
    sites = cohort[~others_kidneys & (cohort["tissue"] != "salivary_gland")]
    found = baselines(quick(sites, monkeypatch))
    assert set(found.query("baseline == 'population mean'")["tissue"]) == {"tumour"}
    assert (
        "population mean: kidney of 'P1' is not scored (2 sites); the 0 sites that are left cannot "
        "fix the regression" in found.attrs["notes"]
    )


def test_imputed_covariates_do_not_enter_a_baseline(tumours, monkeypatch):
    gaps = tumours.assign(suv_mean=tumours["suv_mean"].mask(tumours.index == tumours.index[3]))
    model = quick(tumours, monkeypatch, formula="log(suv_mean)", missing="impute")
    training = replace(model._fitted.training, frame=gaps)
    model._fitted = replace(model._fitted, training=training)
    found = baselines(model, regressors={"linear": LinearRegression()})
    assert set(found["baseline"]) == {"population mean", "patient intercept only"}
    assert len(found.attrs["notes"]) == 2


@pytest.mark.parametrize(
    ("regressors", "message"),
    [
        ({"population mean": LinearRegression()}, "name of another row"),
        ({"line": "LinearRegression"}, "give a scikit-learn regressor"),
        ([LinearRegression()], "give a dict"),
    ],
)
def test_what_is_no_regressor_is_refused(tumours, monkeypatch, regressors, message):
    with pytest.raises(ConfigError, match=message):
        baselines(quick(tumours, monkeypatch), regressors=regressors)


def test_a_regressor_that_predicts_no_number_is_refused(tumours, monkeypatch):
    class Broken(LinearRegression):
        def predict(self, X):
            return np.full(len(X), np.nan)

    with pytest.raises(ConfigError, match="broken: predicts a value that is not finite"):
        baselines(quick(tumours, monkeypatch), regressors={"broken": Broken()})


def test_a_validation_of_another_fit_is_refused(tumours, monkeypatch):
    model = quick(tumours, monkeypatch)
    with pytest.raises(PredictionError, match="belongs to another fit"):
        beside(model, SimpleNamespace(_fitted=object(), by="patient_id"))
