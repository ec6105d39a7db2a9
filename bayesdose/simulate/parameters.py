"""The population that the mechanism generator draws from: plain values, each with its origin.

Values marked *chosen* were set so that 2000 simulated patients show the published spreads and
correlations (``docs/simulated-cohorts.md``); they are no measurements.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from bayesdose.errors import ConfigError
from bayesdose.simulate.layout import KINDS

# Numbers that may have either sign.
SIGNED = ("peak_logit", "egfr_kidney_exponent")


def _refuse_impossible_numbers(values: object) -> None:
    for one in fields(values):  # type: ignore[arg-type]
        value = getattr(values, one.name)
        if one.name in SIGNED or not isinstance(value, int | float):
            continue
        spread = one.name.endswith(("_sd", "_cv"))
        # Written so that NaN fails too.
        if not (value >= 0.0 if spread else value > 0.0) or value == float("inf"):
            raise ConfigError(
                f"{one.name} is {value}; it must be finite and "
                f"{'0 or more' if spread else 'above 0'}."
            )


@dataclass(frozen=True)
class SiteKind:
    """Population of one kind of site; every ``sd`` is a standard deviation of a logarithm.

    Parameters
    ----------
    tissue : str
        Word in the table's ``tissue`` column; patient effects are shared within it.
    plateau_suv : float, SUV
        Median uptake of the PET ligand once plasma is empty, without a tumour sink.
    uptake_patient_sd, uptake_site_sd : float
        Spread between patients, and between sites of a patient, of the uptake.
    effective_half_life_h : float, h
        Median effective half-life of the therapy ligand with 177Lu.
    half_life_patient_sd, half_life_site_sd : float
        Its spread.
    ligand_ratio : float
        Median uptake of the therapy ligand over that of the PET ligand.
    ligand_patient_sd, ligand_site_sd : float
        Its spread: what no PET can see.
    volume_ml : float, mL
        Median true volume.
    volume_patient_sd, volume_site_sd : float
        Its spread.
    density_g_ml : float, g/mL
        Density that turns volume into mass.
    heterogeneity : float
        Median standard deviation of the logarithm of the voxels' uptake.
    peak_logit : float
        Logit of SUVpeak/SUVmax at 1 mL.
    """

    tissue: str
    plateau_suv: float
    uptake_patient_sd: float
    uptake_site_sd: float
    effective_half_life_h: float
    half_life_patient_sd: float
    half_life_site_sd: float
    ligand_ratio: float
    ligand_patient_sd: float
    ligand_site_sd: float
    volume_ml: float
    volume_patient_sd: float
    volume_site_sd: float
    density_g_ml: float
    heterogeneity: float
    peak_logit: float

    def __post_init__(self) -> None:
        _refuse_impossible_numbers(self)


# Effective half-lives: from memory (tumours 50-61 h, kidneys 30-45 h, salivary 25-35 h). Plateau
# SUVs of organs: so that at 60-120 min they are those of 18F-DCFPyL (Li 2017, PMC5450367). Gland
# masses: from memory (ICRP 89). Ligand ratios: chosen, so that medians per GBq are the published.
TUMOUR = SiteKind(
    "tumour",
    plateau_suv=21.0, uptake_patient_sd=0.40, uptake_site_sd=0.48,
    effective_half_life_h=52.0, half_life_patient_sd=0.18, half_life_site_sd=0.15,
    ligand_ratio=1.9, ligand_patient_sd=0.48, ligand_site_sd=0.45,
    volume_ml=4.5, volume_patient_sd=0.20, volume_site_sd=0.95,
    density_g_ml=1.04, heterogeneity=0.32, peak_logit=0.24,
)  # fmt: skip
PAROTID = SiteKind(
    "salivary_gland",
    plateau_suv=16.0, uptake_patient_sd=0.21, uptake_site_sd=0.05,
    effective_half_life_h=30.0, half_life_patient_sd=0.18, half_life_site_sd=0.03,
    ligand_ratio=0.70, ligand_patient_sd=0.19, ligand_site_sd=0.04,
    volume_ml=24.0, volume_patient_sd=0.18, volume_site_sd=0.06,
    density_g_ml=1.04, heterogeneity=0.18, peak_logit=1.4,
)  # fmt: skip
SUBMANDIBULAR = SiteKind(
    "salivary_gland",
    plateau_suv=16.8, uptake_patient_sd=0.21, uptake_site_sd=0.05,
    effective_half_life_h=28.0, half_life_patient_sd=0.18, half_life_site_sd=0.03,
    ligand_ratio=0.60, ligand_patient_sd=0.19, ligand_site_sd=0.04,
    volume_ml=12.0, volume_patient_sd=0.18, volume_site_sd=0.06,
    density_g_ml=1.04, heterogeneity=0.18, peak_logit=1.4,
)  # fmt: skip
KIDNEY = SiteKind(
    "kidney",
    plateau_suv=36.0, uptake_patient_sd=0.15, uptake_site_sd=0.01,
    effective_half_life_h=37.0, half_life_patient_sd=0.08, half_life_site_sd=0.01,
    ligand_ratio=0.24, ligand_patient_sd=0.09, ligand_site_sd=0.02,
    volume_ml=148.0, volume_patient_sd=0.15, volume_site_sd=0.05,
    density_g_ml=1.05, heterogeneity=0.22, peak_logit=1.2,
)  # fmt: skip


@dataclass(frozen=True)
class MechanismParameters:
    """Population values of the mechanism generator.

    Parameters
    ----------
    kinds : mapping of str to SiteKind
        ``tumour``, ``parotid``, ``submandibular`` and ``kidney``.
    body_weight_kg, body_weight_sd : float, kg and log-sd
        Body weight.
    pet_plasma_half_life_h, therapy_plasma_half_life_h : float, h
        Half-life of either ligand in plasma without a tumour sink (*chosen*; whole-body retention
        falls to about 50 % by 4 h, Kurth 2018).
    plasma_patient_sd, plasma_ligand_sd : float
        Log-sd between patients of that rate, common to both ligands and of each alone.
    rest_volume_ml, rest_volume_sd : float, mL and log-sd
        Tumour volume outside the measured lesions; whole-body volumes of published cohorts run
        from 25 to over 1355 mL (Gafita 2022, quintiles).
    egfr_ml_min_1p73m2, egfr_sd : float, mL/min/1.73 m2 and log-sd
        eGFR.
    egfr_kidney_exponent : float
        *Assumption*: the kidney's biological rate is proportional to eGFR to this power. The
        direction is that of 177Lu-DOTATATE (Svensson 2015, doi 10.1007/s00259-015-3001-1); for
        PSMA ligands no coefficient was found.
    calibration_cv : float
        Relative standard deviation of the dose calibration, shared by a patient's sites of a cycle.
    """

    kinds: Mapping[str, SiteKind] = field(
        default_factory=lambda: MappingProxyType(
            {
                "tumour": TUMOUR,
                "parotid": PAROTID,
                "submandibular": SUBMANDIBULAR,
                "kidney": KIDNEY,
            }
        )
    )
    body_weight_kg: float = 80.0
    body_weight_sd: float = 0.11
    pet_plasma_half_life_h: float = 1.1
    therapy_plasma_half_life_h: float = 1.3
    plasma_patient_sd: float = 0.09
    plasma_ligand_sd: float = 0.06
    rest_volume_ml: float = 220.0
    rest_volume_sd: float = 1.2
    egfr_ml_min_1p73m2: float = 75.0
    egfr_sd: float = 0.25
    egfr_kidney_exponent: float = 0.4
    calibration_cv: float = 0.07

    def __post_init__(self) -> None:
        _refuse_impossible_numbers(self)
        if set(self.kinds) != set(KINDS):
            raise ConfigError(
                f"kinds has the entries {', '.join(self.kinds)}; it must have {', '.join(KINDS)}."
            )
