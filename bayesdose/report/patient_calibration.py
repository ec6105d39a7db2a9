"""Joint calibration of each patient: the squared length of its whitened residuals."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from bayesdose.evaluate import whitened_residuals
from bayesdose.report import style
from bayesdose.report.inputs import check_columns, scored_draws

if TYPE_CHECKING:
    from bayesdose.dose.leave_one_out import LeaveOneOut

_NEEDED = ("patient_id", "n_sites", "chi2", "p_value")


def patient_calibration_data(
    validation: "LeaveOneOut | pd.DataFrame", *, prob: float = 0.95
) -> pd.DataFrame:
    """Numbers behind `plot_patient_calibration`.

    Parameters
    ----------
    validation : LeaveOneOut or pandas.DataFrame
        Result of ``leave_one_patient_out``, or a table that `evaluate.whitened_residuals` made.
    prob : float
        Mass of the reference interval.

    Returns
    -------
    pandas.DataFrame
        A row a patient: patient_id, n_sites, chi2, chi2_per_site, lower, upper (central interval
        of chi-squared with n_sites degrees of freedom, over n_sites), p_value (rank among joint
        draws; assumes no distribution).

    Raises
    ------
    ConfigError
        When it is no validation and no such table.
    """
    if isinstance(validation, pd.DataFrame):
        check_columns(validation, _NEEDED)
        found = validation
    else:
        table, draws = scored_draws(validation)
        found = whitened_residuals(
            np.log(table["observed"].to_numpy(float)),
            np.log(draws),
            table["patient_id"].astype(str).to_numpy(),
        )
    n = found["n_sites"].to_numpy()
    ends = stats.chi2.ppf([[(1 - prob) / 2], [(1 + prob) / 2]], n) / n
    return found.assign(chi2_per_site=found["chi2"] / n, lower=ends[0], upper=ends[1])


def plot_patient_calibration(
    validation: "LeaveOneOut | pd.DataFrame", *, prob: float = 0.95, ax: Axes | None = None
) -> Axes:
    """Draw how far each left-out patient lies from its joint prediction, all sites together.

    Parameters
    ----------
    validation, prob
        As in `patient_calibration_data`.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
    """
    data = patient_calibration_data(validation, prob=prob)
    labels = [_label(row) for row in data.itertuples()]
    # the title's note needs the panel's width, whatever the labels take
    width = 7.2 + 0.08 * max(0, max(map(len, labels)) - 14)
    (panel,) = style.panels(1, ax, size=(width, 1.4 + 0.34 * len(data)))
    y = np.arange(len(data))[::-1]
    panel.hlines(y, data["lower"], data["upper"], color=style.PALE, linewidth=9)
    panel.axvline(1.0, color=style.GREY, linewidth=1)
    outside = (data["p_value"] < (1 - prob)).to_numpy()
    for flagged, face in ((False, style.INK), (True, "white")):
        at = outside == flagged
        panel.plot(
            data["chi2_per_site"][at],
            y[at],
            linestyle="none",
            marker="o",
            markersize=6,
            markerfacecolor=face,
            markeredgecolor=style.INK,
        )
    values = data[["chi2_per_site", "lower", "upper"]].to_numpy()
    style.log_ticks(panel, "x", *style.log_limits(np.maximum(values, 0.02)))
    panel.set_yticks(y, labels)
    panel.set_ylim(-0.7, len(data) - 0.3)
    panel.grid(visible=False, axis="y")
    for at, p_value in zip(y, data["p_value"], strict=True):
        panel.annotate(
            f"p = {p_value:.2f}" if p_value >= 0.005 else f"p = {p_value:.1g}",
            (1, at),
            xytext=(6, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=style.INK,
        )
    panel.set_xlabel("squared length of the whitened log residuals, per site")
    style.title(
        panel,
        "Joint calibration of each left-out patient",
        f"bars: {100 * prob:g} % range of Gaussian predictions; p: rank among joint draws, "
        f"hollow below {1 - prob:.2g}",
    )
    return panel


def _label(row: object) -> str:
    patient, n = getattr(row, "patient_id", ""), int(getattr(row, "n_sites", 0))
    return f"{style.label(str(patient))}  ({n} site{'s' if n != 1 else ''})"
