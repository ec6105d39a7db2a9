from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.dose.posterior import Draws
from bayesdose.dose.training import Fitted, Training, build_domain, prepare
from bayesdose.evaluate import hdi, site_scores

N_DRAWS = 800


@pytest.fixture(scope="session")
def sites() -> pd.DataFrame:
    """Eight patients with 3 tumours and 2 kidneys each; no dose model made them."""
    rng = np.random.default_rng(5)
    rows = []
    for i in range(8):
        for tissue, n, typical in (("tumour", 3, 8.0), ("kidney", 2, 4.0)):
            for j in range(n):
                rows.append(
                    {
                        "patient_id": f"P{i}",
                        "site_id": f"{tissue}{j}",
                        "tissue": tissue,
                        "absorbed_dose_gy": typical * np.exp(rng.normal(0, 0.4)),
                        "administered_activity_gbq": 7.4,
                        "suv_mean": np.exp(rng.normal(2, 0.4)),
                        "volume_ml": np.exp(rng.normal(2, 0.8)),
                    }
                )
    return pd.DataFrame(rows, index=np.arange(100, 100 + len(rows)))


@pytest.fixture(scope="session")
def validation(sites: pd.DataFrame) -> SimpleNamespace:
    """What a `LeaveOneOut` shows: one site could not be predicted."""
    rng = np.random.default_rng(6)
    n = len(sites)
    patient = pd.factorize(sites["patient_id"])[0]
    shared = 0.3 * rng.normal(size=(N_DRAWS, 8))[:, patient]
    centre = np.log(sites["absorbed_dose_gy"].to_numpy()) + rng.normal(0, 0.4, size=n)
    draws = np.exp(centre + shared + 0.3 * rng.normal(size=(N_DRAWS, n)))
    lower, upper = hdi(draws, 0.8)
    table = sites[["patient_id", "site_id", "tissue"]].assign(
        cycle=1,
        observed=sites["absorbed_dose_gy"],
        median=np.median(draws, axis=0),
        lower=lower,
        upper=upper,
    )
    table.iloc[1, 5:] = np.nan
    draws[:, 1] = np.nan
    ready = np.arange(n) != 1

    def summary() -> pd.DataFrame:
        return site_scores(
            table["observed"][ready], draws[:, ready], patient[ready], table["tissue"][ready]
        )

    return SimpleNamespace(predictions=table, draws=draws, hdi_prob=0.8, summary=summary)


@pytest.fixture(scope="session")
def fake_fit(sites: pd.DataFrame):
    """Make a fitted model whose draws come from numpy: no engine is run."""

    def fit(sampler: str = "nuts", training: bool = True, **arguments: object) -> bd.DoseModel:
        model = bd.DoseModel("log(suv_mean)", **arguments)
        found = prepare(sites, model._spec())
        model._fitted = _fitted(found, sampler, training)
        return model

    return fit


def _fitted(training: Training, sampler: str, keep: bool) -> Fitted:
    rng = np.random.default_rng(7)
    encoding, rows = training.encoding, training.rows
    q, p, k = len(encoding.patient_effects), encoding.n_coefficients, len(encoding.tissues)
    corr = np.broadcast_to(np.eye(q), (N_DRAWS, q, q)).copy()
    draws = Draws(
        beta=rng.normal(0.2, 0.1, size=(N_DRAWS, p)),
        residual_sd=np.abs(rng.normal(0.4, 0.05, size=(N_DRAWS, k))),
        patient_sd=np.abs(rng.normal(0.2, 0.1, size=(N_DRAWS, q))),
        patient_corr=corr,
        cycle_sd=np.zeros((N_DRAWS, k)),
        site_sd=np.zeros((N_DRAWS, k)),
        group_sd=np.zeros((N_DRAWS, 0)),
        patient_effect=rng.normal(0, 0.3, size=(N_DRAWS, len(rows.patients), q)) if q else None,
        precision=None,
        shift=None,
        log_posterior=rng.normal(size=N_DRAWS),
    )
    info = {"sampler": sampler, "random_seed": 1, "pareto_k": 0.2, "weight_ess": 3000.0}
    domain = build_domain(training)
    kept = training if keep else None
    return Fitted(encoding, draws, domain, kept, (np.nan, np.nan), info)
