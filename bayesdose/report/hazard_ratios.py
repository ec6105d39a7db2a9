"""Forest plot of hazard ratios: terms of one Cox model, or of several side by side."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from bayesdose.errors import ConfigError
from bayesdose.report import style
from bayesdose.report._models import by_name, checked_table, looks_of, wrapped

_RATIOS = ("hazard_ratio", "lower", "upper")
# A table with the log hazard in lower and upper names its ratios so.
_SUMMARY = ("hazard_ratio", "hazard_ratio_lower", "hazard_ratio_upper")
_COLUMNS = ("model", "term", "unit", *_RATIOS, "prob", "prob_above_1")
# Decimals of a hazard ratio at most, where fewer do not tell it from the ends of its interval.
_FINEST = 4
# Intervals are cut, with an arrow, so many times beyond 1 and all estimates.
_FURTHEST = 10.0


def hazard_ratios_data(tables: Mapping[str, pd.DataFrame] | pd.DataFrame) -> pd.DataFrame:
    """Numbers behind `plot_hazard_ratios`.

    Parameters
    ----------
    tables : pandas.DataFrame, or mapping of str to pandas.DataFrame
        Table of a model, or of several by name: columns term, hazard_ratio, lower and upper (of
        the hazard ratio), and optional ones unit (text: of what change the ratio is), prob (of the
        intervals) and prob_above_1; or ``CoxModel.summary()``, with the terms as index,
        hazard_ratio, hazard_ratio_lower and hazard_ratio_upper, and optional columns per and
        prob_above_0 (of the log hazard), which is left out where ``attrs["interval"]`` is
        ``wald``: it is no probability there; or a table that this function made.

    Returns
    -------
    pandas.DataFrame
        A row a model and term: model (empty for one without a name), term, unit (empty without),
        hazard_ratio, lower, upper, prob and prob_above_1 (NaN without, and of Wald's intervals).

    Raises
    ------
    ConfigError
        When a table is empty, lacks a column, names a term twice, or its numbers are not above 0
        and in order.
    """
    if isinstance(tables, pd.DataFrame) and "model" in tables:
        data = checked_table(tables, _COLUMNS, text=("model", "term", "unit"))[list(_COLUMNS)]
        data = data.reset_index(drop=True)
    else:
        parts = [
            _one(table, name)
            for name, table in by_name(tables, "the table of hazard ratios").items()
        ]
        data = pd.concat(parts, ignore_index=True)
    for column in _RATIOS:
        odd = ~(np.isfinite(data[column]) & (data[column] > 0))
        if odd.any():
            row = data[odd].iloc[0]
            raise ConfigError(
                f"{column} of {row['term']!r} is {row[column]}; hazard ratios are finite and above "
                "0. Give exp of a coefficient, and leave terms that could not be estimated out."
            )
    odd = ~((data["lower"] <= data["hazard_ratio"]) & (data["hazard_ratio"] <= data["upper"]))
    if odd.any():
        row = data[odd].iloc[0]
        raise ConfigError(
            f"{row['term']!r}: the hazard ratio {row['hazard_ratio']:g} is not between lower "
            f"{row['lower']:g} and upper {row['upper']:g}; are these of the log hazard?"
        )
    again = data.duplicated(["model", "term"])
    if again.any():
        raise ConfigError(f"term {data['term'][again].iloc[0]!r} is there twice; name each once")
    return data


def plot_hazard_ratios(
    tables: Mapping[str, pd.DataFrame] | pd.DataFrame, *, ax: Axes | None = None
) -> Axes:
    """Draw hazard ratios with their intervals on a logarithmic axis, the numbers at the right.

    An interval that goes on far beyond the others is cut, with an arrow; its numbers are whole.
    They have two decimals, and up to four where two do not tell a ratio from the ends of its
    interval.

    Parameters
    ----------
    tables : pandas.DataFrame, or mapping of str to pandas.DataFrame
        As in `hazard_ratios_data`.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
    """
    data = hazard_ratios_data(tables)
    looks = looks_of(data["model"])
    names = _row_names(data)
    tallest = max(name.count("\n") + 1 for name in names.values())
    pitch = max(0.2 + 0.2 * len(looks), 0.14 + 0.16 * tallest)
    (panel,) = style.panels(1, ax, size=(7.6, 1.5 + pitch * len(names)))
    low, high = _limits(data)
    style.log_ticks(panel, "x", low, high)
    panel.axvline(1, color=style.GREY, linewidth=1, zorder=1)
    rows = {term: len(names) - 1 - i for i, term in enumerate(names)}
    below = {name: 0.2 / pitch * (i - (len(looks) - 1) / 2) for i, name in enumerate(looks)}
    y = data["term"].map(rows) - data["model"].map(below)
    lines = []
    for name, (colour, _) in looks.items():
        mine = data[data["model"] == name]
        _draw_intervals(panel, mine, y[mine.index].to_numpy(), colour)
        (line,) = panel.plot(
            mine["hazard_ratio"],
            y[mine.index],
            linestyle="none",
            marker="s",
            markersize=5.5,
            color=colour,
            markeredgecolor="white",
            markeredgewidth=0.5,
        )
        lines.append((line, style.label(name)))
    _write_numbers(panel, data, y)
    panel.set_ylim(-0.5, len(names) - 0.5)
    panel.set_yticks(list(rows.values()), list(names.values()))
    panel.tick_params(axis="y", length=0)
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("hazard ratio")
    style.title(panel, "Hazard ratios", "above 1: more hazard, so earlier events")
    if len(looks) > 1:
        _legend_below(panel, lines)
    return panel


def _one(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Table of a model in our columns, from either of the forms that are accepted."""
    if isinstance(table, pd.DataFrame) and _SUMMARY[1] in table.columns:
        found = checked_table(table, _SUMMARY)[list(_SUMMARY)].set_axis(_RATIOS, axis=1)
        term, unit, above = table.index, "per", "prob_above_0"
    else:
        found = checked_table(table, ("term", *_RATIOS), text=("term",))[list(_RATIOS)]
        term, unit, above = table["term"], "unit", "prob_above_1"
    wald = table.attrs.get("interval") == "wald"
    found = found.assign(
        model=name,
        term=term.astype(str),
        unit=table[unit].fillna("").astype(str) if unit in table else "",
        prob=table.get("prob", table.attrs.get("prob", np.nan)),
        # of maximum likelihood it would be a one-sided p-value, not a probability
        prob_above_1=np.nan if wald else table.get(above, np.nan),
    )
    return found[list(_COLUMNS)]


def _row_names(data: pd.DataFrame) -> dict[str, str]:
    """Text of each row: the term, and below it the change that its ratio is for."""
    out = {}
    for term, mine in data.groupby("term", sort=False):
        units = list(dict.fromkeys(mine["unit"]))
        if len(units) > 1:
            raise ConfigError(
                f"{term!r} is per {units[0]!r} in one model and per {units[1]!r} in another; "
                "hazard ratios of different changes cannot stand side by side"
            )
        per = units[0] if units[0].startswith("per ") or not units[0] else f"per {units[0]}"
        out[str(term)] = wrapped(str(term)) + (f"\n{style.label(per)}" if per else "")
    return out


def _limits(data: pd.DataFrame) -> tuple[float, float]:
    """Ends of the axis: all estimates and 1, and intervals up to so far beyond them."""
    least, most = min(data["hazard_ratio"].min(), 1.0), max(data["hazard_ratio"].max(), 1.0)
    shown = data[list(_RATIOS)].clip(least / _FURTHEST, most * _FURTHEST)
    return style.log_limits(np.append(shown.to_numpy(), 1.0))


def _draw_intervals(ax: Axes, mine: pd.DataFrame, y: np.ndarray, colour: str) -> None:
    low, high = ax.get_xlim()
    lower, upper = mine["lower"].to_numpy(), mine["upper"].to_numpy()
    ax.hlines(y, np.maximum(lower, low), np.minimum(upper, high), color=colour, linewidth=1.6)
    for cut, marker, end in ((lower < low, "<", low), (upper > high, ">", high)):
        if cut.any():
            ax.plot(
                np.full(int(cut.sum()), end),
                y[cut],
                linestyle="none",
                marker=marker,
                markersize=5,
                color=colour,
                clip_on=False,
            )


def _write_numbers(ax: Axes, data: pd.DataFrame, y: pd.Series) -> None:
    """Numbers to the right of the panel, under their headings."""
    ratios = [_ratio(*row) for row in data[list(_RATIOS)].itertuples(index=False)]
    prob = data["prob"].drop_duplicates()
    percent = f"{100 * prob.iloc[0]:g} % " if len(prob) == 1 and prob.notna().all() else ""
    columns = [[f"HR ({percent}interval)", *ratios]]
    if data["prob_above_1"].notna().any():
        columns.append(["P(HR > 1)", *map(_probability, data["prob_above_1"])])
    right = 8.0
    for heading, *texts in columns:
        ax.annotate(
            heading,
            (1, 1),
            xytext=(right, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=9,
            color="#555555",
        )
        for text, place in zip(texts, y, strict=True):
            ax.annotate(
                text,
                (1, place),
                xytext=(right, 0),
                xycoords=ax.get_yaxis_transform(),
                textcoords="offset points",
                va="center",
                fontsize=9,
                color=style.INK,
            )
        # a character of 9 points is at most so wide on average
        right += 5.5 * max(map(len, [heading, *texts])) + 10


def _ratio(ratio: float, lower: float, upper: float) -> str:
    """Hazard ratio with its interval, with as many decimals as tell the three apart."""
    texts: list[str] = []
    for decimals in range(2, _FINEST + 1):
        texts = [_plain(value, decimals) for value in (ratio, lower, upper)]
        if len(set(texts)) == len(texts):
            break
    return "{} ({} to {})".format(*texts)


def _plain(value: float, decimals: int) -> str:
    """So many decimals near 1, about as many digits further away."""
    if 0.095 <= value < 9.995:
        return f"{value:.{decimals}f}"
    if 10 > value or value >= 99.95:
        return f"{value:.{decimals + 1}g}"
    return f"{value:.{decimals - 1}f}"


def _probability(value: float) -> str:
    """Two decimals, never 0 or 1: draws do not show that something cannot be."""
    if pd.isna(value):
        return ""
    if value < 0.01:
        return "<0.01"
    return ">0.99" if value > 0.99 else f"{value:.2f}"


def _legend_below(ax: Axes, lines: list[tuple[Artist, str]]) -> None:
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    below = ScaledTranslation(0, -0.42, figure.dpi_scale_trans)
    ax.legend(
        [line for line, _ in lines],
        [text for _, text in lines],
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=ax.transAxes + below,
        ncols=min(len(lines), 3),
        frameon=False,
        fontsize=9,
        labelcolor=style.INK,
        handletextpad=0.3,
    )
