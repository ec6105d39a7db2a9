"""Finished patients on disk, so that an interrupted table goes on where it stopped."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayesdose
from bayesdose._files import write_text
from bayesdose.measure.table.inputs import Job


@dataclass(frozen=True)
class Measured:
    """What was measured of one patient and cycle, or why it was not.

    Parameters
    ----------
    patient_id : str
        Patient.
    cycle : int
        Cycle.
    rows : list of dict
        Rows of plain values.
    notes : list of str
        Warnings on the way.
    problem : str or None
        Why there are no rows.
    """

    patient_id: str
    cycle: int
    rows: list[dict[str, Any]]
    notes: list[str]
    problem: str | None = None


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values, which a file gives back bit by bit.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows.

    Returns
    -------
    list of dict
        Missing values are None.
    """
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    return value.isoformat() if isinstance(value, datetime | date) else value


def fingerprint(job: Job, work: object) -> str:
    """What the rows of a patient follow from: tables, files, settings and version.

    Parameters
    ----------
    job : Job
        Patient and cycle.
    work : object
        What measures it, a dataclass of settings.

    Returns
    -------
    str
        Changes when any of them does; a file counts as changed by its size or date.
    """
    import joblib

    stamps = {row["path"]: _stamp(Path(row["path"])) for row in job.files}
    said = [
        bayesdose.__version__,
        sorted(stamps.items()),
        [sorted((k, repr(v)) for k, v in row.items()) for row in job.files],
        sorted((k, repr(v)) for k, v in (job.patient or {}).items()),
        job.regions.to_csv(),
        joblib.hash(work),
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _stamp(path: Path) -> list[tuple[str, int, int]]:
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    there = [(one, one.stat()) for one in found if one.is_file()]
    return [(one.name, state.st_size, state.st_mtime_ns) for one, state in there]


def load(folder: Path, job: Job, mark: str) -> Measured | None:
    """Find a patient that was finished before.

    Parameters
    ----------
    folder : Path
        Folder of finished patients.
    job : Job
        Patient and cycle.
    mark : str
        Its fingerprint.

    Returns
    -------
    Measured or None
        None where there is none, one of another fingerprint, or one that cannot be read.
    """
    path = _path(folder, job)
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("fingerprint") != mark:
            return None
        return Measured(**found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None  # cut or changed by another program: it is measured anew


def save(folder: Path, job: Job, mark: str, measured: Measured) -> None:
    """Keep a finished patient.

    Parameters
    ----------
    folder : Path
        Folder of finished patients; it exists.
    job : Job
        Patient and cycle.
    mark : str
        Its fingerprint.
    measured : Measured
        Its rows.
    """
    write_text(json.dumps({"fingerprint": mark, **vars(measured)}), _path(folder, job))


def _path(folder: Path, job: Job) -> Path:
    # any text may be the name of a patient, but not of a file
    name = hashlib.sha256(f"{job.patient_id}\n{job.cycle}".encode()).hexdigest()[:24]
    return folder / f"{name}.json"
