"""R-hat and effective draws of plain arrays."""

import numpy as np
from arviz_stats.base import array_stats

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
    return float(np.max(array_stats.rhat(by_chain)))


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
        The error by the delta method, with the effective number of draws of exp.
    """
    top = log_values.max()
    relative = np.exp(log_values - top)
    mean = relative.mean()
    effective = float(array_stats.ess(relative.reshape(chains, -1), method="mean"))
    mcse = relative.std(ddof=1) / (mean * np.sqrt(effective))
    return float(top + np.log(mean)), float(mcse)
