"""Cross-validation of whole pipelines, patients kept whole, with an interval for its mean."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesdose.errors import ConfigError
from bayesdose.evaluate import _folds, _pipelines
from bayesdose.evaluate._arrays import Floats, check_probability, check_same_order, group_codes
from bayesdose.evaluate._folds import Split
from bayesdose.evaluate._overlap import interval, mean_correlation, shared_pairs
from bayesdose.evaluate._pipelines import Rows, Task

_SCORES = ("auc", "brier", "harrell_c", "uno_c")


class UndefinedFoldWarning(UserWarning):
    """A fold has no pair of patients to compare, and so no score."""


class PatientSplitWarning(UserWarning):
    """A step of a pipeline makes folds of its own, which do not know the patients."""


@dataclass(frozen=True)
class CrossValidation:
    """Scores of each fold, and predictions by models that did not know the patient.

    Attributes
    ----------
    folds : pandas.DataFrame
        A row a fold: repeat, fold, n_train_patients, n_test_patients, n_train_events and
        n_test_events (patients with a row of label 1, or with an event), the scores (auc and, of
        probabilities, brier; harrell_c and uno_c), NaN where the fold has none, and the tuned
        parameters as ``param_<name>``.
    predictions : pandas.DataFrame
        A row a tested row: repeat, fold, row (its number in X) and risk (the probability of label
        1, or the score of an estimator that has none). Take one repeat for a calibration or a
        decision curve. An area of them all is not an estimate: risks of different folds come from
        different models.
    overlap : ndarray of shape (n_folds, n_folds)
        Correlation of the fold scores where there is no signal: the share of pairs of a training
        and a tested patient that two folds have in common.
    horizon : float or None
        Where Uno's concordance is cut, in the unit of the times; None for labels.
    """

    folds: pd.DataFrame
    predictions: pd.DataFrame
    overlap: Floats
    horizon: float | None

    def summary(
        self,
        prob: float = 0.95,
        *,
        correlation: Literal["no_signal", "nadeau_bengio"] = "no_signal",
    ) -> pd.DataFrame:
        """Mean of the fold scores with an interval that knows that folds share patients.

        Parameters
        ----------
        prob : float
            Probability of the intervals.
        correlation : {"no_signal", "nadeau_bengio"}
            Of two folds: their `overlap`, or Nadeau and Bengio's own choice, for comparison with
            published intervals.

        Returns
        -------
        pandas.DataFrame
            A row a score: mean, se, lower, upper, n_folds (with a score), n_undefined (without),
            correlation (mean of any two folds) and a note. Ends are not cut at 0 and 1: one
            beyond says that folds are too few or too small. They are NaN where folds do not vary.

        Raises
        ------
        ConfigError
            When `prob` is not between 0 and 1, or `correlation` is unknown.

        Notes
        -----
        ``mean ± t(J - 1) sqrt((1 / J + rho / (1 - rho)) s²)`` with J scores of variance s², rho
        their correlation. Nadeau and Bengio guessed rho as the share of patients that are tested,
        0.2 in 5 folds. That suits a model that training hardly moves. Without signal all that
        moves a score is chance between training and test, and folds are correlated by the pairs
        that they share, 0.25 to 0.32. In simulations 95 % intervals with the guess held 0.5 in as
        few as 88 % (5 folds, 10 times), those with the shared pairs in 94 to 99 %; with signal they
        held the true mean in 95 %. They describe the pipeline trained on so many patients, not one
        model.

        References
        ----------
        Nadeau and Bengio 2003, Mach. Learn. 52:239, doi 10.1023/A:1024068626366; for repeated
        folds Bouckaert and Frank 2004, LNCS 3056:3 (both from memory). The correlation without
        signal is derived here and checked by simulation, in the guide.
        """
        check_probability(prob)
        if correlation not in ("no_signal", "nadeau_bengio"):
            raise ConfigError(
                f"`correlation` must be 'no_signal' or 'nadeau_bengio'; got {correlation!r}."
            )
        names = [name for name in _SCORES if name in self.folds]
        rows = [self._line(self.folds[name].to_numpy(), prob, correlation) for name in names]
        return pd.DataFrame(rows, index=pd.Index(names, name="score"))

    def _line(self, values: Floats, prob: float, correlation: str) -> dict[str, Any]:
        defined = np.isfinite(values)
        n_undefined = int((~defined).sum())
        if correlation == "no_signal":
            rho = mean_correlation(self.overlap, defined)
        else:
            kept = self.folds[defined]
            ratio = float((kept["n_test_patients"] / kept["n_train_patients"]).mean())
            rho = ratio / (1.0 + ratio)
        found, note = interval(values[defined], rho, prob)
        left_out = f"{n_undefined} of {values.size} folds have no score" if n_undefined else ""
        return {
            "mean": float(values[defined].mean()) if defined.any() else float("nan"),
            **found,
            "n_folds": int(defined.sum()),
            "n_undefined": n_undefined,
            "correlation": rho,
            "note": "; ".join(filter(None, (left_out, note))),
        }


def cross_validate(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    groups: ArrayLike | None = None,
    n_folds: int = 5,
    n_repeats: int = 10,
    cv: Any = None,
    param_grid: Mapping[str, Any] | list[Mapping[str, Any]] | None = None,
    inner_folds: int = 5,
    horizon: float | None = None,
    random_seed: int = 1,
    n_jobs: int = 1,
    progress: bool | None = None,
) -> CrossValidation:
    """Cross-validate a pipeline: everything that it learns, it learns inside the training fold.

    Parameters
    ----------
    estimator : scikit-learn or scikit-survival estimator
        A classifier with `predict_proba` or `decision_function`, or a survival model whose
        `predict` is higher for worse. Put imputation, scaling and selection into it, as a
        pipeline: it is fitted afresh in every fold. Seed it where it draws random numbers.
    X : array or DataFrame of shape (n, n_features)
        Features.
    y : array of int or bool of shape (n,), structured array, or DataFrame
        Labels 0 and 1; or times and events, as scikit-survival's structured array or columns event
        and time. The estimator gets it in this form.
    groups : array-like of shape (n,), optional
        Patient of each row, where patients have several; without it each row is a patient.
    n_folds : int
        Folds, each with two patients or more and at least one of each label, or with an event.
    n_repeats : int
        How often patients are dealt anew.
    cv : splitter or list of (train, test), optional
        Splits in place of `n_folds` and `n_repeats`. A splitter is called with `groups`.
    param_grid : dict or list of dict, optional
        Values to tune, as of GridSearchCV. In each training fold the one with the best mean AUC,
        or Harrell's concordance, of the inner folds is chosen.
    inner_folds : int
        Folds for tuning, of whole patients too.
    horizon : float, optional
        Where Uno's concordance is cut, in the unit of the times. By default the end of follow-up
        of the training fold that ends first, which can give a few late events much weight.
    random_seed : int
        Seed of the folds.
    n_jobs : int
        Folds at once, as of joblib.
    progress : bool, optional
        Whether to show a bar; on a terminal when None.

    Returns
    -------
    CrossValidation

    Raises
    ------
    RiskError
        When patients or events are too few for the folds, a fold tests one patient, a patient is
        in train and test, or times and events are not such.
    BayesdoseError
        When labels are not 0 and 1, X and y differ in length, or a prediction is not finite.
    ConfigError
        When folds, `cv`, `horizon` or the estimator do not fit.

    Warns
    -----
    UndefinedFoldWarning
        Where a fold of `cv` has one label only, or no two rows whose times can be compared. It is
        left out of the mean, and counted. So are folds without a comparable event before
        `horizon`, for Uno's concordance.
    PatientSplitWarning
        Where patients have several rows and the estimator has folds of its own, unless its `fit`
        takes `groups`: it is given the patients then.

    Notes
    -----
    Patients are dealt within those with label 1 (or an event) in any of their rows and those
    without, so that these are as even between folds as whole patients allow.

    The estimate is the mean of the fold scores, never the score of the pooled predictions: a fold
    with more events to test has fewer to train on, so its risks are lower, and pooling turns that
    into an area below 0.5 (Airola 2011, Comput. Stat. Data Anal. 55:1828, from memory).
    """
    _pipelines.check_instance(estimator)
    check_same_order(X=X, y=y, groups=groups)
    task = _pipelines.as_task(X, y)
    n = task.event.size
    codes, labels = (np.arange(n), np.arange(n)) if groups is None else group_codes(groups, n)
    rng = np.random.default_rng(random_seed)
    if cv is None:
        splits = _folds.repeated(task, codes, n_folds, _repeats(n_repeats), rng)
    else:
        splits = _folds.given(cv, X, task, codes, labels)
    tuning: list[Any] = [None] * len(splits)
    if param_grid is not None:
        tuning = [_folds.inner(task, codes, one.train, inner_folds, rng) for one in splits]
    cut = _horizon(task, splits, horizon)
    _warn_undefined(task, splits, tuning, inner_folds)
    _warn_uno_undefined(task, splits, cut)
    if np.bincount(codes).max() > 1:
        _warn_own_folds(estimator, param_grid is not None)
    jobs = [
        (estimator, X, task, one, param_grid, pairs, cut, codes)
        for one, pairs in zip(splits, tuning, strict=True)
    ]
    found = _pipelines.run(_score_fold, jobs, n_jobs, "cross-validating", progress)
    rows = [
        _sizes(task, codes, one) | scores | {f"param_{name}": value for name, value in best.items()}
        for one, (scores, best, _) in zip(splits, found, strict=True)
    ]
    predictions = [
        pd.DataFrame({"repeat": one.repeat, "fold": one.fold, "row": one.test, "risk": risk})
        for one, (_, _, risk) in zip(splits, found, strict=True)
    ]
    overlap = shared_pairs([(one.train, one.test) for one in splits], codes)
    return CrossValidation(
        pd.DataFrame(rows), pd.concat(predictions, ignore_index=True), overlap, cut
    )


def _score_fold(
    estimator: Any,
    X: Any,
    task: Task,
    split: Split,
    grid: Any,
    inner: list[tuple[Rows, Rows]] | None,
    horizon: float | None,
    codes: NDArray[np.intp],
) -> tuple[dict[str, float], Mapping[str, Any], Floats]:
    try:
        model, best = _pipelines.fit(estimator, X, task, split.train, grid, inner, codes)
        risk, is_probability = _pipelines.predict(
            model, _pipelines.take(X, split.test), task.time is not None
        )
    except Exception as err:
        err.add_note(f"in repeat {split.repeat}, fold {split.fold}")
        raise
    found = _pipelines.scores(task, split.train, split.test, risk, is_probability, horizon)
    return found, best, risk


def _sizes(task: Task, codes: NDArray[np.intp], split: Split) -> dict[str, Any]:
    parts = {"train": split.train, "test": split.test}
    patients = {f"n_{k}_patients": np.unique(codes[rows]).size for k, rows in parts.items()}
    events = {
        f"n_{k}_events": np.unique(codes[rows][task.event[rows]]).size for k, rows in parts.items()
    }
    return {"repeat": split.repeat, "fold": split.fold} | patients | events


def _horizon(task: Task, splits: list[Split], horizon: float | None) -> float | None:
    if task.time is None:
        return _pipelines.check_horizon(horizon, None, "")
    # censoring weights of Uno's concordance are known as far as the training rows are followed
    ends = [float(task.time[one.train].max()) for one in splits]
    first = splits[int(np.argmin(ends))]
    where = f"of the training patients of repeat {first.repeat}, fold {first.fold}"
    return _pipelines.check_horizon(horizon, min(ends), where)


def _repeats(n_repeats: int) -> int:
    if isinstance(n_repeats, bool) or not isinstance(n_repeats, int | np.integer) or n_repeats < 1:
        raise ConfigError(f"`n_repeats` must be a whole number from 1; got {n_repeats!r}.")
    return int(n_repeats)


def _warn_undefined(task: Task, splits: list[Split], tuning: list[Any], inner_folds: int) -> None:
    empty = [one for one in splits if not task.defined(one.test)]
    if empty:
        what = "rows of one label only" if task.time is None else "no two comparable times"
        warnings.warn(
            f"{len(empty)} of {len(splits)} folds test {what} and have no score, first repeat "
            f"{empty[0].repeat}, fold {empty[0].fold}. They are left out of the mean; use fewer "
            "folds, or stratified ones (`n_folds`).",
            UndefinedFoldWarning,
            stacklevel=3,
        )
    missing = sum(inner_folds - len(pairs) for pairs in tuning if pairs is not None)
    if missing:
        warnings.warn(
            f"{missing} inner folds have no two comparable times and do not take part in tuning; "
            "use fewer `inner_folds`.",
            UndefinedFoldWarning,
            stacklevel=3,
        )


def _warn_uno_undefined(task: Task, splits: list[Split], cut: float | None) -> None:
    if task.time is None or cut is None:
        return
    empty = [
        one
        for one in splits
        if task.defined(one.test)
        and not _pipelines.uno_defined(task.event[one.test], task.time[one.test], cut)
    ]
    if empty:
        warnings.warn(
            f"{len(empty)} of {len(splits)} folds test no comparable event before {cut:g} "
            f"(`horizon`) and have no `uno_c`, first repeat {empty[0].repeat}, fold "
            f"{empty[0].fold}. They are left out of its mean; choose a later `horizon`, or fewer "
            "folds.",
            UndefinedFoldWarning,
            stacklevel=3,
        )


def _warn_own_folds(estimator: Any, tuned: bool) -> None:
    if not tuned and _pipelines.takes_patients(estimator):
        return
    settings = estimator.get_params(deep=True)
    named = [name for name in settings if name.split("__")[-1] in ("cv", "n_splits")]
    if named:
        warnings.warn(
            f"the estimator makes folds of its own ({', '.join(named)}), which do not know the "
            "patients: rows of one patient fall on both sides there. The scores here stay honest, "
            "but the tuning or recalibration is too hopeful. Tune with `param_grid`.",
            PatientSplitWarning,
            stacklevel=3,
        )
