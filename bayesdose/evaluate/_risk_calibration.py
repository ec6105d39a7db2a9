"""What calibration of a label and of an event by a horizon share: checks and the result."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from bayesdose.errors import BayesdoseError, RiskError
from bayesdose.evaluate._arrays import Floats, check_risks
from bayesdose.evaluate._follow_up import patient_error

# Height of the curve on its linear scale, and its derivatives by the rows' weights.
type Curve = tuple[Floats, Floats]
_CURVE_POINTS = 50
# With fewer events a bent curve follows single rows.
_FEW = 10


@dataclass(frozen=True)
class RiskCalibration:
    """Calibration of predicted risks.

    Attributes
    ----------
    slope, slope_lower, slope_upper : float
        Of the outcome on the predictions: 1 is right, below 1 they are too extreme, above 1 too
        close together.
    intercept, intercept_lower, intercept_upper : float
        Calibration in the large: what must be added to the logit (to the complementary log-log at
        a horizon) of every prediction so that they agree with the outcome on average; 0 is right,
        below 0 they are too high.
    observed_expected, observed_expected_lower, observed_expected_upper : float
        Share of events over mean prediction; 1 is right, below 1 predictions are too high.
    observed, expected : float
        That share and that mean.
    ici, e50, e90 : float
        Mean, median and 0.9 quantile of the distance between prediction and curve over the rows.
        They are above 0 under a true model too.
    curve : pandas.DataFrame
        `predicted` from the smallest to the largest; `observed`, smoothed, with `lower` and
        `upper`.
    n_events, n : int
        Rows with the event (by the horizon), and all.
    """

    slope: float
    slope_lower: float
    slope_upper: float
    intercept: float
    intercept_lower: float
    intercept_upper: float
    observed_expected: float
    observed_expected_lower: float
    observed_expected_upper: float
    observed: float
    expected: float
    ici: float
    e50: float
    e90: float
    curve: pd.DataFrame
    n_events: int
    n: int


def bent_or_none[Fitted](fit: Callable[[], Fitted]) -> Fitted | None:
    """The fit of a curve, or a warning and None where a slope can be had but no curve."""
    try:
        return fit()
    except RiskError:
        warnings.warn(
            "the bent calibration curve has no finite estimate: `curve`, `ici`, `e50` and `e90` "
            "are NaN; slope and level stand. More rows are needed for a curve",
            stacklevel=3,
        )
        return None


def no_curve(n_points: int, n: int) -> Curve:
    """A curve of nothing."""
    return np.full(n_points, np.nan), np.full((n_points, n), np.nan)


def assembled(
    risk: Floats,
    codes: NDArray[np.intp],
    prob: float,
    *,
    slope: tuple[float, Floats],
    intercept: tuple[float, Floats],
    observed: float,
    of_log_ratio: Floats,
    curve: Callable[[Floats], Curve],
    back: Callable[[Floats], Floats],
    n_events: int,
) -> RiskCalibration:
    """All scores of slope, level, observed share and curve with their derivatives by row."""
    n_patients = int(codes.max()) + 1
    quantile = float(stdtrit(n_patients - 1.0, 0.5 + 0.5 * prob))

    def half(influence: Floats) -> float:
        return quantile * patient_error(influence, codes)

    ratio, width = observed / float(risk.mean()), float(np.exp(half(of_log_ratio)))
    predicted = np.linspace(risk.min(), risk.max(), _CURVE_POINTS)
    height, influences = curve(predicted)
    halves = np.array([half(row) for row in influences])
    distance = np.abs(back(curve(risk)[0]) - risk)
    return RiskCalibration(
        slope=slope[0],
        slope_lower=slope[0] - half(slope[1]),
        slope_upper=slope[0] + half(slope[1]),
        intercept=intercept[0],
        intercept_lower=intercept[0] - half(intercept[1]),
        intercept_upper=intercept[0] + half(intercept[1]),
        observed_expected=ratio,
        observed_expected_lower=ratio / width,
        observed_expected_upper=ratio * width,
        observed=observed,
        expected=float(risk.mean()),
        ici=float(distance.mean()),
        e50=float(np.median(distance)),
        e90=float(np.quantile(distance, 0.9)),
        curve=pd.DataFrame(
            {
                "predicted": predicted,
                "observed": back(height),
                "lower": back(height - halves),
                "upper": back(height + halves),
            }
        ),
        n_events=n_events,
        n=risk.size,
    )


def checked_predictions(values: ArrayLike, name: str, n: int) -> Floats:
    """Return probabilities between 0 and 1 that differ, or say what is wrong."""
    risk = check_risks(values, name, n)
    certain = (risk == 0) | (risk == 1)
    if certain.any():
        first = int(np.flatnonzero(certain)[0])
        raise BayesdoseError(
            f"`{name}` must lie strictly between 0 and 1; entry {first} is {risk[first]:g} "
            f"({int(certain.sum())} such entries). Certainty has no logit, and no slope brings it "
            "back: set such entries to the most extreme risk that you stand by, such as 0.999, and "
            "say so; discrimination and Brier score take 0 and 1."
        )
    if np.ptp(risk) == 0:
        raise BayesdoseError(
            f"`{name}` is {risk[0]:g} in every row: there is no slope. Compare it with the share "
            "of events."
        )
    return risk


def warn_of_few(n: int) -> None:
    """Warn where the rarer outcome has few rows."""
    if n < _FEW:
        warnings.warn(
            f"{n} rows of the rarer outcome are few for calibration: the curve and its distances "
            f"follow single rows below {_FEW}, and intervals are too narrow",
            stacklevel=3,
        )
