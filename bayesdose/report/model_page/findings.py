"""What a report is written from, computed once: validation, scores, predictions, plan."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayesdose.dose.training import Fitted, check_is_table, check_table
from bayesdose.errors import ConfigError
from bayesdose.report.model_page.hiding import Names, names_of
from bayesdose.report.model_page.planned import plan_of
from bayesdose.report.page import counted
from bayesdose.report.scores import score_table

if TYPE_CHECKING:
    from bayesdose.dose.diagnostics import Diagnosis
    from bayesdose.dose.leave_one_out import LeaveOneOut
    from bayesdose.dose.model import DoseModel

#: Rows of predictions, and patients, that one report holds.
MAX_ROWS = 5000
MAX_PATIENTS = 500
MAX_LIMITS = 50
#: Mass of every interval of a report.
HDI_PROB = 0.95

NO_ROWS = (
    "This model was saved without its training rows, so that nothing can be left out and predicted "
    "again. Give the table that it was fitted to (bayesdose report DIR --table TABLE), or save the "
    "model with its rows (include_patients=True)."
)


@dataclass(frozen=True)
class Findings:
    """Everything that a report shows of a model.

    Parameters
    ----------
    model : DoseModel
    names : Names
        What patients, sites and places are called.
    diagnosis : Diagnosis
    lopo : LeaveOneOut or None
        Leave-one-patient-out; None where there is none.
    no_validation : str
        Why there is none; empty where there is.
    scores : pandas.DataFrame or None
        As `bayesdose.report.score_table` makes them.
    predictions : pandas.DataFrame or None
        A row a site, with the table's labels: patient_id, site_id, tissue, cycle, median, lower,
        upper (Gy), and observed (Gy) where they are of the training patients, or extrapolation
        where they are of new ones.
    new : pandas.DataFrame or None
        Table of new patients.
    plan : pandas.DataFrame or None
        A row a patient, as `bayesdose.planning.activity_table` makes it, with the names that the
        report uses; None without limits, or without rows to plan for.
    limits : tuple
        Limits that were stated.
    n_cycles : int
    fixed_gbq : float, GBq
        Activity a cycle that a plan stands beside.
    """

    model: "DoseModel"
    names: Names
    diagnosis: "Diagnosis"
    lopo: "LeaveOneOut | None"
    no_validation: str
    scores: pd.DataFrame | None
    predictions: pd.DataFrame | None
    new: pd.DataFrame | None
    plan: pd.DataFrame | None
    limits: tuple[Any, ...]
    n_cycles: int
    fixed_gbq: float

    @property
    def fitted(self) -> Fitted:
        """The fit.

        Returns
        -------
        Fitted
        """
        return self.model._state()

    @property
    def shown(self) -> pd.DataFrame | None:
        """Predictions with the names that the report uses.

        Returns
        -------
        pandas.DataFrame or None
        """
        if self.predictions is None:
            return None
        names = self.names.trained if self.new is None else self.names.new
        return names.table(self.predictions)


def gather(
    model: "DoseModel",
    *,
    new: pd.DataFrame | None = None,
    limits: Sequence[Any] = (),
    n_cycles: int = 6,
    fixed_gbq: float = 7.4,
    include_identifiers: bool = False,
    lopo: "LeaveOneOut | None" = None,
    progress: bool | None = None,
) -> Findings:
    """Compute what a report shows.

    Parameters
    ----------
    model : DoseModel
        Fitted.
    new, limits, n_cycles, fixed_gbq, include_identifiers, lopo, progress
        As in `bayesdose.report.html`.

    Returns
    -------
    Findings

    Raises
    ------
    ConfigError
        When an argument has an impossible value, or there is more than a report holds.
    BayesdoseError
        When the new patients cannot be predicted, or not be planned.
    """
    fitted = model._state()
    limits = tuple(limits)
    if len(limits) > MAX_LIMITS:
        raise ConfigError(f"limits: got {len(limits)}; a report holds at most {MAX_LIMITS}")
    if new is not None:
        check_is_table(new, "new")
        new = check_table(
            new.drop(columns=[fitted.encoding.spec.response], errors="ignore"),
            fitted.encoding.spec,
            response_required=False,
        )
    _check_size(fitted, new)
    _check_validation(fitted, lopo)
    names = names_of(fitted, new, include_identifiers)
    plan = plan_of(model, names, new, limits, n_cycles, fixed_gbq) if limits else None
    lopo, why = _validation(model, lopo, progress)
    predictions = _predictions(model, new, lopo)
    return Findings(
        model=model,
        names=names,
        diagnosis=model.diagnose(),
        lopo=lopo,
        no_validation=why,
        scores=None if lopo is None else score_table(model, lopo),
        predictions=predictions,
        new=new,
        plan=plan,
        limits=limits,
        n_cycles=n_cycles,
        fixed_gbq=fixed_gbq,
    )


def _check_size(fitted: Fitted, new: pd.DataFrame | None) -> None:
    """Of what would be listed: new patients where they are given, else those of the fit."""
    spec = fitted.encoding.spec
    if new is not None:
        sizes, what = (len(new), new[spec.patient].nunique()), "new"
        way_out = "report them in parts"
    elif fitted.training is not None:
        sizes = (len(fitted.training.rows.tissue), len(fitted.training.rows.patients))
        what, way_out = "the training table", "give the patients to be listed as new"
    else:
        return
    for n, most, of in zip(sizes, (MAX_ROWS, MAX_PATIENTS), ("rows", "patients"), strict=True):
        if n > most:
            raise ConfigError(f"{what} has {n} {of}, and a report lists at most {most}: {way_out}")


def _check_validation(fitted: Fitted, lopo: "LeaveOneOut | None") -> None:
    if lopo is None:
        return
    if lopo.by != fitted.encoding.spec.patient:
        raise ConfigError(
            f"lopo: leaves {lopo.by!r} out; give the result of leave_one_patient_out()"
        )
    if lopo._fitted is not fitted:
        raise ConfigError(
            "lopo: belongs to another fit; give model and model.leave_one_patient_out() of the "
            "same fit"
        )


def _validation(
    model: "DoseModel", lopo: "LeaveOneOut | None", progress: bool | None
) -> tuple["LeaveOneOut | None", str]:
    if lopo is not None:
        return lopo, ""
    fitted = model._state()
    if fitted.training is None:
        return None, NO_ROWS
    n = len(fitted.training.rows.patients)
    if n < 2:
        return None, f"The training table has {counted(n, 'patient')}: nobody can be left out."
    with warnings.catch_warnings():
        # folds that lost something are listed in the report
        warnings.simplefilter("ignore", UserWarning)
        return model.leave_one_patient_out(hdi_prob=HDI_PROB, progress=progress), ""


def _predictions(
    model: "DoseModel", new: pd.DataFrame | None, lopo: "LeaveOneOut | None"
) -> pd.DataFrame | None:
    if new is None:
        return None if lopo is None else lopo.predictions
    with warnings.catch_warnings():
        # the report shows no sd, which may be infinite
        warnings.simplefilter("ignore", UserWarning)
        return model.predict(new, kind="new_patient", target="true", hdi_prob=HDI_PROB)
