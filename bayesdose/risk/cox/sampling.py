"""Sampling of the Cox model: risk sets on padded arrays, and how NUTS is set for it."""

from dataclasses import fields, replace
from typing import Any

import jax
import numpy as np

from bayesdose.dose import priors as p
from bayesdose.evaluate._arrays import Floats
from bayesdose.risk import _sampling
from bayesdose.risk._sampling import Sampled, padded, rounded
from bayesdose.risk.cox.density import Structure, model
from bayesdose.risk.cox.partial_likelihood import RiskSets

#: Acceptance aimed at; shrinkage priors have a funnel that wants smaller steps.
_ACCEPT, _ACCEPT_SHRINKAGE = 0.95, 0.99
#: Parameters with a value a row or centre.
_OF_ROWS = ("drawn_z", "measured_z", "frailty_z", "exposure_centre_z")

jax.tree_util.register_dataclass(
    RiskSets, data_fields=[field.name for field in fields(RiskSets)], meta_fields=[]
)


def padded_sets(sets: RiskSets, n_rows: int) -> tuple[RiskSets, Floats]:
    """Risk sets on padded arrays, and which events count.

    Parameters
    ----------
    sets : RiskSets
    n_rows : int
        Rows after padding.

    Returns
    -------
    sets : RiskSets
    counted : ndarray of shape (n_events,)
        1, or 0 for padding.
    """
    rows, times, events = n_rows, rounded(sets.first.size + 1), rounded(sets.event_row.size)
    tail = np.arange(sets.order.size, rows)
    by_time = {name: padded(getattr(sets, name), times) for name in ("first", "last")}
    late = {}
    if sets.start_order is not None:
        late = {name: padded(getattr(sets, name), times) for name in ("start_first", "start_last")}
        late["start_order"] = np.concatenate([sets.start_order, tail])
    n_padding = events - sets.event_row.size
    return replace(
        sets,
        order=np.concatenate([sets.order, tail]),
        event_row=padded(sets.event_row, events),
        # the last event time is padding too, with an empty risk set
        event_time=np.concatenate([sets.event_time, np.full(n_padding, times - 1)]),
        removed=padded(sets.removed, events),
        # rows of padding are a stratum of their own
        stratum=np.concatenate([sets.stratum, np.full(tail.size, rows - 1)]),
        **by_time,
        **late,
    ), np.repeat([1.0, 0.0], [sets.event_row.size, n_padding])


def sample(
    structure: Structure,
    data: dict[str, Any],
    start: dict[str, np.ndarray],
    *,
    chains: int,
    draws: int,
    random_seed: int,
    progress: bool | None,
) -> Sampled:
    """Draw from the posterior, inside a context of double precision.

    Parameters
    ----------
    structure : Structure
    data : dict of str to array
        See `density.model`.
    start : dict of str to ndarray
        Where chains begin, for the parameters that are known roughly; the others begin at draws
        from their priors.
    chains : int
    draws : int
        Of each chain.
    random_seed : int
    progress : bool or None
        Whether to show a bar; None shows one on a terminal.

    Returns
    -------
    Sampled
    """
    shrinks = isinstance(structure.slope, p.RegularizedHorseshoe | p.R2D2)
    return _sampling.sample(
        model,
        structure,
        data,
        start,
        accept=_ACCEPT_SHRINKAGE if shrinks else _ACCEPT,
        of_rows=_OF_ROWS,
        chains=chains,
        draws=draws,
        random_seed=random_seed,
        progress=progress,
    )
