"""The section on how the numbers came about: engine, seed, versions."""

from bayesdose.report.model_page.findings import Findings
from bayesdose.report.page import Column, Section, Table, number, shown

_FIRST = {
    "created_at": "Fitted at (UTC)",
    "engine": "Engine",
    "sampler": "Sampler",
    "draws": "Posterior draws",
    "random_seed": "Random seed",
    "device": "Device",
    "weight_ess": "Effective size of the weights",
    "pareto_k": "Pareto k of the weights",
}
_VERSION = "version_"


def section(found: Findings) -> Section:
    """Engine, seed and versions.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Section
    """
    import bayesdose

    info = found.fitted.info
    rows = [(name, _text(info[key])) for key, name in _FIRST.items() if key in info]
    rows += [
        (f"Version of {name.removeprefix(_VERSION).replace('_', '-')}", shown(value))
        for name, value in info.items()
        if name.startswith(_VERSION)
    ]
    rows.append(("Report written by bayesdose", bayesdose.__version__))
    heads = (Column("What"), Column("Value"))
    return Section("provenance", "Versions and seed", [Table("How it was fitted", heads, rows)])


def _text(value: object) -> str:
    return number(value) if isinstance(value, float) else shown(value)
