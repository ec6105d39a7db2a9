"""Dose-response curves of a binary outcome, with their bands and D50."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from bayesdose.errors import ConfigError
from bayesdose.report import style
from bayesdose.report._models import band, by_name, checked_table, legend, looks_of

_NEEDED = ("dose_gy", "probability", "lower", "upper")
_D50 = ("d50_gy", "d50_lower", "d50_upper")
_COLUMNS = ("model", "kind", *_NEEDED, "prob", *_D50)


def dose_response_data(models: Any, *, kind: str = "new_patient") -> pd.DataFrame:
    """Numbers behind `plot_dose_response`.

    Parameters
    ----------
    models : risk.DoseResponse, mapping of str to risk.DoseResponse, or pandas.DataFrame
        A fitted curve, or several by name; or a table that this function made.
    kind : {"new_patient", "typical_patient"}
        Whose probability.

    Returns
    -------
    pandas.DataFrame
        A row a model and dose of its training range: model (empty for one without a name), kind,
        dose_gy, probability, lower, upper, prob, and d50_gy, d50_lower, d50_upper of the model
        (NaN where its data do not tell it).

    Raises
    ------
    ConfigError
        When it is no such model or table, or one has fewer than two doses.
    """
    if isinstance(models, pd.DataFrame):
        data = checked_table(models, _COLUMNS, text=("model", "kind"))[list(_COLUMNS)]
    else:
        named = by_name(models, "a fitted DoseResponse")
        data = pd.concat([_one(name, model, kind) for name, model in named.items()])
    if data.groupby("model")["dose_gy"].nunique().min() < 2:
        raise ConfigError("a curve needs two doses or more")
    if (data["dose_gy"] <= 0).any():
        raise ConfigError(f"a dose must be above 0 Gy; got {data['dose_gy'].min():g}")
    return data.reset_index(drop=True)


def _one(name: str, model: Any, kind: str) -> pd.DataFrame:
    if not (hasattr(model, "curve") and hasattr(model, "summary")):
        raise ConfigError(
            f"got {type(model).__name__}; give a fitted DoseResponse, or a mapping of them by name"
        )
    curve = model.curve(kind=kind)
    half = model.summary().loc["d50_gy"]
    ends = dict(zip(_D50, half[["median", "lower", "upper"]].astype(float), strict=True))
    curve = curve.assign(model=name, kind=kind, prob=curve.attrs["prob"], **ends)
    return curve[list(_COLUMNS)]


def plot_dose_response(models: Any, ax: Axes | None = None, *, kind: str = "new_patient") -> Axes:
    """Draw the probability of the outcome against the dose, with pointwise bands, and D50.

    Parameters
    ----------
    models
        As in `dose_response_data`.
    ax : Axes, optional
        By default that of a new figure.
    kind
        As in `dose_response_data`.

    Returns
    -------
    Axes
    """
    data = dose_response_data(models, kind=kind)
    (panel,) = style.panels(1, ax, size=(7.4, 4.6))
    low, high = style.log_limits(data["dose_gy"].to_numpy(), margin=0.02)
    style.log_ticks(panel, "x", low, high)
    looks = looks_of(data["model"])
    lines = []
    for name, (colour, dashes) in looks.items():
        mine = data[data["model"] == name].sort_values("dose_gy")
        band(panel, mine["dose_gy"], mine, colour)
        (line,) = panel.plot(
            mine["dose_gy"], mine["probability"], color=colour, linestyle=dashes, linewidth=1.8
        )
        first = mine.iloc[0]
        if low <= first["d50_gy"] <= high:
            panel.plot(first["d50_gy"], 0.5, marker="o", color=colour, markersize=5)
        lines.append((line, _words(name, first)))
    panel.axhline(0.5, color=style.GREY, linewidth=0.8, zorder=1)
    panel.set_ylim(-0.02, 1.02)
    panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    panel.set_xlabel("absorbed dose, Gy")
    panel.set_ylabel("probability of the outcome")
    whose = str(data["kind"].iloc[0]).replace("_", " ")
    percent = f"{100 * float(data['prob'].iloc[0]):g} %"
    style.title(panel, "Dose-response curve", f"{whose}; {percent} bands, at each dose")
    legend(panel, lines)
    return panel


def _words(name: str, row: pd.Series) -> str:
    if np.isnan(row["d50_gy"]):
        half = "D50 not known"
    else:
        half = f"D50 {row['d50_gy']:.3g} Gy\n({row['d50_lower']:.3g} to {row['d50_upper']:.3g})"
    return f"{style.label(name)}\n{half}" if name else half
