"""Collapsed density at fixed θ: dense matrices, closed forms, and changes of standardisation."""

import jax
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import bayesdose as bd
from bayesdose.dose import design, standardise
from bayesdose.dose.collapsed import density, engine, hyper
from bayesdose.dose.collapsed.density import Fold
from bayesdose.dose.spec import ModelSpec

TOLERANCE = 1e-8
CASES = ["one_tissue", "two_tissues"]
prior_of = jax.jit(lambda space, theta: hyper.unpack(space, theta)[1], static_argnums=0)


@pytest.mark.parametrize("case", CASES)
def test_log_marginal_likelihood_and_leave_one_patient_out(closed_form, at_theta, case):
    known = closed_form(case)
    problem, theta = at_theta(known)
    # nobody left out, then each patient in turn
    keep = np.concatenate([np.ones((1, 3)), 1 - np.eye(3)])
    kept, held = densities(problem, theta, keep)
    assert kept[0] == pytest.approx(known.truth["log_marginal_likelihood"], abs=TOLERANCE)
    expected = [
        known.truth["leave_one_patient_out"][patient]["log_density"]
        for patient in known.rows.patients
    ]
    assert held[1:] == pytest.approx(expected, abs=TOLERANCE)
    assert kept[0] - kept[1:] == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("case", CASES)
def test_posterior_of_the_coefficients(closed_form, at_theta, case):
    known = closed_form(case)
    problem, theta = at_theta(known)
    found, gram = engine.totals(problem, theta, np.ones(3))
    p = len(known.order)
    prior_precision = 1 / found.prior_sd[0] ** 2
    precision = gram[0, :p, :p] + np.diag(prior_precision)
    covariance = np.linalg.inv(precision)
    mean = covariance @ (gram[0, :p, p] + prior_precision * np.array(problem.space.means))
    order = known.order
    assert mean[order] == pytest.approx(np.array(known.truth["beta"]["mean"]), abs=TOLERANCE)
    assert covariance[np.ix_(order, order)] == pytest.approx(
        np.array(known.truth["beta"]["covariance"]), abs=TOLERANCE
    )


@pytest.mark.parametrize("seed", range(4))
def test_folds_in_their_own_standardisation(table, at_theta, seed):
    """Every fold's density against a dense normal with that fold's columns."""
    spec = ModelSpec(
        "a + b + flag", patient_effects="1 + a", patient_correlation=True, dose_cv="cv"
    )
    frame = table(seed)
    encoding, rows = design.learn(frame, spec)
    problem = engine.prepare(encoding, rows)
    theta = np.random.default_rng(seed).normal(0, 0.5, (1, problem.space.size))
    values = engine.totals(problem, theta, np.ones(len(rows.patients)))[0]
    for code in range(len(rows.patients)):
        held = rows.patient == code
        scaling = standardise.standardisation_of(rows.raw[~held], rows.tissue[~held], encoding)
        mapping = standardise.between(encoding, encoding.standardisation, scaling)
        x = standardise.standardised(rows.raw, rows.tissue, encoding, scaling)
        assert rows.x @ mapping == pytest.approx(x, abs=1e-10)
        keep = (np.arange(len(rows.patients)) != code).astype(float)
        kept, out = densities(problem, theta, keep[None], mapping)
        prior_mean = np.array(problem.space.means)
        full = dense(values, prior_mean, rows, x, np.ones(len(held), bool))
        part = dense(values, prior_mean, rows, x, ~held)
        assert kept[0] == pytest.approx(part, abs=TOLERANCE)
        assert out[0] == pytest.approx(full - part, abs=TOLERANCE)


def test_a_flat_prior_is_the_limit_of_a_wide_one(table):
    """Differences between θ: the constant of an improper density is arbitrary."""
    frame = table(0)
    thetas = np.random.default_rng(0).normal(0, 0.3, (3, 5))
    found = []
    for prior in (bd.Flat(), bd.Normal(0, 1e5)):
        spec = ModelSpec("a", priors=bd.Priors(intercept=prior, slope=prior))
        encoding, rows = design.learn(frame, spec)
        problem = engine.prepare(encoding, rows)
        assert problem.space.size == 5
        found.append(problem.target(problem.whole)(thetas))
    assert np.diff(found[0]) == pytest.approx(np.diff(found[1]), abs=1e-5)


def test_a_patient_sd_of_zero_is_no_patient_effect(table):
    frame = table(1)
    with_effect, _ = learn_problem(frame, "1")
    without, _ = learn_problem(frame, "0")
    residual = np.array([[-0.3, 0.2]])
    # NumPyro's half-normal has no density at 0 itself
    theta = np.concatenate([residual, [[1e-12, 1e-12, 0.7]]], axis=1)
    inside, _ = densities(with_effect, theta, np.ones((1, 4)))
    outside, _ = densities(without, residual, np.ones((1, 4)))
    assert inside[0] == pytest.approx(outside[0], abs=TOLERANCE)


def learn_problem(frame, patient_effects):
    encoding, rows = design.learn(frame, ModelSpec("a", patient_effects=patient_effects))
    return engine.prepare(encoding, rows), rows


def log_prior(problem, theta) -> float:
    # compiled, as the engine does: NumPyro would complain about a standard deviation of 0
    with engine.double_precision(problem.device):
        return float(prior_of(problem.space, theta[0]))


def densities(problem, theta, keep, mapping=None):
    """log p(y kept | θ), and log p(y left out | y kept, θ), of each fold at the one θ."""
    n = len(keep)
    square = np.eye(len(problem.space.means)) if mapping is None else mapping
    mean = np.tile(np.array(problem.space.means), (n, 1))
    folds = Fold(np.asarray(keep, float), np.broadcast_to(square, (n, *square.shape)), mean)
    repeated = np.repeat(theta, density.BATCH, axis=0)
    with engine.double_precision(problem.device):
        posterior, held = density.fold_densities(
            problem.space, repeated, problem.stats, folds, problem.counts
        )
    return np.asarray(posterior)[0] - log_prior(problem, theta), np.asarray(held)[0]


def dense(values, prior_mean, rows, x, mask) -> float:
    """Log density of some rows, β and the patient effects integrated out, from definitions."""
    n = mask.sum()
    z, x, tissue, patient = rows.z[mask], x[mask], rows.tissue[mask], rows.patient[mask]
    root = values.patient_sd[0][:, None] * values.patient_chol[0]
    covariance = x @ np.diag(values.prior_sd[0] ** 2) @ x.T
    covariance += (z @ root @ root.T @ z.T) * (patient[:, None] == patient)
    covariance[np.arange(n), np.arange(n)] += (
        values.residual_sd[0][tissue] ** 2 + rows.own_var[mask]
    )
    mean = x @ prior_mean
    return float(multivariate_normal.logpdf(rows.y[mask], mean, covariance))
