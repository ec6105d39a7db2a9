"""Densities with the patient's effects integrated out, against scipy and dense grids."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from bayesdose.dose import design
from bayesdose.dose.posterior import Draws
from bayesdose.dose.pymc_engine import marginal
from bayesdose.dose.pymc_engine.scatter import Scatter
from bayesdose.dose.spec import ModelSpec
from bayesdose.errors import PredictionError

FORMULA = {"tumour": "uptake + volume", "kidney": "uptake"}


def encode(sites, **settings):
    spec = ModelSpec(FORMULA, engine="pymc", dose_cv="cv", dose_cv_shared="cv_shared", **settings)
    return design.learn(sites, spec)


def random_draws(encoding, size: int) -> Draws:
    rng = np.random.default_rng(8)
    q, k = len(encoding.patient_effects), len(encoding.tissues)
    square = rng.normal(size=(size, q, q)) + 2 * np.eye(q)
    covariance = square @ np.swapaxes(square, 1, 2)
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    return Draws(
        beta=rng.normal(size=(size, encoding.n_coefficients)),
        residual_sd=rng.uniform(0.2, 0.5, (size, k)),
        patient_sd=rng.uniform(0.2, 0.6, (size, q)),
        patient_corr=covariance / sd[:, :, None] / sd[:, None, :],
        cycle_sd=rng.uniform(0.1, 0.3, (size, k)),
        site_sd=rng.uniform(0.1, 0.3, (size, k)),
        group_sd=rng.uniform(0.1, 0.3, (size, len(encoding.group_levels))),
        patient_effect=None,
        precision=None,
        shift=None,
        log_posterior=np.zeros(size),
        df=rng.uniform(3.0, 8.0, size),
    )


def covariance_by_pairs(encoding, draws: Draws, rows, s: int, effects: bool) -> np.ndarray:
    """Covariance of the log doses of one patient, from what each pair of rows shares."""
    n = len(rows.tissue)
    out = np.zeros((n, n))
    for a in range(n):
        for b in range(n):
            same_tissue = rows.tissue[a] == rows.tissue[b]
            same_cycle = rows.cycle[a] == rows.cycle[b]
            k = rows.tissue[a]
            if effects:
                out[a, b] += rows.z[a] @ draws.patient_cov[s] @ rows.z[b]
            if same_tissue and same_cycle:
                out[a, b] += draws.cycle_sd[s, k] ** 2
            if rows.site[a] == rows.site[b]:
                out[a, b] += draws.site_sd[s, k] ** 2
            if same_cycle:
                out[a, b] += np.sqrt(rows.shared_var[a] * rows.shared_var[b])
            for g in range(rows.groups.shape[1]):
                if rows.groups[a, g] == rows.groups[b, g] < 0 and same_tissue:
                    out[a, b] += draws.group_sd[s, g] ** 2
        out[a, a] += draws.residual_sd[s, rows.tissue[a]] ** 2 + rows.own_var[a]
    return out


@pytest.mark.parametrize("kind", ["new_patient", "typical_patient"])
def test_lognormal_density_equals_the_multivariate_normal_of_all_pairs(sites, kind):
    encoding, _ = encode(sites, group_effects=("centre",), patient_effects="1 + uptake")
    # a patient of an unknown centre, another one of two
    unknown = {"P2": "elsewhere", "P3": "cycle " + sites.cycle.astype(str)}
    new = sites.copy()
    for patient, centre in unknown.items():
        new["centre"] = new.centre.mask(new.patient_id == patient, centre)
    rows = encoding.rows(new)
    draws = random_draws(encoding, 3)
    found = marginal.log_density(encoding, draws, rows, kind)
    for code in range(len(rows.patients)):
        mine = rows.take(rows.patient == code)
        for s in range(3):
            mean = mine.log_activity + mine.x @ draws.beta[s]
            covariance = covariance_by_pairs(encoding, draws, mine, s, kind == "new_patient")
            law = stats.multivariate_normal(mean, covariance)
            expected = law.logpdf(mine.log_dose) - mine.log_dose.sum()
            assert found[s, code] == pytest.approx(expected, abs=1e-9)


def test_a_single_row_has_a_closed_form_under_every_likelihood(sites):
    for likelihood in ("student_t", "gamma"):
        encoding, _ = encode(sites, likelihood=likelihood)
        rows = encoding.rows(sites.iloc[[0]])
        draws = random_draws(encoding, 2)
        found = marginal.log_density(encoding, draws, rows)
        for s in range(2):
            sd = np.sqrt(covariance_by_pairs(encoding, draws, rows, s, True)[0, 0])
            residual_sd = draws.residual_sd[s, rows.tissue[0]]
            sd = np.sqrt(sd**2 - residual_sd**2)
            mean = float((rows.log_activity + rows.x @ draws.beta[s])[0])
            m = np.linspace(-10 * sd, 10 * sd, 40_001)
            at = rows.log_dose[0] - mean - m
            if likelihood == "gamma":
                inside = stats.loggamma(residual_sd**-2, loc=2 * np.log(residual_sd)).pdf(at)
            else:
                inside = stats.t(draws.df[s], 0, residual_sd).pdf(at)
            expected = np.log(np.trapezoid(inside * stats.norm.pdf(m, 0, sd), m))
            assert found[s, 0] == pytest.approx(expected - rows.log_dose[0], abs=1e-3)


def test_censored_lognormal_rows_add_the_probability_of_lying_below(sites):
    encoding, rows = encode(sites, censored="below_limit")
    mine = rows.take(rows.patient == 1).compact()
    below = mine.censored
    assert below.sum() == 2
    draws = random_draws(encoding, 400)
    # the same draw many times over: the mean of the density is free of its error
    draws = draws.take(np.zeros(400, int))
    found = marginal.log_density(encoding, draws, mine)[:, 0]
    mean = mine.log_activity + mine.x @ draws.beta[0]
    cov = covariance_by_pairs(encoding, draws, mine, 0, True)
    measured = stats.multivariate_normal(mean[~below], cov[np.ix_(~below, ~below)])
    gain = cov[np.ix_(below, ~below)] @ np.linalg.inv(cov[np.ix_(~below, ~below)])
    centre = mean[below] + gain @ (mine.log_dose - mean)[~below]
    spread = cov[np.ix_(below, below)] - gain @ cov[np.ix_(~below, below)]
    log_below = stats.multivariate_normal(centre, spread).logcdf(mine.log_dose[below])
    expected = measured.logpdf(mine.log_dose[~below]) - mine.log_dose[~below].sum() + log_below
    assert found.std() < 0.03
    assert special.logsumexp(found) - np.log(400) == pytest.approx(expected, abs=0.005)


def many_times(likelihood: str, log_dose: np.ndarray, scale: float, size: int = 400) -> Scatter:
    n = len(log_dose)
    ones = np.ones((size, n))
    return Scatter(
        likelihood, log_dose, np.zeros(n, bool), scale * ones, 0 * ones, np.full(size, 3.0)
    )


@pytest.mark.parametrize(("d", "error"), [(1, 0.005), (4, 0.01), (9, 0.04)])
def test_importance_sampling_equals_the_closed_form(d, error):
    rng = np.random.default_rng(d)
    loadings = 0.4 * rng.normal(size=(12, d))
    log_dose = loadings @ rng.normal(size=d) + 0.2 * rng.normal(size=12)
    scatter = many_times("lognormal", log_dose, 0.2)
    everywhere, mean = np.broadcast_to(loadings, (400, 12, d)), np.zeros((400, 12))
    found = marginal._integrated(scatter, mean, everywhere, rng)
    exact = marginal._normal(scatter, mean, everywhere)
    assert (found - exact).std() < error
    assert special.logsumexp(found - exact) - np.log(400) == pytest.approx(0, abs=error / 3)


@pytest.mark.parametrize("likelihood", ["student_t", "gamma"])
@pytest.mark.parametrize(
    ("log_dose", "scale"),
    [([0.1, 0.2, 0.15], 0.1), ([-1.0, 1.0], 0.1), ([0.1, 0.0, 0.05, 0.2, -2.5], 0.1)],
)
def test_one_effect_equals_a_dense_grid(likelihood, log_dose, scale):
    log_dose = np.array(log_dose)
    b = np.linspace(-9, 9, 100_001)
    law = stats.t(3.0, 0, scale) if likelihood == "student_t" else None
    law = law or stats.loggamma(scale**-2, loc=2 * np.log(scale))
    log_p = stats.norm.logpdf(b) + law.logpdf(log_dose[:, None] - 0.8 * b).sum(0)
    expected = special.logsumexp(log_p) + np.log(b[1] - b[0])
    scatter = many_times(likelihood, log_dose, scale)
    loadings = np.full((400, len(log_dose), 1), 0.8)
    found = marginal._integrated(
        scatter, np.zeros((400, len(log_dose))), loadings, np.random.default_rng(1)
    )
    assert special.logsumexp(found) - np.log(400) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("likelihood", ["student_t", "gamma"])
def test_joint_density_equals_brute_force_monte_carlo(sites, likelihood):
    """Effects drawn from their law; 2·10⁵ draws give the mean density to about 2 %."""
    once = sites[sites.cycle == 1].reset_index(drop=True)
    encoding, rows = encode(once, likelihood=likelihood)
    draws = random_draws(encoding, 1)
    mine = rows.take(rows.patient == 1).compact()
    # doses near their mean, so that plain Monte Carlo has something to count
    mean = mine.log_activity + mine.x @ draws.beta[0]
    mine = replace(mine, log_dose=mean + np.linspace(-0.2, 0.3, len(mean)))
    found = marginal.log_density(encoding, draws, mine)[0, 0]
    rng = np.random.default_rng(2)
    size = 200_000
    u = rng.multivariate_normal(np.zeros(2), draws.patient_cov[0], size) @ mine.z.T
    shared = rng.standard_normal((size, 1)) * np.sqrt(mine.shared_var)
    own = rng.standard_normal((size, len(mean))) * np.sqrt(mine.own_var)
    at = mine.log_dose - mean - u - shared - own
    scale = draws.residual_sd[0, mine.tissue]
    if likelihood == "gamma":
        log_p = stats.loggamma.logpdf(at, scale**-2, loc=2 * np.log(scale))
    else:
        log_p = stats.t.logpdf(at, draws.df[0], 0, scale)
    joint = np.exp(log_p.sum(1))
    error = joint.std() / joint.mean() / np.sqrt(size)
    expected = np.log(joint.mean()) - mine.log_dose.sum()
    assert error < 0.02
    assert found == pytest.approx(expected, abs=4 * error + 0.01)


def test_density_changes_with_the_unit_of_the_dose(sites):
    """A density in 1/Gy: doses 10 times as large with an intercept to match lose log 10 a row."""
    encoding, rows = encode(sites, likelihood="gamma")
    draws = random_draws(encoding, 2)
    tenfold = replace(rows, log_dose=rows.log_dose + np.log(10))
    shifted = draws.beta.copy()
    shifted[:, encoding.intercepts()] += np.log(10)
    before = marginal.log_density(encoding, draws, rows)
    after = marginal.log_density(encoding, replace(draws, beta=shifted), tenfold)
    n = np.bincount(rows.patient)
    np.testing.assert_allclose(after, before - n * np.log(10), atol=1e-6)


def test_unknown_kind_is_refused(sites):
    encoding, rows = encode(sites)
    with pytest.raises(PredictionError, match=r"'mean'.*new_patient, typical_patient"):
        marginal.log_density(encoding, random_draws(encoding, 1), rows, "mean")
