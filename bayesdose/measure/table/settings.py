"""What is the same for all patients of a table."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesdose.errors import ConfigError, MeasureError
from bayesdose.measure._numbers import LARGEST_CV, Floats, numbers
from bayesdose.measure.recovery import RecoveryCurve

if TYPE_CHECKING:
    from bayesdose.measure.kinetics import PopulationKinetics


@dataclass(frozen=True)
class Texture:
    """How texture is made of the PET.

    Parameters
    ----------
    bin_width : float, g/mL
        Width of grey levels in SUV.
    aggregation : {"3d_merged", "3d_averaged"}
        As for `glcm_features`.
    resample_mm : float, mm, optional
        Size of voxels to interpolate to; needed where scanners differ in theirs.
    codes : tuple of str
        Other features by IBSI code, as for `ibsi_features`.
    """

    bin_width: float
    aggregation: str = "3d_merged"
    resample_mm: float | None = None
    codes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        numbers(self.bin_width, "bin_width", "SUV", above=0.0)
        if self.resample_mm is not None:
            numbers(self.resample_mm, "resample_mm", "mm", above=0.0, most=20.0)


@dataclass(frozen=True)
class Dosimetry:
    """How absorbed dose is made of SPECT images.

    Parameters
    ----------
    recovery : RecoveryCurve, optional
        Activities are divided by it at the region's volume.
    calibration_cv : float
        Relative standard uncertainty of the calibration, common to a patient and cycle.
    diameter_sd_mm : float, mm
        Standard uncertainty of the diameter of an outline, which makes that of its volume.
    activity_cv : float, optional
        Relative standard uncertainty of one activity, independent between scans; None estimates
        it from the curve where there are more scans than parameters.
    curve, weights : str
        As for `fit_time_activity`.
    kinetics : PopulationKinetics, optional
        Fitted; it makes the curves in place of a fit to each region, and one scan is enough.
    """

    recovery: RecoveryCurve | None = None
    calibration_cv: float = 0.0
    diameter_sd_mm: float = 0.0
    activity_cv: float | None = None
    curve: str = "auto"
    weights: str = "relative"
    kinetics: "PopulationKinetics | None" = None

    def __post_init__(self) -> None:
        numbers(self.calibration_cv, "calibration_cv", "", least=0.0, most=LARGEST_CV)
        numbers(self.diameter_sd_mm, "diameter_sd_mm", "mm", least=0.0, most=20.0)
        if self.activity_cv is not None:
            numbers(self.activity_cv, "activity_cv", "", above=0.0, most=LARGEST_CV)
        if self.recovery is not None and not isinstance(self.recovery, RecoveryCurve):
            raise MeasureError(f"recovery: got {self.recovery!r}; give a RecoveryCurve or None")

    def volume_cv(self, volume_ml: Floats) -> Floats:
        """Relative standard uncertainty of volumes, 3 u(d) / d with d the sphere's diameter.

        Parameters
        ----------
        volume_ml : ndarray of shape (n_sites,), mL
            Volumes of the regions.

        Returns
        -------
        ndarray of shape (n_sites,)
            At most 1.

        References
        ----------
        Gear 2018, Eur. J. Nucl. Med. Mol. Imaging 45:2456, doi 10.1007/s00259-018-4136-7 (from
        memory).
        """
        diameter_mm = 10.0 * np.cbrt(6.0 * volume_ml / np.pi)
        return np.minimum(3.0 * self.diameter_sd_mm / diameter_mm, 1.0)


def settings_from_dict(plain: Mapping[str, Any]) -> tuple[Texture | None, Dosimetry]:
    """Make settings of plain values, as a TOML file holds them.

    Parameters
    ----------
    plain : mapping
        Tables texture and dosimetry; in the latter a table recovery of b1_ml, b2 and covariance.

    Returns
    -------
    texture : Texture or None
        None where there is no table of it.
    dosimetry : Dosimetry

    Raises
    ------
    ConfigError
        When a name is unknown or one that is needed is missing.
    """
    _check_names(plain, ("texture", "dosimetry"), "settings")
    texture = None
    if "texture" in plain:
        _check_names(plain["texture"], tuple(f.name for f in fields(Texture)), "[texture]")
        given = dict(plain["texture"])
        if "bin_width" not in given:
            raise ConfigError("[texture] needs bin_width, in SUV: there is no default")
        texture = Texture(**given | {"codes": tuple(given.get("codes", ()))})
    given = plain.get("dosimetry", {})
    allowed = tuple(f.name for f in fields(Dosimetry) if f.name != "kinetics")
    _check_names(given, allowed, "[dosimetry]")
    given = dict(given)
    if "recovery" in given:
        _check_names(given["recovery"], ("b1_ml", "b2", "covariance"), "[dosimetry.recovery]")
        curve = dict(given["recovery"])
        if not {"b1_ml", "b2"} <= set(curve):
            raise ConfigError("[dosimetry.recovery] needs b1_ml and b2")
        curve["covariance"] = tuple(curve.get("covariance", (0.0, 0.0, 0.0)))
        given["recovery"] = RecoveryCurve(**curve)
    return texture, Dosimetry(**given)


def _check_names(plain: Any, allowed: tuple[str, ...], where: str) -> None:
    if not isinstance(plain, Mapping):
        raise ConfigError(f"{where} must be a table; got {plain!r}")
    unknown = [name for name in plain if name not in allowed]
    if unknown:
        raise ConfigError(f"{where} has no {unknown[0]!r}; allowed are {', '.join(allowed)}")
