"""What DICOM headers say of a scan, and where they contradict themselves."""

from bayesdose.measure.images.headers.scan import pseudonym, scan_of
from bayesdose.measure.images.headers.units import RealWorldMap, real_world_map, units_of
from bayesdose.measure.images.headers.values import MODALITIES, Headers, stated_number

__all__ = [
    "MODALITIES",
    "Headers",
    "RealWorldMap",
    "pseudonym",
    "real_world_map",
    "scan_of",
    "stated_number",
    "units_of",
]
