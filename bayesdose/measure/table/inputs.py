"""The three tables that a site table is built from: checked, and cut to patients and cycles."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bayesdose.cohort import read_sites
from bayesdose.errors import MeasureError
from bayesdose.measure.table.cells import is_empty, text

ROLES = ("pet", "spect", "ct", "regions", "dose")
FILE_COLUMNS = (
    "patient_id",
    "cycle",
    "role",
    "path",
    "units",
    "datetime",
    "time_h",
    "decay_corrected_to",
    "calibration_bq_per_cps",
    "regions_for",
)
#: Columns of regions that are not carried into the site table.
REGION_KEYS = ("patient_id", "cycle", "label", "site_id", "tissue", "lesion_type", "organ")


@dataclass(frozen=True)
class Job:
    """What there is of one patient and cycle.

    Parameters
    ----------
    patient_id : str
        Patient.
    cycle : int
        Cycle.
    files : tuple of dict
        Rows of the table of files; ``path`` is absolute.
    patient : dict or None
        Row of the table of patients.
    regions : pandas.DataFrame
        Rows of the table of regions that may be the patient's.
    own_regions : bool
        Whether those rows name the patient, so that each must be there.
    """

    patient_id: str
    cycle: int
    files: tuple[dict[str, Any], ...]
    patient: dict[str, Any] | None
    regions: pd.DataFrame
    own_regions: bool

    def of_role(self, role: str) -> list[dict[str, Any]]:
        """Rows of files with a role.

        Parameters
        ----------
        role : str
            One of `ROLES`.

        Returns
        -------
        list of dict
        """
        return [row for row in self.files if row["role"] == role]


def make_jobs(
    files: pd.DataFrame | str | Path,
    patients: pd.DataFrame | str | Path,
    regions: pd.DataFrame | str | Path,
) -> list[Job]:
    """Check the tables and cut them to patients and cycles.

    Parameters
    ----------
    files, patients, regions : DataFrame, str or Path
        Tables, or files of them; paths in a file of files are relative to its folder.

    Returns
    -------
    list of Job
        In the order of the table of files, then patients without files.

    Raises
    ------
    MeasureError
        When a table lacks a column, has an unknown role or a key twice.
    """
    folder = Path() if isinstance(files, pd.DataFrame) else Path(files).parent
    file_rows = _files(_table(files, "files"), folder.absolute())
    patient_rows = _patients(_table(patients, "patients"))
    region_rows = _regions(_table(regions, "regions"))
    by_key: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in file_rows:
        by_key.setdefault((row["patient_id"], row["cycle"]), []).append(row)
    jobs = []
    for key in [*by_key, *(key for key in patient_rows if key not in by_key)]:
        mine, own = _regions_of(region_rows, *key)
        jobs.append(Job(*key, tuple(by_key.get(key, ())), patient_rows.get(key), mine, own))
    return jobs


def _table(given: pd.DataFrame | str | Path, name: str) -> pd.DataFrame:
    if isinstance(given, pd.DataFrame):
        return given.reset_index(drop=True)
    if not isinstance(given, str | Path):
        raise MeasureError(
            f"{name}: got {type(given).__name__}; give a DataFrame or the path of a table"
        )
    return read_sites(given)


def _need(table: pd.DataFrame, name: str, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise MeasureError(
            f"the table of {name} lacks {', '.join(missing)}; it has {list(table.columns)}"
        )
    if table.empty:
        raise MeasureError(f"the table of {name} has no rows")


def _files(table: pd.DataFrame, folder: Path) -> list[dict[str, Any]]:
    _need(table, "files", ("patient_id", "role", "path"))
    unknown = [column for column in table.columns if column not in FILE_COLUMNS]
    if unknown:
        raise MeasureError(
            f"the table of files has {', '.join(map(str, unknown))}; allowed are "
            f"{', '.join(FILE_COLUMNS)}"
        )
    rows = []
    for number, row in enumerate(table.to_dict("records"), start=1):
        where = f"row {number} of the table of files"
        key = _key(row, where)
        role = text(row, "role")
        if role not in ROLES:
            raise MeasureError(f"{where}: role {role!r}; allowed are {', '.join(ROLES)}")
        path = text(row, "path")
        if path is None:
            raise MeasureError(f"{where} has no path")
        cells = {str(k): v for k, v in row.items() if not is_empty(v)}
        rows.append({**cells, **key, "role": role, "path": str(folder / path)})
    return rows


def _patients(table: pd.DataFrame) -> dict[tuple[str, int], dict[str, Any]]:
    _need(table, "patients", ("patient_id",))
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for number, row in enumerate(table.to_dict("records"), start=1):
        key = _key(row, f"row {number} of the table of patients")
        pair = (key["patient_id"], key["cycle"])
        if pair in rows:
            raise MeasureError(
                f"row {number} of the table of patients: patient {pair[0]}, cycle {pair[1]} is "
                "there twice"
            )
        cells = {str(k): v for k, v in row.items() if not is_empty(v)}
        rows[pair] = {**cells, **key}
    return rows


def _regions(table: pd.DataFrame) -> pd.DataFrame:
    _need(table, "regions", ("label", "site_id", "tissue"))
    keys = [name for name in ("patient_id", "cycle") if name in table.columns]
    for number, row in enumerate(table.to_dict("records"), start=1):
        for name in ("label", "site_id", "tissue"):
            if is_empty(row[name]):
                raise MeasureError(f"row {number} of the table of regions has no {name}")
    out = table.assign(
        site_id=table["site_id"].map(lambda cell: str(cell).strip()),
        tissue=table["tissue"].map(lambda cell: str(cell).strip()),
        label=table["label"].map(_label),
        **{"patient_id": table["patient_id"].map(_name)} if "patient_id" in keys else {},
    )
    for name in ("label", "site_id"):
        twice = out.duplicated([*keys, name])
        if twice.any():
            row = out[twice].iloc[0]
            whose = "".join(f" of {key} {row[key]}" for key in keys)
            raise MeasureError(f"the table of regions has {name} {row[name]!r}{whose} twice")
    return out


def _regions_of(regions: pd.DataFrame, patient_id: str, cycle: int) -> tuple[pd.DataFrame, bool]:
    mine, own = regions, False
    if "patient_id" in regions.columns:
        mine, own = mine[mine["patient_id"] == patient_id], True
    if "cycle" in regions.columns:
        mine, own = mine[mine["cycle"] == cycle], True
    return mine.reset_index(drop=True), own


def _key(row: dict[Any, Any], where: str) -> dict[str, Any]:
    if is_empty(row.get("patient_id")):
        raise MeasureError(f"{where} has no patient_id")
    cycle = row.get("cycle", 1)
    if is_empty(cycle):
        raise MeasureError(f"{where} has no cycle; leave the column out where all are cycle 1")
    try:
        whole = int(cycle)
    except (TypeError, ValueError) as err:
        raise MeasureError(f"{where}: cycle is {cycle!r}; whole numbers from 1") from err
    if whole != float(cycle) or whole < 1:
        raise MeasureError(f"{where}: cycle is {cycle!r}; whole numbers from 1")
    return {"patient_id": _name(row["patient_id"]), "cycle": whole}


def _name(cell: Any) -> str:
    # a whole number that pandas made a float keeps the name that the other tables have
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _label(cell: Any) -> int | str:
    name = _name(cell)
    return int(name) if name.isdigit() else name
