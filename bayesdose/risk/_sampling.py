"""NUTS by NumPyro for models of outcome, compiled once for data of like shape.

`numpyro.infer.MCMC` closes over its data and compiles anew for each fold. Here data are arguments
of the compiled functions and arrays are padded to round sizes, so that folds, bootstraps and
simulations share a compilation. Draws come in blocks, between which progress is shown and an
interrupt is seen.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.handlers import seed, substitute, trace
from numpyro.infer.hmc import hmc
from numpyro.infer.util import constrain_fn, potential_energy, unconstrain_fn
from tqdm import tqdm

from bayesdose._progress import shows_bar
from bayesdose.evaluate._arrays import Floats

WARMUP = 1000
_BLOCK = 250
_ROUND = 64


@dataclass(frozen=True)
class Sampled:
    """Draws of every parameter.

    Parameters
    ----------
    values : dict of ndarray of shape (chains, draws, ...)
        By the names of the model.
    stats : dict of ndarray of shape (chains, draws)
        ``diverging``, ``energy``, ``n_steps``, ``acceptance_rate``.
    """

    values: dict[str, Floats]
    stats: dict[str, np.ndarray]


def rounded(size: int) -> int:
    """Size to which an axis is padded.

    Parameters
    ----------
    size : int

    Returns
    -------
    int
    """
    return -(-size // _ROUND) * _ROUND


def padded(array: np.ndarray, size: int, axis: int = 0) -> np.ndarray:
    """Array with zeros up to a size.

    Parameters
    ----------
    array : ndarray
    size : int
    axis : int

    Returns
    -------
    ndarray
    """
    width = [(0, 0)] * array.ndim
    width[axis] = (0, size - array.shape[axis])
    return np.pad(array, width)


def sample(
    model: Callable[..., None],
    structure: Hashable,
    data: dict[str, Any],
    start: dict[str, np.ndarray],
    *,
    accept: float,
    of_rows: tuple[str, ...],
    chains: int,
    draws: int,
    random_seed: int,
    progress: bool | None,
) -> Sampled:
    """Draw from the posterior, inside a context of double precision.

    Parameters
    ----------
    model : callable
        NumPyro model of ``structure`` and ``data``.
    structure : hashable
        What decides the shape of the computation.
    data : dict of str to array
        Numbers.
    start : dict of str to ndarray
        Where chains begin, for the parameters that are known roughly; the others begin at draws
        from their priors.
    accept : float
        Acceptance aimed at.
    of_rows : tuple of str
        How the names of parameters with a value a row, patient or centre begin.
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
    begin, advance, values_of = _compiled(model, structure, accept, of_rows)
    data, known = jax.tree_util.tree_map(jnp.asarray, (data, start))
    states = begin(jax.random.split(jax.random.key(random_seed), chains), known, data)
    blocks: list[tuple[Any, Any]] = []
    with tqdm(
        total=WARMUP + draws, desc="NUTS", unit="draw", disable=not shows_bar(progress)
    ) as bar:
        for size in _blocks(WARMUP):
            states, _ = advance(states, data, size)
            bar.update(size)
        for size in _blocks(draws):
            states, drawn = advance(states, data, size)
            blocks.append(jax.tree_util.tree_map(np.asarray, drawn))
            bar.update(size)
    joined = [np.concatenate(leaf, axis=1) for leaf in zip(*map(_leaves, blocks), strict=True)]
    z, stats = jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(blocks[0]), joined)
    return Sampled(_values(values_of, z, data), stats)


def _leaves(tree: Any) -> list[np.ndarray]:
    leaves: list[np.ndarray] = jax.tree_util.tree_leaves(tree)
    return leaves


def _blocks(total: int) -> list[int]:
    whole, rest = divmod(total, _BLOCK)
    return [_BLOCK] * whole + ([rest] if rest else [])


def _values(values_of: Callable[..., Any], z: Any, data: dict[str, Any]) -> dict[str, Floats]:
    """Parameters and what follows from them, a chain at a time to bound the memory."""
    chains = [
        values_of(jax.tree_util.tree_map(lambda leaf, c=c: leaf[c], z), data)
        for c in range(len(_leaves(z)[0]))
    ]
    return {name: np.stack([np.asarray(chain[name]) for chain in chains]) for name in chains[0]}


@lru_cache(maxsize=16)
def _compiled(
    model: Callable[..., None], structure: Hashable, accept: float, of_rows: tuple[str, ...]
) -> tuple[Any, Any, Any]:
    init_kernel, sample_kernel = hmc(
        potential_fn_gen=lambda data: partial(potential_energy, model, (structure, data), {}),
        algo="NUTS",
    )

    def first(key: Any, known: Any, data: Any) -> Any:
        """Where a chain begins, unconstrained, with a little spread."""
        sites = trace(substitute(seed(model, key), known)).get_trace(structure, data)
        values = {
            name: site["value"]
            for name, site in sites.items()
            if site["type"] == "sample" and not site["is_observed"]
        }
        free = unconstrain_fn(model, (structure, data), {}, values)
        keys = jax.random.split(key, len(free))
        return {
            name: (value if name in known else jnp.clip(value, -3.0, 3.0))
            + 0.1 * jax.random.normal(k, value.shape)
            for (name, value), k in zip(free.items(), keys, strict=True)
        }

    @jax.jit
    def begin(keys: Any, known: Any, data: Any) -> Any:
        def one(key: Any) -> Any:
            spread, key = jax.random.split(key)
            position = first(spread, known, data)
            return init_kernel(
                position,
                WARMUP,
                # one block for what all rows share; what is of single rows is nearly free
                dense_mass=[tuple(name for name in position if not name.startswith(of_rows))],
                target_accept_prob=accept,
                model_args=(data,),
                rng_key=key,
            )

        return jax.vmap(one)(keys)

    @partial(jax.jit, static_argnums=2)
    def advance(states: Any, data: Any, size: int) -> Any:
        def step(state: Any, _: None) -> Any:
            state = jax.vmap(lambda one: sample_kernel(one, (data,)))(state)
            kept = {
                "diverging": state.diverging,
                "energy": state.energy,
                "n_steps": state.num_steps,
                "acceptance_rate": state.accept_prob,
            }
            return state, (state.z, kept)

        states, drawn = jax.lax.scan(step, states, None, length=size)
        return states, jax.tree_util.tree_map(lambda leaf: jnp.swapaxes(leaf, 0, 1), drawn)

    @jax.jit
    def values_of(z: Any, data: Any) -> Any:
        return jax.lax.map(
            lambda one: constrain_fn(model, (structure, data), {}, one, return_deterministic=True),
            z,
        )

    return begin, advance, values_of
