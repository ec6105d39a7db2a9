"""Curves against an external fit and simulated uncertainties; one-scan formulas by their ratios."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayesdose import measure
from bayesdose.errors import MeasureError

DECAY = np.log(2) / 159.528
FOLDER = "lu177_snmmi_patient004"


def test_four_organs_of_a_real_patient(test_data):
    points = pd.read_csv(test_data / FOLDER / "time_activity.csv")
    reference = pd.read_csv(test_data / FOLDER / "reference_fit_tia_dose.csv", index_col="voi")
    for organ in ("Kidney_Left", "Kidney_Right", "Liver", "Spleen"):
        mine = points[points["voi"] == organ]
        found = measure.fit_time_activity(
            mine["time_h"],
            mine["activity_MBq"],
            decay_corrected=False,
            curve="uptake_clearance",
            weights="absolute",
        )
        assert found.tia_mbq_h == pytest.approx(reference.loc[organ, "TIA_MBq_h"], rel=1e-3), organ
        slow = reference.loc[organ, "lambda1_per_h"]
        assert found.rates_per_h[0] == pytest.approx(slow, rel=1e-3)
        # 147.2 keV deposited locally in 1.05 g/mL is what the reference's own check used
        volume = mine["volume_mL"].mean()
        dose = found.tia_mbq_h * 147.2 * 5.7678e-4 / (volume * 1.05)
        local = reference.loc[organ, "AD_local_deposition_Gy"]
        assert dose == pytest.approx(local, rel=0.01), organ
        assert dose == pytest.approx(reference.loc[organ, "AD_Gy"], rel=0.13), organ


@pytest.mark.parametrize("weights", ["relative", "absolute"])
@pytest.mark.parametrize(
    ("curve", "amplitudes", "rates"),
    [
        ("mono", [80.0], [0.014]),
        ("uptake_clearance", [80.0, -80.0], [0.012, 0.5]),
        ("biexponential", [50.0, 60.0], [0.009, 0.08]),
        ("biexponential", [50.0, -20.0], [0.009, 0.08]),
    ],
)
def test_points_on_a_curve_give_the_curve_back(curve, amplitudes, rates, weights):
    time = np.array([2.0, 6.0, 24.0, 48.0, 96.0, 168.0])
    activity = (np.array(amplitudes) * np.exp(-np.outer(time, rates))).sum(1)
    corrected = activity * np.exp(DECAY * time)
    found = measure.fit_time_activity(
        time, corrected, decay_corrected=True, curve=curve, weights=weights
    )
    assert found.rates_per_h == pytest.approx(rates, rel=1e-4)
    assert found.tia_mbq_h == pytest.approx(np.divide(amplitudes, rates).sum(), rel=1e-5)
    assert found.effective_half_life_h == pytest.approx(np.log(2) / rates[0], rel=1e-4)
    assert found.activity(time) == pytest.approx(activity, rel=1e-5)
    assert not found.at_physical_limit
    assert set(found.alternatives) == {"mono", "uptake_clearance", "biexponential"} - {curve}


class TestAuto:
    def curve(self, time, activity, cv=None):
        return measure.fit_time_activity(
            time, activity, decay_corrected=False, activity_cv=cv
        ).curve

    def test_few_points(self):
        time = np.array([4.0, 24.0, 48.0])
        activity = 80 * np.exp(-0.012 * time)
        assert [self.curve(time[:n], activity[:n]) for n in (2, 3)] == ["mono", "mono"]

    @pytest.mark.parametrize("cv", [0.05, None])
    def test_more_points_show_two_terms_or_not(self, cv):
        """The noise on the points is less than stated, but not none."""
        time = np.array([2.0, 6.0, 24.0, 48.0, 96.0, 168.0])
        noise = np.exp([0.01, -0.01, 0.01, -0.01, 0.01, -0.01])
        mono = 80 * np.exp(-0.012 * time)
        uptake = 80 * (np.exp(-0.012 * time) - np.exp(-0.4 * time))
        two = 50 * np.exp(-0.009 * time) + 60 * np.exp(-0.08 * time)
        assert self.curve(time, mono * noise, cv) == "mono"
        assert self.curve(time, uptake * noise, cv) == "uptake_clearance"
        assert self.curve(time, two * noise, cv) == "biexponential"
        # less than exp(-3) of the fast term is left at the first scan, whatever its size
        unseen = 50 * np.exp(-0.009 * time[2:]) + 9e3 * np.exp(-0.25 * time[2:])
        late, height = [*time[2:], 200.0], [*unseen, 50 * np.exp(-1.8)]
        assert self.curve(late, height, cv) == "mono"

    @pytest.mark.parametrize("cv", [0.05, None])
    def test_a_fast_term_that_no_scan_sees(self, cv):
        """A mono-exponential with noise, of which a bi-exponential makes 2 GBq h."""
        scans = ([24, 48, 72, 96, 168], [0.7332, 0.5004, 0.3794, 0.2691, 0.0988])
        given = {"decay_corrected": False, "activity_cv": cv}
        found = measure.fit_time_activity(*scans, **given)
        assert found.tia_mbq_h == pytest.approx(72.9, abs=0.1)
        assert found.tia_cv < 0.05
        forced = measure.fit_time_activity(*scans, **given, curve="biexponential")
        assert forced.tia_mbq_h > 1e5
        assert forced.tia_cv == np.inf

    def test_a_late_first_scan_must_lie_well_below(self):
        """Two standard deviations: 0.05 of the point, 0.069 of the extrapolation."""
        time = np.array([24.0, 48.0, 96.0, 168.0])
        activity = 80 * np.exp(-0.012 * time)
        # of a straight line through the logs of the others, at 24 h
        design = np.stack([np.ones(3), time[1:]], axis=1)
        at = np.array([1.0, 24.0])
        sd = 0.05 * np.sqrt(1 + at @ np.linalg.inv(design.T @ design) @ at)
        for short, curve in ((1.95, "mono"), (2.05, "uptake_clearance")):
            below = activity * np.exp([-short * sd, 0, 0, 0])
            assert self.curve(time, below, 0.05) == curve
            assert self.curve(time, below) == "uptake_clearance"
            assert self.curve([11.0, *time[1:]], below, 0.05) == "uptake_clearance"

    def test_four_points_by_the_first(self):
        time = np.array([4.0, 24.0, 96.0, 168.0])
        clearance = 80 * np.exp(-0.012 * time)
        below, above = clearance.copy(), clearance.copy()
        below[0] *= 0.8
        above[0] *= 1.2
        assert self.curve(time, below) == "uptake_clearance"
        assert self.curve(time, above) == "mono"


@pytest.mark.parametrize("given", [True, False])
def test_uncertainty_is_the_spread_over_noise(given):
    """Delta method against 150 noisy copies; the residuals estimate a cv that is not given."""
    rng = np.random.default_rng(2)
    time = np.array([4.0, 24.0, 48.0, 72.0, 96.0, 168.0])
    clean = 80 * np.exp(-0.012 * time)
    fits = [
        measure.fit_time_activity(
            time,
            clean * np.exp(0.05 * rng.standard_normal(6)),
            decay_corrected=False,
            curve="mono",
            activity_cv=0.05 if given else None,
        )
        for _ in range(150)
    ]
    spread = np.std([np.log(fit.tia_mbq_h) for fit in fits])
    typical = np.sqrt(np.mean([fit.tia_cv**2 for fit in fits]))
    if not given:
        typical /= stats.t.isf(0.025, 4) / 1.96
    assert typical == pytest.approx(spread, rel=0.2)  # 150 copies know it to 6 %


@pytest.mark.parametrize(
    ("time", "half_life", "cv"),
    [
        ([24.0, 96.0, 168.0], 50.0, None),
        ([24.0, 48.0, 96.0, 168.0], 50.0, None),
        ([24.0, 96.0], 120.0, 0.05),
    ],
)
def test_intervals_cover(time, half_life, cv):
    """Noise from one and two residuals; and fits that end at physical decay, of 159.5 h."""
    rng = np.random.default_rng(5)
    rate = np.log(2) / half_life
    n, covered = 300, 0
    for _ in range(n):
        noise = np.exp(0.05 * rng.standard_normal(len(time)))
        found = measure.fit_time_activity(
            time,
            80 * np.exp(-rate * np.array(time)) * noise,
            decay_corrected=False,
            activity_cv=cv,
            curve="mono",
        )
        covered += abs(np.log(found.tia_mbq_h * rate / 80)) < 1.96 * found.tia_cv
    assert covered / n == pytest.approx(0.95, abs=0.04)  # three standard errors


def test_an_uptake_too_fast_to_see_leaves_the_integral_known():
    time = np.array([24.0, 48.0, 96.0, 168.0])
    activity = 80 * np.exp(-0.012 * time) * np.exp([0.02, -0.02, 0.02, -0.02])
    known = {"decay_corrected": False, "activity_cv": 0.05}
    mono = measure.fit_time_activity(time, activity, curve="mono", **known)
    found = measure.fit_time_activity(time, activity, curve="uptake_clearance", **known)
    assert found.rates_per_h[1] > 0.5
    assert found.tia_mbq_h == pytest.approx(mono.tia_mbq_h, rel=0.02)
    assert mono.tia_cv <= found.tia_cv < 3 * mono.tia_cv


def test_as_many_parameters_as_points_leave_no_residual():
    found = measure.fit_time_activity([24, 96], [60.0, 25.0], decay_corrected=False)
    assert np.isnan(found.tia_cv)
    known = measure.fit_time_activity(
        [24, 96], [60.0, 25.0], decay_corrected=False, activity_cv=0.05
    )
    assert known.tia_mbq_h == pytest.approx(found.tia_mbq_h)
    # ln A1, ln A2 each ± 0.05: A0 = A1 (A1/A2)^(t1/(t2-t1)), lambda = ln(A1/A2)/(t2-t1)
    steps = np.array([[1 + 1 / 3, -1 / 3], [1 / np.log(2.4), -1 / np.log(2.4)]])
    expected = 0.05 * np.hypot(*(steps[0] - steps[1]))
    assert known.tia_cv == pytest.approx(expected, rel=1e-3)


def test_slower_than_physical_decay_is_flagged():
    time = np.array([24.0, 96.0, 168.0])
    found = measure.fit_time_activity(time, 60 * np.exp(-0.003 * time), decay_corrected=False)
    assert found.at_physical_limit
    assert found.effective_half_life_h == pytest.approx(159.528, rel=1e-3)


class TestOneScan:
    @pytest.mark.parametrize("x", [0.5, 1.0, 1.443, 2.0, 3.0])
    def test_hanscheid_ratio(self, x):
        half_life = 50.0
        rate = np.log(2) / half_life
        activity = 80 * np.exp(-rate * x * half_life)
        found = measure.hanscheid(x * half_life, activity, decay_corrected=False)
        assert found.tia_mbq_h / (80 / rate) == pytest.approx(2 * x * 2**-x)
        assert np.isnan(found.tia_cv)

    @pytest.mark.parametrize(
        ("half_life", "time", "ratio"),
        [
            (30, 72, 0.857),
            (40, 72, 0.974),
            (60, 72, 0.984),
            (75, 72, 0.930),
            (30, 24, 1.335),
            (75, 24, 0.745),
        ],
    )
    def test_madsen_ratio(self, half_life, time, ratio):
        rate = np.log(2) / half_life
        found = measure.madsen(time, 80 * np.exp(-rate * time), 50, decay_corrected=False)
        assert found.tia_mbq_h / (80 / rate) == pytest.approx(ratio, abs=0.0011)

    def test_uncertainty_by_simulation(self):
        """Log-normal half-lives about the one that was assumed, and 5 % of noise."""
        rng = np.random.default_rng(3)
        known = {"decay_corrected": False, "activity_cv": 0.05, "half_life_log_sd": 0.2}
        for time in (24.0, 120.0):
            found = measure.madsen(time, 30.0, 50.0, **known)
            rate = np.log(2) / 50 * np.exp(-0.2 * rng.standard_normal(200_000))
            rate = np.maximum(rate, DECAY)
            truth = np.exp(rate * time) / rate * np.exp(0.05 * rng.standard_normal(200_000))
            log_sd = np.log(truth).std()
            assert found.tia_cv == pytest.approx(np.sqrt(np.expm1(log_sd**2)), rel=0.02)
        found = measure.hanscheid(72.0, 30.0, **known)
        x = np.exp(0.2 * rng.standard_normal(200_000)) / np.log(2)
        log_sd = np.hypot(np.log(2 * x * 2**-x).std(), 0.05)
        assert found.tia_cv == pytest.approx(np.sqrt(np.expm1(log_sd**2)), rel=0.02)


@pytest.mark.parametrize(
    ("time", "activity", "words"),
    [
        ([24], [60], "one time point.*PopulationKinetics.*hanscheid.*madsen"),
        ([24, 96], [20, 60], "rises at the end, from 20 MBq at 24 h to 60 MBq at 96 h"),
        ([-1, 96], [60, 20], "time_h.*entry 0, is -1 h"),
        ([24, 24], [60, 20], "24 h twice"),
        ([24, 96], [60, 0], "activity_mbq.*above 0"),
        ([24, 96, 120], [60, 20], "one number for each scan"),
        ([24, np.nan], [60, 20], "time_h.*nan"),
    ],
)
def test_refused(time, activity, words):
    with pytest.raises(MeasureError, match=words):
        measure.fit_time_activity(time, activity, decay_corrected=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"decay_corrected": None}, "True if the activities were corrected"),
        ({"curve": "biexponential"}, "has 4 parameters and there are 2"),
        ({"curve": "spline"}, "allowed are auto, mono"),
        ({"weights": "equal"}, "relative, absolute"),
        ({"radionuclide": "Tc99m"}, "not known"),
    ],
)
def test_arguments_refused(arguments, words):
    with pytest.raises(MeasureError, match=words):
        measure.fit_time_activity([24, 96], [60, 20], **({"decay_corrected": False} | arguments))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"activity_cv": 5.0}, "up to 2"),
        ({"activity_cv": [0.1, 0.1]}, "do not go together"),
        ({"activity_mbq": [1e9, 1.0, 1e-3]}, "unit the same"),
    ],
)
def test_numbers_that_cannot_be(arguments, words):
    given = {"time_h": [4.0, 24.0, 96.0], "activity_mbq": [9.0, 7.0, 3.0]} | arguments
    with pytest.raises(MeasureError, match=words):
        measure.fit_time_activity(**given, decay_corrected=False)
