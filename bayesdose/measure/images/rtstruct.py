"""Regions of DICOM RTSTRUCT files, which are outlines."""

from collections.abc import Iterable
from functools import cache

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats
from bayesdose.measure.images.dicom import LPS_TO_RAS
from bayesdose.measure.images.image import Image
from bayesdose.measure.images.region_space import OFF_MM, Fill, check_space
from bayesdose.measure.images.slabs import DIGITS, Drawn, inside_slabs, thickness_mm


def outlined(dataset: pydicom.Dataset, like: Image, name: str) -> tuple[dict[int, str], Fill]:
    """Names of the regions of a RTSTRUCT by number, and what gives their voxels.

    Parameters
    ----------
    dataset : pydicom.Dataset
        RTSTRUCT.
    like : Image
        Image on whose voxels the regions are wanted.
    name : str
        Of the file, for messages.

    Returns
    -------
    names : dict of int to str
        Of all regions in the file.
    fill : callable
        Voxels of a region by its number, ndarray of bool of the shape of the image; raises
        MeasureError as `read_dicom_regions` says.

    Raises
    ------
    MeasureError
        When a region has no number, or two have the same.
    """
    try:
        names, spaces, outlines = _listed_outlines(dataset, name)
    except (AttributeError, TypeError) as err:
        raise MeasureError(f"{name}: a region has no number: export it again") from err

    @cache
    def usual() -> float | None:
        return _usual_distance(outlines.values(), like)

    def fill(number: int) -> np.ndarray:
        check_space(spaces[number] or dataset.get("FrameOfReferenceUID"), like, name)
        what = f"{name}: region {number} ({names[number]})"
        drawn = _drawn(outlines.get(number, []), like, what)
        if drawn is None:
            return np.zeros(like.values.shape, dtype=bool)
        return inside_slabs(drawn, thickness_mm(drawn, usual(), like, what), like, what)

    return names, fill


def _listed_outlines(
    dataset: pydicom.Dataset, name: str
) -> tuple[dict[int, str], dict[int, str | None], dict[int, list[pydicom.Dataset]]]:
    """Names, spaces and outlines of regions by their numbers."""
    names: dict[int, str] = {}
    spaces: dict[int, str | None] = {}
    outlines: dict[int, list[pydicom.Dataset]] = {}
    for item in dataset.get("StructureSetROISequence") or []:
        number = int(item.ROINumber)
        if number in names:
            raise MeasureError(f"{name}: lists region {number} twice: export it again")
        names[number] = str(item.get("ROIName") or "").strip()
        spaces[number] = item.get("ReferencedFrameOfReferenceUID")
    for item in dataset.get("ROIContourSequence") or []:
        found = outlines.setdefault(int(item.ReferencedROINumber), [])
        found.extend(item.get("ContourSequence") or [])
    return names, spaces, outlines


def _drawn(items: list[pydicom.Dataset], like: Image, what: str) -> Drawn | None:
    to_voxel = np.linalg.inv(like.affine) @ LPS_TO_RAS
    outlines = []
    for item in items:
        if item.get("ContourGeometricType") != "CLOSED_PLANAR":
            raise MeasureError(
                f"{what} has an outline of the type {item.get('ContourGeometricType')}; allowed is "
                "CLOSED_PLANAR: leave it out, or export closed outlines"
            )
        points = _points(item, what)
        # Fewer points have no area.
        if len(points) > 2:
            outlines.append(np.round(points @ to_voxel[:3, :3].T + to_voxel[:3, 3], DIGITS))
    if not outlines:
        return None
    axis = _axis(outlines, like, what)
    heights = np.array([one[:, axis].mean() for one in outlines]) * like.spacing_mm[axis]
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order], prepend=heights[order[0]]) > OFF_MM
    plane_of = np.empty(len(outlines), dtype=int)
    plane_of[order] = np.cumsum(steps)
    planes = np.array([heights[plane_of == k].mean() for k in range(plane_of.max() + 1)])
    slabs = {float(item.ContourSlabThickness) for item in items if item.get("ContourSlabThickness")}
    return Drawn(outlines, axis, planes, plane_of, slabs.pop() if len(slabs) == 1 else None)


def _points(item: pydicom.Dataset, what: str) -> Floats:
    raw = item.get_item("ContourData") if "ContourData" in item else None
    try:
        # Files hold millions of them: numbers one by one take pydicom minutes.
        if isinstance(raw, RawDataElement):
            texts = (raw.value or b"").decode("ascii").strip(" \0").split("\\")
            numbers = np.array([text for text in texts if text], dtype=np.float64)
        else:
            numbers = np.array(item.get("ContourData") or [], dtype=np.float64)
    except (ValueError, TypeError) as err:
        raise MeasureError(f"{what} has an outline with something other than numbers") from err
    if numbers.size % 3 or not np.isfinite(numbers).all():
        raise MeasureError(
            f"{what} has an outline of {numbers.size} numbers; allowed are 3 finite ones a point"
        )
    return numbers.reshape(-1, 3)


def _axis(outlines: list[Floats], like: Image, what: str) -> int:
    """Axis of the image along which no outline extends."""
    extent = np.max([np.ptp(one, axis=0) for one in outlines], axis=0) * like.spacing_mm
    axis = int(extent.argmin())
    if extent[axis] > OFF_MM:
        raise MeasureError(
            f"{what} has outlines oblique to the slices of {like.name}: they reach through "
            f"{extent[axis]:.3g} mm across; resample the image to the orientation in which the "
            "regions were drawn, or export them as SEG or NIfTI"
        )
    return axis


def _usual_distance(files: Iterable[list[pydicom.Dataset]], like: Image) -> float | None:
    """Smallest distance of planes within a region of the file, which is that of its slices."""
    found = []
    for items in files:
        closed = [one for one in items if one.get("ContourGeometricType") == "CLOSED_PLANAR"]
        try:
            drawn = _drawn(closed, like, "")
        except MeasureError:
            # Of a region that is not wanted; those that are have been checked themselves.
            continue
        found.append(None if drawn is None else drawn.distance_mm)
    return min((one for one in found if one is not None), default=None)
