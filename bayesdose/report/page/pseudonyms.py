"""Names that stand for patients and sites, by the order of their first appearance in a table."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bayesdose.report.page.text import shown
from bayesdose.report.style import words


@dataclass(frozen=True)
class Pseudonyms:
    """What is written for each patient and site.

    Parameters
    ----------
    patients : mapping of str to str
        By label.
    sites : mapping of tuple of str to str
        By labels of patient and site.
    """

    patients: Mapping[str, str]
    sites: Mapping[tuple[str, str], str]

    def patient(self, label: object) -> str:
        """Name of a patient.

        Parameters
        ----------
        label : object
            Of the table.

        Returns
        -------
        str
        """
        return self.patients[str(label)]

    def site(self, patient: object, site: object) -> str:
        """Name of a site.

        Parameters
        ----------
        patient, site : object
            Labels of the table.

        Returns
        -------
        str
        """
        return self.sites[str(patient), str(site)]

    def table(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A copy of a table with these names in ``patient_id`` and ``site_id``.

        Parameters
        ----------
        frame : pandas.DataFrame
            With ``patient_id``.

        Returns
        -------
        pandas.DataFrame
        """
        named = {"patient_id": [self.patient(label) for label in frame["patient_id"]]}
        if "site_id" in frame:
            pairs = zip(frame["patient_id"], frame["site_id"], strict=True)
            named["site_id"] = [self.site(*pair) for pair in pairs]
        return frame.assign(**named)


def pseudonyms(
    frame: pd.DataFrame, *, identifiers: bool = False, word: str = "Patient"
) -> Pseudonyms:
    """Names for the patients and sites of a table.

    Parameters
    ----------
    frame : pandas.DataFrame
        With patient_id, site_id and tissue.
    identifiers : bool
        Whether the names are the table's own labels, cut where they are long.
    word : str
        Before the number of a patient.

    Returns
    -------
    Pseudonyms
        "Patient 1", and "tumour 3" for the third tumour of its patient.
    """
    patients: dict[str, str] = {}
    sites: dict[tuple[str, str], str] = {}
    seen: Counter[tuple[str, str]] = Counter()
    labels = frame[["patient_id", "site_id", "tissue"]].astype(str)
    for patient, site, tissue in labels.itertuples(index=False):
        name = shown(patient) if identifiers else f"{word} {len(patients) + 1}"
        patients.setdefault(patient, name)
        if (patient, site) in sites:
            continue
        kind = shown(words(tissue)) if tissue else "site"
        seen[patient, kind] += 1
        own = identifiers and site
        sites[patient, site] = shown(site) if own else f"{kind} {seen[patient, kind]}"
    return Pseudonyms(patients, sites)
