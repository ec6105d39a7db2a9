import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from bayesdose.simulate.kinetics import (
    LU177_DECAY_PER_H,
    activity_concentration,
    biological_rate,
    time_integrated_concentration,
)


def test_concentration_solves_the_two_compartments() -> None:
    influx, plasma, tissue = 1e-4, 0.63, 0.013

    def slope(_: float, amount: np.ndarray) -> list[float]:
        return [-plasma * amount[0], influx * amount[0] - tissue * amount[1]]

    times = np.array([0.5, 1.5, 24.0, 96.0])
    solved = solve_ivp(slope, (0.0, 96.0), [1.0, 0.0], t_eval=times, rtol=1e-10, atol=1e-14)
    closed = activity_concentration(times, influx, plasma, tissue)
    np.testing.assert_allclose(closed, solved.y[1], rtol=1e-6)


def test_time_integral_equals_quadrature_with_decay() -> None:
    influx, plasma, tissue = 1e-4, 0.63, 0.013

    def activity(time_h: float) -> float:
        left = activity_concentration(time_h, influx, plasma, tissue)
        return float(left * np.exp(-LU177_DECAY_PER_H * time_h))

    integral = quad(activity, 0.0, 20.0)[0] + quad(activity, 20.0, 2000.0, limit=200)[0]
    closed = time_integrated_concentration(influx, plasma, tissue)
    assert closed == pytest.approx(integral, rel=1e-7)


@pytest.mark.parametrize(("effective_h", "biological_h"), [(30, 36.9), (40, 53.4), (60, 96.2)])
def test_biological_rate_equals_the_published_pairs(effective_h: int, biological_h: float) -> None:
    assert np.log(2.0) / biological_rate(effective_h) == pytest.approx(biological_h, abs=0.06)


def test_biological_rate_vanishes_at_the_physical_half_life() -> None:
    assert biological_rate(159.528) == pytest.approx(0.0, abs=1e-15)
