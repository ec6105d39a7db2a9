"""`html`: the report of a fitted dose model as one page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayesdose.report.model_page import (
    checks,
    data,
    formula,
    limitations,
    plan,
    posterior,
    predictions,
    priors,
    provenance,
    summary,
    validation,
)
from bayesdose.report.model_page.findings import Findings, gather
from bayesdose.report.page import Page, check_place, sentence, write_page

if TYPE_CHECKING:
    from bayesdose.dose.leave_one_out import LeaveOneOut
    from bayesdose.dose.model import DoseModel

TITLE = "Absorbed dose model: report"
_SECTIONS = (
    summary,
    data,
    formula,
    priors,
    checks,
    posterior,
    validation,
    predictions,
    plan,
    limitations,
    provenance,
)


def html(
    model: "DoseModel",
    path: str | Path,
    *,
    title: str | None = None,
    new: pd.DataFrame | None = None,
    limits: Sequence[Any] = (),
    n_cycles: int = 6,
    fixed_gbq: float = 7.4,
    include_identifiers: bool = False,
    lopo: "LeaveOneOut | None" = None,
    progress: bool | None = None,
) -> Path:
    """Write the report of a fitted dose model as one HTML page that needs no network.

    Patients, sites, centres and scanners are called "Patient 1", "tumour 3", "centre 2", by their
    first appearance, unless their labels are asked for. Labels are shown up to 60 characters.

    Parameters
    ----------
    model : DoseModel
        Fitted; without its training rows the page says what is absent, and why.
    path : str or Path
        File to write, ending in .html; replaced where it is there.
    title : str, optional
        Heading of the page.
    new : pandas.DataFrame, optional
        Site table of new patients to predict; without it those of the training table are shown,
        each predicted from the others.
    limits : sequence of DoseLimit
        Limits that an activity is planned for; none is a default.
    n_cycles : int
        Cycles of the plan.
    fixed_gbq : float, GBq
        Activity a cycle that a plan stands beside.
    include_identifiers : bool
        Whether labels of patients, sites, centres and scanners are shown.
    lopo : LeaveOneOut, optional
        Result of ``model.leave_one_patient_out()``, where it is at hand.
    progress : bool, optional
        Progress bar of refits; by default on a terminal only.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ConfigError
        When an argument has an impossible value, or there are more patients or rows than a report
        holds (500 and 5000).
    BayesdoseError
        When the new patients cannot be predicted, or not be planned.
    """
    place = check_place(path)
    found = gather(
        model,
        new=new,
        limits=limits,
        n_cycles=n_cycles,
        fixed_gbq=fixed_gbq,
        include_identifiers=include_identifiers,
        lopo=lopo,
        progress=progress,
    )
    return write_page(page_of(found, title), place)


def page_of(found: Findings, title: str | None) -> Page:
    """The report as a page.

    Parameters
    ----------
    found : Findings
    title : str or None
        Heading.

    Returns
    -------
    Page
    """
    info = found.fitted.info
    identifiers = (
        "This page shows labels of patients and places: treat it as patient data."
        if found.names.identifiers
        else "Patients, sites and places have other names here than in the table; doses and "
        "ranges are still those of patients."
    )
    return Page(
        title=sentence(title) if title else TITLE,
        lead=f"Fitted to {info['n_sites']} sites of {info['n_patients']} patients on "
        f"{str(info['created_at'])[:10]}; for research only.",
        sections=[module.section(found) for module in _SECTIONS],
        footer=(identifiers, "Research use only. Not a medical device. Fetches nothing."),
    )
