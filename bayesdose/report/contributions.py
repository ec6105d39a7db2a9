"""What each feature adds to a predicted log odds: bars of all patients, or of one, and a swarm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure

from bayesdose.errors import ConfigError
from bayesdose.report import style
from bayesdose.report._models import checked_table, wrapped

_BARS = ("feature", "mean_absolute", "n_rows")
_STEPS = ("feature", "contribution", "start", "end")
_SWARM = ("feature", "row", "contribution", "value", "rank")
_UP, _DOWN = style.COLOURS["tumour"], style.COLOURS["salivary_gland"]
# From low to high, apart for every colour vision; grey is left for what has no rank.
_LOW_TO_HIGH = LinearSegmentedColormap.from_list("low to high", ["#0072B2", "#AA4499", "#E69F00"])
# Diameters of the dots of a swarm, points, and the share of a feature's height that they may fill.
_DIAMETERS = (6.5, 5.5, 4.5, 3.5, 3.0)
_FILLED = 0.84


def contributions_data(
    contributions: pd.DataFrame | pd.Series,
    *,
    modalities: Mapping[str, str] | None = None,
    base: float = 0.0,
) -> pd.DataFrame:
    """Numbers behind `plot_contributions`.

    Parameters
    ----------
    contributions : pandas.DataFrame of shape (n_rows, n_features) or pandas.Series, log odds
        Contribution of each feature to the log odds of each row, such as Shapley values; a Series,
        or a table of one row, for one patient; or a table that this function made.
    modalities : mapping of str to str, optional
        Modality of each feature; the contributions of a modality's features are summed, row by
        row.
    base : float, log odds
        Log odds that the contributions of one patient are added to.

    Returns
    -------
    pandas.DataFrame
        Of several rows: feature (or modality), mean_absolute (mean over rows of the absolute
        contribution, log odds), n_rows; largest first. Of one row: feature, contribution, start,
        end (log odds before and after it, from `base`); largest in size first.

    Raises
    ------
    ConfigError
        When the table is empty, holds no numbers, or a feature has no modality.
    """
    if isinstance(contributions, pd.DataFrame):
        for columns in (_BARS, _STEPS):
            if list(contributions.columns) == list(columns):
                return checked_table(contributions, columns, text=("feature",), gaps=False)
    table = _checked(contributions)
    if modalities is not None:
        without = [name for name in table.columns if name not in modalities]
        if without:
            raise ConfigError(
                f"modalities: feature {without[0]!r} has none ({len(without)} such features)"
            )
        names = [modalities[name] for name in table.columns]
        table = table.T.groupby(names, sort=False).sum().T
    size = table.abs().mean().sort_values(ascending=False, kind="stable")
    features = [str(name) for name in size.index]
    if len(table) > 1:
        return pd.DataFrame(
            {"feature": features, "mean_absolute": size.to_numpy(), "n_rows": len(table)}
        )
    values = table.iloc[0][size.index].to_numpy(float)
    ends = base + np.cumsum(values)
    starts = np.concatenate([[base], ends[:-1]])
    return pd.DataFrame({"feature": features, "contribution": values, "start": starts, "end": ends})


def plot_contributions(
    contributions: pd.DataFrame | pd.Series,
    *,
    modalities: Mapping[str, str] | None = None,
    base: float = 0.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw how much each feature moves the log odds: the mean size, or one patient's steps.

    Parameters
    ----------
    contributions, modalities, base
        As in `contributions_data`.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
    """
    data = contributions_data(contributions, modalities=modalities, base=base)
    (panel,) = style.panels(1, ax, size=(6.4, 1.3 + 0.36 * len(data)))
    y = np.arange(len(data))[::-1]
    if "mean_absolute" in data:
        size = data["mean_absolute"]
        panel.barh(y, size, height=0.68, color=_DOWN)
        for place, value in zip(y, size, strict=True):
            _number(panel, value, place, f"{value:.2f}", "left")
        panel.set_xlim(0, 1.15 * float(size.max()) or 1.0)
        panel.set_xlabel("mean size of the contribution (log odds)")
        style.title(panel, "Contributions", f"{data['n_rows'].iloc[0]} rows")
    else:
        _draw_steps(panel, data, y)
    _name_rows(panel, [wrapped(name) for name in data["feature"]], y)
    return panel


def contributions_beeswarm_data(
    contributions: pd.DataFrame, values: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Numbers behind `plot_contributions_beeswarm`.

    Parameters
    ----------
    contributions : pandas.DataFrame of shape (n_rows, n_features), log odds
        Contribution of each feature to the log odds of each row; or, without `values`, a table
        that this function made.
    values : pandas.DataFrame of shape (n_rows, n_features)
        Value of each feature in each row, with the same index and features: numbers, ordered
        categories, which count in their own order, or text and categories without an order.

    Returns
    -------
    pandas.DataFrame
        A row a feature and row, features of largest mean size first: feature, row (label),
        contribution, value, rank (of the value among the rows of its feature, from 0 to 1, ties
        alike; NaN where it is missing, and where values have no order).

    Raises
    ------
    ConfigError
        When the table is empty, holds no numbers, or both tables differ in shape or labels.
    """
    if values is None:
        made = checked_table(contributions, _SWARM, text=("feature", "row", "value"))
        return checked_table(made, _SWARM, text=("feature", "row", "value", "rank"), gaps=False)
    table = _checked(contributions)
    if not isinstance(values, pd.DataFrame) or values.shape != table.shape:
        raise ConfigError(
            f"values must be a table of shape {table.shape}, as the contributions are; got "
            f"{getattr(values, 'shape', type(values).__name__)}"
        )
    if not (values.index.equals(table.index) and set(values.columns) == set(table.columns)):
        raise ConfigError(
            "values and contributions must have the same rows, in the same order, and the same "
            "features: their labels differ"
        )
    size = table.abs().mean().sort_values(ascending=False, kind="stable")
    parts = [
        pd.DataFrame(
            {
                "feature": str(name),
                "row": table.index,
                "contribution": table[name].to_numpy(float),
                "value": values[name].to_numpy(object),
                "rank": _ranks(values[name]),
            }
        )
        for name in size.index
    ]
    return pd.concat(parts, ignore_index=True)


def plot_contributions_beeswarm(
    contributions: pd.DataFrame, values: pd.DataFrame | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw the contribution of each feature to each row as dots, coloured by the feature's value.

    Dots lie at their contribution and move up or down so that none covers another; nothing about
    this is random. Where a feature has too many rows of like contributions for dots that can be
    seen, a dot stands for several neighbouring rows, at their mean contribution and mean rank, and
    the feature's label says for how many at most. The layout is for the present size of the Axes.
    Missing values, and those of text or of categories without an order, are grey; the key says so.

    Parameters
    ----------
    contributions, values
        As in `contributions_beeswarm_data`.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
    """
    data = contributions_beeswarm_data(contributions, values)
    features = list(dict.fromkeys(data["feature"]))
    most = int(data.groupby("feature").size().max())
    (panel,) = style.panels(
        1, ax, size=(7.4, 1.5 + (0.52 if most <= 200 else 0.66) * len(features))
    )
    y = np.arange(len(features))[::-1]
    low, high = float(data["contribution"].min()), float(data["contribution"].max())
    room = 0.04 * (high - low) or 0.5
    panel.set_xlim(low - room, high + room)
    panel.set_xlabel("contribution (log odds)")
    panel.axvline(0, color=style.GREY, linewidth=1, zorder=1)
    style.title(panel, "Contributions", f"{most} rows, coloured by the feature's value")
    _colour_bar(panel, min(0.8, 4 / len(features)), _grey_text(data))
    # the widest labels there may be, so that the panel does not become smaller after the layout
    _name_rows(panel, [f"{wrapped(name)}\n{_dots_text(most)}" for name in features], y)
    swarms = _swarms(panel, [data[data["feature"] == name] for name in features])
    for swarm, place in zip(swarms, y, strict=True):
        colours = _LOW_TO_HIGH(swarm.rank)
        colours[np.isnan(swarm.rank)] = to_rgba(style.GREY)
        panel.scatter(
            swarm.x,
            place + swarm.offset,
            s=(0.94 * swarm.diameter) ** 2,
            c=colours,
            linewidths=0,
            zorder=3,
        )
    _name_rows(
        panel,
        [
            wrapped(name) + (f"\n{_dots_text(swarm.rows)}" if swarm.rows > 1 else "")
            for name, swarm in zip(features, swarms, strict=True)
        ],
        y,
    )
    return panel


@dataclass(frozen=True)
class _Swarm:
    """Dots of one feature: contribution, offset in rows of the picture, rank; rows of a dot."""

    x: np.ndarray
    offset: np.ndarray
    rank: np.ndarray
    rows: int
    diameter: float


def _swarms(ax: Axes, parts: list[pd.DataFrame]) -> list[_Swarm]:
    """Lay out each feature's dots, all of one diameter: the largest at which half of them fit."""
    root = ax.get_figure(root=True)
    assert isinstance(root, Figure)
    root.draw_without_rendering()
    box = ax.get_window_extent()
    points = 72.0 / root.dpi
    left, right = ax.get_xlim()
    per_unit = box.width * points / (right - left)
    height = box.height * points / len(parts)
    sorted_parts = [part.sort_values(["contribution", "rank"], kind="stable") for part in parts]
    at = [part["contribution"].to_numpy() * per_unit for part in sorted_parts]
    diameter = next(
        (d for d in _DIAMETERS if np.mean([_crowd(x, d) <= _lanes(height, d) for x in at]) >= 0.5),
        _DIAMETERS[-1],
    )
    lanes = _lanes(height, diameter)
    out = []
    for part, x in zip(sorted_parts, at, strict=True):
        rank = part["rank"].to_numpy(float)
        # fewer rows a dot could not do
        rows = max(_crowd(x, diameter) // (lanes + 1), 1)
        while _crowd(_merged(x, x, rows, diameter), diameter) > lanes:
            rows += 1
        place = _merged(x, x, rows, diameter)
        out.append(
            _Swarm(
                place / per_unit,
                _lane_of(place, diameter, lanes) * diameter / height,
                _merged(x, rank, rows, diameter),
                rows,
                diameter,
            )
        )
    return out


def _lanes(height: float, diameter: float) -> int:
    """Odd number of dots on top of one another that a feature's row holds."""
    return 2 * max(int((_FILLED * height / diameter - 1) / 2), 0) + 1


def _crowd(x: np.ndarray, diameter: float) -> int:
    """Most dots that would cover one another in a single lane; x rises."""
    return int((np.arange(x.size) - np.searchsorted(x, x - diameter, side="right")).max()) + 1


def _lane_of(x: np.ndarray, diameter: float, lanes: int) -> np.ndarray:
    """Lane of each dot, 0 in the middle: the first one free, which needs no more than `_crowd`."""
    order = np.array([(i + 1) // 2 * (1 if i % 2 else -1) for i in range(lanes)])
    last = np.full(lanes, -np.inf)
    out = np.empty(x.size, dtype=int)
    for i, place in enumerate(x):
        lane = int(np.argmax(last <= place - diameter))
        last[lane] = place
        out[i] = order[lane]
    return out


def _merged(x: np.ndarray, values: np.ndarray, rows: int, diameter: float) -> np.ndarray:
    """Means of values over so many neighbours, never across a gap wider than a dot."""
    if rows == 1:
        return values
    begins = np.concatenate([[True], np.diff(x) > diameter])
    segment = np.cumsum(begins) - 1
    within = np.arange(x.size) - np.flatnonzero(begins)[segment]
    group = np.cumsum(begins | (within % rows == 0)) - 1
    known = ~np.isnan(values)
    n, n_known = np.bincount(group), np.bincount(group, weights=known)
    sums = np.bincount(group, weights=np.where(known, values, 0.0))
    # grey where half or more of a dot's values are missing
    return np.where(2 * n_known > n, sums / np.maximum(n_known, 1), np.nan)


def _ranks(values: pd.Series) -> np.ndarray:
    """Ranks from 0 to 1 of numbers, or of categories in their order; NaN where there is none."""
    values = values.infer_objects()
    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        codes = values.cat.codes
        found = codes.where(codes >= 0).astype(float)
    elif pd.api.types.is_numeric_dtype(values):
        found = values.astype(float)
    else:
        return np.full(len(values), np.nan)
    rank = found.rank(method="average").to_numpy(float)
    low, high = np.nanmin(rank, initial=np.inf), np.nanmax(rank, initial=-np.inf)
    return (rank - low) / (high - low) if high > low else rank * 0.0 + 0.5


def _checked(contributions: Any) -> pd.DataFrame:
    """Contributions as a table of finite numbers, a Series as its only row."""
    if isinstance(contributions, pd.Series):
        contributions = contributions.to_frame().T.infer_objects()
    if not isinstance(contributions, pd.DataFrame):
        raise ConfigError(
            f"got {type(contributions).__name__}; give contributions as a table with a row a "
            "patient and a column a feature"
        )
    if contributions.empty:
        raise ConfigError(f"the contributions are empty, shape {contributions.shape}")
    again = contributions.columns[contributions.columns.astype(str).duplicated()]
    if len(again):
        raise ConfigError(f"feature {again[0]!r} is there twice; name each feature once")
    checked_table(contributions, list(contributions.columns), gaps=False)
    odd = ~np.isfinite(contributions.to_numpy(float))
    if odd.any():
        row, column = np.argwhere(odd)[0]
        raise ConfigError(
            f"contributions must be finite; row {contributions.index[row]!r} has "
            f"{contributions.iloc[row, column]} of {contributions.columns[column]!r}"
        )
    return contributions


def _draw_steps(ax: Axes, data: pd.DataFrame, y: np.ndarray) -> None:
    """Bars from the base to the log odds of one patient, one below the other."""
    colours = np.where(data["contribution"] >= 0, _UP, _DOWN)
    ax.barh(y, data["contribution"], left=data["start"], height=0.68, color=colours)
    low = float(data[["start", "end"]].min().min())
    high = float(data[["start", "end"]].max().max())
    span = high - low or 1.0
    for place, end, value in zip(y, data["end"], data["contribution"], strict=True):
        if place > 0:
            ax.plot([end, end], [place - 1.34, place + 0.34], color=style.GREY, linewidth=0.8)
        text = f"{value:+.2f}".replace("-", "−")
        _number(ax, end, place, text, "left" if value >= 0 else "right")
    base, end = float(data["start"].iloc[0]), float(data["end"].iloc[-1])
    ax.axvline(base, color=style.GREY, linewidth=1, zorder=0.6)
    ax.set_xlim(low - 0.2 * span, high + 0.2 * span)
    ax.set_xlabel("change of the log odds" if base == 0 else "log odds")
    style.title(ax, "Contributions", f"log odds from {base:.2f} to {end:.2f}".replace("-", "−"))


def _number(ax: Axes, x: float, y: float, text: str, side: str) -> None:
    ax.annotate(
        text,
        (x, y),
        xytext=(4 if side == "left" else -4, 0),
        textcoords="offset points",
        ha=side,
        va="center",
        fontsize=9,
        color=style.INK,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
    )


def _name_rows(ax: Axes, names: list[str], y: np.ndarray) -> None:
    ax.set_yticks(y, names)
    ax.set_ylim(-0.5, len(names) - 0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")


def _dots_text(rows: int) -> str:
    return f"a dot: up to {rows} rows"


def _grey_text(data: pd.DataFrame) -> str:
    """What grey dots are, a line each."""
    unranked, missing = data["rank"].isna(), data["value"].isna()
    lines = {"missing: grey": missing, "no order: grey": unranked & ~missing}
    return "\n".join(text for text, rows in lines.items() if rows.any())


def _colour_bar(ax: Axes, share: float, grey: str) -> None:
    """Key of the colours at the right, over a share of the height, and of the grey below."""
    foot = 0.9 - share
    strip = ax.inset_axes((1.03, foot, 0.02, share))
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    bar = figure.colorbar(ScalarMappable(cmap=_LOW_TO_HIGH), cax=strip, ticks=[0, 1])
    bar.ax.set_yticklabels(["low", "high"], fontsize=9, color=style.INK)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
    if grey:
        ax.annotate(
            grey,
            (1.03, foot),
            xytext=(0, -8),
            va="top",
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=8,
            color=style.GREY,
            annotation_clip=False,
        )
