"""`DoseResponse`: probability of a binary outcome against absorbed dose."""

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from bayesdose import _arviz
from bayesdose.dose.priors import HalfNormal, Normal
from bayesdose.errors import ConfigError
from bayesdose.evaluate._arrays import Floats, check_labels, check_probability, check_same_order
from bayesdose.risk._not_fitted import not_fitted
from bayesdose.risk.cox.warnings import SamplingWarning
from bayesdose.risk.dose_response import fitting
from bayesdose.risk.dose_response.curve import interval_where_defined, probability
from bayesdose.risk.dose_response.fitting import DoseResponseFit
from bayesdose.risk.dose_response.rows import check_spread, read_doses, read_patients
from bayesdose.risk.dose_response.spec import DoseResponseSpec, check_kind
from bayesdose.risk.dose_response.tree import derived, posterior_tree
from bayesdose.risk.dose_response.warnings import warn_of

if TYPE_CHECKING:
    import xarray as xr

_MAX_R_HAT, _MIN_ESS = 1.01, 400.0
_GRID = 100


class DoseResponse(BaseEstimator):
    """Bayesian dose-response curve of a binary outcome: tumour control, or a complication.

    Parameters
    ----------
    link : {"logit", "probit"}
        Scale on which the log dose acts.
    intercept : Normal or StudentT
        Prior of the link at the reference dose, the median dose of training.
    slope : Normal or StudentT
        Prior of the change of the link per unit of log dose (a dose times 2.7).
    patient_sd : HalfNormal, StudentT or Exponential
        Prior of the standard deviation between patients, on the scale of the link.
    draws, chains : int
        Draws in total, and chains they come from.
    random_state : int
        Seed.
    progress : bool, optional
        Whether to show a bar; by default on a terminal.

    Attributes
    ----------
    posterior_ : xarray.DataTree
        Groups posterior and sample_stats of ArviZ.
    reference_dose_gy_ : float, Gy
        Dose at which the intercept is.
    dose_range_gy_ : tuple of float, Gy
        Smallest and largest dose of training; of draws, of the medians of rows.
    n_rows_, n_patients_, n_events_ : int
        Rows, patients, and rows with the outcome.

    Notes
    -----
    Row j of patient i has the outcome with probability P, where

        link P = intercept + slope * log(D_ij / D_ref) + b_i,      b_i ~ Normal(0, patient_sd^2).

    D50 = D_ref exp(-intercept / slope) is the dose at which one half have the outcome, both of
    typical patients (b = 0) and of the population; gamma50 = dP / dlog(D) there. With the logit,
    P = 1 / (1 + (D50 / D)^(4 gamma50)) (Niemierko 1997, Med. Phys. 24:103, from memory).

    Where no patient has two rows, b_i cannot be told from the rest and is left out: the curve is
    then that of the population.

    True doses that are not known exactly are parameters, sampled with the others, so that the
    outcome updates them: see `fit`.
    """

    def __init__(
        self,
        *,
        link: str = "logit",
        intercept: Any = Normal(0.0, 1.5),  # noqa: B008 - values, and scikit-learn wants them here
        slope: Any = Normal(0.0, 2.5),  # noqa: B008
        patient_sd: Any = HalfNormal(1.0),  # noqa: B008
        draws: int = 4000,
        chains: int = 4,
        random_state: int = 0,
        progress: bool | None = None,
    ) -> None:
        self.link = link
        self.intercept = intercept
        self.slope = slope
        self.patient_sd = patient_sd
        self.draws = draws
        self.chains = chains
        self.random_state = random_state
        self.progress = progress

    def fit(
        self,
        dose_gy: ArrayLike | None,
        y: ArrayLike,
        *,
        patients: ArrayLike,
        draws: ArrayLike | None = None,
        dose_cv: ArrayLike | None = None,
    ) -> Self:
        """Fit.

        Parameters
        ----------
        dose_gy : array-like of shape (n,), Gy, or None
            Dose of each site (or patient), above 0; None where `draws` are given.
        y : array-like of bool or int of shape (n,)
            Outcome, 0 or 1; both must occur.
        patients : array-like of shape (n,)
            Patient of each row.
        draws : array-like of shape (n_draws, n), Gy, optional
            Joint predictive draws of the doses, such as `DoseModel.predict_draws` gives (dims
            chain, draw, site), of sites that the dose model was not fitted to. The truth scatters
            about the prediction (Berkson error). Rows with the same draws have one true dose.
        dose_cv : float or array-like of shape (n,), optional
            Relative standard uncertainty of `dose_gy`, independent between rows. The measurement
            scatters about the truth (classical error); true log doses are Normal within and
            between patients, with mean and spreads estimated. Without it doses are exact.

        Returns
        -------
        DoseResponse

        Raises
        ------
        RiskError, BayesdoseError
            When doses or outcomes are not as described or do not vary, there is one patient, or
            rows do not belong together.
        ConfigError, PriorError
            When a setting or a prior is impossible.
        """
        spec = self._spec()
        check_same_order(dose_gy=dose_gy, y=y, patients=patients, dose_cv=dose_cv)
        outcome = check_labels(y, "y", both=True)
        doses = read_doses(dose_gy, draws, dose_cv, outcome.size)
        patient, labels = read_patients(patients, outcome.size, draws)
        check_spread(doses)
        warn_of(doses.log_gy, outcome, patient)
        self._fit = fitting.fit(spec, doses, outcome, patient, labels)
        self.reference_dose_gy_ = self._fit.reference_gy
        self.dose_range_gy_ = self._fit.range_gy
        self.n_rows_, self.n_events_ = self._fit.n_rows, self._fit.n_events
        self.n_patients_ = len(self._fit.patients)
        self._warn_of_sampling()
        return self

    def _spec(self) -> DoseResponseSpec:
        return DoseResponseSpec(**self.get_params(deep=False))

    def _fitted(self) -> DoseResponseFit:
        fit: DoseResponseFit | None = getattr(self, "_fit", None)
        if fit is None:
            raise not_fitted(
                "this DoseResponse is not fitted: call fit(dose_gy, y, patients=...) first"
            )
        return fit

    def _warn_of_sampling(self) -> None:
        values = [value for value in self._fit.values.values() if value.ndim == 2]
        found = pd.DataFrame([_arviz.convergence(value) for value in values])
        r_hat, ess = found["r_hat"].max(), found[["ess_bulk", "ess_tail"]].min().min()
        diverging = int(self._fit.stats["diverging"].sum())
        if r_hat > _MAX_R_HAT or ess < min(_MIN_ESS, self.draws / 4) or diverging:
            warnings.warn(
                f"NUTS: largest R-hat {r_hat:.3f} (should be at most {_MAX_R_HAT}), smallest "
                f"effective sample size {ess:.0f}, {diverging} divergent transitions. Draw more "
                "(draws=), or take tighter priors; summary() shows which parameter",
                SamplingWarning,
                stacklevel=3,
            )

    @property
    def posterior_(self) -> "xr.DataTree":
        """Draws in ArviZ's groups.

        Returns
        -------
        xarray.DataTree
            ``posterior``: intercept, slope, patient_sd, patient_effect, d50_gy (NaN where the
            slope is not above 0), gamma50 and gamma50_population; true_dose_gy by training row
            where doses are not exact, and exposure_mean, exposure_sd and exposure_patient_sd of
            measured ones. ``sample_stats``: of NUTS.
        """
        return posterior_tree(self._fitted(), self._spec())

    def summary(self, prob: float = 0.95) -> pd.DataFrame:
        """Parameters of the curve, D50 and gamma50.

        Parameters
        ----------
        prob : float
            Of the equal-tailed credible intervals.

        Returns
        -------
        pandas.DataFrame
            Rows intercept, slope, patient_sd, d50_gy (Gy), gamma50 (of the typical patient) and
            gamma50_population; columns median, lower, upper, mean, sd, prob_above_0, r_hat,
            ess_bulk, ess_tail, mcse (of the mean) and note.

        Notes
        -----
        Where the slope is not above 0 no dose is a D50. Such draws count as beyond either end of
        its interval; where they are as many as a tail, the row is NaN and the note says so. D50 is
        a ratio and has no mean.
        """
        fit = self._fitted()
        check_probability(prob)
        found = {name: value for name, value in fit.values.items() if name in _SHOWN}
        found |= derived(fit)
        rows = {name: _row(name, found[name], prob) for name in _SHOWN if name in found}
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")
        table["note"] = ""
        table.loc["d50_gy", "note"] = _note_of_d50(fit, table)
        if "patient_sd" not in found:
            table.loc["slope", "note"] = (
                "one row a patient: no patient effects, the curve is that of the population"
            )
        table.attrs = {"interval": "eti", "prob": prob, "reference_dose_gy": fit.reference_gy}
        return table

    def predict(
        self,
        dose_gy: ArrayLike | None = None,
        *,
        draws: ArrayLike | None = None,
        kind: str = "new_patient",
        prob: float = 0.95,
    ) -> pd.DataFrame:
        """Probability of the outcome at doses.

        Parameters
        ----------
        dose_gy : array-like of shape (n,), Gy, or None
            True doses, above 0.
        draws : array-like of shape (n_draws, n), Gy, optional
            Predictive draws of them instead, as in `fit`.
        kind : {"new_patient", "typical_patient"}
            Averaged over patients, or of a patient with effect 0.
        prob : float
            Of the equal-tailed credible interval.

        Returns
        -------
        pandas.DataFrame
            dose_gy (of draws, the median), probability (posterior mean), lower, upper, and
            extrapolates: whether the dose is outside those of training; with the index of
            `dose_gy`. The interval is of the curve, and with draws also of the dose; it is not one
            of single outcomes.

        Raises
        ------
        ConfigError
            When not one of `dose_gy` and `draws` is given, or `kind` is unknown.
        RiskError, BayesdoseError
            When doses are not finite numbers above 0.
        """
        fit = self._fitted()
        check_kind(kind)
        check_probability(prob)
        doses = read_doses(dose_gy, draws)
        slope = fit.flat("slope")
        log_gy = doses.log_gy[None]
        if doses.draws is not None:
            rng = np.random.default_rng([self.random_state, 2])
            few = len(doses.draws) < slope.size
            log_gy = doses.draws[rng.choice(len(doses.draws), slope.size, replace=few)]
        x = log_gy - np.log(fit.reference_gy)
        eta = fit.flat("intercept")[:, None] + slope[:, None] * x
        sd = fit.flat("patient_sd") if kind == "new_patient" else np.zeros(slope.size)
        risk = probability(eta, sd, fit.link)
        lower, upper = np.quantile(risk, [0.5 - prob / 2, 0.5 + prob / 2], axis=0)
        gy = np.exp(doses.log_gy)
        low, high = fit.range_gy
        table = pd.DataFrame(
            {
                "dose_gy": gy,
                "probability": risk.mean(0),
                "lower": lower,
                "upper": upper,
                "extrapolates": (gy < low * (1 - 1e-9)) | (gy > high * (1 + 1e-9)),
            },
            index=dose_gy.index if isinstance(dose_gy, pd.Series) else None,
        )
        table.attrs = {"kind": kind, "interval": "eti", "prob": prob}
        return table

    def curve(
        self,
        dose_gy: ArrayLike | None = None,
        *,
        kind: str = "new_patient",
        prob: float = 0.95,
    ) -> pd.DataFrame:
        """Probability along a grid of doses.

        Parameters
        ----------
        dose_gy : array-like of shape (n,), Gy, optional
            Rising doses; by default 100 over the doses of training, even in log dose.
        kind, prob
            As in `predict`.

        Returns
        -------
        pandas.DataFrame
            As of `predict`.

        Raises
        ------
        ConfigError
            When the doses do not rise, or `kind` is unknown.
        """
        fit = self._fitted()
        grid = np.geomspace(*fit.range_gy, _GRID) if dose_gy is None else dose_gy
        table = self.predict(grid, kind=kind, prob=prob).reset_index(drop=True)
        if len(table) < 2 or (np.diff(table["dose_gy"]) <= 0).any():
            raise ConfigError("dose_gy of a curve must be two or more rising doses")
        return table


_SHOWN = ("intercept", "slope", "patient_sd", "d50_gy", "gamma50", "gamma50_population")


def _row(name: str, draws: Floats, prob: float) -> dict[str, float]:
    flat = draws.reshape(-1)
    if name == "d50_gy":
        middle, lower, upper = interval_where_defined(flat, prob)
        return {"median": middle, "lower": lower, "upper": upper}
    lower, upper = np.quantile(flat, [0.5 - prob / 2, 0.5 + prob / 2])
    converged = _arviz.convergence(draws)
    return {
        "median": float(np.median(flat)),
        "lower": float(lower),
        "upper": float(upper),
        "mean": float(flat.mean()),
        "sd": float(flat.std(ddof=1)),
        "prob_above_0": float((flat > 0).mean()),
        "mcse": converged.pop("mcse_mean"),
        **converged,
    }


def _note_of_d50(fit: DoseResponseFit, table: pd.DataFrame) -> str:
    falls = float((fit.flat("slope") <= 0).mean())
    low, high = fit.range_gy
    middle = table.loc["d50_gy", "median"]
    if np.isnan(middle):
        return (
            f"not known: the slope is not above 0 in {100 * falls:.1f} % of draws, or D50 is "
            "without bound; see whether the outcome rises with the dose"
        )
    notes = []
    if falls:
        notes.append(f"no D50 in {100 * falls:.1f} % of draws, which count as beyond either end")
    if not low <= middle <= high:
        notes.append(f"extrapolated: the doses of training are {low:.3g} to {high:.3g} Gy")
    return "; ".join(notes)
