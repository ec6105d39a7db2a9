"""Pictures of a volume: slices and projections, with the regions' pixels in them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import ndimage

from bayesdose.errors import ConfigError, MeasureError
from bayesdose.measure import Image, Regions
from bayesdose.measure.images import check_same_geometry

#: Planes → the axis that looks through them, and the one that points up in the picture.
PLANES = {"coronal": (1, 2), "axial": (2, 1)}


@dataclass(frozen=True)
class View:
    """One picture of an image.

    Parameters
    ----------
    site : str or None
        Region that the slice goes through; None for a projection.
    plane : str
        ``"coronal"`` or ``"axial"``.
    number : int or None
        Slice, counted from 0.
    position_mm : float, mm
        Place of the slice along the axis through it; NaN for a projection.
    pixels : ndarray of shape (n_right, n_up)
        Values; the first axis runs to the patient's right.
    shown : dict of str to ndarray of bool of shape (n_right, n_up)
        Pixels of the regions, by site_id.
    edges_mm : ndarray of shape (4,), mm
        Outer edges of the picture: left and right of the patient, bottom, top.
    """

    site: str | None
    plane: str
    number: int | None
    position_mm: float
    pixels: np.ndarray
    shown: dict[str, np.ndarray]
    edges_mm: np.ndarray


def make_views(
    image: Image,
    regions: Regions,
    sites: Sequence[str] | None,
    planes: Sequence[str],
    field_mm: float | None,
) -> list[View]:
    """Look at an image: in projection, or in slices through regions.

    Parameters
    ----------
    image : Image
        Axes right, forward and up.
    regions : Regions
        In the same geometry.
    sites : sequence of str or None
        Regions that slices go through, each where it is largest; None projects the image.
    planes : sequence of str
        Of `PLANES`.
    field_mm : float or None, mm
        Side of the square that is cut out of slices; None shows them whole.

    Returns
    -------
    list of View
        By site, then by plane.

    Raises
    ------
    ConfigError
        When image and regions do not fit each other, their axes are others, a name is unknown, or
        the square has no size.
    """
    _check_volumes(image, regions)
    planes = _chosen(planes, "planes", list(PLANES))
    boxes = _boxes(regions)
    if sites is None and field_mm is not None:
        raise ConfigError("field_mm cuts a square about a region out of its slice: give sites too")
    if field_mm is not None and not (np.isfinite(field_mm) and field_mm > 0):
        raise ConfigError(f"field_mm: got {field_mm:g} mm; allowed are finite numbers above 0")
    if sites is None:
        return [_projection(image, regions, boxes, plane) for plane in planes]
    chosen = _chosen(sites, "sites", list(boxes))
    slices = [_slice(image, regions, boxes, site, plane) for site in chosen for plane in planes]
    return slices if field_mm is None else [_cut(view, field_mm) for view in slices]


def _check_volumes(image: Image, regions: Regions) -> None:
    for value, kind, name in ((image, Image, "image"), (regions, Regions, "regions")):
        if not isinstance(value, kind):
            raise ConfigError(f"{name}: got {type(value).__name__}; give a measure.{kind.__name__}")
    if np.ndim(image.values) != 3:
        raise ConfigError(f"{image.name} has {np.ndim(image.values)} dimensions; give a volume")
    try:
        check_same_geometry(image, regions.image)
    except MeasureError as err:
        raise ConfigError(str(err)) from err
    axes = image.affine[:3, :3] / image.spacing_mm
    if (np.abs(axes).argmax(0) != np.arange(3)).any() or (np.diag(axes) <= 0).any():
        raise ConfigError(
            f"{image.name}: its axes do not run right, forward and up, so that left and right "
            "could be mistaken; measure.read_image puts them into that order"
        )


def _chosen(given: Sequence[str], name: str, allowed: list[str]) -> list[str]:
    chosen = [given] if isinstance(given, str) else [str(one) for one in given]
    for one in chosen:
        if one not in allowed:
            raise ConfigError(f"{name}: got {one!r}; allowed are {', '.join(allowed)}")
    if not chosen or len(set(chosen)) < len(chosen):
        raise ConfigError(f"{name}: got {chosen}; give one or more, each once")
    return chosen


def _boxes(regions: Regions) -> dict[str, tuple[int, tuple[slice, ...]]]:
    """Label and box of every region, by site_id."""
    values = np.asarray(regions.image.values).astype(np.int32, copy=False)
    places: list[tuple[slice, ...] | None] = ndimage.find_objects(values)
    found: dict[str, tuple[int, tuple[slice, ...]]] = {}
    for row in regions.labels.to_dict("records"):
        label, site = int(row["label"]), str(row["site_id"])
        box = places[label - 1] if 1 <= label <= len(places) else None
        if box is None:
            raise ConfigError(f"{regions.image.name}: label {label} ({site}) has no voxel")
        if site in found:
            raise ConfigError(f"regions: two labels have the site_id {site!r}; make them one")
        found[site] = label, box
    if not found:
        raise ConfigError("regions: the table of labels has no row: nothing to outline")
    return found


def _projection(
    image: Image, regions: Regions, boxes: dict[str, tuple[int, tuple[slice, ...]]], plane: str
) -> View:
    through, up = PLANES[plane]
    # a voxel without a value must not blank the whole line of sight
    pixels = np.fmax.reduce(np.asarray(image.values), axis=through)
    shown = {}
    for site, (label, box) in boxes.items():
        mask = np.zeros(pixels.shape, bool)
        inside = np.asarray(regions.image.values[box]) == label
        mask[box[0], box[up]] = inside.any(axis=through)
        shown[site] = mask
    return View(None, plane, None, float("nan"), pixels, shown, _edges(image, up))


def _slice(
    image: Image,
    regions: Regions,
    boxes: dict[str, tuple[int, tuple[slice, ...]]],
    site: str,
    plane: str,
) -> View:
    through, up = PLANES[plane]
    label, box = boxes[site]
    inside = np.asarray(regions.image.values[box]) == label
    area = inside.sum(axis=(0, up))
    # the middle one where slices are equally large
    largest = np.flatnonzero(area == area.max())
    number = box[through].start + int(largest[(len(largest) - 1) // 2])
    outlined = np.asarray(regions.image.values).take(number, axis=through)
    masks = {name: outlined == other for name, (other, _) in boxes.items()}
    return View(
        site,
        plane,
        number,
        float(_places(image, through)[number]),
        np.asarray(image.values).take(number, axis=through),
        {name: mask for name, mask in masks.items() if mask.any()},
        _edges(image, up),
    )


def _cut(view: View, field_mm: float) -> View:
    inside = np.nonzero(view.shown[str(view.site)])
    parts, edges = [], []
    for axis, ends in enumerate((view.edges_mm[:2], view.edges_mm[2:])):
        n = view.pixels.shape[axis]
        size = (ends[1] - ends[0]) / n
        first, last = inside[axis].min(), inside[axis].max()
        half, middle = field_mm / size / 2, (first + last + 1) / 2
        # the region is shown whole, with a pixel about it
        start = max(min(int(np.floor(middle - half)), first - 1), 0)
        stop = min(max(int(np.ceil(middle + half)), last + 2), n)
        parts.append(slice(start, stop))
        edges += [ends[0] + start * size, ends[0] + stop * size]
    cut = tuple(parts)
    shown = {site: mask[cut] for site, mask in view.shown.items() if mask[cut].any()}
    return replace(view, pixels=view.pixels[cut], shown=shown, edges_mm=np.array(edges))


def _edges(image: Image, up: int) -> np.ndarray:
    ends = []
    for axis in (0, up):
        places, half = _places(image, axis), image.spacing_mm[axis] / 2
        ends += [places[0] - half, places[-1] + half]
    return np.array(ends)


def _places(image: Image, axis: int) -> np.ndarray:
    """Places of the voxels along an axis, on the line through the middle of the image."""
    n = np.array(image.values.shape)
    middle = image.affine @ np.append((n - 1) / 2, 1.0)
    steps = np.arange(n[axis]) - (n[axis] - 1) / 2
    places: np.ndarray = middle[axis] + steps * image.spacing_mm[axis]
    return places


def contour_table(image: Image, regions: Regions, views: list[View]) -> pd.DataFrame:
    """A row a region shown in a view.

    Parameters
    ----------
    image : Image
    regions : Regions
    views : list of View

    Returns
    -------
    pandas.DataFrame
        As of `slices_data`.
    """
    tissues = {
        str(site): str(tissue)
        for site, tissue in zip(regions.labels["site_id"], regions.labels["tissue"], strict=True)
    }
    rows = []
    for view in views:
        pixel_mm2 = image.spacing_mm[0] * image.spacing_mm[PLANES[view.plane][1]]
        for site, mask in view.shown.items():
            inside = view.pixels[mask]
            rows.append(
                {
                    "through": view.site,
                    "plane": view.plane,
                    "slice": view.number,
                    "position_mm": view.position_mm,
                    "site_id": site,
                    "tissue": tissues[site],
                    "area_mm2": float(mask.sum() * pixel_mm2),
                    "mean": float(inside.mean()),
                    "max": float(inside.max()),
                }
            )
    return pd.DataFrame(rows).astype({"slice": "Int64", "through": "object"})
