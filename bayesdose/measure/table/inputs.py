"""The three tables that a site table is built from: checked, and cut to patients and cycles."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
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
PATIENT_COLUMNS = (
    "patient_id",
    "cycle",
    "weight_kg",
    "height_cm",
    "pet_tracer",
    "pet_activity_mbq",
    "pet_injection_datetime",
    "therapy_ligand",
    "administered_activity_gbq",
    "therapy_datetime",
    "creatinine",
    "creatinine_unit",
    "age_y",
    "female",
)
REGION_COLUMNS = (
    "patient_id",
    "cycle",
    "label",
    "site_id",
    "tissue",
    "lesion_type",
    "organ",
    "density_g_ml",
)
#: What is measured here, and may not come in from elsewhere under the same name.
MADE = (
    "absorbed_dose_*",
    "d90_gy",
    "mass_g",
    "dose_volume_ml",
    "tia_mbq_h",
    "effective_half_life_h",
    "dose_method",
    "dose_curve",
    "suv_*",
    "volume_ml",
    "total_lesion_uptake",
    "n_voxels",
    "tumour_to_*",
    "psma_tv_ml",
    "psma_tl_g",
    "pet_uptake_min",
    "ct_hu_mean",
    "glcm_*",
    "ibsi_*",
    "time_h",
    "activity_mbq",
    "activity_cv",
    "activity_cv_shared",
    "recovery",
    "roi_name",
)
#: Names of columns that say who somebody is.
IDENTIFYING = ("name", "patient_name", "mrn", "dob", "date_of_birth", "birth_date", "ssn")
#: Columns of regions that are not carried into the site table.
REGION_KEYS = ("patient_id", "cycle", "label", "site_id", "tissue", "lesion_type", "organ")
TUMOUR = "tumour"
#: Organs whose uptake lesions are compared with.
ORGANS = ("parotid", "submandibular", "lacrimal", "liver", "spleen", "kidney", "blood_pool")


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
    _check_regions_of_nobody(region_rows, [*by_key, *patient_rows])
    jobs = []
    for key in [*by_key, *(key for key in patient_rows if key not in by_key)]:
        mine, own = _regions_of(region_rows, *key)
        jobs.append(Job(*key, tuple(by_key.get(key, ())), patient_rows.get(key), mine, own))
    return jobs


@dataclass(frozen=True)
class _Given:
    """A table with the words that messages find its rows by."""

    table: pd.DataFrame
    source: str
    first_row: int

    def rows(self) -> Iterator[tuple[str, dict[Any, Any]]]:
        """Rows, each with its place."""
        for number, row in enumerate(self.table.to_dict("records"), start=self.first_row):
            yield f"row {number} of {self.source}", row

    def need(self, *columns: str) -> None:
        """Refuse a table without these columns, or without rows."""
        missing = [column for column in columns if column not in self.table.columns]
        if missing:
            raise MeasureError(
                f"{self.source} lacks {', '.join(missing)}; it has {list(self.table.columns)}"
            )
        if self.table.empty:
            raise MeasureError(f"{self.source} has no rows")


def _table(given: pd.DataFrame | str | Path, name: str) -> _Given:
    if isinstance(given, pd.DataFrame):
        return _Given(given.reset_index(drop=True), f"the table of {name}", 1)
    if not isinstance(given, str | Path):
        raise MeasureError(
            f"{name}: got {type(given).__name__}; give a DataFrame or the path of a table"
        )
    # as a spreadsheet numbers rows, below one row of names
    return _Given(read_sites(given), str(given), 2)


def _files(given: _Given, folder: Path) -> list[dict[str, Any]]:
    given.need("patient_id", "role", "path")
    unknown = [column for column in given.table.columns if column not in FILE_COLUMNS]
    if unknown:
        raise MeasureError(
            f"{given.source} has {', '.join(map(str, unknown))}; allowed are "
            f"{', '.join(FILE_COLUMNS)}"
        )
    rows = []
    for where, row in given.rows():
        key = _key(row, where)
        role = (text(row, "role") or "").casefold()
        if role not in ROLES:
            raise MeasureError(f"{where}: role {row['role']!r}; allowed are {', '.join(ROLES)}")
        path = text(row, "path")
        if path is None:
            raise MeasureError(f"{where} has no path")
        cells = {str(k): v for k, v in row.items() if not is_empty(v)}
        rows.append({**cells, **key, "role": role, "path": str(folder / path)})
    _check_paths(rows, given.source)
    return rows


def _check_paths(rows: list[dict[str, Any]], source: str) -> None:
    """Refuse an image that is given twice; a file of regions may serve several images."""
    seen: dict[str, dict[str, Any]] = {}
    for row in rows:
        path = str(Path(row["path"]).resolve())
        other = seen.setdefault(path, row)
        if other is row:
            continue
        whose = {(one["patient_id"], one["cycle"]) for one in (row, other)}
        if row["role"] == other["role"] == "regions" and len(whose) == 1:
            continue
        what = " and ".join(
            f"{one['role']} of patient {one['patient_id']}, cycle {one['cycle']}"
            for one in (other, row)
        )
        raise MeasureError(f"{source} has {row['path']} twice, as {what}")


def _patients(given: _Given) -> dict[tuple[str, int], dict[str, Any]]:
    given.need("patient_id")
    _check_carried(given, PATIENT_COLUMNS, (*MADE, *_REGION_ONLY))
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for where, row in given.rows():
        key = _key(row, where)
        pair = (key["patient_id"], key["cycle"])
        if pair in rows:
            raise MeasureError(f"{where}: patient {pair[0]}, cycle {pair[1]} is there twice")
        cells = {str(k): v for k, v in row.items() if not is_empty(v)}
        rows[pair] = {**cells, **key}
    return rows


def _regions(given: _Given) -> pd.DataFrame:
    given.need("label", "site_id", "tissue")
    _check_carried(given, REGION_COLUMNS, (*MADE, *_PATIENT_ONLY))
    table = given.table
    keys = [name for name in ("patient_id", "cycle") if name in table.columns]
    for where, row in given.rows():
        for name in ("label", "site_id", "tissue", *keys):
            if is_empty(row[name]):
                raise MeasureError(f"{where} has no {name}")
        if "cycle" in keys:
            _cycle(row["cycle"], where)
        _check_words(row, where)
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
            raise MeasureError(f"{given.source} has {name} '{row[name]}'{whose} twice")
    return out


def _check_words(row: dict[Any, Any], where: str) -> None:
    """A tissue that means tumours but is not called so, an organ that nothing is compared with."""
    tissue = str(row["tissue"]).strip()
    if tissue != TUMOUR and tissue.casefold() in (TUMOUR, "tumor", "tumours", "tumors", "lesion"):
        raise MeasureError(
            f"{where}: tissue {tissue!r}; whole-body sums are over {TUMOUR!r}: write it so"
        )
    organ = text(row, "organ")
    if organ is None:
        return
    if organ not in ORGANS:
        raise MeasureError(f"{where}: organ {organ!r}; allowed are {', '.join(ORGANS)}")
    if tissue == TUMOUR:
        raise MeasureError(
            f"{where}: organ {organ!r} of a tumour; it says which reference organ a region is, not "
            "where a lesion lies"
        )


_REGION_ONLY = tuple(name for name in REGION_COLUMNS if name not in ("patient_id", "cycle"))
_PATIENT_ONLY = (
    *(name for name in PATIENT_COLUMNS if name not in ("patient_id", "cycle")),
    "egfr_ml_min_1p73m2",
)


def _check_carried(given: _Given, known: tuple[str, ...], taken: tuple[str, ...]) -> None:
    """Columns that would overwrite what is measured, that name people, or are misspelt."""
    for column in map(str, given.table.columns):
        if column in known:
            continue
        made = next((one for one in taken if fnmatchcase(column, one)), None)
        if made is not None:
            raise MeasureError(
                f"{given.source} has a column {column!r}, which is measured or belongs to "
                "another table: rename it or leave it out"
            )
        if column.casefold().replace(" ", "_") in IDENTIFYING:
            raise MeasureError(
                f"{given.source} has a column {column!r}, which says who somebody is and "
                "would be carried into the site table: leave it out"
            )
        close = get_close_matches(column.casefold(), known, n=1, cutoff=0.8)
        if close:
            warnings.warn(
                f"{given.source} has a column {column!r}, which is carried over as it is; is "
                f"{close[0]!r} meant?",
                stacklevel=6,
            )


def _check_regions_of_nobody(regions: pd.DataFrame, keys: list[tuple[str, int]]) -> None:
    if "patient_id" not in regions.columns:
        return
    patients = {patient for patient, _ in keys}
    strange = [one for one in regions["patient_id"].unique() if one not in patients]
    if strange:
        raise MeasureError(
            f"the table of regions has a patient {strange[0]!r}, whom neither files nor patients "
            f"have; they have {', '.join(map(repr, sorted(patients)[:5]))}"
        )


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
    return {
        "patient_id": _name(row["patient_id"]),
        "cycle": _cycle(row.get("cycle", 1), where),
    }


def _cycle(cell: Any, where: str) -> int:
    if is_empty(cell):
        raise MeasureError(f"{where} has no cycle; leave the column out where all are cycle 1")
    try:
        whole = int(cell)
    except (TypeError, ValueError, OverflowError) as err:
        raise MeasureError(f"{where}: cycle is {cell!r}; whole numbers from 1") from err
    if whole != float(cell) or whole < 1:
        raise MeasureError(f"{where}: cycle is {cell!r}; whole numbers from 1")
    return whole


def _name(cell: Any) -> str:
    # a whole number that pandas made a float keeps the name that the other tables have
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _label(cell: Any) -> int | str:
    name = _name(cell)
    return int(name) if name.isdigit() else name
