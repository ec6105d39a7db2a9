"""What a dose-response model was told, checked before anything is computed."""

from dataclasses import dataclass
from typing import Any

from bayesdose.dose import priors as p
from bayesdose.errors import ConfigError, PriorError

LINKS = ("logit", "probit")
KINDS = ("new_patient", "typical_patient")
_ALLOWED = {
    "intercept": (p.Normal, p.StudentT),
    "slope": (p.Normal, p.StudentT),
    "patient_sd": (p.HalfNormal, p.StudentT, p.Exponential),
}


@dataclass(frozen=True)
class DoseResponseSpec:
    """Settings of a dose-response model, checked.

    Parameters
    ----------
    link : str
    intercept, slope, patient_sd : prior value
    draws, chains, random_state : int
    progress : bool or None
    """

    link: str
    intercept: Any
    slope: Any
    patient_sd: Any
    draws: int
    chains: int
    random_state: int
    progress: bool | None

    def __post_init__(self) -> None:
        if self.link not in LINKS:
            raise ConfigError(f"link: got {self.link!r}; allowed are {', '.join(LINKS)}")
        for name, allowed in _ALLOWED.items():
            value = getattr(self, name)
            if not isinstance(value, allowed):
                words = ", ".join(kind.__name__ for kind in allowed)
                flat = (
                    ". A flat prior has no posterior where the doses separate the outcomes, or may "
                    "in truth: state a wide Normal"
                )
                raise PriorError(
                    f"{name}: got {value!r}; allowed are {words}"
                    f"{flat if isinstance(value, p.Flat) else ''}"
                )
        for name, least in (("draws", 100), ("chains", 1), ("random_state", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name} must be a whole number from {least}; got {value!r}")


def check_kind(kind: str) -> None:
    """Refuse an unknown kind of prediction.

    Parameters
    ----------
    kind : str

    Raises
    ------
    ConfigError
        When it is none of `KINDS`.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind: got {kind!r}; allowed are {', '.join(KINDS)}")
