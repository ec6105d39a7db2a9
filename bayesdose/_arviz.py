"""The only module that touches ArviZ, whose defaults and names have moved between versions.

Array functions come from its statistics part, which is pure Python and needs no plotting library.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import arviz_stats as azs


def pareto_smoothed(log_ratio: np.ndarray) -> tuple[np.ndarray, float]:
    """Pareto-smoothed importance weights (Vehtari et al. 2024, JMLR 25(72)).

    Parameters
    ----------
    log_ratio : numpy.ndarray of shape (S,)
        Log target minus log proposal, up to a constant; -inf for no weight.

    Returns
    -------
    weights : numpy.ndarray of shape (S,)
        Summing to 1.
    pareto_k : float
        Shape of the tail; infinite when fewer than 25 draws have weight.
    """
    from arviz_stats.base import array_stats

    finite = np.isfinite(log_ratio)
    weights = np.zeros(len(log_ratio))
    if finite.sum() < 25:
        weights[finite] = 1.0
        return weights / max(weights.sum(), 1.0), np.inf
    # ArviZ takes the log likelihood of leave-one-out and negates it: hand it minus the log weights
    smooth, pareto_k = array_stats.psislw(-log_ratio[finite], axis=-1)
    smooth = np.asarray(smooth)
    part = np.exp(smooth - smooth.max())
    weights[finite] = part / part.sum()
    return weights, float(pareto_k)


#: Largest Pareto k̂ at which importance weights are trusted (Vehtari et al. 2024).
PARETO_K_LIMIT = 0.7


def elpd_data(
    pointwise: np.ndarray,
    labels: list[str],
    pareto_k: np.ndarray,
    standard_error: float,
    n_samples: int,
) -> "azs.ELPDData":
    """Leave-one-patient-out result in ArviZ's container.

    Parameters
    ----------
    pointwise : numpy.ndarray of shape (P,)
        Joint elpd of each patient.
    labels : list of str
        Patients.
    pareto_k : numpy.ndarray of shape (P,)
    standard_error : float
    n_samples : int
        Posterior draws.

    Returns
    -------
    arviz_stats.ELPDData
    """
    import arviz_stats as azs
    import xarray as xr

    coords = {"patient": labels}
    return azs.ELPDData(
        elpd=float(pointwise.sum()),
        se=standard_error,
        p=float("nan"),
        n_samples=n_samples,
        n_data_points=len(pointwise),
        scale="log",
        warning=False,
        good_k=PARETO_K_LIMIT,
        elpd_i=xr.DataArray(pointwise, dims=["patient"], coords=coords),
        pareto_k=xr.DataArray(pareto_k, dims=["patient"], coords=coords),
    )


def convergence(draws: np.ndarray) -> dict[str, float]:
    """Convergence figures of one scalar from MCMC (Vehtari et al. 2021).

    Parameters
    ----------
    draws : numpy.ndarray of shape (chains, draws)

    Returns
    -------
    dict of float
        ``r_hat``, ``ess_bulk``, ``ess_tail``, ``mcse_mean``.
    """
    from arviz_stats.base import array_stats

    return {
        "r_hat": float(array_stats.rhat(draws)),
        "ess_bulk": float(array_stats.ess(draws, method="bulk")),
        "ess_tail": float(array_stats.ess(draws, method="tail", prob=(0.05, 0.95))),
        "mcse_mean": float(array_stats.mcse(draws, method="mean")),
    }


def mean_ess(draws: np.ndarray) -> float:
    """Effective sample size of a mean (Vehtari et al. 2021).

    Parameters
    ----------
    draws : numpy.ndarray of shape (chains, draws)

    Returns
    -------
    float
    """
    from arviz_stats.base import array_stats

    return float(array_stats.ess(draws, method="mean"))


def bfmi(energy: np.ndarray) -> float:
    """Smallest energy Bayesian fraction of missing information over the chains.

    Parameters
    ----------
    energy : numpy.ndarray of shape (chains, draws)

    Returns
    -------
    float
    """
    from arviz_stats.base import array_stats

    return float(np.min(array_stats.bfmi(energy)))


def power_scaling(draws: np.ndarray, log_component: np.ndarray) -> float:
    """Sensitivity of a scalar to power-scaling a component (Kallioinen et al. 2024).

    Parameters
    ----------
    draws : numpy.ndarray of shape (S,)
        Posterior draws of the scalar.
    log_component : numpy.ndarray of shape (S,)
        Log density of the prior or likelihood part to raise to 0.99 and to 1.01.

    Returns
    -------
    float
        Rate of change of the cumulative Jensen-Shannon distance; above 0.05 is sensitive.
    """
    from arviz_stats.base import array_stats

    alphas = (0.99, 1.01)
    weights = []
    for alpha in alphas:
        log_weights = np.asarray(array_stats.power_scale_lw(log_component[None], alpha=alpha))
        part = np.exp(log_weights - log_weights.max())
        weights.append((part / part.sum()).reshape(1, -1))
    lower, upper = weights
    return float(array_stats.power_scale_sense(draws[None], lower, upper, alphas[0], alphas[1]))
