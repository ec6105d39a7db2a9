"""Priors as plain values: comparable, hashable, serialisable, and free of any backend.

Standard deviations are stated on the log scale, so ``exp(sd)`` is a fold-change: a
``HalfNormal(0.5)`` between patients says that two in three patients lie within a factor
1.65 of the typical one.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from math import inf, isfinite
from typing import Any

from bayesdose.errors import PriorError


def _require(condition: bool, prior: object, what: str) -> None:
    if not condition:
        raise PriorError(f"{prior!r}: {what}")


@dataclass(frozen=True)
class Normal:
    """Normal prior.

    Parameters
    ----------
    mu : float
        Mean.
    sigma : float
        Standard deviation, above 0.
    """

    mu: float = 0.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        _require(isfinite(self.mu), self, "mu must be finite")
        _require(0 < self.sigma < inf, self, "sigma must be finite and above 0")


@dataclass(frozen=True)
class HalfNormal:
    """Normal prior folded at 0.

    Parameters
    ----------
    sigma : float
        Standard deviation of the normal before folding, above 0.
    """

    sigma: float = 1.0

    def __post_init__(self) -> None:
        _require(0 < self.sigma < inf, self, "sigma must be finite and above 0")


@dataclass(frozen=True)
class StudentT:
    """Student-t prior; folded at 0 when given to a standard deviation.

    Parameters
    ----------
    df : float
        Degrees of freedom, above 0.
    mu : float
        Location (0 for a standard deviation).
    sigma : float
        Scale, above 0.
    """

    df: float = 4.0
    mu: float = 0.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        _require(0 < self.df < inf, self, "df must be finite and above 0")
        _require(isfinite(self.mu), self, "mu must be finite")
        _require(0 < self.sigma < inf, self, "sigma must be finite and above 0")


@dataclass(frozen=True)
class Exponential:
    """Exponential prior of a standard deviation.

    Parameters
    ----------
    rate : float
        Inverse of the mean, above 0.
    """

    rate: float = 1.0

    def __post_init__(self) -> None:
        _require(0 < self.rate < inf, self, "rate must be finite and above 0")


@dataclass(frozen=True)
class LKJ:
    """LKJ prior of a correlation matrix (Lewandowski, Kurowicka & Joe 2009).

    Parameters
    ----------
    eta : float
        1 is uniform over correlation matrices; larger pulls towards independence.
    """

    eta: float = 2.0

    def __post_init__(self) -> None:
        _require(0 < self.eta < inf, self, "eta must be finite and above 0")


@dataclass(frozen=True)
class RegularizedHorseshoe:
    """Regularised horseshoe over the slopes of a tissue (Piironen & Vehtari 2017).

    Parameters
    ----------
    expected_nonzero : float
        Number of slopes expected to matter, below the number of slopes.
    slab_scale : float
        Scale of the slab that keeps large slopes finite.
    slab_df : float
        Degrees of freedom of the slab.

    Notes
    -----
    doi 10.1214/17-EJS1337SI.
    """

    expected_nonzero: float = 1.0
    slab_scale: float = 1.0
    slab_df: float = 4.0

    def __post_init__(self) -> None:
        for name in ("expected_nonzero", "slab_scale", "slab_df"):
            _require(0 < getattr(self, name) < inf, self, f"{name} must be finite and above 0")


@dataclass(frozen=True)
class R2D2:
    """Prior on the share of explained variance, spread over the slopes (Zhang 2022).

    Given to ``patient_sd`` as well, the patient effects take their part of the same share
    (R2D2M2, Aguilar & Bürkner 2023, doi 10.1214/23-EJS2136).

    Parameters
    ----------
    mean : float
        Prior mean of R², in (0, 1).
    precision : float
        Beta precision of R², above 0.
    concentration : float
        Dirichlet concentration of the split, above 0; below 1 favours few terms.
    """

    mean: float = 0.5
    precision: float = 2.0
    concentration: float = 0.5

    def __post_init__(self) -> None:
        _require(0 < self.mean < 1, self, "mean must lie in (0, 1)")
        _require(0 < self.precision < inf, self, "precision must be finite and above 0")
        _require(0 < self.concentration < inf, self, "concentration must be finite and above 0")


@dataclass(frozen=True)
class Flat:
    """Improper uniform prior: no log evidence, and the data must identify the parameter."""


Prior = Normal | HalfNormal | StudentT | Exponential | LKJ | RegularizedHorseshoe | R2D2 | Flat
PriorOrDict = Prior | Mapping[str, Prior]

_ALLOWED: dict[str, tuple[type, ...]] = {
    "intercept": (Normal, StudentT, Flat),
    "slope": (Normal, StudentT, Flat, RegularizedHorseshoe, R2D2),
    "patient_sd": (HalfNormal, StudentT, Exponential, Flat, R2D2),
    "residual_sd": (HalfNormal, StudentT, Exponential, Flat),
    "patient_corr": (LKJ,),
    "site_sd": (HalfNormal, StudentT, Exponential),
    "cycle_sd": (HalfNormal, StudentT, Exponential),
    "group_sd": (HalfNormal, StudentT, Exponential),
}

# log(Gy/GBq); centres from facts that are partly from memory, widths chosen to cover the spread
# of published cohort means. docs/choosing-priors.md lists each with its source and tag.
_INTERCEPTS: dict[str, Normal] = {
    "kidney": Normal(-0.75, 0.4),
    "salivary_gland": Normal(-0.9, 0.6),
    "parotid": Normal(-0.6, 0.5),
    "submandibular": Normal(-0.7, 0.5),
    "lacrimal": Normal(0.9, 0.6),
    "red_marrow": Normal(-3.4, 0.7),
    "liver": Normal(-2.4, 0.5),
    "spleen": Normal(-2.6, 0.6),
    "tumour": Normal(1.2, 0.9),
}
_UNKNOWN_INTERCEPT = Normal(-0.5, 1.5)
_ORGAN_RESIDUAL = HalfNormal(0.3)
_LESION_RESIDUAL = HalfNormal(0.8)
_DEFAULTS: dict[str, Prior] = {
    "slope": Normal(0.0, 0.5),
    "patient_sd": HalfNormal(0.5),
    "patient_corr": LKJ(2.0),
    "site_sd": HalfNormal(0.3),
    "cycle_sd": HalfNormal(0.3),
    "group_sd": HalfNormal(0.3),
}


@dataclass(frozen=True)
class Priors:
    """Priors of a dose model; what is not given takes the package's sourced default.

    Each may be one value or a dict from tissue to value (tissues left out take the default).

    Parameters
    ----------
    intercept : Normal, StudentT or Flat, log(Gy/GBq)
        Log dose per activity of a typical site; log Gy when the model has no activity.
    slope : Normal, StudentT, Flat, RegularizedHorseshoe or R2D2
        Change of log dose per standard deviation of the covariate.
    patient_sd : HalfNormal, StudentT, Exponential, Flat or R2D2
        Between patients, log scale.
    residual_sd : HalfNormal, StudentT, Exponential or Flat
        Between sites of a patient, log scale.
    patient_corr : LKJ
        Correlation of the patient effects, across tissues and random slopes.
    site_sd, cycle_sd, group_sd : HalfNormal, StudentT or Exponential
        Between sites measured repeatedly, between cycles of a patient, between the levels of
        a group effect; log scale.

    Raises
    ------
    PriorError
        When a prior cannot belong to its parameter.
    """

    intercept: PriorOrDict | None = None
    slope: PriorOrDict | None = None
    patient_sd: PriorOrDict | None = None
    residual_sd: PriorOrDict | None = None
    patient_corr: PriorOrDict | None = None
    site_sd: PriorOrDict | None = None
    cycle_sd: PriorOrDict | None = None
    group_sd: PriorOrDict | None = None

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED.items():
            given = getattr(self, name)
            if isinstance(given, Mapping):
                object.__setattr__(self, name, FrozenDict(given))
                values = list(given.values())
            else:
                values = [] if given is None else [given]
            for value in values:
                if not isinstance(value, allowed):
                    words = ", ".join(kind.__name__ for kind in allowed)
                    raise PriorError(f"priors.{name}: got {value!r}; allowed are {words}")
        if isinstance(self.patient_corr, Mapping) or isinstance(self.group_sd, Mapping):
            raise PriorError(
                "priors.patient_corr and priors.group_sd are shared by all tissues: "
                "give one value, not a dict"
            )

    def given(self, name: str, tissue: str) -> Prior | None:
        """Prior that the user stated for a parameter of a tissue.

        Parameters
        ----------
        name : str
            Field of `Priors`.
        tissue : str
            Tissue label.

        Returns
        -------
        prior or None
            None where the default applies.
        """
        value = getattr(self, name)
        return value.get(tissue) if isinstance(value, Mapping) else value

    def resolve(self, name: str, tissue: str, log_activity: float = 0.0) -> Prior:
        """Prior in force for a parameter of a tissue: the user's, else the default.

        Parameters
        ----------
        name : str
            Field of `Priors`.
        tissue : str
            Tissue label.
        log_activity : float, log GBq
            Added to a default intercept when the model has no activity.

        Returns
        -------
        prior
        """
        stated = self.given(name, tissue)
        if stated is not None:
            return stated
        if name == "intercept":
            base = _INTERCEPTS.get(tissue, _UNKNOWN_INTERCEPT)
            return replace(base, mu=base.mu + log_activity)
        if name == "residual_sd":
            known_organ = tissue in _INTERCEPTS and tissue != "tumour"
            return _ORGAN_RESIDUAL if known_organ else _LESION_RESIDUAL
        return _DEFAULTS[name]

    def check_tissues(self, tissues: list[str]) -> None:
        """Refuse a dict that names a tissue which the table does not have.

        Parameters
        ----------
        tissues : list of str
            Tissues of the training table.

        Raises
        ------
        PriorError
            When a dict names another tissue.
        """
        for item in fields(self):
            value = getattr(self, item.name)
            unknown = sorted(set(value) - set(tissues)) if isinstance(value, Mapping) else []
            if unknown:
                raise PriorError(
                    f"priors.{item.name} names tissue {unknown[0]!r}, which the table does not "
                    f"have; its tissues are {', '.join(tissues)}"
                )


class FrozenDict(dict[str, Any]):
    """Dict whose hash is that of its items, so that priors can key a compilation cache."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items(), key=lambda item: item[0])))

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)

    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError("priors are values: make a new one instead of changing it")


_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (Normal, HalfNormal, StudentT, Exponential, LKJ, RegularizedHorseshoe, R2D2, Flat)
}


def to_dict(priors: Priors) -> dict[str, Any]:
    """Plain dict of what the user stated, for JSON.

    Parameters
    ----------
    priors : Priors
        Priors of a model.

    Returns
    -------
    dict
        Field → ``{"kind": name, parameters}`` or tissue → that.
    """

    def one(prior: Any) -> dict[str, Any]:
        return {"kind": type(prior).__name__, **asdict(prior)}

    out: dict[str, Any] = {}
    for item in fields(priors):
        value = getattr(priors, item.name)
        if isinstance(value, Mapping):
            out[item.name] = {"by_tissue": {k: one(v) for k, v in value.items()}}
        elif value is not None:
            out[item.name] = one(value)
    return out


def from_dict(plain: Mapping[str, Any]) -> Priors:
    """Priors from the dict that `to_dict` makes or a TOML table holds.

    Parameters
    ----------
    plain : mapping
        Field → ``{"kind": name, parameters}`` or ``{"by_tissue": ...}``.

    Returns
    -------
    Priors

    Raises
    ------
    PriorError
        When a field, a kind or a parameter has an unknown name.
    """
    known = [item.name for item in fields(Priors)]
    out: dict[str, Any] = {}
    for name, value in plain.items():
        if name not in known:
            raise PriorError(f"unknown prior {name!r}; allowed are {', '.join(known)}")
        if not isinstance(value, Mapping):
            raise PriorError(f"priors.{name}: got {value!r}; write {{kind = 'Normal', ...}}")
        if "by_tissue" in value:
            out[name] = {k: _one_prior(f"{name}.{k}", v) for k, v in value["by_tissue"].items()}
        else:
            out[name] = _one_prior(name, value)
    return Priors(**out)


def _one_prior(where: str, plain: Mapping[str, Any]) -> Prior:
    arguments = dict(plain)
    kind = arguments.pop("kind", None)
    if kind not in _KINDS:
        raise PriorError(f"priors.{where}: kind {kind!r}; allowed are {', '.join(_KINDS)}")
    try:
        return _KINDS[kind](**arguments)
    except TypeError as err:
        allowed = ", ".join(item.name for item in fields(_KINDS[kind])) or "none"
        raise PriorError(f"priors.{where}: {err}; parameters of {kind} are {allowed}") from err
