"""What was not known about a patient, and what is wrong with measured doses, in sentences."""

from collections.abc import Sequence

from bayesdose._arviz import PARETO_K_LIMIT
from bayesdose.planning.activity import taken_as_exact
from bayesdose.planning.limits import LIMITS, DoseLimit
from bayesdose.report.page import between, counted, number, percent, shown
from bayesdose.report.sheet.findings import Findings
from bayesdose.report.sheet.holding import received
from bayesdose.report.sheet.rows import site_name
from bayesdose.report.sheet.words import plain
from bayesdose.report.style import words

#: Sites named in one sentence.
_MOST = 3


def notes_of(found: Findings) -> list[str]:
    """Everything that the numbers of a sheet rest on without its being known.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    list of str
    """
    return [
        _limits(found),
        _measured(found),
        *_activities(found),
        *_outside(found),
        _patients(found),
        _measurement_error(found),
        _cycles(found),
        *_kinetics(found),
        *_received(found),
    ]


def alarms_of(found: Findings) -> list[tuple[str, str]]:
    """What is wrong with the measured doses, which are used all the same.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    list of tuple of str
        A word or few, and a sentence.
    """
    return [*_implausible(found), *_refit(found), *_exact(found)]


def _implausible(found: Findings) -> list[tuple[str, str]]:
    if found.update is None or not found.update["implausible"].any():
        return []
    odd = found.update[found.update["implausible"]]
    said = [
        f"{_site(found, row.site_id, row.tissue)} {number(row.measured_gy)} Gy "
        f"({'below' if row.percentile < 0.5 else 'above'} all but "
        f"{percent(min(row.percentile, 1 - row.percentile), 2)} of its prediction)"
        for row in odd.itertuples()
    ]
    text = f"{_some(said, 'sites')}. Check units and regions; they are used as they are."
    return [("Measured, but implausible:", text)]


def _limits(found: Findings) -> str:
    said = [f"{shown(words(limit.tissue))}: {source_of(limit)}" for limit in found.limits]
    which = "; ".join(dict.fromkeys(said))
    return f"Limits are stated by the user, and none is validated for 177Lu-PSMA. {which}."


def source_of(limit: DoseLimit) -> str:
    """Where the literature names the figure of a limit.

    Parameters
    ----------
    limit : DoseLimit

    Returns
    -------
    str
    """
    for name, known in LIMITS.items():
        figures = (known.tissue, known.gy, known.bed_gy)
        radiobiology = (known.alpha_beta_gy, known.repair_half_time_h)
        if figures != (limit.tissue, limit.gy, limit.bed_gy):
            continue
        if known.bed_gy is None or radiobiology == (
            limit.alpha_beta_gy,
            limit.repair_half_time_h,
        ):
            read = "read in its source" if known.verified else "not read in its source"
            return f"the figure of {name}, {known.source}, {read}; {known.note}"
    unit = "Gy" if limit.bed_gy is None else "Gy BED"
    return f"{plain(limit.value_gy)} {unit}, for which no source is on record here"


def _measured(found: Findings) -> str:
    table = found.table
    known = set(found.doses.measured["site_id"])
    if found.kind == "known_patient" and not known:
        return "The patient's doses in the training table are used; nothing was measured since."
    if not known:
        return (
            "No dose of this patient was measured: every site is predicted from covariates before "
            "therapy, as for a new patient."
        )
    absent = table[~table["site_id"].isin(known)]
    n = len(table) - len(absent)
    text = f"{n} of {counted(len(table), 'site')} had a measured dose"
    if not len(absent):
        return f"{text}."
    names = [_site(found, row.site_id, row.tissue) for row in absent.itertuples()]
    return f"{text}; not measured: {_some(names, 'sites')}."


def _activities(found: Findings) -> list[str]:
    low, high = found.fitted.domain.activity_gbq
    activities = [found.prescribed_gbq]
    if found.plan is not None:
        activities.append(found.plan.activity_gbq)
    outside = [f"{number(a)} GBq" for a in activities if not low <= a <= high]
    if not outside:
        return []
    return [
        f"{' and '.join(outside)} a cycle lies outside the activities of the training table "
        f"({between(low, high)} GBq): dose is taken as proportional to activity beyond them too."
    ]


def _outside(found: Findings) -> list[str]:
    said = [
        f"{_site(found, row.site_id, row.tissue)} ({shown(found.names.text(reason), 80)})"
        for row, reason in zip(found.table.itertuples(), found.doses.extrapolation, strict=True)
        if reason
    ]
    if not said:
        return []
    return [f"Unlike the training table, and so predicted with less right: {_some(said, 'sites')}."]


def unreliable(found: Findings) -> bool:
    """Whether the measured doses leave numbers that must not be used as they are.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    bool
    """
    return refit_needed(found) or taken_as_exact(found.fitted, found.doses, found.patient)


def refit_needed(found: Findings) -> bool:
    """Whether the measured doses move the posterior too far for its draws to be reweighted.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    bool
    """
    return bool(found.doses.pareto_k[found.patient] > PARETO_K_LIMIT)


def _refit(found: Findings) -> list[tuple[str, str]]:
    if not refit_needed(found):
        return []
    pareto_k = found.doses.pareto_k[found.patient]
    return [
        (
            "Not reliable.",
            f"The measured doses move the posterior far (Pareto k {pareto_k:.2f}): fit the model "
            "again with them in the training table before these numbers are used.",
        )
    ]


def _exact(found: Findings) -> list[tuple[str, str]]:
    if not taken_as_exact(found.fitted, found.doses, found.patient):
        return []
    return [
        (
            "Not reliable.",
            "Measured doses are taken as exact and as the same in every cycle, because the model "
            "was fitted without their uncertainty (dose_cv): fit it with that column before "
            "intervals and probabilities of measured tissues are used.",
        )
    ]


def _patients(found: Findings) -> str:
    info = found.fitted.info
    text = (
        f"The model has seen {counted(info['n_sites'], 'site')} of "
        f"{counted(info['n_patients'], 'patient')}"
    )
    imputed = found.fitted.encoding.spec.missing == "impute"
    gaps = "; missing covariates, where there are any, are imputed" if imputed else ""
    return f"{text}: it holds for patients, scanners and dosimetry like theirs{gaps}."


def _measurement_error(found: Findings) -> str:
    spec = found.fitted.encoding.spec
    if spec.dose_cv is None and spec.dose_cv_shared is None:
        text = "The uncertainty of the measured doses was not stated to the model"
        if found.update is not None:
            return f"{text}: measured sites are taken as exact, and are less certain than shown."
        return f"{text}: it is counted as spread between sites and patients."
    return (
        "The uncertainty of the measured doses was stated and is taken as known; an error common "
        "to all measurements of the clinic goes unseen."
    )


def _cycles(found: Findings) -> str:
    if found.between_cycle == "fitted":
        return (
            "How dose per GBq differs between cycles is learnt from the training table; covariates "
            "are taken as those of the table in every cycle."
        )
    return (
        "Dose per GBq is taken as the same in every cycle: shrinking tumours, changing kidneys and "
        "chance from cycle to cycle are not in it."
    )


def _kinetics(found: Findings) -> list[str]:
    said = [
        f"{shown(words(limit.tissue))}: effective half-life {plain(limit.effective_half_life_h)} "
        f"h, alpha/beta {plain(limit.alpha_beta_gy)} Gy, repair half-time "
        f"{plain(limit.repair_half_time_h)} h"
        for limit in found.limits
        if limit.bed_gy is not None
        and limit.effective_half_life_h is not None
        and limit.alpha_beta_gy is not None
        and limit.repair_half_time_h is not None
    ]
    if not said:
        return ["Limits are in Gy: neither dose rate nor the split into cycles is weighed."]
    return [
        f"BED rests on kinetics stated by the user, taken as exact ({'; '.join(said)}); full "
        "repair between cycles."
    ]


def _received(found: Findings) -> list[str]:
    """What was counted as received; that a measured cycle counts too is easily forgotten."""
    said = [
        f"{shown(words(limit.tissue))} up to {number(received(limit))} "
        f"{'Gy' if limit.bed_gy is None else 'Gy BED'}"
        for limit in found.limits
        if received(limit)
    ]
    text = [f"Received before, as stated by the user: {', '.join(said)}."] if said else []
    none = [shown(words(limit.tissue)) for limit in found.limits if not received(limit)]
    if none and (found.update is not None or found.kind == "known_patient"):
        text.append(
            f"Nothing is counted as received before towards the limit for "
            f"{', '.join(dict.fromkeys(none))}: the measured cycle is not taken off unless "
            "already_gy states it."
        )
    return text


def _site(found: Findings, site: object, tissue: object) -> str:
    return site_name(found, str(site), str(tissue))


def _some(said: Sequence[str], many: str) -> str:
    """The first of them, and how many more there are."""
    more = len(said) - _MOST
    listed = list(said[:_MOST])
    return ", ".join(listed) + (f" and {more} more {many}" if more > 0 else "")
