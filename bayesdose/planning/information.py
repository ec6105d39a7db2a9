"""What one more measured site would tell about every site of a patient."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from bayesdose.dose.joint_patient import Moments, patient_moments
from bayesdose.errors import ConfigError
from bayesdose.planning.limits import is_number

if TYPE_CHECKING:
    from bayesdose.dose.model import DoseModel

#: Nodes of the quadrature over the value that would be measured.
_NODES = 201


def value_of_information(
    model: "DoseModel",
    sites: pd.DataFrame,
    *,
    given: pd.DataFrame | None = None,
    kind: str = "new_patient",
    dose_cv: float | None = None,
    dose_cv_shared: float | None = None,
) -> pd.DataFrame:
    """Expected reduction of the variance of log dose by measuring one more site.

    The variance of log dose of site j that measuring site k is expected to take away is, by the
    law of total variance, Var[E(log D_j | y_k)] over the values y_k that may be found. At each
    draw of θ all is normal, so E(log D_j | y_k, θ) = m_j + c_jk / v_k (y_k - m_k) in closed form;
    the mixture over θ, each draw weighted with its density of y_k, leaves one integral over y_k.

    Parameters
    ----------
    model : DoseModel
        Fitted by the collapsed engine, with an activity.
    sites : pandas.DataFrame
        One row for each site of one patient that may be measured; doses in it are not looked at.
    given : pandas.DataFrame, optional
        Rows of the patient that were measured already.
    kind : {"new_patient", "known_patient"}
        As in `bayesdose.DoseModel.predict`.
    dose_cv, dose_cv_shared : float, optional
        Relative standard uncertainty of the measurement to come: its own part, and the part that
        it shares with measurements of the patient's same cycle, those in ``given`` included. By
        default those of the model's columns; a part that the model does not have is 0, since
        its error is in the residual.

    Returns
    -------
    pandas.DataFrame
        A row for each pair: measured_site_id, measured_tissue, site_id, tissue; variance of the
        site's log dose now; reduction expected; share, reduction over variance. In the order of
        ``sites``.

    Raises
    ------
    ConfigError
        When an argument has an impossible value, or there are several patients.
    PredictionError
        When the model cannot be conditioned on measured rows.
    """
    cv = {"dose_cv": dose_cv, "dose_cv_shared": dose_cv_shared}
    for name, value in cv.items():
        if value is not None and not (is_number(value) and 0 <= value < np.inf):
            raise ConfigError(f"{name}: got {value!r}; give a number of at least 0, such as 0.1")
    stated = {name: float(value) for name, value in cv.items() if value is not None}
    found = patient_moments(model._state(), sites, given, kind, stated)
    reduction = np.array([_reduction(found, k) for k in range(found.mean.shape[1])])
    mean = found.weights @ found.mean
    variance = found.weights @ ((found.mean - mean) ** 2 + found.variance)
    # what is learnt cannot exceed what is unknown; the quadrature may, by a thousandth
    reduction = np.minimum(reduction, variance)
    n = len(variance)
    site, tissue = found.labels["site_id"].to_numpy(), found.labels["tissue"].to_numpy()
    return pd.DataFrame(
        {
            "measured_site_id": np.repeat(site, n),
            "measured_tissue": np.repeat(tissue, n),
            "site_id": np.tile(site, n),
            "tissue": np.tile(tissue, n),
            "variance": np.tile(variance, n),
            "reduction": reduction.ravel(),
            "share": (reduction / variance).ravel(),
        }
    )


def _reduction(found: Moments, measured: int) -> np.ndarray:
    """Var[E(log D_j | y)] of every site j, y the measured log dose of one site."""
    mean, weights = found.mean, found.weights
    centre, variance = found.measured_mean[:, measured], found.measured_variance[:, measured]
    slope = found.across[:, measured] / variance[:, None]
    y, mass = _grid(centre, np.sqrt(variance), weights)
    log_density = -0.5 * ((y[:, None] - centre) ** 2 / variance + np.log(variance))
    of_draw = special.softmax(log_density + np.log(weights), axis=1)
    # E(log D_j | y) = sum over draws of weight (m_j + slope_j (y - m_k))
    expected = of_draw @ (mean - slope * centre[:, None]) + y[:, None] * (of_draw @ slope)
    overall = mass @ expected
    found_variance: np.ndarray = mass @ (expected - overall) ** 2
    return found_variance


def _grid(
    centre: np.ndarray, scale: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values that may be measured, each in the middle of a strip, and the strips' mass."""
    low, high = (centre - 6 * scale).min(), (centre + 6 * scale).max()
    # strips of equal probability would be coarse in the tails: those of equal normal scores are not
    fine = np.linspace(low, high, 801)
    below = weights @ special.ndtr((fine - centre[:, None]) / scale[:, None])
    edges = special.ndtr(np.linspace(-5, 5, _NODES + 1))
    at = np.interp(edges, below, fine)
    at_mass = np.concatenate([[0.0], edges[1:-1], [1.0]])
    return (at[1:] + at[:-1]) / 2, np.diff(at_mass)
