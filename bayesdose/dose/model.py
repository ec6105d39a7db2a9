"""`DoseModel`: the public face of the absorbed-dose models."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayesdose.dose import fitting, prediction
from bayesdose.dose.priors import Priors
from bayesdose.dose.spec import ModelSpec
from bayesdose.dose.training import Fitted, check_draws, check_seed, prepare
from bayesdose.errors import ConfigError, NotFittedError

if TYPE_CHECKING:
    import xarray as xr

    from bayesdose.dose.diagnostics import Diagnosis
    from bayesdose.dose.leave_one_out import LeaveOneOut


class DoseModel:
    """Hierarchical Bayesian model of absorbed dose in lesions and organs.

    For site j of patient i, tissue k, covariates x, administered activity A::

        log(D_ij / A_i) = x' beta_k + z' u_i + e_ij,   u_i ~ N(0, Σ),   e_ij ~ N(0, sigma_k²)

    with effects of cycle, repeated site and group, and known measurement error, where the table
    has them. ``docs/model.md`` has all of it.

    Parameters
    ----------
    formula : str or dict of str
        Right-hand side for every tissue, such as ``"log(suv_mean) + log(volume_ml)"``, or one
        for each tissue.
    by : str or None
        Column of the tissue; None for one formula over all rows.
    patient : str
        Column of the patient, the unit of every split and standard error.
    response : str
        Column of the measured absorbed dose, Gy.
    activity : str or None
        Column of the administered activity, GBq; the model then works in Gy/GBq. None models Gy.
    dose_cv, dose_cv_shared : str or None
        Columns of the relative standard uncertainty of a measured dose: the part that is
        independent between sites, and the part common to a patient and cycle.
    patient_effects : str
        Formula inside the patient, ``"1 + floor"`` for a random slope; ``"0"`` for none. Its
        columns stay on their own scale.
    patient_correlation : bool
        Whether patient effects correlate across tissues and slopes.
    group_effects : iterable of str
        Columns whose levels, such as centres, get effects with an estimated standard deviation.
    standardise : bool
        Whether covariates are centred and scaled with their tissue's training rows (ddof 1; 0/1
        columns are left alone).
    likelihood : {"lognormal", "student_t", "gamma"}
        The last two need ``engine="pymc"``.
    censored : str or None
        Column that is True where the dose lies below the value given (PyMC engine).
    missing : {"error", "drop", "impute"}
        What to do with missing covariates; ``"impute"`` is multiple imputation inside the fold.
    priors : Priors, optional
        What is not stated takes the default.
    engine : {"collapsed", "pymc"}
        ``"collapsed"`` integrates coefficients and patient effects out exactly.

    Raises
    ------
    ConfigError
        When an argument has an impossible value.
    """

    def __init__(
        self,
        formula: str | Mapping[str, str],
        *,
        by: str | None = "tissue",
        patient: str = "patient_id",
        response: str = "absorbed_dose_gy",
        activity: str | None = "administered_activity_gbq",
        dose_cv: str | None = None,
        dose_cv_shared: str | None = None,
        patient_effects: str = "1",
        patient_correlation: bool = True,
        group_effects: Iterable[str] = (),
        standardise: bool = True,
        likelihood: str = "lognormal",
        censored: str | None = None,
        missing: str = "error",
        priors: Priors | None = None,
        engine: str = "collapsed",
    ) -> None:
        self.formula = formula
        self.by = by
        self.patient = patient
        self.response = response
        self.activity = activity
        self.dose_cv = dose_cv
        self.dose_cv_shared = dose_cv_shared
        self.patient_effects = patient_effects
        self.patient_correlation = patient_correlation
        self.group_effects = group_effects
        self.standardise = standardise
        self.likelihood = likelihood
        self.censored = censored
        self.missing = missing
        self.priors = priors
        self.engine = engine
        self._fitted: Fitted | None = None
        self._spec()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Arguments of the constructor, as scikit-learn's ``clone`` wants them.

        Parameters
        ----------
        deep : bool
            Ignored; there are no nested estimators.

        Returns
        -------
        dict
        """
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def set_params(self, **params: Any) -> "DoseModel":
        """Change arguments; the fit is forgotten.

        Parameters
        ----------
        **params
            Arguments of the constructor by name.

        Returns
        -------
        DoseModel
            Itself.

        Raises
        ------
        ConfigError
            When a name is unknown or a value impossible.
        """
        known = self.get_params()
        for name in params:
            if name not in known:
                raise ConfigError(f"unknown argument {name!r}; allowed are {', '.join(known)}")
        ModelSpec(**self._arguments({**known, **params}))
        vars(self).update(params)
        self._fitted = None
        return self

    def fit(
        self,
        sites: pd.DataFrame,
        *,
        draws: int = 4000,
        random_seed: int = 1,
        sampler: str = "auto",
        device: str = "cpu",
        progress: bool | None = None,
    ) -> "DoseModel":
        """Fit to a site table.

        Parameters
        ----------
        sites : pandas.DataFrame
            Site table with measured doses in Gy; see `bayesdose.validate_sites`.
        draws : int
            Posterior draws in total, over 4 chains.
        random_seed : int
            Seed; the same seed, machine and versions give the same draws.
        sampler : str
            Collapsed engine: ``"auto"``, ``"importance"``, ``"nuts"``; PyMC engine: ``"auto"``,
            ``"nutpie"``, ``"pymc"``, ``"numpyro"``.
        device : {"cpu", "gpu"}
            Of the collapsed engine.
        progress : bool, optional
            Progress bar of the PyMC engine; by default on a terminal only.

        Returns
        -------
        DoseModel
            Itself.

        Raises
        ------
        SiteTableError, FormulaError, MissingCovariateError
            When table and model do not fit each other.
        DeviceError
            When the device is not there.
        """
        check_draws(draws)
        check_seed(random_seed)
        spec = self._spec()
        if spec.missing == "impute":
            from bayesdose.dose import imputation

            self._fitted = imputation.fit(sites, spec, draws, random_seed, sampler, device)
            return self
        training = prepare(sites, spec)
        if spec.engine == "pymc":
            if device != "cpu":
                raise ConfigError(f"device={device!r}: the PyMC engine runs on device='cpu'")
            self._fitted = fitting.fit_pymc(training, draws, random_seed, sampler, progress)
        else:
            self._fitted = fitting.fit_collapsed(training, draws, random_seed, sampler, device)
        return self

    @property
    def posterior_(self) -> "xr.DataTree":
        """Posterior draws with ArviZ's groups, dims ``chain`` and ``draw``, units in attrs.

        Returns
        -------
        xarray.DataTree
        """
        return prediction.tree(self._state())

    @property
    def log_evidence_(self) -> tuple[float, float]:
        """Log marginal density of the measured doses in Gy, and its Monte-Carlo standard error.

        Returns
        -------
        tuple of float
            NaN where a prior is improper, or the sampler was NUTS.
        """
        return self._state().log_evidence

    def summary(self, hdi_prob: float = 0.95) -> pd.DataFrame:
        """Posterior summary of every parameter but the patient effects.

        Parameters
        ----------
        hdi_prob : float
            Mass of the highest-density interval.

        Returns
        -------
        pandas.DataFrame
            Indexed by parameter: mean, sd, median, lower, upper, and MCSE, R-hat and ESS where
            the draws come from MCMC.
        """
        from bayesdose.dose import diagnostics

        return diagnostics.summary(self._state(), hdi_prob)

    def diagnose(self) -> "Diagnosis":
        """Whether to trust the fit, in words, and what to change if not.

        Returns
        -------
        Diagnosis
            Prints as a verdict with a line for each check; ``.table`` holds the figures.
        """
        from bayesdose.dose import diagnostics

        return diagnostics.diagnose(self._state())

    def predict(
        self,
        new: pd.DataFrame,
        *,
        kind: str = "new_patient",
        given: pd.DataFrame | None = None,
        target: str = "true",
        aggregate: Mapping[str, str] | None = None,
        hdi_prob: float = 0.95,
        random_seed: int | None = None,
    ) -> pd.DataFrame:
        """Predict absorbed dose.

        Parameters
        ----------
        new : pandas.DataFrame
            Site table; a dose column is ignored.
        kind : {"new_patient", "known_patient", "typical_patient"}
            Patient effects drawn from the population, conditional on the patient's measured
            rows, or 0.
        given : pandas.DataFrame, optional
            Measured rows, not in training, to condition on without refitting.
        target : {"true", "measured"}
            The dose itself, or a measurement of it with the rows' measurement error.
        aggregate : dict, optional
            Tissue → ``"mean"``, ``"mass_mean"``, ``"max"`` or ``"min"`` over the sites of a
            patient and cycle; the table then has one row for each.
        hdi_prob : float
            Mass of the highest-density interval, on the Gy scale.
        random_seed : int, optional
            Seed; the fit's by default.

        Returns
        -------
        pandas.DataFrame
            In the row order and with the index of ``new``: patient_id, site_id, tissue, cycle,
            mean, median, sd, lower, upper (Gy), extrapolation (why the row lies outside the
            training table, empty where it does not). The point prediction is the median. What
            was predicted stands in ``attrs``.

        Raises
        ------
        PredictionError
            When the kind does not fit the patients.
        UnknownCategoryError
            When a tissue or category was not in training.
        """
        return prediction.predict(
            self._state(), new, kind, given, target, aggregate, hdi_prob, random_seed
        )

    def predict_draws(
        self,
        new: pd.DataFrame,
        *,
        kind: str = "new_patient",
        given: pd.DataFrame | None = None,
        target: str = "true",
        aggregate: Mapping[str, str] | None = None,
        random_seed: int | None = None,
    ) -> "xr.DataArray":
        """Joint predictive draws.

        Parameters
        ----------
        new, kind, given, target, aggregate, random_seed
            As in `predict`.

        Returns
        -------
        xarray.DataArray of dims (chain, draw, site), Gy
            In each draw, the sites of a patient share that patient's effects.
        """
        return prediction.draw(self._state(), new, kind, given, target, aggregate, random_seed)

    def probability_above(
        self,
        new: pd.DataFrame,
        gy: float,
        *,
        kind: str = "new_patient",
        given: pd.DataFrame | None = None,
        target: str = "true",
        aggregate: Mapping[str, str] | None = None,
        random_seed: int | None = None,
    ) -> pd.Series:
        """Predictive probability that the dose exceeds a value.

        Parameters
        ----------
        new : pandas.DataFrame
            Site table.
        gy : float, Gy
            Value.
        kind, given, target, aggregate, random_seed
            As in `predict`.

        Returns
        -------
        pandas.Series
            In the row order of `predict`.
        """
        return prediction.probability_above(
            self._state(), new, gy, kind, given, target, aggregate, random_seed
        )

    def prior_predictive(
        self, sites: pd.DataFrame, *, draws: int = 4000, random_seed: int = 1
    ) -> "xr.DataArray":
        """Predictive draws of new patients from the priors alone.

        Parameters
        ----------
        sites : pandas.DataFrame
            Site table; its covariates are standardised with its own rows when the model has not
            been fitted. Doses are not used.
        draws : int
            Draws in total.
        random_seed : int
            Seed.

        Returns
        -------
        xarray.DataArray of dims (chain, draw, site), Gy
        """
        check_draws(draws)
        check_seed(random_seed)
        return prediction.prior_predictive(self._spec(), self._fitted, sites, draws, random_seed)

    def log_predictive_density(
        self, sites: pd.DataFrame, *, kind: str = "new_patient"
    ) -> pd.Series:
        """Joint log predictive density of each patient's measured doses.

        Parameters
        ----------
        sites : pandas.DataFrame
            Site table with measured doses in Gy.
        kind : {"new_patient", "known_patient", "typical_patient"}
            As in `predict`; the rows must not have been in training.

        Returns
        -------
        pandas.Series
            By patient; log density in 1/Gy for each site.
        """
        return prediction.log_predictive_density(self._state(), sites, kind)

    def leave_one_patient_out(
        self, *, hdi_prob: float = 0.95, n_jobs: int = 1, progress: bool | None = None
    ) -> "LeaveOneOut":
        """Exact leave-one-patient-out validation.

        Parameters
        ----------
        hdi_prob : float
            Mass of the intervals in ``predictions``.
        n_jobs : int
            Refits at once, of the PyMC engine; the collapsed engine needs none.
        progress : bool, optional
            Progress bar of the refits; by default on a terminal only.

        Returns
        -------
        LeaveOneOut
        """
        return self.leave_one_out(
            by=self.patient, hdi_prob=hdi_prob, n_jobs=n_jobs, progress=progress
        )

    def leave_one_out(
        self,
        by: str,
        *,
        hdi_prob: float = 0.95,
        n_jobs: int = 1,
        progress: bool | None = None,
    ) -> "LeaveOneOut":
        """Exact leave-one-out validation by patient or by another column, such as the centre.

        Parameters
        ----------
        by : str
            Column whose values are left out in turn; constant within a patient.
        hdi_prob, n_jobs, progress
            As in `leave_one_patient_out`.

        Returns
        -------
        LeaveOneOut

        Raises
        ------
        ConfigError
            When the column varies within a patient, or has one value only.
        """
        from bayesdose.dose import leave_one_out

        return leave_one_out.run(self._state(), by, hdi_prob, n_jobs, progress)

    def save(self, path: str | Path, *, include_patients: bool = False) -> None:
        """Write the fitted model to one NetCDF file with its specification as JSON.

        Parameters
        ----------
        path : str or Path
            File to write, atomically.
        include_patients : bool
            Whether the training rows and patient labels are written; without them, predictions
            for known patients and leave-one-out are not possible after loading.
        """
        from bayesdose.dose import saving

        saving.save(self._state(), Path(path), include_patients)

    @classmethod
    def load(cls, path: str | Path) -> "DoseModel":
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : str or Path
            File to read.

        Returns
        -------
        DoseModel
            Fitted.

        Raises
        ------
        SavedModelError
            When the file is damaged, or of another schema version.
        """
        from bayesdose.dose import saving

        fitted = saving.load(Path(path))
        spec = fitted.encoding.spec
        model = cls(**{name: getattr(spec, name) for name in vars(spec)})
        model._fitted = fitted
        return model

    @property
    def pymc_model(self) -> Any:
        """The full hierarchical model as a PyMC model, to read and to draw its graph.

        Returns
        -------
        pymc.Model
        """
        from bayesdose.dose.pymc_engine import build_model

        training = prediction.needs_training(self._state(), "the PyMC model")
        return build_model(training.encoding, training.rows)

    @property
    def fit_info_(self) -> dict[str, Any]:
        """How the model was fitted: engine, sampler, seed, versions, Pareto k̂, seconds.

        Returns
        -------
        dict
        """
        return dict(self._state().info)

    @property
    def dropped_(self) -> dict[str, int]:
        """Rows left out by ``missing="drop"``, by the column that was missing.

        Returns
        -------
        dict of int
        """
        training = self._state().training
        return {} if training is None else dict(training.dropped)

    def __getstate__(self) -> dict[str, Any]:
        # arrays on a device stay behind: what leave-one-out needs of them is made again
        state = dict(vars(self))
        if self._fitted is not None:
            state["_fitted"] = replace(self._fitted, engine_state=None)
        return state

    def __repr__(self) -> str:
        state = "not fitted"
        if self._fitted is not None:
            info = self._fitted.info
            state = f"fitted to {info['n_sites']} sites of {info['n_patients']} patients"
        return f"DoseModel({self.formula!r}, engine={self.engine!r}; {state})"

    def _arguments(self, params: dict[str, Any]) -> dict[str, Any]:
        return {**params, "priors": params["priors"] or Priors()}

    def _spec(self) -> ModelSpec:
        return ModelSpec(**self._arguments(self.get_params()))

    def _state(self) -> Fitted:
        if self._fitted is None:
            raise NotFittedError("this DoseModel is not fitted yet: call .fit(sites) first")
        return self._fitted
