"""At a glance: how much data, whether to believe the computation, how well left-out doses fit."""

from bayesdose.dose.baselines import LEFT_OUT, POPULATION_MEAN
from bayesdose.report.model_page.checks import verdict
from bayesdose.report.model_page.findings import Findings
from bayesdose.report.page import (
    Block,
    Column,
    Facts,
    Notice,
    Section,
    Table,
    counted,
    number,
    percent,
    shown,
)
from bayesdose.report.style import words


def section(found: Findings) -> Section:
    """At a glance.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Section
    """
    info = found.fitted.info
    tissues = ", ".join(shown(words(t)) for t in found.fitted.encoding.tissues)
    facts = [
        ("Patients", str(info["n_patients"])),
        ("Sites (lesions and organs)", str(info["n_sites"])),
        ("Tissues", tissues),
    ]
    blocks: list[Block] = [Facts(facts), verdict(found)]
    if found.scores is None:
        blocks.append(Notice("note", "Not validated here.", found.no_validation))
    else:
        blocks.append(_table(found))
    return Section("at-a-glance", "At a glance", blocks)


def _table(found: Findings) -> Table:
    assert found.scores is not None
    by_site = found.scores[found.scores["weights"] == "site"].set_index(["model", "tissue"])
    rows = []
    for tissue in found.fitted.encoding.tissues:
        if (LEFT_OUT, tissue) not in by_site.index:
            continue
        row = by_site.loc[LEFT_OUT, tissue]
        plain = (POPULATION_MEAN, tissue)
        rows.append(
            (
                shown(words(tissue)),
                f"{row['n_sites']:.0f} ({row['n_patients']:.0f})",
                percent(row["mape"]),
                percent(by_site.loc[plain, "mape"]) if plain in by_site.index else "–",
                number(row["mae_gy"]),
                _covered(row["hdi_coverage_95"], row["n_sites"]),
            )
        )
    columns = (
        Column("Tissue"),
        Column("Sites (patients)", numeric=True),
        Column("Mean relative error", numeric=True),
        Column("of the population mean instead", numeric=True),
        Column("Mean error, Gy", numeric=True),
        Column("Doses inside their 95 % interval", numeric=True),
    )
    n = counted(int(found.fitted.info["n_patients"]), "patient")
    return Table(
        "Each patient predicted from the others only",
        columns,
        rows,
        "Errors are of the predictive median, without their sign; relative ones over the measured "
        f"dose. With {n} these figures are themselves uncertain: see the validation.",
    )


def _covered(share: float, n: float) -> str:
    return "–" if share != share else f"{share * n:.0f} of {n:.0f}"
