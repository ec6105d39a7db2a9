"""The site table: reading, checking and splitting it, always with the patient as the unit."""

from bayesdose.cohort.checks import SiteTableWarning, validate_sites
from bayesdose.cohort.literature import literature_gy_per_gbq
from bayesdose.cohort.reading import read_sites
from bayesdose.cohort.schema import CHECKS, COLUMNS
from bayesdose.cohort.splitting import LeaveOnePatientOut, PatientKFold, RepeatedPatientKFold

__all__ = [
    "CHECKS",
    "COLUMNS",
    "LeaveOnePatientOut",
    "PatientKFold",
    "RepeatedPatientKFold",
    "SiteTableWarning",
    "literature_gy_per_gbq",
    "read_sites",
    "validate_sites",
]
