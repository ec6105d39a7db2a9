"""From rows to draws: data of the density, and NUTS."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesdose.evaluate._arrays import Floats
from bayesdose.risk.cox.columns import Ints
from bayesdose.risk.cox.uncertain import drawn_columns
from bayesdose.risk.dose_response.rows import Doses
from bayesdose.risk.dose_response.spec import DoseResponseSpec

_ACCEPT = 0.95
#: How names of parameters with a value a row or patient begin.
_OF_ROWS = ("patient_z", "exposure_patient_z", "measured_z", "drawn_z")


@dataclass(frozen=True)
class DoseResponseFit:
    """A fitted curve.

    Parameters
    ----------
    values : dict of ndarray of shape (n_chains, n_draws, ...)
        Draws by the names of the density.
    stats : dict of ndarray of shape (n_chains, n_draws)
        Of the sampler.
    link : str
    reference_gy : float, Gy
        Dose at which the intercept is.
    range_gy : tuple of float, Gy
        Smallest and largest dose (of draws: median of a row).
    patients : tuple of str
        Labels.
    n_rows, n_events : int
    """

    values: dict[str, Floats]
    stats: dict[str, np.ndarray]
    link: str
    reference_gy: float
    range_gy: tuple[float, float]
    patients: tuple[str, ...]
    n_rows: int
    n_events: int

    def flat(self, name: str) -> Floats:
        """Draws of a scalar, chain after chain.

        Parameters
        ----------
        name : str

        Returns
        -------
        ndarray of shape (n_chains * n_draws,)
            Zeros for ``patient_sd`` where patients have no effects.
        """
        if name not in self.values:
            return np.zeros(self.values["slope"].size)
        return self.values[name].reshape(-1)


def fit(
    spec: DoseResponseSpec, doses: Doses, y: np.ndarray, patient: Ints, labels: np.ndarray
) -> DoseResponseFit:
    """Fit.

    Parameters
    ----------
    spec : DoseResponseSpec
    doses : Doses
    y : ndarray of bool of shape (n,)
    patient : ndarray of int of shape (n,)
    labels : ndarray of object of shape (n_patients,)

    Returns
    -------
    DoseResponseFit
    """
    from bayesdose.dose.collapsed.engine import double_precision, find_device
    from bayesdose.risk import _sampling
    from bayesdose.risk.dose_response.density import model

    every = doses.log_gy if doses.draws is None else doses.draws
    log_reference = float(np.median(every))
    structure, data = problem(spec, doses, y, patient, log_reference)
    share = y.mean()
    start = {"intercept": np.array(np.log(share / (1 - share))), "slope": np.array(0.0)}
    with double_precision(find_device("cpu")):
        found = _sampling.sample(
            model,
            structure,
            data,
            start,
            accept=_ACCEPT,
            of_rows=_OF_ROWS,
            chains=spec.chains,
            draws=-(-spec.draws // spec.chains),
            random_seed=spec.random_state,
            progress=spec.progress,
        )
    values = {name: value for name, value in found.values.items() if name not in _OF_ROWS}
    if "true_x" in values:
        values["true_dose_gy"] = np.exp(log_reference + values.pop("true_x")[..., : y.size])
    return DoseResponseFit(
        values=values,
        stats=found.stats,
        link=spec.link,
        reference_gy=float(np.exp(log_reference)),
        range_gy=(float(np.exp(doses.log_gy.min())), float(np.exp(doses.log_gy.max()))),
        patients=tuple(map(str, labels)),
        n_rows=y.size,
        n_events=int(y.sum()),
    )


def problem(
    spec: DoseResponseSpec, doses: Doses, y: np.ndarray, patient: Ints, log_reference: float
) -> tuple[Any, dict[str, Any]]:
    """Structure and data of the density, padded.

    Parameters
    ----------
    spec : DoseResponseSpec
    doses : Doses
    y : ndarray of bool of shape (n,)
    patient : ndarray of int of shape (n,)
    log_reference : float, log Gy

    Returns
    -------
    structure : Structure
    data : dict of str to ndarray
        See `density.model`.
    """
    from bayesdose.risk._drawn import padded_law
    from bayesdose.risk._sampling import padded, rounded
    from bayesdose.risk.dose_response.density import Structure

    size = rounded(y.size)
    data: dict[str, Any] = {
        "sign": padded(np.where(y, 1.0, -1.0), size),
        "counted": padded(np.ones(y.size), size),
        "patient": padded(patient, size),
    }
    n_drawn = 0
    if doses.draws is not None:
        law = drawn_columns({"dose": doses.draws - log_reference})
        data |= padded_law(law, np.zeros(1), np.ones(1), size)
        n_drawn = data["quantiles"].shape[1]
    elif doses.error_sd is not None:
        data["measurement"] = padded(doses.log_gy - log_reference, size)
        data["error_sd"] = padded(doses.error_sd, size)
    else:
        data["x"] = padded(doses.log_gy - log_reference, size)
    several = np.bincount(patient).max() > 1
    n_patients = int(patient.max()) + 1 if several else 0
    structure = Structure(
        spec.link, spec.intercept, spec.slope, spec.patient_sd, doses.kind, n_patients, n_drawn
    )
    return structure, data
