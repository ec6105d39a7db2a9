"""What the pictures of a validation accept: its result, or a plain table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesdose.errors import ConfigError

if TYPE_CHECKING:
    from bayesdose.dose.leave_one_out import LeaveOneOut


def predictions_of(validation: "LeaveOneOut | pd.DataFrame", needed: Sequence[str]) -> pd.DataFrame:
    """Predictions of a validation, a row a site.

    Parameters
    ----------
    validation : LeaveOneOut or pandas.DataFrame
        Result, or the table that its ``predictions`` are.
    needed : sequence of str
        Columns that the picture needs.

    Returns
    -------
    pandas.DataFrame
        Sites that could be predicted, ``tissue`` as text.

    Raises
    ------
    ConfigError
        When it is neither, or a column is absent.
    """
    table = validation if isinstance(validation, pd.DataFrame) else _attribute(validation)
    check_columns(table, needed)
    ready = table[table[list(needed)].notna().all(axis=1)]
    if ready.empty:
        raise ConfigError(f"no row of the table has all of {', '.join(needed)}: nothing to draw")
    return ready.assign(tissue=ready["tissue"].astype(str))


def check_columns(table: pd.DataFrame, needed: Sequence[str]) -> None:
    """Refuse a table without the columns that a picture needs.

    Parameters
    ----------
    table : pandas.DataFrame
        The caller's.
    needed : sequence of str
        Columns.

    Raises
    ------
    ConfigError
        When one is absent.
    """
    absent = [name for name in needed if name not in table.columns]
    if absent:
        raise ConfigError(
            f"the table has no column {absent[0]!r}; the picture needs {', '.join(needed)}"
        )


def scored_draws(validation: "LeaveOneOut") -> tuple[pd.DataFrame, np.ndarray]:
    """Predictions and joint draws of the sites that a validation could predict.

    Parameters
    ----------
    validation : LeaveOneOut
        Result of ``leave_one_patient_out``.

    Returns
    -------
    table : pandas.DataFrame of n rows
    draws : numpy.ndarray of shape (S, n), Gy

    Raises
    ------
    ConfigError
        When it has no draws.
    """
    if not hasattr(validation, "draws"):
        raise ConfigError(
            f"got {type(validation).__name__}; this picture needs joint draws: give the result of "
            "leave_one_patient_out()"
        )
    ready = ~np.isnan(validation.draws).any(axis=0)
    table = validation.predictions[ready]
    return table.assign(tissue=table["tissue"].astype(str)), validation.draws[:, ready]


def tissues_of(table: pd.DataFrame) -> list[str]:
    """Tissues in order of appearance.

    Parameters
    ----------
    table : pandas.DataFrame
        With a column ``tissue``.

    Returns
    -------
    list of str
    """
    return list(dict.fromkeys(table["tissue"].astype(str)))


def _attribute(validation: Any) -> pd.DataFrame:
    if not hasattr(validation, "predictions"):
        raise ConfigError(
            f"got {type(validation).__name__}; give the result of leave_one_patient_out(), or a "
            "table such as its predictions"
        )
    table: pd.DataFrame = validation.predictions
    return table
