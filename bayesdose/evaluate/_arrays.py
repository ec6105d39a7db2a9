"""Arrays at the door of the room: checked once here, so that the formulas can trust them."""

from collections.abc import Hashable
from decimal import Decimal
from itertools import combinations
from numbers import Real
from typing import Any, Literal

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
    array = as_numbers(values, f"`{name}`")
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
    array = as_numbers(draws, f"`{name}`")
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
    # a sum is not finite where a draw is not: only such sites, or sums beyond range, are looked at
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = np.flatnonzero(~np.isfinite(array.sum(axis=0)))
    for site in suspicious:
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
    groups: ArrayLike, n: int, name: str = "groups", *, unit: Literal["row", "site"] = "row"
) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    """Return codes (n,), numbered in order of appearance, and the labels they stand for."""
    labels = np.asarray(groups, dtype=object)
    if labels.shape != (n,):
        raise BayesdoseError(
            f"`{name}` must be one label for each of the {n} {unit}s; got shape {labels.shape}."
        )
    codes, unique = pd.factorize(labels)
    if (codes < 0).any():
        first = int(np.flatnonzero(codes < 0)[0])
        raise BayesdoseError(f"`{name}` has no label for {unit} {first}: got {labels[first]!r}.")
    if len({str(label) for label in unique}) < len(unique):
        texts = [str(label) for label in unique]
        twice = next(text for text in texts if texts.count(text) > 1)
        raise BayesdoseError(
            f"`{name}` has the label {twice} as a number and as text, which would count as two: "
            "write labels in one way."
        )
    return codes, np.asarray(unique, dtype=object)


def site_weights(weights: Weights, groups: ArrayLike | None, n_sites: int) -> Floats:
    """Return the weight of each site: 1, or 1 over the patient's number of sites."""
    if weights == "site":
        return np.ones(n_sites)
    if weights != "patient":
        raise ConfigError(f"`weights` must be 'site' or 'patient'; got {weights!r}.")
    if groups is None:
        raise ConfigError("`weights='patient'` needs `groups`, the patient of each site.")
    codes, _ = group_codes(groups, n_sites, unit="site")
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


def as_numbers(
    values: ArrayLike, name: str, error: type[BayesdoseError] = BayesdoseError
) -> Floats:
    """Return real numbers as floats of any shape, None and NA as NaN; convert nothing else.

    NumPy would take dates for nanoseconds, text for what it spells, and half of a complex number.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "biuf":
            return array.astype(np.float64, copy=False)
        if array.dtype.kind != "O":
            raise error(_no_numbers(name, str(array.dtype), array.dtype.kind))
        flat = array.ravel()
        for place, value in enumerate(flat):
            if not _is_number(value):
                got = f"{type(value).__name__} in entry {place}"
                raise error(_no_numbers(name, got, np.asarray(value).dtype.kind, value))
        none = pd.isna(flat)
        return np.where(none, np.nan, flat).astype(np.float64).reshape(array.shape)
    except BayesdoseError:
        raise
    except (TypeError, ValueError, OverflowError) as err:
        raise error(f"{name} must hold numbers only ({err}).") from err


def _is_number(value: Any) -> bool:
    if isinstance(value, np.timedelta64):  # NumPy counts it among the integers
        return False
    return value is None or value is pd.NA or isinstance(value, Real | Decimal)


def _no_numbers(name: str, got: str, kind: str, value: object = None) -> str:
    message = f"{name} must hold numbers only; got {got}. "
    if kind in "mM" or hasattr(value, "total_seconds") or hasattr(value, "isoformat"):
        return message + (
            "Dates and durations have no unit here: count them in one of your choice, such as "
            "months, `(end - start).dt.days / 30.44`."
        )
    if kind in "USTO":
        return message + (
            "Text is not converted: use `pandas.to_numeric`, and see to what is no number."
        )
    return message + "Give real numbers."


def check_same_order(**named: Any) -> None:
    """Refuse tables and series whose index holds the same labels in different orders.

    Rows are paired by position. Objects without an index, or with other labels, are left alone.

    Parameters
    ----------
    **named : object
        Arguments by name, as the user gave them.

    Raises
    ------
    BayesdoseError
        When two have the same unique labels in another order.
    """
    indexed = [
        (name, value.index)
        for name, value in named.items()
        if isinstance(value, pd.Series | pd.DataFrame)
    ]
    for (first, one), (second, other) in combinations(indexed, 2):
        if one.equals(other) or len(one) != len(other):
            continue
        if one.is_unique and other.is_unique and set(one) == set(other):
            pairs = enumerate(zip(one, other, strict=True))
            row, labels = next((row, pair) for row, pair in pairs if pair[0] != pair[1])
            raise BayesdoseError(
                f"`{first}` and `{second}` have the same index labels in another order (row {row} "
                f"is {_plain(labels[0])} in `{first}` and {_plain(labels[1])} in `{second}`), and "
                f"rows are paired by position. Take `{second}.loc[{first}.index]`; where the "
                "labels mean nothing, `.to_numpy()`."
            )


def _plain(label: Hashable) -> str:
    return repr(label.item() if isinstance(label, np.generic) else label)


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
