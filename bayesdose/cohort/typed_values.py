"""From cells that carry a type (Excel, Parquet) to the columns of a table."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd

from bayesdose.cohort.csv_numbers import MISSING, is_label
from bayesdose.cohort.problems import is_missing, plain_value
from bayesdose.cohort.schema import column_of
from bayesdose.errors import ReadError

_DATES = (date, datetime, time, timedelta, np.datetime64, np.timedelta64)


def typed_column(
    name: str, cells: Sequence[object], labels: set[str], where: Callable[[int], str]
) -> pd.Series:
    """Turn typed cells into labels, numbers or whatever they are.

    Parameters
    ----------
    name : str
        Name of the column.
    cells : sequence of object of length n_rows
        Cells.
    labels : set of str
        Columns that are labels although the schema does not say so.
    where : callable
        Place of a cell in words, from the position of its row.

    Returns
    -------
    pandas.Series of shape (n_rows,)
        Labels as text, whole numbers among them without decimals; numbers as numbers. Text in a
        column of numbers stays, for `validate_sites` to report.

    Raises
    ------
    ReadError
        If a date stands where a label or a number belongs.
    """
    column = column_of(name)
    label = is_label(name, labels)
    if label or (column is not None and column.kind == "number"):
        for position, cell in enumerate(cells):
            if isinstance(cell, _DATES) and not is_missing(cell):
                raise ReadError(
                    f"{where(position)}, column {name!r}: the date or time {cell}, which "
                    "spreadsheets make of entries such as 1.5 or 2-3; enter it again as text or "
                    "as a number."
                )
    if label:
        return pd.Series([_label(cell) for cell in cells], dtype=object)
    values = [
        None if is_missing(cell) or _says_missing(cell) else plain_value(cell) for cell in cells
    ]
    if all(value is None for value in values):
        return pd.Series(values, dtype=float)
    if all(isinstance(value, bool) for value in values):
        return pd.Series(values, dtype=bool)
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return pd.Series(values)
    if all(value is None or _is_number(value) for value in values):
        return pd.Series(values, dtype=float)
    return pd.Series(values, dtype=object)


def _label(cell: object) -> str | None:
    if is_missing(cell) or (isinstance(cell, str) and not cell.strip()):
        return None
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def _says_missing(cell: object) -> bool:
    return isinstance(cell, str) and cell.strip() in MISSING


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
