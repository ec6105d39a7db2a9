"""Actual coverage of the 95 % interval of `interval_coverage`, for beta-binomial patients.

Run as ``python tests/references/evaluate/simulate_coverage_interval.py`` (three minutes); writes
coverage_interval.csv: one row a setting, with the share of simulations whose interval holds the
true coverage when 1 or 2 pseudo-sites (the package's value) are used.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from bayesdose.evaluate import coverage

N_SIMS = 1000
SIZES = {
    "5 x 10": [10] * 5,
    "9 x 2": [2] * 9,
    "9 x 4": [4] * 9,
    "9, 3 to 12": [6, 5, 12, 8, 3, 7, 9, 4, 3],
    "9, 1 to 15": [1, 1, 2, 3, 4, 6, 10, 12, 15],
    "15, 1 to 15": list(range(1, 16)),
    "20 x 20": [20] * 20,
    "30 x 2": [2] * 30,
    "30, 1 to 15": list(range(1, 16)) * 2,
    "100, 1 to 15": (list(range(1, 16)) * 7)[:100],
}


def actual_coverage(sizes, p, icc, weights, rng):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    zero, one = np.zeros(groups.size), np.ones(groups.size)
    held = {1: 0, 2: 0}
    for _ in range(N_SIMS):
        own = p
        if icc > 0:
            scale = 1 / icc - 1
            own = rng.beta(p * scale, (1 - p) * scale, size=len(sizes))[groups]
        observed = np.where(rng.random(groups.size) < own, 0.5, 2.0)
        for pseudo_sites in held:
            coverage._PSEUDO_SITES = float(pseudo_sites)
            result = coverage.interval_coverage(observed, zero, one, groups, weights=weights)
            held[pseudo_sites] += result.lower <= p <= result.upper
    return {f"pseudo_sites_{key}": value / N_SIMS for key, value in held.items()}


def main():
    rng = np.random.default_rng(1)
    rows = [
        {"patients": name, "weights": weights, "true_coverage": p, "icc": icc}
        | actual_coverage(sizes, p, icc, weights, rng)
        for weights in ("site", "patient")
        for name, sizes in SIZES.items()
        for p in (0.5, 0.8, 0.9, 0.95, 0.98)
        for icc in (0.0, 0.05, 0.1, 0.3, 0.6, 0.9)
    ]
    table = pd.DataFrame(rows)
    table.to_csv(Path(__file__).with_name("coverage_interval.csv"), index=False)
    for column in ("pseudo_sites_1", "pseudo_sites_2"):
        values = table[column]
        print(column, "min", values.min(), "mean", values.mean(), "< 0.93:", (values < 0.93).sum())


if __name__ == "__main__":
    main()
