"""Tiny DICOM files, whose headers a test can spoil."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

PET = "1.2.840.10008.5.1.4.1.1.128"
NM = "1.2.840.10008.5.1.4.1.1.20"
CT = "1.2.840.10008.5.1.4.1.1.2"
RTDOSE = "1.2.840.10008.5.1.4.1.1.481.2"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
SPACE = "1.2.3.4.5"
GA68_S = 67.71 * 60
AXIAL = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]

Spoil = Callable[[Dataset, int], None]


def base(kind: str, modality: str) -> Dataset:
    """Header that all have in common, of a patient whose name must never be seen."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = kind
    dataset.SOPClassUID = kind
    dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Modality = modality
    dataset.PatientName = "Secret^Name"
    dataset.PatientID = "SECRET-7"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "M"
    dataset.StudyInstanceUID = "1.2.3.1"
    dataset.SeriesInstanceUID = "1.2.3.2"
    dataset.StudyID = "1"
    dataset.StudyDate = "20240102"
    dataset.StudyTime = "095500"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.SeriesNumber = 1
    dataset.FrameOfReferenceUID = SPACE
    return dataset


def put_pixels(dataset: Dataset, stored: np.ndarray) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.BitsAllocated = dataset.BitsStored = 8 * stored.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    if stored.ndim == 3:
        dataset.NumberOfFrames = len(stored)
    dataset.PixelData = stored.tobytes()


def change(dataset: Dataset, values: Mapping[str, Any]) -> None:
    """Set attributes, or remove them where the value is None."""
    with pydicom.config.disable_value_validation():
        for keyword, value in values.items():
            if value is None:
                dataset.pop(keyword, None)
            else:
                setattr(dataset, keyword, value)


def save(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pydicom.config.disable_value_validation():
        dataset.save_as(path, enforce_file_format=True)
    return path


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def drug(half_life_s: float, meaning: str, dose: float, **values: Any) -> Dataset:
    item = Dataset()
    item.RadionuclideTotalDose = dose
    item.RadionuclideHalfLife = half_life_s
    item.RadionuclideCodeSequence = Sequence([code("C-131A3", "SRT", meaning)])
    change(item, values)
    return item


def mean_time_s(duration_s: float, half_life_s: float) -> float:
    """Time within a frame at which the count rate is its mean."""
    rate = np.log(2) / half_life_s
    return float(np.log(rate * duration_s / (1 - np.exp(-rate * duration_s))) / rate)


def pet_stored(slices: int = 4) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 30000, (slices, 5, 6)).astype(np.int16)


def pet_slopes(slices: int = 4) -> np.ndarray:
    return 0.5 + 0.25 * np.arange(slices)


def pet_series(
    folder: Path,
    stored: np.ndarray | None = None,
    *,
    header: Mapping[str, Any] = {},
    injection: Mapping[str, Any] = {},
    spoil: Spoil | None = None,
    spacing: tuple[float, float, float] = (4.0, 3.0, 5.0),
    origin: tuple[float, float, float] = (-20.0, -30.0, 100.0),
    orientation: list[float] = AXIAL,
) -> Path:
    """Two beds of 3 min at 11:00 and 11:03 after 150 MBq of 68Ga at 10:00.

    `spacing` is that of rows, columns and slices.
    """
    stored = pet_stored() if stored is None else stored
    normal = np.cross(orientation[:3], orientation[3:])
    for k, plane in enumerate(stored):
        dataset = base(PET, "PT")
        second = k >= len(stored) / 2
        since = 180.0 * second + mean_time_s(180.0, GA68_S)
        item = drug(
            GA68_S,
            "^68^Gallium",
            150e6,
            RadiopharmaceuticalStartTime="100000.00",
            RadiopharmaceuticalStartDateTime="20240102100000.00",
        )
        change(item, injection)
        change(
            dataset,
            {
                "SeriesDate": "20240102",
                "SeriesTime": "110000.00",
                "AcquisitionDate": "20240102",
                "AcquisitionTime": "110300.00" if second else "110000.00",
                "ActualFrameDuration": "180000",
                "FrameReferenceTime": f"{1000 * since:.3f}",
                "DecayFactor": f"{2 ** (since / GA68_S):.7f}",
                "DecayCorrection": "START",
                "Units": "BQML",
                "CorrectedImage": ["DECY", "ATTN", "SCAT", "RAN"],
                "SeriesType": ["WHOLE BODY", "IMAGE"],
                "ImageType": ["ORIGINAL", "PRIMARY"],
                "NumberOfSlices": len(stored),
                "PatientWeight": "80.0",
                "PatientSize": "1.75",
                "RadiopharmaceuticalInformationSequence": Sequence([item]),
                "ImageOrientationPatient": orientation,
                "ImagePositionPatient": list(np.array(origin) + k * spacing[2] * normal),
                "PixelSpacing": list(spacing[:2]),
                "SliceThickness": spacing[2],
                "InstanceNumber": k + 1,
                "RescaleSlope": float(pet_slopes(len(stored))[k]),
                "RescaleIntercept": 0.0,
            },
        )
        put_pixels(dataset, plane)
        change(dataset, header)
        if spoil is not None:
            spoil(dataset, k)
        # Names in another order than places.
        save(dataset, folder / f"{(7 * k + 3) % 101:03d}.dcm")
    return folder


def ct_series(folder: Path, *, header: Mapping[str, Any] = {}, spoil: Spoil | None = None) -> Path:
    stored = np.random.default_rng(4).integers(0, 2000, (4, 5, 6)).astype(np.int16)
    for k, plane in enumerate(stored):
        dataset = base(CT, "CT")
        change(
            dataset,
            {
                "ImageOrientationPatient": AXIAL,
                "ImagePositionPatient": [0.0, 0.0, 2.0 * k],
                "PixelSpacing": [1.0, 1.0],
                "RescaleSlope": 1.0,
                "RescaleIntercept": -1024.0,
                "RescaleType": "HU",
                "AcquisitionDate": "20240102",
                "AcquisitionTime": "105500",
            },
        )
        put_pixels(dataset, plane)
        change(dataset, header)
        if spoil is not None:
            spoil(dataset, k)
        save(dataset, folder / f"{k}.dcm")
    return folder


def spect_stored() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 3000, (4, 5, 6)).astype(np.uint16)


def world_map(units: str, slope: float, **values: Any) -> Dataset:
    item = Dataset()
    item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, 65535
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, 0.0
    item.LUTLabel, item.LUTExplanation = "Q", "Q"
    item.MeasurementUnitsCodeSequence = Sequence([code(units, "UCUM", units)])
    change(item, values)
    return item


def spect_file(
    path: Path,
    *,
    header: Mapping[str, Any] = {},
    injection: Mapping[str, Any] = {},
    rotation: Mapping[str, Any] = {},
) -> Path:
    """Four slices from the head down, after 7400 MBq of 177Lu the day before."""
    stored = spect_stored()
    dataset = base(NM, "NM")
    detector = Dataset()
    detector.ImagePositionPatient, detector.ImageOrientationPatient = [-10.0, -20.0, 300.0], AXIAL
    turn = Dataset()
    change(
        turn,
        {
            "ActualFrameDuration": "30000",
            "NumberOfFramesInRotation": 60,
            "ScanArc": "180",
            "AngularStep": "3",
        }
        | rotation,
    )
    item = drug(
        574300.0,
        "^177^Lutetium",
        7400.0,
        RadiopharmaceuticalStartDateTime="20240101100000",
        RadiopharmaceuticalStartTime="100000",
    )
    change(item, injection)
    change(
        dataset,
        {
            "ImageType": ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"],
            "AcquisitionDate": "20240102",
            "AcquisitionTime": "100000",
            "DetectorInformationSequence": Sequence([detector]),
            "RotationInformationSequence": Sequence([turn]),
            "RadiopharmaceuticalInformationSequence": Sequence([item]),
            "PixelSpacing": [4.0, 4.0],
            "SpacingBetweenSlices": -5.0,
            "SliceThickness": 5.0,
            "NumberOfSlices": 4,
            "FrameIncrementPointer": 0x00540080,
            "SliceVector": [1, 2, 3, 4],
        },
    )
    put_pixels(dataset, stored)
    change(dataset, header)
    return save(dataset, path)


def spect_slices(
    folder: Path, *, header: Mapping[str, Any] = {}, spoil: Spoil | None = None
) -> Path:
    """The slices of `spect_file`, each in a file of its own."""
    whole = spect_file(folder.with_suffix(".dcm"), header=header)
    for k, plane in enumerate(spect_stored()):
        dataset = read(whole)
        change(
            dataset,
            {
                "SliceVector": None,
                "NumberOfFrames": None,
                "FrameIncrementPointer": None,
                "SOPInstanceUID": f"1.2.{k}",
            },
        )
        dataset.DetectorInformationSequence[0].ImagePositionPatient = [-10, -20, 300 - 5 * k]
        put_pixels(dataset, plane)
        if spoil is not None:
            spoil(dataset, k)
        save(dataset, folder / f"{k}.dcm")
    return folder


def dose_file(path: Path, *, header: Mapping[str, Any] = {}) -> Path:
    stored = np.random.default_rng(6).integers(0, 60000, (4, 5, 6)).astype(np.uint32)
    dataset = base(RTDOSE, "RTDOSE")
    put_pixels(dataset, stored)
    change(
        dataset,
        {
            "DoseUnits": "GY",
            "DoseType": "PHYSICAL",
            "DoseSummationType": "PLAN",
            "DoseGridScaling": "0.0005",
            "GridFrameOffsetVector": [0.0, 3.0, 6.0, 9.0],
            "FrameIncrementPointer": 0x3004000C,
            "ImageOrientationPatient": AXIAL,
            "ImagePositionPatient": [-5.0, 6.0, 50.0],
            "PixelSpacing": [2.0, 2.5],
        }
        | dict(header),
    )
    return save(dataset, path)


def outline(points: np.ndarray, kind: str = "CLOSED_PLANAR") -> Dataset:
    """One outline of points in DICOM's axes (left, back, up)."""
    item = Dataset()
    item.ContourGeometricType = kind
    item.NumberOfContourPoints = len(points)
    item.ContourData = [f"{value:.4f}" for value in np.asarray(points, float).reshape(-1)]
    return item


def structures(
    path: Path, regions: Mapping[tuple[int, str], list[Dataset]], *, space: str = SPACE
) -> Path:
    dataset = base(RTSTRUCT, "RTSTRUCT")
    dataset.StructureSetLabel = "test"
    dataset.StructureSetROISequence = Sequence()
    dataset.ROIContourSequence = Sequence()
    dataset.RTROIObservationsSequence = Sequence()
    frame = Dataset()
    frame.FrameOfReferenceUID = space
    dataset.ReferencedFrameOfReferenceSequence = Sequence([frame])
    for (number, name), outlines in regions.items():
        roi, contour = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, space
        roi.ROIGenerationAlgorithm = ""
        contour.ReferencedROINumber = number
        contour.ContourSequence = Sequence(outlines)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(contour)
    dataset.SeriesInstanceUID = "1.2.3.9"
    return save(dataset, path)


def read(path: Path) -> Dataset:
    return pydicom.dcmread(path)
