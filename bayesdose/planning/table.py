"""Planned activities of many patients, and the tumour dose they give beside a fixed activity."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesdose.dose.cycles import CycleDoses, cycle_doses
from bayesdose.dose.prediction import summarise
from bayesdose.dose.training import check_hdi_prob
from bayesdose.errors import ConfigError, PredictionError
from bayesdose.planning.activity import (
    Plan,
    check_limits,
    check_range,
    largest_activities,
    plan_patient,
)
from bayesdose.planning.limits import DoseLimit, check_activity

if TYPE_CHECKING:
    from bayesdose.dose.model import DoseModel

#: Label activity of 177Lu-PSMA-617 for each cycle, GBq.
LABEL_GBQ = 7.4


def activity_table(
    model: "DoseModel",
    sites: pd.DataFrame,
    limits: Sequence[DoseLimit],
    n_cycles: int = 6,
    *,
    fixed_gbq: float = LABEL_GBQ,
    target: str = "tumour",
    activity_range_gbq: tuple[float, float] = (1.0, 12.0),
    kind: str = "new_patient",
    given: pd.DataFrame | None = None,
    between_cycle: str = "persistent",
    hdi_prob: float = 0.95,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """Plan every patient of a table, each alone, and set the plan beside a fixed activity.

    Parameters
    ----------
    model : DoseModel
        Fitted, with an activity.
    sites : pandas.DataFrame
        One row for each site of the patients; see `max_activity`.
    limits, n_cycles
        As in `max_activity`.
    fixed_gbq : float, GBq
        Activity a cycle to compare with.
    target : str
        Tissue whose dose is compared: the mean over a patient's sites of it, added over cycles.
    activity_range_gbq, kind, given, between_cycle
        As in `max_activity`.
    hdi_prob : float
        Mass of the highest-density intervals.
    random_seed : int, optional
        Seed; the fit's by default.

    Returns
    -------
    pandas.DataFrame
        One row a patient: patient_id; activity_gbq, monte_carlo_error (GBq), binding, at_bound,
        extrapolates; planned_median, planned_lower, planned_upper and fixed_median, fixed_lower,
        fixed_upper (cumulative Gy to the target; NaN without such a site); fixed_within, the
        probability that all limits hold at the fixed activity; notes; and problem, why there is
        no plan, empty where there is one.

    Raises
    ------
    ConfigError
        When an argument has an impossible value.
    PredictionError
        When the model lacks a tissue.
    """
    fitted = model._state()
    limits = check_limits(limits, fitted)
    activity_range_gbq = check_range(activity_range_gbq)
    check_hdi_prob(hdi_prob)
    fixed_gbq = check_activity("fixed_gbq", fixed_gbq)
    if target not in fitted.encoding.tissues:
        raise PredictionError(
            f"target: the model has no tissue {target!r}; it has "
            f"{', '.join(fitted.encoding.tissues)}"
        )
    doses = cycle_doses(
        fitted,
        sites,
        n_cycles,
        kind=kind,
        given=given,
        between_cycle=between_cycle,
        random_seed=random_seed,
    )
    patients = doses.labels["patient_id"].unique()
    by_site = [limit for limit in limits if isinstance(limit.already_gy, Mapping)]
    if by_site and len(patients) > 1:
        raise ConfigError(
            f"already_gy of the limit for {by_site[0].tissue!r} is by site, and the table has "
            f"{len(patients)} patients, whose sites may share names: plan one patient at a time"
        )
    rows = []
    for patient in patients:
        plan: Plan | None = None
        problem, within = "", np.nan
        try:
            within = _within(limits, doses, patient, fixed_gbq)
            plan = plan_patient(fitted, doses, patient, limits, activity_range_gbq)
        except PredictionError as err:
            # one patient that cannot be planned stops nobody else
            problem = str(err)
        target_gy = _target_gy(doses, patient, target)
        planned_gbq = np.nan if plan is None else plan.activity_gbq
        rows.append(
            {
                "patient_id": patient,
                "activity_gbq": planned_gbq,
                "monte_carlo_error": np.nan if plan is None else plan.monte_carlo_error,
                "binding": None if plan is None else plan.binding,
                "at_bound": plan is not None and plan.at_bound,
                "extrapolates": plan is not None and plan.extrapolates,
                **_summary("planned", target_gy, planned_gbq, hdi_prob),
                **_summary("fixed", target_gy, fixed_gbq, hdi_prob),
                "fixed_within": within,
                "notes": "" if plan is None else "; ".join(plan.notes),
                "problem": problem,
            }
        )
    table = pd.DataFrame(rows)
    table.attrs = {
        "target": target,
        "fixed_gbq": float(fixed_gbq),
        "n_cycles": n_cycles,
        "interval": "hdi",
        "hdi_prob": hdi_prob,
        "limits": "; ".join(limit.text for limit in limits),
        "between_cycle": between_cycle,
    }
    return table


def _within(
    limits: tuple[DoseLimit, ...], doses: CycleDoses, patient: str, activity: float
) -> float:
    """Probability that all limits hold at an activity."""
    mine = np.flatnonzero(doses.labels["patient_id"] == patient)
    largest = [largest_activities(limit, doses, mine) for limit in limits]
    return float((np.min(largest, axis=0) >= activity).mean())


def _target_gy(doses: CycleDoses, patient: str, target: str) -> np.ndarray | None:
    """Draws (S,) of the mean dose to the target per activity, added over cycles; Gy/GBq."""
    labels = doses.labels
    mine = np.flatnonzero((labels["patient_id"] == patient) & (labels["tissue"] == target))
    if not len(mine):
        return None
    found: np.ndarray = doses.gy_per_gbq[:, mine].sum(2).mean(1)
    return found


def _summary(
    what: str, gy_per_gbq: np.ndarray | None, activity: float, hdi_prob: float
) -> dict[str, float]:
    names = ("median", "lower", "upper")
    if gy_per_gbq is None or np.isnan(activity):
        return {f"{what}_{name}": np.nan for name in names}
    found = summarise(activity * gy_per_gbq[:, None], hdi_prob)
    return {f"{what}_{name}": float(found[name][0]) for name in names}
