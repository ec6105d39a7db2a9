"""Group levels, such as a centre, that the training table did not have but measured rows bring."""

from dataclasses import replace

import numpy as np
import pandas as pd

from bayesdose.dose.design import Encoding
from bayesdose.dose.posterior import Draws


def with_levels(
    encoding: Encoding, draws: Draws, frame: pd.DataFrame, rng: np.random.Generator
) -> tuple[Encoding, Draws]:
    """Give a table's unseen group levels coefficients of their own, at their priors.

    Rows of several patients of one new centre then share its effect, as they do in training.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    draws : Draws
        Posterior with ``precision`` and ``shift``.
    frame : pandas.DataFrame
        Table whose levels are added.
    rng : numpy.random.Generator
        Draws the new effects.

    Returns
    -------
    encoding : Encoding
    draws : Draws
        N(0, group_sd²) for the new levels, independent of everything else.
    """
    levels = []
    for name, known in zip(encoding.spec.group_effects, encoding.group_levels, strict=True):
        words = dict.fromkeys(frame[name].astype(str))
        levels.append((*known, *(word for word in words if word not in known)))
    wider = replace(encoding, group_levels=tuple(levels))
    if wider.n_coefficients == encoding.n_coefficients:
        return encoding, draws
    place = _places(encoding, wider)
    added = np.setdiff1d(np.arange(wider.n_coefficients), place)
    scaling = encoding.standardisation
    center, scale = np.zeros(wider.n_coefficients), np.ones(wider.n_coefficients)
    center[place], scale[place] = scaling.center, scaling.scale
    wider = replace(wider, standardisation=replace(scaling, center=center, scale=scale))
    sd = np.empty((len(draws), wider.n_coefficients))
    for g, block in enumerate(wider.group_blocks):
        sd[:, block] = draws.group_sd[:, [g]]
    beta = sd * rng.standard_normal(sd.shape)
    beta[:, place] = draws.beta
    assert draws.precision is not None
    assert draws.shift is not None
    precision = np.zeros((len(draws), wider.n_coefficients, wider.n_coefficients))
    precision[:, place[:, None], place] = draws.precision
    precision[:, added, added] = 1 / sd[:, added] ** 2
    shift = np.zeros_like(beta)
    shift[:, place] = draws.shift
    return wider, replace(draws, beta=beta, precision=precision, shift=shift)


def _places(old: Encoding, new: Encoding) -> np.ndarray:
    """Where each of the old coefficients stands among the new."""
    place = [np.arange(old.n_covariates)]
    n_tissues = len(old.tissues)
    for before, after, block in zip(
        old.group_levels, new.group_levels, new.group_blocks, strict=True
    ):
        within = np.arange(n_tissues)[:, None] * len(after) + np.arange(len(before))
        place.append(block.start + within.ravel())
    return np.concatenate(place)
