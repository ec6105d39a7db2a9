"""Folds of whole patients: dealt here, or given and checked."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdose.errors import ConfigError, RiskError
from bayesdose.evaluate._pipelines import Rows, Task

_WHY_NOT_ONE = (
    "an area or a concordance compares patients with each other, predicted by the same model. "
    "Pooling the predictions of many models instead gives values far below 0.5 where there is no "
    "signal, and wrong ones where there is"
)


@dataclass(frozen=True)
class Split:
    """Rows to fit and rows to score, of different patients.

    Attributes
    ----------
    repeat, fold : int
        Number of the repeat, and of the fold within it.
    train, test : ndarray of int
        Rows.
    """

    repeat: int
    fold: int
    train: Rows
    test: Rows


def check_folds(n_folds: int, task: Task, codes: NDArray[np.intp], name: str = "n_folds") -> None:
    """Say so when patients or events are too few for a number of folds."""
    if isinstance(n_folds, bool) or not isinstance(n_folds, int | np.integer) or n_folds < 2:
        raise ConfigError(f"`{name}` must be a whole number from 2; got {n_folds!r}.")
    most = _most(task, codes)
    n_patients = np.unique(codes).size
    scarce = min(most, key=lambda what: most[what])
    if n_folds <= most[scarce]:
        return
    if most[scarce] < 2:
        way_out = "No cross-validation is possible; pool more patients."
    else:
        way_out = f"The largest possible `{name}` is {most[scarce]}."
    if n_folds > n_patients // 2 and n_patients > 3:
        raise RiskError(
            f"`{name}={n_folds}` of {n_patients} patients leaves folds of one patient: "
            f"{_WHY_NOT_ONE}. {way_out}"
        )
    raise RiskError(
        f"`{name}={n_folds}` needs {scarce} in every fold; there are enough for {most[scarce]} "
        f"among {n_patients} patients. {way_out}"
    )


def most_folds(task: Task, codes: NDArray[np.intp], rows: Rows) -> int:
    """Largest number of folds that some rows allow."""
    return min(_most(part_of(task, rows), codes[rows]).values())


def part_of(task: Task, rows: Rows) -> Task:
    """Outcome of some rows."""
    return Task(None, task.event[rows], None if task.time is None else task.time[rows])


def deal(
    task: Task, codes: NDArray[np.intp], n_folds: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Fold of each row: patients stay whole, kinds of patient are spread evenly.

    Patients are shuffled within three kinds, only label 0, both, only label 1 (for survival by
    event), laid out in this order and dealt in turn. Each kind, those with any label 1, those with
    any label 0 and all patients differ by at most one between folds.
    """
    with_event, with_other = _kinds(task, codes)
    kind = with_event.astype(int) + (with_event & ~with_other)
    order = np.lexsort((rng.permutation(kind.size), kind))
    fold = np.empty(kind.size, dtype=np.intp)
    fold[order] = rng.permutation(n_folds)[np.arange(kind.size) % n_folds]
    return fold[np.unique(codes, return_inverse=True)[1]]


def repeated(
    task: Task, codes: NDArray[np.intp], n_folds: int, n_repeats: int, rng: np.random.Generator
) -> list[Split]:
    """Folds of several deals."""
    check_folds(n_folds, task, codes)
    splits = []
    for repeat in range(n_repeats):
        fold = deal(task, codes, n_folds, rng)
        splits += [
            Split(repeat, k, np.flatnonzero(fold != k), np.flatnonzero(fold == k))
            for k in range(n_folds)
        ]
    return splits


def given(cv: Any, X: Any, task: Task, codes: NDArray[np.intp], labels: Any) -> list[Split]:
    """Splits of a splitter or a list, each checked; a repeat ends where a row comes again."""
    if hasattr(cv, "split"):
        with warnings.catch_warnings():
            # said by splitters that do not know patients; each split is checked below
            warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
            pairs: Iterable[Any] = list(cv.split(X, task.event.astype(int), codes))
    elif np.iterable(cv):
        pairs = cv
    else:
        raise ConfigError(
            f"`cv` must be a scikit-learn splitter or a list of (train, test); got {cv!r}. The "
            "number of folds is `n_folds`."
        )
    splits: list[Split] = []
    repeat, fold, seen = 0, 0, np.zeros(task.event.size, dtype=bool)
    for number, pair in enumerate(pairs):
        train, test = _checked_pair(pair, number, task, codes, labels)
        if seen[test].any():
            repeat, fold, seen = repeat + 1, 0, np.zeros_like(seen)
        seen[test] = True
        splits.append(Split(repeat, fold, train, test))
        fold += 1
    if not splits:
        raise ConfigError("`cv` gives no split of (train, test).")
    return splits


def inner(
    task: Task, codes: NDArray[np.intp], rows: Rows, n_folds: int, rng: np.random.Generator
) -> list[tuple[Rows, Rows]]:
    """Folds within the training rows, as positions among them, whose score is defined."""
    part = part_of(task, rows)
    check_folds(n_folds, part, codes[rows], "inner_folds")
    fold = deal(part, codes[rows], n_folds, rng)
    pairs = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]
    pairs = [pair for pair in pairs if part.defined(pair[1])]
    if not pairs:
        raise RiskError(
            f"none of the `inner_folds={n_folds}` has an event before the last follow-up: tuning "
            "has nothing to compare. Use fewer inner folds."
        )
    return pairs


def _most(task: Task, codes: NDArray[np.intp]) -> dict[str, int]:
    """How many folds what they need would do for."""
    with_event, with_other = _kinds(task, codes)
    most = {"two patients": with_event.size // 2}
    if task.time is not None:
        return most | {"a patient with an event": int(with_event.sum())}
    return most | {
        "a patient with label 1": int(with_event.sum()),
        "a patient with label 0": int(with_other.sum()),
    }


def _kinds(task: Task, codes: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each patient has a row with label 1 or an event, and a row without."""
    patient = np.unique(codes, return_inverse=True)[1]
    return np.bincount(patient, task.event) > 0, np.bincount(patient, ~task.event) > 0


def _checked_pair(
    pair: Any, number: int, task: Task, codes: NDArray[np.intp], labels: Any
) -> tuple[Rows, Rows]:
    try:
        train, test = (np.asarray(rows) for rows in pair)
    except (TypeError, ValueError) as err:
        raise ConfigError(f"split {number} of `cv` must be a pair (train, test): {err}.") from err
    n = task.event.size
    for name, rows in (("train", train), ("test", test)):
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size:
            raise ConfigError(
                f"{name} of split {number} of `cv` must be row numbers; got {rows.dtype} of shape "
                f"{rows.shape}. np.flatnonzero makes row numbers of a mask."
            )
        if rows.min() < 0 or rows.max() >= n or np.unique(rows).size < rows.size:
            raise ConfigError(
                f"{name} of split {number} of `cv` must be different row numbers from 0 to "
                f"{n - 1}; they go from {rows.min()} to {rows.max()}."
            )
    shared = np.intersect1d(codes[train], codes[test])
    if shared.size:
        raise RiskError(
            f"split {number} of `cv` has patient {labels[shared[0]]} in train and in test "
            f"({shared.size} so shared): the score would be that of known patients. Use a "
            "splitter that keeps groups together, such as StratifiedGroupKFold, or `n_folds`."
        )
    if np.unique(codes[test]).size < 2:
        raise RiskError(
            f"split {number} of `cv` tests one patient, {labels[codes[test][0]]}: {_WHY_NOT_ONE}"
            ". Use folds of several patients; `optimism_corrected` needs no folds."
        )
    if not task.event[train].any() or (task.time is None and task.event[train].all()):
        raise RiskError(
            f"train of split {number} of `cv` has "
            f"{'rows of one label only' if task.time is None else 'no event'}: nothing can be "
            "learnt from it. Use fewer folds, or `n_folds`, which spreads events evenly."
        )
    return train.astype(np.intp), test.astype(np.intp)
