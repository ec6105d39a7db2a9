from types import SimpleNamespace

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pytensor.compile.mode import Mode

#: Python in place of compiled code: each model is evaluated once.
PLAIN = Mode("py", None)


@pytest.fixture(scope="session")
def sites() -> pd.DataFrame:
    """Four patients, two tissues, two cycles, repeated sites, errors of both kinds, two centres."""
    rng = np.random.default_rng(3)
    rows = []
    for i in range(4):
        for cycle in (1, 2):
            for tissue, n_sites in (("tumour", 2 + i % 2), ("kidney", 1)):
                for j in range(n_sites):
                    rows.append(
                        {
                            "patient_id": f"P{i}",
                            "site_id": f"{tissue}{j}",
                            "cycle": cycle,
                            "tissue": tissue,
                            "uptake": rng.normal(),
                            "volume": rng.normal(),
                            "absorbed_dose_gy": np.exp(rng.normal(1.5, 0.7)),
                            "administered_activity_gbq": 7.4 - 0.3 * i,
                            "cv": 0.1 if j == 0 else 0.0,
                            "cv_shared": 0.05 * cycle,
                            "centre": "AB"[i % 2],
                            "below_limit": i == 1 and j == 0 and cycle == 1,
                        }
                    )
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def plain() -> SimpleNamespace:
    """Evaluate a PyMC model at chosen values without compiling it."""
    return SimpleNamespace(random_values=random_values, log_density=log_density, value_of=value_of)


def random_values(model: pm.Model, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A value of every free variable, on its own scale."""
    out = {}
    for name, start in model.initial_point().items():
        size = np.shape(start)
        if name.endswith("_log__"):
            out[name.removesuffix("_log__")] = np.exp(rng.normal(-0.5, 0.5, size))
        elif name.endswith("_logodds__"):
            out[name.removesuffix("_logodds__")] = rng.uniform(0.1, 0.9, size)
        else:
            out[name] = rng.normal(size=size)
    return out


def log_density(
    model: pm.Model, values: dict[str, np.ndarray], variables: list[str] | None = None
) -> float:
    """Log density of all or some variables on their own scales, without Jacobians."""
    chosen = None if variables is None else [model[name] for name in variables]
    return float(_run(model, model.logp(vars=chosen, jacobian=False), values))


def value_of(model: pm.Model, name: str, values: dict[str, np.ndarray]) -> np.ndarray:
    """Value of a deterministic variable."""
    return _run(model, model.replace_rvs_by_values([model[name]])[0], values)


def _run(model: pm.Model, graph: object, values: dict[str, np.ndarray]) -> np.ndarray:
    compiled = model.compile_fn(
        graph, inputs=model.value_vars, mode=PLAIN, on_unused_input="ignore"
    )
    return compiled(_point(model, values))


def _point(model: pm.Model, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    out = {}
    for name in model.initial_point():
        if name.endswith("_log__"):
            out[name] = np.log(values[name.removesuffix("_log__")])
        elif name.endswith("_logodds__"):
            unit = values[name.removesuffix("_logodds__")]
            out[name] = np.log(unit / (1 - unit))
        else:
            out[name] = values[name]
    return out
