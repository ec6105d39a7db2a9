"""What a patient sheet is written from, computed once from the same joint draws as the plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesdose.dose.cycles import CycleDoses, cycle_doses
from bayesdose.dose.prediction import summarise
from bayesdose.dose.training import Fitted, check_hdi_prob
from bayesdose.errors import ConfigError, PredictionError
from bayesdose.planning.activity import Plan, check_limits, check_range, limit_names
from bayesdose.planning.limits import DoseLimit, check_activity
from bayesdose.planning.updating import update_report
from bayesdose.report.model_page.hiding import Names, names_of
from bayesdose.report.page import Pseudonyms, pseudonyms
from bayesdose.report.sheet.holding import largest_of, plan_of

if TYPE_CHECKING:
    from bayesdose.dose.model import DoseModel

#: What one page holds.
MAX_SITES = 500
MAX_LIMITS = 6


@dataclass(frozen=True)
class Findings:
    """Everything that a sheet shows of one patient.

    Parameters
    ----------
    fitted : Fitted
        The model.
    doses : CycleDoses
        Joint draws of the patient's sites over the planned cycles.
    names : Names
        How places are called.
    sites : Pseudonyms
        How sites are called.
    limits : tuple of DoseLimit
    within : dict of float
        By limit, and for ``"all limits"``: probability that it holds at the prescribed activity.
    plan : Plan or None
        None where no activity keeps the limits.
    problem : str
        Why there is no plan; empty where there is one.
    table : pandas.DataFrame
        Dose of each site over the planned cycles at the prescribed activity: patient_id, site_id,
        tissue, median, lower, upper (Gy).
    target : pandas.DataFrame
        Mean dose of the sites of a tissue, ``prescribed`` and ``planned``: median, lower, upper
        (Gy); empty where the patient has no such site.
    target_name : str
        That tissue.
    update : pandas.DataFrame or None
        As `bayesdose.planning.update_report` makes it.
    update_gbq : float, GBq
        Activity of the cycle that it is for: the one given, or the prescribed one where several
        were.
    given_gbq : tuple of float, GBq
        Activities at which doses were measured.
    prescribed_gbq : float, GBq
    activity_range_gbq : tuple of float, GBq
    n_cycles : int
    between_cycle : str
    hdi_prob : float
    kind : str
    random_seed : int or None
        Of the predictions; the fit's where None.
    """

    fitted: Fitted
    doses: CycleDoses
    names: Names
    sites: Pseudonyms
    limits: tuple[DoseLimit, ...]
    within: Mapping[str, float]
    plan: Plan | None
    problem: str
    table: pd.DataFrame
    target: pd.DataFrame
    target_name: str
    update: pd.DataFrame | None
    update_gbq: float
    given_gbq: tuple[float, ...]
    prescribed_gbq: float
    activity_range_gbq: tuple[float, float]
    n_cycles: int
    between_cycle: str
    hdi_prob: float
    kind: str
    random_seed: int | None

    @property
    def gy(self) -> np.ndarray:
        """Draws of the dose over the planned cycles at the prescribed activity.

        Returns
        -------
        numpy.ndarray of shape (S, n_sites), Gy
        """
        found: np.ndarray = self.prescribed_gbq * self.doses.gy_per_gbq.sum(2)
        return found

    @property
    def n_draws(self) -> int:
        """Number of joint draws.

        Returns
        -------
        int
        """
        return len(self.doses.gy_per_gbq)

    @property
    def patient(self) -> str:
        """Label of the patient.

        Returns
        -------
        str
        """
        return str(self.doses.labels["patient_id"].iloc[0])


def gather(
    model: "DoseModel",
    sites: pd.DataFrame,
    *,
    limits: Sequence[DoseLimit],
    prescribed_gbq: float,
    n_cycles: int = 6,
    activity_range_gbq: tuple[float, float] = (1.0, 12.0),
    given: pd.DataFrame | None = None,
    kind: str = "new_patient",
    between_cycle: str = "persistent",
    include_identifiers: bool = False,
    hdi_prob: float = 0.95,
    target: str = "tumour",
    random_seed: int | None = None,
) -> Findings:
    """Compute what a sheet shows.

    Parameters
    ----------
    model : DoseModel
        Fitted.
    sites, limits, prescribed_gbq, n_cycles, activity_range_gbq, given, kind, between_cycle
        As in `patient_sheet`.
    include_identifiers, hdi_prob, target, random_seed
        As in `patient_sheet`.

    Returns
    -------
    Findings

    Raises
    ------
    ConfigError
        When an argument has an impossible value.
    PredictionError
        When model or patient do not allow what is asked.
    """
    fitted = model._state()
    limits = check_limits(limits, fitted)
    activity_range_gbq = check_range(activity_range_gbq)
    _check(fitted, sites, limits, prescribed_gbq, hdi_prob, target)
    doses = cycle_doses(
        fitted,
        sites,
        n_cycles,
        kind=kind,
        given=given,
        between_cycle=between_cycle,
        random_seed=random_seed,
    )
    _check_one_patient(doses)
    largest = {
        name: largest_of(limit, doses)
        for name, limit in zip(limit_names(limits), limits, strict=True)
    }
    together = np.min(list(largest.values()), axis=0)
    plan, problem = plan_of(fitted, doses, limits, activity_range_gbq, largest)
    gy = float(prescribed_gbq) * doses.gy_per_gbq.sum(2)
    found = summarise(gy, hdi_prob)
    labels = doses.labels[["patient_id", "site_id", "tissue"]].reset_index(drop=True)
    table = labels.assign(**{name: found[name] for name in ("median", "lower", "upper")})
    update, update_gbq, given_gbq = None, np.nan, ()
    if given is not None:
        activity = given[fitted.encoding.spec.activity].astype(float)
        given_gbq = tuple(activity.unique())
        # measured and predicted doses compare at the activity that was given
        update_gbq = given_gbq[0] if len(given_gbq) == 1 else float(prescribed_gbq)
        update = update_report(
            model,
            sites,
            given,
            activity_gbq=update_gbq,
            between_cycle=between_cycle,
            hdi_prob=hdi_prob,
            random_seed=random_seed,
        )
    everything = doses.frame if given is None else pd.concat([doses.frame, given])
    return Findings(
        fitted=fitted,
        doses=doses,
        names=names_of(fitted, everything, include_identifiers),
        sites=pseudonyms(
            pd.concat([doses.labels, doses.measured])[["patient_id", "site_id", "tissue"]],
            identifiers=include_identifiers,
        ),
        limits=limits,
        within={
            **{name: float((of >= prescribed_gbq).mean()) for name, of in largest.items()},
            "all limits": float((together >= prescribed_gbq).mean()),
        },
        plan=plan,
        problem=problem,
        table=table,
        target=_target(doses, target, float(prescribed_gbq), plan, hdi_prob),
        target_name=target,
        update=update,
        update_gbq=update_gbq,
        given_gbq=given_gbq,
        prescribed_gbq=float(prescribed_gbq),
        activity_range_gbq=activity_range_gbq,
        n_cycles=n_cycles,
        between_cycle=between_cycle,
        hdi_prob=hdi_prob,
        kind=kind,
        random_seed=random_seed,
    )


def _check(
    fitted: Fitted,
    sites: pd.DataFrame,
    limits: tuple[DoseLimit, ...],
    prescribed_gbq: float,
    hdi_prob: float,
    target: str,
) -> None:
    check_activity("prescribed_gbq", prescribed_gbq)
    check_hdi_prob(hdi_prob)
    if len(limits) > MAX_LIMITS:
        raise ConfigError(
            f"limits: got {len(limits)}; a sheet of one page holds at most {MAX_LIMITS}"
        )
    if isinstance(sites, pd.DataFrame) and len(sites) > MAX_SITES:
        raise ConfigError(
            f"sites: has {len(sites)} rows; a sheet is for one patient, of at most {MAX_SITES}"
        )
    if target not in fitted.encoding.tissues:
        raise PredictionError(
            f"target: the model has no tissue {target!r}; pass target= one of "
            f"{', '.join(fitted.encoding.tissues)}, whose dose then stands beside the activities"
        )


def _check_one_patient(doses: CycleDoses) -> None:
    patients = doses.labels["patient_id"].unique()
    if len(patients) != 1:
        raise ConfigError(
            f"sites: has {len(patients)} patients, and a sheet is for one: write one for each"
        )


def _target(
    doses: CycleDoses, target: str, prescribed_gbq: float, plan: Plan | None, hdi_prob: float
) -> pd.DataFrame:
    mine = np.flatnonzero(doses.labels["tissue"] == target)
    names = ["median", "lower", "upper"]
    activities = {"prescribed": prescribed_gbq}
    if plan is not None:
        activities["planned"] = plan.activity_gbq
    if not len(mine):
        return pd.DataFrame(columns=names)
    gy_per_gbq = doses.gy_per_gbq[:, mine].sum(2).mean(1)[:, None]
    found = {name: summarise(a * gy_per_gbq, hdi_prob) for name, a in activities.items()}
    return pd.DataFrame({name: {k: of[k][0] for k in names} for name, of in found.items()}).T
