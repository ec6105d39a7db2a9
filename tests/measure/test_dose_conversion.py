"""S-values, decay, BED and the chain from time-integrated activity to absorbed dose."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import dblquad
from scipy.special import erf

from bayesdose import measure
from bayesdose.errors import MeasureError

#: mass g, S Gy/(MBq h) of 177Lu soft-tissue spheres
SPHERES = [
    (0.00431, 16.34),
    (0.0146, 5.184),
    (0.0345, 2.264),
    (0.116, 0.6948),
    (0.276, 0.2974),
    (0.539, 0.1537),
    (0.932, 0.08964),
    (2.21, 0.03816),
    (4.31, 0.01966),
    (14.6, 0.005868),
    (34.5, 0.002495),
    (116, 7.452e-4),
    (276, 3.172e-4),
    (539, 1.634e-4),
    (932, 9.54e-5),
]

#: Spheres of a phantom, mm, and the blur of a resolution of 12 mm.
DIAMETERS = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0, 60.0)
SIGMA = 12 / np.sqrt(8 * np.log(2))


def ml(radius_mm):
    return 4 * np.pi / 3 * radius_mm**3 / 1000


def counts(outline_mm, radius_mm):
    """Counts of a blurred sphere of concentration 1 within outlines, by summing its profile."""
    r = np.linspace(1e-6, 1.001 * np.max(outline_mm), 20_001)
    near, far = (r - radius_mm) / SIGMA, (r + radius_mm) / SIGMA
    profile = (erf(far / np.sqrt(2)) - erf(near / np.sqrt(2))) / 2
    profile -= SIGMA / (r * np.sqrt(2 * np.pi)) * (np.exp(-(near**2) / 2) - np.exp(-(far**2) / 2))
    shell = profile * 4 * np.pi * r**2 / 1000
    total = np.concatenate([[0], np.cumsum((shell[1:] + shell[:-1]) / 2 * np.diff(r))])
    return np.interp(outline_mm, r, total)


@pytest.mark.parametrize(("mass", "expected"), SPHERES)
def test_sphere_s_values(mass, expected):
    assert measure.s_value_sphere(mass) == pytest.approx(expected, rel=0.005)


def test_outside_the_spheres():
    with pytest.raises(MeasureError, match=r"entry 1, is 1800 g.*0\.0043 up to 932"):
        measure.s_value_sphere([150.0, 1800.0])


@pytest.mark.parametrize("name", ["Lu177", "177Lu", "Lu-177", "lu177"])
def test_half_lives(name):
    assert measure.half_life_h(name) == 159.528
    assert measure.half_life_h("Lu177m") == pytest.approx(160.4 * 24)
    assert measure.decay_factor([0, 159.528, -159.528], name) == pytest.approx([1, 0.5, 2])


def test_unknown_nuclide():
    with pytest.raises(MeasureError, match=r"Lu176.*known are Lu177"):
        measure.half_life_h("Lu176")


class TestBed:
    def test_published_equivalences(self):
        # one delivery of 25.8 Gy with T_eff 50 h is a BED of 40 Gy; six cycles of 3.2 Gy, 20.5 Gy
        assert measure.bed(25.8, 50, 2.5, 2.8) == pytest.approx(40, abs=0.1)
        assert 6 * measure.bed(3.2, 50, 2.5, 2.8) == pytest.approx(20.5, abs=0.1)
        assert measure.eqd2(41.4, 2.5) == pytest.approx(23.0, abs=0.01)

    def test_one_exponential_is_the_short_formula(self):
        rate = np.log(2) / 50
        assert measure.bed_of_exponentials([3.0 * rate], [rate], 2.6, 2.8) == pytest.approx(
            measure.bed(3.0, 50, 2.6, 2.8)
        )

    def test_by_direct_integration(self):
        """G = 2 / D² ∫ dt r(t) ∫_0^t ds r(s) exp(-mu (t - s))."""
        c, rate = np.array([0.08, -0.08]), np.log(2) / np.array([45.0, 2.0])
        mu = np.log(2) / 2.8

        def rates(t):
            return (c * np.exp(-rate * t)).sum()

        double, _ = dblquad(
            lambda s, t: rates(t) * rates(s) * np.exp(-mu * (t - s)), 0, 900, 0, lambda t: t
        )
        dose = (c / rate).sum()
        expected = dose + 2 * double / 2.6
        assert measure.bed_of_exponentials(c, rate, 2.6, 2.8) == pytest.approx(expected, rel=1e-5)


class TestAbsorbedDose:
    def test_dose_and_uncertainty_by_simulation(self):
        """Gear's chain as a simulation: volume, recovery curve and calibration vary together."""
        rng = np.random.default_rng(1)
        curve = measure.RecoveryCurve(2.0, 0.9, (0.04, 0.002, 0.0009))
        volume, u_volume, u_fit, u_calibration, n = 8.0, 0.05, 0.04, 0.03, 400_000
        found = measure.absorbed_dose(
            500.0,
            volume,
            density_g_ml=1.04,
            tia_cv=u_fit,
            volume_cv=u_volume,
            recovery=curve,
            calibration_cv=u_calibration,
        ).iloc[0]
        assert found["absorbed_dose_gy"] == pytest.approx(
            500.0 * measure.s_value_sphere(8.0 * 1.04)
        )
        b1, b2 = rng.multivariate_normal([2.0, 0.9], [[0.04, 0.002], [0.002, 0.0009]], n).T
        seen = volume * np.exp(u_volume * rng.standard_normal(n))

        def log_dose(v, b1, b2):
            recovery = 1 - 1 / (1 + (v / b1) ** b2)
            return -np.log(recovery) + np.log(measure.s_value_sphere(v * 1.04))

        own = log_dose(seen, 2.0, 0.9) + u_fit * rng.standard_normal(n)
        shared = log_dose(volume, b1, b2) + u_calibration * rng.standard_normal(n)
        assert found["absorbed_dose_cv"] == pytest.approx(own.std(), rel=0.02)
        assert found["absorbed_dose_cv_shared"] == pytest.approx(shared.std(), rel=0.03)

    def test_counts_at_the_edge_by_simulation(self):
        """Outlines of a blurred sphere, 1 mm of error in the diameter, its own recovery curve."""
        spread, claimed, without = [], [], []
        curve = measure.RecoveryCurve.fit(
            *np.transpose([(ml(d / 2), counts(d / 2, d / 2) / ml(d / 2)) for d in DIAMETERS])
        )
        error = np.random.default_rng(1).standard_normal(20_000)
        for d in (10.0, 20.0, 30.0, 60.0):
            seen = (d + error) / 2
            dose = counts(seen, d / 2) / curve(ml(seen)) * measure.s_value_sphere(ml(seen))
            spread.append(np.log(dose).std())
            given = {"density_g_ml": 1.0, "volume_cv": 3 / d, "recovery": curve}
            for found, fwhm in ((claimed, 12.0), (without, None)):
                row = measure.absorbed_dose(1.0, ml(d / 2), fwhm_mm=fwhm, **given)
                found.append(row["absorbed_dose_cv"].item())
        # at 10 mm the volume is known to 30 %, which is beyond a straight line
        assert claimed[0] == pytest.approx(spread[0], rel=0.25)
        assert claimed[1:] == pytest.approx(spread[1:], rel=0.07)
        assert (np.divide(without, spread) > 1.9).all()

    @pytest.mark.parametrize("d", [2.0, 10.0, 40.0])
    def test_counts_at_the_edge_without_a_curve(self, d):
        """Activity that was not recovered: derivative of the counts by differences."""
        step = 1e-3 * d / 2
        ends = [np.log(counts(d / 2 + h, d / 2)) for h in (step, -step)]
        slope = (ends[0] - ends[1]) / np.log(ml(d / 2 + step) / ml(d / 2 - step))
        found = measure.absorbed_dose(
            1.0, ml(d / 2), density_g_ml=1.1, volume_cv=0.1, fwhm_mm=12.0
        )["absorbed_dose_cv"].item()
        at = ml(d / 2) * 1.1
        s_slope = np.log(
            measure.s_value_sphere(at * 1.01) / measure.s_value_sphere(at / 1.01)
        ) / np.log(1.01**2)
        assert found == pytest.approx(0.1 * abs(s_slope + slope), rel=2e-3, abs=1e-5)
        with pytest.raises(MeasureError, match="fwhm_mm"):
            measure.absorbed_dose(1.0, ml(d / 2), density_g_ml=1.1, fwhm_mm=-12.0)

    def test_without_recovery_the_volume_enters_by_mass_only(self):
        found = measure.absorbed_dose([500.0], [8.0], density_g_ml=1.04, volume_cv=0.1)
        assert found["absorbed_dose_cv"].item() == pytest.approx(0.099, abs=0.001)
        assert found["absorbed_dose_cv_shared"].item() == 0
        assert found.attrs["dose"].startswith("self-dose")

    def test_draws(self):
        tia, volume = np.array([[400.0, 90.0], [500.0, 80.0]]), np.array([8.0, 1.0])
        found = measure.absorbed_dose_draws(tia, volume, density_g_ml=1.04)
        assert found == pytest.approx(tia * measure.s_value_sphere(volume * 1.04))

    def test_s_table(self):
        table = pd.DataFrame(
            [
                ("kidney", "kidney", 3e-4, 310.0),
                ("liver", "liver", 5e-5, 1800.0),
                ("liver", "kidney", 1e-6, 310.0),
                ("spleen", "spleen", 6e-4, 150.0),
            ],
            columns=["source", "target", "s_gy_per_mbq_h", "ref_mass_g"],
        )
        tia = {"kidney": 7000.0, "liver": 50_000.0}
        found = measure.absorbed_dose_by_s_table(tia, {"kidney": 280.0, "liver": 1900.0}, table)
        assert found["kidney"] == pytest.approx(7000 * 3e-4 * 310 / 280 + 50_000 * 1e-6)
        assert found["liver"] == pytest.approx(50_000 * 5e-5 * 1800 / 1900)
        assert list(found.index) == ["kidney", "liver"]
        with pytest.raises(MeasureError, match="no self-dose of 'lacrimal'"):
            measure.absorbed_dose_by_s_table({"lacrimal": 1.0}, {"lacrimal": 1.0}, table)
        twice = pd.concat([table, table.iloc[[1]]])
        with pytest.raises(MeasureError, match="'liver' to 'liver' more than once"):
            measure.absorbed_dose_by_s_table(tia, {"kidney": 280.0, "liver": 1900.0}, twice)

    def test_density_is_asked_for_and_checked(self):
        with pytest.raises(TypeError, match="density_g_ml"):
            measure.absorbed_dose(500.0, 8.0)
        with pytest.raises(MeasureError, match="density_g_ml"):
            measure.absorbed_dose(500.0, 8.0, density_g_ml=1040)

    def test_recovery_that_no_fit_gives(self):
        with pytest.raises(MeasureError, match="covariance"):
            measure.RecoveryCurve(2.0, 0.9, (0.01, 0.5, 0.01))
        for bad in (np.inf, np.nan):
            with pytest.raises(MeasureError, match=r"`covariance`.*finite"):
                measure.RecoveryCurve(2.0, 0.9, (bad, 0.0, 0.01))

    @pytest.mark.parametrize(
        ("recovery", "words"),
        [
            ([0.9, 0.5, 0.2], "does not rise with volume"),
            ([1.0, 1.0, 1.0], "does not rise with volume"),
            ([1.0, 1.0, 1.01], "no recovery curve passes near"),
        ],
    )
    def test_spheres_that_make_no_curve(self, recovery, words):
        with pytest.raises(MeasureError, match=words):
            measure.RecoveryCurve.fit([1.0, 5.0, 20.0], recovery)
