"""The section on what the model does not know."""

from bayesdose.dose.compare import FEW_PATIENTS
from bayesdose.report.model_page.findings import Findings
from bayesdose.report.page import Points, Section, counted

#: Covariates that share the measured volume with the dose.
_OF_VOLUME = ("volume_ml", "mass_g", "total_lesion_uptake", "suv_mean")


def section(found: Findings) -> Section:
    """Limitations of the model, of its data and of its validation.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Section
    """
    encoding, info = found.fitted.encoding, found.fitted.info
    spec = encoding.spec
    said = [
        "Research use. This page is no medical device, and decides nothing about a patient.",
        _few(info["n_patients"]),
        "A prediction holds for patients, scanners, ligands and methods of dosimetry like those of "
        f"the training table. Rows outside its ranges are flagged; {_flagged(found)}",
        "In-sample figures describe the patients that were fitted. Only predictions for patients "
        "left out say what to expect of the next one; in another hospital errors may be larger.",
        _measurement(found),
    ]
    names = " ".join(name for k in range(len(encoding.tissues)) for name in encoding.columns(k))
    used = [name for name in _OF_VOLUME if name in names]
    if used:
        said.append(
            f"{', '.join(used)} and the absorbed dose may come from the same measured volume: an "
            "error in it moves both, and part of the association is then that error."
        )
    if spec.missing == "drop":
        said.append("Rows with missing covariates were left out: those that remain may differ.")
    if not spec.activity:
        said.append("Doses are modelled without the activity: another activity is no input.")
    if len(found.fitted.domain.cycles) == 1:
        said.append(
            "One cycle of therapy was measured: how dose per activity changes over the cycles is "
            "not known to the model."
        )
    said.append("Associations are no causes: changing a covariate need not change the dose.")
    return Section("limitations", "Limitations", [Points(said)])


def _few(n: int) -> str:
    text = f"The model has seen {counted(n, 'patient')}."
    if n >= FEW_PATIENTS:
        return text
    return (
        f"{text} What differs between patients is learnt from so few that the priors matter, and "
        "scores, coverage and their intervals are themselves uncertain."
    )


def _flagged(found: Findings) -> str:
    if found.new is None or found.predictions is None:
        return "no new patient is predicted here."
    n = int((found.predictions["extrapolation"] != "").sum())
    return f"here {n} of {counted(len(found.predictions), 'row')}."


def _measurement(found: Findings) -> str:
    spec = found.fitted.encoding.spec
    if spec.dose_cv is None and spec.dose_cv_shared is None:
        return (
            "The uncertainty of the measured doses was not stated: it is counted as spread between "
            "sites and patients, so that intervals for the true dose are too wide rather than too "
            "narrow; a bias common to all measurements goes unseen."
        )
    return (
        "The stated uncertainty of the measured doses is taken as known; a bias common to all "
        "measurements goes unseen."
    )
