"""ROC curves of risk models; and what the pictures of several models have in common."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from bayesdose.errors import ConfigError
from bayesdose.evaluate.roc import auc
from bayesdose.evaluate.roc_curve import roc_curve
from bayesdose.report import style
from bayesdose.report.inputs import check_columns

_POINTS = ("threshold", "false_positive_rate", "sensitivity", "lower", "upper")
_AREAS = ("prob", "auc", "auc_lower", "auc_upper", "n_cases", "n_controls")
_COLOURS = tuple(style.COLOURS.values())[:7]
_DASHES = ("solid", (0, (5, 2)), (0, (1.2, 1.4)))
# Curves whose bands can be told apart and whose legend fits inside the panel.
_FEW = 3


def roc_data(
    scores: Mapping[str, Sequence[Any]] | Sequence[Any] | pd.DataFrame,
    *,
    prob: float = 0.95,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Numbers behind `plot_roc`.

    Parameters
    ----------
    scores : mapping of str to tuple, tuple, or pandas.DataFrame
        By name of the model, or for one model without a name: labels (1 for cases) and scores,
        each array_like of shape (n,), and as a third, where patients have several rows, the
        patient of each row; or a table that this function made.
    prob : float
        Probability of the band at each false positive rate, and of the interval of the area.
    random_seed : int
        Seed of the band's draws.

    Returns
    -------
    pandas.DataFrame
        A row a model and threshold: model, the columns of `evaluate.roc_curve`, prob, auc,
        auc_lower, auc_upper (DeLong's), n_cases, n_controls.

    Raises
    ------
    ConfigError
        When it is no labels with scores and no such table.
    BayesdoseError
        As for `evaluate.roc_curve`.
    """
    if isinstance(scores, pd.DataFrame):
        return checked_table(scores, ("model", *_POINTS, *_AREAS), text=("model",))
    parts = []
    for name, given in by_name(scores, "labels with scores").items():
        if not isinstance(given, tuple | list) or len(given) not in (2, 3):
            raise ConfigError(
                f"model {name!r}: give (labels, scores) or (labels, scores, patients); got "
                f"{type(given).__name__}"
            )
        y_true, score, groups = (*given, None)[:3]
        area = auc(y_true, score, groups=groups, prob=prob)
        curve = roc_curve(y_true, score, groups=groups, prob=prob, random_seed=random_seed)
        found = (prob, area.auc, area.lower, area.upper, area.n_cases, area.n_controls)
        curve = curve.assign(**dict(zip(_AREAS, found, strict=True)))
        curve.insert(0, "model", name)
        parts.append(curve)
    return pd.concat(parts, ignore_index=True)


def plot_roc(
    scores: Mapping[str, Sequence[Any]] | Sequence[Any] | pd.DataFrame,
    *,
    prob: float = 0.95,
    random_seed: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draw ROC curves with their pointwise bands; the areas are in the legend.

    Parameters
    ----------
    scores, prob, random_seed
        As in `roc_data`.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
    """
    data = roc_data(scores, prob=prob, random_seed=random_seed)
    looks = looks_of(data["model"])
    (panel,) = style.panels(1, ax, size=(5.2, 5.4) if len(looks) <= _FEW else (7.6, 5.4))
    panel.plot([0, 1], [0, 1], color=style.GREY, linewidth=1, zorder=1)
    lines = []
    for name, (colour, dashes) in looks.items():
        mine = data[data["model"] == name]
        first = mine.iloc[0]
        rate = mine["false_positive_rate"]
        if name in banded(looks):
            band(panel, rate, mine, colour)
        (line,) = panel.plot(
            rate, mine["sensitivity"], color=colour, linestyle=dashes, linewidth=1.8
        )
        interval = f" ({first['auc_lower']:.2f} to {first['auc_upper']:.2f})"
        area = f"AUC {first['auc']:.2f}{interval if pd.notna(first['auc_lower']) else ''}"
        lines.append((line, with_name(name, area)))
    panel.set_xlim(-0.01, 1.01)
    panel.set_ylim(-0.01, 1.01)
    panel.set_box_aspect(1)
    panel.set_xlabel("false positive rate (1 − specificity)")
    panel.set_ylabel("sensitivity")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    percent = f"{100 * float(data['prob'].iloc[0]):g} %"
    whose = "bands" if len(looks) <= _FEW else "band of the first"
    style.title(panel, "ROC curve", f"{counts_of(data)}; {percent} intervals, {whose} pointwise")
    legend(panel, lines, inside="lower right" if len(looks) <= _FEW else None)
    return panel


def counts_of(data: pd.DataFrame) -> str:
    """Say how many cases and controls the models saw.

    Parameters
    ----------
    data : pandas.DataFrame
        With n_cases and n_controls.

    Returns
    -------
    str
        Ranges where models differ.
    """
    text = []
    for name, word in (("n_cases", "cases"), ("n_controls", "controls")):
        low, high = int(data[name].min()), int(data[name].max())
        text.append(f"{low if low == high else f'{low} to {high}'} {word}")
    return ", ".join(text)


def by_name(given: Any, what: str) -> dict[str, Any]:
    """What was given for each model; one without a name has an empty one.

    Parameters
    ----------
    given : mapping or anything else
        By model, or for one.
    what : str
        What the error says is missing.

    Returns
    -------
    dict of str to anything

    Raises
    ------
    ConfigError
        When the mapping is empty.
    """
    if not isinstance(given, Mapping):
        return {"": given}
    if not given:
        raise ConfigError(f"got an empty mapping; give {what} of a model, or a mapping of models")
    return {str(name): value for name, value in given.items()}


def checked_table(
    table: Any, needed: Sequence[str], *, text: Sequence[str] = (), gaps: bool = True
) -> pd.DataFrame:
    """Return a table that has rows, the columns that a picture needs, and numbers in them.

    Parameters
    ----------
    table : pandas.DataFrame
        The caller's.
    needed : sequence of str
        Columns.
    text : sequence of str
        Those among them that hold no numbers.
    gaps : bool
        Whether numbers may be missing.

    Returns
    -------
    pandas.DataFrame
        The same.

    Raises
    ------
    ConfigError
        When one of these is not so.
    """
    if not isinstance(table, pd.DataFrame):
        raise ConfigError(
            f"got {type(table).__name__}; give a table with the columns {', '.join(needed)}"
        )
    check_columns(table, needed)
    if table.empty:
        raise ConfigError("the table has no rows: nothing to draw")
    for name in (name for name in needed if name not in text):
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise ConfigError(
                f"column {name!r} must hold numbers; got {table[name].dtype}, such as "
                f"{table[name].iloc[0]!r}"
            )
        if not gaps and table[name].isna().any():
            row = table.index[int(np.flatnonzero(table[name].isna())[0])]
            raise ConfigError(f"column {name!r} has no number in row {row!r}; leave that row out")
    return table


def looks_of(models: pd.Series) -> dict[str, tuple[str, Any]]:
    """Colour and dashes of each model, by its place among them.

    Parameters
    ----------
    models : pandas.Series of str
        Model of each row of a table.

    Returns
    -------
    dict of str to tuple
        In order of appearance; colours come again, dashed, after seven.
    """
    n = len(_COLOURS)
    return {
        name: (_COLOURS[i % n], _DASHES[i // n % len(_DASHES)])
        for i, name in enumerate(dict.fromkeys(models))
    }


def banded(looks: Mapping[str, Any]) -> list[str]:
    """Models whose bands can be told apart: up to three, of more the first.

    Parameters
    ----------
    looks : mapping of str to anything
        By model, in order.

    Returns
    -------
    list of str
    """
    names = list(looks)
    return names if len(names) <= _FEW else names[:1]


def band(ax: Axes, x: pd.Series, ends: pd.DataFrame, colour: str) -> None:
    """Draw a pale band between two ends.

    Parameters
    ----------
    ax : Axes
        To draw on.
    x : pandas.Series
        Abscissae.
    ends : pandas.DataFrame
        With lower and upper.
    colour : str
        Of the model.
    """
    ax.fill_between(
        x, ends["lower"], ends["upper"], color=colour, alpha=0.15, linewidth=0, zorder=1.5
    )


def with_name(name: str, numbers: str) -> str:
    """Text of a legend: a model's name above its numbers.

    Parameters
    ----------
    name : str
        Model; empty where there is one without a name.
    numbers : str
        A line.

    Returns
    -------
    str
        Escaped for matplotlib.
    """
    return f"{style.label(name)}\n{numbers}" if name else numbers


def wrapped(text: str) -> str:
    """Label of a row of a picture: up to two lines, literal.

    Parameters
    ----------
    text : str
        Such as the name of a feature.

    Returns
    -------
    str
        At most 24 characters a line, escaped for matplotlib.
    """
    first, *rest = wrap(text, 24, break_on_hyphens=False) or [""]
    return "\n".join([style.literal(first), *([style.label(" ".join(rest))] if rest else [])])


def legend(
    ax: Axes, lines: Sequence[tuple[Artist, str]], *, inside: Literal["lower right"] | None = None
) -> None:
    """Legend of some lines.

    Parameters
    ----------
    ax : Axes
        To change.
    lines : sequence of tuple of (Artist, str)
        Each with its text, which may begin with an underscore.
    inside : {"lower right"}, optional
        Place in the panel; by default to the right of it.
    """
    ax.legend(
        [line for line, _ in lines],
        [text for _, text in lines],
        loc=inside or "upper left",
        bbox_to_anchor=None if inside else (1.0, 1.0),
        frameon=bool(inside),
        framealpha=0.85,
        edgecolor="none",
        fontsize=9,
        labelcolor=style.INK,
        labelspacing=0.8,
    )
