"""Features of three scanners harmonised by neuroCombat 0.2.12 (pip install neuroCombat).

Its iteration stops at a relative change of 1e-4; here at 1e-12, so that digits can be compared.
Run from this folder: python combat.py
"""

import json
from importlib import import_module
from pathlib import Path
from sys import modules

import numpy as np
import pandas as pd

import_module("neuroCombat")
# the package's name is its function's
reference = modules["neuroCombat.neuroCombat"]

rng = np.random.default_rng(20261121)
n = 48
scanner = np.repeat(["A", "B", "C"], [20, 16, 12])
volume = rng.normal(2.0, 0.8, n)
tissue = np.where(rng.random(n) < 0.5, "bone", "node")
shift = {"A": 0.0, "B": 0.6, "C": -0.4}
stretch = {"A": 1.0, "B": 1.5, "C": 0.7}
columns = {}
for v in range(5):
    noise = rng.normal(0, 0.5, n)
    columns[f"f{v}"] = np.round(
        1.0
        + 0.3 * v * volume
        + 0.4 * (tissue == "node")
        + np.array([shift[s] + rng.normal(0, 0.05) for s in scanner])
        + np.array([stretch[s] for s in scanner]) * noise,
        6,
    )
table = pd.DataFrame(
    {**columns, "scanner": scanner, "volume": np.round(volume, 6), "tissue": tissue}
)
features = list(columns)
reference.it_sol.__defaults__ = (1e-12,)
found = reference.neuroCombat(
    dat=table[features].to_numpy().T,
    covars=table[["scanner", "volume", "tissue"]],
    batch_col="scanner",
    categorical_cols=["tissue"],
    continuous_cols=["volume"],
)["data"].T
answer = {
    "table": table.to_dict("list"),
    "harmonised": dict(zip(features, np.round(found, 8).T.tolist(), strict=True)),
}
Path("combat.json").write_text(json.dumps(answer) + "\n", encoding="utf-8")
