"""Quantities of a patient from joint draws of its sites: mean, mean by mass, extremes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayesdose.errors import ConfigError, PredictionError

AGGREGATES = ("mean", "mass_mean", "max", "min")


def layout(
    labels: pd.DataFrame, frame: pd.DataFrame, aggregate: Mapping[str, str]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Sites of each patient, tissue and cycle that is to be one quantity.

    Parameters
    ----------
    labels : pandas.DataFrame
        patient_id, site_id, tissue and cycle of each row.
    frame : pandas.DataFrame
        The rows, with ``mass_g`` where a mean by mass is asked for.
    aggregate : dict of str
        Tissue → one of `AGGREGATES`.

    Returns
    -------
    index : pandas.DataFrame
        One row a quantity, with the positions of its ``members``.
    mass : numpy.ndarray of shape (n,), g
        NaN where it is not needed.

    Raises
    ------
    ConfigError, PredictionError
        When a tissue is not there, a way to aggregate is unknown, or a mass is missing.
    """
    if not aggregate:
        raise ConfigError("aggregate: the dict names no tissue; give e.g. {'kidney': 'mean'}")
    for tissue, how in aggregate.items():
        if how not in AGGREGATES:
            raise ConfigError(
                f"aggregate[{tissue!r}]: got {how!r}; allowed are {', '.join(AGGREGATES)}"
            )
        if tissue not in set(labels["tissue"]):
            present = ", ".join(sorted({str(t) for t in labels["tissue"]}))
            raise PredictionError(
                f"aggregate names tissue {tissue!r}, which the table does not have; it has "
                f"{present}"
            )
    labels = labels.reset_index(drop=True)
    chosen = labels[labels["tissue"].isin(list(aggregate))]
    grouped = chosen.groupby(["patient_id", "tissue", "cycle"], sort=False).indices
    index = pd.DataFrame(
        [
            {
                "patient_id": patient,
                "site_id": aggregate[tissue],
                "tissue": tissue,
                "cycle": cycle,
                "members": chosen.index.to_numpy()[members],
            }
            for (patient, tissue, cycle), members in grouped.items()
        ]
    )
    mass = np.full(len(labels), np.nan)
    by_mass = labels["tissue"].map(aggregate).eq("mass_mean").to_numpy()
    if by_mass.any():
        known = frame["mass_g"].to_numpy(float) if "mass_g" in frame.columns else mass
        if np.isnan(known[by_mass]).any():
            raise PredictionError(
                "aggregate 'mass_mean' needs the column mass_g on every row of its tissue; give "
                "it, or use 'mean'"
            )
        mass = known
    return index, mass


def combine(
    gy: np.ndarray, mass: np.ndarray, index: pd.DataFrame, aggregate: Mapping[str, str]
) -> np.ndarray:
    """Draws of each aggregated quantity.

    Parameters
    ----------
    gy : numpy.ndarray of shape (S, n), Gy
        Joint draws of the sites.
    mass : numpy.ndarray of shape (n,), g
        Masses.
    index : pandas.DataFrame
        What `layout` gave.
    aggregate : dict of str
        Tissue → one of `AGGREGATES`.

    Returns
    -------
    numpy.ndarray of shape (S, n_quantities), Gy
    """
    out = np.empty((len(gy), len(index)))
    for j, (tissue, members) in enumerate(zip(index["tissue"], index["members"], strict=True)):
        how = aggregate[tissue]
        part = gy[:, members]
        if how == "mass_mean":
            out[:, j] = part @ (mass[members] / mass[members].sum())
        else:
            out[:, j] = getattr(part, how)(axis=1)
    return out
