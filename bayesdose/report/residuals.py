"""Log residuals of left-out patients against what they should not depend on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayesdose.errors import ConfigError
from bayesdose.evaluate import calibration_line
from bayesdose.report import style
from bayesdose.report.inputs import predictions_of, tissues_of

if TYPE_CHECKING:
    from bayesdose.dose.leave_one_out import LeaveOneOut

_NEEDED = ("patient_id", "tissue", "observed", "median")
_AXIS = {"median": "predicted dose (Gy)", "volume_ml": "volume of the PET region (mL)"}


def residuals_data(
    validation: "LeaveOneOut | pd.DataFrame",
    *,
    against: str = "median",
    sites: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Numbers behind `plot_residuals`.

    Parameters
    ----------
    validation : LeaveOneOut or pandas.DataFrame
        Result of ``leave_one_patient_out``, or a table with patient_id, tissue, observed and
        median (Gy).
    against : str
        ``"median"``, or a column of positive numbers of ``sites``, such as ``"volume_ml"``.
    sites : pandas.DataFrame, optional
        The training table, whose index the predictions have.

    Returns
    -------
    pandas.DataFrame
        A row a site: patient_id, tissue, x, residual (log measured minus log predicted), trend
        (least-squares line of the residual on log x in its tissue), slope, slope_lower,
        slope_upper (of that line, with its 95 % interval over patients; repeated on the rows).

    Raises
    ------
    ConfigError
        When the column is not there or not positive, or the rows do not match.
    """
    table = predictions_of(validation, _NEEDED)
    x = _abscissa(table, against, sites)
    out = table[["patient_id", "tissue"]].assign(
        x=x, residual=np.log(table["observed"] / table["median"])
    )
    parts = []
    for tissue in tissues_of(out):
        mine = out[out["tissue"] == tissue]
        log_x = np.log(mine["x"])
        line = calibration_line(mine["residual"], log_x, mine["patient_id"].astype(str))
        parts.append(
            mine.assign(
                trend=line.intercept + line.slope * log_x,
                slope=line.slope,
                slope_lower=line.slope_lower,
                slope_upper=line.slope_upper,
            )
        )
    return pd.concat(parts, ignore_index=True)


def plot_residuals(
    validation: "LeaveOneOut | pd.DataFrame",
    *,
    against: str = "median",
    sites: pd.DataFrame | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw measured over predicted dose against the prediction or a column, a panel a tissue.

    Both axes are logarithmic, so that the height of a point is its log residual. The line is the
    least-squares trend; without one, what remains does not depend on what is below.

    Parameters
    ----------
    validation, against, sites
        As in `residuals_data`.
    ax : Axes or sequence of Axes, optional
        One a tissue; by default those of a new figure.

    Returns
    -------
    numpy.ndarray of Axes of shape (n_tissues,)
    """
    data = residuals_data(validation, against=against, sites=sites)
    tissues = tissues_of(data)
    axes = style.panels(len(tissues), ax, size=(3.7, 3.5))
    low, high = style.log_limits(np.exp(np.append(data["residual"], [-0.7, 0.7])))
    for panel, tissue in zip(axes, tissues, strict=True):
        mine = data[data["tissue"] == tissue].sort_values("x")
        colour = style.colour_of(tissue)
        panel.axhline(1, color=style.GREY, linewidth=1)
        panel.plot(
            mine["x"],
            np.exp(mine["residual"]),
            linestyle="none",
            marker=style.marker_of(tissue),
            markersize=4.5,
            color=colour,
            markeredgecolor="white",
            markeredgewidth=0.4,
        )
        panel.plot(mine["x"], np.exp(mine["trend"]), color=colour, linewidth=1.4)
        style.log_ticks(panel, "x", *style.log_limits(mine["x"].to_numpy()))
        style.log_ticks(panel, "y", low, high)
        panel.set_xlabel(_AXIS.get(against, against))
        style.title(panel, style.words(tissue), _slope(mine.iloc[0]))
    axes[0].set_ylabel("measured / predicted dose")
    return axes


def _slope(row: pd.Series) -> str:
    if np.isnan(row["slope"]):
        return "no trend: all values are equal"
    text = f"log–log slope {_number(row['slope'])}"
    if np.isnan(row["slope_lower"]):
        return text
    return f"{text} ({_number(row['slope_lower'])} to {_number(row['slope_upper'])})"


def _number(value: float) -> str:
    return f"{value:z.2f}".replace("-", "−")


def _abscissa(table: pd.DataFrame, against: str, sites: pd.DataFrame | None) -> np.ndarray:
    if against in table.columns:
        found = table[against]
    elif sites is None or against not in sites.columns:
        where = (
            "the predictions have" if sites is None else "neither the predictions nor sites have"
        )
        raise ConfigError(
            f"against={against!r}: {where} no such column; give the training table as sites="
        )
    elif not sites.index.is_unique or not table.index.isin(sites.index).all():
        raise ConfigError(
            "sites: its index is not that of the training table, so that rows cannot be matched; "
            "give the table that the model was fitted to"
        )
    else:
        found = sites.loc[table.index, against]
    values = pd.to_numeric(found, errors="coerce").to_numpy(float)
    if not (values > 0).all():
        where = table.index[int(np.argmin(values > 0))]
        raise ConfigError(
            f"against={against!r}: row {where} is not a number above 0, which a logarithmic "
            "axis needs"
        )
    return values
