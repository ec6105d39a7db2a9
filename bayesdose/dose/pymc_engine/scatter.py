"""Density of single measured doses about their mean, normal effects of the row integrated out.

`likelihood` says the same to PyMC. A normal effect that touches one row only (its own measurement
error, say) is integrated over here: in closed form for log-normal doses, by quadrature for the
others.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy import special

#: Nodes over the mixing scale of a Student-t, and over the row's effect in a gamma.
T_NODES = 40
HERMITE_NODES = 24
#: Mass of the mixing distribution left out at either end.
_TAIL = 1e-9
_NEWTON_STEPS = 6
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
    out = np.empty(residual.shape)
    has_effect = scatter.variance.any(0)
    # the rows without an effect of their own are spared the quadrature
    for effect, censored in product((False, True), repeat=2):
        rows = (has_effect == effect) & (scatter.censored == censored)
        if rows.any():
            parts = residual[..., rows], scale[..., rows], variance[..., rows]
            if scatter.likelihood == "gamma":
                out[..., rows] = _gamma(*parts, effect, censored)
            else:
                assert scatter.df is not None
                out[..., rows] = _student_t(*parts, scatter.df[:, None, None], effect, censored)
    return out


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
    effect: bool,
    censored: bool,
) -> np.ndarray:
    if not effect:
        return _log_below_t(residual / scale, df) if censored else _log_t(residual, scale, df)
    # t as a mixture of normals: variance σ² λ, λ ~ InvGamma(df/2, df/2), which stays smooth
    # however small σ is beside the row's own effect; trapezoid rule over log λ, from the lower
    # tail of λ given a residual of 0 to its upper tail given this residual
    half = df / 2
    low = np.log(half / special.gammainccinv(half + 0.5, _TAIL))
    high = np.log((half + (residual / scale) ** 2 / 2) / special.gammaincinv(half, _TAIL))
    step = (high - low) / (T_NODES - 1)
    constant = half * np.log(half) - special.gammaln(half) + np.log(step)
    # near enough to the answer that the sum neither overflows nor underflows
    reference = 0.0 if censored else _log_t(residual, np.sqrt(scale**2 + variance), df)
    total = np.zeros(residual.shape)
    for k in range(T_NODES):
        log_mix = low + k * step
        mix = np.exp(log_mix)
        weight = constant - half * (log_mix + 1 / mix)
        spread = scale**2 * mix + variance
        if censored:
            total += np.exp(weight) * special.ndtr(residual / np.sqrt(spread))
        else:
            normal = -0.5 * (residual**2 / spread + np.log(2 * np.pi * spread))
            total += np.exp(weight + normal - reference)
    return np.log(np.maximum(total, _TINY)) + reference


def _log_t(residual: np.ndarray, scale: np.ndarray, df: np.ndarray) -> np.ndarray:
    constant = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * np.log(df * np.pi)
    return constant - np.log(scale) - (df + 1) / 2 * np.log1p((residual / scale) ** 2 / df)


def _log_below_t(z: np.ndarray, df: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(special.stdtr(df, z), _TINY))


def _gamma(
    residual: np.ndarray,
    scale: np.ndarray,
    variance: np.ndarray,
    effect: bool,
    censored: bool,
) -> np.ndarray:
    shape = scale**-2
    if not effect:
        law = _log_gamma_below if censored else _log_gamma
        return law(residual, shape)
    variance = np.maximum(variance, 1e-12)
    integral = _gamma_below if censored else _gamma_measured
    return integral(residual, shape, variance)


def _gamma_measured(residual: np.ndarray, shape: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Integral over the row's effect m of a log-concave function: Gauss-Hermite at its mode."""
    mode = residual * variance / (variance + 1 / shape)
    for _ in range(_NEWTON_STEPS):
        rise = np.exp(np.clip(residual - mode, -30, 30))
        slope = shape * (rise - 1) - mode / variance
        mode = mode + np.clip(slope / (shape * rise + 1 / variance), -1, 1)
    width = 1 / np.sqrt(shape * np.exp(np.clip(residual - mode, -30, 30)) + 1 / variance)

    def log_integrand(m: np.ndarray) -> np.ndarray:
        return _log_gamma(residual - m, shape) - 0.5 * m**2 / variance

    top = log_integrand(mode)
    total = np.zeros(residual.shape)
    for node, weight in zip(*hermegauss(HERMITE_NODES), strict=True):
        total += weight * np.exp(log_integrand(mode + width * node) - top + node**2 / 2)
    return top + np.log(total * width) - 0.5 * np.log(2 * np.pi * variance)


def _gamma_below(residual: np.ndarray, shape: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Probability that log gamma + m lies below: nodes over the narrower of the two.

    The other one's distribution function is smooth at that width.
    """
    sd, spread = np.sqrt(variance), 1 / np.sqrt(shape)
    over_m, over_gamma = np.zeros(residual.shape), np.zeros(residual.shape)
    for node, weight in zip(*hermegauss(HERMITE_NODES), strict=True):
        rise = np.exp(np.minimum(residual - sd * node, 700.0))
        over_m += weight / np.sqrt(2 * np.pi) * special.gammainc(shape, shape * rise)
        at = spread * node
        density = np.exp(_log_gamma(at, shape) + node**2 / 2) * spread
        over_gamma += weight * density * special.ndtr((residual - at) / sd)
    return np.log(np.maximum(np.where(sd < spread, over_m, over_gamma), _TINY))


def _log_gamma(residual: np.ndarray, shape: np.ndarray) -> np.ndarray:
    # of log(dose / mean), dose / mean ~ Gamma(shape, rate shape)
    rise = np.exp(np.minimum(residual, 700.0))
    return shape * (np.log(shape) + residual - rise) - special.gammaln(shape)


def _log_gamma_below(residual: np.ndarray, shape: np.ndarray) -> np.ndarray:
    rise = np.exp(np.minimum(residual, 700.0))
    return np.log(np.maximum(special.gammainc(shape, shape * rise), _TINY))
