"""Cohorts with a known truth, made from mechanism or from the regression model itself."""

from bayesdose.simulate.cohort import dose_cohort
from bayesdose.simulate.parameters import MechanismParameters, SiteKind
from bayesdose.simulate.primary_tumour import (
    PrimaryTumourCohort,
    PrimaryTumourParameters,
    primary_tumour_cohort,
)
from bayesdose.simulate.progression import (
    ProgressionCohort,
    ProgressionParameters,
    psa_pfs_cohort,
)
from bayesdose.simulate.regression import RegressionParameters, draw_regression_doses
from bayesdose.simulate.survival_times import SurvivalParameters, survival_outcome
from bayesdose.simulate.volume import Phantom, pet_volume, place_spheres

__all__ = [
    "MechanismParameters",
    "Phantom",
    "PrimaryTumourCohort",
    "PrimaryTumourParameters",
    "ProgressionCohort",
    "ProgressionParameters",
    "RegressionParameters",
    "SiteKind",
    "SurvivalParameters",
    "dose_cohort",
    "draw_regression_doses",
    "pet_volume",
    "place_spheres",
    "primary_tumour_cohort",
    "psa_pfs_cohort",
    "survival_outcome",
]
