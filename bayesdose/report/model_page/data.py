"""The section on the data: sites and patients, what was left out, ranges, places as counts."""

import numpy as np

from bayesdose.dose.training import Training
from bayesdose.report.model_page.findings import Findings
from bayesdose.report.page import (
    Block,
    Column,
    Facts,
    Notice,
    Paragraph,
    Points,
    Section,
    Table,
    between,
    counted,
    number,
    percent,
    shown,
)
from bayesdose.report.style import words

_COUNTED = {
    "centre": "centre",
    "scanner": "scanner",
    "pet_tracer": "PET tracer",
    "therapy_ligand": "therapy ligand",
    "dose_method": "method of dosimetry",
}
_IMPUTED = "imputed_share_"


def section(found: Findings) -> Section:
    """Data and exclusions.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Section
    """
    training, info = found.fitted.training, found.fitted.info
    if training is None:
        size = f"{counted(info['n_sites'], 'site')} of {counted(info['n_patients'], 'patient')}"
        blocks: list[Block] = [
            Paragraph(f"Fitted to {size}."),
            Notice("note", "Rows not at hand.", found.no_validation),
        ]
    else:
        blocks = [_table(training, bool(found.fitted.encoding.spec.activity))]
        if found.fitted.encoding.spec.activity:
            gbq = np.exp(training.rows.log_activity)
            ends = between(gbq.min(), gbq.max())
            middle = number(float(np.median(gbq)))
            blocks.append(Paragraph(f"Administered activity: {ends} GBq, median {middle} GBq."))
    blocks.append(Points(_exclusions(found)))
    facts = _places(found)
    if facts:
        blocks.append(Facts(facts))
    return Section("data", "Data and exclusions", blocks)


def _table(training: Training, per_activity: bool) -> Table:
    rows, unit = [], training.rows
    gy = np.exp(unit.log_dose)
    for k, tissue in enumerate(training.encoding.tissues):
        mine = unit.tissue == k
        cells = [
            shown(words(tissue)),
            str(int(mine.sum())),
            str(len(np.unique(unit.patient[mine]))),
            number(float(np.median(gy[mine]))),
            between(gy[mine].min(), gy[mine].max()),
        ]
        if per_activity:
            cells.append(number(float(np.median(np.exp(unit.y[mine])))))
        rows.append(cells)
    columns = [
        Column("Tissue"),
        Column("Sites", numeric=True),
        Column("Patients", numeric=True),
        Column("Median dose, Gy", numeric=True),
        Column("Lowest to highest, Gy", numeric=True),
    ]
    if per_activity:
        columns.append(Column("Median, Gy/GBq", numeric=True))
    return Table("Measured absorbed doses that the model was fitted to", columns, rows)


def _exclusions(found: Findings) -> list[str]:
    spec, info, training = found.fitted.encoding.spec, found.fitted.info, found.fitted.training
    if spec.missing == "error":
        said = ["No row was left out: a missing covariate would have been an error."]
    elif spec.missing == "drop" and training is None:
        said = ["Rows with missing covariates were left out; how many is not in the file."]
    elif spec.missing == "drop":
        assert training is not None
        said = [
            f"{counted(n, 'row')} left out because {shown(name)} was missing."
            for name, n in training.dropped.items()
        ] or ["No row was left out: no covariate was missing."]
    else:
        said = [
            f"{shown(name.removeprefix(_IMPUTED))}: {percent(float(share), 1)} of the values were "
            "missing and imputed."
            for name, share in info.items()
            if name.startswith(_IMPUTED)
        ] or ["Covariates would have been imputed; none was missing."]
    cycles = found.fitted.domain.cycles
    which = ", ".join(map(str, cycles))
    said.append(f"Therapy {'cycle' if len(cycles) == 1 else 'cycles'}: {which}.")
    for column, what in ((spec.dose_cv, "of each site"), (spec.dose_cv_shared, "of each patient")):
        known = f"stated in the column {shown(column)}" if column else "not stated"
        said.append(f"Uncertainty of the measured dose, the part {what}: {known}.")
    return said


def _places(found: Findings) -> list[tuple[str, str]]:
    facts = []
    for name, word in _COUNTED.items():
        values = found.fitted.domain.seen.get(name, [])
        if values:
            plural = word.replace("method", "methods") if "method" in word else f"{word}s"
            facts.append((f"{plural[0].upper()}{plural[1:]}", str(len(values))))
    return facts
