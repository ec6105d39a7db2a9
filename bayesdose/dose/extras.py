"""Effects that a patient has beside the patient effects.

Cycle effects, measurement errors shared by a cycle, and the effect of a group level, such as a
centre, that the training table did not have.
"""

from dataclasses import dataclass

import numpy as np

from bayesdose.dose.design import Rows


@dataclass(frozen=True)
class Extras:
    """Columns of each patient's own effects, numbered from 0 within the patient.

    Parameters
    ----------
    columns : numpy.ndarray of shape (n, e)
        Loadings: the row's own sd for a shared measurement error, else 1.
    tissue : numpy.ndarray of int of shape (P, e)
        Tissue of a cycle effect or an unseen group level; -1 for a shared error or padding.
    variance : numpy.ndarray of shape (P, e)
        1 for a shared error, 0 otherwise.
    cycle : numpy.ndarray of int of shape (P, e)
        Cycle code; the (negative) code of an unseen group level; -1 for padding.
    group : numpy.ndarray of int of shape (P, e)
        Group effect of an unseen level; -1 otherwise.
    """

    columns: np.ndarray
    tissue: np.ndarray
    variance: np.ndarray
    cycle: np.ndarray
    group: np.ndarray


def extra_columns(rows: Rows, cycle_effect: tuple[bool, ...]) -> Extras:
    """Lay out the cycle effects, by tissue, and the shared errors of every patient.

    Parameters
    ----------
    rows : Rows
        Rows, with patients counted from 0.
    cycle_effect : tuple of bool
        Tissues with patient-by-cycle effects.

    Returns
    -------
    Extras
    """
    n, n_patients = len(rows.patient), len(rows.patients)
    found: list[list[tuple[np.ndarray, int, int, int]]] = [[] for _ in range(n_patients)]
    if any(cycle_effect) or rows.shared_var.any():
        for cycle in np.unique(rows.cycle):
            mine = rows.cycle == cycle
            patient = int(rows.patient[mine][0])
            for k, has in enumerate(cycle_effect):
                if has and (mine & (rows.tissue == k)).any():
                    found[patient].append((mine & (rows.tissue == k), k, int(cycle), -1))
            if rows.shared_var[mine].any():
                found[patient].append((mine, -1, int(cycle), -1))
    for g, code, k, patient in _unseen_levels(rows):
        mine = (rows.groups[:, g] == code) & (rows.tissue == k) & (rows.patient == patient)
        found[patient].append((mine, k, code, g))
    width = max((len(effects) for effects in found), default=0)
    columns = np.zeros((n, width))
    tissue = np.full((n_patients, width), -1)
    variance = np.zeros((n_patients, width))
    cycles = np.full((n_patients, width), -1)
    groups = np.full((n_patients, width), -1)
    for patient, effects in enumerate(found):
        for j, (mask, k, cycle, g) in enumerate(effects):
            columns[mask, j] = 1.0 if k >= 0 else np.sqrt(rows.shared_var[mask])
            tissue[patient, j], cycles[patient, j], groups[patient, j] = k, cycle, g
            variance[patient, j] = 1.0 if k < 0 else 0.0
    return Extras(columns, tissue, variance, cycles, groups)


def _unseen_levels(rows: Rows) -> list[tuple[int, int, int, int]]:
    """(group, level code, tissue, patient) of every level that was not in training."""
    found = []
    for g in range(rows.groups.shape[1]):
        new = rows.groups[:, g] < 0
        triples = zip(rows.groups[new, g], rows.tissue[new], rows.patient[new], strict=True)
        found += [(g, int(c), int(k), int(p)) for c, k, p in sorted(set(triples))]
    return found
