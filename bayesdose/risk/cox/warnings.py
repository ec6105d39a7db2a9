"""What may be wrong with an outcome or its size, though a model can be fitted: told by name."""

import warnings

import numpy as np

from bayesdose.dose import priors as p
from bayesdose.evaluate._outcome import Outcome
from bayesdose.risk.cox.columns import Ints

#: Fewer rows of a kind than this say nothing of a reversed event.
_ENOUGH = 5
_REVERSED = 0.6
#: Events per covariate below which estimates are shaky: without a prior, and with one.
_FEW_FLAT, _FEW_PRIOR = 10.0, 3.0


class OutcomeWarning(UserWarning):
    """Times and events look unusual: every row has an event, or events and censoring reversed."""


class FewEventsWarning(UserWarning):
    """The events are few for the number of covariates."""


class StratumWarning(UserWarning):
    """A stratum has no event, so that its rows say nothing."""


class SamplingWarning(UserWarning):
    """NUTS did not converge, or diverged."""


class NewCentreWarning(UserWarning):
    """A row is of a centre that training did not have."""


def warn_of(
    outcome: Outcome, n_columns: int, slope: object, stratum: Ints, strata: list[str]
) -> None:
    """Warn of what looks wrong.

    Parameters
    ----------
    outcome : Outcome
        Of the training rows.
    n_columns : int
        Number of covariates.
    slope : prior value
        Of the coefficients.
    stratum : ndarray of int of shape (n,)
        Stratum of each row.
    strata : list of str
        Labels of the strata.
    """
    _warn_of_outcome(outcome)
    events = int(outcome.event.sum())
    shrinks = isinstance(slope, p.RegularizedHorseshoe | p.R2D2)
    few = _FEW_FLAT if isinstance(slope, p.Flat) else _FEW_PRIOR
    if not shrinks and events < few * n_columns:
        warnings.warn(
            f"{events} events for {n_columns} covariates: below {few:g} a covariate estimates are "
            "unstable and the model looks better than it is. Take fewer covariates, or a shrinkage "
            "prior (slope=RegularizedHorseshoe(...) or R2D2(...)), and validate out of sample",
            FewEventsWarning,
            stacklevel=3,
        )
    silent = np.flatnonzero(np.bincount(stratum[outcome.event], minlength=len(strata)) == 0)
    if silent.size:
        names = ", ".join(strata[code] for code in silent[:10])
        warnings.warn(
            f"{silent.size} strata have no event ({names}): their rows say nothing of the "
            "coefficients, and they have no baseline hazard. Merge strata, or use frailty= instead",
            StratumWarning,
            stacklevel=3,
        )


def _warn_of_outcome(outcome: Outcome) -> None:
    if outcome.event.all():
        warnings.warn(
            f"all {outcome.event.size} rows have an event: nobody was still free of it at the end "
            "of follow-up? Rows without an event must be there too, with event False",
            OutcomeWarning,
            stacklevel=4,
        )
        return
    events, others = outcome.stop[outcome.event], outcome.stop[~outcome.event]
    if outcome.start is not None or min(events.size, others.size) < _ENOUGH:
        return
    # share of pairs in which the event comes later than the end of follow-up without one; in the
    # tables at hand at most 0.38, and at least 0.61 where event is reversed
    ranks = np.searchsorted(np.sort(others), events, side="left")
    later = float(ranks.mean() / others.size)
    error = float(np.sqrt((events.size + others.size + 1) / (12 * events.size * others.size)))
    if later > max(_REVERSED, 0.5 + 2 * error):
        warnings.warn(
            f"events lie later than follow-up without one in {100 * later:.0f} % of pairs: is "
            "event reversed, 1 where follow-up ended without it? event must be True where it "
            f"happened ({events.size} of {outcome.event.size} rows have it here)",
            OutcomeWarning,
            stacklevel=4,
        )
