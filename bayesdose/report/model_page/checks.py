"""The verdict on the computation, and the section with its checks."""

from typing import Literal

from bayesdose.report.model_page.findings import Findings
from bayesdose.report.page import Block, Column, Notice, Paragraph, Section, Table, number

_LEVELS: dict[str, Literal["good", "caution", "stop"]] = {
    "trust": "good",
    "caution": "caution",
    "do not trust": "stop",
}
_WORDS = {"trust": "Passed.", "caution": "Caution.", "do not trust": "Do not use."}
_SENTENCES = {
    "trust": "The computation can be trusted, and no check of the model objects.",
    "caution": "The computation can be trusted, but some checks of the model object: read which "
    "under “Can the computation be trusted?” before using it.",
    "do not trust": "These draws cannot be trusted: read why under “Can the computation be "
    "trusted?”.",
}


def verdict(found: Findings) -> Notice:
    """The verdict in one box.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Notice
    """
    said = found.diagnosis.verdict
    return Notice(_LEVELS[said], _WORDS[said], _SENTENCES[said])


def section(found: Findings) -> Section:
    """The checks of `DoseModel.diagnose`.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Section
    """
    table, text = found.diagnosis.table, found.names.text
    failed = [
        (text(row.check), text(row.what), number(row.value), text(row.limit), text(row.advice))
        for row in table[~table["ok"]].itertuples()
    ]
    counts = [
        (text(check), f"{int(group['ok'].sum())} of {len(group)}")
        for check, group in table.groupby("check", sort=False)
    ]
    blocks: list[Block] = [verdict(found)]
    columns = ("Check", "Of", "Value", "Should be", "What to do")
    if failed:
        heads = [Column(name, numeric=name == "Value") for name in columns]
        blocks.append(Table("Outside its limit", heads, failed))
    heads = [Column("Check"), Column("Within limits", numeric=True)]
    blocks.append(Table("All checks of the fit", heads, counts))
    if found.fitted.training is None:
        blocks.append(
            Paragraph(
                "Checks that need the training rows (power-scaling, posterior predictive) were not "
                "made: the model was saved without them."
            )
        )
    return Section("diagnostics", "Can the computation be trusted?", blocks)
