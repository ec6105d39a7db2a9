"""Columns at the door: values of each likelihood checked once, levels turned into codes.

Missing values stay missing: NaN among numbers, -1 among codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdose.errors import ConfigError, RiskError, UnknownCategoryError
from bayesdose.evaluate._arrays import Floats

NUMERIC = ("gaussian", "lognormal", "kde")
DISCRETE = ("categorical", "ordinal", "bernoulli")
#: A column of more whole numbers than this is a measurement, not a grading.
_MOST_LEVELS = 50


@dataclass(frozen=True)
class Coding:
    """How a column becomes numbers: `levels` in order where it has any."""

    column: Any
    likelihood: str
    levels: tuple[Any, ...] = ()

    def encode(self, series: pd.Series) -> NDArray[Any]:
        """Floats of shape (n,), NaN where missing; or codes of levels, -1 where missing."""
        if self.likelihood in NUMERIC:
            values = _numbers(series, self.column, self.likelihood)
            return np.log(values) if self.likelihood == "lognormal" else values
        numbers = {level: code for code, level in enumerate(self.levels)}
        codes = np.full(len(series), -1)
        values = series.to_numpy(dtype=object)
        for i in np.flatnonzero(series.notna().to_numpy()):
            try:
                codes[i] = numbers[values[i]]
            except (KeyError, TypeError) as err:
                raise self._unknown(values[i], series.index[i]) from err
        return codes

    def _unknown(self, value: object, row: object) -> RiskError | UnknownCategoryError:
        if self.likelihood == "bernoulli":
            return RiskError(
                f"column {self.column!r}, row {shown(row)}: got {shown(value)}; a bernoulli column "
                "holds 0 and 1, or False and True. Recode it, or call it categorical."
            )
        allowed = ", ".join(repr(level) for level in self.levels)
        return UnknownCategoryError(
            f"column {self.column!r}, row {shown(row)}: {shown(value)} was not among the "
            f"training rows; allowed are {allowed}. Leave the value missing, or train on a "
            "pandas Categorical that lists every category."
        )


def learn_coding(series: pd.Series, column: Any, likelihood: str) -> Coding:
    """Coding of a training column."""
    if likelihood in NUMERIC:
        return Coding(column, likelihood)
    if likelihood == "bernoulli":
        return Coding(column, likelihood, (0, 1))
    if likelihood == "ordinal":
        return Coding(column, likelihood, _ordered_levels(series, column))
    if isinstance(series.dtype, pd.CategoricalDtype):
        return Coding(column, likelihood, tuple(series.cat.categories))
    try:
        return Coding(column, likelihood, tuple(sorted(set(series.dropna()))))
    except TypeError as err:
        raise RiskError(
            f"column {column!r} is categorical and must hold labels of one kind, all text or all "
            f"numbers ({err})."
        ) from err


def _ordered_levels(series: pd.Series, column: Any) -> tuple[Any, ...]:
    if isinstance(series.dtype, pd.CategoricalDtype) and series.cat.ordered:
        return tuple(series.cat.categories)
    way_out = (
        "Make it whole numbers, or a pandas Categorical with ordered=True that lists every level "
        "from low to high."
    )
    present = series.dropna()
    if isinstance(series.dtype, pd.CategoricalDtype) or not all(
        isinstance(value, Real) and not isinstance(value, bool | np.bool_) and float(value) % 1 == 0
        for value in present
    ):
        raise RiskError(f"column {column!r} is ordinal and its levels have no order. {way_out}")
    if present.empty:
        return ()
    low, high = int(present.min()), int(present.max())
    if high - low >= _MOST_LEVELS:
        raise RiskError(
            f"column {column!r} is ordinal and runs from {low} to {high}, more than "
            f"{_MOST_LEVELS} levels: take gaussian, lognormal or kde."
        )
    return tuple(range(low, high + 1))


def _numbers(series: pd.Series, column: Any, likelihood: str) -> Floats:
    missing = series.isna().to_numpy()
    kind = series.dtype
    if not (pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind)):
        present = np.flatnonzero(~missing)
        odd = [i for i in present if not isinstance(series.iat[i], Real)]
        if odd or isinstance(kind, pd.CategoricalDtype):
            at = odd[0] if odd else 0
            raise RiskError(
                f"column {column!r}, row {shown(series.index[at])}: got {shown(series.iat[at])} of "
                f"{kind} data; {likelihood} needs numbers. Convert the column, or call it "
                "categorical or ordinal in `likelihoods`."
            )
    values: Floats = series.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.isinf(values) | ((values <= 0) if likelihood == "lognormal" else False)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise RiskError(
            f"column {column!r}, row {shown(series.index[at])}: got {values[at]:g}; "
            f"{likelihood} needs finite numbers{' above 0' if likelihood == 'lognormal' else ''} "
            f"({int(bad.sum())} such rows). Correct them or leave them missing"
            f"{'; numbers that may be 0 are gaussian or kde' if likelihood == 'lognormal' else ''}."
        )
    return values


def checked_likelihoods(likelihoods: object, columns: list[Any]) -> dict[Any, str]:
    """Likelihood of each column of the training table, in its order."""
    if likelihoods is None:
        return dict.fromkeys(columns, "gaussian")
    if not isinstance(likelihoods, Mapping) or not likelihoods:
        raise ConfigError(
            "`likelihoods` must map columns to likelihoods, such as {'psa': 'lognormal'}; got "
            f"{likelihoods!r}."
        )
    for column, word in likelihoods.items():
        if not isinstance(word, str) or word not in NUMERIC + DISCRETE:
            raise ConfigError(
                f"`likelihoods`: column {column!r} has {word!r}; allowed are "
                f"{', '.join(NUMERIC + DISCRETE)}."
            )
    absent = [column for column in likelihoods if column not in columns]
    if absent:
        raise ConfigError(
            f"`likelihoods` names columns that the table does not have: {absent}; it has {columns}."
        )
    extra = [column for column in columns if column not in likelihoods]
    if extra:
        raise RiskError(
            f"the table has columns without a likelihood: {extra}. Add them to `likelihoods`, or "
            "leave them out: X[list(likelihoods)]."
        )
    return {column: likelihoods[column] for column in columns}


def checked_modalities(modalities: object, columns: list[Any]) -> dict[Any, list[Any]]:
    """Columns of each modality; a column in none is one by itself."""
    if modalities is None:
        return {column: [column] for column in columns}
    if not isinstance(modalities, Mapping):
        raise ConfigError(
            "`modalities` must map names to lists of columns, such as {'PET': ['suv_max']}; got "
            f"{modalities!r}."
        )
    groups = {}
    for name, members in modalities.items():
        if isinstance(members, str) or not list(members):
            raise ConfigError(f"`modalities`: {name!r} must be a list of columns; got {members!r}.")
        groups[name] = list(members)
    named = [column for members in groups.values() for column in members]
    odd = [column for column in named if column not in columns or named.count(column) > 1]
    if odd:
        raise ConfigError(
            f"`modalities`: {odd[0]!r} is not a column, or stands twice; each column of {columns} "
            "may stand once."
        )
    alone = [column for column in columns if column not in named]
    clash = [column for column in alone if column in groups]
    if clash:
        raise ConfigError(
            f"`modalities`: {clash[0]!r} names a modality and is a column outside it. Rename the "
            "modality."
        )
    return groups | {column: [column] for column in alone}


def missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where an encoded column has no value."""
    out: NDArray[np.bool_] = np.isnan(values) if values.dtype.kind == "f" else values < 0
    return out


def shown(value: Any) -> str:
    """Value as a message shows it: 2 and not np.int64(2)."""
    return repr(value.item() if isinstance(value, np.generic) else value)
