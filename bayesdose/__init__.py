"""Hierarchical Bayesian models of 177Lu absorbed dose, with the patient as the unit.

Public names are imported when they are first used, so that ``import bayesdose`` is quick and
touches neither a numerical library nor a device.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayesdose import (
        cohort,
        datasets,
        dose,
        errors,
        evaluate,
        measure,
        planning,
        report,
        risk,
        simulate,
    )
    from bayesdose._versions import show_versions
    from bayesdose.cohort import LeaveOnePatientOut, PatientKFold, read_sites, validate_sites
    from bayesdose.dose.compare import compare_models
    from bayesdose.dose.model import DoseModel
    from bayesdose.dose.priors import (
        LKJ,
        R2D2,
        Exponential,
        Flat,
        HalfNormal,
        Normal,
        Priors,
        RegularizedHorseshoe,
        StudentT,
    )
    from bayesdose.errors import (
        BayesdoseError,
        ConfigError,
        DeviceError,
        FormulaError,
        MeasureError,
        MissingCovariateError,
        NotFittedError,
        PredictionError,
        PriorError,
        ReadError,
        RiskError,
        SavedModelError,
        SiteTableError,
        UnknownCategoryError,
    )
    from bayesdose.risk import CoxModel, MultimodalNaiveBayes

__version__ = "0.1.0.dev0"

__all__ = [
    "LKJ",
    "R2D2",
    "BayesdoseError",
    "ConfigError",
    "CoxModel",
    "DeviceError",
    "DoseModel",
    "Exponential",
    "Flat",
    "FormulaError",
    "HalfNormal",
    "LeaveOnePatientOut",
    "MeasureError",
    "MissingCovariateError",
    "MultimodalNaiveBayes",
    "Normal",
    "NotFittedError",
    "PatientKFold",
    "PredictionError",
    "PriorError",
    "Priors",
    "ReadError",
    "RegularizedHorseshoe",
    "RiskError",
    "SavedModelError",
    "SiteTableError",
    "StudentT",
    "UnknownCategoryError",
    "__version__",
    "cohort",
    "compare_models",
    "datasets",
    "dose",
    "errors",
    "evaluate",
    "measure",
    "planning",
    "read_sites",
    "report",
    "risk",
    "show_versions",
    "simulate",
    "validate_sites",
]

_ROOMS = frozenset(
    {
        "cohort",
        "datasets",
        "dose",
        "errors",
        "evaluate",
        "measure",
        "planning",
        "report",
        "risk",
        "simulate",
    }
)

_HOMES = {
    "bayesdose._versions": ("show_versions",),
    "bayesdose.cohort": ("LeaveOnePatientOut", "PatientKFold", "read_sites", "validate_sites"),
    "bayesdose.dose.compare": ("compare_models",),
    "bayesdose.dose.model": ("DoseModel",),
    "bayesdose.dose.priors": (
        "LKJ",
        "R2D2",
        "Exponential",
        "Flat",
        "HalfNormal",
        "Normal",
        "Priors",
        "RegularizedHorseshoe",
        "StudentT",
    ),
    "bayesdose.errors": (
        "BayesdoseError",
        "ConfigError",
        "DeviceError",
        "FormulaError",
        "MeasureError",
        "MissingCovariateError",
        "NotFittedError",
        "PredictionError",
        "PriorError",
        "ReadError",
        "RiskError",
        "SavedModelError",
        "SiteTableError",
        "UnknownCategoryError",
    ),
    "bayesdose.risk": ("CoxModel", "MultimodalNaiveBayes"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"bayesdose.{name}")
    if name in _HOME_OF:
        value = getattr(import_module(_HOME_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'bayesdose' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
