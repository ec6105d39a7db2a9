"""Cells of the tables that a site table is built from."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, time
from pathlib import Path
from typing import Any

import pandas as pd

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import numbers
from bayesdose.measure.images.image import Image


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing.

    Parameters
    ----------
    value : object
        Cell.

    Returns
    -------
    bool
    """
    if value is None or value is pd.NaT or value is pd.NA:
        return True
    if isinstance(value, float) and math.isnan(value):
        return True
    return isinstance(value, str) and not value.strip()


def text(row: Mapping[str, Any], name: str) -> str | None:
    """Text of a cell.

    Parameters
    ----------
    row : mapping
        Column → cell.
    name : str
        Column; it may be absent.

    Returns
    -------
    str or None
    """
    value = row.get(name)
    return None if is_empty(value) else str(value).strip()


def number(
    row: Mapping[str, Any], name: str, unit: str, *, above: float = -math.inf
) -> float | None:
    """Number of a cell.

    Parameters
    ----------
    row : mapping
        Column → cell.
    name : str
        Column; it may be absent.
    unit : str
        For messages.
    above : float
        What it must be above.

    Returns
    -------
    float or None

    Raises
    ------
    MeasureError
        When the cell holds something else, or a number out of bounds.
    """
    value: Any = row.get(name)
    if is_empty(value):
        return None
    if isinstance(value, bool):
        raise MeasureError(f"`{name}` is {value}; a number in {unit} is wanted")
    return float(numbers(value, name, unit, above=above))


def moment(row: Mapping[str, Any], name: str) -> datetime | None:
    """Date and time of a cell.

    Parameters
    ----------
    row : mapping
        Column → cell.
    name : str
        Column; it may be absent.

    Returns
    -------
    datetime or None

    Raises
    ------
    MeasureError
        When the cell is no date with a time.
    """
    value = row.get(name)
    if is_empty(value):
        return None
    if isinstance(value, datetime):
        if value.time() == time():
            # a cell of a date alone becomes midnight
            raise MeasureError(f"`{name}` is {value.date()}, a date without its time: add it")
        return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
    written = str(value).strip()
    try:
        found = datetime.fromisoformat(written)
    except ValueError as err:
        raise MeasureError(
            f"`{name}` is {written!r}; write date and time as 2026-03-01 13:45"
        ) from err
    if ":" not in written:
        raise MeasureError(f"`{name}` is {written!r}, a date without its time: add it")
    return found


def yes_no(row: Mapping[str, Any], name: str) -> bool | None:
    """Flag of a cell.

    Parameters
    ----------
    row : mapping
        Column → cell.
    name : str
        Column; it may be absent.

    Returns
    -------
    bool or None

    Raises
    ------
    MeasureError
        When the cell holds neither True or False nor 1 or 0.
    """
    value = row.get(name)
    if is_empty(value):
        return None
    if value in (True, False):
        return bool(value)
    if str(value).strip().lower() in ("true", "false"):
        return str(value).strip().lower() == "true"
    raise MeasureError(f"`{name}` is {value!r}; allowed are True and False, or 1 and 0")


@contextmanager
def naming(row: Mapping[str, Any]) -> Iterator[None]:
    """Name the file of a row in errors that do not.

    Parameters
    ----------
    row : mapping
        Row of the table of files.

    Yields
    ------
    None
    """
    name = Path(row["path"]).name
    try:
        yield
    except MeasureError as err:
        if name in str(err):
            raise
        raise MeasureError(f"{name}: {err}") from err


def check_modality(image: Image, wanted: str, role: str) -> None:
    """Refuse a DICOM image of another kind than its role.

    Parameters
    ----------
    image : Image
        Image.
    wanted : str
        ``"PT"``, ``"NM"``, ``"CT"`` or ``"RTDOSE"``.
    role : str
        In the table of files.

    Raises
    ------
    MeasureError
        When the header says that it is another. SPECT may have been exported as PET: then units
        and radionuclide are PET's, and it is let through where the radionuclide is 177Lu.
    """
    scan = image.scan
    if scan is None or scan.modality == wanted:
        return
    if wanted == "NM" and scan.modality == "PT" and scan.radionuclide == "Lu177":
        return
    raise MeasureError(f"{image.name}: is {scan.modality} by its header, and {role} by its role")
