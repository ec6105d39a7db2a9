"""From θ to posterior draws: β exactly, given θ and the rows kept."""

import numpy as np

from bayesdose.dose.collapsed.hyper import Hyper
from bayesdose.dose.conditional import draw_beta
from bayesdose.dose.posterior import CHAINS, Draws


def posterior_draws(
    hyper: Hyper,
    gram: np.ndarray,
    mapping: np.ndarray,
    mean: np.ndarray,
    log_posterior: np.ndarray,
    rng: np.random.Generator,
    sample_stats: dict[str, np.ndarray] | None = None,
    chains: int = CHAINS,
) -> Draws:
    """Draws of every parameter in a fold's coordinates.

    Parameters
    ----------
    hyper : Hyper
        Each of shape (S, ...).
    gram : numpy.ndarray of shape (S, p + 1, p + 1)
        Σ kept G_i in the coordinates of the statistics.
    mapping : numpy.ndarray of shape (p, p)
        T, from those coordinates to the fold's.
    mean : numpy.ndarray of shape (p,)
        Prior means of the coefficients.
    log_posterior : numpy.ndarray of shape (S,)
    rng : numpy.random.Generator
        Source of randomness.
    sample_stats : dict, optional
        Sampler statistics.
    chains : int
        Number of chains.

    Returns
    -------
    Draws
        ``patient_effect`` is left out.
    """
    prior_precision = 1 / hyper.prior_sd**2
    p = len(mapping)
    precision = mapping.T @ gram[:, :p, :p] @ mapping
    precision[:, np.arange(p), np.arange(p)] += prior_precision
    shift = gram[:, :p, p] @ mapping + prior_precision * mean
    return Draws(
        beta=draw_beta(precision, shift, rng),
        residual_sd=hyper.residual_sd,
        patient_sd=hyper.patient_sd,
        patient_corr=hyper.patient_chol @ np.swapaxes(hyper.patient_chol, 1, 2),
        cycle_sd=hyper.cycle_sd,
        site_sd=hyper.site_sd,
        group_sd=hyper.group_sd,
        patient_effect=None,
        precision=precision,
        shift=shift,
        log_posterior=log_posterior,
        sample_stats=sample_stats or {},
        chains=chains,
    )
