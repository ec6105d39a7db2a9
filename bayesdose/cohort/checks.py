"""Validation of the site table: a clean copy, or one error that lists every problem.

Written in plain pandas: most rules compare rows (keys, values of a patient and cycle, medians by
tissue) and would be custom checks in a schema library too, and all must end in one list.
"""

import warnings
from collections.abc import Collection, Hashable, Mapping, Sequence
from difflib import get_close_matches

import numpy as np
import pandas as pd

from bayesdose.cohort import rows
from bayesdose.cohort.cells import (
    as_numbers,
    foreign_column_problems,
    label_problems,
    number_problems,
)
from bayesdose.cohort.problems import Problem, as_records, as_text
from bayesdose.cohort.schema import CHECKS, Column, column_of, schema_of
from bayesdose.errors import ConfigError, SiteTableError

CHECKS_OFF = "bayesdose_checks_off"
"""Key of ``frame.attrs`` under which the range checks that were switched off are recorded."""


class SiteTableWarning(UserWarning):
    """Values of a site table that are unusual but may be real."""


def validate_sites(
    frame: pd.DataFrame,
    checks: Mapping[str, bool] | None = None,
    *,
    response: str = "absorbed_dose_gy",
    patient: str = "patient_id",
    by: str | None = "tissue",
    activity: str | None = "administered_activity_gbq",
    require: Sequence[str] = ("site_id",),
    response_required: bool = True,
    mixed_ok: Collection[str] = (),
) -> pd.DataFrame:
    """Check a site table and return a clean copy of it.

    Missing covariates are left to the model. A tissue word that the literature table does not
    know is accepted, and so is a patient with one kind of site only.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n_rows, n_columns)
        One row for each site and cycle; units as in the column names (``_gy``, ``_gbq``, ``_ml``).
        It is not modified.
    checks : mapping of str to bool, optional
        Range checks to switch off (False) or back on (True), by the names in
        `bayesdose.cohort.CHECKS`. What is off is recorded in
        ``frame.attrs["bayesdose_checks_off"]`` of the copy and stays off when the copy is
        validated again.
    response : str
        Column with the absorbed dose, Gy.
    patient : str
        Column with the patients.
    by : str, optional
        Column with the tissues; None for a table without any.
    activity : str, optional
        Column with the administered activity, GBq; None where it is not used.
    require : sequence of str
        Further columns that must be there. Without a ``site_id`` column the key (patient, site,
        cycle) is not checked.
    response_required : bool
        Whether every row must hold a dose; False for prediction.
    mixed_ok : collection of str
        Protocol columns (such as ``pet_tracer``) that the model takes account of, so that their
        values may be mixed.

    Returns
    -------
    pandas.DataFrame of shape (n_rows, n_columns)
        Copy with the index, column order and labels of ``frame``. Columns of numbers hold plain
        numbers; ``cycle`` is 1, in a last column, where it was absent.

    Raises
    ------
    SiteTableError
        If the table breaks the schema; ``problems`` lists every breach as row, column, value and
        what is allowed.
    ConfigError
        If ``checks`` names an unknown check.

    Warns
    -----
    SiteTableWarning
        If single doses are more than 20 times off the literature.
    """
    _check_shape(frame)
    off = _checks_off(frame, checks)
    clean = frame.copy()
    wanted = [patient, by, response if response_required else None, activity, *require]
    problems = _absent_columns(frame, wanted)
    if "cycle" not in clean:
        clean["cycle"] = 1
    known = schema_of(
        list(clean.columns), response=response, patient=patient, by=by, activity=activity
    )
    complete = {patient, by, activity, "site_id", "cycle"}
    if response_required:
        complete.add(response)
    numbers, found = _check_cells(clean, known, complete, off)
    problems += found + _check_foreign(clean, known, require)
    if all(isinstance(problem.value, Hashable) for problem in problems):
        problems += _check_rows(clean, known, patient, by, response, mixed_ok)
    doses = _doses(clean, numbers, response, by, activity)
    if doses is not None and "literature_median" not in off:
        problems += rows.median_problems(response, *doses)
    whose = [patient, "site_id"]
    if problems:
        _raise(problems, clean, whose)
    if doses is not None and "literature_value" not in off:
        _warn(rows.value_warnings(response, *doses), clean, whose)
    for name, values in numbers.items():
        clean[name] = _plain_numbers(clean[name], values, known[name])
    if off:
        clean.attrs[CHECKS_OFF] = sorted(off)
    else:
        clean.attrs.pop(CHECKS_OFF, None)
    return clean


def _check_shape(frame: pd.DataFrame) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise SiteTableError(
            f"The site table must be a pandas DataFrame, got {type(frame).__name__}; "
            "bayesdose.read_sites reads one from a file."
        )
    if frame.empty:
        raise SiteTableError(
            f"The site table is empty: {frame.shape[0]} rows, {frame.shape[1]} columns; "
            "it needs one row for each site and cycle."
        )
    repeated = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if repeated:
        raise SiteTableError(
            f"Columns with the same name: {', '.join(repeated)}; rename all but one of each."
        )


def _checks_off(frame: pd.DataFrame, checks: Mapping[str, bool] | None) -> frozenset[str]:
    switches = dict.fromkeys(frame.attrs.get(CHECKS_OFF, ()), False) | dict(checks or {})
    for name, value in switches.items():
        if name not in CHECKS:
            raise ConfigError(f"No range check is called {name!r}; there are {', '.join(CHECKS)}.")
        if not isinstance(value, bool):
            raise ConfigError(f"checks[{name!r}] must be True or False, got {value!r}.")
    return frozenset(name for name, on in switches.items() if not on)


def _absent_columns(frame: pd.DataFrame, wanted: Sequence[str | None]) -> list[Problem]:
    # A column that the schema knows is no misspelling of another one.
    strange = {str(name).casefold(): name for name in frame.columns if column_of(name) is None}
    found = []
    for name in dict.fromkeys(wanted):
        if name is None or name in frame:
            continue
        near = get_close_matches(name.casefold(), list(strange), n=1)
        like = f", is it {strange[near[0]]!r}" if near else ""
        allowed = f"a column of this name{like}? read_sites(columns=...) maps other names"
        found.append(Problem(-1, name, "no such column", allowed))
    return found


def _check_cells(
    frame: pd.DataFrame,
    known: Mapping[str, Column],
    complete: Collection[str | None],
    off: frozenset[str],
) -> tuple[dict[str, np.ndarray], list[Problem]]:
    """Numbers by column, NaN where there is none, and the problems of single cells."""
    numbers: dict[str, np.ndarray] = {}
    found: list[Problem] = []
    for name, column in known.items():
        if column.kind == "label":
            found += label_problems(name, frame[name], complete=name in complete)
        elif column.kind == "number":
            numbers[name], foreign = as_numbers(frame[name])
            found += number_problems(
                name,
                frame[name],
                numbers[name],
                foreign,
                column,
                complete=name in complete,
                off=off,
            )
    return numbers, found


def _check_foreign(
    frame: pd.DataFrame, known: Mapping[str, Column], require: Sequence[str]
) -> list[Problem]:
    foreign = [name for name in dict.fromkeys(require) if name in frame and name not in known]
    return [problem for name in foreign for problem in foreign_column_problems(name, frame[name])]


def _check_rows(
    frame: pd.DataFrame,
    known: Mapping[str, Column],
    patient: str,
    by: str | None,
    response: str,
    mixed_ok: Collection[str],
) -> list[Problem]:
    found = rows.mixture_problems(frame, known, mixed_ok, response)
    if by in frame:
        found += rows.tissue_spelling_problems(str(by), frame[by])
    if patient in frame:
        found += rows.per_cycle_problems(frame, known, patient)
        if "site_id" in frame:
            found += rows.key_problems(frame, [patient, "site_id", "cycle"])
    return found


def _doses(
    frame: pd.DataFrame,
    numbers: Mapping[str, np.ndarray],
    response: str,
    by: str | None,
    activity: str | None,
) -> tuple[pd.Series, np.ndarray, np.ndarray] | None:
    """Tissue, Gy and GBq by row, where the table has all three."""
    if by is None or activity is None or by not in frame:
        return None
    if response not in numbers or activity not in numbers:
        return None
    return frame[by], numbers[response], numbers[activity]


def _raise(problems: list[Problem], frame: pd.DataFrame, whose: Sequence[str]) -> None:
    ordered = sorted(problems, key=lambda problem: problem.position)
    count = "1 problem" if len(ordered) == 1 else f"{len(ordered)} problems"
    message = f"The site table has {count}:\n{as_text(ordered, frame, whose)}"
    used = sorted({problem.check for problem in ordered if problem.check is not None})
    if used:
        switches = ", ".join(f"{name!r}: False" for name in used)
        message += (
            f"\nIf the values are right, switch off: validate_sites(frame, checks={{{switches}}})."
        )
    raise SiteTableError(message, as_records(ordered, frame.index))


def _warn(found: list[Problem], frame: pd.DataFrame, whose: Sequence[str]) -> None:
    if found:
        count = "1 dose is" if len(found) == 1 else f"{len(found)} doses are"
        warnings.warn(
            f"{count} far from the literature (check 'literature_value'):\n"
            f"{as_text(found, frame, whose)}",
            SiteTableWarning,
            stacklevel=3,
        )


def _plain_numbers(values: pd.Series, numbers: np.ndarray, column: Column) -> pd.Series:
    if column.whole:
        return pd.Series(numbers.astype(np.int64), index=values.index, name=values.name)
    if isinstance(values.dtype, np.dtype) and values.dtype != object:
        return values
    return pd.Series(numbers, index=values.index, name=values.name)
