"""Doses of therapy cycles to come, per administered activity, as joint draws."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesdose.dose import domain
from bayesdose.dose.completed import completed_rows
from bayesdose.dose.design import CYCLE, Rows
from bayesdose.dose.levels import with_levels
from bayesdose.dose.measured_rows import (
    PREDICTED,
    check_collapses,
    check_given,
    encode_together,
)
from bayesdose.dose.predict import log_dose_draws
from bayesdose.dose.site_draws import LABELS, site_labels
from bayesdose.dose.sites_to_plan import check_sites
from bayesdose.dose.spec import ModelSpec
from bayesdose.dose.training import Fitted, check_seed
from bayesdose.dose.updating import update
from bayesdose.errors import ConfigError, PredictionError

#: How cycles of one site hang together: one residual for all of them, or the effects of a fit
#: with repeated cycles.
BETWEEN_CYCLE = ("persistent", "fitted")
_KINDS = ("new_patient", "known_patient")
_MAX_CYCLES = 20


@dataclass(frozen=True)
class CycleDoses:
    """Joint draws of n sites over the cycles to come.

    Parameters
    ----------
    gy_per_gbq : numpy.ndarray of shape (S, n, n_cycles), Gy/GBq
        True dose of each cycle per administered activity.
    before : numpy.ndarray of shape (S, n, n_cycles), Gy/GBq
        The same before the rows of ``given`` were measured.
    frame : pandas.DataFrame of n rows
        The sites, validated.
    labels : pandas.DataFrame of n rows
        patient_id, site_id, tissue and the first of the cycles, as text.
    extrapolation : list of str of length n
        Why a site lies outside the training table; empty where it does not.
    pareto_k : dict of float
        By patient, of the weights of that patient's measured rows; NaN where nothing was measured
        since training.
    source : dict of numpy.ndarray of int of shape (S,)
        By patient: the posterior draw that each draw comes from.
    measured : pandas.DataFrame
        Rows of ``given``: patient_id, site_id, tissue, cycle, measured_gy, and percentile, the
        predictive probability of a smaller measured dose before it was measured.
    """

    gy_per_gbq: np.ndarray
    before: np.ndarray
    frame: pd.DataFrame
    labels: pd.DataFrame
    extrapolation: list[str]
    pareto_k: dict[str, float]
    source: dict[str, np.ndarray]
    measured: pd.DataFrame


def cycle_doses(
    fitted: Fitted,
    sites: pd.DataFrame,
    n_cycles: int,
    *,
    kind: str,
    given: pd.DataFrame | None,
    between_cycle: str,
    random_seed: int | None,
) -> CycleDoses:
    """Draw the dose of every site in every cycle to come, per administered activity.

    Parameters
    ----------
    fitted : Fitted
        A fitted model with an activity.
    sites : pandas.DataFrame
        One row a site; doses and activities in it are not looked at, covariates hold for all
        cycles.
    n_cycles : int
        Cycles to come.
    kind : {"new_patient", "known_patient"}
        As in `bayesdose.DoseModel.predict`.
    given : pandas.DataFrame or None
        Rows measured since training; each patient is updated with the patient's own.
    between_cycle : {"persistent", "fitted"}
        One residual of a site for all its cycles, those measured included; or site effects that
        persist, with cycle effects and residuals that are fresh, from a fit with repeated cycles.
    random_seed : int or None
        Seed; the fit's when None.

    Returns
    -------
    CycleDoses

    Raises
    ------
    ConfigError
        When an argument has an impossible value.
    PredictionError
        When the model, or the table, does not allow it.
    """
    _check_arguments(n_cycles, kind, between_cycle)
    frame, spec = check_sites(fitted, sites, kind, given), fitted.encoding.spec
    _check_between(fitted, frame, between_cycle, kind, given)
    seed = [fitted.info["random_seed"], 3] if random_seed is None else check_seed(random_seed)
    rng = np.random.default_rng(seed)
    persistent = between_cycle == "persistent"
    # the cycle's fixed term moves doses, whatever persists
    repeats = any(fitted.encoding.cycle_effect)
    wide = _repeated(frame, n_cycles) if repeats else frame
    if kind == "known_patient" or given is not None:
        known = kind == "known_patient"
        found = _of_measured_patients(fitted, wide, given, rng, known=known, persistent=persistent)
    else:
        found = _of_new_patients(fitted, wide, len(frame) if persistent else len(wide), rng)

    def by_cycle(gy: np.ndarray) -> np.ndarray:
        shape = (len(gy), n_cycles if repeats else 1, len(frame))
        return np.broadcast_to(
            np.swapaxes(gy.reshape(shape), 1, 2), (len(gy), len(frame), n_cycles)
        )

    return CycleDoses(
        gy_per_gbq=by_cycle(found.after),
        before=by_cycle(found.before),
        frame=frame,
        labels=site_labels(frame, spec).astype(str),
        extrapolation=_joined(found.extrapolation, len(frame)),
        pareto_k=found.pareto_k,
        source=found.source,
        measured=found.measured,
    )


@dataclass(frozen=True)
class _Found:
    """Draws (S, n_rows), Gy/GBq, before and after measurement, and what goes with them."""

    before: np.ndarray
    after: np.ndarray
    extrapolation: list[str]
    pareto_k: dict[str, float]
    source: dict[str, np.ndarray]
    measured: pd.DataFrame


def _check_arguments(n_cycles: int, kind: str, between_cycle: str) -> None:
    whole = isinstance(n_cycles, int | np.integer) and not isinstance(n_cycles, bool)
    if not whole or not 1 <= n_cycles <= _MAX_CYCLES:
        raise ConfigError(
            f"n_cycles: got {n_cycles!r}; give a whole number from 1 to {_MAX_CYCLES}"
        )
    if kind not in _KINDS:
        raise ConfigError(
            f"kind: got {kind!r}; allowed are {', '.join(_KINDS)}. A typical patient has no effect "
            "of its own and is no person to plan for"
        )
    if between_cycle not in BETWEEN_CYCLE:
        raise ConfigError(
            f"between_cycle: got {between_cycle!r}; allowed are {', '.join(BETWEEN_CYCLE)}"
        )


def _check_between(
    fitted: Fitted,
    frame: pd.DataFrame,
    between_cycle: str,
    kind: str,
    given: pd.DataFrame | None,
) -> None:
    encoding = fitted.encoding
    repeated = dict(zip(encoding.tissues, encoding.cycle_effect, strict=True))
    if between_cycle == "fitted":
        sites = dict(zip(encoding.tissues, encoding.site_effect, strict=True))
        for tissue in _tissues(frame, encoding.spec):
            if not repeated.get(tissue, True):
                raise PredictionError(
                    f"between_cycle='fitted' needs several cycles of each tissue in training, and "
                    f"{tissue or 'the table'!r} had one: use between_cycle='persistent'"
                )
            if not sites.get(tissue, True):
                raise PredictionError(
                    "between_cycle='fitted' needs the same sites in several cycles of training, "
                    f"and {tissue or 'the table'!r} has no site_id that recurs: what stays with a "
                    "site cannot be told from what changes. Use between_cycle='persistent'"
                )
        first = frame.groupby(encoding.spec.patient, sort=False)[CYCLE].nunique()
        if (first > 1).any():
            patient = first.index[first > 1][0]
            raise PredictionError(
                f"patient {patient!r} has rows of several cycles: give the next cycle in all"
            )
    elif (given is not None or kind == "known_patient") and any(encoding.cycle_effect):
        raise PredictionError(
            "the model was fitted to repeated cycles, and tells what stays with a site from what "
            "does not: with measured rows use between_cycle='fitted'"
        )


def _tissues(frame: pd.DataFrame, spec: ModelSpec) -> list[str]:
    return [""] if spec.by is None else list(dict.fromkeys(frame[spec.by].astype(str)))


def _repeated(frame: pd.DataFrame, n_cycles: int) -> pd.DataFrame:
    """The sites once a cycle, cycle after cycle."""
    parts = [frame.assign(**{CYCLE: frame[CYCLE] + more}) for more in range(n_cycles)]
    return pd.concat(parts, ignore_index=True)


def _of_new_patients(
    fitted: Fitted, frame: pd.DataFrame, n_fresh: int, rng: np.random.Generator
) -> _Found:
    """Draws of all rows; those after the first ``n_fresh`` repeat their effects and residuals."""
    encoding = fitted.encoding
    log_dose = np.empty((len(fitted.draws), len(frame)))
    parts = list(completed_rows(fitted, frame))
    again = np.arange(len(frame)) % n_fresh
    for place, draws, rows in parts:
        first = log_dose_draws(
            encoding,
            draws,
            rows.take(np.arange(n_fresh)),
            kind="new_patient",
            target="true",
            measured={},
            rng=rng,
        )
        log_dose[place] = first[:, again] + draws.beta @ (rows.x - rows.x[again]).T
    reasons = domain.reasons(fitted.domain, encoding, parts[0][2], frame)
    patients = dict.fromkeys(frame[encoding.spec.patient].astype(str))
    gy = np.exp(log_dose)
    return _Found(
        gy,
        gy,
        reasons,
        dict.fromkeys(patients, float("nan")),
        dict.fromkeys(patients, np.arange(len(log_dose))),
        pd.DataFrame(columns=[*LABELS, "measured_gy", "percentile"]),
    )


def _of_measured_patients(
    fitted: Fitted,
    frame: pd.DataFrame,
    given: pd.DataFrame | None,
    rng: np.random.Generator,
    *,
    known: bool,
    persistent: bool,
) -> _Found:
    check_collapses(fitted)
    encoding, draws, spec = fitted.encoding, fitted.draws, fitted.encoding.spec
    if given is not None:
        given = check_given(given, frame, spec)
        encoding, draws = with_levels(encoding, draws, given, rng)
    if not persistent:
        _check_later(frame, given, fitted, known=known)
    rows, role = encode_together(encoding, fitted.training, frame, given, known=known)
    if persistent:
        _check_measured_once(rows, role)
    updates = update(encoding, draws, rows, role, rng, persistent=persistent)
    code = {label: i for i, label in enumerate(rows.patients)}
    patients = dict.fromkeys(frame[spec.patient].astype(str))
    measured = pd.DataFrame(columns=[*LABELS, "measured_gy", "percentile"])
    if given is not None:
        measured = (
            site_labels(given, spec)
            .astype(str)
            .assign(measured_gy=given[spec.response], percentile=updates.percentile)
        )
    return _Found(
        np.exp(updates.before, out=updates.before).T,
        np.exp(updates.after, out=updates.after).T,
        domain.reasons(fitted.domain, encoding, rows.take(role == PREDICTED), frame),
        {label: float(updates.pareto_k[code[label]]) for label in patients},
        {label: updates.source[code[label]] for label in patients},
        measured,
    )


def _check_later(
    frame: pd.DataFrame, given: pd.DataFrame | None, fitted: Fitted, *, known: bool
) -> None:
    """A cycle that was measured is over: as the next one it would bring its effect along."""
    patient = fitted.encoding.spec.patient
    parts = [] if given is None else [given]
    if fitted.training is not None:
        trained = fitted.training.frame
        mine = frame if known else given
        labels = set() if mine is None else set(mine[patient].astype(str))
        parts.append(trained[trained[patient].astype(str).isin(labels)])
    if not parts:
        return
    measured = pd.concat([part[[patient, CYCLE]].astype({patient: str}) for part in parts])
    last = measured.groupby(patient)[CYCLE].max()
    first = frame[CYCLE].groupby(frame[patient].astype(str)).min()
    for label, cycle in first.items():
        if label in last.index and cycle <= last[label]:
            raise PredictionError(
                f"patient {label!r}: the cycle to plan is {cycle}, and cycle {last[label]} was "
                f"measured. Give the next cycle in the column cycle: {last[label] + 1} or later"
            )


def _check_measured_once(rows: Rows, role: np.ndarray) -> None:
    sites = rows.site[role != PREDICTED]
    if len(np.unique(sites)) < len(sites):
        found, counts = np.unique(sites, return_counts=True)
        first = np.flatnonzero((role != PREDICTED) & (rows.site == found[counts > 1][0]))[0]
        raise PredictionError(
            f"patient {rows.patients[rows.patient[first]]!r} has a site that was measured in "
            "several cycles, and with between_cycle='persistent' a site has one residual: give one "
            "cycle, or fit with repeated cycles and use between_cycle='fitted'"
        )


def _joined(reasons: list[str], n: int) -> list[str]:
    """What is said of a site in any of its cycles, once."""
    by_site = (reasons[first::n] for first in range(n))
    return ["; ".join(dict.fromkeys(word for word in words if word)) for words in by_site]
