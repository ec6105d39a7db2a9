"""Predictions of a fitted model as tables: checks, conditioning, draws, summaries."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesdose._arviz import PARETO_K_LIMIT
from bayesdose.dose import design, domain, moments
from bayesdose.dose.aggregate import combine, layout
from bayesdose.dose.completed import completed_rows
from bayesdose.dose.conditional import draw_latents, log_density, patient_gram
from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.levels import with_levels
from bayesdose.dose.measured_rows import (
    GIVEN,
    PREDICTED,
    check_collapses,
    check_kind,
    check_not_trained,
    encode_together,
    without_measurement,
)
from bayesdose.dose.posterior import Draws
from bayesdose.dose.predict import KINDS, TARGETS, Measured, condition, log_dose_draws
from bayesdose.dose.site_draws import data_array, site_labels
from bayesdose.dose.spec import ModelSpec
from bayesdose.dose.training import (
    Fitted,
    Training,
    by_table,
    check_hdi_prob,
    check_is_table,
    check_seed,
    check_table,
    encode_new,
    needs_training,
)
from bayesdose.dose.tree import posterior_tree
from bayesdose.errors import ConfigError, PredictionError
from bayesdose.evaluate.intervals import median_and_hdi

#: Patient effects above this many values are drawn only when they are asked for by prediction.
MAX_EFFECTS = 10**7


class PredictionWarning(UserWarning):
    """Something to know before a prediction is used."""


def predict(
    fitted: Fitted,
    new: pd.DataFrame,
    kind: str,
    given: pd.DataFrame | None,
    target: str,
    aggregate: Mapping[str, str] | None,
    hdi_prob: float,
    random_seed: int | None,
) -> pd.DataFrame:
    """Table of predictions; see `bayesdose.DoseModel.predict`.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    new, kind, given, target, aggregate, hdi_prob, random_seed
        As in `bayesdose.DoseModel.predict`.

    Returns
    -------
    pandas.DataFrame
    """
    check_hdi_prob(hdi_prob)
    found = _draw(fitted, new, kind, given, target, random_seed)
    table = found.labels.assign(**summarise(found.gy, hdi_prob))
    table["extrapolation"] = domain.reasons(fitted.domain, fitted.encoding, found.rows, found.frame)
    members = None
    if aggregate is not None:
        index, mass = layout(found.labels, found.frame, aggregate)
        gy, members = combine(found.gy, mass, index, aggregate), list(index["members"])
        reasons = table["extrapolation"]
        table = index.drop(columns="members").assign(**summarise(gy, hdi_prob))
        table["extrapolation"] = [
            "; ".join(dict.fromkeys(word for word in reasons.iloc[m] if word)) for m in members
        ]
    _forget_infinite(fitted, found, table, kind, members)
    table.attrs = {**found.attrs, "interval": "hdi", "hdi_prob": hdi_prob}
    return table


def draw(
    fitted: Fitted,
    new: pd.DataFrame,
    kind: str,
    given: pd.DataFrame | None,
    target: str,
    aggregate: Mapping[str, str] | None,
    random_seed: int | None,
) -> xr.DataArray:
    """Joint predictive draws; see `bayesdose.DoseModel.predict_draws`.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    new, kind, given, target, aggregate, random_seed
        As in `bayesdose.DoseModel.predict_draws`.

    Returns
    -------
    xarray.DataArray of dims (chain, draw, site), Gy
    """
    found = _draw(fitted, new, kind, given, target, random_seed)
    gy, labels = found.gy, found.labels
    if aggregate is not None:
        index, mass = layout(found.labels, found.frame, aggregate)
        gy = combine(gy, mass, index, aggregate)
        labels = index.drop(columns="members")
    return data_array(gy, labels, fitted.draws.chains, found.attrs)


def probability_above(
    fitted: Fitted,
    new: pd.DataFrame,
    gy: float,
    kind: str,
    given: pd.DataFrame | None,
    target: str,
    aggregate: Mapping[str, str] | None,
    random_seed: int | None,
) -> pd.Series:
    """Predictive probability above a dose; see `bayesdose.DoseModel.probability_above`.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    new, gy, kind, given, target, aggregate, random_seed
        As in `bayesdose.DoseModel.probability_above`.

    Returns
    -------
    pandas.Series
    """
    if not isinstance(gy, Real) or not np.isfinite(gy) or gy < 0:
        raise ConfigError(f"gy: got {gy!r}; give a dose of at least 0 Gy")
    found = draw(fitted, new, kind, given, target, aggregate, random_seed)
    share = (found > gy).mean(("chain", "draw")).to_numpy()
    index = new.index if aggregate is None else pd.RangeIndex(len(share))
    return pd.Series(share, index=index, name=f"probability_above_{gy:g}_gy")


def prior_predictive(
    spec: ModelSpec,
    fitted: Fitted | None,
    sites: pd.DataFrame,
    draws: int,
    random_seed: int,
) -> xr.DataArray:
    """Draws of new patients from the priors; see `bayesdose.DoseModel.prior_predictive`.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    fitted : Fitted or None
        Its fit, whose encoding is then used.
    sites : pandas.DataFrame
        Site table.
    draws : int
        Draws in total.
    random_seed : int
        Seed.

    Returns
    -------
    xarray.DataArray of dims (chain, draw, site), Gy
    """
    from bayesdose.dose.collapsed.prior import prior_draws

    rng = np.random.default_rng(random_seed)
    clean = check_table(sites, spec, response_required=False)
    if fitted is None:
        encoding, rows = design.learn(clean, spec)
    else:
        encoding, rows = fitted.encoding, fitted.encoding.rows(clean)
    n_patients = design.patients_per_tissue(encoding, rows)
    found = prior_draws(encoding, n_patients, draws, rng)
    log_dose = log_dose_draws(
        encoding, found, rows, kind="new_patient", target="true", measured={}, rng=rng
    )
    attrs = {"kind": "prior", "target": "true", "units": "Gy"}
    return data_array(np.exp(log_dose), site_labels(clean, spec), found.chains, attrs)


def log_predictive_density(fitted: Fitted, sites: pd.DataFrame, kind: str) -> pd.Series:
    """Joint log density by patient; see `bayesdose.DoseModel.log_predictive_density`.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    sites : pandas.DataFrame
        Site table with measured doses.
    kind : str
        As in `bayesdose.DoseModel.predict`.

    Returns
    -------
    pandas.Series
        By patient; log density in 1/Gy for each site.
    """
    _check_choice("kind", kind, KINDS)
    check_is_table(sites, "the site table")
    check_kind(fitted, sites, kind, None)
    frame, rows = encode_new(fitted, sites, response_required=True)
    if fitted.draws.precision is None:
        from bayesdose.dose.pymc_engine import log_density as marginal

        if kind == "known_patient":
            raise PredictionError(
                "kind='known_patient' densities need a likelihood that collapses: fit with "
                "engine='collapsed'"
            )
        by_draw = marginal(fitted.encoding, fitted.draws, rows, kind)
        return pd.Series(
            _log_mean_exp(by_draw), index=pd.Index(rows.patients, name="patient_id"), name="elpd"
        )
    if kind == "known_patient":
        check_not_trained(
            needs_training(fitted, "kind='known_patient'"), sites, fitted.encoding.spec
        )
        _, measured = _with_measured(fitted.encoding, fitted.training, frame, frame, known=True)
        values = [
            float(_log_mean_exp(_density_given(fitted, known)[:, None])[0])
            - float(known.rows.log_dose[known.is_new].sum())
            for known in (measured[label] for label in rows.patients)
        ]
    else:
        typical = kind == "typical_patient"
        values = [
            log_density_of(
                fitted.encoding, fitted.draws, rows.take(rows.patient == code), typical=typical
            )
            for code in range(len(rows.patients))
        ]
    return pd.Series(values, index=pd.Index(rows.patients, name="patient_id"), name="elpd")


def log_density_of(encoding: Encoding, draws: Draws, rows: Rows, *, typical: bool = False) -> float:
    """Joint log predictive density of the measured rows of one patient not in training.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    draws : Draws
        S draws with ``precision`` and ``shift``.
    rows : Rows
        Measured rows; several patients are independent given the coefficients.
    typical : bool
        Whether the patient effects are 0.

    Returns
    -------
    float
        1/Gy for each site.
    """
    assert draws.precision is not None
    assert draws.shift is not None
    size = draws.shift.shape[1] + 1
    gram, log_det = np.zeros((len(draws), size, size)), np.zeros(len(draws))
    for code in np.unique(rows.patient):
        one = rows.take(rows.patient == code).compact()
        more, det = patient_gram(encoding, draws, one, effects=not typical)
        gram += more
        log_det += det
    by_draw = log_density(draws.precision, draws.shift, gram, log_det, len(rows.tissue))
    return float(_log_mean_exp(by_draw[:, None])[0] - rows.log_dose.sum())


def tree(fitted: Fitted) -> xr.DataTree:
    """Posterior as a DataTree, patient effects drawn where they are few enough to hold.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.

    Returns
    -------
    xarray.DataTree
    """
    draws, training = fitted.draws, fitted.training
    rows = training.rows if training is not None else None
    if draws.patient_effect is None and rows is not None and rows.z.shape[1]:
        size = len(draws) * len(rows.patients) * rows.z.shape[1]
        if size <= MAX_EFFECTS and fitted.encoding.spec.likelihood == "lognormal":
            rng = np.random.default_rng([fitted.info["random_seed"], 2])
            assert training is not None
            effects = np.empty((len(draws), len(rows.patients), rows.z.shape[1]))
            for place, part, table in by_table(draws, training.tables):
                for i in range(len(rows.patients)):
                    mine = table.take(table.patient == i).compact()
                    effects[place, i] = draw_latents(fitted.encoding, part, mine, rng).u
            draws = replace(draws, patient_effect=effects)
    return posterior_tree(fitted.encoding, draws, rows, fitted.info)


def summarise(gy: np.ndarray, hdi_prob: float) -> dict[str, np.ndarray]:
    """Mean, median, sd and highest-density interval of predictive draws.

    Parameters
    ----------
    gy : numpy.ndarray of shape (S, n), Gy
        Predictive draws.
    hdi_prob : float
        Mass of the interval.

    Returns
    -------
    dict of numpy.ndarray of shape (n,), Gy
    """
    median, lower, upper = median_and_hdi(gy, hdi_prob)
    return {
        "mean": gy.mean(0),
        "median": median,
        "sd": gy.std(0, ddof=1),
        "lower": lower,
        "upper": upper,
    }


class _Drawn:
    """Draws in Gy with the rows and labels that they belong to."""

    def __init__(
        self,
        gy: np.ndarray,
        rows: Rows,
        frame: pd.DataFrame,
        labels: pd.DataFrame,
        attrs: dict[str, Any],
    ) -> None:
        self.gy, self.rows, self.frame, self.labels, self.attrs = gy, rows, frame, labels, attrs


def _draw(
    fitted: Fitted,
    new: pd.DataFrame,
    kind: str,
    given: pd.DataFrame | None,
    target: str,
    random_seed: int | None,
) -> _Drawn:
    _check_choice("kind", kind, KINDS)
    _check_choice("target", target, TARGETS)
    check_is_table(new, "the table of new sites")
    if given is not None:
        check_is_table(given, "given")
    spec = fitted.encoding.spec
    check_kind(fitted, new, kind, given)
    # a dose in the rows to predict is not looked at
    bare = (
        without_measurement(new, spec)
        if target == "true"
        else new.drop(columns=[spec.response], errors="ignore")
    )
    frame = check_table(bare, spec, response_required=False)
    seed = [fitted.info["random_seed"], 1] if random_seed is None else check_seed(random_seed)
    rng = np.random.default_rng(seed)
    encoding, draws, pareto_k = fitted.encoding, fitted.draws, float("nan")
    measured: dict[str, Measured] = {}
    if kind == "known_patient" or given is not None:
        check_collapses(fitted)
        if given is not None:
            given = check_table(given, spec, response_required=True)
            encoding, draws = with_levels(encoding, draws, given, rng)
        known = kind == "known_patient"
        rows, measured = _with_measured(encoding, fitted.training, frame, given, known=known)
        found = condition(encoding, draws, measured, rng)
        draws, pareto_k = found.draws, found.pareto_k
        if pareto_k > PARETO_K_LIMIT:
            warnings.warn(
                f"the rows in `given` move the posterior far (Pareto k {pareto_k:.2f}, weights "
                f"worth {found.weight_ess:.0f} draws): refit with them in the training table",
                PredictionWarning,
                stacklevel=4,
            )
    elif spec.missing == "impute":
        return _draw_imputed(fitted, frame, kind, target, rng)
    else:
        rows = encoding.rows(frame)
    log_dose = log_dose_draws(
        encoding, draws, rows, kind=kind, target=target, measured=measured, rng=rng
    )
    attrs = {
        "kind": kind,
        "target": target,
        "units": "Gy",
        "given_rows": 0 if given is None else len(given),
        "given_pareto_k": pareto_k,
    }
    return _Drawn(np.exp(log_dose), rows, frame, site_labels(frame, spec), attrs)


def _draw_imputed(
    fitted: Fitted, frame: pd.DataFrame, kind: str, target: str, rng: np.random.Generator
) -> _Drawn:
    """Complete the rows for every imputation, with that imputation's draws."""
    log_dose = np.empty((len(fitted.draws), len(frame)))
    parts = list(completed_rows(fitted, frame))
    for place, part, rows in parts:
        log_dose[place] = log_dose_draws(
            fitted.encoding, part, rows, kind=kind, target=target, measured={}, rng=rng
        )
    attrs = {
        "kind": kind,
        "target": target,
        "units": "Gy",
        "given_rows": 0,
        "given_pareto_k": np.nan,
    }
    labels = site_labels(frame, fitted.encoding.spec)
    return _Drawn(np.exp(log_dose), parts[0][2], frame, labels, attrs)


def _with_measured(
    encoding: Encoding,
    training: Training | None,
    frame: pd.DataFrame,
    given: pd.DataFrame | None,
    known: bool,
) -> tuple[Rows, dict[str, Measured]]:
    """Rows to predict, and the measured rows of each patient."""
    rows, role = encode_together(encoding, training, frame, given, known=known)
    measured = {}
    for code, label in enumerate(rows.patients):
        mine = (rows.patient == code) & (role != PREDICTED)
        if mine.any():
            one = replace(rows.take(mine), patient=np.zeros(mine.sum(), int), patients=(label,))
            measured[label] = Measured(one, role[mine] == GIVEN)
    return rows.take(role == PREDICTED), measured


def _density_given(fitted: Fitted, known: Measured) -> np.ndarray:
    """Log density of a patient's new rows given the patient's training rows, by draw."""
    draws = fitted.draws
    assert draws.precision is not None
    assert draws.shift is not None
    gram, log_det = patient_gram(fitted.encoding, draws, known.rows)
    before, det_before = patient_gram(fitted.encoding, draws, known.rows.take(~known.is_new))
    return log_density(
        draws.precision, draws.shift, gram - before, log_det - det_before, int(known.is_new.sum())
    )


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name}: got {value!r}; allowed are {', '.join(allowed)}")


def _forget_infinite(
    fitted: Fitted,
    found: _Drawn,
    table: pd.DataFrame,
    kind: str,
    members: list[np.ndarray] | None,
) -> None:
    leverage = domain.leverage(fitted.domain, fitted.encoding, found.rows)
    no_mean, no_sd = moments.infinite(fitted.encoding, found.rows, kind, leverage)
    if members is not None:  # the heaviest tail of its members decides
        no_mean = np.array([bool(no_mean[m].any()) for m in members])
        no_sd = np.array([bool(no_sd[m].any()) for m in members])
    table.loc[no_mean, "mean"] = np.nan
    table.loc[no_sd, "sd"] = np.nan
    if no_sd.any():
        what = "mean and sd are" if no_mean.any() else "sd is"
        warnings.warn(
            f"{what} infinite under the priors of some rows and reported as NaN: use the median "
            "and the interval, or half-normal priors with scale 0.5 or less",
            PredictionWarning,
            stacklevel=4,
        )


def _log_mean_exp(values: np.ndarray) -> np.ndarray:
    top = values.max(0)
    return top + np.log(np.exp(values - top).mean(0))
