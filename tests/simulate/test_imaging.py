from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesdose.simulate import imaging
from bayesdose.simulate.parameters import TUMOUR


def test_recovery_is_one_half_at_its_half_volume_and_rises() -> None:
    recovered = imaging.recovery(np.array([0.1, 2.5, 10.0, 1e6]), 2.5, 1.0)
    assert recovered[1] == 0.5
    assert np.all(np.diff(recovered) > 0)
    assert recovered[-1] == pytest.approx(1.0, abs=1e-5)


def test_volume_uncertainty_equals_brute_force_over_diameters() -> None:
    diameter_mm = 30.0 + 0.4 * np.random.default_rng(0).standard_normal(400_000)
    volumes_ml = np.pi * diameter_mm**3 / 6000.0
    expected = volumes_ml.std() / volumes_ml.mean()
    found = imaging.volume_log_sd(np.pi * 30.0**3 / 6000.0, 0.4)
    assert found == pytest.approx(expected, rel=0.01)


def test_maximum_over_mean_reproduces_log_normal_voxels() -> None:
    voxels = np.exp(0.3 * np.random.default_rng(1).standard_normal((4000, 200)))
    simulated = np.median(voxels.max(axis=1) / voxels.mean(axis=1))
    assert imaging.maximum_over_mean(200, 0.3) == pytest.approx(simulated, rel=0.05)


def test_maximum_over_mean_reproduces_real_psma_lesions(test_data: Path) -> None:
    lesions = pd.read_csv(test_data / "psma_autopet3_lesions" / "lesions.csv.gz")
    ratio = lesions["suvmax"] / lesions["suvmean"]
    for low, high in [(1, 1.5), (3, 6), (12, 25), (50, 100)]:
        chosen = lesions["volume_ml"].between(low, high)
        n_voxels = imaging.voxel_count(lesions.loc[chosen, "volume_ml"])
        model = np.median(imaging.maximum_over_mean(n_voxels, TUMOUR.heterogeneity))
        assert model == pytest.approx(ratio[chosen].median(), rel=0.08)


def test_texture_equals_brute_force_over_neighbouring_voxels() -> None:
    suv_mean, spread, corr = 10.0, 0.3, 0.6
    suv_sd = suv_mean * np.sqrt(np.expm1(spread**2))
    rng = np.random.default_rng(2)
    first = rng.standard_normal(500_000)
    second = corr * first + np.sqrt(1.0 - corr**2) * rng.standard_normal(first.size)
    levels = np.floor((suv_mean + suv_sd * np.stack([first, second])) / 0.5).astype(int) + 1
    pairs, counts = np.unique(levels, axis=1, return_counts=True)
    share = counts / counts.sum()

    found = imaging.texture(*(np.array([x]) for x in (suv_mean, spread, corr)), np.array([10**7]))
    brute = {
        "glcm_joint_average": share @ pairs[0],
        "glcm_joint_variance": share @ (pairs[0] - share @ pairs[0]) ** 2,
        "glcm_contrast": share @ (pairs[0] - pairs[1]) ** 2,
        "glcm_joint_entropy": -share @ np.log2(share),
        "glcm_correlation": np.corrcoef(levels)[0, 1],
    }
    for name, expected in brute.items():
        assert found[name][0] == pytest.approx(expected, rel=0.01), name


def test_entropy_of_few_voxels_stays_below_the_number_of_pairs() -> None:
    one = np.array([20.0]), np.array([0.5]), np.array([0.5]), np.array([3])
    features = imaging.texture(*one)
    assert features["glcm_joint_entropy"][0] < np.log2(3 * 26)
    assert features["glcm_below_guard"][0]
    assert features["glcm_n_voxels"][0] == 3
