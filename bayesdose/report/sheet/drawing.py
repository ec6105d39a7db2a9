"""The table of doses with an interval drawn in each row, on one logarithmic scale."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesdose.report.model_page.chart import ticks
from bayesdose.report.page import Drawing, between, number, percent
from bayesdose.report.sheet.findings import Findings
from bayesdose.report.sheet.rows import Row
from bayesdose.report.sheet.words import plain
from bayesdose.report.style import log_limits

#: Width of a drawing in units of the SVG, without and with columns of a measured cycle.
WIDTH, NARROW = 330.0, 150.0
_HEIGHT = 16.0


def dose_table(found: Findings, rows: Sequence[Row], said: Sequence[str]) -> Drawing:
    """The table.

    Parameters
    ----------
    found : Findings
    rows : sequence of Row
    said : sequence of str
        Which sites stand in a mean.

    Returns
    -------
    Drawing
    """
    width = WIDTH if found.update is None else NARROW
    everything = [value for row in rows for value in (row.lower, row.median, row.upper)]
    drawn = [gy for row in rows for gy, _ in row.limits if gy > 0]
    low, high = log_limits(np.array([*everything, *drawn]), 0.04)

    def along(gy: float) -> float:
        return float(width * np.log(max(gy, low) / low) / np.log(high / low))

    prob = percent(found.hdi_prob)
    limits = f" Limits are drawn at {_listed(drawn)} Gy." if drawn else ""
    return Drawing(
        "sheet/doses.html",
        {
            "caption": f"Dose to each site over {found.n_cycles} cycles of "
            f"{plain(found.prescribed_gbq)} GBq, Gy",
            "median": "Median",
            "interval": f"{prob} interval",
            "updated": found.update is not None,
            "scale": f"Doses in Gy on a logarithmic scale from {between(low, high)}.{limits}",
            "rows": [_drawn(row, along) for row in rows],
            "ticks": _apart([(along(gy), f"{gy:g}") for gy in ticks(low, high)]),
            "width": f"{width:.0f}",
            "height": f"{_HEIGHT:.0f}",
            "note": " ".join([_legend(found, rows), *said]),
        },
    )


def status(row: Row) -> str:
    """How the interval of a row stands to the smallest dose that its limits leave.

    Parameters
    ----------
    row : Row

    Returns
    -------
    str
        Empty without a limit.
    """
    if not row.limits:
        return ""
    least = min(gy for gy, _ in row.limits)
    if row.upper <= least:
        return "below"
    return "above" if row.lower >= least else "crossed"


def _drawn(row: Row, along: Any) -> dict[str, Any]:
    least = min((gy for gy, _ in row.limits), default=np.inf)
    split = min(max(least, row.lower), row.upper)
    return {
        "name": row.name,
        "median": number(row.median),
        "interval": between(row.lower, row.upper),
        "limit": " and ".join(text for _, text in row.limits),
        "status": status(row),
        "measured": row.measured.removesuffix(" implausible"),
        "implausible": row.measured.endswith(" implausible"),
        "before": row.before,
        "after": row.after,
        "lower": f"{along(row.lower):.1f}",
        "split": f"{along(split):.1f}",
        "upper": f"{along(row.upper):.1f}",
        "within": row.lower < split,
        "beyond": row.upper > split,
        "at": f"{along(row.median):.1f}",
        "lines": [f"{along(gy):.1f}" for gy, _ in row.limits],
    }


def _apart(marks: list[tuple[float, str]]) -> list[tuple[str, str]]:
    """Marks whose numbers do not touch."""
    found: list[tuple[str, str]] = []
    end = -np.inf
    for x, text in marks:
        half = 3.5 * len(text)
        if x - half >= end + 5:
            found.append((f"{x:.1f}", text))
            end = x + half
    return found


def _legend(found: Findings, rows: Sequence[Row]) -> str:
    text = "Drawn: bar, the interval; block, the median."
    if any(row.limits for row in rows):
        text += (
            " Tall line with feet: limit, less what was received before; the interval is dashed "
            "beyond it, and lies below, across (crossed) or above the strictest."
        )
    if any(limit.bed_gy is not None for limit in found.limits):
        at = _listed([gy for row in rows for gy, text in row.limits if text.endswith("BED")])
        text += f" A limit in BED is drawn where equal cycles reach it, at {at} Gy."
    if found.update is not None:
        measured = "One cycle: doses"
        if len(found.given_gbq) > 1:
            given = " and ".join(plain(gbq) for gbq in found.given_gbq)
            measured = f"Measured: doses of cycles of {given} GBq. Predicted: doses"
        text += (
            f" {measured} of a cycle of {plain(found.update_gbq)} GBq; predictions are medians "
            f"({percent(found.hdi_prob)} interval), before and after the measurement."
        )
    return text


def _listed(values: Sequence[float]) -> str:
    return ", ".join(dict.fromkeys(number(value) for value in values))
