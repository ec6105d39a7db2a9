"""Leave-one-out by refitting every fold with the PyMC engine."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.dose import design
from bayesdose.dose.leave_one_out import (
    FoldData,
    LeaveOneOut,
    lost_status,
    no_spread_status,
    report_lost,
)
from bayesdose.dose.posterior import Draws
from bayesdose.dose.pymc_engine import FoldResult, FoldTask, refit
from bayesdose.dose.training import Fitted, Training
from bayesdose.errors import BayesdoseError


def leave_one_out(
    fitted: Fitted,
    by: str,
    label_of: np.ndarray,
    hdi_prob: float,
    n_jobs: int,
    progress: bool | None,
) -> LeaveOneOut:
    """Refit without each fold's rows, and score them.

    Parameters
    ----------
    fitted : Fitted
        A model fitted with the PyMC engine.
    by : str
        Column left out.
    label_of : numpy.ndarray of str of shape (n,)
        Fold of every row.
    hdi_prob : float
        Mass of the intervals in ``predictions``.
    n_jobs : int
        Refits at once.
    progress : bool or None
        Progress bar.

    Returns
    -------
    LeaveOneOut
        A fold that failed has its error in ``status`` and no elpd.
    """
    assert fitted.training is not None
    found = [_fold(fitted.training, label_of, label) for label in dict.fromkeys(label_of)]
    folds = [fold for fold, _ in found]
    tasks = [task for _, task in found if task is not None]
    results = refit(
        tasks,
        draws=fitted.info["draws"],
        random_seed=fitted.info["random_seed"],
        sampler=fitted.info["sampler"],
        n_jobs=n_jobs,
        progress=progress,
    )
    by_label = {result.label: result for result in results}

    def drawer(wanted: Sequence[FoldData]) -> list[Draws]:
        drawn = [by_label[fold.label].draws for fold in wanted]
        return [draws for draws in drawn if draws is not None]

    table = pd.DataFrame(
        [_row(fold, by_label.get(fold.label)) for fold in folds],
        index=pd.Index([fold.label for fold in folds], name=by),
    )
    report_lost(table)
    lost = {label for label, result in by_label.items() if result.draws is None}
    usable = [_without_task(fold) if fold.label in lost else fold for fold in folds]
    return LeaveOneOut(table, by, hdi_prob, fitted, usable, drawer)


def _fold(training: Training, label_of: np.ndarray, label: str) -> tuple[FoldData, FoldTask | None]:
    held = label_of == label
    spec = training.encoding.spec
    tissue = training.rows.tissue
    gone = np.setdiff1d(np.unique(tissue), np.unique(tissue[~held]))
    lost = held & np.isin(tissue, gone)
    status = lost_status(training, held, gone)
    try:
        encoding, rows = _learn(training, ~held, spec)
        scored = held & ~lost
        held_rows = encoding.rows(training.frame[scored]) if scored.any() else None
    except BayesdoseError as err:
        nothing = np.zeros(len(held), bool)
        return (
            FoldData(label, held, nothing, training.encoding, training.tables, None, str(err)),
            None,
        )
    if held_rows is None:
        return FoldData(label, held, scored, encoding, training.tables, None, status), None
    alike = no_spread_status(encoding, rows)
    if alike is not None:
        return FoldData(label, held, held & False, encoding, training.tables, None, alike), None
    task = FoldTask(label, encoding, rows, held_rows)
    all_rows = held_rows.spread(scored)
    data = FoldData(label, held, scored, encoding, (all_rows,), task, status or "ok")
    return data, task


def _learn(training: Training, mask: np.ndarray, spec: Any) -> tuple[Any, Any]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a lost tissue is in the fold's status
        levels = training.encoding.group_levels
        return design.learn(training.frame[mask], spec, group_levels=levels)


def _row(fold: FoldData, result: FoldResult | None) -> dict[str, Any]:
    failed = result is not None and result.error is not None
    return {
        "elpd": np.nan if result is None else result.elpd,
        "mcse": np.nan if result is None else result.mcse,
        "pareto_k": np.nan,
        "adapted": True,
        "weight_ess": np.nan,
        "r_hat": np.nan if result is None else result.rhat,
        "divergences": 0 if result is None else result.diverging,
        "n_sites": int(fold.held.sum()),
        "n_scored": int(fold.scored.sum()),
        "status": result.error if failed and result is not None else fold.status,
    }


def _without_task(fold: FoldData) -> FoldData:
    nothing = np.zeros(len(fold.held), bool)
    return FoldData(fold.label, fold.held, nothing, fold.encoding, fold.tables, None, fold.status)
