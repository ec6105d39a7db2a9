"""Published absorbed dose per administered activity, to recognise a wrong unit by."""

from dataclasses import dataclass
from statistics import median
from typing import Literal


@dataclass(frozen=True)
class DosePerActivity:
    """Study means of one tissue for 177Lu-PSMA.

    Parameters
    ----------
    figures : tuple of (float, str)
        Study means in Gy/GBq with their sources.
    tag : {"verified", "derived", "memory"}
        Whether the figures were read in the abstracts, computed from figures that were, or
        written down from memory.
    """

    figures: tuple[tuple[float, str], ...]
    tag: Literal["verified", "derived", "memory"]

    @property
    def gy_per_gbq(self) -> float:
        """Median of the study means, Gy/GBq."""
        return median(figure for figure, _ in self.figures)


LITERATURE = {
    "tumour": DosePerActivity(
        ((3.25, "Peters 2022, EJNMMI 49(2), 10 patients, DOI from memory"),), "verified"
    ),
    "salivary_gland": DosePerActivity(
        (
            (0.39, "Peters 2022, EJNMMI 49(2), 10 patients, DOI from memory"),
            (0.72, "Hohberg 2016, doi:10.1007/s11307-016-0942-0, 9 patients"),
        ),
        "verified",
    ),
    "parotid": DosePerActivity(
        (
            (1.90, "Kabasakal 2017, Mol Imaging Radionucl Ther, 7 patients, DOI from memory"),
            (0.791, "Ells 2024, J Nucl Med 65:1264, pooled 617, printed Gy per cycle / 7.4 GBq"),
            (0.385, "Ells 2024, J Nucl Med 65:1264, pooled I&T, printed Gy per cycle / 6.8 GBq"),
        ),
        "derived",
    ),
    "submandibular": DosePerActivity(
        (
            (0.44, "Violet 2019, J Nucl Med 60:517, 30 patients"),
            (0.50, "Scarpa 2017, EJNMMI 44:788, 10 patients"),
            (0.64, "Okamoto 2017, J Nucl Med 58:445, 18 patients"),
        ),
        "memory",
    ),
    "lacrimal": DosePerActivity(
        ((2.82, "Hohberg 2016, doi:10.1007/s11307-016-0942-0, 9 patients"),), "verified"
    ),
    "kidney": DosePerActivity(
        (
            (0.49, "Peters 2022, EJNMMI 49(2), 10 patients, DOI from memory"),
            (0.82, "Kabasakal 2017, Mol Imaging Radionucl Ther, 7 patients, DOI from memory"),
            (0.53, "Hohberg 2016, doi:10.1007/s11307-016-0942-0, 9 patients"),
            (0.54, "Happel 2025, doi:10.1007/s11307-025-01998-2, 196 patients"),
            (0.28, "lesion dose-response study of 65 patients, authors not known to us"),
        ),
        "verified",
    ),
    "liver": DosePerActivity(
        ((0.09, "Peters 2022, EJNMMI 49(2), 10 patients, DOI from memory"),), "verified"
    ),
    "red_marrow": DosePerActivity(
        (
            (0.017, "Peters 2022, EJNMMI 49(2), 10 patients, DOI from memory"),
            (0.030, "Kabasakal 2017, Mol Imaging Radionucl Ther, 7 patients, DOI from memory"),
        ),
        "verified",
    ),
    "spleen": DosePerActivity(
        (
            (0.06, "Violet 2019, J Nucl Med 60:517, 30 patients"),
            (0.067, "Herrmann 2024, J Nucl Med 65:71, 29 patients"),
            (0.10, "Delker 2016, EJNMMI 43:42, 5 patients"),
        ),
        "memory",
    ),
}
"""Absorbed dose per administered activity by tissue."""


def literature_gy_per_gbq(tissue: object) -> float | None:
    """Look up the published absorbed dose per administered activity of a tissue.

    Parameters
    ----------
    tissue : str
        Tissue, spelt as in the site table.

    Returns
    -------
    float or None
        Median of the study means, Gy/GBq; None for any other word.
    """
    found = LITERATURE.get(tissue) if isinstance(tissue, str) else None
    return None if found is None else found.gy_per_gbq
