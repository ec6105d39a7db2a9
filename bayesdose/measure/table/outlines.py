"""Which regions belong to which image of a patient."""

from pathlib import Path
from typing import Any

import pandas as pd

from bayesdose.errors import MeasureError
from bayesdose.measure.images.image import Image, Regions, check_same_geometry
from bayesdose.measure.images.labels import named_regions
from bayesdose.measure.images.nifti import read_label_map
from bayesdose.measure.images.reading import is_nifti, read_regions
from bayesdose.measure.table.cells import number, text
from bayesdose.measure.table.inputs import REGION_KEYS, Job


class Outlines:
    """The region files of a patient and cycle.

    A file belongs to the images of its ``regions_for`` (a role) and its ``time_h``, where it names
    them; a label map to those of its geometry, a DICOM file to those of its frame of reference.

    Parameters
    ----------
    job : Job
        Patient and cycle.
    """

    def __init__(self, job: Job) -> None:
        self._rows = job.of_role("regions")
        self._own = job.own_regions
        kept = [name for name in job.regions.columns if name not in REGION_KEYS]
        self._labels = job.regions[["label", "site_id", "tissue", *kept]]
        self._maps: dict[str, Image] = {}
        self._whose: dict[str, str] = {}
        if not self._rows:
            raise MeasureError("no file has the role regions")

    def on(self, image: Image, role: str, time_h: float | None = None) -> Regions:
        """Regions of an image.

        Parameters
        ----------
        image : Image
            Image.
        role : str
            Of the image.
        time_h : float, optional
            Of the image.

        Returns
        -------
        Regions
            On the voxels of the image.

        Raises
        ------
        MeasureError
            When no file fits, or more than one; or the image is of another person than those
            before.
        """
        self._check_person(image)
        fitting, reasons = [], []
        for row in self._rows:
            if not _meant(row, role, time_h):
                continue
            try:
                fitting.append((row, self._read(row, image)))
            except _OtherSpace as err:
                reasons.append(str(err))
        if not fitting:
            why = f" ({'; '.join(reasons)})" if reasons else ""
            raise MeasureError(f"{image.name}: no file of regions belongs to this {role}{why}")
        if len(fitting) > 1:
            names = ", ".join(Path(row["path"]).name for row, _ in fitting)
            raise MeasureError(
                f"{image.name}: {names} all fit this {role}: say regions_for or time_h in the "
                "table of files"
            )
        return fitting[0][1]

    def _check_person(self, image: Image) -> None:
        person = image.scan.patient if image.scan is not None else None
        if person is None:
            return
        self._whose.setdefault(person, image.name)
        if len(self._whose) > 1:
            raise MeasureError(
                f"{' and '.join(self._whose.values())} are of two people, by the PatientID in "
                "their headers: check the table of files"
            )

    def _read(self, row: dict[str, Any], image: Image) -> Regions:
        path = Path(row["path"])
        if not is_nifti(path):
            return read_regions(path, self._labels, like=image, all_there=self._own)
        if row["path"] not in self._maps:
            if not path.is_file():
                raise MeasureError(f"{path}: no such file")
            self._maps[row["path"]] = read_label_map(path)
        found = self._maps[row["path"]]
        try:
            check_same_geometry(image, found)
        except MeasureError as err:
            raise _OtherSpace(str(err)) from err
        return named_regions(found, self._numbered(found), all_there=self._own)

    def _numbered(self, found: Image) -> pd.DataFrame:
        words = self._labels["label"].map(lambda label: isinstance(label, str))
        if self._own and words.any():
            raise MeasureError(
                f"{found.name}: label {self._labels.loc[words, 'label'].iloc[0]!r} is a word; "
                "those of a NIfTI map are numbers"
            )
        return self._labels[~words]


class _OtherSpace(MeasureError):
    """Regions lie in another geometry than an image."""


def _meant(row: dict[str, Any], role: str, time_h: float | None) -> bool:
    its_role, its_time = text(row, "regions_for"), number(row, "time_h", "h")
    if its_role is not None and its_role != role:
        return False
    if its_time is None:
        return True
    return role == "spect" and time_h is not None and abs(its_time - time_h) < 1e-6
