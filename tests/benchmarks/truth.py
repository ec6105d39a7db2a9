"""True parameters and data of the dose model, in NumPy alone: nothing here is the package's.

    log(D_ij / A_i) = x_ij' beta + u_ik + e_ij,   u_i ~ N(0, diag(tau) Omega diag(tau))

The package's default priors are written out once more, so that a prior which the package does not
draw or evaluate as documented shows.
"""

from dataclasses import dataclass

import numpy as np

INTERCEPT = {"tumour": (1.2, 0.9), "salivary_gland": (-0.9, 0.6), "kidney": (-0.75, 0.4)}
RESIDUAL_SCALE = {"tumour": 0.8, "salivary_gland": 0.3, "kidney": 0.3}
SLOPE_SD = 0.5
PATIENT_SCALE = 0.5
LKJ_ETA = 2.0


@dataclass(frozen=True)
class Truth:
    """True parameters of K tissues; the coefficients of all tissues in one vector.

    Parameters
    ----------
    beta : numpy.ndarray of shape (p,)
        Tissue after tissue, intercept first, on the standardised scale.
    patient_sd : numpy.ndarray of shape (K,)
    patient_corr : numpy.ndarray of shape (K, K)
    residual_sd : numpy.ndarray of shape (K,)
    """

    beta: np.ndarray
    patient_sd: np.ndarray
    patient_corr: np.ndarray
    residual_sd: np.ndarray


def draw_truth(tissues: list[str], n_slopes: list[int], rng: np.random.Generator) -> Truth:
    """Parameters from the default priors.

    Parameters
    ----------
    tissues : list of str
        Tissues in the order of the model.
    n_slopes : list of int
        Slopes of each.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Truth
    """
    beta = [
        np.concatenate([[rng.normal(*INTERCEPT[tissue])], rng.normal(0.0, SLOPE_SD, n)])
        for tissue, n in zip(tissues, n_slopes, strict=True)
    ]
    scale = np.array([RESIDUAL_SCALE[tissue] for tissue in tissues])
    return Truth(
        beta=np.concatenate(beta),
        patient_sd=np.abs(rng.normal(0.0, PATIENT_SCALE, len(tissues))),
        patient_corr=draw_correlation(len(tissues), LKJ_ETA, rng),
        residual_sd=np.abs(scale * rng.standard_normal(len(tissues))),
    )


def draw_correlation(d: int, eta: float, rng: np.random.Generator) -> np.ndarray:
    """Correlation matrix from the LKJ prior by its partial correlations.

    Lewandowski, Kurowicka and Joe, J. Multivar. Anal. 100 (2009) 1989 (C-vine): the partial
    correlation of i and j given 0..j-1 is 2 Beta(b, b) - 1 with b = eta + (d - 2 - j) / 2.

    Parameters
    ----------
    d : int
        Dimension.
    eta : float
        1 is uniform.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray of shape (d, d)
    """
    chol = np.eye(d)
    for i in range(1, d):
        left = 1.0
        for j in range(i):
            b = eta + (d - 2 - j) / 2
            chol[i, j] = (2 * rng.beta(b, b) - 1) * np.sqrt(left)
            left -= chol[i, j] ** 2
        chol[i, i] = np.sqrt(left)
    return chol @ chol.T


def draw_effects(truth: Truth, n_patients: int, rng: np.random.Generator) -> np.ndarray:
    """Patient effects of shape (n_patients, K)."""
    covariance = truth.patient_sd[:, None] * truth.patient_corr * truth.patient_sd
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return rng.standard_normal((n_patients, len(values))) @ root.T


def draw_log_dose(
    truth: Truth,
    effects: np.ndarray,
    x: np.ndarray,
    patient: np.ndarray,
    tissue: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """True log dose per activity of n sites.

    Parameters
    ----------
    truth : Truth
        Parameters.
    effects : numpy.ndarray of shape (P, K)
        Patient effects.
    x : numpy.ndarray of shape (n, p)
        Standardised columns, 0 outside the site's tissue.
    patient, tissue : numpy.ndarray of int of shape (n,)
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray of shape (n,), log(Gy/GBq)
    """
    noise = truth.residual_sd[tissue] * rng.standard_normal(len(tissue))
    return x @ truth.beta + effects[patient, tissue] + noise


def log_likelihood(
    y: np.ndarray,
    beta: np.ndarray,
    effects: np.ndarray,
    residual_sd: np.ndarray,
    x: np.ndarray,
    patient: np.ndarray,
    tissue: np.ndarray,
) -> np.ndarray:
    """Joint log p(y | beta, u, theta) at S draws.

    Parameters
    ----------
    y : numpy.ndarray of shape (n,), log(Gy/GBq)
    beta : numpy.ndarray of shape (S, p)
    effects : numpy.ndarray of shape (S, P, K)
    residual_sd : numpy.ndarray of shape (S, K)
    x, patient, tissue
        As in `draw_log_dose`.

    Returns
    -------
    numpy.ndarray of shape (S,)
    """
    sd = residual_sd[:, tissue]
    left = (y - beta @ x.T - effects[:, patient, tissue]) / sd
    return -0.5 * (left**2 + np.log(2 * np.pi)).sum(1) - np.log(sd).sum(1)
