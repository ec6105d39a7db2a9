"""What pictures of several models share: their names, looks, bands and legends."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from bayesdose.errors import ConfigError
from bayesdose.report import style
from bayesdose.report.inputs import check_columns

_COLOURS = tuple(style.COLOURS.values())[:7]
_DASHES = ("solid", (0, (5, 2)), (0, (1.2, 1.4)))
#: Curves whose bands can be told apart and whose legend fits inside the panel.
FEW = 3


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
    return names if len(names) <= FEW else names[:1]


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
