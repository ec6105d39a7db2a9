"""Covariates at the door: numbers, strata and centres out of whatever X came as."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdose.errors import ConfigError, RiskError, UnknownCategoryError
from bayesdose.evaluate._arrays import Floats

Ints = NDArray[np.intp]
ColumnName = str | int
_LARGEST = 1e100


@dataclass(frozen=True)
class Columns:
    """Covariates of rows, with what they are called.

    Parameters
    ----------
    names : tuple of str
        Covariates, in the order of the coefficients.
    values : ndarray of shape (n, p)
        In the units of X.
    index : pandas.Index
        Labels of the rows.
    """

    names: tuple[str, ...]
    values: Floats
    index: pd.Index


def as_frame(X: Any) -> pd.DataFrame:
    """Table of X; columns of an array are called x0, x1 and so on.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n, p)

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    RiskError
        When X has no two dimensions, no rows, or two columns of one name.
    """
    if isinstance(X, pd.DataFrame):
        if X.columns.nlevels > 1:
            raise RiskError("X has columns of several levels: give each one name")
        frame = X.rename(columns=str)
    else:
        array = _as_array(X)
        if array.ndim != 2:
            raise RiskError(
                f"X must have rows and columns, shape (n, p); got shape {array.shape}. A single "
                "covariate is X.reshape(-1, 1)"
            )
        frame = pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])])
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise RiskError(f"X has two columns called {twice[0]!r}: name each once")
    if frame.empty and len(frame) == 0:
        raise RiskError("X has no rows")
    return frame


def _as_array(X: Any) -> np.ndarray:
    if hasattr(X, "toarray"):
        raise RiskError(
            "X is sparse, and a Cox model takes dense columns: OneHotEncoder(sparse_output=False), "
            "ColumnTransformer(..., sparse_threshold=0), or X.toarray()"
        )
    try:
        array = np.asarray(X)
    except ValueError as err:
        raise RiskError(f"X must have rows of one length, shape (n, p) ({err})") from err
    if np.iscomplexobj(array):
        raise RiskError("X holds complex numbers; covariates must be real")
    return array


def column_name(frame: pd.DataFrame, column: ColumnName, argument: str) -> str:
    """Name of a column that an argument points at.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `as_frame`.
    column : str or int
        Its name, or its place in an array.
    argument : str
        Which argument, for messages.

    Returns
    -------
    str

    Raises
    ------
    ConfigError
        When X has no such column.
    """
    if isinstance(column, str | int) and not isinstance(column, bool):
        if str(column) in frame.columns:
            return str(column)
        if f"x{column}" in frame.columns and isinstance(column, int):
            return f"x{column}"  # a place in an array
    raise ConfigError(
        f"{argument} names {column!r}, which X does not have; its columns are "
        f"{', '.join(map(str, frame.columns[:20]))}"
    )


def numbers(frame: pd.DataFrame, names: Sequence[str]) -> Columns:
    """Covariates as numbers, none of them missing.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `as_frame`.
    names : sequence of str
        Columns wanted.

    Returns
    -------
    Columns

    Raises
    ------
    RiskError
        When a column holds text, or a value is missing or infinite.
    """
    values = np.empty((len(frame), len(names)))
    for j, name in enumerate(names):
        column = frame[name]
        if not (pd.api.types.is_numeric_dtype(column) or _all_numbers(column)):
            raise RiskError(
                f"X column {name!r} holds {column.dtype}, and a covariate must be numbers. Turn "
                "categories into indicators first: pandas.get_dummies(X, drop_first=True), or "
                "scikit-learn's OneHotEncoder(drop='first') in the pipeline; a column of strata or "
                "centres is named by strata= or frailty="
            )
        values[:, j] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(values)
    if bad.any():
        row, j = (int(k) for k in np.argwhere(bad)[0])
        raise RiskError(
            f"X column {names[j]!r}, row {row} (label {frame.index[row]!r}) is {values[row, j]}; "
            f"covariates must be finite ({int(bad[:, j].sum())} such rows in this column). Drop "
            "these rows, or put an imputer before the model in a pipeline"
        )
    huge = np.abs(values) > _LARGEST
    if huge.any():
        row, j = (int(k) for k in np.argwhere(huge)[0])
        raise RiskError(
            f"X column {names[j]!r}, row {row} is {values[row, j]:g}; covariates may be up to "
            f"{_LARGEST:g}: rescale the column"
        )
    return Columns(tuple(names), values, frame.index)


def _all_numbers(column: pd.Series) -> bool:
    """Whether a column of objects holds numbers only, as an array of mixed kinds gives."""
    return column.dtype == object and all(
        isinstance(value, int | float | np.number | np.bool_) or value is None for value in column
    )


def labels_of(frame: pd.DataFrame, names: Sequence[str], argument: str) -> list[str]:
    """One label a row from one or several columns.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `as_frame`.
    names : sequence of str
        Columns whose values make the label.
    argument : str
        Which argument, for messages.

    Returns
    -------
    list of str
        Empty text for all where there is no such column.

    Raises
    ------
    RiskError
        When a value is missing.
    """
    if not names:
        return [""] * len(frame)
    part = frame[list(names)]
    missing = part.isna().to_numpy()
    if missing.any():
        row, j = (int(k) for k in np.argwhere(missing)[0])
        raise RiskError(
            f"{argument} column {names[j]!r}, row {row} is missing: every row needs its label"
        )
    rows = part.itertuples(index=False, name=None)
    if len(names) == 1:
        return [_label(row[0]) for row in rows]
    # quotes keep ("a, b", "c") apart from ("a", "b, c")
    return [", ".join(repr(_label(value)) for value in row) for row in rows]


def _label(value: Any) -> str:
    """Text of a label; a table that turns 3 into 3.0 does not turn one centre into another."""
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value) if whole else value)


def codes_of(labels: list[str], known: Sequence[str], argument: str) -> Ints:
    """Number of each label among those known from training.

    Parameters
    ----------
    labels : list of str
        Of the rows.
    known : sequence of str
        Labels at training.
    argument : str
        Which argument, for messages.

    Returns
    -------
    ndarray of int of shape (n,)

    Raises
    ------
    UnknownCategoryError
        When a label was not there at training.
    """
    place = {label: j for j, label in enumerate(known)}
    for row, label in enumerate(labels):
        if label not in place:
            raise UnknownCategoryError(
                f"{argument} of row {row} is {label!r}, which no row of training had; allowed are "
                f"{', '.join(known)}"
            )
    return np.array([place[label] for label in labels], np.intp)


def scaling(columns: Columns) -> tuple[Floats, Floats]:
    """Centre of each column, and its standard deviation (ddof 1).

    Indicators (0 and 1 only) are centred and keep their unit: centring changes no coefficient of a
    Cox model.

    Parameters
    ----------
    columns : Columns
        Of the training rows.

    Returns
    -------
    center, scale : ndarray of shape (p,)

    Raises
    ------
    RiskError
        When there is one row, or a column is the same in every row.
    """
    values = columns.values
    if len(values) < 2:
        raise RiskError("X has one row; a Cox model compares rows, and needs two or more")
    spread = values.std(0, ddof=1)
    flat = spread <= 1e-12 * np.maximum(1.0, np.abs(values).max(0, initial=0.0))
    if flat.any():
        name = columns.names[int(np.argmax(flat))]
        raise RiskError(
            f"X column {name!r} is the same in every row, so that nothing can be learnt of it: "
            "leave it out"
        )
    indicator = np.isin(values, (0.0, 1.0)).all(0)
    return values.mean(0), np.where(indicator, 1.0, spread)
