"""Leave patients out by fitting again without them: exact, and slow only where it must be.

Folds are dealt to processes; within one, a fold of the same shape as an earlier one is fed to the
model that is already compiled.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesdose._progress import shows_bar
from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.posterior import Draws
from bayesdose.dose.pymc_engine.convergence import log_mean_exp, worst_rhat
from bayesdose.dose.pymc_engine.marginal import log_density
from bayesdose.dose.pymc_engine.sampling import SAMPLERS, sample
from bayesdose.errors import ConfigError

_LOG = logging.getLogger("bayesdose")
_INTERRUPTED = "interrupted before it was done"


@dataclass(frozen=True)
class FoldTask:
    """One fold to fit.

    Parameters
    ----------
    label : str
        Patient or centre left out.
    encoding : Encoding
        Learnt from the fold's own training rows.
    rows : Rows
        Training rows with a measured dose, in that encoding; patients counted from 0 without
        gaps.
    held_out : Rows
        Rows with a measured dose to score, in that encoding.
    """

    label: str
    encoding: Encoding
    rows: Rows
    held_out: Rows


@dataclass(frozen=True)
class FoldResult:
    """One fold fitted and scored, or the reason why not.

    Parameters
    ----------
    label : str
        Patient or centre left out.
    elpd : float
        Joint log predictive density of the rows held out, in 1/Gy for each; NaN after an error.
    mcse : float
        Monte-Carlo standard error of ``elpd``.
    draws : Draws or None
        Posterior without the patient.
    diverging : int
        Divergent transitions.
    rhat : float
        Largest R-hat.
    error : str or None
        Why the fold has no value.
    """

    label: str
    elpd: float
    mcse: float
    draws: Draws | None
    diverging: int
    rhat: float
    error: str | None


def refit(
    folds: Sequence[FoldTask],
    *,
    draws: int,
    random_seed: int,
    sampler: str = "nutpie",
    n_jobs: int = 1,
    progress: bool | None = None,
) -> list[FoldResult]:
    """Fit every fold and score what it left out.

    Parameters
    ----------
    folds : sequence of FoldTask
        Folds.
    draws : int
        Draws in total of each fold, a multiple of 4.
    random_seed : int
        Seed; each fold has its own stream, whatever ``n_jobs``.
    sampler : str
        ``"nutpie"``, ``"pymc"`` or ``"numpyro"``.
    n_jobs : int
        Processes, as joblib counts them; with 1 the chains of a fold share the cores.
    progress : bool, optional
        Whether to show a bar; on a terminal when None. Without a bar each fold is a line of the
        logger ``bayesdose``.

    Returns
    -------
    list of FoldResult
        In the order of the folds. A fold that fails has its ``error``; after Ctrl-C so have those
        that were not done, and the others are kept; where none was done it goes on as an interrupt.

    Raises
    ------
    ConfigError
        When the sampler is unknown.
    """
    from joblib import Parallel, cpu_count, delayed, effective_n_jobs

    if sampler not in SAMPLERS:
        raise ConfigError(f"sampler: got {sampler!r}; allowed are {', '.join(SAMPLERS)}")
    jobs = min(effective_n_jobs(n_jobs), max(len(folds), 1))
    cores = max(1, cpu_count() // jobs)
    seeds = np.random.SeedSequence(random_seed).generate_state(max(len(folds), 1))
    work = Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(_one_fold)(place, fold, draws, int(seeds[place]), sampler, cores)
        for place, fold in enumerate(folds)
    )
    results = [_failed(fold.label, _INTERRUPTED) for fold in folds]
    done = 0
    try:
        for place, result in _shown(work, len(folds), progress):
            results[place] = result
            done += 1
    except KeyboardInterrupt:
        if not done:
            raise
        _LOG.warning("interrupted: %d of %d folds are done and kept", done, len(folds))
    return results


def _one_fold(
    place: int, fold: FoldTask, draws: int, random_seed: int, sampler: str, cores: int
) -> tuple[int, FoldResult]:
    try:
        found = sample(
            fold.encoding,
            fold.rows,
            draws=draws,
            random_seed=random_seed,
            sampler=sampler,
            progress=False,
            cores=cores,
        ).draws
        # patients left out together are independent given β and θ
        by_draw = log_density(fold.encoding, found, fold.held_out).sum(1)
        elpd, mcse = log_mean_exp(by_draw, found.chains)
        diverging = int(found.sample_stats["diverging"].sum())
        result = FoldResult(fold.label, elpd, mcse, found, diverging, worst_rhat(found), None)
    except Exception as err:  # one fold's failure is a row of the result, not the end of the others
        result = _failed(fold.label, f"{type(err).__name__}: {err}")
    return place, result


def _failed(label: str, error: str) -> FoldResult:
    nan = float("nan")
    return FoldResult(label, nan, nan, None, 0, nan, error)


def _shown(
    work: Iterator[tuple[int, FoldResult]], n: int, progress: bool | None
) -> Iterator[tuple[int, FoldResult]]:
    if shows_bar(progress):
        from tqdm import tqdm

        yield from tqdm(work, total=n, desc="refitting without", unit="fold")
        return
    for count, (place, result) in enumerate(work, start=1):
        what: Any = result.error or f"elpd {result.elpd:.2f}"
        _LOG.info("fold %d of %d, without %s: %s", count, n, result.label, what)
        yield place, result
