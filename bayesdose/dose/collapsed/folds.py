"""Leave patients out: every fold is one more target on the same θ.

The draws that served the whole table are weighted to each fold's posterior. Where the Pareto k̂ of
those weights is too high, θ is sampled anew for that fold: that is the refit.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from bayesdose.dose.collapsed import density, engine, proposal
from bayesdose.dose.collapsed.density import Fold
from bayesdose.dose.collapsed.draws import posterior_draws
from bayesdose.dose.collapsed.engine import Problem, Sampled
from bayesdose.dose.collapsed.hyper import Hyper
from bayesdose.dose.collapsed.proposal import Weighted, weighted
from bayesdose.dose.posterior import Draws, resample

#: Fewest effective draws that a fold's weights may be worth before it is sampled anew.
MIN_ESS = 400.0
#: Numbers in the Gram matrices of the folds that are drawn at once.
LARGEST_GRAMS = 25_000_000
#: θ kept for reweighting all folds; bounds time and memory when many were drawn.
MAX_SHARED = 8000


@dataclass(frozen=True)
class Task:
    """One fold to evaluate.

    Parameters
    ----------
    label : str
        Patient or centre left out.
    keep : numpy.ndarray of shape (P,)
        1 for a patient trained on.
    mapping : numpy.ndarray of shape (p, p)
        T, into the fold's own standardisation.
    mean : numpy.ndarray of shape (p,)
        Prior means of the coefficients.
    problem : Problem or None
        Rows or priors of its own, where the fold's columns are not a rescaling of the whole
        table's, or a prior scale depends on how many patients are kept; None shares the whole
        table's.
    """

    label: str
    keep: np.ndarray
    mapping: np.ndarray
    mean: np.ndarray
    problem: Problem | None = None


@dataclass(frozen=True)
class Outcome:
    """One fold evaluated.

    Parameters
    ----------
    log_density : float
        log p(y left out | y kept) on the log-dose scale, joint over the rows left out.
    mcse : float
        Monte-Carlo standard error of ``log_density``.
    pareto_k : float
        k̂ of the weights that were used; NaN after NUTS.
    adapted : bool
        Whether θ was sampled anew for this fold.
    weight_ess : float
    theta : numpy.ndarray of shape (S, d)
        Draws of θ.
    weights : numpy.ndarray of shape (S,)
        Summing to 1.
    """

    log_density: float
    mcse: float
    pareto_k: float
    adapted: bool
    weight_ess: float
    theta: np.ndarray
    weights: np.ndarray


def evaluate(
    problem: Problem, sampled: Sampled, tasks: list[Task], rng: np.random.Generator, ess: float
) -> list[Outcome]:
    """Evaluate every fold.

    Parameters
    ----------
    problem : Problem
        The whole table.
    sampled : Sampled
        θ of the whole table.
    tasks : list of Task
        Folds.
    rng : numpy.random.Generator
        Source of randomness.
    ess : float
        Effective draws wanted of a fold that is sampled anew.

    Returns
    -------
    list of Outcome
        In the order of the tasks.
    """
    theta, log_q = _shared_draws(problem, sampled)
    shared = [task for task in tasks if task.problem is None]
    found: dict[str, Outcome] = {}
    if shared:
        posterior, held = _densities(problem, theta, shared)
        for j, task in enumerate(shared):
            found[task.label] = _weigh(theta, posterior[:, j] - log_q, held[:, j])
    for task in tasks:
        if task.problem is not None and task.problem.space.size != problem.space.size:
            # the fold lost an effect, and with it a part of θ: the whole table's draws do not fit
            found[task.label] = _refit(task.problem, task, None, sampled, rng, ess)
            continue
        if task.problem is not None:
            kept, held = _density(task.problem, theta, task)
            found[task.label] = _weigh(theta, kept - log_q, held)
        if _poor(found[task.label]):
            found[task.label] = _refit(
                task.problem or problem, task, found[task.label], sampled, rng, ess
            )
    return [found[task.label] for task in tasks]


def fold_draws(
    problem: Problem,
    tasks: list[Task],
    outcomes: list[Outcome],
    draws: int,
    rng: np.random.Generator,
) -> list[Draws]:
    """Equally weighted posterior draws of every fold, in its own coordinates.

    Parameters
    ----------
    problem : Problem
        The whole table.
    tasks : list of Task
        Folds.
    outcomes : list of Outcome
        What `evaluate` gave.
    draws : int
        Draws a fold.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    list of Draws
    """
    found: dict[str, Draws] = {}

    def store(task: Task, hyper: Hyper, gram: np.ndarray) -> None:
        flat = np.full(draws, np.nan)
        found[task.label] = posterior_draws(
            hyper, gram, task.mapping, task.mean, flat, rng, chains=1
        )

    both = list(zip(tasks, outcomes, strict=True))
    shared = [(t, o) for t, o in both if t.problem is None and not o.adapted]
    for task, outcome in both:
        if task.problem is not None or outcome.adapted:
            theta = outcome.theta[resample(outcome.weights, draws, rng)]
            own = task.problem or problem
            store(task, *engine.totals(own, theta, _on(own, task.keep)))
    # folds with the same θ share the pass over the patients, as many at once as fit in memory
    p = problem.whole.mapping.shape[0] + 1
    at_once = max(1, LARGEST_GRAMS // (p * p * max((len(o.theta) for _, o in shared), default=1)))
    for start in range(0, len(shared), at_once):
        part = shared[start : start + at_once]
        together = np.stack([task.keep for task, _ in part])
        hyper, gram = engine.totals(problem, part[0][1].theta, _on(problem, together))
        for j, (task, outcome) in enumerate(part):
            index = resample(outcome.weights, draws, rng)
            store(task, jax.tree.map(lambda leaf, index=index: leaf[index], hyper), gram[index, j])
    return [found[task.label] for task in tasks]


def _shared_draws(problem: Problem, sampled: Sampled) -> tuple[np.ndarray, np.ndarray]:
    """θ and the log density that they were drawn from, up to a constant."""
    if sampled.weighted is None:
        return sampled.theta[:MAX_SHARED], sampled.log_posterior[:MAX_SHARED]
    theta = sampled.weighted.theta[:MAX_SHARED]
    return theta, sampled.weighted.proposal.log_density(theta)


def _densities(
    problem: Problem, theta: np.ndarray, tasks: list[Task]
) -> tuple[np.ndarray, np.ndarray]:
    with engine.double_precision(problem.device):
        folds = Fold(
            jnp.asarray(np.stack([task.keep for task in tasks])),
            jnp.asarray(np.stack([task.mapping for task in tasks])),
            jnp.asarray(np.stack([task.mean for task in tasks])),
        )

    def block(part: jax.Array) -> tuple[jax.Array, jax.Array]:
        return density.fold_densities(problem.space, part, problem.stats, folds, problem.counts)

    posterior, held = engine.in_blocks(problem, block, theta)
    return posterior, held


def _density(problem: Problem, theta: np.ndarray, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """As `_densities`, of one fold and of shape (S,), by what a refit compiles anyway."""
    fold = _fold(problem, task)
    kept = problem.target(fold)(theta)
    everyone = problem.target(fold._replace(keep=_on(problem, np.ones_like(task.keep))))(theta)
    with np.errstate(invalid="ignore"):  # both are -inf where θ resolves nothing
        return kept, np.where(np.isfinite(kept), everyone - kept, 0.0)


def _weigh(theta: np.ndarray, log_ratio: np.ndarray, held: np.ndarray) -> Outcome:
    from bayesdose._arviz import pareto_smoothed

    weights, pareto_k = pareto_smoothed(np.where(np.isfinite(log_ratio), log_ratio, -np.inf))
    value, mcse = log_mean(weights, held)
    return Outcome(value, mcse, pareto_k, False, float(1 / (weights**2).sum()), theta, weights)


def log_mean(weights: np.ndarray, log_values: np.ndarray) -> tuple[float, float]:
    """Log of a weighted mean of exponentials, and its Monte-Carlo standard error.

    Parameters
    ----------
    weights : numpy.ndarray of shape (S,)
        Summing to 1.
    log_values : numpy.ndarray of shape (S,)

    Returns
    -------
    value, error : float
    """
    with np.errstate(divide="ignore"):  # a weight of 0 counts for nothing
        value = float(logsumexp(log_values + np.log(weights)))
    relative = np.exp(log_values - value)
    return value, float(np.sqrt((weights**2 * (relative - 1) ** 2).sum()))


def _poor(outcome: Outcome) -> bool:
    limit = proposal.threshold(len(outcome.weights))
    return not outcome.pareto_k < limit or outcome.weight_ess < MIN_ESS


def _refit(
    problem: Problem,
    task: Task,
    outcome: Outcome | None,
    sampled: Sampled,
    rng: np.random.Generator,
    ess: float,
) -> Outcome:
    # a few good draws say more about the fold's place than none; a bad set starts at its mode
    near = outcome is not None and outcome.weight_ess > 20 * len(sampled.theta[0])
    first = sampled.proposal if near else None
    found = engine.explore(problem, _fold(problem, task), int(ess), rng, first=first)
    if found.weighted is None or sampled.weighted is None or outcome is None:
        theta = found.theta
        pareto_k = float("nan") if found.weighted is None else found.weighted.pareto_k
        weights = np.full(len(theta), 1 / len(theta))
        _, held = _density(problem, theta, task)
        value, mcse = log_mean(weights, held)
    else:
        theta, weights = found.weighted.theta, found.weighted.weights
        pareto_k = found.weighted.pareto_k
        value, mcse = _evidence_ratio(problem, task, sampled, found.weighted)
    return Outcome(value, mcse, pareto_k, True, float(1 / (weights**2).sum()), theta, weights)


def _evidence_ratio(
    problem: Problem, task: Task, sampled: Sampled, refit: Weighted
) -> tuple[float, float]:
    """Log p(y) - log p(y kept), each by the draws that were made for it.

    The mean of p(y left out | θ) over the fold's posterior is ruled by that posterior's tail,
    where few of its draws lie; the draws for the whole table lie there.
    """
    theta, log_q = _shared_draws(problem, sampled)
    kept, held = _density(problem, theta, task)
    whole = weighted(theta, kept, kept + held - log_q, sampled.proposal)
    numerator, error = whole.log_constant
    denominator, other = refit.log_constant
    return numerator - denominator, float(np.hypot(error, other))


def _fold(problem: Problem, task: Task) -> Fold:
    with engine.double_precision(problem.device):
        return Fold(jnp.asarray(task.keep), jnp.asarray(task.mapping), jnp.asarray(task.mean))


def _on(problem: Problem, keep: np.ndarray) -> object:
    with engine.double_precision(problem.device):
        return jnp.asarray(keep)
