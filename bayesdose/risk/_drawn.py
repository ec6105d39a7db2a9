"""Values known by joint draws, on the device: their law as arrays, and true values out of it.

The law is the Gaussian copula of `bayesdose.risk.cox.uncertain`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bayesdose.evaluate._arrays import Floats
from bayesdose.risk._sampling import padded, rounded
from bayesdose.risk.cox.uncertain import GRID, DrawnColumns


def padded_law(drawn: DrawnColumns, center: Floats, scale: Floats, size: int) -> dict[str, Any]:
    """Law of c drawn columns on padded arrays.

    Parameters
    ----------
    drawn : DrawnColumns
    center, scale : ndarray of shape (c,)
        Taken off the columns, and divided by.
    size : int
        Rows after padding.

    Returns
    -------
    dict of str to ndarray
        ``quantiles`` (c, n_values, n_grid), ``root`` (c * n_values, c * n_values) and
        ``drawn_place`` (size,).
    """
    quantiles = (drawn.quantiles - center[:, None, None]) / scale[:, None, None]
    n_columns, n_values = quantiles.shape[:2]
    n_padded = rounded(n_values)
    # values of padding are independent of all, and no row has them
    root = np.eye(n_columns * n_padded)
    kept = (np.arange(n_columns)[:, None] * n_padded + np.arange(n_values)).reshape(-1)
    root[np.ix_(kept, kept)] = drawn.root
    return {
        "quantiles": padded(quantiles, n_padded, axis=1),
        "root": root,
        "drawn_place": padded(drawn.place, size),
    }


def true_values(own: jax.Array, quantiles: jax.Array, root: jax.Array) -> jax.Array:
    """True values of the columns; normal scores are interpolated on the grid, flat beyond it.

    Parameters
    ----------
    own : jax.Array of shape (c * n_values,)
        Independent standard normals.
    quantiles, root : jax.Array
        From `padded_law`.

    Returns
    -------
    jax.Array of shape (c, n_values)
    """
    z = (root @ own).reshape(quantiles.shape[:2])
    step = GRID[1] - GRID[0]
    place = jnp.clip((z - GRID[0]) / step, 0.0, GRID.size - 1.0 - 1e-9)
    left = jnp.floor(place).astype(int)
    low = jnp.take_along_axis(quantiles, left[..., None], -1)[..., 0]
    high = jnp.take_along_axis(quantiles, left[..., None] + 1, -1)[..., 0]
    return low + (place - left) * (high - low)
