"""DoseResponse: R's glm, PyMC's posteriors, closed forms, uncertain doses, errors."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import integrate, special, stats
from sklearn.base import clone

from bayesdose.dose.priors import Exponential, Flat, HalfNormal, Normal, StudentT
from bayesdose.errors import BayesdoseError, ConfigError, NotFittedError, PriorError, RiskError
from bayesdose.risk.cox.warnings import FewEventsWarning, SamplingWarning
from bayesdose.risk.dose_response.curve import (
    d50_gy,
    gamma50,
    interval_where_defined,
    probability,
)
from bayesdose.risk.dose_response.fitting import DoseResponseFit, problem
from bayesdose.risk.dose_response.model import DoseResponse
from bayesdose.risk.dose_response.rows import Doses, read_doses
from bayesdose.risk.dose_response.warnings import SeparationWarning, warn_of

FOLDER = Path(__file__).parents[1] / "references" / "dose_response"
GLM = json.loads((FOLDER / "glm.json").read_text())
PYMC = json.loads((FOLDER / "pymc_posteriors.json").read_text())
LINKS = {"logit": stats.logistic, "probit": stats.norm}
N = 12
PATIENTS = np.repeat(["p1", "p2", "p3", "p4", "p5", "p6"], 2)
DOSE = np.geomspace(5, 60, N)
Y = np.tile([0, 1, 1, 0, 1, 0], 2)


def log_posterior(spec: DoseResponse, doses: Doses, y, patient, log_reference: float):
    """Log density of the parameters by name, as the sampler sees it, and its derivatives."""
    import jax
    from numpyro.infer.util import log_density

    from bayesdose.dose.collapsed.engine import double_precision, find_device
    from bayesdose.risk.dose_response.density import model

    structure, data = problem(spec._spec(), doses, y, patient, log_reference)

    def value(parameters: dict[str, np.ndarray]) -> object:
        return log_density(model, (structure, data), {}, parameters)[0]

    functions = [jax.jit(each) for each in (value, jax.grad(value), jax.hessian(value))]

    def all_of(parameters: dict[str, np.ndarray], order: int = 0) -> object:
        with double_precision(find_device("cpu")):
            return jax.tree_util.tree_map(np.asarray, functions[order](parameters))

    return all_of


@pytest.mark.parametrize("link", LINKS)
def test_the_mode_under_wide_priors_is_that_of_glm(link):
    dose = np.repeat(np.array(GLM["dose"], float), GLM["n"])
    y = np.concatenate([np.repeat([True, False], [k, GLM["n"] - k]) for k in GLM["killed"]])
    wide = 1e6
    settings = DoseResponse(link=link, intercept=Normal(0, wide), slope=Normal(0, wide))
    density = log_posterior(settings, read_doses(dose, None), y, np.arange(y.size), 0.0)
    reference = GLM[link]
    at = dict(zip(("intercept", "slope"), np.array(reference["coef"]), strict=True))
    of_priors = 2 * stats.norm.logpdf(0, 0, wide)
    assert float(density(at)) - of_priors == pytest.approx(reference["log_likelihood"][0], abs=1e-6)
    assert list(density(at, 1).values()) == pytest.approx([0, 0], abs=1e-6)
    hessian = density(at, 2)
    information = -np.array([[hessian[a][b] for b in at] for a in at])
    if link == "logit":  # expected information, which R inverts, is the observed one
        covariance = np.reshape(reference["covariance"], (2, 2))
        np.testing.assert_allclose(np.linalg.inv(information), covariance, rtol=1e-6)
    half = d50_gy(*(np.array([value]) for value in reference["coef"]), 1.0)
    assert np.log(half[0]) == pytest.approx(reference["log_d50"][0], abs=1e-9)


@pytest.mark.parametrize(
    ("link", "sd_prior"),
    [("logit", HalfNormal(0.7)), ("probit", Exponential(2.0)), ("logit", StudentT(3, 0, 0.5))],
)
def test_density_of_measured_doses_written_out(link, sd_prior):
    """Integrated over the true doses one by one, by quadrature."""
    rng = np.random.default_rng(4)
    cv = np.linspace(0.1, 0.5, N)
    settings = DoseResponse(
        link=link, intercept=StudentT(5, 0.2, 1.1), slope=Normal(1, 2), patient_sd=sd_prior
    )
    doses, patient = read_doses(DOSE, None, cv, N), pd.factorize(PATIENTS)[0]
    log_reference = float(np.log(20))
    density = log_posterior(settings, doses, Y.astype(bool), patient, log_reference)
    alpha, s, sd, mean, within, between = 0.3, 1.4, 0.6, 0.1, 0.8, 0.5
    b, u = rng.normal(size=(2, 6))
    at = {
        "intercept": alpha,
        "slope": s,
        "patient_sd": sd,
        "exposure_mean": mean,
        "exposure_sd": within,
        "exposure_patient_sd": between,
        "patient_z": b,
        "exposure_patient_z": u,
    }
    error, w = np.sqrt(np.log(1 + cv**2)), np.log(DOSE) - log_reference
    rows = 64  # after padding
    half = {
        "HalfNormal": stats.halfnorm(scale=0.7),
        "Exponential": stats.expon(scale=0.5),
    }.get(type(sd_prior).__name__)
    of_sd = half.logpdf(sd) if half is not None else np.log(2) + stats.t.logpdf(sd, 3, scale=0.5)
    priors = (
        stats.t.logpdf(alpha, 5, 0.2, 1.1)
        + stats.norm.logpdf(s, 1, 2)
        + of_sd
        + stats.norm.logpdf(mean, 0, 5)
        + stats.halfnorm.logpdf([within, between], scale=2).sum()
        + stats.norm.logpdf([b, u]).sum()
    )
    total = 0.0
    for row in range(N):
        center = mean + between * u[patient[row]]
        sign = 2 * Y[row] - 1

        def plain(x, center=center, row=row, sign=sign):
            eta = alpha + s * x + sd * b[patient[row]]
            return (
                LINKS[link].cdf(sign * eta)
                * stats.norm.pdf(x, center, within)
                * stats.norm.pdf(w[row], x, error[row])
            )

        total += np.log(integrate.quad(plain, -8, 8, limit=200, points=[w[row]])[0])
    # the package's own parameter is a standard normal a row: over it, row by row, by quadrature
    nodes, weights = special.roots_hermitenorm(80)
    weights = weights / weights.sum()
    zero = np.zeros(rows)
    base = float(density(at | {"measured_z": zero}))
    found = base - stats.norm.logpdf(0) * rows
    for row in range(N):
        one = []
        for node in nodes:
            z = zero.copy()
            z[row] = node
            one.append(float(density(at | {"measured_z": z})) + 0.5 * node**2 - base)
        found += np.log(weights @ np.exp(one))
    assert found == pytest.approx(priors + total, abs=1e-8)


def test_density_of_drawn_doses_is_that_of_their_law():
    """Normal scores of 20 000 draws of a normal law give back its mean, spread and correlation."""
    from bayesdose.risk.cox.uncertain import drawn_columns

    draws = predicted_draws(20_000)
    log_draws = np.log(draws)
    law = drawn_columns({"dose": log_draws})
    correlation = (law.root @ law.root.T)[np.ix_(law.place, law.place)]
    covariance = correlation * np.outer(log_draws.std(0), log_draws.std(0))
    np.testing.assert_allclose(
        covariance, predicted_covariance(), atol=5 * 0.25 * np.sqrt(2 / 20_000)
    )


def predicted_covariance() -> np.ndarray:
    patient = np.array(PYMC["table"]["patient"])
    same = patient[:, None] == patient
    return PYMC["shared_sd"] ** 2 * same + PYMC["own_sd"] ** 2 * np.eye(patient.size)


def predicted_draws(n_draws: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    mean = np.log(PYMC["table"]["predicted_gy"])
    return np.exp(rng.multivariate_normal(mean, predicted_covariance(), n_draws))


@pytest.mark.slow
@pytest.mark.parametrize("case", PYMC["posteriors"])
def test_posterior_is_that_of_pymc(case):
    table = {name: np.array(values) for name, values in PYMC["table"].items()}
    kind, link = case.split()
    given = {
        "exact": {"dose_gy": table["dose_gy"]},
        "measured": {"dose_gy": table["measured_gy"], "dose_cv": PYMC["cv"]},
        "drawn": {"dose_gy": None},
    }[kind]
    if kind == "drawn":
        given["draws"] = predicted_draws(20_000)
    model = DoseResponse(link=link, draws=4000, random_state=2, progress=False)
    model.fit(y=table["y"], patients=table["patient"], **given)
    assert (model.n_rows_, model.n_patients_, model.n_events_) == (96, 24, table["y"].sum())
    posterior = model.posterior_["posterior"]
    assert ("true_dose_gy" in posterior) == (kind != "exact")
    if kind == "drawn":
        assert posterior["true_dose_gy"].shape == (4, 1000, 96)
        assert model.reference_dose_gy_ == pytest.approx(PYMC["reference_gy"], rel=2e-3)
    for name, wanted in PYMC["posteriors"][case].items():
        draws = model._fit.values[name]
        error = np.hypot(wanted["mcse_mean"], mcse(draws))
        assert draws.mean() == pytest.approx(wanted["mean"], abs=4 * error), name
        error = np.hypot(wanted["mcse_sd"], mcse((draws - draws.mean()) ** 2) / (2 * draws.std()))
        assert draws.std() == pytest.approx(wanted["sd"], abs=4 * error), name


def mcse(draws: np.ndarray) -> float:
    from bayesdose import _arviz

    return _arviz.convergence(draws)["mcse_mean"]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("sd", [0.0, 0.3, 1.0, 4.0])
def test_average_over_patients_by_quadrature(link, sd):
    for eta in (-6.0, -0.5, 0.0, 2.0):

        def plain(b, eta=eta):
            return LINKS[link].cdf(eta + sd * b) * stats.norm.pdf(b)

        wanted = integrate.quad(plain, -9, 9, epsabs=1e-13, points=[-eta / max(sd, 1.0)])[0]
        found = probability(np.array([[eta]]), np.array([sd]), link)
        assert found.item() == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("sd", [0.0, 1.3])
def test_d50_and_gamma50_are_what_they_say(link, sd):
    intercept, slope, reference = np.array([0.7]), np.array([1.9]), 18.0
    half = d50_gy(intercept, slope, reference)[0]

    def curve(gy: float) -> float:
        eta = intercept + slope * np.log(gy / reference)
        return probability(eta[None], np.array([sd]), link).item()

    assert curve(half) == pytest.approx(0.5, abs=1e-12)
    step = 1e-5
    steepness = (curve(half * (1 + step)) - curve(half * (1 - step))) / (2 * step)
    assert gamma50(slope, np.array([sd]), link).item() == pytest.approx(steepness, rel=1e-6)
    if link == "logit" and sd == 0:
        g = gamma50(slope, np.zeros(1), link).item()
        assert g == pytest.approx(1.9 / 4)
        for gy in (3.0, 40.0):
            assert curve(gy) == pytest.approx(1 / (1 + (half / gy) ** (4 * g)))


def test_d50_is_undefined_where_the_slope_does_not_rise():
    found = d50_gy(np.array([0.1, 0.1, 0.1]), np.array([-1.0, 0.0, 2.0]), 10.0)
    assert np.isnan(found[:2]).all()
    assert found[2] == pytest.approx(10 * np.exp(-0.05))


def test_undefined_draws_count_as_beyond_both_ends():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=4000)
    whole = interval_where_defined(draws, 0.9)
    assert whole[1:] == pytest.approx(np.quantile(draws, [0.05, 0.95]), abs=0.02)
    some = draws.copy()
    some[:100] = np.nan  # 2.5 % of 5 % a tail
    middle, lower, upper = interval_where_defined(some, 0.9)
    assert lower < whole[1]
    assert upper > whole[2]
    assert middle == np.median(some[100:])
    kept = np.sort(some[100:])
    assert (lower, upper) == (kept[99], kept[-100])
    some[:201] = np.nan
    assert np.isnan(interval_where_defined(some, 0.9)).all()
    some[100:] = np.inf
    assert np.isnan(interval_where_defined(some, 0.9)).all()


def made(slope: float, *, link: str = "logit", patients: bool = True) -> DoseResponse:
    """A model whose draws are made by hand."""
    rng = np.random.default_rng(1)
    values = {
        "intercept": rng.normal(0.2, 0.2, (4, 250)),
        "slope": rng.normal(slope, 0.4, (4, 250)),
    }
    if patients:
        values["patient_sd"] = np.abs(rng.normal(0.8, 0.2, (4, 250)))
        values["patient_effect"] = rng.normal(size=(4, 250, 2))
    stats_ = {"diverging": np.zeros((4, 250), bool)}
    model = DoseResponse(link=link)
    model._fit = DoseResponseFit(values, stats_, link, 20.0, (2.0, 80.0), ("a", "b"), 9, 4)
    return model


def test_summary_holds_the_draws():
    model = made(1.5)
    table = model.summary(0.9)
    assert list(table.index) == [
        "intercept",
        "slope",
        "patient_sd",
        "d50_gy",
        "gamma50",
        "gamma50_population",
    ]
    slope = model._fit.flat("slope")
    assert table.loc["slope", "mean"] == pytest.approx(slope.mean())
    assert table.loc["slope", ["lower", "upper"]].tolist() == pytest.approx(
        np.quantile(slope, [0.05, 0.95])
    )
    assert table.loc["gamma50", "median"] == pytest.approx(np.median(slope) / 4)
    assert (table.loc["gamma50_population", "median"]) < table.loc["gamma50", "median"]
    half = 20 * np.exp(-model._fit.flat("intercept") / slope)
    assert table.loc["d50_gy", "median"] == pytest.approx(np.median(half))
    assert np.isnan(table.loc["d50_gy", "mean"])
    assert table.attrs["prob"] == 0.9
    assert (table["note"] == "").all()


def test_summary_does_not_tell_a_d50_that_is_not_known():
    table = made(0.3).summary()
    assert table.loc["d50_gy", ["median", "lower", "upper"]].isna().all()
    assert "not known: the slope is not above 0 in" in table.loc["d50_gy", "note"]
    assert 0.5 < table.loc["slope", "prob_above_0"] < 0.9
    falling = made(-2.0).summary()
    assert "100.0 % of draws" in falling.loc["d50_gy", "note"]
    some = made(1.0).summary()
    assert "which count as beyond either end" in some.loc["d50_gy", "note"]
    far = made(1.5)
    far._fit.values["intercept"] -= 5
    assert (
        "extrapolated: the doses of training are 2 to 80 Gy" in far.summary().loc["d50_gy", "note"]
    )


def test_one_row_a_patient_is_a_curve_of_the_population():
    model = made(1.5, patients=False)
    table = model.summary()
    assert "patient_sd" not in table.index
    assert "gamma50_population" not in table.index
    assert "one row a patient" in table.loc["slope", "note"]
    new, typical = (model.predict([10.0], kind=k) for k in ("new_patient", "typical_patient"))
    pd.testing.assert_frame_equal(new, typical)


@pytest.mark.parametrize("link", LINKS)
def test_prediction_is_the_mean_over_draws(link):
    model = made(1.5, link=link)
    doses = pd.Series([1.0, 20.0, 70.0], index=["x", "y", "z"])
    typical = model.predict(doses, kind="typical_patient", prob=0.8)
    assert list(typical.index) == ["x", "y", "z"]
    assert typical["extrapolates"].tolist() == [True, False, False]
    fit = model._fit
    for row in typical.itertuples():
        risk = LINKS[link].cdf(fit.flat("intercept") + fit.flat("slope") * np.log(row.dose_gy / 20))
        assert row.probability == pytest.approx(risk.mean())
        assert (row.lower, row.upper) == pytest.approx(tuple(np.quantile(risk, [0.1, 0.9])))
    new = model.predict(doses)
    assert abs(new["probability"] - 0.5).lt(abs(typical["probability"] - 0.5)).all()
    grid = model.curve()
    assert (grid["dose_gy"].iloc[0], grid["dose_gy"].iloc[-1]) == pytest.approx((2, 80))
    assert grid["probability"].is_monotonic_increasing
    assert not grid["extrapolates"].any()


def test_prediction_of_an_uncertain_dose_averages_over_it():
    model = made(1.5)
    rng = np.random.default_rng(3)
    draws = 15 * np.exp(rng.normal(0, 0.8, (5000, 1)))
    found, exact = model.predict(draws=draws), model.predict([15.0])
    wanted = model.predict(np.quantile(draws, (np.arange(400) + 0.5) / 400))["probability"].mean()
    # 1000 pairs of draws
    assert found["probability"].item() == pytest.approx(wanted, abs=4 * 0.25 / np.sqrt(1000))
    assert found["upper"].item() > exact["upper"].item()
    assert found["lower"].item() < exact["lower"].item()
    assert found["dose_gy"].item() == pytest.approx(np.median(draws), rel=1e-3)


def test_patients_with_one_row_each_have_no_effects():
    spec, doses = DoseResponse()._spec(), read_doses(DOSE, None)
    alone, _ = problem(spec, doses, Y.astype(bool), np.arange(N), 0.0)
    paired, data = problem(spec, doses, Y.astype(bool), pd.factorize(PATIENTS)[0], 0.0)
    assert (alone.n_patients, paired.n_patients) == (0, 6)
    assert data["counted"].sum() == N


def test_it_warns_of_divergences():
    model = made(1.5)
    model._fit.stats["diverging"][0, :3] = True
    with pytest.warns(SamplingWarning, match="3 divergent transitions"):
        model._warn_of_sampling()


def test_posterior_tree_has_names_and_units():
    tree = made(1.5).posterior_
    assert tree["posterior"]["patient_effect"].dims == ("chain", "draw", "patient")
    assert tree["posterior"]["d50_gy"].attrs["units"] == "Gy"
    assert tree["posterior"].attrs["reference_dose_gy"] == 20.0
    assert tree["sample_stats"]["diverging"].shape == (4, 250)


def test_settings_are_kept_and_cloned():
    model = DoseResponse(link="probit", slope=StudentT(4, 1, 2), draws=500)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError, match="not fitted: call fit"):
        model.summary()


def test_draws_as_predict_draws_gives_them():
    rng = np.random.default_rng(0)
    gy = np.exp(rng.normal(2, 1, (2, 150, N)))
    array = xr.DataArray(gy, dims=("chain", "draw", "site"))
    wanted = np.log(gy.reshape(300, N))
    for given in (array, array.transpose("site", "draw", "chain"), gy, gy.reshape(300, N)):
        np.testing.assert_array_equal(read_doses(None, given, None, N).draws, wanted)


def test_it_warns_of_separation_and_of_few_patients():
    codes = pd.factorize(PATIENTS)[0]
    apart = np.arange(N) >= 6
    for y, side in ((apart, "above"), (~apart, "below")):
        with pytest.warns(SeparationWarning, match=f"dose {side} all rows without it"):
            warn_of(np.log(DOSE), y, np.arange(N))
    with pytest.warns(FewEventsWarning, match="2 rows of 2 patients are with the outcome"):
        warn_of(np.log(DOSE), np.isin(np.arange(N), [2, 5]), codes)
    with pytest.warns(FewEventsWarning, match="2 rows of 2 patients are without the outcome"):
        warn_of(np.log(DOSE), ~np.isin(np.arange(N), [2, 5]), codes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of(np.log(DOSE), Y.astype(bool), codes)


INDEX = [f"r{k}" for k in range(N)]
DRAWS = np.exp(np.random.default_rng(0).normal(2, 1, (300, N)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dose_gy": np.where(np.arange(N) == 3, 0.0, DOSE)}, "above zero; entry 3 is 0.0"),
        ({"dose_gy": np.where(np.arange(N) == 3, np.nan, DOSE)}, "entry 3 is nan"),
        ({"dose_gy": -DOSE}, "above zero"),
        ({"dose_gy": DOSE[:5]}, "has 5 entries and must have one for each of the 12"),
        ({"dose_gy": [f"{gy} Gy" for gy in DOSE]}, "numbers only"),
        ({"dose_gy": np.full(N, 7.0)}, "the dose is 7 Gy in every row"),
        ({"dose_gy": None}, "give the doses once.*neither"),
        ({"draws": DRAWS}, "give the doses once.*both"),
        ({"dose_gy": None, "draws": DRAWS, "dose_cv": 0.2}, "dose_cv belongs to measured doses"),
        ({"dose_gy": None, "draws": DRAWS[:50]}, "50 are too few"),
        ({"dose_gy": None, "draws": DRAWS.T}, "wanted are .n_draws, n_rows. with the 12"),
        ({"dose_gy": None, "draws": np.log(DRAWS)}, "draws of the log dose"),
        ({"dose_gy": None, "draws": DRAWS.astype(str)}, "must be numbers"),
        ({"dose_cv": -0.1}, "row 0 has -0.1"),
        ({"dose_cv": np.where(np.arange(N) == 4, np.nan, 0.2)}, "row 4 has nan"),
        ({"dose_cv": [0.1, 0.2]}, "one for each of the 12 rows; got shape .2,."),
        ({"dose_cv": "a"}, "numbers only"),
        ({"dose_cv": 20.0}, "a share of the dose .0.2, not 20."),
        ({"y": np.ones(N)}, "all 12 rows are cases"),
        ({"y": np.zeros(N)}, "all 12 rows are controls"),
        ({"y": np.where(np.arange(N) == 2, 2, Y)}, "entry 2 is 2"),
        ({"y": np.where(np.arange(N) == 2, np.nan, Y)}, "entry 2 is nan"),
        ({"y": np.where(Y == 1, "yes", "no")}, "must be 0 or 1"),
        ({"y": pd.date_range("2020-01-01", periods=N)}, "must be 0 or 1"),
        ({"patients": np.full(N, "only")}, "all 12 rows are of patient 'only'"),
        ({"patients": PATIENTS[:4]}, "one label for each of the 12 rows"),
        ({"patients": [None, *PATIENTS[1:]]}, "no label for row 0"),
        (
            {"dose_gy": pd.Series(DOSE, INDEX), "y": pd.Series(Y, INDEX[::-1])},
            "index labels in another order",
        ),
        (
            {"dose_gy": pd.Series(DOSE, INDEX), "patients": pd.Series(PATIENTS, INDEX[::-1])},
            "index labels in another order",
        ),
    ],
)
def test_bad_rows_are_named(change, words):
    given = {"dose_gy": DOSE, "y": Y, "patients": PATIENTS} | change
    with pytest.raises(BayesdoseError, match=words):
        DoseResponse().fit(**given)


def test_draws_of_other_patients_are_refused():
    coords = {"patient_id": ("site", PATIENTS[::-1])}
    draws = xr.DataArray(DRAWS[None], dims=("chain", "draw", "site"), coords=coords)
    with pytest.raises(
        RiskError, match="row 0 is of patient 'p1' in patients and of 'p6' in draws"
    ):
        DoseResponse().fit(None, Y, patients=PATIENTS, draws=draws)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"link": "cloglog"}, ConfigError, "allowed are logit, probit"),
        ({"slope": Flat()}, PriorError, "slope: got Flat.*has no posterior"),
        ({"intercept": HalfNormal(1)}, PriorError, "allowed are Normal, StudentT"),
        ({"patient_sd": Normal(0, 1)}, PriorError, "allowed are HalfNormal"),
        ({"draws": 10}, ConfigError, "draws must be a whole number from 100"),
        ({"chains": 0}, ConfigError, "chains must be"),
        ({"random_state": None}, ConfigError, "random_state must be"),
    ],
)
def test_bad_settings_are_named(settings, error, words):
    with pytest.raises(error, match=words):
        DoseResponse(**settings).fit(DOSE, Y, patients=PATIENTS)


def test_bad_predictions_are_named():
    model = made(1.5)
    for call, words in (
        (lambda: model.predict([5.0], kind="known_patient"), "kind: got 'known_patient'"),
        (lambda: model.predict([0.0]), "above zero"),
        (lambda: model.predict(), "neither"),
        (lambda: model.predict([5.0], prob=95), "strictly between 0 and 1"),
        (lambda: model.curve([5.0, 4.0]), "two or more rising doses"),
        (lambda: model.curve([5.0]), "two or more rising doses"),
        (lambda: model.summary(prob=0), "strictly between 0 and 1"),
    ):
        with pytest.raises(BayesdoseError, match=words):
            call()
