"""Declared multiple imputation of missing covariates, inside the fold.

Each of at least 20 imputations completes the table (`bayesdose.dose.completion`), fits the model to
it, and gives an equal share of the draws. Training rows are imputed with their log dose, as theory
asks (Moons 2006, doi 10.1016/j.jclinepi.2006.01.009, from memory); rows to predict are imputed
without it. A value that belongs to a patient and cycle is imputed once for that patient and cycle.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesdose._progress import shows_bar
from bayesdose.dose import design
from bayesdose.dose.completion import (
    IMPUTATIONS,
    REPEATS,
    completions,
    completions_of_others,
    missing_share,
)
from bayesdose.dose.design import Encoding
from bayesdose.dose.fitting import fit_collapsed
from bayesdose.dose.leave_one_out import (
    FOLD_DRAWS,
    FoldData,
    LeaveOneOut,
    lost_status,
    report_lost,
)
from bayesdose.dose.posterior import CHAINS, Draws
from bayesdose.dose.prediction import log_density_of
from bayesdose.dose.spec import ModelSpec
from bayesdose.dose.standardise import standardisation_of
from bayesdose.dose.training import Fitted, Training, build_domain, check_table, needs_training
from bayesdose.errors import BayesdoseError, ConfigError, SiteTableError

_LOG = logging.getLogger("bayesdose")


def fit(
    sites: pd.DataFrame,
    spec: ModelSpec,
    draws: int,
    random_seed: int,
    sampler: str,
    device: str,
) -> Fitted:
    """Fit to each completed table and pool the draws.

    Parameters
    ----------
    sites : pandas.DataFrame
        Site table with gaps.
    spec : ModelSpec
        The model, with ``missing="impute"``.
    draws : int
        Draws in total.
    random_seed : int
        Seed.
    sampler, device : str
        Of the collapsed engine.

    Returns
    -------
    Fitted
        ``info`` holds the imputed share of each column.
    """
    if spec.engine != "collapsed":
        raise ConfigError("missing='impute' runs with engine='collapsed'")
    if draws % (IMPUTATIONS * CHAINS):
        raise ConfigError(
            f"draws: got {draws}; with {IMPUTATIONS} imputations give a multiple of "
            f"{IMPUTATIONS * CHAINS}"
        )
    clean = check_table(sites, spec, response_required=True, training=True)
    if clean[spec.patient].nunique() < 2:
        raise SiteTableError("the table has one patient: give at least two")
    share = missing_share(clean, spec)
    frames = completions(clean, spec, random_seed)
    encoding = _common_encoding(frames, spec)
    tables = tuple(encoding.rows(frame) for frame in frames)
    fits = [
        fit_collapsed(
            Training(clean, encoding, table, {}),
            max(draws // IMPUTATIONS, 100),
            random_seed + m,
            sampler,
            device,
        )
        for m, table in enumerate(tables)
    ]
    pooled = pool([one.draws for one in fits], draws)
    info = dict(fits[0].info)
    info |= {
        "draws": draws,
        "random_seed": random_seed,
        "imputations": IMPUTATIONS,
        "pareto_k": max(one.info.get("pareto_k", np.nan) for one in fits),
        "weight_ess": sum(one.info.get("weight_ess", np.nan) for one in fits),
        "seconds": sum(one.info["seconds"] for one in fits),
        **{f"imputed_share_{name}": value for name, value in share.items()},
    }
    training = Training(clean, encoding, tables[0], {}, tables)
    return replace(
        fits[0],
        draws=pooled,
        training=training,
        domain=build_domain(training),
        log_evidence=(float("nan"), float("nan")),
        info=info,
        engine_state=None,
    )


def restore(frame: pd.DataFrame, encoding: Encoding, random_seed: int) -> Training:
    """Training table of a saved fit, completed again as it was when it was fitted.

    Parameters
    ----------
    frame : pandas.DataFrame
        Training table with its gaps.
    encoding : Encoding
        Of the fit.
    random_seed : int
        Of the fit.

    Returns
    -------
    Training
    """
    completed = completions(frame, encoding.spec, random_seed)
    tables = tuple(encoding.rows(one) for one in completed)
    return Training(frame, encoding, tables[0], {}, tables)


def pool(parts: Sequence[Draws], draws: int) -> Draws:
    """Equal shares of draws from every imputation, each chain with some of all.

    Parameters
    ----------
    parts : sequence of Draws
        One an imputation.
    draws : int
        Draws in total.

    Returns
    -------
    Draws
    """
    share = draws // len(parts)
    arrays: dict[str, Any] = {}
    for name, value in vars(parts[0]).items():
        if isinstance(value, np.ndarray):
            # one draw of each imputation in turn
            turns = np.stack([getattr(part, name)[:share] for part in parts], axis=1)
            arrays[name] = turns.reshape(share * len(parts), *value.shape[1:])
    return replace(parts[0], **arrays, sample_stats={}, chains=CHAINS)


def leave_one_out(
    fitted: Fitted, by: str, label_of: np.ndarray, hdi_prob: float, progress: bool | None
) -> LeaveOneOut:
    """Impute, fit and score inside every fold.

    Parameters
    ----------
    fitted : Fitted
        A model fitted with imputation.
    by : str
        Column left out.
    label_of : numpy.ndarray of str of shape (n,)
        Fold of every row.
    hdi_prob : float
        Mass of the intervals in ``predictions``.
    progress : bool or None
        Whether to show a bar; on a terminal when None.

    Returns
    -------
    LeaveOneOut
        elpd is the log of the mean density over the imputations.
    """
    training = needs_training(fitted, "leave-one-out")
    labels = list(dict.fromkeys(label_of))
    found = [
        _fold(training, label_of == label, label, fitted.info["random_seed"])
        for label in _shown(labels, progress)
    ]
    frame = pd.DataFrame([row for _, _, row in found], index=pd.Index(labels, name=by))
    report_lost(frame)
    drawn = {fold.label: draws for fold, draws, _ in found if draws is not None}

    def drawer(wanted: Sequence[FoldData]) -> list[Draws]:
        return [drawn[fold.label] for fold in wanted]

    return LeaveOneOut(frame, by, hdi_prob, fitted, [fold for fold, _, _ in found], drawer)


def _fold(
    training: Training, held: np.ndarray, label: str, seed: int
) -> tuple[FoldData, Draws | None, dict[str, Any]]:
    spec, frame, tissue = training.encoding.spec, training.frame, training.rows.tissue
    gone = np.setdiff1d(tissue[held], tissue[~held])
    scored = held & ~np.isin(tissue, gone)
    row = {
        "elpd": np.nan,
        "mcse": np.nan,
        "pareto_k": np.nan,
        "adapted": True,
        "weight_ess": np.nan,
        "n_sites": int(held.sum()),
        "n_scored": int(scored.sum()),
        "status": lost_status(training, held, gone) or "ok",
    }
    if not scored.any():
        fold = FoldData(label, held, scored, training.encoding, training.tables, None, "")
        return fold, None, row
    try:
        first, others = completions_of_others(frame[~held], frame[scored], spec, seed, REPEATS)
        encoding = _common_encoding(first, spec, training.encoding.group_levels)
    except BayesdoseError as err:
        row |= {"n_scored": 0, "status": str(err)}
        nothing = held & False
        fold = FoldData(label, held, nothing, training.encoding, training.tables, None, str(err))
        return fold, None, row
    draws = [
        fit_collapsed(
            Training(one, encoding, encoding.rows(one), {}),
            max(FOLD_DRAWS // IMPUTATIONS, 100),
            seed + m,
            "auto",
            "cpu",
        ).draws
        for m, one in enumerate(first)
    ]
    measured = frame.loc[scored, spec.response].to_numpy()
    tables = [encoding.rows(one.assign(**{spec.response: measured})) for one in others]
    densities = np.asarray(
        [log_density_of(encoding, draws[j % len(draws)], rows) for j, rows in enumerate(tables)]
    )
    value = np.logaddexp.reduce(densities) - np.log(len(densities))
    # the imputations are independent, the completions of the rows within one are not quite
    relative = np.exp(densities - value).reshape(-1, len(draws)).mean(0)
    row["elpd"] = float(value)
    row["mcse"] = float(relative.std(ddof=1) / np.sqrt(len(relative)))
    spread = tuple(rows.spread(scored) for rows in tables)
    fold = FoldData(label, held, scored, encoding, spread, _Ready(), str(row["status"]))
    return fold, pool(draws, FOLD_DRAWS), row


@dataclass(frozen=True)
class _Ready:
    """Stands for the task of a fold whose draws are there already."""


def _shown(labels: list[str], progress: bool | None) -> Iterable[str]:
    if shows_bar(progress):
        from tqdm import tqdm

        return tqdm(labels, desc="imputing without", unit="fold")
    return _logged(labels)


def _logged(labels: list[str]) -> Iterator[str]:
    for count, label in enumerate(labels, start=1):
        yield label
        _LOG.info("fold %d of %d, without %s: imputed and fitted", count, len(labels), label)


def _common_encoding(
    frames: list[pd.DataFrame], spec: ModelSpec, levels: tuple[tuple[str, ...], ...] | None = None
) -> Encoding:
    """One encoding for all imputations, so that their coefficients can be pooled."""
    together = pd.concat(frames, ignore_index=True)
    encoding, _ = design.learn(together, spec, group_levels=levels)
    each = []
    for frame in frames:
        rows = encoding.rows(frame)
        each.append(standardisation_of(rows.raw, rows.tissue, encoding))
    scaling = replace(
        each[0],
        center=np.mean([one.center for one in each], axis=0),
        scale=np.mean([one.scale for one in each], axis=0),
    )
    return replace(encoding, standardisation=scaling)
