"""Cohorts with a known truth, made from mechanism or from the regression model itself."""

from bayesdose.simulate.cohort import dose_cohort
from bayesdose.simulate.parameters import MechanismParameters, SiteKind
from bayesdose.simulate.regression import RegressionParameters, draw_regression_doses
from bayesdose.simulate.volume import Phantom, pet_volume, place_spheres

__all__ = [
    "MechanismParameters",
    "Phantom",
    "RegressionParameters",
    "SiteKind",
    "dose_cohort",
    "draw_regression_doses",
    "pet_volume",
    "place_spheres",
]
