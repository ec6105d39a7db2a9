"""Baseline hazard of the full likelihood: M-splines with weights on a simplex.

With follow-up up to T, M-splines M_k that integrate to 1 over (0, T) and their integrals I_k, of
stratum s:

    h0(t) = exp(a_s) sum_k w_sk M_k(t),     H0(t) = exp(a_s) sum_k w_sk I_k(t),    H0(T) = exp(a_s)

Degree 0 is the piecewise constant hazard. Ramsay 1988, Stat. Sci. 3:425, doi 10.1214/ss/1177012761
(from memory).
"""

from dataclasses import dataclass
from math import inf

import numpy as np
from scipy.interpolate import BSpline

from bayesdose.errors import ConfigError
from bayesdose.evaluate._arrays import Floats


@dataclass(frozen=True)
class MSpline:
    """Smooth baseline hazard, positive by construction.

    Parameters
    ----------
    n_basis : int
        Number of M-splines, at least 4; the knots between them stand at quantiles of the event
        times.
    concentration : float
        Dirichlet prior of their weights; 1 is uniform over the simplex.
    level : float
        Standard deviation of the normal prior, about 0, of the log cumulative baseline hazard at
        the end of follow-up, at the mean of the covariates. 2 allows from 0.02 to 50 events.
    """

    n_basis: int = 6
    concentration: float = 1.0
    level: float = 2.0

    def __post_init__(self) -> None:
        _check(self, 4)

    @property
    def degree(self) -> int:
        """Degree of the polynomials.

        Returns
        -------
        int
        """
        return 3


@dataclass(frozen=True)
class PiecewiseConstant:
    """Baseline hazard that is constant between cuts at quantiles of the event times.

    Parameters
    ----------
    n_basis : int
        Number of pieces, at least 1.
    concentration, level : float
        As in `MSpline`.
    """

    n_basis: int = 6
    concentration: float = 1.0
    level: float = 2.0

    def __post_init__(self) -> None:
        _check(self, 1)

    @property
    def degree(self) -> int:
        """Degree of the polynomials.

        Returns
        -------
        int
        """
        return 0


Baseline = MSpline | PiecewiseConstant


def _check(value: Baseline, least: int) -> None:
    if not (isinstance(value.n_basis, int) and value.n_basis >= least):
        raise ConfigError(f"{value!r}: n_basis must be a whole number, at least {least}")
    for name in ("concentration", "level"):
        if not 0 < getattr(value, name) < inf:
            raise ConfigError(f"{value!r}: {name} must be finite and above 0")


def knots_of(baseline: Baseline, event_times: Floats, end: float) -> Floats:
    """Knots, from 0 to the end of follow-up, inner ones at quantiles of the event times.

    Parameters
    ----------
    baseline : MSpline or PiecewiseConstant
    event_times : ndarray of shape (n_events,)
    end : float
        Longest follow-up.

    Returns
    -------
    ndarray of shape (n_basis - degree + 1,)

    Raises
    ------
    ConfigError
        When there are too few different event times.
    """
    n_inner = baseline.n_basis - baseline.degree - 1
    inner = np.quantile(event_times, np.arange(1, n_inner + 1) / (n_inner + 1))
    knots = np.concatenate([[0.0], inner, [end]])
    if (np.diff(knots) <= 0).any():
        raise ConfigError(
            f"{baseline!r} wants {n_inner} different knots among {np.unique(event_times).size} "
            "event times: take a smaller n_basis"
        )
    return knots


def m_splines(knots: Floats, degree: int, times: Floats) -> Floats:
    """Values of the M-splines.

    Parameters
    ----------
    knots : ndarray of shape (n_knots,)
        From `knots_of`.
    degree : int
    times : ndarray of shape (n,)
        Within the knots.

    Returns
    -------
    ndarray of shape (n, n_basis), 1 / unit of the times
        At a cut of a piecewise constant hazard, the value before it, for a row that ends there.
    """
    if degree == 0:
        piece = np.clip(np.searchsorted(knots, times, side="left") - 1, 0, knots.size - 2)
        return np.eye(knots.size - 1)[piece] / np.diff(knots)
    padded = _padded(knots, degree)
    width = (padded[degree + 1 :] - padded[: -degree - 1]) / (degree + 1)
    values: Floats = BSpline.design_matrix(times, padded, degree).toarray() / width
    return values


def i_splines(knots: Floats, degree: int, times: Floats) -> Floats:
    """Integrals of the M-splines from 0.

    Parameters
    ----------
    knots : ndarray of shape (n_knots,)
        From `knots_of`.
    degree : int
    times : ndarray of shape (n,)
        Within the knots.

    Returns
    -------
    ndarray of shape (n, n_basis), from 0 to 1
    """
    if degree == 0:
        return np.clip((times[:, None] - knots[:-1]) / np.diff(knots), 0.0, 1.0)
    padded = _padded(knots, degree)
    width = (padded[degree + 1 :] - padded[: -degree - 1]) / (degree + 1)
    basis = BSpline(padded, np.eye(width.size) / width[:, None], degree)
    integral: Floats = basis.antiderivative()(times)
    return np.clip(integral, 0.0, 1.0)


def _padded(knots: Floats, degree: int) -> Floats:
    return np.concatenate([[knots[0]] * degree, knots, [knots[-1]] * degree])
