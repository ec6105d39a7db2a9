"""Images from DICOM files, with truth from their stored numbers and other readers."""

import hashlib
import importlib.util
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from bayesdose import measure
from bayesdose.errors import MeasureError
from bayesdose.measure.images import Image

encapsulate = pytest.importorskip("pydicom.encaps").encapsulate
pytest.importorskip("nibabel")
highdicom = pytest.importorskip("highdicom")


def _load():
    path = Path(__file__).with_name("dicom_files.py")
    spec = importlib.util.spec_from_file_location("dicom_files", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


files = _load()
LU177_S = 159.528 * 3600


def truth(found: Image) -> np.ndarray:
    """Voxels of `pet_series` in the order right, forward, up."""
    values = files.pet_stored(4) * files.pet_slopes(4)[:, None, None]
    return values.transpose(2, 1, 0)[::-1, ::-1, :]


# ---------------------------------------------------------------- voxels and places


def test_pet_series(tmp_path):
    found = measure.read_image(files.pet_series(tmp_path / "pet"))
    np.testing.assert_allclose(found.values, truth(found), rtol=1e-6)
    assert found.values.dtype == np.float32
    # x of the first column is -20 to the left: 20 to the right, and columns run left.
    np.testing.assert_allclose(
        found.affine, [[3, 0, 0, 5], [0, 4, 0, 14], [0, 0, 5, 100], [0, 0, 0, 1]]
    )
    assert found.name == "pet"
    scan = found.scan
    assert (scan.modality, scan.units, scan.decay_corrected_to) == ("PT", "Bq/mL", "scan_start")
    assert scan.started == datetime(2024, 1, 2, 11)
    assert scan.injected_at == datetime(2024, 1, 2, 10)
    assert scan.injected_mbq == pytest.approx(150)
    assert (scan.weight_kg, scan.height_cm) == (80, 175)
    assert scan.radionuclide == "Ga68"
    assert scan.duration_s == 360
    assert scan.frame_of_reference == files.SPACE
    assert scan.patient == "P-" + hashlib.sha256(b"SECRET-7").hexdigest()[:12]


@pytest.mark.parametrize(
    "orientation",
    [
        files.AXIAL,
        [-1, 0, 0, 0, -1, 0],
        [1, 0, 0, 0, -1, 0],
        [0, 1, 0, 0, 0, -1],
        [1, 0, 0, 0, 0, -1],
        [np.cos(0.3), np.sin(0.3), 0, -np.sin(0.3), np.cos(0.3), 0],
    ],
)
def test_places_are_those_of_highdicom(tmp_path, orientation):
    """Every voxel lies where highdicom puts it."""
    folder = files.pet_series(tmp_path / "pet", orientation=list(map(float, orientation)))
    found = measure.read_image(folder)
    volume = highdicom.get_volume_from_series([files.read(p) for p in sorted(folder.iterdir())])
    theirs = np.argwhere(np.ones(volume.shape))
    places = np.diag([-1, -1, 1]) @ (
        volume.affine[:3, :3] @ theirs.T + volume.affine[:3, 3][:, None]
    )
    back = np.linalg.inv(found.affine)
    mine = np.round(back[:3, :3] @ places + back[:3, 3][:, None]).astype(int)
    np.testing.assert_allclose(found.values[tuple(mine)], volume.array.reshape(-1), rtol=1e-6)
    assert len(set(map(tuple, mine.T))) == found.values.size


def test_ct_series(tmp_path):
    found = measure.read_image(files.ct_series(tmp_path / "ct"))
    assert (found.scan.modality, found.scan.units) == ("CT", "HU")
    assert found.values.min() >= -1024
    assert found.spacing_mm == pytest.approx([1, 1, 2])
    assert found.scan.started == datetime(2024, 1, 2, 10, 55)


def test_spect_from_the_head_down(tmp_path):
    found = measure.read_image(files.spect_file(tmp_path / "spect.dcm"))
    expected = files.spect_stored()[::-1].transpose(2, 1, 0)[::-1, ::-1, :]
    np.testing.assert_array_equal(found.values, expected)
    assert found.affine[2, 3] == pytest.approx(300 - 3 * 5)
    scan = found.scan
    assert (scan.units, scan.duration_s, scan.decay_corrected_to) == (None, 1800, None)
    assert (scan.radionuclide, scan.injected_mbq) == ("Lu177", 7400)
    assert scan.injected_at == datetime(2024, 1, 1, 10)


def test_spect_slices_in_another_order(tmp_path):
    usual = measure.read_image(files.spect_file(tmp_path / "a.dcm"))
    other = measure.read_image(
        files.spect_file(tmp_path / "b.dcm", header={"SliceVector": [2, 1, 4, 3]})
    )
    np.testing.assert_array_equal(other.values, usual.values[:, :, [1, 0, 3, 2]])


@pytest.mark.parametrize(
    ("header", "units", "factor"),
    [
        ({"Units": "BQML", "RescaleSlope": 2.5, "RescaleIntercept": 0.0}, "Bq/mL", 2.5),
        ({"Units": "CNTS"}, "cps", 1 / 1800),
        ({"RealWorldValueMappingSequence": [files.world_map("Bq/ml", 7.5)]}, "Bq/mL", 7.5),
        (
            {
                "RealWorldValueMappingSequence": [
                    files.world_map("{counts}", 3.0),
                    files.world_map("Bq/ml", 7.5),
                ],
                "RescaleSlope": 4.0,
            },
            "Bq/mL",
            7.5,
        ),
        ({"RealWorldValueMappingSequence": [files.world_map("{counts}", 3.6)]}, "cps", 0.002),
        ({"RescaleSlope": 4.0}, None, 4.0),
    ],
)
def test_units_of_spect(tmp_path, header, units, factor):
    found = measure.read_image(files.spect_file(tmp_path / "spect.dcm", header=header))
    assert found.scan.units == units
    assert found.values.sum() == pytest.approx(files.spect_stored().sum() * factor, rel=1e-6)


@pytest.mark.parametrize(
    "rotation",
    [
        # Two heads may have shared the full circle.
        {"ScanArc": "360", "NumberOfFramesInRotation": 120},
        {"NumberOfFramesInRotation": 120},
        {"ActualFrameDuration": None},
        {"AngularStep": None},
    ],
)
def test_counts_without_a_duration_beyond_doubt(tmp_path, rotation):
    path = files.spect_file(tmp_path / "s.dcm", header={"Units": "CNTS"}, rotation=rotation)
    found = measure.read_image(path)
    assert (found.scan.units, found.scan.duration_s) == (None, None)
    assert found.values.sum() == files.spect_stored().sum()


def test_spect_as_single_slices(tmp_path):
    whole = measure.read_image(files.spect_file(tmp_path / "whole.dcm"))
    found = measure.read_image(files.spect_slices(tmp_path / "slices"))
    np.testing.assert_array_equal(found.values, whole.values)
    np.testing.assert_allclose(found.affine, whole.affine)
    assert found.scan == whole.scan


def test_maps_of_spect_slices(tmp_path):
    """Slopes may be of the slice, what they lead to may not."""

    def spoil(dataset, k):
        dataset.RealWorldValueMappingSequence = [files.world_map("Bq/ml", 1.0 + k)]

    found = measure.read_image(files.spect_slices(tmp_path / "slices", spoil=spoil))
    assert found.scan.units == "Bq/mL"
    expected = files.spect_stored() * (1.0 + np.arange(4))[:, None, None]
    np.testing.assert_allclose(found.values, expected[::-1].transpose(2, 1, 0)[::-1, ::-1, :])


@pytest.mark.parametrize(
    ("usual", "other", "words"),
    [
        (files.world_map("Bq/ml", 7.5), None, r"differs between files of .* \(Bq/mL and None\)"),
        (None, files.world_map("Bq/ml", 7.5), r"differs between files of .* \(None and Bq/mL\)"),
        (
            files.world_map("Bq/ml", 7.5),
            files.world_map("{counts}", 3.0),
            r"RealWorldValueMappingSequence differs .* \(Bq/mL and counts\)",
        ),
        (files.world_map("{counts}", 3.0), None, r"differs .* \(counts and None\)"),
    ],
)
def test_maps_of_spect_slices_that_differ(tmp_path, usual, other, words):
    def spoil(dataset, k):
        item = other if k == 2 else usual
        files.change(dataset, {"RealWorldValueMappingSequence": [item] if item else None})

    refused(files.spect_slices(tmp_path / "slices", spoil=spoil), words)


def test_a_slope_that_one_spect_slice_lacks(tmp_path):
    header = {"Units": "BQML", "RescaleSlope": 2.5, "RescaleIntercept": 0.0}
    folder = files.spect_slices(tmp_path / "s", header=header, spoil=only(2, RescaleSlope=None))
    refused(folder, r"RescaleSlope differs between files of the series \(stated and absent\)")


def test_rotations_of_spect_slices_that_differ(tmp_path):
    def spoil(dataset, k):
        if k == 2:
            dataset.RotationInformationSequence[0].ActualFrameDuration = "20000"

    folder = files.spect_slices(tmp_path / "s", header={"Units": "CNTS"}, spoil=spoil)
    scan = measure.read_image(folder).scan
    assert (scan.units, scan.duration_s) == (None, None)


WHOLE = {"RealWorldValueFirstValueMapped": None, "RealWorldValueLastValueMapped": None}


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (WHOLE, None),
        ({"RealWorldValueFirstValueMapped": 0, "RealWorldValueLastValueMapped": 2999}, None),
        ({"RealWorldValueLastValueMapped": 1000}, "allows 0 to 1000, beyond"),
        ({"RealWorldValueFirstValueMapped": 500}, "allows 500 to 65535, beyond"),
        (WHOLE | {"DoubleFloatRealWorldValueLastValueMapped": 1e3}, "allows -inf to 1000, beyond"),
        (WHOLE | {"DoubleFloatRealWorldValueFirstValueMapped": 5e2}, "allows 500 to inf, beyond"),
    ],
)
def test_stored_numbers_beyond_the_map(tmp_path, limits, words):
    header = {"RealWorldValueMappingSequence": [files.world_map("Bq/ml", 7.5, **limits)]}
    path = files.spect_file(tmp_path / "s.dcm", header=header)
    if words is None:
        assert measure.read_image(path).values.max() == files.spect_stored().max() * 7.5
    else:
        refused(path, rf"s\.dcm: holds stored numbers from .*{words}")


def test_a_spect_slice_beyond_its_map(tmp_path):
    """The file is named, and each is held against its own map."""

    def spoil(dataset, k):
        last = 10 if k == 2 else 65535
        item = files.world_map("Bq/ml", 7.5, RealWorldValueLastValueMapped=last)
        dataset.RealWorldValueMappingSequence = [item]

    with pytest.raises(MeasureError, match=r"^2\.dcm: holds stored numbers"):
        measure.read_image(files.spect_slices(tmp_path / "slices", spoil=spoil))


@pytest.mark.parametrize("keyword", ["RealWorldValueSlope", "RealWorldValueIntercept"])
def test_a_map_without_a_line(tmp_path, keyword):
    for name, value in (("empty", []), ("absent", None)):
        item = files.world_map("Bq/ml", 7.5, **{keyword: value})
        header = {"RealWorldValueMappingSequence": [item]}
        path = files.spect_file(tmp_path / f"{name}.dcm", header=header)
        refused(path, "lacks RealWorldValueSlope or RealWorldValueIntercept")


@pytest.mark.parametrize("where", ["items", "number", "rotation"])
def test_two_heads_may_have_shared_the_arc(tmp_path, where):
    whole = files.spect_file(tmp_path / "s.dcm", header={"Units": "CNTS"})
    dataset = files.read(whole)
    detectors = dataset.DetectorInformationSequence
    if where == "items":
        detectors.append(detectors[0])
    elif where == "number":
        dataset.NumberOfDetectors = 2
    else:
        dataset.RotationInformationSequence[0].NumberOfDetectors = 2
    scan = measure.read_image(files.save(dataset, whole)).scan
    assert (scan.units, scan.duration_s) == (None, None)


@pytest.mark.parametrize(
    "offsets", [[0.0, 3.0, 6.0, 9.0], [50.0, 53.0, 56.0, 59.0], [0.0, -3.0, -6.0, -9.0]]
)
def test_dose(tmp_path, offsets):
    path = files.dose_file(tmp_path / "dose.dcm", header={"GridFrameOffsetVector": offsets})
    found = measure.read_image(path)
    assert (found.scan.modality, found.scan.units) == ("RTDOSE", "Gy")
    stored = files.read(path).pixel_array[:: -1 if offsets[1] < 0 else 1]
    expected = stored.transpose(2, 1, 0)[::-1, ::-1, :] * 0.0005
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)
    assert found.affine[2, 3] == pytest.approx(50.0 + min(0.0, offsets[-1]))
    assert found.spacing_mm == pytest.approx([2.5, 2, 3])


def test_values_are_those_of_mirp(tmp_path):
    """SUV of another reader, which takes the factor from the header by itself."""
    mirp = pytest.importorskip("mirp")
    # mirp 2.5 takes the distance of rows for that of columns: they are the same here.
    stored = np.tile(files.pet_stored(), (2, 4, 4))
    folder = files.pet_series(tmp_path / "pet", stored, spacing=(4.0, 4.0, 5.0))
    theirs = mirp.extract_images(image=str(folder), image_export_format="dict")[0][0][0]
    found = measure.read_image(folder)
    # mirp keeps DICOM's order and axes.
    mine = (found.values * factor_of(found)).transpose(2, 1, 0)[:, ::-1, ::-1]
    np.testing.assert_allclose(theirs["image"][:4], mine[:4], rtol=1e-5)
    # It takes each bed's own start for the reference of the correction, though START is one time.
    twice = 2 ** (180 / files.GA68_S)
    np.testing.assert_allclose(theirs["image"][4:], mine[4:] * twice, rtol=1e-5)
    corner = found.affine @ [*(np.array(found.values.shape[:2]) - 1), 0, 1]
    np.testing.assert_allclose(theirs["image_origin"], corner[2::-1] * [1, -1, -1])


# ---------------------------------------------------------------- times and activities


def factor_of(image: Image) -> float:
    scan = image.scan
    hours = (scan.started - scan.injected_at).total_seconds() / 3600
    factor = measure.suv_factor(
        injected_mbq=scan.injected_mbq,
        weight_kg=scan.weight_kg,
        decay_corrected_to=scan.decay_corrected_to,
        uptake_time_h=hours,
        radionuclide=scan.radionuclide,
    )
    return float(factor)


def suv_of(image: Image) -> float:
    return float(image.values.max()) * factor_of(image)


def plain_max() -> float:
    return float((files.pet_stored() * files.pet_slopes()[:, None, None]).max())


#: Factor by hand: 80 kg over what is left of 150 MBq an hour after.
BY_HAND = 80e3 / (150e6 * 2 ** (-3600 / files.GA68_S))


def to_injection(dataset, k):
    since = float(dataset.FrameReferenceTime) / 1000 + 3600
    dataset.DecayCorrection = "ADMIN"
    dataset.DecayFactor = f"{2 ** (since / files.GA68_S):.6f}"
    dataset.RescaleSlope = dataset.RescaleSlope * 2 ** (3600 / files.GA68_S)


def test_suv_by_hand(tmp_path):
    start = measure.read_image(files.pet_series(tmp_path / "start"))
    assert suv_of(start) == pytest.approx(plain_max() * BY_HAND, rel=1e-6)
    admin = measure.read_image(files.pet_series(tmp_path / "admin", spoil=to_injection))
    assert admin.scan.decay_corrected_to == "injection"
    assert suv_of(admin) == pytest.approx(suv_of(start), rel=1e-6)


def test_activity_in_bq_and_mbq(tmp_path):
    usual = suv_of(measure.read_image(files.pet_series(tmp_path / "bq")))
    folder = files.pet_series(tmp_path / "mbq", injection={"RadionuclideTotalDose": 150.0})
    with pytest.warns(UserWarning, match="read as 150 MBq; by the standard the number is in Bq"):
        assert suv_of(measure.read_image(folder)) == pytest.approx(usual)
    path = files.spect_file(tmp_path / "s.dcm", injection={"RadionuclideTotalDose": 7.4e9})
    with pytest.warns(UserWarning, match="read as 7400 MBq; by the standard the number is in MBq"):
        assert measure.read_image(path).scan.injected_mbq == pytest.approx(7400)


def test_unknown_is_none(tmp_path):
    folder = files.pet_series(
        tmp_path / "pet",
        header={"PatientWeight": "0", "PatientSize": None, "PatientID": ""},
        injection={
            "RadionuclideTotalDose": 0.0,
            "RadiopharmaceuticalStartTime": None,
            "RadiopharmaceuticalStartDateTime": None,
        },
    )
    scan = measure.read_image(folder).scan
    assert scan.weight_kg is scan.height_cm is scan.patient is None
    assert scan.injected_mbq is scan.injected_at is None


def times(clock, second):
    """PET whose beds begin at other times."""

    def spoil(dataset, k):
        dataset.SeriesTime = clock
        dataset.AcquisitionTime = second if k >= 2 else clock

    return spoil


def test_midnight(tmp_path):
    """Injected at 23:40, without a date, and scanned at 00:40 of the next day."""
    folder = files.pet_series(
        tmp_path / "pet",
        spoil=times("004000", "004300"),
        injection={
            "RadiopharmaceuticalStartTime": "234000",
            "RadiopharmaceuticalStartDateTime": None,
        },
    )
    found = measure.read_image(folder)
    assert found.scan.injected_at == datetime(2024, 1, 1, 23, 40)
    assert suv_of(found) == pytest.approx(plain_max() * BY_HAND, rel=1e-6)


def test_scan_across_midnight(tmp_path):
    def spoil(dataset, k):
        dataset.SeriesTime = "235830.5"
        dataset.AcquisitionDate = "20240103" if k >= 2 else "20240102"
        dataset.AcquisitionTime = "000130.5" if k >= 2 else "235830.5"

    folder = files.pet_series(
        tmp_path / "pet",
        spoil=spoil,
        injection={
            "RadiopharmaceuticalStartTime": "225830.5",
            "RadiopharmaceuticalStartDateTime": None,
        },
    )
    found = measure.read_image(folder)
    assert found.scan.duration_s == 360
    assert found.scan.started.microsecond == 500000
    assert suv_of(found) == pytest.approx(plain_max() * BY_HAND, rel=1e-6)


@pytest.mark.parametrize(
    ("scanner", "stamp"),
    [
        ("+0200", "20240102080000.000000+0000"),
        ("-0430", "20240102143000+0000"),
        ("+0530", "20240102100000.0+0530"),
    ],
)
def test_time_zones(tmp_path, scanner, stamp):
    """A stamp of another zone than the scanner's."""
    folder = files.pet_series(
        tmp_path / "pet",
        header={"TimezoneOffsetFromUTC": scanner},
        injection={"RadiopharmaceuticalStartDateTime": stamp},
    )
    assert measure.read_image(folder).scan.injected_at == datetime(2024, 1, 2, 10)


def test_a_zone_that_is_none(tmp_path):
    folder = files.pet_series(
        tmp_path / "pet",
        header={"TimezoneOffsetFromUTC": "Z"},
        injection={"RadiopharmaceuticalStartDateTime": "20240102080000+0000"},
    )
    refused(folder, "TimezoneOffsetFromUTC is 'Z'; allowed is &ZZXX")


@pytest.mark.parametrize("zone", ["+9900", "+1460", "-2400"])
def test_a_zone_that_no_place_has(tmp_path, zone):
    folder = files.pet_series(
        tmp_path / "pet",
        header={"TimezoneOffsetFromUTC": zone},
        injection={"RadiopharmaceuticalStartDateTime": "20240102080000+0000"},
    )
    refused(folder, rf"TimezoneOffsetFromUTC is '\{zone}'; allowed is &ZZXX")


def stamped(offset, *, hours=0, plain=True):
    """PET whose acquisitions have a stamp that is off by hours, with or without plain times."""

    def spoil(dataset, k):
        clock = f"{int(dataset.AcquisitionTime[:2]) + hours:02d}{dataset.AcquisitionTime[2:]}"
        dataset.AcquisitionDateTime = f"{dataset.AcquisitionDate}{clock}{offset}"
        if not plain:
            del dataset.AcquisitionDate, dataset.AcquisitionTime

    return spoil


def test_acquisition_on_a_clock_of_its_own(tmp_path):
    """A stamp in UTC tells the time only beside another, or in a file that tells its zone."""
    alone = files.pet_series(tmp_path / "a", spoil=stamped("+0000", hours=-1, plain=False))
    refused(alone, "with an offset from UTC, and TimezoneOffsetFromUTC does not tell")
    both = files.pet_series(tmp_path / "b", spoil=stamped("+0000", hours=-1))
    refused(both, "AcquisitionTime are 2024-01-02 11:00:00; without TimezoneOffsetFromUTC both")
    same = files.pet_series(tmp_path / "c", spoil=stamped("+0100"))
    assert measure.read_image(same).scan.started == datetime(2024, 1, 2, 11)
    placed = files.pet_series(
        tmp_path / "d",
        header={"TimezoneOffsetFromUTC": "+0100"},
        spoil=stamped("+0000", hours=-1, plain=False),
    )
    found = measure.read_image(placed).scan
    assert (found.started, found.duration_s) == (datetime(2024, 1, 2, 11), 360)


def test_acquisition_as_one_stamp(tmp_path):
    def spoil(dataset, k):
        dataset.AcquisitionDateTime = f"{dataset.AcquisitionDate}{dataset.AcquisitionTime}"
        del dataset.AcquisitionDate, dataset.AcquisitionTime

    found = measure.read_image(files.pet_series(tmp_path / "pet", spoil=spoil))
    assert found.scan.started == datetime(2024, 1, 2, 11)
    assert found.scan.duration_s == 360


def test_copper_without_a_date(tmp_path):
    """64Cu is still seen a day later: no date is taken for granted."""
    folder = files.pet_series(
        tmp_path / "pet",
        header={"DecayFactor": None},
        injection={
            "RadionuclideHalfLife": 45720.0,
            "RadionuclideCodeSequence": None,
            "RadiopharmaceuticalStartDateTime": None,
        },
    )
    with pytest.warns(UserWarning, match="has no date"):
        assert measure.read_image(folder).scan.injected_at is None


def test_factors_that_nobody_filled_in(tmp_path):
    """1 throughout says nothing of START; of ADMIN it is a contradiction."""
    found = measure.read_image(files.pet_series(tmp_path / "a", header={"DecayFactor": "1"}))
    assert found.scan.decay_corrected_to == "scan_start"
    header = {"DecayFactor": "1", "DecayCorrection": "ADMIN"}
    refused(files.pet_series(tmp_path / "b", header=header), "corrected twice")


def test_frames_that_begin_before_the_scan(tmp_path):
    def spoil(dataset, k):
        dataset.SeriesTime = "143000"
        dataset.FrameReferenceTime = "1000"
        dataset.AcquisitionTime = "110000"
        dataset.DecayFactor = None
        dataset.ActualFrameDuration = "600000"

    refused(files.pet_series(tmp_path / "pet", spoil=spoil), "after its first image")


def test_lutetium_without_a_date(tmp_path):
    path = files.spect_file(
        tmp_path / "s.dcm", injection={"RadiopharmaceuticalStartDateTime": None}
    )
    with pytest.warns(UserWarning, match="has no date"):
        assert measure.read_image(path).scan.injected_at is None


def test_a_series_made_later(tmp_path):
    """Its time is not that of the scan: GE's tag, or the frames' own times, tell it."""
    later = {"SeriesTime": "143000"}
    by_frames = measure.read_image(files.pet_series(tmp_path / "frames", header=later))
    off = by_frames.scan.started - datetime(2024, 1, 2, 11)
    assert abs(off.total_seconds()) < 0.01

    def ge(dataset, k):
        block = dataset.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x0D, "DT", "20240102110000.00")
        del dataset.FrameReferenceTime

    found = measure.read_image(files.pet_series(tmp_path / "ge", header=later, spoil=ge))
    assert found.scan.started == datetime(2024, 1, 2, 11)
    assert suv_of(found) == pytest.approx(plain_max() * BY_HAND, rel=1e-6)
    unknown = files.pet_series(
        tmp_path / "none", header=later | {"FrameReferenceTime": None, "DecayFactor": None}
    )
    with pytest.raises(MeasureError, match="made after the scan"):
        measure.read_image(unknown)

    def other(dataset, k):
        dataset.private_block(0x0009, "OTHER", create=True).add_new(0x0D, "DT", "20240102110000")
        del dataset.FrameReferenceTime

    with pytest.raises(MeasureError, match="made after the scan"):
        measure.read_image(files.pet_series(tmp_path / "other", header=later, spoil=other))


def ge_stamp(tmp_path: Path, stamp: str, **values) -> Path:
    """Series made after the scan, whose start is in GE's stamp."""

    def spoil(dataset, k):
        block = dataset.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x0D, "DT", stamp)
        files.change(dataset, {"SeriesTime": "143000"} | values)

    return files.pet_series(tmp_path / "pet", spoil=spoil)


@pytest.mark.parametrize(
    ("stamp", "words"),
    [
        ("20240102105000", None),
        ("20240102110000+0100", None),
        ("20240102104000", r"scan by GE's \(0009,100d\) begins .* more than 15 min before"),
        ("20240102100000+0000", "is '20240102100000.0000', with an offset from UTC, and Acq"),
        ("20240102130000+0200", "is '20240102130000.0200', with an offset from UTC, and Acq"),
    ],
)
def test_the_stamp_of_ge(tmp_path, stamp, words):
    """Without a factor it must be near the first image, and on the scanner's clock."""
    folder = ge_stamp(tmp_path, stamp, DecayFactor=None)
    if words is None:
        expected = datetime.strptime(stamp[:14], "%Y%m%d%H%M%S")
        assert measure.read_image(folder).scan.started == expected
    else:
        refused(folder, words)


def test_the_stamp_of_ge_in_utc(tmp_path):
    folder = ge_stamp(tmp_path, "20240102100000+0000", TimezoneOffsetFromUTC="+0100")
    assert measure.read_image(folder).scan.started == datetime(2024, 1, 2, 11)


@pytest.mark.parametrize(
    ("clock", "is_near"), [("104500", True), ("104459", False), ("101000", False)]
)
def test_a_series_before_its_first_image(tmp_path, clock, is_near):
    header = {"SeriesTime": clock, "DecayFactor": None}
    folder = files.pet_series(tmp_path / "pet", header=header)
    if is_near:
        assert measure.read_image(folder).scan.started == datetime(2024, 1, 2, 10, 45)
    else:
        refused(folder, "more than 15 min before the first image .* no DecayFactor tells")


def test_duration_is_from_the_start(tmp_path):
    """The scan begins with its series, to which decay is corrected, not with the first image."""
    folder = files.pet_series(tmp_path / "a", header={"SeriesTime": "105900"})
    scan = measure.read_image(folder).scan
    assert (scan.started, scan.duration_s) == (datetime(2024, 1, 2, 10, 59), 420)
    folder = files.pet_series(tmp_path / "b", spoil=only(3, ActualFrameDuration=None))
    assert measure.read_image(folder).scan.duration_s is None


def test_philips_counts(tmp_path):
    def philips(dataset, k):
        dataset.Units = "CNTS"
        block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x09, "DS", "2.5")

    found = measure.read_image(files.pet_series(tmp_path / "pet", spoil=philips))
    assert found.scan.units == "Bq/mL"
    np.testing.assert_allclose(found.values, truth(found) * 2.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        ("plenty", r"factor \(7053,1009\) holds no number"),
        ("-2.5", r"factor \(7053,1009\) is -2\.5"),
        ("0", r"counts, without Philips's activity concentration factor \(7053,1009\)"),
    ],
)
def test_a_factor_of_philips_that_is_none(tmp_path, factor, words):
    def spoil(dataset, k):
        dataset.Units = "CNTS"
        block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x09, "LO", factor)

    refused(files.pet_series(tmp_path / "pet", spoil=spoil), words)


def test_suv_image(tmp_path):
    header = {"Units": "GML", "SUVType": "BW"}
    assert measure.read_image(files.pet_series(tmp_path / "a", header=header)).scan.units == "SUV"
    header["SUVType"] = None
    assert measure.read_image(files.pet_series(tmp_path / "b", header=header)).scan.units == "SUV"


@pytest.mark.parametrize(
    ("meaning", "half_life_s", "name"),
    [
        ("^18^Fluorine", 6586.2, "F18"),
        ("F-18", 6588.0, "F18"),
        ("Fluorine-18", None, "F18"),
        ("18F", 6586.2, "F18"),
        ("Fluor-18", 6586.2, "F18"),
        ("^64^Copper", 45720.0, "Cu64"),
        ("^89^Zirconium", 282240.0, "Zr89"),
        ("^99m^Technetium", 21624.0, "Tc99m"),
        ("", 6586.2, "F18"),
        ("", 1223.0, None),
    ],
)
def test_names_of_nuclides(tmp_path, meaning, half_life_s, name):
    injection = {
        "RadionuclideCodeSequence": [files.code("C", "SRT", meaning)] if meaning else None,
        "RadionuclideHalfLife": half_life_s,
    }
    header = {"DecayFactor": None}
    folder = files.pet_series(tmp_path / "pet", header=header, injection=injection)
    assert measure.read_image(folder).scan.radionuclide == name


def test_no_attenuation_correction(tmp_path):
    folder = files.pet_series(tmp_path / "pet", header={"CorrectedImage": ["DECY", "RAN"]})
    with pytest.warns(UserWarning, match="does not list ATTN"):
        measure.read_image(folder)
    path = files.spect_file(tmp_path / "s.dcm", header={"CorrectedImage": ["ATTN", "DECY"]})
    with pytest.warns(UserWarning, match="no DecayCorrection to which time"):
        measure.read_image(path)
    path = files.spect_file(tmp_path / "u.dcm", header={"CorrectedImage": ["UNIF", "SCAT"]})
    with pytest.warns(UserWarning, match="does not list ATTN"):
        measure.read_image(path)


# ---------------------------------------------------------------- refused


def refused(path: Path, words: str) -> None:
    with pytest.raises(MeasureError, match=words) as caught:
        measure.read_image(path)
    assert "secret" not in str(caught.value).lower()
    assert re.match(rf"({path.name}|\w+\.(dcm|txt)): ", str(caught.value))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"Units": "PROPCPS"}, "Units are PROPCPS; allowed are BQML"),
        ({"Units": None}, "Units are None"),
        ({"Units": "CNTS"}, r"without Philips's activity concentration factor \(7053,1009\)"),
        ({"Units": "GML", "SUVType": "LBMJAMES128"}, "SUV of type LBMJAMES128"),
        ({"DecayCorrection": "NONE"}, "DecayCorrection is NONE; allowed are START and ADMIN"),
        ({"DecayCorrection": None}, "DecayCorrection is None"),
        ({"DecayCorrection": "ADMIN"}, "corrected twice.*nearer to the scan start"),
        ({"CorrectedImage": ["ATTN", "RAN"]}, "does not list DECY"),
        ({"PatientWeight": "80000"}, "in g?"),
        ({"PatientSize": "175"}, "in cm?"),
        ({"PatientWeight": "-3"}, "PatientWeight is -3"),
        ({"AcquisitionTime": None}, "AcquisitionTime is missing"),
        ({"AcquisitionTime": "11:00:00"}, "allowed is HHMMSS"),
        ({"AcquisitionTime": "11"}, "is '11'; allowed is HHMMSS.FFFFFF, at least to the minute"),
        ({"AcquisitionDate": "2024"}, "allowed is YYYYMMDD"),
        ({"SeriesTime": "11"}, "is '11'; allowed is HHMMSS.FFFFFF, at least to the minute"),
        ({"SeriesTime": "103000"}, "contradicts itself: DecayCorrection is START"),
        (
            {"SeriesTime": "143000", "FrameReferenceTime": "1000"},
            "FrameReferenceTime of its files give scan",
        ),
        (
            {"SeriesTime": "143000", "FrameReferenceTime": None, "DecayFactor": None},
            "made after the scan",
        ),
        ({"RescaleSlope": None}, "lacks RescaleSlope"),
        ({"PixelData": None}, "pixels are truncated"),
        ({"PixelSpacing": None}, "PixelSpacing is None"),
        ({"ImagePositionPatient": None}, "has no ImagePositionPatient"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "perpendicular unit"),
        ({"NumberOfSlices": 6}, r"2 of 6 slices \(NumberOfSlices\) are missing"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.130"}, "Enhanced PET.*read are PET"),
    ],
)
def test_headers_that_cannot_be(tmp_path, header, words):
    refused(files.pet_series(tmp_path / "pet", header=header), words)


@pytest.mark.parametrize(
    ("injection", "words"),
    [
        ({"RadiopharmaceuticalStartTime": "100300"}, "StartTime is 10:03:00"),
        ({"RadiopharmaceuticalStartTime": "10"}, "is '10'; allowed is HHMMSS"),
        (
            {
                "RadiopharmaceuticalStartDateTime": "20240102110500",
                "RadiopharmaceuticalStartTime": None,
            },
            "is after the scan",
        ),
        ({"RadiopharmaceuticalStartDateTime": "20240101100000"}, "half-lives before"),
        (
            {"RadiopharmaceuticalStartDateTime": "20240102"},
            "is '20240102'; allowed is YYYYMMDDHHMM",
        ),
        ({"RadiopharmaceuticalStartDateTime": "20240102100000Z"}, "is '20240102100000Z'; allow"),
        ({"RadiopharmaceuticalStartDateTime": "2024010210000"}, "is '2024010210000'; allowed is"),
        ({"RadiopharmaceuticalStartDateTime": "20240132100000"}, "is '20240132100000'; allow"),
        (
            {
                "RadiopharmaceuticalStartDateTime": "20240102080000+0000",
                "RadiopharmaceuticalStartTime": None,
            },
            "TimezoneOffsetFromUTC does not tell",
        ),
        ({"RadiopharmaceuticalStartDateTime": "20240102080000+0000"}, "StartTime is 10:00:00"),
        (
            {
                "RadiopharmaceuticalStartDateTime": None,
                "RadiopharmaceuticalStartTime": "113000",
            },
            r"23\.5 h before it",
        ),
        ({"RadionuclideTotalDose": 0.15}, "in kBq, GBq or mCi"),
        ({"RadionuclideTotalDose": 150e3}, r"which is 0\.15 MBq"),
        ({"RadionuclideHalfLife": 6586.2}, r"says Ga68, and RadionuclideHalfLife is 6586\.2"),
        (
            {"RadionuclideCodeSequence": [files.code("C", "SRT", "^89^Zirconium")]},
            "says Zr89, .* that is Ga68's",
        ),
    ],
)
def test_injections_that_cannot_be(tmp_path, injection, words):
    refused(files.pet_series(tmp_path / "pet", injection=injection), words)


def only(number, **values):
    """Spoil one slice."""

    def spoil(dataset, k):
        if k == number:
            files.change(dataset, values)

    return spoil


def doubly_corrected(dataset, k):
    """Factors reach back to the injection, though the header claims the scan's start."""
    to_injection(dataset, k)
    dataset.DecayCorrection = "START"


def own_beds(dataset, k):
    """Each bed is corrected to its own start, the second half an hour after the first."""
    dataset.AcquisitionTime = "113000" if k >= 2 else "110000"
    dataset.DecayFactor = f"{2 ** (88 / files.GA68_S):.6f}"


def two_drugs(dataset, k):
    sequence = dataset.RadiopharmaceuticalInformationSequence
    sequence.append(sequence[0])


def tilted(dataset, k):
    dataset.ImagePositionPatient[1] += 1.5 * k


def gap(dataset, k):
    dataset.ImagePositionPatient[2] += 5.0 * (k >= 2)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (doubly_corrected, r"contradicts itself, corrected twice\?.*nearer to the injection"),
        (own_beds, "contradicts itself"),
        (two_drugs, "lists 2 injections"),
        (only(2, Units="GML"), r"Units differs between files of the series \(BQML and GML\)"),
        (only(2, DecayCorrection="ADMIN"), "DecayCorrection differs"),
        (only(2, PatientWeight="81"), "PatientWeight differs between files of the series: give"),
        (only(2, PatientID="SECRET-8"), "PatientID differs between files of the series: give"),
        (only(2, FrameOfReferenceUID="1.9"), "FrameOfReferenceUID differs"),
        (only(2, SeriesTime="105900"), "SeriesTime differs"),
        (only(2, PixelSpacing=[4.0, 3.1]), "PixelSpacing differs"),
        (only(2, SeriesInstanceUID="1.9"), r"holds 2 series \(PT, PT\)"),
        (only(2, ImagePositionPatient=[-20.0, -30.0, 105.0]), "lie at the same place"),
        (only(2, ImageOrientationPatient=[1, 0, 0, 0, 0, 1]), "different ImageOrientationPatient"),
        (only(3, AcquisitionDate="20240103"), "longer than 6 h"),
        (tilted, "tilted gantry"),
        (gap, r"010\.dcm and 017\.dcm lie 10 mm apart .*others 5 mm"),
    ],
)
def test_slices_that_do_not_agree(tmp_path, spoil, words):
    refused(files.pet_series(tmp_path / "pet", spoil=spoil), words)


def test_dose_of_slices_that_differ(tmp_path):
    def spoil(dataset, k):
        if k == 1:
            dataset.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose = 160e6

    refused(files.pet_series(tmp_path / "pet", spoil=spoil), "RadionuclideTotalDose differs")


def test_files_that_do_not_belong(tmp_path):
    folder = files.pet_series(tmp_path / "pet")
    (folder / "DICOMDIR").write_bytes(b"index")
    measure.read_image(folder)
    (folder / "notes.txt").write_text("notes")
    refused(folder, r"notes\.txt: is no DICOM file")
    (folder / "notes.txt").unlink()
    first = folder / "003.dcm"
    whole = first.read_bytes()
    first.write_bytes(whole[:-20])
    refused(folder, r"003\.dcm: .*truncated")
    first.write_bytes(whole[:400])
    refused(folder, r"003\.dcm: .*truncated")
    first.unlink()
    refused(folder, "1 of 4 slices")
    (folder / "inner").mkdir()
    refused(folder, "holds folders, such as inner")
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(empty, "is an empty folder")
    mixed = files.ct_series(files.pet_series(tmp_path / "mixed"))
    refused(mixed, r"holds 2 series \(CT, PT\)")


def test_one_slice(tmp_path):
    folder = files.pet_series(tmp_path / "pet")
    refused(folder / "003.dcm", "3 of 4 slices")
    folder = files.ct_series(tmp_path / "ct")
    refused(folder / "0.dcm", "holds one slice")


def test_compressed_without_a_decoder(tmp_path):
    def spoil(dataset, k):
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
        dataset.PixelData = encapsulate([b"0000"])
        dataset["PixelData"].VR = "OB"

    refused(files.pet_series(tmp_path / "pet", spoil=spoil), "are compressed")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]}, "not projections"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "RECON TOMO", "TRANSMISSION"]}, "TRANSMISSION"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "RECON GATED TOMO", "EMISSION"]}, "gated"),
        ({"SpacingBetweenSlices": None}, "lacks SpacingBetweenSlices"),
        ({"SliceVector": [1, 2, 1, 2]}, "SliceVector does not number"),
        ({"SliceVector": None}, "SliceVector does not number"),
        ({"DetectorInformationSequence": None}, "has no ImagePositionPatient"),
        ({"Units": "GML"}, "Units are GML"),
        (
            {
                "Units": "CNTS",
                "RealWorldValueMappingSequence": [files.world_map("Bq/ml", 7.5)],
            },
            "RealWorldValueMappingSequence gives Bq/mL",
        ),
        (
            {"RealWorldValueMappingSequence": [files.world_map("{SUVbw}g/ml", 7.5)]},
            "allowed is one line",
        ),
        ({"DecayCorrection": "OTHER"}, "DecayCorrection is OTHER"),
        (
            {"DecayCorrection": "START", "CorrectedImage": ["ATTN", "SCAT"]},
            "DecayCorrection is START, and CorrectedImage does not list DECY",
        ),
        (
            {"DecayCorrection": "ADMIN", "CorrectedImage": "ATTN"},
            "DecayCorrection is ADMIN, and CorrectedImage does not list DECY",
        ),
        (
            {"DecayCorrection": "NONE", "CorrectedImage": ["ATTN", "DECY"]},
            "DecayCorrection is NONE, and CorrectedImage lists DECY",
        ),
    ],
)
def test_spect_that_cannot_be(tmp_path, header, words):
    refused(files.spect_file(tmp_path / "s.dcm", header=header), words)


@pytest.mark.parametrize(
    ("dose", "words"),
    [
        (7.4, r"RadionuclideTotalDose is 7\.4, .* of Lu177 are 50 MBq and more: is it in GBq\?"),
        (7.4e6, r"which is 7\.4 MBq; allowed of Lu177 .*: is it in kBq\?"),
    ],
)
def test_lutetium_in_another_unit(tmp_path, dose, words):
    path = files.spect_file(tmp_path / "s.dcm", injection={"RadionuclideTotalDose": dose})
    refused(path, words)


def test_a_factor_that_is_none(tmp_path):
    folder = files.pet_series(tmp_path / "pet", header={"DecayFactor": "1.0125"})
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"1.0125", b"plenty"))
    refused(folder, "DecayFactor holds no number")


def test_a_number_that_is_none(tmp_path):
    path = files.spect_file(tmp_path / "s.dcm", header={"PatientWeight": "99.5"})
    path.write_bytes(path.read_bytes().replace(b"99.5", b"much"))
    refused(path, "PatientWeight holds no number")


def test_spect_corrected_to_the_injection(tmp_path):
    path = files.spect_file(tmp_path / "s.dcm", header={"DecayCorrection": "ADMIN"})
    assert measure.read_image(path).scan.decay_corrected_to == "injection"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"DoseUnits": "RELATIVE"}, "DoseUnits are RELATIVE; allowed is GY"),
        ({"DoseType": "EFFECTIVE"}, "DoseType is EFFECTIVE; allowed is PHYSICAL"),
        ({"DoseGridScaling": None}, "lacks RescaleSlope, RescaleIntercept or DoseGridScaling"),
        ({"GridFrameOffsetVector": [0.0, 3.0]}, "does not give the places of 4 frames"),
        ({"GridFrameOffsetVector": [7.0, 10.0, 13.0, 16.0]}, "begins with 7; allowed are 0 and"),
        ({"GridFrameOffsetVector": [0.0, 3.0, 9.0, 12.0]}, "frame 2 and frame 3 lie 6 mm apart"),
    ],
)
def test_dose_that_cannot_be(tmp_path, header, words):
    refused(files.dose_file(tmp_path / "dose.dcm", header=header), words)


def test_pet_of_many_frames(tmp_path):
    folder = files.pet_series(tmp_path / "pet", files.pet_stored(1), header={"NumberOfFrames": 2})
    refused(folder / "003.dcm", "has 2 frames, and its kind of file holds one")


def test_two_files_of_many_frames(tmp_path):
    files.spect_file(tmp_path / "two" / "a.dcm")
    files.spect_file(tmp_path / "two" / "b.dcm")
    refused(tmp_path / "two", "holds 2 files of which some have many frames")
