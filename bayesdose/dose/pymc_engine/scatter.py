"""Density of single measured doses about their mean, normal effects of the row integrated out.

`likelihood` says the same to PyMC. A normal effect that touches one row only (its own measurement
error, say) is integrated over here: in closed form for log-normal doses, by quadrature for the
others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy import special

#: Nodes over the mixing scale of a Student-t, and over the row's effect in a gamma.
T_NODES = 40
HERMITE_NODES = 24
#: Mass of the mixing distribution left out at either end.
_TAIL = 1e-9
_NEWTON_STEPS = 8
#: Probabilities below are not told from this one.
_TINY = 1e-300


@dataclass(frozen=True)
class Scatter:
    """How n measured doses scatter about their means at S draws.

    Parameters
    ----------
    likelihood : str
        ``"lognormal"``, ``"student_t"`` or ``"gamma"``.
    log_dose : numpy.ndarray of shape (n,), log Gy
    censored : numpy.ndarray of bool of shape (n,)
        Whether the dose is only known to lie below.
    scale : numpy.ndarray of shape (S, n)
        Residual standard deviation; coefficient of variation for ``gamma``.
    variance : numpy.ndarray of shape (S, n)
        Of the row's own normal effects on the log scale.
    df : numpy.ndarray of shape (S,) or None
        Degrees of freedom of ``student_t``.
    """

    likelihood: str
    log_dose: np.ndarray
    censored: np.ndarray
    scale: np.ndarray
    variance: np.ndarray
    df: np.ndarray | None

    def take(self, draws: slice) -> "Scatter":
        """The same rows at some of the draws.

        Parameters
        ----------
        draws : slice
            Draws.

        Returns
        -------
        Scatter
        """
        return Scatter(
            self.likelihood,
            self.log_dose,
            self.censored,
            self.scale[draws],
            self.variance[draws],
            None if self.df is None else self.df[draws],
        )


def log_density(scatter: Scatter, mean: np.ndarray) -> np.ndarray:
    """Log density of each row's log dose, or log probability of lying below a censored one.

    Parameters
    ----------
    scatter : Scatter
        Rows.
    mean : numpy.ndarray of shape (S, m, n), log Gy
        Log of the median at m points a draw; of the mean for ``gamma``.

    Returns
    -------
    numpy.ndarray of shape (S, m, n)
    """
    residual = scatter.log_dose - mean
    scale, variance = scatter.scale[:, None], scatter.variance[:, None]
    if scatter.likelihood == "lognormal":
        return _normal(residual, scale**2 + variance, scatter.censored)
    if scatter.likelihood == "gamma":
        return _gamma(residual, scale**-2, variance, scatter.censored)
    assert scatter.df is not None
    return _student_t(residual, scale, variance, scatter.df[:, None, None], scatter.censored)


def _normal(residual: np.ndarray, variance: np.ndarray, censored: np.ndarray) -> np.ndarray:
    z = residual / np.sqrt(variance)
    out = -0.5 * (z**2 + np.log(2 * np.pi * variance))
    if censored.any():
        out[..., censored] = special.log_ndtr(z[..., censored])
    return out


def _student_t(
    residual: np.ndarray,
    scale: np.ndarray,
    variance: np.ndarray,
    df: np.ndarray,
    censored: np.ndarray,
) -> np.ndarray:
    if not variance.any():
        z = residual / scale
        out = (
            special.gammaln((df + 1) / 2)
            - special.gammaln(df / 2)
            - 0.5 * np.log(df * np.pi)
            - np.log(scale)
            - (df + 1) / 2 * np.log1p(z**2 / df)
        )
        if censored.any():
            below = special.stdtr(df, z[..., censored])
            out[..., censored] = np.log(np.maximum(below, _TINY))
        return out
    # t as a mixture of normals: variance σ² λ, λ ~ InvGamma(df/2, df/2), which stays smooth
    # however small σ is beside the row's own effect; trapezoid rule over log λ, from the lower
    # tail of λ given a residual of 0 to its upper tail given this residual
    half = df / 2
    low = np.log(half / special.gammainccinv(half + 0.5, _TAIL))
    high = np.log((half + (residual / scale) ** 2 / 2) / special.gammaincinv(half, _TAIL))
    step = (high - low) / (T_NODES - 1)
    constant = half * np.log(half) - special.gammaln(half) + np.log(step)
    out = np.full(residual.shape, -np.inf)
    for k in range(T_NODES):
        log_mix = low + k * step
        weight = constant - half * (log_mix + np.exp(-log_mix))
        part = _normal(residual, scale**2 * np.exp(log_mix) + variance, censored)
        out = np.logaddexp(out, weight + part)
    return out


def _gamma(
    residual: np.ndarray, shape: np.ndarray, variance: np.ndarray, censored: np.ndarray
) -> np.ndarray:
    if not variance.any():
        out = _log_gamma_density(residual, shape)
        if censored.any():
            shape = np.broadcast_to(shape, residual.shape)[..., censored]
            out[..., censored] = _log_gamma_below(residual[..., censored], shape)
        return out
    shape, variance = np.broadcast_to(shape, residual.shape), np.maximum(variance, 1e-12)
    variance = np.broadcast_to(variance, residual.shape)
    out = np.empty(residual.shape)
    for rows, log_integral in ((~censored, _gamma_measured), (censored, _gamma_below)):
        if rows.any():
            out[..., rows] = log_integral(
                residual[..., rows], shape[..., rows], variance[..., rows]
            )
    return out


def _gamma_measured(residual: np.ndarray, shape: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Integral over the row's effect m of a log-concave function: Gauss-Hermite at its mode."""
    mode = residual * variance / (variance + 1 / shape)
    for _ in range(_NEWTON_STEPS):
        rise = np.exp(np.clip(residual - mode, -30, 30))
        slope = shape * (rise - 1) - mode / variance
        mode = mode + np.clip(slope / (shape * rise + 1 / variance), -1, 1)
    width = 1 / np.sqrt(shape * np.exp(np.clip(residual - mode, -30, 30)) + 1 / variance)
    out = np.full(residual.shape, -np.inf)
    for node, weight in zip(*hermegauss(HERMITE_NODES), strict=True):
        m = mode + width * node
        log_prior = -0.5 * (m**2 / variance + np.log(2 * np.pi * variance))
        part = _log_gamma_density(residual - m, shape) + log_prior
        out = np.logaddexp(out, part + np.log(weight * width) + node**2 / 2)
    return out


def _gamma_below(residual: np.ndarray, shape: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Probability that log gamma + m lies below: nodes over the narrower of the two.

    The other one's distribution function is smooth at that width.
    """
    sd, spread = np.sqrt(variance), 1 / np.sqrt(shape)
    over_m = np.full(residual.shape, -np.inf)
    over_gamma = np.full(residual.shape, -np.inf)
    for node, weight in zip(*hermegauss(HERMITE_NODES), strict=True):
        log_weight = np.log(weight) - 0.5 * np.log(2 * np.pi)
        over_m = np.logaddexp(over_m, log_weight + _log_gamma_below(residual - sd * node, shape))
        at = spread * node
        ratio = _log_gamma_density(at, shape) + np.log(spread) + node**2 / 2 + np.log(weight)
        over_gamma = np.logaddexp(over_gamma, ratio + special.log_ndtr((residual - at) / sd))
    return np.where(sd < spread, over_m, over_gamma)


def _log_gamma_density(residual: np.ndarray, shape: np.ndarray) -> np.ndarray:
    # of log(dose / mean), dose / mean ~ Gamma(shape, rate shape)
    rise = np.exp(np.minimum(residual, 700.0))
    return shape * (np.log(shape) + residual - rise) - special.gammaln(shape)


def _log_gamma_below(residual: np.ndarray, shape: np.ndarray) -> np.ndarray:
    rise = np.exp(np.minimum(residual, 700.0))
    return np.log(np.maximum(special.gammainc(shape, shape * rise), _TINY))
