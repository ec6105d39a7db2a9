"""Whether the draws of a fold can be believed, in numbers."""

import numpy as np

from bayesdose._arviz import convergence
from bayesdose.dose.posterior import Draws


def worst_rhat(draws: Draws) -> float:
    """Largest R-hat over the coefficients and hyperparameters (Vehtari et al. 2021).

    Parameters
    ----------
    draws : Draws
        Posterior draws in chains.

    Returns
    -------
    float
    """
    lower = np.tril_indices(draws.patient_sd.shape[1], -1)
    parts = [
        draws.beta,
        draws.residual_sd,
        draws.patient_sd,
        draws.patient_corr[:, lower[0], lower[1]],
        draws.cycle_sd,
        draws.site_sd,
        draws.group_sd,
        *([] if draws.df is None else [draws.df[:, None]]),
    ]
    values = np.concatenate(parts, axis=1)
    # a constant (no such effect, independent effects) has no R-hat
    values = values[:, values.std(0) > 0]
    by_chain = values.T.reshape(values.shape[1], draws.chains, -1)
    return max(convergence(scalar)["r_hat"] for scalar in by_chain)


def log_mean_exp(log_values: np.ndarray, chains: int) -> tuple[float, float]:
    """Log of the mean of exp over draws, with its Monte-Carlo standard error.

    Parameters
    ----------
    log_values : numpy.ndarray of shape (S,)
        Chain after chain.
    chains : int
        Number of chains.

    Returns
    -------
    value, mcse : float
        The error by the delta method.
    """
    top = log_values.max()
    relative = np.exp(log_values - top)
    mean = relative.mean()
    error = convergence(relative.reshape(chains, -1))["mcse_mean"]
    return float(top + np.log(mean)), error / float(mean)
