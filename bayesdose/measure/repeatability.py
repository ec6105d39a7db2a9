"""How well a measurement repeats: intraclass correlation, within-subject variation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats, numbers

MODELS = ("ICC(2,1)", "ICC(3,1)")


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Parameters
    ----------
    value, lower, upper : float
    prob : float
        Confidence of the interval.
    """

    value: float
    lower: float
    upper: float
    prob: float


def intraclass_correlation(
    measured: ArrayLike, *, model: str = "ICC(2,1)", prob: float = 0.95
) -> Interval:
    """Intraclass correlation of single measurements, with its F interval.

    Parameters
    ----------
    measured : array-like of shape (n_subjects, n_repeats)
        One row a subject, one column a reader, scanner or occasion.
    model : {"ICC(2,1)", "ICC(3,1)"}
        Absolute agreement of repeats drawn from a population, or consistency of these repeats.
    prob : float
        Confidence.

    Returns
    -------
    Interval

    Raises
    ------
    MeasureError
        With fewer than three subjects or two repeats, or without any spread.

    References
    ----------
    Shrout and Fleiss 1979, Psychol. Bull. 86:420; interval of ICC(2,1) after McGraw and Wong 1996
    (both from memory).
    """
    table = _table(measured)
    if model not in MODELS:
        raise MeasureError(f"model: got {model!r}; allowed are {', '.join(MODELS)}")
    n, k = table.shape
    rows, columns, error = _mean_squares(table)
    tail = (1 + prob) / 2
    if error <= 1e-12 * rows and (model == "ICC(3,1)" or columns <= 1e-12 * rows):
        return Interval(1.0, 1.0, 1.0, prob)  # repeats that agree to the last digit
    if model == "ICC(3,1)":
        value = (rows - error) / (rows + (k - 1) * error)
        ratio, df = rows / error, (n - 1, (n - 1) * (k - 1))
        low = ratio / stats.f.ppf(tail, *df)
        high = ratio * stats.f.ppf(tail, *df[::-1])
        return Interval(value, (low - 1) / (low + k - 1), (high - 1) / (high + k - 1), prob)
    value = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    df = (a * columns + b * error) ** 2 / (
        (a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    )
    upper_f, lower_f = stats.f.ppf(tail, n - 1, df), stats.f.ppf(tail, df, n - 1)
    between = k * columns + (k * n - k - n) * error
    lower = n * (rows - upper_f * error) / (upper_f * between + n * rows)
    upper = n * (lower_f * rows - error) / (between + n * lower_f * rows)
    return Interval(value, lower, upper, prob)


def within_subject_cv(measured: ArrayLike, *, prob: float = 0.95) -> Interval:
    """Within-subject coefficient of variation, from repeats on the log scale.

    Parameters
    ----------
    measured : array-like of shape (n_subjects, n_repeats)
        Positive measurements.
    prob : float
        Confidence.

    Returns
    -------
    Interval
        sqrt(exp(s²) - 1), s² the variance of the logarithm within subjects, with its χ² interval.

    Raises
    ------
    MeasureError
        When a value is not above 0, or there are too few.
    """
    variance, df = _within(np.log(_positive(measured)))
    tails = stats.chi2.ppf([(1 + prob) / 2, (1 - prob) / 2], df)
    low, high = variance * df / tails
    cv = [float(np.sqrt(np.expm1(one))) for one in (variance, low, high)]
    return Interval(cv[0], cv[1], cv[2], prob)


def repeatability_coefficient(measured: ArrayLike, *, relative: bool, prob: float = 0.95) -> float:
    """Difference of two measurements of one subject that is exceeded with probability 1 - prob.

    Parameters
    ----------
    measured : array-like of shape (n_subjects, n_repeats)
        Measurements.
    relative : bool
        Whether differences are ratios: the coefficient is then exp(z √2 s) - 1, s on the log scale.
    prob : float
        Probability.

    Returns
    -------
    float
        z √2 s in the unit of the measurement, 2.77 s at 95 %; or the relative one.

    Raises
    ------
    MeasureError
        When there are too few values, or not above 0 for a relative one.
    """
    values = np.log(_positive(measured)) if relative else _table(measured)
    variance, _ = _within(values)
    limit = stats.norm.ppf((1 + prob) / 2) * np.sqrt(2 * variance)
    return float(np.expm1(limit) if relative else limit)


def _table(measured: ArrayLike) -> Floats:
    table = numbers(measured, "measured", "")
    if table.ndim != 2 or table.shape[0] < 3 or table.shape[1] < 2:
        raise MeasureError(
            f"measured: got shape {table.shape}; give a row a subject, at least three, and a "
            "column a repeat, at least two"
        )
    if np.ptp(table) == 0:
        raise MeasureError("measured: all values are the same; nothing varies")
    return table


def _positive(measured: ArrayLike) -> Floats:
    return numbers(_table(measured), "measured", "", above=0.0, hint="Logarithms are taken.")


def _mean_squares(table: Floats) -> tuple[float, float, float]:
    """Of subjects, repeats and the rest, in the two-way layout."""
    n, k = table.shape
    grand = table.mean()
    subjects, repeats = table.mean(1, keepdims=True), table.mean(0, keepdims=True)
    left = table - subjects - repeats + grand
    return (
        float(k * ((subjects - grand) ** 2).sum() / (n - 1)),
        float(n * ((repeats - grand) ** 2).sum() / (k - 1)),
        float((left**2).sum() / ((n - 1) * (k - 1))),
    )


def _within(values: Floats) -> tuple[float, int]:
    n, k = values.shape
    return float(values.var(1, ddof=1).mean()), n * (k - 1)
