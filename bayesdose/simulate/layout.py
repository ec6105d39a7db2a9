"""Who has which sites: the rows of a cohort before anything is measured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ORGAN_SITES: tuple[tuple[str, str], ...] = (
    ("parotid_left", "parotid"),
    ("parotid_right", "parotid"),
    ("submandibular_left", "submandibular"),
    ("submandibular_right", "submandibular"),
    ("kidney_left", "kidney"),
    ("kidney_right", "kidney"),
)
KINDS: tuple[str, ...] = ("tumour", "parotid", "submandibular", "kidney")
MAX_RANDOM_LESIONS = 15


@dataclass(frozen=True)
class SiteLayout:
    """Sites of all patients, ordered by patient, lesions before organs.

    Parameters
    ----------
    patient : ndarray of int, shape (n_sites,)
        Number of the patient.
    kind : ndarray of int, shape (n_sites,)
        Position in ``KINDS``.
    site_id : ndarray of str, shape (n_sites,)
        Label, unique within a patient.
    """

    patient: NDArray[np.int64]
    kind: NDArray[np.int64]
    site_id: NDArray[np.object_]

    @property
    def is_lesion(self) -> NDArray[np.bool_]:
        """Whether a site is a tumour, shape (n_sites,)."""
        return self.kind == 0


def draw_lesion_counts(burden: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw how many lesions are measured: 1 to 15, more where the tumour burden is high.

    Parameters
    ----------
    burden : ndarray of shape (n_patients,), 1
        Standardised log tumour volume.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int, shape (n_patients,)
    """
    chance = 1.0 / (1.0 + np.exp(0.7 - 1.1 * burden))
    return 1 + rng.binomial(MAX_RANDOM_LESIONS - 1, chance)


def lay_out_sites(lesion_counts: NDArray[np.int64]) -> SiteLayout:
    """Give every patient their lesions, four salivary glands and two kidneys.

    Parameters
    ----------
    lesion_counts : ndarray of int, shape (n_patients,)
        Lesions of each patient, 0 allowed.

    Returns
    -------
    SiteLayout
        With ``lesion_counts.sum() + 6 * n_patients`` sites.
    """
    counts = lesion_counts + len(ORGAN_SITES)
    patient = np.repeat(np.arange(counts.size), counts)
    position = np.arange(patient.size) - np.repeat(np.cumsum(counts) - counts, counts)
    organ = position - lesion_counts[patient]

    kind = np.zeros(patient.size, dtype=np.int64)
    site_id = np.array([f"T{number + 1:02d}" for number in position], dtype=object)
    for number, (label, kind_name) in enumerate(ORGAN_SITES):
        kind[organ == number] = KINDS.index(kind_name)
        site_id[organ == number] = label
    return SiteLayout(patient=patient, kind=kind, site_id=site_id)


def expand_cycles(
    patient: NDArray[np.int64], n_cycles: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Repeat the sites in every cycle, ordered by patient, cycle and site.

    Parameters
    ----------
    patient : ndarray of int, shape (n_sites,)
        Patient of each site.
    n_cycles : int
        Cycles.

    Returns
    -------
    site : ndarray of int, shape (n_sites * n_cycles,)
        Number of the site of each row.
    cycle : ndarray of int, shape (n_sites * n_cycles,)
        Cycle of each row, from 0.
    """
    site = np.tile(np.arange(patient.size), n_cycles)
    cycle = np.repeat(np.arange(n_cycles), patient.size)
    order = np.lexsort((site, cycle, patient[site]))
    return site[order], cycle[order]
