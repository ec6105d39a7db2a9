"""What is validated: a pipeline that is fitted, and an outcome that scores its predictions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdose._progress import shows_bar
from bayesdose.errors import BayesdoseError, ConfigError, RiskError
from bayesdose.evaluate._arrays import Floats, as_sites, check_labels
from bayesdose.evaluate._outcome import as_outcome

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Task:
    """Outcome of each row, and the scores that it allows.

    Attributes
    ----------
    y : array or DataFrame of n rows
        The outcome as the estimator takes it.
    event : ndarray of bool of shape (n,)
        Label 1, or an event.
    time : ndarray of shape (n,) or None
        End of follow-up; None for labels.
    """

    y: Any
    event: NDArray[np.bool_]
    time: Floats | None

    @property
    def main(self) -> str:
        """Score that tuning maximises."""
        return "auc" if self.time is None else "harrell_c"

    def defined(self, rows: Rows) -> bool:
        """Whether the rows hold a pair that can be in order or not."""
        return comparable(self.event[rows], None if self.time is None else self.time[rows])


def as_task(X: Any, y: Any) -> Task:
    """Check an outcome: labels of shape (n,), or times and events."""
    shape = np.shape(y)
    if isinstance(y, pd.DataFrame) or len(shape) != 1 or np.asarray(y).dtype.names is not None:
        outcome = as_outcome(y)
        if outcome.start is not None:
            raise RiskError(
                "y has a column start: concordance compares follow-up from 0, in one row of event "
                "and time for each. Validate with covariates as known at time 0."
            )
        task = Task(_sliceable(y), outcome.event, outcome.stop)
    else:
        task = Task(_sliceable(y), check_labels(y, "y", both=True), None)
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    if n != task.event.size:
        raise BayesdoseError(
            f"X has {n} rows and y {task.event.size}: they must be of the same rows, in one order."
        )
    return task


def check_instance(estimator: Any) -> None:
    """Refuse a class in place of an estimator."""
    if isinstance(estimator, type):
        raise ConfigError(
            f"`estimator` is the class {estimator.__name__}; give an instance, "
            f"`{estimator.__name__}(...)`."
        )


def check_horizon(horizon: float | None, end: float | None, where: str) -> float | None:
    """Return where Uno's concordance is cut: by default where follow-up ends; None for labels."""
    if end is None and horizon is not None:
        raise ConfigError("`horizon` is for times and events; y holds labels.")
    if end is None or horizon is None:
        return end
    if not 0.0 < horizon <= end:
        raise ConfigError(
            f"`horizon` must be above 0 and at most {end:g}, where the follow-up {where} ends; got "
            f"{horizon}."
        )
    return float(horizon)


def comparable(event: NDArray[np.bool_], time: Floats | None) -> bool:
    """Whether there is a case and a control, or an event and someone still free of it."""
    if time is None:
        return bool(event.any() and not event.all())
    last = time == time.max()
    return bool((event & ~last).any() or ((event & last).any() and (~event & last).any()))


def take(values: Any, rows: Rows) -> Any:
    """Rows of a table or an array."""
    return values.iloc[rows] if hasattr(values, "iloc") else _sliceable(values)[rows]


def fit(
    estimator: Any,
    X: Any,
    task: Task,
    rows: Rows,
    grid: Any = None,
    inner: list[tuple[Rows, Rows]] | None = None,
    patients: NDArray[np.intp] | None = None,
) -> tuple[Any, Mapping[str, Any]]:
    """Fit a fresh copy on some rows; with a grid, tuned in inner folds, positions among `rows`.

    An estimator whose `fit` takes groups, because it has folds of its own, is given the patients.
    """
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV

    features, outcome = take(X, rows), take(task.y, rows)
    if grid is None:
        own = {}
        if patients is not None and takes_patients(estimator):
            own = {"groups": patients[rows]}
        return clone(estimator).fit(features, outcome, **own), {}
    search = GridSearchCV(estimator, grid, scoring=_main_score, cv=inner, error_score="raise")
    search.fit(features, outcome)
    return search.best_estimator_, search.best_params_


def takes_patients(estimator: Any) -> bool:
    """Whether `fit` has an argument for the patient of each row."""
    from sklearn.utils.validation import has_fit_parameter

    return bool(has_fit_parameter(estimator, "groups"))


def predict(model: Any, X: Any, survival: bool) -> tuple[Floats, bool]:
    """Risk of each row, higher for worse, and whether it is a probability of label 1."""
    if survival:
        # scikit-survival marks those of its models whose `predict` is a time
        if not getattr(model, "_predict_risk_score", True):
            raise ConfigError(
                f"`predict` of {type(model).__name__} is a time, and higher must be worse here. "
                "Wrap it in an estimator that returns minus the time."
            )
        return as_sites(model.predict(X), "the estimator's prediction"), False
    if hasattr(model, "predict_proba"):
        both = np.asarray(model.predict_proba(X))
        if both.ndim != 2 or both.shape[1] != 2:
            raise ConfigError(
                f"`predict_proba` must have columns for the labels 0 and 1; got {both.shape}."
            )
        return as_sites(both[:, 1], "the estimator's probability"), True
    if hasattr(model, "decision_function"):
        return as_sites(model.decision_function(X), "the estimator's decision function"), False
    raise ConfigError(
        f"{type(model).__name__} has neither `predict_proba` nor `decision_function`; for labels 0 "
        "and 1 it needs one. For survival give y as times and events."
    )


def scores(
    task: Task, train: Rows, test: Rows, risk: Floats, is_probability: bool, horizon: float | None
) -> dict[str, float]:
    """Scores of predictions for the test rows; NaN where no pair can be compared."""
    event = task.event[test]
    if task.time is None:
        brier = {"brier": float(np.mean((risk - event) ** 2))} if is_probability else {}
        return {"auc": area(event, risk), **brier}
    time = task.time[test]
    found = {"harrell_c": harrell_c(event, time, risk)}
    if horizon is not None:
        censoring = task.event[train], task.time[train]
        found["uno_c"] = _uno_c(censoring, event, time, risk, horizon)
    return found


def uno_defined(event: NDArray[np.bool_], time: Floats, horizon: float) -> bool:
    """Whether an event before the horizon can be compared with another row."""
    # events from the horizon on have no weight, but stay as those still free before it
    return comparable(event & (time < horizon), time)


def area(case: NDArray[np.bool_], score: Floats) -> float:
    """Share of pairs of a case and a control that are in order, ties counting half."""
    from scipy.stats import rankdata

    n_cases, n_controls = int(case.sum()), int((~case).sum())
    if not n_cases or not n_controls:
        return float("nan")
    ranks = float(rankdata(score)[case].sum())
    return (ranks - n_cases * (n_cases + 1) / 2) / (n_cases * n_controls)


def harrell_c(event: NDArray[np.bool_], time: Floats, risk: Floats) -> float:
    """Harrell's concordance by scikit-survival."""
    from sksurv.metrics import concordance_index_censored

    if not comparable(event, time):
        return float("nan")
    return float(concordance_index_censored(event, time, _ranks(risk))[0])


def _uno_c(
    censoring: tuple[NDArray[np.bool_], Floats],
    event: NDArray[np.bool_],
    time: Floats,
    risk: Floats,
    horizon: float,
) -> float:
    from sksurv.metrics import concordance_index_ipcw
    from sksurv.util import Surv

    if not uno_defined(event, time, horizon):
        return float("nan")
    train, test = Surv.from_arrays(*censoring), Surv.from_arrays(event, time)
    return float(concordance_index_ipcw(train, test, _ranks(risk), tau=horizon)[0])


def _ranks(risk: Floats) -> Floats:
    """Ranks: scikit-survival takes risks within 1e-8 for equal, which tiny ones may all be."""
    from scipy.stats import rankdata

    ranks: Floats = rankdata(risk)
    return ranks


def run(
    work: Callable[..., Any],
    jobs: Sequence[tuple[Any, ...]],
    n_jobs: int,
    what: str,
    progress: bool | None,
) -> list[Any]:
    """Do jobs in order, with a bar."""
    from joblib import Parallel, delayed
    from tqdm.auto import tqdm

    done = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(work)(*job) for job in jobs)
    return list(tqdm(done, total=len(jobs), desc=what, disable=not shows_bar(progress)))


def _main_score(model: Any, X: Any, y: Any) -> float:
    """Score for tuning, of labels or of times and events that were checked before."""
    if not isinstance(y, pd.DataFrame) and np.ndim(y) == 1 and np.asarray(y).dtype.names is None:
        return area(np.asarray(y).astype(bool), predict(model, X, survival=False)[0])
    outcome = as_outcome(y)
    return harrell_c(outcome.event, outcome.stop, predict(model, X, survival=True)[0])


def _sliceable(values: Any) -> Any:
    return values if hasattr(values, "iloc") or hasattr(values, "shape") else np.asarray(values)
