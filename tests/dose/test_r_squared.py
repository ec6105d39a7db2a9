"""Bayesian R² at fixed parameters against simulation and the textbook formula."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.dose.posterior import Draws
from bayesdose.dose.r_squared import bayes_r2, conditional_mean
from bayesdose.dose.training import Fitted, prepare
from bayesdose.errors import PredictionError

N_DRAWS = 4
TAU = np.array([0.4, 0.25])
SIGMA = np.array([0.6, 0.1])
CORR = np.array([[1.0, 0.7], [0.7, 1.0]])


def at_fixed_parameters(sites: pd.DataFrame) -> bd.DoseModel:
    """Tumours and kidneys with one slope each; every draw but the first has its own σ."""
    model = bd.DoseModel("log(suv_mean)")
    training = prepare(sites, model._spec())
    rng = np.random.default_rng(3)
    effects = rng.normal(size=(len(training.rows.patients), 2)) @ np.linalg.cholesky(CORR).T * TAU
    factor = np.array([1.0, 1.2, 1.5, 0.8])[:, None]
    draws = Draws(
        beta=np.tile([1.1, 0.45, -0.6, 0.12], (N_DRAWS, 1)),
        residual_sd=factor * SIGMA,
        patient_sd=np.tile(TAU, (N_DRAWS, 1)),
        patient_corr=np.tile(CORR, (N_DRAWS, 1, 1)),
        cycle_sd=np.zeros((N_DRAWS, 2)),
        site_sd=np.zeros((N_DRAWS, 2)),
        group_sd=np.zeros((N_DRAWS, 0)),
        patient_effect=np.tile(effects, (N_DRAWS, 1, 1)),
        precision=None,
        shift=None,
        log_posterior=np.zeros(N_DRAWS),
    )
    info = {"draws": N_DRAWS, "random_seed": 1}
    nothing = (float("nan"), float("nan"))
    model._fitted = Fitted(training.encoding, draws, None, training, nothing, info)
    return model


@pytest.fixture
def sites(cohort) -> pd.DataFrame:
    return cohort[cohort["tissue"].isin(["tumour", "kidney"])].reset_index(drop=True)


@pytest.fixture
def model(sites) -> bd.DoseModel:
    return at_fixed_parameters(sites)


def one_draw(model: bd.DoseModel, s: int = 0) -> bd.DoseModel:
    fitted = model._fitted
    model._fitted = replace(fitted, draws=fitted.draws.take(np.full(N_DRAWS, s)))
    return model


def r2(model: bd.DoseModel, tissue: str, patient: str, scale: str) -> float:
    found = bayes_r2(model).set_index(["tissue", "patient", "scale"]).loc[tissue, patient, scale]
    return float(found["median"])


def mean_of_log_dose(model: bd.DoseModel, sites: pd.DataFrame, known: bool) -> np.ndarray:
    """Site by site, from the table."""
    draws = model._fitted.draws
    patients = list(dict.fromkeys(sites["patient_id"]))
    out = []
    for _, site in sites.iterrows():
        k = ["tumour", "kidney"].index(site["tissue"])
        log = np.log(sites.loc[sites["tissue"] == site["tissue"], "suv_mean"])
        z = (np.log(site["suv_mean"]) - log.mean()) / log.std()
        u = draws.patient_effect[0, patients.index(site["patient_id"]), k] if known else 0.0
        intercept, slope = draws.beta[0, 2 * k : 2 * k + 2]
        out.append(np.log(site["administered_activity_gbq"]) + intercept + slope * z + u)
    return np.array(out)


@pytest.mark.parametrize("tissue", ["tumour", "kidney"])
@pytest.mark.parametrize("known", [True, False])
def test_log_scale_is_explained_over_explained_plus_residual(model, sites, tissue, known):
    # rstanarm's bayes_R2 of a Gaussian model: var(mu) / (var(mu) + sigma²)
    k = ["tumour", "kidney"].index(tissue)
    mu = mean_of_log_dose(model, sites, known)[(sites["tissue"] == tissue).to_numpy()]
    variance = SIGMA[k] ** 2 + (0.0 if known else TAU[k] ** 2)
    expected = np.var(mu, ddof=1) / (np.var(mu, ddof=1) + variance)
    found = r2(one_draw(model), tissue, "known" if known else "new", "log")
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("tissue", ["tumour", "kidney"])
@pytest.mark.parametrize("known", [True, False])
def test_gy_scale_is_that_of_simulated_doses(model, sites, tissue, known):
    k = ["tumour", "kidney"].index(tissue)
    mu = mean_of_log_dose(model, sites, known)[(sites["tissue"] == tissue).to_numpy()]
    sd = np.hypot(SIGMA[k], 0.0 if known else TAU[k])
    rng = np.random.default_rng(5)
    gy = np.exp(mu + sd * rng.standard_normal((200_000, len(mu))))
    explained = gy.mean(0).var(ddof=1)
    expected = explained / (explained + gy.var(0).mean())
    found = r2(one_draw(model), tissue, "known" if known else "new", "Gy")
    assert found == pytest.approx(expected, rel=0.02)


def test_table_has_the_median_and_the_interval_over_draws(model, sites):
    mine = (sites["tissue"] == "tumour").to_numpy()
    mu = mean_of_log_dose(model, sites, known=True)[mine]
    sigma = model._fitted.draws.residual_sd[:, 0]
    by_draw = np.var(mu, ddof=1) / (np.var(mu, ddof=1) + sigma**2)
    found = bayes_r2(model).query("tissue == 'tumour' and patient == 'known' and scale == 'log'")
    assert float(found["median"].iloc[0]) == pytest.approx(np.median(by_draw), rel=1e-12)
    # four draws: the 95 % interval holds all of them
    assert float(found["lower"].iloc[0]) == pytest.approx(by_draw.min(), rel=1e-12)
    assert float(found["upper"].iloc[0]) == pytest.approx(by_draw.max(), rel=1e-12)
    assert bayes_r2(model).attrs == {"interval": "hdi", "hdi_prob": 0.95}
    assert list(bayes_r2(model)["n_sites"]) == [57] * 4 + [18] * 4


def test_a_draw_from_a_heavy_tail_does_not_overflow(model):
    fitted = model._fitted
    wild = replace(fitted.draws, patient_sd=np.full((N_DRAWS, 2), 60.0))
    model._fitted = replace(fitted, draws=wild)
    found = r2(model, "tumour", "new", "Gy")
    assert 0 <= found < 1e-6


def test_conditional_mean_follows_effects_of_cycle_and_site(cycles):
    """With next to no residual the effects must bring each mean to its measured dose."""
    model = bd.DoseModel("log(suv_mean)")
    training = prepare(cycles, model._spec())
    p = training.encoding.n_coefficients
    big = np.full((N_DRAWS, 2), 2.0)
    draws = Draws(
        beta=np.zeros((N_DRAWS, p)),
        residual_sd=np.full((N_DRAWS, 2), 1e-4),
        patient_sd=big,
        patient_corr=np.tile(np.eye(2), (N_DRAWS, 1, 1)),
        cycle_sd=big,
        site_sd=np.zeros((N_DRAWS, 2)),
        group_sd=np.zeros((N_DRAWS, 0)),
        patient_effect=None,
        precision=None,
        shift=None,
        log_posterior=np.zeros(N_DRAWS),
    )
    rows = training.rows
    info = {"draws": N_DRAWS, "random_seed": 1}
    without_sites = Fitted(training.encoding, draws, None, training, (0.0, 0.0), info)
    keys = ["patient_id", "tissue", "cycle"]
    expected = pd.Series(rows.log_dose).groupby([cycles[key] for key in keys]).transform("mean")
    activity = pd.Series(rows.log_activity)
    assert np.ptp(activity.groupby([cycles[key] for key in keys]).transform("std")) < 1e-12
    np.testing.assert_allclose(conditional_mean(without_sites)[0], expected, atol=1e-3)

    # site effects reach what is left of additive deviations: site by cycle is the residual
    with_sites = replace(without_sites, draws=replace(draws, site_sd=big))
    by_hand = additive(rows.log_dose - rows.log_activity, cycles) + rows.log_activity
    np.testing.assert_allclose(conditional_mean(with_sites)[0], by_hand, atol=1e-3)


def additive(y: np.ndarray, sites: pd.DataFrame) -> np.ndarray:
    """Least squares of patient-by-cycle plus site, in each tissue."""
    words = [
        sites["patient_id"] + sites["tissue"] + sites["cycle"].astype(str),
        sites["patient_id"] + sites["tissue"] + sites["site_id"],
    ]
    x = np.hstack([pd.get_dummies(word).to_numpy(float) for word in words])
    coefficients, *_ = np.linalg.lstsq(x, y)
    return x @ coefficients


def test_patient_effects_are_those_of_the_posterior(tumour_model):
    posterior = tumour_model.posterior_["posterior"].to_dataset().stack(s=("chain", "draw"))
    rows = tumour_model._fitted.training.rows
    effects = posterior["patient_effects"].isel(patient_effect=0).values[rows.patient]
    expected = rows.x @ posterior["beta_tumour"].values + effects + rows.log_activity[:, None]
    np.testing.assert_allclose(conditional_mean(tumour_model._fitted), expected.T, rtol=1e-10)


def test_other_likelihoods_and_imputed_tables_are_refused(model):
    fitted = model._fitted
    spec = replace(fitted.encoding.spec, missing="impute")
    model._fitted = replace(fitted, encoding=replace(fitted.encoding, spec=spec))
    with pytest.raises(PredictionError, match="imputed"):
        bayes_r2(model)
    spec = replace(fitted.encoding.spec, likelihood="gamma", engine="pymc")
    model._fitted = replace(fitted, encoding=replace(fitted.encoding, spec=spec))
    with pytest.raises(PredictionError, match="lognormal"):
        bayes_r2(model)
