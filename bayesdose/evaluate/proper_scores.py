"""Proper scores of predictive draws."""

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.evaluate._arrays import Floats, as_draws, as_sites
from bayesdose.evaluate._sorted_draws import crps_rows, sorted_blocks


def crps(observed: ArrayLike, draws: ArrayLike) -> Floats:
    """Continuous ranked probability score of each site, exact for the empirical draws.

    With F the empirical distribution of the S draws x_i::

        CRPS = integral (F(t) - 1{t >= y})^2 dt = mean_i |x_i - y| - 1/2 mean_ij |x_i - x_j|,

    The second mean is over all S^2 pairs, obtained from one sort. The score is in the unit of
    the dose, smaller is better, and for a single draw it is the absolute error. Against the
    distribution behind the draws it is too large by about ``mean |x_i - x_j| / (2 S)``.

    Parameters
    ----------
    observed : array_like of float, shape (n_sites,), Gy
        Measured values.
    draws : array_like of float, shape (n_draws, n_sites), Gy
        Predictive draws of the measured value.

    Returns
    -------
    ndarray of float, shape (n_sites,), Gy
        Score of each site.

    Raises
    ------
    BayesdoseError
        If arrays differ in length or hold values that are not finite.

    References
    ----------
    T. Gneiting and A. E. Raftery, J. Am. Stat. Assoc. 102 (2007) 359-378,
    doi 10.1198/016214506000001437 (cited from memory).
    """
    y = as_sites(observed, "observed")
    array = as_draws(draws, n_sites=y.size)
    scores = np.empty(y.size)
    for sites, rows in sorted_blocks(array):
        scores[sites] = crps_rows(y[sites], rows)
    return scores
