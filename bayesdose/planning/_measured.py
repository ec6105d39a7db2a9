"""Which measured doses contradict what was predicted before they were measured."""

import numpy as np
import pandas as pd

#: Two-sided probability, for all measured sites of a patient together, that counts as implausible.
IMPLAUSIBLE = 0.01


def is_implausible(measured: pd.DataFrame) -> np.ndarray:
    """Whether each measured dose lies further out than chance explains, within its patient.

    Parameters
    ----------
    measured : pandas.DataFrame
        patient_id, and percentile of each measured dose in its prediction.

    Returns
    -------
    numpy.ndarray of bool of shape (n,)
        Two-sided, Bonferroni over the measured sites of a patient.
    """
    percentile = measured["percentile"].to_numpy(float)
    n_sites = measured.groupby("patient_id")["percentile"].transform("size").to_numpy(float)
    found: np.ndarray = 2 * np.minimum(percentile, 1 - percentile) * n_sites < IMPLAUSIBLE
    return found


def contradictions(measured: pd.DataFrame, patient: str) -> list[str]:
    """Notes on the measured doses of a patient that contradict the prediction.

    Parameters
    ----------
    measured : pandas.DataFrame
        patient_id, site_id, measured_gy and percentile.
    patient : str
        The patient.

    Returns
    -------
    list of str
        They are used all the same.
    """
    odd = measured[(measured["patient_id"] == patient) & is_implausible(measured)]
    return [
        f"{row.site_id}: {row.measured_gy:.3g} Gy was measured, far "
        f"{'below' if row.percentile < 0.5 else 'above'} its prediction, which gave a chance of "
        f"{min(row.percentile, 1 - row.percentile):.1g} to one as far out: check units and region; "
        "it is used"
        for row in odd.itertuples()
    ]
