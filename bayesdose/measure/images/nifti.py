"""Images and label maps from NIfTI files."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bayesdose.errors import MeasureError
from bayesdose.measure.images.image import Image, placed

#: Length of a NIfTI-2 header, with which its file begins, in both byte orders.
_NIFTI_2 = ((540).to_bytes(4, "little"), (540).to_bytes(4, "big"))


def read_nifti(path: Path) -> Image:
    """Read a three-dimensional NIfTI file.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz``.

    Returns
    -------
    Image
        Scaled as the file says.

    Raises
    ------
    MeasureError
        When the file is truncated or no NIfTI, not three-dimensional, or its axes are sheared.
    """
    import nibabel as nib

    try:
        raw = path.read_bytes()
        # the whole file at once, so that its checksum is looked at
        whole = gzip.decompress(raw) if path.suffix.lower() == ".gz" else raw
        kind = nib.Nifti2Image if whole[:4] in _NIFTI_2 else nib.Nifti1Image
        loaded: Any = kind.from_bytes(whole)
        values = np.asanyarray(loaded.dataobj)
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
        lengths = loaded.header.get_xyzt_units()[0]
    except (
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
        nib.wrapstruct.WrapStructError,
        OSError,
        EOFError,
        ValueError,
        zlib.error,
    ) as err:
        raise MeasureError(
            f"{path}: cannot be read as NIfTI, or is truncated or damaged ({err})"
        ) from err
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise MeasureError(
            f"{path}: has shape {values.shape}; give one three-dimensional image a file"
        )
    if lengths not in ("mm", "unknown"):
        raise MeasureError(f"{path}: its header counts lengths in {lengths}s: write it in mm")
    if values.dtype.kind not in "iuf":
        raise MeasureError(f"{path}: holds {values.dtype}; an image holds one number a voxel")
    return placed(values, np.asarray(loaded.affine, dtype=np.float64), path.name)


def read_label_map(path: Path) -> Image:
    """Read a NIfTI label map.

    Parameters
    ----------
    path : Path
        NIfTI file of whole numbers, 0 outside every region.

    Returns
    -------
    Image
        Of whole numbers.

    Raises
    ------
    MeasureError
        When the map holds other numbers.
    """
    image = read_nifti(path)
    values = image.values
    whole = values.astype(np.int32) if values.dtype.kind == "f" else values
    odd = values[(values != whole) | (whole < 0)]
    if odd.size:
        raise MeasureError(
            f"{path}: a label map holds whole numbers from 0; this one holds {odd[0]:g}"
        )
    return Image(whole, image.affine, image.name)
