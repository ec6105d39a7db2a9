"""The largest activity at which limits of dose hold with a stated posterior probability.

Dose is proportional to activity, so each joint draw s of the doses per activity has a largest
activity A_s at which every limit holds. With S draws, the limits hold together with probability p
at the activity that a share p of the A_s reach or exceed: an order statistic of them.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from bayesdose import _arviz
from bayesdose.dose.cycles import CycleDoses, cycle_doses
from bayesdose.dose.prediction import PredictionWarning, summarise
from bayesdose.dose.site_draws import LABELS, data_array
from bayesdose.dose.training import Fitted
from bayesdose.errors import ConfigError, PredictionError
from bayesdose.planning._measured import contradictions
from bayesdose.planning.limits import DoseLimit, PublishedLimit, is_number

if TYPE_CHECKING:
    import xarray as xr

    from bayesdose.dose.model import DoseModel

#: Draws that must lie beyond a quantile for it to be told.
_LEAST_BEYOND = 1


@dataclass(frozen=True)
class Plan:
    """The largest activity a cycle for one patient, and what it gives.

    Parameters
    ----------
    activity_gbq : float, GBq
        For each cycle.
    binding : str or None
        The limit that allows least, by its tissue, or in words where several limits are for one
        tissue; None where none binds before the range of activities ends.
    at_bound : bool
        Whether the upper end of the range was reached before any limit.
    extrapolates : bool
        Whether the activity lies outside those of the training table.
    dose : xarray.DataArray of dims (chain, draw, site), Gy
        Joint draws of the dose added over the planned cycles at that activity, without what was
        already received.
    monte_carlo_error : float, GBq
        Standard error of ``activity_gbq`` because draws are finite; 0 at the bound.
    limits : tuple of DoseLimit
    within : dict of float
        By limit, and for ``"all limits"``: posterior probability that it holds at that activity.
    n_cycles : int
    notes : tuple of str
        What was not known or lies outside the training table, in words.
    """

    activity_gbq: float
    binding: str | None
    at_bound: bool
    extrapolates: bool
    dose: "xr.DataArray"
    monte_carlo_error: float
    limits: tuple[DoseLimit, ...]
    within: Mapping[str, float]
    n_cycles: int
    notes: tuple[str, ...]

    def table(self, hdi_prob: float = 0.95) -> pd.DataFrame:
        """Dose of every site, added over the planned cycles at that activity.

        Parameters
        ----------
        hdi_prob : float
            Mass of the highest-density interval.

        Returns
        -------
        pandas.DataFrame
            patient_id, site_id, tissue, median, lower, upper (Gy).
        """
        gy = self.dose.to_numpy().reshape(-1, self.dose.sizes["site"])
        found = summarise(gy, hdi_prob)
        labels = {name: self.dose[name].to_numpy() for name in LABELS[:3]}
        return pd.DataFrame(labels | {name: found[name] for name in ("median", "lower", "upper")})


def max_activity(
    model: "DoseModel",
    sites: pd.DataFrame,
    limits: Sequence[DoseLimit],
    n_cycles: int = 6,
    activity_range_gbq: tuple[float, float] = (1.0, 12.0),
    kind: str = "new_patient",
    given: pd.DataFrame | None = None,
    between_cycle: str = "persistent",
    random_seed: int | None = None,
) -> Plan:
    """Largest activity a cycle at which all limits hold, for one patient.

    Limits with one common probability hold together with it; with different ones, each holds on
    its own with its own.

    Parameters
    ----------
    model : DoseModel
        Fitted, with an activity.
    sites : pandas.DataFrame
        One row for each site of one patient, with the model's covariates, which hold for all
        cycles; doses and activities in it are not looked at.
    limits : sequence of DoseLimit
        At least one; there is no default.
    n_cycles : int
        Cycles to plan, all with the same activity.
    activity_range_gbq : tuple of float, GBq
        Smallest and largest activity to consider.
    kind : {"new_patient", "known_patient"}
        As in `bayesdose.DoseModel.predict`.
    given : pandas.DataFrame, optional
        Measured rows of the patient, such as those of cycle 1, not in training.
    between_cycle : {"persistent", "fitted"}
        ``"persistent"``: a site has one residual, shared by all its cycles and by a measured row
        of it, since one cycle does not tell what stays with the site. ``"fitted"``: from a fit
        with repeated cycles, site effects persist, cycle effects and residuals are fresh.
    random_seed : int, optional
        Seed; the fit's by default.

    Returns
    -------
    Plan

    Raises
    ------
    ConfigError
        When an argument has an impossible value.
    PredictionError
        When model or patient lack the tissue of a limit, or no activity of the range keeps the
        limits.
    """
    fitted = model._state()
    limits = check_limits(limits, fitted)
    low, high = check_range(activity_range_gbq)
    doses = cycle_doses(
        fitted,
        sites,
        n_cycles,
        kind=kind,
        given=given,
        between_cycle=between_cycle,
        random_seed=random_seed,
    )
    patients = doses.labels["patient_id"].unique()
    if len(patients) != 1:
        raise ConfigError(
            f"sites: has {len(patients)} patients; plan one patient at a time, or all of them with "
            "bayesdose.planning.activity_table"
        )
    alarm = alarms(doses, str(patients[0]))
    if taken_as_exact(fitted, doses, str(patients[0])):
        alarm.append("measured doses are taken as exact: the model has no dose_cv (see notes)")
    if alarm:
        warnings.warn("; ".join(alarm), PredictionWarning, stacklevel=2)
    return plan_patient(fitted, doses, str(patients[0]), limits, (low, high))


def plan_patient(
    fitted: Fitted,
    doses: CycleDoses,
    patient: str,
    limits: tuple[DoseLimit, ...],
    activity_range_gbq: tuple[float, float],
) -> Plan:
    """Plan one of the patients whose doses were drawn.

    Parameters
    ----------
    fitted : Fitted
        The model.
    doses : CycleDoses
        Of one or more patients.
    patient : str
        The patient.
    limits : tuple of DoseLimit
        Checked.
    activity_range_gbq : tuple of float, GBq
        Checked.

    Returns
    -------
    Plan

    Raises
    ------
    PredictionError
        As `max_activity`.
    """
    mine = np.flatnonzero(doses.labels["patient_id"] == patient)
    names = limit_names(limits)
    largest = {
        name: largest_activities(limit, doses, mine)
        for name, limit in zip(names, limits, strict=True)
    }
    own = {
        name: _order_statistic(largest[name], limit.probability)
        for name, limit in zip(names, limits, strict=True)
    }
    together = np.min(list(largest.values()), axis=0)
    common = {limit.probability for limit in limits}
    least = min(own, key=lambda name: own[name])
    deciding, probability = largest[least], limits[names.index(least)].probability
    if len(common) == 1:
        deciding, probability = together, common.pop()
    activity = _order_statistic(deciding, probability)
    low, high = activity_range_gbq
    if activity < low:
        raise PredictionError(_unmet(patient, limits, largest, together, activity_range_gbq))
    worth = _draws_worth(fitted, doses.source[patient], deciding < activity)
    error = quantile_error(deciding, 1 - probability, worth)
    at_bound = bool(activity > high)
    activity = min(activity, high)
    within = {name: float((values >= activity).mean()) for name, values in largest.items()}
    within["all limits"] = float((together >= activity).mean())
    return Plan(
        activity_gbq=activity,
        binding=None if at_bound else least,
        at_bound=at_bound,
        extrapolates=_extrapolates(fitted, activity),
        dose=_cumulative(doses, mine, activity, fitted.draws.chains),
        monte_carlo_error=0.0 if at_bound else error,
        limits=limits,
        within=within,
        n_cycles=doses.gy_per_gbq.shape[2],
        notes=tuple(_notes(fitted, doses, patient, mine, activity)),
    )


def check_limits(limits: Iterable[DoseLimit], fitted: Fitted) -> tuple[DoseLimit, ...]:
    """Limits as a tuple, or one clear error.

    Parameters
    ----------
    limits : iterable of DoseLimit
        What the user gave.
    fitted : Fitted
        The model, whose tissues they must be.

    Returns
    -------
    tuple of DoseLimit

    Raises
    ------
    ConfigError
        When there is none, or something else than limits.
    PredictionError
        When the model does not have a tissue.
    """
    listed = isinstance(limits, Iterable) and not isinstance(limits, str | bytes | Mapping)
    found: tuple[DoseLimit, ...] = tuple(limits) if listed else (limits,)  # type: ignore[assignment]
    for limit in found:
        if not isinstance(limit, DoseLimit):
            way_out = "; call its .limit(...)" if isinstance(limit, PublishedLimit) else ""
            raise ConfigError(
                f"limits: got {type(limit).__name__}; give a list of bayesdose.planning.DoseLimit"
                f"{way_out}"
            )
        beyond = min(limit.probability, 1 - limit.probability) * len(fitted.draws)
        if beyond < _LEAST_BEYOND:
            needed = int(np.ceil(_LEAST_BEYOND * len(fitted.draws) / beyond))
            raise ConfigError(
                f"the limit for {limit.tissue}: {len(fitted.draws)} draws cannot tell a "
                f"probability of {limit.probability:g}; fit with draws={needed} or more"
            )
    if not found:
        raise ConfigError(
            "limits: none is stated, and none is a default; give DoseLimit values, of your own or "
            "of bayesdose.planning.LIMITS"
        )
    if len(set(limit_names(found))) < len(found):
        raise ConfigError("limits: one is given twice")
    for limit in found:
        if fitted.encoding.spec.by is None:
            raise PredictionError(
                "the model has no tissues (by=None), and limits are for a tissue: fit with "
                "by='tissue'"
            )
        if limit.tissue not in fitted.encoding.tissues:
            raise PredictionError(
                f"the limit for {limit.tissue!r}: the model has no such tissue; it has "
                f"{', '.join(fitted.encoding.tissues)}"
            )
    return found


def check_range(activity_range_gbq: tuple[float, float]) -> tuple[float, float]:
    """Range of activities, or one clear error.

    Parameters
    ----------
    activity_range_gbq : tuple of float, GBq
        What the user gave.

    Returns
    -------
    tuple of float

    Raises
    ------
    ConfigError
        When they are not two rising numbers above 0.
    """
    try:
        low, high = activity_range_gbq
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    numbers = is_number(low) and is_number(high)
    if not numbers or not 0 < low < high < np.inf:
        raise ConfigError(
            f"activity_range_gbq: got {activity_range_gbq!r}; give the smallest and the largest "
            "activity in GBq, such as (1, 12)"
        )
    return float(low), float(high)


def limit_names(limits: Sequence[DoseLimit]) -> list[str]:
    """Name of each limit: its tissue where no other limit has it, or the limit in words.

    Parameters
    ----------
    limits : sequence of DoseLimit

    Returns
    -------
    list of str
    """
    tissues = [limit.tissue for limit in limits]
    return [limit.tissue if tissues.count(limit.tissue) == 1 else limit.text for limit in limits]


def largest_activities(limit: DoseLimit, doses: CycleDoses, mine: np.ndarray) -> np.ndarray:
    """Largest activity a cycle that keeps one limit, in each draw.

    With g_c the dose per activity of cycle c, a = Σ g_c and b = k Σ g_c² (k of BED, 0 for Gy),
    a A + b A² = limit - already received has the root 2 L / (a + sqrt(a² + 4 b L)).

    Parameters
    ----------
    limit : DoseLimit
        The limit.
    doses : CycleDoses
        Joint draws.
    mine : numpy.ndarray of int
        Sites of the patient.

    Returns
    -------
    numpy.ndarray of shape (S,), GBq

    Raises
    ------
    PredictionError
        When the patient lacks the tissue, a site of ``already_gy``, or a mass, or the limit was
        reached already.
    """
    labels = doses.labels.iloc[mine]
    patient = labels["patient_id"].iloc[0]
    here = np.flatnonzero(labels["tissue"] == limit.tissue)
    if not len(here):
        raise PredictionError(
            f"patient {patient!r} has no site of tissue {limit.tissue!r}, which a limit is for; "
            f"the table has {', '.join(labels['tissue'].unique())}"
        )
    gy = doses.gy_per_gbq[:, mine[here]]
    if limit.sites != "worst":
        weights = _weights(limit, doses.frame.iloc[mine[here]], str(patient))
        gy = np.einsum("snc,n->sc", gy, weights)[:, None]
    left = limit.value_gy - _already(limit, labels["site_id"].iloc[here], str(patient))
    if (left <= 0).any():
        raise PredictionError(
            f"patient {patient!r}: no activity keeps the limit for {limit.text}: it was reached "
            f"before, with {limit.value_gy - left.min():g} Gy already received"
        )
    a, b = gy.sum(2), limit.bed_per_gy2 * (gy**2).sum(2)
    largest: np.ndarray = (2 * left / (a + np.sqrt(a**2 + 4 * b * left))).min(1)
    return largest


def taken_as_exact(fitted: Fitted, doses: CycleDoses, patient: str) -> bool:
    """Whether measured sites of a patient are left without any uncertainty in cycles to come.

    Parameters
    ----------
    fitted : Fitted
        The model.
    doses : CycleDoses
        Joint draws.
    patient : str
        The patient.

    Returns
    -------
    bool
        Without a measurement error in the model, a residual that persists is known.
    """
    spec = fitted.encoding.spec
    if spec.dose_cv is not None or spec.dose_cv_shared is not None:
        return False
    mine = (doses.labels["patient_id"] == patient).to_numpy()
    return bool((doses.gy_per_gbq[:, mine, 0].std(0) < 1e-9).any())


def alarms(doses: CycleDoses, patient: str) -> list[str]:
    """What is wrong with the measured rows of a patient, in words; they are used all the same.

    Parameters
    ----------
    doses : CycleDoses
        Joint draws.
    patient : str
        The patient.

    Returns
    -------
    list of str
    """
    found = contradictions(doses.measured, patient)
    if doses.pareto_k[patient] > _arviz.PARETO_K_LIMIT:
        found.append(
            f"the measured rows move the posterior far (Pareto k {doses.pareto_k[patient]:.2f}): "
            "fit again with them in the training table"
        )
    return found


def quantile_error(values: np.ndarray, prob: float, worth: float) -> float:
    """Monte-Carlo standard error of a quantile (Vehtari et al. 2021, doi:10.1214/20-BA1221).

    Half the distance between the quantiles at the 16th and 84th percentile of Beta(n p + 1,
    n (1 - p) + 1), n the number of independent draws that the draws are worth.

    Parameters
    ----------
    values : numpy.ndarray of shape (S,)
        Draws.
    prob : float
        Probability of the quantile.
    worth : float
        n.

    Returns
    -------
    float
        In units of the values.
    """
    law = stats.beta(worth * prob + 1, worth * (1 - prob) + 1)
    lower, upper = np.quantile(values, law.ppf(stats.norm.cdf([-1.0, 1.0])))
    return float(upper - lower) / 2


def _order_statistic(values: np.ndarray, probability: float) -> float:
    """Largest of the values that at least a share ``probability`` of them reach or exceed."""
    # 4000 draws at 0.95: the 201st smallest, which a new draw falls below with 201/4001
    below = int(np.floor((1 - probability) * len(values) + 1e-9))
    return float(np.partition(values, below)[below])


def _weights(limit: DoseLimit, frame: pd.DataFrame, patient: str) -> np.ndarray:
    if limit.sites == "mean":
        return np.full(len(frame), 1 / len(frame))
    mass = frame["mass_g"].to_numpy(float) if "mass_g" in frame.columns else np.array([np.nan])
    if np.isnan(mass).any():
        raise PredictionError(
            f"patient {patient!r}: the limit for {limit.tissue!r} is on the mean by mass, which "
            "needs the column mass_g on every row of the tissue; give it, or use sites='mean'"
        )
    return mass / mass.sum()


def _already(limit: DoseLimit, sites: pd.Series, patient: str) -> np.ndarray:
    if not isinstance(limit.already_gy, Mapping):
        return np.full(len(sites) if limit.sites == "worst" else 1, float(limit.already_gy))
    by_site = {str(site): float(gy) for site, gy in limit.already_gy.items()}
    unknown, absent = set(by_site) - set(sites), [s for s in sites if s not in by_site]
    if unknown or absent:
        which = f"names {min(unknown)!r}, which" if unknown else f"leaves out {absent[0]!r}, and it"
        raise PredictionError(
            f"patient {patient!r}: already_gy of the limit for {limit.tissue!r} {which} "
            f"{'is no site of it' if unknown else 'is a site of it (0 Gy if nothing)'}; its sites "
            f"are {', '.join(sites)}"
        )
    return np.array([by_site[site] for site in sites])


def _unmet(
    patient: str,
    limits: tuple[DoseLimit, ...],
    largest: Mapping[str, np.ndarray],
    together: np.ndarray,
    activity_range_gbq: tuple[float, float],
) -> str:
    low, high = activity_range_gbq
    held = [
        f"{limit.text}: holds with {(values >= low).mean():.3f}"
        for limit, values in zip(limits, largest.values(), strict=True)
        if (values >= low).mean() < limit.probability
    ]
    which = "; ".join(held) or (
        f"each holds on its own, but all of them together with {(together >= low).mean():.3f}"
    )
    return (
        f"patient {patient!r}: no activity from {low:g} to {high:g} GBq a cycle keeps the limits. "
        f"At {low:g} GBq, {which}"
    )


def _draws_worth(fitted: Fitted, source: np.ndarray, below: np.ndarray) -> float:
    """Independent draws that the share of draws below a value is worth.

    Weights of the fit, and those that measured rows bring, are repeats of θ in equally weighted
    draws, so that the error of the share is that of a sum over the different θ.
    """
    share, n = below.mean(), len(below)
    if fitted.info["sampler"] != "importance":
        # in the order of the chains again
        ordered = below[np.argsort(source, kind="stable")].reshape(fitted.draws.chains, -1)
        return min(_arviz.mean_ess(ordered.astype(float)), float(n))
    scales = np.column_stack([fitted.draws.residual_sd, fitted.draws.patient_sd])
    _, theta = np.unique(scales, axis=0, return_inverse=True)
    drawn = theta.ravel()[source]
    squares = (np.bincount(drawn, weights=below - share) ** 2).sum()
    # one θ that carries everything says nothing of its own error
    worth = share * (1 - share) * n**2 / squares if squares > 0 else len(np.unique(drawn))
    return min(float(worth), float(n))


def _extrapolates(fitted: Fitted, activity: float) -> bool:
    low, high = fitted.domain.activity_gbq
    return not low <= activity <= high


def _cumulative(
    doses: CycleDoses, mine: np.ndarray, activity: float, chains: int
) -> "xr.DataArray":
    gy = activity * doses.gy_per_gbq[:, mine].sum(2)
    attrs = {
        "units": "Gy",
        "n_cycles": doses.gy_per_gbq.shape[2],
        "activity_gbq": activity,
        "target": "true",
    }
    return data_array(gy, doses.labels.iloc[mine], chains, attrs)


def _notes(
    fitted: Fitted, doses: CycleDoses, patient: str, mine: np.ndarray, activity: float
) -> list[str]:
    notes = []
    if _extrapolates(fitted, activity):
        low, high = fitted.domain.activity_gbq
        notes.append(
            f"{activity:.3g} GBq lies outside the activities of the training table ({low:.3g} to "
            f"{high:.3g} GBq)"
        )
    for i in mine:
        if doses.extrapolation[i]:
            notes.append(f"{doses.labels['site_id'].iloc[i]}: {doses.extrapolation[i]}")
    measured = (doses.measured["patient_id"] == patient).any()
    if measured and fitted.training is None:
        notes.append(
            "the model was saved without its rows: nobody could check that the measured rows were "
            "not in training, where they would count twice"
        )
    if taken_as_exact(fitted, doses, patient):
        notes.append(
            "measured doses are taken as exact, since the model has no dose_cv, and those of the "
            "cycles to come as the same: a measured site is less certain than it seems. Fit with "
            "dose_cv, the column of the measurement's uncertainty"
        )
    return notes + alarms(doses, patient)
