"""Risk and survival of new rows, with what is not known about them."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayesdose.errors import ConfigError, PredictionError
from bayesdose.evaluate._arrays import Floats, check_probability
from bayesdose.risk.cox.columns import Ints, codes_of
from bayesdose.risk.cox.fitting import CoxFit
from bayesdose.risk.cox.hazard import StepHazards
from bayesdose.risk.cox.rows import Rows
from bayesdose.risk.cox.warnings import FewEventsWarning, NewCentreWarning

#: Draws that make a band, at most.
_BAND_DRAWS = 1000
#: Numbers held at a time.
_BLOCK = 20_000_000
#: Events by a time, below which its band is too narrow.
_FEW_EVENTS = 5


@dataclass(frozen=True)
class SurvivalFunction:
    """Survival of one row, a step function like scikit-survival's, with a band.

    Parameters
    ----------
    x : ndarray of shape (n_times,)
        Times, rising.
    y : ndarray of shape (n_times,)
        Posterior mean of the probability to be free of the event.
    lower, upper : ndarray of shape (n_times,)
        Equal-tailed credible band, at each time.
    end : float
        Longest follow-up of training.
    """

    x: Floats
    y: Floats
    lower: Floats
    upper: Floats
    end: float

    @property
    def domain(self) -> tuple[float, float]:
        """Times at which it is known.

        Returns
        -------
        tuple of float
        """
        return 0.0, self.end

    def __call__(self, times: Floats | float) -> Floats:
        """Survival at times.

        Parameters
        ----------
        times : float or array-like of float
            From 0 to the end of follow-up.

        Returns
        -------
        ndarray
            1 before the first of `x`.
        """
        at = as_times(times, "times").reshape(np.shape(times))
        check_times(np.atleast_1d(at), self.end)
        steps: Floats = np.concatenate([[1.0], self.y])
        return steps[np.searchsorted(self.x, at, side="right")]

    def to_frame(self) -> pd.DataFrame:
        """Table of the function.

        Returns
        -------
        pandas.DataFrame
            Columns time, survival, lower, upper.
        """
        return pd.DataFrame(
            {"time": self.x, "survival": self.y, "lower": self.lower, "upper": self.upper}
        )


def as_times(times: ArrayLike, name: str) -> Floats:
    """Times as numbers; text and dates are refused.

    Parameters
    ----------
    times : float or array-like of float
    name : str
        Which argument, for the message.

    Returns
    -------
    ndarray of at least one dimension

    Raises
    ------
    ConfigError
        When they are no numbers.
    """
    array = np.atleast_1d(np.asarray(times))
    if array.dtype.kind not in "iuf":
        raise ConfigError(
            f"{name} must be numbers, in the unit of the times of training; got {array.dtype}"
        )
    return array.astype(np.float64)


def check_times(times: Floats, end: float) -> None:
    """Refuse times at which nothing is known.

    Parameters
    ----------
    times : ndarray of shape (n,)
    end : float
        Longest follow-up.

    Raises
    ------
    PredictionError
        When a time is negative, not finite or beyond follow-up.
    """
    bad = ~((times >= 0) & (times <= end))
    if bad.any():
        raise PredictionError(
            f"time {times[int(np.argmax(bad))]:g} is outside the follow-up of training, 0 to "
            f"{end:g}: what happens later was not seen"
        )


def strata_of(fit: CoxFit, rows: Rows) -> Ints:
    """Stratum of each row; one without events has no baseline.

    Parameters
    ----------
    fit : CoxFit
    rows : Rows

    Returns
    -------
    ndarray of int of shape (n,)

    Raises
    ------
    UnknownCategoryError
        When a stratum was not there at training.
    PredictionError
        When it had no event.
    """
    codes = codes_of(rows.strata, fit.strata, "strata")
    silent = ~fit.has_events[codes]
    if silent.any():
        row = int(np.argmax(silent))
        raise PredictionError(
            f"row {row} is of stratum {rows.strata[row]!r}, which had no event at training: its "
            "baseline hazard is not known. predict() ranks rows without it"
        )
    return codes


def mean_log_hazard(fit: CoxFit, rows: Rows) -> Floats:
    """Posterior mean of the linear predictor, in which 0 is a row of zeros.

    Parameters
    ----------
    fit : CoxFit
    rows : Rows

    Returns
    -------
    ndarray of shape (n,)
    """
    shift = float((fit.center / fit.scale) @ coefficients(fit))
    if not (fit.layout.measured or fit.layout.frailty):
        out: Floats = (rows.columns.values / fit.scale) @ coefficients(fit)
        return out
    warn_of_new_centres(fit, rows)
    all_draws = np.arange(len(fit.flat("beta")))
    out = np.empty(len(rows.columns.values))
    for part in _parts(len(out), all_draws.size):
        out[part] = log_hazards(fit, rows, part, all_draws, None).mean(0) + shift
    return out


def warn_of_new_centres(fit: CoxFit, rows: Rows) -> None:
    """Warn of centres that training did not have.

    Parameters
    ----------
    fit : CoxFit
    rows : Rows
    """
    new = sorted(set(rows.centres) - set(fit.centres))
    if new:
        warnings.warn(
            f"{len(new)} centres were not there at training ({', '.join(new[:5])}): their effects "
            "are drawn from the population of centres. Those known are "
            f"{', '.join(fit.centres[:10])}",
            NewCentreWarning,
            stacklevel=4,
        )


def warn_of_few_events(fit: CoxFit, rows: Rows, time: float) -> None:
    """Warn where few events by a time make bands too narrow.

    Parameters
    ----------
    fit : CoxFit
    rows : Rows
    time : float
    """
    codes = np.unique(strata_of(fit, rows))
    counts = [int((fit.event_times[code] <= time).sum()) for code in codes]
    fewest = int(np.argmin(counts))
    if counts[fewest] >= _FEW_EVENTS or not isinstance(fit.hazards, StepHazards):
        return
    where = f" of stratum {fit.strata[codes[fewest]]!r}" if len(fit.strata) > 1 else ""
    warnings.warn(
        f"{counts[fewest]} events{where} by time {time:g}: below {_FEW_EVENTS} the interval of the "
        "risk is too narrow. Ask for a later time, or fit with baseline=risk.MSpline()",
        FewEventsWarning,
        stacklevel=3,
    )


def coefficients(fit: CoxFit) -> Floats:
    """Estimate of the coefficients per scale: posterior mean, or the mode.

    Parameters
    ----------
    fit : CoxFit

    Returns
    -------
    ndarray of shape (p,)
    """
    if fit.mode is not None:
        return fit.mode.coefficients
    mean: Floats = fit.flat("beta").mean(0)
    return mean


def log_hazards(
    fit: CoxFit, rows: Rows, part: slice, kept: Ints, rng: np.random.Generator | None
) -> Floats:
    """Draws of the linear predictor about the centre of training.

    Parameters
    ----------
    fit : CoxFit
    rows : Rows
    part : slice
        Rows wanted.
    kept : ndarray of int
        Draws wanted.
    rng : numpy.random.Generator or None
        Source of what differs between rows of one description; None takes its mean.

    Returns
    -------
    ndarray of shape (n_kept, n)
    """
    beta = fit.flat("beta")[kept]
    x = (rows.columns.values[part] - fit.center) / fit.scale
    wide = _true_values(fit, rows, part, x, kept, rng)
    eta = beta @ x.T if wide is None else np.einsum("sp,snp->sn", beta, wide)
    if fit.layout.frailty:
        seen, sd = fit.flat("frailty")[kept], fit.flat("frailty_sd")[kept]
        eta = eta + _of_centres(fit, rows.centres[part], seen, sd, rng)
    out: Floats = eta
    return out


def _true_values(
    fit: CoxFit, rows: Rows, part: slice, x: Floats, kept: Ints, rng: np.random.Generator | None
) -> Floats | None:
    """Draws of covariates, shape (n_kept, n, p); None where all are known exactly."""
    layout = fit.layout
    if not (layout.drawn or layout.measured):
        return None
    wide = np.broadcast_to(x, (kept.size, *x.shape)).copy()
    if layout.drawn and rng is not None:
        n_draws = len(next(iter(rows.draws.values())))
        # posterior and predictive draws are independent for new rows: pair them at random
        pairs = np.resize(rng.permutation(n_draws), kept.size)
        for name, draws in rows.draws.items():
            j = layout.covariates.index(name)
            wide[:, :, j] = (draws[pairs][:, part] - fit.center[j]) / fit.scale[j]
    given = [j for j, name in enumerate(layout.covariates) if name not in layout.measured]
    for k, name in enumerate(layout.measured):
        j = layout.covariates.index(name)
        center = _exposure(fit, rows, part, k, wide[:, :, given], kept, rng)
        spread = fit.flat(f"exposure_sd_{k}")[kept][:, None]
        error = rows.error_sd[k, part] / fit.scale[j]
        reliability = spread**2 / (spread**2 + error**2)
        wide[:, :, j] = center + reliability * (x[:, j] - center)
        if rng is not None:
            noise = rng.standard_normal((kept.size, len(x)))
            wide[:, :, j] += np.sqrt(reliability) * error * noise
        given = [*given, j]
    return wide


def _exposure(
    fit: CoxFit,
    rows: Rows,
    part: slice,
    k: int,
    given: Floats,
    kept: Ints,
    rng: np.random.Generator | None,
) -> Floats:
    """Mean of true values by stratum, centre and the covariates given, shape (n_kept, n)."""
    stratum = codes_of(rows.strata[part], fit.strata, "strata")
    center = fit.flat(f"exposure_mean_{k}")[kept][:, stratum]
    if fit.layout.frailty:
        known = fit.flat(f"exposure_centre_{k}")[kept], fit.flat(f"exposure_centre_sd_{k}")[kept]
        center = center + _of_centres(fit, rows.centres[part], *known, rng)
    if given.shape[2]:
        slopes = fit.flat(f"exposure_slope_{k}")[kept]
        center = center + np.einsum("sq,snq->sn", slopes, given)
    out: Floats = center
    return out


def _of_centres(
    fit: CoxFit, centres: list[str], seen: Floats, sd: Floats, rng: np.random.Generator | None
) -> Floats:
    """Effects of the rows' centres; one not seen in training is drawn from the population."""
    known = {label: j for j, label in enumerate(fit.centres)}
    fresh = np.zeros(sd.size) if rng is None else sd * rng.standard_normal(sd.size)
    effects = [seen[:, known[label]] if label in known else fresh for label in centres]
    return np.stack(effects, axis=1)


def survival(
    fit: CoxFit, rows: Rows, times: Floats, prob: float | None, random_state: int
) -> tuple[Floats, Floats, Floats]:
    """Survival of rows at times.

    Parameters
    ----------
    fit : CoxFit
    rows : Rows
    times : ndarray of shape (n_times,)
    prob : float or None
        Of the equal-tailed band at each time; None makes none.
    random_state : int
        Seed; rows of one description have one result.

    Returns
    -------
    mean, lower, upper : ndarray of shape (n, n_times)
        For a mode, the survival at the mode in place of the mean. Ends are NaN without a band, and
        before the first event, where the rows do not say how far the truth may be.
    """
    if prob is not None:
        check_probability(prob)
    codes = strata_of(fit, rows)
    warn_of_new_centres(fit, rows)
    mean = np.empty((codes.size, times.size))
    lower, upper = np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    for code in np.unique(codes):
        check_times(times, float(fit.follow_up[code]))
        mine = np.flatnonzero(codes == code)
        hazard, kept = fit.hazards.at(int(code), times), fit.kept
        if fit.mode is not None:  # the mode gives the mean, and draws the band alone
            thin = np.linspace(0, len(hazard) - 1, min(len(hazard), _BAND_DRAWS)).astype(int)
            hazard, kept = hazard[thin], kept[thin]
        band = np.linspace(0, len(hazard) - 1, min(len(hazard), _BAND_DRAWS)).astype(int)
        if fit.mode is not None and fit.mode_hazards is not None:
            x = (rows.columns.values[mine] - fit.center) / fit.scale
            base = fit.mode_hazards.at(int(code), times)[0]
            mean[mine] = np.exp(-base * np.exp(x @ fit.mode.coefficients)[:, None])
        known = hazard.max(0) > 0
        for row in mine if fit.mode is None or prob is not None else ():
            rng = np.random.default_rng([random_state, 2])
            eta = log_hazards(fit, rows, slice(row, row + 1), kept, rng)
            free = np.exp(-hazard * np.exp(eta))
            if fit.mode is None:
                mean[row] = free.mean(0)
            if prob is not None:
                tails = np.quantile(free[band], [0.5 - prob / 2, 0.5 + prob / 2], axis=0)
                lower[row], upper[row] = np.where(known, tails, np.nan)
    return mean, lower, upper


def _parts(n_rows: int, n_draws: int) -> Iterator[slice]:
    width = max(1, _BLOCK // max(n_draws, 1) // 8)
    for begin in range(0, n_rows, width):
        yield slice(begin, min(begin + width, n_rows))
