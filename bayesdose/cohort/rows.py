"""Checks across rows: keys, values of the patient and cycle, mixed protocols, wrong units."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from bayesdose.cohort.literature import LITERATURE
from bayesdose.cohort.problems import Problem, plain_value
from bayesdose.cohort.schema import Column

MEDIAN_FACTOR = 50.0
VALUE_FACTOR = 20.0


def key_problems(frame: pd.DataFrame, key: Sequence[str]) -> list[Problem]:
    """Find rows that repeat the key of an earlier row.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table; rows with a missing label in the key are left out.
    key : sequence of str
        Columns that name a row.

    Returns
    -------
    list of Problem
        One for each repeated row.
    """
    labels = frame[list(key)].reset_index(drop=True).astype(object).dropna()
    repeats = labels[labels.duplicated()]
    if repeats.empty:
        return []
    first: dict[tuple[object, ...], int] = {}
    for row in labels.itertuples(name=None):
        first.setdefault(row[1:], row[0])
    rule = f"one row for each {', '.join(key)}"
    return [
        Problem(
            row[0],
            key[1],
            plain_value(frame[key[1]].iloc[row[0]]),
            f"{rule}; row {frame.index[first[row[1:]]]} has the same",
        )
        for row in repeats.itertuples(name=None)
    ]


def per_cycle_problems(
    frame: pd.DataFrame, known: Mapping[str, Column], patient: str
) -> list[Problem]:
    """Find values of the patient and cycle that differ between the rows of one.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table, with a ``cycle`` column.
    known : mapping of str to Column
        Its described columns.
    patient : str
        Patient column.

    Returns
    -------
    list of Problem
        One for each row that departs from the first row of its patient and cycle.
    """
    keys = [frame[patient].astype(object), frame["cycle"].astype(object)]
    group = frame.reset_index(drop=True).groupby(
        [key.reset_index(drop=True) for key in keys], sort=False
    )
    codes = group.ngroup().to_numpy()
    found = []
    for name, column in known.items():
        if not column.per_cycle or name not in frame:
            continue
        values = frame[name].astype(object).reset_index(drop=True)
        stated = values.notna().to_numpy() & (codes >= 0)
        # Position of the first stated value of each row's patient and cycle.
        first = pd.Series(np.flatnonzero(stated)).groupby(codes[stated]).min()
        anchor = pd.Series(codes).map(first).fillna(-1).to_numpy(dtype=int)
        differs = stated & (values.to_numpy() != values.to_numpy()[anchor])
        found += [
            Problem(
                int(position),
                name,
                plain_value(values[position]),
                f"one value for each {patient} and cycle: "
                f"{plain_value(values[anchor[position]])!r} in row {frame.index[anchor[position]]}",
            )
            for position in np.flatnonzero(differs)
        ]
    return found


def mixture_problems(
    frame: pd.DataFrame, known: Mapping[str, Column], mixed_ok: Collection[str], response: str
) -> list[Problem]:
    """Find protocols that are mixed without the model taking account of it.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table.
    known : mapping of str to Column
        Its described columns.
    mixed_ok : collection of str
        Columns that the model uses.
    response : str
        Column of doses: how a dose was measured is asked for where there is one.

    Returns
    -------
    list of Problem
        One for each mixed column, and one for each row without a value where others have one.
    """
    found = []
    for name, column in known.items():
        if not column.unmixed:
            continue
        counts = frame[name].astype(object).value_counts()
        if counts.empty:
            continue
        found += [
            Problem(int(position), name, "missing", "a value in every row, or in none")
            for position in np.flatnonzero(_lacks(frame, name, response))
        ]
        if len(counts) > 1 and name not in mixed_ok:
            mixture = ", ".join(f"{value} ({n})" for value, n in counts.items())
            way_out = column.hint or "or use the column in the formula or in group_effects"
            allowed = f"one value; {way_out}"
            found.append(Problem(-1, name, mixture, allowed))
    return found


def _lacks(frame: pd.DataFrame, name: str, response: str) -> np.ndarray:
    missing = frame[name].isna().to_numpy()
    if name == "dose_method" and response in frame.columns:
        missing &= frame[response].notna().to_numpy()
    return missing


def tissue_spelling_problems(name: str, values: pd.Series) -> list[Problem]:
    """Find tissues that differ only in upper and lower case.

    Parameters
    ----------
    name : str
        Tissue column.
    values : pandas.Series of shape (n_rows,)
        Its cells.

    Returns
    -------
    list of Problem
        One for each tissue with more than one spelling.
    """
    spellings: dict[str, set[str]] = {}
    for word in values.dropna().astype(object).unique():
        if isinstance(word, str):
            spellings.setdefault(word.casefold(), set()).add(word)
    return [
        Problem(-1, name, " and ".join(sorted(words)), "one spelling for one tissue")
        for words in spellings.values()
        if len(words) > 1
    ]


def median_problems(
    column: str, tissues: pd.Series, gy: np.ndarray, gbq: np.ndarray
) -> list[Problem]:
    """Find tissues whose median Gy/GBq is far from the literature, as a wrong unit makes it.

    Parameters
    ----------
    column : str
        Dose column, for the message.
    tissues : pandas.Series of shape (n_rows,)
        Tissue of each row.
    gy : ndarray of shape (n_rows,), Gy
        Absorbed dose; NaN where there is none.
    gbq : ndarray of shape (n_rows,), GBq
        Administered activity.

    Returns
    -------
    list of Problem
        One for each tissue more than `MEDIAN_FACTOR` times off.
    """
    found = []
    ratio = _gy_per_gbq(gy, gbq)
    for tissue, per_tissue in LITERATURE.items():
        here = (tissues == tissue).to_numpy(dtype=bool, na_value=False) & np.isfinite(ratio)
        if not here.any():
            continue
        median = float(np.median(ratio[here]))
        if abs(np.log(median / per_tissue.gy_per_gbq)) > np.log(MEDIAN_FACTOR):
            unit = "mGy for Gy?" if median > per_tissue.gy_per_gbq else "MBq for GBq?"
            found.append(
                Problem(
                    -1,
                    column,
                    f"median {median:.3g} Gy/GBq in {tissue} ({here.sum()} rows)",
                    f"within {MEDIAN_FACTOR:g} times {per_tissue.gy_per_gbq:.3g} Gy/GBq ({unit})",
                    "literature_median",
                )
            )
    return found


def value_warnings(
    column: str, tissues: pd.Series, gy: np.ndarray, gbq: np.ndarray
) -> list[Problem]:
    """Find single values that are far from the literature but may be real.

    Parameters
    ----------
    column : str
        Dose column, for the message.
    tissues : pandas.Series of shape (n_rows,)
        Tissue of each row.
    gy : ndarray of shape (n_rows,), Gy
        Absorbed dose; NaN where there is none.
    gbq : ndarray of shape (n_rows,), GBq
        Administered activity.

    Returns
    -------
    list of Problem
        One for each row more than `VALUE_FACTOR` times off.
    """
    ratio = _gy_per_gbq(gy, gbq)
    published = (
        tissues.astype(object)
        .map({tissue: figures.gy_per_gbq for tissue, figures in LITERATURE.items()})
        .to_numpy(dtype=float)
    )
    off = np.abs(np.log(ratio / published)) > np.log(VALUE_FACTOR)
    return [
        Problem(
            int(position),
            column,
            float(gy[position]),
            f"as a rule within {VALUE_FACTOR:g} times {published[position]:.3g} Gy/GBq, "
            f"here {ratio[position]:.3g}",
            "literature_value",
        )
        for position in np.flatnonzero(off)
    ]


def _gy_per_gbq(gy: np.ndarray, gbq: np.ndarray) -> np.ndarray:
    """Gy/GBq by row; NaN where a number is missing or impossible."""
    usable = np.isfinite(gy) & (gy > 0) & np.isfinite(gbq) & (gbq > 0)
    ratio = np.full(len(gy), np.nan)
    ratio[usable] = gy[usable] / gbq[usable]
    return ratio
