"""Fitted state of a dose model, and how it comes about: table → arrays → draws."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.cohort import validate_sites
from bayesdose.cohort.schema import column_of
from bayesdose.dose import covariates, design, domain, formulas
from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.domain import PROTOCOL, Domain
from bayesdose.dose.posterior import Draws
from bayesdose.dose.spec import ModelSpec
from bayesdose.errors import (
    ConfigError,
    FormulaError,
    MissingCovariateError,
    PredictionError,
    SiteTableError,
)


@dataclass(frozen=True)
class Training:
    """A training table, checked and encoded.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows used, validated; with their gaps where those are imputed.
    encoding : Encoding
    rows : Rows
        Of the first completion where gaps are imputed.
    dropped : dict of int
        Column → rows left out because it was missing (``missing="drop"``).
    completed : tuple of Rows
        One for each imputation (``missing="impute"``); empty otherwise.
    """

    frame: pd.DataFrame
    encoding: Encoding
    rows: Rows
    dropped: dict[str, int]
    completed: tuple[Rows, ...] = ()

    @property
    def tables(self) -> tuple[Rows, ...]:
        """What the draws were made from; see `by_table`.

        Returns
        -------
        tuple of Rows
        """
        return self.completed or (self.rows,)


@dataclass(frozen=True)
class Fitted:
    """Everything that prediction needs, and what is needed to validate.

    Parameters
    ----------
    encoding : Encoding
    draws : Draws
    domain : Domain
        Where the training table has been.
    training : Training or None
        None in a model that was saved without its rows.
    log_evidence : tuple of float
        Value and Monte-Carlo standard error, dose in Gy; NaN where there is none.
    info : dict
        How it was fitted: engine, sampler, seeds, versions, Pareto k̂, seconds; flat values.
    engine_state : object
        What the engine keeps for leave-one-out; None after loading.
    """

    encoding: Encoding
    draws: Draws
    domain: Domain
    training: Training | None
    log_evidence: tuple[float, float]
    info: dict[str, Any]
    engine_state: Any = None


def needs_training(fitted: Fitted, what: str) -> Training:
    """The training table, or an error that says how to keep it.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    what : str
        What needs it.

    Returns
    -------
    Training

    Raises
    ------
    PredictionError
        When the model was saved without its rows.
    """
    if fitted.training is None:
        raise PredictionError(
            f"{what} needs the training rows, and this model was saved without them: save it with "
            "include_patients=True"
        )
    return fitted.training


def check_table(
    frame: pd.DataFrame, spec: ModelSpec, *, response_required: bool, training: bool = False
) -> pd.DataFrame:
    """Validate a site table for a model.

    Parameters
    ----------
    frame : pandas.DataFrame
        Site table.
    spec : ModelSpec
        The model; its columns may have other names than the contract's.
    response_required : bool
        Whether every row must have a measured dose.
    training : bool
        Whether the medians of its tissues are held against the literature; a few rows of one
        patient have no median to speak of.

    Returns
    -------
    pandas.DataFrame
        A clean copy.

    Raises
    ------
    SiteTableError
        Listing every problem.
    """
    check_is_table(frame, "the site table")
    texts = [spec.formula] if isinstance(spec.formula, str) else list(spec.formula.values())
    for text in (*texts, spec.patient_effects):
        formulas.parse(text, "model")
    used = {name for text in texts for name in formulas.variables(text)}
    used |= {*formulas.variables(spec.patient_effects), *spec.group_effects}
    _check_no_leak(used, spec)
    # a name that neither table nor schema knows is the formula's to report, with a suggestion
    wanted = [name for name in used if name in frame.columns or column_of(name) is not None]
    return validate_sites(
        frame,
        None if training else {"literature_median": False},
        response=spec.response,
        patient=spec.patient,
        by=spec.by,
        activity=spec.activity,
        require=sorted(wanted),
        response_required=response_required,
        mixed_ok=sorted(used & set(PROTOCOL)),
    )


def check_is_table(given: Any, what: str) -> None:
    """Refuse what is no DataFrame.

    Parameters
    ----------
    given : object
        What was passed.
    what : str
        Its name, for the message.

    Raises
    ------
    ConfigError
        When it is no DataFrame.
    """
    if not isinstance(given, pd.DataFrame):
        hint = "; bayesdose.read_sites(path) reads a file" if isinstance(given, str | Path) else ""
        raise ConfigError(f"{what} is a {type(given).__name__}, not a DataFrame{hint}")


def _check_no_leak(used: set[str], spec: ModelSpec) -> None:
    """Refuse what a new patient cannot bring: the dose itself, and who the patient is."""
    for name in sorted(used & {spec.response, spec.dose_cv, spec.dose_cv_shared, spec.censored}):
        raise FormulaError(
            f"the model uses {name!r} to predict, which belongs to the measured dose: leave it out"
        )
    for name in sorted(used & {spec.patient, "site_id"}):
        raise FormulaError(
            f"the model uses {name!r} to predict, which no other patient has: leave it out; "
            "patients and sites have effects of their own"
        )


def prepare(frame: pd.DataFrame, spec: ModelSpec) -> Training:
    """Check and encode a training table.

    Parameters
    ----------
    frame : pandas.DataFrame
        Site table with measured doses.
    spec : ModelSpec
        The model.

    Returns
    -------
    Training

    Raises
    ------
    SiteTableError
        When the table breaks its schema, or has one patient only.
    FormulaError
        When a formula does not fit.
    MissingCovariateError
        When a covariate is missing and ``missing="error"``, or nothing is left after dropping.
    """
    clean = check_table(frame, spec, response_required=True, training=True)
    clean, dropped = _drop(clean, spec) if spec.missing == "drop" else (clean, {})
    n_patients = clean[spec.patient].nunique()
    if n_patients < 2 and spec.patient_effects.strip() != "0":
        only = clean[spec.patient].iloc[0]
        raise SiteTableError(
            f"the table has one patient, {only!r}: what differs between patients cannot be learnt "
            "from one; give at least two"
        )
    encoding, rows = design.learn(clean, spec)
    for tissue in without_spread(encoding, rows):
        raise SiteTableError(
            f"all {tissue} rows of a patient have exactly the same dose, in every patient: what "
            "differs between sites cannot be learnt from them. Give one row for such a pair, or "
            "the measurement's uncertainty (dose_cv)"
        )
    return Training(clean, encoding, rows, dropped)


def by_table(draws: Draws, tables: Sequence[Rows]) -> Iterator[tuple[slice, Draws, Rows]]:
    """Draws with the table that they were made from: draw s belongs to table s modulo M.

    Parameters
    ----------
    draws : Draws
        S draws.
    tables : sequence of Rows
        M completions of a table; one where nothing was imputed.

    Yields
    ------
    place : slice
        Positions of the draws.
    part : Draws
    rows : Rows
    """
    if len(tables) == 1:
        yield slice(None), draws, tables[0]
        return
    for m, rows in enumerate(tables):
        yield slice(m, None, len(tables)), draws.take(slice(m, None, len(tables))), rows


def without_spread(encoding: Encoding, rows: Rows) -> list[str]:
    """Tissues without any spread within patients, whose residual sd would run to 0.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    rows : Rows
        Rows to learn from.

    Returns
    -------
    list of str
    """
    found = []
    for k, tissue in enumerate(encoding.tissues):
        mine = (rows.tissue == k) & (rows.own_var == 0)
        doses = pd.Series(rows.y[mine]).groupby(rows.patient[mine])
        several = doses.count() > 1
        if several.any() and (doses.max() == doses.min())[several].all():
            found.append(tissue)
    return found


def encode_new(
    fitted: Fitted, frame: pd.DataFrame, *, response_required: bool = False
) -> tuple[pd.DataFrame, Rows]:
    """Check and encode a table for prediction.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    frame : pandas.DataFrame
        Site table.
    response_required : bool
        Whether every row must have a measured dose.

    Returns
    -------
    clean : pandas.DataFrame
    rows : Rows
    """
    spec = fitted.encoding.spec
    clean = check_table(frame, spec, response_required=response_required)
    return clean, fitted.encoding.rows(clean)


def check_draws(draws: int) -> int:
    """Refuse a number of draws that four chains cannot share.

    Parameters
    ----------
    draws : int
        Draws in total.

    Returns
    -------
    int

    Raises
    ------
    ConfigError
        When it is not a positive multiple of 4.
    """
    if not isinstance(draws, int | np.integer) or draws < 100 or draws % 4:
        raise ConfigError(
            f"draws: got {draws!r}; give a multiple of 4, at least 100 (they are shared by 4 "
            "chains)"
        )
    return int(draws)


def check_seed(random_seed: int) -> int:
    """Refuse a seed that NumPy cannot take.

    Parameters
    ----------
    random_seed : int
        Seed.

    Returns
    -------
    int

    Raises
    ------
    ConfigError
        When it is no whole number of at least 0.
    """
    whole = isinstance(random_seed, int | np.integer) and not isinstance(random_seed, bool)
    if not whole or random_seed < 0:
        raise ConfigError(f"random_seed: got {random_seed!r}; give a whole number of at least 0")
    return int(random_seed)


def check_hdi_prob(hdi_prob: float) -> None:
    """Refuse a mass that no highest-density interval has.

    Parameters
    ----------
    hdi_prob : float
        Mass of the interval.

    Raises
    ------
    ConfigError
        When it is no number between 0 and 1.
    """
    number = isinstance(hdi_prob, Real) and not isinstance(hdi_prob, bool | np.bool_)
    if not number or not 0 < hdi_prob < 1:
        raise ConfigError(f"hdi_prob: got {hdi_prob!r}; give a probability between 0 and 1")


def build_domain(training: Training) -> Domain:
    """Where a training table has been.

    Parameters
    ----------
    training : Training
        Checked and encoded table.

    Returns
    -------
    Domain
    """
    return domain.learn(training.encoding, training.rows, training.frame)


def _drop(frame: pd.DataFrame, spec: ModelSpec) -> tuple[pd.DataFrame, dict[str, int]]:
    tissues = design.tissues_of(frame, spec)
    code = design.tissue_codes(frame, spec, tissues)
    missing = covariates.missing_covariates(frame, spec, tissues, code)
    gone = np.zeros(len(frame), bool)
    for mask in missing.values():
        gone |= mask
    if gone.all():
        raise MissingCovariateError(
            "missing='drop' would leave no row: every row lacks one of "
            f"{', '.join(missing)}. Leave that column out of the formula, or fill it in"
        )
    return frame[~gone], {name: int(mask.sum()) for name, mask in missing.items()}
