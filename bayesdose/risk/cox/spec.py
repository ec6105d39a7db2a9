"""What a Cox model was told, checked before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bayesdose.dose import priors as p
from bayesdose.errors import ConfigError, PriorError
from bayesdose.risk.cox.baseline import Baseline, MSpline, PiecewiseConstant
from bayesdose.risk.cox.partial_likelihood import TIES

INFERENCE = ("nuts", "mode")
_SLOPES = (p.Normal, p.StudentT, p.Flat, p.RegularizedHorseshoe, p.R2D2)
_SDS = (p.HalfNormal, p.StudentT, p.Exponential)


@dataclass(frozen=True)
class CoxSpec:
    """Settings of a Cox model, checked.

    Parameters
    ----------
    slope : prior value
    ties : str
    baseline : MSpline, PiecewiseConstant or None
    strata : tuple of str or int
    frailty : str, int or None
    frailty_sd : prior value
    standardise : bool
    inference : str
    draws, chains, random_state : int
    device : str
    progress : bool or None
    measurement_sd : mapping of str to float or str
    """

    slope: Any
    ties: str
    baseline: Baseline | None
    strata: tuple[str | int, ...]
    frailty: str | int | None
    frailty_sd: Any
    standardise: bool
    inference: str
    draws: int
    chains: int
    random_state: int
    device: str
    progress: bool | None
    measurement_sd: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_priors()
        if self.ties not in TIES:
            raise ConfigError(f"ties: got {self.ties!r}; allowed are {', '.join(TIES)}")
        if self.inference not in INFERENCE:
            raise ConfigError(
                f"inference: got {self.inference!r}; allowed are {', '.join(INFERENCE)}"
            )
        if self.baseline is not None and not isinstance(self.baseline, MSpline | PiecewiseConstant):
            raise ConfigError(
                f"baseline: got {self.baseline!r}; allowed are risk.MSpline(), "
                "risk.PiecewiseConstant(), or None for the partial likelihood"
            )
        if self.device not in ("cpu", "gpu"):
            raise ConfigError(f"device: got {self.device!r}; allowed are cpu, gpu")
        for name, least in (("draws", 100), ("chains", 1), ("random_state", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name} must be a whole number from {least}; got {value!r}")
        if not isinstance(self.measurement_sd, Mapping):
            raise ConfigError(
                "measurement_sd is a dict from covariate to standard deviation, such as "
                f"{{'log_dose': 0.3}}; got {self.measurement_sd!r}"
            )
        self._check_mode()

    def _check_priors(self) -> None:
        for name, allowed in (("slope", _SLOPES), ("frailty_sd", _SDS)):
            value = getattr(self, name)
            if not isinstance(value, allowed):
                words = ", ".join(kind.__name__ for kind in allowed)
                raise PriorError(f"{name}: got {value!r}; allowed are {words}")

    def _check_mode(self) -> None:
        if self.inference != "mode":
            return
        if not isinstance(self.slope, p.Normal | p.Flat):
            raise ConfigError(
                f"inference='mode' takes slope=Normal(...) or Flat(); got {self.slope!r}. Use "
                "inference='nuts'"
            )
        for name in ("baseline", "frailty", "measurement_sd"):
            if getattr(self, name):
                raise ConfigError(
                    f"inference='mode' knows no {name}: the mode of a hierarchical model is no "
                    "estimate. Use inference='nuts'"
                )
