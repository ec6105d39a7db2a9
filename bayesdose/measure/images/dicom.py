"""Images from DICOM files: a series of slices, or one file of many frames."""

import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.errors import InvalidDicomError

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats
from bayesdose.measure.images.headers import (
    MODALITIES,
    Headers,
    RealWorldMap,
    real_world_map,
    scan_of,
    stated_number,
    units_of,
)
from bayesdose.measure.images.image import Image, placed

#: From DICOM's axes (left, back, up) to those of NIfTI (right, forward, up).
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
#: Largest distance, mm, of a slice from where its neighbours put it, as `check_same_geometry` has.
_OFF_MM = 0.1
_DIRECTION = 1e-3
#: Names of modalities in messages.
_READ = "PET, SPECT (NM), CT and RTDOSE"
#: Third value of ImageType of NM images that are no reconstructed volume.
_NOT_RECONSTRUCTED = {"STATIC", "DYNAMIC", "GATED", "WHOLE BODY", "TOMO", "GATED TOMO"}


def read_dicom(path: Path) -> Image:
    """Read a series of slices, or a file of many frames.

    Parameters
    ----------
    path : Path
        Folder with the files of one series, a DICOMDIR aside; or one file of many frames. PET, CT
        and SPECT (NM) as images of one slice each, SPECT and RTDOSE as files of many frames.

    Returns
    -------
    Image
        Of float32, scaled as the files say: PET in Bq/mL or SUV, CT in HU, RTDOSE in Gy. SPECT in
        Bq/mL where it is quantitative; where the header calls it counts and tells the duration,
        divided by it (cps); otherwise as the file has it, with ``scan.units`` None.

    Raises
    ------
    MeasureError
        When a file cannot be read or is of another kind, there are several series, slices do not
        make a regular grid, or the header contradicts itself or leaves open what voxels mean.
    """
    with pydicom.config.disable_value_validation():
        files = _files(path)
        headers = Headers(_one_series([read_header(one) for one in files], path), path.name)
        scan = scan_of(headers)
        planes = _planes(headers, files)
        order, affine = _grid(planes, headers)
        _, factor = units_of(headers)
        values = _voxels(headers, files, order, factor)
    return placed(values, LPS_TO_RAS @ affine, path.name, scan)


def read_header(path: Path, *, pixels: bool = False) -> pydicom.Dataset:
    """Read a DICOM file without its pixels, or with them.

    Parameters
    ----------
    path : Path
        File.
    pixels : bool
        Whether pixels are wanted too.

    Returns
    -------
    pydicom.Dataset

    Raises
    ------
    MeasureError
        When it is no DICOM file, or is truncated.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*nd of file")
            dataset = pydicom.dcmread(path, stop_before_pixels=not pixels)
    except InvalidDicomError as err:
        raise MeasureError(
            f"{path.name}: is no DICOM file: give a folder with the files of one series alone"
        ) from err
    except (OSError, EOFError, UserWarning, ValueError, KeyError, struct.error) as err:
        raise MeasureError(f"{path.name}: cannot be read as DICOM, or is truncated") from err
    image = "Rows" in dataset or dataset.get("Modality") == "RTSTRUCT"
    if _is_cut(dataset) or "SOPClassUID" not in dataset or not image:
        raise MeasureError(f"{path.name}: is truncated, or holds neither an image nor regions")
    return dataset


def _is_cut(dataset: pydicom.Dataset) -> bool:
    """Whether a value is shorter than the file says, which pydicom passes over."""
    for tag in dataset.keys():
        raw = dataset.get_item(tag)
        if isinstance(raw, RawDataElement) and raw.value is not None:
            # Values of undefined length have the largest number for it.
            if len(raw.value) < raw.length < 0xFFFFFFFF:
                return True
    return False


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    # what file managers leave in folders is no file of the series
    aside = ("DICOMDIR", "Thumbs.db", "desktop.ini")
    inside = sorted(
        one for one in path.iterdir() if one.name not in aside and not one.name.startswith(".")
    )
    folders = [one for one in inside if one.is_dir()]
    if folders:
        raise MeasureError(
            f"{path.name}: holds folders, such as {folders[0].name}: give the folder of one series"
        )
    if not inside:
        raise MeasureError(f"{path.name}: is an empty folder: give that of one series")
    return inside


def _one_series(datasets: list[pydicom.Dataset], path: Path) -> list[pydicom.Dataset]:
    """Refuse other than one series of a kind that is read."""
    series = {(one.get("SeriesInstanceUID"), one.SOPClassUID): one for one in datasets}
    if len(series) > 1:
        kinds = sorted(_kind(one) for one in series.values())
        raise MeasureError(
            f"{path.name}: holds {len(series)} series ({', '.join(kinds)}): give a folder with the "
            "files of one"
        )
    first = datasets[0]
    if first.SOPClassUID not in MODALITIES:
        raise MeasureError(
            f"{path.name}: is of the kind {_kind(first)}; read are {_READ}: export it as one of "
            "these, or convert it to NIfTI"
        )
    if len(datasets) > 1 and any(int(one.get("NumberOfFrames") or 1) > 1 for one in datasets):
        raise MeasureError(
            f"{path.name}: holds {len(datasets)} files of which some have many frames: give one"
        )
    return datasets


def _kind(dataset: pydicom.Dataset) -> str:
    uid = pydicom.uid.UID(dataset.SOPClassUID)
    return MODALITIES.get(uid) or f"{dataset.get('Modality', '?')}, {uid.name}"


@dataclass(frozen=True)
class _Planes:
    """Where slices lie: centres of their first voxels in mm, and unit vectors."""

    positions: Floats
    along_row: Floats
    along_column: Floats
    names: list[str]

    @property
    def normal(self) -> Floats:
        return np.cross(self.along_row, self.along_column)


def _planes(headers: Headers, files: list[Path]) -> _Planes:
    first = headers.datasets[0]
    count = int(first.get("NumberOfFrames") or 1)
    _check_frames(headers, count)
    placements = [_placement(one, headers) for one in headers.datasets]
    positions = np.array([position for position, _ in placements])
    directions = np.array([direction for _, direction in placements])
    apart = np.abs(directions - directions[0]).max(axis=1)
    if apart.max() > _DIRECTION:
        raise headers.refused(
            f"{files[0].name} and {files[int(apart.argmax())].name} are slices of different "
            "ImageOrientationPatient: give the files of one volume"
        )
    row, column = directions[0][:3], directions[0][3:]
    dots = np.array([row @ row - 1.0, column @ column - 1.0, row @ column])
    if np.abs(dots).max() > _DIRECTION:
        raise headers.refused(
            f"ImageOrientationPatient {directions[0].tolist()} holds no two perpendicular unit "
            "vectors"
        )
    names = [one.name for one in files]
    planes = _Planes(positions, row, column, names)
    if len(files) == 1 and count > 1:
        offsets = _frame_offsets(headers, count, planes)
        frames = [f"frame {k + 1}" for k in range(count)]
        return _Planes(positions + offsets[:, None] * planes.normal, row, column, frames)
    return planes


def _check_frames(headers: Headers, count: int) -> None:
    kind = headers.datasets[0].get("ImageType") or []
    third = str(kind[2]) if len(kind) > 2 else ""
    if headers.modality == "NM" and (third in _NOT_RECONSTRUCTED or "TRANSMISSION" in kind):
        raise headers.refused(
            f"ImageType is {'/'.join(kind)}; allowed is a reconstructed emission (RECON TOMO): "
            "give the reconstructed images, not projections or planar ones"
        )
    if headers.modality == "NM" and third == "RECON GATED TOMO":
        raise headers.refused("is a gated SPECT of several volumes: export their sum")
    slices = count * len(headers.datasets)
    stated = int(headers.one("NumberOfSlices") or 0) if headers.modality in ("PT", "NM") else 0
    if slices < stated:
        raise headers.refused(
            f"{stated - slices} of {stated} slices (NumberOfSlices) are missing: give the folder "
            "with all files of the series"
        )
    if slices == 1:
        raise headers.refused("holds one slice: give the folder with all files of the series")


def _placement(dataset: pydicom.Dataset, headers: Headers) -> tuple[Floats, Floats]:
    """Position and directions of the first slice of a file, which NM keeps with the detector."""
    places = [dataset, *(dataset.get("DetectorInformationSequence") or [])]
    return (
        _only(places, "ImagePositionPatient", 3, headers),
        _only(places, "ImageOrientationPatient", 6, headers),
    )


def _only(places: list[pydicom.Dataset], keyword: str, size: int, headers: Headers) -> Floats:
    found = {tuple(map(float, one.get(keyword))) for one in places if one.get(keyword)}
    if len(found) != 1 or len(next(iter(found))) != size:
        raise headers.refused(
            f"has {len(found) or 'no'} {keyword} of {size} numbers a file; one is needed to place "
            "its voxels: export it again with it, or convert it to NIfTI"
        )
    return np.array(found.pop())


def _frame_offsets(headers: Headers, count: int, planes: _Planes) -> Floats:
    """Distances of frames from the first slice along the normal, in mm."""
    if headers.modality == "RTDOSE":
        return _dose_offsets(headers, count, planes)
    if headers.modality != "NM":
        raise headers.refused(f"has {count} frames, and its kind of file holds one")
    spacing = headers.one("SpacingBetweenSlices")
    if not spacing:
        raise headers.refused(
            "lacks SpacingBetweenSlices, so that neither the distance of slices nor their order "
            "is known: export again with it, or convert to NIfTI"
        )
    numbers = headers.one("SliceVector")
    if numbers is None or sorted(np.atleast_1d(numbers)) != list(range(1, count + 1)):
        raise headers.refused(
            f"SliceVector does not number its {count} frames as slices 1 to {count} of one volume: "
            "export one energy window, one bed and no gates"
        )
    # By the standard a negative distance goes against the normal (row by column).
    return (np.asarray(numbers) - 1.0) * spacing


def _dose_offsets(headers: Headers, count: int, planes: _Planes) -> Floats:
    offsets = headers.one("GridFrameOffsetVector")
    if offsets is None or len(np.atleast_1d(offsets)) != count:
        raise headers.refused(f"GridFrameOffsetVector does not give the places of {count} frames")
    found = np.asarray(offsets)
    if found[0] == 0:
        return found
    height = planes.positions[0][2]
    if abs(found[0] - height) > _OFF_MM or abs(abs(planes.normal[2]) - 1.0) > _DIRECTION:
        raise headers.refused(
            f"GridFrameOffsetVector begins with {found[0]:g}; allowed are 0 and, in transverse "
            f"planes, the height of the first ({height:g} mm)"
        )
    return (found - found[0]) * np.sign(planes.normal[2])


def _grid(planes: _Planes, headers: Headers) -> tuple[np.ndarray, Floats]:
    """Order of slices along the normal, and affine of (slice, row, column) in DICOM's axes."""
    heights = planes.positions @ planes.normal
    order = np.argsort(heights, kind="stable")
    _check_gaps(heights[order], [planes.names[i] for i in order], headers)
    positions = planes.positions[order]
    step = (heights[order[-1]] - heights[order[0]]) / (len(order) - 1)
    lines = positions[0] + np.arange(len(order))[:, None] * step * planes.normal
    aside = np.abs((positions - lines) @ np.array([planes.along_row, planes.along_column]).T)
    if aside.max() > _OFF_MM:
        raise headers.refused(
            f"its slices are shifted in their plane by up to {aside.max():.3g} mm, as with a "
            "tilted gantry: resample it to a grid that is not sheared"
        )
    sizes = headers.one("PixelSpacing")
    if sizes is None or len(sizes) != 2 or min(sizes) <= 0:
        raise headers.refused(f"PixelSpacing is {sizes}; allowed are two sizes in mm above 0")
    affine = np.eye(4)
    # The first of PixelSpacing is the distance of rows.
    affine[:3, 0] = planes.normal * step
    affine[:3, 1] = planes.along_column * sizes[0]
    affine[:3, 2] = planes.along_row * sizes[1]
    affine[:3, 3] = positions[0]
    return order, affine


def _check_gaps(heights: Floats, names: list[str], headers: Headers) -> None:
    gaps = np.diff(heights)
    closest = int(gaps.argmin())
    if gaps[closest] < _OFF_MM / 2:
        raise headers.refused(
            f"{names[closest]} and {names[closest + 1]} lie at the same place "
            f"({heights[closest]:g} mm along the normal): give one volume, not a dynamic or gated "
            "series, and each slice once"
        )
    even = np.linspace(heights[0], heights[-1], len(heights))
    if np.abs(heights - even).max() > _OFF_MM:
        usual = float(np.median(gaps))
        odd = int(np.abs(gaps - usual).argmax())
        raise headers.refused(
            f"a slice is missing or spacing is irregular: {names[odd]} and {names[odd + 1]} lie "
            f"{gaps[odd]:.4g} mm apart ({heights[odd]:g} and {heights[odd + 1]:g} mm along the "
            f"normal), others {usual:.4g} mm: give all slices, or resample"
        )


def _voxels(headers: Headers, files: list[Path], order: np.ndarray, factor: float) -> np.ndarray:
    shape = (len(order), int(headers.one("Rows")), int(headers.one("Columns")))
    values = np.empty(shape, dtype=np.float32)
    if len(files) == 1:
        stored = _stored(files[0])
        if stored.shape != shape:
            raise MeasureError(
                f"{files[0].name}: its pixels have the shape {stored.shape}; {shape} is expected"
            )
        line = _line(headers, 0, files[0].name)
        for place, frame in enumerate(order):
            values[place] = line(stored[frame]) * factor
        return values
    for place, number in enumerate(order):
        line = _line(headers, int(number), files[number].name)
        values[place] = line(_stored(files[number])) * factor
    return values


def _stored(path: Path) -> np.ndarray:
    dataset = read_header(path, pixels=True)
    try:
        return dataset.pixel_array
    except (ValueError, AttributeError, EOFError) as err:
        raise MeasureError(f"{path.name}: its pixels are truncated or cannot be read") from err
    except (RuntimeError, NotImplementedError) as err:
        syntax = dataset.file_meta.TransferSyntaxUID.name
        raise MeasureError(
            f"{path.name}: its pixels are compressed ({syntax}): export it without compression, or "
            "install a decoder for pydicom"
        ) from err


def _line(headers: Headers, number: int, name: str) -> Callable[[np.ndarray], Floats]:
    """How stored numbers of a file become quantities."""
    dataset = headers.datasets[number]
    slope = stated_number(dataset, "RescaleSlope", headers)
    intercept = stated_number(dataset, "RescaleIntercept", headers)
    if headers.modality == "RTDOSE":
        slope, intercept = headers.number("DoseGridScaling"), 0.0
    elif headers.modality == "NM":
        mapped = real_world_map(dataset, Headers([dataset], name))
        # NM files have a scale of their own only by way of exception.
        slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
        if mapped is not None:
            return lambda stored: _mapped(stored, mapped, name)
    if slope is None or intercept is None:
        raise headers.refused(
            "lacks RescaleSlope, RescaleIntercept or DoseGridScaling, without which its numbers "
            "mean nothing: export again with them"
        )
    return lambda stored: stored.astype(np.float64) * slope + intercept


def _mapped(stored: np.ndarray, mapped: RealWorldMap, name: str) -> Floats:
    """Quantities of stored numbers, all of which must be ones that the map is meant for."""
    least, largest = stored.min(), stored.max()
    if least < mapped.first or largest > mapped.last:
        raise MeasureError(
            f"{name}: holds stored numbers from {least:g} to {largest:g}; "
            f"RealWorldValueMappingSequence allows {mapped.first:g} to {mapped.last:g}, beyond "
            "which they are no quantity: export the image again without clipping or marks in it"
        )
    return stored.astype(np.float64) * mapped.slope + mapped.intercept
