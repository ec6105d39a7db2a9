"""Published clinical scores, each from a table with its source and how far it was verified.

For research only. The numbers stand in `bayesdose.risk.scores.tables`.
"""

from bayesdose.measure import psma_expression_score
from bayesdose.risk.scores.clinical import capra, capra_risk_group, grade_group
from bayesdose.risk.scores.pet import primary_score
from bayesdose.risk.scores.surrogate import ucla_psma_surrogate

__all__ = [
    "capra",
    "capra_risk_group",
    "grade_group",
    "primary_score",
    "psma_expression_score",
    "ucla_psma_surrogate",
]
