"""Exact posteriors of a random-intercept model by two-dimensional quadrature.

Self-contained on purpose (numpy and scipy only): it shares no code with the package it checks.

Model, for row j of group i, with the location coefficients b and all random terms Gaussian:

    y_ij = x_ij' b + u_i + s_i + m_ij + e_ij
    b_k ~ N(b0_k, B_k^2)        u_i ~ N(0, tau^2)        e_ij ~ N(0, sigma^2)
    tau ~ HalfNormal(tau_scale) sigma ~ HalfNormal(sigma_scale)
    s_i ~ N(0, shared_var_i), m_ij ~ N(0, own_var_ij)    known, zero where there is no error

Given (tau, sigma) the vector a = (b, u, s) is the coefficient of one Bayesian linear
regression y = A a + noise with diagonal noise: its evidence and posterior are in closed form.
(tau, sigma) are integrated by Gauss-Legendre in the coordinates arsinh(tau / c) and log sigma,
on a box outside of which the density is below exp(-40) of its peak.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import legendre
from scipy.optimize import brentq, minimize_scalar
from scipy.special import logsumexp, ndtr

NEGLIGIBLE = 40.0  # nats below the peak
PROBABILITIES = (0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975)


@dataclass(frozen=True)
class Problem:
    """Rows, groups and priors of one random-intercept model."""

    y: np.ndarray  # (n,)
    x: np.ndarray  # (n, p)
    group: np.ndarray  # (n,) integers 0..g-1
    b_mean: np.ndarray  # (p,)
    b_sd: np.ndarray  # (p,)
    tau_scale: float
    sigma_scale: float
    own_var: np.ndarray  # (n,)
    shared_var: np.ndarray  # (n,), constant within a group

    def rows(self, keep: np.ndarray) -> Problem:
        return replace(
            self,
            y=self.y[keep],
            x=self.x[keep],
            group=self.group[keep],
            own_var=self.own_var[keep],
            shared_var=self.shared_var[keep],
        )


@dataclass(frozen=True)
class Posterior:
    """Grid over (tau, sigma) with posterior weights, and Gaussian coefficients at each node."""

    log_evidence: float
    box: np.ndarray  # (2, 2) ends in the coordinates of the grid
    tau_unit: float  # tau = tau_unit sinh(first coordinate)
    tau: np.ndarray  # (k,) nodes
    sigma: np.ndarray  # (k,) nodes
    weight: np.ndarray  # (k, k), sums to one
    coefficient_mean: np.ndarray  # (k * k, c): b, then u by group, then s by group
    coefficient_cov: np.ndarray  # (k * k, c, c)
    n_groups: int


def half_normal_log_density(value: np.ndarray, scale: float) -> np.ndarray:
    return 0.5 * np.log(2 / np.pi) - np.log(scale) - 0.5 * (value / scale) ** 2


def _regression(problem: Problem, tau: np.ndarray, sigma: np.ndarray, moments: bool):
    """log p(y, tau, sigma) at each pair; with moments, mean and covariance of (b, u, s)."""
    n, p = problem.x.shape
    groups = int(problem.group.max()) + 1
    member = (problem.group[:, None] == np.arange(groups)).astype(float)
    design = np.hstack([problem.x, member, member])
    shared_sd = np.zeros(groups)
    shared_sd[problem.group] = np.sqrt(problem.shared_var)
    # coefficient = prior mean + scale * z, z standard normal
    scale = np.empty((len(tau), design.shape[1]))
    scale[:, :p] = problem.b_sd
    scale[:, p : p + groups] = tau[:, None]
    scale[:, p + groups :] = shared_sd
    noise = sigma[:, None] ** 2 + problem.own_var  # (g, n)
    r = problem.y - problem.x @ problem.b_mean
    gram = np.matmul(design.T / noise[:, None, :], design)
    inner = gram * scale[:, :, None] * scale[:, None, :] + np.eye(design.shape[1])
    h = ((r / noise) @ design) * scale
    factor = np.linalg.cholesky(inner)
    z = np.linalg.solve(inner, h[:, :, None])[:, :, 0]
    log_det = np.log(noise).sum(1) + 2 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(1)
    quadratic = (r**2 / noise).sum(1) - (h * z).sum(1)
    log_joint = (
        -0.5 * (n * np.log(2 * np.pi) + log_det + quadratic)
        + half_normal_log_density(tau, problem.tau_scale)
        + half_normal_log_density(sigma, problem.sigma_scale)
    )
    if not moments:
        return log_joint
    mean = scale * z
    mean[:, :p] += problem.b_mean
    cov = np.linalg.inv(inner) * scale[:, :, None] * scale[:, None, :]
    return log_joint, mean, cov


def log_joint(problem: Problem, tau: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """log p(y, tau, sigma), (g,) for (g,) pairs, in batches that fit in memory."""
    parts = [
        _regression(problem, tau[i : i + 1000], sigma[i : i + 1000], moments=False)
        for i in range(0, len(tau), 1000)
    ]
    return np.concatenate(parts)


def tau_unit(problem: Problem) -> float:
    """Length below which tau is gridded linearly and above which logarithmically."""
    return 0.1 * problem.tau_scale


def find_box(problem: Problem) -> np.ndarray:
    """(2, 2) ends of arsinh(tau / c) and log(sigma), zoomed in from nine prior scales."""
    c = tau_unit(problem)
    box = np.array(
        [
            [0.0, np.arcsinh(9 * problem.tau_scale / c)],
            np.log([1e-4 * problem.sigma_scale, 9 * problem.sigma_scale]),
        ]
    )
    for _ in range(7):
        axes = [np.linspace(*ends, 31) for ends in box]
        t, s = (v.ravel() for v in np.meshgrid(*axes, indexing="ij"))
        kept = log_joint(problem, c * np.sinh(t), np.exp(s)).reshape(31, 31)
        kept = kept > kept.max() - NEGLIGIBLE
        for axis in (0, 1):
            seen = np.flatnonzero(kept.any(axis=1 - axis))
            first, last = max(seen[0] - 1, 0), min(seen[-1] + 1, 30)
            box[axis] = axes[axis][first], axes[axis][last]
    return box


def _nodes(ends: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    x, w = legendre.leggauss(k)
    half = 0.5 * (ends[1] - ends[0])
    return ends[0] + half * (x + 1), half * w


def _grid(problem: Problem, box: np.ndarray, k: int):
    """Nodes of tau and sigma, all pairs, and log of node weight times Jacobian."""
    c = tau_unit(problem)
    t, t_w = _nodes(box[0], k)
    s, s_w = _nodes(box[1], k)
    tau, sigma = c * np.sinh(t), np.exp(s)
    pairs = [v.ravel() for v in np.meshgrid(tau, sigma, indexing="ij")]
    return tau, sigma, pairs, np.log(np.outer(t_w * c * np.cosh(t), s_w * sigma)).ravel()


def log_evidence(problem: Problem, k: int) -> float:
    """log p(y) with k nodes a dimension."""
    _, _, pairs, log_w = _grid(problem, find_box(problem), k)
    return float(logsumexp(log_joint(problem, *pairs) + log_w))


def posterior(problem: Problem, k: int) -> Posterior:
    """Posterior on a k by k grid."""
    box = find_box(problem)
    tau, sigma, pairs, log_w = _grid(problem, box, k)
    pieces = [
        _regression(problem, pairs[0][i : i + 1000], pairs[1][i : i + 1000], moments=True)
        for i in range(0, k * k, 1000)
    ]
    log_p, mean, cov = (np.concatenate(part) for part in zip(*pieces, strict=True))
    log_p = log_p + log_w
    evidence = float(logsumexp(log_p))
    return Posterior(
        evidence,
        box,
        tau_unit(problem),
        tau,
        sigma,
        np.exp(log_p - evidence).reshape(k, k),
        mean,
        cov,
        int(problem.group.max()) + 1,
    )


def hyperparameter_summary(
    nodes: np.ndarray, weight: np.ndarray, ends: np.ndarray, coordinate, value
) -> dict:
    """Mean, sd and quantiles of a hyperparameter from its marginal node weights.

    The weights are Gauss-Legendre weight times density of the coordinate, so their moments
    against Legendre polynomials give that density's Legendre series, whose integral is the CDF.
    """
    half = 0.5 * (ends[1] - ends[0])
    unit = (coordinate(nodes) - ends[0]) / half - 1
    degree = len(nodes) - 1
    series = legendre.legvander(unit, degree).T @ weight * (np.arange(degree + 1) + 0.5)
    cdf = legendre.legint(series, lbnd=-1)
    quantiles = {}
    for q in PROBABILITIES:
        at = brentq(lambda t, q=q: legendre.legval(t, cdf) - q, -1, 1, xtol=1e-14)
        quantiles[str(q)] = float(value(ends[0] + half * (1 + at)))
    mean = float(weight @ nodes)
    sd = float(np.sqrt(weight @ (nodes - mean) ** 2))
    return {"mean": mean, "sd": sd, "quantiles": quantiles}


class NormalMixture:
    """A scalar mixture of normals over the quadrature grid."""

    def __init__(self, weight: np.ndarray, mean: np.ndarray, var: np.ndarray) -> None:
        keep = weight > 1e-13 * weight.max()
        self.weight = weight[keep] / weight[keep].sum()
        self.mean_at, self.sd_at = mean[keep], np.sqrt(var[keep])
        self.mean = float(self.weight @ self.mean_at)
        self.sd = float(np.sqrt(self.weight @ (self.sd_at**2 + (self.mean_at - self.mean) ** 2)))

    def cdf(self, value: float) -> float:
        return float(self.weight @ ndtr((value - self.mean_at) / self.sd_at))

    def log_density(self, value: float) -> float:
        z = (value - self.mean_at) / self.sd_at
        return float(
            logsumexp(-0.5 * (z**2 + np.log(2 * np.pi)) - np.log(self.sd_at), b=self.weight)
        )

    def quantile(self, q: float) -> float:
        span = 12 * self.sd
        return brentq(lambda v: self.cdf(v) - q, self.mean - span, self.mean + span, xtol=1e-12)

    def exp_highest_density_interval(self, prob: float) -> tuple[float, float]:
        """Shortest interval holding `prob` of exp(value)."""

        def width(tail: float) -> float:
            return np.exp(self.quantile(tail + prob)) - np.exp(self.quantile(tail))

        # the density of exp(value) leans left, so the lower tail is below its equal-tailed half
        tail = minimize_scalar(
            width, bounds=(1e-9, (1 - prob) * 0.75), method="bounded", options={"xatol": 1e-9}
        ).x
        return float(np.exp(self.quantile(tail))), float(np.exp(self.quantile(tail + prob)))

    def summary(self) -> dict:
        return {
            "mean": self.mean,
            "sd": self.sd,
            "quantiles": {str(q): self.quantile(q) for q in PROBABILITIES},
        }


def summarise(post: Posterior, b_names: list[str], group_names: list[str]) -> dict:
    """Log evidence and posterior summaries of b, tau, sigma and u."""
    w = post.weight.ravel()
    p = len(b_names)

    def coefficient(c: int) -> NormalMixture:
        var = np.maximum(post.coefficient_cov[:, c, c], 1e-300)
        return NormalMixture(w, post.coefficient_mean[:, c], var)

    return {
        "log_evidence": post.log_evidence,
        "b": {name: coefficient(c).summary() for c, name in enumerate(b_names)},
        "tau": hyperparameter_summary(
            post.tau,
            post.weight.sum(1),
            post.box[0],
            lambda tau: np.arcsinh(tau / post.tau_unit),
            lambda t: post.tau_unit * np.sinh(t),
        ),
        "sigma": hyperparameter_summary(
            post.sigma, post.weight.sum(0), post.box[1], np.log, np.exp
        ),
        "u": {
            name: {"mean": m.mean, "sd": m.sd}
            for name, m in ((g, coefficient(p + i)) for i, g in enumerate(group_names))
        },
    }


def new_group_row(
    post: Posterior, x: np.ndarray, own_var: float, shared_var: float
) -> NormalMixture:
    """Predictive distribution of one measured row of a group that was not in the training rows."""
    p = len(x)
    tau, sigma = (v.ravel() for v in np.meshgrid(post.tau, post.sigma, indexing="ij"))
    mean = post.coefficient_mean[:, :p] @ x
    var = np.einsum("i,gij,j->g", x, post.coefficient_cov[:, :p, :p], x)
    return NormalMixture(post.weight.ravel(), mean, var + tau**2 + sigma**2 + own_var + shared_var)


def dense_log_joint(problem: Problem, tau: float, sigma: float) -> float:
    """log p(y, tau, sigma) from the n by n covariance: the check on `log_joint`."""
    same = problem.group[:, None] == problem.group
    cov = (
        (problem.x * problem.b_sd**2) @ problem.x.T
        + same * (tau**2 + problem.shared_var)
        + np.diag(sigma**2 + problem.own_var)
    )
    r = problem.y - problem.x @ problem.b_mean
    _, log_det = np.linalg.slogdet(2 * np.pi * cov)
    density = -0.5 * (log_det + r @ np.linalg.solve(cov, r))
    return (
        density
        + half_normal_log_density(tau, problem.tau_scale)
        + half_normal_log_density(sigma, problem.sigma_scale)
    )


def largest_difference(a, b) -> float:
    """Largest relative-or-absolute difference between two nested results of one shape."""
    if isinstance(a, dict):
        return max(largest_difference(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple, np.ndarray)):
        return max(largest_difference(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, (str, bool)) or a is None:
        return 0.0 if a == b else np.inf
    return abs(a - b) / max(1.0, abs(b))
