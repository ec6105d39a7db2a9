"""Multiple imputation: inside the fold, once a patient, counted, and without the held-out dose."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesdose as bd
from bayesdose.dose import completion
from bayesdose.dose.leave_one_out import FoldWarning
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
    tables = completion.completions(gaps, SPEC, seed=1)
    assert len(tables) == completion.IMPUTATIONS
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
    first, one = completion.completions_of_others(training, later, SPEC, 1, repeats=2)
    assert len(one) == 2 * len(first)
    _, other = completion.completions_of_others(training, absurd, SPEC, 1, repeats=2)
    for mine, theirs in zip(one, other, strict=True):
        pd.testing.assert_series_equal(mine["egfr_ml_min_1p73m2"], theirs["egfr_ml_min_1p73m2"])
    # and they teach nothing: the training table is completed as it is alone
    for mine, alone in zip(first, completion.completions(training, SPEC, 1), strict=True):
        pd.testing.assert_frame_equal(mine, alone)


def test_complete_rows_are_not_repeated(kidneys: pd.DataFrame, gaps: pd.DataFrame) -> None:
    training = gaps[gaps["patient_id"] != "P1"]
    held = kidneys[kidneys["patient_id"] == "P1"]
    _, found = completion.completions_of_others(training, held, SPEC, 1, repeats=10)
    assert len(found) == completion.IMPUTATIONS


def test_a_value_entered_once_a_patient_is_that_patients_value(kidneys: pd.DataFrame) -> None:
    once = kidneys.copy()
    again = once.duplicated("patient_id")
    once.loc[again, "egfr_ml_min_1p73m2"] = np.nan
    for table in completion.completions(once, SPEC, 1)[:3]:
        pd.testing.assert_series_equal(table["egfr_ml_min_1p73m2"], kidneys["egfr_ml_min_1p73m2"])


def bivariate(n: int) -> pd.DataFrame:
    """Log dose = 1.2 + 0.9 x + noise of sd 0.3; x ~ N(2, 0.5); one site a patient."""
    rng = np.random.default_rng(8)
    x = rng.normal(2, 0.5, n)
    return pd.DataFrame(
        {
            "patient_id": [f"A{i}" for i in range(n)],
            "site_id": "T1",
            "cycle": 1,
            "tissue": "tumour",
            "administered_activity_gbq": 7.4,
            "x": x - 4,  # negative ones too, so that it stays on its own scale
            "absorbed_dose_gy": 7.4 * np.exp(1.2 + 0.9 * (x - 2) + rng.normal(0, 0.3, n)),
        }
    )


def test_completions_follow_the_bivariate_normal() -> None:
    """Given the dose a training row's x is N(-2 + B r, 0.25 (1 - ρ²)); without it N(-2, 0.25)."""
    table = bivariate(4000)
    gaps = table.copy()
    gaps.loc[:999, "x"] = np.nan
    spec = ModelSpec("x", missing="impute")
    later = table.iloc[:300].assign(patient_id=lambda t: "N" + t["patient_id"], x=np.nan)
    first, others = completion.completions_of_others(gaps, later, spec, 3, repeats=10)
    y = np.log(table["absorbed_dose_gy"] / 7.4)[:1000].to_numpy()
    variance = 0.9**2 * 0.25 + 0.09
    expected = -2 + 0.9 * 0.25 / variance * (y - 1.2)
    drawn = np.array([one["x"][:1000] for one in first])
    # 4000 rows fix the regression to 1 %, 1000 x 20 draws its spread to 1 %
    assert np.abs(drawn.mean(0) - expected).mean() < 0.08
    assert (drawn - expected).std() == pytest.approx(0.5 * np.sqrt(0.09 / variance), rel=0.04)
    held = np.array([one["x"] for one in others])
    assert held.mean() == pytest.approx(-2, abs=0.03)
    assert held.std() == pytest.approx(0.5, rel=0.04)


def test_prediction_of_a_row_without_its_only_covariate() -> None:
    """Its log dose has the variance of the population, not of the row with the mean covariate."""
    table = bivariate(120)
    gaps = table.copy()
    gaps.loc[:9, "x"] = np.nan
    model = bd.DoseModel("x", patient_effects="0", missing="impute").fit(gaps)
    new = table.iloc[:3].assign(patient_id=["N1", "N2", "N3"], x=[np.nan, np.nan, -2.0])
    log_dose = np.log(model.predict_draws(new).to_numpy().reshape(-1, 3) / 7.4)
    total = np.log(table["absorbed_dose_gy"] / 7.4).std()
    assert log_dose[:, :2].std(0) == pytest.approx([total, total], rel=0.12)
    assert log_dose[:, 2].std() == pytest.approx(0.3, rel=0.12)


@pytest.fixture(scope="module")
def imputed(cohort: pd.DataFrame) -> bd.DoseModel:
    table = cohort[cohort["tissue"] == "kidney"].reset_index(drop=True)
    table.loc[table["patient_id"].isin(["P2", "P7"]), "egfr_ml_min_1p73m2"] = np.nan
    table.loc[5, "suv_mean"] = np.nan
    return bd.DoseModel(FORMULA, missing="impute").fit(table, draws=4000)


def test_patient_effects_belong_to_the_completion_of_their_draw(imputed: bd.DoseModel) -> None:
    """u given β, θ and the draw's own table, in closed form for a random intercept."""
    fitted = imputed._fitted
    draws, tables = fitted.draws, fitted.training.tables
    effects = imputed.posterior_["posterior"]["patient_effects"].to_numpy().reshape(4000, 9)
    for i in range(9):
        expected, spread = np.empty(4000), np.empty(4000)
        for m, rows in enumerate(tables):
            at = slice(m, None, 20)
            mine = rows.patient == i
            left = (rows.y[mine] - draws.beta[at] @ rows.x[mine].T).sum(1)
            tau2, sigma2 = draws.patient_sd[at, 0] ** 2, draws.residual_sd[at, 0] ** 2
            expected[at] = tau2 * left / (sigma2 + mine.sum() * tau2)
            spread[at] = np.sqrt(tau2 * sigma2 / (sigma2 + mine.sum() * tau2))
        z = (effects[:, i] - expected) / spread
        assert abs(z.mean()) < 5 / np.sqrt(4000)
        assert z.std() == pytest.approx(1, abs=5 / np.sqrt(2 * 4000))


def test_saved_with_its_patients_it_is_imputed_again(imputed: bd.DoseModel, tmp_path) -> None:
    imputed.save(tmp_path / "model.nc", include_patients=True)
    loaded = bd.DoseModel.load(tmp_path / "model.nc")
    for mine, theirs in zip(
        imputed._fitted.training.tables, loaded._fitted.training.tables, strict=True
    ):
        np.testing.assert_allclose(mine.x, theirs.x, rtol=1e-12)
    new = imputed._fitted.training.frame.iloc[2:4].assign(patient_id="N1")
    pd.testing.assert_frame_equal(loaded.predict(new), imputed.predict(new))


def test_saved_without_them_it_predicts_complete_rows(
    imputed: bd.DoseModel, kidneys: pd.DataFrame, tmp_path
) -> None:
    imputed.save(tmp_path / "model.nc")
    loaded = bd.DoseModel.load(tmp_path / "model.nc")
    new = kidneys.iloc[:2].assign(patient_id="N1")
    assert loaded.predict(new)["median"].notna().all()
    with pytest.raises(bd.MissingCovariateError, match="N1"):
        loaded.predict(new.assign(egfr_ml_min_1p73m2=np.nan))


def test_a_complete_table_is_fitted_as_it_is(kidneys: pd.DataFrame) -> None:
    imputed = bd.DoseModel(FORMULA, missing="impute").fit(kidneys, draws=400)
    plain = bd.DoseModel(FORMULA).fit(kidneys, draws=400)
    for rows in imputed._fitted.training.tables:
        np.testing.assert_allclose(rows.x, plain._fitted.training.rows.x, rtol=1e-12, atol=1e-12)


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
    tables = completion.completions(gaps, SPEC, seed=1)
    mean = np.mean([done.loc[:14, "egfr_ml_min_1p73m2"] for done in tables], axis=0)
    assert np.corrcoef(mean, egfr[:15])[0, 1] > 0.95


def test_words_and_empty_columns_are_refused(kidneys: pd.DataFrame) -> None:
    words = kidneys.assign(side=["left", "right"] * 9)
    words.loc[3, "side"] = None
    with pytest.raises(bd.MissingCovariateError, match="side"):
        bd.DoseModel("side", missing="impute").fit(words)
    empty = kidneys.assign(egfr_ml_min_1p73m2=np.nan)
    with pytest.raises(bd.MissingCovariateError, match="every row of tissue 'kidney'"):
        bd.DoseModel(FORMULA, missing="impute").fit(empty)


def test_a_tissue_that_training_did_not_have(imputed: bd.DoseModel, kidneys: pd.DataFrame) -> None:
    new = kidneys.iloc[:2].assign(patient_id="N1", tissue="liver", suv_mean=np.nan)
    with pytest.raises(bd.UnknownCategoryError, match="liver"):
        imputed.predict(new)


@pytest.mark.slow
def test_a_fold_that_cannot_be_imputed_is_reported(kidneys: pd.DataFrame) -> None:
    """Without P1 or P2 there is one eGFR left, and one to impute."""
    table = kidneys[kidneys["patient_id"].isin(["P1", "P2", "P3"])].reset_index(drop=True)
    table["egfr_ml_min_1p73m2"] = table["egfr_ml_min_1p73m2"].mask(table["patient_id"] == "P3")
    model = bd.DoseModel("egfr_ml_min_1p73m2", missing="impute").fit(table, draws=400)
    with pytest.warns(FoldWarning):
        found = model.leave_one_patient_out().patients
    assert list(found["elpd"].isna()) == [True, True, False]
    assert found["status"].str.contains("or missing").tolist() == [True, True, False]


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


@pytest.mark.slow
def test_one_sites_elpd_is_its_patients(kidneys: pd.DataFrame) -> None:
    """With one site a patient the joint density is the site's, gaps or not."""
    table = kidneys.drop_duplicates("patient_id").reset_index(drop=True)
    table.loc[[1, 4], "egfr_ml_min_1p73m2"] = np.nan
    model = bd.DoseModel("egfr_ml_min_1p73m2", patient_effects="0", missing="impute")
    model.fit(table, draws=400)
    found = model.leave_one_patient_out()
    assert found.predictions["elpd"].to_numpy() == pytest.approx(
        found.patients["elpd"].to_numpy(), abs=0.05
    )
    # the mean of the draws' densities is what the draws come from
    draws, seen = found.draws, table["absorbed_dose_gy"].to_numpy()
    for j in (1, 4):
        log = np.log(draws[:, j])
        kde = stats.gaussian_kde(log)(np.log(seen[j]))[0] / seen[j]
        assert np.log(kde) == pytest.approx(found.patients["elpd"].iloc[j], abs=0.15)


@pytest.mark.slow
def test_a_fold_that_loses_a_tissue(cohort: pd.DataFrame) -> None:
    table = cohort[cohort["patient_id"].isin(["P1", "P2", "P3"])]
    table = table[(table["tissue"] == "kidney") | (table["patient_id"] == "P1")]
    table = table[table["tissue"] != "salivary_gland"].reset_index(drop=True)
    table.loc[table.index[-1], "suv_mean"] = np.nan
    model = bd.DoseModel("log(suv_mean)", missing="impute").fit(table, draws=400)
    with pytest.warns(FoldWarning, match="no tumour left"):
        found = model.leave_one_patient_out()
    assert found.patients.loc["P1", "n_scored"] == 2
    assert found.patients["elpd"].notna().all()
    lost = (table["patient_id"] == "P1") & (table["tissue"] == "tumour")
    assert found.predictions["median"].isna().equals(lost)


@pytest.mark.slow
@pytest.mark.parametrize("gap", ["site", "patient"])
def test_parameters_are_those_of_the_complete_table(gap: str) -> None:
    """A third of x is missing, beside strong patient effects and a site's own covariate z."""
    rng = np.random.default_rng(6)
    patient = np.repeat(np.arange(80), 4)
    z = rng.normal(size=80)[patient] * 0.7 + rng.normal(size=320) * 0.7
    x = rng.normal(size=320 if gap == "site" else 80)
    x = x if gap == "site" else x[patient]
    effect = rng.normal(0, 0.4, 80)[patient] + rng.normal(0, 0.25, 320)
    table = pd.DataFrame(
        {
            "patient_id": [f"A{i}" for i in patient],
            "site_id": [f"T{j % 4}" for j in range(320)],
            "cycle": 1,
            "tissue": "tumour",
            "administered_activity_gbq": 7.4,
            "x": x,
            "z": z,
            "absorbed_dose_gy": 7.4 * np.exp(1 + 0.4 * x + 0.5 * z + effect),
        }
    )
    lost = rng.random(320) < 0.33 if gap == "site" else (rng.random(80) < 0.33)[patient]
    gaps = table.assign(x=table["x"].mask(lost))
    full = bd.DoseModel("x + z").fit(table).posterior_["posterior"]
    imputed = bd.DoseModel("x + z", missing="impute").fit(gaps, draws=4000).posterior_["posterior"]
    for name in ("slope_tumour", "residual_sd", "patient_sd"):
        mean = full[name].mean(("chain", "draw")).to_numpy()
        found = imputed[name]
        distance = np.abs(found.mean(("chain", "draw")).to_numpy() - mean)
        assert (distance < 2.5 * found.std(("chain", "draw")).to_numpy()).all(), name
        assert (distance[..., -1:] < 0.07).all(), name


def test_other_cycles_complete_a_patient() -> None:
    """A value that changes little between cycles is close to the patient's other ones."""
    rng = np.random.default_rng(7)
    patient, cycle = np.repeat(np.arange(60), 4), np.tile(np.arange(1, 5), 60)
    log_egfr = np.log(80) + rng.normal(0, 0.3, 60)[patient] + rng.normal(0, 0.05, 240)
    table = pd.DataFrame(
        {
            "patient_id": [f"A{i}" for i in patient],
            "site_id": "K1",
            "cycle": cycle,
            "tissue": "kidney",
            "administered_activity_gbq": 7.4,
            "egfr_ml_min_1p73m2": np.exp(log_egfr),
            "suv_mean": np.exp(rng.normal(3, 0.2, 240)),
            "absorbed_dose_gy": 3.5 * np.exp(rng.normal(0, 0.2, 240)),
        }
    )
    lost = rng.random(240) < 0.25
    gaps = table.assign(egfr_ml_min_1p73m2=table["egfr_ml_min_1p73m2"].mask(lost))
    done = completion.completions(gaps, SPEC, 1)
    drawn = np.log([one["egfr_ml_min_1p73m2"][lost] for one in done])
    # sd of a draw about the truth: own residual, and the patient's mean from about three cycles
    assert (drawn - log_egfr[lost]).std() == pytest.approx(0.05 * np.sqrt(2 + 1 / 3), rel=0.25)


def test_what_never_changes_is_not_drawn_for_the_next_cycle(cycles: pd.DataFrame) -> None:
    height = pd.Series(range(150, 200, 10), index=cycles["patient_id"].unique())
    table = cycles.assign(height_cm=cycles["patient_id"].map(height))
    gaps = table.assign(height_cm=table["height_cm"].where(table["cycle"] == 1))
    done = completion.completions(gaps, ModelSpec("height_cm", missing="impute"), 1)
    for one in done[:3]:
        np.testing.assert_array_equal(one["height_cm"], table["height_cm"])
