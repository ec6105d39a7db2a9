"""What each parameter was believed to be, and what the data made of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from bayesdose.dose import priors as p
from bayesdose.errors import PriorError
from bayesdose.report import style

if TYPE_CHECKING:
    from bayesdose.dose.model import DoseModel
    from bayesdose.dose.posterior import Draws
    from bayesdose.dose.training import Fitted

_POINTS = 201
_PRIOR_DRAWS = 4000
_MAX_COLUMNS = 6


@dataclass(frozen=True)
class _Parameter:
    """One panel: where its draws are, its prior, and what its axis says."""

    tissue: str
    label: str
    prior: p.Prior
    container: str
    place: int
    positive: bool
    unit: str


def prior_posterior_data(model: "DoseModel") -> pd.DataFrame:
    """Numbers behind `plot_prior_posterior`.

    Parameters
    ----------
    model : DoseModel
        Fitted.

    Returns
    -------
    pandas.DataFrame
        201 rows a parameter: tissue, parameter, unit, value, prior (density; NaN where it is
        improper, or where a shrinkage prior needs training rows that were not saved), posterior
        (kernel density estimate from the draws).
    """
    fitted = model._state()
    shrinkage = _shrinkage_draws(fitted)
    parts = []
    for parameter in _parameters(fitted):
        draws = getattr(fitted.draws, parameter.container)[:, parameter.place]
        if np.ptp(draws) == 0:
            continue
        believed = None
        if isinstance(parameter.prior, p.RegularizedHorseshoe | p.R2D2):
            if shrinkage is not None:
                believed = getattr(shrinkage, parameter.container)[:, parameter.place]
        x = _grid(parameter, draws)
        parts.append(
            pd.DataFrame(
                {
                    "tissue": parameter.tissue,
                    "parameter": parameter.label,
                    "unit": parameter.unit,
                    "value": x,
                    "prior": _prior_density(parameter, believed, x),
                    "posterior": _kernel_density(draws, x, parameter.positive),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def plot_prior_posterior(
    model: "DoseModel", *, ax: Axes | Sequence[Axes] | None = None
) -> np.ndarray:
    """Draw prior and posterior densities: intercepts, slopes and standard deviations by tissue.

    Where both look alike, the data said nothing about that parameter.

    Parameters
    ----------
    model : DoseModel
        Fitted.
    ax : Axes or sequence of Axes, optional
        One a parameter; by default those of a new figure, a row a tissue.

    Returns
    -------
    numpy.ndarray of Axes of shape (n_parameters,)
    """
    data = prior_posterior_data(model)
    shown = list(data.groupby(["tissue", "parameter"], sort=False))
    own = _rows_of_tissues([str(tissue) for (tissue, _), _ in shown]) if ax is None else ax
    axes = style.panels(len(shown), own)
    for panel, ((tissue, name), part) in zip(axes, shown, strict=True):
        colour = style.colour_of(str(tissue))
        x = part["value"]
        panel.fill_between(x, 0, part["posterior"], color=colour, alpha=0.35, linewidth=0)
        panel.plot(x, part["posterior"], color=colour, linewidth=1.2, label="posterior")
        if part["prior"].notna().all():
            panel.plot(
                x, part["prior"], color=style.INK, linewidth=1.2, dashes=(4, 2), label="prior"
            )
        note = "" if part["prior"].notna().all() else "prior has no density to draw"
        style.title(panel, style.words(str(tissue)), note or str(name))
        panel.set_xlabel(part["unit"].iloc[0])
        panel.set_xlim(x.min(), x.max())
        panel.set_ylim(0, None)
        panel.set_yticks([])
        panel.spines["left"].set_visible(False)
        panel.grid(visible=False)
        panel.locator_params(axis="x", nbins=4)
    axes[0].legend(frameon=False, fontsize=8, loc="best", labelcolor=style.INK)
    return axes


def _rows_of_tissues(tissues: list[str]) -> np.ndarray:
    """Axes of a new figure, shape (n_parameters,); each tissue begins a row."""
    counts = {tissue: tissues.count(tissue) for tissue in tissues}
    most = max(counts.values())
    columns = ceil(most / ceil(most / _MAX_COLUMNS))
    rows = {tissue: ceil(n / columns) for tissue, n in counts.items()}
    down = sum(rows.values())
    figure = Figure(figsize=(2.2 * columns, 2.1 * down), dpi=style.DPI, layout="constrained")
    found: list[Axes] = []
    above = 0
    for tissue, n in counts.items():
        places = range(above * columns + 1, above * columns + n + 1)
        found += [figure.add_subplot(down, columns, place) for place in places]
        above += rows[tissue]
    return np.array(found, dtype=object)


def _parameters(fitted: "Fitted") -> Iterator[_Parameter]:
    encoding, spec = fitted.encoding, fitted.encoding.spec
    dose = "log(Gy/GBq)" if spec.activity else "log(Gy)"
    width = len(encoding.patient_effects) // len(encoding.tissues)

    def prior(name: str, tissue: str) -> p.Prior:
        return spec.priors.resolve(name, tissue, encoding.log_activity)

    for k, tissue in enumerate(encoding.tissues):
        for j, column in enumerate(encoding.columns(k)):
            place = encoding.blocks[k].start + j
            if column == "Intercept":
                yield _Parameter(
                    tissue, "intercept", prior("intercept", tissue), "beta", place, False, dose
                )
            else:
                unit = f"{dose} per SD" if spec.standardise else dose
                yield _Parameter(tissue, column, prior("slope", tissue), "beta", place, False, unit)
        for j in range(k * width, (k + 1) * width):
            name = encoding.patient_effects[j].removeprefix(f"{tissue}:")
            label = "patient SD" + ("" if name == "Intercept" else f" of {name}")
            yield _Parameter(
                tissue, label, prior("patient_sd", tissue), "patient_sd", j, True, "log scale"
            )
        for name, label in (
            ("cycle_sd", "cycle SD"),
            ("site_sd", "site SD"),
            ("residual_sd", "residual SD"),
        ):
            yield _Parameter(tissue, label, prior(name, tissue), name, k, True, "log scale")


def _shrinkage_draws(fitted: "Fitted") -> "Draws | None":
    """Prior draws, for the priors whose marginal density has no closed form; None without."""
    used = [parameter.prior for parameter in _parameters(fitted)]
    needed = any(isinstance(prior, p.RegularizedHorseshoe | p.R2D2) for prior in used)
    if not needed or fitted.training is None:
        return None
    from bayesdose.dose.collapsed.prior import prior_draws

    rows = fitted.training.rows
    n_patients = [
        len(np.unique(rows.patient[rows.tissue == k])) for k in range(len(fitted.encoding.tissues))
    ]
    rng = np.random.default_rng([fitted.info["random_seed"], 8])
    try:
        return prior_draws(fitted.encoding, n_patients, _PRIOR_DRAWS, rng)
    except PriorError:  # another prior is flat
        return None


def _law(prior: p.Prior) -> "stats.rv_frozen | None":
    if isinstance(prior, p.Normal):
        return stats.norm(prior.mu, prior.sigma)
    if isinstance(prior, p.HalfNormal):
        return stats.halfnorm(scale=prior.sigma)
    if isinstance(prior, p.StudentT):
        return stats.t(prior.df, prior.mu, prior.sigma)
    if isinstance(prior, p.Exponential):
        return stats.expon(scale=1 / prior.rate)
    return None


def _grid(parameter: _Parameter, draws: np.ndarray) -> np.ndarray:
    """Values that show the whole posterior and the bulk of a prior that has one."""
    low, high = np.quantile(draws, [0.001, 0.999])
    law = _law(parameter.prior)
    if law is not None:
        bulk = (0.5, 0.98) if parameter.positive else (0.02, 0.98)
        low, high = min(low, law.ppf(bulk[0])), max(high, law.ppf(bulk[1]))
    if parameter.positive:
        return np.linspace(0, high, _POINTS)
    room = 0.05 * (high - low)
    return np.linspace(low - room, high + room, _POINTS)


def _prior_density(parameter: _Parameter, draws: np.ndarray | None, x: np.ndarray) -> np.ndarray:
    if draws is not None:
        return _kernel_density(draws, x, parameter.positive)
    law = _law(parameter.prior)
    if law is None:
        return np.full(len(x), np.nan)
    # a Student-t prior of a standard deviation is folded at 0
    folded = parameter.positive and isinstance(parameter.prior, p.StudentT)
    return np.asarray(law.pdf(x) + (law.pdf(-x) if folded else 0.0))


def _kernel_density(draws: np.ndarray, x: np.ndarray, positive: bool) -> np.ndarray:
    # draws far outside of what is shown would only widen the kernel
    inside = draws[np.abs(draws - np.median(draws)) <= 20 * stats.iqr(draws) + 1e-300]
    kernel = stats.gaussian_kde(inside)
    density = kernel(x) * (len(inside) / len(draws))
    # reflection at 0 keeps the mass of a parameter that cannot be negative
    return np.asarray(density + kernel(-x) if positive else density)
