"""Which column of X is what, and rows as arrays; the same at training and at prediction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayesdose.errors import ConfigError, RiskError
from bayesdose.evaluate._arrays import Floats, group_codes
from bayesdose.risk.cox.columns import Columns, Ints, as_frame, column_name, labels_of, numbers
from bayesdose.risk.cox.spec import CoxSpec
from bayesdose.risk.cox.uncertain import checked_draws


@dataclass(frozen=True)
class Layout:
    """Which column of X is what; the same at training and at prediction.

    Parameters
    ----------
    inputs : tuple of str
        Columns of X.
    covariates : tuple of str
        Covariates in the order of the coefficients: those of X, then the drawn ones.
    drawn : tuple of str
        Covariates that come as draws.
    error_sd : dict of str to float or str
        Of measured covariates: the standard deviation, or the column that holds it.
    strata, frailty : tuple of str
        Columns of strata and of centres.
    """

    inputs: tuple[str, ...]
    covariates: tuple[str, ...]
    drawn: tuple[str, ...]
    error_sd: dict[str, float | str]
    strata: tuple[str, ...]
    frailty: tuple[str, ...]

    @property
    def measured(self) -> tuple[str, ...]:
        """Covariates measured with error.

        Returns
        -------
        tuple of str
        """
        return tuple(self.error_sd)

    @property
    def exact(self) -> tuple[str, ...]:
        """Covariates of X, measured ones included.

        Returns
        -------
        tuple of str
        """
        return tuple(name for name in self.covariates if name not in self.drawn)


@dataclass(frozen=True)
class Rows:
    """Rows as arrays.

    Parameters
    ----------
    columns : Columns
        Covariates; drawn ones by their means.
    error_sd : ndarray of shape (n_measured, n)
        Of measured covariates.
    draws : dict of str to ndarray of shape (n_draws, n)
        Of drawn covariates.
    strata, centres : list of str
        Label of each row.
    groups : ndarray of int of shape (n,) or None
        Patient of each row.
    """

    columns: Columns
    error_sd: Floats
    draws: dict[str, Floats]
    strata: list[str]
    centres: list[str]
    groups: Ints | None = None


def layout_of(spec: CoxSpec, X: Any, draws: Mapping[str, Any] | None) -> Layout:
    """Find which column is what.

    Parameters
    ----------
    spec : CoxSpec
    X : DataFrame or array-like of shape (n, p)
    draws : mapping of str to array-like, or None

    Returns
    -------
    Layout

    Raises
    ------
    ConfigError
        When a setting names a column that X does not have, or one twice.
    RiskError
        When no covariate is left.
    """
    frame = as_frame(X)
    strata = tuple(column_name(frame, name, "strata") for name in spec.strata)
    frailty = () if spec.frailty is None else (column_name(frame, spec.frailty, "frailty"),)
    error_sd: dict[str, float | str] = {}
    for name, sd in spec.measurement_sd.items():
        column = column_name(frame, name, "measurement_sd")
        error_sd[column] = column_name(frame, sd, "measurement_sd") if isinstance(sd, str) else sd
    aside = [*strata, *frailty, *(sd for sd in error_sd.values() if isinstance(sd, str))]
    drawn = tuple(map(str, draws or {}))
    for name in (*drawn, *error_sd):
        if name in aside or (name in drawn and name in frame.columns):
            raise ConfigError(
                f"{name!r} has two parts in the model (a column of X, draws, strata, frailty, the "
                "standard deviation of another): give it one"
            )
    covariates = (*(str(name) for name in frame.columns if name not in aside), *drawn)
    if not covariates:
        raise RiskError("X leaves no covariate: a model without any is Kaplan and Meier's curve")
    return Layout(tuple(frame.columns), covariates, drawn, error_sd, strata, frailty)


def read_rows(
    layout: Layout, X: Any, draws: Mapping[str, Any] | None, groups: ArrayLike | None = None
) -> Rows:
    """Rows of X in the layout of training.

    Parameters
    ----------
    layout : Layout
    X : DataFrame or array-like of shape (n, p)
    draws : mapping of str to array-like, or None
    groups : array-like of shape (n,), optional
        Patient of each row.

    Returns
    -------
    Rows

    Raises
    ------
    RiskError
        When columns differ from those of training, or values are missing.
    """
    frame = as_frame(X)
    missing = [name for name in layout.inputs if name not in frame.columns]
    more = [str(name) for name in frame.columns if name not in layout.inputs]
    if missing or more:
        raise RiskError(
            f"X has not the columns of training: missing {missing or 'none'}, unknown "
            f"{more or 'none'}; wanted are {list(layout.inputs)}"
        )
    joint = checked_draws(draws, len(frame))
    if set(joint) != set(layout.drawn):
        raise RiskError(f"draws has {sorted(joint)}; the model wants {sorted(layout.drawn)}")
    exact = numbers(frame, layout.exact)
    means = [joint[name].mean(0) for name in layout.drawn]
    values = np.column_stack([exact.values, *means])
    return Rows(
        Columns(layout.covariates, values, exact.index),
        _error_sds(layout, frame),
        {name: joint[name] for name in layout.drawn},
        labels_of(frame, layout.strata, "strata"),
        labels_of(frame, layout.frailty, "frailty"),
        None if groups is None else group_codes(groups, len(frame))[0],
    )


def _error_sds(layout: Layout, frame: pd.DataFrame) -> Floats:
    out = np.empty((len(layout.measured), len(frame)))
    for k, (name, sd) in enumerate(layout.error_sd.items()):
        out[k] = numbers(frame, [sd]).values[:, 0] if isinstance(sd, str) else sd
        bad = ~(np.isfinite(out[k]) & (out[k] > 0))
        if bad.any():
            row = int(np.argmax(bad))
            raise RiskError(
                f"measurement_sd of {name!r} must be above 0; row {row} has {out[k, row]}. A value "
                "known exactly is an ordinary covariate"
            )
    return out
