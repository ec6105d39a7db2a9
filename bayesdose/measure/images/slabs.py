"""From outlines, each of which stands for a slab, to voxels."""

from dataclasses import dataclass

import numpy as np

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats
from bayesdose.measure.images.image import Image
from bayesdose.measure.images.region_space import OFF_MM

#: Voxel numbers are rounded to so many digits, so that outlines along centres of voxels are met
#: the same way whatever the rounding of the affine.
DIGITS = 6
#: Distance, mm, within which a slice at the edge of two slabs goes to the upper one.
_TIE_MM = 0.01
#: Distances, mm, that planes of outlines next to each other have: those of slices.
_SLICES_MM = (0.4, 10.0)


@dataclass(frozen=True)
class Drawn:
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
        """Distance of planes next to each other; gaps of a region in parts do not count.

        Returns
        -------
        float or None, mm
            None of a single plane.
        """
        if len(self.planes_mm) < 2:
            return None
        gaps = np.diff(self.planes_mm)
        return float(np.median(gaps[gaps < 1.5 * gaps.min()]))


def thickness_mm(drawn: Drawn, usual: float | None, like: Image, what: str) -> float:
    """Thickness of the slab that an outline stands for.

    Parameters
    ----------
    drawn : Drawn
        Outlines of the region.
    usual : float or None, mm
        Smallest distance of planes within a region of the file.
    like : Image
        Whose slices give the thickness where nothing else does.
    what : str
        Of file and region, for messages.

    Returns
    -------
    float, mm

    Raises
    ------
    MeasureError
        When planes are not as far apart as slices are, or farther than others in the file.
    """
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


def inside_slabs(drawn: Drawn, thickness: float, like: Image, what: str) -> np.ndarray:
    """Voxels whose centres lie in the slabs of outlines.

    Parameters
    ----------
    drawn : Drawn
        Outlines of the region.
    thickness : float, mm
        Of a slab.
    like : Image
        Whose voxels are wanted.
    what : str
        Of file and region, for messages.

    Returns
    -------
    ndarray of bool
        Of the shape of the image.

    Raises
    ------
    MeasureError
        When an outline reaches beyond the image.
    """
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


def _check_within(drawn: Drawn, like: Image, what: str) -> None:
    points = np.concatenate(drawn.outlines)
    beyond = np.maximum(-0.5 - points, points - (np.array(like.values.shape) - 0.5))
    farthest = (beyond * like.spacing_mm).max()
    if farthest > OFF_MM:
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
                crossed = np.round(start[1] + (rows - start[0]) * slope, DIGITS)
                turns[rows, np.clip(np.ceil(crossed).astype(int), 0, shape[1])] += 1
    return np.cumsum(turns, axis=1)[:, :-1] % 2 == 1
