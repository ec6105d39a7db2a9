"""Covariates that are not known exactly: the prior of their true values, ready for a sampler.

*Drawn* (a predicted dose, error of Berkson's kind): the true values of all rows together have the
law that the draws are from. It is carried by a Gaussian copula: each value is its own quantile
function at Phi(z), and z has the correlation of the draws' normal scores, shrunk towards 0 as far
as it is noise (Ledoit and Wolf 2004, J. Multivar. Anal. 88:365, from memory). Rows with the same
draws, such as the rows of one man, have one true value.

*Measured* (a dose from images, error of the classical kind): w = x + N(0, sd^2) with known sd, and
x ~ N(a + Z g, tau^2) given the exact covariates Z, the structural model, with a mean a of its own
in each stratum and centre. With lambda = tau^2 / (tau^2 + sd^2), w ~ N(a + Z g, tau^2 + sd^2) and
x | w ~ N(a + Z g + lambda (w - a - Z g), lambda sd^2), so that z standard normal gives x. Carroll
et al. 2006, Measurement Error in Nonlinear Models, doi 10.1201/9781420010138 (from memory).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from bayesdose.errors import RiskError
from bayesdose.evaluate._arrays import Floats
from bayesdose.risk.cox.columns import Ints

#: Normal scores at which the quantile function of a drawn value is kept.
GRID = np.linspace(-3.6, 3.6, 73)
_FEWEST_DRAWS = 200
#: Values whose correlation is held.
_MOST_VALUES = 3000


@dataclass(frozen=True)
class DrawnColumns:
    """Law of the true values of some columns.

    Parameters
    ----------
    names : tuple of str
        The c columns.
    mean, sd : ndarray of shape (c,)
        Over draws and rows, in the units of the column.
    quantiles : ndarray of shape (c, n_values, n_grid)
        Of each value at Phi(`GRID`).
    root : ndarray of shape (c * n_values, c * n_values)
        Cholesky factor of the correlation of the normal scores.
    place : ndarray of int of shape (n,)
        Value of each row.
    """

    names: tuple[str, ...]
    mean: Floats
    sd: Floats
    quantiles: Floats
    root: Floats
    place: Ints


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
    if draws is not None and not isinstance(draws, Mapping):
        raise RiskError(
            "draws is a dict from covariate to draws of shape (n_draws, n_rows), such as "
            f"{{'log_dose': draws}}; got {type(draws).__name__}"
        )
    out: dict[str, Floats] = {}
    for name, given in (draws or {}).items():
        if np.asarray(given).dtype.kind not in "iuf":
            raise RiskError(f"draws of {name!r} must be numbers; got {np.asarray(given).dtype}")
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

    Raises
    ------
    RiskError
        When there are too many different values for their correlation to be held.
    """
    from sklearn.covariance import ledoit_wolf

    by_row = np.concatenate(list(draws.values()), axis=0).T
    _, first, place = np.unique(by_row, axis=0, return_index=True, return_inverse=True)
    stacked = np.concatenate([array[:, first] for array in draws.values()], axis=1)
    n_draws, n_values = stacked.shape
    if n_values > _MOST_VALUES:
        raise RiskError(
            f"draws of {n_values} different values: the correlation of at most {_MOST_VALUES} is "
            "held. Give the means as a covariate measured with error (measurement_sd), or fit part "
            "of the rows"
        )
    quantiles = np.quantile(stacked, special.ndtr(GRID), axis=0).T
    ranks = stats.rankdata(stacked, axis=0)
    scores = special.ndtri((ranks - 0.375) / (n_draws + 0.25))  # Blom
    spread = scores.std(0)
    scores /= np.where(spread > 0, spread, 1.0)
    correlation, _ = ledoit_wolf(scores, assume_centered=True)
    np.fill_diagonal(correlation, 1.0)
    by_column = [array.reshape(-1) for array in draws.values()]
    return DrawnColumns(
        tuple(draws),
        np.array([column.mean() for column in by_column]),
        np.array([column.std(ddof=1) for column in by_column]),
        quantiles.reshape(len(draws), first.size, GRID.size),
        np.linalg.cholesky(correlation),
        place.reshape(-1),
    )


@dataclass(frozen=True)
class MeasuredColumn:
    """Measurements of one column.

    Parameters
    ----------
    value, error_sd : ndarray of shape (n_values,)
        Measurement and its standard deviation.
    first : ndarray of int of shape (n_values,)
        A row of each.
    place : ndarray of int of shape (n,)
        Measurement of each row.
    """

    value: Floats
    error_sd: Floats
    first: Ints
    place: Ints


def measured_column(value: Floats, error_sd: Floats, groups: Ints | None) -> MeasuredColumn:
    """Measurements, one for the rows of a patient that have the same.

    Parameters
    ----------
    value, error_sd : ndarray of shape (n,)
        Of each row.
    groups : ndarray of int of shape (n,), optional
        Patient of each row; without it each row is measured on its own.

    Returns
    -------
    MeasuredColumn
    """
    rows = np.arange(value.size)
    if groups is None:
        return MeasuredColumn(value, error_sd, rows, rows)
    key = np.column_stack([groups, value, error_sd])
    _, first, place = np.unique(key, axis=0, return_index=True, return_inverse=True)
    return MeasuredColumn(value[first], error_sd[first], first, place.reshape(-1))


def true_spread(name: str, measured: Floats, error_sd: Floats, stratum: Ints) -> float:
    """Standard deviation of true values behind measured ones, within strata.

    Parameters
    ----------
    name : str
        Column, for the message.
    measured, error_sd : ndarray of shape (n,)
        In the units of the column.
    stratum : ndarray of int of shape (n,)
        Of each row.

    Returns
    -------
    float

    Raises
    ------
    RiskError
        When the error stated leaves no spread of true values.
    """
    counts = np.bincount(stratum)
    means = np.bincount(stratum, measured) / np.maximum(counts, 1)
    freedom = max(measured.size - int((counts > 0).sum()), 1)
    seen = float(((measured - means[stratum]) ** 2).sum() / freedom)
    variance = seen - float((error_sd**2).mean())
    if variance <= 0.05 * seen:
        raise RiskError(
            f"measurement_sd of {name!r} is {np.sqrt((error_sd**2).mean()):.3g} and the values "
            f"measured have a standard deviation of {np.sqrt(seen):.3g}: almost nothing is "
            "left that could be true differences. Is it the standard deviation on the scale of the "
            "column (of log dose, a cv c is sqrt(log(1 + c^2)))?"
        )
    return float(np.sqrt(variance))
