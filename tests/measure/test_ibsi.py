"""Features of the other IBSI families: consensus values, codes, settings."""

import numpy as np
import pandas as pd
import pytest

from bayesdose import measure
from bayesdose.errors import MeasureError
from bayesdose.measure.ibsi import FEATURES

pytest.importorskip("mirp")

CUBE = np.zeros((9, 9, 9), bool)
CUBE[2:7, 2:7, 2:7] = True


@pytest.mark.slow
@pytest.mark.parametrize(("aggregation", "suffix"), [("3d_merged", "comb"), ("3d_averaged", "avg")])
def test_every_code_has_its_consensus_value(test_data, read_nifti, aggregation, suffix):
    folder = test_data / "ibsi_digital_phantom"
    image, spacing = read_nifti(folder / "phantom.nii.gz")
    mask, _ = read_nifti(folder / "mask.nii.gz")
    found = measure.ibsi_features(
        image, mask, spacing, codes=list(FEATURES), bin_width=None, aggregation=aggregation
    )
    truth = pd.read_csv(folder / "reference_values.csv").set_index("tag")
    assert len(found) == 138
    for code, (family, stem) in FEATURES.items():
        tag = f"{family}_{stem}"
        names = [tag, f"{tag}_3D", f"{tag}_3D_{suffix}"]
        (name,) = [one for one in names if one in truth.index]
        row = truth.loc[name]
        consensus = row["benchmark_value"]
        printed = 2 - int(np.floor(np.log10(abs(consensus)))) if consensus else 2
        error = abs(found[f"ibsi_{code.lower()}"] - consensus)
        assert error <= max(row["tolerance"], 0.5001 * 10.0**-printed), (code, name)


def test_columns_carry_code_and_settings():
    image = np.random.default_rng(1).gamma(5.0, 1.0, CUBE.shape)
    found = measure.ibsi_features(
        image, CUBE, (4.0, 4.0, 3.0), codes=["q4le", "YEKZ", "BJ5W"], bin_width=0.5
    )
    assert list(found.index) == ["ibsi_q4le", "ibsi_yekz", "ibsi_bj5w"]
    assert found["ibsi_q4le"] == pytest.approx(image[CUBE].mean())
    assert found["ibsi_yekz"] == pytest.approx(125 * 48.0)  # mm3
    share = np.unique(np.floor(image[CUBE] / 0.5), return_counts=True)[1] / 125
    assert found["ibsi_bj5w"] == pytest.approx((share**2).sum())
    assert "bins of 0.5 SUV from 0" in found.attrs["ibsi_settings"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"codes": ["TU9B"]}, "glcm_features"),
        ({"codes": ["Q4LE", "q4le"]}, "each code once"),
        ({"codes": []}, "at least one"),
        ({"aggregation": "2d"}, "3d_merged, 3d_averaged"),
        ({"bin_width": None, "codes": ["BJ5W"]}, "whole numbers"),
    ],
)
def test_refused(change, words):
    given = {"codes": ["Q4LE"], "bin_width": 0.5} | change
    image = np.random.default_rng(1).gamma(5.0, 1.0, CUBE.shape)
    with pytest.raises(MeasureError, match=words):
        measure.ibsi_features(image, CUBE, (4.0, 4.0, 3.0), **given)
