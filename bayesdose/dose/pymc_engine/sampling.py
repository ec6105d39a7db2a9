"""NUTS on the full model by nutpie, PyMC or NumPyro, and its draws as plain arrays."""

import os
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from bayesdose._progress import shows_bar
from bayesdose.dose.collapsed import hyper
from bayesdose.dose.design import Encoding, Rows, patients_per_tissue
from bayesdose.dose.posterior import CHAINS, Draws
from bayesdose.dose.pymc_engine.build import build_model
from bayesdose.errors import ConfigError

SAMPLERS = ("nutpie", "pymc", "numpyro")
TUNE = 1000
TARGET_ACCEPT = 0.95
#: Patient effects above this many values are not kept.
MAX_EFFECTS = 10_000_000
#: Compiled models kept: a fit of the same shape is fed its data instead of compiled anew.
MAX_COMPILED = 8

_COMPILED: OrderedDict[Any, Any] = OrderedDict()
_STATISTICS = {
    "diverging": ("diverging",),
    "energy": ("energy",),
    "tree_depth": ("tree_depth", "depth"),
    "n_steps": ("n_steps",),
    "step_size": ("step_size",),
    "acceptance_rate": ("acceptance_rate", "mean_tree_accept"),
    "lp": ("lp", "logp"),
}


@dataclass(frozen=True)
class Sampled:
    """What sampling gave.

    Parameters
    ----------
    draws : Draws
        Posterior draws.
    compile_s : float, s
        Time to build and compile; about 0 where a compiled model of this shape was at hand.
    sampling_s : float, s
        Time to sample, tuning included; NumPyro's compilation is part of it.
    sampler : str
        Which one ran.
    """

    draws: Draws
    compile_s: float
    sampling_s: float
    sampler: str


def sample(
    encoding: Encoding,
    rows: Rows,
    *,
    draws: int,
    random_seed: int,
    sampler: str = "nutpie",
    progress: bool | None = None,
    cores: int | None = None,
) -> Sampled:
    """Sample the full model with four chains.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    rows : Rows
        Rows with a measured dose; patients counted from 0 without gaps.
    draws : int
        Draws in total, a multiple of 4.
    random_seed : int
        Seed.
    sampler : str
        ``"nutpie"``, ``"pymc"`` (chains one after the other) or ``"numpyro"`` (chains in lock
        step).
    progress : bool, optional
        Whether to show a bar; on a terminal when None.
    cores : int, optional
        Chains that nutpie runs at once; all cores when None.

    Returns
    -------
    Sampled

    Raises
    ------
    ConfigError
        When the sampler is unknown or cannot differentiate the model, or ``draws`` does not
        divide into the chains.
    """
    _check(encoding, rows, draws, sampler)
    bar = shows_bar(progress)
    per_chain = draws // CHAINS
    begin = time.perf_counter()
    if sampler == "nutpie":
        ready = _compiled(encoding, rows)
        middle = time.perf_counter()
        tree = _nutpie(ready, per_chain, random_seed, bar, cores)
    else:
        model = build_model(encoding, rows)
        run = _pymc if sampler == "pymc" else _numpyro
        tree = run(model, per_chain, random_seed, bar)
        # both compile inside the call and say how long they sampled
        middle = time.perf_counter() - float(tree["posterior"].attrs["sampling_time"])
    end = time.perf_counter()
    found = to_draws(encoding, tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset())
    return Sampled(found, middle - begin, end - middle, sampler)


def to_draws(encoding: Encoding, posterior: xr.Dataset, stats: xr.Dataset) -> Draws:
    """Draws as arrays from what a sampler of `build_model` returned.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    posterior : xarray.Dataset
        Variables with leading dimensions ``chain`` and ``draw``.
    stats : xarray.Dataset
        Sampler statistics.

    Returns
    -------
    Draws
        Without the conditional posterior of β.
    """
    chains, per_chain = posterior.sizes["chain"], posterior.sizes["draw"]
    size, q = chains * per_chain, len(encoding.patient_effects)

    def get(name: str, empty: tuple[int, ...]) -> np.ndarray:
        if name not in posterior:
            return np.zeros((size, *empty))
        values = posterior[name].transpose("chain", "draw", ...).to_numpy()
        return values.reshape(size, *values.shape[2:])

    def by_tissue(name: str, has: tuple[bool, ...]) -> np.ndarray:
        out = np.zeros((size, len(has)))
        out[:, np.flatnonzero(has)] = get(name, (0,))
        return out

    beta = [get(f"beta_{tissue}", (0,)) for tissue in encoding.tissues]
    identity = np.broadcast_to(np.eye(q), (size, q, q)).copy()
    effects = get("patient_effects", (0, q)) if q else None
    statistics = _statistics(stats)
    return Draws(
        beta=np.concatenate([*beta, get("group_effect", (0,))], axis=1),
        residual_sd=get("residual_sd", (0,)),
        patient_sd=get("patient_sd", (0,)),
        patient_corr=get("patient_corr", ()) if "patient_corr" in posterior else identity,
        cycle_sd=by_tissue("cycle_sd", encoding.cycle_effect),
        site_sd=by_tissue("site_sd", encoding.site_effect),
        group_sd=get("group_sd", (0,)),
        patient_effect=effects if effects is not None and effects.size <= MAX_EFFECTS else None,
        precision=None,
        shift=None,
        log_posterior=statistics["lp"].reshape(size),
        df=get("residual_df", ()) if "residual_df" in posterior else None,
        sample_stats=statistics,
        chains=chains,
    )


def _check(encoding: Encoding, rows: Rows, draws: int, sampler: str) -> None:
    if sampler not in SAMPLERS:
        raise ConfigError(f"sampler: got {sampler!r}; allowed are {', '.join(SAMPLERS)}")
    if draws < CHAINS or draws % CHAINS:
        raise ConfigError(
            f"draws: got {draws}; allowed are multiples of {CHAINS}, the number of chains"
        )
    likelihood = encoding.spec.likelihood
    if sampler == "numpyro" and rows.censored.any() and likelihood != "lognormal":
        raise ConfigError(
            f"sampler='numpyro' cannot differentiate the distribution function of a {likelihood} "
            "dose, which censored doses need: use sampler='nutpie'"
        )


def _statistics(stats: xr.Dataset) -> dict[str, np.ndarray]:
    out = {}
    for name, synonyms in _STATISTICS.items():
        found = next((word for word in synonyms if word in stats), None)
        if found is not None:
            out[name] = stats[found].transpose("chain", "draw").to_numpy()
    return out


def _compiled(encoding: Encoding, rows: Rows) -> Any:
    """Model compiled for nutpie and holding these rows; compiled only when its shape is new."""
    import nutpie

    model = build_model(encoding, rows, data_containers=True)
    data = {variable.name: variable.get_value() for variable in model.data_vars}
    sizes = tuple(sorted((dim, len(labels)) for dim, labels in model.coords.items()))
    space = hyper.build(encoding, patients_per_tissue(encoding, rows))
    # all that the graph depends on: priors, likelihood, lengths of the parameters, parts present
    key = (space, encoding.tissues, encoding.spec.likelihood, sizes, tuple(sorted(data)))
    if key not in _COMPILED:
        _COMPILED[key] = nutpie.compile_pymc_model(model)
        while len(_COMPILED) > MAX_COMPILED:
            _COMPILED.popitem(last=False)
    _COMPILED.move_to_end(key)
    return _COMPILED[key].with_data(**data)


def _nutpie(
    compiled: Any, per_chain: int, random_seed: int, progress: bool, cores: int | None
) -> xr.DataTree:
    import nutpie

    running = nutpie.sample(
        compiled,
        draws=per_chain,
        tune=TUNE,
        chains=CHAINS,
        cores=cores,
        seed=random_seed,
        save_warmup=False,
        progress_bar=progress,
        target_accept=TARGET_ACCEPT,
        blocking=False,
    )
    try:
        return running.wait()
    except BaseException:
        # its own way of handling Ctrl-C returns the draws so far as if they were all
        running.cancel()
        raise


def _pymc(model: pm.Model, per_chain: int, random_seed: int, progress: bool) -> xr.DataTree:
    # one process: forking after JAX has started its threads can hang, and spawning runs a user's
    # script again
    with np.errstate(over="ignore", invalid="ignore"):  # a trajectory that diverges overflows
        return pm.sample(
            per_chain,
            tune=TUNE,
            chains=CHAINS,
            cores=1,
            random_seed=random_seed,
            nuts_sampler="pymc",
            target_accept=TARGET_ACCEPT,
            progressbar=progress,
            quiet=not progress,
            compute_convergence_checks=False,
            model=model,
        )


def _numpyro(model: pm.Model, per_chain: int, random_seed: int, progress: bool) -> xr.DataTree:
    with _double_precision():
        from pymc.sampling.jax import sample_numpyro_nuts

        tree = sample_numpyro_nuts(
            per_chain,
            tune=TUNE,
            chains=CHAINS,
            target_accept=TARGET_ACCEPT,
            random_seed=random_seed,
            model=model,
            progressbar=progress,
            quiet=not progress,
            chain_method="vectorized",
            compute_convergence_checks=False,
        )
    # what it calls lp is the potential energy
    tree["sample_stats"]["lp"] = -tree["sample_stats"]["lp"]
    return tree


@contextmanager
def _double_precision() -> Iterator[None]:
    """Float64 in JAX inside this block only, and no trace of what importing its bridge changes."""
    import jax

    jax.devices()  # before the bridge asks XLA for 100 devices
    flags, before = os.environ.get("XLA_FLAGS"), jax.config.jax_enable_x64
    import pymc.sampling.jax  # noqa: F401  (flips the global switch when first imported)

    jax.config.update("jax_enable_x64", before)
    if flags is None:
        os.environ.pop("XLA_FLAGS", None)
    else:
        os.environ["XLA_FLAGS"] = flags
    with jax.enable_x64(True):
        yield
