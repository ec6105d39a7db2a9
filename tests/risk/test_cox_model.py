"""CoxModel: R's survival, PyMC's posteriors, scikit's contracts, uncertain covariates, errors."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.metrics import integrated_brier_score
from sksurv.util import Surv

from bayesdose.dose.priors import LKJ, R2D2, Flat, Normal, RegularizedHorseshoe
from bayesdose.errors import (
    BayesdoseError,
    ConfigError,
    DeviceError,
    NotFittedError,
    PredictionError,
    PriorError,
    RiskError,
    UnknownCategoryError,
)
from bayesdose.risk.cox.baseline import MSpline, PiecewiseConstant, i_splines, knots_of, m_splines
from bayesdose.risk.cox.model import CoxModel
from bayesdose.risk.cox.warnings import (
    FewEventsWarning,
    NewCentreWarning,
    OutcomeWarning,
    SamplingWarning,
    StratumWarning,
)
from bayesdose.simulate import psa_pfs_cohort

FOLDER = Path(__file__).parents[1] / "references"
HAZARDS = json.loads((FOLDER / "survival" / "hazards.json").read_text())
PYMC = json.loads((FOLDER / "pymc" / "cox.json").read_text())
MEN = ["trt", "karno", "diagtime", "age", "prior"]
FAST = {"draws": 2000, "progress": False}


def simulated(n: int = 120, seed: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 2)), columns=["a", "b"])
    time = rng.exponential(np.exp(-(0.8 * X["a"] - 0.4 * X["b"])))
    end = rng.uniform(0.2, 3, n)
    return X, pd.DataFrame({"event": time <= end, "time": np.minimum(time, end)})


@pytest.fixture(scope="module")
def veteran(test_data):
    table = pd.read_csv(test_data / "survival_classics" / "veteran.csv")
    return table, table[["status", "time"]].set_axis(["event", "time"], axis=1)


@pytest.fixture(scope="module")
def flat():
    X, y = simulated()
    return CoxModel(Flat(), inference="mode", draws=1000).fit(X, y), X, y


@pytest.fixture(scope="module")
def sampled():
    X, y = simulated()
    return CoxModel(**FAST).fit(X, y), X, y


# --- equal to R ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_survival_at_the_mode_is_survfit(veteran, ties):
    table, y = veteran
    reference = next(r for r in HAZARDS if r["name"] == "veteran" and r["ties"] == ties)
    model = CoxModel(Flat(), ties=ties, inference="mode", draws=200).fit(table[MEN], y)
    rows = pd.DataFrame(reference["rows"], columns=MEN)
    found = model.predict_survival_function(rows, times=reference["times"], return_array=True)
    np.testing.assert_allclose(found, reference["survival"], rtol=1e-6)


def test_survival_by_stratum_is_survfit(veteran):
    table, y = veteran
    reference = next(r for r in HAZARDS if r["name"] == "veteran strata")
    columns = ["trt", "karno", "age", "celltype"]
    model = CoxModel(Flat(), strata="celltype", inference="mode", draws=200)
    model.fit(table[columns], y)
    rows = pd.DataFrame(reference["rows"], columns=columns[:3]).assign(celltype="large")
    found = model.predict_survival_function(rows, times=reference["times"], return_array=True)
    np.testing.assert_allclose(found.ravel(), np.ravel(reference["survival"]), rtol=1e-6)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_proportional_hazards_test_is_cox_zph(veteran, ties):
    table, y = veteran
    reference = next(r for r in HAZARDS if r["name"] == "veteran" and r["ties"] == ties)
    model = CoxModel(Flat(), ties=ties, inference="mode", draws=200).fit(table[MEN], y)
    found = model.check_proportional_hazards()
    np.testing.assert_allclose(found.table["chi2"], reference["chi2"], rtol=1e-6)
    p_values = stats.chi2.sf(reference["chi2"], [1] * 5 + [5])
    np.testing.assert_allclose(found.table["p_value"], p_values, rtol=1e-5)
    assert "karno" in found.verdict
    assert len(found.residuals) == 5 * model.n_events_


def test_proportional_hazards_with_counting_process_and_strata_is_cox_zph(veteran):
    table, _ = veteran
    parts = []
    for part, (begin, end) in enumerate(((0, 60), (60, 180), (180, np.inf)), start=1):
        mine = table[table["time"] > begin].copy()
        mine["event"] = mine["status"] * (mine["time"] <= end)
        mine["start"], mine["stop"] = float(begin), np.minimum(mine["time"], end)
        parts.append(mine.assign(part=part))
    cut = pd.concat(parts, ignore_index=True)
    cut["karno_late"] = cut["karno"] * (cut["part"] > 1)
    columns = ["trt", "karno", "karno_late"]
    model = CoxModel(Flat(), strata="celltype", inference="mode", draws=200)
    model.fit(cut[[*columns, "celltype"]], cut[["start", "stop", "event"]])
    name = "veteran counting strata"
    reference = next(r for r in HAZARDS if r["name"] == name and r["ties"] == "efron")
    found = model.check_proportional_hazards()
    np.testing.assert_allclose(found.table["chi2"], reference["chi2"], rtol=1e-6)


def test_no_evidence_where_hazards_are_proportional(flat):
    found = flat[0].check_proportional_hazards()
    assert found.verdict.startswith("No evidence")
    assert "covariate" in str(found)


# --- posteriors equal to PyMC's -----------------------------------------------------------------


def within(draws: np.ndarray, reference: list[dict[str, float]], factor: float = 4.0) -> None:
    """Means and standard deviations within Monte-Carlo errors of both."""
    from arviz_stats.base import array_stats

    for k, expected in enumerate(reference):
        mine = draws[:, :, k]
        for what, value in (("mean", mine.mean()), ("sd", mine.std(ddof=1))):
            error = float(array_stats.mcse(mine, method=what))
            limit = factor * np.hypot(error, expected[f"mcse_{what}"])
            assert abs(value - expected[what]) < limit, (k, what, value, expected)


@pytest.mark.slow
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_posterior_is_pymc(veteran, ties):
    table, y = veteran
    settings = {"ties": ties, "draws": 20000, "random_state": 1, "progress": False}
    model = CoxModel(Normal(0, 0.5), **settings).fit(table[MEN], y)
    within(model.posterior_["posterior"]["beta"].values, PYMC[f"veteran {ties}"]["beta"])


@pytest.mark.slow
def test_frailty_posterior_is_pymc(test_data):
    table = pd.read_csv(test_data / "survival_classics" / "lung.csv")
    table = table.dropna(subset=["age", "sex", "ph.ecog", "inst"])
    y = table[["status", "time"]].set_axis(["event", "time"], axis=1)
    X = table[["age", "ph.ecog", "inst"]].astype({"inst": int})
    model = CoxModel(frailty="inst", draws=8000, progress=False).fit(X, y)
    posterior = model.posterior_["posterior"]
    within(posterior["beta"].values, PYMC["lung frailty"]["beta"])
    within(posterior["frailty_sd"].values[..., None], PYMC["lung frailty"]["frailty_sd"])
    # a new centre is as uncertain as the population, the mean of its effect 0
    known = model.predict(X.iloc[:2])
    with pytest.warns(NewCentreWarning, match="999"):
        fresh = model.predict(X.iloc[:2].assign(inst=999))
    plain = X.iloc[:2, :2].to_numpy(float) @ model.coef_
    np.testing.assert_allclose(fresh, plain)
    assert (known != plain).all()
    # a row on its own turns its centre 3 into 3.0, which is the same centre
    np.testing.assert_allclose(model.predict(pd.DataFrame([X.iloc[0]])), known[:1])


@pytest.mark.slow
def test_piecewise_posterior_is_pymc(veteran):
    table, y = veteran
    model = CoxModel(baseline=PiecewiseConstant(4), draws=8000, progress=False)
    model.fit(table[MEN], y)
    posterior = model.posterior_["posterior"]
    reference = PYMC["veteran piecewise"]
    within(posterior["beta"].values, reference["beta"])
    within(posterior["log_total_hazard"].values, reference["log_total_hazard"])
    within(posterior["baseline_weights"].values[:, :, 0], reference["baseline_weights"])


# --- splines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", [MSpline(6), MSpline(4), PiecewiseConstant(5)], ids=repr)
def test_splines_integrate_to_one(baseline):
    knots = knots_of(baseline, np.random.default_rng(0).exponential(10, 60), 70.0)
    times = np.linspace(0, 70, 20001)
    values = m_splines(knots, baseline.degree, times)
    middle = (values[1:] + values[:-1]) / 2 * np.diff(times)[:, None]
    integral = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(middle, axis=0)])
    np.testing.assert_allclose(i_splines(knots, baseline.degree, times), integral, atol=6e-4)
    assert (values >= 0).all()


def test_too_many_knots_are_refused():
    with pytest.raises(ConfigError, match="smaller n_basis"):
        knots_of(PiecewiseConstant(20), np.array([1.0, 1.0, 2.0]), 3.0)


# --- contracts ----------------------------------------------------------------------------------


def test_maximum_likelihood_is_scikit_survival(flat):
    model, X, y = flat
    other = CoxPHSurvivalAnalysis(ties="efron", tol=1e-12)
    other.fit(X, Surv.from_arrays(y["event"], y["time"]))
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-6)
    np.testing.assert_allclose(model.predict(X), X.to_numpy() @ other.coef_, rtol=1e-6)


def test_forms_of_y_are_one(flat):
    model, X, y = flat
    for form in (
        Surv.from_arrays(y["event"], y["time"]),
        y.to_numpy(float),
        pd.DataFrame({"start": 0.0, "stop": y["time"], "event": y["event"]}),
    ):
        again = clone(model).fit(X.to_numpy(), form)
        np.testing.assert_allclose(again.coef_, model.coef_, rtol=1e-9)


def test_works_in_pipelines_and_searches():
    X, y = simulated()
    y = Surv.from_arrays(y["event"], y["time"])
    model = CoxModel(Normal(0, 1), inference="mode", draws=100)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), model),
        {"coxmodel__slope": [Normal(0, 0.1), Normal(0, 1)]},
        cv=KFold(3),
    )
    search.fit(X, y)
    assert 0.6 < search.best_score_ < 0.9
    functions = search.best_estimator_.predict(X)
    assert functions.shape == (len(X),)


def test_survival_functions_serve_scikit_survival_metrics(sampled):
    model, X, y = sampled
    functions = model.predict_survival_function(X)
    times = np.quantile(y["time"][y["event"]], [0.2, 0.4, 0.6])
    survival = np.stack([function(times) for function in functions])
    labels = Surv.from_arrays(y["event"], y["time"])
    assert 0.05 < integrated_brier_score(labels, labels, survival, times) < 0.25
    array = model.predict_survival_function(X, return_array=True)
    assert array.shape == (len(X), model.unique_times_.size)
    np.testing.assert_allclose(functions[0].y, array[0], rtol=1e-9)
    first = functions[0]
    # far out, where next to nothing survives, a mean lies above most of its distribution
    seen = first.y > 0.01
    assert (first.lower <= first.y)[seen].all()
    assert (first.y <= first.upper)[seen].all()
    assert first(0.0) == 1.0
    assert list(first.to_frame()) == ["time", "survival", "lower", "upper"]
    assert first.domain == (0.0, y["time"].max())


def test_risk_at_a_time_is_one_minus_survival(sampled):
    model, X, _ = sampled
    table = model.predict_risk_at(X.iloc[5:9], 0.5)
    survival = model.predict_survival_function(X.iloc[5:9], times=[0.5], return_array=True)
    np.testing.assert_allclose(table["risk"], 1 - survival[:, 0])
    assert list(table.index) == [5, 6, 7, 8]
    assert ((table["lower"] < table["risk"]) & (table["risk"] < table["upper"])).all()


def test_predict_ranks_worse_higher(sampled):
    model, X, y = sampled
    assert model.score(X, y) > 0.65
    assert np.corrcoef(model.predict(X), X["a"])[0, 1] > 0.8
    np.testing.assert_allclose(model.predict(X), X.to_numpy() @ model.coef_)


def test_summary_and_posterior(sampled):
    model, _, _ = sampled
    table = model.summary()
    np.testing.assert_allclose(table["coef"], model.coef_)
    np.testing.assert_allclose(table["hazard_ratio_lower"], np.exp(table["lower"]))
    assert (table["r_hat"] < 1.01).all()
    assert table.attrs == {"interval": "eti", "prob": 0.95}
    posterior = model.posterior_["posterior"]
    assert posterior["coef"].dims == ("chain", "draw", "covariate")
    np.testing.assert_allclose(posterior["coef"].mean(("chain", "draw")), model.coef_)
    assert "diverging" in model.posterior_["sample_stats"]


def test_units_of_a_column_change_only_its_coefficient(sampled):
    model, X, y = sampled
    other = CoxModel(**FAST).fit(X.assign(a=100 * X["a"] + 7), y)
    np.testing.assert_allclose(other.coef_ * [100, 1], model.coef_, rtol=1e-6)


def test_columns_in_another_order_are_found_by_name(sampled):
    model, X, _ = sampled
    np.testing.assert_array_equal(model.predict(X[["b", "a"]]), model.predict(X))


@pytest.mark.slow
@pytest.mark.parametrize("slope", [RegularizedHorseshoe(1.0), R2D2()], ids=repr)
def test_shrinkage_priors_leave_noise_out(slope):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(150, 10))
    time = rng.exponential(np.exp(-1.2 * X[:, 0]))
    model = CoxModel(slope, **FAST, random_state=2).fit(X, np.c_[np.arange(150) % 10 != 0, time])
    assert 0.8 < model.coef_[0] < 1.5
    assert np.abs(model.coef_[1:]).max() < 0.15


# --- absolute risk ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayesdose.risk.cox.warnings.SamplingWarning")
@pytest.mark.parametrize("baseline", [None, MSpline(5)], ids=["partial", "spline"])
def test_bands_of_survival_cover(baseline):
    """True survival of new rows lies in 90 % bands: 20 cohorts x 3 rows x 2 times."""
    inside, n_cohorts = [], 20
    new = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 1.0]])
    times = np.array([0.3, 0.8])
    eta = new @ [0.8, -0.4]
    true = np.exp(-times * np.exp(eta)[:, None])
    for seed in range(n_cohorts):
        X, y = simulated(100, seed)
        model = CoxModel(
            Normal(0, 1), baseline=baseline, draws=1000, chains=2, random_state=seed, progress=False
        ).fit(X.to_numpy(), y)
        functions = model.predict_survival_function(new, times=times, prob=0.9)
        for function, truth in zip(functions, true, strict=True):
            inside.append((function.lower < truth) & (truth < function.upper))
    # rows and times of a cohort depend on one another: the cohort is the unit
    share = np.mean(inside, axis=1).reshape(n_cohorts, 3).mean(1)
    error = share.std(ddof=1) / np.sqrt(n_cohorts)
    assert abs(share.mean() - 0.9) < max(4 * error, 0.04)


# --- covariates with uncertainty ----------------------------------------------------------------


@pytest.fixture(scope="module")
def uncertain():
    rng = np.random.default_rng(12)
    n = 150
    z = rng.normal(size=n)
    dose = 0.4 * z + rng.normal(0, 0.8, n)
    time = rng.exponential(np.exp(dose - 0.5 * z))
    end = rng.uniform(0.5, 5, n)
    y = pd.DataFrame({"event": time <= end, "time": np.minimum(time, end)})
    return z, dose, y, rng


# true values and their coefficient trade off, so that chains move slowly: the draws here are few
FEW_DRAWS = pytest.mark.filterwarnings("ignore::bayesdose.risk.cox.warnings.SamplingWarning")


@FEW_DRAWS
@pytest.mark.slow
def test_measured_covariate_is_not_attenuated(uncertain):
    z, dose, y, rng = uncertain
    sd = dose.std()
    X = pd.DataFrame({"z": z, "dose": dose + rng.normal(0, sd, z.size)})
    model = CoxModel(Normal(0, 1), measurement_sd={"dose": float(sd)}, **FAST).fit(X, y)
    raw = CoxModel(Normal(0, 1), **FAST).fit(X, y)
    found = model.summary().loc["dose"]
    assert found["lower"] < -1.0 < found["upper"]
    assert raw.coef_[1] > 0.75 * model.coef_[1]  # nearer 0
    assert raw.summary().loc["dose", "lower"] > -1.0
    # the outcome tells of the true dose: it is known better than from the measurement alone
    true = model.posterior_["posterior"]["true_dose"]
    assert true.sizes["row"] == z.size
    assert (
        np.corrcoef(true.mean(("chain", "draw")), dose)[0, 1] > np.corrcoef(X["dose"], dose)[0, 1]
    )
    # a column of standard deviations says the same
    column = X.assign(sd=sd)
    again = CoxModel(Normal(0, 1), measurement_sd={"dose": "sd"}, **FAST).fit(column, y)
    np.testing.assert_allclose(again.coef_, model.coef_, atol=0.12)
    assert again.predict(column).shape == (z.size,)
    risk = model.predict_risk_at(X.iloc[:3], 1.0)
    assert ((risk["lower"] < risk["risk"]) & (risk["risk"] < risk["upper"])).all()


@FEW_DRAWS
@pytest.mark.slow
def test_drawn_covariate_carries_its_uncertainty(uncertain):
    z, _, _, rng = uncertain
    n = z.size
    predicted = 0.4 * z + rng.normal(0, 0.5, n)
    dose = predicted + rng.normal(0, 0.2) + rng.normal(0, 0.7, n)
    time = rng.exponential(np.exp(dose - 0.5 * z))
    y = np.c_[np.ones(n), time]
    y[::7, 0] = 0
    draws = predicted + rng.normal(0, 0.2, (1000, 1)) + rng.normal(0, 0.7, (1000, n))
    X = pd.DataFrame({"z": z})
    model = CoxModel(Normal(0, 1), **FAST).fit(X, y, draws={"dose": draws})
    assert model.covariates_ == ("z", "dose")
    found = model.summary().loc["dose"]
    assert found["lower"] < -1.0 < found["upper"]
    posterior = model.posterior_["posterior"]["true_dose"].mean(("chain", "draw")).values
    assert np.corrcoef(posterior - predicted, dose - predicted)[0, 1] > 0.2
    stacked = model.predict(X, draws={"dose": draws.reshape(4, 250, n)})
    np.testing.assert_allclose(stacked, model.predict(X, draws={"dose": draws}))
    with pytest.raises(RiskError, match="model wants"):
        model.predict(X)


@FEW_DRAWS
@pytest.mark.slow
def test_error_model_does_not_depend_on_units_and_knows_strata(uncertain):
    z, dose, y, rng = uncertain
    stratum = rng.integers(0, 2, z.size)
    sd = float(dose.std())
    gray = 30.0 * (dose + rng.normal(0, sd, z.size) + 3.0 * stratum)
    X = pd.DataFrame({"dose": gray, "stratum": stratum})
    settings = {"measurement_sd": {"dose": 30.0 * sd}, "strata": "stratum", **FAST}
    model = CoxModel(Normal(0, 1), **settings).fit(X, y)
    # the prior per unit that is the same as one per standard deviation
    per_unit = Normal(0, 1 / model._fit.scale[0])
    other = CoxModel(per_unit, **settings, standardise=False).fit(X, y)
    np.testing.assert_allclose(other.coef_, model.coef_, rtol=1e-6)
    # the spread between strata, which the coefficient is not learnt from, is not the dose's own
    assert 30 * 0.6 < model._fit.scale[0] < 30 * 1.3
    one = model.predict(X.iloc[:5])
    np.testing.assert_allclose(model.predict(X.iloc[3:5]), one[3:], rtol=1e-12)


@FEW_DRAWS
@pytest.mark.slow
def test_rows_of_one_man_share_his_true_value():
    """Follow-up cut in two is the same likelihood, also of a dose that is predicted or measured."""
    rng = np.random.default_rng(21)
    n = 80
    predicted = rng.normal(0, 1, n)
    dose = predicted + rng.normal(0, 0.8, n)
    stop = rng.exponential(np.exp(dose))
    whole = pd.DataFrame({"start": 0.0, "stop": np.minimum(stop, 3.0), "event": stop <= 3.0})
    cut = float(np.median(whole["stop"]))
    late = whole[whole["stop"] > cut].assign(start=cut)
    early = whole.assign(event=whole["event"] & (whole["stop"] <= cut))
    halves = pd.concat([early.assign(stop=np.minimum(whole["stop"], cut)), late])
    rows = np.r_[np.arange(n), late.index]
    draws = predicted + rng.normal(0, 0.8, (1000, n))
    X = pd.DataFrame({"z": rng.normal(size=n)})
    model = CoxModel(Normal(0, 1), **FAST)
    together = clone(model).fit(X, whole, draws={"dose": draws})
    apart = clone(model).fit(X.iloc[rows], halves, draws={"dose": draws[:, rows]})
    true = apart.posterior_["posterior"]["true_dose"].values
    np.testing.assert_array_equal(true[..., n:], true[..., late.index])
    # scales are of the rows, of which the late men have two: the prior differs a little
    errors = together.summary()["mcse"] + apart.summary()["mcse"]
    assert (np.abs(together.coef_ - apart.coef_) < 4 * errors + 0.05).all()
    noisy = X.assign(dose=dose + rng.normal(0, 0.8, n))
    known = CoxModel(Normal(0, 1), measurement_sd={"dose": 0.8}, **FAST)
    with pytest.raises(RiskError, match="groups"):
        known.fit(noisy.iloc[rows], halves)
    together = clone(known).fit(noisy, whole, groups=np.arange(n))
    apart = clone(known).fit(noisy.iloc[rows], halves, groups=rows)
    errors = together.summary()["mcse"] + apart.summary()["mcse"]
    assert (np.abs(together.coef_ - apart.coef_) < 4 * errors + 0.05).all()


def test_draws_without_spread_are_an_ordinary_covariate(sampled):
    model, X, y = sampled
    draws = np.tile(X["b"], (200, 1))
    other = CoxModel(**FAST).fit(X[["a"]], y, draws={"b": draws})
    error = model.summary()["mcse"].max() + other.summary()["mcse"].max()
    np.testing.assert_allclose(other.coef_, model.coef_, atol=4 * error)


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda X, y: (X, y.assign(event=0)), "none of the 120 rows has an event"),
        (lambda X, y: (X, y.assign(event=y["event"] + 1)), "event must be 0 or 1"),
        (lambda X, y: (X, y.assign(event="dead")), "event must be 0 or 1"),
        (lambda X, y: (X, y.assign(time=y["time"] - 0.1)), "above 0"),
        (lambda X, y: (X, y.iloc[:100]), "X has 120 rows and y 100"),
        (lambda X, y: (X.assign(a="high"), y), "must be numbers"),
        (lambda X, y: (X.assign(a=np.where(X.index == 7, np.nan, 1.0 * X["a"])), y), "row 7"),
        (lambda X, y: (X.assign(a=2.0), y), "same in every row"),
        (lambda X, y: (X.assign(a=1e200 * X["a"]), y), "rescale the column"),
        (lambda X, y: (X.iloc[:, 0].to_numpy(), y), "reshape"),
        (lambda X, y: (X[["a", "a"]], y), "two columns called 'a'"),
        (lambda X, y: (X.assign(c=X["a"] + X["b"]), y), "combination of"),
    ],
)
def test_bad_data_is_one_clear_error(change, words):
    X, y = change(*simulated())
    with pytest.raises(RiskError, match=words):
        CoxModel(Flat(), inference="mode").fit(X, y)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"ties": "exact"}, ConfigError, "efron, breslow"),
        ({"inference": "vi"}, ConfigError, "nuts, mode"),
        ({"slope": LKJ()}, PriorError, "slope"),
        ({"slope": RegularizedHorseshoe(3)}, PriorError, "expected_nonzero"),
        ({"slope": RegularizedHorseshoe(1), "inference": "mode"}, ConfigError, "nuts"),
        ({"baseline": MSpline(), "inference": "mode"}, ConfigError, "baseline"),
        ({"baseline": "weibull"}, ConfigError, "MSpline"),
        ({"strata": "site"}, ConfigError, "strata names 'site'"),
        ({"frailty": 7}, ConfigError, "frailty"),
        ({"measurement_sd": {"a": 5.0}}, RiskError, "almost nothing is left"),
        ({"measurement_sd": {"a": -1.0}}, RiskError, "must be above 0"),
        ({"measurement_sd": {"q": 1.0}}, ConfigError, "measurement_sd"),
        ({"draws": 4.5}, ConfigError, "draws"),
        ({"device": "tpu"}, ConfigError, "cpu, gpu"),
        ({"measurement_sd": 0.1}, ConfigError, "is a dict"),
    ],
)
def test_bad_settings_are_one_clear_error(settings, error, words):
    X, y = simulated()
    with pytest.raises(error, match=words):
        CoxModel(**settings).fit(X, y)


def test_no_gpu_is_an_error():
    import jax

    if any(device.platform == "gpu" for device in jax.devices()):
        pytest.skip("there is a GPU here")
    with pytest.raises(DeviceError):
        CoxModel(device="gpu").fit(*simulated())


def test_rows_of_another_order_and_dates_are_refused():
    X, y = simulated()
    with pytest.raises(BayesdoseError, match="order"):
        CoxModel(inference="mode").fit(X, y.sample(frac=1, random_state=1))
    dated = y.assign(time=pd.Timestamp("2020-01-01") + pd.to_timedelta(y["time"], unit="D"))
    with pytest.raises(RiskError, match="time"):
        CoxModel(inference="mode").fit(X, dated)
    from sklearn.exceptions import NotFittedError as OfScikitLearn

    with pytest.raises(OfScikitLearn):
        CoxModel().predict(X)


@pytest.mark.filterwarnings("ignore::bayesdose.risk.cox.warnings.OutcomeWarning")
@pytest.mark.filterwarnings("ignore::bayesdose.risk.cox.warnings.FewEventsWarning")
def test_one_row_is_refused():
    X, y = simulated()
    with pytest.raises(RiskError, match="one row"):
        CoxModel(inference="mode").fit(X.iloc[:1], y.assign(event=True).iloc[:1])


def test_mode_refuses_draws():
    X, y = simulated()
    with pytest.raises(ConfigError, match="knows no draws"):
        CoxModel(inference="mode").fit(X, y, draws={"dose": np.zeros((300, 120))})


def test_labels_and_columns_are_not_confused():
    X, y = simulated()
    # two columns of strata whose texts run together
    parts = X.assign(s=np.where(X["a"] > 0, "x, y", "x"), t=np.where(X["a"] > 0, "z", "y, z"))
    model = CoxModel(Flat(), strata=["s", "t"], inference="mode", draws=100).fit(parts, y)
    assert len(model._fit.strata) == 2
    # a column called 2 stands at place 0
    table = X.assign(c=np.arange(120) % 3).set_axis([2, 1, 0], axis=1)
    by_name = CoxModel(Flat(), strata=0, inference="mode", draws=100).fit(table, y)
    assert by_name.covariates_ == ("2", "1")
    by_place = CoxModel(Flat(), strata=2, inference="mode", draws=100).fit(table.to_numpy(), y)
    np.testing.assert_allclose(by_place.coef_, by_name.coef_)


@pytest.mark.parametrize("slope", [6.0, 9.0, 13.0])
def test_wide_hazards_keep_their_digits(slope):
    """Against the partial likelihood written out, row by row."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=300)
    time = rng.exponential(np.exp(-slope * x))
    found = CoxModel(Flat(), inference="mode", draws=100).fit(
        x[:, None], np.c_[np.arange(300) % 5 > 0, time]
    )
    events = np.flatnonzero(np.arange(300) % 5 > 0)

    def loss(b):
        return sum(logsumexp(b * x[time >= time[e]]) - b * x[e] for e in events)

    best = minimize_scalar(loss, bracket=(0.8 * slope, 1.2 * slope), tol=1e-10)
    assert found.coef_[0] == pytest.approx(best.x, rel=1e-6)


def test_flat_slopes_of_uncertain_covariates_are_refused():
    X, y = simulated()
    with pytest.raises(PriorError, match="no posterior"):
        CoxModel(Flat(), measurement_sd={"a": 0.5}).fit(X, y)


def test_strata_far_apart_do_not_disturb_one_another():
    """A covariate that differs between strata by 40 of its standard deviations within them."""
    X, y = simulated()
    stratum = np.arange(120) % 2
    near = CoxModel(Flat(), strata="s", inference="mode", draws=100).fit(X.assign(s=stratum), y)
    far = clone(near).fit(X.assign(s=stratum, a=X["a"] + 40.0 * stratum), y)
    np.testing.assert_allclose(far.coef_, near.coef_, rtol=1e-9)
    np.testing.assert_allclose(far.covariance_, near.covariance_, rtol=1e-9)


def test_bands_end_where_too_few_events_are_known(flat):
    model, X, y = flat
    first = float(y["time"][y["event"]].min())
    with pytest.warns(FewEventsWarning, match="0 events by time"):
        table = model.predict_risk_at(X.iloc[:2], first / 2)
    assert (table["risk"] == 0).all()
    assert table[["lower", "upper"]].isna().all(axis=None)


def test_separation_is_an_error_with_a_flat_prior_and_fitted_with_another():
    rng = np.random.default_rng(2)
    x = np.r_[np.zeros(30), np.ones(30)]
    y = np.c_[x == 1, rng.uniform(1, 5, 60)]
    X = np.c_[x, rng.normal(size=60)]
    with pytest.raises(RiskError, match="separated"):
        CoxModel(Flat(), inference="mode").fit(X, y)
    model = CoxModel(Normal(0, 0.5), inference="mode", draws=100).fit(X, y)
    assert 0.3 < model.coef_[0] < 2


def test_what_looks_wrong_is_told_by_name():
    X, y = simulated()
    mode = CoxModel(Flat(), inference="mode", draws=100)
    with pytest.warns(OutcomeWarning, match="all 120 rows"):
        mode.fit(X, y.assign(event=True))
    rng = np.random.default_rng(0)
    late = pd.DataFrame({"event": [1] * 80 + [0] * 40, "time": 1.0})
    late["time"] = np.r_[rng.uniform(9, 10, 80), rng.uniform(1, 5, 40)]
    with pytest.warns(OutcomeWarning, match="reversed"):
        mode.fit(X, late)
    # the simulated study itself, and with its event the other way round
    men = psa_pfs_cohort(random_seed=1).patients
    table = men[["event", "time_months"]].set_axis(["event", "time"], axis=1)
    mode.fit(men[["age_y"]], table)
    with pytest.warns(OutcomeWarning, match="reversed"):
        mode.fit(men[["age_y"]], table.assign(event=~table["event"]))
    few = y.assign(event=[True] * 9 + [False] * 111)
    with pytest.warns(FewEventsWarning, match="9 events for 2 covariates"):
        mode.fit(X, few)
    stratum = X.assign(s=["x"] * 110 + ["y"] * 10)
    quiet = y.assign(event=y["event"] & (stratum["s"] == "x"))
    with pytest.warns(StratumWarning, match=r"\(y\)"):
        model = clone(mode).set_params(strata="s").fit(stratum, quiet)
    with pytest.raises(PredictionError, match="no event at training"):
        model.predict_risk_at(stratum.iloc[-1:], 0.5)
    with pytest.raises(UnknownCategoryError, match="'z'"):
        model.predict_risk_at(stratum.iloc[:1].assign(s="z"), 0.5)
    assert np.isfinite(model.predict(stratum)).all()


def test_too_few_draws_are_told():
    X, y = simulated()
    with pytest.warns(SamplingWarning, match="draws="):
        CoxModel(draws=100, progress=False).fit(X, y)


def test_prediction_refuses_what_was_not_seen(flat):
    model, X, y = flat
    with pytest.raises(PredictionError, match="outside the follow-up"):
        model.predict_risk_at(X, y["time"].max() + 1)
    with pytest.raises(PredictionError, match="outside the follow-up"):
        model.predict_survival_function(X.iloc[:1])[0](99.0)
    with pytest.raises(ConfigError, match="one number"):
        model.predict_risk_at(X, [0.1, 0.2])
    for times in ([1.0, 0.5], np.zeros(0)):
        with pytest.raises(ConfigError, match="rising"):
            model.predict_survival_function(X, times=times)
    for time in ("12", "12 months", np.datetime64("2020-01-01")):
        with pytest.raises(ConfigError, match="must be numbers"):
            model.predict_risk_at(X, time)
    with pytest.raises(RiskError, match="missing"):
        model.predict(X[["a"]])
    with pytest.raises(RiskError, match="unknown"):
        model.predict(X.assign(c=1))
    with pytest.raises(NotFittedError, match="fit"):
        CoxModel().predict(X)


@pytest.mark.parametrize(
    ("draws", "words"),
    [
        (np.zeros((300, 5)), "rows of X in their order"),
        (np.zeros((10, 120)), "too few"),
        (np.full((300, 120), np.nan), "not finite"),
    ],
)
def test_bad_draws_are_refused(draws, words):
    X, y = simulated()
    with pytest.raises(RiskError, match=words):
        CoxModel().fit(X, y, draws={"dose": draws})


def test_a_fitted_model_can_be_sent_to_another_process(flat):
    """As joblib and Dask do; nothing is saved this way."""
    import pickle

    model, X, _ = flat
    copy = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(
        copy.predict_risk_at(X.iloc[:3], 0.5), model.predict_risk_at(X.iloc[:3], 0.5)
    )
