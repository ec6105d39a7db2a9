"""Times to an event with a known hazard: Weibull, proportional hazards, honest censoring."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesdose.errors import ConfigError

FloatArray = NDArray[np.float64]


def refuse_numbers(
    values: object,
    *,
    above_zero: Sequence[str] = (),
    from_zero: Sequence[str] = (),
    shares: Sequence[str] = (),
    correlations: Sequence[str] = (),
    finite: Sequence[str] = (),
) -> None:
    """Refuse parameters that are no number or out of their range.

    Parameters
    ----------
    values : object
        Holder of the parameters.
    above_zero, from_zero, shares, correlations, finite : sequence of str
        Names of its numbers that must be above 0, 0 or more, between 0 and 1 (both excluded),
        between -1 and 1 (both excluded), or only finite.

    Raises
    ------
    ConfigError
        When a number is out of its range.
    """
    ranges = (
        (above_zero, 0.0, np.inf, False, "finite and above 0"),
        (from_zero, 0.0, np.inf, True, "finite and 0 or more"),
        (shares, 0.0, 1.0, False, "between 0 and 1, both excluded"),
        (correlations, -1.0, 1.0, False, "between -1 and 1, both excluded"),
        (finite, -np.inf, np.inf, False, "finite"),
    )
    for names, low, high, low_allowed, words in ranges:
        for name in names:
            value = getattr(values, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            # NaN fails the comparison.
            inside = is_number and (low < value < high or (low_allowed and value == low))
            if not inside:
                raise ConfigError(f"{name} is {value!r}; it must be {words}.")


def refuse_count(name: str, value: object, least: int, most: int | None = None) -> None:
    """Refuse what is no whole number within its bounds.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : object
        What was given.
    least, most : int, optional
        Bounds, both allowed.

    Raises
    ------
    ConfigError
        When it is none.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not (whole and least <= value and (most is None or value <= most)):  # type: ignore[operator]
        upper = "" if most is None else f" to {most}"
        words = f"{least}{upper}" if most is not None else f"{least} or more"
        raise ConfigError(f"{name} is {value!r}; it must be a whole number, {words}.")


@dataclass(frozen=True)
class SurvivalParameters:
    """Baseline hazard and follow-up.

    Parameters
    ----------
    shape, scale_months : float, 1 and months
        Weibull baseline: without an event to t with probability exp(-(t / scale)^shape) where the
        linear predictor is 0. Shape 1 is a constant hazard, above 1 a rising one.
    shortest_months, longest_months : float, months
        Follow-up ends at a time that is uniform between them: steady accrual, one closing date.
    dropout_per_month : float, 1/month
        Constant rate at which men are lost, whatever their risk; 0 for none.
    """

    shape: float = 1.2
    scale_months: float = 30.0
    shortest_months: float = 12.0
    longest_months: float = 60.0
    dropout_per_month: float = 0.005

    def __post_init__(self) -> None:
        refuse_numbers(
            self,
            above_zero=("shape", "scale_months", "shortest_months", "longest_months"),
            from_zero=("dropout_per_month",),
        )
        if self.longest_months < self.shortest_months:
            raise ConfigError(
                f"longest_months is {self.longest_months} and shortest_months "
                f"{self.shortest_months}; the longest follow-up cannot be below the shortest."
            )

    def event_free_probability(
        self, time_months: ArrayLike, linear_predictor: ArrayLike
    ) -> FloatArray:
        """Compute the true probability of no event up to a time.

        Parameters
        ----------
        time_months : array-like, broadcastable, months
            Times, 0 or later.
        linear_predictor : array-like, broadcastable, 1
            Logarithm of the hazard over the baseline's.

        Returns
        -------
        ndarray of the broadcast shape, 1
            exp(-(t / scale)^shape exp(linear predictor)).

        Raises
        ------
        ConfigError
            When a time is negative or no number.
        """
        time = np.asarray(time_months, dtype=float)
        if not np.all(time >= 0.0):
            raise ConfigError("time_months holds negative or missing times; give 0 or later.")
        hazard_ratio = np.exp(np.asarray(linear_predictor, dtype=float))
        return np.exp(-((time / self.scale_months) ** self.shape) * hazard_ratio)


def survival_outcome(
    linear_predictor: ArrayLike,
    *,
    parameters: SurvivalParameters | None = None,
    random_seed: int | np.random.Generator,
) -> pd.DataFrame:
    """Draw event times with proportional hazards, and censor them.

    Parameters
    ----------
    linear_predictor : array-like of shape (n,)
        Logarithm of each row's hazard over the baseline's.
    parameters : SurvivalParameters, optional
        Baseline hazard and follow-up.
    random_seed : int or numpy.random.Generator
        Seed, or a generator to go on from.

    Returns
    -------
    DataFrame of n rows
        ``time_months`` (above 0) and ``event`` (bool; False: censored at that time).

    Raises
    ------
    ConfigError
        When the linear predictor is not one row of finite numbers, or so large that an event
        would come at once.

    Notes
    -----
    T = scale (E exp(-linear predictor))^(1 / shape) with E standard exponential (Bender 2005,
    Stat. Med. 24:1713, from memory; it follows from inverting the survival function).
    """
    model = parameters or SurvivalParameters()
    log_hazard_ratio = _checked_predictor(linear_predictor)
    rng = np.random.default_rng(random_seed)
    n = log_hazard_ratio.size
    log_exponential = np.log(rng.standard_exponential(n))
    # Two draws whatever the rate, so that a change of the dropout leaves the other draws alone.
    closing = rng.uniform(model.shortest_months, model.longest_months, n)
    with np.errstate(divide="ignore", over="ignore"):
        dropout = rng.standard_exponential(n) / np.float64(model.dropout_per_month)
        event_time = model.scale_months * np.exp((log_exponential - log_hazard_ratio) / model.shape)
    censoring = np.minimum(closing, dropout)
    at_once = np.flatnonzero(event_time == 0.0)
    if at_once.size:
        row = int(at_once[0])
        raise ConfigError(
            f"the linear predictor of row {row} is {log_hazard_ratio[row]:g}: its event would come "
            "at time 0. Is it a logarithm of a hazard ratio?"
        )
    frame = pd.DataFrame(
        {"time_months": np.minimum(event_time, censoring), "event": event_time <= censoring}
    )
    frame.attrs = {
        "source": "simulated (bayesdose.simulate.survival_outcome); no patients",
        "units": "time_months [months]; event [yes or no]",
    }
    return frame


def _checked_predictor(linear_predictor: ArrayLike) -> FloatArray:
    try:
        values = np.asarray(linear_predictor, dtype=float)
    except (TypeError, ValueError) as err:
        raise ConfigError(f"linear_predictor must hold numbers ({err}).") from err
    if values.ndim != 1 or values.size == 0:
        raise ConfigError(
            f"linear_predictor has shape {values.shape}; give one number a row, at least one."
        )
    odd = np.flatnonzero(~np.isfinite(values))
    if odd.size:
        row = int(odd[0])
        raise ConfigError(f"linear_predictor of row {row} is {values[row]}; it must be finite.")
    return values
