"""All 25 co-occurrence features: the IBSI phantom, and the formulas by brute force on real PET."""

import itertools

import numpy as np
import pandas as pd
import pytest

from bayesdose import measure
from bayesdose.errors import MeasureError
from bayesdose.measure.texture import FEATURES
from bayesdose.measure.uptake import around

pytest.importorskip("mirp")


@pytest.mark.parametrize(
    ("aggregation", "suffix"), [("3d_averaged", "3D_avg"), ("3d_merged", "3D_comb")]
)
def test_the_digital_phantom(test_data, read_nifti, aggregation, suffix):
    folder = test_data / "ibsi_digital_phantom"
    image, spacing = read_nifti(folder / "phantom.nii.gz")
    mask, _ = read_nifti(folder / "mask.nii.gz")
    found = measure.glcm_features(
        image, mask, spacing, bin_width=None, aggregation=aggregation, units="levels"
    )
    truth = pd.read_csv(folder / "reference_values.csv").set_index("tag")
    assert len(found) == 25
    for feature in FEATURES:
        row = truth.loc[f"{feature.mirp}_{suffix}"]
        digits = 2 - int(np.floor(np.log10(abs(row["benchmark_value"]))))
        assert round(found[feature.name], digits) == pytest.approx(row["benchmark_value"]), feature


def by_hand(levels: np.ndarray, region: np.ndarray, merged: bool) -> dict[str, float]:
    """From the definitions: symmetric matrices of 13 directions, features, mean or merge."""
    n = int(levels[region].max())
    matrices = []
    for step in itertools.product((-1, 0, 1), repeat=3):
        if step <= (0, 0, 0):
            continue
        matrix = np.zeros((n, n))
        for place in np.argwhere(region):
            other = place + step
            if (other >= 0).all() and (other < region.shape).all() and region[tuple(other)]:
                a, b = int(levels[tuple(place)]) - 1, int(levels[tuple(other)]) - 1
                matrix[a, b] += 1
                matrix[b, a] += 1
        matrices.append(matrix)
    if merged:
        return features(np.sum(matrices, axis=0), n)
    each = [features(matrix, n) for matrix in matrices if matrix.any()]
    return {name: float(np.mean([one[name] for one in each])) for name in each[0]}


def entropy(p: np.ndarray) -> float:
    return float(-(p[p > 0] * np.log2(p[p > 0])).sum())


def features(matrix: np.ndarray, n: int) -> dict[str, float]:
    p = matrix / matrix.sum()
    i, j = np.meshgrid(np.arange(1, n + 1), np.arange(1, n + 1), indexing="ij")
    difference = np.array([p[abs(i - j) == k].sum() for k in range(n)])
    total = np.array([p[i + j == k].sum() for k in range(2, 2 * n + 1)])
    k_d, k_s = np.arange(n), np.arange(2, 2 * n + 1)
    mu, one = (i * p).sum(), p.sum(1)
    variance = ((i - mu) ** 2 * p).sum()
    product = np.outer(one, one)
    hxy1 = -(p[product > 0] * np.log2(product[product > 0])).sum()
    hxy2, hxy = entropy(product), entropy(p)
    apart = i != j
    return {
        "glcm_joint_maximum": p.max(),
        "glcm_joint_average": mu,
        "glcm_joint_variance": variance,
        "glcm_joint_entropy": hxy,
        "glcm_difference_average": k_d @ difference,
        "glcm_difference_variance": (k_d - k_d @ difference) ** 2 @ difference,
        "glcm_difference_entropy": entropy(difference),
        "glcm_sum_average": k_s @ total,
        "glcm_sum_variance": (k_s - k_s @ total) ** 2 @ total,
        "glcm_sum_entropy": entropy(total),
        "glcm_angular_second_moment": (p**2).sum(),
        "glcm_contrast": ((i - j) ** 2 * p).sum(),
        "glcm_dissimilarity": (abs(i - j) * p).sum(),
        "glcm_inverse_difference": (p / (1 + abs(i - j))).sum(),
        "glcm_inverse_difference_normalised": (p / (1 + abs(i - j) / n)).sum(),
        "glcm_inverse_difference_moment": (p / (1 + (i - j) ** 2)).sum(),
        "glcm_inverse_difference_moment_normalised": (p / (1 + (i - j) ** 2 / n**2)).sum(),
        "glcm_inverse_variance": (p[apart] / (i - j)[apart] ** 2).sum(),
        "glcm_correlation": ((i - mu) * (j - mu) * p).sum() / variance,
        "glcm_autocorrelation": (i * j * p).sum(),
        "glcm_cluster_tendency": ((i + j - 2 * mu) ** 2 * p).sum(),
        "glcm_cluster_shade": ((i + j - 2 * mu) ** 3 * p).sum(),
        "glcm_cluster_prominence": ((i + j - 2 * mu) ** 4 * p).sum(),
        "glcm_information_correlation_1": (hxy - hxy1) / entropy(one),
        "glcm_information_correlation_2": np.sqrt(1 - np.exp(-2 * (hxy2 - hxy))),
    }


@pytest.mark.parametrize("aggregation", ["3d_averaged", "3d_merged"])
def test_brute_force(aggregation):
    """A lesion whose lowest level is not 1, in a larger image with gaps in its outline."""
    rng = np.random.default_rng(3)
    image = np.full((24, 22, 20), 0.2)
    image[8:14, 9:14, 7:12] = rng.gamma(6.0, 1.0, (6, 5, 5)) + 3
    region = np.zeros(image.shape, bool)
    region[8:14, 9:14, 7:12] = rng.random((6, 5, 5)) < 0.8
    found = measure.glcm_features(
        image, region, (4.0, 4.0, 3.0), bin_width=0.5, aggregation=aggregation
    )
    truth = by_hand(np.floor(image / 0.5) + 1, region, aggregation == "3d_merged")
    for name, value in truth.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name
    assert "bins of 0.5 SUV from 0" in found.attrs["glcm_settings"]
    assert "4 x 4 x 3 mm" in found.attrs["glcm_settings"]


def test_resampled_like_mirp(test_data, tmp_path):
    """On a real crop, against mirp's own interpolation of the surroundings to the same voxels."""
    mirp, nib = pytest.importorskip("mirp"), pytest.importorskip("nibabel")
    files = [
        nib.load(f"{test_data}/sts_pet/STS_002_PET_{kind}.nii.gz") for kind in ("image", "mask")
    ]
    spacing = np.array(files[0].header.get_zooms(), float)
    image, mask = around(
        files[0].get_fdata(), files[1].get_fdata() > 0, np.ceil(12 / spacing).astype(int)
    )
    found = measure.glcm_features(image, mask, spacing, bin_width=0.5, resample_mm=4.0)
    assert "voxels 4 x 4 x 4 mm, resampled linearly" in found.attrs["glcm_settings"]
    names = [str(tmp_path / "image.nii"), str(tmp_path / "mask.nii")]
    for values, name in zip((image, mask.astype(np.uint8)), names, strict=True):
        nib.Nifti1Image(values, np.diag([*spacing, 1.0])).to_filename(name)
    (theirs,) = mirp.extract_features(
        image=names[0],
        mask=names[1],
        image_modality="pet",
        new_spacing=4.0,
        spline_order=1,
        anti_aliasing=False,
        base_feature_families="cm",
        base_discretisation_method="fixed_bin_size",
        base_discretisation_bin_width=0.5,
        resegmentation_intensity_range=[0.0, np.nan],
        glcm_spatial_method="3d_volume_merge",
    )
    for feature in FEATURES:
        name = f"{feature.mirp}_d1_3d_v_mrg_fbs_w0.5"
        assert found[feature.name] == pytest.approx(theirs[name].iloc[0], rel=1e-4), name


def test_guard():
    mask = np.zeros((10, 10, 10), bool)
    mask[:4, :4, :4] = True
    assert measure.glcm_guard(mask, (5, 5, 5)).tolist() == [64, False]  # 8 mL
    assert measure.glcm_guard(mask, (4, 4, 4)).tolist() == [64, True]  # 4.1 mL
    mask[0, 0, 0] = False
    assert measure.glcm_guard(mask, (5, 5, 5)).tolist() == [63, True]


def test_other_programs():
    theirs = pd.DataFrame(
        {"cm_joint_entr_d1_3d_v_mrg": [2.5], "cm_corr_d1_3d_avg": [0.1], "lesion": ["L1"]}
    )
    mine = measure.import_features(theirs, source="mirp", settings="SUV, 0.5, 4 mm")
    names = ["glcm_joint_entropy", "cm_corr_d1_3d_avg", "lesion", "glcm_settings"]
    assert list(mine) == names
    assert mine["glcm_settings"].tolist() == ["mirp: SUV, 0.5, 4 mm"]
    assert mine.attrs["features"] == {"glcm_joint_entropy": "TU9B"}
    theirs = pd.DataFrame({"original_glcm_Idm": [0.6], "original_glcm_MCC": [0.3]})
    mine = measure.import_features(theirs, source="pyradiomics", settings="SUV, 0.5")
    assert list(mine)[:2] == ["glcm_inverse_difference_moment", "original_glcm_MCC"]
    with pytest.raises(MeasureError, match="no co-occurrence feature"):
        measure.import_features(pd.DataFrame({"a": [1]}), source="mirp", settings="SUV")
    with pytest.raises(MeasureError, match="mirp, pyradiomics"):
        measure.import_features(theirs, source="lifex", settings="SUV")
    with pytest.raises(MeasureError, match="say how the features were made"):
        measure.import_features(theirs, source="pyradiomics", settings="")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"aggregation": "2d"}, "3d_merged, 3d_averaged"),
        ({"bin_width": None}, "whole numbers"),
        ({"bin_width": -1.0}, "above 0"),
        ({"bin_width": 1e-4}, "take wider bins"),
        ({"image": np.full((4, 4, 4), -1.0)}, "below 0"),
        ({"mask": np.eye(64)[0].reshape(4, 4, 4) > 0}, "no pair of neighbours"),
    ],
)
def test_refused(change, words):
    given = {
        "image": np.random.default_rng(0).random((4, 4, 4)) * 5,
        "mask": np.ones((4, 4, 4), bool),
        "spacing_mm": (4, 4, 4),
        "bin_width": 0.5,
    }
    with pytest.raises(MeasureError, match=words):
        measure.glcm_features(**(given | change))
