"""Which predictive moments exist: a log-normal mixed over heavy-tailed scales has none.

If log dose is N(m, v) given the scales, E[dose] = E[exp(m + v/2)] and E[dose²] = E[exp(2m + 2v)].
With v = Σ_j l_j² s_j² and s_j ~ HalfNormal(a_j), the tail of s_j decays as exp(-s_j² / 2a_j²), so
the mean needs l_j a_j ≤ 1 and the variance l_j a_j ≤ 1/2; correlated effects add their loadings.
Coefficients under a flat or heavy-tailed prior add their own variance, which grows with the
scales: l_j² becomes l_j² (1 + h), h the row's leverage. Heavier-tailed priors of a scale have
neither moment.
"""

import numpy as np

from bayesdose.dose import priors as p
from bayesdose.dose.design import Encoding, Rows


def infinite(
    encoding: Encoding, rows: Rows, kind: str, leverage: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose predictive mean, or standard deviation, is infinite under the priors.

    Parameters
    ----------
    encoding : Encoding
        Learnt model with its priors.
    rows : Rows
        Rows to predict.
    kind : str
        ``"new_patient"`` draws patient effects from the population.
    leverage : numpy.ndarray of shape (n,)
        Of each row in its tissue's training rows.

    Returns
    -------
    no_mean, no_sd : numpy.ndarray of bool of shape (n,)
    """
    largest = np.zeros(len(rows.tissue))
    width = rows.z.shape[1] // len(encoding.tissues)
    for k, tissue in enumerate(encoding.tissues):
        mine = rows.tissue == k
        residual = encoding.spec.priors.resolve("residual_sd", tissue)
        # a gamma residual's variance is polynomial in its coefficient of variation
        light = encoding.spec.likelihood == "gamma" and isinstance(residual, _LIGHT)
        scales = [0.0 if light else _width(residual)]
        if encoding.cycle_effect[k]:
            scales.append(_width(encoding.spec.priors.resolve("cycle_sd", tissue)))
        if encoding.site_effect[k]:
            scales.append(_width(encoding.spec.priors.resolve("site_sd", tissue)))
        if encoding.group_levels:
            scales.append(_width(encoding.spec.priors.resolve("group_sd", tissue)))
        largest[mine] = max(scales)
        if kind == "new_patient" and width:
            a = _width(encoding.spec.priors.resolve("patient_sd", tissue))
            loading = np.sqrt((rows.z[mine, k * width : (k + 1) * width] ** 2).sum(1))
            largest[mine] = np.maximum(largest[mine], np.where(loading > 0, loading * a, 0.0))
        if not _all_normal(encoding, k):
            largest[mine] *= np.sqrt(1 + leverage[mine])
    if encoding.spec.likelihood == "student_t":
        largest[:] = np.inf
    slack = 1 + 1e-9
    return largest > 1.0 * slack, largest > 0.5 * slack


_LIGHT = (p.HalfNormal, p.Exponential)


def _all_normal(encoding: Encoding, tissue: int) -> bool:
    label = encoding.tissues[tissue]
    kinds = {"intercept" if n == "Intercept" else "slope" for n in encoding.columns(tissue)}
    return all(isinstance(encoding.spec.priors.resolve(kind, label), p.Normal) for kind in kinds)


def _width(prior: object) -> float:
    return prior.sigma if isinstance(prior, p.HalfNormal) else np.inf
