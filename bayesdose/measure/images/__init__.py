"""Images, the regions outlined on them, and what is measured there."""

from bayesdose.measure.images.activity import site_activity
from bayesdose.measure.images.image import Image, Regions, Scan, check_same_geometry
from bayesdose.measure.images.reading import read_image, read_regions
from bayesdose.measure.images.regional import region_dose, region_texture, region_uptake
from bayesdose.measure.images.standardise import suv_image, uptake_time_h

__all__ = [
    "Image",
    "Regions",
    "Scan",
    "check_same_geometry",
    "read_image",
    "read_regions",
    "region_dose",
    "region_texture",
    "region_uptake",
    "site_activity",
    "suv_image",
    "uptake_time_h",
]
