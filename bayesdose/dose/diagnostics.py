"""Whether to trust a fit, in words, and what to change if not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayesdose import _arviz
from bayesdose.dose import log_parts
from bayesdose.dose import priors as p
from bayesdose.dose.prediction import tree
from bayesdose.dose.training import Fitted, by_table
from bayesdose.evaluate import hdi

#: Limits of the checks; R-hat and ESS after Vehtari et al. 2021, E-BFMI after Betancourt 2016.
MAX_R_HAT = 1.01
MIN_ESS = 400.0
MIN_BFMI = 0.3
#: Cumulative Jensen-Shannon rate above which power-scaling matters (Kallioinen et al. 2024).
MAX_SENSITIVITY = 0.05
#: Tail of a prior, or of a posterior predictive statistic, that counts as a surprise.
SURPRISE = 0.01


@dataclass(frozen=True)
class Diagnosis:
    """Verdict on a fit.

    Parameters
    ----------
    verdict : {"trust", "caution", "do not trust"}
    table : pandas.DataFrame
        One row a check: check, what, value, limit, ok, severity, advice.
    """

    verdict: str
    table: pd.DataFrame

    def __str__(self) -> str:
        lines = [_VERDICTS[self.verdict]]
        for row in self.table[~self.table["ok"]].itertuples():
            what = f"{row.what} is {row.value:.3g}, should be {row.limit}"
            lines.append(f"  - {row.check}: {what}. {row.advice}")
        passed = self.table[self.table["ok"]]
        for check, group in passed.groupby("check", sort=False):
            lines.append(f"  + {check}: {len(group)} of {self._n(str(check))} within limits")
        return "\n".join(lines)

    def _n(self, check: str) -> int:
        return int((self.table["check"] == check).sum())


_VERDICTS = {
    "trust": "The computation can be trusted, and no check of the model objects.",
    "caution": "The computation can be trusted, but look at these before you use the model:",
    "do not trust": "Do not trust these draws:",
}
_SEVERE, _MILD = "computation", "model"
_Check = dict[str, Any]


def diagnose(fitted: Fitted) -> Diagnosis:
    """Check the draws, the priors and the fit to the data.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.

    Returns
    -------
    Diagnosis
    """
    checks = [*_sampling(fitted), *_prior_conflict(fitted)]
    if fitted.training is not None and fitted.encoding.spec.likelihood == "lognormal":
        checks += [*_sensitivity(fitted), *_predictive_checks(fitted)]
    table = pd.DataFrame(checks)
    failed = set(table.loc[~table["ok"], "severity"])
    verdict = "do not trust" if _SEVERE in failed else "caution" if failed else "trust"
    return Diagnosis(verdict, table)


def summary(fitted: Fitted, hdi_prob: float) -> pd.DataFrame:
    """Posterior summary of every parameter but the patient effects.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    hdi_prob : float
        Mass of the highest-density interval.

    Returns
    -------
    pandas.DataFrame
        See `bayesdose.DoseModel.summary`.
    """
    rows = {}
    for name, values in scalars(fitted):
        flat = values.reshape(-1)
        lower, upper = hdi(flat[:, None], hdi_prob)
        row = {
            "mean": flat.mean(),
            "sd": flat.std(ddof=1),
            "median": np.median(flat),
            "lower": float(lower[0]),
            "upper": float(upper[0]),
        }
        if _is_mcmc(fitted):
            row |= _arviz.convergence(values)
        rows[name] = row
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")
    table.attrs = {"interval": "hdi", "hdi_prob": hdi_prob}
    return table


def scalars(fitted: Fitted) -> Iterator[tuple[str, np.ndarray]]:
    """Every scalar parameter but the patient effects, with its draws.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.

    Yields
    ------
    name : str
        Such as ``beta_kidney[Intercept]``.
    values : numpy.ndarray of shape (chains, draws)
    """
    posterior = tree(fitted)["posterior"].to_dataset()
    for name, array in posterior.data_vars.items():
        if name == "patient_effects":
            continue
        dims = array.dims[2:]
        for index in np.ndindex(*(array.sizes[dim] for dim in dims)):
            labels = [str(array[d].values[i]) for d, i in zip(dims, index, strict=True)]
            if name == "patient_corr" and index[0] <= index[1]:
                continue
            values = array.values[(slice(None), slice(None), *index)]
            if np.ptp(values) > 0:
                yield f"{name}[{', '.join(labels)}]" if labels else str(name), values


def _check(
    check: str, what: str, value: float, limit: str, ok: bool, advice: str, severity: str = _MILD
) -> _Check:
    return {
        "check": check,
        "what": what,
        "value": float(value),
        "limit": limit,
        "ok": bool(ok),
        "severity": severity,
        "advice": advice,
    }


def _is_mcmc(fitted: Fitted) -> bool:
    return fitted.info["sampler"] != "importance"


def _sampling(fitted: Fitted) -> Iterator[_Check]:
    if not _is_mcmc(fitted):
        ess, pareto_k = fitted.info["weight_ess"], fitted.info["pareto_k"]
        advice = "Fit with sampler='nuts'."
        limit = _arviz.PARETO_K_LIMIT
        yield _check(
            "Pareto k",
            "importance weights",
            pareto_k,
            f"< {limit}",
            pareto_k < limit,
            advice,
            _SEVERE,
        )
        yield _check(
            "weight ESS", "importance draws", ess, f"> {MIN_ESS:g}", ess > MIN_ESS, advice, _SEVERE
        )
        return
    more = "Draw more (draws=), or give tighter priors of the standard deviations."
    for name, values in scalars(fitted):
        if name.startswith("slope_"):
            continue  # a linear map of beta
        found = _arviz.convergence(values)
        r_hat = found["r_hat"]
        yield _check("R-hat", name, r_hat, f"<= {MAX_R_HAT}", r_hat <= MAX_R_HAT, more, _SEVERE)
        for kind in ("bulk", "tail"):
            ess = found[f"ess_{kind}"]
            yield _check(f"{kind} ESS", name, ess, f"> {MIN_ESS:g}", ess > MIN_ESS, more, _SEVERE)
    sampled = fitted.draws.sample_stats
    if "diverging" in sampled:
        n = float(sampled["diverging"].sum())
        advice = (
            "Use engine='collapsed', which has no funnel, or tighter priors of the standard "
            "deviations."
        )
        yield _check("divergences", "transitions", n, "= 0", n == 0, advice, _SEVERE)
    if "energy" in sampled:
        value = _arviz.bfmi(sampled["energy"])
        advice = "Heavy tails: use tighter priors of the standard deviations."
        yield _check("E-BFMI", "energy", value, f"> {MIN_BFMI}", value > MIN_BFMI, advice, _SEVERE)


def _prior_conflict(fitted: Fitted) -> Iterator[_Check]:
    encoding, draws = fitted.encoding, fitted.draws
    advice = (
        "The data pull this far from its prior: check units and tissue, and state a prior that "
        "you believe."
    )
    for k, tissue in enumerate(encoding.tissues):
        for j, name in enumerate(encoding.columns(k)):
            kind = "intercept" if name == "Intercept" else "slope"
            prior = encoding.spec.priors.resolve(kind, tissue, encoding.log_activity)
            values = draws.beta[:, encoding.blocks[k].start + j]
            tail = _prior_tail(prior, float(np.median(values)))
            yield _check(
                "prior conflict",
                f"beta_{tissue}[{name}]",
                tail,
                f"> {SURPRISE}",
                tail > SURPRISE,
                advice,
            )
        prior = encoding.spec.priors.resolve("residual_sd", tissue)
        tail = _prior_tail(prior, float(np.median(draws.residual_sd[:, k])))
        yield _check(
            "prior conflict",
            f"residual_sd[{tissue}]",
            tail,
            f"> {SURPRISE}",
            tail > SURPRISE,
            advice,
        )
    for name, law, values in _scales_of_effects(fitted):
        tail = _prior_tail(law, float(np.median(values)))
        yield _check("prior conflict", name, tail, f"> {SURPRISE}", tail > SURPRISE, advice)


def _scales_of_effects(fitted: Fitted) -> Iterator[tuple[str, object, np.ndarray]]:
    """Name, prior and draws of the standard deviation of every effect."""
    encoding, draws = fitted.encoding, fitted.draws
    priors = encoding.spec.priors
    width = len(encoding.patient_effects) // len(encoding.tissues)
    for j, label in enumerate(encoding.patient_effects):
        prior = priors.resolve("patient_sd", encoding.tissues[j // width])
        yield f"patient_sd[{label}]", prior, draws.patient_sd[:, j]
    for k, tissue in enumerate(encoding.tissues):
        if encoding.cycle_effect[k]:
            prior = priors.resolve("cycle_sd", tissue)
            yield f"cycle_sd[{tissue}]", prior, draws.cycle_sd[:, k]
        if encoding.site_effect[k]:
            yield f"site_sd[{tissue}]", priors.resolve("site_sd", tissue), draws.site_sd[:, k]
    for g, name in enumerate(encoding.spec.group_effects):
        yield f"group_sd[{name}]", priors.resolve("group_sd", ""), draws.group_sd[:, g]


def _prior_tail(prior: object, value: float) -> float:
    """Prior mass at least as far out as a value: two-sided for locations, upper for scales."""
    if isinstance(prior, p.Normal):
        return float(2 * stats.norm.sf(abs(value - prior.mu) / prior.sigma))
    if isinstance(prior, p.HalfNormal):
        return float(stats.halfnorm.sf(value, scale=prior.sigma))
    if isinstance(prior, p.StudentT):
        return float(2 * stats.t.sf(abs(value - prior.mu) / prior.sigma, prior.df))
    if isinstance(prior, p.Exponential):
        return float(stats.expon.sf(value, scale=1 / prior.rate))
    return 1.0


def _sensitivity(fitted: Fitted) -> Iterator[_Check]:
    assert fitted.training is not None
    rng = np.random.default_rng([fitted.info["random_seed"], 6])
    encoding, draws = fitted.encoding, fitted.draws
    likelihood = np.empty(len(draws))
    for place, part, rows in by_table(draws, fitted.training.tables):
        likelihood[place] = log_parts.log_likelihood(encoding, part, rows, rng)
    priors = {
        "priors of the standard deviations": log_parts.log_prior_scales(encoding, draws),
        "priors of the coefficients": log_parts.log_prior_coefficients(encoding, draws),
    }
    for name, shaped in scalars(fitted):
        if name.startswith("slope_"):
            continue  # a linear map of beta
        values = shaped.reshape(-1)
        learnt = _arviz.power_scaling(values, likelihood)
        yield _check("power-scaling the likelihood", name, learnt, "for information", True, "")
        for what, log_component in priors.items():
            if np.ptp(log_component) == 0:
                continue
            value = _arviz.power_scaling(values, log_component)
            weak = learnt < MAX_SENSITIVITY
            who = "decide it, the data hardly do" if weak else "and the data both pull"
            advice = f"The {what} {who}: say why you believe them, and report a second choice."
            limit, ok = f"< {MAX_SENSITIVITY}", value < MAX_SENSITIVITY
            yield _check(f"power-scaling the {what}", name, value, limit, ok, advice)


def _predictive_checks(fitted: Fitted) -> Iterator[_Check]:
    """Statistics of replicated against measured log dose, in the patients of the table."""
    assert fitted.training is not None
    rng = np.random.default_rng([fitted.info["random_seed"], 7])
    rows = fitted.training.rows
    replicate = np.empty((len(fitted.draws), len(rows.tissue)))
    for place, part, table in by_table(fitted.draws, fitted.training.tables):
        mean, variance = log_parts.conditional_mean(fitted.encoding, part, table, rng)
        replicate[place] = mean + np.sqrt(variance) * rng.standard_normal(mean.shape)
    advice = (
        "The model does not produce such data: look at the residuals, and think of a covariate, "
        "a random slope or likelihood='student_t'."
    )
    for k, tissue in enumerate(fitted.encoding.tissues):
        mine = rows.tissue == k
        for name in ("mean", "std", "min", "max"):
            seen = getattr(rows.y[mine], name)()
            drawn = getattr(replicate[:, mine], name)(axis=1)
            below = float((drawn < seen).mean())
            tail = 2 * min(below, 1 - below)
            yield _check(
                "posterior predictive",
                f"{name} of log dose in {tissue}",
                tail,
                f"> {SURPRISE}",
                tail > SURPRISE,
                advice,
            )
