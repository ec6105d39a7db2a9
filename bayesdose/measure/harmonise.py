"""ComBat: scanners, tracers or centres brought to one location and scale, feature by feature."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from bayesdose.errors import MeasureError, NotFittedError
from bayesdose.measure._numbers import Floats, numbers

_TOLERANCE = 1e-8
_ITERATIONS = 10_000
#: Rows of a batch below which its scale is hardly known.
_FEW = 10


class ComBat(TransformerMixin, BaseEstimator):
    """Empirical-Bayes location and scale of batches, as a scikit-learn transformer.

    For feature v of row j in batch i, with covariates X,

        y_ijv = a_v + X_j b_v + sigma_v (gamma_iv + delta_iv e_ijv),

    gamma and delta² shrunk over the features with normal and inverse-gamma priors. What is learnt
    in ``fit`` is applied in ``transform``: inside a ``Pipeline`` it is learnt in the fold. Keep
    the outcome out of the covariates, features on the log scale, and a batch to 10 rows or more.

    Parameters
    ----------
    features : sequence of str
        Columns to bring together, at least two.
    batch : str
        Column of the batch.
    covariates : sequence of str
        Columns whose effect is kept: numbers, or words as categories.

    References
    ----------
    Johnson 2007, Biostatistics 8:118, doi 10.1093/biostatistics/kxj037; Fortin 2017; Orlhac 2018
    (from memory).
    """

    def __init__(
        self, features: Sequence[str], batch: str = "scanner", covariates: Sequence[str] = ()
    ) -> None:
        self.features = features
        self.batch = batch
        self.covariates = covariates

    def fit(self, X: pd.DataFrame, y: object = None) -> "ComBat":
        """Learn every batch's location and scale.

        Parameters
        ----------
        X : pandas.DataFrame of shape (n, n_columns)
            With the columns of features, batch and covariates.
        y : object
            Ignored.

        Returns
        -------
        ComBat
            Itself.

        Raises
        ------
        MeasureError
            When a column is missing, a batch has one row, or covariates and batches cannot be told
            apart.
        """
        values = self._values(X)
        if values.shape[1] < 2:
            raise MeasureError(
                "features: give at least two; what is shrunk is learnt over features"
            )
        batch = X[self.batch].astype(str).to_numpy()
        self.batches_, code = np.unique(batch, return_inverse=True)
        counts = np.bincount(code)
        if counts.min() < 2:
            lonely = self.batches_[counts.argmin()]
            raise MeasureError(
                f"{self.batch} {lonely!r} has one row, which has no spread: leave it out"
            )
        if counts.min() < _FEW:
            warnings.warn(
                f"{self.batch} {self.batches_[counts.argmin()]!r} has {counts.min()} rows: its "
                "scale is hardly known",
                stacklevel=2,
            )
        self.levels_ = {
            name: sorted(X[name].astype(str).unique())
            for name in self.covariates
            if _words(X, name)
        }
        kept = self._kept(X)
        design = np.hstack([np.eye(len(counts))[code], kept])
        if np.linalg.matrix_rank(design) < design.shape[1]:
            raise MeasureError(
                f"covariates {list(self.covariates)} cannot be told from {self.batch}: each batch "
                "needs rows of several values"
            )
        effects = np.linalg.lstsq(design, values, rcond=None)[0]
        self.grand_mean_ = counts @ effects[: len(counts)] / len(values)
        self.slopes_ = effects[len(counts) :]
        self.sd_ = np.sqrt(((values - design @ effects) ** 2).mean(0))
        if (self.sd_ <= 1e-9 * np.abs(values).max(0)).any():
            name = list(self.features)[int(np.argmin(self.sd_))]
            raise MeasureError(f"feature {name!r} does not vary within batches")
        z = (values - self.grand_mean_ - kept @ self.slopes_) / self.sd_
        found = [_shrunk(z[code == b]) for b in range(len(counts))]
        self.location_ = np.array([location for location, _ in found])
        self.scale_ = np.sqrt([variance for _, variance in found])
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Take every batch's location and scale out.

        Parameters
        ----------
        X : pandas.DataFrame of shape (n, n_columns)
            Rows of batches that were learnt.

        Returns
        -------
        pandas.DataFrame
            The same table with its features changed.

        Raises
        ------
        MeasureError
            When a batch or a covariate's word was not learnt.
        """
        if not hasattr(self, "batches_"):
            raise NotFittedError("ComBat: fit it first")
        values, kept = self._values(X), self._kept(X)
        batch = X[self.batch].astype(str)
        strange = sorted(set(batch) - set(self.batches_))
        if strange:
            raise MeasureError(
                f"{self.batch} {strange[0]!r} was not learnt (learnt are "
                f"{', '.join(map(repr, self.batches_))}): its location and scale are not known"
            )
        code = np.searchsorted(self.batches_, batch)
        centre = self.grand_mean_ + kept @ self.slopes_
        z = (values - centre) / self.sd_
        changed = self.sd_ * (z - self.location_[code]) / self.scale_[code] + centre
        return X.assign(**dict(zip(self.features, changed.T, strict=True)))

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> np.ndarray:
        """Names of the columns, which stay as they are.

        Parameters
        ----------
        input_features : sequence of str, optional
            Columns of the table.

        Returns
        -------
        numpy.ndarray of str
        """
        return np.asarray(self.features if input_features is None else input_features, dtype=object)

    def _values(self, X: pd.DataFrame) -> Floats:
        wanted = [*self.features, self.batch, *self.covariates]
        missing = [name for name in wanted if name not in X.columns]
        if missing:
            raise MeasureError(f"the table lacks {', '.join(missing)}; it has {list(X)}")
        for name in (self.batch, *self.covariates):
            if X[name].isna().any():
                raise MeasureError(
                    f"column {name!r} is missing in {int(X[name].isna().sum())} rows"
                )
        return np.column_stack([numbers(X[name], name, "") for name in self.features])

    def _kept(self, X: pd.DataFrame) -> Floats:
        columns = [np.empty((len(X), 0))]
        for name in self.covariates:
            if name not in self.levels_:
                columns.append(numbers(X[name], name, "")[:, None])
                continue
            words = X[name].astype(str).to_numpy()
            strange = sorted(set(words) - set(self.levels_[name]))
            if strange:
                raise MeasureError(f"{name} {strange[0]!r} was not learnt")
            columns.append((words[:, None] == np.array(self.levels_[name][1:])).astype(float))
        return np.hstack(columns)


def _words(X: pd.DataFrame, name: str) -> bool:
    return not pd.api.types.is_numeric_dtype(X[name]) or pd.api.types.is_bool_dtype(X[name])


def _shrunk(z: Floats) -> tuple[Floats, Floats]:
    """Location and variance of one batch's features, shrunk towards what the features share."""
    n = len(z)
    mean, variance = z.mean(0), z.var(0, ddof=1)
    prior_mean, prior_var = mean.mean(), mean.var(ddof=1)
    # moments of the inverse gamma
    average, spread = variance.mean(), variance.var(ddof=1)
    shape = (2 * spread + average**2) / spread
    rate = (average * spread + average**3) / spread
    location, scale = mean, variance
    for _ in range(_ITERATIONS):
        weight = n * prior_var
        new_location = (weight * mean + scale * prior_mean) / (weight + scale)
        square = ((z - new_location) ** 2).sum(0)
        new_scale = (square / 2 + rate) / (n / 2 + shape - 1)
        change = max(
            np.abs(new_location - location).max(), float(np.abs(new_scale / scale - 1).max())
        )
        location, scale = new_location, new_scale
        if change < _TOLERANCE:
            return location, scale
    raise MeasureError("ComBat did not converge: are features copies of each other?")
