"""The section on the priors: which were stated, which are defaults, and what they mean."""

from math import exp

from scipy import stats

from bayesdose.dose import priors as p
from bayesdose.report.model_page.findings import Findings
from bayesdose.report.page import Column, Paragraph, Section, Table, number, shown
from bayesdose.report.style import words

_NAMES = {
    "intercept": "typical dose (intercept)",
    "slope": "slopes of covariates",
    "patient_sd": "between patients (patient SD)",
    "residual_sd": "between sites of a patient (residual SD)",
    "site_sd": "sites measured again (site SD)",
    "cycle_sd": "between cycles (cycle SD)",
    "patient_corr": "correlation of patient effects",
    "group_sd": "between groups (group SD)",
}


def section(found: Findings) -> Section:
    """The priors in force.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Section
    """
    columns = ("Tissue", "Parameter", "Prior", "Origin", "What it says")
    return Section(
        "priors",
        "Priors",
        (
            Paragraph(
                "What was believed before these data. Standard deviations are on the log scale, "
                "so that they say by which factor doses differ."
            ),
            Table("Priors in force", [Column(text) for text in columns], rows(found)),
        ),
    )


def rows(found: Findings) -> list[tuple[str, str, str, str, str]]:
    """Tissue, parameter, prior, origin and meaning of every prior in force.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    list of tuple of str
    """
    encoding = found.fitted.encoding
    spec = encoding.spec
    out = []
    for k, tissue in enumerate(encoding.tissues):
        used = ["intercept"] if "Intercept" in encoding.columns(k) else []
        used += ["slope"] if set(encoding.columns(k)) - {"Intercept"} else []
        used += ["patient_sd"] if encoding.patient_terms is not None else []
        used += ["residual_sd"]
        used += ["cycle_sd"] if encoding.cycle_effect[k] else []
        used += ["site_sd"] if encoding.site_effect[k] else []
        out += [_row(found, name, tissue, shown(words(tissue))) for name in used]
    if spec.patient_correlation and len(encoding.patient_effects) > 1:
        out.append(_row(found, "patient_corr", "", "all"))
    if spec.group_effects:
        out.append(_row(found, "group_sd", "", "all"))
    return out


def _row(found: Findings, name: str, tissue: str, label: str) -> tuple[str, str, str, str, str]:
    encoding = found.fitted.encoding
    stated = encoding.spec.priors
    prior = stated.resolve(name, tissue, encoding.log_activity)
    origin = "default" if stated.given(name, tissue) is None else "stated"
    unit = "Gy/GBq" if encoding.spec.activity else "Gy"
    return label, _NAMES[name], _text(prior), origin, meaning(name, prior, unit)


def meaning(name: str, prior: p.Prior, unit: str) -> str:
    """A prior in words, as factors on the dose.

    Parameters
    ----------
    name : str
        Field of `Priors`.
    prior : prior
        In force.
    unit : str
        Of the dose that an intercept is the logarithm of.

    Returns
    -------
    str
    """
    if isinstance(prior, p.Flat):
        return "improper: the data alone decide"
    if isinstance(prior, p.RegularizedHorseshoe):
        return f"about {number(prior.expected_nonzero)} of the slopes matter, the others hardly"
    if isinstance(prior, p.R2D2):
        return f"the terms share an R² of {number(prior.mean)} on average"
    if isinstance(prior, p.LKJ):
        return "uniform" if prior.eta == 1 else "weakly towards independence"
    if name in ("intercept", "slope"):
        law = _symmetric(prior)
        low, high = exp(law.ppf(0.025)), exp(law.ppf(0.975))
        ends = f"{number(low, 2)} to {number(high, 2)}"
        if name == "intercept":
            return f"{number(exp(law.median()), 2)} {unit}, 95 % between {ends}"
        return f"one standard deviation of a covariate multiplies the dose by {ends} (95 %)"
    half, most = (_folded(prior, q) for q in (0.5, 0.95))
    if half is None or most is None:
        return "folded at 0"
    return f"differ by a factor of {number(exp(half), 2)} (median), at most {_most(most)} (95 %)"


def _symmetric(prior: p.Prior) -> "stats.rv_frozen":
    if isinstance(prior, p.StudentT):
        return stats.t(prior.df, prior.mu, prior.sigma)
    assert isinstance(prior, p.Normal)
    return stats.norm(prior.mu, prior.sigma)


def _folded(prior: p.Prior, share: float) -> float | None:
    """Quantile of a standard deviation; None for a Student-t that is not centred at 0."""
    if isinstance(prior, p.HalfNormal):
        return float(stats.halfnorm(scale=prior.sigma).ppf(share))
    if isinstance(prior, p.Exponential):
        return float(stats.expon(scale=1 / prior.rate).ppf(share))
    if isinstance(prior, p.StudentT) and prior.mu == 0:
        return float(stats.t(prior.df, 0, prior.sigma).ppf((1 + share) / 2))
    return None


def _most(sd: float) -> str:
    return number(exp(sd), 2) if sd < 7 else "more than 1000"


def _text(prior: p.Prior) -> str:
    values = ", ".join(f"{value:g}" for value in vars(prior).values())
    return f"{type(prior).__name__}({values})".replace("(-", "(−")
