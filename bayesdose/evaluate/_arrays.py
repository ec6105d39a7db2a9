"""Arrays at the door of the room: checked once here, so that the formulas can trust them."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesdose.errors import BayesdoseError, ConfigError

Weights = Literal["site", "patient"]
Floats = NDArray[np.float64]


def as_sites(
    values: ArrayLike, name: str, *, n_sites: int | None = None, positive: bool = False
) -> Floats:
    """Return `values` as finite floats of shape (n_sites,), or say which entry is not."""
    array = _as_floats(values, name)
    if array.ndim != 1 or array.size == 0:
        raise BayesdoseError(
            f"`{name}` must be one number a site, shape (n_sites,); got shape {array.shape}."
        )
    if n_sites is not None and array.size != n_sites:
        raise BayesdoseError(
            f"`{name}` has {array.size} entries and must have one for each of the "
            f"{n_sites} sites, in the same order."
        )
    bad = ~np.isfinite(array) | ((array <= 0) if positive else False)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise BayesdoseError(
            f"`{name}` must be finite{' and above zero' if positive else ''}; entry {first} is "
            f"{array[first]} ({int(bad.sum())} such entries). Leave those sites out of every array."
        )
    return array


def as_draws(draws: ArrayLike, *, n_sites: int | None = None, name: str = "draws") -> Floats:
    """Return `draws` as finite floats of shape (n_draws, n_sites), or say what is wrong."""
    array = _as_floats(draws, name)
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        raise BayesdoseError(
            f"`{name}` must have shape (n_draws, n_sites) with at least two draws; got shape "
            f"{array.shape}. Stack chains and draws into the first axis."
        )
    if n_sites is not None and array.shape[1] != n_sites:
        raise BayesdoseError(
            f"`{name}` has {array.shape[1]} sites on its second axis and must have {n_sites}; "
            f"got shape {array.shape}. Put the draws on the first axis, the sites on the second."
        )
    for site in range(array.shape[1]):
        if not np.isfinite(array[:, site]).all():
            draw = int(np.flatnonzero(~np.isfinite(array[:, site]))[0])
            raise BayesdoseError(
                f"`{name}` must be finite; draw {draw} of site {site} is {array[draw, site]}."
            )
    return array


def check_probability(prob: float, name: str = "prob") -> float:
    """Return `prob` when it lies strictly between 0 and 1."""
    if not 0.0 < prob < 1.0:
        raise ConfigError(f"`{name}` must lie strictly between 0 and 1; got {prob}.")
    return float(prob)


def group_codes(
    groups: ArrayLike, n_sites: int, name: str = "groups"
) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    """Return codes (n_sites,), numbered in order of appearance, and the labels they stand for."""
    labels = np.asarray(groups, dtype=object)
    if labels.shape != (n_sites,):
        raise BayesdoseError(
            f"`{name}` must be one label for each of the {n_sites} sites; got shape {labels.shape}."
        )
    codes, unique = pd.factorize(labels)
    if (codes < 0).any():
        first = int(np.flatnonzero(codes < 0)[0])
        raise BayesdoseError(f"`{name}` has no label for site {first}: got {labels[first]!r}.")
    return codes, np.asarray(unique, dtype=object)


def site_weights(weights: Weights, groups: ArrayLike | None, n_sites: int) -> Floats:
    """Return the weight of each site: 1, or 1 over the patient's number of sites."""
    if weights == "site":
        return np.ones(n_sites)
    if weights != "patient":
        raise ConfigError(f"`weights` must be 'site' or 'patient'; got {weights!r}.")
    if groups is None:
        raise ConfigError("`weights='patient'` needs `groups`, the patient of each site.")
    codes, _ = group_codes(groups, n_sites)
    return 1.0 / np.bincount(codes)[codes]


def weighted_median(values: Floats, weights: Floats) -> float:
    """Return the value with half of the weight on either side.

    Where the cumulative weight meets exactly one half, the mean of the two neighbours, so that
    equal weights give the ordinary median.
    """
    order = np.argsort(values)
    ordered, share = values[order], np.cumsum(weights[order]) / np.sum(weights)
    # Sums of 1/m miss one half by rounding; 1e-9 is far below any weight that can matter.
    upper = int(np.searchsorted(share, 0.5 + 1e-9))
    lower = int(np.searchsorted(share, 0.5 - 1e-9))
    return float(0.5 * (ordered[lower] + ordered[upper]))


def _as_floats(values: ArrayLike, name: str) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise BayesdoseError(f"`{name}` must hold numbers only ({err}).") from err


def check_labels(values: ArrayLike, name: str, *, both: bool = False) -> NDArray[np.bool_]:
    """Return labels as booleans, or say which is neither 0 nor 1.

    Parameters
    ----------
    values : array_like of int or bool, shape (n,)
        Labels.
    name : str
        What the error calls them.
    both : bool
        Whether both kinds must occur.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for 1.

    Raises
    ------
    BayesdoseError
        When a label is not 0 or 1, or one kind is missing.
    """
    labels = np.asarray(values)
    if labels.dtype.kind not in "biuf" or labels.ndim != 1 or labels.size == 0:
        raise BayesdoseError(
            f"`{name}` must be 0 or 1 (or False and True) for each row; got {labels.dtype} of "
            f"shape {labels.shape}."
        )
    odd = ~np.isin(labels, (0, 1))
    if odd.any():
        first = int(np.flatnonzero(odd)[0])
        raise BayesdoseError(
            f"`{name}` must be 0 or 1; entry {first} is {labels[first]} ({int(odd.sum())} such "
            "entries). Recode the labels, and leave rows without one out of every array."
        )
    out: NDArray[np.bool_] = labels.astype(bool)
    if both and (out.all() or not out.any()):
        raise BayesdoseError(
            f"`{name}` must hold cases and controls; all {out.size} rows are "
            f"{'cases' if out.all() else 'controls'}. Score rows of both kinds together."
        )
    return out


def check_risks(values: ArrayLike, name: str, n: int) -> Floats:
    """Return probabilities from 0 to 1, or say which is not one.

    Parameters
    ----------
    values : array_like of float, shape (n,), from 0 to 1
        Probabilities.
    name : str
        What the error calls them.
    n : int
        How many there must be.

    Returns
    -------
    ndarray of float, shape (n,)
        The probabilities.

    Raises
    ------
    BayesdoseError
        When the length differs, or one is not finite or outside 0 to 1.
    """
    risk = as_sites(values, name, n_sites=n)
    outside = (risk < 0) | (risk > 1)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise BayesdoseError(
            f"`{name}` must lie from 0 to 1; entry {first} is {risk[first]} ({int(outside.sum())} "
            "such entries). Divide percentages by 100; scores on another scale have no threshold "
            "here, only an area (`auc`)."
        )
    return risk


def check_patients(groups: ArrayLike | None, n: int) -> NDArray[np.intp]:
    """Return the number of each row's patient, or say that one patient is too few.

    Parameters
    ----------
    groups : array_like, shape (n,), optional
        Patient of each row; without it each row is a patient.
    n : int
        Number of rows.

    Returns
    -------
    ndarray of int, shape (n,)
        Patients numbered in order of appearance.

    Raises
    ------
    BayesdoseError
        When the length differs, a label is missing, or there is one patient.
    """
    codes = np.arange(n) if groups is None else group_codes(groups, n)[0]
    if codes.max() == 0:
        raise BayesdoseError(
            f"an interval needs two patients or more; all {n} rows are of one patient. Give the "
            "patient of each row as `groups`, and pool patients."
        )
    return codes
