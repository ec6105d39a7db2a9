"""The published tables as data, each with its source, its scope and what is verified of it.

"Verified" says that the number was read in the source that is named beside it, "from memory" that
it was not. `docs/clinical-scores.md` prints these tables and is compared with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """Numbers that an argument may hold.

    Attributes
    ----------
    argument, unit : str
        Name of the argument, and its unit.
    least, most : float
        Smallest and largest, both allowed.
    whole : bool
        Whether only whole numbers are.
    """

    argument: str
    unit: str
    least: float
    most: float = np.inf
    whole: bool = False

    @property
    def text(self) -> str:
        """The range in words.

        Returns
        -------
        str
        """
        kind = "whole numbers" if self.whole else "finite numbers"
        end = f" to {self.most:g}" if np.isfinite(self.most) else ""
        return f"{kind} from {self.least:g}{end} {self.unit}".rstrip()


@dataclass(frozen=True)
class Bands:
    """Points by the band that a number lies in.

    Attributes
    ----------
    range : Range
        What is allowed.
    cuts : tuple of float
        Ends of the bands.
    points : tuple of int
        Of each band: one more than cuts.
    cut_lies : {"below", "above"}
        Whether the cut itself belongs to the band below or above it.
    """

    range: Range
    cuts: tuple[float, ...]
    points: tuple[int, ...]
    cut_lies: Literal["below", "above"]

    def points_of(self, values: Floats) -> Floats:
        """Points of numbers within the range.

        Parameters
        ----------
        values : ndarray of any shape, in the range's unit
            NaN where missing.

        Returns
        -------
        ndarray of the same shape
            NaN where the number is.
        """
        side: Literal["left", "right"] = "left" if self.cut_lies == "below" else "right"
        band = np.searchsorted(np.asarray(self.cuts), values, side=side)
        return np.where(np.isnan(values), np.nan, np.asarray(self.points, dtype=float)[band])

    def rows(self) -> list[tuple[str, str, int]]:
        """Lines of the table.

        Returns
        -------
        list of (str, str, int)
            Argument, condition, points.
        """
        up, down = ("> ", "≤ ") if self.cut_lies == "below" else ("≥ ", "< ")
        lower = ["", *(f"{up}{cut:g}" for cut in self.cuts)]
        upper = [*(f"{down}{cut:g}" for cut in self.cuts), ""]
        return [
            (self.range.argument, " and ".join(filter(None, ends)), points)
            for *ends, points in zip(lower, upper, self.points, strict=True)
        ]


@dataclass(frozen=True)
class Classes:
    """Points by the class that something belongs to.

    Attributes
    ----------
    argument : str
        What is classified.
    points : mapping of str to int
        Of each class.
    """

    argument: str
    points: Mapping[str, int]

    def rows(self) -> list[tuple[str, str, int]]:
        """Lines of the table.

        Returns
        -------
        list of (str, str, int)
            Argument, classes with the same points, points.
        """
        classes: dict[int, list[str]] = {}
        for name, points in self.points.items():
            classes.setdefault(points, []).append(name)
        return [(self.argument, ", ".join(names), points) for points, names in classes.items()]


@dataclass(frozen=True)
class ScoreTable:
    """One published score.

    Attributes
    ----------
    name : str
        What it is called.
    least, most : int
        Range of the score.
    made_by : str
        How the parts make the score.
    parts : tuple of Bands and Classes
        What it is made of.
    groups : mapping of str to (int, int)
        Named groups of the score: first and last, both in the group.
    scope : str
        Where it holds.
    source : str
        Where it was published.
    status : str
        What of it is verified, and against what.
    """

    name: str
    least: int
    most: int
    made_by: str
    parts: tuple[Bands | Classes, ...]
    groups: Mapping[str, tuple[int, int]]
    scope: str
    source: str
    status: str

    def rows(self) -> list[tuple[str, str, int]]:
        """Lines of the table.

        Returns
        -------
        list of (str, str, int)
            What is looked at, condition, points.
        """
        return [row for part in self.parts for row in part.rows()]


@dataclass(frozen=True)
class OddsRatio:
    """A published odds ratio.

    Attributes
    ----------
    per : str
        The step that it belongs to.
    value, lower, upper : float
        The ratio and its 95 % confidence interval.
    """

    per: str
    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Surrogate:
    """What stands in for a score that is not public.

    Attributes
    ----------
    name : str
        What it is called.
    odds_ratios : mapping of str to OddsRatio
        By argument.
    mean_probability : float
        What the intercept is chosen for.
    differs : str
        What it has not of the original.
    scope, source, status : str
        As in `ScoreTable`.
    """

    name: str
    odds_ratios: Mapping[str, OddsRatio]
    mean_probability: float
    differs: str
    scope: str
    source: str
    status: str


GLEASON_PRIMARY = Range("gleason_primary", "", 1, 5, whole=True)
GLEASON_SECONDARY = Range("gleason_secondary", "", 1, 5, whole=True)
GRADE_GROUP = Range("grade_group", "", 1, 5, whole=True)
PERCENT_POSITIVE_CORES = Range("percent_positive_cores", "%", 0, 100)

NO_HIGH_PATTERN = "neither pattern is 4 or 5"
HIGH_SECONDARY = "only the secondary pattern is 4 or 5"
HIGH_PRIMARY = "the primary pattern is 4 or 5"

CAPRA_AGE = Bands(Range("age_y", "years", 18, 120), (50.0,), (0, 1), cut_lies="above")
CAPRA_PSA = Bands(
    Range("psa_ng_ml", "ng/mL", 0), (6.0, 10.0, 20.0, 30.0), (0, 1, 2, 3, 4), cut_lies="below"
)
CAPRA_GLEASON = Classes(
    "biopsy Gleason patterns",
    MappingProxyType({NO_HIGH_PATTERN: 0, HIGH_SECONDARY: 1, HIGH_PRIMARY: 3}),
)
CAPRA_STAGE = Classes(
    "clinical_t",
    MappingProxyType(
        {**dict.fromkeys(("T1", "T1a", "T1b", "T1c", "T2", "T2a", "T2b", "T2c"), 0), "T3a": 1}
    ),
)
CAPRA_CORES = Bands(PERCENT_POSITIVE_CORES, (34.0,), (0, 1), cut_lies="above")

CAPRA = ScoreTable(
    name="CAPRA",
    least=0,
    most=10,
    made_by="the sum of the points",
    parts=(CAPRA_AGE, CAPRA_PSA, CAPRA_GLEASON, CAPRA_STAGE, CAPRA_CORES),
    groups=MappingProxyType({"low": (0, 2), "intermediate": (3, 5), "high": (6, 10)}),
    scope=(
        "Men with prostate cancer before treatment, clinical stage T1 to T3a; T3b and T4 lie "
        "outside the original score."
    ),
    source="Cooperberg 2005, J. Urol. 173:1938",
    status=(
        "Points and groups verified against public calculators that quote the paper, which itself "
        "was not read; the decimals of the cut-points from memory (high confidence), confirmed by "
        "table 2 of PMC2777059, which adapts the paper's."
    ),
)

GRADE_GROUP_PATTERNS = Classes(
    "Gleason patterns, primary + secondary",
    MappingProxyType(
        {
            "3+3": 1,
            "3+4": 2,
            "4+3": 3,
            "4+4": 4,
            "3+5": 4,
            "5+3": 4,
            "4+5": 5,
            "5+4": 5,
            "5+5": 5,
        }
    ),
)
GRADE_GROUPS = ScoreTable(
    name="ISUP grade group",
    least=1,
    most=5,
    made_by="the group of the two patterns",
    parts=(GRADE_GROUP_PATTERNS,),
    groups=MappingProxyType({}),
    scope="Patterns 3 to 5, as biopsies are graded today; patterns 1 and 2 have no group here.",
    source="Epstein 2016, Am. J. Surg. Pathol. 40:244",
    status="Groups verified, in a source that was not noted; the paper itself was not read.",
)

PRIMARY_PATTERN = Classes(
    "pattern",
    MappingProxyType(
        {
            "none": 1,
            "diffuse_transition_zone": 2,
            "symmetric_central_zone": 2,
            "focal_transition_zone": 3,
            "focal_peripheral_zone": 4,
        }
    ),
)
PRIMARY_SUV_MAX = Bands(Range("suv_max", "g/mL", 0), (12.0,), (0, 5), cut_lies="below")

PRIMARY = ScoreTable(
    name="PRIMARY",
    least=1,
    most=5,
    made_by="the higher of the two, so that level 5 overrides the pattern (0: the pattern decides)",
    parts=(PRIMARY_PATTERN, PRIMARY_SUV_MAX),
    groups=MappingProxyType({"negative": (1, 2), "positive": (3, 5)}),
    scope=(
        "The prostate on 68Ga-PSMA-11 PET/CT; the limit of SUVmax does not carry over to other "
        "tracers without calibration."
    ),
    source="Emmett 2022, doi 10.2967/jnumed.121.263448",
    status=(
        'Levels, numbers of men and the limit "> 12" verified against table 2 of the paper '
        '(PMC9635676); its abstract has "at least 12".'
    ),
)
#: Level → men, and percent of them with clinically significant cancer (same table of the paper).
PRIMARY_OBSERVED: Mapping[int, tuple[int, float]] = MappingProxyType(
    {1: (47, 8.5), 2: (55, 27.0), 3: (29, 38.0), 4: (117, 76.0), 5: (43, 100.0)}
)

PROMISE_V2 = ScoreTable(
    name="PROMISE V2 expression score",
    least=0,
    most=3,
    made_by="the line of the lesion",
    parts=(
        Classes(
            "mean SUV of the lesion",
            MappingProxyType(
                {
                    "< blood pool": 0,
                    "≥ blood pool and < liver": 1,
                    "≥ liver and < parotid": 2,
                    "≥ parotid": 3,
                }
            ),
        ),
    ),
    groups=MappingProxyType({}),
    scope=(
        "Lesions on PSMA PET; the spleen stands for the liver where the liver excretes the tracer "
        "(18F-PSMA-1007)."
    ),
    source="Seifert 2023, Eur. Urol. 83:405",
    status=(
        "From memory (high confidence). Verified is only that the score exists, slightly modified "
        "from the first version."
    ),
)

UCLA_SURROGATE = Surrogate(
    name="Surrogate of the UCLA PSMA score",
    odds_ratios=MappingProxyType(
        {
            "grade_group": OddsRatio("grade group", 2.15, 1.33, 3.45),
            "percent_positive_cores": OddsRatio("percent of positive cores", 1.03, 1.01, 1.04),
        }
    ),
    mean_probability=0.239,
    differs=(
        "PSA and clinical T are left out and the intercept is not the original's, because neither "
        "was found; the two coefficients are logarithms of rounded odds ratios."
    ),
    scope=(
        "Men with high-risk prostate cancer, cN0 cM0 on conventional imaging, and reference men "
        "like them."
    ),
    source=(
        "Odds ratios and mean: Ma 2021, Eur. Urol. Oncol. (abstract); original score: Xiang 2021, "
        "doi 10.1001/jamanetworkopen.2021.38550"
    ),
    status=(
        "Odds ratios and mean verified against the abstract (uroonco.uroweb.org); the formula is "
        "derived from them, and was never validated."
    ),
)
