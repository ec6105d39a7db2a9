"""Activity of one patient's regions over time, with the curves that dose was made of."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayesdose.errors import ConfigError
from bayesdose.measure import TimeActivityFit
from bayesdose.report import style
from bayesdose.report._scans import checked_fits, checked_scans

_DRAWN = ("site_id", "kind", "time_h", "activity_mbq", "lower", "upper")
_NAMES = {
    "mono": "mono-exponential",
    "uptake_clearance": "uptake and clearance",
    "biexponential": "bi-exponential",
}
#: How far beyond the last scan a curve is followed, in times of that scan.
_BEYOND = 1.5
#: Points of a curve between the scans, and on either side of them.
_BETWEEN, _OUTSIDE = 121, 41
#: Share of the lowest scan below which a tail may leave a logarithmic picture.
_LOWEST = 0.1
#: Least ratio of the ends of a logarithmic axis, without its text.
_NARROWEST = 3.0
#: Height of a line of a panel's text, points.
_LINE = 12.0
#: Share of a panel that its text may take from the points.
_MOST_TEXT = 0.6
_SCALES = ("log", "linear")


def time_activity_data(
    points: pd.DataFrame,
    fits: Mapping[str, TimeActivityFit],
    *,
    until_h: float | None = None,
) -> pd.DataFrame:
    """Numbers behind `plot_time_activity`.

    Parameters
    ----------
    points : pandas.DataFrame
        Rows of one patient and cycle of a table as `measure.build_time_activity` makes it: a row
        a region and scan with patient_id, site_id, tissue, cycle, time_h, activity_mbq (at the
        scan, not corrected for decay); optionally activity_cv.
    fits : mapping of str to TimeActivityFit
        By site_id; a site may lack one.
    until_h : float, optional, h
        Where curves end; by default at 1.5 times the last scan.

    Returns
    -------
    pandas.DataFrame
        site_id, kind, time_h (h), activity_mbq, lower, upper (MBq). Rows of the kind ``"scan"``
        are the points with one standard uncertainty of a log-normal activity, missing where
        activity_cv is; ``"curve"`` is the fit between the first and the last scan,
        ``"extrapolated"`` before and after them.

    Raises
    ------
    ConfigError
        When a column is absent, the rows are of several patients or cycles, a number is out of
        range, or a fit belongs to no site.
    """
    scans = checked_scans(points).assign(kind="scan")[list(_DRAWN)]
    found = checked_fits(fits, list(dict.fromkeys(scans["site_id"])))
    end = _end(scans, until_h)
    parts = []
    for site, mine in scans.groupby("site_id", sort=False):
        parts.append(mine)
        if site in found:
            parts.append(_curve(str(site), found[str(site)], mine["time_h"], end))
    return pd.concat(parts, ignore_index=True)


def plot_time_activity(
    points: pd.DataFrame,
    fits: Mapping[str, TimeActivityFit],
    *,
    until_h: float | None = None,
    scale: str = "log",
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw activity over time of one patient and cycle, a panel a site.

    Where no scan stands behind a curve it is dashed, on grey: the share of the time-integrated
    activity (TIA) that lies beyond the last scan is written beside it, with the effective
    half-life and the TIA of the other curves that the points allow.

    Parameters
    ----------
    points, fits, until_h
        As in `time_activity_data`.
    scale : {"log", "linear"}
        Of activity; on ``"log"`` an exponential is a straight line.
    ax : Axes or sequence of Axes, optional
        One a site; by default those of a new figure.

    Returns
    -------
    numpy.ndarray of Axes of shape (n_sites,)

    Raises
    ------
    ConfigError
        As in `time_activity_data`; when the scale is unknown or Axes are not as many as sites.
    """
    if scale not in _SCALES:
        raise ConfigError(f"scale: got {scale!r}; allowed are {', '.join(_SCALES)}")
    data = time_activity_data(points, fits, until_h=until_h)
    tissues = dict(zip(points["site_id"].astype(str), points["tissue"].astype(str), strict=True))
    sites = list(dict.fromkeys(data["site_id"]))
    found = checked_fits(fits, sites)
    axes = style.panels(len(sites), ax, size=(3.7, 3.8))
    for panel, site in zip(axes, sites, strict=True):
        mine, fit = data[data["site_id"] == site], found.get(site)
        _draw(panel, mine, tissues[site])
        lines = [] if fit is None else _lines(fit, _last_scan(mine))
        _write(panel, lines)
        _set_limits(panel, mine, scale, len(lines))
        panel.set_xlim(0, 1.02 * data["time_h"].max())
        curve = "no curve fitted" if fit is None else _NAMES.get(fit.curve, fit.curve)
        style.title(panel, site, f"{style.words(tissues[site])}, {curve}")
    _label_axes(axes, bars=bool(data["lower"].notna().any()))
    if ax is None:
        first = points.iloc[0]
        axes[0].figure.suptitle(
            f"Patient {style.label(str(first['patient_id']))}, cycle {first['cycle']}: "
            "activity over time",
            x=0.01,
            ha="left",
            fontsize=11,
            color=style.INK,
        )
    return axes


def _end(scans: pd.DataFrame, until_h: float | None) -> float:
    last = float(scans["time_h"].max())
    if until_h is None:
        return _BEYOND * last
    if not (np.isfinite(until_h) and until_h >= last):
        raise ConfigError(f"until_h: got {until_h:g} h; the last scan is at {last:g} h")
    return float(until_h)


def _curve(site: str, fit: TimeActivityFit, scans_h: pd.Series, end: float) -> pd.DataFrame:
    first, last = float(scans_h.min()), float(scans_h.max())
    parts = [
        _part(site, fit, kind, np.linspace(low, high, n))
        for kind, low, high, n in (
            ("extrapolated", 0.0, first, _OUTSIDE),
            ("curve", first, last, _BETWEEN),
            ("extrapolated", last, end, _OUTSIDE),
        )
        if low < high
    ]
    return pd.concat(parts, ignore_index=True)


def _part(site: str, fit: TimeActivityFit, kind: str, time_h: np.ndarray) -> pd.DataFrame:
    # an uptake that starts at 0 may round to below it
    activity = np.maximum(fit.activity(time_h), 0.0)
    nothing = np.full(len(time_h), np.nan)
    columns = dict(zip(_DRAWN, (site, kind, time_h, activity, nothing, nothing), strict=True))
    return pd.DataFrame(columns)


def _last_scan(mine: pd.DataFrame) -> float:
    return float(mine.loc[mine["kind"] == "scan", "time_h"].max())


def _lines(fit: TimeActivityFit, last_h: float) -> list[tuple[str, dict[str, Any]]]:
    """Lines of a panel's text, each with how it is written."""
    cv = "" if np.isnan(fit.tia_cv) else f" ± {100 * fit.tia_cv:.1f} %"
    decay = np.exp(-fit.rates_per_h * last_h)
    beyond = float((fit.amplitudes_mbq / fit.rates_per_h * decay).sum()) / fit.tia_mbq_h
    lines: list[tuple[str, dict[str, Any]]] = [
        (f"TIA {_plain(fit.tia_mbq_h)} MBq h{cv}", {}),
        (f"{100 * beyond:.0f} % of it beyond the last scan", {}),
        (f"effective half-life {_plain(fit.effective_half_life_h)} h", {}),
    ]
    if fit.at_physical_limit:
        lines.append(("! tail held at physical decay", {"fontweight": "bold"}))
    for name, tia in fit.alternatives.items():
        change = f"{100 * (tia / fit.tia_mbq_h - 1):+z.0f}".replace("-", "−")
        text = f"{_NAMES.get(name, name)}: TIA {_plain(tia)} ({change} %)"
        lines.append((text, {"color": "#555555"}))
    return [*lines, ("dashed: extrapolated", {"fontstyle": "italic", "color": "#555555"})]


def _plain(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _write(panel: Axes, lines: list[tuple[str, dict[str, Any]]]) -> None:
    for i, (text, look) in enumerate(lines):
        panel.annotate(
            text,
            (1, 1),
            xytext=(-4, -4 - i * _LINE),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8.5,
            **({"color": style.INK} | look),
        )


def _set_limits(panel: Axes, mine: pd.DataFrame, scale: str, n_lines: int) -> None:
    """Limits of activity, with room for the panel's text at the top."""
    scans = mine[mine["kind"] == "scan"]
    high = float(mine[["activity_mbq", "upper"]].max(axis=None))
    height = panel.get_window_extent().height / panel.figure.dpi * 72
    room = min((n_lines * _LINE + 4) / height, _MOST_TEXT)
    if scale == "linear":
        panel.set_ylim(0.0, 1.04 * high / (1.0 - room))
        return
    later = mine[mine["time_h"] >= scans["time_h"].min()]
    low = float(later[["activity_mbq", "lower"]].min(axis=None))
    low = max(low, _LOWEST * float(scans["activity_mbq"].min()))
    # noise is not blown up to fill the panel
    widen = max(1.0, np.sqrt(_NARROWEST * low / high))
    low, high = style.log_limits(np.array([low / widen, high * widen]))
    style.log_ticks(panel, "y", low, low * (high / low) ** (1.0 / (1.0 - room)))


def _draw(panel: Axes, mine: pd.DataFrame, tissue: str) -> None:
    colour = style.colour_of(tissue)
    scans = mine[mine["kind"] == "scan"]
    first, last = scans["time_h"].min(), scans["time_h"].max()
    tail = mine[mine["kind"] == "extrapolated"]
    for part in (tail[tail["time_h"] <= first], tail[tail["time_h"] >= last]):
        if len(part):
            panel.axvspan(
                part["time_h"].min(), part["time_h"].max(), color=style.PALE, alpha=0.6, lw=0
            )
            panel.plot(part["time_h"], part["activity_mbq"], color=colour, lw=1.4, ls=(0, (4, 2)))
    curve = mine[mine["kind"] == "curve"]
    panel.plot(curve["time_h"], curve["activity_mbq"], color=colour, linewidth=1.8)
    panel.plot(
        scans["time_h"],
        scans["activity_mbq"],
        linestyle="none",
        marker=style.marker_of(tissue),
        markersize=5.5,
        color=colour,
        markeredgecolor="white",
        markeredgewidth=0.6,
    )
    # above the markers, which are larger than most of the bars
    panel.vlines(
        scans["time_h"], scans["lower"], scans["upper"], color=style.INK, linewidth=1.2, zorder=3
    )


def _label_axes(axes: np.ndarray, *, bars: bool) -> None:
    for panel in axes:
        panel.set_xlabel("time after the injection (h)")
        place = panel.get_subplotspec()
        if place is None or place.is_first_col():
            panel.set_ylabel("activity (MBq; bars ± 1 SD)" if bars else "activity (MBq)")
