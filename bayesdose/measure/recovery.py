"""Partial-volume recovery as a function of volume."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import curve_fit

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats, numbers


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
        first, both, second = self.covariance
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
            With fewer than three volumes, or values that no curve from 0 to 1 passes near.
        """
        volume = numbers(volume_ml, "volume_ml", "mL", above=0.0)
        found = numbers(recovery, "recovery", "", above=0.0, most=1.2)
        if volume.ndim != 1 or volume.shape != found.shape or len(np.unique(volume)) < 3:
            raise MeasureError(
                "a recovery curve needs three spheres of different volume, and one recovery each; "
                f"got shapes {volume.shape} and {found.shape}"
            )

        def model(v: Floats, log_b1: float, log_b2: float) -> Floats:
            power = (v / np.exp(log_b1)) ** np.exp(log_b2)
            return power / (1.0 + power)

        start = (np.log(np.median(volume)), 0.0)
        try:
            logs, spread = curve_fit(model, volume, found, p0=start)
        except RuntimeError as err:
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
