"""Centring and scaling of columns, by tissue, and the map from one scaling to another."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bayesdose.dose.design import Encoding


@dataclass(frozen=True)
class Standardisation:
    """Centre and scale of every coefficient's column; 0 and 1 where a column is left alone.

    Parameters
    ----------
    center, scale : numpy.ndarray of shape (p,)
        Units of the columns.
    constant : tuple of int
        Columns that do not vary in their tissue's rows, and so cannot be scaled.
    empty : tuple of int
        Tissues without rows.
    """

    center: np.ndarray
    scale: np.ndarray
    constant: tuple[int, ...] = ()
    empty: tuple[int, ...] = ()


def standardisation_of(
    raw: np.ndarray, tissue: np.ndarray, encoding: "Encoding"
) -> Standardisation:
    """Centre and scale of each column from a set of training rows.

    Parameters
    ----------
    raw : numpy.ndarray of shape (n, p)
        Columns before scaling.
    tissue : numpy.ndarray of int of shape (n,)
        Tissue codes.
    encoding : Encoding
        Columns and blocks.

    Returns
    -------
    Standardisation
    """
    spec = encoding.spec
    center = np.zeros(encoding.n_coefficients)
    scale = np.ones(encoding.n_coefficients)
    constant: list[int] = []
    empty: list[int] = []
    for k, (block, terms) in enumerate(zip(encoding.blocks, encoding.terms, strict=True)):
        mine = raw[tissue == k, block]
        if len(mine) == 0:
            empty.append(k)
            continue
        explicit = spec.priors.given("intercept", encoding.tissues[k]) is not None
        centred = terms.has_intercept and (spec.standardise or not explicit)
        for j, name in enumerate(encoding.columns(k)):
            column, place = mine[:, j], block.start + j
            if name == "Intercept":
                continue
            if np.ptp(column) <= 1e-12 * max(1.0, float(np.abs(column).max())):
                constant.append(place)
                continue
            if np.isin(column, (0.0, 1.0)).all():
                continue  # an indicator keeps its meaning: 0 is the reference category
            center[place] = column.mean() if centred else 0.0
            scale[place] = column.std(ddof=1) if spec.standardise else 1.0
    return Standardisation(center, scale, tuple(constant), tuple(empty))


def standardised(
    raw: np.ndarray, tissue: np.ndarray, encoding: "Encoding", scaling: Standardisation
) -> np.ndarray:
    """Columns centred and scaled inside their tissue's rows.

    Parameters
    ----------
    raw : numpy.ndarray of shape (n, p)
        Columns before scaling.
    tissue : numpy.ndarray of int of shape (n,)
        Tissue codes.
    encoding : Encoding
        Columns and blocks.
    scaling : Standardisation
        Centre and scale.

    Returns
    -------
    numpy.ndarray of shape (n, p)
    """
    out = raw.copy()
    for k, block in enumerate(encoding.blocks):
        mine = tissue == k
        out[mine, block] = (raw[mine, block] - scaling.center[block]) / scaling.scale[block]
    return out


def between(encoding: "Encoding", old: Standardisation, new: Standardisation) -> np.ndarray:
    """Matrix T with X_new = X_old T, for two standardisations of the same columns.

    Parameters
    ----------
    encoding : Encoding
        Columns and blocks.
    old, new : Standardisation
        Scalings.

    Returns
    -------
    numpy.ndarray of shape (p, p)
    """
    # (x - c') / s' = ((x - c) / s) (s / s') + (c - c') / s'
    matrix = np.diag(old.scale / new.scale)
    shift = (old.center - new.center) / new.scale
    for block, intercept in zip(encoding.blocks, encoding.intercepts(), strict=True):
        if intercept is not None:
            others = np.arange(block.start, block.stop)
            others = others[others != intercept]
            matrix[intercept, others] = shift[others]
    return matrix
