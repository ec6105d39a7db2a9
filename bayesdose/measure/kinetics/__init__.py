"""From activities at some times to time-integrated activity."""

from bayesdose.measure.kinetics.curves import TimeActivityFit, fit_time_activity
from bayesdose.measure.kinetics.population import PopulationKinetics
from bayesdose.measure.kinetics.single_point import SinglePoint, hanscheid, madsen

__all__ = [
    "PopulationKinetics",
    "SinglePoint",
    "TimeActivityFit",
    "fit_time_activity",
    "hanscheid",
    "madsen",
]
