"""Simple models under the folds of a dose model, and the table that holds them beside it."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.dose.domain import PROTOCOL
from bayesdose.dose.leave_one_out import LeaveOneOut, fold_labels
from bayesdose.dose.model import DoseModel
from bayesdose.dose.priors import R2D2, Priors, RegularizedHorseshoe
from bayesdose.dose.r_squared import conditional_mean
from bayesdose.dose.training import Training, needs_training
from bayesdose.errors import ConfigError, PredictionError
from bayesdose.evaluate import point_scores

IN_SAMPLE = "in-sample, conditional"
LEFT_OUT = "leave-one-patient-out"
POPULATION_MEAN = "population mean"
PHYSICAL = "log SUV + log volume"
PATIENT_ONLY = "patient intercept only"

#: Training columns (n, c) and log(Gy/GBq) (n,), new columns (m, c) → log(Gy/GBq) (m,), or None
#: where the training rows cannot fix the regression.
Regression = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray | None]
#: Columns (n, c) of each tissue over all rows of the table; None where it has none.
Columns = list[np.ndarray | None]


def baselines(
    model: DoseModel, *, by: str | None = None, regressors: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """Score simple models under the folds of a dose model, on its training rows.

    * ``"population mean"``: mean Gy/GBq of the tissue over the training sites.
    * ``"log SUV + log volume"``: least squares of log(Gy/GBq) on log suv_mean and log volume_ml
      by tissue.
    * ``"patient intercept only"``: the dose model with formula ``"1"`` and patient intercepts,
      without group effects, other arguments and priors as they are (a horseshoe or R2D2, which
      has no slopes to shrink, gives way to the default); a new patient gets the population.
    * each regressor: one fit a tissue, of log(Gy/GBq) on the model's columns before
      standardisation, without the intercept (columns that are learnt, such as splines, from
      all rows).

    A site's point prediction is that of its fold, exp(predicted log(Gy/GBq)) times the activity;
    of the hierarchical model it is the predictive median.

    Parameters
    ----------
    model : DoseModel
        Fitted, with its training rows.
    by : str, optional
        Column that is left out; the patient's by default.
    regressors : dict, optional
        Name → scikit-learn regressor; a clone is fitted in every fold and tissue.

    Returns
    -------
    pandas.DataFrame
        ``baseline`` and the columns of `bayesdose.evaluate.point_scores`. A baseline that the
        table cannot give is absent for that tissue; ``attrs["notes"]``, a list of text, says so.

    Raises
    ------
    ConfigError
        When a regressor has the name of another row, is no regressor, or predicts a value that
        is not finite.
    PredictionError
        When the model was saved without its rows.
    """
    regressors = _checked(regressors or {})
    fitted = model._state()
    training = needs_training(fitted, "baselines")
    label_of = fold_labels(training, by or fitted.encoding.spec.patient)
    notes: list[str] = []

    def out_of_fold(name: str, columns: Columns, regression: Regression) -> np.ndarray:
        return _out_of_fold(training, label_of, name, columns, regression, notes)

    points = {
        POPULATION_MEAN: out_of_fold(POPULATION_MEAN, _nothing(training), _log_of_mean),
        PHYSICAL: out_of_fold(PHYSICAL, _physical_columns(training, notes), _least_squares),
        PATIENT_ONLY: _patient_only(model, training, by),
    }
    for name, regressor in regressors.items():
        columns = _model_columns(training, name, notes)
        points[name] = out_of_fold(name, columns, _cloned(regressor))
    parts = [_scores(training, point, label_of, "baseline", name) for name, point in points.items()]
    return _joined(parts, notes)


def beside(
    model: DoseModel, lopo: LeaveOneOut, *, regressors: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """Scores of a dose model in-sample and left out, beside its baselines.

    The in-sample row is what studies of this kind print: each training site against the posterior
    median of its own patient's mean function. It is no validation.

    Parameters
    ----------
    model : DoseModel
        Fitted, with its training rows.
    lopo : LeaveOneOut
        Of this model; the baselines get its folds.
    regressors : dict, optional
        As in `baselines`.

    Returns
    -------
    pandas.DataFrame
        model (``"in-sample, conditional"``, ``"leave-one-patient-out"``, then each baseline),
        tissue, weights, and the other columns of `bayesdose.evaluate.point_scores`. R2 of the
        in-sample row compares with the mean of all sites, of the others with the training mean.
        ``attrs["notes"]`` as in `baselines`.

    Raises
    ------
    PredictionError
        When the validation is of another fit, or the model was saved without its rows.
    ConfigError
        As in `baselines`.
    """
    fitted = model._state()
    training = needs_training(fitted, "the in-sample fit")
    if lopo._fitted is not fitted:
        raise PredictionError(
            "the validation belongs to another fit: pass model and "
            "model.leave_one_patient_out() of the same fit"
        )
    patient = fitted.encoding.spec.patient
    others = baselines(model, by=lopo.by, regressors=regressors)
    parts = [others.rename(columns={"baseline": "model"})]
    left_out = np.median(lopo.draws, axis=0)
    label = LEFT_OUT if lopo.by == patient else f"leave-one-{lopo.by}-out"
    parts.insert(0, _scores(training, left_out, fold_labels(training, lopo.by), "model", label))
    try:
        in_sample = np.exp(np.median(conditional_mean(fitted), axis=0))
        parts.insert(0, _scores(training, in_sample, None, "model", IN_SAMPLE))
    except PredictionError as err:
        others.attrs["notes"].insert(0, f"{IN_SAMPLE}: absent, {err}")
    return _joined(parts, others.attrs["notes"])


def _checked(regressors: Mapping[str, Any]) -> Mapping[str, Any]:
    taken = (IN_SAMPLE, LEFT_OUT, POPULATION_MEAN, PHYSICAL, PATIENT_ONLY)
    if not isinstance(regressors, Mapping):
        raise ConfigError(
            f"regressors: got {type(regressors).__name__}; give a dict, name → regressor"
        )
    for name, regressor in regressors.items():
        if name in taken:
            raise ConfigError(f"regressors: {name!r} is the name of another row; choose another")
        if not (hasattr(regressor, "fit") and hasattr(regressor, "predict")):
            raise ConfigError(
                f"regressors[{name!r}]: got {regressor!r}; give a scikit-learn regressor, "
                "not yet fitted"
            )
    return regressors


def _scores(
    training: Training, point: np.ndarray, folds: np.ndarray | None, column: str, label: str
) -> pd.DataFrame:
    rows = training.rows
    ready = ~np.isnan(point)
    if not ready.any():
        return pd.DataFrame()
    table = point_scores(
        np.exp(rows.log_dose)[ready],
        point[ready],
        np.asarray(rows.patients)[rows.patient[ready]],
        np.asarray(training.encoding.tissues)[rows.tissue[ready]],
        folds=None if folds is None else folds[ready],
    )
    table.insert(0, column, label)
    return table


def _joined(parts: list[pd.DataFrame], notes: list[str]) -> pd.DataFrame:
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    table.attrs = {"notes": notes}
    return table


def _out_of_fold(
    training: Training,
    label_of: np.ndarray,
    name: str,
    columns: Columns,
    regression: Regression,
    notes: list[str],
) -> np.ndarray:
    """Point prediction of every row without its fold, Gy; NaN where there is none."""
    rows = training.rows
    out = np.full(len(rows.tissue), np.nan)
    for tissue, x, mine in _by_tissue(training, columns):
        for label in dict.fromkeys(label_of[mine]):
            train, test = mine & (label_of != label), mine & (label_of == label)
            found = regression(x[train], rows.y[train], x[test]) if train.any() else None
            if found is None:
                notes.append(
                    f"{name}: {tissue} of {label!r} is not scored ({int(test.sum())} sites); the "
                    f"{int(train.sum())} sites that are left cannot fix the regression"
                )
                continue
            if not np.isfinite(found).all():
                raise ConfigError(
                    f"{name}: predicts a value that is not finite for {tissue} of {label!r}; the "
                    "target is log(Gy/GBq)"
                )
            out[test] = np.exp(found + rows.log_activity[test])
    return out


def _by_tissue(
    training: Training, columns: Columns
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for k, (tissue, x) in enumerate(zip(training.encoding.tissues, columns, strict=True)):
        if x is not None:
            yield tissue, x, training.rows.tissue == k


def _nothing(training: Training) -> Columns:
    return [np.empty((len(training.frame), 0)) for _ in training.encoding.tissues]


def _log_of_mean(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    return np.full(len(new), np.log(np.exp(y).mean()))


def _physical_columns(training: Training, notes: list[str]) -> Columns:
    frame, tissues = training.frame, training.encoding.tissues
    absent = [name for name in ("suv_mean", "volume_ml") if name not in frame.columns]
    if absent:
        notes.append(f"{PHYSICAL}: absent, the table has no column {' and no '.join(absent)}")
        return [None] * len(tissues)
    values = frame[["suv_mean", "volume_ml"]].to_numpy(float)
    bad = ~(np.isfinite(values) & (values > 0)).all(axis=1)
    x = np.column_stack([np.ones(len(values)), np.log(np.where(bad[:, None], 1.0, values))])
    out: Columns = []
    for k, tissue in enumerate(tissues):
        n = int((bad & (training.rows.tissue == k)).sum())
        out.append(None if n else x)
        if n:
            notes.append(
                f"{PHYSICAL}: absent for {tissue}, where suv_mean or volume_ml is missing or not "
                f"above 0 in {n} rows"
            )
    return out


def _least_squares(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray | None:
    coefficients, _, rank, _ = np.linalg.lstsq(x, y)
    return new @ coefficients if rank == x.shape[1] else None


def _model_columns(training: Training, name: str, notes: list[str]) -> Columns:
    encoding = training.encoding
    if encoding.spec.missing == "impute":
        notes.append(f"{name}: absent, imputed covariates have seen the doses of all patients")
        return [None] * len(encoding.tissues)
    out: Columns = []
    for k, (tissue, block) in enumerate(zip(encoding.tissues, encoding.blocks, strict=True)):
        chosen = [word != "Intercept" for word in encoding.columns(k)]
        out.append(training.rows.raw[:, block][:, chosen] if any(chosen) else None)
        if not any(chosen):
            notes.append(f"{name}: absent for {tissue}, whose formula has no covariate")
    return out


def _cloned(regressor: Any) -> Regression:
    from sklearn.base import clone

    def fit_predict(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.asarray(clone(regressor).fit(x, y).predict(new), dtype=float).reshape(len(new))

    return fit_predict


_FOLD = "left_out_together"


def _patient_only(model: DoseModel, training: Training, by: str | None) -> np.ndarray:
    spec, info = training.encoding.spec, model.fit_info_
    collapses = spec.likelihood == "lognormal" and spec.censored is None
    changed = {
        "formula": "1",
        "patient_effects": "1",
        "group_effects": (),
        "missing": "error",
        "engine": "collapsed" if collapses else spec.engine,
        "priors": _without_shrinkage(spec.priors),
    }
    with warnings.catch_warnings():
        # the model's own fit and validation have said what is odd about the table or a fold
        warnings.simplefilter("ignore", UserWarning)
        # columns that the intercept does not read may be mixed; the fold's own goes by another name
        frame = training.frame.drop(columns=[n for n in PROTOCOL if n in training.frame.columns])
        frame[_FOLD] = training.frame[by or spec.patient]
        simple = type(model)(**{**model.get_params(), **changed}).fit(
            frame, draws=info["draws"], random_seed=info["random_seed"]
        )
        lopo = simple.leave_one_out(_FOLD)
        return np.median(lopo.draws, axis=0)


def _without_shrinkage(priors: Priors) -> Priors:
    """Priors that share a scale among slopes have nothing to share here: the default instead."""

    def kept(given: Any) -> Any:
        if isinstance(given, Mapping):
            return {tissue: prior for tissue, prior in given.items() if kept(prior) is not None}
        return None if isinstance(given, RegularizedHorseshoe | R2D2) else given

    return replace(priors, slope=kept(priors.slope), patient_sd=kept(priors.patient_sd))
