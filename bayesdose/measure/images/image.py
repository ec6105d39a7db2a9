"""An image in space, and the regions outlined on it."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats

#: Largest distance, mm, by which the corners of two images of one geometry may differ.
_SAME_PLACE_MM = 0.1
#: Largest cosine between two axes of an image.
_SHEAR = 1e-3
#: Sizes of voxels, mm, outside which another unit is meant.
_VOXEL_MM = 0.2, 20.0


@dataclass(frozen=True)
class Scan:
    """What the header of an image says of how it was made; None is what it does not say.

    Parameters
    ----------
    modality : str
        ``"PT"``, ``"NM"``, ``"CT"`` or ``"RTDOSE"``.
    units : str or None
        ``"Bq/mL"``, ``"SUV"``, ``"cps"``, ``"HU"`` or ``"Gy"``.
    started : datetime or None
        Start of the scan, to which ``"scan_start"`` refers.
    duration_s : float or None, s
        From the start to the end of the scan.
    decay_corrected_to : {"injection", "scan_start", None}
        Time that the image's decay correction refers to.
    radionuclide : str or None
        Such as ``"Ga68"``.
    injected_mbq : float or None, MBq
        Activity at the injection.
    injected_at : datetime or None
        Start of the injection.
    weight_kg, height_cm : float or None
        Of the patient.
    patient : str or None
        Pseudonym: what files of one patient have in common.
    frame_of_reference : str or None
        Space that the image's places belong to, common to images in register.
    """

    modality: str
    units: str | None = None
    started: datetime | None = None
    duration_s: float | None = None
    decay_corrected_to: str | None = None
    radionuclide: str | None = None
    injected_mbq: float | None = None
    injected_at: datetime | None = None
    weight_kg: float | None = None
    height_cm: float | None = None
    patient: str | None = None
    frame_of_reference: str | None = None


@dataclass(frozen=True)
class Image:
    """A three-dimensional image in space.

    Parameters
    ----------
    values : ndarray of shape (n1, n2, n3)
        Voxels.
    affine : ndarray of shape (4, 4), mm
        From voxel numbers to places, x to the right, y forward and z up, as in NIfTI.
    name : str
        For messages.
    scan : Scan, optional
        What the file says of how it was made; NIfTI says nothing.
    """

    values: np.ndarray
    affine: Floats
    name: str = "the image"
    scan: Scan | None = None

    @property
    def spacing_mm(self) -> Floats:
        """Size of a voxel along each axis.

        Returns
        -------
        ndarray of shape (3,), mm
        """
        return np.sqrt((self.affine[:3, :3] ** 2).sum(0))

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel.

        Returns
        -------
        float, mL
        """
        return float(np.prod(self.spacing_mm)) / 1000.0


@dataclass(frozen=True)
class Regions:
    """A label map with what its labels mean.

    Parameters
    ----------
    image : Image
        Whole numbers; 0 is no region.
    labels : pandas.DataFrame
        A row a region: label, site_id, tissue; other columns are kept.
    """

    image: Image
    labels: pd.DataFrame


def check_same_geometry(image: Image, other: Image) -> None:
    """Refuse images whose voxels do not lie in the same places.

    Parameters
    ----------
    image, other : Image

    Raises
    ------
    MeasureError
        When shapes differ, or a corner lies elsewhere by more than 0.1 mm.
    """
    if image.values.shape != other.values.shape:
        raise MeasureError(
            f"{image.name} has {image.values.shape} voxels and {other.name} "
            f"{other.values.shape}: resample one to the other first"
        )
    corners = np.array(np.meshgrid(*([0, n - 1] for n in image.values.shape))).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    apart = np.abs((image.affine - other.affine) @ corners).max()
    if apart > _SAME_PLACE_MM:
        raise MeasureError(
            f"{image.name} and {other.name} have as many voxels in other places, up to "
            f"{apart:.3g} mm apart: resample one to the other first"
        )


def placed(values: np.ndarray, affine: Floats, name: str, scan: Scan | None = None) -> Image:
    """Make an image of voxels as a file holds them, in the order of the axes of space.

    Axes are swapped and turned about, nothing is interpolated: files that hold one grid in
    different orders become alike.

    Parameters
    ----------
    values : ndarray of shape (n1, n2, n3)
        Voxels.
    affine : ndarray of shape (4, 4), mm
        From voxel numbers to places (right, forward, up).
    name : str
        For messages.
    scan : Scan, optional
        What the header says.

    Returns
    -------
    Image

    Raises
    ------
    MeasureError
        When axes are sheared, or voxels have no size.
    """
    import nibabel as nib

    _check_affine(affine, name)
    turn = nib.io_orientation(affine)
    back = nib.orientations.inv_ornt_aff(turn, values.shape)
    return Image(nib.apply_orientation(values, turn), affine @ back, name, scan)


def _check_affine(affine: Floats, name: str) -> None:
    axes = affine[:3, :3]
    size = np.sqrt((axes**2).sum(0))
    if not np.isfinite(affine).all() or (size <= 0).any():
        raise MeasureError(f"{name}: its affine gives voxels without a size")
    if (size < _VOXEL_MM[0]).any() or (size > _VOXEL_MM[1]).any():
        raise MeasureError(
            f"{name}: its voxels measure {' x '.join(f'{one:g}' for one in size)} mm; allowed are "
            f"{_VOXEL_MM[0]:g} to {_VOXEL_MM[1]:g} mm. Are they in another unit?"
        )
    cosine = np.abs((axes / size).T @ (axes / size) - np.eye(3)).max()
    if cosine > _SHEAR:
        raise MeasureError(
            f"{name}: its axes are not perpendicular (cosine {cosine:.3g}), so that volumes and "
            "distances would be wrong: resample it to a grid that is not sheared"
        )
