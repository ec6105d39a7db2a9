"""Checks of single cells: numbers that are numbers within their bounds, labels that are there."""

import re
from decimal import Decimal
from numbers import Real

import numpy as np
import pandas as pd

from bayesdose.cohort.problems import Problem, is_missing, plain_value
from bayesdose.cohort.schema import Column, allowed_values

_LOOKS_LIKE_A_NUMBER = re.compile(r"\s*[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?\s*")


def as_numbers(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Read cells as numbers without converting text.

    Parameters
    ----------
    values : pandas.Series of shape (n_rows,)
        Cells.

    Returns
    -------
    numbers : ndarray of shape (n_rows,)
        Float values; NaN where a cell is missing or no number.
    foreign : ndarray of bool, shape (n_rows,)
        Cells that are neither missing nor a number.
    """
    kinds = pd.api.types
    if kinds.is_numeric_dtype(values) and not (
        kinds.is_bool_dtype(values) or kinds.is_complex_dtype(values)
    ):
        return values.to_numpy(dtype=float, na_value=np.nan), np.zeros(len(values), dtype=bool)
    numbers = np.full(len(values), np.nan)
    foreign = np.zeros(len(values), dtype=bool)
    for position, value in enumerate(values):
        if isinstance(value, Real | Decimal) and not isinstance(value, bool):
            numbers[position] = float(value)
        elif not is_missing(value):
            foreign[position] = True
    return numbers, foreign


def number_problems(
    name: str,
    values: pd.Series,
    numbers: np.ndarray,
    foreign: np.ndarray,
    column: Column,
    *,
    complete: bool,
    off: frozenset[str],
) -> list[Problem]:
    """Check one column of numbers.

    Parameters
    ----------
    name : str
        Name of the column in the table.
    values : pandas.Series of shape (n_rows,)
        Its cells.
    numbers, foreign : ndarray of shape (n_rows,)
        What `as_numbers` made of them; numbers in the column's unit.
    column : Column
        Its description.
    complete : bool
        Whether a missing value is a problem.
    off : frozenset of str
        Range checks that are switched off.

    Returns
    -------
    list of Problem
        What was found.
    """
    checked = column.check is not None and column.check not in off
    with np.errstate(invalid="ignore"):
        wrong = foreign | np.isinf(numbers)
        if column.above is not None:
            wrong |= numbers <= column.above
        if column.at_least is not None:
            wrong |= numbers < column.at_least
        if column.whole:
            wrong |= np.isfinite(numbers) & (numbers != np.floor(numbers))
        if complete:
            wrong |= np.isnan(numbers)
        beyond = np.zeros(len(numbers), dtype=bool)
        if checked and column.low is not None:
            beyond |= numbers < column.low
        if checked and column.high is not None:
            beyond |= numbers > column.high
    beyond &= ~wrong
    allowed = allowed_values(column, off)
    hinted = f"{allowed} ({column.hint})" if column.hint else allowed
    return [
        Problem(
            int(position),
            name,
            plain_value(values.iloc[position]),
            hinted if beyond[position] else allowed,
            column.check if beyond[position] else None,
        )
        for position in np.flatnonzero(wrong | beyond)
    ]


def foreign_column_problems(name: str, values: pd.Series) -> list[Problem]:
    """Check a column that the schema does not know: no infinity, no text among numbers.

    Parameters
    ----------
    name : str
        Name of the column.
    values : pandas.Series of shape (n_rows,)
        Its cells.

    Returns
    -------
    list of Problem
        Infinite cells, and text where other rows hold numbers.
    """
    if pd.api.types.is_bool_dtype(values) or isinstance(values.dtype, pd.CategoricalDtype):
        return []
    numbers, foreign = as_numbers(values)
    found = [
        Problem(int(position), name, float(numbers[position]), "a finite number")
        for position in np.flatnonzero(np.isinf(numbers))
    ]
    looks_numeric = np.array(
        [
            isinstance(value, str) and _LOOKS_LIKE_A_NUMBER.fullmatch(value) is not None
            for value in values
        ],
        dtype=bool,
    )
    if np.isfinite(numbers).any():
        text = foreign
    elif looks_numeric.any():
        text = foreign & ~looks_numeric
    else:
        return found
    allowed = "a number in every row, or a word in every row for a category"
    return found + [
        Problem(int(position), name, plain_value(values.iloc[position]), allowed)
        for position in np.flatnonzero(text)
    ]


def label_problems(name: str, values: pd.Series, *, complete: bool = True) -> list[Problem]:
    """Check one column of labels.

    Parameters
    ----------
    name : str
        Name of the column.
    values : pandas.Series of shape (n_rows,)
        Its cells.
    complete : bool
        Whether a missing label is a problem.

    Returns
    -------
    list of Problem
        Missing or blank labels, labels that are neither text nor a number, blanks around a label or
        control characters in it,
        and text mixed with numbers ("7" and 7 would be two patients).
    """
    found = []
    allowed = "text or a number, without blanks around it or control characters"
    if pd.api.types.infer_dtype(values, skipna=False) == "string":
        # as a rule a column repeats a few labels, and no row needs a look of its own
        codes, labels = pd.factorize(values)
        # code -1 is a missing label
        wrong_labels = np.array([*(_is_wrong(label, complete) for label in labels), complete])
        return [
            Problem(int(position), name, plain_value(values.iloc[position]), allowed)
            for position in np.flatnonzero(wrong_labels[codes])
        ]
    n_text = n_numbers = 0
    for position, value in enumerate(values):
        if is_missing(value):
            wrong = complete
        elif isinstance(value, str):
            wrong = _is_wrong(value, complete)
            n_text += 1
        else:
            wrong = not isinstance(value, Real)
            n_numbers += not wrong
        if wrong:
            found.append(Problem(position, name, plain_value(value), allowed))
    if n_text and n_numbers:
        mixture = f"{n_text} rows hold text, {n_numbers} hold numbers"
        found.append(Problem(-1, name, mixture, "text in every row, or numbers in every row"))
    return found


def _is_wrong(label: str, complete: bool) -> bool:
    blank = label != label.strip() or (complete and not label)
    return blank or not label.isprintable()
