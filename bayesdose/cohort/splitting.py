"""Splitters that keep a patient's rows together, with scikit-learn's splitter contract."""

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.errors import ConfigError, SiteTableError


class _PatientSplitter:
    """What the splitters share: where the patients come from, and metadata routing."""

    patient: str

    def get_metadata_routing(self) -> Any:
        """Ask scikit-learn's metadata routing for ``groups``, as its own group splitters do."""
        from sklearn.utils.metadata_routing import MetadataRequest

        request = MetadataRequest(owner=self)
        request.split.add_request(param="groups", alias=True)
        return request

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"

    def _patients(self, X: Any, groups: Any) -> np.ndarray:
        """Integer code of each row's patient, in the sorted order of the labels."""
        if groups is None:
            if not (isinstance(X, pd.DataFrame) and self.patient in X):
                raise SiteTableError(
                    f"{type(self).__name__} needs the patient of each row: pass groups=, or X as "
                    f"a DataFrame with a column {self.patient!r}."
                )
            groups = X[self.patient]
        labels = pd.Series(np.asarray(groups, dtype=object))
        if X is not None and len(labels) != len(X):
            raise SiteTableError(f"groups has {len(labels)} entries for {len(X)} rows.")
        missing = np.flatnonzero(labels.isna().to_numpy())
        if missing.size:
            raise SiteTableError(
                f"{missing.size} rows have no patient, the first at position {missing[0]}."
            )
        return pd.factorize(labels, sort=True)[0]

    def _check_patients(self, patients: np.ndarray, least: int) -> None:
        present = len(np.unique(patients))
        if present < least:
            raise SiteTableError(
                f"{self!r} needs at least {least} patients, the table has {present}."
            )


class LeaveOnePatientOut(_PatientSplitter):
    """Hold out one patient at a time, with all its sites and cycles.

    Parameters
    ----------
    patient : str
        Column with the patients, used where ``groups`` is not given.
    """

    def __init__(self, patient: str = "patient_id") -> None:
        self.patient = patient

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions of training and held-out rows, patients in sorted order.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Rows to split; a DataFrame with the patient column needs no ``groups``.
        y : array-like of shape (n_rows,), optional
            Ignored.
        groups : array-like of shape (n_rows,), optional
            Patient of each row.

        Yields
        ------
        train : ndarray of int, shape (n_train,)
            Positions of the other patients' rows.
        test : ndarray of int, shape (n_test,)
            Positions of the patient's rows.

        Raises
        ------
        SiteTableError
            If the patients are not known, or there are fewer than two.
        """
        from sklearn.model_selection import LeaveOneGroupOut

        patients = self._patients(X, groups)
        self._check_patients(patients, 2)
        yield from LeaveOneGroupOut().split(patients, groups=patients)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Count the patients.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns), optional
            Rows to split; a DataFrame with the patient column needs no ``groups``.
        y : array-like of shape (n_rows,), optional
            Ignored.
        groups : array-like of shape (n_rows,), optional
            Patient of each row.

        Returns
        -------
        int
            Number of splits.

        Raises
        ------
        SiteTableError
            If the patients are not known.
        """
        return len(np.unique(self._patients(X, groups)))


class PatientKFold(_PatientSplitter):
    """Hold out a share of the patients at a time.

    Parameters
    ----------
    n_splits : int
        Number of folds.
    shuffle : bool
        Draw the folds at random; otherwise folds get about equal numbers of rows.
    random_state : int, optional
        Seed for ``shuffle``.
    patient : str
        Column with the patients, used where ``groups`` is not given.
    """

    def __init__(
        self,
        n_splits: int = 5,
        shuffle: bool = False,
        random_state: int | None = None,
        patient: str = "patient_id",
    ) -> None:
        _check_count("n_splits", n_splits, 2)
        if random_state is not None and not shuffle:
            raise ConfigError("random_state has no effect without shuffle=True; leave it out.")
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state
        self.patient = patient

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions of training and held-out rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Rows to split; a DataFrame with the patient column needs no ``groups``.
        y : array-like of shape (n_rows,), optional
            Ignored.
        groups : array-like of shape (n_rows,), optional
            Patient of each row.

        Yields
        ------
        train : ndarray of int, shape (n_train,)
            Positions of the training patients' rows.
        test : ndarray of int, shape (n_test,)
            Positions of the held-out patients' rows.

        Raises
        ------
        SiteTableError
            If the patients are not known, or there are fewer than folds.
        """
        patients = self._patients(X, groups)
        self._check_patients(patients, self.n_splits)
        yield from _folds(patients, self.n_splits, self.shuffle, self.random_state)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object, optional
            Ignored.

        Returns
        -------
        int
            Number of splits.
        """
        return self.n_splits


class RepeatedPatientKFold(_PatientSplitter):
    """Repeat a random `PatientKFold`, each time with other folds.

    Parameters
    ----------
    n_splits : int
        Number of folds.
    n_repeats : int
        Number of repeats.
    random_state : int, optional
        Seed; with None every call of ``split`` draws other folds.
    patient : str
        Column with the patients, used where ``groups`` is not given.
    """

    def __init__(
        self,
        n_splits: int = 5,
        n_repeats: int = 10,
        random_state: int | None = None,
        patient: str = "patient_id",
    ) -> None:
        _check_count("n_splits", n_splits, 2)
        _check_count("n_repeats", n_repeats, 1)
        self.n_splits = n_splits
        self.n_repeats = n_repeats
        self.random_state = random_state
        self.patient = patient

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions of training and held-out rows, repeat after repeat.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Rows to split; a DataFrame with the patient column needs no ``groups``.
        y : array-like of shape (n_rows,), optional
            Ignored.
        groups : array-like of shape (n_rows,), optional
            Patient of each row.

        Yields
        ------
        train : ndarray of int, shape (n_train,)
            Positions of the training patients' rows.
        test : ndarray of int, shape (n_test,)
            Positions of the held-out patients' rows.

        Raises
        ------
        SiteTableError
            If the patients are not known, or there are fewer than folds.
        """
        patients = self._patients(X, groups)
        self._check_patients(patients, self.n_splits)
        rng = np.random.default_rng(self.random_state)
        for seed in rng.integers(2**31, size=self.n_repeats):
            yield from _folds(patients, self.n_splits, True, int(seed))

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds in all repeats.

        Parameters
        ----------
        X, y, groups : object, optional
            Ignored.

        Returns
        -------
        int
            Number of splits.
        """
        return self.n_splits * self.n_repeats


def _folds(
    patients: np.ndarray, n_splits: int, shuffle: bool, random_state: int | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import GroupKFold

    folds = GroupKFold(n_splits, shuffle=shuffle, random_state=random_state)
    yield from folds.split(patients, groups=patients)


def _check_count(name: str, value: object, least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ConfigError(f"{name} must be a whole number from {least}, got {value!r}.")
