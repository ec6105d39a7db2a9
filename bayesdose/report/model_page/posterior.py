"""The section on what was learnt: parameters in a table, prior beside posterior in pictures."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate import hdi
from bayesdose.report import chains
from bayesdose.report.model_page.findings import HDI_PROB, Findings
from bayesdose.report.page import (
    Block,
    Column,
    Paragraph,
    Picture,
    Section,
    Table,
    between,
    counted,
    number,
    png,
    shown,
)
from bayesdose.report.patient_effects import patient_effects_data, plot_patient_effects
from bayesdose.report.prior_posterior import _parameters, plot_prior_posterior
from bayesdose.report.style import words

if TYPE_CHECKING:
    import xarray as xr

#: Patients, and parameters, of a picture that can still be read.
MAX_DRAWN_PATIENTS = 60
MAX_DRAWN_PARAMETERS = 48


def section(found: Findings) -> Section:
    """Parameters and pictures.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Section
    """
    table = parameters(found)
    blocks: list[Block] = [
        Paragraph(
            "Medians and 95 % intervals (highest density) of what was learnt. As a factor: what a "
            "coefficient, or one standard deviation between patients or sites, multiplies the "
            "dose by."
        ),
        _table(table),
    ]
    others = _others(found)
    if others is not None:
        blocks.append(others)
    blocks += [_prior_posterior(found, table), *_patient_effects(found), *_chains(found)]
    return Section("posterior", "What was learnt", blocks)


def parameters(found: Findings) -> pd.DataFrame:
    """Every coefficient and standard deviation.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    pandas.DataFrame
        tissue, parameter, unit, median, lower, upper (log scale), factor, factor_lower,
        factor_upper (exp of these; of an intercept the dose in Gy/GBq or Gy).
    """
    rows = []
    for one in _parameters(found.fitted):
        draws = getattr(found.fitted.draws, one.container)[:, one.place]
        if np.ptp(draws) == 0:
            continue
        lower, upper = (float(end[0]) for end in hdi(draws[:, None], HDI_PROB))
        middle = float(np.median(draws))
        rows.append(
            {
                "tissue": one.tissue,
                "parameter": found.names.text(one.label),
                "unit": one.unit,
                "median": middle,
                "lower": lower,
                "upper": upper,
                "factor": np.exp(middle),
                "factor_lower": np.exp(lower),
                "factor_upper": np.exp(upper),
            }
        )
    return pd.DataFrame(rows)


def _table(table: pd.DataFrame) -> Table:
    heads = (
        Column("Tissue"),
        Column("Parameter"),
        Column("Median", numeric=True),
        Column("95 % interval", numeric=True),
        Column("Unit"),
        Column("As a factor", numeric=True),
        Column("95 % interval of it", numeric=True),
    )
    rows = [
        (
            shown(words(row.tissue)),
            shown(row.parameter),
            number(row.median),
            between(row.lower, row.upper),
            row.unit,
            f"{number(row.factor)}{_unit(row)}",
            between(row.factor_lower, row.factor_upper),
        )
        for row in table.itertuples()
    ]
    return Table("Coefficients and standard deviations", heads, rows)


def _unit(row: Any) -> str:
    if row.parameter != "intercept":
        return ""
    return f" {row.unit.removeprefix('log(').removesuffix(')')}"


def _others(found: Findings) -> Table | None:
    """Correlations and group effects, which the first table does not hold."""
    summary = found.model.summary(hdi_prob=HDI_PROB)
    first = ("patient_corr", "group_sd", "effect_", "residual_df")
    rows = [
        (found.names.text(name), number(row["median"]), between(row["lower"], row["upper"]))
        for name, row in summary.iterrows()
        if str(name).startswith(first)
    ]
    if not rows:
        return None
    heads = (Column("Parameter"), Column("Median", True), Column("95 % interval", True))
    return Table("Correlations and further parameters", heads, rows)


def _prior_posterior(found: Findings, table: pd.DataFrame) -> Picture | Paragraph:
    encoding = found.fitted.encoding
    columns = [name for k in range(len(encoding.tissues)) for name in encoding.columns(k)]
    if len(table) > MAX_DRAWN_PARAMETERS:
        return Paragraph(
            f"Prior and posterior are not drawn: {len(table)} parameters would not be legible."
        )
    if any(found.names.text(name) != name for name in columns):
        return Paragraph(
            "Prior and posterior are not drawn: the picture would name centres or scanners."
        )
    alt = "; ".join(
        f"{words(row.tissue)} {row.parameter} {number(row.median)} "
        f"({between(row.lower, row.upper)})"
        for row in table.itertuples()
    )
    return png(
        plot_prior_posterior(found.model),
        alt=f"Densities of the priors (dashed) and posteriors (filled). Posterior medians and 95 % "
        f"intervals: {alt}.",
        caption="Dashed: what was believed before the data. Filled: after. Where both look alike, "
        "the data said nothing about that parameter.",
    )


def _patient_effects(found: Findings) -> list[Picture | Paragraph]:
    fitted = found.fitted
    if not fitted.encoding.patient_effects or fitted.training is None:
        return []
    n = len(fitted.training.rows.patients)
    if n > MAX_DRAWN_PATIENTS:
        return [Paragraph(f"Patient effects are not drawn: {n} patients would not be legible.")]
    named = _renamed(found)
    try:
        data = patient_effects_data(named)
    except BayesdoseError:
        return [Paragraph("Patient effects are not drawn: they were not kept with the draws.")]
    ends = []
    for effect, mine in data.groupby("effect", sort=False):
        low, high = mine.loc[mine["median"].idxmin()], mine.loc[mine["median"].idxmax()]
        ends.append(
            f"{found.names.text(effect)}: from {number(low['median'])} ({low['patient_id']}) to "
            f"{number(high['median'])} ({high['patient_id']})"
        )
    return [
        png(
            plot_patient_effects(named),
            alt=f"Factors on the dose of {counted(n, 'patient')}, with intervals. Medians, "
            f"{'; '.join(ends)}.",
            caption="Factor by which each patient's doses differ from what the covariates say.",
        )
    ]


def _renamed(found: Findings) -> Any:
    """What the picture reads of a model, its patients called as the report calls them."""
    if found.names.identifiers:
        return found.model
    posterior: xr.Dataset = found.model.posterior_["posterior"].to_dataset()
    if "patient" in posterior.coords:
        named = [found.names.trained.patient(label) for label in posterior["patient"].values]
        posterior = posterior.assign_coords(patient=named)
    return SimpleNamespace(posterior_={"posterior": SimpleNamespace(to_dataset=lambda: posterior)})


def _chains(found: Findings) -> list[Picture | Paragraph]:
    info = found.fitted.info
    if info["sampler"] == "importance":
        return [
            Paragraph(
                "There are no plots of chains: the draws are independent importance draws, judged "
                f"by their weights (Pareto k {number(info['pareto_k'])}, effective size "
                f"{number(info['weight_ess'])})."
            )
        ]
    names = list(found.model.summary().index)
    if len(names) > MAX_DRAWN_PARAMETERS or any(found.names.text(n) != n for n in names):
        return [Paragraph("Chains are not drawn: too many parameters, or names of centres.")]
    checked = found.diagnosis.table
    worst = checked.loc[checked["check"] == "R-hat", "value"].max()
    return [
        png(
            chains.plot_rank(found.model),
            alt=f"Ranks of each chain's draws among all, for {counted(len(names), 'parameter')}. "
            f"Largest R-hat {number(worst, 4)}.",
            caption="Ranks of each chain's draws among all: even bars mean that the chains agree.",
        )
    ]
