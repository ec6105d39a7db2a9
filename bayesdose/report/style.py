"""How every picture looks: colours of the tissues, panels, axes in Gy; and writing it to a file.

Figures are made without pyplot, so that no global state is touched and nothing stays open.
"""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from zlib import crc32

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from bayesdose._files import whole_file
from bayesdose.errors import ConfigError

#: Colours of Okabe and Ito, and of Tol, told apart with any common colour vision.
COLOURS = {
    "tumour": "#D55E00",
    "salivary_gland": "#0072B2",
    "kidney": "#009E73",
    "parotid": "#332288",
    "submandibular": "#56B4E9",
    "lacrimal": "#CC79A7",
    "liver": "#E69F00",
    "spleen": "#AA4499",
    "red_marrow": "#882255",
}
_OTHER_COLOURS = ("#4D4D4D", "#8C6D31", "#3B5B92", "#5E8C31")
MARKERS = {"tumour": "o", "salivary_gland": "s", "kidney": "D"}
_OTHER_MARKERS = ("^", "v", "P", "X")

INK = "#222222"
GREY = "#8A8A8A"
PALE = "#E4E4E4"
DPI = 150
MAX_COLUMNS = 3
#: Characters of a label.
_LONGEST = 24
# Decades up to which an axis has these multiples of the powers of 10 as its ticks.
_TICKS = (
    (1.0, (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)),
    (1.6, (1.0, 2.0, 5.0)),
    (3.5, (1.0, 3.0)),
    (np.inf, (1.0,)),
)


def colour_of(tissue: str) -> str:
    """Colour of a tissue, the same in every picture.

    Parameters
    ----------
    tissue : str
        Tissue.

    Returns
    -------
    str
        Hexadecimal colour.
    """
    return COLOURS.get(tissue) or _OTHER_COLOURS[crc32(tissue.encode()) % len(_OTHER_COLOURS)]


def marker_of(tissue: str) -> str:
    """Marker of a tissue, the same in every picture.

    Parameters
    ----------
    tissue : str
        Tissue.

    Returns
    -------
    str
        Marker of matplotlib.
    """
    return MARKERS.get(tissue) or _OTHER_MARKERS[crc32(tissue.encode()) % len(_OTHER_MARKERS)]


def words(tissue: str) -> str:
    """Name of a tissue for people.

    Parameters
    ----------
    tissue : str
        Tissue; empty in a table without tissues.

    Returns
    -------
    str
        ``salivary gland`` for ``salivary_gland``.
    """
    return tissue.replace("_", " ") or "all sites"


def literal(text: str) -> str:
    """Text in which dollar signs are dollars and not the ends of a formula.

    Parameters
    ----------
    text : str
        Such as a title with the name of a tissue.

    Returns
    -------
    str
        Escaped for matplotlib.
    """
    return text.replace("$", r"\$")


def label(text: str) -> str:
    """Label of a table as a picture shows it: literal, and too short to fill the picture.

    Parameters
    ----------
    text : str
        Such as a patient's label.

    Returns
    -------
    str
        At most 24 characters, escaped for matplotlib.
    """
    return literal(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def panels(
    n: int,
    ax: Axes | Sequence[Axes] | np.ndarray | None,
    *,
    size: tuple[float, float] = (3.6, 3.4),
    columns: int = MAX_COLUMNS,
) -> np.ndarray:
    """Axes to draw n panels on: the caller's, or those of a new figure.

    Parameters
    ----------
    n : int
        Number of panels.
    ax : Axes, sequence of Axes or None
        The caller's.
    size : tuple of float
        Width and height of a panel of a new figure, inches.
    columns : int
        Panels side by side in a new figure, at most.

    Returns
    -------
    numpy.ndarray of Axes of shape (n,)
        In reading order.

    Raises
    ------
    ConfigError
        When the caller's Axes are not as many as the panels.
    """
    if ax is not None:
        given = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        if len(given) != n:
            raise ConfigError(
                f"ax: got {len(given)} Axes and the picture has {n} panels; give as many, or none "
                "for a new figure"
            )
        found = given
    else:
        across = min(n, columns)
        down = ceil(n / across)
        figure = Figure(figsize=(size[0] * across, size[1] * down), dpi=DPI, layout="constrained")
        found = np.array([figure.add_subplot(down, across, i + 1) for i in range(n)], object)
    for one in found:
        tidy(one)
    return found


def tidy(ax: Axes) -> None:
    """Take off what carries no information.

    Parameters
    ----------
    ax : Axes
        To change.
    """
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(labelsize=9, color=GREY, labelcolor=INK)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_fontsize(10)
        label.set_color(INK)
    ax.grid(visible=True, color=PALE, linewidth=0.6)
    ax.set_axisbelow(True)


def title(ax: Axes, main: str, note: str = "") -> None:
    """Title at the left, with a note in grey below it.

    Parameters
    ----------
    ax : Axes
        To change.
    main : str
        Title.
    note : str
        One line of figures; empty for none.
    """
    ax.set_title(literal(main), loc="left", fontsize=11, fontweight="bold", pad=20 if note else 7)
    if note:
        ax.annotate(
            literal(note),
            (0, 1),
            xytext=(0, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=9,
            color="#555555",
        )


def log_ticks(ax: Axes, which: str, low: float, high: float) -> None:
    """Logarithmic axis whose ticks are plain numbers, closer where the range is short.

    Parameters
    ----------
    ax : Axes
        To change.
    which : {"x", "y"}
        Axis.
    low, high : float
        Limits, above 0.
    """
    axis = ax.xaxis if which == "x" else ax.yaxis
    getattr(ax, f"set_{which}scale")("log")
    getattr(ax, f"set_{which}lim")(low, high)
    decades = np.log10(high / low)
    if decades < 0.5:
        axis.set_major_locator(FixedLocator(_even_ticks(low, high).tolist()))
    else:
        subs = next(subs for most, subs in _TICKS if decades < most)
        axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def log_limits(values: np.ndarray, margin: float = 0.06) -> tuple[float, float]:
    """Limits of a logarithmic axis that hold all values with some room.

    Parameters
    ----------
    values : numpy.ndarray
        Above 0.
    margin : float
        Room on both sides, as a share of the range.

    Returns
    -------
    tuple of float
        Lower and upper limit.
    """
    low, high = np.log(np.min(values)), np.log(np.max(values))
    room = margin * max(high - low, 0.2)
    return float(np.exp(low - room)), float(np.exp(high + room))


def save_figure(axes: Axes | np.ndarray, path: str | Path) -> None:
    """Write the figure that some Axes belong to, atomically.

    Parameters
    ----------
    axes : Axes or array of Axes
        What a ``plot_`` function returned.
    path : str or Path
        File to write; its ending says the format, such as ``.png``, ``.svg`` or ``.pdf``.

    Raises
    ------
    ConfigError
        When the ending is no format that can be written.
    """
    path = Path(path)
    figure = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()[0].figure
    formats = figure.canvas.get_supported_filetypes()
    kind = path.suffix.lstrip(".").lower()
    if kind not in formats:
        raise ConfigError(
            f"{path}: pictures ending in {path.suffix or 'nothing'} cannot be written; allowed "
            f"are {', '.join(sorted(formats))}"
        )
    with whole_file(path) as partial:
        figure.savefig(partial, format=kind, dpi=DPI, facecolor="white")


def _even_ticks(low: float, high: float) -> np.ndarray:
    step = (high - low) / 4
    base = 10.0 ** np.floor(np.log10(step))
    step = base * min((1, 2, 5, 10), key=lambda k: abs(k * base - step))
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
