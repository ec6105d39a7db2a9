"""Kaplan and Meier's curves by risk group, with the numbers at risk beneath."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayesdose.errors import ConfigError
from bayesdose.evaluate.kaplan_meier import ALL, at_risk_of, medians_of
from bayesdose.evaluate.risk_groups import RiskGroups, even_times
from bayesdose.report import style
from bayesdose.report.inputs import check_columns

_NEEDED = ("group", "time", "n_at_risk", "n_events", "n_censored", "survival", "lower", "upper")
_ADDED = ("median", "median_lower", "median_upper", "p_value", "trend_p_value", "learnt_here")
_Line = str | tuple[int, tuple[float, ...]]
# Of Okabe and Ito's and of Tol's sets, from low risk to high; lines differ without colour too.
_COLOURS = ("#0072B2", "#D55E00", "#882255", "#009E73", "#56B4E9", "#4D4D4D")
_LINES: tuple[_Line, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (3, 1, 1, 1)),
    (0, (1.5, 1.2)),
    (0, (9, 2)),
    (0, (6, 1, 1, 1, 1, 1)),
)
# Points of a line of the table, and down to its first.
_ROW = 13.0
_TABLE = 42.0


def kaplan_meier_data(shown: RiskGroups | pd.DataFrame) -> pd.DataFrame:
    """Numbers behind `plot_kaplan_meier`.

    Parameters
    ----------
    shown : RiskGroups or pandas.DataFrame
        Result of ``evaluate.risk_groups``; a table of ``evaluate.kaplan_meier``; or one that this
        function made.

    Returns
    -------
    pandas.DataFrame
        A row a group and time, as ``evaluate.kaplan_meier``, and repeated on the rows: the group's
        median, median_lower and median_upper; p_value and trend_p_value of the log-rank tests (NaN
        for a table of curves); learnt_here: ``quantiles`` or ``tuned`` where the cut-offs were
        learnt on the rows shown, so that groups look too far apart, and otherwise empty.

    Raises
    ------
    ConfigError
        When it is neither, or has more than six groups.
    """
    curves = shown.curves if isinstance(shown, RiskGroups) else shown
    check_columns(curves, _NEEDED)
    n_groups = curves["group"].nunique()
    if n_groups > len(_COLOURS):
        raise ConfigError(
            f"{n_groups} groups cannot be told apart in one picture; draw up to {len(_COLOURS)}, "
            "such as by choosing fewer cut-offs"
        )
    if set(_ADDED) <= set(curves.columns):
        return curves
    medians = medians_of(curves).rename(columns={"lower": "median_lower", "upper": "median_upper"})
    out = curves.merge(medians[["group", *_ADDED[:3]]], on="group", how="left", sort=False)
    if not isinstance(shown, RiskGroups):
        return out.assign(p_value=np.nan, trend_p_value=np.nan, learnt_here="")
    return out.assign(
        p_value=shown.log_rank.p_value,
        trend_p_value=shown.trend.p_value,
        learnt_here=shown.cut_offs.kind if shown.optimistic else "",
    )


def plot_kaplan_meier(
    shown: RiskGroups | pd.DataFrame,
    *,
    unit: str = "",
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw the share free of the event by group, with bands, censoring and numbers at risk.

    Bands are pointwise. Ticks on a curve are rows whose follow-up ends there. Where the cut-off
    was learnt on the rows shown the subtitle says so, and the log-rank p-value of a tuned one,
    which is not valid, is left out.

    Parameters
    ----------
    shown : RiskGroups or pandas.DataFrame
        As in `kaplan_meier_data`.
    unit : str
        Unit of the times, such as ``months``, for the axis.
    ax : Axes or sequence of Axes, optional
        One, with room beneath for a line a group; by default that of a new figure.

    Returns
    -------
    numpy.ndarray of Axes of shape (1,)
    """
    data = kaplan_meier_data(shown)
    axes = style.panels(1, ax, size=(6.2, 4.8))
    panel = axes[0]
    last = float(data["time"].max())
    ticks = even_times(last)
    curves = list(data.groupby("group", sort=False, observed=True))
    looks = _looks(len(curves))
    for (name, curve), (colour, line) in zip(curves, looks, strict=True):
        _draw(panel, curve, colour, line, _legend(str(name), curve))
    panel.set_xlim(0, 1.02 * last)
    panel.set_xticks(ticks)
    panel.set_xlabel(style.literal(f"time ({unit})" if unit else "time"))
    panel.set_ylabel("share free of the event")
    style.title(panel, "Kaplan–Meier", _note(data))
    place, top = _room([curve for _, curve in curves], last)
    panel.set_ylim(0, top)
    panel.set_yticks(np.linspace(0.0, 1.0, 6))
    panel.legend(loc=place, fontsize=8.5, framealpha=0.85, edgecolor="none", handlelength=2.8)
    _numbers_beneath(panel, at_risk_of(data, ticks), [colour for colour, _ in looks])
    return axes


def _looks(n_groups: int) -> list[tuple[str, _Line]]:
    if n_groups == 1:
        return [(style.INK, _LINES[0])]
    # low and high look alike whether or not there is a group between
    chosen = (0, 2) if n_groups == 2 else range(n_groups)
    return [(_COLOURS[k], _LINES[k]) for k in chosen]


def _draw(ax: Axes, curve: pd.DataFrame, colour: str, line: _Line, label: str) -> None:
    when = np.append(0.0, curve["time"])
    share = np.append(1.0, curve["survival"])
    lower, upper = (np.append(np.nan, curve[name]) for name in ("lower", "upper"))
    ax.fill_between(when, lower, upper, step="post", color=colour, alpha=0.14, linewidth=0)
    ax.step(when, share, where="post", color=colour, linestyle=line, linewidth=1.8, label=label)
    ended = curve[curve["n_censored"] > 0]
    ax.plot(
        ended["time"],
        ended["survival"],
        linestyle="none",
        marker="|",
        markersize=6,
        markeredgewidth=0.9,
        color=colour,
    )


def _room(curves: list[pd.DataFrame], last: float) -> tuple[str, float]:
    """Where a legend covers no curve, earlier places first, and the top of the axis.

    Where there is no such place, it is made above the curves.
    """
    when = np.linspace(0.0, last, 200)
    shares = [
        np.append(1.0, curve["survival"])[np.searchsorted(curve["time"], when, side="right")]
        for curve in curves
    ]
    height = 0.08 + 0.08 * len(curves)
    places = {
        "upper right": (0.32, 1.0 - height),
        "lower left": (0.0, 0.0),
        "center right": (0.32, 0.5 - height / 2),
        "lower right": (0.32, 0.0),
    }

    def covered(place: str) -> int:
        left, bottom = places[place]
        across = (when >= left * last) & (when <= (left + 0.68) * last)
        return sum(
            int((across & (share >= bottom) & (share <= bottom + height)).sum()) for share in shares
        )

    free = [place for place in places if not covered(place)]
    return (free[0], 1.03) if free else ("upper right", 1.03 + height)


def _numbers_beneath(ax: Axes, table: pd.DataFrame, colours: list[str]) -> None:
    def write(text: str, time: float, line: int, colour: str, name: bool = False) -> None:
        ax.annotate(
            text,
            (time, 0),
            xycoords=ax.get_xaxis_transform(),
            xytext=(-18 if name else 0, -_TABLE - _ROW * line),
            textcoords="offset points",
            ha="right" if name else "center",
            va="top",
            fontsize=8.5,
            color=colour,
            annotation_clip=False,
        )

    write("at risk", 0, 0, style.GREY, name=True)
    for k, (name, rows) in enumerate(table.groupby("group", sort=False, observed=True)):
        write(style.label(_name(str(name))), 0, k + 1, colours[k], name=True)
        for time, count in zip(rows["time"], rows["n_at_risk"], strict=True):
            write(f"{count}", time, k + 1, style.INK)


def _legend(name: str, curve: pd.DataFrame) -> str:
    row = curve.iloc[0]
    median = "median not reached"
    if np.isfinite(row["median"]):
        lower, upper = _time(row["median_lower"]), _time(row["median_upper"])
        median = f"median {_time(row['median'])} ({lower} to {upper})"
    counts = f"n = {row['n_at_risk']}, {curve['n_events'].sum()} events"
    return f"{style.label(_name(name))} ({counts}): {median}"


def _time(value: float) -> str:
    if not np.isfinite(value):
        return "∞" if value > 0 else "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _note(data: pd.DataFrame) -> str:
    row = data.iloc[0]
    if row["learnt_here"] == "tuned":
        return "cut-off tuned on these rows: curves too far apart, no valid log-rank p"
    if np.isnan(row["p_value"]):
        return ""
    note = f"log-rank {_p(row['p_value'])}"
    if data["group"].nunique() > 2:
        note += f", trend {_p(row['trend_p_value'])}"
    return f"{note}; cut-offs learnt on these rows" if row["learnt_here"] else note


def _p(value: float) -> str:
    if value < 0.001:
        return "p < 0.001"
    if value > 0.99:
        return "p > 0.99"
    return f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def _name(group: str) -> str:
    return "all rows" if group == ALL else group
