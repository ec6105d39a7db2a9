"""From patients to risk: models of outcome, and published clinical scores.

Models are imported when they are first used, because they bring scikit-learn with them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from bayesdose.risk import scores

if TYPE_CHECKING:
    from bayesdose.risk.cox.baseline import MSpline, PiecewiseConstant
    from bayesdose.risk.cox.model import CoxModel
    from bayesdose.risk.cox.predicting import SurvivalFunction
    from bayesdose.risk.cox.proportional import ProportionalHazards
    from bayesdose.risk.cox.warnings import (
        FewEventsWarning,
        NewCentreWarning,
        OutcomeWarning,
        SamplingWarning,
        StratumWarning,
    )
    from bayesdose.risk.dose_response.model import DoseResponse
    from bayesdose.risk.dose_response.warnings import SeparationWarning
    from bayesdose.risk.naive_bayes import MultimodalNaiveBayes, NaiveBayesPrior, Recalibrated

__all__ = [
    "CoxModel",
    "DoseResponse",
    "FewEventsWarning",
    "MSpline",
    "MultimodalNaiveBayes",
    "NaiveBayesPrior",
    "NewCentreWarning",
    "OutcomeWarning",
    "PiecewiseConstant",
    "ProportionalHazards",
    "Recalibrated",
    "SamplingWarning",
    "SeparationWarning",
    "StratumWarning",
    "SurvivalFunction",
    "scores",
]

_HOMES = {
    "bayesdose.risk.cox.baseline": ("MSpline", "PiecewiseConstant"),
    "bayesdose.risk.cox.model": ("CoxModel",),
    "bayesdose.risk.cox.predicting": ("SurvivalFunction",),
    "bayesdose.risk.cox.proportional": ("ProportionalHazards",),
    "bayesdose.risk.cox.warnings": (
        "FewEventsWarning",
        "NewCentreWarning",
        "OutcomeWarning",
        "SamplingWarning",
        "StratumWarning",
    ),
    "bayesdose.risk.dose_response.model": ("DoseResponse",),
    "bayesdose.risk.dose_response.warnings": ("SeparationWarning",),
    "bayesdose.risk.naive_bayes": ("MultimodalNaiveBayes", "NaiveBayesPrior", "Recalibrated"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'bayesdose.risk' has no attribute {name!r}")
