"""Regions from DICOM files, RTSTRUCT (outlines) and SEG (voxels), on the voxels of an image."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom

from bayesdose.errors import MeasureError
from bayesdose.measure.images.dicom import read_header
from bayesdose.measure.images.headers import pseudonym
from bayesdose.measure.images.image import Image, Regions
from bayesdose.measure.images.labels import named_regions
from bayesdose.measure.images.region_space import Fill
from bayesdose.measure.images.rtstruct import outlined
from bayesdose.measure.images.seg import segmented

_RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def read_dicom_regions(
    path: Path, labels: pd.DataFrame, like: Image, *, all_there: bool = True
) -> Regions:
    """Read outlined regions onto the voxels of an image.

    Of RTSTRUCT, a voxel belongs to a region when its centre lies inside an odd number of the
    region's outlines in the nearest plane of outlines, so that holes are left out, drawn as
    outlines of their own or through a keyhole. An outline stands for a slab as thick as the
    region's planes of outlines are apart: regions drawn on CT keep their volume on PET or SPECT of
    other slices. Between parts that are farther apart there is nothing, and nothing is
    interpolated. A centre on an outline belongs to the side of higher voxel numbers. A region of
    one plane is as thick as ContourSlabThickness says, then as the distance of planes of other
    regions in the file, then as a slice of the image.

    Of SEG, voxels must be voxels of the image.

    Parameters
    ----------
    path : Path
        RTSTRUCT or SEG file; SEG of the types BINARY only.
    labels : pandas.DataFrame
        Columns label (number or name of a region in the file), site_id, tissue; optionally others.
    like : Image
        Image on whose voxels the regions are wanted.
    all_there : bool
        Whether each row must be in the file and have a voxel; if not, those without are left out,
        with a warning where the file has the region.

    Returns
    -------
    Regions
        Of int32; its table has the region's number as label, and its name as roi_name.

    Raises
    ------
    MeasureError
        When the file cannot be read or belongs to another patient or space, a label is not in it or
        means two regions, outlines are open, oblique to the image's slices or missing in between,
        SEG has other voxels, a region reaches beyond the image, has no voxel, or shares one with
        another.

    Warns
    -----
    UserWarning
        Which names the regions of the file that the table does not name.
    """
    with pydicom.config.disable_value_validation():
        dataset = read_header(path, pixels=True)
        _check_patient(dataset, like, path.name)
        kind = str(dataset.SOPClassUID)
        if kind == _RTSTRUCT:
            names, fill = outlined(dataset, like, path.name)
        elif kind == _SEGMENTATION:
            names, fill = segmented(path, dataset, like)
        else:
            raise MeasureError(
                f"{path.name}: is of the kind {pydicom.uid.UID(kind).name}; allowed are RTSTRUCT "
                "and SEG: export the regions as one of these, or as NIfTI"
            )
        found = [_number(label, names, path.name) for label in labels["label"]]
        if all_there:
            _check_found(found, labels["label"], names, path.name)
        chosen = [number for number in found if number is not None]
        _check_chosen(chosen, names, path.name)
        values = _label_map(chosen, names, fill, like, path.name, all_there=all_there)
    table = labels[[number is not None for number in found]].assign(
        label=np.array(chosen, np.int32), roi_name=[names[number] for number in chosen]
    )
    image = Image(values, like.affine, path.name, like.scan)
    return named_regions(image, table, all_there=all_there)


def _check_patient(dataset: pydicom.Dataset, like: Image, name: str) -> None:
    patient = pseudonym(dataset.get("PatientID"))
    known = like.scan.patient if like.scan is not None else None
    if patient is not None and known is not None and patient != known:
        raise MeasureError(
            f"{name}: has another PatientID than {like.name}: give regions and image of one patient"
        )


def _number(label: object, names: dict[int, str], name: str) -> int | None:
    """Number of the one region that a label means, by number or name; None if there is none."""
    text = str(label).strip()
    found = {number for number, roi in names.items() if roi == text}
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if value in names:
        found.add(int(value))
    if len(found) > 1:
        raise MeasureError(
            f"{name}: {text} means regions {', '.join(map(str, sorted(found)))}; use numbers or "
            f"names that mean one; it has {_listed(names)}"
        )
    return found.pop() if found else None


def _listed(names: dict[int, str]) -> str:
    return ", ".join(f"{number} ({roi})" for number, roi in names.items())


def _check_found(
    found: list[int | None], labels: pd.Series, names: dict[int, str], name: str
) -> None:
    for number, label in zip(found, labels, strict=True):
        if number is None:
            raise MeasureError(
                f"{name}: has no region {label}; it has {_listed(names)}: leave it out of the "
                "table, or correct its label"
            )


def _check_chosen(chosen: list[int], names: dict[int, str], name: str) -> None:
    for number in chosen:
        if chosen.count(number) > 1:
            raise MeasureError(
                f"{name}: region {number} ({names[number]}) is named twice in the table of labels"
            )
        if number < 1:
            raise MeasureError(
                f"{name}: region {names[number]} has the number {number}; allowed are numbers from "
                "1, since 0 is no region: export again with other numbers"
            )
    others = {number: roi for number, roi in names.items() if number not in chosen}
    if others:
        warnings.warn(
            f"{name}: regions without a row in the table of labels are left out: {_listed(others)}",
            stacklevel=3,
        )


def _label_map(
    chosen: list[int],
    names: dict[int, str],
    fill: Fill,
    like: Image,
    name: str,
    *,
    all_there: bool,
) -> np.ndarray:
    values = np.zeros(like.values.shape, dtype=np.int32)
    for number in chosen:
        inside = fill(number)
        if not inside.any():
            said = (
                f"{name}: region {number} ({names[number]}) has no voxel on {like.name}: it is "
                "empty, or smaller than a voxel"
            )
            if all_there:
                raise MeasureError(f"{said}; leave it out of the table, or outline it")
            warnings.warn(f"{said}; it is left out", stacklevel=3)
        taken = values[inside]
        if taken.any():
            other = int(taken[taken > 0][0])
            raise MeasureError(
                f"{name}: regions {names[other]} and {names[number]} share "
                f"{int((taken == other).sum())} voxels of {like.name}; a voxel belongs to one: cut "
                "one of them, or read them one after the other"
            )
        values[inside] = number
    return values
