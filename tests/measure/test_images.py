"""Images and label maps from files, and activities whose truth is in the voxels."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import erf

from bayesdose import measure
from bayesdose.errors import MeasureError
from bayesdose.measure.images import Image, Regions

nib = pytest.importorskip("nibabel")

LABELS = pd.DataFrame(
    {"label": [1, 3], "site_id": ["K1", "T1"], "tissue": ["kidney", "tumour"], "side": ["L", ""]}
)


@pytest.fixture
def affine() -> np.ndarray:
    """Voxels of 4 x 4 x 3 mm, rotated by 30 degrees about the third axis."""
    turn = np.eye(4)
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turn[:2, :2] = [[c, -s], [s, c]]
    return turn @ np.diag([4.0, 4.0, 3.0, 1.0])


@pytest.fixture
def label_map() -> np.ndarray:
    labels = np.zeros((12, 10, 8), np.int16)
    labels[2:6, 2:6, 2:6] = 1  # 64 voxels, 3.072 mL
    labels[8:10, 6:9, 4:7] = 3  # 18 voxels
    return labels


@pytest.fixture
def write(tmp_path, affine):
    def to_file(values, name, at=None):
        path = tmp_path / name
        nib.Nifti1Image(values, affine if at is None else at).to_filename(path)
        return path

    return to_file


@pytest.fixture
def regions(write, label_map) -> Regions:
    return measure.read_regions(write(label_map, "labels.nii.gz"), LABELS)


def test_a_rotated_image_keeps_its_voxels(write, label_map):
    found = measure.read_image(write(label_map.astype(np.float32) * 2.5, "pet.nii"))
    assert found.spacing_mm == pytest.approx([4, 4, 3])
    np.testing.assert_array_equal(found.values, label_map * 2.5)


def test_bytes_in_the_other_order(tmp_path, affine, label_map):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.dtype(">f4"))
    nib.Nifti1Image(label_map.astype(">f4"), affine, header).to_filename(tmp_path / "big.nii")
    found = measure.read_image(tmp_path / "big.nii")
    assert found.values.dtype.isnative
    np.testing.assert_array_equal(found.values, label_map)
    (tmp_path / "short.nii").write_bytes(b"\x5c\x01")
    with pytest.raises(MeasureError, match=r"short.nii: cannot be read as NIfTI"):
        measure.read_image(tmp_path / "short.nii")


def test_uptake_of_every_region(write, label_map, regions):
    image = measure.read_image(write(label_map.astype(np.float32) * 2.0 + 1, "suv.nii.gz"))
    found = measure.region_uptake(image, regions)
    assert found["suv_mean"].tolist() == [3.0, 7.0]
    assert found["volume_ml"].tolist() == pytest.approx([64 * 0.048, 18 * 0.048])
    assert found["side"].tolist() == ["L", ""]


@pytest.mark.parametrize(
    ("units", "scale", "calibration"),
    [
        ("kBq/mL", 1.0, None),
        ("Bq/mL", 1e3, None),
        ("MBq/mL", 1e-3, None),
        ("Bq", 1e3 * 0.048, None),
        ("MBq", 1e-3 * 0.048, None),
        ("cps", 1e3 * 0.048 / 120.0, 120.0),
    ],
)
def test_activity_in_every_unit(affine, label_map, regions, units, scale, calibration):
    """500 and 900 kBq/mL at 24 h, half of it at 72 h."""
    image = np.where(label_map == 1, 500.0, np.where(label_map == 3, 900.0, 7.0)) * scale
    times = {72.0: Image(image / 2, affine), 24.0: Image(image, affine)}
    found = measure.site_activity(times, regions, units=units, calibration_bq_per_cps=calibration)
    assert found["time_h"].tolist() == [24, 24, 72, 72]
    assert found["site_id"].tolist() == ["K1", "T1", "K1", "T1"]
    expected = np.array([0.5 * 64 * 0.048, 0.9 * 18 * 0.048])
    assert found["activity_mbq"].to_numpy() == pytest.approx([*expected, *(expected / 2)])
    assert (found[["activity_cv", "activity_cv_shared"]] == 0).all(axis=None)


def test_recovery_and_its_uncertainty(affine, label_map, regions):
    curve = measure.RecoveryCurve(b1_ml=1.8, b2=0.9, covariance=(0.04, 0.0, 0.01))
    found = measure.site_activity(
        Image(label_map * 100.0, affine),
        regions,
        units="kBq/mL",
        recovery=curve,
        volume_cv=0.1,
        calibration_cv=0.05,
    )
    volume = np.array([64, 18]) * 0.048
    part = (volume / 1.8) ** 0.9 / (1 + (volume / 1.8) ** 0.9)
    assert found["recovery"].to_numpy() == pytest.approx(part)
    truth = np.array([0.1, 0.3]) * volume / part
    assert found["activity_mbq"].to_numpy() == pytest.approx(truth)
    assert found["activity_cv"].to_numpy() == pytest.approx(0.1 * 0.9 * (1 - part))
    assert found["activity_cv_shared"].to_numpy() == pytest.approx(np.hypot(0.05, curve.cv(volume)))


def test_counts_at_the_edge_of_an_outline(affine, label_map, regions):
    """A larger outline holds g / R more counts, g the share of a blurred sphere at its edge."""
    given = {"units": "kBq/mL", "volume_cv": 0.1, "fwhm_mm": 12.0}
    image = Image(label_map * 100.0, affine)
    curve = measure.RecoveryCurve(b1_ml=1.8, b2=0.9)
    volume = np.array([64, 18]) * 0.048
    radius = np.cbrt(3000 * volume / (4 * np.pi))
    sigma = 12 / np.sqrt(8 * np.log(2))
    edge = erf(np.sqrt(2) * radius / sigma) / 2
    edge -= sigma / (radius * np.sqrt(2 * np.pi)) * (1 - np.exp(-2 * (radius / sigma) ** 2))
    found = measure.site_activity(image, regions, recovery=curve, **given)
    expected = np.abs(edge / curve(volume) - curve.volume_slope(volume))
    assert found["activity_cv"].to_numpy() == pytest.approx(0.1 * expected)
    # without a curve the counts are those of the blurred sphere: from 1/2 to 1 of the volume
    alone = measure.site_activity(image, regions, **given)["activity_cv"].to_numpy()
    assert ((0.05 < alone) & (alone < 0.1)).all()


def test_regions_of_their_own_at_each_time(affine, label_map, regions):
    later = Regions(Image(np.where(label_map == 3, 3, 0), affine), LABELS.iloc[1:])
    times = {24.0: Image(label_map * 1.0, affine), 72.0: Image(label_map * 1.0, affine)}
    found = measure.site_activity(times, {24.0: regions, 72.0: later}, units="MBq/mL")
    assert found["site_id"].tolist() == ["K1", "T1", "T1"]
    with pytest.raises(MeasureError, match="no regions are given for 72 h"):
        measure.site_activity(times, {24.0: regions}, units="MBq/mL")


def test_chain_from_scans_to_a_dose(affine, label_map, regions):
    """A mono-exponential of 50 h through three scans."""
    rate = np.log(2) / 50
    images = {t: Image(label_map * np.exp(-rate * t), affine) for t in (24.0, 72.0, 144.0)}
    table = measure.site_activity(images, regions, units="MBq/mL")
    kidney = table[table["site_id"] == "K1"]
    fit = measure.fit_time_activity(kidney["time_h"], kidney["activity_mbq"], decay_corrected=False)
    assert fit.tia_mbq_h == pytest.approx(64 * 0.048 / rate, rel=1e-6)


def test_files_that_cannot_be(tmp_path, write, label_map, affine):
    path = write(label_map, "labels.nii.gz")
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MeasureError, match=r"cut\.nii\.gz: cannot be read"):
        measure.read_image(cut)
    with pytest.raises(MeasureError, match="no such file"):
        measure.read_image(tmp_path / "none.nii")
    with pytest.raises(MeasureError, match="three-dimensional"):
        measure.read_image(write(np.zeros((4, 4, 4, 2), np.float32), "dynamic.nii"))
    sheared = affine.copy()
    sheared[0, 1] += 1.0
    with pytest.raises(MeasureError, match=r"sheared\.nii: its axes are not perpendicular"):
        measure.read_image(write(label_map, "sheared.nii", sheared))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (LABELS.iloc[:1], "label 3 has no row"),
        (pd.concat([LABELS, LABELS.iloc[:1].assign(label=7)]), r"label 7 \(K1\) has no voxel"),
        (pd.concat([LABELS, LABELS.iloc[:1]]), "label 1 is named twice"),
        (LABELS.drop(columns="tissue"), "lacks tissue"),
    ],
)
def test_labels_that_do_not_fit(write, label_map, labels, words):
    with pytest.raises(MeasureError, match=words):
        measure.read_regions(write(label_map, "labels.nii.gz"), labels)


def test_a_label_map_of_fractions(write, label_map):
    with pytest.raises(MeasureError, match="whole numbers"):
        measure.read_regions(write(label_map * 0.5, "half.nii"), LABELS)


def test_other_geometries(affine, label_map, regions):
    moved = affine.copy()
    moved[2, 3] = 1.5
    with pytest.raises(MeasureError, match=r"1\.5 mm apart"):
        measure.region_uptake(Image(label_map * 1.0, moved), regions)
    with pytest.raises(MeasureError, match="resample one"):
        measure.region_uptake(Image(label_map[:-1] * 1.0, affine), regions)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"units": "SUV"}, "units: got 'SUV'"),
        ({"units": "cps"}, "needs calibration_bq_per_cps"),
        ({"calibration_bq_per_cps": 100.0}, "is calibrated"),
        ({"volume_cv": 3.0}, "up to 2"),
    ],
)
def test_refused(affine, label_map, regions, change, words):
    with pytest.raises(MeasureError, match=words):
        measure.site_activity(
            Image(label_map * 1.0, affine), regions, **({"units": "kBq/mL"} | change)
        )
    with pytest.raises(MeasureError, match="region K1 has an activity of 0"):
        measure.site_activity(Image(label_map * 0.0, affine), regions, units="Bq/mL")
    with pytest.raises(MeasureError, match="from 0"):
        measure.site_activity({-2.0: Image(label_map * 1.0, affine)}, regions, units="Bq/mL")


def test_dose_of_regions(affine, label_map, regions):
    dose = np.where(label_map == 1, 3.0, 0.1)
    dose[label_map == 3] = np.arange(1.0, 19.0)
    found = measure.region_dose(Image(dose, affine), regions, units="Gy")
    assert found["absorbed_dose_gy"].tolist() == pytest.approx([3.0, 9.5])
    assert found["d90_gy"].tolist() == pytest.approx([3.0, 2.7])
    in_mgy = measure.region_dose(Image(dose * 1000, affine), regions, units="mGy")
    pd.testing.assert_frame_equal(in_mgy, found)
    with pytest.raises(MeasureError, match="allowed are Gy, cGy, mGy"):
        measure.region_dose(Image(dose, affine), regions, units="cGy/s")
    with pytest.raises(MeasureError, match="region K1 has a mean dose of 0"):
        measure.region_dose(Image(dose * 0, affine), regions, units="Gy")
