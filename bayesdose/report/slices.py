"""Images as they are read, with their regions outlined: projections, and slices through regions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from bayesdose.errors import ConfigError
from bayesdose.measure import Image, Regions
from bayesdose.report import style
from bayesdose.report._picture import (
    LABEL,
    STRIP,
    draw_labels,
    draw_outlines,
    draw_pixels,
    label_width,
    sides_of,
)
from bayesdose.report._views import PLANES, View, contour_table, make_views

#: Longest edges of a picture of a new figure, and the height of its title, inches.
_WIDEST, _TALLEST, _TITLE = 3.0, 4.8, 0.6
#: Height of the colour bar, and the width that it takes, inches.
_BAR, _BAR_WIDTH = 2.0, 0.9


def slices_data(
    image: Image,
    regions: Regions,
    *,
    sites: Sequence[str] | None = None,
    planes: Sequence[str] = tuple(PLANES),
    field_mm: float | None = None,
) -> pd.DataFrame:
    """Numbers behind `plot_slices`.

    Parameters
    ----------
    image : Image
        Axes right, forward and up, as `measure.read_image` gives them.
    regions : Regions
        In the same geometry.
    sites : sequence of str, optional
        site_id of the regions that slices are laid through, each where its area is largest; by
        default the maximum along each line of sight is shown.
    planes : sequence of {"coronal", "axial"}
        Of the slices or projections.
    field_mm : float, optional, mm
        Side of the square about the region that is cut out of a slice, larger where the region
        is; by default all of it is shown.

    Returns
    -------
    pandas.DataFrame
        A row a contour shown: through (the site that the slice is laid through; None for a
        projection), plane, slice (from 0, at the back or at the feet), position_mm (of the slice,
        forward or up, in the middle of the image), site_id, tissue, area_mm2 (of what is shown),
        mean, max (of the pixels in it, in the unit of the image).

    Raises
    ------
    ConfigError
        When image and regions do not fit each other, the axes are others, a site or plane is
        unknown, or a label has no voxel.
    """
    return contour_table(image, regions, make_views(image, regions, sites, planes, field_mm))


def plot_slices(
    image: Image,
    regions: Regions,
    *,
    sites: Sequence[str] | None = None,
    planes: Sequence[str] = tuple(PLANES),
    field_mm: float | None = None,
    units: str | None = None,
    window: tuple[float, float] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw an image with the outlines of its regions, a panel a site and plane.

    High values are black. Pictures are in radiological orientation: the patient's right is on the
    left, an axial slice is seen from the feet. Outlines follow the edges of the voxels.

    Parameters
    ----------
    image, regions, sites, planes, field_mm
        As in `slices_data`.
    units : str, optional
        Of the image, such as ``"SUV"``; by default what its header says.
    window : tuple of float, optional
        Values drawn white and black; by default 0 and the median of the maxima of the regions
        that are looked at, so that the hottest organs are all black and low uptake is seen: the
        arrow of the colour bar says so.
    ax : Axes or sequence of Axes, optional
        One a panel, by site and then plane; by default those of a new figure.

    Returns
    -------
    numpy.ndarray of Axes of shape (n_panels,)

    Raises
    ------
    ConfigError
        As in `slices_data`; when the unit is not known, or Axes are not as many as panels.
    """
    views = make_views(image, regions, sites, planes, field_mm)
    table = contour_table(image, regions, views)
    unit = _unit(image, units)
    low, high = _window(table, window)
    tissues = dict(zip(table["site_id"], table["tissue"], strict=True))
    columns = table["plane"].nunique()
    beside = label_width(views, tissues)
    axes = style.panels(len(views), ax, size=_size(views, beside, columns), columns=columns)
    for panel, view in zip(axes, views, strict=True):
        drawn = draw_pixels(panel, view, low, high)
        draw_outlines(panel, view, tissues)
        style.title(panel, *_titles(view, table))
    _draw_colour_bar(axes, drawn, views, unit)
    # the room that names need depends on the scale, and that on the layout
    axes[0].get_figure(root=True).draw_without_rendering()
    for panel, view in zip(axes, views, strict=True):
        draw_labels(panel, view, tissues, beside)
    return axes


def _unit(image: Image, units: str | None) -> str:
    found = units or (image.scan.units if image.scan is not None else None)
    if found is None:
        raise ConfigError(f"{image.name}: nothing says its unit; give it, such as units='SUV'")
    return found


def _window(table: pd.DataFrame, window: tuple[float, float] | None) -> tuple[float, float]:
    if window is None:
        looked_at = table[table["through"].isna() | (table["through"] == table["site_id"])]
        window = (0.0, float(looked_at["max"].median()))
    low, high = window
    if not (np.isfinite([low, high]).all() and low < high):
        raise ConfigError(
            f"window: white at {low:g} and black at {high:g}; give two finite numbers, the lower "
            "first"
        )
    return float(low), float(high)


def _size(views: list[View], beside: float, columns: int) -> tuple[float, float]:
    """Width and height of a panel that holds every view and its names, inches."""
    width = max(float(np.ptp(view.edges_mm[:2])) for view in views)
    height = max(float(np.ptp(view.edges_mm[2:])) for view in views)
    mm = max(width / _WIDEST, height / _TALLEST)
    names = LABEL * max(len(side) for view in views for side in sides_of(view))
    across = width / mm + 2 * beside + _BAR_WIDTH / columns
    return across, max(height / mm, names) + STRIP + _TITLE


def _titles(view: View, table: pd.DataFrame) -> tuple[str, str]:
    if view.site is None:
        return f"{view.plane} projection", f"maximum intensity, {len(view.shown)} regions"
    mine = table[(table["through"] == view.site) & (table["site_id"] == view.site)]
    row = mine[mine["plane"] == view.plane].iloc[0]
    axis = "xyz"[PLANES[view.plane][0]]
    place = f"{view.position_mm:z.0f}".replace("-", "−")
    return (
        f"{view.site}, {view.plane}",
        f"slice {view.number}, {axis} = {place} mm; {row['area_mm2'] / 100:.3g} cm²",
    )


def _draw_colour_bar(axes: np.ndarray, drawn: AxesImage, views: list[View], unit: str) -> None:
    low, high = drawn.get_clim()
    below = any(np.nanmin(view.pixels) < low for view in views)
    above = any(np.nanmax(view.pixels) > high for view in views)
    figure = axes[0].figure
    bar = figure.colorbar(
        drawn,
        ax=list(axes),
        location="right",
        shrink=min(1.0, _BAR * figure.dpi / figure.bbox.height),
        aspect=14,
        anchor=(0.0, 1.0),
        panchor=False,
        extend={(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above],
    )
    bar.set_label(style.label(unit), fontsize=10, color=style.INK)
    bar.ax.tick_params(labelsize=9, labelcolor=style.INK)
    bar.outline.set_edgecolor(style.GREY)
