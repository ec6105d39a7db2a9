"""Regions from DICOM files, RTSTRUCT (outlines) and SEG (voxels), on the voxels of an image."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
from pydicom.dataelem import RawDataElement

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats
from bayesdose.measure.images.dicom import LPS_TO_RAS, read_header
from bayesdose.measure.images.headers import pseudonym
from bayesdose.measure.images.image import Image, Regions
from bayesdose.measure.images.labels import check_labels, named_regions

_RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
#: Largest distance, mm, by which a place may be off.
_OFF_MM = 0.1
#: Voxel numbers are rounded to so many digits, so that outlines along centres of voxels are met
#: the same way whatever the rounding of the affine.
_DIGITS = 6
#: Distance, mm, within which a slice at the edge of two slabs goes to the upper one.
_TIE_MM = 0.01
#: Distances, mm, that planes of outlines next to each other have: those of slices.
_SLICES_MM = (0.4, 10.0)


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
        Whether each row must be in the file and have a voxel; if not, those without are left out.

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
    check_labels(labels)
    with pydicom.config.disable_value_validation():
        dataset = read_header(path, pixels=True)
        _check_patient(dataset, like, path.name)
        kind = str(dataset.SOPClassUID)
        if kind == _RTSTRUCT:
            names, fill = _outlined(dataset, like, path.name)
        elif kind == _SEGMENTATION:
            names, fill = _segmented(path, dataset, like)
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


#: Voxels of a region, by its number.
_Fill = Callable[[int], np.ndarray]
#: Axes, flips and offset from the voxels of a SEG to those of the image.
_Turn = tuple[np.ndarray, np.ndarray, np.ndarray]


def _check_patient(dataset: pydicom.Dataset, like: Image, name: str) -> None:
    patient = pseudonym(dataset.get("PatientID"))
    known = like.scan.patient if like.scan is not None else None
    if patient is not None and known is not None and patient != known:
        raise MeasureError(
            f"{name}: has another PatientID than {like.name}: give regions and image of one patient"
        )


def _check_space(uid: str | None, like: Image, name: str) -> None:
    known = like.scan.frame_of_reference if like.scan is not None else None
    if uid and known and str(uid) != known:
        raise MeasureError(
            f"{name}: its FrameOfReferenceUID is not that of {like.name}: regions were drawn in "
            "another space; register the images, and transfer the regions"
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
    fill: _Fill,
    like: Image,
    name: str,
    *,
    all_there: bool,
) -> np.ndarray:
    values = np.zeros(like.values.shape, dtype=np.int32)
    for number in chosen:
        inside = fill(number)
        if all_there and not inside.any():
            raise MeasureError(
                f"{name}: region {number} ({names[number]}) has no voxel on {like.name}: it is "
                "empty, or smaller than a voxel; leave it out of the table, or outline it"
            )
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


def _outlined(dataset: pydicom.Dataset, like: Image, name: str) -> tuple[dict[int, str], _Fill]:
    """Names of the regions of a RTSTRUCT by number, and what gives their voxels."""
    try:
        names, spaces, outlines = _listed_outlines(dataset, name)
    except (AttributeError, TypeError) as err:
        raise MeasureError(f"{name}: a region has no number: export it again") from err

    @cache
    def usual() -> float | None:
        return _usual_distance(outlines.values(), like)

    def fill(number: int) -> np.ndarray:
        _check_space(spaces[number] or dataset.get("FrameOfReferenceUID"), like, name)
        what = f"{name}: region {number} ({names[number]})"
        drawn = _drawn(outlines.get(number, []), like, what)
        if drawn is None:
            return np.zeros(like.values.shape, dtype=bool)
        return _inside(drawn, _thickness(drawn, usual(), like, what), like, what)

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


@dataclass(frozen=True)
class _Drawn:
    """Outlines of a region in voxel numbers, and the axis that their planes are perpendicular to.

    Parameters
    ----------
    outlines : list of ndarray of shape (n, 3)
        Points.
    axis : int
        Of the image.
    planes_mm : ndarray
        Where planes of outlines lie along the axis, ascending.
    plane_of : ndarray of int
        Of each outline.
    slab_mm : float or None
        ContourSlabThickness.
    """

    outlines: list[Floats]
    axis: int
    planes_mm: Floats
    plane_of: np.ndarray
    slab_mm: float | None

    @property
    def distance_mm(self) -> float | None:
        """Distance of planes next to each other; gaps of a region in parts do not count."""
        if len(self.planes_mm) < 2:
            return None
        gaps = np.diff(self.planes_mm)
        return float(np.median(gaps[gaps < 1.5 * gaps.min()]))


def _drawn(items: list[pydicom.Dataset], like: Image, what: str) -> _Drawn | None:
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
            outlines.append(np.round(points @ to_voxel[:3, :3].T + to_voxel[:3, 3], _DIGITS))
    if not outlines:
        return None
    axis = _axis(outlines, like, what)
    heights = np.array([one[:, axis].mean() for one in outlines]) * like.spacing_mm[axis]
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order], prepend=heights[order[0]]) > _OFF_MM
    plane_of = np.empty(len(outlines), dtype=int)
    plane_of[order] = np.cumsum(steps)
    planes = np.array([heights[plane_of == k].mean() for k in range(plane_of.max() + 1)])
    slabs = {float(item.ContourSlabThickness) for item in items if item.get("ContourSlabThickness")}
    return _Drawn(outlines, axis, planes, plane_of, slabs.pop() if len(slabs) == 1 else None)


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
    if extent[axis] > _OFF_MM:
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


def _thickness(drawn: _Drawn, usual: float | None, like: Image, what: str) -> float:
    """Thickness of the slab that an outline stands for."""
    distance = drawn.distance_mm
    if distance is None:
        return drawn.slab_mm or usual or float(like.spacing_mm[drawn.axis])
    slices = np.diff(drawn.planes_mm) / distance
    near = slices[slices < 5.0]
    least, most = _SLICES_MM
    if not least <= distance <= most or (np.abs(near - np.round(near)) > 0.25).any():
        raise MeasureError(
            f"{what} has planes of outlines {distance:.3g} mm apart and up to "
            f"{distance * slices.max():.3g} mm; allowed are distances of slices, {least:g} to "
            f"{most:g} mm, and gaps of whole slices: interpolate missing outlines"
        )
    if usual is not None and distance > 1.5 * usual:
        raise MeasureError(
            f"{what} has planes of outlines {distance:.3g} mm apart, and others in the file "
            f"{usual:.3g} mm, so that its volume is not known: interpolate the missing outlines, "
            "or export regions drawn on other slices one by one"
        )
    return distance


def _inside(drawn: _Drawn, thickness: float, like: Image, what: str) -> np.ndarray:
    """Voxels whose centres lie in the slabs of outlines."""
    axis, spacing = drawn.axis, like.spacing_mm
    _check_within(drawn, like, what)
    inside = np.zeros(like.values.shape, dtype=bool)
    slices = np.moveaxis(inside, axis, 0)
    half = thickness / 2
    centres = np.arange(len(slices)) * spacing[axis] + _TIE_MM
    nearest = np.abs(centres[:, None] - drawn.planes_mm).argmin(axis=1)
    off = centres - drawn.planes_mm[nearest]
    masks: dict[int, np.ndarray] = {}
    # Closed below and open above: slabs that touch take a slice between them once.
    for k in np.flatnonzero((off >= -half) & (off < half)):
        plane = int(nearest[k])
        if plane not in masks:
            there = [drawn.outlines[i] for i in np.flatnonzero(drawn.plane_of == plane)]
            flat = [np.delete(one, axis, axis=1) for one in there]
            masks[plane] = _even_odd(flat, slices.shape[1:])
        slices[k] = masks[plane]
    return inside


def _check_within(drawn: _Drawn, like: Image, what: str) -> None:
    points = np.concatenate(drawn.outlines)
    beyond = np.maximum(-0.5 - points, points - (np.array(like.values.shape) - 0.5))
    farthest = (beyond * like.spacing_mm).max()
    if farthest > _OFF_MM:
        raise MeasureError(
            f"{what} reaches {farthest:.3g} mm beyond {like.name}, so that a part of it is not "
            "seen: cut it, or leave it out of the table"
        )


def _even_odd(polygons: list[Floats], shape: tuple[int, ...]) -> np.ndarray:
    """Points of a plane grid inside an odd number of polygons given in grid numbers.

    A point is inside when a ray from it to lower numbers crosses edges an odd number of times:
    each edge turns about the points beyond it in the rows it crosses.
    """
    turns = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
    for polygon in polygons:
        for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            low, high = sorted((start[0], end[0]))
            rows = np.arange(max(int(np.ceil(low)), 0), min(int(np.ceil(high)), shape[0]))
            if rows.size:
                slope = (end[1] - start[1]) / (end[0] - start[0])
                crossed = np.round(start[1] + (rows - start[0]) * slope, _DIGITS)
                turns[rows, np.clip(np.ceil(crossed).astype(int), 0, shape[1])] += 1
    return np.cumsum(turns, axis=1)[:, :-1] % 2 == 1


def _segmented(path: Path, dataset: pydicom.Dataset, like: Image) -> tuple[dict[int, str], _Fill]:
    """Names of the segments of a SEG by number, and what gives their voxels."""
    import highdicom

    name = path.name
    if dataset.get("SegmentationType") != "BINARY":
        raise MeasureError(
            f"{name}: holds a segmentation of the type {dataset.get('SegmentationType')}; allowed "
            "is BINARY: choose a threshold where it was made and export it as BINARY"
        )
    _check_space(dataset.get("FrameOfReferenceUID"), like, name)
    try:
        seg = highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
        geometry = seg.get_volume_geometry()
    except (ValueError, AttributeError, KeyError, RuntimeError) as err:
        raise MeasureError(f"{name}: cannot be read as SEG, or is truncated ({err})") from err
    if geometry is None:
        raise MeasureError(
            f"{name}: its frames are not spaced regularly or lie in different orientations: "
            f"resample the segmentation to the voxels of {like.name}"
        )
    names = {int(one.SegmentNumber): str(one.SegmentLabel).strip() for one in seg.SegmentSequence}
    axes, flips, offset = _exact(geometry, dataset, like, name)

    def fill(number: int) -> np.ndarray:
        try:
            volume = seg.get_volume(segment_numbers=[number])
        except (ValueError, AttributeError, RuntimeError) as err:
            raise MeasureError(f"{name}: its frames are truncated or cannot be read") from err
        found = np.moveaxis(volume.array[..., 0] > 0, range(3), axes)
        inside = np.zeros(like.values.shape, dtype=bool)
        places = np.argwhere(found) * flips + offset
        if ((places < 0) | (places >= inside.shape)).any():
            raise MeasureError(
                f"{name}: region {number} ({names[number]}) reaches beyond {like.name}, so that a "
                "part of it is not seen: cut it, or leave it out of the table"
            )
        inside[tuple(places.T)] = True
        return inside

    return names, fill


def _exact(geometry: Any, dataset: pydicom.Dataset, like: Image, name: str) -> _Turn:
    """Axes, flips and offset in voxels that bring the voxels of a SEG to those of the image."""
    to_like = np.linalg.inv(like.affine) @ LPS_TO_RAS @ _seg_affine(geometry, dataset)
    axes = np.abs(to_like[:3, :3]).argmax(axis=0)
    whole = np.eye(4)
    whole[:3, :3] = 0.0
    whole[axes, range(3)] = np.sign(to_like[axes, range(3)])
    whole[:3, 3] = np.round(to_like[:3, 3])
    corners = np.array(np.meshgrid(*([0, n - 1] for n in geometry.spatial_shape))).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    apart = np.abs(like.affine[:3] @ (to_like - whole) @ corners).max()
    wide = np.abs(like.affine[:3, :3] @ (to_like - whole)[:3, :3]).max()
    if len(set(axes)) < 3 or max(apart, wide) > _OFF_MM:
        sizes = " x ".join(f"{size:.4g}" for size in geometry.spacing)
        raise MeasureError(
            f"{name}: its voxels ({sizes} mm) are not voxels of {like.name}, up to {apart:.3g} mm "
            "apart: resample the segmentation to the image where it was made"
        )
    return axes, whole[:3, :3].sum(axis=1).astype(int), whole[:3, 3].astype(int)


def _seg_affine(geometry: Any, dataset: pydicom.Dataset) -> Floats:
    """Affine of (slice, row, column) in DICOM's axes."""
    affine = np.array(geometry.affine, dtype=np.float64)
    if geometry.spatial_shape[0] > 1:
        return affine
    # Of a single slice highdicom takes a thickness of 1 mm where no distance of slices is given.
    for groups in (
        dataset.SharedFunctionalGroupsSequence,
        dataset.PerFrameFunctionalGroupsSequence,
    ):
        for measures in groups[0].get("PixelMeasuresSequence") or []:
            size = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
            if size:
                affine[:3, 0] *= abs(float(size)) / geometry.spacing[0]
                return affine
    return affine
