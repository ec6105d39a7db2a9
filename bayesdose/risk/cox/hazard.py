"""Cumulative baseline hazards with their uncertainty, and what survives of them.

Under the partial likelihood the baseline is free. With the gamma process prior that Cox's partial
likelihood is the limit of, its increments given the coefficients are independent: with the events E
of a time, d of them, its risk set R and w = exp(eta),

    dH0 ~ sum_{l=0}^{d-1} Gamma(1, rate = sum_R w - l / d sum_E w)

(Efron; Breslow without l), whose means are the estimators of either. Kalbfleisch 1978, J. R. Stat.
Soc. B 40:214, doi 10.1111/j.2517-6161.1978.tb01666.x (from memory).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesdose.evaluate._arrays import Floats
from bayesdose.risk.cox.columns import Ints
from bayesdose.risk.cox.partial_likelihood import RiskSets, event_sums, stratum_max

#: Numbers kept of baseline hazards and of linear predictors.
MOST_NUMBERS = 20_000_000
_LEAST_DRAWS = 200


@dataclass(frozen=True)
class StepHazards:
    """Cumulative baseline hazards that step at event times, by stratum.

    Parameters
    ----------
    times : tuple of ndarray of shape (n_times,)
        Event times of each stratum, rising.
    hazards : tuple of ndarray of shape (n_draws, n_times)
        Cumulative hazard after each of them.
    """

    times: tuple[Floats, ...]
    hazards: tuple[Floats, ...]

    def at(self, stratum: int, times: Floats) -> Floats:
        """Cumulative hazard at any times.

        Parameters
        ----------
        stratum : int
        times : ndarray of shape (n,)

        Returns
        -------
        ndarray of shape (n_draws, n)
        """
        place = np.searchsorted(self.times[stratum], times, side="right")
        steps = self.hazards[stratum]
        return np.concatenate([np.zeros((len(steps), 1)), steps], axis=1)[:, place]


@dataclass(frozen=True)
class SmoothHazards:
    """Cumulative baseline hazards on a basis.

    Parameters
    ----------
    basis : callable
        From times to integrals of the basis, shape (n, n_basis).
    totals : ndarray of shape (n_draws, n_strata)
        Cumulative hazard at the end of follow-up.
    weights : ndarray of shape (n_draws, n_strata, n_basis)
    """

    basis: Callable[[Floats], Floats]
    totals: Floats
    weights: Floats

    def at(self, stratum: int, times: Floats) -> Floats:
        """Cumulative hazard at any times.

        Parameters
        ----------
        stratum : int
        times : ndarray of shape (n,)

        Returns
        -------
        ndarray of shape (n_draws, n)
        """
        shape: Floats = self.weights[:, stratum] @ self.basis(times).T
        return self.totals[:, stratum, None] * shape


Hazards = StepHazards | SmoothHazards


def kept_draws(n_draws: int, n_numbers: int) -> Ints:
    """Evenly spaced draws for which a baseline is kept.

    Parameters
    ----------
    n_draws : int
    n_numbers : int
        Numbers to hold of each draw.

    Returns
    -------
    ndarray of int
    """
    n_kept = min(n_draws, max(_LEAST_DRAWS, MOST_NUMBERS // max(n_numbers, 1)))
    return np.linspace(0, n_draws - 1, n_kept).astype(np.intp)


def step_hazards(
    sets: RiskSets,
    etas: Floats,
    times: Floats,
    stratum: Ints,
    n_strata: int,
    rng: np.random.Generator | None,
) -> StepHazards:
    """Baseline under the partial likelihood.

    Parameters
    ----------
    sets : RiskSets
        Of the training rows.
    etas : ndarray of shape (n_draws, n)
        Linear predictors of the training rows.
    times : ndarray of shape (n,)
        Their times.
    stratum : ndarray of int of shape (n,)
        Their strata.
    n_strata : int
    rng : numpy.random.Generator or None
        Source of the increments' randomness; None gives their means.

    Returns
    -------
    StepHazards
    """
    n_times = sets.first.size
    at_time = np.zeros(n_times)
    of_stratum = np.zeros(n_times, np.intp)
    at_time[sets.event_time] = times[sets.event_row]
    of_stratum[sets.event_time] = stratum[sets.event_row]
    increments = np.empty((len(etas), n_times))
    for s, eta in enumerate(etas):
        top = stratum_max(sets, eta)
        rates = event_sums(sets, np.exp(eta - top)[:, None])[:, 0] * np.exp(top[sets.event_row])
        steps = 1.0 / rates if rng is None else rng.standard_exponential(rates.size) / rates
        increments[s] = np.bincount(sets.event_time, steps, n_times)
    parts = [np.flatnonzero(of_stratum == code) for code in range(n_strata)]
    parts = [part[np.argsort(at_time[part])] for part in parts]
    return StepHazards(
        tuple(at_time[part] for part in parts),
        tuple(np.cumsum(increments[:, part], axis=1) for part in parts),
    )
