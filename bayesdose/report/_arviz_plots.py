"""The only module that touches ArviZ's plots; its Axes are ours, so that no pyplot is involved."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from arviz_plots import PlotCollection


def trace(
    draws: xr.Dataset,
    axes: Sequence[Axes] | np.ndarray,
    colours: Sequence[str],
    diverging: np.ndarray | None,
) -> None:
    """Draw ArviZ's ``plot_trace``, a variable on each Axes.

    Parameters
    ----------
    draws : xarray.Dataset of dims (chain, draw)
        Scalar parameters.
    axes : sequence of Axes
        One a parameter.
    colours : sequence of str
        Of the chains.
    diverging : numpy.ndarray of bool of shape (chain, draw), optional
        Divergent transitions, marked at the bottom.
    """
    import arviz_plots

    groups = {"posterior": draws}
    if diverging is not None:
        groups["sample_stats"] = xr.Dataset(
            {"diverging": (("chain", "draw"), diverging)}, coords=draws.coords
        )
    arviz_plots.plot_trace(
        xr.DataTree.from_dict(groups),
        plot_collection=_collection(draws, axes, colours),
        backend="matplotlib",
        visuals={"trace": {"width": 0.5, "alpha": 0.7}, "title": False},
    )


def rank(
    draws: xr.Dataset, axes: Sequence[Axes] | np.ndarray, colours: Sequence[str], prob: float
) -> None:
    """Draw ArviZ's ``plot_rank``, a variable on each Axes.

    Parameters
    ----------
    draws : xarray.Dataset of dims (chain, draw)
        Scalar parameters.
    axes : sequence of Axes
        One a parameter.
    colours : sequence of str
        Of the chains.
    prob : float
        Level of the uniformity test, as a probability of passing it.
    """
    import arviz_plots

    arviz_plots.plot_rank(
        xr.DataTree.from_dict({"posterior": draws}),
        plot_collection=_collection(draws, axes, colours),
        backend="matplotlib",
        envelope_prob=prob,
        visuals={"title": False},
    )
    for ax in axes:
        low, high = ax.get_ylim()
        ax.set_ylim(low, 1.35 * high)  # room for the p-value above the lines
        for text in ax.texts:
            text.set_text(text.get_text().partition("(")[0].replace("=", " = "))
            text.set_fontsize(8)
            text.set_y(1.15 * high)


def rank_lines(draws: xr.Dataset) -> pd.DataFrame:
    """The lines that `rank` draws, read from a scratch figure.

    Parameters
    ----------
    draws : xarray.Dataset of dims (chain, draw)
        Scalar parameters.

    Returns
    -------
    pandas.DataFrame
        parameter, chain, x, difference.
    """
    figure = Figure()
    names = [str(name) for name in draws.data_vars]
    axes = [figure.add_subplot(len(names), 1, i + 1) for i in range(len(names))]
    chains = draws.sizes["chain"]
    rank(draws, axes, ["black"] * chains, 0.95)
    parts = []
    for name, ax in zip(names, axes, strict=True):
        lines = [line for line in ax.lines if line.get_drawstyle().startswith("steps")]
        for chain, line in enumerate(lines[:chains]):
            x, difference = np.asarray(line.get_data(), float)
            parts.append(
                pd.DataFrame({"parameter": name, "chain": chain, "x": x, "difference": difference})
            )
    return pd.concat(parts, ignore_index=True)


def _collection(
    draws: xr.Dataset, axes: Sequence[Axes] | np.ndarray, colours: Sequence[str]
) -> "PlotCollection":
    from arviz_plots import PlotCollection

    def each(values: Sequence[object] | np.ndarray) -> xr.Dataset:
        cells = {}
        for name, value in zip(draws.data_vars, values, strict=True):
            cell = np.empty((), dtype=object)
            cell[()] = value
            cells[str(name)] = xr.DataArray(cell)
        return xr.Dataset(cells)

    figure = np.empty((), dtype=object)
    figure[()] = axes[0].figure
    places = list(range(len(axes)))
    viz = xr.DataTree.from_dict(
        {
            "/": xr.Dataset({"figure": xr.DataArray(figure)}),
            "plot": each(axes),
            "row_index": each(places),
            "col_index": each([0] * len(axes)),
        }
    )
    return PlotCollection(
        draws,
        viz,
        backend="matplotlib",
        aes={"color": ["chain"], "overlay": ["chain"]},
        color=list(colours)[: draws.sizes["chain"]],
    )
