"""Declared multiple imputation of missing covariates, inside the fold.

Each of at least 20 imputations completes the table by chained Bayesian regressions (scikit-learn's
``IterativeImputer`` with draws), fits the model to it, and gives an equal share of the draws.
Training rows are imputed with their log dose, as theory asks (Moons 2006, doi
10.1016/j.jclinepi.2006.01.009, from memory); rows to predict are imputed without it. A value that
belongs to a patient and cycle is imputed once for that patient and cycle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.dose import covariates, design
from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.fitting import fit_collapsed
from bayesdose.dose.leave_one_out import FOLD_DRAWS, LeaveOneOut, report_lost
from bayesdose.dose.posterior import CHAINS, Draws
from bayesdose.dose.prediction import log_density_of
from bayesdose.dose.spec import ModelSpec
from bayesdose.dose.training import Fitted, Training, build_domain, check_table
from bayesdose.errors import ConfigError, MissingCovariateError, SiteTableError

IMPUTATIONS = 20
_ROUNDS = 10


@dataclass(frozen=True)
class Imputed:
    """What a fit to imputed tables keeps.

    Parameters
    ----------
    incomplete : pandas.DataFrame
        Training table with its gaps.
    share : dict of float
        Column → imputed share of the rows that need it.
    seed : int
        Of the imputations.
    """

    incomplete: pd.DataFrame
    share: dict[str, float]
    seed: int


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
    share = _share(clean, spec)
    tables = [completed for completed, _ in completions(clean, None, spec, random_seed)]
    encoding = _common_encoding(tables, spec)
    fits = [
        fit_collapsed(
            Training(table, encoding, encoding.rows(table), {}),
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
    training = Training(tables[0], encoding, encoding.rows(tables[0]), {})
    return replace(
        fits[0],
        draws=pooled,
        training=training,
        domain=build_domain(training),
        log_evidence=(float("nan"), float("nan")),
        info=info,
        engine_state=Imputed(clean, share, random_seed),
    )


def completions(
    training: pd.DataFrame, other: pd.DataFrame | None, spec: ModelSpec, seed: int
) -> list[tuple[pd.DataFrame, pd.DataFrame | None]]:
    """Complete a training table, and further rows without their dose, many times.

    Parameters
    ----------
    training : pandas.DataFrame
        Site table with measured doses.
    other : pandas.DataFrame or None
        Rows to complete from what the training table teaches; their dose is not looked at.
    spec : ModelSpec
        The model.
    seed : int
        Seed.

    Returns
    -------
    list of tuple of pandas.DataFrame
        One pair an imputation.
    """
    tables = []
    for m in range(IMPUTATIONS):
        both = training.assign(**{_HELD: False})
        if other is not None:
            later = other.assign(**{_HELD: True, spec.response: np.nan})
            both = pd.concat([both, later], ignore_index=True)
        done = _complete(both, spec, seed * 1000 + m)
        held = done.pop(_HELD).to_numpy(bool)
        first = done[~held].set_axis(training.index)
        second = None if other is None else done[held].set_axis(other.index)
        tables.append((first, second))
    return tables


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


def leave_one_out(fitted: Fitted, by: str, label_of: np.ndarray, hdi_prob: float) -> LeaveOneOut:
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

    Returns
    -------
    LeaveOneOut
        elpd is the log of the mean density over the imputations.
    """
    from bayesdose.dose.leave_one_out import FoldData

    state, spec = fitted.engine_state, fitted.encoding.spec
    if not isinstance(state, Imputed):
        raise ConfigError(
            "leave-one-out of an imputed model needs the table with its gaps, which is not saved: "
            "fit again"
        )
    assert fitted.training is not None
    rows_of_table = fitted.training.rows
    folds, drawn, table = [], {}, []
    for label in dict.fromkeys(label_of):
        held = label_of == label
        pairs = completions(state.incomplete[~held], state.incomplete[held], spec, state.seed)
        encoding = _common_encoding([first for first, _ in pairs], spec)
        densities, parts, held_rows = [], [], []
        for m, (first, second) in enumerate(pairs):
            assert second is not None
            second[spec.response] = state.incomplete.loc[held, spec.response].to_numpy()
            one = fit_collapsed(
                Training(first, encoding, encoding.rows(first), {}),
                max(FOLD_DRAWS // IMPUTATIONS, 100),
                state.seed + m,
                "auto",
                "cpu",
            )
            rows = encoding.rows(second)
            densities.append(log_density_of(encoding, one.draws, rows))
            parts.append(one.draws)
            held_rows.append(rows)
        value = np.logaddexp.reduce(densities) - np.log(len(densities))
        spread = np.exp(np.asarray(densities) - value)
        folds.append(
            FoldData(label, held, held, encoding, _spread(held_rows[0], held), _Ready(label), "ok")
        )
        drawn[label] = pool(parts, FOLD_DRAWS)
        table.append(
            {
                "elpd": float(value),
                "mcse": float(spread.std(ddof=1) / np.sqrt(len(spread))),
                "pareto_k": np.nan,
                "adapted": True,
                "weight_ess": np.nan,
                "n_sites": int(held.sum()),
                "n_scored": int(held.sum()),
                "status": "ok",
            }
        )
    index = pd.Index([fold.label for fold in folds], name=by)
    frame = pd.DataFrame(table, index=index)
    report_lost(frame)
    assert len(rows_of_table.tissue) == len(label_of)
    return LeaveOneOut(
        frame, by, hdi_prob, fitted, folds, lambda wanted: [drawn[f.label] for f in wanted]
    )


@dataclass(frozen=True)
class _Ready:
    """Stands for a fold whose draws are there already."""

    label: str


_HELD = "bayesdose_held_out"


def _spread(held_rows: Rows, held: np.ndarray) -> Rows:
    place = np.zeros(len(held), int)
    place[held] = np.arange(held.sum())
    return held_rows.take(place)


def _share(frame: pd.DataFrame, spec: ModelSpec) -> dict[str, float]:
    tissues, code = _codes(frame, spec)
    missing = covariates.missing_covariates(frame, spec, tissues, code)
    for name, mask in missing.items():
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise MissingCovariateError(
                f"missing='impute' completes numbers; column {name!r} holds words and is missing "
                f"in {int(mask.sum())} rows: fill it in, or leave it out of the formula"
            )
        if mask.all():
            raise MissingCovariateError(f"column {name!r} is missing everywhere: leave it out")
    return {name: float(mask.mean()) for name, mask in missing.items()}


def _codes(frame: pd.DataFrame, spec: ModelSpec) -> tuple[tuple[str, ...], np.ndarray]:
    tissues = design.tissues_of(frame, spec)
    if spec.by is None:
        return tissues, np.zeros(len(frame), int)
    place = {word: k for k, word in enumerate(tissues)}
    return tissues, frame[spec.by].astype(str).map(place).to_numpy(int)


def _common_encoding(tables: list[pd.DataFrame], spec: ModelSpec) -> Encoding:
    """One encoding for all imputations, so that their coefficients can be pooled."""
    return design.learn(pd.concat(tables, ignore_index=True), spec)[0]


def _complete(frame: pd.DataFrame, spec: ModelSpec, seed: int) -> pd.DataFrame:
    out = frame.reset_index(drop=True)
    tissues, code = _codes(out, spec)
    missing = covariates.missing_covariates(out, spec, tissues, code)
    patient_level = [name for name in missing if _belongs_to_patient(out, spec, name)]
    if patient_level:
        out = _complete_patients(out, spec, patient_level, seed)
    for k, tissue in enumerate(tissues):
        gaps = [
            n for n, mask in missing.items() if n not in patient_level and mask[code == k].any()
        ]
        if gaps:
            names = covariates.needed_columns(spec, tissues)[tissue]
            numeric = [n for n in names if pd.api.types.is_numeric_dtype(out[n])]
            mine = out.index[code == k]
            matrix = out.loc[mine, numeric].astype(float)
            matrix[_LOG_DOSE] = _log_dose(out.loc[mine], spec)
            done = _chained(matrix, out.loc[mine, _HELD].to_numpy(bool), seed)
            out.loc[mine, gaps] = done[gaps].to_numpy()
    return out


_LOG_DOSE = "bayesdose_log_dose"


def _belongs_to_patient(frame: pd.DataFrame, spec: ModelSpec, name: str) -> bool:
    keys = [frame[spec.patient].astype(str), frame[design.CYCLE]]
    grouped = frame[name].groupby(keys)
    return bool((grouped.nunique() <= 1).all() and (grouped.count() % 1 == 0).all()) and bool(
        frame[name].isna().groupby(keys).nunique().eq(1).all()
    )


def _complete_patients(
    frame: pd.DataFrame, spec: ModelSpec, names: list[str], seed: int
) -> pd.DataFrame:
    keys = [spec.patient, design.CYCLE]
    by_patient = frame.groupby(keys, sort=False)
    matrix = by_patient[names].first()
    doses = pd.Series(_log_dose(frame, spec), index=frame.index)
    tissue = frame[spec.by].astype(str) if spec.by else pd.Series("all", index=frame.index)
    for word in tissue.unique():
        matrix[f"{_LOG_DOSE}_{word}"] = (
            doses.where(tissue == word).groupby([frame[k] for k in keys], sort=False).mean()
        )
    held = by_patient[_HELD].first().to_numpy(bool)
    done = _chained(matrix, held, seed)
    place = pd.MultiIndex.from_frame(frame[keys])
    out = frame.copy()
    for name in names:
        filled = done[name].reindex(place).to_numpy()
        out[name] = np.where(out[name].isna(), filled, out[name])
    return out


def _log_dose(frame: pd.DataFrame, spec: ModelSpec) -> np.ndarray:
    dose = np.log(frame[spec.response].to_numpy(float))
    return dose - np.log(frame[spec.activity].to_numpy(float)) if spec.activity else dose


def _chained(matrix: pd.DataFrame, held: np.ndarray, seed: int) -> pd.DataFrame:
    """Complete a numeric table; positive columns on the log scale, learnt from rows not held."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    logged = [n for n in matrix if not n.startswith(_LOG_DOSE) and (matrix[n].dropna() > 0).all()]
    values = matrix.copy()
    values[logged] = np.log(values[logged])
    kept = values.columns[values[~held].notna().any()]
    center, scale = values.loc[~held, kept].mean(), values.loc[~held, kept].std().replace(0, 1)
    z = ((values[kept] - center) / scale.fillna(1)).to_numpy()
    imputer = IterativeImputer(
        sample_posterior=True, max_iter=_ROUNDS, random_state=seed % 2**31, tol=0.0
    )
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # draws do not converge to a value; a fixed number of rounds is meant
        warnings.simplefilter("ignore", ConvergenceWarning)
        filled = imputer.fit_transform(z[~held])
        z[~held] = filled
        if held.any():
            z[held] = imputer.transform(z[held])
    out = matrix.copy()
    out[kept] = z * scale.fillna(1).to_numpy() + center.to_numpy()
    out[logged] = np.exp(out[logged])
    return out.where(matrix.isna(), matrix)
