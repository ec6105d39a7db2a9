"""Bad input has one clear error and changes nothing; odd but right input is taken."""

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.errors import (
    BayesdoseError,
    ConfigError,
    DeviceError,
    FormulaError,
    MissingCovariateError,
    NotFittedError,
    PriorError,
    SiteTableError,
    UnknownCategoryError,
)

FORMULA = "log(suv_mean) + log(volume_ml)"


def with_cell(table: pd.DataFrame, column: str, value: object) -> pd.DataFrame:
    out = table.copy()
    if isinstance(value, str):
        out[column] = out[column].astype(object)
    out.loc[out.index[3], column] = value
    return out


def empty(table):
    return table.iloc[:0]


def no_dose(table):
    return table.drop(columns="absorbed_dose_gy")


def no_covariate(table):
    return table.drop(columns="volume_ml")


def no_tissue(table):
    return table.drop(columns="tissue")


def no_patient(table):
    return table.drop(columns="patient_id")


def no_activity(table):
    return table.drop(columns="administered_activity_gbq")


def mbq(table):
    return table.assign(administered_activity_gbq=table["administered_activity_gbq"] * 1000)


def mgy(table):
    return table.assign(absorbed_dose_gy=table["absorbed_dose_gy"] * 1000)


def negative(table):
    return with_cell(table, "absorbed_dose_gy", -3.0)


def zero(table):
    return with_cell(table, "absorbed_dose_gy", 0.0)


def infinite(table):
    return with_cell(table, "absorbed_dose_gy", np.inf)


def missing_dose(table):
    return with_cell(table, "absorbed_dose_gy", np.nan)


def text(table):
    return with_cell(table, "suv_mean", "12,5")


def missing_covariate(table):
    return with_cell(table, "volume_ml", np.nan)


def infinite_covariate(table):
    return with_cell(table, "volume_ml", np.inf)


def one_patient(table):
    return table[table["patient_id"] == "P4"]


def constant(table):
    return table.assign(volume_ml=2.5)


def collinear(table):
    return table.assign(volume_ml=3 * table["suv_mean"])


def no_logarithm(table):
    return with_cell(table, "volume_ml", 0.0)


def twice(table):
    return pd.concat([table, table.iloc[[5]]], ignore_index=True)


def another_activity(table):
    return with_cell(table, "administered_activity_gbq", 6.123)


def mixed_tracer(table):
    return with_cell(table, "pet_tracer", "68Ga-PSMA-11")


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (empty, SiteTableError, ["empty"]),
        (no_dose, SiteTableError, ["absorbed_dose_gy", "no such column"]),
        (no_covariate, SiteTableError, ["volume_ml", "no such column"]),
        (no_tissue, SiteTableError, ["tissue", "no such column"]),
        (no_patient, SiteTableError, ["patient_id", "no such column"]),
        (no_activity, SiteTableError, ["administered_activity_gbq", "no such column"]),
        (mbq, SiteTableError, ["administered_activity_gbq", "MBq", "divide by 1000"]),
        (mgy, SiteTableError, ["absorbed_dose_gy", "mGy", "divide by 1000"]),
        (negative, SiteTableError, ["absorbed_dose_gy", "-3", "above 0", "P1", "T04"]),
        (zero, SiteTableError, ["absorbed_dose_gy", "above 0", "P1", "T04"]),
        (infinite, SiteTableError, ["absorbed_dose_gy", "inf", "finite", "P1", "T04"]),
        (missing_dose, SiteTableError, ["absorbed_dose_gy", "missing", "P1", "T04"]),
        (text, SiteTableError, ["suv_mean", "'12,5'", "number", "P1", "T04"]),
        (missing_covariate, MissingCovariateError, ["volume_ml", "P1", "drop", "impute"]),
        (infinite_covariate, SiteTableError, ["volume_ml", "inf", "P1", "T04"]),
        (one_patient, SiteTableError, ["one patient", "'P4'", "at least two"]),
        (constant, FormulaError, ["log(volume_ml)", "tumour", "constant"]),
        (collinear, FormulaError, ["log(volume_ml)", "log(suv_mean)", "combination"]),
        (no_logarithm, SiteTableError, ["volume_ml", "above 0", "P1", "T04"]),
        (twice, SiteTableError, ["P1", "T06", "cycle"]),
        (another_activity, SiteTableError, ["administered_activity_gbq", "P1"]),
        (mixed_tracer, SiteTableError, ["pet_tracer", "68Ga-PSMA-11"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_table_is_refused(tumours, tumour_model, spoil, error, words):
    table = spoil(tumours)
    before = table.copy(deep=True)
    model = bd.DoseModel(FORMULA)
    model._fitted = tumour_model._fitted
    with pytest.raises(error) as caught:
        model.fit(table)
    message = str(caught.value)
    for word in words:
        assert word in message, message
    assert isinstance(caught.value, ValueError)
    assert "np." not in message
    pd.testing.assert_frame_equal(table, before)
    assert model._fitted is tumour_model._fitted


def test_every_problem_is_in_one_error(tumours):
    table = negative(mbq(text(tumours)))
    with pytest.raises(SiteTableError) as caught:
        bd.DoseModel(FORMULA).fit(table)
    for word in ("MBq", "-3", "'12,5'"):
        assert word in str(caught.value)
    problems = caught.value.problems
    columns = {problem["column"] for problem in problems}
    assert columns == {"absorbed_dose_gy", "administered_activity_gbq", "suv_mean"}


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("log(suv_mean) +", ["does not parse"]),
        ("log(suv_mean", ["does not parse"]),
        ("absorbed_dose_gy ~ suv_mean", ["right-hand side"]),
        ("log(suv_maen)", ["suv_maen", "suv_mean"]),
        ("__import__('os').system('true')", ["does not parse"]),
        ("__import__('os')", ["not allowed"]),
        ("suv_mean.values", ["suv_mean.values", "did you mean"]),
        ("log(suv_mean - 1000)", ["log(suv_mean - 1000)", "above 0"]),
        ("suv_mean + suv_mean:one", ["combination"]),
        ("0", ["has no column", "'1'"]),
        ("log(absorbed_dose_gy)", ["'absorbed_dose_gy'", "measured dose"]),
        ("suv_mean + patient_id", ["'patient_id'", "no other patient has"]),
    ],
)
def test_formula_is_refused(tumours, formula, words):
    with pytest.raises(BayesdoseError) as caught:
        bd.DoseModel(formula).fit(tumours.assign(one=1.0))
    for word in words:
        assert word in str(caught.value), str(caught.value)
    assert "np." not in str(caught.value)


def test_more_coefficients_than_sites_under_a_flat_prior(tumours):
    few = tumours.iloc[[0, 1, 6, 7]].assign(a=[1.0, 2, 0, 5], b=[3.0, 1, 4, 1], c=[2.0, 7, 1, 8])
    table = few.assign(d=[9.0, 2, 6, 5])
    flat = bd.Priors(intercept=bd.Flat(), slope=bd.Flat())
    with pytest.raises(FormulaError, match=r"5 coefficients with a flat prior but 4 rows"):
        bd.DoseModel("a + b + c + d", priors=flat).fit(table)


def test_doses_that_are_equal_within_every_patient(kidneys):
    """Both kidneys reported with one number: nothing is left to learn the residual from."""
    own = kidneys.groupby("patient_id")["absorbed_dose_gy"]
    table = kidneys.assign(absorbed_dose_gy=own.transform("mean"))
    with pytest.raises(BayesdoseError, match="kidney"):
        bd.DoseModel("log(suv_mean)").fit(table.assign(suv_mean=table["egfr_ml_min_1p73m2"]))


def test_a_category_that_training_did_not_have(tumours, tumour_model):
    model = bd.DoseModel("log(suv_mean) + lesion_type")
    from bayesdose.dose.training import Fitted, build_domain, prepare

    training = prepare(tumours, model._spec())
    old = tumour_model._fitted
    model._fitted = Fitted(
        training.encoding, old.draws, build_domain(training), training, (0.0, 0.0), old.info
    )
    new = tumours.iloc[[0]].assign(lesion_type="brain", patient_id="N")
    with pytest.raises(UnknownCategoryError, match=r"lesion_type.*'brain'.*it had .*bone"):
        model.predict(new)


def test_a_slash_in_what_names_variables(cohort):
    with pytest.raises(bd.FormulaError, match="tissue 'a/b' has a slash"):
        bd.DoseModel("log(suv_mean)").fit(cohort.replace({"tissue": {"kidney": "a/b"}}))
    table = cohort.assign(**{"a/b": cohort["patient_id"]})
    with pytest.raises(bd.FormulaError, match="group_effects column 'a/b' has a slash"):
        bd.DoseModel("log(suv_mean)", group_effects=["a/b"]).fit(table)


def test_a_tissue_without_a_formula(cohort):
    with pytest.raises(FormulaError, match="'salivary_gland' is in the table but has no formula"):
        bd.DoseModel({"tumour": "1", "kidney": "1"}).fit(cohort)


def test_a_formula_without_rows(tumours, cohort):
    model = bd.DoseModel({"tumour": FORMULA, "liver": "1"})
    with pytest.warns(UserWarning, match="'liver'"):
        model.fit(tumours)
    assert "beta_liver" not in model.posterior_["posterior"]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"likelihood": "normal"}, ConfigError, "lognormal, student_t, gamma"),
        ({"likelihood": "gamma"}, ConfigError, "engine='pymc'"),
        ({"censored": "below"}, ConfigError, "engine='pymc'"),
        ({"missing": "ignore"}, ConfigError, "error, drop, impute"),
        ({"engine": "stan"}, ConfigError, "collapsed, pymc"),
        ({"group_effects": "centre"}, ConfigError, r"write \['centre'\]"),
        ({"priors": bd.Normal()}, ConfigError, "Priors"),
        ({"by": None, "formula": {"tumour": "1"}}, ConfigError, "one formula"),
        ({"formula": {}}, ConfigError, "no tissue"),
        ({"formula": " "}, ConfigError, "formula"),
        ({"formula": 3}, ConfigError, "formula"),
        ({"dose_cv": 0.1}, ConfigError, "dose_cv: got 0.1; give a column's name, or None"),
        ({"by": 3}, ConfigError, "by: got 3"),
        ({"patient": None}, ConfigError, "patient: got None; give a column's name$"),
        ({"response": "tissue"}, ConfigError, "two of the roles"),
        ({"group_effects": None}, ConfigError, "group_effects: got None"),
        ({"group_effects": ["patient_id"]}, ConfigError, "effects of their own"),
        ({"patient_effects": 1}, ConfigError, "patient_effects: got 1"),
        ({"standardise": "no"}, ConfigError, "standardise: got 'no'; give True or False"),
        ({"patient_correlation": "yes"}, ConfigError, "patient_correlation: got 'yes'"),
    ],
)
def test_arguments_are_refused_at_once(arguments, error, words):
    formula = arguments.pop("formula", "1")
    with pytest.raises(error, match=words):
        bd.DoseModel(formula, **arguments)


def test_set_params_refuses_and_keeps(tumour_model):
    model = bd.DoseModel("1")
    with pytest.raises(ConfigError, match="unknown argument 'formul'"):
        model.set_params(formul="2")
    with pytest.raises(ConfigError, match="collapsed, pymc"):
        model.set_params(engine="stan")
    assert model.engine == "collapsed"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"draws": 10}, ConfigError, "multiple of 4"),
        ({"draws": 4001}, ConfigError, "multiple of 4"),
        ({"draws": 1e3}, ConfigError, "multiple of 4"),
        ({"sampler": "gibbs"}, ConfigError, "auto, importance, nuts"),
        ({"device": "tpu"}, ConfigError, "cpu, gpu"),
        ({"random_seed": -1}, ConfigError, "random_seed: got -1"),
        ({"random_seed": "a"}, ConfigError, "random_seed: got 'a'"),
    ],
)
def test_fit_arguments_are_refused(tumours, tumour_priors, arguments, error, words):
    with pytest.raises(error, match=words):
        bd.DoseModel(FORMULA, priors=tumour_priors).fit(tumours, **arguments)


def test_what_is_no_table(tumours, tumour_model):
    new = tumours.assign(patient_id="N" + tumours["patient_id"])
    with pytest.raises(ConfigError, match=r"a str, not a DataFrame; bayesdose.read_sites"):
        bd.DoseModel(FORMULA).fit("sites.csv")
    with pytest.raises(ConfigError, match="new sites is a str"):
        tumour_model.predict("new.csv")
    with pytest.raises(ConfigError, match="given is a dict"):
        tumour_model.predict(new, given={}, kind="known_patient")
    with pytest.raises(ConfigError, match="gy: got '2'"):
        tumour_model.probability_above(new, "2")


def test_a_gpu_that_is_not_there(tumours):
    import jax

    if any(device.platform == "gpu" for device in jax.devices()):
        bd.DoseModel(FORMULA).fit(tumours, device="gpu")
        return
    with pytest.raises(DeviceError, match=r"none here.*device='cpu'"):
        bd.DoseModel(FORMULA).fit(tumours, device="gpu")


def test_priors_of_a_tissue_that_is_not_there(tumours):
    priors = bd.Priors(slope={"liver": bd.Normal(0, 1)})
    with pytest.raises(PriorError, match=r"'liver'.*tumour"):
        bd.DoseModel(FORMULA, priors=priors).fit(tumours)


@pytest.mark.parametrize(
    "use",
    [
        lambda m: m.posterior_,
        lambda m: m.log_evidence_,
        lambda m: m.fit_info_,
        lambda m: m.summary(),
        lambda m: m.diagnose(),
        lambda m: m.leave_one_patient_out(),
        lambda m: m.save("never.nc"),
    ],
)
def test_what_needs_a_fit_says_so(use, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        use(bd.DoseModel("1"))
    assert list(tmp_path.iterdir()) == []


class TestAccepted:
    def test_a_tumour_of_115_gy(self, tumours, tumour_model):
        table = with_cell(tumours, "absorbed_dose_gy", 115.0)
        model = bd.DoseModel(**tumour_model.get_params()).fit(table)
        seen = model.posterior_["observed_data"]["absorbed_dose"].to_numpy()
        assert seen.max() == pytest.approx(115.0)

    def test_egfr_that_differs_between_cycles(self, cycles):
        egfr = cycles["egfr_ml_min_1p73m2"] - 10.0 * (cycles["cycle"] == 2)
        table = cycles.assign(egfr_ml_min_1p73m2=egfr)
        model = bd.DoseModel("egfr_ml_min_1p73m2").fit(table)
        assert model.fit_info_["n_sites"] == len(cycles)

    def test_a_patient_with_kidneys_only(self, cycles):
        patient = cycles["patient_id"].iloc[-1]
        only = (cycles["patient_id"] == patient) & (cycles["tissue"] == "tumour")
        model = bd.DoseModel("log(suv_mean)").fit(cycles[~only])
        effects = model.posterior_["posterior"]["patient_effects"]
        place = {"patient": patient, "patient_effect": "tumour:Intercept"}
        assert np.isfinite(effects.sel(place)).all()

    def test_a_tissue_word_that_nobody_has_heard_of(self, tumours, tumour_priors):
        table = tumours.assign(tissue="pleural_rind")
        model = bd.DoseModel(FORMULA, priors=tumour_priors).fit(table)
        assert "beta_pleural_rind" in model.posterior_["posterior"]
        assert set(model.predict_draws(table.iloc[:2])["tissue"].to_numpy()) == {"pleural_rind"}
