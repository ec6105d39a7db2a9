"""Which activities keep the limits, and what the limits leave after what was already received."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bayesdose.dose.cycles import CycleDoses
from bayesdose.dose.training import Fitted
from bayesdose.errors import PredictionError
from bayesdose.planning.activity import Plan, largest_activities, plan_patient
from bayesdose.planning.limits import DoseLimit
from bayesdose.report.page import number
from bayesdose.report.sheet.words import chance, plain


def largest_of(limit: DoseLimit, doses: CycleDoses) -> np.ndarray:
    """Largest activity a cycle that keeps a limit, in each draw.

    Parameters
    ----------
    limit : DoseLimit
    doses : CycleDoses
        Of one patient.

    Returns
    -------
    numpy.ndarray of shape (S,), GBq
        0 where the limit was reached before.

    Raises
    ------
    PredictionError
        When the patient lacks the tissue, a site of ``already_gy``, or a mass.
    """
    mine = np.arange(len(doses.labels))
    if not is_reached(limit):
        return largest_activities(limit, doses, mine)
    # still to be checked: that the patient has the tissue and the sites named
    none: float | dict[str, float] = 0.0
    if isinstance(limit.already_gy, Mapping):
        none = dict.fromkeys(limit.already_gy, 0.0)
    return np.zeros_like(largest_activities(replace(limit, already_gy=none), doses, mine))


def is_reached(limit: DoseLimit) -> bool:
    """Whether what was already received leaves nothing of a limit.

    Parameters
    ----------
    limit : DoseLimit

    Returns
    -------
    bool
    """
    return received(limit) >= limit.value_gy


def received(limit: DoseLimit) -> float:
    """The most that a site already received.

    Parameters
    ----------
    limit : DoseLimit

    Returns
    -------
    float, Gy
    """
    by_site = isinstance(limit.already_gy, Mapping)
    values = limit.already_gy.values() if by_site else [limit.already_gy]  # type: ignore[union-attr]
    return float(max(values, default=0.0))


def plan_of(
    fitted: Fitted,
    doses: CycleDoses,
    limits: tuple[DoseLimit, ...],
    activity_range_gbq: tuple[float, float],
    largest: Mapping[str, np.ndarray],
) -> tuple[Plan | None, str]:
    """Plan for one patient, or why there is none.

    Parameters
    ----------
    fitted : Fitted
    doses : CycleDoses
        Of one patient.
    limits : tuple of DoseLimit
        Checked.
    activity_range_gbq : tuple of float, GBq
        Checked.
    largest : dict of numpy.ndarray
        By limit, as `largest_of`.

    Returns
    -------
    plan : Plan or None
    problem : str
        Which limits no activity keeps; empty where there is a plan.
    """
    reached = [limit for limit in limits if is_reached(limit)]
    if reached:
        said = [
            f"{limit.text}: it was reached before these cycles, with {number(received(limit))} Gy"
            for limit in reached
        ]
        return None, f"{'; '.join(said)}."
    patient = str(doses.labels["patient_id"].iloc[0])
    try:
        return plan_patient(fitted, doses, patient, limits, activity_range_gbq), ""
    except PredictionError:
        # the limits were found to fit the patient, so that it is the range that allows none;
        # the error names the patient, and this does not
        return None, _unmet(limits, largest, *activity_range_gbq)


def _unmet(
    limits: tuple[DoseLimit, ...], largest: Mapping[str, np.ndarray], low: float, high: float
) -> str:
    least = np.min(list(largest.values()), axis=0)
    held = [(of >= low).mean() for of in largest.values()]
    failing = [
        f"{limit.text}, holds with {chance(share, len(least))} only"
        for limit, share in zip(limits, held, strict=True)
        if share < limit.probability
    ]
    together = chance((least >= low).mean(), len(least))
    more = f"; and {len(failing) - 2} more, see below" if len(failing) > 2 else ""
    which = f"{'; '.join(failing[:2])}{more}"
    if not failing:
        which = f"each limit holds, all of them together with {together} only"
    return f"None from {low:g} to {high:g} GBq a cycle does. At {low:g} GBq: {which}."


def already_of(limit: DoseLimit, site: str) -> float:
    """What a site already received towards a limit.

    Parameters
    ----------
    limit : DoseLimit
    site : str
        Label of the site; not looked at where all have the same.

    Returns
    -------
    float, Gy
    """
    if isinstance(limit.already_gy, int | float | np.number):
        return float(limit.already_gy)
    return float({str(name): gy for name, gy in limit.already_gy.items()}[site])


def left_of(limit: DoseLimit, already_gy: float, n_cycles: int) -> tuple[float, str]:
    """Dose that a limit leaves for the planned cycles, and the limit in a word or two.

    With k = BED - D over D², n equal cycles reach a BED of L with n d, d = 2 L / n / (1 +
    sqrt(1 + 4 k L / n)).

    Parameters
    ----------
    limit : DoseLimit
    already_gy : float, Gy
        Received before.
    n_cycles : int

    Returns
    -------
    gy : float, Gy
        0 where nothing is left.
    text : str
        "19 of 23" where some was received before.
    """
    left = max(limit.value_gy - already_gy, 0.0)
    cycle = left / n_cycles
    gy = n_cycles * 2 * cycle / (1 + np.sqrt(1 + 4 * limit.bed_per_gy2 * cycle))
    unit = "" if limit.bed_gy is None else " BED"
    of = f" of {plain(limit.value_gy)}" if already_gy else ""
    # what is left is a difference of measured doses, and not shown finer than they are
    return float(gy), f"{number(left) if already_gy else plain(left)}{of}{unit}"
