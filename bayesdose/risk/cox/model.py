"""`CoxModel`: Cox regression on the contracts of scikit-learn and scikit-survival."""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special
from sklearn.base import BaseEstimator

from bayesdose import _arviz
from bayesdose.dose.priors import Flat, HalfNormal, Normal
from bayesdose.errors import ConfigError, RiskError
from bayesdose.evaluate._arrays import Floats, check_probability, check_same_order
from bayesdose.evaluate._outcome import Outcome, as_outcome
from bayesdose.evaluate.concordance import harrell_c
from bayesdose.risk._not_fitted import not_fitted
from bayesdose.risk.cox import fitting, predicting
from bayesdose.risk.cox.baseline import Baseline
from bayesdose.risk.cox.columns import codes_of
from bayesdose.risk.cox.mode import find_mode
from bayesdose.risk.cox.partial_likelihood import risk_sets
from bayesdose.risk.cox.predicting import SurvivalFunction
from bayesdose.risk.cox.proportional import ProportionalHazards, check
from bayesdose.risk.cox.rows import Rows, layout_of, read_rows
from bayesdose.risk.cox.spec import CoxSpec
from bayesdose.risk.cox.warnings import SamplingWarning, warn_of

if TYPE_CHECKING:
    import xarray as xr

_MAX_R_HAT, _MIN_ESS = 1.01, 400.0


class CoxModel(BaseEstimator):
    """Bayesian proportional hazards regression.

    Parameters
    ----------
    slope : Normal, StudentT, Flat, RegularizedHorseshoe or R2D2, log hazard ratio
        Prior of the coefficients, per standard deviation of a covariate (per unit of an indicator,
        which is 0 or 1 only; per unit of every covariate with ``standardise=False``).
    ties : {"efron", "breslow"}
        How events at one time enter the partial likelihood.
    baseline : risk.MSpline, risk.PiecewiseConstant or None
        Baseline hazard of a full likelihood. None is Cox's partial likelihood, after which the
        baseline is a free step function.
    strata : str, int or sequence of them, optional
        Columns of X whose values have baseline hazards of their own.
    frailty : str or int, optional
        Column of X with the centre (or patient) of each row, whose log hazards vary about 0 with
        a standard deviation that is estimated.
    frailty_sd : HalfNormal, StudentT or Exponential, log hazard
        Its prior.
    measurement_sd : dict of str to float or str, optional
        Covariates measured with error: the known standard deviation of the measurement about the
        true value, in the units of the column, or the column of X that holds it row by row.
    standardise : bool
        Whether the prior is per standard deviation. `coef_` is per unit of X either way.
    inference : {"nuts", "mode"}
        Draws from the posterior; or its mode with a normal approximation, which with
        ``slope=Flat()`` is the estimate of maximum likelihood.
    draws, chains : int
        Draws in total, and chains they come from.
    random_state : int
        Seed.
    device : {"cpu", "gpu"}
        Where NUTS runs; another one is never taken instead.
    progress : bool, optional
        Whether to show a bar; by default on a terminal.

    Attributes
    ----------
    coef_ : ndarray of shape (p,), log hazard ratio per unit of X
        Posterior mean, or the mode.
    covariance_ : ndarray of shape (p, p)
        Posterior covariance of the coefficients; of a mode, the inverse of the information.
    posterior_ : xarray.DataTree
        Groups posterior and sample_stats of ArviZ; for a mode, draws from the approximation.
    covariates_ : tuple of str
        Names in the order of `coef_`: columns of X, then those that came as draws.
    feature_names_in_ : ndarray of str
        Columns of X.
    n_features_in_ : int
        Their number.
    unique_times_ : ndarray of shape (n_times,), unit of the times
        Times of events.
    n_events_ : int
        Number of events.

    Notes
    -----
    The partial likelihood is Cox 1972 with the ties of Efron 1977 or Breslow 1974 (from memory;
    estimates equal R's `survival`). The baseline hazard after it is drawn from the limit of a gamma
    process (Kalbfleisch 1978, doi 10.1111/j.2517-6161.1978.tb01666.x, from memory), so that bands
    of survival hold its uncertainty.

    Covariates with uncertainty are parameters: `measurement_sd` for a measurement about the truth
    (classical error), ``fit(X, y, draws=...)`` for joint predictive draws (Berkson error). Their
    true values are sampled with the coefficients, so that the outcome updates them.
    """

    def __init__(
        self,
        slope: Any = Normal(0.0, 0.5),  # noqa: B008 - a value, and scikit-learn wants it here
        *,
        ties: str = "efron",
        baseline: Baseline | None = None,
        strata: str | int | Sequence[str | int] | None = None,
        frailty: str | int | None = None,
        frailty_sd: Any = HalfNormal(0.5),  # noqa: B008
        measurement_sd: Mapping[str, float | str] | None = None,
        standardise: bool = True,
        inference: str = "nuts",
        draws: int = 4000,
        chains: int = 4,
        random_state: int = 0,
        device: str = "cpu",
        progress: bool | None = None,
    ) -> None:
        self.slope = slope
        self.ties = ties
        self.baseline = baseline
        self.strata = strata
        self.frailty = frailty
        self.frailty_sd = frailty_sd
        self.measurement_sd = measurement_sd
        self.standardise = standardise
        self.inference = inference
        self.draws = draws
        self.chains = chains
        self.random_state = random_state
        self.device = device
        self.progress = progress

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        draws: Mapping[str, ArrayLike] | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, p)
            Covariates, and columns that `strata`, `frailty` and `measurement_sd` name.
        y : structured array, DataFrame, or array-like of shape (n, 2)
            scikit-survival's structured array of an event (bool) and a time; a table with columns
            event and time, or start, stop and event (counting process: rows at risk from start,
            excluded, to stop); or event and time in this order. True or 1 is an event.
        draws : dict of str to array-like of shape (n_draws, n), optional
            Covariates beside X that are known by joint predictive draws, such as the logarithm of
            a predicted absorbed dose. Dims chain, draw, row are taken as well. Rows with the same
            draws have one true value.
        groups : array-like of shape (n,), optional
            Patient of each row, where patients have several and a covariate is measured with
            error: rows of a patient with the same measurement have one true value. It makes no
            other difference; see `frailty`.

        Returns
        -------
        CoxModel

        Raises
        ------
        RiskError
            When X or y is not as described, there are no events, a covariate does not vary, or a
            flat prior meets events that the covariates separate.
        ConfigError, PriorError
            When a setting or a prior is impossible.
        DeviceError
            When the device is not there.
        """
        check_same_order(X=X, y=y, groups=groups)
        spec = self._spec()
        if draws is not None and spec.inference == "mode":
            raise ConfigError(
                "inference='mode' knows no draws: true values are sampled with the coefficients, "
                "by inference='nuts'"
            )
        layout = layout_of(spec, X, draws)
        rows = read_rows(layout, X, draws, groups)
        outcome = as_outcome(y)
        n = len(rows.columns.values)
        if outcome.event.size != n:
            raise RiskError(
                f"X has {n} rows and y {outcome.event.size}; they must be the same rows"
            )
        names = sorted(set(rows.strata))
        stratum = codes_of(rows.strata, names, "strata")
        warn_of(outcome, len(layout.covariates), spec.slope, stratum, names)
        self._fit = fitting.fit(spec, layout, rows, outcome)
        self._training = rows, outcome
        self._set_results(outcome)
        return self

    def _spec(self) -> CoxSpec:
        strata = self.strata
        if strata is None:
            strata = ()
        elif isinstance(strata, str | int):
            strata = (strata,)
        return CoxSpec(
            slope=self.slope,
            ties=self.ties,
            baseline=self.baseline,
            strata=tuple(strata),
            frailty=self.frailty,
            frailty_sd=self.frailty_sd,
            measurement_sd={} if self.measurement_sd is None else self.measurement_sd,
            standardise=self.standardise,
            inference=self.inference,
            draws=self.draws,
            chains=self.chains,
            random_state=self.random_state,
            device=self.device,
            progress=self.progress,
        )

    def _set_results(self, outcome: Outcome) -> None:
        fit = self._fit
        self.covariates_ = fit.layout.covariates
        self.feature_names_in_ = np.array(fit.layout.inputs, dtype=object)
        self.n_features_in_ = len(fit.layout.inputs)
        self.unique_times_ = fit.unique_times
        self.n_events_ = int(outcome.event.sum())
        self.coef_ = predicting.coefficients(fit) / fit.scale
        if fit.mode is not None:
            self.covariance_ = fit.mode.covariance / np.outer(fit.scale, fit.scale)
            return
        self.covariance_ = np.atleast_2d(np.cov(fit.flat("beta") / fit.scale, rowvar=False))
        self._warn_of_sampling()

    def _warn_of_sampling(self) -> None:
        table = self.summary()
        worst = table["r_hat"].max(), table[["ess_bulk", "ess_tail"]].min().min()
        diverging = int(self._fit.stats["diverging"].sum())
        if worst[0] > _MAX_R_HAT or worst[1] < min(_MIN_ESS, self.draws / 4) or diverging:
            warnings.warn(
                f"NUTS: largest R-hat {worst[0]:.3f} (should be at most {_MAX_R_HAT}), smallest "
                f"effective sample size {worst[1]:.0f}, {diverging} divergent transitions. Draw "
                "more (draws=), or take tighter priors; summary() shows which parameter",
                SamplingWarning,
                stacklevel=4,
            )

    @property
    def posterior_(self) -> "xr.DataTree":
        """Draws in ArviZ's groups.

        Returns
        -------
        xarray.DataTree
            ``posterior``: ``coef`` (per unit of X) and ``beta`` (per scale of the prior), dims
            chain, draw, covariate; frailty, baseline and true values of uncertain covariates where
            the model has them. ``sample_stats``: of NUTS.
        """
        from bayesdose.risk.cox.tree import posterior_tree

        return posterior_tree(self._fitted(), self._spec())

    def _fitted(self) -> fitting.CoxFit:
        fit: fitting.CoxFit | None = getattr(self, "_fit", None)
        if fit is None:
            raise not_fitted("this CoxModel is not fitted: call fit(X, y) first")
        return fit

    def summary(self, prob: float = 0.95) -> pd.DataFrame:
        """Coefficients and hazard ratios.

        Parameters
        ----------
        prob : float
            Of the equal-tailed credible intervals; of a mode, those of the normal approximation,
            which for a flat prior are Wald's.

        Returns
        -------
        pandas.DataFrame
            By covariate: coef, sd, lower, upper (log hazard ratio per unit of X), hazard_ratio (of
            the median; of the mode), hazard_ratio_lower, hazard_ratio_upper, prob_above_0; for
            NUTS also r_hat, ess_bulk, ess_tail and mcse.
        """
        fit = self._fitted()
        check_probability(prob)
        tails = np.array([0.5 - prob / 2, 0.5 + prob / 2])
        coef, sd = self.coef_, np.sqrt(np.diag(self.covariance_))
        if fit.mode is not None:
            lower, upper = coef + special.ndtri(tails)[:, None] * sd
            middle, above = coef, special.ndtr(coef / sd)
        else:
            draws = fit.flat("beta") / fit.scale
            lower, upper = np.quantile(draws, tails, axis=0)
            middle, above = np.median(draws, axis=0), (draws > 0).mean(0)
        with np.errstate(over="ignore"):  # per unit of a column of tiny numbers: infinite
            ratios = np.exp([middle, lower, upper])
        table = pd.DataFrame(
            {
                "coef": coef,
                "sd": sd,
                "lower": lower,
                "upper": upper,
                "hazard_ratio": ratios[0],
                "hazard_ratio_lower": ratios[1],
                "hazard_ratio_upper": ratios[2],
                "prob_above_0": above,
            },
            index=pd.Index(self.covariates_, name="covariate"),
        )
        if fit.mode is None:
            beta = fit.values["beta"] / fit.scale
            found = [_arviz.convergence(beta[:, :, j]) for j in range(beta.shape[2])]
            table = table.join(pd.DataFrame(found, index=table.index))
            table = table.rename(columns={"mcse_mean": "mcse"})
        approximate = "wald" if isinstance(self.slope, Flat) else "normal approximation"
        table.attrs = {"interval": "eti" if fit.mode is None else approximate, "prob": prob}
        return table

    def predict(self, X: Any, *, draws: Mapping[str, ArrayLike] | None = None) -> Floats:
        """Risk score: posterior mean of the log hazard, relative to a row of zeros.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, p)
            As in `fit`. A measured covariate is the measurement again: its true value is drawn
            given it.
        draws : dict of str to array-like of shape (n_draws, n), optional
            Of the covariates that came as draws.

        Returns
        -------
        ndarray of shape (n,)
            Higher is worse. It does not hold a stratum's baseline.
        """
        fit = self._fitted()
        rows = read_rows(fit.layout, X, draws)
        return predicting.mean_log_hazard(fit, rows)

    def predict_survival_function(
        self,
        X: Any,
        *,
        draws: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
        prob: float = 0.95,
        return_array: bool = False,
    ) -> np.ndarray:
        """Probability to be free of the event.

        Parameters
        ----------
        X, draws
            As in `predict`.
        times : array-like of float, unit of the times, optional
            By default `unique_times_`.
        prob : float
            Of the equal-tailed credible band, at each time.
        return_array : bool
            Whether to return the means alone as an array.

        Returns
        -------
        ndarray of SurvivalFunction of shape (n,), or of float of shape (n, n_times)
            Functions of time as scikit-survival's, with a band.

        Raises
        ------
        PredictionError
            When a time lies beyond follow-up, or a row's stratum had no event.
        """
        fit = self._fitted()
        rows = read_rows(fit.layout, X, draws)
        grid = self._times(fit, rows, times)
        band = None if return_array else prob
        mean, lower, upper = predicting.survival(fit, rows, grid, band, self.random_state)
        if return_array:
            return mean
        codes = predicting.strata_of(fit, rows)
        out = np.empty(len(mean), dtype=object)
        for i, code in enumerate(codes):
            end = float(fit.follow_up[code])
            out[i] = SurvivalFunction(grid, mean[i], lower[i], upper[i], end)
        return out

    def predict_risk_at(
        self,
        X: Any,
        time: float,
        *,
        draws: Mapping[str, ArrayLike] | None = None,
        prob: float = 0.95,
    ) -> pd.DataFrame:
        """Probability of the event up to a time.

        Parameters
        ----------
        X
            As in `predict`.
        time : float, unit of the times
            Within follow-up.
        draws
            As in `predict`.
        prob : float
            Of the equal-tailed credible interval.

        Returns
        -------
        pandas.DataFrame
            risk, lower, upper, from 0 to 1, with the index of X. Before the first event, where the
            rows do not say how far the risk may be from 0, the interval is NaN.

        Raises
        ------
        PredictionError
            When the time lies beyond follow-up, or a row's stratum had no event.
        """
        fit = self._fitted()
        rows = read_rows(fit.layout, X, draws)
        at = predicting.as_times(time, "time")
        if at.shape != (1,):
            raise ConfigError(f"time must be one number; got shape {at.shape}")
        predicting.warn_of_few_events(fit, rows, float(at[0]))
        mean, lower, upper = predicting.survival(fit, rows, at, prob, self.random_state)
        return pd.DataFrame(
            {"risk": 1 - mean[:, 0], "lower": 1 - upper[:, 0], "upper": 1 - lower[:, 0]},
            index=rows.columns.index,
        )

    def predict_cumulative_hazard_function(
        self,
        X: Any,
        *,
        draws: Mapping[str, ArrayLike] | None = None,
        times: ArrayLike | None = None,
    ) -> Floats:
        """Cumulative hazard that the predicted survival stands for.

        Parameters
        ----------
        X, draws, times
            As in `predict_survival_function`.

        Returns
        -------
        ndarray of shape (n, n_times)
            Minus the logarithm of the posterior mean of survival.

        Raises
        ------
        PredictionError
            When a time lies beyond follow-up, or a row's stratum had no event.
        """
        survival = self.predict_survival_function(X, draws=draws, times=times, return_array=True)
        hazard: Floats = -np.log(survival)
        return hazard

    def score(self, X: Any, y: Any, *, draws: Mapping[str, ArrayLike] | None = None) -> float:
        """Harrell's C of the risk score, higher is better.

        Parameters
        ----------
        X
            As in `predict`.
        y
            As in `fit`, without start.
        draws
            As in `predict`.

        Returns
        -------
        float

        Raises
        ------
        RiskError
            When y has start times.
        """
        check_same_order(X=X, y=y)
        outcome = as_outcome(y)
        if outcome.start is not None:
            raise RiskError("a score takes one row a patient: event and time, without start")
        return harrell_c(outcome.stop, outcome.event, self.predict(X, draws=draws)).c

    def check_proportional_hazards(self, alpha: float = 0.05) -> ProportionalHazards:
        """Test whether effects change with time, on the training rows.

        Parameters
        ----------
        alpha : float
            Level below which the verdict speaks of evidence.

        Returns
        -------
        ProportionalHazards
            Verdict, table by covariate and together, scaled Schoenfeld residuals.

        Raises
        ------
        RiskError
            When the estimate of maximum likelihood, which the test is made at, is infinite.

        Notes
        -----
        The test is R's cox.zph with Kaplan and Meier's time scale, at the estimate of maximum
        likelihood with the strata and ties of the model. It takes uncertain covariates at their
        measured or mean values and knows no frailty.
        """
        fit = self._fitted()
        rows, outcome = self._training
        check_probability(alpha, "alpha")
        stratum = codes_of(rows.strata, fit.strata, "strata")
        sets = risk_sets(outcome, self.ties, stratum)
        names = fit.layout.covariates
        mode = find_mode(rows.columns.values, sets, names=list(names))
        return check(names, rows.columns.values, mode.coefficients, sets, outcome, alpha)

    def _times(self, fit: fitting.CoxFit, rows: Rows, times: ArrayLike | None) -> Floats:
        if times is not None:
            given = predicting.as_times(times, "times")
            if given.ndim != 1 or given.size == 0 or (np.diff(given) <= 0).any():
                raise ConfigError("times must be one or more rising numbers")
            return given
        # event times of other strata may lie beyond the follow-up of these rows' own
        end = float(fit.follow_up[predicting.strata_of(fit, rows)].min())
        return fit.unique_times[fit.unique_times <= end]
