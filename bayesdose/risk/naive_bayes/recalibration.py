"""Recalibration learnt from patients that the model has not seen."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedGroupKFold

from bayesdose.errors import ConfigError, RiskError
from bayesdose.evaluate._arrays import Floats, check_same_order, group_codes
from bayesdose.risk._not_fitted import require_fitted

_METHODS = {"platt": "sigmoid", "isotonic": "isotonic"}


class Recalibrated(ClassifierMixin, BaseEstimator):
    """A classifier with its risks recalibrated on patients left out of its fit.

    Parameters
    ----------
    model : estimator
        Binary classifier with `decision_function` (log odds), such as `MultimodalNaiveBayes`.
    method : {"platt", "isotonic"}
        ``platt``: a slope and an intercept on the log odds; ``isotonic``: any rising curve, for
        some hundred rows and more.
    n_splits : int
        Folds inside the training rows, 2 or more.
    random_state : int
        Seed of the folds.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Classes, in order.
    calibrated_ : sklearn.calibration.CalibratedClassifierCV
        The model on all training rows, and its calibrator.
    slope_, intercept_ : float
        Of Platt's line. A slope well below 1 says that the model was over-confident. Platt aims
        a little inside 0 and 1, which pulls the slope of the true risks below 1 too where rows
        are few: to 0.95 (median) with 40. Absent for isotonic.

    Notes
    -----
    The training rows are split into folds by patient; each fold is predicted by the model of the
    others, and the calibrator is learnt from these predictions together. The model is then fitted
    to all training rows. As everything happens inside `fit`, a cross-validation of this estimator
    is nested.

    References
    ----------
    Platt 1999, Advances in Large Margin Classifiers (from memory); scikit-learn's
    ``CalibratedClassifierCV`` does the work.
    """

    def __init__(
        self, model: Any, *, method: str = "platt", n_splits: int = 5, random_state: int = 1
    ) -> None:
        self.model = model
        self.method = method
        self.n_splits = n_splits
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Fit the model and its calibrator.

        Parameters
        ----------
        X : DataFrame or array_like of shape (n, n_features)
            Training rows.
        y : array_like of shape (n,)
            Their classes.
        groups : array_like of shape (n,), optional
            Patient of each row, where patients have several; without it each row is a patient.

        Returns
        -------
        Recalibrated

        Raises
        ------
        ConfigError
            When `method` or `n_splits` is impossible.
        RiskError
            When there are not two classes, or a fold lacks one.
        BayesdoseError
            When X, y and groups have the same index labels in another order.
        """
        if self.method not in _METHODS:
            raise ConfigError(f"`method` must be 'platt' or 'isotonic'; got {self.method!r}.")
        check_same_order(X=X, y=y, groups=groups)
        labels = np.asarray(y)
        splits = self._splits(labels, groups)
        self.calibrated_ = CalibratedClassifierCV(
            clone(self.model), method=_METHODS[self.method], cv=splits, ensemble=False
        ).fit(X, labels)
        self.classes_ = self.calibrated_.classes_
        if self.method == "platt":
            line = self.calibrated_.calibrated_classifiers_[0].calibrators[0]
            self.slope_, self.intercept_ = -float(line.a_), -float(line.b_)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Recalibrated probabilities.

        Parameters
        ----------
        X : DataFrame or array_like of shape (n, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n, 2)
        """
        require_fitted(self, "classes_")
        out: Floats = self.calibrated_.predict_proba(X)
        return out

    def predict(self, X: Any) -> NDArray[Any]:
        """The more probable class.

        Parameters
        ----------
        X : DataFrame or array_like of shape (n, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
        """
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def _splits(
        self, labels: NDArray[Any], groups: ArrayLike | None
    ) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        if self.n_splits != int(self.n_splits) or self.n_splits < 2:
            raise ConfigError(f"`n_splits` must be a whole number from 2; got {self.n_splits!r}.")
        n = labels.size
        patients = np.arange(n) if groups is None else group_codes(groups, n)[0]
        classes = np.unique(labels)
        if classes.size != 2:
            raise RiskError(f"recalibration is for two classes; `y` has {classes.size}.")
        fewest = min(np.unique(patients[labels == label]).size for label in classes)
        if fewest < self.n_splits:
            raise RiskError(
                f"{self.n_splits} folds need as many patients of each class; one has {fewest}. "
                "Take a smaller `n_splits`."
            )
        folds = StratifiedGroupKFold(
            int(self.n_splits), shuffle=True, random_state=self.random_state
        )
        splits = list(folds.split(np.zeros(n), labels, patients))
        if any(np.unique(labels[train]).size < 2 for train, _ in splits):
            raise RiskError(
                "without one of the folds a class is missing: too few patients have it. Take a "
                "smaller `n_splits`."
            )
        return splits
