"""From scans, activity and blood to columns of the site table: numbers with units in and out."""

from typing import TYPE_CHECKING, Any

from bayesdose.measure.absorbed_dose import (
    absorbed_dose,
    absorbed_dose_by_s_table,
    absorbed_dose_draws,
)
from bayesdose.measure.delta import delta_features
from bayesdose.measure.ibsi import ibsi_features
from bayesdose.measure.images import (
    Image,
    Regions,
    Scan,
    read_image,
    read_regions,
    region_dose,
    region_texture,
    region_uptake,
    site_activity,
    suv_image,
)
from bayesdose.measure.kinetics import (
    PopulationKinetics,
    SinglePoint,
    TimeActivityFit,
    fit_time_activity,
    hanscheid,
    madsen,
)
from bayesdose.measure.nuclides import decay_factor, half_life_h
from bayesdose.measure.radiobiology import bed, bed_of_exponentials, eqd2
from bayesdose.measure.recovery import RecoveryCurve
from bayesdose.measure.renal import (
    body_surface_area,
    cockcroft_gault,
    creatinine_mg_dl,
    deindexed_egfr,
    egfr_ckd_epi_2009,
    egfr_ckd_epi_2021,
    egfr_mdrd,
)
from bayesdose.measure.repeatability import (
    intraclass_correlation,
    repeatability_coefficient,
    within_subject_cv,
)
from bayesdose.measure.spheres import s_value_sphere
from bayesdose.measure.suv import lean_body_mass, suv_factor
from bayesdose.measure.table import Dosimetry, Texture, build_site_table, build_time_activity
from bayesdose.measure.texture import glcm_features, glcm_guard, import_features
from bayesdose.measure.uptake import (
    psma_expression_score,
    suv_peak,
    threshold_region,
    tumour_to_organ,
    uptake_features,
    whole_body,
)

if TYPE_CHECKING:
    from bayesdose.measure.harmonise import ComBat

__all__ = [
    "ComBat",
    "Dosimetry",
    "Image",
    "PopulationKinetics",
    "RecoveryCurve",
    "Regions",
    "Scan",
    "SinglePoint",
    "Texture",
    "TimeActivityFit",
    "absorbed_dose",
    "absorbed_dose_by_s_table",
    "absorbed_dose_draws",
    "bed",
    "bed_of_exponentials",
    "body_surface_area",
    "build_site_table",
    "build_time_activity",
    "cockcroft_gault",
    "creatinine_mg_dl",
    "decay_factor",
    "deindexed_egfr",
    "delta_features",
    "egfr_ckd_epi_2009",
    "egfr_ckd_epi_2021",
    "egfr_mdrd",
    "eqd2",
    "fit_time_activity",
    "glcm_features",
    "glcm_guard",
    "half_life_h",
    "hanscheid",
    "ibsi_features",
    "import_features",
    "intraclass_correlation",
    "lean_body_mass",
    "madsen",
    "psma_expression_score",
    "read_image",
    "read_regions",
    "region_dose",
    "region_texture",
    "region_uptake",
    "repeatability_coefficient",
    "s_value_sphere",
    "site_activity",
    "suv_factor",
    "suv_image",
    "suv_peak",
    "threshold_region",
    "tumour_to_organ",
    "uptake_features",
    "whole_body",
    "within_subject_cv",
]


def __getattr__(name: str) -> Any:
    """Load ComBat when it is asked for: it alone needs scikit-learn."""
    if name == "ComBat":
        from bayesdose.measure.harmonise import ComBat

        return ComBat
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
