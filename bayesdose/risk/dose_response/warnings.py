"""What may be wrong with an outcome, though a curve can be fitted: told by name."""

import warnings

import numpy as np

from bayesdose.evaluate._arrays import Floats
from bayesdose.risk.cox.columns import Ints
from bayesdose.risk.cox.warnings import FewEventsWarning

#: Patients with the rarer outcome below which a curve is mostly its prior.
_FEW = 5


class SeparationWarning(UserWarning):
    """The doses part the outcomes without overlap, so that only the prior bounds the slope."""


def warn_of(log_dose: Floats, y: np.ndarray, patient: Ints) -> None:
    """Warn of what looks wrong.

    Parameters
    ----------
    log_dose : ndarray of shape (n,)
        Measured, or the medians of draws.
    y : ndarray of bool of shape (n,)
    patient : ndarray of int of shape (n,)
        Patient of each row.
    """
    with_it, without = log_dose[y], log_dose[~y]
    if with_it.min() >= without.max() or with_it.max() <= without.min():
        side = "above" if with_it.min() >= without.max() else "below"
        warnings.warn(
            f"every row with the outcome has a dose {side} all rows without it: the data set no "
            "bound to the slope, and its posterior is bounded by its prior alone. State a prior of "
            "the slope that you believe",
            SeparationWarning,
            stacklevel=3,
        )
    kind = bool(y.sum() * 2 <= y.size)
    n_patients = np.unique(patient[y == kind]).size
    if n_patients < _FEW:
        word = "with" if kind else "without"
        warnings.warn(
            f"{int((y == kind).sum())} rows of {n_patients} patients are {word} the outcome: with "
            f"fewer than {_FEW} patients of either kind a curve is mostly its priors",
            FewEventsWarning,
            stacklevel=3,
        )
