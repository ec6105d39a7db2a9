"""The collapsed engine: from encoded rows to weighted θ, and to exact draws of β.

Order: mode of θ by BFGS from several starts, Student-t proposal there, importance sampling with
adaptation; NUTS over θ where the weights stay poor.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from bayesdose.dose.collapsed import density, hyper, proposal
from bayesdose.dose.collapsed.density import Fold
from bayesdose.dose.collapsed.grams import Statistics, statistics
from bayesdose.dose.collapsed.hyper import Hyper, HyperSpace
from bayesdose.dose.collapsed.proposal import Proposal, Weighted
from bayesdose.dose.design import Encoding, Rows, patients_per_tissue
from bayesdose.dose.posterior import resample
from bayesdose.errors import ConfigError, DeviceError

STARTS = 3

#: θ sent to the device at once.
BLOCK = 2000
SAMPLERS = ("auto", "importance", "nuts")


@dataclass(frozen=True)
class Problem:
    """One table under one model, on the device, ready to be evaluated at any θ.

    Parameters
    ----------
    space : HyperSpace
        Layout of θ.
    stats : Sums or RowWise
        Sums over each patient's rows.
    counts : jax.Array of shape (P,)
        Rows of each patient.
    device : jax.Device
        Where it lives.
    """

    space: HyperSpace
    stats: Statistics
    counts: Any
    device: Any

    @property
    def whole(self) -> Fold:
        """The fold that keeps everybody.

        Returns
        -------
        Fold
        """
        with double_precision(self.device):
            mean = jnp.asarray(self.space.means)
            return Fold(jnp.ones_like(self.counts), jnp.eye(len(mean)), mean)

    def target(self, fold: Fold) -> Callable[[np.ndarray], np.ndarray]:
        """Log posterior of θ for a fold, from and to NumPy.

        Parameters
        ----------
        fold : Fold
            Patients kept, their standardisation and prior means.

        Returns
        -------
        callable
            (S, d) → (S,).
        """

        def evaluate(theta: np.ndarray) -> np.ndarray:
            def block(part: jax.Array) -> jax.Array:
                return density.log_posteriors(self.space, part, self.stats, fold, self.counts)

            return in_blocks(self, block, theta)

        return evaluate


@dataclass(frozen=True)
class Sampled:
    """What exploring θ gave.

    Parameters
    ----------
    method : str
        ``"importance"`` or ``"nuts"``.
    theta : numpy.ndarray of shape (draws, d)
        Equally weighted.
    weighted : Weighted or None
        The importance draws behind ``theta``; None for NUTS.
    stats : dict of numpy.ndarray
        NUTS statistics of shape (chains, draws per chain).
    proposal : Proposal
        Fitted to the posterior; folds begin here.
    log_posterior : numpy.ndarray of shape (draws,)
    """

    method: str
    theta: np.ndarray
    weighted: Weighted | None
    stats: dict[str, np.ndarray]
    proposal: Proposal
    log_posterior: np.ndarray


@contextmanager
def double_precision(device: Any) -> Iterator[None]:
    """Compute in float64 on a device, inside this block only.

    Parameters
    ----------
    device : jax.Device
        Where to compute.

    Yields
    ------
    None
    """
    with jax.enable_x64(True), jax.default_device(device):
        yield


def find_device(name: str) -> Any:
    """JAX device by kind; never another one than asked for.

    Parameters
    ----------
    name : str
        ``"cpu"`` or ``"gpu"``.

    Returns
    -------
    jax.Device

    Raises
    ------
    DeviceError
        When there is none.
    ConfigError
        When the name is neither.
    """
    if name not in ("cpu", "gpu"):
        raise ConfigError(f"device: got {name!r}; allowed are cpu, gpu")
    try:
        return jax.devices(name)[0]
    except RuntimeError as err:
        raise DeviceError(
            f"device={name!r}: JAX finds none here ({err}); use device='cpu', or install JAX for "
            "this GPU (pip install 'bayesdose[cuda13]')"
        ) from err


def prepare(encoding: Encoding, rows: Rows, device: str = "cpu") -> Problem:
    """Sum up the rows and put them on the device.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    rows : Rows
        Training rows.
    device : str
        ``"cpu"`` or ``"gpu"``.

    Returns
    -------
    Problem
    """
    place = find_device(device)
    space = hyper.build(encoding, patients_per_tissue(encoding, rows))
    with double_precision(place):
        found = statistics(rows, encoding.cycle_effect, encoding.site_effect)
        on_device = jax.tree.map(jnp.asarray, found)
        counts = jnp.asarray(np.bincount(rows.patient, minlength=len(rows.patients)).astype(float))
    return Problem(space, on_device, counts, place)


def explore(
    problem: Problem,
    fold: Fold,
    draws: int,
    rng: np.random.Generator,
    sampler: str = "auto",
    first: Proposal | None = None,
) -> Sampled:
    """Sample θ for a fold.

    Parameters
    ----------
    problem : Problem
        Table and model.
    fold : Fold
        Patients kept; `Problem.whole` for all.
    draws : int
        Equally weighted draws wanted, over 4 chains.
    rng : numpy.random.Generator
        Source of randomness.
    sampler : str
        ``"auto"``, ``"importance"`` or ``"nuts"``.
    first : Proposal, optional
        Where to begin; found from the mode when None.

    Returns
    -------
    Sampled
    """
    if sampler not in SAMPLERS:
        raise ConfigError(f"sampler: got {sampler!r}; allowed are {', '.join(SAMPLERS)}")
    begin, target = first or at_mode(problem, fold, rng), problem.target(fold)
    if sampler == "nuts":
        found = proposal.weigh(target, begin, BLOCK, rng)
    else:
        found = proposal.sample(target, begin, draws, rng)
        good = found.pareto_k < proposal.threshold(len(found.weights)) and found.ess >= draws / 2
        if good or sampler == "importance":
            return _importance(found, draws, rng)
    from bayesdose.dose.collapsed import nuts

    theta, log_posterior, stats = nuts.sample(problem, fold, found, draws, rng)
    fitted = proposal.around(theta, begin)
    return Sampled("nuts", theta, None, stats, fitted, log_posterior)


def at_mode(problem: Problem, fold: Fold, rng: np.random.Generator) -> Proposal:
    """Student-t proposal at the highest mode found from several starts.

    Parameters
    ----------
    problem : Problem
        Table and model.
    fold : Fold
        Patients kept.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Proposal
    """
    space = problem.space

    def negative(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = density.value_and_grad(
            space, jnp.asarray(theta), problem.stats, fold, problem.counts
        )
        if not np.isfinite(value):
            return 1e300, np.zeros_like(theta)
        return -float(value), -np.asarray(slope)

    with double_precision(problem.device):
        found = [
            minimize(negative, hyper.start(space, rng), jac=True, method="BFGS")
            for _ in range(STARTS)
        ]
        best = min(found, key=lambda result: float(result.fun))
        curvature = _curvature(negative, best.x)
    flips = hyper.flips(space)
    location = best.x * flips[_mirror(best.x, space.signed)]
    return Proposal(location, _scale_root(curvature, space, location), space.signed, flips)


def totals(problem: Problem, theta: np.ndarray, keep: Any) -> tuple[Hyper, np.ndarray]:
    """Hyperparameters and the Gram matrix of the kept patients at many θ, as NumPy.

    Parameters
    ----------
    problem : Problem
        Table and model.
    theta : numpy.ndarray of shape (S, d)
        Reals.
    keep : array of shape (P,) or (F, P)
        1 for a patient that is kept; of one fold, or of many.

    Returns
    -------
    hyper : Hyper
        Each of shape (S, ...).
    gram : numpy.ndarray of shape (S, p + 1, p + 1) or (S, F, p + 1, p + 1)
    """

    def block(part: jax.Array) -> Any:
        return density.gram_totals(problem.space, part, problem.stats, keep)

    return in_blocks(problem, block, theta)


def in_blocks(problem: Problem, evaluate: Callable[[jax.Array], Any], theta: np.ndarray) -> Any:
    """Evaluate many θ in blocks of one length, so that one shape is ever compiled.

    Parameters
    ----------
    problem : Problem
        Gives the device.
    evaluate : callable
        (BLOCK, d) → arrays with first axis BLOCK.
    theta : numpy.ndarray of shape (S, d)
        Reals.

    Returns
    -------
    numpy.ndarray or NamedTuple of them
        First axis S.
    """
    short = -len(theta) % BLOCK
    whole = np.concatenate([theta, np.repeat(theta[-1:], short, axis=0)])
    with double_precision(problem.device):
        parts = [
            evaluate(jnp.asarray(whole[at : at + BLOCK])) for at in range(0, len(whole), BLOCK)
        ]
        return jax.tree.map(
            lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves])[: len(theta)],
            *parts,
        )


def _importance(found: Weighted, draws: int, rng: np.random.Generator) -> Sampled:
    index = resample(found.weights, draws, rng)
    theta = found.theta[index]
    return Sampled("importance", theta, found, {}, found.proposal, found.log_target[index])


def _curvature(
    negative: Callable[[np.ndarray], tuple[float, np.ndarray]], at: np.ndarray
) -> np.ndarray:
    """Hessian by central differences of the gradient, which is compiled already."""
    step = 1e-4
    rows = [
        (negative(at + step * unit)[1] - negative(at - step * unit)[1]) / (2 * step)
        for unit in np.eye(len(at))
    ]
    matrix = np.stack(rows)
    return (matrix + matrix.T) / 2


def _mirror(theta: np.ndarray, signed: tuple[int, ...]) -> int:
    return int((theta[list(signed)] < 0) @ (2 ** np.arange(len(signed))[::-1]))


def _scale_root(curvature: np.ndarray, space: HyperSpace, location: np.ndarray) -> np.ndarray:
    """Root of the inverse curvature, with directions that are flat or bent up kept to size 1."""
    values, vectors = np.linalg.eigh(curvature)
    spread = np.where(values > 0.5, 1 / np.maximum(values, 0.5), 2.0)
    covariance = (vectors * spread) @ vectors.T * proposal.INFLATE
    return np.linalg.cholesky(covariance)
