"""Predicted against measured dose as one SVG a tissue, which works without a script."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.report.page import Drawing, between, number, percent, shown
from bayesdose.report.style import log_limits, words

#: Sites above which a chart would be slow, and is a picture of pixels instead.
MAX_POINTS = 2000
#: Side of the square of a panel and its place, in units of the drawing.
_SIDE, _LEFT, _TOP = 270.0, 46.0, 44.0
_STEPS = ((1, 2, 5), (1, 3), (1,))
_MOST_TICKS = 7


def chart(table: pd.DataFrame, hdi_prob: float) -> Drawing:
    """Every site as a point with its interval; hollow where the interval misses the measured dose.

    Parameters
    ----------
    table : pandas.DataFrame
        patient_id and site_id as they are to be shown, tissue, observed, median, lower, upper
        (Gy); all numbers finite and above 0.
    hdi_prob : float
        Mass of the intervals.

    Returns
    -------
    Drawing
    """
    patients = list(dict.fromkeys(table["patient_id"]))
    tissues = dict.fromkeys(table["tissue"].astype(str))
    of = {patient: str(i) for i, patient in enumerate(patients, 1)}
    panels = [_panel(table[table["tissue"] == t], t, hdi_prob, of) for t in tissues]
    percentage = percent(hdi_prob)
    return Drawing(
        "model_page/chart.html",
        {
            "panels": panels,
            "patients": [(of[patient], patient) for patient in patients],
            "caption": "Each site predicted from the other patients only, against its measured "
            f"dose, both axes logarithmic. Lines: {percentage} intervals. Filled: the interval "
            "holds the measured dose; hollow: it misses it. Points on the dashed line are "
            "predicted exactly. Point at a site, or use Tab and the arrow keys, for its numbers; "
            "Enter makes its patient stand out.",
        },
    )


def _panel(mine: pd.DataFrame, tissue: str, hdi_prob: float, of: dict[str, str]) -> dict[str, Any]:
    low, high = log_limits(mine[["observed", "median", "lower", "upper"]].to_numpy(float))
    start, width = np.log(low), np.log(high / low)

    def along(gy: float) -> float:
        return float(_SIDE * (np.log(gy) - start) / width)

    points = []
    for row in mine.sort_values("observed", kind="stable").itertuples():
        inside = row.lower <= row.observed <= row.upper
        points.append(
            {
                "patient": of[row.patient_id],
                "x": _place(_LEFT + along(row.observed)),
                "y": _place(_TOP + _SIDE - along(row.median)),
                "bottom": _place(_TOP + _SIDE - along(row.lower)),
                "top": _place(_TOP + _SIDE - along(row.upper)),
                "inside": inside,
                "text": _point_text(row, inside, hdi_prob),
            }
        )
    n = sum(point["inside"] for point in points)
    name = shown(words(tissue))
    note = f"{percent(hdi_prob)} interval holds {n} of {len(points)} sites"
    doses = between(mine["observed"].min(), mine["observed"].max())
    medians = between(mine["median"].min(), mine["median"].max())
    return {
        "name": name,
        "note": note,
        "alt": f"{name}: predicted against measured dose. Measured {doses} Gy, predicted medians "
        f"{medians} Gy; {note}, {mine['patient_id'].nunique()} patients.",
        "points": points,
        "side": _SIDE,
        "left": _LEFT,
        "top": _TOP,
        "ticks": [
            (_place(_LEFT + along(gy)), _place(_TOP + _SIDE - along(gy)), f"{gy:g}")
            for gy in ticks(low, high)
        ],
    }


def ticks(low: float, high: float) -> list[float]:
    """Round values of a logarithmic axis, at most seven.

    Parameters
    ----------
    low, high : float
        Ends, above 0.

    Returns
    -------
    list of float
    """
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    found: list[float] = []
    for steps in (tuple(range(1, 10)), *_STEPS):
        found = [step * 10.0**decade for decade in decades for step in steps]
        found = [value for value in found if low <= value <= high]
        if len(found) <= _MOST_TICKS:
            return found
    return found[:: len(found) // _MOST_TICKS + 1]


def _point_text(row: Any, inside: bool, hdi_prob: float) -> str:
    """What a point says; the script breaks lines at semicolons."""
    verdict = "holds it" if inside else "misses it"
    cycle = f", cycle {row.cycle}" if getattr(row, "cycle", 1) not in (1, "") else ""
    return (
        f"{row.patient_id}, {row.site_id}{cycle}; measured {number(row.observed)} Gy; "
        f"predicted {number(row.median)} Gy; {percent(hdi_prob)} interval "
        f"{between(row.lower, row.upper)} Gy {verdict}"
    )


def _place(value: float) -> str:
    return f"{value:.1f}"


def strips(table: pd.DataFrame, measured: Sequence[float] | None) -> list[Drawing]:
    """A small drawing of each interval, all on one logarithmic scale.

    Parameters
    ----------
    table : pandas.DataFrame
        median, lower, upper (Gy).
    measured : sequence of float or None, Gy
        Measured doses, NaN where there is none.

    Returns
    -------
    list of Drawing
    """
    known = np.full(len(table), np.nan) if measured is None else np.asarray(measured, float)
    everything = np.concatenate(
        [table[["median", "lower", "upper"]].to_numpy(float).ravel(), known]
    )
    low, high = log_limits(everything[np.isfinite(everything) & (everything > 0)])

    def along(gy: float) -> str:
        return _place(160 * float(np.log(gy / low) / np.log(high / low)))

    return [
        Drawing(
            "model_page/strip.svg",
            {
                "lower": along(row.lower),
                "upper": along(row.upper),
                "median": along(row.median),
                "measured": along(gy) if np.isfinite(gy) else "",
            },
        )
        for row, gy in zip(table.itertuples(), known, strict=True)
    ]
