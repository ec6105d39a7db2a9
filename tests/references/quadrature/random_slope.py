"""Exact posterior and leave-one-subject-out densities of sleepstudy with random slopes.

y = Reaction / 100, read as a log dose:

    y_ij = (b0 + u_i0) + (b1 + u_i1) Days_ij + e_ij,   e ~ N(0, sigma^2)
    u_i ~ N(0, Sigma), Sigma = [[s0^2, rho s0 s1], [rho s0 s1, s1^2]]
    b0 ~ N(2.5, 1), b1 ~ N(0, 0.5^2), s0, s1, sigma ~ HalfNormal(0.5), rho ~ LKJ(2)

Every subject has the same ten days and the fixed and random columns coincide, so each subject's
rows reduce without loss to their least-squares line bhat_i and residual sum of squares R_i:

    bhat_i | b ~ N(b, H),  H = Sigma + sigma^2 (Z'Z)^-1
    p(y_i | b) = N(bhat_i; b, H) (2 pi sigma^2)^(-(n-2)/2) exp(-R_i / (2 sigma^2)) |Z'Z|^(-1/2)

and with m subjects, mean line bbar and scatter S = sum (bhat_i - bbar)(bhat_i - bbar)',

    prod_i N(bhat_i; b, H) = N(bbar; b, H/m) m^-1 |2 pi H|^(-(m-1)/2) exp(-tr(H^-1 S) / 2)

after which b integrates to bbar ~ N(b_prior, B + H/m). What remains, (s0, s1, rho, sigma), is
integrated by Gauss-Legendre in four dimensions, in arsinh(s / 0.05), rho and log sigma.

Usage: python random_slope.py FOLDER    (FOLDER holds sleepstudy.csv)
Writes sleepstudy_random_slope.json beside this file.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import scipy
from classic import columns
from exact import (
    NEGLIGIBLE,
    NormalMixture,
    half_normal_log_density,
    hyperparameter_summary,
    largest_difference,
)
from numpy.polynomial import legendre
from scipy.stats import multivariate_normal

B_MEAN = np.array([2.5, 0.0])
B_VAR = np.array([1.0, 0.25])
SCALE = 0.5
UNIT = 0.05  # s = UNIT sinh(t)
GRIDS = (52, 64)


def reduce(folder: Path):
    """Subjects, their least-squares lines (m, 2), residual sums (m,), Z'Z and Z."""
    data = columns(folder / "sleepstudy.csv")
    names, group = np.unique(data["Subject"], return_inverse=True)
    y = data["Reaction"].astype(float) / 100
    days = data["Days"].astype(float)
    lines, residual = [], []
    for i in range(len(names)):
        own = group == i
        z = np.column_stack([np.ones(own.sum()), days[own]])
        line = np.linalg.lstsq(z, y[own], rcond=None)[0]
        lines.append(line)
        residual.append(((y[own] - z @ line) ** 2).sum())
    sums = np.array([y[group == i].sum() for i in range(len(names))])
    return list(names), np.array(lines), np.array(residual), z, sums


def parts(theta, z):
    """H at each node as (h00, h01, h11) and its determinant."""
    s0, s1, rho, sigma = theta
    c = np.linalg.inv(z.T @ z)
    h00 = s0**2 + sigma**2 * c[0, 0]
    h11 = s1**2 + sigma**2 * c[1, 1]
    h01 = rho * s0 * s1 + sigma**2 * c[0, 1]
    return h00, h01, h11, h00 * h11 - h01**2


def log_joint(theta, lines, residual, z) -> np.ndarray:
    """log p(y, theta), theta a tuple of four broadcastable arrays."""
    s0, s1, rho, sigma = theta
    m, n = len(lines), len(z)
    h00, h01, h11, det = parts(theta, z)
    mean = lines.mean(0)
    scatter = (lines - mean).T @ (lines - mean)
    trace = (h11 * scatter[0, 0] - 2 * h01 * scatter[0, 1] + h00 * scatter[1, 1]) / det
    k00, k01, k11 = B_VAR[0] + h00 / m, h01 / m, B_VAR[1] + h11 / m
    k_det = k00 * k11 - k01**2
    d = mean - B_MEAN
    quadratic = (k11 * d[0] ** 2 - 2 * k01 * d[0] * d[1] + k00 * d[1] ** 2) / k_det
    lines_density = (
        -0.5 * ((m - 1) * np.log((2 * np.pi) ** 2 * det) + trace)
        - np.log(m)
        - 0.5 * (np.log((2 * np.pi) ** 2 * k_det) + quadratic)
    )
    residual_density = (
        -0.5 * m * (n - 2) * np.log(2 * np.pi * sigma**2)
        - residual.sum() / (2 * sigma**2)
        - 0.5 * m * np.linalg.slogdet(z.T @ z)[1]
    )
    prior = sum(half_normal_log_density(v, SCALE) for v in (s0, s1, sigma))
    return lines_density + residual_density + prior + np.log(0.75) + np.log1p(-(rho**2))


def values(coordinate):
    """(s0, s1, rho, sigma) and log Jacobian of the four grid coordinates."""
    t0, t1, rho, log_sigma = coordinate
    log_jacobian = np.log(UNIT * np.cosh(t0)) + np.log(UNIT * np.cosh(t1)) + log_sigma
    theta = (UNIT * np.sinh(t0), UNIT * np.sinh(t1), rho, np.exp(log_sigma))
    return theta, log_jacobian


def find_box(lines, residual, z) -> np.ndarray:
    """(4, 2) ends of the coordinates outside of which the posterior density is negligible."""
    top = np.arcsinh(9 * SCALE / UNIT)
    box = np.array([[0, top], [0, top], [-1 + 1e-12, 1 - 1e-12], np.log([5e-4, 4.5])])
    for _ in range(6):
        axes = [np.linspace(*ends, 17) for ends in box]
        theta, jacobian = values(np.meshgrid(*axes, indexing="ij", sparse=True))
        log_p = log_joint(theta, lines, residual, z) + jacobian
        kept = log_p > log_p.max() - NEGLIGIBLE
        for axis in range(4):
            others = tuple(a for a in range(4) if a != axis)
            seen = np.flatnonzero(kept.any(axis=others))
            first, last = max(seen[0] - 1, 0), min(seen[-1] + 1, 16)
            box[axis] = axes[axis][first], axes[axis][last]
    return box


def integrate(lines, residual, z, k):
    """Log evidence; box; node values of each hyperparameter; weights (k, k, k, k), sum one."""
    box = find_box(lines, residual, z)
    x, w = legendre.leggauss(k)
    half = 0.5 * (box[:, 1] - box[:, 0])
    nodes = [box[a, 0] + half[a] * (x + 1) for a in range(4)]
    coordinate = np.meshgrid(*nodes, indexing="ij", sparse=True)
    theta, jacobian = values(coordinate)
    log_w = sum(
        np.log(v) for v in np.meshgrid(*(half[a] * w for a in range(4)), sparse=True, indexing="ij")
    )
    log_p = log_joint(theta, lines, residual, z) + jacobian + log_w
    peak = log_p.max()
    weight = np.exp(log_p - peak)
    total = weight.sum()
    return float(peak + np.log(total)), box, theta, weight / total


def coefficients(theta, weight, lines, z, names) -> dict:
    """Posterior of b and u: Gaussian at each node, mixed over the nodes."""
    keep = weight > 1e-14 * weight.max()
    theta = [np.broadcast_to(v, weight.shape)[keep] for v in theta]
    w = weight[keep]
    h00, h01, h11, _ = parts(theta, z)
    h = np.stack([np.stack([h00, h01], -1), np.stack([h01, h11], -1)], -2)  # (g, 2, 2)
    s0, s1, rho, _ = theta
    cross = rho * s0 * s1
    sigma_u = np.stack([np.stack([s0**2, cross], -1), np.stack([cross, s1**2], -1)], -2)
    prior_precision = np.diag(1 / B_VAR)
    cov = np.linalg.inv(prior_precision + len(lines) * np.linalg.inv(h))
    pull = prior_precision @ B_MEAN + (np.linalg.inv(h) @ lines.sum(0))
    mean = (cov @ pull[..., None])[..., 0]
    shrink = sigma_u @ np.linalg.inv(h)  # E[u_i | b] = shrink (bhat_i - b)
    u_cov = sigma_u - shrink @ sigma_u + shrink @ cov @ np.swapaxes(shrink, -1, -2)
    labels = ("Intercept", "Days")
    out = {"b": {}, "u": {}}
    for c, label in enumerate(labels):
        out["b"][label] = NormalMixture(w, mean[:, c], cov[:, c, c]).summary()
    for i, name in enumerate(names):
        u_mean = (shrink @ (lines[i] - mean)[..., None])[..., 0]
        mixed = [NormalMixture(w, u_mean[:, c], u_cov[:, c, c]) for c in (0, 1)]
        out["u"][str(name)] = {
            label: {"mean": m.mean, "sd": m.sd} for label, m in zip(labels, mixed, strict=True)
        }
    return out


def results(folder: Path, k: int) -> dict:
    names, lines, residual, z, sums = reduce(folder)
    evidence, box, theta, weight = integrate(lines, residual, z, k)
    labels = ("sd_Intercept", "sd_Days", "rho", "sigma")
    to_value = (*(2 * [lambda t: UNIT * np.sinh(t)]), lambda t: t, np.exp)
    to_coordinate = (*(2 * [lambda v: np.arcsinh(v / UNIT)]), lambda v: v, np.log)
    hyper = {}
    for axis, label in enumerate(labels):
        marginal = weight.sum(axis=tuple(a for a in range(4) if a != axis))
        hyper[label] = hyperparameter_summary(
            theta[axis].ravel(), marginal, box[axis], to_coordinate[axis], to_value[axis]
        )
    out = {"log_evidence": evidence, "hyperparameters": hyper}
    out |= coefficients(theta, weight, lines, z, names)
    out["leave_one_out"], out["leave_one_out_gy"] = {}, {}
    for i, name in enumerate(names):
        rest = np.arange(len(names)) != i
        value = evidence - integrate(lines[rest], residual[rest], z, k)[0]
        out["leave_one_out"][str(name)] = value
        out["leave_one_out_gy"][str(name)] = float(value - sums[i])
    out["leave_one_out_total"] = sum(out["leave_one_out"].values())
    return out


def dense_check(folder: Path) -> float:
    """Largest difference of `log_joint` from the 180 by 180 covariance at sixteen points."""
    names, lines, residual, z, _ = reduce(folder)
    y = columns(folder / "sleepstudy.csv")["Reaction"].astype(float) / 100
    m = len(names)
    worst = 0.0
    for s0, s1, rho, sigma in itertools.product((0.1, 0.4), (0.02, 0.1), (-0.5, 0.6), (0.2, 0.5)):
        sigma_u = np.array([[s0**2, rho * s0 * s1], [rho * s0 * s1, s1**2]])
        x = np.tile(z, (m, 1))
        cov = np.kron(np.eye(m), z @ sigma_u @ z.T + sigma**2 * np.eye(len(z)))
        cov += (x * B_VAR) @ x.T
        expected = multivariate_normal.logpdf(y, x @ B_MEAN, cov)
        expected += sum(half_normal_log_density(np.array(v), SCALE) for v in (s0, s1, sigma))
        expected += np.log(0.75 * (1 - rho**2))
        theta = tuple(np.array([v]) for v in (s0, s1, rho, sigma))
        worst = max(worst, abs(log_joint(theta, lines, residual, z)[0] - expected))
    return float(worst)


def main(folder: Path) -> None:
    coarse, fine = (results(folder, k) for k in GRIDS)
    made = {
        "model": "y = Reaction / 100 ~ N(b0 + u0 + (b1 + u1) Days, sigma^2), y read as a log dose",
        "priors": {
            "Intercept": "N(2.5, 1)",
            "Days": "N(0, 0.5)",
            "sd_Intercept, sd_Days, sigma": "HalfNormal(0.5)",
            "rho": "LKJ(2): density 0.75 (1 - rho^2)",
        },
        "density_of": "y; leave_one_out_gy is that of exp(y)",
        "made_with": {"numpy": np.__version__, "scipy": scipy.__version__},
        "grids": list(GRIDS),
        "largest_difference_between_grids": largest_difference(coarse, fine),
        "difference_from_dense_covariance": dense_check(folder),
        "result": fine,
    }
    path = Path(__file__).with_name("sleepstudy_random_slope.json")
    path.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
