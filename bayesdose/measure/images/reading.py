"""Reading images and regions, whatever the format of their files."""

from pathlib import Path

import pandas as pd

from bayesdose.errors import MeasureError
from bayesdose.measure._extras import need
from bayesdose.measure.images.image import Image, Regions
from bayesdose.measure.images.labels import check_labels, named_regions
from bayesdose.measure.images.nifti import read_label_map, read_nifti


def read_image(path: str | Path) -> Image:
    """Read a three-dimensional image.

    Parameters
    ----------
    path : str or Path
        A NIfTI file (``.nii``, ``.nii.gz``), a folder of one DICOM series (PET, SPECT or CT), or a
        DICOM file of many frames (SPECT, RTDOSE).

    Returns
    -------
    Image
        Voxels scaled as the file says, with axes in the order right, forward, up. What a DICOM
        header says of units, times, activity and weight is its ``scan``; NIfTI has no such thing.

    Raises
    ------
    MeasureError
        When the file is not there, truncated, of another kind, or not three-dimensional; its axes
        are sheared; a slice is missing; or the header contradicts itself.
    """
    path = _there(path)
    if is_nifti(path):
        return read_nifti(path)
    need("pydicom", "reading DICOM")
    from bayesdose.measure.images.dicom import read_dicom

    return read_dicom(path)


def read_regions(
    path: str | Path, labels: pd.DataFrame, *, like: Image | None = None, all_there: bool = True
) -> Regions:
    """Read outlined regions and give their labels their names.

    Parameters
    ----------
    path : str or Path
        A NIfTI label map (whole numbers, 0 outside every region), or a DICOM RTSTRUCT or SEG file.
    labels : pandas.DataFrame
        Columns label, site_id, tissue; optionally others. A label is the number in the map; in
        DICOM the number or the name of a region.
    like : Image, optional
        Image on whose voxels DICOM regions are wanted; needed for these.
    all_there : bool
        Whether each row of the table must be in the file; if not, those that are not are left out,
        as with one table for patients who have not the same regions.

    Returns
    -------
    Regions
        Of a DICOM file those that the table names, with a warning that names the others.

    Raises
    ------
    MeasureError
        When the file cannot be read, holds other numbers, two regions share a voxel, or labels and
        table do not belong together.
    """
    path = _there(path)
    check_labels(labels)
    if is_nifti(path):
        return named_regions(read_label_map(path), labels, all_there=all_there)
    need("highdicom", "reading DICOM regions")
    if like is None:
        raise MeasureError(f"{path}: DICOM regions need like=, the image they are wanted on")
    from bayesdose.measure.images.dicom_regions import read_dicom_regions

    return read_dicom_regions(path, labels, like, all_there=all_there)


def _there(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise MeasureError(f"{path}: no such file")
    need("nibabel", "reading images")
    return path


def is_nifti(path: Path) -> bool:
    """Whether a path is a NIfTI file by its name.

    Parameters
    ----------
    path : Path
        File or folder.

    Returns
    -------
    bool
    """
    return path.is_file() and path.name.lower().endswith((".nii", ".nii.gz"))
