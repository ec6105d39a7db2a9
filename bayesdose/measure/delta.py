"""Change of features between time points."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import numbers

KINDS = ("difference", "relative", "log_ratio")
REFERENCES = ("first", "previous")
#: What pandas calls columns that sort in the order of time.
_TIMES = (
    "integer",
    "floating",
    "mixed-integer-float",
    "decimal",
    "datetime64",
    "datetime",
    "date",
    "timedelta64",
    "timedelta",
)


def delta_features(
    table: pd.DataFrame,
    features: Sequence[str],
    *,
    kind: str,
    since: str = "first",
    time: str = "cycle",
) -> pd.DataFrame:
    """Add the change of features of every site since an earlier time point.

    Parameters
    ----------
    table : pandas.DataFrame
        A row a site and time: patient_id, site_id, the column of ``time`` and the features.
    features : sequence of str
        Columns of numbers.
    kind : {"difference", "relative", "log_ratio"}
        x - x0, (x - x0) / x0 or log(x / x0); the last two need values above 0.
    since : {"first", "previous"}
        Which time point of the site x0 is of: a site without the table's first takes its own first,
        and ``"previous"`` jumps over those that it is missing from.
    time : str
        Column of numbers or datetimes that orders the time points.

    Returns
    -------
    pandas.DataFrame
        The table in its order with a column ``delta_<feature>`` each; missing where a site has no
        earlier time point, or the feature is missing at one of the two.

    Raises
    ------
    MeasureError
        When a column is missing or there already, times are text, a site has a time point twice,
        or a value does not allow the kind.
    """
    _check(table, features, kind, since, time)
    order = table.sort_values(["patient_id", "site_id", time], kind="stable").index
    sites = table.loc[order].groupby(["patient_id", "site_id"], sort=False)
    is_first = (sites.cumcount() == 0).to_numpy()
    out = table.copy()
    for name in features:
        value = table.loc[order, name].astype(float)
        earlier = sites[name].shift(1) if since == "previous" else _first(sites, name)
        change = _change(value, earlier.astype(float), kind).where(~is_first)
        out[f"delta_{name}"] = change.reindex(table.index)
    return out


def _first(sites: "pd.api.typing.DataFrameGroupBy", name: str) -> pd.Series:
    # "first" of a group would skip a missing value
    return sites[name].transform(lambda values: values.iloc[0])


def _change(value: pd.Series, earlier: pd.Series, kind: str) -> pd.Series:
    if kind == "difference":
        return value - earlier
    if kind == "relative":
        return (value - earlier) / earlier
    return np.log(value / earlier)


def _check(table: pd.DataFrame, features: Sequence[str], kind: str, since: str, time: str) -> None:
    for name, got, allowed in (("kind", kind, KINDS), ("since", since, REFERENCES)):
        if got not in allowed:
            raise MeasureError(f"{name}: got {got!r}; allowed are {', '.join(allowed)}")
    keys = ["patient_id", "site_id", time]
    missing = [name for name in [*keys, *features] if name not in table.columns]
    if missing:
        raise MeasureError(f"the table lacks {', '.join(missing)}; it has {list(table)}.")
    there = [f"delta_{name}" for name in features if f"delta_{name}" in table.columns]
    if there:
        raise MeasureError(f"the table has {', '.join(there)} already: drop or rename it")
    if not table.index.is_unique:
        raise MeasureError("the table's index is not unique: table.reset_index(drop=True)")
    if table[keys].isna().any(axis=None):
        raise MeasureError(f"a row without {', '.join(keys)} has no place in time")
    if len(table) and pd.api.types.infer_dtype(table[time]) not in _TIMES:
        # as text, "10" comes before "2"
        raise MeasureError(
            f"{time}: {table[time].iloc[0]!r} is neither a number nor a datetime; convert the "
            "column (pd.to_numeric, pd.to_datetime)"
        )
    twice = table.duplicated(keys)
    if twice.any():
        row = table.loc[twice, keys].iloc[0]
        raise MeasureError(
            f"patient {row['patient_id']}, site {row['site_id']} has {time} {row[time]} twice"
        )
    for name in features:
        given = table[name].dropna()
        above = -np.inf if kind == "difference" else 0.0
        numbers(given, name, "", above=above, hint="Take kind='difference'." if above == 0 else "")
