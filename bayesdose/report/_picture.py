"""A view of a volume on Axes: grey values, outlines, their names beside them, sides and scale."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from matplotlib.transforms import offset_copy
from scipy.optimize import isotonic_regression

from bayesdose.report import style
from bayesdose.report._views import View

#: Height of a region's name and tissue, the width of one of its letters, and the gap to the
#: picture, inches.
LABEL, _LETTER, _GAP = 0.32, 0.068, 0.12
#: Height of the scale bar and its text under a picture, inches.
STRIP = 0.25
_FONT = 8.5
#: Under coloured lines and black letters, so that they are seen on any grey.
_CASING = [withStroke(linewidth=2.4, foreground="white")]


def draw_pixels(panel: Axes, view: View, low: float, high: float) -> AxesImage:
    """Draw the values of a view, high ones black, and say which side is which.

    Parameters
    ----------
    panel : Axes
    view : View
    low, high : float
        Values drawn white and black.

    Returns
    -------
    AxesImage
    """
    left, right, bottom, top = view.edges_mm
    drawn = panel.imshow(
        view.pixels.T,
        origin="lower",
        extent=(left, right, bottom, top),
        cmap="gray_r",
        vmin=low,
        vmax=high,
        interpolation="nearest",
        aspect="equal",
    )
    # x grows to the patient's right, which is shown on the left
    panel.set_xlim(right, left)
    panel.set_ylim(bottom, top)
    panel.set_anchor("N")
    panel.set_axis_off()
    for letter, x, shift, side in (("R", right, 4, "left"), ("L", left, -4, "right")):
        panel.annotate(
            letter,
            (x, top),
            xytext=(shift, -4),
            textcoords="offset points",
            ha=side,
            va="top",
            fontsize=11,
            fontweight="bold",
            color=style.INK,
            path_effects=_CASING,
            zorder=6,
        )
    _draw_scale_bar(panel, view)
    return drawn


def draw_outlines(panel: Axes, view: View, tissues: dict[str, str]) -> None:
    """Draw the outlines of the regions along the edges of their pixels.

    Parameters
    ----------
    panel : Axes
    view : View
    tissues : dict of str to str
        By site_id.
    """
    for site, mask in view.shown.items():
        edges = pixel_edges(mask, view.edges_mm).tolist()
        for colour, width in (("white", 2.0), (style.colour_of(tissues[site]), 1.1)):
            lines = LineCollection(edges, colors=colour, linewidths=width, capstyle="projecting")
            panel.add_collection(lines, autolim=False)


def pixel_edges(mask: np.ndarray, edges_mm: np.ndarray) -> np.ndarray:
    """Edges between pixels inside and outside.

    Parameters
    ----------
    mask : ndarray of bool of shape (n_right, n_up)
    edges_mm : ndarray of shape (4,), mm
        As of a `View`.

    Returns
    -------
    ndarray of shape (n, 2, 2), mm
        Both ends of n edges.
    """
    left, right, bottom, top = edges_mm.tolist()
    padded = np.pad(mask, 1)
    x = np.linspace(left, right, mask.shape[0] + 1)
    y = np.linspace(bottom, top, mask.shape[1] + 1)
    i, j = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    upright = np.stack([np.stack([x[i], y[j]], -1), np.stack([x[i], y[j + 1]], -1)], 1)
    i, j = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    level = np.stack([np.stack([x[i], y[j]], -1), np.stack([x[i + 1], y[j]], -1)], 1)
    return np.concatenate([upright, level])


def draw_labels(panel: Axes, view: View, tissues: dict[str, str], beside: float) -> None:
    """Name the outlines beside the picture, each with a line to it, and make room for the names.

    Parameters
    ----------
    panel : Axes
        Laid out: its size on paper must be final.
    view : View
    tissues : dict of str to str
        By site_id.
    beside : float, inches
        Room for names on either side; one for all panels, so that they have one scale.
    """
    left, right, bottom, top = view.edges_mm
    sides, outlined = sides_of(view), _outlined(view)
    width, height = _inches(panel)
    most = max(map(len, sides))
    # names that run over the edge, rather than a picture without room
    beside = min(beside, 0.4 * width)
    mm = max((right - left) / (width - 2 * beside), (top - bottom) / (height - STRIP))
    gap = min(LABEL, (height - STRIP) / most) * mm
    reach = max(most * gap, top - bottom) / 2
    low, high = (bottom + top) / 2 - reach, (bottom + top) / 2 + reach
    for sites, edge, sign in zip(sides, (left, right), (-1, 1), strict=True):
        ends = sorted((*_outermost(view, site, sign)[::-1], site) for site in sites)
        heights = _spread([y for y, *_ in ends], gap, low, high)
        for (*_, site), at in zip(ends, heights, strict=True):
            start = edge + sign * _GAP * mm, float(at)
            panel.annotate(
                label_text(site, tissues[site]),
                _clear_end(view, site, outlined & ~view.shown[site], start),
                xytext=start,
                ha="left" if sign < 0 else "right",
                va="center",
                fontsize=_FONT,
                color=style.INK,
                annotation_clip=False,
                arrowprops={
                    "arrowstyle": "-",
                    "relpos": (float(sign > 0), 0.5),
                    "color": style.colour_of(tissues[site]),
                    "linewidth": 0.9,
                    "shrinkA": 1,
                    "shrinkB": 0,
                    "path_effects": _CASING,
                },
            )
    panel.set_xlim(right + beside * mm, left - beside * mm)
    panel.set_ylim(min(low, bottom - STRIP * mm), high)


def label_text(site: str, tissue: str) -> str:
    """Name of a region as a picture shows it.

    Parameters
    ----------
    site : str
        Its site_id.
    tissue : str
        Its tissue.

    Returns
    -------
    str
        Site, and tissue on a second line where it says more.
    """
    first, second = style.label(site), style.label(style.words(tissue))
    return first if first == second else f"{first}\n{second}"


def label_width(views: list[View], tissues: dict[str, str]) -> float:
    """Room that the names of any view need on either side.

    Parameters
    ----------
    views : list of View
    tissues : dict of str to str
        By site_id.

    Returns
    -------
    float, inches
    """
    sites = {site for view in views for site in view.shown}
    lines = [line for site in sites for line in label_text(site, tissues[site]).split("\n")]
    return _LETTER * max(map(len, lines)) + _GAP


def sides_of(view: View) -> tuple[list[str], list[str]]:
    """Sites whose names stand on the patient's left and on the patient's right.

    Parameters
    ----------
    view : View

    Returns
    -------
    tuple of list of str
    """
    middle = (view.pixels.shape[0] - 1) / 2
    outlined = _outlined(view)
    found: tuple[list[str], list[str]] = ([], [])
    for site, mask in view.shown.items():
        i, j = np.nonzero(mask)
        row = (outlined & ~mask)[:, round(j.mean())]
        # the nearer side, but for regions that lie on the way there and not on the other
        near = bool(i.mean() >= middle)
        in_the_way = bool(row[: i.min()].any()), bool(row[i.max() + 1 :].any())
        found[near != (in_the_way[near] and not in_the_way[not near])].append(site)
    return found


def _outlined(view: View) -> np.ndarray:
    """Pixels of any region."""
    found: np.ndarray = np.any([np.zeros(view.pixels.shape, bool), *view.shown.values()], axis=0)
    return found


def _clear_end(
    view: View, site: str, others: np.ndarray, start: tuple[float, float]
) -> tuple[float, float]:
    """Nearest point of an outline that a line reaches through as little of others as can be."""
    ends = pixel_edges(view.shown[site], view.edges_mm).mean(1)
    left, right, bottom, top = view.edges_mm
    lines = start + np.linspace(0, 1, 200)[:, None, None] * (ends - start)
    n = np.array(view.pixels.shape)
    place = np.floor((lines - [left, bottom]) / [right - left, top - bottom] * n).astype(int)
    inside = ((place >= 0) & (place < n)).all(-1)
    i, j = np.moveaxis(np.clip(place, 0, n - 1), -1, 0)
    step = np.hypot(*(ends - start).T)
    crossed = (others[i, j] & inside).mean(0) * step
    x, y = ends[np.lexsort((step, crossed.round(1)))[0]]
    return float(x), float(y)


def _inches(panel: Axes) -> tuple[float, float]:
    """Size that a panel may take, whatever its aspect."""
    figure = panel.figure
    place, whole = panel.get_position(original=True), figure.bbox
    return (
        place.width * whole.width / figure.dpi,
        place.height * whole.height / figure.dpi,
    )


def _outermost(view: View, site: str, sign: int) -> tuple[float, float]:
    """Point of an outline next to the patient's left (-1) or right (1) edge of the picture."""
    i, j = np.nonzero(view.shown[site])
    most = i.max() if sign > 0 else i.min()
    left, right, bottom, top = view.edges_mm
    n_x, n_y = view.pixels.shape
    x = left + (right - left) * (most + (sign > 0)) / n_x
    y = bottom + (top - bottom) * (j[i == most].mean() + 0.5) / n_y
    return float(x), float(y)


def _spread(wanted: list[float], gap: float, low: float, high: float) -> np.ndarray:
    """Ascending heights at least a gap apart, as near to those wanted as can be."""
    if not wanted:
        return np.zeros(0)
    steps = gap * np.arange(len(wanted))
    at = isotonic_regression(np.asarray(wanted) - steps).x
    heights: np.ndarray = np.clip(at, low + gap / 2, high - gap / 2 - steps[-1]) + steps
    return heights


def _draw_scale_bar(panel: Axes, view: View) -> None:
    left, right, bottom, _ = view.edges_mm
    length = _round_length((right - left) / 4)
    below = offset_copy(panel.transData, panel.get_figure(root=True), y=-8, units="points")
    panel.plot(
        [right, right - length],
        [bottom, bottom],
        transform=below,
        color=style.INK,
        linewidth=2.5,
        solid_capstyle="butt",
        clip_on=False,
        scalex=False,
        scaley=False,
    )
    panel.annotate(
        f"{length:g} mm",
        (right - length, bottom),
        xycoords=below,
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=_FONT,
        color=style.INK,
        annotation_clip=False,
    )


def _round_length(most: float) -> float:
    base = 10.0 ** np.floor(np.log10(most))
    return float(base * max(k for k in (1, 2, 5) if k * base <= most))
