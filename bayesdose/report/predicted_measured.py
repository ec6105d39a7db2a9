"""Predicted against measured absorbed dose, with intervals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayesdose.report import style
from bayesdose.report.inputs import predictions_of, tissues_of

if TYPE_CHECKING:
    from bayesdose.dose.leave_one_out import LeaveOneOut

_NEEDED = ("patient_id", "tissue", "observed", "median", "lower", "upper")


def predicted_measured_data(validation: "LeaveOneOut | pd.DataFrame") -> pd.DataFrame:
    """Numbers behind `plot_predicted_measured`.

    Parameters
    ----------
    validation : LeaveOneOut or pandas.DataFrame
        Result of ``leave_one_patient_out``, or a table with patient_id, tissue, observed,
        median, lower and upper (Gy).

    Returns
    -------
    pandas.DataFrame
        A row a site that could be predicted: patient_id, site_id, tissue, cycle (where the table
        has them), observed, median, lower, upper (Gy), inside (whether the interval holds the
        measured dose).

    Raises
    ------
    ConfigError
        When a column is absent.
    """
    table = predictions_of(validation, _NEEDED)
    labels = [name for name in ("patient_id", "site_id", "tissue", "cycle") if name in table]
    out = table[[*labels, "observed", "median", "lower", "upper"]].reset_index(drop=True)
    return out.assign(inside=out["observed"].between(out["lower"], out["upper"]))


def plot_predicted_measured(
    validation: "LeaveOneOut | pd.DataFrame", *, ax: Axes | Sequence[Axes] | None = None
) -> np.ndarray:
    """Draw predicted against measured dose, a panel a tissue, both axes logarithmic.

    Predictions of the identity line are right; intervals that miss the measured dose are drawn
    with a hollow marker.

    Parameters
    ----------
    validation : LeaveOneOut or pandas.DataFrame
        As in `predicted_measured_data`.
    ax : Axes or sequence of Axes, optional
        One a tissue; by default those of a new figure.

    Returns
    -------
    numpy.ndarray of Axes of shape (n_tissues,)
    """
    data = predicted_measured_data(validation)
    tissues = tissues_of(data)
    axes = style.panels(len(tissues), ax, size=(3.6, 4.2))
    percent = _percent(validation)
    for panel, tissue in zip(axes, tissues, strict=True):
        mine = data[data["tissue"] == tissue]
        _draw(panel, mine, tissue)
        style.title(
            panel,
            style.words(tissue),
            f"{percent} holds {mine['inside'].sum()} of {len(mine)} sites, "
            f"{mine['patient_id'].nunique()} patients",
        )
        panel.set_xlabel("measured dose (Gy)")
    axes[0].set_ylabel("predicted dose (Gy)")
    return axes


def _draw(ax: Axes, mine: pd.DataFrame, tissue: str) -> None:
    colour, marker = style.colour_of(tissue), style.marker_of(tissue)
    low, high = style.log_limits(mine[["observed", "median", "lower", "upper"]].to_numpy())
    ax.plot([low, high], [low, high], color=style.GREY, linewidth=1, zorder=1)
    ax.vlines(
        mine["observed"], mine["lower"], mine["upper"], color=colour, alpha=0.35, linewidth=1.2
    )
    for inside, face in ((True, colour), (False, "white")):
        part = mine[mine["inside"] == inside]
        ax.plot(
            part["observed"],
            part["median"],
            linestyle="none",
            marker=marker,
            markersize=4.5,
            markerfacecolor=face,
            markeredgecolor=colour if not inside else "white",
            markeredgewidth=1.3 if not inside else 0.4,
        )
    style.log_ticks(ax, "x", low, high)
    style.log_ticks(ax, "y", low, high)
    ax.set_box_aspect(1)


def _percent(validation: object) -> str:
    prob = getattr(validation, "hdi_prob", None)
    return "the interval" if prob is None else f"{100 * prob:g} % HDI"
