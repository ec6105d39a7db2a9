"""How a measured dose scatters about its mean: log-normal, Student-t on the log scale, or gamma.

Each is a density of the dose in Gy, so that likelihoods compare.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesdose.dose.design import Rows

Tensor = Any
Holder = Callable[[str, np.ndarray], Tensor]

#: Prior of the degrees of freedom (Juárez & Steel 2010, doi 10.1198/jbes.2009.07145; from memory).
DF_SHAPE, DF_RATE = 2.0, 0.1


def observe(likelihood: str, rows: Rows, mean: Tensor, scale: Tensor, hold: Holder) -> Tensor:
    """Add the measured doses to the model in context.

    Parameters
    ----------
    likelihood : str
        ``"lognormal"``, ``"student_t"`` or ``"gamma"``.
    rows : Rows
        Rows with a measured dose; a censored one is known to lie below its value.
    mean : tensor of shape (n,), log Gy
        Log of the median; of the mean for ``gamma``.
    scale : tensor of shape (n,)
        Residual standard deviation on the log scale; coefficient of variation for ``gamma``.
    hold : callable
        From name and array to constant or data container.

    Returns
    -------
    tensor of shape (n,), Gy
        Observed variable ``absorbed_dose_gy``.
    """
    dose = np.exp(rows.log_dose)
    if likelihood == "lognormal":
        own_var = hold("own_var", rows.own_var)
        law = pm.LogNormal.dist(mu=mean, sigma=pt.sqrt(scale**2 + own_var))
    else:
        law = _explicit_law(likelihood, mean + _own_error(rows, hold), scale)
    if rows.censored.any():
        # the observed value is the bound of a censored row and lies above 0 elsewhere
        lower = hold("censored_below_gy", np.where(rows.censored, dose, 0.0))
        law = pm.Censored.dist(law, lower=lower, upper=None)
    return pm.modelcontext(None).register_rv(
        law, "absorbed_dose_gy", observed=hold("dose_gy", dose)
    )


def _own_error(rows: Rows, hold: Holder) -> Tensor:
    """Measurement error m of rows that have one, explicit: it does not add to the scale."""
    has = rows.own_var > 0
    if not has.any():
        return 0.0
    pm.modelcontext(None).add_coord("measured_row", np.flatnonzero(has))
    unit = pm.Normal("measurement_error_z", 0.0, 1.0, dims="measured_row")
    index = np.full(len(has), int(has.sum()))
    index[has] = np.arange(has.sum())
    spread = pt.concatenate([unit, [0.0]])[hold("own_code", index)]
    return hold("own_sd", np.sqrt(rows.own_var)) * spread


def _explicit_law(likelihood: str, mean: Tensor, scale: Tensor) -> Tensor:
    if likelihood == "gamma":
        # mean exp(mean), variance (scale · mean)²
        shape = scale**-2
        return pm.Gamma.dist(alpha=shape, beta=shape * pt.exp(-mean))
    df = pm.Gamma("residual_df", alpha=DF_SHAPE, beta=DF_RATE)
    return pm.CustomDist.dist(df, mean, scale, dist=_exp_student_t)


def _exp_student_t(df: Tensor, mu: Tensor, sigma: Tensor, size: Tensor) -> Tensor:
    return pt.exp(pm.StudentT.dist(nu=df, mu=mu, sigma=sigma, size=size))
