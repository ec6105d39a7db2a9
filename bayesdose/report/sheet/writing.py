"""`patient_sheet`: one printable page for one patient."""

from collections.abc import Sequence
from datetime import date as Date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bayesdose.planning.limits import DoseLimit
from bayesdose.report.page import (
    Block,
    Drawing,
    Notice,
    Page,
    Points,
    Section,
    check_place,
    counted,
    percent,
    shown,
    write_page,
)
from bayesdose.report.sheet import decision
from bayesdose.report.sheet.drawing import dose_table
from bayesdose.report.sheet.findings import Findings, gather
from bayesdose.report.sheet.notes import alarms_of, notes_of
from bayesdose.report.sheet.rows import rows_of
from bayesdose.report.style import words

if TYPE_CHECKING:
    from bayesdose.dose.model import DoseModel

TITLE = "Patient sheet: predicted absorbed dose"


def patient_sheet(
    model: "DoseModel",
    sites: pd.DataFrame,
    path: str | Path,
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
    date: str | Date | None = None,
    random_seed: int | None = None,
) -> Path:
    """Write one page of A4 for one patient: predicted doses against limits, and the activity.

    The page is HTML that needs no network. It is written where no activity keeps the limits too,
    and says so. Up to 20 sites have a row each; of more, tissues without a limit are shown by
    their mean, and the page says which.

    Parameters
    ----------
    model : DoseModel
        Fitted, with an activity.
    sites : pandas.DataFrame
        One row for each site of one patient; see `bayesdose.planning.max_activity`.
    path : str or Path
        File to write, ending in .html; replaced where it is there.
    limits : sequence of DoseLimit
        One to six; none is a default.
    prescribed_gbq : float, GBq
        Activity of each planned cycle as prescribed.
    n_cycles : int
        Cycles to come.
    activity_range_gbq : tuple of float, GBq
        Smallest and largest activity to consider.
    given : pandas.DataFrame, optional
        Measured rows of the patient, such as those of cycle 1, not in training.
    kind, between_cycle
        As in `bayesdose.planning.max_activity`.
    include_identifiers : bool
        Whether labels of patient, sites and places are shown; without it there is a line to write
        the name on.
    hdi_prob : float
        Mass of the highest-density intervals.
    target : str
        Tissue whose mean dose stands beside the activities.
    date : str or datetime.date, optional
        Date of the sheet; without it there is a line to write it on.
    random_seed : int, optional
        Seed; the fit's by default.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ConfigError
        When an argument has an impossible value, or there are several patients.
    PredictionError
        When model or patient lack the tissue of a limit, or the model cannot be planned with.
    """
    place = check_place(path)
    found = gather(
        model,
        sites,
        limits=limits,
        prescribed_gbq=prescribed_gbq,
        n_cycles=n_cycles,
        activity_range_gbq=activity_range_gbq,
        given=given,
        kind=kind,
        between_cycle=between_cycle,
        include_identifiers=include_identifiers,
        hdi_prob=hdi_prob,
        target=target,
        random_seed=random_seed,
    )
    return write_page(page_of(found, "" if date is None else str(date)), place, _own_style())


def page_of(found: Findings, date: str) -> Page:
    """The sheet as a page.

    Parameters
    ----------
    found : Findings
    date : str
        Empty for a line to write it on.

    Returns
    -------
    Page
    """
    rows, said = rows_of(found)
    identifiers = found.names.identifiers
    who = shown(found.patient, 26) if identifiers else ""
    fill = {"lines": [("Patient", who), ("Date", shown(date, 26)), ("Seen by", "")]}
    cycles = counted(found.n_cycles, "cycle")
    doses: list[Block] = [dose_table(found, rows, said)]
    doses += [Notice("caution", word, text) for word, text in alarms_of(found)]
    return Page(
        title=TITLE,
        lead=f"For {cycles} to come: medians and {percent(found.hdi_prob)} intervals of a "
        "statistical model, no decision by themselves.",
        sections=[
            Section(
                "activity",
                "Activity: as prescribed, and the largest within the stated limits",
                [Drawing("sheet/name.html", fill), decision.verdict(found), decision.table(found)],
            ),
            Section("doses", "Predicted doses at the prescribed activity", doses),
            Section("unknown", "What was not known", [Points(notes_of(found))]),
        ],
        footer=_footer(found),
        contents=False,
        sheet=True,
    )


def _footer(found: Findings) -> list[str]:
    import bayesdose

    info, spec = found.fitted.info, found.fitted.encoding.spec
    formula = spec.formula
    by_tissue = (
        [f"{words(name)} ~ {text}" for name, text in formula.items()]
        if not isinstance(formula, str)
        else [formula]
    )
    seed = info["random_seed"] if found.random_seed is None else found.random_seed
    return [
        f"Model: hierarchical {shown(spec.likelihood)} dose model, {shown(info['engine'])} engine, "
        f"fitted to {counted(info['n_patients'], 'patient')}; {shown('; '.join(by_tissue), 260)}. "
        f"bayesdose {bayesdose.__version__}, fit with seed {info['random_seed']} by version "
        f"{shown(info.get('version_bayesdose', 'unknown'))}, predictions with seed {seed}, "
        f"{found.n_draws} draws.",
        "Research use. Not a medical device. Doses of patients are patient data, also without a "
        "name.",
    ]


@cache
def _own_style() -> str:
    return files("bayesdose.report").joinpath("sheet", "sheet.css").read_text("utf-8").strip()
