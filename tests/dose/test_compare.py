"""Comparison and nested choice against ArviZ, plain loops and, once, real fits."""

import logging

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import bayesdose as bd
from bayesdose.dose.leave_one_out import LeaveOneOut
from bayesdose.dose.training import Fitted, prepare
from bayesdose.errors import ConfigError, FormulaError, NotFittedError

SD = 0.5


class PlugIn(bd.DoseModel):
    """Least squares with a known residual sd: a fit and a validation in microseconds."""

    def fit(self, sites, *, draws=400, random_seed=1, **_):
        training = prepare(sites, self._spec())
        info = {"draws": draws, "random_seed": random_seed, "device": "cpu"}
        self._fitted = Fitted(training.encoding, range(400), None, training, (0.0, 0.0), info)
        return self

    def leave_one_patient_out(self, **_):
        rows = self._fitted.training.rows
        labels = np.asarray(rows.patients)[rows.patient]
        table = pd.DataFrame(
            [
                {
                    "elpd": density(rows.raw, rows.y, rows.log_dose, labels != label).sum(),
                    "mcse": 0.03,
                    "pareto_k": 0.1,
                    "n_sites": int((labels == label).sum()),
                    "n_scored": int((labels == label).sum()),
                }
                for label in rows.patients
            ],
            index=pd.Index(rows.patients, name="patient_id"),
        )
        return LeaveOneOut(table, "patient_id", 0.95, self._fitted, [], None)


def density(x, y, log_dose, kept):
    """Log density in 1/Gy of the rows that are not kept."""
    coefficients, *_ = np.linalg.lstsq(x[kept], y[kept])
    return norm(x[~kept] @ coefficients, SD).logpdf(y[~kept]) - log_dose[~kept]


FORMULAS = {
    "suv": "log(suv_mean)",
    "volume": "log(volume_ml)",
    "both": "log(suv_mean) + log(volume_ml)",
}


@pytest.fixture(scope="module")
def sites(cohort) -> pd.DataFrame:
    return cohort[cohort["tissue"] == "tumour"].reset_index(drop=True)


def plug_in(sites: pd.DataFrame, formulas: dict[str, str] = FORMULAS) -> dict[str, bd.DoseModel]:
    return {name: PlugIn(formula).fit(sites) for name, formula in formulas.items()}


@pytest.fixture(scope="module")
def result(sites):
    return bd.compare_models(plug_in(sites), progress=False)


def elpd_by_hand(sites: pd.DataFrame) -> pd.DataFrame:
    """Patients by models, from the table."""
    columns = {"suv": ["suv_mean"], "volume": ["volume_ml"], "both": ["suv_mean", "volume_ml"]}
    log_dose = np.log(sites["absorbed_dose_gy"].to_numpy())
    y = log_dose - np.log(sites["administered_activity_gbq"].to_numpy())
    patients = sites["patient_id"].to_numpy()
    out = {}
    for name, used in columns.items():
        x = np.column_stack([np.ones(len(sites)), np.log(sites[used])])
        out[name] = {
            label: density(x, y, log_dose, patients != label).sum()
            for label in dict.fromkeys(patients)
        }
    return pd.DataFrame(out)


def test_table_ranks_by_elpd_with_paired_errors_over_patients(result, sites):
    by_hand = elpd_by_hand(sites)
    totals = by_hand.sum().sort_values(ascending=False)
    assert list(result.table.index) == list(totals.index)
    assert result.best == totals.index[0]
    assert list(result.table["rank"]) == [1, 2, 3]
    for name, row in result.table.iterrows():
        away = by_hand[name] - by_hand[result.best]
        assert row["elpd"] == pytest.approx(totals[name])
        assert row["se"] == pytest.approx(3 * by_hand[name].std())
        assert row["difference"] == pytest.approx(away.sum(), abs=1e-9)
        assert row["difference_se"] == pytest.approx(3 * away.std(), abs=1e-9)
        assert row["mcse"] == pytest.approx(0.09)
        assert (row["n_patients"], row["n_sites"]) == (9, 57)
        np.testing.assert_allclose(result.differences[name], away, atol=1e-9)


def test_nested_choice_is_that_of_explicit_loops(result, sites):
    outer = elpd_by_hand(sites)
    chosen = {}
    for label in outer.index:
        inner = elpd_by_hand(sites[sites["patient_id"] != label]).sum()
        chosen[label] = inner.idxmax()
        first, second = inner.sort_values(ascending=False).iloc[:2]
        assert result.choices.loc[label, "lead"] == pytest.approx(first - second)
    assert result.choices["chosen"].to_dict() == chosen
    nested = sum(outer.loc[label, name] for label, name in chosen.items())
    assert result.nested_elpd == pytest.approx(nested)
    assert result.optimism == pytest.approx(outer.sum().max() - nested)


def test_choosing_noise_is_optimistic(sites):
    rng = np.random.default_rng(2)
    noise = sites.assign(**{f"x{i}": rng.standard_normal(len(sites)) for i in range(6)})
    found = bd.compare_models(plug_in(noise, {f"x{i}": f"x{i}" for i in range(6)}))
    assert found.choices["chosen"].nunique() > 1
    assert found.optimism > 0


def test_arviz_ranks_alike(result):
    import arviz_stats as azs

    arviz = azs.compare(result.to_arviz(), round_to="none")
    assert list(arviz.index) == list(result.table.index)
    np.testing.assert_allclose(arviz["elpd_diff"], result.table["difference"], atol=1e-9)
    # ArviZ divides the variance by n, not n - 1
    np.testing.assert_allclose(
        arviz["dse"] * np.sqrt(9 / 8), result.table["difference_se"], atol=1e-9
    )


def test_text_has_the_figures_and_the_caveat(result):
    text = str(result)
    assert f"{result.table['elpd'].iloc[0]:.2f}" in text
    assert f"{result.nested_elpd:.2f}" in text
    assert f"Optimism: {result.optimism:.2f}" in text
    assert "standard error over 9 patients (fewer than 20) is unreliable" in text
    assert repr(result) == text


def test_with_twenty_patients_there_is_no_caveat_and_nested_can_be_left_out():
    sites = bd.simulate.dose_cohort(20, generator="regression", random_seed=3)
    sites = sites[sites["tissue"] == "tumour"]
    found = bd.compare_models(plug_in(sites), nested=False)
    assert "unreliable" not in str(found)
    assert found.choices is None
    assert np.isnan(found.nested_elpd)
    assert np.isnan(found.optimism)


def test_a_patient_that_one_model_cannot_score_is_in_no_figure(sites, monkeypatch):
    models = plug_in(sites)
    whole = PlugIn.leave_one_patient_out

    def with_gaps(self, **_):
        found = whole(self)
        if self.formula == FORMULAS["suv"]:
            found.patients.loc[found.patients.index == "P2", "elpd"] = np.nan
        if self.formula == FORMULAS["both"]:
            found.patients.loc[found.patients.index == "P5", "n_scored"] -= 1
        return found

    monkeypatch.setattr(PlugIn, "leave_one_patient_out", with_gaps)
    found = bd.compare_models(models)
    assert found.left_out == ("P2", "P5")
    assert "Not every model could be scored on: P2, P5." in str(found)
    assert set(found.table["n_patients"]) == {7}
    assert list(found.choices.index) == ["P1", "P3", "P4", "P6", "P7", "P8", "P9"]
    by_hand = elpd_by_hand(sites).drop(index=["P2", "P5"])
    assert found.table["elpd"].max() == pytest.approx(by_hand.sum().max())


def test_a_model_that_cannot_be_fitted_without_a_patient_is_not_chosen_there(
    sites, monkeypatch, caplog
):
    models = plug_in(sites)
    whole = PlugIn.fit

    def fussy(self, sites, **settings):
        if "P4" not in set(sites["patient_id"]) and self.formula != FORMULAS["volume"]:
            raise FormulaError("a column is constant")
        return whole(self, sites, **settings)

    monkeypatch.setattr(PlugIn, "fit", fussy)
    with caplog.at_level(logging.WARNING, logger="bayesdose"):
        found = bd.compare_models(models)
    assert found.choices.loc["P4", "chosen"] == "volume"
    assert found.choices.loc["P4", "runner_up"] is None
    assert "cannot be fitted without 'P4'" in caplog.text

    monkeypatch.setattr(PlugIn, "fit", _fails)
    found = bd.compare_models(models)
    assert found.choices["chosen"].isna().all()
    assert np.isnan(found.nested_elpd)


def _fails(self, sites, **settings):
    raise FormulaError("a column is constant")


def test_other_rows_are_refused(sites):
    models = plug_in(sites)
    other = PlugIn("log(suv_mean)").fit(sites[sites["patient_id"] != "P1"])
    with pytest.raises(ConfigError, match=r"'other' was fitted to other rows.*51 against 57"):
        bd.compare_models({**models, "other": other})
    moved = sites.assign(absorbed_dose_gy=sites["absorbed_dose_gy"] * 1.5)
    with pytest.raises(ConfigError, match="doses in Gy"):
        bd.compare_models({**models, "other": PlugIn("log(suv_mean)").fit(moved)})
    # another order of the same rows is no other table
    turned = PlugIn("log(suv_mean)").fit(sites.iloc[::-1])
    assert bd.compare_models({**models, "turned": turned}, nested=False).best


def test_unfit_input_is_refused(sites):
    models = plug_in(sites)
    with pytest.raises(ConfigError, match="at least two models"):
        bd.compare_models({"suv": models["suv"]})
    with pytest.raises(ConfigError, match="'b' is a str"):
        bd.compare_models({"a": models["suv"], "b": "log(suv_mean)"})
    with pytest.raises(NotFittedError):
        bd.compare_models({"a": models["suv"], "b": bd.DoseModel("1")})
    two = plug_in(sites[sites["patient_id"].isin(["P1", "P2"])])
    with pytest.raises(ConfigError, match="give nested=False"):
        bd.compare_models(two)


def test_real_fits_are_compared_by_their_own_validation(tumour_model, tumours, tumour_priors):
    other = bd.DoseModel("log(suv_mean) + log(suv_max)", priors=tumour_priors).fit(tumours)
    found = bd.compare_models({"volume": tumour_model, "max": other}, nested=False)
    for name, model in (("volume", tumour_model), ("max", other)):
        assert found.table.loc[name, "elpd"] == model.leave_one_patient_out().elpd


@pytest.mark.slow
def test_real_fits_are_chosen_by_refits_without_two_patients(cohort):
    patients = ["P1", "P2", "P3", "P4"]
    sites = cohort[(cohort["tissue"] == "kidney") & cohort["patient_id"].isin(patients)]
    models = {f: bd.DoseModel(f).fit(sites) for f in ("log(suv_mean)", "log(mass_g)")}
    found = bd.compare_models(models, progress=False)
    assert list(found.choices.index) == patients
    for left_out in patients[:2]:
        others = [label for label in patients if label != left_out]
        inner = {
            formula: sum(refitted_elpd(formula, sites, others, held) for held in others)
            for formula in models
        }
        order = sorted(inner, key=inner.__getitem__, reverse=True)
        lead = inner[order[0]] - inner[order[1]]
        assert lead > 0.2, "too close a call to test"
        assert found.choices.loc[left_out, "chosen"] == order[0]
        assert found.choices.loc[left_out, "lead"] == pytest.approx(lead, abs=0.1)


def refitted_elpd(formula: str, sites: pd.DataFrame, patients: list[str], held: str) -> float:
    kept = [label for label in patients if label != held]
    model = bd.DoseModel(formula).fit(sites[sites["patient_id"].isin(kept)], random_seed=7)
    (value,) = model.log_predictive_density(sites[sites["patient_id"] == held])
    return float(value)
