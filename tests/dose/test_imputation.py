"""Multiple imputation: inside the fold, once a patient, counted, and without the held-out dose."""

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.dose import imputation
from bayesdose.dose.spec import ModelSpec

FORMULA = "log(suv_mean) + egfr_ml_min_1p73m2"
SPEC = ModelSpec(FORMULA, missing="impute")


@pytest.fixture
def kidneys(cohort: pd.DataFrame) -> pd.DataFrame:
    return cohort[cohort["tissue"] == "kidney"].reset_index(drop=True)


@pytest.fixture
def gaps(kidneys: pd.DataFrame) -> pd.DataFrame:
    table = kidneys.copy()
    table.loc[table["patient_id"].isin(["P2", "P7"]), "egfr_ml_min_1p73m2"] = np.nan
    table.loc[5, "suv_mean"] = np.nan
    return table


def test_error_lists_column_and_patients(gaps: pd.DataFrame) -> None:
    with pytest.raises(bd.MissingCovariateError) as caught:
        bd.DoseModel(FORMULA).fit(gaps)
    message = str(caught.value)
    assert "egfr_ml_min_1p73m2: 4 rows of patients P2, P7" in message
    assert "suv_mean: 1 rows of patients P3" in message


def test_drop_counts_by_column(gaps: pd.DataFrame) -> None:
    model = bd.DoseModel(FORMULA, missing="drop").fit(gaps, draws=400)
    assert model.fit_info_["n_sites"] == 13
    assert model.dropped_ == {"egfr_ml_min_1p73m2": 4, "suv_mean": 1}


def test_completions(gaps: pd.DataFrame) -> None:
    tables = [table for table, _ in imputation.completions(gaps, None, SPEC, seed=1)]
    assert len(tables) == imputation.IMPUTATIONS
    for table in tables:
        assert table["egfr_ml_min_1p73m2"].notna().all()
        # a patient's value is one value
        assert (table.groupby("patient_id")["egfr_ml_min_1p73m2"].nunique() == 1).all()
        seen = gaps["egfr_ml_min_1p73m2"].notna()
        pd.testing.assert_series_equal(
            table.loc[seen, "egfr_ml_min_1p73m2"], gaps.loc[seen, "egfr_ml_min_1p73m2"]
        )
        assert (table["suv_mean"] > 0).all()
    drawn = np.array([table.loc[5, "suv_mean"] for table in tables])
    assert drawn.std() > 0


def test_held_out_rows_are_imputed_without_their_dose(gaps: pd.DataFrame) -> None:
    held = gaps["patient_id"] == "P2"
    training, later = gaps[~held], gaps[held]
    absurd = later.assign(absorbed_dose_gy=later["absorbed_dose_gy"] * 100)
    for (_, one), (_, other) in zip(
        imputation.completions(training, later, SPEC, seed=1)[:3],
        imputation.completions(training, absurd, SPEC, seed=1)[:3],
        strict=True,
    ):
        pd.testing.assert_series_equal(one["egfr_ml_min_1p73m2"], other["egfr_ml_min_1p73m2"])


def test_training_rows_are_imputed_with_their_dose() -> None:
    # with dose a function of the covariate, the imputed value follows the dose
    rng = np.random.default_rng(3)
    n = 60
    egfr = rng.uniform(40, 100, n)
    table = pd.DataFrame(
        {
            "patient_id": [f"A{i}" for i in range(n)],
            "site_id": "K1",
            "cycle": 1,
            "tissue": "kidney",
            "administered_activity_gbq": 7.4,
            "suv_mean": np.exp(rng.normal(3, 0.1, n)),
            "egfr_ml_min_1p73m2": egfr,
            "absorbed_dose_gy": 3.5 * (egfr / 70) ** 2 * np.exp(rng.normal(0, 0.02, n)),
        }
    )
    gaps = table.copy()
    gaps.loc[:14, "egfr_ml_min_1p73m2"] = np.nan
    tables = [done for done, _ in imputation.completions(gaps, None, SPEC, seed=1)]
    mean = np.mean([done.loc[:14, "egfr_ml_min_1p73m2"] for done in tables], axis=0)
    assert np.corrcoef(mean, egfr[:15])[0, 1] > 0.95


def test_words_and_empty_columns_are_refused(kidneys: pd.DataFrame) -> None:
    words = kidneys.assign(side=["left", "right"] * 9)
    words.loc[3, "side"] = None
    with pytest.raises(bd.MissingCovariateError, match="side"):
        bd.DoseModel("side", missing="impute").fit(words)
    empty = kidneys.assign(egfr_ml_min_1p73m2=np.nan)
    with pytest.raises(bd.MissingCovariateError, match="everywhere"):
        bd.DoseModel(FORMULA, missing="impute").fit(empty)


@pytest.mark.slow
def test_fit_predict_and_leave_out(gaps: pd.DataFrame, kidneys: pd.DataFrame) -> None:
    model = bd.DoseModel(FORMULA, missing="impute").fit(gaps, draws=4000)
    info = model.fit_info_
    assert info["imputations"] == 20
    assert info["imputed_share_egfr_ml_min_1p73m2"] == pytest.approx(4 / 18)
    predicted = model.predict(gaps)
    assert predicted["median"].notna().all()
    assert list(predicted.index) == list(gaps.index)
    with pytest.raises(bd.PredictionError, match="imputed"):
        model.predict(gaps, kind="known_patient")
    some = gaps[gaps["patient_id"].isin(["P1", "P2", "P3", "P4"])]
    left = bd.DoseModel(FORMULA, missing="impute").fit(some, draws=400).leave_one_patient_out()
    assert left.patients["elpd"].notna().all()
    full = kidneys[kidneys["patient_id"].isin(["P1", "P2", "P3", "P4"])]
    complete = bd.DoseModel(FORMULA).fit(full).leave_one_patient_out()
    # three kidneys of eight are touched: the scores stay close to the complete table's
    assert abs(left.elpd - complete.elpd) < 4
