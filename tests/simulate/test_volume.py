"""Phantoms whose volume, activity, blur and noise are known."""

import itertools

import numpy as np
import pandas as pd
import pytest

from bayesdose import measure, simulate
from bayesdose.errors import ConfigError

SPHERES = pd.DataFrame(
    {
        "label": [1, 2],
        "site_id": ["T1", "K1"],
        "tissue": ["tumour", "kidney"],
        "x_mm": [70.3, 170.0],
        "y_mm": [90.1, 130.0],
        "z_mm": [60.7, 80.0],
        "diameter_mm": [14.0, 50.0],
        "concentration": [20.0, 8.0],
    }
)
VOXEL_ML = 4 * 4 * 3 / 1000


def test_volume_and_activity_are_kept():
    """Blur moves activity; it neither makes nor loses any."""
    sharp = simulate.pet_volume(SPHERES, fwhm_mm=0, counts_per_unit=None)
    blurred = simulate.pet_volume(SPHERES, fwhm_mm=8.0, counts_per_unit=None)
    truth = sharp.truth
    assert truth["volume_ml"].tolist() == pytest.approx([1.4368, 65.450], rel=1e-4)
    above = (sharp.image.values - 1).sum() * VOXEL_ML
    assert above == pytest.approx((truth["total"] - truth["volume_ml"]).sum(), rel=2e-3)
    assert blurred.image.values.sum() == pytest.approx(sharp.image.values.sum(), rel=1e-6)


def test_the_width_of_the_blur():
    """A profile through a point falls to a half at half the width."""
    point = SPHERES.iloc[:1].assign(
        x_mm=60.0, y_mm=60.0, z_mm=60.0, diameter_mm=1.0, concentration=1e6
    )
    values = simulate.pet_volume(
        point,
        spacing_mm=(1.0, 1.0, 1.0),
        shape=(121, 121, 121),
        background=0.0,
        fwhm_mm=10.0,
        counts_per_unit=None,
    ).image.values
    profile = values[60:, 60, 60] / values[60, 60, 60]
    assert np.interp(-0.5, -profile[:20], np.arange(20)) == pytest.approx(5.0, abs=0.1)


def test_partial_volume_and_what_undoes_it():
    phantom = simulate.pet_volume(SPHERES, background=0.0, fwhm_mm=8.0, counts_per_unit=None)
    found = measure.region_uptake(phantom.image, phantom.regions)
    recovered = found["suv_mean"] / SPHERES["concentration"]
    assert recovered[0] < 0.6 < 0.75 < recovered[1] < 1
    assert found["volume_ml"].to_numpy() == pytest.approx(
        phantom.truth["volume_ml"].to_numpy(), rel=0.05
    )


def test_noise_is_that_of_counts():
    phantom = simulate.pet_volume(SPHERES, fwhm_mm=0, background=4.0, counts_per_unit=25.0)
    outside = phantom.image.values[phantom.regions.image.values == 0]
    quiet = outside[:50_000]
    assert quiet.mean() == pytest.approx(4.0, abs=0.01)
    assert quiet.var() == pytest.approx(4.0 / 25.0, rel=0.05)
    again = simulate.pet_volume(SPHERES, fwhm_mm=0, background=4.0, counts_per_unit=25.0)
    np.testing.assert_array_equal(again.image.values, phantom.image.values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x_mm": 1.0}, "does not fit"),
        ({"diameter_mm": 0.0}, "does not fit"),
        ({"x_mm": 100.0, "y_mm": 100.0, "z_mm": 70.0}, "overlaps"),
    ],
)
def test_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        simulate.pet_volume(SPHERES.assign(**change))


def test_missing_columns_and_numbers():
    with pytest.raises(ConfigError, match="lack z_mm"):
        simulate.pet_volume(SPHERES.drop(columns="z_mm"))
    with pytest.raises(ConfigError, match="counts_per_unit above 0"):
        simulate.pet_volume(SPHERES, counts_per_unit=0)


def test_spheres_find_places_apart():
    diameter = [60.0, 10.0, 20.0, 35.0, 12.0]
    placed = simulate.place_spheres(diameter, gap_mm=10.0, random_seed=4)
    assert placed["diameter_mm"].tolist() == diameter
    centre = placed[["x_mm", "y_mm", "z_mm"]].to_numpy()
    for i, j in itertools.combinations(range(5), 2):
        reach = (diameter[i] + diameter[j]) / 2
        assert np.linalg.norm(centre[i] - centre[j]) >= reach + 10
    extent = np.array([63 * 4.0, 63 * 4.0, 47 * 3.0])
    margin = np.array(diameter)[:, None] / 2 + 10
    assert ((centre >= margin) & (centre <= extent - margin)).all()
    with pytest.raises(ConfigError, match="no place for a sphere of 60 mm"):
        simulate.place_spheres([60.0] * 12)
    with pytest.raises(ConfigError, match="does not fit into"):
        simulate.place_spheres([200.0])
