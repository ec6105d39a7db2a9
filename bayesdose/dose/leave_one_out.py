"""Exact leave-one-patient-out (or centre-out) validation and its result."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesdose.dose import design, standardise
from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.posterior import Draws
from bayesdose.dose.predict import log_dose_draws
from bayesdose.dose.prediction import summarise
from bayesdose.dose.site_draws import site_labels
from bayesdose.dose.standardise import Standardisation
from bayesdose.dose.training import (
    Fitted,
    Training,
    by_table,
    check_hdi_prob,
    needs_training,
    without_spread,
)
from bayesdose.errors import BayesdoseError, ConfigError

if TYPE_CHECKING:
    import arviz_stats as azs

    from bayesdose.dose.collapsed.folds import Outcome

#: Draws of each fold's posterior behind ``predictions``.
FOLD_DRAWS = 4000


@dataclass(frozen=True)
class FoldData:
    """What a fold needs beside θ.

    Parameters
    ----------
    label : str
        Patient or centre left out.
    held : numpy.ndarray of bool of shape (n,)
        Its rows in the training table.
    scored : numpy.ndarray of bool of shape (n,)
        Those among them that the fold can predict.
    encoding : Encoding
        With the fold's own standardisation.
    tables : tuple of Rows
        All rows, in the fold's own standardisation; one for each imputation, one without.
    task : object
        What the engine needs for the fold; None where it cannot be evaluated.
    status : str
        ``"ok"``, or what the fold lost.
    """

    label: str
    held: np.ndarray
    scored: np.ndarray
    encoding: Encoding
    tables: tuple[Rows, ...]
    task: Any
    status: str


@dataclass
class LeaveOneOut:
    """Leave-one-out validation: what the model says of patients that it has not seen.

    Parameters
    ----------
    patients : pandas.DataFrame
        By patient (or centre): elpd (joint log predictive density of its measured doses, in
        1/Gy for each site), mcse, pareto_k, adapted (θ sampled anew for the fold), weight_ess,
        n_sites, n_scored, status.
    by : str
        Column left out.
    hdi_prob : float
        Mass of the intervals in ``predictions``.
    _fitted, _folds, _drawer : object
        What predictions are made from when they are first asked for.
    """

    patients: pd.DataFrame
    by: str
    hdi_prob: float
    _fitted: Fitted = field(repr=False)
    _folds: list[FoldData] = field(repr=False)
    _drawer: Any = field(repr=False)

    @property
    def elpd(self) -> float:
        """Sum of the patients' elpd.

        Returns
        -------
        float
            Over the folds that could be evaluated.
        """
        return float(self.patients["elpd"].sum())

    @property
    def elpd_se(self) -> float:
        """Standard error of ``elpd`` over patients; unreliable for fewer than about 20.

        Returns
        -------
        float
        """
        values = self.patients["elpd"].dropna()
        return float(np.sqrt(len(values)) * values.std(ddof=1))

    @cached_property
    def draws(self) -> np.ndarray:
        """Joint predictive draws of the measured doses, each from the fold without its patient.

        Returns
        -------
        numpy.ndarray of shape (S, n), Gy
            In the row order of the training table; NaN where a fold could not predict.
        """
        training = needs_training(self._fitted, "leave-one-out predictions")
        n = len(training.rows.tissue)
        rng = np.random.default_rng([self._fitted.info["random_seed"], 4])
        folds = self._drawn_folds
        out = np.full((len(folds[0][1]) if folds else FOLD_DRAWS, n), np.nan)
        for fold, found in folds:
            held = np.flatnonzero(fold.scored)
            for place, part, table in by_table(found, fold.tables):
                log_dose = log_dose_draws(
                    fold.encoding,
                    part,
                    table.take(held).compact(),
                    kind="new_patient",
                    target="measured",
                    measured={},
                    rng=rng,
                )
                out[place, held] = np.exp(log_dose)
        return out

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Each site predicted from the other patients only.

        Returns
        -------
        pandas.DataFrame
            With the index of the training table: patient_id, site_id, tissue, cycle, observed,
            mean, median, sd, lower, upper (Gy, of the measured dose), elpd (log density of the
            site alone, in 1/Gy).
        """
        training = needs_training(self._fitted, "leave-one-out predictions")
        table = site_labels(training.frame, training.encoding.spec)
        table["observed"] = np.exp(training.rows.log_dose)
        ready = ~np.isnan(self.draws).any(0)
        summary = summarise(self.draws[:, ready], self.hdi_prob)
        for name, values in summary.items():
            table[name] = np.nan
            table.loc[ready, name] = values
        table["elpd"] = self._site_elpd
        table.attrs = {"kind": "new_patient", "target": "measured", "units": "Gy"}
        return table

    @cached_property
    def _drawn_folds(self) -> list[tuple[FoldData, Draws]]:
        usable = [fold for fold in self._folds if fold.task is not None and fold.scored.any()]
        return list(zip(usable, self._drawer(usable), strict=True))

    @cached_property
    def _site_elpd(self) -> np.ndarray:
        out = np.full(self.draws.shape[1], np.nan)
        for fold, found in self._drawn_folds:
            parts = [
                site_log_density(fold.encoding, part, table.take(fold.scored))
                for _, part, table in by_table(found, fold.tables)
            ]
            out[fold.scored] = _log_mean_exp(np.stack(parts))
        return out

    def summary(self) -> pd.DataFrame:
        """Scores of the leave-one-out predictions by tissue.

        Returns
        -------
        pandas.DataFrame
            See `bayesdose.evaluate.site_scores` for every column; site- and patient-weighted.
        """
        from bayesdose.evaluate import site_scores

        table, ready = self.predictions, ~np.isnan(self.draws).any(0)
        fold_of = np.empty(len(table), dtype=object)
        for fold in self._folds:
            fold_of[fold.held] = fold.label
        return site_scores(
            table["observed"].to_numpy()[ready],
            self.draws[:, ready],
            table["patient_id"].astype(str).to_numpy()[ready],
            table["tissue"].astype(str).to_numpy()[ready],
            folds=fold_of[ready],
        )

    def to_arviz(self) -> "azs.ELPDData":
        """Result for ArviZ's ``compare``, with one pointwise value for each patient.

        Returns
        -------
        arviz_stats.ELPDData
        """
        from bayesdose._arviz import elpd_data

        return elpd_data(
            self.patients["elpd"].to_numpy(),
            [str(label) for label in self.patients.index],
            self.patients["pareto_k"].to_numpy(),
            self.elpd_se,
            len(self._fitted.draws),
        )

    def __repr__(self) -> str:
        lost = self.patients["elpd"].isna().sum()
        tail = f", {lost} folds without a value" if lost else ""
        return (
            f"LeaveOneOut(by={self.by!r}: elpd {self.elpd:.2f}, se {self.elpd_se:.2f} over "
            f"{len(self.patients)} folds{tail})"
        )


def run(
    fitted: Fitted, by: str, hdi_prob: float, n_jobs: int, progress: bool | None
) -> LeaveOneOut:
    """Leave each value of a column out in turn.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    by : str
        Column, constant within a patient.
    hdi_prob : float
        Mass of the intervals in ``predictions``.
    n_jobs : int
        Refits at once, of the PyMC engine.
    progress : bool or None
        Progress of the refits of the PyMC engine, and of folds with imputation.

    Returns
    -------
    LeaveOneOut
    """
    check_hdi_prob(hdi_prob)
    training = needs_training(fitted, "leave-one-out")
    label_of = fold_labels(training, by)
    if fitted.encoding.spec.missing == "impute":
        from bayesdose.dose import imputation

        return imputation.leave_one_out(fitted, by, label_of, hdi_prob, progress)
    if fitted.encoding.spec.engine == "pymc":
        from bayesdose.dose import refit

        return refit.leave_one_out(fitted, by, label_of, hdi_prob, n_jobs, progress)
    return _collapsed(fitted, training, by, label_of, hdi_prob)


def fold_labels(training: Training, by: str) -> np.ndarray:
    """Fold of every row.

    Parameters
    ----------
    training : Training
        Training table.
    by : str
        Column left out.

    Returns
    -------
    numpy.ndarray of str of shape (n,)

    Raises
    ------
    ConfigError
        When the column is not there, varies within a patient, or has one value only.
    """
    frame, patient = training.frame, training.encoding.spec.patient
    if by not in frame.columns:
        raise ConfigError(f"leave_one_out(by={by!r}): the training table has no such column")
    labels = frame[by].astype(str)
    mixed = labels.groupby(frame[patient].astype(str)).nunique()
    if (mixed > 1).any():
        raise ConfigError(
            f"leave_one_out(by={by!r}): patient {mixed.index[mixed > 1][0]!r} has several values, "
            "so that leaving one out would keep rows of the same patient"
        )
    if labels.nunique() < 2:
        raise ConfigError(
            f"leave_one_out(by={by!r}): there is one value only, {labels.iloc[0]!r}; nothing "
            "would be left to learn from"
        )
    return labels.to_numpy()


def _collapsed(
    fitted: Fitted, training: Training, by: str, label_of: np.ndarray, hdi_prob: float
) -> LeaveOneOut:
    from bayesdose.dose.collapsed import folds as engine_folds

    problem, sampled = _engine_state(fitted, training)
    folds = [build_fold(training, problem, label_of, label) for label in dict.fromkeys(label_of)]
    rng = np.random.default_rng([fitted.info["random_seed"], 3])
    usable = [fold.task for fold in folds if fold.task is not None]
    outcomes = engine_folds.evaluate(problem, sampled, usable, rng, ess=FOLD_DRAWS)
    by_label = {task.label: found for task, found in zip(usable, outcomes, strict=True)}

    def drawer(wanted: Sequence[FoldData]) -> list[Draws]:
        tasks = [fold.task for fold in wanted if fold.task is not None]
        found = [by_label[task.label] for task in tasks]
        again = np.random.default_rng([fitted.info["random_seed"], 5])
        return engine_folds.fold_draws(problem, tasks, found, FOLD_DRAWS, again)

    table = pd.DataFrame(
        [_row(fold, by_label.get(fold.label), training.rows) for fold in folds],
        index=pd.Index([fold.label for fold in folds], name=by),
    )
    report_lost(table)
    return LeaveOneOut(table, by, hdi_prob, fitted, folds, drawer)


def report_lost(table: pd.DataFrame) -> None:
    """Warn of folds that lost something.

    Parameters
    ----------
    table : pandas.DataFrame
        ``LeaveOneOut.patients``.
    """
    for label, status in table["status"].items():
        if status != "ok":
            warnings.warn(f"fold {label!r}: {status}", FoldWarning, stacklevel=4)


class FoldWarning(UserWarning):
    """A fold of a validation lost something, or could not be evaluated."""


def build_fold(training: Training, problem: Any, label_of: np.ndarray, label: str) -> FoldData:
    """One fold: who is kept, in which standardisation, and what it loses.

    Parameters
    ----------
    training : Training
        Training table.
    problem : Problem
        The whole table on the device.
    label_of : numpy.ndarray of str of shape (n,)
        Fold of every row.
    label : str
        The fold.

    Returns
    -------
    FoldData
    """
    encoding, rows = training.encoding, training.rows
    held = label_of == label
    if any(terms.stateful for terms in encoding.terms):
        return _relearnt_fold(training, held, label, problem)
    scaling = standardise.standardisation_of(rows.raw[~held], rows.tissue[~held], encoding)
    lost = np.isin(rows.tissue, scaling.empty) & held
    status = _status(encoding, scaling, rows, held)
    numeric = [place for place in scaling.constant if _numeric(encoding, rows, place)]
    if numeric and encoding.spec.standardise:
        return FoldData(label, held, held & False, encoding, (rows,), None, status)
    activity = design.median_log_activity(training.frame[~held], encoding.spec)
    own = replace(encoding, standardisation=scaling, log_activity=activity)
    own_rows = replace(rows, x=standardise.standardised(rows.raw, rows.tissue, encoding, scaling))
    mapping = standardise.between(encoding, encoding.standardisation, scaling)
    return _fold(label, held, lost, own, own_rows, rows, mapping, status, problem)


def _relearnt_fold(training: Training, held: np.ndarray, label: str, problem: Any) -> FoldData:
    """A fold whose columns (splines, polynomials) are learnt from its own rows."""
    from bayesdose.dose.collapsed import engine

    spec = training.encoding.spec
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a lost tissue is in the fold's status
        try:
            encoding, _ = design.learn(
                training.frame[~held], spec, group_levels=training.encoding.group_levels
            )
            rows = encoding.rows(training.frame)
        except BayesdoseError as err:
            nothing = np.zeros(len(held), bool)
            return FoldData(
                label, held, nothing, training.encoding, training.tables, None, str(err)
            )
    own = engine.prepare(encoding, rows, problem.device.platform)
    identity = np.eye(encoding.n_coefficients)
    return _fold(label, held, held & False, encoding, rows, rows, identity, "ok", own, own=own)


def _fold(
    label: str,
    held: np.ndarray,
    lost: np.ndarray,
    encoding: Encoding,
    own_rows: Rows,
    shared_rows: Rows,
    mapping: np.ndarray,
    status: str,
    problem: Any,
    own: Any = None,
) -> FoldData:
    from bayesdose.dose.collapsed import engine, hyper
    from bayesdose.dose.collapsed.folds import Task

    rows, scored = shared_rows, held & ~lost
    if not scored.any():
        return FoldData(label, held, scored, encoding, (own_rows,), None, status)
    alike = no_spread_status(encoding, rows.take(~held))
    if alike is not None:
        return FoldData(label, held, held & False, encoding, (own_rows,), None, alike)
    if lost.any():
        # the rows that no fold can predict leave the table; patients keep their codes
        kept = shared_rows.take(~lost)
        own = engine.prepare(encoding, kept, problem.device.platform)
    space = hyper.build(encoding, design.patients_per_tissue(encoding, rows.take(~held)))
    mean = np.asarray(space.means)
    # folds may differ in their prior means; what else they differ in is compiled for them
    if lost.any() or replace(space, means=problem.space.means) != problem.space:
        own = replace(own or problem, space=space)
    keep = np.ones(len(rows.patients))
    keep[np.unique(rows.patient[held])] = 0.0
    task = Task(label, keep, mapping, mean, own)
    return FoldData(label, held, scored, encoding, (own_rows,), task, status)


def no_spread_status(encoding: Encoding, kept: Rows) -> str | None:
    """Why a fold cannot be learnt from doses that are equal within every patient.

    Parameters
    ----------
    encoding : Encoding
        Of the fold.
    kept : Rows
        Rows that the fold learns from.

    Returns
    -------
    str or None
        None where it can be learnt.
    """
    alike = without_spread(encoding, kept)
    if not alike:
        return None
    return (
        f"not evaluated: the {', '.join(alike)} doses that are left are the same within every "
        "patient"
    )


def lost_status(training: Training, held: np.ndarray, gone: Iterable[int]) -> str:
    """What a fold cannot score.

    Parameters
    ----------
    training : Training
        Training table.
    held : numpy.ndarray of bool of shape (n,)
        Rows left out.
    gone : iterable of int
        Tissue codes that only those rows have.

    Returns
    -------
    str
        Empty when it scores all.
    """
    return "; ".join(_lost(training.encoding, training.rows, held, k) for k in gone)


def _lost(encoding: Encoding, rows: Rows, held: np.ndarray, tissue: int) -> str:
    n = int((held & (rows.tissue == tissue)).sum())
    return f"no {encoding.tissues[tissue]} left to learn from: its {n} sites are not scored"


def _numeric(encoding: Encoding, rows: Rows, place: int) -> bool:
    for k, block in enumerate(encoding.blocks):
        if block.start <= place < block.stop:
            return not np.isin(rows.raw[rows.tissue == k, place], (0.0, 1.0)).all()
    return False


def _status(encoding: Encoding, scaling: Standardisation, rows: Rows, held: np.ndarray) -> str:
    words = [_lost(encoding, rows, held, k) for k in scaling.empty]
    for place in scaling.constant:
        k = next(k for k, b in enumerate(encoding.blocks) if b.start <= place < b.stop)
        name = encoding.columns(k)[place - encoding.blocks[k].start]
        what = "not evaluated" if _numeric(encoding, rows, place) else "its prior decides"
        words.append(f"column {name!r} of {encoding.tissues[k]} is constant: {what}")
    return "; ".join(words) or "ok"


def _row(fold: FoldData, outcome: "Outcome | None", rows: Rows) -> dict[str, Any]:
    row: dict[str, Any] = {
        "elpd": np.nan,
        "mcse": np.nan,
        "pareto_k": np.nan,
        "adapted": False,
        "weight_ess": np.nan,
        "n_sites": int(fold.held.sum()),
        "n_scored": int(fold.scored.sum()),
        "status": fold.status,
    }
    if outcome is not None:
        row |= {
            "elpd": outcome.log_density - float(rows.log_dose[fold.scored].sum()),
            "mcse": outcome.mcse,
            "pareto_k": outcome.pareto_k,
            "adapted": outcome.adapted,
            "weight_ess": outcome.weight_ess,
        }
    return row


def _engine_state(fitted: Fitted, training: Training) -> tuple[Any, Any]:
    """Problem and θ draws; sampled anew in a model that was loaded."""
    if fitted.engine_state is not None:
        return fitted.engine_state
    from bayesdose.dose.collapsed import engine

    problem = engine.prepare(training.encoding, training.rows, fitted.info["device"])
    rng = np.random.default_rng(fitted.info["random_seed"])
    return problem, engine.explore(problem, problem.whole, len(fitted.draws), rng)


def site_log_density(encoding: Encoding, draws: Draws, rows: Rows) -> np.ndarray:
    """Log predictive density of each row alone, for a patient that was not in training.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    draws : Draws
        S draws.
    rows : Rows
        Measured rows.

    Returns
    -------
    numpy.ndarray of shape (n,), 1/Gy
    """
    if draws.precision is None or draws.shift is None:
        from bayesdose.dose.pymc_engine import log_density as marginal

        each = np.arange(len(rows.tissue))
        alone = replace(
            rows, patient=each, cycle=each, site=each, patients=tuple(str(i) for i in each)
        )
        return _log_mean_exp(marginal(encoding, draws, alone, "new_patient"))
    # given θ, β and the patient effects integrated out, one site is normal on the log scale
    covariance = np.linalg.inv(draws.precision)
    mean = np.linalg.solve(draws.precision, draws.shift[..., None])[..., 0] @ rows.x.T
    variance = np.einsum("np,spr,nr->sn", rows.x, covariance, rows.x, optimize=True)
    variance += np.einsum("nq,sqr,nr->sn", rows.z, draws.patient_cov, rows.z, optimize=True)
    for sd in (draws.residual_sd, draws.cycle_sd, draws.site_sd):
        variance += sd[:, rows.tissue] ** 2
    variance += rows.own_var + rows.shared_var
    square = (rows.y - mean) ** 2 / variance
    log_density = -0.5 * (np.log(2 * np.pi * variance) + square)
    return _log_mean_exp(log_density) - rows.log_dose


def _log_mean_exp(values: np.ndarray) -> np.ndarray:
    top = values.max(0)
    return np.asarray(top + np.log(np.exp(values - top).mean(0)))
