"""Complete a site table many times: draws of its missing numbers given everything else.

The table's numbers, log dose among them, are taken as jointly normal, positive columns on the log
scale. Data augmentation (Schafer 1997, Analysis of Incomplete Multivariate Data, section 5.4, from
memory) draws the mean and covariance given the completed training rows and the missing values
given those, in turn. Rows that are not in training are completed from what they have by the same
mean and covariance, without teaching them anything, and without their dose.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from bayesdose.cohort.schema import column_of
from bayesdose.dose import covariates, design
from bayesdose.dose.spec import ONE_TISSUE, ModelSpec
from bayesdose.errors import MissingCovariateError

IMPUTATIONS = 20
#: Completions, for each imputation, of rows to predict.
REPEATS = 10
#: Rounds of data augmentation behind one imputation.
_ROUNDS = 30
#: Scale matrix of the inverse-Wishart prior, in units of each column's variance; worth less than
#: one row, it keeps the covariance positive where there are fewer rows than columns.
_PRIOR_SCALE = 0.1
_LOG_DOSE = "bayesdose_log_dose"
#: 0 for a training row, else the number of the copy of a row to complete.
_HELD = "bayesdose_held_out"


def completions(training: pd.DataFrame, spec: ModelSpec, seed: int) -> list[pd.DataFrame]:
    """Complete a training table many times.

    Parameters
    ----------
    training : pandas.DataFrame
        Site table with measured doses.
    spec : ModelSpec
        The model.
    seed : int
        Seed.

    Returns
    -------
    list of pandas.DataFrame
        One an imputation.
    """
    return [first for first, _ in _imputations(training, training.iloc[:0], spec, seed, 1)]


def completions_of_others(
    training: pd.DataFrame, other: pd.DataFrame, spec: ModelSpec, seed: int, repeats: int
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Complete a training table and, from what it teaches, further rows without their dose.

    Parameters
    ----------
    training : pandas.DataFrame
        Site table with measured doses.
    other : pandas.DataFrame
        Rows to complete; their dose is not looked at.
    spec : ModelSpec
        The model.
    seed : int
        Seed; the training table is completed as `completions` does.
    repeats : int
        Completions of the other rows for each of the training table; one where they have no gaps.

    Returns
    -------
    training : list of pandas.DataFrame
        M, one an imputation.
    other : list of pandas.DataFrame
        Table j goes with imputation j modulo M.
    """
    tissues = [str(word) for word in other[spec.by].unique()] if spec.by else [ONE_TISSUE]
    needed = {n for names in covariates.needed_columns(spec, tissues).values() for n in names}
    if not other[[name for name in needed if name in other.columns]].isna().any(axis=None):
        repeats = 1
    pairs = _imputations(training, other, spec, seed, repeats)
    return [first for first, _ in pairs], [
        pairs[m][1][r] for r in range(repeats) for m in range(len(pairs))
    ]


def _imputations(
    training: pd.DataFrame, other: pd.DataFrame, spec: ModelSpec, seed: int, repeats: int
) -> list[tuple[pd.DataFrame, list[pd.DataFrame]]]:
    later = [other.assign(**{_HELD: r + 1, spec.response: np.nan}) for r in range(repeats)]
    both = pd.concat([training.assign(**{_HELD: 0}), *later], ignore_index=True)
    found = []
    for m in range(IMPUTATIONS):
        done = _complete(both, spec, np.random.default_rng([seed, m]))
        held = done.pop(_HELD).to_numpy()
        first = done[held == 0].set_axis(training.index)
        found.append((first, [done[held == r + 1].set_axis(other.index) for r in range(repeats)]))
    return found


def missing_share(frame: pd.DataFrame, spec: ModelSpec) -> dict[str, float]:
    """Share of the rows in which each needed covariate is missing.

    Parameters
    ----------
    frame : pandas.DataFrame
        Training table.
    spec : ModelSpec
        The model.

    Returns
    -------
    dict of float

    Raises
    ------
    MissingCovariateError
        When a column with gaps holds words, or nothing at all.
    """
    tissues, code = _codes(frame, spec)
    missing = covariates.missing_covariates(frame, spec, tissues, code)
    for name, mask in missing.items():
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise MissingCovariateError(
                f"missing='impute' completes numbers; column {name!r} holds words and is missing "
                f"in {int(mask.sum())} rows: fill it in, or leave it out of the formula"
            )
        if frame[name].isna().all():
            raise MissingCovariateError(f"column {name!r} is missing everywhere: leave it out")
    return {name: float(mask.mean()) for name, mask in missing.items()}


def _codes(frame: pd.DataFrame, spec: ModelSpec) -> tuple[tuple[str, ...], np.ndarray]:
    tissues = design.tissues_of(frame, spec)
    if spec.by is None:
        return tissues, np.zeros(len(frame), int)
    place = {word: k for k, word in enumerate(tissues)}
    return tissues, frame[spec.by].astype(str).map(place).to_numpy(int)


def _complete(frame: pd.DataFrame, spec: ModelSpec, rng: np.random.Generator) -> pd.DataFrame:
    tissues, code = _codes(frame, spec)
    missing = covariates.missing_covariates(frame, spec, tissues, code)
    needed = covariates.needed_columns(spec, tissues)
    log_dose = pd.Series(_log_dose(frame, spec), index=frame.index)
    of_patient = _of_patient(frame, spec, needed)
    out = frame.copy()
    # each level has a stream of its own, so that one's gaps do not move the other's draws
    streams = rng.spawn(1 + len(tissues))
    if any(name in missing for name in of_patient):
        out = _complete_patients(out, spec, of_patient, log_dose, code, streams[0])
    for k, tissue in enumerate(tissues):
        mine = out.index[code == k]
        gaps = [n for n, mask in missing.items() if n not in of_patient and mask[code == k].any()]
        if gaps:
            matrix = _numbers(out.loc[mine], needed[tissue])
            matrix[_LOG_DOSE] = log_dose[mine]
            done = _draw(matrix, out.loc[mine, _HELD].to_numpy() > 0, streams[1 + k])
            out.loc[mine, gaps] = done[gaps]
    return out


def _of_patient(
    frame: pd.DataFrame, spec: ModelSpec, needed: Mapping[str, Sequence[str]]
) -> list[str]:
    """Numeric covariates with one value for each patient and cycle, in the training rows."""
    training = frame[frame[_HELD] == 0]
    keys = _keys(training, spec)
    names = dict.fromkeys(name for columns in needed.values() for name in columns)
    found = []
    for name in _numbers(training, list(names)):
        known = column_of(name)
        # of a column that the schema does not know: all rows of a patient alike, gaps included
        alike = (training[name].groupby(keys).nunique(dropna=False) <= 1).all()
        if alike or (known is not None and known.per_cycle):
            found.append(name)
    return found


def _complete_patients(
    frame: pd.DataFrame,
    spec: ModelSpec,
    names: list[str],
    log_dose: pd.Series,
    code: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Complete what belongs to a patient and cycle, once for them, by their tissues' mean doses."""
    keys = _keys(frame, spec)
    matrix = frame[names].astype(float).groupby(keys, sort=False).first()
    for k in np.unique(code):
        mean = log_dose.where(code == k).groupby(keys, sort=False).mean()
        matrix[f"{_LOG_DOSE}_{k}"] = mean
    held = frame[_HELD].groupby(keys, sort=False).first().to_numpy() > 0
    done = _draw(matrix, held, rng)
    out = frame.copy()
    for name in names:
        filled = keys.map(done[name])
        out[name] = frame[name].where(frame[name].notna(), filled)
    return out


def _keys(frame: pd.DataFrame, spec: ModelSpec) -> pd.Series:
    """Number of each row's patient and cycle; rows held out are never one with training rows."""
    cycle = frame[design.CYCLE] if design.CYCLE in frame.columns else pd.Series(1, frame.index)
    pairs = pd.MultiIndex.from_arrays([frame[_HELD], frame[spec.patient].astype(str), cycle])
    return pd.Series(pd.factorize(pairs)[0], index=frame.index)


def _numbers(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    present = [n for n in names if n in frame.columns]
    return frame[[n for n in present if pd.api.types.is_numeric_dtype(frame[n])]].astype(float)


def _log_dose(frame: pd.DataFrame, spec: ModelSpec) -> np.ndarray:
    dose = np.log(frame[spec.response].to_numpy(float))
    return dose - np.log(frame[spec.activity].to_numpy(float)) if spec.activity else dose


def _draw(matrix: pd.DataFrame, held: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the gaps of a numeric table; only rows that are not held teach."""
    doses = [n for n in matrix if str(n).startswith(_LOG_DOSE)]
    logged = [n for n in matrix if n not in doses and (matrix[n].dropna() > 0).all()]
    values = matrix.copy()
    values[logged] = np.log(values[logged])
    known = values[~held]
    constant = known.nunique() <= 1
    kept = values.columns[known.notna().any() & ~constant]
    center, scale = known[kept].mean(), known[kept].std()
    z = ((values[kept] - center) / scale).to_numpy()
    training_rng, held_rng = rng.spawn(2)
    z[~held], mean, covariance = augmented(z[~held], training_rng)
    z[held] = _conditional(z[held], np.isnan(z[held]), mean, covariance, held_rng)
    out = matrix.copy()
    out[kept] = z * scale.to_numpy() + center.to_numpy()
    for name in matrix.columns[constant & known.notna().any()]:
        out[name] = known[name].dropna().iloc[0]
    out[logged] = np.exp(out[logged])
    return out.where(matrix.isna(), matrix)


def augmented(z: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Complete a jointly normal matrix by data augmentation.

    Parameters
    ----------
    z : numpy.ndarray of shape (n, d)
        Standardised columns, NaN where missing.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    completed : numpy.ndarray of shape (n, d)
    mean : numpy.ndarray of shape (d,)
        The draw of the mean that the last missing values were drawn with.
    covariance : numpy.ndarray of shape (d, d)
        And of the covariance.
    """
    n, d = z.shape
    gaps = np.isnan(z)
    mean, covariance = np.zeros(d), np.eye(d)
    completed = _conditional(z, gaps, mean, covariance, rng)
    for _ in range(_ROUNDS if gaps.any() else 1):
        average = completed.mean(0)
        scatter = (completed - average).T @ (completed - average)
        # flat prior on the mean, inverse-Wishart(d, 0.1 I) on the covariance
        covariance = np.atleast_2d(
            stats.invwishart.rvs(n - 1 + d, scatter + _PRIOR_SCALE * np.eye(d), random_state=rng)
        )
        mean = rng.multivariate_normal(average, covariance / n, method="cholesky")
        completed = _conditional(completed, gaps, mean, covariance, rng)
    return completed, mean, covariance


def _conditional(
    z: np.ndarray,
    gaps: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the gaps of every row from the normal law given the row's other values."""
    out = z.copy()
    for pattern in np.unique(gaps[gaps.any(1)], axis=0):
        rows = np.flatnonzero((gaps == pattern).all(1))
        seen = ~pattern
        weights = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, pattern)])
        center = mean[pattern] + (z[np.ix_(rows, seen)] - mean[seen]) @ weights
        left = covariance[np.ix_(pattern, pattern)] - covariance[np.ix_(pattern, seen)] @ weights
        root = np.linalg.cholesky((left + left.T) / 2)
        noise = rng.standard_normal((len(rows), int(pattern.sum())))
        out[np.ix_(rows, pattern)] = center + noise @ root.T
    return out
