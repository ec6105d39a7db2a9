"""The site table of a cohort, one patient and cycle after the other or several at once."""

import logging
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from bayesdose._progress import shows_bar
from bayesdose.cohort import validate_sites
from bayesdose.errors import BayesdoseError, MeasureError, SiteTableError
from bayesdose.measure.table.inputs import Job, make_jobs
from bayesdose.measure.table.patient import ActivityRows, SiteRows
from bayesdose.measure.table.settings import Dosimetry, Texture
from bayesdose.measure.table.store import Measured, fingerprint, load, plain_rows, save

#: Columns whose mixture the model decides upon.
_PROTOCOLS = ("pet_tracer", "therapy_ligand", "centre", "scanner", "dose_method")
_log = logging.getLogger(__name__)
#: Columns in front of the site table, where they are there.
_FIRST = (
    "patient_id",
    "site_id",
    "cycle",
    "tissue",
    "lesion_type",
    "absorbed_dose_gy",
    "absorbed_dose_cv",
    "absorbed_dose_cv_shared",
    "administered_activity_gbq",
)


def build_site_table(
    files: pd.DataFrame | str | Path,
    patients: pd.DataFrame | str | Path,
    regions: pd.DataFrame | str | Path,
    n_jobs: int = 1,
    *,
    texture: Texture | None = None,
    dosimetry: Dosimetry | None = None,
    folder: str | Path | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Build a site table from images, patients and outlined regions.

    Registration and outlining are yours: a label map must be in the geometry of the image that it
    belongs to. A patient and cycle that cannot be measured is reported and left out; the others go
    on.

    Parameters
    ----------
    files : DataFrame, str or Path
        A row a file: patient_id, role (``pet``, ``spect``, ``ct``, ``regions``, ``dose``), path;
        optionally cycle, units, datetime (of the scan's start), time_h (h, from the start of the
        therapy's injection to mid-scan), decay_corrected_to (``injection`` or ``scan_start``),
        calibration_bq_per_cps, regions_for (the role whose images a file of regions belongs to).
        What a DICOM header says need not be stated. Paths in a file are relative to its folder.
    patients : DataFrame, str or Path
        A row a patient and cycle: patient_id; optionally cycle, weight_kg, height_cm, pet_tracer,
        pet_activity_mbq (net, at the injection), pet_injection_datetime, therapy_ligand,
        administered_activity_gbq, therapy_datetime, creatinine, creatinine_unit, age_y, female.
        Other columns are carried over.
    regions : DataFrame, str or Path
        A row a region: label (its number, or its name in DICOM), site_id, tissue; optionally
        lesion_type, organ (of the reference that it is, such as ``parotid``), density_g_ml
        (needed for a dose from SPECT), patient_id and cycle where labels differ between patients.
        Other columns are carried over. Without patient_id, a patient need not have every region.
    n_jobs : int
        Patients at once, as of joblib.
    texture : Texture, optional
        Makes texture of the PET.
    dosimetry : Dosimetry, optional
        How dose is made of SPECT images.
    folder : str or Path, optional
        Keeps finished patients; called again with the same tables, only the others are measured.
    progress : bool, optional
        Whether to show a bar; on a terminal when None. Otherwise a line a patient is logged.

    Returns
    -------
    pandas.DataFrame
        Site table: a row a region and cycle, with what could be measured. ``attrs["problems"]``
        lists the patients left out as dicts of patient_id, cycle and problem.

    Raises
    ------
    MeasureError
        When a table lacks a column, texture comes from different voxels, or no patient at all
        could be measured.

    Warns
    -----
    UserWarning
        For patients left out, and for what measurements of a patient warn about.

    Notes
    -----
    ``tumour_to_<organ>`` is SUVmean over that of the organ, over all regions of that organ;
    whole-body values are sums over regions of the tissue ``tumour``; eGFR is by CKD-EPI 2021. A
    dose from SPECT is a self-dose by sphere S-values: see `absorbed_dose`.
    """
    work = SiteRows(texture, dosimetry or Dosimetry())
    jobs = make_jobs(files, patients, regions)
    table = _build(jobs, work, n_jobs, folder, progress)
    _check_regions(table, jobs)
    first = [name for name in _FIRST if name in table.columns]
    table = table[[*first, *(name for name in table.columns if name not in first)]]
    _check_texture(table)
    _check_doses(table)
    return table


def build_time_activity(
    files: pd.DataFrame | str | Path,
    patients: pd.DataFrame | str | Path,
    regions: pd.DataFrame | str | Path,
    n_jobs: int = 1,
    *,
    dosimetry: Dosimetry | None = None,
    folder: str | Path | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Measure activities over time of SPECT images, to learn `PopulationKinetics` from.

    Parameters
    ----------
    files, patients, regions, n_jobs
        As for `build_site_table`.
    dosimetry : Dosimetry, optional
        Its recovery and calibration count here.
    folder, progress
        As for `build_site_table`.

    Returns
    -------
    pandas.DataFrame
        A row a region and scan: patient_id, site_id, tissue, cycle, time_h, activity_mbq (at the
        scan), activity_cv, volume_ml and others; ``attrs["problems"]`` as there.

    Raises
    ------
    MeasureError
        As there.

    Warns
    -----
    UserWarning
        As there.
    """
    work = ActivityRows(dosimetry or Dosimetry())
    table = _build(make_jobs(files, patients, regions), work, n_jobs, folder, progress)
    first = ["patient_id", "site_id", "tissue", "cycle", "time_h", "activity_mbq"]
    return table[[*first, *(name for name in table.columns if name not in first)]]


def _build(
    jobs: list[Job],
    work: SiteRows | ActivityRows,
    n_jobs: int,
    folder: str | Path | None,
    progress: bool | None,
) -> pd.DataFrame:
    if not isinstance(n_jobs, int) or n_jobs == 0:
        raise MeasureError(f"n_jobs: got {n_jobs!r}; a whole number from 1, or -1 for all cores")
    store = None if folder is None else Path(folder)
    if store is not None:
        store.mkdir(parents=True, exist_ok=True)
        for left in store.glob(".*.partial"):
            left.unlink(missing_ok=True)  # of a run that was killed
    found: dict[int, Measured] = dict(_measured(jobs, work, store, n_jobs, shows_bar(progress)))
    return _table([found[i] for i in range(len(jobs))])


def _measured(
    jobs: list[Job],
    work: SiteRows | ActivityRows,
    store: Path | None,
    n_jobs: int,
    bar: bool,
) -> Iterator[tuple[int, Measured]]:
    import joblib
    from tqdm.auto import tqdm

    workers = min(n_jobs, len(jobs)) if n_jobs > 0 else n_jobs
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered")
    done = parallel(joblib.delayed(_one)(i, job, work, store) for i, job in enumerate(jobs))
    shown = tqdm(done, total=len(jobs), desc="measuring", unit="patient", disable=not bar)
    for n, (i, one) in enumerate(shown, start=1):
        if not bar:
            said = "left out" if one.problem else f"{len(one.rows)} rows"
            _log.info("%d of %d: %s, cycle %s: %s", n, len(jobs), one.patient_id, one.cycle, said)
        yield i, one


def _one(
    i: int, job: Job, work: SiteRows | ActivityRows, store: Path | None
) -> tuple[int, Measured]:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", UserWarning)
        try:
            mark = "" if store is None else fingerprint(job, work)
            known = None if store is None else load(store, job, mark)
            if known is not None:
                return i, known
            rows = plain_rows(work(job))
        except (BayesdoseError, OSError) as err:
            return i, _left_out(job, str(err))
        except Exception as err:
            # what no check foresaw is told with its place, and stops nobody else
            where = traceback.extract_tb(err.__traceback__)[-1]
            place = f"{Path(where.filename).name}, line {where.lineno}"
            return i, _left_out(job, f"{type(err).__name__} ({place}), please report it: {err}")
    notes = list(dict.fromkeys(str(one.message) for one in heard))
    measured = Measured(job.patient_id, job.cycle, rows, notes)
    if store is not None:
        save(store, job, mark, measured)
    return i, measured


def _left_out(job: Job, problem: str) -> Measured:
    return Measured(job.patient_id, job.cycle, [], [], problem)


def _table(found: list[Measured]) -> pd.DataFrame:
    bad = [one for one in found if one.problem is not None]
    said = [f"patient {one.patient_id}, cycle {one.cycle}: {one.problem}" for one in bad]
    if len(bad) == len(found):
        raise MeasureError("no patient could be measured:\n" + "\n".join(said))
    if bad:
        warnings.warn(
            f"{len(bad)} of {len(found)} patients and cycles are left out:\n" + "\n".join(said),
            stacklevel=4,
        )
    for note in dict.fromkeys(note for one in found for note in one.notes):
        whose = [one for one in found if note in one.notes]
        others = f" and {len(whose) - 1} others" if len(whose) > 1 else ""
        warnings.warn(f"patient {whose[0].patient_id}{others}: {note}", stacklevel=4)
    table = pd.DataFrame([row for one in found for row in one.rows])
    # None stands for a missing number as for a missing word
    table = table.astype(object).where(table.notna(), np.nan).infer_objects()
    table.attrs["problems"] = [
        {"patient_id": one.patient_id, "cycle": one.cycle, "problem": one.problem} for one in bad
    ]
    return table


def _check_regions(table: pd.DataFrame, jobs: list[Job]) -> None:
    """Say which rows of regions nobody had, as a label that is spelt wrong."""
    rows = pd.concat([job.regions for job in jobs if not job.own_regions] or [pd.DataFrame()])
    if rows.empty:
        return
    unused = rows[~rows["site_id"].isin(table["site_id"])].drop_duplicates("site_id")
    if len(unused):
        named = ", ".join(
            f"{row['site_id']} (label {row['label']})" for row in unused.to_dict("records")
        )
        warnings.warn(f"no patient had the regions {named}: are their labels right?", stacklevel=3)


def _check_texture(table: pd.DataFrame) -> None:
    for name in ("glcm_settings", "ibsi_settings"):
        if name not in table.columns:
            continue
        counts = table.groupby(name)["patient_id"].agg(["nunique", "first"])
        if len(counts) > 1:
            kinds = "; ".join(
                f"{settings} ({row['nunique']} patients, {row['first']} for one)"
                for settings, row in counts.iterrows()
            )
            raise MeasureError(
                f"texture of different voxels must not be mixed: {kinds}. Give "
                "Texture(resample_mm=...), one size of voxel for all"
            )


def _check_doses(table: pd.DataFrame) -> None:
    """Say what the literature makes doubtful; outcomes are no reason to leave anybody out."""
    if "absorbed_dose_gy" not in table or "administered_activity_gbq" not in table:
        return
    try:
        validate_sites(table, response_required=False, mixed_ok=_PROTOCOLS)
    except SiteTableError as err:
        warnings.warn(f"the table does not pass validate_sites as it is: {err}", stacklevel=3)
