"""The section on the model, in words and as formulas."""

from bayesdose.dose.design import Encoding
from bayesdose.report.model_page.findings import Findings
from bayesdose.report.page import Formula, Paragraph, Points, Section, sentence, shown
from bayesdose.report.style import words

#: Covariates of a tissue that a formula lists.
MAX_TERMS = 40


def section(found: Findings) -> Section:
    """The model in words and as formulas.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Section
    """
    encoding = found.fitted.encoding
    lines = [
        _line(encoding, k, [found.names.text(name) for name in encoding.columns(k)])
        for k in range(len(encoding.tissues))
    ]
    return Section(
        "model",
        "The model",
        (
            Points(_in_words(encoding)),
            Formula([*lines, *_laws(encoding)]),
            Paragraph(_symbols(encoding)),
        ),
    )


def _in_words(encoding: Encoding) -> list[str]:
    spec = encoding.spec
    what = "absorbed dose per administered activity" if spec.activity else "absorbed dose"
    said = [
        f"In each tissue, the logarithm of the {what} follows a straight line in the covariates. "
        "Effects therefore multiply the dose.",
    ]
    if encoding.patient_terms is not None:
        alike = (
            "; a patient who gets more than expected in one tissue may do so in others"
            if spec.patient_correlation and len(encoding.patient_effects) > 1
            else ""
        )
        said.append(
            "Patients differ: all sites of one tissue in a patient share that patient's effect"
            f"{alike}."
        )
    said.append("What is left differs from site to site, by a spread that each tissue has.")
    if any(encoding.cycle_effect):
        said.append("Cycles of a patient differ; a site keeps its own effect over the cycles.")
    if spec.group_effects:
        groups = ", ".join(shown(words(name)) for name in spec.group_effects)
        said.append(f"Groups have effects of their own: {groups}.")
    if spec.dose_cv or spec.dose_cv_shared:
        said.append("The stated uncertainty of the measured doses is taken into account.")
    if spec.likelihood != "lognormal":
        law = {"student_t": "Student's t", "gamma": "a gamma law"}[spec.likelihood]
        said.append(f"Sites scatter by {law} in place of the normal law of the logarithm.")
    if spec.censored:
        said.append("Doses marked as censored are known to lie below their value only.")
    if spec.standardise:
        said.append(
            "Covariates are centred and scaled with the training rows of their tissue, so that a "
            "coefficient is the effect of one standard deviation."
        )
    return said


def _line(encoding: Encoding, tissue: int, columns: list[str]) -> str:
    spec, terms, place = encoding.spec, [], 0
    for column in columns[:MAX_TERMS]:
        if column == "Intercept":
            terms.append("β_{0}")
        else:
            place += 1
            terms.append(f"β_{{{place}}} · {column}")
    if len(columns) > MAX_TERMS:
        terms.append(f"… ({len(columns) - MAX_TERMS} more)")
    if encoding.patient_terms is not None:
        terms += [
            "u_{i}" if name == "Intercept" else f"u_{{i}}^{shown(name)} · {shown(name)}"
            for name in encoding.patient_terms.columns
        ]
    terms += [f"g_{{{shown(name)}}}" for name in spec.group_effects]
    if encoding.cycle_effect[tissue]:
        terms.append("w_{ic}")
    if encoding.site_effect[tissue]:
        terms.append("v_{ij}")
    left = "log(D_{ij} / A_{i})" if spec.activity else "log D_{ij}"
    if spec.likelihood == "gamma":
        left = f"log of the mean of {left.removeprefix('log').strip(' ()')}"
    else:
        terms.append("e_{ij}")
    return sentence(f"{shown(words(encoding.tissues[tissue]))}:  {left} = {' + '.join(terms)}")


def _laws(encoding: Encoding) -> list[str]:
    laws = []
    if encoding.patient_terms is not None:
        laws.append("u_{i} ~ Normal(0, Σ),  Σ from patient SDs and their correlations")
    if any(encoding.cycle_effect):
        laws.append("w_{ic} ~ Normal(0, ω²)")
    if any(encoding.site_effect):
        laws.append("v_{ij} ~ Normal(0, κ²)")
    likelihood = encoding.spec.likelihood
    if likelihood != "gamma":
        law = "Normal(0, σ²)" if likelihood == "lognormal" else "Student-t(ν, 0, σ)"
        laws.append(f"e_{{ij}} ~ {law},  σ of each tissue")
    return laws


def _symbols(encoding: Encoding) -> str:
    activity = "A the activity in GBq, " if encoding.spec.activity else ""
    cycles = " and c over cycles" if any(encoding.cycle_effect) else ""
    return (
        f"D is the true absorbed dose in Gy, {activity}i runs over patients, j over sites{cycles}. "
        "Every tissue has its own β, u and σ."
    )
