"""Labels of sites beside their draws, and draws in the container that users get."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesdose.dose.design import CYCLE
from bayesdose.dose.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

#: Columns that say which site a row is, whatever they are called in the table.
LABELS = ("patient_id", "site_id", "tissue", "cycle")


def site_labels(frame: pd.DataFrame, spec: ModelSpec) -> pd.DataFrame:
    """Labels of sites, as they stand in the table.

    Parameters
    ----------
    frame : pandas.DataFrame
        Sites.
    spec : ModelSpec
        The model.

    Returns
    -------
    pandas.DataFrame
        `LABELS`; empty text where the table lacks a column.
    """
    names = dict(zip(LABELS, (spec.patient, "site_id", spec.by, CYCLE), strict=True))
    return pd.DataFrame(
        {label: frame[name] if name in frame.columns else "" for label, name in names.items()},
        index=frame.index,
    )


def data_array(
    gy: np.ndarray, labels: pd.DataFrame, chains: int, attrs: dict[str, Any]
) -> "xr.DataArray":
    """Draws of sites by chain.

    Parameters
    ----------
    gy : numpy.ndarray of shape (S, n), Gy
        Draws, chain after chain.
    labels : pandas.DataFrame of n rows
        `LABELS` of the sites.
    chains : int
        Number of chains.
    attrs : dict
        What the draws are.

    Returns
    -------
    xarray.DataArray of dims (chain, draw, site), Gy
    """
    import xarray as xr

    shaped = gy.reshape(chains, len(gy) // chains, gy.shape[1])
    return xr.DataArray(
        shaped,
        dims=("chain", "draw", "site"),
        coords={
            "chain": range(chains),
            "draw": range(shaped.shape[1]),
            "site": range(gy.shape[1]),
            **{name: ("site", labels[name].astype(str).to_numpy()) for name in LABELS},
        },
        name="absorbed_dose_gy",
        attrs=attrs,
    )
