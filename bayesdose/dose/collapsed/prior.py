"""Draws from the priors, in the container of posterior draws."""

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import distributions as dist

from bayesdose.dose import priors as p
from bayesdose.dose.collapsed import hyper
from bayesdose.dose.collapsed.engine import double_precision, find_device
from bayesdose.dose.collapsed.hyper import HyperSpace
from bayesdose.dose.design import Encoding
from bayesdose.dose.posterior import Draws
from bayesdose.errors import PriorError


def prior_draws(
    encoding: Encoding, n_patients: list[int], draws: int, rng: np.random.Generator
) -> Draws:
    """Draw every parameter from its prior.

    Parameters
    ----------
    encoding : Encoding
        Learnt model with its priors.
    n_patients : list of int
        Patients with each tissue.
    draws : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Draws

    Raises
    ------
    PriorError
        When a prior is flat.
    """
    space = hyper.build(encoding, n_patients)
    if not space.proper:
        raise PriorError("a flat prior has no draws: give proper priors for a prior predictive")
    theta = sample_theta(space, draws, rng)
    with double_precision(find_device("cpu")):
        found = jax.jit(jax.vmap(lambda t: hyper.unpack(space, t)[0]))(jnp.asarray(theta))
        found = jax.tree.map(np.asarray, found)
    student = encoding.spec.likelihood == "student_t"
    beta = np.asarray(space.means) + found.prior_sd * rng.standard_normal(found.prior_sd.shape)
    return Draws(
        beta=beta,
        residual_sd=found.residual_sd,
        patient_sd=found.patient_sd,
        patient_corr=found.patient_chol @ np.swapaxes(found.patient_chol, 1, 2),
        cycle_sd=found.cycle_sd,
        site_sd=found.site_sd,
        group_sd=found.group_sd,
        patient_effect=None,
        precision=None,
        shift=None,
        log_posterior=np.full(draws, np.nan),
        # Gamma(2, rate 0.1), the degrees of freedom's prior in the PyMC engine
        df=10 * rng.standard_gamma(2.0, draws) if student else None,
    )


def sample_theta(space: HyperSpace, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw θ from its prior.

    Parameters
    ----------
    space : HyperSpace
        Layout.
    n : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray of shape (n, d)
    """
    columns: list[np.ndarray] = []
    for scale in space.scales:
        value = _scale(scale.prior, n, rng)
        columns.append(value if scale.signed else np.log(value))
    residual = np.stack([np.exp(c) for c in columns[: len(space.residual)]], axis=1)
    if space.n_correlations:
        columns += list(_correlations(space, n, rng).T)
    for local in space.local:
        columns.append(np.log(local.df / 2 / rng.standard_gamma(local.df / 2, n)))
    for block in space.shrinkage:
        columns += _shrinkage(block, residual[:, block.tissue], n, rng)
    return np.stack(columns, axis=1)


def _scale(prior: object, n: int, rng: np.random.Generator) -> np.ndarray:
    if isinstance(prior, p.HalfNormal):
        return np.abs(prior.sigma * rng.standard_normal(n))
    if isinstance(prior, p.StudentT):
        return np.abs(prior.mu + prior.sigma * rng.standard_t(prior.df, n))
    assert isinstance(prior, p.Exponential)
    return rng.exponential(1 / prior.rate, n)


def _correlations(space: HyperSpace, n: int, rng: np.random.Generator) -> np.ndarray:
    from numpyro.distributions.transforms import CorrCholeskyTransform

    with double_precision(find_device("cpu")):
        law = dist.LKJCholesky(len(space.patient), space.correlation)
        chol = law.sample(jax.random.key(int(rng.integers(2**31))), (n,))
        return np.asarray(jax.vmap(CorrCholeskyTransform().inv)(chol))


def _shrinkage(
    block: hyper.Shrinkage, residual_sd: np.ndarray, n: int, rng: np.random.Generator
) -> list[np.ndarray]:
    prior = block.prior
    if isinstance(prior, p.R2D2):
        a, b = prior.mean * prior.precision, (1 - prior.mean) * prior.precision
        r2 = np.clip(rng.beta(a, b, n), 1e-12, 1 - 1e-12)
        gammas = [rng.standard_gamma(prior.concentration, n) for _ in range(block.size - 1)]
        return [np.log(r2 / (1 - r2)), *(np.log(np.maximum(g, 1e-300)) for g in gammas)]
    d = len(block.places)
    ratio = prior.expected_nonzero / (d - prior.expected_nonzero)
    scale = ratio * residual_sd / np.sqrt(block.n_patients)
    tau = scale * np.abs(rng.standard_cauchy(n))
    half = prior.slab_df / 2
    slab = half * prior.slab_scale**2 / rng.standard_gamma(half, n)
    local = [np.log(np.abs(rng.standard_cauchy(n))) for _ in range(d)]
    return [np.log(tau), np.log(slab), *local]
