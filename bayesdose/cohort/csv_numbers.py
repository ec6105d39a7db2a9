"""From text cells to numbers: one decimal mark for the file, proven by the file itself.

``1,234`` may be a number with three decimals or with a thousands separator. It counts as a
number only where another cell of the file shows that its mark is the decimal one.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from bayesdose.cohort.csv_text import SEPARATORS, TextTable
from bayesdose.cohort.schema import column_of
from bayesdose.errors import ReadError

MISSING = frozenset({"", "NA", "NaN", "nan"})
# A leading zero makes it a label ("007"), and so do more digits than a float holds.
_INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d{0,14})")
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)[.,]\d*|[.,]\d+)(?:[eE][+-]?\d+)?")
_EXPONENT = re.compile(r"[+-]?\d+[eE][+-]?\d+")
_INFINITY = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_THREE_DECIMALS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}([.,])\d{3}(?:(?:\1\d{3})+|(?:\1\d{3})*(?!\1)[.,]\d+)")
_FLAGS = {"TRUE": True, "True": True, "true": True, "FALSE": False, "False": False, "false": False}


def type_columns(table: TextTable, names: list[str], labels: set[str], path: Path) -> pd.DataFrame:
    """Turn text cells into labels, numbers, flags and words.

    Parameters
    ----------
    table : TextTable
        Cells.
    names : list of str
        Names of the columns after mapping.
    labels : set of str
        Columns that stay text although the schema does not call them labels.
    path : Path
        The file, for messages.

    Returns
    -------
    pandas.DataFrame
        Labels are text as written. Columns that the schema knows as numbers keep text in the
        cells that hold none, for `validate_sites` to report. Other columns are numbers (or True
        and False) where every cell is, and text where not.

    Raises
    ------
    ReadError
        If the decimal mark is in doubt or there are thousands separators.
    """
    cells = {name: [row[i] for row in table.rows] for i, name in enumerate(names)}
    kinds = {name: _kind(name, cells[name], labels) for name in names}
    numeric = {name: cells[name] for name in names if kinds[name] == "number"}
    mark = _decimal_mark(numeric, table, path)
    return pd.DataFrame({name: _typed(cells[name], kinds[name], mark) for name in names})


def is_label(name: str, labels: set[str]) -> bool:
    """Whether a column holds labels, which stay text.

    Parameters
    ----------
    name : str
        Name of the column.
    labels : set of str
        Columns that are labels although the schema does not say so.

    Returns
    -------
    bool
        True for a label.
    """
    column = column_of(name)
    return name in labels or (column is not None and column.kind == "label")


def _kind(name: str, cells: list[str], labels: set[str]) -> str:
    column = column_of(name)
    if is_label(name, labels):
        return "label"
    if column is not None and column.kind == "number":
        return "number"
    stated = [cell.strip() for cell in cells if cell.strip() not in MISSING]
    if all(_has_number_shape(cell) for cell in stated):
        return "number"
    return "flag" if all(cell in _FLAGS for cell in stated) else "word"


def _has_number_shape(cell: str) -> bool:
    patterns = (_INTEGER, _NUMBER, _EXPONENT, _THOUSANDS, _INFINITY)
    return any(pattern.fullmatch(cell) for pattern in patterns)


def _decimal_mark(columns: dict[str, list[str]], table: TextTable, path: Path) -> str:
    first: dict[str, str] = {}
    proven = set()
    for name, cells in columns.items():
        for line, cell in zip(table.lines, map(str.strip, cells), strict=True):
            here = f"line {line}, column {name!r}: {cell!r}"
            if _THOUSANDS.fullmatch(cell):
                raise ReadError(
                    f"{path}, {here} has a thousands separator; write numbers without any."
                )
            if _NUMBER.fullmatch(cell):
                mark = "," if "," in cell else "."
                first.setdefault(mark, here)
                if not _THREE_DECIMALS.fullmatch(cell):
                    proven.add(mark)
    if "," in first and table.separator == ",":
        raise ReadError(
            f"{path}, {first[',']} has a decimal comma in a comma-separated file; write decimal "
            "points, or separate by semicolon."
        )
    if len(first) == 2:
        raise ReadError(
            f"{path}: decimal points and commas are mixed: {first['.']}; {first[',']}. "
            "Write one of them throughout."
        )
    for mark, here in first.items():
        if mark not in proven and table.separator != ",":
            raise ReadError(
                f"{path}, {here} may have three decimals or a thousands separator, and no other "
                f"number of this {SEPARATORS[table.separator]}-separated file tells which; save it "
                "separated by comma with decimal points."
            )
    return next(iter(first), ".")


def _typed(cells: list[str], kind: str, mark: str) -> pd.Series:
    if kind == "label":
        return pd.Series([cell if cell.strip() else None for cell in cells], dtype=object)
    stripped = [cell.strip() for cell in cells]
    if kind == "word":
        return pd.Series(
            [None if cell in MISSING else raw for cell, raw in zip(stripped, cells, strict=True)],
            dtype=object,
        )
    if kind == "flag":
        flags = [_FLAGS.get(cell) for cell in stripped]
        return pd.Series(flags, dtype=object if None in flags else bool)
    values = [_number(cell, mark) for cell in stripped]
    if any(isinstance(value, str) for value in values):
        return pd.Series(values, dtype=object)
    if all(_INTEGER.fullmatch(cell) for cell in stripped):
        return pd.Series(values, dtype=np.int64)
    return pd.Series(values, dtype=float)


def _number(cell: str, mark: str) -> int | float | str:
    """The number that a cell holds; the cell itself where it holds none."""
    if cell in MISSING:
        return float("nan")
    if _INTEGER.fullmatch(cell):
        return int(cell)
    if any(pattern.fullmatch(cell) for pattern in (_NUMBER, _EXPONENT, _INFINITY)):
        return float(cell.replace(mark, "."))
    return cell
