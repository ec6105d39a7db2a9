"""The plan behind a report: `bayesdose.planning` is told the names that the report uses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayesdose.dose.design import CYCLE
from bayesdose.errors import ConfigError
from bayesdose.report.model_page.hiding import Names

if TYPE_CHECKING:
    from bayesdose.dose.model import DoseModel

_TARGET = "tumour"


def plan_of(
    model: "DoseModel",
    names: Names,
    new: pd.DataFrame | None,
    limits: tuple[Any, ...],
    n_cycles: int,
    fixed_gbq: float,
) -> pd.DataFrame | None:
    """Plan the new patients, or those of the training table.

    Patients and sites are renamed before anything is computed, so that no message of the plan can
    name them otherwise.

    Parameters
    ----------
    model : DoseModel
        Fitted.
    names : Names
        What patients and sites are called.
    new : pandas.DataFrame or None
        Checked table of new patients.
    limits : tuple of DoseLimit
        At least one.
    n_cycles : int
    fixed_gbq : float, GBq

    Returns
    -------
    pandas.DataFrame or None
        As `bayesdose.planning.activity_table` makes it; None without rows to plan for.

    Raises
    ------
    ConfigError
        When an argument has an impossible value, or a limit names sites of several patients.
    PredictionError
        When the model cannot be planned with.
    """
    from bayesdose import planning

    fitted = model._state()
    spec = fitted.encoding.spec
    if new is None and fitted.training is None:
        return None
    frame = fitted.training.frame if new is None else new  # type: ignore[union-attr]
    frame = frame.drop(columns=[spec.response], errors="ignore")
    if new is None and {"site_id", CYCLE} <= set(frame.columns):
        # patients of the fit stand for others: each site once, as it was in its first cycle
        # by position: rows of several tables may have the same index
        numbered = frame.reset_index(drop=True).sort_values(CYCLE, kind="stable")
        first = numbered.drop_duplicates([spec.patient, "site_id"])
        frame = frame.iloc[first.index.sort_values()]
    if not names.identifiers:
        known = names.trained if new is None else names.new
        limits = tuple(_renamed_limit(limit, known.sites) for limit in limits)
        frame = _renamed(frame, spec.patient, known)
    tissues = fitted.encoding.tissues
    table: pd.DataFrame = planning.activity_table(
        model,
        frame,
        list(limits),
        n_cycles,
        fixed_gbq=fixed_gbq,
        target=_TARGET if _TARGET in tissues else tissues[0],
    )
    return table


def _renamed(frame: pd.DataFrame, patient: str, names: Any) -> pd.DataFrame:
    labels = frame[patient].astype(str)
    out = frame.assign(**{patient: labels.map(names.patients)})
    if "site_id" in frame:
        pairs = zip(labels, frame["site_id"], strict=True)
        out["site_id"] = [names.site(*pair) for pair in pairs]
    return out


def _renamed_limit(limit: Any, sites: Mapping[tuple[str, str], str]) -> Any:
    already = getattr(limit, "already_gy", 0.0)
    if not isinstance(already, Mapping):
        return limit
    if len({patient for patient, _ in sites}) > 1:
        raise ConfigError(
            "a limit states already_gy by site, and there are several patients, whose sites may "
            "have the same site_id: report one patient, or give one value"
        )
    of = {site: name for (_, site), name in sites.items()}
    # a site that is not there is for the plan to refuse
    return replace(limit, already_gy={of.get(str(k), str(k)): gy for k, gy in already.items()})
