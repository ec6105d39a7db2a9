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
