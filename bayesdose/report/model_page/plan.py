"""The section with the largest activity at which the stated limits hold, for each patient."""

from typing import Any

import pandas as pd

from bayesdose.report.model_page.findings import Findings
from bayesdose.report.page import (
    Block,
    Column,
    Notice,
    Paragraph,
    Points,
    Section,
    Table,
    between,
    counted,
    number,
    percent,
    shown,
)
from bayesdose.report.style import words


def section(found: Findings) -> Section:
    """Plan, or that no limit was stated.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Section
    """
    heading = "Largest activity within the stated limits"
    if not found.limits:
        said = (
            "No limit on the dose was stated, and none is a default: no activity is planned here. "
            "Limits are stated with limits= or --limits limits.toml."
        )
        return Section("plan", heading, [Notice("note", "No limit stated.", said)])
    if found.plan is None:
        said = f"{found.no_validation} New patients can be planned: give them as new."
        return Section("plan", heading, [Notice("note", "No patients to plan for.", said)])
    cycles = counted(found.n_cycles, "cycle")
    blocks: list[Block] = [
        Paragraph(
            f"For {cycles} of the same activity: the largest activity a cycle at which all of "
            "these limits hold, each patient taken as one of whom no dose was measured."
        ),
        Points([found.names.text(limit.text) for limit in found.limits]),
    ]
    if found.new is None:
        blocks.append(
            Notice(
                "caution",
                "An illustration.",
                "These are patients of the training table: the fit has seen their doses, so that "
                "these activities validate nothing and are no advice.",
            )
        )
    return Section("plan", heading, [*blocks, table(found)])


def table(found: Findings) -> Table:
    """The plan as the page shows it.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Table
    """
    plan = named_plan(found)
    target = shown(words(str(plan.attrs["target"])))
    fixed = number(found.fixed_gbq)
    heads = (
        Column("Patient"),
        Column("Activity a cycle, GBq", numeric=True),
        Column("Limit that binds"),
        Column(f"{target} dose then, Gy", numeric=True),
        Column(f"{target} dose at {fixed} GBq a cycle, Gy", numeric=True),
        Column(f"Limits hold at {fixed} GBq", numeric=True),
        Column("Remarks"),
    )
    rows = [_row(found, row) for row in plan.to_dict("records")]
    prob = percent(plan.attrs["hdi_prob"])
    return Table(
        f"Largest activity for each patient, beside {fixed} GBq",
        heads,
        rows,
        "Activity ± its Monte-Carlo error. "
        f"Doses: mean over the patient's {target} sites, added over the cycles; median and {prob} "
        "interval.",
    )


def named_plan(found: Findings) -> pd.DataFrame:
    """The plan with the names that the report uses.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    pandas.DataFrame
    """
    assert found.plan is not None
    if not found.names.identifiers:
        return found.plan
    names = found.names.trained if found.new is None else found.names.new
    return names.table(found.plan)


def _row(found: Findings, row: dict[Any, Any]) -> tuple[str, ...]:
    remarks = [found.names.text(row[name]) for name in ("problem", "notes") if row[name]]
    return (
        row["patient_id"],
        _activity(row),
        found.names.text(row["binding"] or "–"),
        _dose(row, "planned"),
        _dose(row, "fixed"),
        percent(row["fixed_within"]),
        "; ".join(remarks) or "–",
    )


def _activity(row: dict[Any, Any]) -> str:
    if row["activity_gbq"] != row["activity_gbq"]:
        return "none"
    return f"{number(row['activity_gbq'])} ± {number(row['monte_carlo_error'], 1)}"


def _dose(row: dict[Any, Any], what: str) -> str:
    middle = row[f"{what}_median"]
    if middle != middle:
        return "–"
    return f"{number(middle)} ({between(row[f'{what}_lower'], row[f'{what}_upper'])})"
