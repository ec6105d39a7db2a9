"""Trace and rank plots of the draws, drawn by ArviZ on our own Axes."""

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesdose.dose.diagnostics import scalars
from bayesdose.errors import ConfigError
from bayesdose.report import _arviz_plots, style

if TYPE_CHECKING:
    from bayesdose.dose.model import DoseModel

#: What the figure says of draws that no chain has made.
NOT_CHAINS = (
    "Independent importance draws, dealt to four 'chains' at random: they mix by construction, and "
    "this\npicture checks nothing. Judge them by the Pareto k and the effective size of the "
    "weights: model.diagnose()."
)
_CHAIN_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def trace_data(model: "DoseModel", *, parameters: Sequence[str] | None = None) -> pd.DataFrame:
    """Numbers behind `plot_trace`.

    Parameters
    ----------
    model : DoseModel
        Fitted.
    parameters : sequence of str, optional
        Names as in ``model.summary()``; by default all but the slopes on the original scale.

    Returns
    -------
    pandas.DataFrame
        A row a parameter, chain and draw: parameter, chain, draw, value; and diverging, where
        the sampler tells.

    Raises
    ------
    ConfigError
        When a parameter is unknown.
    """
    found = _chosen(model, parameters)
    diverging = model._state().draws.sample_stats.get("diverging")
    parts = []
    for name, values in found.items():
        chain, draw = np.indices(values.shape)
        columns = {"chain": chain.ravel(), "draw": draw.ravel(), "value": values.ravel()}
        if diverging is not None:
            columns["diverging"] = diverging.ravel()
        parts.append(pd.DataFrame({"parameter": name, **columns}))
    return pd.concat(parts, ignore_index=True)


def plot_trace(
    model: "DoseModel",
    *,
    parameters: Sequence[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw the draws of each parameter in the order of the chains (ArviZ's ``plot_trace``).

    Divergent transitions are ticks at the bottom.

    Importance draws have no chains; the figure then says so.

    Parameters
    ----------
    model, parameters
        As in `trace_data`.
    ax : Axes or sequence of Axes, optional
        One a parameter; by default those of a new figure.

    Returns
    -------
    numpy.ndarray of Axes of shape (n_parameters,)
    """
    found = _chosen(model, parameters)
    axes = _axes(model, "Trace of four chains", list(found), ax)
    diverging = model._state().draws.sample_stats.get("diverging")
    _arviz_plots.trace(_dataset(found), axes, _CHAIN_COLOURS, diverging)
    for panel, name in zip(axes, found, strict=True):
        _dress(panel, name, "draw")
    return axes


def rank_data(
    model: "DoseModel", *, parameters: Sequence[str] | None = None, prob: float = 0.95
) -> pd.DataFrame:
    """Numbers behind `plot_rank`.

    Parameters
    ----------
    model, parameters
        As in `trace_data`.
    prob : float
        Probability of the simultaneous band for one chain.

    Returns
    -------
    pandas.DataFrame
        A row a parameter, chain and step of the ECDF: parameter, chain, x (fractional rank),
        difference (ECDF of the chain's ranks among all draws, minus uniform).

    Raises
    ------
    ConfigError
        When a parameter is unknown.
    """
    lines = _arviz_plots.rank_lines(_dataset(_chosen(model, parameters)))
    return lines


def plot_rank(
    model: "DoseModel",
    *,
    parameters: Sequence[str] | None = None,
    prob: float = 0.95,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw the ECDF difference of each chain's ranks (ArviZ's ``plot_rank``).

    Chains that agree stay inside the band (Vehtari et al. 2021; Säilynoja et al. 2022).
    Importance draws have no chains; the figure then says so.

    Parameters
    ----------
    model, parameters, prob
        As in `rank_data`.
    ax : Axes or sequence of Axes, optional
        One a parameter; by default those of a new figure.

    Returns
    -------
    numpy.ndarray of Axes of shape (n_parameters,)
    """
    found = _chosen(model, parameters)
    axes = _axes(
        model,
        "Ranks of four chains; p: test that they agree, black where one stands out",
        list(found),
        ax,
    )
    _arviz_plots.rank(_dataset(found), axes, _CHAIN_COLOURS, prob)
    for panel, name in zip(axes, found, strict=True):
        _dress(panel, name, "fractional rank")
    return axes


def _chosen(model: "DoseModel", parameters: Sequence[str] | None) -> dict[str, np.ndarray]:
    """Draws of shape (chains, draws) by parameter."""
    everything = dict(scalars(model._state()))
    if parameters is None:
        return {name: v for name, v in everything.items() if not name.startswith("slope_")}
    for name in parameters:
        if name not in everything:
            raise ConfigError(
                f"parameters: {name!r} is not one of the model's: {', '.join(everything)}"
            )
    return {name: everything[name] for name in parameters}


def _dataset(found: dict[str, np.ndarray]) -> xr.Dataset:
    first = next(iter(found.values()))
    return xr.Dataset(
        {name: (("chain", "draw"), values) for name, values in found.items()},
        coords={"chain": np.arange(first.shape[0]), "draw": np.arange(first.shape[1])},
    )


def _axes(
    model: "DoseModel", what: str, names: list[str], ax: Axes | Sequence[Axes] | None
) -> np.ndarray:
    if ax is not None:
        return style.panels(len(names), ax)
    columns = min(4, len(names))
    rows = ceil(len(names) / columns)
    importance = model.fit_info_["sampler"] == "importance"
    figure = Figure(
        figsize=(max(2.6 * columns, 6.5), 1.7 * rows + 0.8), dpi=style.DPI, layout="constrained"
    )
    axes = np.array([figure.add_subplot(rows, columns, i + 1) for i in range(len(names))], object)
    for panel in axes:
        style.tidy(panel)
    figure.suptitle(
        NOT_CHAINS if importance else what,
        x=0.01,
        ha="left",
        fontsize=10,
        color=style.INK,
        fontweight="normal" if importance else "bold",
    )
    return axes


def _dress(panel: Axes, name: str, label: str) -> None:
    short = name.replace(":Intercept", "")
    lines = short if len(short) < 34 else short.replace(", ", ",\n")
    panel.set_title(lines, loc="left", fontsize=8.5)
    panel.set_title("", loc="center")
    panel.set_xlabel(label, fontsize=8)
    panel.set_ylabel("")
    panel.tick_params(labelsize=7.5)
