"""Nominal against observed coverage of the intervals."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from bayesdose.errors import ConfigError
from bayesdose.report import style
from bayesdose.report.inputs import check_columns, tissues_of

if TYPE_CHECKING:
    from bayesdose.dose.leave_one_out import LeaveOneOut

_NOMINAL = (50, 80, 95)
# In units of coverage: enough to see the tissues apart, little beside the steps of 0.15 and more.
_DODGE = 0.018


def coverage_data(
    validation: "LeaveOneOut | pd.DataFrame", *, kind: str = "hdi", weights: str = "site"
) -> pd.DataFrame:
    """Numbers behind `plot_coverage`.

    Parameters
    ----------
    validation : LeaveOneOut or pandas.DataFrame
        Result of ``leave_one_patient_out``, or a table as its ``summary`` is.
    kind : {"hdi", "eti"}
        Highest-density or equal-tailed intervals.
    weights : {"site", "patient"}
        What counts 1.

    Returns
    -------
    pandas.DataFrame
        A row a tissue and nominal coverage: tissue, n_sites, n_patients, nominal, coverage,
        lower, upper (95 % interval of the coverage, the patient being the unit).

    Raises
    ------
    ConfigError
        When kind or weights are unknown, or a column is absent.
    """
    for name, value, allowed in (
        ("kind", kind, ("hdi", "eti")),
        ("weights", weights, ("site", "patient")),
    ):
        if value not in allowed:
            raise ConfigError(f"{name}: got {value!r}; allowed are {', '.join(allowed)}")
    table = validation if isinstance(validation, pd.DataFrame) else validation.summary()
    columns = [f"{kind}_coverage_{nominal}" for nominal in _NOMINAL]
    ends = [f"{column}_{end}" for column in columns for end in ("lower", "upper")]
    check_columns(table, ["tissue", "weights", "n_sites", "n_patients", *columns, *ends])
    table = table[table["weights"] == weights]
    rows = [
        {
            "tissue": str(row["tissue"]),
            "n_sites": row["n_sites"],
            "n_patients": row["n_patients"],
            "nominal": nominal / 100,
            "coverage": row[column],
            "lower": row[f"{column}_lower"],
            "upper": row[f"{column}_upper"],
        }
        for row in table.to_dict("records")
        for nominal, column in zip(_NOMINAL, columns, strict=True)
    ]
    return pd.DataFrame(rows)


def plot_coverage(
    validation: "LeaveOneOut | pd.DataFrame",
    *,
    kind: str = "hdi",
    weights: str = "site",
    ax: Axes | None = None,
) -> Axes:
    """Draw observed against nominal coverage; the diagonal is ideal.

    Parameters
    ----------
    validation, kind, weights
        As in `coverage_data`.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
    """
    data = coverage_data(validation, kind=kind, weights=weights)
    (panel,) = style.panels(1, ax, size=(7.4, 5.4))
    tissues = tissues_of(data)
    shift = (np.arange(len(tissues)) - (len(tissues) - 1) / 2) * _DODGE
    panel.plot([0, 1], [0, 1], color=style.GREY, linewidth=1, zorder=1)
    for tissue, offset in zip(tissues, shift, strict=True):
        mine = data[data["tissue"] == tissue]
        first = mine.iloc[0]
        colour = style.colour_of(tissue)
        x = mine["nominal"] + offset
        panel.vlines(x, mine["lower"], mine["upper"], color=colour, linewidth=1.6, alpha=0.6)
        panel.plot(
            x,
            mine["coverage"],
            linestyle="none",
            marker=style.marker_of(tissue),
            markersize=7,
            color=colour,
            markeredgecolor="white",
            label=f"{style.label(style.words(tissue))}\n"
            f"{first['n_sites']} sites, {first['n_patients']} patients",
        )
    panel.set_xlim(0.4, 1.02)
    panel.set_ylim(min(0.4, float(data["lower"].min()) - 0.03), 1.02)
    panel.set_xticks([nominal / 100 for nominal in _NOMINAL])
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    panel.set_xlabel(f"nominal coverage of the {kind.upper()}")
    panel.set_ylabel("observed coverage")
    unit = "every site" if weights == "site" else "every patient"
    style.title(
        panel,
        "Coverage of the predictions",
        f"{unit} counts 1; bars: 95 % intervals with the patient as the unit",
    )
    panel.legend(
        frameon=False,
        fontsize=9,
        labelcolor=style.INK,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        labelspacing=1.0,
    )
    return panel
