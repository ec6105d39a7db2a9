"""Decision curves of risk models: net benefit of acting on a predicted risk."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from bayesdose.errors import ConfigError
from bayesdose.report import style
from bayesdose.report._models import band, banded, by_name, checked_table, legend, looks_of

_NEEDED = ("threshold", "net_benefit", "lower", "upper", "treat_all", "treat_none")
# Prevalences of one group of patients that differ by more are those of two.
_ROUNDING = 1e-9


def decision_curve_data(curves: Mapping[str, pd.DataFrame] | pd.DataFrame) -> pd.DataFrame:
    """Numbers behind `plot_decision_curve`.

    Parameters
    ----------
    curves : mapping of str to pandas.DataFrame, or pandas.DataFrame
        Results of ``evaluate.decision_curve`` or ``decision_curve_survival`` by name of the model,
        all of the same patients; one of them; or a table that this function made.

    Returns
    -------
    pandas.DataFrame
        A row a model and threshold: model, threshold, net_benefit, lower, upper, treat_all,
        treat_none.

    Raises
    ------
    ConfigError
        When a table is empty, lacks a column or has one threshold, a threshold is not between 0
        and 1, or models have different prevalences, which one line of treating all cannot show.
    """
    if isinstance(curves, pd.DataFrame) and "model" in curves:
        data = checked_table(curves, ("model", *_NEEDED), text=("model",))
    else:
        named = by_name(curves, "the table of decision_curve()")
        tables = [checked_table(table, _NEEDED).assign(model=name) for name, table in named.items()]
        data = pd.concat(tables, ignore_index=True)
    data = data[["model", *_NEEDED]]
    if data.groupby("model")["threshold"].nunique().min() < 2:
        raise ConfigError("a curve needs two thresholds or more; read a single one in its table")
    odd = ~data["threshold"].between(0, 1, inclusive="neither")
    if odd.any():
        raise ConfigError(
            f"a threshold is a probability between 0 and 1; got {data['threshold'][odd].iloc[0]:g}"
        )
    prevalence = data["treat_all"] * (1 - data["threshold"]) + data["threshold"]
    if np.ptp(prevalence) > _ROUNDING:
        raise ConfigError(
            f"prevalences from {prevalence.min():.4g} to {prevalence.max():.4g}: these decision "
            "curves are of different patients; draw each in a picture of its own"
        )
    return data


def plot_decision_curve(
    curves: Mapping[str, pd.DataFrame] | pd.DataFrame, *, ax: Axes | None = None
) -> Axes:
    """Draw net benefit against the threshold, beside treating all and treating none.

    A model is of use where its curve lies above both. The axis ends a little below 0: how far
    treating all falls below treating none does not matter.

    Parameters
    ----------
    curves : mapping of str to pandas.DataFrame, or pandas.DataFrame
        As in `decision_curve_data`.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
    """
    data = decision_curve_data(curves)
    (panel,) = style.panels(1, ax, size=(7.4, 4.6))
    looks = looks_of(data["model"])
    lines = []
    for name, (colour, dashes) in looks.items():
        mine = data[data["model"] == name].sort_values("threshold")
        if name in banded(looks):
            band(panel, mine["threshold"], mine, colour)
        (line,) = panel.plot(
            mine["threshold"], mine["net_benefit"], color=colour, linestyle=dashes, linewidth=1.8
        )
        lines.append((line, style.label(name) or "model"))
    once = data.drop_duplicates("threshold").sort_values("threshold")
    for column, colour in (("treat_all", style.GREY), ("treat_none", style.INK)):
        (line,) = panel.plot(once["threshold"], once[column], color=colour, linewidth=1.4)
        lines.append((line, column.replace("_", " ")))
    top = float(np.nanmax(data[["net_benefit", "upper", "treat_all"]].to_numpy()))
    top = max(top, 0.01)
    panel.set_ylim(-0.15 * top, 1.04 * top)
    ends = once["threshold"].min(), once["threshold"].max()
    room = 0.02 * (ends[1] - ends[0])
    panel.set_xlim(ends[0] - room, ends[1] + room)
    panel.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    panel.set_xlabel("risk from which one would treat")
    panel.set_ylabel("net benefit (cases treated per patient)")
    whose = "bands" if len(banded(looks)) == len(looks) else "band of the first,"
    style.title(panel, "Decision curve", f"{whose} of net benefit at each threshold")
    legend(panel, lines)
    return panel
