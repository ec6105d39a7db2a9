"""Covariates that are not known exactly: the prior of their true values, ready for a sampler.

*Drawn* (a predicted dose, error of Berkson's kind): the true values of all rows together have the
law that the draws are from. It is carried by a Gaussian copula: each value is its own quantile
function at Phi(z), and z has the correlation of the draws' normal scores,

    z = L f + sqrt(1 - diag(L L')) e,       f, e standard normal,

where L holds those directions of the correlation that stand out of noise, eigenvalues above
(1 + sqrt(n / S))^2 for n values and S draws (Marchenko and Pastur 1967, from memory).

*Measured* (a dose from images, error of the classical kind): w = x + N(0, sd^2) with known sd, and
x ~ N(a + Z g, tau^2) given the exact covariates Z, the structural model. With lambda = tau^2 /
(tau^2 + sd^2), w ~ N(a + Z g, tau^2 + sd^2) and x | w ~ N(a + Z g + lambda (w - a - Z g),
lambda sd^2), so that z standard normal gives x. Carroll et al. 2006, Measurement Error in Nonlinear
Models, doi 10.1201/9781420010138 (from memory).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from bayesdose.errors import RiskError
from bayesdose.evaluate._arrays import Floats

#: Normal scores at which the quantile function of a drawn value is kept.
GRID = np.linspace(-3.6, 3.6, 73)
_FEWEST_DRAWS = 200


@dataclass(frozen=True)
class DrawnColumns:
    """Law of the true values of some columns.

    Parameters
    ----------
    names : tuple of str
        The c columns.
    mean, sd : ndarray of shape (c,)
        Over draws and rows, in the units of the column.
    quantiles : ndarray of shape (c, n, n_grid)
        Of each value at Phi(`GRID`).
    loadings : ndarray of shape (c, n, k)
        L.
    own : ndarray of shape (c, n)
        sqrt(1 - diag(L L')).
    """

    names: tuple[str, ...]
    mean: Floats
    sd: Floats
    quantiles: Floats
    loadings: Floats
    own: Floats


def checked_draws(draws: Mapping[str, Any] | None, n_rows: int) -> dict[str, Floats]:
    """Draws by column as arrays, or one clear error.

    Parameters
    ----------
    draws : mapping of str to array-like of shape (n_draws, n_rows), or None
        An xarray.DataArray with dims chain, draw and one more, as `predict_draws` gives, is taken
        as well.
    n_rows : int
        Rows of X.

    Returns
    -------
    dict of str to ndarray of shape (n_draws, n_rows)

    Raises
    ------
    RiskError
        When shapes differ from that, draws are too few, or values are not finite.
    """
    out: dict[str, Floats] = {}
    for name, given in (draws or {}).items():
        array = np.asarray(given, dtype=np.float64)
        if array.ndim == 3:  # chain, draw, row
            array = array.reshape(-1, array.shape[2])
        if array.ndim != 2 or array.shape[1] != n_rows:
            raise RiskError(
                f"draws of {name!r} have shape {np.shape(given)}; wanted are (n_draws, n_rows) "
                f"with the {n_rows} rows of X in their order"
            )
        if len(array) < _FEWEST_DRAWS:
            raise RiskError(
                f"draws of {name!r}: {len(array)} are too few to say how certain the values are; "
                f"at least {_FEWEST_DRAWS}"
            )
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0, 1])
            raise RiskError(f"draws of {name!r}, row {row}: a value is not finite")
        out[name] = array
    sizes = {name: len(array) for name, array in out.items()}
    if len(set(sizes.values())) > 1:
        raise RiskError(f"draws must be joint over columns, as many of each; got {sizes}")
    return out


def drawn_columns(draws: dict[str, Floats]) -> DrawnColumns:
    """Law of drawn columns.

    Parameters
    ----------
    draws : dict of str to ndarray of shape (n_draws, n_rows)
        From `checked_draws`, at least one column.

    Returns
    -------
    DrawnColumns
    """
    stacked = np.concatenate(list(draws.values()), axis=1)
    n_draws, n_values = stacked.shape
    shape = (len(draws), n_values // len(draws))
    quantiles = np.quantile(stacked, special.ndtr(GRID), axis=0).T
    ranks = stats.rankdata(stacked, axis=0)
    scores = special.ndtri((ranks - 0.375) / (n_draws + 0.25))  # Blom
    scores -= scores.mean(0)
    spread = scores.std(0)
    scores /= np.where(spread > 0, spread, 1.0)
    # correlation = V diag(s^2) V' / S
    _, singular, directions = np.linalg.svd(scores / np.sqrt(n_draws), full_matrices=False)
    kept = singular**2 > (1.0 + np.sqrt(n_values / n_draws)) ** 2
    loadings = directions[kept].T * singular[kept]
    own = np.sqrt(np.clip(1.0 - (loadings**2).sum(1), 0.0, None))
    by_column = [array.reshape(-1) for array in draws.values()]
    return DrawnColumns(
        tuple(draws),
        np.array([column.mean() for column in by_column]),
        np.array([column.std(ddof=1) for column in by_column]),
        quantiles.reshape(*shape, GRID.size),
        loadings.reshape(*shape, -1),
        own.reshape(shape),
    )


def true_spread(name: str, measured: Floats, error_sd: Floats) -> float:
    """Standard deviation of true values behind measured ones.

    Parameters
    ----------
    name : str
        Column, for the message.
    measured, error_sd : ndarray of shape (n,)
        In the units of the column.

    Returns
    -------
    float

    Raises
    ------
    RiskError
        When the error stated leaves no spread of true values.
    """
    variance = float(measured.var(ddof=1) - (error_sd**2).mean())
    if variance <= 0.05 * float(measured.var(ddof=1)):
        raise RiskError(
            f"measurement_sd of {name!r} is {np.sqrt((error_sd**2).mean()):.3g} and the values "
            f"measured have a standard deviation of {measured.std(ddof=1):.3g}: almost nothing is "
            "left that could be true differences. Is it the standard deviation on the scale of the "
            "column (of log dose, a cv c is sqrt(log(1 + c^2)))?"
        )
    return float(np.sqrt(variance))
