"""Uptake against the IBSI phantom, brute force and the formulas by hand."""

import numpy as np
import pandas as pd
import pytest

from bayesdose import measure
from bayesdose.errors import MeasureError


def test_the_digital_phantom(test_data, read_nifti):
    folder = test_data / "ibsi_digital_phantom"
    truth = pd.read_csv(folder / "reference_values.csv").set_index("tag")["benchmark_value"]
    image, spacing = read_nifti(folder / "phantom.nii.gz")
    mask, _ = read_nifti(folder / "mask.nii.gz")
    found = measure.uptake_features(image, mask, spacing)
    assert spacing == pytest.approx((2, 2, 2))
    assert round(found["suv_mean"], 2) == truth["stat_mean"]
    assert found["suv_max"] == truth["stat_max"]
    assert found["volume_ml"] * 1000 == pytest.approx(truth["morph_vol_approx"])
    assert round(found["suv_peak"], 1) == truth["loc_peak_glob"]
    local = measure.suv_peak(image, mask, spacing, peak="local")
    assert round(local, 1) == truth["loc_peak_loc"]


@pytest.mark.parametrize(
    ("name", "n", "mean", "top"), [("STS_001", 5095, 2.555, 7.911), ("STS_002", 555, 7.370, 21.676)]
)
def test_real_crops(test_data, read_nifti, name, n, mean, top):
    folder = test_data / "sts_pet"
    image, spacing = read_nifti(folder / f"{name}_PET_image.nii.gz")
    mask, _ = read_nifti(folder / f"{name}_PET_mask.nii.gz")
    found = measure.uptake_features(image, mask > 0, spacing)
    assert found["n_voxels"] == n
    assert found["suv_mean"] == pytest.approx(mean, abs=5e-4)
    assert found["suv_max"] == pytest.approx(top, abs=5e-4)
    assert found["suv_mean"] < found["suv_peak"] < found["suv_max"]
    assert found["suv_peak"] == pytest.approx(peak_by_hand(image, mask > 0, spacing), rel=1e-6)


def peak_by_hand(image, mask, spacing) -> float:
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in image.shape), indexing="ij"), -1)
    places = grid * np.asarray(spacing)
    best = -np.inf
    for centre in places[mask]:
        near = ((places - centre) ** 2).sum(-1) <= (3000 / (4 * np.pi)) ** (2 / 3)
        best = max(best, float(image[near].mean()))
    return best


def test_a_peak_at_the_edge_of_the_image():
    image = np.random.default_rng(0).gamma(2.0, size=(6, 5, 4))
    mask = np.zeros(image.shape, bool)
    mask[0, :2, 0] = mask[5, 4, 3] = True
    spacing = (3.0, 4.0, 2.5)
    assert measure.suv_peak(image, mask, spacing) == pytest.approx(
        peak_by_hand(image, mask, spacing)
    )
    # voxels larger than the sphere: the peak is the largest voxel
    assert measure.suv_peak(image, mask, (8, 8, 8)) == pytest.approx(image[mask].max())


def test_suv_of_a_uniform_body_is_one():
    """All activity spread over the body's mass at 1 g/mL, at either reference time."""
    for nuclide, factor in (("F18", 0.6846), ("Ga68", 0.5411)):
        concentration = 200e6 / 80e3
        at_injection = measure.suv_factor(
            injected_mbq=200, weight_kg=80, decay_corrected_to="injection"
        )
        assert at_injection * concentration == pytest.approx(1)
        at_scan = measure.suv_factor(
            injected_mbq=200,
            weight_kg=80,
            decay_corrected_to="scan_start",
            uptake_time_h=1.0,
            radionuclide=nuclide,
        )
        assert at_scan * concentration * factor == pytest.approx(1, rel=1e-4)


def test_lean_body_mass_by_hand():
    # man, 80 kg, 178 cm: BMI 25.249, 741600 / 12133.8; woman, 65 kg, 165 cm: 602550 / 14605.5
    found = measure.lean_body_mass([80, 65], [178, 165], [False, True])
    assert found == pytest.approx([61.118, 41.255], abs=2e-3)


def test_thresholds():
    image = np.arange(27.0).reshape(3, 3, 3)
    region = np.ones(image.shape, bool)
    assert measure.threshold_region(image, region, "fixed", 20).sum() == 7
    assert measure.threshold_region(image, region, "relative", 0.5).sum() == 14
    liver = {"mean": 5.0, "sd": 1.0}  # 4.30 / 5 x 6 = 5.16
    assert measure.threshold_region(image, region, "liver", liver=liver).sum() == 21
    with pytest.raises(MeasureError, match="no voxel of the region reaches SUV 30"):
        measure.threshold_region(image, region, "fixed", 30)
    with pytest.raises(MeasureError, match="needs value="):
        measure.threshold_region(image, region, "fixed")


def test_whole_body_sums():
    regions = pd.DataFrame(
        {
            "patient_id": ["A", "A", "A", "B"],
            "tissue": ["tumour", "tumour", "kidney", "kidney"],
            "volume_ml": [2.0, 3.0, 150.0, 160.0],
            "total_lesion_uptake": [20.0, 10.0, 4000.0, 4100.0],
        }
    )
    found = measure.whole_body(regions).set_index("patient_id")
    assert found.loc["A"].tolist() == [5.0, 30.0, 2]
    assert found.loc["B"].tolist() == [0.0, 0.0, 0]


def test_ratios_and_the_liver():
    assert measure.tumour_to_organ([10.0, 5.0], 5.0, "liver", "68Ga-PSMA-11").tolist() == [2, 1]
    assert measure.tumour_to_organ(10.0, 5.0, "spleen", "18F-PSMA-1007") == 2


@pytest.mark.parametrize(
    "tracer",
    ["18F-PSMA-1007", "[18F]PSMA-1007", "18F-PSMA1007", "F18-PSMA-1007", "[18F]F-psma 1007"],
)
def test_spellings_of_a_tracer_that_the_liver_excretes(tracer):
    with pytest.warns(UserWarning, match="excreted by the liver"):
        measure.tumour_to_organ(10.0, 5.0, "liver", tracer)
    with pytest.raises(MeasureError, match="needs spleen="):
        measure.psma_expression_score(5.0, blood_pool=2, parotid=15, liver=5, pet_tracer=tracer)


def test_expression_score():
    references = {"blood_pool": 2.0, "parotid": 15.0, "pet_tracer": "68Ga-PSMA-11"}
    score = measure.psma_expression_score([1.9, 2.0, 5.0, 14.9, 15.0], liver=5.0, **references)
    assert score.tolist() == [0, 1, 2, 2, 3]
    references["pet_tracer"] = "18F-PSMA-1007"
    score = measure.psma_expression_score([5.0, 9.0], liver=12.0, spleen=8.0, **references)
    assert score.tolist() == [1, 2]
    with pytest.raises(MeasureError, match="needs spleen="):
        measure.psma_expression_score(5.0, liver=5.0, **references)
    with pytest.raises(MeasureError, match="must ascend"):
        measure.psma_expression_score(5.0, spleen=1.0, **references)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mask": np.zeros((4, 4, 4), bool)}, "empty"),
        ({"mask": np.ones((4, 4, 3), bool)}, "of one shape"),
        ({"mask": np.full((4, 4, 4), 3)}, "labels == 3"),
        ({"spacing_mm": (2, 2)}, "three sizes"),
        ({"spacing_mm": (2, 2, -2)}, "above 0"),
        ({"suv": np.full((4, 4, 4), np.nan)}, "not finite"),
    ],
)
def test_bad_regions(change, words):
    given = {"suv": np.ones((4, 4, 4)), "mask": np.ones((4, 4, 4), bool), "spacing_mm": (2, 2, 2)}
    with pytest.raises(MeasureError, match=words):
        measure.uptake_features(**(given | change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decay_corrected_to": "start"}, "injection, scan_start"),
        ({"decay_corrected_to": "scan_start"}, "uptake_time_h"),
        ({"injected_mbq": 1.8e8}, "up to 2000"),
        ({"weight_kg": 8e4}, "in kg"),
    ],
)
def test_bad_factors(change, words):
    given = {"injected_mbq": 180, "weight_kg": 80, "decay_corrected_to": "injection"}
    with pytest.raises(MeasureError, match=words):
        measure.suv_factor(**(given | change))
