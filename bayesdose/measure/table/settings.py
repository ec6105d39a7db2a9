"""What is the same for all patients of a table."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np

from bayesdose.errors import ConfigError, MeasureError
from bayesdose.measure._numbers import LARGEST_CV, Floats, numbers
from bayesdose.measure.ibsi import FEATURES
from bayesdose.measure.kinetics import PopulationKinetics
from bayesdose.measure.kinetics.curves import _CURVES, WEIGHTS
from bayesdose.measure.nuclides import half_life_h
from bayesdose.measure.recovery import RecoveryCurve, outline_cv
from bayesdose.measure.texture import AGGREGATIONS


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
    codes : tuple or list of str
        Other features by IBSI code, as for `ibsi_features`.

    Raises
    ------
    MeasureError
        When a value is of the wrong type or out of range, or a word or code is unknown.
    """

    bin_width: float
    aggregation: str = "3d_merged"
    resample_mm: float | None = None
    codes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _number(self.bin_width, "bin_width", "SUV", above=0.0)
        _word(self.aggregation, "aggregation", AGGREGATIONS)
        if self.resample_mm is not None:
            _number(self.resample_mm, "resample_mm", "mm", above=0.0, most=20.0)
        object.__setattr__(self, "codes", _checked_codes(self.codes))


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
        it from the scatter of a patient's regions about their curves, where there are more scans
        than parameters.
    curve, weights : str
        As for `fit_time_activity`.
    kinetics : PopulationKinetics, optional
        Fitted, of 177Lu; it makes the curves in place of a fit to each region, and one scan is
        enough.
    fwhm_mm : float, optional, mm
        Resolution of the SPECT, as for `absorbed_dose`: it counts in what an error of an outline
        does to the activity.

    Raises
    ------
    MeasureError
        When a value is of the wrong type or out of range, a word is unknown, or the kinetics are
        not fitted or of another radionuclide.
    """

    recovery: RecoveryCurve | None = None
    calibration_cv: float = 0.0
    diameter_sd_mm: float = 0.0
    activity_cv: float | None = None
    curve: str = "auto"
    weights: str = "relative"
    kinetics: PopulationKinetics | None = None
    fwhm_mm: float | None = None

    def __post_init__(self) -> None:
        _number(self.calibration_cv, "calibration_cv", "", least=0.0, most=LARGEST_CV)
        _number(self.diameter_sd_mm, "diameter_sd_mm", "mm", least=0.0, most=20.0)
        if self.activity_cv is not None:
            _number(self.activity_cv, "activity_cv", "", above=0.0, most=LARGEST_CV)
        if self.recovery is not None and not isinstance(self.recovery, RecoveryCurve):
            raise MeasureError(f"recovery: got {self.recovery!r}; give a RecoveryCurve or None")
        _word(self.curve, "curve", ("auto", *_CURVES))
        _word(self.weights, "weights", WEIGHTS)
        if self.kinetics is not None:
            _check_kinetics(self.kinetics)
        if self.fwhm_mm is not None:
            _number(self.fwhm_mm, "fwhm_mm", "mm", above=0.0, most=60.0)

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
        """
        return np.minimum(outline_cv(volume_ml, self.diameter_sd_mm), 1.0)


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
        When a name is unknown, one that is needed is missing, or a value is none that `Texture`,
        `Dosimetry` or `RecoveryCurve` takes; the message names table and key.
    """
    _check_names(plain, ("texture", "dosimetry"), "the top level")
    texture = None
    if "texture" in plain:
        where = "[texture]"
        _check_names(plain["texture"], tuple(f.name for f in fields(Texture)), where)
        if "bin_width" not in plain["texture"]:
            raise ConfigError(f"{where} needs bin_width, in SUV: there is no default")
        with _naming(where):
            texture = Texture(**plain["texture"])
    given, where = plain.get("dosimetry", {}), "[dosimetry]"
    _check_names(given, tuple(f.name for f in fields(Dosimetry) if f.name != "kinetics"), where)
    given = dict(given)
    if "recovery" in given:
        given["recovery"] = _recovery(given["recovery"])
    with _naming(where):
        return texture, Dosimetry(**given)


def _recovery(plain: Any) -> RecoveryCurve:
    where = "[dosimetry.recovery]"
    _check_names(plain, ("b1_ml", "b2", "covariance"), where)
    if not {"b1_ml", "b2"} <= set(plain):
        raise ConfigError(f"{where} needs b1_ml and b2")
    with _naming(where):
        for name, unit in (("b1_ml", "mL"), ("b2", "")):
            _number(plain[name], name, unit)
        covariance = plain.get("covariance", [0.0, 0.0, 0.0])
        if not isinstance(covariance, list | tuple) or len(covariance) != 3:
            raise MeasureError(
                f"covariance: got {covariance!r}; give a list of three numbers: var(b1), "
                "cov(b1, b2), var(b2)"
            )
        for number in covariance:
            _number(number, "covariance", "")
        return RecoveryCurve(plain["b1_ml"], plain["b2"], tuple(covariance))


@contextmanager
def _naming(where: str) -> Iterator[None]:
    try:
        yield
    except MeasureError as err:
        raise ConfigError(f"{where} {err}") from err


def _check_names(plain: Any, allowed: tuple[str, ...], where: str) -> None:
    if not isinstance(plain, Mapping):
        raise ConfigError(f"{where} must be a table; got {plain!r}")
    unknown = [name for name in plain if name not in allowed]
    if unknown:
        raise ConfigError(f"{where} has no {unknown[0]!r}; allowed are {', '.join(allowed)}")


def _number(value: Any, name: str, unit: str, **bounds: Any) -> None:
    # a bool is a number to Python, and text one to numpy
    if isinstance(value, bool) or not isinstance(value, Real):
        in_unit = f" in {unit}" if unit else ""
        raise MeasureError(f"{name}: got {value!r}; give one number{in_unit}")
    numbers(float(value), name, unit, **bounds)


def _word(value: Any, name: str, allowed: Collection[str]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise MeasureError(f"{name}: got {value!r}; allowed are {', '.join(allowed)}")


def _checked_codes(codes: Any) -> tuple[str, ...]:
    if not isinstance(codes, list | tuple) or not all(isinstance(code, str) for code in codes):
        raise MeasureError(f"codes: got {codes!r}; give a list of IBSI codes, such as ['QCFX']")
    upper = [code.upper() for code in codes]
    for code in upper:
        if code not in FEATURES:
            raise MeasureError(
                f"codes: IBSI code {code!r} is not one of {', '.join(sorted(FEATURES))}; those of "
                "the co-occurrence matrix are made without being asked for"
            )
        if upper.count(code) > 1:
            raise MeasureError(f"codes: {code!r} is there twice")
    return tuple(codes)


def _check_kinetics(kinetics: Any) -> None:
    if not isinstance(kinetics, PopulationKinetics):
        raise MeasureError(
            f"kinetics: got {type(kinetics).__name__}; give a fitted PopulationKinetics or None"
        )
    if not hasattr(kinetics, "population_"):
        raise MeasureError("kinetics: is not fitted; call its fit first")
    if half_life_h(kinetics.radionuclide) != half_life_h("Lu177"):
        raise MeasureError(
            f"kinetics: is of {kinetics.radionuclide}; doses are made for Lu177 only"
        )
