"""Partial-volume recovery as a function of volume."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import erf, expit

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats, numbers

#: Widest resolution taken for one, mm; 177Lu SPECT has 12 to 25.
_WIDEST_FWHM_MM = 60.0


@dataclass(frozen=True)
class RecoveryCurve:
    """Recovery coefficient R(v) = 1 - 1 / (1 + (v / b1)^b2), fitted to a phantom.

    Parameters
    ----------
    b1_ml : float, mL
        Volume at which half is recovered.
    b2 : float
        Steepness.
    covariance : tuple of three float, optional
        var(b1) in mL2, cov(b1, b2) in mL, var(b2), of the fit; 0 by default.

    References
    ----------
    Form after Gear 2018, Eur. J. Nucl. Med. Mol. Imaging 45:2456, doi 10.1007/s00259-018-4136-7
    (the form from memory).
    """

    b1_ml: float
    b2: float
    covariance: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        numbers(self.b1_ml, "b1_ml", "mL", above=0.0)
        numbers(self.b2, "b2", "", above=0.0)
        first, both, second = numbers(self.covariance, "covariance", "")
        if min(first, second) < 0 or both**2 > first * second:
            raise MeasureError(
                f"covariance {self.covariance}: give var(b1), cov(b1, b2), var(b2) of a fit; the "
                "variances are not below 0, and the covariance not beyond their geometric mean"
            )

    @classmethod
    def fit(cls, volume_ml: ArrayLike, recovery: ArrayLike) -> "RecoveryCurve":
        """Fit the curve to spheres of a phantom.

        Parameters
        ----------
        volume_ml : array-like of shape (n,), mL
            Volumes of at least three spheres.
        recovery : array-like of shape (n,)
            Measured over true activity of each, outlined as lesions will be.

        Returns
        -------
        RecoveryCurve
            By least squares of R, with the covariance of its parameters from the residuals.

        Raises
        ------
        MeasureError
            With fewer than three volumes, recovery that does not rise with volume, or values that
            do not determine a curve from 0 to 1.
        """
        volume = numbers(volume_ml, "volume_ml", "mL", above=0.0)
        found = numbers(recovery, "recovery", "", above=0.0, most=1.2)
        if volume.ndim != 1 or volume.shape != found.shape or len(np.unique(volume)) < 3:
            raise MeasureError(
                "a recovery curve needs three spheres of different volume, and one recovery each; "
                f"got shapes {volume.shape} and {found.shape}"
            )

        log_volume = np.log(volume)
        # least squares of a falling or flat row run to b2 = 0 and stop anywhere
        if np.cov(log_volume, found)[0, 1] <= 1e-9:
            raise MeasureError(
                f"recovery {found.tolist()} does not rise with volume {volume.tolist()} mL: are "
                "the spheres in one order in both?"
            )

        def model(log_v: Floats, log_b1: float, log_b2: float) -> Floats:
            return expit(np.exp(log_b2) * (log_v - log_b1))

        start = (np.log(np.median(volume)), 0.0)
        try:
            with warnings.catch_warnings(), np.errstate(over="ignore"):
                warnings.simplefilter("error", OptimizeWarning)
                logs, spread = curve_fit(model, log_volume, found, p0=start)
        except (RuntimeError, ValueError, OptimizeWarning) as err:
            raise MeasureError(f"no recovery curve passes near these values ({err})") from err
        b1, b2 = np.exp(logs)
        # from the covariance of the logarithms, d b = b d log b
        scaled = spread * np.outer([b1, b2], [b1, b2])
        covariance = (float(scaled[0, 0]), float(scaled[0, 1]), float(scaled[1, 1]))
        return cls(float(b1), float(b2), covariance)

    def __call__(self, volume_ml: ArrayLike) -> Floats:
        """Recovery coefficient.

        Parameters
        ----------
        volume_ml : array-like of any shape, mL
            Volume of the region.

        Returns
        -------
        ndarray of the same shape
            Between 0 and 1; divide a measured activity by it.
        """
        power = (self._volume(volume_ml) / self.b1_ml) ** self.b2
        return power / (1.0 + power)

    def volume_slope(self, volume_ml: ArrayLike) -> Floats:
        """Relative change of R with a relative change of the volume, d ln R / d ln v.

        Parameters
        ----------
        volume_ml : array-like of any shape, mL
            Volume of the region.

        Returns
        -------
        ndarray of the same shape
            b2 (1 - R).
        """
        return self.b2 * (1.0 - self(volume_ml))

    def cv(self, volume_ml: ArrayLike) -> Floats:
        """Relative standard uncertainty of R from the fit of its parameters.

        Parameters
        ----------
        volume_ml : array-like of any shape, mL
            Volume of the region, taken as known.

        Returns
        -------
        ndarray of the same shape
            By the delta method: d ln R = (1 - R) (-b2 / b1 db1 + ln(v / b1) db2).
        """
        volume = self._volume(volume_ml)
        by_b1 = np.full_like(volume, -self.b2 / self.b1_ml)
        by_b2 = np.log(volume / self.b1_ml)
        first, both, second = self.covariance
        variance = by_b1**2 * first + 2.0 * by_b1 * by_b2 * both + by_b2**2 * second
        # a singular covariance may leave a rounding error below 0
        return (1.0 - self(volume)) * np.sqrt(np.maximum(variance, 0.0))

    def _volume(self, volume_ml: ArrayLike) -> Floats:
        return numbers(volume_ml, "volume_ml", "mL", above=0.0)


def spill_slope(
    volume_ml: ArrayLike, fwhm_mm: float | None, recovery: RecoveryCurve | None
) -> Floats:
    """Relative change of the counts in an outline with its volume, d ln C / d ln v.

    Parameters
    ----------
    volume_ml : array-like of any shape, mL
        Volume of the region, taken for a sphere without activity about it.
    fwhm_mm : float or None, mm
        Resolution of the image; None gives 0.
    recovery : RecoveryCurve or None
        Measured share of the counts within the outline; None takes that of the blurred sphere.

    Returns
    -------
    ndarray of the same shape
        c = g(a) / R.

    Raises
    ------
    MeasureError
        When the resolution is out of range.

    Notes
    -----
    A uniform sphere of radius a, blurred by a Gaussian of standard deviation sigma, has at its edge
    the share g(a) of its concentration, and a shell there adds g(a) dv to the counts R v within.
    With k = 2 a / sigma,

        g = erf(k / sqrt 2) / 2 - 2 (1 - exp(-k^2 / 2)) / (k sqrt(2 pi))
        R = erf(k / sqrt 2) - sqrt(2 / pi) (3 / k - 4 / k^3 - (1 / k - 4 / k^3) exp(-k^2 / 2)),

    the latter being the overlap of two such spheres, averaged over the Gaussian's shifts.
    """
    volume = numbers(volume_ml, "volume_ml", "mL", above=0.0)
    if fwhm_mm is None:
        return np.zeros_like(volume)
    fwhm = numbers(fwhm_mm, "fwhm_mm", "mm", above=0.0, most=_WIDEST_FWHM_MM)
    sigma = float(fwhm) / np.sqrt(8.0 * np.log(2.0))
    k = 2.0 * np.cbrt(3000.0 * volume / (4.0 * np.pi)) / sigma
    inside, tail = erf(k / np.sqrt(2.0)), np.exp(-(k**2) / 2.0)
    edge = 0.5 * inside + np.sqrt(2.0 / np.pi) * np.expm1(-(k**2) / 2.0) / k
    if recovery is not None:
        return edge / recovery(volume)
    lost = 3.0 / k - 4.0 / k**3 - (1.0 / k - 4.0 / k**3) * tail
    return edge / (inside - np.sqrt(2.0 / np.pi) * lost)


def outline_cv(volume_ml: ArrayLike, diameter_sd_mm: float) -> Floats:
    """Relative standard uncertainty of a segmented volume, 3 u(d) / d with d the sphere's diameter.

    Parameters
    ----------
    volume_ml : array-like of any shape, mL
        Volume of the region.
    diameter_sd_mm : float, mm
        Standard uncertainty u(d) of the diameter.

    Returns
    -------
    ndarray of the same shape

    References
    ----------
    Gear 2018, Eur. J. Nucl. Med. Mol. Imaging 45:2456, doi 10.1007/s00259-018-4136-7 (from
    memory).
    """
    diameter_mm = 10.0 * np.cbrt(6.0 * np.asarray(volume_ml, dtype=float) / np.pi)
    return 3.0 * diameter_sd_mm / diameter_mm
