"""From a posterior to a decision: activities that keep limits of dose, updates, and information."""

from bayesdose.planning.activity import Plan, max_activity
from bayesdose.planning.information import value_of_information
from bayesdose.planning.limits import LIMITS, DoseLimit, PublishedLimit
from bayesdose.planning.table import activity_table
from bayesdose.planning.updating import update_report

__all__ = [
    "LIMITS",
    "DoseLimit",
    "Plan",
    "PublishedLimit",
    "activity_table",
    "max_activity",
    "update_report",
    "value_of_information",
]
