"""Calibration of predicted risks: observed against predicted, with what the curve sums up to."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike

from bayesdose.errors import ConfigError
from bayesdose.evaluate._arrays import check_risks
from bayesdose.report import style
from bayesdose.report._models import band, by_name, checked_table, looks_of

_CURVE = ("predicted", "observed", "lower", "upper")
_SUMMARY = (
    "slope",
    "slope_lower",
    "slope_upper",
    "observed_expected",
    "observed_expected_lower",
    "observed_expected_upper",
    "ici",
    "n",
    "n_events",
)
_COLUMNS = ("model", "part", *_CURVE, "count", *_SUMMARY)
_N_BINS = 40
# Share of the panel's height below 0 that the histogram fills.
_STRIP = 0.16


def risk_calibration_data(
    calibration: Any, *, probability: Mapping[str, ArrayLike] | ArrayLike | None = None
) -> pd.DataFrame:
    """Numbers behind `plot_risk_calibration`.

    Parameters
    ----------
    calibration : RiskCalibration, mapping of str to RiskCalibration, or pandas.DataFrame
        Calibration of a model, or of several by name; or a table that this function made.
    probability : array_like of float of shape (n,), or mapping of str to such, optional
        Predicted risks, for a histogram; by the same names where there are several models.

    Returns
    -------
    pandas.DataFrame
        model; part (``curve`` or ``histogram``); predicted, for a bin of the histogram its
        middle; observed, lower, upper (of the curve); count (of the bin); and with each row the
        model's slope, slope_lower, slope_upper, observed_expected, observed_expected_lower,
        observed_expected_upper, ici, n, n_events.

    Raises
    ------
    ConfigError
        When it is no calibration and no such table, or names do not agree.
    BayesdoseError
        When a predicted risk lies outside 0 to 1.
    """
    if isinstance(calibration, pd.DataFrame):
        return checked_table(calibration, _COLUMNS, text=("model", "part"))
    models = by_name(calibration, "the result of a calibration")
    risks = {} if probability is None else by_name(probability, "predicted risks")
    strangers = sorted(risks.keys() - models.keys())
    if strangers:
        raise ConfigError(
            f"probability: got risks of {strangers[0]!r}; the calibrations are of "
            f"{', '.join(map(repr, models))}. Name both alike."
        )
    parts = []
    for name, found in models.items():
        absent = [item for item in (*_SUMMARY, "curve") if not hasattr(found, item)]
        if absent:
            raise ConfigError(
                f"got {type(found).__name__} without {absent[0]!r}; give the result of "
                "evaluate's calibration of risks, or a mapping of such by model"
            )
        curve = checked_table(found.curve, _CURVE)[list(_CURVE)].assign(part="curve")
        if name in risks:
            curve = pd.concat([curve, _histogram(risks[name], name)], ignore_index=True)
        parts.append(curve.assign(model=name, **{item: getattr(found, item) for item in _SUMMARY}))
    return pd.concat(parts, ignore_index=True).reindex(columns=list(_COLUMNS))


def plot_risk_calibration(
    calibration: Any,
    *,
    probability: Mapping[str, ArrayLike] | ArrayLike | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw observed against predicted risk with its band; the diagonal is ideal.

    Below 0 a histogram of the predicted risks, where they are given.

    Parameters
    ----------
    calibration, probability
        As in `risk_calibration_data`.
    ax : Axes or sequence of Axes, optional
        One a model; by default those of a new figure.

    Returns
    -------
    numpy.ndarray of Axes of shape (n_models,)
    """
    data = risk_calibration_data(calibration, probability=probability)
    looks = looks_of(data["model"])
    axes = style.panels(len(looks), ax, size=(4.2, 4.8))
    for panel, (name, (colour, _)) in zip(axes, looks.items(), strict=True):
        mine = data[data["model"] == name]
        most = _limit(mine)
        _draw(panel, mine, colour, most)
        first = mine.iloc[0]
        style.title(
            panel,
            # short; the title itself makes dollar signs literal
            style.label(name).replace(r"\$", "$") or "Calibration",
            f"{first['n_events']:g} events in {first['n']:g}",
        )
        x, y, across, along = _free_corner(mine, most)
        panel.text(
            x,
            y,
            f"slope {_with_interval(first, 'slope')}\n"
            f"O/E {_with_interval(first, 'observed_expected')}\n"
            f"ICI {first['ici']:.3f}",
            transform=panel.transAxes,
            ha=across,
            va=along,
            fontsize=9,
            color=style.INK,
        )
    return axes


def _draw(ax: Axes, mine: pd.DataFrame, colour: str, most: float) -> None:
    curve, bins = (mine[mine["part"] == part] for part in ("curve", "histogram"))
    ax.plot([0, 1], [0, 1], color=style.GREY, linewidth=1, zorder=1)
    band(ax, curve["predicted"], curve, colour)
    ax.plot(curve["predicted"], curve["observed"], color=colour, linewidth=1.8)
    foot = -0.02 * most
    if not bins.empty:
        depth = _STRIP * most
        foot = -1.1 * depth
        ax.axhline(0, color=style.GREY, linewidth=0.8)
        ax.bar(
            bins["predicted"],
            0.85 * depth * bins["count"] / bins["count"].max(),
            width=0.9 * float(np.diff(bins["predicted"]).min()),
            bottom=-depth,
            color=style.GREY,
        )
    ax.set_xlim(-0.02 * most, 1.02 * most)
    ax.set_ylim(foot, 1.02 * most)
    ticks = np.asarray(MaxNLocator(5).tick_values(0, most))
    ticks = ticks[(ticks >= 0) & (ticks <= 1.001 * most)]
    ax.set_xticks(ticks)
    ax.set_yticks(ticks)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    ax.set_xlabel("predicted risk")
    ax.set_ylabel("observed risk")


def _free_corner(mine: pd.DataFrame, most: float) -> tuple[float, float, str, str]:
    """Where the text is, in parts of the panel: above the diagonal unless the band is there."""
    curve = mine[mine["part"] == "curve"]
    left = curve["predicted"] < 0.66 * most
    if (curve[["upper", "observed"]].max(axis=1)[left] < 0.8 * most).all():
        return 0.03, 0.98, "left", "top"
    # above the histogram
    return 0.98, 0.03 if (mine["part"] == "curve").all() else 0.19, "right", "bottom"


def _histogram(risks: ArrayLike, name: str) -> pd.DataFrame:
    given = check_risks(risks, f"probability of {name}" if name else "probability", np.size(risks))
    top = _round_up(float(given.max()))
    count, edges = np.histogram(given, bins=_N_BINS, range=(0, top))
    middle = 0.5 * (edges[1:] + edges[:-1])
    return pd.DataFrame({"part": "histogram", "predicted": middle, "count": count})


def _limit(mine: pd.DataFrame) -> float:
    """End of both axes: where risks are small the picture shows those only."""
    curve = mine[mine["part"] == "curve"]
    most = float(np.nanmax([mine["predicted"].max(), curve["observed"].max()]))
    # of the band as much again: at its ends it may be very wide
    return _round_up(min(max(most, float(curve["upper"].max())), 2 * most))


def _round_up(value: float) -> float:
    return next(end for end in (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 1.0) if value <= end or end == 1)


def _with_interval(row: "pd.Series[Any]", name: str) -> str:
    ends = row[f"{name}_lower"], row[f"{name}_upper"]
    interval = "" if np.isnan(ends).any() else f" ({ends[0]:.2f} to {ends[1]:.2f})"
    return f"{row[name]:.2f}{interval}"
