"""Limits of dose that an activity must keep, and those that the literature names."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np

from bayesdose.errors import ConfigError

#: Which dose of a tissue is held to the limit: that of every site, or a mean over the sites.
SITES = ("worst", "mean", "mass_mean")


@dataclass(frozen=True)
class DoseLimit:
    """Cumulative dose that a tissue should not exceed, and how sure that shall be.

    A limit is in Gy, or in BED: D (1 + D / (alpha/beta) T_rep / (T_rep + T_eff)) for each cycle,
    added over cycles (full repair between them), as `bayesdose.measure.bed`.

    Parameters
    ----------
    tissue : str
        Tissue of the site table.
    gy : float, Gy
        Limit in absorbed dose; give this or ``bed_gy``.
    probability : float
        Posterior probability with which the limit holds.
    sites : {"worst", "mean", "mass_mean"}
        Every site of the tissue within the limit, or the mean dose over them (by ``mass_g``); a
        limit in BED is then on the BED of that mean dose.
    already_gy : float or dict of str to float, Gy
        Already received, before the cycles that are planned; by site_id where it differs. Of BED
        in a limit of BED.
    bed_gy : float, Gy
        Limit in BED.
    alpha_beta_gy : float, Gy
        Of the tissue; for BED.
    repair_half_time_h : float, h
        Half-time of repair; for BED.
    effective_half_life_h : float, h
        Effective half-life of the dose rate in the tissue; for BED.

    Raises
    ------
    ConfigError
        When an argument is missing, superfluous or out of range.
    """

    tissue: str
    gy: float | None = None
    probability: float = 0.95
    sites: str = "worst"
    already_gy: float | Mapping[str, float] = 0.0
    bed_gy: float | None = None
    alpha_beta_gy: float | None = None
    repair_half_time_h: float | None = None
    effective_half_life_h: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.tissue, str) or not self.tissue:
            raise ConfigError(f"tissue: got {self.tissue!r}; give the name of a tissue")
        if (self.gy is None) == (self.bed_gy is None):
            raise ConfigError(f"the limit for {self.tissue}: give gy or bed_gy, and one of them")
        self._check_number("gy", self.gy)
        self._check_number("bed_gy", self.bed_gy)
        if not is_number(self.probability) or not 0 < self.probability < 1:
            raise ConfigError(
                f"probability of the limit for {self.tissue}: got {self.probability!r}; give a "
                "number between 0 and 1, such as 0.95"
            )
        if self.sites not in SITES:
            raise ConfigError(
                f"sites of the limit for {self.tissue}: got {self.sites!r}; allowed are "
                f"{', '.join(SITES)}"
            )
        self._check_already()
        self._check_radiobiology()

    def _check_number(self, name: str, value: object) -> None:
        if value is not None and not (is_number(value) and 0 < value < np.inf):  # type: ignore[operator]
            raise ConfigError(
                f"{name} of the limit for {self.tissue}: got {value!r}; give a number above 0"
            )

    def _check_already(self) -> None:
        by_site = isinstance(self.already_gy, Mapping)
        values = list(self.already_gy.values()) if by_site else [self.already_gy]  # type: ignore[union-attr]
        for value in values:
            if not is_number(value) or not 0 <= value < np.inf:  # type: ignore[operator]
                raise ConfigError(
                    f"already_gy of the limit for {self.tissue}: got {value!r}; give Gy of at "
                    "least 0, or a dict from site_id to Gy"
                )
        if by_site and len({str(site) for site in self.already_gy}) < len(values):  # type: ignore[union-attr]
            raise ConfigError(
                f"already_gy of the limit for {self.tissue} names a site twice: site_id is text, "
                "and 1 is the same as '1'"
            )
        if by_site and self.sites != "worst":
            raise ConfigError(
                f"already_gy of the limit for {self.tissue} is by site, and the limit is on the "
                f"{self.sites} of the sites: give the {self.sites} already received"
            )

    def _check_radiobiology(self) -> None:
        names = ("alpha_beta_gy", "repair_half_time_h", "effective_half_life_h")
        for name in names:
            value = getattr(self, name)
            if self.bed_gy is not None and value is None:
                raise ConfigError(
                    f"a limit in BED for {self.tissue} needs {name}: BED depends on it, and there "
                    "is no default"
                )
            if self.bed_gy is None and value is not None:
                raise ConfigError(
                    f"{name} is given, and the limit for {self.tissue} is in Gy; leave it out, or "
                    "give bed_gy instead of gy"
                )
            self._check_number(name, value)

    @property
    def bed_per_gy2(self) -> float:
        """BED - D over D² of one cycle; 0 for a limit in Gy.

        Returns
        -------
        float, 1/Gy
        """
        if self.bed_gy is None:
            return 0.0
        assert self.alpha_beta_gy is not None
        assert self.repair_half_time_h is not None
        assert self.effective_half_life_h is not None
        repair = self.repair_half_time_h
        return repair / (repair + self.effective_half_life_h) / self.alpha_beta_gy

    @property
    def value_gy(self) -> float:
        """The limit, in Gy of dose or of BED.

        Returns
        -------
        float, Gy
        """
        return float(self.gy if self.gy is not None else self.bed_gy)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        """The limit in words.

        Returns
        -------
        str
            Such as ``kidney: every site at most 23 Gy, with probability 0.95``.
        """
        words = {"worst": "every site", "mean": "mean of sites", "mass_mean": "mean by mass"}
        unit = "Gy" if self.bed_gy is None else "Gy BED"
        return (
            f"{self.tissue.replace('_', ' ')}: {words[self.sites]} at most {self.value_gy:g} "
            f"{unit}, with probability {self.probability:g}"
        )


@dataclass(frozen=True)
class PublishedLimit:
    """A limit that the literature names: nothing is planned with it until it is asked for.

    Parameters
    ----------
    tissue : str
    gy, bed_gy : float or None, Gy
        Limit in absorbed dose, or in BED.
    source : str
        Where it comes from.
    verified : bool
        Whether the figure was read in its source; none of those known so far was.
    note : str
        What it was meant for.
    alpha_beta_gy, repair_half_time_h : float or None, Gy and h
        That usually go with a limit in BED.
    """

    tissue: str
    gy: float | None
    bed_gy: float | None
    source: str
    verified: bool
    note: str
    alpha_beta_gy: float | None = None
    repair_half_time_h: float | None = None

    def limit(
        self,
        *,
        probability: float = 0.95,
        sites: str = "worst",
        already_gy: float | Mapping[str, float] = 0.0,
        effective_half_life_h: float | None = None,
    ) -> DoseLimit:
        """The limit to plan with.

        Parameters
        ----------
        probability, sites, already_gy, effective_half_life_h
            As of `DoseLimit`.

        Returns
        -------
        DoseLimit
        """
        return DoseLimit(
            self.tissue,
            self.gy,
            probability,
            sites,
            already_gy,
            self.bed_gy,
            self.alpha_beta_gy,
            self.repair_half_time_h,
            effective_half_life_h,
        )


_EBRT = "a figure of external beams carried over; not validated for 177Lu-PSMA"
_BODEI = "Bodei 2008 after Barone 2005 (from memory), 90Y and 177Lu peptides"
_KIDNEY = {"alpha_beta_gy": 2.6, "repair_half_time_h": 2.8}

#: Limits of the literature by name. No figure here was read in its source, and none is validated
#: for 177Lu-PSMA: which limit to keep is a clinical decision.
LIMITS = {
    "kidney_23_gy": PublishedLimit(
        "kidney", 23.0, None, "Emami 1991, TD5/5 (from memory)", False, _EBRT
    ),
    "kidney_28_gy": PublishedLimit(
        "kidney", 28.0, None, "Emami 1991, TD50/5 (from memory)", False, _EBRT
    ),
    "kidney_40_gy_bed": PublishedLimit(
        "kidney", None, 40.0, _BODEI, False, "without renal risk factors", **_KIDNEY
    ),
    "kidney_28_gy_bed": PublishedLimit(
        "kidney", None, 28.0, _BODEI, False, "with renal risk factors", **_KIDNEY
    ),
    "red_marrow_2_gy": PublishedLimit(
        "red_marrow",
        2.0,
        None,
        "131I practice (from memory)",
        False,
        "taken as cumulative here; sources differ on whether it is for one cycle or for all",
    ),
    "salivary_gland_26_gy": PublishedLimit(
        "salivary_gland",
        26.0,
        None,
        "xerostomia of the parotid, TD50 about 20-26 Gy of mean dose (from memory)",
        False,
        f"{_EBRT}; a median tolerance and no safe dose",
    ),
}


#: One cycle of 177Lu-PSMA is far below; the site table refuses more, too.
MOST_GBQ = 50.0


def check_activity(name: str, value: object) -> float:
    """Refuse what cannot be the activity of one cycle.

    Parameters
    ----------
    name : str
        Argument.
    value : object
        What was given, GBq.

    Returns
    -------
    float, GBq

    Raises
    ------
    ConfigError
        When it is no number above 0 and at most 50.
    """
    if not is_number(value) or not 0 < value <= MOST_GBQ:  # type: ignore[operator]
        raise ConfigError(
            f"{name}: got {value!r}; give the activity of a cycle, above 0 and at most "
            f"{MOST_GBQ:g} GBq (is it MBq?)"
        )
    return float(value)  # type: ignore[arg-type]


def is_number(value: object) -> bool:
    """Whether a value is a real number, and no truth value.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)
