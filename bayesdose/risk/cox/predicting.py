"""Risk and survival of new rows, with what is not known about them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesdose.errors import ConfigError, PredictionError
from bayesdose.evaluate._arrays import Floats
from bayesdose.risk.cox.columns import Ints, codes_of
from bayesdose.risk.cox.fitting import CoxFit, Rows

#: Draws that make a band, at most.
_BAND_DRAWS = 1000
#: Numbers held at a time.
_BLOCK = 20_000_000


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
        at = np.asarray(times, dtype=np.float64)
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


def mean_log_hazard(fit: CoxFit, rows: Rows, rng: np.random.Generator) -> Floats:
    """Posterior mean of the linear predictor, in which 0 is a row of zeros.

    Parameters
    ----------
    fit : CoxFit
    rows : Rows
    rng : numpy.random.Generator
        For the true values of covariates measured with error.

    Returns
    -------
    ndarray of shape (n,)
    """
    shift = float((fit.center / fit.scale) @ coefficients(fit))
    plain = not (fit.layout.measured or fit.layout.frailty)
    if plain:
        out: Floats = (rows.columns.values / fit.scale) @ coefficients(fit)
        return out
    all_draws = np.arange(len(fit.flat("beta")))
    out = np.empty(len(rows.columns.values))
    for part in _parts(len(out), all_draws.size):
        out[part] = log_hazards(fit, rows, part, all_draws, rng).mean(0) + shift
    return out


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
    fit: CoxFit, rows: Rows, part: slice, kept: Ints, rng: np.random.Generator
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
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n_kept, n)
    """
    beta = fit.flat("beta")[kept]
    x = (rows.columns.values[part] - fit.center) / fit.scale
    wide = _true_values(fit, rows, part, x, kept, rng)
    eta = beta @ x.T if wide is None else np.einsum("sp,snp->sn", beta, wide)
    if fit.layout.frailty:
        eta = eta + _frailty(fit, rows.centres[part], kept, rng)
    out: Floats = eta
    return out


def _true_values(
    fit: CoxFit, rows: Rows, part: slice, x: Floats, kept: Ints, rng: np.random.Generator
) -> Floats | None:
    """Draws of covariates, shape (n_kept, n, p); None where all are known exactly."""
    layout = fit.layout
    if not (layout.drawn or layout.measured):
        return None
    wide = np.broadcast_to(x, (kept.size, *x.shape)).copy()
    if layout.drawn:
        n_draws = len(next(iter(rows.draws.values())))
        # posterior and predictive draws are independent for new rows: pair them as they come
        pairs = rng.permutation(np.resize(np.arange(n_draws), kept.size))
        for name, draws in rows.draws.items():
            j = layout.covariates.index(name)
            wide[:, :, j] = (draws[pairs][:, part] - fit.center[j]) / fit.scale[j]
    given = [j for j, name in enumerate(layout.covariates) if name not in layout.measured]
    for k, name in enumerate(layout.measured):
        j = layout.covariates.index(name)
        center = fit.flat(f"exposure_mean_{k}")[kept][:, None]
        if given:
            slopes = fit.flat(f"exposure_slope_{k}")[kept]
            center = center + np.einsum("sq,snq->sn", slopes, wide[:, :, given])
        spread = fit.flat(f"exposure_sd_{k}")[kept][:, None]
        error = rows.error_sd[k, part] / fit.scale[j]
        reliability = spread**2 / (spread**2 + error**2)
        noise = rng.standard_normal((kept.size, len(x)))
        wide[:, :, j] = (
            center + reliability * (x[:, j] - center) + np.sqrt(reliability) * error * noise
        )
        given = [*given, j]
    return wide


def _frailty(fit: CoxFit, centres: list[str], kept: Ints, rng: np.random.Generator) -> Floats:
    """Effects of the rows' centres; a centre not seen in training is drawn from the population."""
    known = {label: j for j, label in enumerate(fit.centres)}
    seen, sd = fit.flat("frailty")[kept], fit.flat("frailty_sd")[kept]
    out = np.empty((kept.size, len(centres)))
    for label in set(centres):
        mine = np.array([other == label for other in centres])
        fresh = label not in known
        effect = sd * rng.standard_normal(kept.size) if fresh else seen[:, known[label]]
        out[:, mine] = effect[:, None]
    return out


def survival(
    fit: CoxFit, rows: Rows, times: Floats, prob: float | None, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Survival of rows at times.

    Parameters
    ----------
    fit : CoxFit
    rows : Rows
    times : ndarray of shape (n_times,)
    prob : float or None
        Of the equal-tailed band at each time; None makes none.
    rng : numpy.random.Generator

    Returns
    -------
    mean, lower, upper : ndarray of shape (n, n_times)
        For a mode, the survival at the mode in place of the mean; without a band, NaN.
    """
    if prob is not None and not 0 < prob < 1:
        raise ConfigError(f"prob must lie between 0 and 1; got {prob}")
    codes = strata_of(fit, rows)
    mean = np.empty((codes.size, times.size))
    lower, upper = np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    for code in np.unique(codes):
        check_times(times, float(fit.follow_up[code]))
        mine = np.flatnonzero(codes == code)
        hazard = fit.hazards.at(int(code), times)
        band = np.linspace(0, len(hazard) - 1, min(len(hazard), _BAND_DRAWS)).astype(int)
        if fit.mode is not None and fit.mode_hazards is not None:
            x = (rows.columns.values[mine] - fit.center) / fit.scale
            base = fit.mode_hazards.at(int(code), times)[0]
            mean[mine] = np.exp(-base * np.exp(x @ fit.mode.coefficients)[:, None])
        for row in mine:
            eta = log_hazards(fit, rows, slice(row, row + 1), fit.kept, rng)
            free = np.exp(-hazard * np.exp(eta))
            if fit.mode is None:
                mean[row] = free.mean(0)
            if prob is not None:
                tails = np.quantile(free[band], [0.5 - prob / 2, 0.5 + prob / 2], axis=0)
                lower[row], upper[row] = tails
    return mean, lower, upper


def _parts(n_rows: int, n_draws: int) -> Iterator[slice]:
    width = max(1, _BLOCK // max(n_draws, 1) // 8)
    for begin in range(0, n_rows, width):
        yield slice(begin, min(begin + width, n_rows))
