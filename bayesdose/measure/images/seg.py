"""Regions of DICOM SEG files, which are voxels."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats
from bayesdose.measure.images.dicom import LPS_TO_RAS
from bayesdose.measure.images.image import Image
from bayesdose.measure.images.region_space import OFF_MM, Fill, check_space

#: Axes, flips and offset from the voxels of a SEG to those of the image.
_Turn = tuple[np.ndarray, np.ndarray, np.ndarray]


def segmented(path: Path, dataset: pydicom.Dataset, like: Image) -> tuple[dict[int, str], Fill]:
    """Names of the segments of a SEG by number, and what gives their voxels.

    Parameters
    ----------
    path : Path
        Of the file, for messages.
    dataset : pydicom.Dataset
        SEG with its pixels.
    like : Image
        Image on whose voxels the regions are wanted.

    Returns
    -------
    names : dict of int to str
        Of all segments in the file.
    fill : callable
        Voxels of a segment by its number, ndarray of bool of the shape of the image; raises
        MeasureError when frames are truncated or the segment reaches beyond the image.

    Raises
    ------
    MeasureError
        When the type is not BINARY, the space is another, the file cannot be read as SEG, its
        frames are not regular, or its voxels are not those of the image.
    """
    import highdicom

    name = path.name
    if dataset.get("SegmentationType") != "BINARY":
        raise MeasureError(
            f"{name}: holds a segmentation of the type {dataset.get('SegmentationType')}; allowed "
            "is BINARY: choose a threshold where it was made and export it as BINARY"
        )
    check_space(dataset.get("FrameOfReferenceUID"), like, name)
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
    if len(set(axes)) < 3 or max(apart, wide) > OFF_MM:
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
