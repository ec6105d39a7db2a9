"""Posterior mode of a Cox model, by Newton's method with halved steps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesdose.errors import RiskError
from bayesdose.evaluate._arrays import Floats
from bayesdose.risk.cox.partial_likelihood import RiskSets, derivatives, within_strata

_MOST_STEPS, _HALVINGS = 50, 30
#: Change of the log density at which the mode is found.
_TOLERANCE = 1e-13
#: A coefficient of a standardised column beyond this is running away.
_RUNAWAY = 25.0
#: Largest step in standard errors that may be left where no halved step goes up.
_STUCK = 1e-3


@dataclass(frozen=True)
class Mode:
    """Mode of the coefficients.

    Parameters
    ----------
    coefficients : ndarray of shape (p,)
        In the units of the columns.
    covariance : ndarray of shape (p, p)
        Inverse of the negative Hessian.
    log_likelihood : float
        Log partial likelihood at the mode.
    """

    coefficients: Floats
    covariance: Floats
    log_likelihood: float


def find_mode(
    columns: Floats,
    sets: RiskSets,
    precision: Floats | None = None,
    prior_mean: Floats | float = 0.0,
    names: list[str] | None = None,
) -> Mode:
    """Find the mode.

    Parameters
    ----------
    columns : ndarray of shape (n, p)
        Covariates.
    sets : RiskSets
        Of the same rows.
    precision : ndarray of shape (p,), optional
        1 / variance of the coefficients' normal priors, in the units of the columns; 0 is flat. By
        default all are, which makes the mode the estimate of maximum likelihood.
    prior_mean : float or ndarray of shape (p,)
        Mean of these priors, in the units of the columns.
    names : list of str, optional
        Of the columns, for messages.

    Returns
    -------
    Mode

    Raises
    ------
    RiskError
        When a column is constant or a combination of others, the events are separated by the
        columns so that the estimate is infinite, or no mode is found.
    """
    centred = within_strata(sets, columns)
    scale = centred.std(0)
    names = names or [f"column {j}" for j in range(columns.shape[1])]
    silent = scale <= 1e-12 * np.maximum(1.0, np.abs(columns).max(0))
    if silent.any():
        where = "row" if sets.stratum.max() == 0 else "row of a stratum"
        name = names[int(np.argmax(silent))]
        raise RiskError(f"{name} is the same in every {where}: leave it out")
    # standardised columns, so that one tolerance serves all
    x = centred / scale
    prior = np.zeros(x.shape[1]) if precision is None else precision / scale**2
    center = prior_mean * scale

    def density(beta: Floats) -> tuple[float, Floats, Floats]:
        value, gradient, hessian = derivatives(sets, x, x @ beta)
        return (
            value - 0.5 * float(prior @ (beta - center) ** 2),
            gradient - prior * (beta - center),
            hessian - np.diag(prior),
        )

    beta = _climb(np.zeros(x.shape[1]), density, names)
    covariance = np.linalg.inv(-density(beta)[2]) / np.outer(scale, scale)
    return Mode(beta / scale, covariance, derivatives(sets, x, x @ beta)[0])


def _climb(
    beta: Floats, density: Callable[[Floats], tuple[float, Floats, Floats]], names: list[str]
) -> Floats:
    value, slope, hessian = density(beta)
    for _ in range(_MOST_STEPS):
        step = _newton_step(hessian, slope, names)
        for halving in range(_HALVINGS):
            there = beta + step / 2**halving
            reached, slope_there, hessian_there = density(there)
            if np.isfinite(reached) and reached >= value:
                break
        else:
            # no step goes up: the mode, to the precision of the density
            if float(slope @ step) < _STUCK**2:
                return beta
            raise RiskError(
                "no step goes up, and yet the slope is not 0: the hazards spread over too many "
                "orders of magnitude. Rescale the covariates, or take a prior"
            )
        gained, beta, value = reached - value, there, reached
        slope, hessian = slope_there, hessian_there
        if np.abs(beta).max() > _RUNAWAY:
            name = names[int(np.abs(beta).argmax())]
            raise RiskError(
                f"the estimate of {name} runs to infinity: the events are separated by the "
                "columns. Take a prior (slope=Normal(0, 1)), or leave the column out"
            )
        if gained < _TOLERANCE * (1.0 + abs(value)):
            return beta
    raise RiskError(f"no mode was found in {_MOST_STEPS} Newton steps")


def _newton_step(hessian: Floats, slope: Floats, names: list[str]) -> Floats:
    values, vectors = np.linalg.eigh(-hessian)
    if values[0] <= 1e-9 * max(values[-1], 1e-300):
        involved = [
            name for name, part in zip(names, np.abs(vectors[:, 0]), strict=True) if part > 0.1
        ]
        raise RiskError(
            f"the rows say nothing of a combination of {', '.join(involved)}: one of them follows "
            "from the others, or the events are separated by them. Leave one out, or take a prior"
        )
    return vectors @ (vectors.T @ slope / values)
