"""The section with the predictions of each patient."""

from typing import Any

import pandas as pd

from bayesdose.report.model_page.chart import strips
from bayesdose.report.model_page.findings import HDI_PROB, Findings
from bayesdose.report.page import (
    Block,
    Column,
    Notice,
    Paragraph,
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
    """Predictions of new patients, or those of patients left out.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Section
    """
    heading = "Predictions for each patient"
    table = found.shown
    if table is None:
        said = f"{found.no_validation} New patients can be predicted: give them as new."
        return Section("predictions", heading, [Notice("note", "None here.", said)])
    if found.new is None:
        assert found.lopo is not None
        prob = found.lopo.hdi_prob
        lead = (
            "Patients of the training table, each predicted from the other patients only; the "
            "intervals are for a measurement of the dose. In the drawing, the bar is the interval, "
            "the block the median, the tall line the measured dose; one logarithmic scale for all."
        )
    else:
        prob = HDI_PROB
        lead = (
            "New patients, of whom no dose was measured; the intervals are for the true dose of "
            "the next cycle at the activity in the table. In the drawing, the bar is the interval, "
            "the block the median; one logarithmic scale for all."
        )
    return Section("predictions", heading, [Paragraph(lead), *_tables(found, table, prob)])


def _tables(found: Findings, table: pd.DataFrame, prob: float) -> list[Block]:
    ready = table["median"].notna()
    blocks: list[Block] = []
    if not ready.all():
        n = counted(int((~ready).sum()), "site")
        blocks.append(Notice("caution", "Incomplete.", f"{n} could not be predicted."))
    table = table[ready]
    if table.empty:
        return blocks
    measured = table["observed"] if found.new is None else None
    table = table.assign(strip=strips(table, None if measured is None else measured.tolist()))
    noted = found.new is not None and bool((table["extrapolation"] != "").any())
    heads = _heads(found, prob, several=bool((table["cycle"] != table["cycle"].iloc[0]).any()))
    if noted:
        heads.append(Column("Outside the training data"))
    for patient, mine in table.groupby("patient_id", sort=False):
        rows = [_row(found, row, heads) for row in mine.itertuples()]
        blocks.append(Table(f"Predicted absorbed dose: {patient}", heads, rows))
    return blocks


def _heads(found: Findings, prob: float, *, several: bool) -> list[Column]:
    # a pseudonym says the tissue
    heads = [Column("Site"), *([Column("Tissue")] if found.names.identifiers else [])]
    if several:
        heads.append(Column("Cycle", numeric=True))
    if found.new is None:
        heads.append(Column("Measured, Gy", numeric=True))
    return [
        *heads,
        Column("Predicted median, Gy", numeric=True),
        Column(f"{percent(prob)} interval, Gy", numeric=True),
        Column("Drawn"),
    ]


def _row(found: Findings, row: Any, heads: list[Column]) -> list[Any]:
    has = {head.text for head in heads}
    cells: list[Any] = [row.site_id]
    if "Tissue" in has:
        cells.append(shown(words(str(row.tissue))))
    if "Cycle" in has:
        cells.append(shown(row.cycle))
    if "Measured, Gy" in has:
        cells.append(number(row.observed))
    cells += [number(row.median), between(row.lower, row.upper), row.strip]
    if "Outside the training data" in has:
        cells.append(found.names.text(row.extrapolation) or "no")
    return cells
