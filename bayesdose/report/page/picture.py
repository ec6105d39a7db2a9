"""Pictures of matplotlib as part of a page."""

import io
from base64 import b64encode
from typing import TYPE_CHECKING

import numpy as np

from bayesdose.report.page.blocks import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Sharp on paper and on dense screens, small enough for a page of twenty pictures.
DPI = 130
_CSS_DPI = 96


def png(axes: "Axes | np.ndarray", *, alt: str, caption: str) -> Picture:
    """The figure that some Axes belong to, embedded.

    A picture of pixels carries no text of a table into the page.

    Parameters
    ----------
    axes : Axes or array of Axes
        What a ``plot_`` function returned.
    alt : str
        What is seen, with numbers.
    caption : str
        What it is for.

    Returns
    -------
    Picture
    """
    figure = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()[0].figure
    held = io.BytesIO()
    # without the metadata, which name the software
    figure.savefig(held, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    content = held.getvalue()
    # a PNG states its size in pixels at a fixed place of its header
    width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
    return Picture(
        source=f"data:image/png;base64,{b64encode(content).decode()}",
        width=round(width * _CSS_DPI / DPI),
        height=round(height * _CSS_DPI / DPI),
        alt=alt,
        caption=caption,
    )
