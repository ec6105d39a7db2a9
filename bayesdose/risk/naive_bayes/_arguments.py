"""Arguments and tables of a naive Bayes model, checked at the door."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import column_or_1d, validate_data

from bayesdose.errors import ConfigError, RiskError
from bayesdose.evaluate._arrays import Floats
from bayesdose.risk.naive_bayes._columns import shown


def training_table(model: Any, X: Any, y: Any) -> pd.DataFrame:
    """Training table with its columns; arrays have numbers for names."""
    # scikit-learn's check says that y is missing, and no more
    labels = None if y is None else "no_validation"
    if not isinstance(X, pd.DataFrame):
        return pd.DataFrame(
            validate_data(
                model, X, labels, dtype=np.float64, ensure_all_finite="allow-nan", reset=True
            )
        )
    twice = X.columns[X.columns.duplicated()]
    if len(twice) or X.empty:
        what = f"has the column {twice[0]!r} twice" if len(twice) else f"has shape {X.shape}"
        raise RiskError(f"the table {what}; it needs rows, and columns of different names.")
    kinds = {isinstance(column, str) for column in X.columns}
    if len(kinds) > 1:
        raise RiskError(
            f"the columns {list(X.columns)} mix names that are text with others. Name all by "
            "text: `X.columns = X.columns.astype(str)`."
        )
    validate_data(model, X, labels, skip_check_array=True, reset=True)
    return X


def table_like(model: Any, X: Any, columns: list[Any]) -> pd.DataFrame:
    """Table with the columns of training, in their order."""
    if not isinstance(X, pd.DataFrame):
        if columns != list(range(len(columns))):
            raise RiskError(
                f"the model was fitted to the columns {columns}; got an array, whose columns have "
                "no names. Give a DataFrame."
            )
        array = validate_data(
            model, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False
        )
        return pd.DataFrame(array)
    absent = [column for column in columns if column not in X.columns]
    extra = [column for column in X.columns if column not in columns]
    if absent or extra or len(X.columns) != len(columns):
        raise RiskError(
            f"the table must have the columns of training, {columns}, each once; it lacks "
            f"{absent} and has besides {extra}. A value that is not known is NaN in its column."
        )
    return X[columns]


def training_labels(y: Any, n: int) -> NDArray[Any]:
    """Labels of shape (n,), of two classes or more."""
    labels = _plain(column_or_1d(y, warn=True))
    if labels.size != n:
        raise RiskError(f"`y` has {labels.size} labels and must have one for each of {n} rows.")
    none = pd.isna(labels) | (np.isinf(labels) if labels.dtype.kind == "f" else False)
    if none.any():
        first = int(np.flatnonzero(none)[0])
        raise RiskError(
            f"`y` has no label in entry {first}: got {shown(labels[first])}, and NaN or infinity "
            f"is no class ({int(none.sum())} such rows). Leave rows without a label out."
        )
    try:
        found = np.unique(labels)
    except TypeError as err:
        raise RiskError(f"`y` mixes labels that have no common order ({err}).") from err
    if type_of_target(labels) not in ("binary", "multiclass"):
        raise RiskError(
            "`y` must be the class of each row: text, whole numbers, or False and True. Unknown "
            f"label type: {type_of_target(labels)}; entry 0 is {shown(labels[0])}. Turn a "
            "measurement into classes first, such as `y > limit`."
        )
    if found.size < 2:
        raise RiskError(
            f"`y` holds one class only, {shown(found[0])}, in {n} rows (1 class); a classifier "
            "needs rows of two or more."
        )
    return labels


def _plain(labels: NDArray[Any]) -> NDArray[Any]:
    """Bools, or whole numbers, of a table of objects as such; scikit-learn knows no objects."""
    for kind in (bool, int) if labels.dtype.kind == "O" else ():
        if labels.size and all(
            isinstance(x.item() if isinstance(x, np.generic) else x, kind) for x in labels
        ):
            return labels.astype(kind)
    return labels


def class_shares(prevalence: ArrayLike, classes: NDArray[Any]) -> Floats:
    """Share of each class where the model is used."""
    try:
        given = np.asarray(prevalence, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise ConfigError(f"`prevalence` must be numbers ({err}).") from err
    shares = np.array([1.0 - given, given]) if given.ndim == 0 and classes.size == 2 else given
    if shares.shape != classes.shape or not (
        (shares > 0).all() and np.isclose(shares.sum(), 1.0, rtol=0, atol=1e-9)
    ):
        raise ConfigError(
            f"`prevalence` must be the share of class {shown(classes[-1])}, between 0 and 1, when "
            f"there are two classes; otherwise one share for each of {classes.tolist()}, of sum 1; "
            f"got {prevalence!r}."
        )
    return shares
