"""What a dose model is, as a value: the arguments of `DoseModel`, checked and serialisable."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from bayesdose.dose import priors as prior_values
from bayesdose.dose.priors import FrozenDict, Priors
from bayesdose.errors import ConfigError

LIKELIHOODS = ("lognormal", "student_t", "gamma")
MISSING = ("error", "drop", "impute")
ENGINES = ("collapsed", "pymc")

#: Tissue label of a model that has no tissue column (``by=None``).
ONE_TISSUE = "all"


@dataclass(frozen=True)
class ModelSpec:
    """Specification of a dose model: formulas, columns, effects, likelihood, priors.

    Parameters
    ----------
    formula : str or dict of str
        Right-hand side for all tissues, or tissue → right-hand side.
    by, patient, response, activity, dose_cv, dose_cv_shared : str or None
        Column names; see `bayesdose.DoseModel`.
    patient_effects : str
        Formula inside the patient; ``"0"`` for none.
    patient_correlation : bool
        Whether patient effects are correlated across tissues and slopes.
    group_effects : tuple of str
        Columns whose levels get effects with an estimated standard deviation.
    standardise : bool
        Whether columns are centred and scaled with the tissue's training rows.
    likelihood : str
        One of `LIKELIHOODS`.
    censored : str or None
        Column that is True where the dose lies below the value.
    missing : str
        One of `MISSING`.
    priors : Priors
        Priors stated by the user.
    engine : str
        One of `ENGINES`.

    Raises
    ------
    ConfigError
        When a value is not among the allowed ones, or two contradict each other.
    """

    formula: str | Mapping[str, str]
    by: str | None = "tissue"
    patient: str = "patient_id"
    response: str = "absorbed_dose_gy"
    activity: str | None = "administered_activity_gbq"
    dose_cv: str | None = None
    dose_cv_shared: str | None = None
    patient_effects: str = "1"
    patient_correlation: bool = True
    group_effects: tuple[str, ...] = ()
    standardise: bool = True
    likelihood: str = "lognormal"
    censored: str | None = None
    missing: str = "error"
    priors: Priors = field(default_factory=Priors)
    engine: str = "collapsed"

    def __post_init__(self) -> None:
        if isinstance(self.formula, Mapping):
            object.__setattr__(self, "formula", FrozenDict(self.formula))
        object.__setattr__(self, "group_effects", _as_names(self.group_effects))
        self._check_columns()
        for name in ("patient_correlation", "standardise"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise ConfigError(f"{name}: got {getattr(self, name)!r}; give True or False")
        _check_formula(self.formula, self.by)
        _check_choice("likelihood", self.likelihood, LIKELIHOODS)
        _check_choice("missing", self.missing, MISSING)
        _check_choice("engine", self.engine, ENGINES)
        if not isinstance(self.priors, Priors):
            raise ConfigError(f"priors: got {self.priors!r}; give a bayesdose.Priors")
        if self.engine == "collapsed" and (self.likelihood != "lognormal" or self.censored):
            what = "censored doses" if self.censored else f"likelihood={self.likelihood!r}"
            raise ConfigError(
                f"engine='collapsed' integrates a log-normal likelihood; {what} does not collapse: "
                "use engine='pymc'"
            )

    def _check_columns(self) -> None:
        for name in ("patient", "response"):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(f"{name}: got {getattr(self, name)!r}; give a column's name")
        for name in ("by", "activity", "dose_cv", "dose_cv_shared", "censored"):
            given = getattr(self, name)
            if given is not None and not isinstance(given, str):
                raise ConfigError(f"{name}: got {given!r}; give a column's name, or None")
        if not isinstance(self.patient_effects, str):
            raise ConfigError(
                f"patient_effects: got {self.patient_effects!r}; give a formula, such as '1', or "
                "'0' for none"
            )
        roles = [self.patient, self.response, self.by, self.activity]
        twice = [name for name in roles if name is not None and roles.count(name) > 1]
        if twice:
            raise ConfigError(
                f"column {twice[0]!r} is given two of the roles patient, response, by and activity"
            )
        if self.patient in self.group_effects:
            raise ConfigError(
                f"group_effects names the patient column {self.patient!r}: patients have effects "
                "of their own (patient_effects)"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON.

        Returns
        -------
        dict
        """
        out = {item.name: getattr(self, item.name) for item in fields(self)}
        formula = out["formula"]
        out["formula"] = dict(formula) if isinstance(formula, Mapping) else formula
        out["group_effects"] = list(self.group_effects)
        out["priors"] = prior_values.to_dict(self.priors)
        return out

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "ModelSpec":
        """Specification from the dict that `to_dict` makes.

        Parameters
        ----------
        plain : mapping
            Arguments by name; ``priors`` as plain dict.

        Returns
        -------
        ModelSpec

        Raises
        ------
        ConfigError
            When a name is unknown.
        """
        known = [item.name for item in fields(cls)]
        unknown = sorted(set(plain) - set(known))
        if unknown:
            raise ConfigError(f"unknown model setting {unknown[0]!r}; allowed: {', '.join(known)}")
        arguments = dict(plain)
        arguments["priors"] = prior_values.from_dict(arguments.get("priors", {}))
        return cls(**arguments)


def _as_names(given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        raise ConfigError(f"group_effects: got the text {given!r}; write [{given!r}]")
    if not isinstance(given, Iterable) or not all(isinstance(name, str) for name in given):
        raise ConfigError(f"group_effects: got {given!r}; give a list of column names, or []")
    return tuple(given)


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name}: got {value!r}; allowed are {', '.join(allowed)}")


def _check_formula(formula: Any, by: str | None) -> None:
    if isinstance(formula, Mapping):
        if by is None:
            raise ConfigError("by=None has one formula for all rows: give a text, not a dict")
        if not formula:
            raise ConfigError("formula: the dict names no tissue")
        texts = list(formula.values())
    else:
        texts = [formula]
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f"formula: got {text!r}; write e.g. 'log(suv_mean)' or '1'")
